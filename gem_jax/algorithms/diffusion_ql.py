"""Diffusion-QL (Wang et al., 2023): a diffusion policy that follows the critics.

The policy clones the data as a diffusion in a few steps, and the critics' gradient runs
through all of these; one of many samples is executed, drawn by its value.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import checks, inference, train_state
from gem_jax.algorithm import Algorithm, Online, Phase
from gem_jax.algorithms import _sampled
from gem_jax.learners import batch_metrics, ddpm_policy, exploration, q_ensemble
from gem_jax.networks import bundle
from gem_jax.networks.noise import NoisePerceptron
from gem_jax.ops import diffusion
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Diffusion-QL's settings; defaults are the reference's for locomotion.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of the policy's Adam.
      critic_learning_rate: of the critics'.
      max_grad_norm: to which gradients of the policy, and of the critics, are scaled
        down.
      discount: of the return.
      polyak: rate of the target critics.
      eta: weight of Q in the policy's loss, beside the loss of cloning.
      num_backup: actions at the next state, of which each critic takes its best; 1
        for a target of the policy itself.
      averaging_rate: of the policy's slow copy, which acts in targets.
      averaging_period: steps between two moves of it.
      averaging_start: step at which they begin.
      normalize_observations: by the dataset's mean and standard deviation.
      num_candidates: N, see ``Knobs``.
      sampling_steps: T, in training and, by default, when acting.
      alpha: see ``Knobs``.
    """

    num_steps: int = 2_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    max_grad_norm: float = 9.0
    discount: float = 0.99
    polyak: float = 0.005
    eta: float = 1.0
    num_backup: int = 1
    averaging_rate: float = 0.005
    averaging_period: int = 5
    averaging_start: int = 1000
    normalize_observations: bool = True
    num_candidates: int = 50
    sampling_steps: int = 5
    alpha: float = 1.0

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_steps", "batch_size")
        checks.positive(self, "learning_rate", "critic_learning_rate", "max_grad_norm")
        checks.positive(self, "num_backup", "averaging_period")
        checks.fraction(self, "discount", "polyak", "averaging_rate")
        checks.not_negative(self, "eta", "averaging_start")
        Knobs(self.num_candidates, self.sampling_steps, self.alpha).validate()

    @property
    def num_critics(self) -> int:
        """Two, each the other's scale."""
        return 2

    @property
    def floats_per_candidate(self) -> int:
        """What a sample takes while its network is evaluated."""
        return 2 * max(self.hidden_sizes)


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    hidden_sizes=(16,),
    num_backup=2,
    averaging_start=0,
    averaging_period=1,
    num_candidates=5,
    sampling_steps=3,
)


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """The reference's: 4 r - 2 on AntMaze, locomotion's rewards as recorded."""
    del config
    rewards = {"antmaze": (4.0, -2.0), "locomotion": "identity"}
    return {"reward_transform": rewards[task.suite]} if task.suite in rewards else {}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knobs:
    """How to choose an action.

    Attributes:
      num_candidates: N, samples of the policy (static).
      sampling_steps: T, steps of each (static). The network has seen the times of its
        training alone: with another T it is asked between them.
      alpha: one sample is drawn, with a probability proportional to exp(alpha Q).
    """

    num_candidates: int = dataclasses.field(default=50, metadata=_sampled.STATIC)
    sampling_steps: int = dataclasses.field(default=5, metadata=_sampled.STATIC)
    alpha: Array | float = 1.0

    def validate(self) -> None:
        """Checks concrete knobs.

        Raises:
          ValueError: a knob is out of range.
        """
        _sampled.require_counts(self, "num_candidates", "sampling_steps")
        _sampled.require_alpha(self)

    @property
    def set_size(self) -> int:
        """How many candidates there are."""
        return self.num_candidates


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the diffusion policy.
    target_actor: its slow copy.
    values: two critics and their slow copies.
    """

    actor: TrainState
    target_actor: Params
    values: q_ensemble.QState


class ActorParams(NamedTuple):
    """What acting reads."""

    actor: Params
    critic: Params


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    network = bundle.from_module(NoisePerceptron(config.hidden_sizes, spec.action_size))
    optimizer = _make_optimizer(config.learning_rate, config.max_grad_norm)
    critics = q_ensemble.make_q_learner(
        spec,
        # The learner's loss is the mean of the two errors, the reference's their sum:
        # Adam makes no difference between these, a bound does.
        _make_optimizer(config.critic_learning_rate, config.max_grad_norm / 2),
        hidden_sizes=config.hidden_sizes,
        num_critics=config.num_critics,
        discount=config.discount,
        activation="mish",
    )

    def init(key: PRNGKey) -> State:
        actor_key, value_key = jax.random.split(key)
        observation = jnp.zeros(spec.observation_size)
        action, time = jnp.zeros(spec.action_size), jnp.zeros(())
        actor = network.init(actor_key, observation, action, time)
        return State(
            actor=train_state.create(actor, optimizer),
            target_actor=jax.tree.map(jnp.copy, actor),
            values=critics.init(value_key),
        )

    def sample(
        params: Params, key: PRNGKey, observation: Array, n: int, num_steps: int
    ) -> Array:
        """`[n, A]` of one state, or of as many states `[n, O]`."""

        def predict(x: Array, t: Array) -> Array:
            time = jnp.broadcast_to(t, observation.shape[:-1])
            return network.apply(params, observation, x, time)

        start_key, noise_key = jax.random.split(key)
        start = jax.random.normal(start_key, (n, spec.action_size), jnp.float32)
        return diffusion.ddpm(
            *(predict, noise_key, start, num_steps), posterior_variance=True
        )

    def target(state: State, key: PRNGKey, batch: Transition) -> Array:
        """r + discount (1 - d) min_e max_i Q_e(s', a_i), of the slow copies."""
        following = batch.next_observation

        def q_of(sample_key: PRNGKey) -> Array:
            action = sample(
                *(state.target_actor, sample_key, following, len(following)),
                config.sampling_steps,
            )
            return critics.apply(state.values.target_critic, following, action)

        q = jax.vmap(q_of)(jax.random.split(key, config.num_backup))  # [M, E, B]
        return critics.target(batch, jnp.min(jnp.max(q, axis=0), axis=0))

    def actor_loss(params: Params, q_params: Params, key: PRNGKey, batch: Transition):
        """Noise prediction - eta mean Q_i / mean |Q_j|, (i, j) one order of the two."""
        clone_key, sample_key, order_key = jax.random.split(key, 3)
        errors = ddpm_policy.noise_errors(
            lambda x, t: network.apply(params, batch.observation, x, t),
            *(clone_key, batch.action, config.sampling_steps),
        )
        cloning = jnp.mean(errors, axis=-1)
        size = len(batch.reward)
        action = sample(
            *(params, sample_key, batch.observation, size, config.sampling_steps)
        )
        q, other = critics.apply(q_params, batch.observation, action)
        swapped = jax.random.bernoulli(order_key)
        q, other = jnp.where(swapped, other, q), jnp.where(swapped, q, other)
        losses = cloning - config.eta * value_ops.scaled(q, other)
        rows = {"actor/loss": losses, "actor/cloning_loss": cloning, "actor/q": q}
        return jnp.mean(losses), rows

    def update(
        averaging_start: int, state: State, key: PRNGKey, batch: Transition, step: Array
    ):
        target_key, actor_key = jax.random.split(key)
        y = target(state, target_key, batch)
        new_values, of_critic = critics.update(state.values, batch, y, config.polyak)
        grads, of_actor = jax.grad(actor_loss, has_aux=True)(
            *(state.actor.params, new_values.critic.params, actor_key, batch)
        )
        new_actor = train_state.apply_gradients(state.actor, grads, optimizer)
        due = (step % config.averaging_period == 0) & (step >= averaging_start)
        rate = jnp.where(due, config.averaging_rate, 0.0)
        target_actor = train_state.polyak(state.target_actor, new_actor.params, rate)
        metrics = batch_metrics.means({**of_critic, **of_actor})
        return State(new_actor, target_actor, new_values), metrics

    def propose(
        params: ActorParams, key: PRNGKey, observation: Array, n: int, knobs: Knobs
    ) -> Array:
        return sample(params.actor, key, observation, n, knobs.sampling_steps)

    def act(
        params: ActorParams, key: PRNGKey, observation: Array, t: Array, knobs: Knobs
    ) -> ActOutput:
        del t
        sample_key, draw_key = jax.random.split(key)
        candidates = _sampled.candidates(
            propose, params, sample_key, observation, knobs
        )
        q = critics.lowest(params.critic, observation, candidates)
        selection = inference.select(
            candidates, knobs.alpha * q, temperature=1.0, key=draw_key
        )
        return ActOutput(selection.action, _sampled.audit(q, selection))

    fit = functools.partial(update, config.averaging_start)
    phase = Phase("policy", config.num_steps, config.batch_size, fit)
    fit_online = functools.partial(update, 0)  # the first steps are behind it
    knobs = Knobs(config.num_candidates, config.sampling_steps, config.alpha)
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: ActorParams(state.actor.params, state.values.target_critic),
        act,
        knobs=knobs,
        normalize_observations=config.normalize_observations,
        n_step_discount=config.discount,
        online=Online(
            exploration.acting(act, knobs), phase._replace(update=fit_online)
        ),
        propose=propose,
    )


def _make_optimizer(rate: float, max_norm: float) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(max_norm), optax.adam(rate))
