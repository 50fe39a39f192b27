"""The methods of the gallery, trained on the bandit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.gallery import bandit
from gem_jax import acting, algorithms, inference
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms.gem import state as gem_state
from gem_jax.ops import mixture
from gem_jax.training import loop
from gem_jax.types import Array, PolicyParams, PRNGKey, Transition

NUM_CANDIDATES = 64
_WIDTHS = (64, 64)
_SIZES: Mapping[str, Any] = dict(
    batch_size=256,
    behavior_batch_size=256,
    modes_batch_size=256,
    hidden_sizes=_WIDTHS,
    behavior_hidden_sizes=_WIDTHS,
    learning_rate=1e-3,
    critic_learning_rate=1e-3,
    behavior_learning_rate=1e-3,
    behavior_width=128,
    num_critics=2,
    num_candidates=NUM_CANDIDATES,
    planning_samples=4,
)


class Entry(NamedTuple):
    """A picture.

    Attributes:
      title: of it.
      algo: registered name.
      changes: of its settings.
      whole: a model of the whole behavior, whose samples should show every mode.
    """

    title: str
    algo: str
    changes: Mapping[str, Any] = {}
    whole: bool = False


# Models that are asked for more than a mean or a mode.
_LARGE: Mapping[str, Any] = dict(hidden_sizes=(128, 128, 128))
_STUDENT: Mapping[str, Any] = {**_LARGE, "num_candidates": 1}
_COMPONENTS = dict(num_components=16, behavior_components=16)
ENTRIES = (
    Entry("bc", "bc"),
    Entry("td3_bc", "td3_bc"),
    Entry("iql", "iql"),
    Entry("lom", "lom", dict(num_components=16)),
    Entry("gem, one component", "gem", dict(num_components=1, behavior_components=1)),
    Entry(
        "gem, samples of the behavior",
        "gem",
        _COMPONENTS | dict(candidates="behavior"),
        True,
    ),
    Entry("gem", "gem", _COMPONENTS),
    Entry("sfbc", "sfbc", dict(behavior_hidden_sizes=(128, 128), num_averaged=1), True),
    Entry("idql", "idql", {}, True),
    # In the source's five steps a diffusion cannot tell eight modes apart.
    Entry("idql, T = 20", "idql", dict(sampling_steps=20), True),
    Entry("ifql", "ifql", _LARGE, True),
    Entry("fql, alpha 1000", "fql", {**_STUDENT, "alpha": 1000.0}, True),
    Entry("fql", "fql", _STUDENT),
    Entry("diffusion_ql, eta 0", "diffusion_ql", {**_LARGE, "eta": 0.0}, True),
    Entry("diffusion_ql", "diffusion_ql", _LARGE),
)


@dataclasses.dataclass(frozen=True)
class Trained:
    """Attributes:
    entry: what was trained.
    config: its settings.
    algorithm: bound to them.
    params: of acting.
    """

    entry: Entry
    config: Any
    algorithm: Algorithm
    params: PolicyParams

    def sample(self, key: PRNGKey, observation: Array, n: int) -> Array:
        """`[n, 2]` in one state; a method that samples nothing repeats its action."""
        if self.algorithm.propose is None:
            return jnp.broadcast_to(self.act(key, observation), (n, 2))
        state, knobs = self.params.normalizer(observation), self.algorithm.knobs
        return self.algorithm.propose(self.params.params, key, state, n, knobs)

    def act(self, key: PRNGKey, observation: Array) -> Array:
        """What it executes in one state, `[2]`."""
        seen = acting.Seen(observation, jnp.zeros(()))
        step = acting.make_step(self.algorithm)
        return step(self.params, key, (), seen, self.algorithm.knobs)[0].action


def train(entry: Entry, data: Transition, num_steps: int, seed: int) -> Trained:
    """Trains one method; a phase of the behavior before takes as many steps."""
    kind = algorithms.config_class(entry.algo)
    known = {field.name for field in dataclasses.fields(kind)}
    steps = dict(num_steps=num_steps, behavior_steps=num_steps)
    wanted = {k: v for k, v in {**_SIZES, **steps}.items() if k in known}
    config = kind(**{**wanted, **entry.changes})
    algorithm = algorithms.make(entry.algo, config, bandit.spec(data))
    keys = loop.seed_keys([seed])
    state = loop.init(algorithm, keys)
    for chunk in loop.run(algorithm, keys, data, state, steps_per_dispatch=1000):
        state = chunk.state
    params = loop.policy_params(algorithm, loop.select_seed(state, 0))
    return Trained(entry, config, algorithm, params)


def proposals(trained: Trained, count: int) -> np.ndarray:
    """A sample in each of ``count`` states, `[count, 2]`, inside the box."""

    def sample(key: PRNGKey, observation: Array) -> Array:
        return jnp.clip(trained.sample(key, observation, 1)[0], -1.0, 1.0)

    return _in_states(sample, count)


def choices(trained: Trained, count: int) -> np.ndarray:
    """What it executes in each of ``count`` states, `[count, 2]`."""

    return _in_states(trained.act, count)


def behind_a_corrupted_critic(
    proposer: Trained, scorer: Trained, count: int, *, lam: float
) -> np.ndarray:
    """The best of its samples by GEM's critics with an error, `[count, 2]`.

    Args:
      proposer: any method.
      scorer: GEM.
      count: how many states.
      lam: weight of GEM's behavior density; 0 leaves the choice to the critics.
    """
    parts = gem_state.make_parts(scorer.config, scorer.algorithm.spec)

    def choose(key: PRNGKey, observation: Array) -> Array:
        candidates = inference.propose(
            key,
            lambda k, n: proposer.sample(k, observation, n),
            NUM_CANDIDATES,
            anchor=None,
        )
        state, params = scorer.params.normalizer(observation), scorer.params.params
        q = parts.values.apply(params.critic, state, candidates)
        density = parts.behavior.apply(params.behavior, state)
        scores = inference.score(
            q + bandit.error(candidates)[None],
            mixture.log_prob_of_set(density, candidates),
            kappa=1.0,
            lam=lam,
        )
        return inference.select(candidates, scores.total).action

    return _in_states(choose, count)


def _in_states(function: Callable[[PRNGKey, Array], Array], count: int) -> np.ndarray:
    keys = jax.random.split(jax.random.key(1), count)
    observations = jax.random.uniform(jax.random.key(2), (count, 1))
    return np.asarray(jax.jit(jax.vmap(function))(keys, observations))
