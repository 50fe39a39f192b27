"""The latency command: one small measurement, and its bad-input lines."""

import collections
import dataclasses
import json

import numpy as np
import pytest

from benchmarks.latency import measure as latency_measure
from benchmarks.latency import settings as latency_settings
from gem_jax import algorithms, policy
from gem_jax.algorithms import gem
from gem_jax.testing import fakes
from gem_jax.training import checkpoint, loop, rundir


def test_a_small_measurement_is_printed_written_and_drawn(run_benchmark, tmp_path):
    output = tmp_path / "latency.json"
    flags = ("--num_candidates=2", "--batch_size=1", "--calls=2", "--seconds=0")
    result = run_benchmark(
        "latency", "--preset=smoke", "--methods=gem,bc", *flags, f"--output={output}"
    )
    assert result.returncode == 0, result.stderr
    assert "Published elsewhere" in result.stdout and "20.37" in result.stdout
    record = json.loads(output.read_text())
    assert record["platform"].startswith("cpu") and record["versions"]["jax"]
    gem, bc = record["rows"]
    knobs = {"num_candidates": 2, "chunk_size": 0, "critic_dtype": "float32"}
    assert gem["knobs"] == knobs and bc["knobs"] == {}
    assert bc["ratio_to_bare"] is None
    # Two critics and two mixtures of 2x256 on 29 observations and 8 actions.
    trunk, critic = 29 * 256 + 256 + 256 * 256 + 256, 37 * 256 + 256 + 256 * 256 + 256
    heads, head = 257 * 8 + 257 * 64 + 64, 257
    assert gem["parameters"] == 2 * (trunk + heads) + 2 * (critic + head) + 2 * 29 + 6
    assert gem["flops"] >= 2 * 3 * (2 * 256 * 256)  # two critics, three candidates
    assert gem["p95"] is None and gem["p99"] is None  # of two calls
    for name in ("p50", "compile_seconds", "import_seconds", "matmul_peak"):
        assert gem[name] > 0
    assert (tmp_path / "latency.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (
            ["--methods=gen"],
            "unknown --methods='gen'; choose one of awac, bc, cql,",
        ),
        (["--methods="], "unknown --methods=''; choose one of awac, bc, cql,"),
        (["--env=antmaze-umze-v2"], "did you mean one of antmaze-umaze-v2"),
        (["--batch_size=0"], "--batch_size takes whole numbers from 1 on"),
        (["--num_candidates=1,many"], "--num_candidates takes whole numbers"),
        (["--num_candidates="], "--num_candidates takes whole numbers from 0 on"),
        (["--workdir=/nowhere"], "is it a run folder"),
        (["--num_candidates=999999999999"], "candidates fit"),
        (["--critic_dtype=float8"], "critic_dtype must be one of"),
        (["--critic_dtype="], "critic_dtype must be one of"),
        (["extra"], "unexpected argument"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run_benchmark, flags, named):
    result = run_benchmark("latency", "--preset=smoke", *flags)
    assert result.returncode == 2, result.stderr
    (line,) = [row for row in result.stderr.splitlines() if "error:" in row]
    assert named in line and "Traceback" not in result.stderr


def test_the_grid_covers_every_algorithm():
    settings = latency_settings.grid(
        algorithms.names(),
        {"num_candidates": [0, 2]},
        batch_sizes=[1, 3],
        env="maze2d-umaze-v1",
        preset="smoke",
        workdir=None,
        calls=2,
        seconds=0.0,
    )
    asked = collections.Counter(setting.method for setting in settings)
    assert asked == dict.fromkeys(algorithms.names(), 2) | {"gem": 4}  # N = 0 and 2


def test_a_runs_own_weights_can_act(tmp_path):
    config = gem.Config(hidden_sizes=(8, 8), num_critics=2, num_candidates=3)
    record = {
        "algo": "gem",
        "config": dataclasses.asdict(config),
        "spec": fakes.SPEC._asdict(),
        "seeds": [0],
        "identity": {},
        "format": rundir.FORMAT,
    }
    rundir.write_json(tmp_path / rundir.CONFIG, record)
    algorithm = algorithms.make("gem", config, fakes.SPEC)
    state = loop.init(algorithm, loop.seed_keys([0]))
    with checkpoint.open_store(tmp_path, {}) as store:
        checkpoint.save(store, 0, state)
    (setting,) = latency_settings.grid(
        ["gem"],
        {"num_candidates": [2], "sampling_steps": [10]},
        batch_sizes=[1],
        env="",
        preset="",
        workdir=str(tmp_path),
        calls=2,
        seconds=0.0,
    )
    assert setting.knobs == {"num_candidates": 2}
    policy, found = latency_measure.make_policy(setting)
    assert found == config and policy.knobs.num_candidates == 2
    np.testing.assert_array_equal(
        policy.params.params.critic["params"]["kernel"],
        state.algorithm.values.critic.params["params"]["kernel"][0],
    )


@pytest.mark.parametrize(
    ("free", "layouts"),
    [
        (4 * 4 * (2 + 2 * 8) - 1, set()),
        (4 * 4 * (2 + 2 * 8), {"bare_in_turn"}),
        (4 * 4 * (2 + 2 * 2 * 8), {"bare_in_turn", "bare_at_once"}),
    ],
)
def test_bare_products_are_made_where_they_fit(free, layouts):
    config = gem.Config(hidden_sizes=(8, 8), num_critics=2, num_candidates=3)
    bound = policy.bind(gem.make(config, fakes.SPEC), fakes.policy_params(None))
    setting = latency_settings.Setting("gem", "", "", None, {}, 1, 2, 0.0)
    found = latency_measure.bare_critics(bound, config, setting, free)
    assert found.keys() == layouts
