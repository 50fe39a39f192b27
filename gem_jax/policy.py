"""Loading a trained run as a policy, without its dataset or its environment."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gem_jax import acting, errors, run_settings
from gem_jax.algorithm import Algorithm, Memory
from gem_jax.training import admission, checkpoint, loop, rundir
from gem_jax.types import ActOutput, Array, EnvSpec, PolicyParams, PRNGKey
from gem_jax.utils import caching


@dataclasses.dataclass(frozen=True)
class Policy:
    """A trained policy.

    Attributes:
      algorithm: the bundle of pure functions, for use in other JAX code.
      batched: ``acting.make_step`` over rows from one key, jitted; knobs are arguments,
        so that other numbers in them do not recompile.
      params: weights and observation statistics.
      knobs: the run's knobs; ``with_knobs`` gives a policy with others.
      step: gradient steps behind the weights.
    """

    algorithm: Algorithm = dataclasses.field(repr=False)
    batched: jax.stages.Wrapped = dataclasses.field(repr=False)
    params: PolicyParams = dataclasses.field(repr=False)
    knobs: Any
    step: int

    @property
    def spec(self) -> EnvSpec:
        """Sizes of the environment, and the bounds of its actions."""
        return self.algorithm.spec

    def act(
        self, key: PRNGKey, observation: ArrayLike, t: ArrayLike | None = None
    ) -> ActOutput:
        """Chooses actions; pure, so it may be part of a jitted function.

        Args:
          key: row i uses ``fold_in(key, i)``, so that its action does not depend on
            the other rows.
          observation: `[B, O]` as the environment gives it; an array or lists of any
            number type, taken as float32. B may be 0.
          t: `[B]` steps inside the episode; ``None`` is the first step.

        Returns:
          ActOutput with action `[B, A]`, in the environment's units and within its
          bounds, and audits `[B]`. Two of them are 1 for a row that failed, whose
          action is then the middle of the bounds, 0 in [-1, 1], and whose other audits
          mean nothing: ``bad_observation`` where the observation is not finite,
          ``bad_action`` where it is, and the action came out not to be.

        Raises:
          UserError: the shapes are not those of the policy, these are no numbers, or
            the policy acts by memory, which ``take_step`` keeps.
        """
        if self.algorithm.observe is not None:
            raise errors.UserError(
                "this policy remembers its episode: use init_memory and take_step"
            )
        seen = acting.Seen(*self._states(observation, t))
        return self.batched(self.params, key, (), seen, self.knobs)[0]

    def init_memory(self, batch_size: int) -> Memory:
        """What ``batch_size`` episodes begin with, leaves `[B, ...]`."""
        one = acting.init_memory(self.algorithm, self.params, self.knobs)
        return jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (batch_size, *jnp.shape(leaf))), one
        )

    def take_step(
        self,
        key: PRNGKey,
        memory: Memory,
        observation: ArrayLike,
        t: ArrayLike | None = None,
        *,
        last_action: ArrayLike | None = None,
        last_reward: ArrayLike | None = None,
    ) -> tuple[ActOutput, Memory]:
        """Chooses the next actions of running episodes; serves policies of any kind.

        Args:
          key: as for ``act``.
          memory: from ``init_memory`` at the first step, then from the step before.
          observation: `[B, O]`, as for ``act``.
          t: `[B]`, as for ``act``.
          last_action: `[B, A]` what was executed, in the environment's units; ``None``
            at the first step.
          last_reward: `[B]` what the environment gave for it; the same.

        Returns:
          What ``act`` returns, and the memory.

        Raises:
          UserError: shapes, or the memory, are not those of the policy and of `B`, or
            these are no numbers.
        """
        states, steps = self._states(observation, t)
        size = states.shape[0]
        self._check_memory(memory, size)
        middle, shape = self.spec.action_box.center, (size, self.spec.action_size)
        actions = _shaped("last_action", last_action, shape, middle)
        rewards = _shaped("last_reward", last_reward, (size,))
        seen = acting.Seen(states, steps, actions, rewards)
        return self.batched(self.params, key, memory, seen, self.knobs)

    def _check_memory(self, memory: Memory, size: int) -> None:
        wanted = jax.eval_shape(lambda: self.init_memory(size))
        shapes = jax.tree.map(jnp.shape, memory)
        if shapes != jax.tree.map(jnp.shape, wanted):
            raise errors.UserError(
                f"memory is not that of {size} episode(s) of this policy; take it from "
                "init_memory at the first step, then from the step before"
            )

    def _states(
        self, observation: ArrayLike, t: ArrayLike | None
    ) -> tuple[Array, Array]:
        states: Array = _float32("observation", observation)
        shape, size = states.shape, self.spec.observation_size
        if len(shape) != 2 or shape[1] != size:
            one = "; one state is observation[None]" if len(shape) == 1 else ""
            raise errors.UserError(f"observation must be [B, {size}], got {shape}{one}")
        return states, _shaped("t", t, shape[:1])

    @functools.cached_property  # traces a step
    def diagnostics(self) -> tuple[str, ...]:
        """Names of what the algorithm reports of every action, as in ``eval.jsonl``."""
        spec, step = self.spec, acting.make_step(self.algorithm)
        last = jnp.zeros(spec.action_size), jnp.zeros(())
        seen = acting.Seen(jnp.zeros(spec.observation_size), jnp.zeros(()), *last)
        memory = acting.init_memory(self.algorithm, self.params, self.knobs)
        arguments = self.params, jax.random.key(0), memory, seen, self.knobs
        return tuple(sorted(jax.eval_shape(step, *arguments)[0].audit))

    def with_knobs(self, **changes: Any) -> Policy:
        """The same weights with other knobs.

        Raises:
          UserError: the algorithm has no such knob.
        """
        return dataclasses.replace(self, knobs=change_knobs(self.knobs, changes))


def change_knobs(knobs: Any, changes: dict[str, Any]) -> Any:
    """Replaces fields of an algorithm's knobs.

    Raises:
      UserError: a name is not a knob of the algorithm, or a value is out of range.
    """
    if not changes:
        return knobs
    known = (
        {field.name for field in dataclasses.fields(knobs)}
        if dataclasses.is_dataclass(knobs)
        else set()
    )
    unknown = sorted(set(changes) - known)
    if unknown:
        raise errors.UserError(
            f"this algorithm has no knob {unknown[0]}; it has "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    changed = dataclasses.replace(knobs, **changes)
    try:
        changed.validate()
    except (TypeError, ValueError) as error:
        raise errors.UserError(str(error)) from None
    return changed


def load(
    workdir: os.PathLike[str] | str, step: int | None = None, seed: int = 0
) -> Policy:
    """Loads a run.

    Args:
      workdir: the run folder.
      step: a checkpoint's step; the newest good one when ``None``.
      seed: which of the run's seeds, counted from 0.

    Raises:
      UserError: there is no such run, checkpoint or seed, or it is damaged.
    """
    return load_seeds(workdir, step, [seed])[0]


def load_seeds(
    workdir: os.PathLike[str] | str,
    step: int | None = None,
    seeds: Sequence[int] | None = None,
) -> tuple[Policy, ...]:
    """Loads several seeds of a run, of one step; they share compiled programs.

    Args:
      workdir: the run folder.
      step: a checkpoint's step; the newest good one when ``None``.
      seeds: which of the run's, counted from 0, at least one; all when ``None``.

    Raises:
      UserError: as ``load``.
    """
    workdir = pathlib.Path(workdir).expanduser()
    run = rundir.require_format(rundir.read_json(workdir / rundir.CONFIG))
    algorithm, _ = run_settings.rebuild(run)
    count = len(run["seeds"])
    seeds = range(count) if seeds is None else seeds
    for seed in seeds:
        if not 0 <= seed < count:
            raise errors.UserError(
                f"{workdir} holds {count} seed(s); seed={seed} is not one"
            )
    keys = loop.seed_keys(run["seeds"])
    like = jax.eval_shape(lambda: loop.init(algorithm, keys))
    with checkpoint.open_store(workdir, run["identity"], read_only=True) as store:
        restored = checkpoint.restore(store, like, step)
    if restored is None:
        raise errors.UserError(f"{workdir} has no checkpoint yet; train first")
    params = [
        loop.policy_params(algorithm, loop.select_seed(restored.state, seed))
        for seed in seeds
    ]
    first = bind(algorithm, params[0], restored.step)
    return tuple(dataclasses.replace(first, params=own) for own in params)


def bind(algorithm: Algorithm, params: PolicyParams, step: int = 0) -> Policy:
    """A policy from its parts, with the algorithm's own knobs.

    Args:
      algorithm: bound to its settings.
      params: from ``loop.policy_params``.
      step: gradient steps behind them, for the record.
    """
    batched = _make_batched(algorithm._replace(knobs=()))  # they are arguments
    return Policy(algorithm, batched, params, algorithm.knobs, step)


@caching.kept
def _make_batched(algorithm: Algorithm) -> jax.stages.Wrapped:
    """Acting over rows, jitted."""
    take_step = acting.make_step(algorithm)

    @jax.jit  # the keys too: outside they would cost more than a small network
    def batched(
        params: PolicyParams,
        key: PRNGKey,
        memory: Memory,
        seen: acting.Seen,
        knobs: Any,
    ) -> tuple[ActOutput, Memory]:
        count = seen.observation.shape[0]
        numbers = jnp.arange(count, dtype=jnp.uint32)
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)
        size = acting.rows_at_a_time(knobs, max(count, 1))
        shared = acting.share_chunk(knobs, size)

        def one(row: tuple[PRNGKey, Memory, acting.Seen]) -> tuple[ActOutput, Memory]:
            row_key, mine, shown = row
            return take_step(params, row_key, mine, shown, shared)

        before = memory
        output, memory = acting.map_rows(one, (keys, memory, seen), size)
        good = jnp.all(jnp.isfinite(seen.observation), axis=-1)
        # What a bad observation led to is not remembered.
        memory = jax.tree.map(
            lambda new, old: _where_rows(good, new, old), memory, before
        )
        middle = algorithm.spec.action_box.center
        return _flag_bad_rows(seen.observation, output, middle), memory

    return batched


def _where_rows(rows: Array, new: Array, old: Array) -> Array:
    """``new`` in the rows `[B]` that are true, of leaves `[B, ...]`."""
    return jnp.where(rows.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _flag_bad_rows(observation: Array, output: ActOutput, middle: Any) -> ActOutput:
    """The middle of the box for actions where the numbers failed."""
    seen = jnp.all(jnp.isfinite(observation), axis=-1)
    good = seen & jnp.all(jnp.isfinite(output.action), axis=-1)
    # Finite too, for whoever averages or writes them.
    audit = {k: jnp.where(jnp.isfinite(v), v, 0.0) for k, v in output.audit.items()}
    audit["bad_observation"] = (~seen).astype(jnp.float32)
    audit["bad_action"] = (seen & ~good).astype(jnp.float32)
    middle = jnp.broadcast_to(middle, output.action.shape)
    return ActOutput(jnp.where(good[:, None], output.action, middle), audit)


def _float32(name: str, values: ArrayLike) -> Any:
    """The values as an array: of JAX if they are that or traced, else of NumPy."""
    array: Any = values
    if not isinstance(values, jax.Array):
        try:
            array = np.asarray(values)
        except jax.errors.TracerArrayConversionError:  # traced numbers in a list
            array = jnp.asarray(values)
        except (TypeError, ValueError) as error:
            raise errors.UserError(
                f"{name} must be an array of numbers ({error})"
            ) from None
    if not admission.is_real(array.dtype):
        raise errors.UserError(
            f"{name} must be an array of real numbers, got {array.dtype}"
        )
    with np.errstate(over="ignore"):  # becomes infinite, and is flagged
        return array.astype(jnp.float32)


def _shaped(
    name: str, values: ArrayLike | None, shape: tuple[int, ...], default: Any = 0.0
) -> Array:
    """The values as float32, a default where there are none."""
    given = np.broadcast_to(default, shape) if values is None else values
    array: Array = _float32(name, given)
    if array.shape != shape:
        raise errors.UserError(f"{name} must be {list(shape)}, got {array.shape}")
    return array
