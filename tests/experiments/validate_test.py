"""A run's metrics on data that it was not trained on."""

import dataclasses
import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.validate import measuring
from gem_jax import algorithms, data, errors
from gem_jax.data import publishers, tasks
from gem_jax.ops import normalize
from gem_jax.testing import fakes
from gem_jax.training import loop, rundir


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_run_is_measured_on_another_set_of_its_recipe(run, finished, tmp_path):
    flags = "--num_transitions=2000", "--batches=3"
    result = run("validate", f"--workdir={finished}", *flags)
    assert result.returncode == 0, result.stderr
    assert "local-s1-n2000" in result.stdout  # which is made first
    found = {tuple(cells(x)[:2]): cells(x)[2:] for x in result.stdout.splitlines()}
    trained, measured = found["behavior", "behavior/nll"]
    lines = rundir.read_lines(finished / rundir.METRICS)
    last = [x["behavior/nll"] for x in lines if x["phase"] == "behavior"][-2:]
    assert trained.startswith(f"{np.mean(last):.4g} ±") and "±" in measured
    assert trained != measured
    assert ("policy", "critic/loss") in found
    size = rundir.read_json(finished / rundir.DATASET)["num_transitions"]
    for part in (size, 2_000):
        same = f"--workdir={finished}", "--seed=0", f"--num_transitions={part}"
        refused = run("validate", *same)
        assert refused.returncode == 2
        assert "what the run was trained on, or a part of it" in refused.stderr


def test_nothing_is_learned_and_observations_are_seen_as_in_training():
    """By hand: the squared error of cloning, on all rows at once."""
    config = algorithms.tiny_config("bc")
    algorithm = algorithms.make("bc", config, fakes.SPEC)
    (phase,) = algorithm.phases
    whole = phase._replace(sample=lambda key, dataset, size, step: dataset)
    algorithm = algorithm._replace(phases=(whole,))
    seeds = [3, 4]
    state = loop.init(algorithm, loop.seed_keys(seeds))
    trained_on = fakes.random_transitions(jax.random.key(1)).observation * 2.0 + 1.0
    fitted = normalize.fit_normalizer(trained_on)
    repeated = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), fitted)
    state = state._replace(normalizer=repeated)
    other = fakes.random_transitions(jax.random.key(2))
    ((name, metrics),) = measuring.measure(algorithm, state, seeds, other, batches=5)
    assert name == "actor"
    for i in range(2):
        params = algorithm.actor_params(loop.select_seed(state, i).algorithm)
        act = functools.partial(algorithm.act, params, None, t=0, knobs=())
        acted = jax.vmap(act)(fitted(other.observation)).action
        expected = jnp.mean(jnp.sum((acted - other.action) ** 2, axis=-1))
        np.testing.assert_allclose(metrics["actor/loss"][i], expected, 1e-4)


def test_rewards_are_changed_by_the_numbers_of_the_run():
    options = data.DataOptions(reward_transform="return_range", n_step=3)
    rewards = {"name": "return_range", "scale": 0.5, "shift": -1.0}
    record = {"data": dataclasses.asdict(options), "identity": {"rewards": rewards}}
    again = measuring.options(json.loads(json.dumps(record)), 7)
    assert (again.num_transitions, again.n_step, again.repair) == (7, 3, ())
    assert again.reward_transform(np.array([4.0])) == 1.0


def test_the_table_has_the_last_lines_of_training():
    lines = [
        {"phase": "actor", "seed": seed, "actor/loss": loss}
        for seed, loss in ((0, 9.0), (1, 8.0), (0, 1.0), (1, 3.0))
    ]
    both = {"actor/loss": np.array([3.0, 3.0]), "actor/nll": np.array([2.0, 6.0])}
    measured = {"actor": both, "critic": {"critic/loss": np.array([1.0, 1.0])}}
    _, _, *rows = measuring.format_table(lines, measured).splitlines()
    assert [cells(row)[1:] for row in rows] == [
        ["actor/loss", "2 ± 1.4", "3 ± 0"],
        ["actor/nll", "-", "4 ± 2.8"],
    ]


@pytest.mark.parametrize("algo", ["empo", "sfbc"])
def test_what_keeps_its_own_transitions_is_refused(algo):
    config = dataclasses.asdict(algorithms.tiny_config(algo))
    record = {"algo": algo, "config": config, "spec": fakes.SPEC._asdict()}
    rows = fakes.random_transitions(jax.random.key(0))
    dataset = data.OfflineDataset(rows, np.array([0, 64]), None, None, None)
    with pytest.raises(errors.UserError, match=f"{algo} keeps numbers of each"):
        measuring.rebuild(record, dataset)


def test_the_validation_set_is_the_one_that_comes_with_the_data(tmp_path, monkeypatch):
    task = tasks.get("cube-single-play-singletask-task1-v0")
    monkeypatch.setenv("OGBENCH_DATASET_DIR", str(tmp_path))
    monkeypatch.setattr(publishers.OGBENCH, "url", "http://127.0.0.1:9/")
    published = {"source": "ogbench", "id": "cube-single-play-v0.npz"}
    with pytest.raises(errors.UserError, match="cube-single-play-v0-val.npz"):
        measuring.default_source(task, published)
    own = {"source": "file", "id": str(tmp_path / "a.npz")}
    with pytest.raises(errors.UserError, match="a-val.npz; give --source"):
        measuring.default_source(task, own)
    np.savez(tmp_path / "a-val.npz", x=np.zeros(1))
    shutil.copy(tmp_path / "a-val.npz", tmp_path / "cube-single-play-v0-val.npz")
    assert measuring.default_source(task, own) == f"file:{tmp_path}/a-val.npz"
    expected = f"file:{tmp_path}/cube-single-play-v0-val.npz"
    assert measuring.default_source(task, published) == expected
    assert measuring.default_source(task, {"source": "local", "id": "x"}) == "local"
    with pytest.raises(errors.UserError, match="give --source"):
        measuring.default_source(task, {"source": "minari", "id": "mujoco/x-v0"})
