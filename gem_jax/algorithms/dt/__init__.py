"""DT, Decision Transformer (Chen et al., 2021).

Behavior cloning by a causal transformer that is told, at each step, what return is
still to come. In the data that is what came; to act, it is what is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import sampling, train_state
from gem_jax.algorithm import Algorithm, Phase, UpdateFn
from gem_jax.algorithms.dt import context, trajectories
from gem_jax.algorithms.dt.config import NO_TARGET as NO_TARGET
from gem_jax.algorithms.dt.config import Config as Config
from gem_jax.algorithms.dt.config import Knobs as Knobs
from gem_jax.networks import bundle
from gem_jax.networks.decision_transformer import DecisionTransformer
from gem_jax.train_state import TrainState
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition

# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    context=3,
    num_times=20,
    width=8,
    num_layers=1,
    num_heads=2,
    warmup_steps=4,
    reward_scale=0.1,
    target_return=2.0,
)


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the transformer.
    """

    actor: TrainState


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """Rewards as recorded: acting takes off those that the environment gives."""
    del config, task
    return {"reward_transform": "identity"}


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    network = bundle.from_module(
        DecisionTransformer(
            spec.action_size,
            width=config.width,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            num_times=config.num_times,
            attention_dropout=config.attention_dropout,
            residual_dropout=config.residual_dropout,
            embedding_dropout=config.embedding_dropout,
        )
    )
    optimizer = _optimizer(config)

    def init(key: PRNGKey) -> State:
        nothing = context.empty(spec, config.context, 0.0)
        params = network.init(key, *nothing.tokens)
        return State(train_state.create(params, optimizer))

    def init_memory(params: Params, knobs: Knobs) -> context.Context:
        del params
        target = config.reward_scale * knobs.target_return
        return context.empty(spec, config.context, target)

    def observe(
        params: Params,
        key: PRNGKey,
        memory: context.Context,
        observation: Array,
        last_action: Array,
        last_reward: Array,
        t: Array,
        knobs: Knobs,
    ) -> context.Context:
        del params, key, knobs
        reward = config.reward_scale * last_reward
        return context.extend(memory, observation, last_action, reward, t)

    def act(
        params: Params,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: Knobs,
        memory: context.Context,
    ) -> ActOutput:
        del key, observation, t, knobs
        actions = network.apply(params, *memory.tokens)
        return ActOutput(actions[memory.newest], audit={})

    phase = Phase(
        "actor",
        config.num_steps,
        config.batch_size,
        _make_update(network, optimizer),
        trajectories.number(config.reward_scale),
        sample=sampling.windows(config.context),
    )
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: state.actor.params,
        act,
        knobs=config.knobs(),
        check=trajectories.make_check(config),
        normalize_observations=config.normalize_observations,
        recorded_rewards=True,
        init_memory=init_memory,
        observe=observe,
    )


def _optimizer(config: Config) -> optax.GradientTransformation:
    def rate(count: Array) -> Array:
        share = (count + 1).astype(jnp.float32) / config.warmup_steps
        return config.learning_rate * jnp.minimum(share, 1.0)

    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm),
        optax.adamw(rate, weight_decay=config.weight_decay),
    )


def _make_update(
    network: bundle.Network, optimizer: optax.GradientTransformation
) -> UpdateFn:
    """The mean squared error of all actions of the windows, 0 beyond their ends."""

    def loss(params: Params, key: PRNGKey, batch: Transition) -> Array:
        predicted = network.apply(
            params,
            batch.extras["return_to_go"],
            batch.observation,
            batch.action,
            batch.extras["time"],
            training=True,
            rngs={"dropout": key},
        )
        valid = batch.extras[sampling.VALID][..., None]
        return jnp.mean(valid * (predicted - batch.action) ** 2)

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        del step
        actor_loss, grads = jax.value_and_grad(loss)(state.actor.params, key, batch)
        new_actor = train_state.apply_gradients(state.actor, grads, optimizer)
        return State(new_actor), {"actor/loss": actor_loss}

    return update
