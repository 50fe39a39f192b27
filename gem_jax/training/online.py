"""Training that goes on in the environment, in blocks of steps and as many updates.

For a block the policy stays as it is: one environment a seed is stepped with it, then
the new transitions join the others and as many updates follow in one dispatch, each on
a batch of recorded and of new transitions. A transition joins once the next one is
known, which some updates need.

What an interrupted run needs beside its state is small but for the new transitions: an
environment is brought back to where it was by the actions of the running episode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import flashbax
import jax
import jax.numpy as jnp

from gem_jax import algorithm as protocol
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.training import admission, collecting, loop
from gem_jax.types import Array, EnvSpec, PRNGKey, Transition
from gem_jax.utils import caching

PHASE = "online"
_ONLINE = 0x6F6E6C69  # sets its keys apart from those of the other phases


class Settings(NamedTuple):
    """Attributes:
    num_steps: environment steps of each seed, and updates.
    share: of a batch that is new, above 0 and up to 1.
    block: environment steps between updates; fewer before a line and at the end.
    scale: of the rewards, as training saw the recorded ones.
    shift: added to them.
    line: updates a line of metrics, which ends with a block; ``None`` for no lines.
    """

    num_steps: int
    share: float
    block: int
    scale: float = 1.0
    shift: float = 0.0
    line: int | None = None


class Progress(NamedTuple):
    """What a run needs to go on, beside the state; leading axis `S`.

    Attributes:
      replay: the new transitions, as updates see them.
      last: one more, as the environment gave it.
      place: of the running episodes.
    """

    replay: Any
    last: Transition
    place: collecting.Place


def with_phase(algorithm: Algorithm, num_steps: int) -> Algorithm:
    """The algorithm with its training online as one more phase, of that many steps."""
    assert algorithm.online is not None
    phase = algorithm.online.phase._replace(name=PHASE, num_steps=num_steps)
    return algorithm._replace(phases=(*algorithm.phases, phase))


def init(algorithm: Algorithm, settings: Settings, num_seeds: int) -> Progress:
    """Before the first step; all zeros."""
    assert algorithm.online is not None
    phase, spec = algorithm.online.phase, algorithm.spec
    algorithm_init: Callable[[PRNGKey], protocol.State] = algorithm.init

    @jax.jit  # one program, and not one for every shape of a leaf
    def zeros() -> Progress:
        last = _nothing(spec, ())
        key = jax.random.key(0)
        two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), last)
        state = jax.eval_shape(algorithm_init, key)
        # The extras of a row, by their shapes alone.
        more = jax.eval_shape(phase.prepare, state, key, two)[1]
        zero = {n: jnp.zeros(leaf.shape[1:], leaf.dtype) for n, leaf in more.items()}
        row = last._replace(extras={**last.extras, **zero})
        replay = _make_replay(phase, settings).init(row)
        one = Progress(replay, last, collecting.nowhere(spec))
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * num_seeds), one)

    return zeros()


def make_room(algorithm: Algorithm, settings: Settings, progress: Progress) -> Progress:
    """The progress with room for all steps, if it was made for fewer of them."""
    assert algorithm.online is not None
    old = progress.replay
    rows = jax.tree.leaves(old.experience)[0].shape[2]  # of [S, 1, rows, ...]
    if rows == _room(algorithm.online.phase, settings):
        return progress
    new = init(algorithm, settings, old.is_full.shape[0]).replay
    replay = new.replace(
        experience=jax.tree.map(
            lambda empty, leaf: empty.at[:, :, :rows].set(leaf),
            *(new.experience, old.experience),
        ),
        # One that is full would write over its first rows next.
        current_index=jnp.where(old.is_full, rows, old.current_index),
    )
    return progress._replace(replay=replay)


def run(
    algorithm: Algorithm,
    keys: PRNGKey,
    dataset: Transition,
    state: loop.State,
    progress: Progress,
    collector: collecting.Collector,
    settings: Settings,
) -> Iterator[loop.Chunk]:
    """Trains from the state's step to the end; the iterator yields after every block.

    Args:
      algorithm: from ``with_phase``.
      keys: `[S]`, from ``loop.seed_keys``.
      dataset: the recorded transitions, as for ``loop.run``.
      state: leading axis `S`, its normalizer fitted; donated.
      progress: from ``init``, or that of the last chunk; donated.
      collector: environments, brought to ``progress.place``.
      settings: of training online.
    """
    phase = algorithm.phases[-1]
    start = algorithm.num_steps - phase.num_steps
    dataset = admission.admit(dataset)  # on the device, for all blocks
    dataset, _ = loop.normalized(dataset, enabled=algorithm.normalize_observations)
    state, dataset, extras = loop.prepare(phase, state, keys, dataset)
    online, actor_params = algorithm.online, algorithm.actor_params
    assert online is not None
    explore_one: Callable[..., Array] = online.explore
    explore = _make_explore(explore_one, actor_params)
    learn = _make_learn(phase, start, settings)
    done = int(state.step[0]) - start
    replay, last = progress.replay, progress.last
    if done == 0:
        act = functools.partial(explore, state, keys)
        last = _only(collector.collect(act, 1, 0))
    while done < settings.num_steps:
        act = functools.partial(explore, state, keys)
        length = loop.chunk_length(phase, done, settings.block, settings.line)
        block = collector.collect(act, length, done + 1)
        state, replay, last, metrics = learn(
            state, keys, replay, last, block, dataset, extras
        )
        done += length
        yield loop.Chunk(
            phase=phase.name,
            step=start + done,
            phase_step=done,
            phase_done=done == settings.num_steps,
            state=state,
            metrics=metrics,
            rest=Progress(replay, last, collector.place()),
        )


def _nothing(spec: EnvSpec, shape: tuple[int, ...]) -> Transition:
    observation = jnp.zeros((*shape, spec.observation_size), jnp.float32)
    return Transition(
        observation=observation,
        action=jnp.zeros((*shape, spec.action_size), jnp.float32),
        reward=jnp.zeros(shape, jnp.float32),
        next_observation=observation,
        terminal=jnp.zeros(shape, jnp.float32),
        extras={"episode": jnp.zeros(shape, jnp.int32)},
    )


def _only(block: Transition) -> Transition:
    """The last transition of each seed: leaves `[S, L, ...]` to `[S, ...]`."""
    return jax.tree.map(lambda leaf: leaf[:, -1], block)


def _online_keys(key: PRNGKey) -> tuple[PRNGKey, PRNGKey]:
    """Of acting and of updates."""
    both = jax.random.split(jax.random.fold_in(key, _ONLINE))
    return both[0], both[1]


@caching.kept
def _make_explore(
    explore_one: Callable[..., Array], actor_params: Callable[..., Any]
) -> Callable[..., Array]:
    """The jitted ``(state, keys, observations [S, O], step) -> actions [S, A]``."""

    def one_seed(
        state: loop.State, key: PRNGKey, observation: Array, step: Array
    ) -> Array:
        key = jax.random.fold_in(_online_keys(key)[0], step)
        params = actor_params(state.algorithm)
        return explore_one(params, key, state.normalizer(observation))

    return jax.jit(jax.vmap(one_seed, in_axes=(0, 0, 0, None)))


def _new_rows(phase: Phase, settings: Settings) -> int:
    """How many of a batch are new transitions: at least one."""
    return min(max(round(settings.share * phase.batch_size), 1), phase.batch_size)


def _room(phase: Phase, settings: Settings) -> int:
    """How many transitions there is room for; no fewer than are drawn at a time."""
    return max(settings.num_steps, _new_rows(phase, settings))


def _make_replay(phase: Phase, settings: Settings) -> Any:
    """Keeps every new transition and draws some with replacement."""
    return flashbax.make_item_buffer(
        max_length=_room(phase, settings),
        min_length=1,
        sample_batch_size=_new_rows(phase, settings),
        add_sequences=True,
    )


@caching.kept
def _make_learn(phase: Phase, start: int, settings: Settings) -> Callable[..., Any]:
    """The jitted block of updates, over seeds; state and replay are donated."""
    replays = _make_replay(phase, settings)
    num_recorded = phase.batch_size - _new_rows(phase, settings)

    def take_in(
        state: loop.State, key: PRNGKey, last: Transition, block: Transition
    ) -> Transition:
        """As updates see them, all but the last one of the block."""
        rows = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), last, block)
        rows = rows._replace(
            observation=state.normalizer(rows.observation),
            next_observation=state.normalizer(rows.next_observation),
            reward=settings.scale * rows.reward + settings.shift,
        )
        _, more = phase.prepare(state.algorithm, key, rows)
        rows = rows._replace(extras={**rows.extras, **more})
        return jax.tree.map(lambda leaf: leaf[:-1], rows)

    def one_seed(
        state: loop.State,
        key: PRNGKey,
        replay: Any,
        last: Transition,
        block: Transition,
        dataset: Transition,
        extras: Mapping[str, Array],
    ) -> tuple[loop.State, Any, Transition, protocol.Metrics]:
        key = _online_keys(key)[1]
        recorded = dataset._replace(extras={**dataset.extras, **extras})
        replay = replays.add(replay, take_in(state, key, last, block))

        def step(state: loop.State, key: PRNGKey) -> tuple[loop.State, Any]:
            recorded_key, new_key, update_key = jax.random.split(key, 3)
            done = state.step - start
            with jax.numpy_rank_promotion("allow"):  # the library relies on it
                batch = replays.sample(replay, new_key).experience
            if num_recorded:
                others = phase.sample(recorded_key, recorded, num_recorded, done)
                batch = jax.tree.map(
                    lambda a, b: jnp.concatenate([a, b]), others, batch
                )
            new, metrics = phase.update(state.algorithm, update_key, batch, done)
            return state._replace(step=state.step + 1, algorithm=new), metrics

        steps = state.step + jnp.arange(block.reward.shape[0], dtype=jnp.int32)
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, steps)
        state, metrics = jax.lax.scan(step, state, keys)
        return state, replay, jax.tree.map(lambda leaf: leaf[-1], block), metrics

    return loop.over_seeds(one_seed, shared=(5,), donate=(0, 2))
