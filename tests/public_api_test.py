"""The names that users rely on."""

import subprocess
import sys

import gem_jax
from gem_jax import algorithms, data, inference


def test_public_names():
    assert gem_jax.__all__ == ["Policy", "load", "make", "train"]
    assert isinstance(gem_jax.Policy, type)
    assert all(callable(getattr(gem_jax, n)) for n in ("load", "make", "train"))
    assert inference.__all__ == [
        *("Knobs", "Mixture", "Sampler", "ScoreOutput", "Selection", "audit"),
        *("lambda_schedule", "map_chunks", "propose", "refine", "score", "select"),
    ]
    assert algorithms.names() == [
        *("awac", "bc", "cql", "diffusion_ql", "dt", "edac", "empo", "fql", "gem"),
        *("idql", "ifql", "iql", "lom", "percent_bc", "rebrac", "sac_n", "sfbc"),
        *("ssar", "td3_bc"),
    ]
    assert data.__all__ == [
        *("DataOptions", "OfflineDataset", "Provenance", "Task", "from_arrays"),
        *("load", "read", "read_task"),
    ]


def test_unknown_names_are_attribute_errors():
    assert not hasattr(gem_jax, "no_such_name")


def test_every_part_is_reached_from_the_package():
    for name in ("inference", "ops", "clustering", "learners", "runs", "testing"):
        assert getattr(gem_jax, name).__name__ == f"gem_jax.{name}"
        assert name in dir(gem_jax)


def test_importing_brings_neither_flax_nor_an_environment():
    script = (
        "import sys, gem_jax, gem_jax.inference\n"
        "heavy = {'flax', 'optax', 'chex', 'distrax', 'gymnasium', 'mujoco', 'minari',"
        " 'orbax', 'matplotlib', 'scipy.stats'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_table_of_tasks_takes_no_simulators():
    script = (
        "import sys\n"
        "from gem_jax.data import tasks\n"
        "assert 'cube-single-play-singletask-v0' in tasks.table()\n"
        "simulators = {'gymnasium', 'mujoco', 'ogbench'}\n"
        "assert not simulators & set(sys.modules), simulators & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
