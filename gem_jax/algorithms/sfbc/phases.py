"""SfBC's phases: the behavior, then generations of planning and of the critic."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gem_jax import sampling, train_state
from gem_jax.algorithm import Phase, RefreshFn, UpdateFn
from gem_jax.algorithms.sfbc.config import Config
from gem_jax.algorithms.sfbc.state import Parts, State
from gem_jax.learners import batch_metrics
from gem_jax.ops import returns
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition

_LEAST_SPREAD = 1e-4
_SAME_STATE = 1e-5  # in deviations of the data, but for rounding


def make_phases(config: Config, spec: EnvSpec, parts: Parts) -> tuple[Phase, ...]:
    """The behavior; returns; then, K - 1 times, planning and what it promises."""
    phases = [
        Phase(
            "behavior",
            config.behavior_steps,
            config.behavior_batch_size,
            _make_fit_behavior(parts),
        ),
        _critic_phase(config, parts, 1),
    ]
    passes = sampling.num_batches(spec.num_transitions, config.planning_batch_size)
    for generation in range(2, config.generations + 1):
        phases += [
            Phase(
                f"planning_{generation}",
                passes,
                config.planning_batch_size,
                _make_plan(config, parts),
                _number_rows,
                sample=sampling.in_order,
            ),
            _critic_phase(config, parts, generation),
        ]
    return tuple(phases)


def _critic_phase(config: Config, parts: Parts, generation: int) -> Phase:
    return Phase(
        f"critic_{generation}",
        config.num_steps,
        config.batch_size,
        _make_fit_critic(parts),
        _number_rows,
        _make_targets(config, parts, first=generation == 1),
        config.num_steps,
    )


def _number_rows(
    state: State, key: PRNGKey, dataset: Transition
) -> tuple[State, Mapping[str, Array]]:
    """A ``prepare``: the place of each transition."""
    del key
    size = dataset.reward.shape[0]
    return state, {"row": jnp.arange(size, dtype=jnp.int32)}


def _make_fit_behavior(parts: Parts) -> UpdateFn:
    def fit_behavior(state: State, key: PRNGKey, batch: Transition, step: Array):
        del step
        new_behavior, rows = parts.behavior.update(state.behavior, key, batch)
        metrics = {"behavior/loss": rows["loss"]}
        new_state = dataclasses.replace(state, behavior=new_behavior)
        return new_state, batch_metrics.means(metrics)

    return fit_behavior


def _make_targets(config: Config, parts: Parts, *, first: bool) -> RefreshFn:
    """A generation's targets, and a critic that has learned nothing yet."""

    def refresh(state: State, key: PRNGKey, dataset: Transition, step: Array) -> State:
        del step
        terminal = dataset.terminal > 0.0
        last = _last_steps(dataset) | terminal
        if first:
            found = returns.monte_carlo(dataset.reward, last, config.discount)
        else:
            found = returns.planned(
                dataset.reward, terminal, last, state.next_value, config.discount
            )
        mean = jnp.mean(found)
        # Returns that are equal but for rounding have no scale.
        least = _LEAST_SPREAD * (1.0 + jnp.abs(mean))
        scale = jnp.stack([mean, jnp.maximum(jnp.std(found), least)])
        return dataclasses.replace(
            state, critic=parts.init_critic(key), returns=found, scale=scale
        )

    return refresh


def _last_steps(dataset: Transition) -> Array:
    """`[D]` bool: where a trajectory ends and no other goes on from the same state.

    Maze2D's trajectories are stretches of one path: each ends where its goal moves.
    Where all start in one state, to be there again is no sign of a path that goes on.
    """
    last = returns.last_steps(dataset.extras["episode"])
    following = jnp.roll(dataset.observation, -1, axis=0)
    starts = jnp.where(last[:, None], following, following[-1])
    starts_differ = jnp.any(jnp.ptp(starts, axis=0) >= _SAME_STATE)
    gap = jnp.abs(dataset.next_observation - following)
    goes_on = jnp.all(gap < _SAME_STATE, axis=-1).at[-1].set(False)
    return last & ~(goes_on & starts_differ)


def _make_fit_critic(parts: Parts) -> UpdateFn:
    """Regression on the generation's returns."""

    def loss(params: Params, batch: Transition, target: Array) -> Any:
        q = parts.critic.apply(params, batch.observation, batch.action)
        losses = (q - target) ** 2
        return jnp.mean(losses), {"critic/loss": losses, "critic/q": q}

    def fit_critic(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key, step
        mean, std = state.scale
        target = (state.returns[batch.extras["row"]] - mean) / std
        grads, metrics = jax.grad(loss, has_aux=True)(
            state.critic.params, batch, target
        )
        new_critic = train_state.apply_gradients(state.critic, grads, parts.optimizer)
        new_state = dataclasses.replace(state, critic=new_critic)
        return new_state, batch_metrics.means(metrics)

    return fit_critic


def _make_plan(config: Config, parts: Parts) -> UpdateFn:
    """V(s') = sum_m softmax_m(alpha Q) Q over M actions of the behavior, row by row."""

    def value(state: State, key: PRNGKey, observation: Array) -> Array:
        actions = parts.behavior.sample(
            parts.behavior.deployed(state.behavior),
            key,
            observation,
            config.planning_samples,
            config.sampling_steps,
        )
        q = parts.critic.apply(state.critic.params, observation, actions)
        return jnp.sum(jax.nn.softmax(config.planning_alpha * q) * q)

    def plan(state: State, key: PRNGKey, batch: Transition, step: Array):
        del step
        rows = batch.extras["row"]
        keys = jax.random.split(key, rows.shape[0])
        found = jax.vmap(value, (None, 0, 0))(state, keys, batch.next_observation)
        mean, std = state.scale
        found = mean + std * found
        beyond = state.next_value.shape[0]  # the copies that fill up the last batch
        rows = jnp.where(batch.extras["weight"] > 0.0, rows, beyond)
        next_value = state.next_value.at[rows].set(found, mode="drop")
        new_state = dataclasses.replace(state, next_value=next_value)
        used = batch.extras["weight"] * (1.0 - batch.terminal)
        mean = jnp.sum(used * found) / jnp.maximum(jnp.sum(used), 1.0)
        return new_state, {"next_value/mean": mean}

    return plan
