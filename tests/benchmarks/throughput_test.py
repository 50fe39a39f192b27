"""The throughput command: one small measurement, and its bad-input lines."""

import json

import pytest


def test_a_small_measurement_is_printed_and_written(run_benchmark, tmp_path):
    output = tmp_path / "throughput.json"
    result = run_benchmark(
        "throughput",
        "--preset=smoke",
        "--methods=bc",
        "--envs=maze2d-umaze-v1",
        "--num_seeds=1,2",
        "--steps_per_dispatch=2",
        "--repetitions=2",
        "--num_candidates=0",
        "--episodes=1",
        f"--output={output}",
    )
    assert result.returncode == 0, result.stderr
    record = json.loads(output.read_text())
    one, two = record["rows"]
    assert (one["num_seeds"], two["num_seeds"]) == (1, 2)
    # Forward, and backward to the weights and to the hidden layers' inputs.
    products = 4 * 256 + 256 * 256 + 256 * 2
    assert one["update_flops"] >= 2 * 256 * (3 * products - 4 * 256)
    assert one["loop"] > 0 and one["matmul_peak"] > 0
    (played,) = record["evaluation"]
    shares = [played[f"share_{part}"] for part in ("policy", "physics", "python")]
    assert abs(sum(shares) - 1) < 1e-6 and min(shares) >= 0


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (
            ["--methods=gen"],
            "unknown --methods='gen'; choose one of awac, bc, cql,",
        ),
        (["--envs=antmaze-umze-v2"], "did you mean one of antmaze-umaze-v2"),
        (
            ["--envs=minari:a/b-v0"],
            "minari:a/b-v0 is a task of your own, and here only",
        ),
        (["--envs="], "--envs is empty"),
        (["--num_seeds=0"], "--num_seeds takes whole numbers from 1 on, got '0'"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run_benchmark, flags, named):
    result = run_benchmark("throughput", "--preset=smoke", *flags)
    assert result.returncode == 2, result.stderr
    (line,) = [row for row in result.stderr.splitlines() if "error:" in row]
    assert named in line and "Traceback" not in result.stderr
