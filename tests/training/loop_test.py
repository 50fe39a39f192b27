"""The loop: chunks, phases, prepare, and the rate against a bare scan's work."""

import dataclasses
import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithm as protocol
from gem_jax import algorithms, sampling
from gem_jax.testing import fakes, recording
from gem_jax.training import loop
from gem_jax.types import ActOutput
from gem_jax.utils import compilation


@flax.struct.dataclass
class Counter:
    total: jax.Array
    extra: jax.Array


def make_counting_algorithm(traces):
    """Two phases that add up what they see; the second attaches an array."""

    def init(key):
        del key
        zero = jnp.zeros(())
        return Counter(zero, zero)

    def prepare(state, key, dataset):
        del key
        return state, {"label": jnp.full(dataset.reward.shape, 2.0) + state.total * 0}

    def add(amount):
        def update(state, key, batch, step):
            traces.append(None)
            extra = batch.extras.get("label", jnp.zeros(batch.reward.shape))
            state = dataclasses.replace(
                state,
                total=state.total + amount,
                extra=state.extra + extra.mean(),
            )
            return state, {
                "sum/total": state.total,
                "draw/key": jax.random.uniform(key),
                "draw/batch": batch.observation.sum(),
                "phase/step": step,
            }

        return update

    def act(params, key, observation, t, knobs):
        del params, key, t, knobs
        return ActOutput(observation[:2] * 0, {})

    phases = (
        protocol.Phase("one", 5, 4, add(1.0)),
        protocol.Phase("two", 3, 4, add(10.0), prepare),
    )
    return protocol.Algorithm(fakes.SPEC, init, phases, lambda state: (), act)


@functools.cache
def counting_algorithm():
    """That of all tests here which do not count its traces: they share its programs."""
    return make_counting_algorithm([])


def run(steps_per_dispatch, start_step=0, state=None, algorithm=None):
    algorithm = algorithm or counting_algorithm()
    keys = loop.seed_keys([0, 1])
    dataset = fakes.random_transitions(jax.random.key(0))
    state = loop.init(algorithm, keys) if state is None else state
    place = dict(start_step=start_step, steps_per_dispatch=steps_per_dispatch)
    return recording.keep(loop.run(algorithm, keys, dataset, state, **place))


def test_chunks_follow_the_phases():
    traces = []
    chunks = run(2, algorithm=make_counting_algorithm(traces))
    assert [(c.phase, c.step, c.phase_step) for c in chunks] == [
        ("one", 2, 2),
        ("one", 4, 4),
        ("one", 5, 5),
        ("two", 7, 2),
        ("two", 8, 3),
    ]
    assert [c.phase_done for c in chunks] == [False, False, True, False, True]
    assert len(traces) == 4  # two phases, two lengths each, seeds in one program


def test_metrics_are_those_of_every_update_for_each_seed():
    chunks = run(5)
    np.testing.assert_allclose(chunks[0].metrics["sum/total"], [[1, 2, 3, 4, 5]] * 2)
    np.testing.assert_allclose(chunks[1].metrics["sum/total"], [[15, 25, 35]] * 2)


def test_steps_are_counted_by_phase_and_over_all():
    chunks = run(2)
    counted = np.concatenate([chunk.metrics["phase/step"] for chunk in chunks], axis=1)
    np.testing.assert_array_equal(counted, [[0, 1, 2, 3, 4, 0, 1, 2]] * 2)
    assert [chunk.state.step.tolist() for chunk in chunks] == [
        [chunk.step] * 2 for chunk in chunks
    ]


@pytest.mark.parametrize("enabled", [True, False])
def test_observations_are_normalized_by_the_loop(enabled):
    data = fakes.random_transitions(jax.random.key(0))
    data = data._replace(observation=3.0 * data.observation + 5.0)
    seen, fitted = loop.normalized(data, enabled=enabled)
    rows = np.asarray(data.observation, np.float64)
    mean, scale = (rows.mean(0), rows.std(0) + 1e-3) if enabled else (0.0, 1.0)
    for name in ("observation", "next_observation"):
        expected = (np.asarray(getattr(data, name), np.float64) - mean) / scale
        np.testing.assert_allclose(getattr(seen, name), expected, rtol=1e-5, atol=1e-6)
    algorithm = counting_algorithm()._replace(normalize_observations=enabled)
    keys = loop.seed_keys([0, 1])
    *_, last = loop.run(algorithm, keys, data, loop.init(algorithm, keys))
    for found, one in zip(last.state.normalizer, fitted, strict=True):
        np.testing.assert_array_equal(found, np.stack([one] * 2))


@pytest.mark.parametrize("metric", ["draw/key", "draw/batch"])
def test_every_step_of_every_seed_draws_anew(metric):
    chunks = run(1)
    draws = np.concatenate([chunk.metrics[metric] for chunk in chunks])
    assert len(np.unique(draws)) == 2 * 8


def test_a_seed_starts_as_it_would_without_others():
    def init(key):
        return Counter(jax.random.uniform(key), jnp.zeros(()))

    algorithm = counting_algorithm()._replace(init=init)
    beside, alone = (loop.init(algorithm, loop.seed_keys(s)) for s in ([3, 0], [0]))
    np.testing.assert_array_equal(beside.algorithm.total[1:], alone.algorithm.total)
    assert beside.algorithm.total[0] != alone.algorithm.total[0]


def test_what_runs_once_is_compiled_quickly_but_where_the_user_decides(monkeypatch):
    algorithm = algorithms.make("bc", algorithms.tiny_config("bc"), fakes.SPEC)
    keys = loop.seed_keys([0, 1])
    assert compilation.quickly() is None  # the flags of these tests decide
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
    level = "xla_backend_optimization_level"
    assert compilation.quickly() == {level: 1}
    found = loop.init_once(algorithm, keys)
    slowly = jax.jit(loop.init, static_argnums=0, compiler_options={level: 3})
    expected = slowly(algorithm, keys)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compilation.quickly() is None


def test_prepared_arrays_reach_the_batches_of_their_phase_only():
    chunks = run(100)
    np.testing.assert_allclose(chunks[0].state.algorithm.extra, [0.0, 0.0])
    np.testing.assert_allclose(chunks[1].state.algorithm.extra, [6.0, 6.0])
    np.testing.assert_allclose(chunks[1].state.algorithm.total, [35.0, 35.0])


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_what_is_prepared_alike_for_all_seeds_is_kept_once(seeds):
    def prepare(state, key, dataset):
        drawn = jax.random.uniform(key, dataset.reward.shape)
        own = dataset.reward + state.total
        return state, {"same": 2.0 * dataset.reward, "drawn": drawn, "own": own}

    algorithm = counting_algorithm()
    phase = algorithm.phases[1]._replace(prepare=prepare)
    keys, data = loop.seed_keys(seeds), fakes.random_transitions(jax.random.key(0))
    state = loop.init(algorithm, keys)
    _, dataset, extras = loop.prepare(phase, state, keys, data)
    np.testing.assert_array_equal(dataset.extras["same"], 2.0 * data.reward)
    assert set(extras) == {"drawn", "own"}
    assert all(x.shape == (len(seeds), *data.reward.shape) for x in extras.values())


@pytest.mark.parametrize(
    ("start_step", "steps_per_dispatch", "steps"),
    [(2, 3, [3, 5, 8]), (5, 2, [7, 8]), (6, 2, [7, 8])],
    ids=["first phase", "boundary", "second phase"],
)
def test_a_resumed_run_returns_to_the_grid(start_step, steps_per_dispatch, steps):
    every_step = run(1)
    middle = jax.tree.map(jnp.asarray, every_step[start_step - 1].state)
    chunks = run(steps_per_dispatch, start_step=start_step, state=middle)
    assert [c.step for c in chunks] == steps
    jax.tree.map(np.testing.assert_array_equal, chunks[-1].state, every_step[-1].state)


def test_finished_runs_yield_nothing():
    assert run(2, start_step=8) == []


def make_refreshing_algorithm():
    """Twelve steps of the first phase; a refresh multiplies the total by ten.

    With lists of what is traced and of the steps with a refresh.
    """
    traces, refreshed = [], []
    algorithm = make_counting_algorithm(traces)

    def refresh(state, key, dataset, step):
        jax.debug.callback(lambda step: refreshed.append(int(step)), step)
        drawn = jax.random.uniform(key) + dataset.reward.sum() * 0
        return dataclasses.replace(
            state, total=10 * state.total, extra=state.extra + drawn
        )

    first = algorithm.phases[0]._replace(num_steps=12, refresh=refresh, refresh_every=4)
    phases = first, algorithm.phases[1]
    return algorithm._replace(phases=phases), traces, refreshed


refreshing_algorithm = functools.cache(make_refreshing_algorithm)


def run_refreshing(made, steps_per_dispatch, start_step=0, state=None):
    algorithm, traces, refreshed = made
    refreshed.clear()
    keys = loop.seed_keys([0])
    dataset = fakes.random_transitions(jax.random.key(0))
    state = loop.init(algorithm, keys) if state is None else state
    place = dict(start_step=start_step, steps_per_dispatch=steps_per_dispatch)
    chunks = recording.keep(loop.run(algorithm, keys, dataset, state, **place))
    return chunks, refreshed, traces


@functools.cache
def every_refreshing_step():
    return run_refreshing(refreshing_algorithm(), 1)[0]


@pytest.mark.parametrize(
    ("steps_per_dispatch", "ends"),
    [(3, [3, 4, 7, 8, 11, 12]), (4, [4, 8, 12]), (100, [4, 8, 12])],
)
def test_chunks_end_where_a_refresh_is_due(steps_per_dispatch, ends):
    made = make_refreshing_algorithm()  # traced anew
    chunks, refreshed, traces = run_refreshing(made, steps_per_dispatch)
    assert [c.step for c in chunks if c.phase == "one"] == ends
    assert refreshed == [0, 4, 8]
    assert (
        len(traces) == len({3: [3, 1]}.get(steps_per_dispatch, [4])) + 1
    )  # and phase two
    np.testing.assert_allclose(chunks[len(ends) - 1].state.algorithm.total, [444.0])


@pytest.mark.parametrize(
    ("start_step", "rest"), [(3, [4, 8]), (4, [4, 8]), (6, [8]), (12, [])]
)
def test_a_refresh_happens_once_however_often_one_resumes(start_step, rest):
    whole = every_refreshing_step()
    middle = jax.tree.map(jnp.asarray, whole[start_step - 1].state)
    chunks, refreshed, _ = run_refreshing(refreshing_algorithm(), 3, start_step, middle)
    assert refreshed == rest
    jax.tree.map(np.testing.assert_array_equal, chunks[-1].state, whole[-1].state)


def test_passes_in_order_see_every_row_once():
    dataset = fakes.random_transitions(jax.random.key(0), 10)
    dataset = dataset._replace(reward=jnp.arange(10.0))
    for first in (0, 3, 33):  # a pass has three batches
        batches = [
            sampling.in_order(jax.random.key(0), dataset, 4, first + i)
            for i in range(3)
        ]
        rows = jnp.concatenate([batch.reward for batch in batches])
        weight = jnp.concatenate([batch.extras["weight"] for batch in batches])
        np.testing.assert_array_equal(rows[weight > 0], np.arange(10.0))
        assert weight.sum() == 10 and weight.shape == (12,)
    assert sampling.num_batches(10, 4) == 3 and sampling.num_batches(8, 4) == 2
