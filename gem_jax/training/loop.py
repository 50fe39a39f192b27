"""The one training loop: phases of scanned chunks, seeds side by side, no files.

One dispatch runs many updates: `lax.scan` over steps inside `vmap` over seeds, the
state donated, minibatches drawn on the device. The key of a step is a function of the
seed and the step alone, so that a run which resumes sees the randomness it would have
seen. Observations are normalized once, before the first phase.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from gem_jax import algorithm as protocol
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.ops import normalize
from gem_jax.training import admission
from gem_jax.types import Array, Metrics, PolicyParams, PRNGKey, Transition
from gem_jax.utils import caching, compilation


class State(NamedTuple):
    """Attributes:
    step: `[]` int32, gradient steps over all phases.
    normalizer: observation statistics.
    algorithm: the algorithm's own state.
    """

    step: Array
    normalizer: normalize.Normalizer
    algorithm: protocol.State


class Chunk(NamedTuple):
    """What one dispatch produced.

    Attributes:
      phase: name of the phase.
      step: updates so far, over all phases.
      phase_step: updates so far in this phase.
      phase_done: whether the phase ends here.
      state: leading axis `S`. The next chunk donates it: copy what must outlive it.
      metrics: of every update, `[S, L]` each, still on the device.
      rest: what else a run needs to go on from here; nothing for most.
    """

    phase: str
    step: int
    phase_step: int
    phase_done: bool
    state: State
    metrics: Metrics
    rest: Any = None


def seed_keys(seeds: Sequence[int]) -> PRNGKey:
    """One independent key a seed, `[S]`."""
    return jax.vmap(jax.random.key)(jnp.asarray(seeds, jnp.int32))


def init(algorithm: Algorithm, keys: PRNGKey) -> State:
    """The states before training, leading axis `S`."""
    return _init_of(algorithm)(keys)


def init_once(algorithm: Algorithm, keys: PRNGKey) -> State:
    """The same states, by a program that is compiled quickly as it runs but once.

    Not amid another trace, nor for shapes alone, which are those of ``init``.
    """
    options = compilation.quickly()
    if options is None:
        return init(algorithm, keys)
    program = _init_of(algorithm).lower(keys).compile(compiler_options=options)
    return cast(State, program(keys))


def _init_of(algorithm: Algorithm) -> Any:
    init_algorithm: Callable[[PRNGKey], protocol.State] = algorithm.init
    return _make_init(init_algorithm, algorithm.spec.observation_size)


@caching.kept
def _make_init(
    init_algorithm: Callable[[PRNGKey], protocol.State], observation_size: int
) -> Callable[[PRNGKey], State]:
    """Whose shapes, when asked for beforehand, are of the same trace."""

    def one_seed(key: PRNGKey) -> State:
        return State(
            step=jnp.zeros((), jnp.int32),
            normalizer=normalize.identity_normalizer(observation_size),
            algorithm=init_algorithm(_named(key).init),
        )

    return jax.jit(jax.vmap(one_seed))


def policy_params(algorithm: Algorithm, state: State) -> PolicyParams:
    """What acting reads of the state of one seed."""
    return PolicyParams(state.normalizer, algorithm.actor_params(state.algorithm))


@jax.jit  # one program, and not one for every shape of a leaf
def select_seed(state: State, index: int) -> State:
    """The state of one seed, without the axis `S`."""
    return jax.tree.map(lambda leaf: leaf[index], state)


def run(
    algorithm: Algorithm,
    keys: PRNGKey,
    dataset: Transition,
    state: State,
    *,
    start_step: int = 0,
    steps_per_dispatch: int | Callable[[], int] = 1000,
) -> Iterator[Chunk]:
    """Trains from ``start_step`` to the end; the iterator yields after every chunk.

    Args:
      algorithm: what to train.
      keys: `[S]`, from ``seed_keys``.
      dataset: leaves `[D, ...]`, shared by the seeds; numbers of any type, which become
        float32, or int32 where they are whole numbers among the extras.
      state: leading axis `S`; donated.
      start_step: updates already in ``state``.
      steps_per_dispatch: gradient steps; fewer before a refresh and at a phase's end.
        A function is asked before each; another number compiles anew and changes no
        state.

    Raises:
      UserError: at once, where leaves disagree in length or shape, are no numbers, or
        are not finite; names the field.
    """
    dataset = admission.admit(dataset)
    return _run_phases(algorithm, keys, dataset, state, start_step, steps_per_dispatch)


def normalized(
    dataset: Transition, *, enabled: bool = True
) -> tuple[Transition, normalize.Normalizer]:
    """The dataset as algorithms see it, and the statistics behind that.

    Without ``enabled`` observations stay as they are.
    """
    fitted = normalize.identity_normalizer(dataset.observation.shape[1])
    if enabled:
        fitted = jax.jit(normalize.fit_normalizer)(dataset.observation)
    apply = jax.jit(normalize.Normalizer.__call__)
    seen = dataset._replace(
        observation=apply(fitted, dataset.observation),
        next_observation=apply(fitted, dataset.next_observation),
    )
    return seen, fitted


def _run_phases(
    algorithm: Algorithm,
    keys: PRNGKey,
    dataset: Transition,
    state: State,
    start_step: int,
    steps_per_dispatch: int | Callable[[], int],
) -> Iterator[Chunk]:
    enabled = algorithm.normalize_observations
    dataset, fitted = normalized(dataset, enabled=enabled)
    state = state._replace(normalizer=_repeated(fitted, keys.shape[0]))
    phase_start = 0
    for phase in algorithm.phases:
        if start_step < phase_start + phase.num_steps:
            done = max(start_step - phase_start, 0)
            state = yield from _run_phase(
                phase, phase_start, done, keys, dataset, state, steps_per_dispatch
            )
        phase_start += phase.num_steps


def chunk_length(phase: Phase, done: int, size: int, line: int | None = None) -> int:
    """Updates of the chunk that follows ``done`` ones of a phase, ``size`` at most.

    Chunks begin anew at every refresh, and after each ``line`` updates since.
    """
    refresh_every = phase.refresh_every if phase.refresh else phase.num_steps
    since_refresh = done % refresh_every
    line = line or refresh_every
    since_line = since_refresh % line
    # A resumed run first returns to the grid, so that its chunks are those of a run
    # that was never interrupted.
    return min(
        size - since_line % size,
        line - since_line,
        refresh_every - since_refresh,
        phase.num_steps - done,
    )


def _repeated(tree: Any, count: int) -> Any:
    """A copy for every seed, leading axis `S`."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf[None], count, axis=0), tree)


@caching.kept
def make_chunk(phase: Phase, phase_start: int) -> Callable[..., tuple[State, Metrics]]:
    """The jitted ``(state, keys, dataset, extras, length) -> (state, metrics)``.

    State, keys, extras and metrics carry the seed axis; the dataset is shared. The
    phase begins after ``phase_start`` updates.
    """

    def one_seed(
        state: State,
        key: PRNGKey,
        dataset: Transition,
        extras: Mapping[str, Array],
        length: int,
    ) -> tuple[State, Metrics]:
        loop_key = _named(key).loop
        dataset = dataset._replace(extras={**dataset.extras, **extras})

        def keys_of(step: Array) -> PRNGKey:
            return jax.random.split(jax.random.fold_in(loop_key, step))

        def step(state: State, keys: PRNGKey) -> tuple[State, Metrics]:
            sample_key, update_key = keys
            done = state.step - phase_start
            batch = phase.sample(sample_key, dataset, phase.batch_size, done)
            new, metrics = phase.update(state.algorithm, update_key, batch, done)
            return state._replace(step=_next(state.step), algorithm=new), metrics

        # All keys of the chunk at once: fewer small operations in a step.
        keys = jax.vmap(keys_of)(state.step + jnp.arange(length, dtype=jnp.int32))
        return jax.lax.scan(step, state, keys)

    return over_seeds(one_seed, shared=(2,), donate=(0,), static=("length",))


def over_seeds(
    one_seed: Callable[..., Any],
    *,
    shared: tuple[int, ...],
    donate: tuple[int, ...],
    static: tuple[str, ...] = (),
) -> Callable[..., Any]:
    """A function of one seed for all of them, jitted.

    Args:
      one_seed: to a pytree of arrays; its result for all gets a leading axis `S`.
      shared: places of the arguments that are the same for all, which have no such
        axis.
      donate: places of those that are not needed afterwards.
      static: names of its static arguments, which are given by name.
    """

    def all_seeds(*arguments: Any, **chosen: Any) -> Any:
        run_one = functools.partial(one_seed, **chosen)
        axes = tuple(None if i in shared else 0 for i in range(len(arguments)))
        own = [argument for argument, axis in zip(arguments, axes) if axis == 0]
        if jax.tree.leaves(own)[0].shape[0] > 1:
            return jax.vmap(run_one, in_axes=axes)(*arguments)
        # A batch of one makes every matrix product slower.
        one = [
            argument if axis is None else jax.tree.map(lambda leaf: leaf[0], argument)
            for argument, axis in zip(arguments, axes)
        ]
        return jax.tree.map(lambda leaf: leaf[None], run_one(*one))

    return jax.jit(all_seeds, static_argnames=static, donate_argnums=donate)


def _next(step: Array) -> Array:
    """The counter after one step, of the same type."""
    return step + jnp.ones((), step.dtype)


@caching.kept
def make_refresh(
    phase: Phase, phase_start: int
) -> Callable[[State, PRNGKey, Transition], State]:
    """The jitted ``phase.refresh`` of every seed; the state is donated."""
    refresh = phase.refresh
    assert refresh is not None

    def one_seed(state: State, key: PRNGKey, dataset: Transition) -> State:
        step_key = jax.random.fold_in(_named(key).loop, state.step)
        # The third child of the key whose first two the step itself consumes.
        refresh_key = jax.random.split(step_key, 3)[2]
        done = state.step - phase_start
        return state._replace(
            algorithm=refresh(state.algorithm, refresh_key, dataset, done)
        )

    def all_seeds(state: State, keys: PRNGKey, dataset: Transition) -> State:
        # One seed after the other: a pass over the data fills the cores by itself, and
        # needs its memory once.
        return jax.lax.map(lambda row: one_seed(row[0], row[1], dataset), (state, keys))

    return jax.jit(all_seeds, donate_argnums=0)


def _run_phase(
    phase: Phase,
    phase_start: int,
    done: int,
    keys: PRNGKey,
    dataset: Transition,
    state: State,
    steps_per_dispatch: int | Callable[[], int],
) -> Generator[Chunk, None, State]:
    """One phase from its ``done``-th update on; returns the state at its end."""

    state, prepared, extras = prepare(phase, state, keys, dataset)
    run_chunk = make_chunk(phase, phase_start)
    run_refresh = make_refresh(phase, phase_start) if phase.refresh else None
    while done < phase.num_steps:
        if run_refresh and done % phase.refresh_every == 0:
            state = run_refresh(state, keys, dataset)
        asked = steps_per_dispatch
        size = asked() if callable(asked) else asked
        length = chunk_length(phase, done, size)
        state, metrics = run_chunk(state, keys, prepared, extras, length=length)
        done += length
        yield Chunk(
            phase=phase.name,
            step=phase_start + done,
            phase_step=done,
            phase_done=done == phase.num_steps,
            state=state,
            metrics=metrics,
        )
    return state


def prepare(
    phase: Phase, state: State, keys: PRNGKey, dataset: Transition
) -> tuple[State, Transition, Mapping[str, Array]]:
    """What a phase does before its first update, for every seed.

    Returns:
      The states; the dataset with those extras that are the same for all seeds, which
      are kept once; and the others, leading axis `S`.
    """
    state, own, shared = _make_prepare(phase)(state, keys, dataset)
    return state, dataset._replace(extras={**dataset.extras, **shared}), own


@caching.kept
def _make_prepare(phase: Phase) -> Callable[..., tuple[State, Any, Any]]:
    """The jitted ``phase.prepare``, with extras of each seed and of all."""

    def one_seed(
        state: State, key: PRNGKey, dataset: Transition
    ) -> tuple[State, Mapping[str, Array]]:
        new, extras = phase.prepare(state.algorithm, _named(key).prepare, dataset)
        return state._replace(algorithm=new), extras

    def all_seeds(
        state: State, keys: PRNGKey, dataset: Transition
    ) -> tuple[State, Mapping[str, Array], Mapping[str, Array]]:
        def extra(name: str, state: State, key: PRNGKey) -> Array:
            return one_seed(state, key, dataset)[1][name]

        def is_shared(name: str) -> bool:
            one = jax.vmap(functools.partial(extra, name), out_axes=None)
            try:
                jax.eval_shape(one, state, keys)
            except ValueError:  # it has the axis of the seeds
                return False
            return True

        def split(state: State, key: PRNGKey) -> tuple[State, Any, Any]:
            new, extras = one_seed(state, key, dataset)
            own = {n: extras[n] for n in extras if n not in shared}
            return new, own, {n: extras[n] for n in shared}

        one_of_each = jax.vmap(one_seed, (0, 0, None))
        _, names = jax.eval_shape(one_of_each, state, keys, dataset)
        shared = [name for name in names if is_shared(name)]
        return jax.vmap(split, out_axes=(0, 0, None))(state, keys)

    return jax.jit(all_seeds)


class _Keys(NamedTuple):
    init: PRNGKey
    prepare: PRNGKey
    loop: PRNGKey


def _named(key: PRNGKey) -> _Keys:
    """The children of a seed's key, one for each use."""
    return _Keys(*jax.random.split(key, 3))
