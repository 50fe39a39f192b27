"""GEM's updates: of the behavior, of critic, value and actor, and of all."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from gem_jax import inference
from gem_jax.algorithm import UpdateFn
from gem_jax.algorithms.gem.config import Config
from gem_jax.algorithms.gem.state import Parts, State
from gem_jax.learners import batch_metrics, held_out, moments
from gem_jax.ops import mixture
from gem_jax.ops import value as value_ops
from gem_jax.types import Array, Params, PRNGKey, Transition


def make_fit_behavior(parts: Parts) -> UpdateFn:
    """Maximum likelihood of the behavior (Eq. 54)."""

    def fit_behavior(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key, step
        weight = _responsibility(batch) * held_out.fitted_rows(batch)
        new_behavior, metrics = parts.behavior.update(state.behavior, batch, weight)
        support = moments.update(state.scales.support, -metrics["nll"])
        new_state = dataclasses.replace(
            state,
            behavior=new_behavior,
            scales=state.scales._replace(support=support),
        )
        mean, std = moments.mean_and_std(support)
        scales = {"scales/support_mean": mean, "scales/support_std": std}
        return new_state, {**held_out.nll_means(metrics["nll"], batch), **scales}

    return fit_behavior


def make_fit_policy(config: Config, parts: Parts) -> UpdateFn:
    """Critic, value, and actor by advantage-weighted EM (Eq. 40 to 44, 60 to 66)."""
    tilt = config.beta, config.max_weight

    def fit_policy(state: State, key: PRNGKey, batch: Transition, step: Array):
        del step
        next_value = None
        if config.backup == "select":
            next_value = functools.partial(
                selected_value,
                *(parts, state.behavior.params, key, batch.next_observation),
                config.backup_candidates,
            )
        new_values, advantage, metrics = parts.values.update(
            state.values, batch, next_value
        )
        scale = moments.update(state.scales.advantage, advantage)
        if config.advantage_unit == "data":
            advantage = advantage / moments.mean_and_std(scale)[1]
        weight = value_ops.advantage_weight(advantage, *tilt)  # Eq. 41
        new_actor, of_actor = parts.actor.update(
            state.actor, batch, weight * _responsibility(batch)
        )
        new_state = dataclasses.replace(
            state,
            actor=new_actor,
            values=new_values,
            scales=state.scales._replace(advantage=scale),
        )
        per_transition = {**metrics, **_named("actor", of_actor)}
        if parts.gradient and state.gradient:
            new_gradient, of_gradient = parts.gradient.update(
                state.gradient,
                batch,
                functools.partial(parts.values.lowest, state.values.critic.params),
            )
            new_state = dataclasses.replace(new_state, gradient=new_gradient)
            per_transition |= _named("gradient", of_gradient)
        means = batch_metrics.regression_means(
            per_transition, weight, value_ops.is_capped(advantage, *tilt)
        )
        scales = {"scales/advantage_std": moments.mean_and_std(scale)[1]}
        return new_state, {**means, **scales}

    return fit_policy


def selected_value(
    parts: Parts,
    behavior: Params,
    key: PRNGKey,
    observation: Array,
    num_samples: int,
    critic: Params,
) -> Array:
    """Value of states by choice: the best of some samples of the behavior, `[B]`.

    A sample is worth the least of the critics. As EMaQ (Ghasemipour et al., 2021), on
    an ensemble.
    """
    densities = parts.behavior.apply(behavior, observation)
    keys = jax.random.split(key, observation.shape[0])

    def best(key: PRNGKey, density: mixture.Mixture, observation: Array) -> Array:
        samples = inference.propose(key, density, num_samples, anchor=None)
        return jnp.max(parts.values.lowest(critic, observation, samples))

    return jax.vmap(best)(keys, densities, observation)


def make_fit_both(config: Config, parts: Parts) -> UpdateFn:
    """A step of the behavior, then one of the rest."""
    fit_behavior, fit_policy = make_fit_behavior(parts), make_fit_policy(config, parts)

    def fit_both(state: State, key: PRNGKey, batch: Transition, step: Array):
        state, behavior_metrics = fit_behavior(state, key, batch, step)
        state, metrics = fit_policy(state, key, batch, step)
        return state, {**metrics, **behavior_metrics}

    return fit_both


def _named(component: str, metrics: batch_metrics.PerTransition) -> dict[str, Array]:
    return {f"{component}/{name}": values for name, values in metrics.items()}


def _responsibility(batch: Transition) -> Array:
    """How much each row counts for the mixtures, `[B]`: all alike by default.

    A cluster's posterior in ``extras["responsibility"]`` conditions actor and behavior
    on that cluster; critic and value learn from all rows.
    """
    return batch.extras.get("responsibility", jnp.ones_like(batch.reward))
