from __future__ import annotations

import hashlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import minari as farama
import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import minari, tasks
from gem_jax.data.local import generate
from gem_jax.utils import locks

TASK = tasks.get("maze2d-umaze-v1")
OTHER = "hopper-medium-v2"
SIZE = 20_000  # two shards


def _ensure(log=lambda line: None, task=TASK, **options):
    options = {"num_transitions": SIZE, "show_progress": False, **options}
    return generate.ensure(task, log=log, **options)


def _bytes(dataset_id):
    folder = minari.data_folder(dataset_id)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _spawn(code, **options):
    """A process that runs ``code`` with the test's own caches."""
    root = pathlib.Path(generate.__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, text=True, **options
    )


_ENSURE = f"""
from gem_jax.data import tasks
from gem_jax.data.local import generate
generate.ensure(tasks.get("{TASK.name}"), num_transitions={SIZE})
"""


@pytest.mark.parametrize("name", [TASK.name, OTHER])
def test_same_bytes_for_any_number_of_workers(name, tmp_path, monkeypatch):
    found = []
    for workers in (1, 2):
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / str(workers)))
        found.append(_bytes(_ensure(task=tasks.get(name), num_workers=workers)))
    assert set(found[0]) == {"main_data.hdf5", "metadata.json", "gem_jax.json"}
    assert found[0] == found[1]


def test_made_once_and_exactly_as_large_as_asked():
    lines = []
    dataset_id = _ensure(lines.append, num_transitions=1_234)
    before = minari.data_folder(dataset_id).stat()
    assert _ensure(lines.append, num_transitions=1_234) == dataset_id
    assert minari.data_folder(dataset_id).stat() == before and len(lines) == 1
    found, _ = minari.read(dataset_id, TASK)
    assert sum(map(len, found)) == 1_234


@pytest.mark.parametrize("name", [TASK.name, OTHER])
def test_minaris_own_client_opens_what_was_made(name):
    ours, provenance = data.read(
        name, "local", num_transitions=1_500, progress=False, log=lambda line: None
    )
    theirs = farama.load_dataset(provenance.id)
    assert provenance.id in farama.list_local_datasets()
    assert (theirs.total_episodes, theirs.total_steps) == (
        provenance.num_episodes,
        provenance.num_transitions,
    )
    assert theirs.action_space.shape == ours[0].actions.shape[1:]
    fields = ("observations", "actions", "rewards", "terminations", "truncations")
    for mine, other in zip(ours, theirs, strict=True):
        for field in fields:
            np.testing.assert_array_equal(getattr(mine, field), getattr(other, field))
        for info in mine.infos:
            np.testing.assert_array_equal(mine.infos[info], other.infos[info])


def test_seeds_differ():
    first, second = (_ensure(seed=seed, num_transitions=500) for seed in (0, 1))
    assert first != second
    assert _bytes(first)["main_data.hdf5"] != _bytes(second)["main_data.hdf5"]


def test_other_recipe_is_made_anew():
    dataset_id = _ensure(num_transitions=500)
    good = _bytes(dataset_id)
    seal = minari.data_folder(dataset_id) / minari.SEAL_FILE
    seal.write_text('{"recipe": {"name": "older"}, "sha256": "0"}')
    assert _ensure(num_transitions=500) == dataset_id
    assert _bytes(dataset_id) == good


@pytest.mark.parametrize(
    "name", [minari.DATA_FILE, minari.METADATA_FILE, minari.SEAL_FILE]
)
def test_half_a_set_is_made_anew(name):
    dataset_id = _ensure(num_transitions=500)
    good = _bytes(dataset_id)
    (minari.data_folder(dataset_id) / name).unlink()
    assert _ensure(num_transitions=500) == dataset_id
    assert _bytes(dataset_id) == good


def test_a_half_written_seal_is_none():
    dataset_id = _ensure(num_transitions=500)
    good = _bytes(dataset_id)
    seal = minari.data_folder(dataset_id) / minari.SEAL_FILE
    seal.write_text(seal.read_text()[:40])
    assert _ensure(num_transitions=500) == dataset_id
    assert _bytes(dataset_id) == good


def test_the_ants_recipe_names_the_walkers_weights():
    recipe = generate.recipe_of(tasks.get("antmaze-umaze-v2"), 0, 500)
    weights = pathlib.Path(generate.__file__).with_name("ant_walker.npz").read_bytes()
    assert recipe["weights"] == hashlib.sha256(weights).hexdigest()[:16]


def test_fingerprints_tell_sets_apart():
    others = [tasks.get(name) for name in ("maze2d-large-v1", OTHER)]
    asked = [(TASK, 0, 500), (TASK, 1, 500), (TASK, 0, 501)]
    asked += [(other, 0, 500) for other in others]
    found = [generate.fingerprint(*one) for one in asked]
    assert len(set(found)) == 5 and found == [generate.fingerprint(*a) for a in asked]


def test_callers_script_is_not_run_again(tmp_path):
    """A script without a main guard must not multiply."""
    process = _spawn(f"print('once')\n{_ENSURE}", stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and output.count("once") == 1


def test_killed_while_making(minari_root):
    process = _spawn(_ENSURE.replace(str(SIZE), "400000"))
    folder = minari_root / "gem-jax" / TASK.name
    _wait(lambda: list(folder.glob(".*.partial/data")))
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    _wait(lambda: len(children.read_text().split()) > 1)
    workers = [int(pid) for pid in children.read_text().split()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait(lambda: not any(map(_runs, workers)))
    assert workers and not [p for p in folder.glob("local*")]
    # The next process clears away what the dead one left, and is not locked out.
    partial = next(folder.glob(".*.partial"))
    partial.rename(folder / partial.name.replace("400000", "500"))
    dataset_id = _ensure(num_transitions=500)
    assert len(minari.read(dataset_id, TASK)[0]) > 0
    assert not list(folder.glob(".*.partial"))


def test_two_processes_make_it_once():
    first, second = (_spawn(_ENSURE, stdout=subprocess.PIPE) for _ in range(2))
    lines = first.communicate(timeout=60)[0] + second.communicate(timeout=60)[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert lines.count("making") - lines.count("is making") == 1


def test_waiting_says_so(tmp_path):
    lines, path = [], tmp_path / "lock"

    def wait():
        with locks.hold(path, "the set", lines.append):
            lines.append("mine")

    with locks.hold(path, "the set", lines.append):
        thread = threading.Thread(target=wait)
        thread.start()
        _wait(lambda: lines)
        assert lines == ["another process is making the set; waiting for it"]
    thread.join()
    assert lines[1:] == ["mine"]


def test_disk_full(minari_root):
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from gem_jax import errors
try:
    {_ENSURE.strip().replace(chr(10), chr(10) + "    ")}
except errors.UserError as error:
    print("refused:", error)
"""
    process = _spawn(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, stderr = process.communicate(timeout=60)
    assert "refused: cannot write gem-jax/" in output, stderr
    assert "MINARI_DATASETS_PATH" in output and process.returncode == 0, stderr
    folder = minari_root / "gem-jax" / TASK.name
    assert {path.suffix for path in folder.iterdir()} == {".lock", ".json"}


def test_read_only_root(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "file"))
    with pytest.raises(errors.UserError, match="cannot write"):
        _ensure()


@pytest.mark.parametrize(
    "options", [{"num_transitions": 0}, {"num_transitions": 10**12}, {"seed": -1}]
)
def test_bad_requests(options):
    with pytest.raises(errors.UserError, match=next(iter(options))):
        _ensure(**options)


def test_workers_need_no_jax():
    code = "import sys, gem_jax.data.local.generate; sys.exit('jax' in sys.modules)"
    assert _spawn(code).wait(timeout=60) == 0


def _wait(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)  # polls what another process or thread does


def _runs(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return False
    return state[0] != "Z"
