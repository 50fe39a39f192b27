"""The didactic experiment's own parts; its runs are those of ``experiments.train``."""

import dataclasses
import json
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lib import labeled_trajectories
from experiments.navigation import clustering as navigation_clustering
from experiments.navigation import figures as navigation_figures
from experiments.navigation import rollouts as navigation_rollouts
from experiments.navigation import table as navigation_table
from gem_jax import configs, data
from gem_jax.data import tasks
from gem_jax.envs import navigation_rollout
from gem_jax.runs import presets, resolve, run_record, runner
from gem_jax.training import rundir

TASK = tasks.get("navigation-v0")
TITLES = tuple(navigation_table.METHODS)


@pytest.fixture(scope="module")
def dataset(environment):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", environment["MINARI_DATASETS_PATH"])
        return data.load(TASK.name, num_transitions=20_000, log=lambda line: None)


@pytest.fixture(scope="module")
def outcomes():
    """Two seeds of three short rollouts; the last method's returns differ."""

    def policy(key, observation, t):
        action = jnp.ones(2) * (1.0 + 0.0 * jax.random.normal(key))
        return action, {"cluster": jnp.float32(t > 5)}

    def roll(key):
        return navigation_rollout.rollout(policy, key, 3, horizon=10)

    walked = jax.device_get(jax.vmap(roll)(jax.random.split(jax.random.key(0), 2)))
    found = {title: navigation_table.Outcome(walked, None, 1_200) for title in TITLES}
    returns = np.array([[-300.0, -300.0, -900.0], [-300.0, -300.0, -300.0]])
    better = walked._replace(returns=returns)
    found[TITLES[-1]] = navigation_table.Outcome(better, np.array([1.0, 0.75]), 90)
    return found


def test_methods_are_those_of_the_paper():
    settings = {}
    for title, (algo, changes) in navigation_table.METHODS.items():
        config = configs.get_config(algo, TASK, "paper")
        settings[title] = dataclasses.replace(config, **changes)
    assert settings["EMPO, K = 1"].num_clusters == 1
    assert settings["EMPO, K = 2"].num_clusters == 2


@pytest.mark.parametrize(
    ("env", "own"),
    [
        (
            "navigation-v0",
            dict(discount=0.999, em_epochs=60, critic_steps=200_000, value_epochs=10)
            | dict(improve_epochs=10, expectile=0.9, hidden_sizes=(64, 64, 64)),
        ),
        (
            "hopper-medium-expert-v2",
            dict(discount=0.99, em_epochs=100, critic_steps=1_500_000, value_epochs=40)
            | dict(improve_epochs=100, expectile=0.7, hidden_sizes=(256, 256, 256)),
        ),
    ],
)
def test_paper_preset_is_table_4(env, own):
    config = dataclasses.asdict(configs.get_config("empo", tasks.get(env), "paper"))
    same = dict(biased_epochs=3, uniform_epochs=20, momentum=0.9, batch_size=256)
    same |= dict(learning_rate=3e-4, num_clusters=2, target_period=2, polyak=0.005)
    same |= dict(choice_target_period=500, num_steps=1_000_000, support_ratio=5)
    same |= dict(n_step=3, full_batch=True)
    plain = dict(epoch_steps=0, averaging_rate=1, posterior_window=0)
    plain |= dict(cosine_decay=False, bootstrap_tail=False)
    wanted = own | same | plain
    assert {name: config[name] for name in wanted} == wanted


def test_table_has_mean_spread_share_and_rand_index(outcomes):
    table = navigation_table.format_table(outcomes).splitlines()
    assert len(table) == 2 + len(TITLES)
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    assert cells[-1][1:] == ["90", "-400 ± 141", "83%", "100.0 75.0"]
    assert cells[2][1:] == ["1,200", "-10 ± 0", "100%", "-"]
    json.dumps(navigation_table.summarize(outcomes))


def test_trajectories_for_the_figure_keep_their_labels(dataset):
    steps, truth = labeled_trajectories.subsample(dataset, 5_000)
    assert 2_000 < len(steps.episode) < 9_000
    assert int(steps.episode[-1]) + 1 == len(truth)
    assert np.unique(truth).tolist() == [0, 1]
    np.testing.assert_allclose(steps.observation.mean(0), 0.0, atol=1e-4)


def test_clustering_is_measured_once_and_drawn(dataset, outcomes, tmp_path):
    config = configs.get_config("empo", TASK, "smoke")
    config = dataclasses.replace(config, em_epochs=2, hidden_sizes=(8,))
    path = tmp_path / "clustering.json"
    rows = navigation_clustering.measure(path, dataset, config)
    assert [row["stage"] for row in rows] == ["biased", "uniform", "em", "em"]
    assert [row["rand_index"] is None for row in rows] == [True, True, False, False]
    assert all(0.0 <= row["rand_index"] <= 1.0 for row in rows[2:])
    written = path.read_bytes()
    assert navigation_clustering.measure(path, dataset, config) == rows
    assert path.read_bytes() == written
    other = dataclasses.replace(config, em_epochs=1)
    assert len(navigation_clustering.measure(path, dataset, other)) == 3
    rollouts = {title: outcome.rollouts for title, outcome in outcomes.items()}
    navigation_figures.trajectories(tmp_path / "a.png", rollouts, "a test")
    navigation_figures.clustering(tmp_path / "b.png", rows, "a test")
    navigation_figures.choice(tmp_path / "c.png", rollouts[TITLES[-1]], "a test")
    for name in "abc":
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_clusters_of_every_seed_are_compared_with_the_policies_that_acted(dataset):
    truth = labeled_trajectories.labels(dataset)
    found = navigation_rollouts.rand_indices(np.stack([truth, 0 * truth]), dataset)
    assert found.shape == (2,) and found[0] == 1.0 > found[1]


def test_finished_runs_are_played(dataset, environment, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", environment["MINARI_DATASETS_PATH"])
    small = dict(hidden_sizes=(8,), num_steps=20, batch_size=2048)
    run = run_record.Run(
        task=TASK,
        algo="bc",
        config=dataclasses.replace(configs.get_config("bc", TASK, "smoke"), **small),
        source="local",
        preset="smoke",
        schedule=presets.Schedule(20, 20, 1, 1, 20),
        data=presets.DataOptions(num_transitions=20_000),
        seeds=(3, 4),
        workdir=tmp_path / "run",
        command="",
    )
    runner.train(run, log=lambda line: None)
    outcome = navigation_rollouts.roll_out(run, dataset, 3)
    assert outcome.rollouts.positions.shape == (2, 3, 1001, 2)
    starts = outcome.rollouts.positions[:, :, 0].reshape(6, 2)
    assert len(np.unique(starts, axis=0)) == 6 and (starts <= 0.1).all()
    assert outcome.updates == rundir.read_json(run.workdir / rundir.SUMMARY)["steps"]
    assert outcome.rand is None and not outcome.rollouts.records


def test_an_interrupted_experiment_continues_to_its_table_and_figures(
    run, fork, dataset, tmp_path
):
    chosen = ["BC", "EMPO, K = 2"]
    flags = [f"--workdir={tmp_path}", "--preset=smoke", "--num_seeds=1"]
    flags += ["--episodes=3", *(f"--method={title}" for title in chosen)]
    command = fork("navigation", *flags)
    command.wait_until(lambda: "training on" in command.printed())
    command.send_signal(signal.SIGTERM)
    result = command.finish()
    assert result.returncode == 143
    assert "interrupted" in result.stdout + result.stderr
    assert not (tmp_path / "table.json").exists()
    result = run("navigation", *flags)
    assert result.returncode == 0, result.stderr
    methods = rundir.read_json(tmp_path / "table.json")["methods"]
    assert list(methods) == chosen
    ((clusters,), none) = (methods[t]["rand_index"] for t in ("EMPO, K = 2", "BC"))
    assert 0.0 <= clusters <= 1.0 and none is None
    assert all(f"| {title} " in result.stdout for title in chosen)
    empo = resolve.resolve(
        TASK.name, "empo", "smoke", seeds=(0,), workdir=tmp_path / "empo-num_clusters2"
    )
    outcome = navigation_rollouts.roll_out(empo, dataset, 3)
    assert set(outcome.rollouts.records) == {"cluster"}
    (row,) = navigation_table.summarize({"again": outcome}).values()
    assert row == methods["EMPO, K = 2"]
    for name in ("trajectories", "clustering", "choice"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
