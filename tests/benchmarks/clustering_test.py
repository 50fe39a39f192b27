"""The clustering benchmark: its count of operations, from a small measurement."""

import json


def test_operations_are_those_of_the_networks(run_benchmark, tmp_path):
    output = tmp_path / "clustering.json"
    size = 10_000
    result = run_benchmark(
        "clustering",
        f"--num_transitions={size}",
        "--repetitions=2",
        f"--output={output}",
    )
    assert result.returncode == 0, result.stderr
    record = json.loads(output.read_text())
    hidden = 11 * 256 + 2 * 256 * 256
    policies = 2 * (hidden + 2 * 256 * 3)  # two clusters; mean and log-scale
    classifier = hidden + 256 * 2
    # The E-step goes forward, training also backward to weights and hidden inputs.
    products = 2 * size * (policies + 3 * (policies + classifier))
    assert 0.9 * products < record["epoch_flops"] < 1.3 * products
    assert record["e_step_seconds"] > 0 and 0 < record["share_of_peak"] < 1.5


def test_too_few_steps_are_refused(run_benchmark):
    result = run_benchmark("clustering", "--num_transitions=5")
    assert result.returncode == 2
    assert "num_transitions" in result.stderr and "Traceback" not in result.stderr
