"""The line that says where a run's settings are not those of ``paper``."""

import pytest

from gem_jax import algorithms
from gem_jax.runs import departures, resolve


def said(algo, preset, env="hopper-medium-v2", **asked):
    lines = []
    departures.announce(resolve.resolve(env, algo, preset, **asked), lines.append)
    return lines


@pytest.mark.parametrize("algo", algorithms.names())
def test_paper_departs_nowhere_and_laptop_in_its_steps(algo):
    assert not said(algo, "paper")
    (line,) = said(algo, "laptop")
    assert line.startswith("differs from paper: ") and "\n" not in line
    assert "num_steps: " in line


def test_smaller_ensembles_are_named():
    (line,) = said("sac_n", "laptop")
    assert line == (
        "differs from paper: num_steps: 100,000 (paper: 3,000,000); "
        "hidden_sizes: (256, 256) (paper: (256, 256, 256)); "
        "num_critics: 10 (paper: 500); critic_layer_norm: True (paper: False)"
    )
    for algo, critics in (("edac", "10 (paper: 50)"), ("gem", "2 (paper: 10)")):
        (line,) = said(algo, "laptop")
        assert f"num_critics: {critics}" in line
    assert "n_step: as the rewards tell (paper: 1)" in line  # of GEM
    (line,) = said("sac_n", "laptop", env="halfcheetah-medium-v2")
    assert "num_critics" not in line  # ten in both


def test_what_was_asked_for_is_named_too():
    asked = dict(config={"beta": 0.5}, data={"best_share": 0.25})
    (line,) = said("iql", "paper", **asked)
    assert line == (
        "differs from paper: beta: 0.5 (paper: 3); best_share: 0.25 (paper: 1)"
    )
    (line,) = said("bc", "smoke", data={"num_transitions": 7})
    assert line.endswith("num_transitions: 7 (paper: default)")
