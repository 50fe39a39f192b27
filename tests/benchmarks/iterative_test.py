"""A method with steps and candidates and without an ensemble of critics."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import pytest

from benchmarks.latency import measure as latency_measure
from benchmarks.latency import plot as latency_plot
from benchmarks.latency import settings as latency_settings
from gem_jax import algorithms, configs
from gem_jax.algorithm import Algorithm
from gem_jax.runs import candidate_memory
from gem_jax.types import ActOutput


@dataclasses.dataclass(frozen=True)
class Config:
    """Nothing to set."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knobs:
    """T and N."""

    num_candidates: int = dataclasses.field(default=1, metadata={"static": True})
    sampling_steps: int = dataclasses.field(default=5, metadata={"static": True})

    def validate(self):
        """Any will do."""


def make(config, spec):
    del config

    def act(params, key, observation, t, knobs):
        del observation, t
        tried = jax.random.normal(key, (knobs.num_candidates, spec.action_size))
        for _ in range(knobs.sampling_steps):
            tried = tried * params
        return ActOutput(tried[0], {})

    return Algorithm(
        spec, lambda key: jnp.ones(()), (), lambda state: state, act, Knobs()
    )


@pytest.fixture
def settings(monkeypatch):
    module = types.SimpleNamespace(Config=Config, make=make, TINY={})
    monkeypatch.setitem(algorithms._registered, "fake", module)
    monkeypatch.setattr(configs, "get_config", lambda *_: Config())
    knobs = {"num_candidates": [4, 8], "sampling_steps": [10, 20], "chunk_size": [0]}
    shared = {"preset": "smoke", "workdir": None, "calls": 2, "seconds": 0.0}
    return latency_settings.grid(
        ["fake"], knobs, batch_sizes=[3], env="maze2d-umaze-v1", **shared
    )


def test_it_takes_its_own_knobs_and_has_no_bare_critics(settings):
    assert [tuple(setting.knobs.values()) for setting in settings] == [
        *((4, 10), (4, 20), (8, 10), (8, 20))
    ]
    policy, config = latency_measure.make_policy(settings[3])
    assert policy.knobs == Knobs(num_candidates=8, sampling_steps=20)
    assert latency_measure.bare_critics(policy, config, settings[3], 10**12) == {}
    # Three rows of eight candidates with two numbers each, kept five times, and four.
    needed = candidate_memory.estimate(
        policy.knobs, config, policy.spec, 3, on_cpu=True
    )
    assert needed == 4 * 3 * 8 * (5 * 2 + 4)


def test_settings_that_differ_in_steps_are_lines_of_their_own(settings):
    sizes = dict.fromkeys(("argument_bytes", "output_bytes", "temporary_bytes"), 1)
    rows = [dataclasses.asdict(setting) | sizes | {"p50": 1.0} for setting in settings]
    lines = latency_plot.draw(rows, "title").axes[0].get_lines()
    assert [(line.get_label(), list(line.get_xdata())) for line in lines] == [
        ("fake, batch 3, sampling_steps 10", [4, 8]),
        ("fake, batch 3, sampling_steps 20", [4, 8]),
    ]
