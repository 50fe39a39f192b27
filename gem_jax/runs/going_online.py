"""The stage that follows the data: training goes on in the environment.

Its folder, ``online`` inside that of the run, is a run folder like any other, so that
``gem_jax.load`` and the commands take it. Steps count on from those of the data.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from gem_jax import algorithms, data, errors
from gem_jax.algorithm import Algorithm
from gem_jax.data.options import TOLD_BY_REWARDS
from gem_jax.runs import candidate_memory, fitting, run_record
from gem_jax.training import checkpoint, collecting, loop, online, rundir
from gem_jax.types import EnvSpec, Transition

FOLDER = "online"
BLOCK = 20  # environment steps by one policy


def require(run: run_record.Run, algorithm: Algorithm) -> None:
    """Refuses to go online where that cannot be, before anything is trained.

    Raises:
      UserError: the algorithm learns from data alone; the task has no environment;
        targets span several steps; the folder to come holds another run; or the
        transitions to come would not fit in memory.
    """
    if run.online is None:
        return
    if algorithm.online is None:
        raise errors.UserError(
            f"{run.algo} learns from recorded data only, so that --online_steps is not "
            f"for it; {', '.join(able(algorithm.spec))} go on in the environment"
        )
    if run.task.env_id is None:
        raise errors.UserError(
            f"{run.task.name} names no environment to go on in; give env_id in its "
            "task file, or leave out --online_steps"
        )
    if run.data.n_step not in (1, TOLD_BY_REWARDS):
        raise errors.UserError(
            f"--n_step={run.data.n_step} is not for --online_steps, whose targets take "
            "single transitions; give 1, or 0 for those of the data alone"
        )
    block = block_size(run.workdir / FOLDER, run.schedule.log_every)
    settings = online.Settings(run.online.num_steps, run.online.share, block)
    count = len(run.seeds)
    like = jax.eval_shape(lambda: online.init(algorithm, settings, count))
    _require_memory(like, run.online.num_steps)


def able(spec: EnvSpec) -> list[str]:
    """Names of the algorithms that can go online."""
    configs = {name: algorithms.tiny_config(name) for name in algorithms.names()}
    made = {n: algorithms.make(n, config, spec) for n, config in configs.items()}
    return [name for name, algorithm in made.items() if algorithm.online]


def make_stage(
    run: run_record.Run,
    algorithm: Algorithm,
    record: dict[str, Any],
    transitions: Transition,
    provenance: data.Provenance,
    log: Callable[[str], None],
) -> fitting.Stage:
    """The stage after a run that is complete.

    Args:
      run: with ``online`` options.
      algorithm: bound to its settings.
      record: content of the run's config.json.
      transitions: as recorded; targets span one of them here.
      provenance: whose rewards the environment's are made like.
      log: takes one line.
    """
    options, rewards = run.online, provenance.rewards
    assert options is not None and rewards is not None
    extended = online.with_phase(algorithm, options.num_steps)
    folder, line = run.workdir / FOLDER, run.schedule.log_every
    block = block_size(folder, line)
    settings = online.Settings(
        num_steps=options.num_steps,
        share=options.share,
        block=block,
        scale=rewards.scale,
        shift=rewards.shift,
        line=line,
    )

    def rest(saved: checkpoint.Meta) -> online.Progress:
        then = settings._replace(num_steps=saved["online"]["num_steps"])
        return jax.eval_shape(lambda: online.init(algorithm, then, len(run.seeds)))

    own = dataclasses.asdict(options)
    identity = {**record["identity"], "online": own}
    return fitting.Stage(
        dataclasses.replace(run, workdir=folder, data=run.data.override(n_step=1)),
        extended,
        {**record, "online": {**own, "block": block}, "identity": identity},
        functools.partial(_begin, run, algorithm, record["identity"], settings),
        functools.partial(_chunks, run, extended, transitions, settings, log),
        block,
        rest,
        verb="going online",
    )


def _begin(
    run: run_record.Run,
    algorithm: Algorithm,
    identity: Mapping[str, Any],
    settings: online.Settings,
) -> checkpoint.Restored:
    """What the data have led to, and nothing new yet."""
    keys = loop.seed_keys(run.seeds)
    like = jax.eval_shape(lambda: loop.init(algorithm, keys))
    with checkpoint.open_store(run.workdir, identity, read_only=True) as store:
        last = checkpoint.restore(store, like, algorithm.num_steps)
    assert last is not None  # the stage before is complete
    progress = online.init(algorithm, settings, len(run.seeds))
    return checkpoint.Restored(last.step, last.state, progress)


def _chunks(
    run: run_record.Run,
    algorithm: Algorithm,
    transitions: Transition,
    settings: online.Settings,
    log: Callable[[str], None],
    restored: checkpoint.Restored,
    size: Callable[[], int],
) -> Iterator[loop.Chunk]:
    """Trains on, in environments that are as they were."""
    del size  # blocks are what they are, so that interruptions change nothing
    keys = loop.seed_keys(run.seeds)
    with collecting.make_collector(run.task, run.seeds, algorithm.spec) as collector:
        collector.go_to(restored.rest.place, log)
        state, rest = restored.state, restored.rest
        rest = online.make_room(algorithm, settings, rest)
        yield from online.run(
            algorithm, keys, transitions, state, rest, collector, settings
        )


def block_size(folder: pathlib.Path, log_every: int) -> int:
    """Environment steps between updates: those that the folder has begun with.

    Raises:
      UserError: it holds a run that has not gone online.
    """
    if not (folder / rundir.CONFIG).exists():
        return BLOCK
    begun = rundir.read_json(folder / rundir.CONFIG).get("online")
    if begun is None:
        raise errors.UserError(
            f"{folder} holds a run on data alone, where this one would go on online; "
            "move it away or give another --workdir"
        )
    if "block" in begun:
        return begun["block"]
    # Earlier versions left it unsaid: a divisor of both numbers.
    common = math.gcd(begun["num_steps"], log_every)
    return max(n for n in range(1, BLOCK + 1) if common % n == 0)


def _require_memory(like: online.Progress, num_steps: int) -> None:
    needed = sum(
        math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(like)
    )
    free = candidate_memory.free_bytes()
    if 2 * needed > free:  # a save holds them twice
        raise errors.UserError(
            f"{num_steps:,} online steps take about {2 * needed / 1e9:.1f} GB and "
            f"{free / 1e9:.1f} are free; lower --online_steps or --num_seeds"
        )
