"""Runs the tests of the one module that differs from the last commit."""

import fnmatch
import subprocess
import sys

SHAPES = "tests/ops/shapes_test.py"
# The first pattern that matches decides; the quickest tests come first.
TESTS = {
    "gem_jax/ops/_shapes.py": [SHAPES],
    "gem_jax/ops/returns.py": ["tests/ops/returns_test.py", SHAPES],
    "gem_jax/ops/gaussian.py": [
        "tests/ops/gaussian_test.py",
        SHAPES,
        "tests/algorithms/sac_n_test.py",
    ],
    "gem_jax/ops/mixture.py": ["tests/ops/mixture_test.py", SHAPES],
    "gem_jax/ops/value.py": [
        "tests/ops/value_test.py",
        "tests/ops/returns_test.py",
        SHAPES,
    ],
    "gem_jax/ops/diffusion.py": [
        "tests/ops/diffusion_test.py",
        "tests/algorithms/diffusion_ql_test.py",
        SHAPES,
    ],
    "gem_jax/ops/*": [
        "tests/ops/value_test.py",
        "tests/inference/bad_values_test.py",
        SHAPES,
    ],
    "gem_jax/proposing.py": ["tests/experiments/proposing_test.py"],
    "gem_jax/inference/*": ["tests/inference", "tests/algorithms/gem_act_test.py"],
    "gem_jax/clustering/scores.py": ["tests/clustering/scores_test.py"],
    "gem_jax/clustering/settings.py": [
        "tests/clustering/settings_test.py",
        "tests/experiments/configs_test.py",
    ],
    "gem_jax/clustering/checks.py": ["tests/clustering/refusals_test.py"],
    "gem_jax/clustering/*": [
        "tests/clustering/likelihood_test.py",
        "tests/clustering/em_test.py",
        "tests/clustering/refusals_test.py",
    ],
    "gem_jax/algorithms/empo/*": [
        "tests/algorithms/config_test.py",
        "tests/experiments/configs_test.py",
        "tests/algorithms/empo_parts_test.py",
        "tests/algorithms/empo_phases_test.py",
        *(
            f"tests/algorithms/empo_test.py::test_{name}"
            for name in (
                "minibatches_are_a_switch",
                "clustering_may_have_short_epochs",
                "switched_off_stages_are_left_out",
                "data_without_ends_and_sizes_are_refused",
                "steps_without_a_successor_are_refused_unless_terminal",
            )
        ),
    ],
    "gem_jax/algorithms/td3_bc.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/td3_bc_oracle_test.py",
        "tests/algorithms/td3_bc_test.py",
    ],
    "gem_jax/algorithms/dt/*": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/dt_test.py",
        "tests/algorithms/dt_oracle_test.py",
    ],
    "gem_jax/algorithms/lom.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/lom_oracle_test.py",
        "tests/algorithms/lom_test.py",
    ],
    "gem_jax/algorithms/sfbc/*": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/sfbc_oracle_test.py",
        "tests/algorithms/sfbc_test.py",
    ],
    "gem_jax/algorithms/idql.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/idql_test.py",
    ],
    "gem_jax/algorithms/_best_sample.py": [
        "tests/algorithms/idql_test.py",
        "tests/algorithms/ifql_test.py",
    ],
    "gem_jax/algorithms/ifql.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/ifql_test.py",
    ],
    "gem_jax/algorithms/awac.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/awac_test.py",
    ],
    "gem_jax/algorithms/cql.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/cql_test.py",
    ],
    "gem_jax/algorithms/_sac.py": ["tests/algorithms/sac_n_test.py"],
    "gem_jax/algorithms/sac_n.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/sac_n_test.py",
    ],
    "gem_jax/algorithms/edac.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/sac_n_test.py",
    ],
    "gem_jax/algorithms/_td3.py": [
        "tests/algorithms/td3_bc_oracle_test.py",
        "tests/algorithms/td3_bc_test.py",
        "tests/algorithms/rebrac_test.py",
    ],
    "gem_jax/algorithms/rebrac.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/rebrac_test.py",
    ],
    "gem_jax/algorithms/fql.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/fql_test.py",
    ],
    "gem_jax/algorithms/diffusion_ql.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/diffusion_ql_test.py",
    ],
    "gem_jax/algorithms/bc.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/iql_oracle_test.py",
    ],
    "gem_jax/algorithms/iql.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/iql_oracle_test.py",
    ],
    "gem_jax/learners/mode_values.py": [
        "tests/algorithms/lom_oracle_test.py",
        "tests/algorithms/lom_test.py",
    ],
    "gem_jax/learners/q_ensemble.py": [
        "tests/algorithms/td3_bc_oracle_test.py",
        "tests/algorithms/lom_oracle_test.py",
        "tests/algorithms/fql_test.py",
    ],
    "gem_jax/learners/sarsa.py": [
        "tests/algorithms/lom_oracle_test.py",
        "tests/algorithms/empo_parts_test.py",
    ],
    "gem_jax/learners/generative.py": [
        "tests/algorithms/sfbc_oracle_test.py",
        "tests/algorithms/sfbc_test.py",
        "tests/algorithms/ifql_test.py",
    ],
    "gem_jax/learners/diffusion_policy.py": ["tests/algorithms/sfbc_oracle_test.py"],
    "gem_jax/learners/ddpm_policy.py": [
        "tests/algorithms/idql_test.py",
        "tests/algorithms/diffusion_ql_test.py",
    ],
    "gem_jax/learners/entropy_policy.py": [
        "tests/algorithms/sac_n_test.py",
        "tests/algorithms/cql_test.py",
    ],
    "gem_jax/learners/flow_policy.py": [
        "tests/algorithms/ifql_test.py",
        "tests/algorithms/fql_test.py",
    ],
    "gem_jax/learners/held_out.py": ["tests/algorithms/held_out_test.py"],
    "gem_jax/learners/batch_metrics.py": ["tests/algorithms/held_out_test.py"],
    "gem_jax/learners/moments.py": ["tests/algorithms/moments_test.py"],
    "gem_jax/learners/gradient_policy.py": ["tests/algorithms/gradient_policy_test.py"],
    "gem_jax/learners/trust.py": ["tests/algorithms/ssar_test.py"],
    "gem_jax/learners/adaptive_weight.py": ["tests/algorithms/ssar_test.py"],
    "gem_jax/learners/*": [
        "tests/algorithms/config_test.py",
        "tests/algorithms/gem_oracle_test.py",
        "tests/algorithms/iql_oracle_test.py",
        "tests/algorithms/gem_test.py",
    ],
    "gem_jax/algorithms/ssar.py": [
        "tests/experiments/configs_test.py",
        "tests/algorithms/ssar_test.py",
    ],
    "gem_jax/algorithms/gem/updates.py": [
        "tests/algorithms/gem_oracle_test.py",
        "tests/algorithms/backup_test.py",
        "tests/algorithms/own_targets_test.py",
        "tests/algorithms/moments_test.py",
        "tests/algorithms/gem_test.py",
    ],
    "gem_jax/algorithms/*": [
        "tests/algorithms/config_test.py",
        "tests/experiments/configs_test.py",
        "tests/algorithms/gem_oracle_test.py",
        "tests/algorithms/gem_act_test.py",
        "tests/algorithms/gem_test.py",
    ],
    "gem_jax/training/loop.py": [
        "tests/training/loop_test.py",
        "tests/training/admission_test.py",
    ],
    "gem_jax/data/d4rl.py": ["tests/data/d4rl_test.py", "tests/data/damage_test.py"],
    "gem_jax/data/transforms.py": ["tests/data/transforms_test.py"],
    "gem_jax/configs/*": ["tests/experiments/configs_test.py"],
}


def tests_of(module):
    """Arguments of pytest."""
    return next(t for pattern, t in TESTS.items() if fnmatch.fnmatch(module, pattern))


def main():
    changed = ["git", "diff", "--name-only", "HEAD", "--", "gem_jax", "experiments"]
    found = subprocess.run(changed, capture_output=True, text=True, check=True)
    (module,) = found.stdout.split()
    options = ["-n", "0", "-x", "--no-header", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *tests_of(module)]
    sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()
