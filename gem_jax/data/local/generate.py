"""Makes local datasets: one driver for every recipe, on all cores, built once.

The work is cut into shards whose number and seeds depend on what is asked for and
not on the machine, so the bytes of the result do not depend on the number of cores.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import importlib
import json
import multiprocessing
import os
import pathlib
import shutil
import signal
import sys
import threading
import types
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, files, minari, tasks
from gem_jax.data.local import writer
from gem_jax.utils import locks, progress

# These fix the bytes of every recipe's sets: to change one is to raise all versions.
_MAX_SHARDS = 40
_SHARD_UNIT = 1_000  # transitions; the longest episode of most recipes
_MIN_SHARD = 10_000  # transitions; a shard should hold several episodes
_MAX_TRANSITIONS = 20_000_000  # a few gigabytes
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def ensure(
    task: tasks.Task,
    *,
    seed: int = 0,
    num_transitions: int | None = None,
    num_workers: int | None = None,
    show_progress: bool = True,
    log: Callable[[str], None] = print,
) -> str:
    """Returns the Minari id of the local set for ``task``, made now if need be.

    Args:
      task: what to make data for.
      seed: fixes every byte of the result.
      num_transitions: size of the set; that of D4RL's by default.
      num_workers: processes; all cores by default. Does not change the result.
      show_progress: whether to show a progress bar.
      log: takes one line.

    Raises:
      UserError: bad size or seed; disk full.
    """
    if num_transitions is None:
        num_transitions = task.num_transitions
    recipe = recipe_of(task, seed, num_transitions)
    dataset_id = (
        f"gem-jax/{task.name}/local-s{seed}-n{num_transitions}-v{recipe['version']}"
    )
    folder = minari.data_folder(dataset_id).parent
    if _is_made(folder, recipe):
        return dataset_id
    try:
        writer.write_namespaces(dataset_id)
        with locks.hold(folder.with_name(f".{folder.name}.lock"), dataset_id, log):
            if not _is_made(folder, recipe):
                log(
                    f"making {num_transitions:,} transitions of {task.name} in {folder}"
                )
                bar = progress.Progress(
                    task.name, num_transitions, "steps", show_progress
                )
                shards = _shards(task, seed, num_transitions, num_workers, bar)
                with contextlib.closing(shards):
                    _build(folder, dataset_id, task, recipe, shards)
    except OSError as error:
        raise errors.UserError(
            f"cannot write {dataset_id} to {minari.root()}: {error}; make room, or set "
            "MINARI_DATASETS_PATH to another folder"
        ) from error
    return dataset_id


def recipe_of(task: tasks.Task, seed: int, num_transitions: int) -> dict[str, Any]:
    """All that fixes the content of a local set, for its provenance.

    Raises:
      UserError: bad size or seed.
    """
    if not 1 <= num_transitions <= _MAX_TRANSITIONS:
        raise errors.UserError(
            f"num_transitions={num_transitions} must lie in [1, {_MAX_TRANSITIONS}]"
        )
    if not 0 <= seed < 2**32:
        raise errors.UserError(f"seed={seed} must lie in [0, 2**32)")
    module = _module(task.recipe)
    details = {}
    if hasattr(module, "describe"):
        details = module.describe(
            task.name, num_transitions, _set_seed(seed, task.name)
        )
    return {
        "name": task.recipe,
        "version": module.VERSION,
        "seed": seed,
        "num_transitions": num_transitions,
        **details,
    }


def fingerprint(task: tasks.Task, seed: int, num_transitions: int) -> str:
    """16 hexadecimal digits that tell one local set from every other.

    Raises:
      UserError: bad size or seed.
    """
    recipe = recipe_of(task, seed, num_transitions)
    text = json.dumps({"task": task.name} | recipe, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _module(recipe: str) -> Any:
    return importlib.import_module(f"gem_jax.data.local.{recipe}")


def _is_made(folder: pathlib.Path, recipe: dict[str, Any]) -> bool:
    """Whether every file is there; their content is checked when it is read."""
    data = folder / "data"
    names = (minari.DATA_FILE, minari.METADATA_FILE, minari.SEAL_FILE)
    if not all((data / name).is_file() for name in names):
        return False
    try:
        seal = files.read_json(data / minari.SEAL_FILE)
    except errors.UserError:  # half written
        return False
    return seal.get("recipe") == recipe


def _build(
    folder: pathlib.Path,
    dataset_id: str,
    task: tasks.Task,
    recipe: dict[str, Any],
    shards: Iterator[list[episodes.Episode]],
) -> None:
    """Writes beside ``folder``, then renames: half a dataset never has its name."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # the lock is ours, so its owner died
    data = partial / "data"
    data.mkdir(parents=True)
    try:
        counts = writer.write_episodes(data / minari.DATA_FILE, shards)
        writer.write_metadata(data, dataset_id, task, counts, recipe)
        if folder.exists():  # made by another version of the recipe, or damaged
            shutil.rmtree(folder)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _shards(
    task: tasks.Task,
    seed: int,
    num_transitions: int,
    num_workers: int | None,
    bar: progress.Progress,
) -> Generator[list[episodes.Episode]]:
    """Yields the episodes of every shard, in order, as worker processes finish."""
    pieces = _pieces(task, seed, num_transitions)
    num_workers = min(num_workers or _num_cores(), len(pieces))
    context = multiprocessing.get_context("spawn")
    executor = concurrent.futures.ProcessPoolExecutor(
        num_workers, context, initializer=_start_worker
    )
    with executor:
        with _worker_surroundings():  # submitting is what starts processes
            futures = [
                executor.submit(_make_shard, task.recipe, *piece) for piece in pieces
            ]
        try:
            yield from _counted(map(_result, futures), bar)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _result(future: concurrent.futures.Future[Any]) -> list[episodes.Episode]:
    try:
        shard: list[episodes.Episode] = future.result()
    except OSError as error:  # not the disk that the set is written to
        raise RuntimeError(f"a worker process failed: {error}") from error
    return shard


def _counted(
    shards: Iterator[list[episodes.Episode]], bar: progress.Progress
) -> Iterator[list[episodes.Episode]]:
    for shard in shards:
        yield shard
        bar.add(sum(map(len, shard)))


def _pieces(
    task: tasks.Task, seed: int, num_transitions: int
) -> list[tuple[str, int, np.random.SeedSequence]]:
    """Part, size and seed of every shard.

    A recipe may compose a set of `parts`; the seeds of a part come from its name. One
    whose steps are slow may have smaller shards, `MIN_SHARD`.
    """
    least = getattr(_module(task.recipe), "MIN_SHARD", _MIN_SHARD)
    pieces = []
    for part, size in _parts(task, num_transitions):
        num_shards = max(1, min(_MAX_SHARDS, size // least))
        cuts = np.arange(num_shards) * size // num_shards
        cuts = cuts // _SHARD_UNIT * _SHARD_UNIT
        sizes = np.diff(cuts, append=size).tolist()
        root = _set_seed(seed, part)
        pieces += [(part, *shard) for shard in zip(sizes, root.spawn(num_shards))]
    return pieces


def _set_seed(seed: int, part: str) -> np.random.SeedSequence:
    """Of a whole set, or of a part of one; its shards' seeds are spawned by it."""
    return np.random.SeedSequence((seed, zlib.crc32(part.encode())))


def _parts(task: tasks.Task, num_transitions: int) -> list[tuple[str, int]]:
    module = _module(task.recipe)
    if not hasattr(module, "parts"):
        return [(task.name, num_transitions)]
    parts: list[tuple[str, int]] = module.parts(task.name, num_transitions)
    return parts


def _make_shard(
    recipe: str, part: str, size: int, seed: np.random.SeedSequence
) -> list[episodes.Episode]:
    shard: list[episodes.Episode] = _module(recipe).generate_shard(part, size, seed)
    return shard


def _start_worker() -> None:
    """Makes a worker die in silence at Ctrl-C, and whenever its parent dies."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextlib.contextmanager
def _worker_surroundings() -> Iterator[None]:
    """What processes that start inside this block find.

    They do not import the caller's script, slow or unguarded as it may be, and their
    linear algebra has one thread, since another number may round otherwise.
    """
    main, environment = sys.modules["__main__"], dict(os.environ)
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name in _THREAD_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(environment)


def _num_cores() -> int:
    return len(os.sched_getaffinity(0))
