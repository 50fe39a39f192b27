"""SfBC, Selecting from Behavior Candidates (Chen et al., ICLR 2023).

A diffusion model of the behavior; a critic by regression on returns, then on returns of
planning inside the data with that critic's values; acting: candidates of the behavior,
of which one is drawn by its value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gem_jax import checks, inference, train_state
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms import _sampled
from gem_jax.algorithms.sfbc.config import Config as Config
from gem_jax.algorithms.sfbc.config import Knobs as Knobs
from gem_jax.algorithms.sfbc.phases import make_phases
from gem_jax.algorithms.sfbc.state import ActorParams, Parts, State
from gem_jax.learners import diffusion_policy
from gem_jax.networks import bundle, critic
from gem_jax.types import ActOutput, Array, EnvSpec, PRNGKey, Transition

# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=4,
    batch_size=8,
    hidden_sizes=(16,),
    planning_samples=3,
    planning_batch_size=16,
    behavior_steps=4,
    behavior_batch_size=8,
    behavior_hidden_sizes=(16, 8),
    sampling_steps=3,
    num_candidates=5,
    num_averaged=2,
)


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """Rewards as recorded, as in the source.

    Where a time limit cuts an episode its return ends. With AntMaze's rewards less one
    that would make the end of a failure worth as much as the goal.
    """
    del config, task
    return {"reward_transform": "identity"}


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to the sizes of an environment and of its data.

    Raises:
      ValueError: ``spec`` does not tell the size of the data.
    """
    if spec.num_transitions < 1:
        raise ValueError("SfBC needs num_transitions of the data")
    parts = _make_parts(config, spec)
    propose = _sampled.make_propose(parts.behavior)

    def init(key: PRNGKey) -> State:
        behavior_key, critic_key = jax.random.split(key)
        return State(
            behavior=parts.behavior.init(behavior_key),
            critic=parts.init_critic(critic_key),
            returns=jnp.zeros(spec.num_transitions, jnp.float32),
            next_value=jnp.zeros(spec.num_transitions, jnp.float32),
            scale=jnp.array([0.0, 1.0], jnp.float32),
        )

    def act(
        params: ActorParams, key: PRNGKey, observation: Array, t: Array, knobs: Knobs
    ) -> ActOutput:
        del t
        sample_key, draw_key = jax.random.split(key)
        candidates = _sampled.candidates(
            propose, params, sample_key, observation, knobs
        )
        q = parts.critic.apply(params.critic, observation, candidates)
        # The highest of alpha Q plus Gumbel noise are a draw without replacement, by
        # probabilities proportional to exp(alpha Q) (Kool et al., 2019).
        noise = jax.random.gumbel(draw_key, q.shape, jnp.float32)
        selection = inference.select(
            candidates, knobs.alpha * q + noise, top_m=knobs.num_averaged
        )
        return ActOutput(selection.action, _sampled.audit(q, selection))

    def check(dataset: Transition, log: Callable[[str], None]) -> None:
        del log
        checks.has_trajectories("returns need", dataset)

    return Algorithm(
        spec,
        init,
        make_phases(config, spec, parts),
        lambda state: ActorParams(
            parts.behavior.deployed(state.behavior), state.critic.params
        ),
        act,
        knobs=config.knobs(),
        check=check,
        normalize_observations=config.normalize_observations,
        propose=propose,
    )


def _make_parts(config: Config, spec: EnvSpec) -> Parts:
    network = bundle.from_module(critic.Critic(config.hidden_sizes, activation="silu"))
    optimizer = optax.adam(config.learning_rate)

    def init_critic(key: PRNGKey) -> train_state.TrainState:
        observation, action = (
            jnp.zeros(size) for size in (spec.observation_size, spec.action_size)
        )
        return train_state.create(network.init(key, observation, action), optimizer)

    return Parts(
        behavior=diffusion_policy.make_diffusion_learner(
            spec,
            optax.adam(config.behavior_learning_rate),
            hidden_sizes=config.behavior_hidden_sizes,
        ),
        critic=network,
        init_critic=init_critic,
        optimizer=optimizer,
    )
