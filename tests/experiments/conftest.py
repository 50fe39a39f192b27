"""The commands as a user runs them, with one dataset cache for all tests here."""

import os
import shutil

import d4rl_files
import forked
import numpy as np
import pytest
import strange_envs

from gem_jax import data
from gem_jax.utils import locks


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """A folder of the whole session, whichever worker asks."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def environment(shared):
    """Variables of the commands: empty caches that the tests share, no network."""
    cache = shared / "cache"
    return os.environ | {
        "MINARI_DATASETS_PATH": str(cache),
        "D4RL_DATASET_DIR": str(cache / "d4rl"),
        "OGBENCH_DATASET_DIR": str(cache / "ogbench"),
        "JAX_PLATFORMS": "cpu",
        "http_proxy": "http://127.0.0.1:9",  # nobody listens there
        "no_proxy": "",
    }


@pytest.fixture(scope="session")
def fork(environment):
    """Starts a command: ``fork(module, *flags)``, then changes of variables."""

    def start(module, *flags, **changes):
        name = f"experiments.{module}"
        return forked.Command(name, *flags, environment=environment | changes)

    return start


@pytest.fixture(scope="session")
def run(fork):
    """Runs a command to its end: ``run(module, *flags)``."""
    return lambda module, *flags: fork(module, *flags).finish()


@pytest.fixture(scope="session")
def tiny():
    """Flags of a run that lasts seconds: 30 updates of the behavior, 90 of the rest."""
    return (
        "--env=maze2d-umaze-v1",
        "--source=local",
        "--preset=smoke",
        "--steps=90",
        "--config.behavior_steps=30",
        "--config.hidden_sizes=(16,)",
        "--config.num_components=2",
        "--config.num_candidates=4",
    )


@pytest.fixture(scope="session")
def finished(run, tiny, shared, tmp_path_factory):
    """The folder of a run of two seeds that was never interrupted.

    Each worker has a copy of the one that the first to ask has trained.
    """
    original = shared / "whole"
    with locks.hold(shared / "whole.lock", "the run", log=print):
        if not (original / "summary.json").exists():
            result = run("train", *tiny, f"--workdir={original}", "--num_seeds=2")
            assert result.returncode == 0, result.stderr
    return shutil.copytree(original, tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def place(tmp_path):
    """Writes a task file, of the lines given and those all need, beside a log."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(strange_envs.LOW, strange_envs.HIGH, (40, 2))
    d4rl_files.write(
        tmp_path / "log.hdf5",
        data.Task(name="x", observation_size=3, action_size=2, horizon=5),
        num=40,
        actions=actions,
    )

    def write(*lines, name="task.toml"):
        path = tmp_path / name
        path.write_text("".join([strange_envs.TASK, *lines]))
        return path

    return write
