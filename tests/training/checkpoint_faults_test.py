"""Damage is set aside; whatever else keeps from reading leaves everything in place."""

import contextlib
import errno
import gc
import json
import logging
import os
import resource
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore
from orbax.checkpoint._src.metadata import tree as orbax_tree

from gem_jax import errors
from gem_jax.training import checkpoint

CONFIG = {"algo": "gem"}


def make_state(value):
    state = {"w": jnp.full((64, 3), value), "step": jnp.array([value], jnp.int32)}
    return state | {"big": jnp.arange(5_000.0) + value}  # has a data file of its own


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    with checkpoint.open_store(folder, CONFIG) as store:
        for step in (1, 2):
            checkpoint.save(store, step, make_state(step))
    return folder


@pytest.fixture
def run(original, tmp_path):
    """A run folder with checkpoints at 1 and 2."""
    return shutil.copytree(original, tmp_path / "run")


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def restore(folder, **options):
    messages = []
    with checkpoint.open_store(folder, CONFIG, log=messages.append, **options) as store:
        return checkpoint.restore(store, make_state(0)), messages


def truncated(content):
    return content[: len(content) // 2]


def flipped(content):
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@pytest.mark.parametrize(
    "change",
    [
        truncated,
        flipped,
        lambda content: b"",
        lambda content: bytes(len(content)),
        lambda content: b"\xff garbage {[",
        lambda content: b'{"another": 1}',
        None,
    ],
    ids=["truncated", "flipped", "empty", "zeros", "garbage", "json", "deleted"],
)
def test_every_damage_to_every_file_is_noticed_or_harmless(original, tmp_path, change):
    files = [p for p in (original / "checkpoints" / "2").rglob("*") if p.is_file()]
    assert len(files) > 10
    set_aside = 0
    for number, file in enumerate(files):
        run = shutil.copytree(original, tmp_path / str(number))
        target = run / file.relative_to(original)
        if change is None:
            target.unlink()
        else:
            target.write_bytes(change(target.read_bytes()))
        restored, messages = restore(run)
        expected = make_state(restored.step)
        jax.tree.map(np.testing.assert_array_equal, restored.state, expected)
        damaged = restored.step == 1
        assert damaged == (run / "quarantine" / "2-0").exists() == len(messages)
        set_aside += damaged
    assert set_aside >= 3  # the description, an index and the data at least


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("free", [0, 1, 2, 3])
def test_exhausted_descriptors_leave_everything_in_place(run, read_only, free):
    before = contents(run)
    with (
        checkpoint.open_store(run, CONFIG, read_only=read_only) as store,
        few_descriptors(free),
        pytest.raises(errors.UserError, match="Too many open files; .* ulimit -n"),
    ):
        checkpoint.restore(store, make_state(0))
    assert contents(run) == before
    assert restore(run)[0].step == 2


def test_exhausted_descriptors_on_opening_are_said_too(run):
    before = contents(run)
    with few_descriptors(0), pytest.raises(errors.UserError, match="Too many open"):
        restore(run)
    assert contents(run) == before


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """Collections in here look at what these tests leave alone, which takes less."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextlib.contextmanager
def few_descriptors(free):
    """Leaves ``free`` descriptors to the process."""
    gc.collect()  # what earlier tests left open must not be closed meanwhile
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(free):
            os.close(held.pop())
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def tensorstore_error(number, name):
    return ValueError(
        f"{name}: Error opening driver: [OS error {number}] [os_error_code='{number}']"
    )


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("error", "named"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error; try again"),
        (OSError(errno.ESTALE, "Stale file handle"), "Stale"),
        (OSError(errno.ENFILE, "Too many open files"), "close other programs"),
        (PermissionError(errno.EACCES, "Permission denied"), "ask its owner"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "timed out"),
        (TimeoutError(), "try again"),
        (MemoryError(), "out of memory"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 9 GB"), "out of memory"),
        (tensorstore_error(24, "RESOURCE_EXHAUSTED"), "ulimit -n"),
        (tensorstore_error(5, "DATA_LOSS"), "Input/output error"),
        (ValueError("UNAVAILABLE: no answer"), "UNAVAILABLE: no answer; try again"),
    ],
    ids=str,
)
def test_trouble_that_passes_is_said_and_moves_nothing(
    run, monkeypatch, error, named, read_only
):
    before = contents(run)

    def fail(*args, **kwargs):
        try:
            raise error
        except type(error) as cause:  # orbax wraps some of them
            raise Exception("Encountered error while reading array") from cause

    with checkpoint.open_store(run, CONFIG, read_only=read_only) as store:
        monkeypatch.setattr(store.manager, "restore", fail)
        for step in (None, 2):
            with pytest.raises(errors.UserError, match=named):
                checkpoint.restore(store, make_state(0), step)
    assert contents(run) == before


@pytest.mark.parametrize(
    "error",
    [RuntimeError("new"), KeyError("new"), ValueError("new"), AttributeError("new")],
    ids=str,
)
def test_an_error_that_nobody_knows_is_no_damage(run, monkeypatch, error):
    before = contents(run)

    def fail(*args, **kwargs):
        raise error

    with checkpoint.open_store(run, CONFIG) as store:
        monkeypatch.setattr(store.manager, "restore", fail)
        for step in (None, 2):
            with pytest.raises(type(error), match="new"):
                checkpoint.restore(store, make_state(0), step)
    assert contents(run) == before


def test_an_orbax_that_does_not_fit_is_no_damage(run, monkeypatch):
    before = contents(run)
    monkeypatch.setattr(orbax_tree.InternalTreeMetadata, "from_json", lambda: None)
    with pytest.raises(TypeError, match="argument"):
        restore(run)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [("compressor", {"id": "new"}, "not registered"), ("dtype", "<q9", "Unsupported")],
)
def test_a_codec_that_is_not_known_is_no_damage(run, field, value, named):
    state = run / "checkpoints" / "2" / "state"
    store = {"driver": "ocdbt", "base": f"file://{state}/"}
    files = tensorstore.KvStore.open(store).result()
    files["w/.zarray"] = json.dumps(json.loads(files["w/.zarray"]) | {field: value})
    before = contents(run)
    with pytest.raises(ValueError, match=named):
        restore(run)
    assert contents(run) == before


@pytest.mark.parametrize(("place", "name"), [(12, "version"), (13, "compression")])
def test_a_format_that_is_not_supported_is_no_damage(run, place, name):
    manifest = run / "checkpoints" / "2" / "state" / "manifest.ocdbt"
    content = bytearray(manifest.read_bytes())
    content[place] = 99
    manifest.write_bytes(content)
    before = contents(run)
    with pytest.raises(ValueError, match=name):
        restore(run)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("_METADATA", "tree_metadata"),
        ("_METADATA", "key_metadata"),
        ("_METADATA", "key_type"),
        ("_METADATA", "value_type"),
        ("array_metadatas/process_0", "array_metadata"),
        ("array_metadatas/process_0", "chunk_shape"),
    ],
)
def test_a_description_with_another_field_is_damage(run, file, field):
    path = run / "checkpoints" / "2" / "state" / file
    path.write_text(path.read_text().replace(f'"{field}"', '"another"', 1))
    restored, (message,) = restore(run)
    assert restored.step == 1 and "checkpoint 2 is damaged" in message


def test_a_step_that_goes_away_is_no_damage(run):
    with (
        checkpoint.open_store(run, CONFIG, read_only=True) as store,
        pytest.raises(errors.UserError, match="went away .* try again"),
    ):
        shutil.rmtree(run / "checkpoints" / "2")
        checkpoint.restore(store, make_state(0))


def test_notes_come_back_and_are_hashed(run):
    notes = {"sum": 0.1 + 0.2, "names": ["a"]}
    with checkpoint.open_store(run, CONFIG) as store:
        checkpoint.save(store, 3, make_state(3), notes)
    assert restore(run)[0].notes == notes
    (meta,) = (run / "checkpoints" / "3" / "meta").glob("metadata*")
    changed = json.loads(meta.read_text()) | {"notes": {}}
    meta.write_text(json.dumps(changed))
    assert restore(run)[0].step == 2 and restore(run)[0].notes == {}


def test_the_hosts_log_lines_are_let_through_and_orbaxs_are_not(run, monkeypatch):
    seen = []

    class Keep(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    logger, handler = logging.getLogger("absl"), Keep()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    manager = ocp.CheckpointManager.restore

    def restore_and_say(*args, **kwargs):
        logger.info("the host's")
        return manager(*args, **kwargs)

    monkeypatch.setattr(ocp.CheckpointManager, "restore", restore_and_say)
    before = list(logger.filters)
    try:
        with checkpoint.open_store(run, CONFIG) as store:
            checkpoint.restore(store, make_state(0))
            checkpoint.save(store, 3, make_state(3))
        assert logger.level == logging.INFO
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert seen == ["the host's"] * 2 and logger.filters == before
