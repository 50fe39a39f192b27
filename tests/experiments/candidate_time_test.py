"""What scoring takes, by hand, and that it is said only where it is long."""

import types

import pytest

from gem_jax import inference
from gem_jax.algorithms import bc, gem
from gem_jax.runs import candidate_time
from gem_jax.types import EnvSpec

SPEC = EnvSpec(observation_size=29, action_size=8, horizon=1000)
CONFIG = gem.Config(num_critics=10, hidden_sizes=(256, 256))
FLOPS = 2 * 65 * 10 * (37 * 256 + 256 * 256 + 256)  # 64 candidates and the anchor


def announced(decisions, knobs=None, config=CONFIG):
    said = []
    knobs = inference.Knobs(num_candidates=64) if knobs is None else knobs
    candidate_time.announce(
        decisions, knobs, config, SPEC, said.append, rate=lambda: 1e9
    )
    return said


def test_flops_are_those_of_the_critics():
    knobs = inference.Knobs(num_candidates=64)
    assert candidate_time.flops(knobs, CONFIG, SPEC) == FLOPS
    assert candidate_time.flops((), bc.Config(), SPEC) == 0
    no_critics = types.SimpleNamespace(hidden_sizes=(256,))
    assert candidate_time.flops(knobs, no_critics, SPEC) == 0


@pytest.mark.parametrize(
    ("seconds", "named"),
    [(601, "about 10 minutes"), (3 * 3600, "3 hours"), (86400 * 1000, "1,000 days")],
)
def test_long_scoring_is_announced(seconds, named):
    (line,) = announced(seconds * 1e9 / FLOPS)
    assert named in line and "num_candidates=64" in line and "\n" not in line


def test_short_scoring_and_none_is_not():
    assert announced(599 * 1e9 / FLOPS) == []
    assert announced(1e30, (), bc.Config()) == []


def test_the_machine_computes_something():
    assert candidate_time.measured_rate() > 1e6
