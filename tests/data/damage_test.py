"""A reader reads damaged bytes or refuses them in one line; it never just fails."""

from __future__ import annotations

import h5py
import layout_files
import numpy as np
import pytest

from gem_jax import errors
from gem_jax.data import d4rl, minari, tasks, validate
from gem_jax.data.readers import table

TASK = tasks.get("maze2d-umaze-v1")
NUM_FILES = 400  # damaged copies of each tiny file
STEPS = 5


def _arrays(num_observations, *ends):
    steps = np.arange(STEPS, dtype=np.float32)
    return {
        "observations": np.ones((num_observations, 4), np.float32),
        "actions": np.stack([steps, -steps], axis=1) / STEPS,
        "rewards": steps,
        "infos/policy": steps.astype(np.int32),
        **{name: steps == STEPS - 1 for name in ends},
    }


def _write(group, arrays):
    for name, array in arrays.items():
        group.create_dataset(name, data=array)


def _d4rl_file(folder):
    path = folder / "a.hdf5"
    with h5py.File(path, "w") as file:
        _write(file, _arrays(STEPS, "terminals", "timeouts"))
    return path, lambda: d4rl.read(path, TASK)


def _minari_file(folder):
    """As others write it: without the hash that would give damage away at once."""
    path = minari.data_folder("test/points-v0") / minari.DATA_FILE
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        for index in range(2):
            arrays = _arrays(STEPS + 1, "terminations", "truncations")
            _write(file.create_group(f"episode_{index}"), arrays)
    metadata = path.with_name(minari.METADATA_FILE)
    metadata.write_text(f'{{"total_episodes": 2, "total_steps": {2 * STEPS}}}')
    return path, lambda: minari.read("test/points-v0", TASK)


def _in_layout(name):
    def make(folder):
        path = folder / "data.bin"
        layout_files.ALL[name](path)

        def read():
            recorded, _ = table.recognize(path).read(
                path, TASK, lambda line: None, None
            )
            validate.check(recorded, TASK, str(path), lambda line: None)

        return path, read

    return make


MAKERS = {"d4rl": (_d4rl_file, NUM_FILES), "minari": (_minari_file, NUM_FILES)}
MAKERS |= {name: (_in_layout(name), 60) for name in ("d4rl_numpy", "robomimic", "log")}
CHECKED = ("d4rl_numpy",)  # by the archive itself, so that nothing passes


@pytest.mark.parametrize("name", MAKERS)
def test_flipped_bits(tmp_path, name):
    make, num_files = MAKERS[name]
    path, read = make(tmp_path)
    read()
    content = path.read_bytes()
    used = np.flatnonzero(np.frombuffer(content, np.uint8))  # HDF5 leaves much empty
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(num_files):
        damaged = bytearray(content)
        for position in rng.choice(used, 3):
            damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            read()
        except errors.UserError as error:
            refused += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    assert 0 < refused and (refused < num_files or name in CHECKED)
