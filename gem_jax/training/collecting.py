"""Steps in one environment a seed, which can be taken up again where they stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gem_jax import errors
from gem_jax.data.task import Task
from gem_jax.envs.checked import CheckedEnv
from gem_jax.types import Array, EnvSpec, Transition

_COLLECTING = 0x636F6C6C  # sets its episodes apart from those of evaluations


class Place(NamedTuple):
    """Where running episodes are; leading axis `S`.

    Attributes:
      episode: `[S]` int32, its number, from 0; it fixes how the episode begins.
      t: `[S]` int32, steps taken in it.
      actions: `[S, horizon, A]` the actions of those steps, in [-1, 1], then 0.
      observation: `[S, O]`, what they led to.
    """

    episode: Any
    t: Any
    actions: Any
    observation: Any


def nowhere(spec: EnvSpec) -> Place:
    """The beginning of the first episode of one seed; its observation is not known."""
    zero = jnp.zeros((), jnp.int32)
    actions = jnp.zeros((spec.horizon, spec.action_size), jnp.float32)
    return Place(zero, zero, actions, jnp.zeros(spec.observation_size, jnp.float32))


class Collector:
    """Environments that are stepped by a policy."""

    def __init__(
        self,
        environments: Sequence[CheckedEnv],
        seeds: Sequence[int],
        spec: EnvSpec,
    ) -> None:
        """One environment a seed, none of them reset."""
        self._environments = environments
        self._seeds = seeds
        self._spec = spec

    def go_to(self, place: Place, log: Callable[[str], None]) -> None:
        """Brings the environments to a place by the actions that led there.

        Where one does not repeat itself, its next episode begins instead, and a line
        says so.
        """
        self._place = Place(*(np.array(leaf) for leaf in place))
        for row in range(len(self._seeds)):
            steps, wanted = int(place.t[row]), np.array(place.observation[row])
            observation, over = self._reset(row), False
            for action in self._place.actions[row, :steps]:
                if not over:
                    observation, _, *ends, _ = self._act(row, action)
                    over = any(ends)
            if over or (steps and not np.array_equal(observation, wanted)):
                log(
                    f"seed {self._seeds[row]}: the environment does not repeat itself, "
                    "so that its episode cannot go on; another begins"
                )
                self._begin_next(row)
            else:
                self._place.observation[row] = observation

    def place(self) -> Place:
        """Where the episodes are now: copies."""
        return Place(*(leaf.copy() for leaf in self._place))

    def collect(
        self, act: Callable[[np.ndarray, int], Array], length: int, step: int
    ) -> Transition:
        """Takes ``length`` steps of each seed, over the ends of episodes.

        An episode that reaches the horizon ends there, which is no terminal.

        Args:
          act: (observations `[S, O]`, step) to actions `[S, A]` in [-1, 1].
          length: steps.
          step: number of the first, for ``act``.

        Returns:
          Leaves `[S, length, ...]`: observations and rewards as the environment gives
          them, and the extra ``episode``.

        Raises:
          FloatingPointError: an action is not finite.
          UserError: the environment failed, or showed what is no number.
        """
        rows, shape = len(self._seeds), (len(self._seeds), length)
        sizes = self._spec.observation_size, self._spec.action_size
        leaves: dict[str, Any] = {
            "observation": np.zeros((*shape, sizes[0]), np.float32),
            "action": np.zeros((*shape, sizes[1]), np.float32),
            "reward": np.zeros(shape, np.float32),
            "next_observation": np.zeros((*shape, sizes[0]), np.float32),
            "terminal": np.zeros(shape, np.float32),
            "extras": {"episode": np.zeros(shape, np.int32)},
        }
        seen = Transition(**leaves)
        for k in range(length):
            actions = np.asarray(act(self._place.observation, step + k))
            if not np.isfinite(actions).all():
                raise FloatingPointError(
                    f"an action is not finite, online step {step + k}"
                )
            for row in range(rows):
                self._step(row, actions[row], seen, (row, k))
        return seen

    def _step(
        self, row: int, action: np.ndarray, seen: Any, at: tuple[int, int]
    ) -> None:
        place, t = self._place, int(self._place.t[row])
        seen.observation[at] = place.observation[row]
        seen.extras["episode"][at] = place.episode[row]
        place.actions[row, t] = seen.action[at] = action
        observation, reward, terminated, truncated, _ = self._act(row, action)
        seen.reward[at], seen.next_observation[at] = reward, observation
        seen.terminal[at] = terminated
        if terminated or truncated or t + 1 == self._spec.horizon:
            self._begin_next(row)
        else:
            place.t[row], place.observation[row] = t + 1, observation

    def _act(self, row: int, action: np.ndarray) -> Any:
        raw = self._spec.action_box.to_raw(action)
        observation, reward, *ends = self._environments[row].step(raw)
        if not (np.isfinite(observation).all() and np.isfinite(np.float32(reward))):
            raise errors.UserError(
                f"environment {self._environments[row].name} gave an observation or a "
                "reward that is not finite in float32; mend it"
            )
        return observation, reward, *ends

    def _begin_next(self, row: int) -> None:
        self._place.episode[row] += 1
        self._place.t[row] = 0
        self._place.actions[row] = 0.0
        self._place.observation[row] = self._reset(row)

    def _reset(self, row: int) -> np.ndarray:
        number = int(self._place.episode[row])
        entropy = (_COLLECTING, self._seeds[row], number)
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        return self._environments[row].reset(seed=seed)[0]


@contextlib.contextmanager
def make_collector(
    task: Task, seeds: Sequence[int], spec: EnvSpec
) -> Iterator[Collector]:
    """Environments for as long as the block lasts, one a seed."""
    environments = [CheckedEnv(task) for _ in seeds]
    try:
        yield Collector(environments, seeds, spec)
    finally:
        for environment in environments:
            environment.close()
