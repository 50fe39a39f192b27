"""Checkpoints through orbax, verified: what is restored is what was saved, bit for bit.

Orbax neither notices a flipped bit nor falls back to an older step. So every save
carries a SHA-256 of each leaf; a restore checks them, moves a damaged step out of the
way and tries the one before. Whatever else keeps from reading leaves all in place.
Orbax's folder holds nothing but its steps; what is quarantined goes beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from gem_jax import errors
from gem_jax.training import checkpoint_faults, checkpoint_leaves

Meta = Mapping[str, Any]
Rest = Callable[[Meta], Any]

FOLDER = "checkpoints"
_ITEMS = ("state", "rest", "meta")
_LEAVES = {"state": "leaves", "rest": "rest_leaves"}  # in the meta
_QUARANTINE = "quarantine"


@dataclasses.dataclass(frozen=True)
class Restored:
    """Attributes:
    step: updates in the state.
    state: the pytree, on the device.
    rest: another, where it was asked for.
    notes: what was saved beside it.
    """

    step: int
    state: Any
    rest: Any = None
    notes: Meta = dataclasses.field(default_factory=dict)


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
      UserError: the folder cannot be read or written.
    """
    workdir = pathlib.Path(workdir).expanduser().resolve()
    folder = workdir / FOLDER
    if not read_only:
        with checkpoint_faults.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps(config))  # tuples become lists, as on disk
    with checkpoint_faults.quiet():  # all along: a thread of orbax's narrates too
        with checkpoint_faults.reading(folder):
            manager = _manager(folder, read_only, keep)
        with manager:
            yield Store(workdir, plain, manager, read_only, log)


def _manager(folder: pathlib.Path, read_only: bool, keep: int) -> ocp.CheckpointManager:
    options = ocp.CheckpointManagerOptions(
        max_to_keep=None if read_only else keep,
        read_only=read_only,
        create=False,
        enable_async_checkpointing=False,
        cleanup_tmp_directories=not read_only,
    )
    return ocp.CheckpointManager(folder, options=options, item_names=_ITEMS)


def save(
    store: Store,
    step: int,
    state: Any,
    notes: Meta | None = None,
    rest: Any = None,
) -> None:
    """Saves and waits until the step is complete on disk.

    Args:
      store: open store.
      step: updates in the state.
      state: the pytree.
      notes: JSON-compatible; comes back with the state.
      rest: another pytree, which only who goes on training needs to read.

    Raises:
      UserError: the disk is full or read-only; earlier steps are untouched.
      FloatingPointError: the state is not finite; a resumed run could only fail.
    """
    if step in store.manager.all_steps():
        return
    trees = {"state": state} if rest is None else {"state": state, "rest": rest}
    host = jax.device_get(trees)
    # On the host, where hashes need them too: no program for every shape of a leaf.
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(host)):
        raise FloatingPointError(f"the state of update {step} is not finite; not saved")
    meta: dict[str, Any] = {"config": store.config}
    for item, tree in host.items():
        meta[_LEAVES[item]] = checkpoint_leaves.describe(tree)
    if notes:
        meta["notes"] = notes
    meta["sha256"] = checkpoint_leaves.digest(meta)
    with checkpoint_faults.writing(store.workdir / FOLDER):
        store.manager.save(
            step,
            args=ocp.args.Composite(
                meta=ocp.args.JsonSave(meta),
                **{
                    item: ocp.args.StandardSave(checkpoint_leaves.by_name(tree))
                    for item, tree in trees.items()
                },
            ),
        )
        store.manager.wait_until_finished()


def steps(store: Store) -> list[int]:
    """Steps on disk, oldest first."""
    return sorted(store.manager.all_steps())


def restore(
    store: Store, like: Any, step: int | None = None, rest: Rest | None = None
) -> Restored | None:
    """The newest good checkpoint, or ``None`` when there never was one.

    Args:
      store: open store.
      like: a pytree of arrays or shapes to restore into.
      step: exactly this one, without fallback.
      rest: of the description under which a step was saved, the like of its rest; not
        read when ``None``.

    Raises:
      UserError: the checkpoint belongs to another configuration, the asked step does
        not exist or is damaged, every step is damaged, or something that passes keeps
        from reading; then nothing is moved.
    """
    if step is not None:
        return _restore_exactly(store, like, step, rest)
    candidates = steps(store)[::-1]
    for candidate in candidates:
        try:
            return _read(store, like, candidate, rest)
        except _Damaged as error:
            _set_aside(store, candidate, error)
    # What an earlier call set aside counts too: a run never restarts from zero unasked.
    if candidates or (store.workdir / _QUARANTINE).exists():
        raise errors.UserError(
            f"every checkpoint of {store.workdir} is damaged; they are kept. Start "
            "over in another --workdir."
        )
    return None


def _restore_exactly(store: Store, like: Any, step: int, rest: Rest | None) -> Restored:
    known = steps(store)
    if step not in known:
        raise errors.UserError(
            f"no checkpoint of step {step} in {store.workdir}; there are {known}"
        )
    try:
        return _read(store, like, step, rest)
    except _Damaged as error:
        raise errors.UserError(
            f"checkpoint {step} in {store.workdir} is damaged ({error}); "
            f"choose another of {known}"
        ) from error


class _Damaged(Exception):
    """The files of a step are not what was saved; says why in a line."""


def _read(store: Store, like: Any, step: int, rest: Rest | None) -> Restored:
    """Reads a step.

    Raises:
      UserError: it belongs to another run, or cannot be read now.
      _Damaged: its files are damaged.
    """
    place = store.workdir / FOLDER / str(step)
    try:
        with checkpoint_faults.reading(place):
            return _read_verified(store, like, step, rest)
    except errors.UserError:
        raise
    except Exception as error:
        if not checkpoint_faults.is_damage(error, place):
            raise
        if not place.exists():
            raise errors.UserError(
                f"checkpoint {place} went away while it was read; try again"
            ) from error
        raise _Damaged(errors.one_line(error)) from error


def _read_verified(store: Store, like: Any, step: int, rest: Rest | None) -> Restored:
    meta = store.manager.restore(
        step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())
    ).meta
    claimed = meta.pop("sha256", None) if isinstance(meta, dict) else None
    if claimed is None or checkpoint_leaves.digest(meta) != claimed:
        raise checkpoint_faults.Mismatch("the description does not match its hash")
    saved = meta["config"]
    check_config(_lengthened(saved, store.config), store.config, store.workdir)
    state = _read_item(store, step, "state", like, meta)
    kept = _read_item(store, step, "rest", rest(saved), meta) if rest else None
    return Restored(step, state, kept, meta.get("notes", {}))


def _lengthened(saved: Meta, wanted: Meta) -> Meta:
    """What was saved, with the steps online for which the run was asked since, if more.

    They decide nothing but where it ends.
    """
    there, here = saved.get("online"), wanted.get("online")
    if there and here and there["num_steps"] < here["num_steps"]:
        return {**saved, "online": {**there, "num_steps": here["num_steps"]}}
    return saved


def _read_item(store: Store, step: int, item: str, like: Any, meta: Meta) -> Any:
    """One pytree of a step, its hashes checked."""
    said = meta[_LEAVES[item]]
    wanted = checkpoint_leaves.by_name(like)
    target = checkpoint_leaves.on_this_device(wanted)
    _check_leaves(said, target, store.workdir)
    asked = ocp.args.Composite(**{item: ocp.args.StandardRestore(target)})
    leaves = jax.device_get(store.manager.restore(step, args=asked)[item])
    # In the order of the tree: that of a dictionary's leaves is alphabetical.
    ordered = [leaves[name] for name in wanted]
    tree = jax.tree.unflatten(jax.tree.structure(like), ordered)
    present = checkpoint_leaves.describe(tree)
    for name, leaf in said.items():
        if present[name] != leaf:
            raise checkpoint_faults.Mismatch(f"leaf {name} does not match its hash")
    # Orbax binds them to a device, which compiles anew what a fresh state has compiled.
    return jax.device_put(tree)


def check_config(saved: Meta, wanted: Meta, workdir: pathlib.Path) -> None:
    """Refuses a run folder whose settings differ.

    Raises:
      UserError: names the first field that differs, and both values.
    """
    difference = checkpoint_leaves.first_difference(saved, wanted)
    if difference is not None:
        name, there, here = difference
        raise errors.UserError(
            f"{workdir} holds a run with {name}={there!r}, not "
            f"{here!r}; give another --workdir or the same settings"
        )


def _check_leaves(saved: Meta, target: Meta, workdir: pathlib.Path) -> None:
    """Orbax casts a wrong dtype without a word; here it is refused."""
    wanted = {
        name: [list(leaf.shape), str(leaf.dtype)] for name, leaf in target.items()
    }
    there = {name: [leaf["shape"], leaf["dtype"]] for name, leaf in saved.items()}
    check_config(there, wanted, workdir)


def _set_aside(store: Store, step: int, reason: Exception) -> None:
    """Moves a damaged step out of orbax's folder, so that it can be written again."""
    if store.read_only:
        store.log(f"checkpoint {step} is damaged ({reason}); using the one before")
        return
    quarantine = store.workdir / _QUARANTINE
    with checkpoint_faults.writing(quarantine):
        quarantine.mkdir(exist_ok=True)
        place = quarantine / f"{step}-{len(list(quarantine.iterdir()))}"
        os.replace(store.workdir / FOLDER / str(step), place)
    with checkpoint_faults.reading(store.workdir / FOLDER):
        store.manager.reload()
    store.log(
        f"checkpoint {step} is damaged ({reason}); moved to {place}, using the one "
        "before"
    )
