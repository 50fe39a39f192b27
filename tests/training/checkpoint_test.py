"""Checkpoints: exact, verified, with a fallback, and never silent about a mismatch."""

import os
import pathlib
import shutil
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import errors
from gem_jax.training import checkpoint

CONFIG = {"algo": "gem", "config": {"kappa": 1.0, "hidden_sizes": (16, 16)}}


def make_state(value):
    return {"w": jnp.full((64, 3), value), "step": jnp.array([int(value)], jnp.int32)}


@pytest.fixture
def run(tmp_path):
    """A run folder with checkpoints at 1, 2 and 3."""
    with checkpoint.open_store(tmp_path, CONFIG) as store:
        for step in (1, 2, 3):
            checkpoint.save(store, step, make_state(step))
    return tmp_path


def restore(folder, *, config=CONFIG, like=None, step=None, **options):
    messages = []
    with checkpoint.open_store(folder, config, log=messages.append, **options) as store:
        like = make_state(0) if like is None else like
        return checkpoint.restore(store, like, step), messages


def array_files(folder, step):
    files = [f for f in (folder / "checkpoints" / str(step)).rglob("*") if f.is_file()]
    return sorted(files, key=lambda f: f.stat().st_size)[::-1]


def flip_bit(path: pathlib.Path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def truncate(path: pathlib.Path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_newest_is_restored_exactly(run):
    restored, messages = restore(run)
    assert restored.step == 3 and not messages
    jax.tree.map(np.testing.assert_array_equal, restored.state, make_state(3))


def test_what_is_restored_is_bound_to_no_device(run):
    """Programs compiled for a fresh state serve it too."""
    assert not any(leaf.committed for leaf in jax.tree.leaves(restore(run)[0].state))


def test_what_is_kept_beside_the_state_is_checked_too(tmp_path):
    rest = {"replay": jnp.arange(5000.0)}
    with checkpoint.open_store(tmp_path, CONFIG) as store:
        for step in (1, 2):
            checkpoint.save(store, step, make_state(step), rest=rest)
        seen = []
        both = checkpoint.restore(
            store, make_state(0), rest=lambda saved: seen.append(saved) or rest
        )
        assert [saved["algo"] for saved in seen] == [CONFIG["algo"]]
        np.testing.assert_array_equal(both.rest["replay"], rest["replay"])
        flip_bit(array_files(tmp_path, "2/rest")[0])
        assert checkpoint.restore(store, make_state(0)).step == 2  # not read
        assert (
            checkpoint.restore(store, make_state(0), rest=lambda saved: rest).step == 1
        )
    assert (tmp_path / "quarantine").exists()


def test_what_describes_the_rest_may_be_damaged_too(tmp_path):
    rest = {"replay": jnp.arange(5000.0)}
    with checkpoint.open_store(tmp_path, CONFIG) as store:
        for step in (1, 2):
            checkpoint.save(store, step, make_state(step), rest=rest)
        (tmp_path / "checkpoints" / "2" / "rest" / "_METADATA").write_text(
            '{"tree_metadata": {"x": {}}}'
        )
        assert (
            checkpoint.restore(store, make_state(0), rest=lambda saved: rest).step == 1
        )


def test_a_leaf_without_axes_comes_back(tmp_path):
    state = {"scalar": jnp.float32(2.5), "axes": jnp.arange(6.0).reshape(1, 3, 2).T}
    with checkpoint.open_store(tmp_path, CONFIG) as store:
        checkpoint.save(store, 1, state)
    restored, messages = restore(tmp_path, like=state)
    assert not messages and restored.state["scalar"].shape == ()
    jax.tree.map(np.testing.assert_array_equal, restored.state, state)


def test_nothing_there_is_none(tmp_path):
    assert restore(tmp_path)[0] is None


def test_keeps_the_newest_steps(tmp_path):
    with checkpoint.open_store(tmp_path, CONFIG, keep=2) as store:
        for step in (1, 2, 3):
            checkpoint.save(store, step, make_state(step))
        assert checkpoint.steps(store) == [2, 3]


def damage_data(run):
    for file in (run / "checkpoints" / "3").rglob("*"):
        if file.is_file() and "/d/" in str(file):
            flip_bit(file)


def damage_meta(run):
    (file,) = (run / "checkpoints" / "3" / "meta").glob("metadata*")
    file.write_text(file.read_text().replace("gem", "gen", 1))


def damage_truncate(run):
    for file in (run / "checkpoints" / "3").rglob("*"):
        if file.is_file() and "/d/" in str(file):
            truncate(file)


def damage_item(run):
    shutil.rmtree(run / "checkpoints" / "3" / "state")


def damage_empty(run):
    shutil.rmtree(run / "checkpoints" / "3")
    (run / "checkpoints" / "3").mkdir()


@pytest.mark.parametrize(
    "damage",
    [damage_data, damage_meta, damage_truncate, damage_item, damage_empty],
)
def test_damaged_newest_falls_back_and_is_kept_aside(run, damage):
    damage(run)
    restored, messages = restore(run)
    assert restored.step == 2
    jax.tree.map(np.testing.assert_array_equal, restored.state, make_state(2))
    assert len(messages) == 1 and "checkpoint 3 is damaged" in messages[0]
    assert [path.name for path in (run / "quarantine").iterdir()] == ["3-0"]
    with checkpoint.open_store(run, CONFIG) as store:  # the step can be written again
        checkpoint.save(store, 3, make_state(3))
    assert restore(run)[0].step == 3


def test_a_reader_leaves_a_damaged_step_where_it_is(run):
    damage_data(run)
    restored, messages = restore(run, read_only=True)
    assert restored.step == 2 and len(messages) == 1
    assert (run / "checkpoints" / "3").exists()
    assert not (run / "quarantine").exists()


def test_all_damaged_is_an_error_and_nothing_is_deleted(run):
    for step in (1, 2, 3):
        shutil.rmtree(run / "checkpoints" / str(step) / "state")
    with pytest.raises(errors.UserError, match="every checkpoint .* is damaged"):
        restore(run)
    assert len(list((run / "quarantine").iterdir())) == 3


def test_exact_step_is_found_or_named(run):
    assert restore(run, step=2)[0].step == 2
    with pytest.raises(errors.UserError, match=r"step 7 .* \[1, 2, 3\]"):
        restore(run, step=7)
    damage_data(run)
    with pytest.raises(errors.UserError, match="checkpoint 3 .* damaged"):
        restore(run, step=3)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({**CONFIG, "algo": "iql"}, "algo='gem'"),
        ({"algo": "gem", "config": {**CONFIG["config"], "kappa": 2.0}}, "config.kappa"),
    ],
)
def test_another_configuration_is_refused_and_named(run, config, named):
    with pytest.raises(errors.UserError, match=named):
        restore(run, config=config)
    assert restore(run)[0].step == 3  # nothing was moved


@pytest.mark.parametrize(
    "like",
    [
        {"w": jnp.zeros((64, 4)), "step": jnp.zeros(1, jnp.int32)},
        {"w": jnp.zeros((64, 3), jnp.bfloat16), "step": jnp.zeros(1, jnp.int32)},
        {"v": jnp.zeros((64, 3)), "step": jnp.zeros(1, jnp.int32)},
    ],
    ids=["shape", "dtype", "name"],
)
def test_another_state_is_refused(run, like):
    with pytest.raises(errors.UserError, match=r"holds a run with [wv]="):
        restore(run, like=like)


def test_unwritable_folder_is_one_clear_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(errors.UserError, match="cannot write .*file"):
        restore(blocked)


def test_full_disk_leaves_earlier_steps_whole(run, monkeypatch):
    with checkpoint.open_store(run, CONFIG) as store:

        def full(*args, **kwargs):
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(store.manager, "save", full)
        with pytest.raises(errors.UserError, match="No space left"):
            checkpoint.save(store, 4, make_state(4))
    assert restore(run)[0].step == 3


def test_a_field_without_arrays_may_have_come_later(run):
    """An option that is off is in no file, so that older runs are read."""
    for nothing in (None, (), {}):
        like = make_state(0) | {"later": nothing}
        restored, messages = restore(run, like=like)
        assert not messages and restored.state.keys() == like.keys()
        jax.tree.map(
            np.testing.assert_array_equal, restored.state, like | make_state(3)
        )


def test_fields_come_back_in_their_own_order(tmp_path):
    class Pair(NamedTuple):
        second: jax.Array
        first: jax.Array

    state = Pair(jnp.arange(3.0), jnp.arange(3.0, 6.0))
    with checkpoint.open_store(tmp_path, CONFIG) as store:
        checkpoint.save(store, 1, state)
    restored, messages = restore(tmp_path, like=jax.tree.map(jnp.zeros_like, state))
    assert not messages
    np.testing.assert_array_equal(restored.state.second, state.second)
    np.testing.assert_array_equal(restored.state.first, state.first)
