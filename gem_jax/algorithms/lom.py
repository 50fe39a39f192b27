"""LOM, Learning on One Mode (Wang, Jin and Montana, ICLR 2025).

A mixture models the behavior; SARSA gives Q of the behavior, and a regression on it
Q_H(s, u), the value of acting by component u once (a mode). The actor imitates the mode
with the highest Q_H, weighted by the advantage of its actions over its mean.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import checks, errors, train_state
from gem_jax.algorithm import Algorithm, Phase, act_by
from gem_jax.learners import batch_metrics, mixture_policy, mode_values, sarsa
from gem_jax.learners.q_ensemble import QState
from gem_jax.networks import bundle, deterministic
from gem_jax.ops import mixture
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition

BASELINES = ("mode", "policy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """LOM's settings; defaults are those of the authors' implementation.

    Attributes:
      num_steps: gradient steps of critic, mode values and actor.
      batch_size: transitions a step of critic and actor.
      modes_batch_size: states a step of the mode values, at least ``batch_size``.
      hidden_sizes: widths of every network but the behavior's.
      learning_rate: of Adam for mode values and actor.
      critic_learning_rate: of Adam for the critics.
      num_critics: ensemble size, reduced by its minimum.
      discount: of the return.
      polyak: rate of the target critics.
      target_period: steps between two moves of these.
      target_noise: standard deviation of noise on the data's next action in targets.
      noise_clip: bound of that noise.
      num_components: M, modes of the behavior.
      behavior_steps: gradient steps of the behavior mixture, before all else.
      behavior_batch_size: transitions a step of it.
      behavior_hidden_sizes: its widths.
      behavior_learning_rate: of Adam.
      log_std_min: lower bound of its log-stds, which depend on the state.
      log_std_max: upper bound.
      baseline: what an action's advantage is over: ``"mode"``, the mean of its mode, as
        in the paper, or ``"policy"``, the actor's own action, as the authors'
        implementation has it.
      beta: inverse temperature of the advantage weights, 1/T.
      max_weight: C, their cap.
      action_noise: standard deviation of noise on the imitated actions.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    modes_batch_size: int = 1024
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 1e-3
    critic_learning_rate: float = 3e-4
    num_critics: int = 1
    discount: float = 0.99
    polyak: float = 0.005
    target_period: int = 2
    target_noise: float = 0.0
    noise_clip: float = 0.5
    num_components: int = 5
    behavior_steps: int = 200_000
    behavior_batch_size: int = 512
    behavior_hidden_sizes: tuple[int, ...] = (512, 512)
    behavior_learning_rate: float = 1e-3
    log_std_min: float = -15.0
    log_std_max: float = 0.0
    baseline: str = "mode"
    beta: float = 5.0
    max_weight: float = 50.0
    action_noise: float = 0.0
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes", "behavior_hidden_sizes")
        checks.ordered(self, "log_std_min", "log_std_max")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "behavior_steps", "behavior_batch_size")
        checks.positive(self, "behavior_learning_rate", "critic_learning_rate")
        checks.positive(self, "num_components", "num_critics", "max_weight")
        checks.positive(self, "target_period", "modes_batch_size")
        checks.fraction(self, "discount", "polyak")
        checks.not_negative(self, "beta", "target_noise", "noise_clip", "action_noise")
        if self.modes_batch_size < self.batch_size:
            raise ValueError(
                f"modes_batch_size must be at least batch_size={self.batch_size}, got "
                f"{self.modes_batch_size!r}"
            )
        checks.one_of(self, "baseline", BASELINES)


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=4,
    modes_batch_size=8,
    hidden_sizes=(16,),
    num_critics=2,
    num_components=3,
    behavior_steps=4,
    behavior_batch_size=8,
    behavior_hidden_sizes=(16,),
)


@flax.struct.dataclass
class State:
    """Attributes:
    behavior: the mixture.
    values: Q of the behavior.
    modes: Q_H, the value of each mode.
    actor: the deterministic policy.
    """

    behavior: TrainState
    values: QState
    modes: TrainState
    actor: TrainState


class _Parts(NamedTuple):
    """The learners, and the actor's network with its optimizer."""

    behavior: mixture_policy.MixtureLearner
    values: sarsa.SarsaLearner
    modes: mode_values.ModeLearner
    actor: bundle.Network
    optimizer: optax.GradientTransformation


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """Locomotion's rewards as recorded, as in the authors' implementation."""
    del config
    return {"reward_transform": "identity"} if task.suite == "locomotion" else {}


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    parts = _make_parts(config, spec)

    def init(key: PRNGKey) -> State:
        keys = jax.random.split(key, 4)
        actor = parts.actor.init(keys[3], jnp.zeros(spec.observation_size))
        return State(
            behavior=parts.behavior.init(keys[0]),
            values=parts.values.init(keys[1]),
            modes=parts.modes.init(keys[2]),
            actor=train_state.create(actor, parts.optimizer),
        )

    def check(dataset: Transition, log: Callable[[str], None]) -> None:
        del log
        sarsa.require_targets(dataset)
        if len(dataset.reward) < config.num_components:
            raise errors.UserError(
                f"{config.num_components} modes need at least as many transitions, got "
                f"{len(dataset.reward)}; lower num_components"
            )

    phases = (
        Phase(
            "behavior",
            config.behavior_steps,
            config.behavior_batch_size,
            _make_fit_behavior(parts),
        ),
        Phase(
            "policy",
            config.num_steps,
            config.modes_batch_size,
            _make_fit_policy(config, parts),
            sarsa.next_actions,
        ),
    )
    return Algorithm(
        spec,
        init,
        phases,
        lambda state: state.actor.params,
        act_by(parts.actor.apply),
        check=check,
        normalize_observations=config.normalize_observations,
    )


def _make_parts(config: Config, spec: EnvSpec) -> _Parts:
    adam = optax.adam(config.learning_rate)
    return _Parts(
        behavior=mixture_policy.make_mixture_learner(
            spec,
            optax.adam(config.behavior_learning_rate),
            hidden_sizes=config.behavior_hidden_sizes,
            num_components=config.num_components,
            log_std_min=config.log_std_min,
            log_std_max=config.log_std_max,
            state_dependent_scales=True,
        ),
        values=sarsa.make_sarsa_learner(
            spec,
            optax.adam(config.critic_learning_rate),
            hidden_sizes=config.hidden_sizes,
            num_critics=config.num_critics,
            discount=config.discount,
            polyak=config.polyak,
            target_period=config.target_period,
            target_noise=config.target_noise,
            noise_clip=config.noise_clip,
        ),
        modes=mode_values.make_mode_learner(
            spec,
            adam,
            hidden_sizes=config.hidden_sizes,
            num_components=config.num_components,
        ),
        actor=bundle.from_module(
            deterministic.DeterministicPolicy(config.hidden_sizes, spec.action_size)
        ),
        optimizer=adam,
    )


def _make_fit_behavior(parts: _Parts) -> Callable[..., Any]:
    """Maximum likelihood of the behavior."""

    def fit_behavior(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key, step
        p_behavior = parts.behavior.apply(state.behavior.params, batch.observation)
        stds = jnp.mean(jnp.exp(p_behavior.log_stds), axis=-1)  # [B, M]
        new_behavior, rows = parts.behavior.update(
            state.behavior, batch, jnp.ones_like(batch.reward)
        )
        metrics = {
            "behavior/nll": rows["nll"],
            "behavior/std": jnp.mean(stds, axis=-1),
            "behavior/least_std": jnp.min(stds, axis=-1),  # 0 where a mode is a point
            "behavior/gating_entropy": rows["gating_entropy"],
        }
        new_state = dataclasses.replace(state, behavior=new_behavior)
        return new_state, batch_metrics.means(metrics)

    return fit_behavior


def _make_fit_policy(config: Config, parts: _Parts) -> Callable[..., Any]:
    """A step each of Q, of Q_H and of the actor, at the parameters before it."""
    imitate = _make_imitate(config, parts)

    def fit_policy(state: State, key: PRNGKey, batch: Transition, step: Array):
        target_key, modes_key, actor_key = jax.random.split(key, 3)
        few = jax.tree.map(lambda leaf: leaf[: config.batch_size], batch)
        p_behavior = parts.behavior.apply(state.behavior.params, batch.observation)
        q_fn = functools.partial(parts.values.lowest, state.values.critic.params)
        new_values, of_values = parts.values.update(state.values, target_key, few, step)
        new_modes, q_modes, of_modes = parts.modes.update(
            state.modes, modes_key, batch.observation, p_behavior, q_fn
        )
        chosen = jnp.argmax(q_modes, axis=-1)[: config.batch_size]  # zeta_g
        mode = mixture.component(
            jax.tree.map(lambda leaf: leaf[: config.batch_size], p_behavior), chosen
        )
        new_actor, of_actor = imitate(state.actor, actor_key, few, mode, q_fn)
        new_state = dataclasses.replace(
            state, values=new_values, modes=new_modes, actor=new_actor
        )
        means = batch_metrics.means({**of_values, **of_actor})
        return new_state, {**means, **batch_metrics.means(of_modes)}

    return fit_policy


def _make_imitate(config: Config, parts: _Parts) -> Callable[..., Any]:
    """A step of the actor towards actions of one mode, better ones more."""

    def loss(params: Params, observation: Array, action: Array, weight: Array):
        error = jnp.sum((parts.actor.apply(params, observation) - action) ** 2, axis=-1)
        return jnp.mean(weight * error), weight * error

    def imitate(
        state: TrainState,
        key: PRNGKey,
        batch: Transition,
        mode: tuple[Array, Array],
        q_fn: Callable[[Array, Array], Array],
    ) -> tuple[TrainState, batch_metrics.PerTransition]:
        mean, std = mode
        mode_key, noise_key = jax.random.split(key)
        action = mean + std * jax.random.normal(mode_key, mean.shape, jnp.float32)
        noise = jax.random.normal(noise_key, mean.shape, jnp.float32)
        # The noise comes after the clip: clipped too, it would pull in actions at the
        # bounds, which squared errors average.
        action = jnp.clip(action, -1.0, 1.0) + config.action_noise * noise
        baseline = mean
        if config.baseline == "policy":
            baseline = parts.actor.apply(state.params, batch.observation)
        advantage = q_fn(batch.observation, action) - q_fn(batch.observation, baseline)
        tilt = config.beta, config.max_weight
        weight = value_ops.advantage_weight(advantage, *tilt)
        grads, losses = jax.grad(loss, has_aux=True)(
            state.params, batch.observation, action, weight
        )
        capped = value_ops.is_capped(advantage, *tilt)
        metrics = {
            "actor/loss": losses,
            "actor/advantage": advantage,
            "actor/weight": weight,
            "actor/capped_share": capped.astype(weight.dtype),
            "actor/mode_std": jnp.mean(std, axis=-1),
        }
        return train_state.apply_gradients(state, grads, parts.optimizer), metrics

    return imitate
