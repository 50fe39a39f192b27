"""Checkpoints through orbax, verified: what is restored is what was saved, bit for bit.

Orbax neither notices a flipped bit nor falls back to an older step. So every save
carries a SHA-256 of each leaf; a restore checks them, moves a bad step out of the way
and tries the one before. Orbax's folder holds nothing but its steps; what is
quarantined goes beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from gem_jax import errors

Meta = Mapping[str, Any]

FOLDER = "checkpoints"
_QUARANTINE = "quarantine"


@dataclasses.dataclass(frozen=True)
class Restored:
    """Attributes:
    step: updates in the state.
    state: the pytree, on the device.
    """

    step: int
    state: Any


@dataclasses.dataclass(frozen=True)
class Store:
    """The checkpoints of one run folder.

    Attributes:
      workdir: the run folder.
      config: JSON-compatible description of the run; a checkpoint of another one is
        refused.
      manager: orbax's own.
      read_only: nothing is created, moved or deleted.
      log: receives one line about anything unusual.
    """

    workdir: pathlib.Path
    config: Meta
    manager: ocp.CheckpointManager
    read_only: bool
    log: Callable[[str], None]


@contextlib.contextmanager
def open_store(
    workdir: os.PathLike[str] | str,
    config: Meta,
    *,
    read_only: bool = False,
    keep: int = 3,
    log: Callable[[str], None] = print,
) -> Iterator[Store]:
    """Opens the checkpoints of a run folder.

    Args:
      workdir: the run folder; its ``checkpoints`` subfolder is orbax's.
      config: see ``Store``.
      read_only: for consumers; nothing is created, moved or deleted.
      keep: newest steps to keep.
      log: see ``Store``.

    Raises:
      UserError: the folder cannot be written.
    """
    logging.getLogger("absl").setLevel(logging.ERROR)  # orbax narrates every step
    workdir = pathlib.Path(workdir).resolve()
    folder = workdir / FOLDER
    if not read_only:
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep,
        read_only=read_only,
        create=False,
        enable_async_checkpointing=False,
        cleanup_tmp_directories=not read_only,
    )
    with ocp.CheckpointManager(
        folder, options=options, item_names=("state", "meta")
    ) as manager:
        plain = json.loads(json.dumps(config))  # tuples become lists, as on disk
        yield Store(workdir, plain, manager, read_only, log)


def save(store: Store, step: int, state: Any) -> None:
    """Saves and waits until the step is complete on disk.

    Raises:
      UserError: the disk is full or read-only; earlier steps are untouched.
      FloatingPointError: the state is not finite; a resumed run could only fail.
    """
    if step in store.manager.all_steps():
        return
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state)):
        raise FloatingPointError(f"the state of update {step} is not finite; not saved")
    meta: dict[str, Any] = {"config": store.config, "leaves": _describe(state)}
    meta["sha256"] = _digest(meta)
    with _writing(store.workdir / FOLDER):
        store.manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)
            ),
        )
        store.manager.wait_until_finished()


def steps(store: Store) -> list[int]:
    """Steps on disk, oldest first."""
    return sorted(store.manager.all_steps())


def restore(store: Store, like: Any, step: int | None = None) -> Restored | None:
    """The newest good checkpoint, or ``None`` when there never was one.

    Args:
      store: open store.
      like: a pytree of arrays or shapes to restore into.
      step: exactly this one, without fallback.

    Raises:
      UserError: the checkpoint belongs to another configuration, the asked step does
        not exist or is damaged, or every step is damaged.
    """
    if step is not None:
        return _restore_exactly(store, like, step)
    candidates = steps(store)[::-1]
    for candidate in candidates:
        try:
            return _read(store, like, candidate)
        except (errors.UserError, MemoryError):
            raise  # says nothing about the files
        except PermissionError as error:
            raise errors.UserError(
                f"cannot read checkpoint {candidate} of {store.workdir}: "
                f"{_one_line(error)}; ask its owner for permission"
            ) from error
        except Exception as error:  # orbax raises bare exceptions for damaged files
            _set_aside(store, candidate, error)
    # What an earlier call set aside counts too: a run never restarts from zero unasked.
    if candidates or (store.workdir / _QUARANTINE).exists():
        raise errors.UserError(
            f"every checkpoint of {store.workdir} is damaged; they are kept. Start "
            "over in another --workdir."
        )
    return None


def _restore_exactly(store: Store, like: Any, step: int) -> Restored:
    known = steps(store)
    if step not in known:
        raise errors.UserError(
            f"no checkpoint of step {step} in {store.workdir}; there are {known}"
        )
    try:
        return _read(store, like, step)
    except errors.UserError:
        raise
    except Exception as error:
        raise errors.UserError(
            f"checkpoint {step} in {store.workdir} is damaged ({_one_line(error)}); "
            f"choose another of {known}"
        ) from error


def _read(store: Store, like: Any, step: int) -> Restored:
    meta = store.manager.restore(
        step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())
    ).meta
    claimed = meta.pop("sha256")
    if _digest(meta) != claimed:
        raise ValueError("the description does not match its hash")
    check_config(meta["config"], store.config, store.workdir)
    target = _on_this_device(like)
    _check_leaves(meta["leaves"], target, store.workdir)
    state = store.manager.restore(
        step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target))
    ).state
    found = _describe(state)
    for name, leaf in meta["leaves"].items():
        if found[name] != leaf:
            raise ValueError(f"leaf {name} does not match its hash")
    return Restored(step, state)


def _on_this_device(like: Any) -> Any:
    """Shapes with a sharding: without one, orbax insists on the devices of the save."""
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), like
    )


def check_config(saved: Meta, wanted: Meta, workdir: pathlib.Path) -> None:
    """Refuses a run folder whose settings differ.

    Raises:
      UserError: names the first field that differs, and both values.
    """
    difference = first_difference(saved, wanted)
    if difference is not None:
        name, there, here = difference
        raise errors.UserError(
            f"{workdir} holds a run with {name}={there!r}, not "
            f"{here!r}; give another --workdir or the same settings"
        )


def first_difference(saved: Meta, wanted: Meta) -> tuple[str, Any, Any] | None:
    """The first field, in alphabetical order, in which two configurations differ."""
    for name in sorted({*saved, *wanted}):
        there, here = saved.get(name), wanted.get(name)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            inner = first_difference(there, here)
            if inner is not None:
                return f"{name}.{inner[0]}", inner[1], inner[2]
        elif there != here:
            return name, there, here
    return None


def _check_leaves(saved: Meta, target: Any, workdir: pathlib.Path) -> None:
    """Orbax casts a wrong dtype without a word; here it is refused."""
    wanted = {
        jax.tree_util.keystr(path): [list(leaf.shape), str(leaf.dtype)]
        for path, leaf in jax.tree_util.tree_leaves_with_path(target)
    }
    there = {name: [leaf["shape"], leaf["dtype"]] for name, leaf in saved.items()}
    check_config(there, wanted, workdir)


def _describe(state: Any) -> dict[str, dict[str, Any]]:
    """Shape, dtype and SHA-256 of every leaf, by path."""
    described = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(state)):
        array = np.ascontiguousarray(leaf)
        described[jax.tree_util.keystr(path)] = {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        }
    return described


def _digest(meta: Meta) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _set_aside(store: Store, step: int, error: Exception) -> None:
    """Moves a damaged step out of orbax's folder, so that it can be written again."""
    reason = _one_line(error)
    if store.read_only:
        store.log(f"checkpoint {step} is damaged ({reason}); using the one before")
        return
    quarantine = store.workdir / _QUARANTINE
    with _writing(quarantine):
        quarantine.mkdir(exist_ok=True)
        place = quarantine / f"{step}-{len(list(quarantine.iterdir()))}"
        os.replace(store.workdir / FOLDER / str(step), place)
    store.manager.reload()
    store.log(
        f"checkpoint {step} is damaged ({reason}); moved to {place}, using the one "
        "before"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


@contextlib.contextmanager
def _writing(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        # Tensorstore reports a full disk as a ValueError with the system's code in it.
        if isinstance(error, ValueError) and "os_error_code" not in str(error):
            raise
        raise errors.UserError(
            f"cannot write {path}: {_one_line(error)}; free space or give another "
            "--workdir"
        ) from error
