"""What every registered algorithm must do; a new one is picked up by itself."""

import dataclasses
import functools
import inspect
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithm as protocol
from gem_jax import algorithms, errors, sampling
from gem_jax.testing import fakes, recording
from gem_jax.training import checkpoint, loop

SMALL = {
    "num_steps": 6,
    "batch_size": 8,
    "hidden_sizes": (16, 16),
    "behavior_steps": 4,
    "behavior_batch_size": 8,
    "num_candidates": 5,
    "behavior_held_out": 2,
    "num_critics": 3,
    "num_components": 2,
    "behavior_components": 2,
    "biased_epochs": 1,
    "uniform_epochs": 1,
    "em_epochs": 2,
    "critic_steps": 6,
    "value_epochs": 1,
    "improve_epochs": 2,
    "chunk_size": 16,
}


def small_config(name, **changes):
    config_class = algorithms.config_class(name)
    known = {field.name for field in dataclasses.fields(config_class)}
    values = {key: value for key, value in SMALL.items() if key in known}
    return config_class(**values | changes)


@pytest.fixture(params=sorted(algorithms.ALGORITHMS))
def name(request):
    return request.param


@pytest.fixture
def algorithm(name):
    return algorithms.make(name, small_config(name), fakes.SPEC)


def signature(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_unequal(a, b):
    assert not all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


def assert_close(a, b):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5), a, b
    )


def places(tree):
    """For each leaf its path, the names on that path, and the leaf."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        text = jax.tree_util.keystr(path, simple=True, separator="/")
        yield text, set(text.split("/")), leaf


def batch_of(phase, state, key):
    """A batch as the loop would hand it to an update of the phase."""
    dataset = fakes.random_transitions(key)
    _, extras = phase.prepare(state, key, dataset)
    dataset = dataset._replace(extras={**dataset.extras, **extras})
    return phase.sample(key, dataset, 8, step=0)


def train(algorithm, seeds, *, state=None, start_step=0, end_step=None, chunk_size=2):
    keys = loop.seed_keys(seeds)
    dataset = fakes.random_transitions(jax.random.key(7))
    state = loop.init(algorithm, keys) if state is None else state
    place = dict(start_step=start_step, chunk_size=chunk_size)
    chunks = loop.run(algorithm, keys, dataset, state, **place)
    return recording.keep(chunks, end_step)


@functools.cache
def whole_run(name):
    """The chunks of seed 0, never interrupted."""
    return train(algorithms.make(name, small_config(name), fakes.SPEC), [0])


@functools.cache
def updates(name):
    """Each phase and its update, jitted; a second trace is an error."""
    phases = algorithms.make(name, small_config(name), fakes.SPEC).phases
    return [(phase, jitted_once(phase.update)) for phase in phases]


def jitted_once(update):
    """``update`` under jit; phases may share a function, so each counts by itself."""
    traces = []

    def counted(state, key, batch):
        traces.append(None)
        assert len(traces) == 1, "traced again"
        return update(state, key, batch)

    return jax.jit(counted)


def test_init_is_a_function_of_the_key(algorithm, key):
    first, second = algorithm.init(key), algorithm.init(key)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(first))
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(first))
    assert_equal(first, second)
    assert_unequal(first, algorithm.init(jax.random.key(1)))


def test_update_keeps_the_structure(algorithm, key):
    state = algorithm.init(key)
    for phase in algorithm.phases:
        batch = batch_of(phase, state, key)
        after = jax.eval_shape(phase.update, state, key, batch)[0]
        chex.assert_trees_all_equal_shapes_and_dtypes(after, state)


def test_updates_count_and_do_not_retrace(algorithm, name, key):
    state = algorithm.init(key)
    for phase, update in updates(name):
        batch = batch_of(phase, state, key)
        for _ in range(3):
            step = state.step
            state, _ = update(state, key, batch)
            assert state.step == step + 1


def test_metrics_are_finite_scalars_with_names(algorithm, name, key):
    state = algorithm.init(key)
    for phase, update in updates(name):
        batch = batch_of(phase, state, key)
        state, first = update(state, key, batch)
        state, second = update(state, key, batch)
        assert first.keys() == second.keys()
        for metric, value in first.items():
            assert metric.count("/") == 1
            assert value.shape == () and np.isfinite(value)
            assert np.isfinite(second[metric])


def test_arguments_are_named_as_in_the_protocol(algorithm):
    def names(function):
        return list(inspect.signature(function).parameters)

    def of_protocol(cls):
        return names(cls.__call__)[1:]

    assert names(algorithm.init) == of_protocol(protocol.InitFn)
    assert names(algorithm.act) == of_protocol(protocol.ActFn)
    for phase in algorithm.phases:
        assert names(phase.update) == of_protocol(protocol.UpdateFn)
        assert names(phase.prepare) == of_protocol(protocol.PrepareFn)
        assert names(phase.sample) == of_protocol(protocol.SampleFn)
        if phase.refresh:
            assert names(phase.refresh) == of_protocol(protocol.RefreshFn)
            assert 1 <= phase.refresh_every <= phase.num_steps


def test_act_is_bounded_repeatable_and_blind_to_neighbours(algorithm, key):
    params = algorithm.actor_params(algorithm.init(key))
    act = jax.jit(protocol.batched_act(algorithm.act))

    def act_on(observations):
        size = len(observations)
        keys = jax.random.split(key, 32)[:size]
        return act(params, keys, observations, jnp.arange(size), algorithm.knobs)

    observations = 10.0 * jax.random.normal(key, (8, 3))
    output = act_on(observations)
    assert output.action.shape == (8, 2)
    assert np.abs(output.action).max() <= 1.0
    assert all(value.shape == (8,) for value in output.audit.values())
    assert_equal(output, act_on(observations))
    fewer = act_on(observations[:3])
    np.testing.assert_allclose(fewer.action, output.action[:3], rtol=1e-5, atol=1e-6)


def test_acting_reads_neither_optimizers_nor_state_values(algorithm, key):
    state = algorithm.init(key)
    unread = {"opt_state", "value"}
    leaves = [leaf + 1 if names & unread else leaf for _, names, leaf in places(state)]
    other = jax.tree.unflatten(jax.tree.structure(state), leaves)
    assert_unequal(other, state)
    assert_equal(algorithm.actor_params(other), algorithm.actor_params(state))
    for path, names, _ in places(algorithm.actor_params(state)):
        assert not names & unread, path


def test_a_phase_changes_the_components_its_metrics_name(algorithm, name, key):
    state = algorithm.init(key)
    before = {path: leaf for path, _, leaf in places(state)}
    for phase, update in updates(name):
        after, metrics = update(state, key, batch_of(phase, state, key))
        claimed = {metric.split("/")[0] for metric in metrics}
        moved = set()
        for path, names, leaf in places(after):
            owners = claimed & {name.removeprefix("target_") for name in names}
            if not np.array_equal(leaf, before[path]):
                assert owners or path == "step", path
                moved |= owners
        assert moved == claimed


def test_resume_inside_each_phase_is_bit_exact(algorithm, name, tmp_path):
    whole = whole_run(name)
    inside = [chunk for chunk in whole if chunk.phase_step == 2]
    assert len(inside) == len(algorithm.phases)
    keys = loop.seed_keys([0])
    like = jax.eval_shape(lambda: loop.init(algorithm, keys))
    for chunk in inside:
        assert not chunk.phase_done
        with checkpoint.open_store(tmp_path, {"config": 1}) as store:
            checkpoint.save(store, chunk.step, chunk.state)
            restored = checkpoint.restore(store, like)
        assert restored.step == chunk.step
        assert_equal(restored.state, chunk.state)
        # To the end of the phase; from there on both are the same run.
        end = next(c for c in whole if c.phase == chunk.phase and c.phase_done)
        rest = train(
            algorithm,
            [0],
            state=restored.state,
            start_step=restored.step,
            end_step=end.step,
        )
        assert_equal(rest[-1].state, end.state)


def test_a_seed_beside_another_equals_the_seed_alone(algorithm, name):
    together = train(algorithm, [3, 0])[-1].state
    alone = whole_run(name)[-1].state
    assert_close(jax.tree.map(lambda leaf: leaf[1:], together), alone)


def test_chunk_size_does_not_matter(algorithm, name):
    phases_at_once = train(algorithm, [0], chunk_size=100)[-1].state
    assert_close(phases_at_once, whole_run(name)[-1].state)


def test_normalizer_is_fitted_to_the_data(name):
    data = fakes.random_transitions(jax.random.key(7))
    np.testing.assert_allclose(
        whole_run(name)[-1].state.normalizer.mean[0],
        data.observation.mean(0),
        rtol=1e-4,
        atol=1e-6,
    )


def test_bad_settings_name_the_field(name):
    with pytest.raises(ValueError, match="num_steps must be positive"):
        small_config(name, num_steps=0)


def test_no_setting_may_be_infinite_or_nan(name):
    for field in dataclasses.fields(small_config(name)):
        value = getattr(small_config(name), field.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            for bad in (math.inf, -math.inf, math.nan):
                with pytest.raises(ValueError, match=rf"\b{field.name}\b"):
                    small_config(name, **{field.name: bad})


def test_another_algorithms_config_is_refused(name):
    @dataclasses.dataclass
    class Foreign:
        pass

    with pytest.raises(TypeError, match=name):
        algorithms.make(name, Foreign(), fakes.SPEC)


def test_unknown_algorithm_lists_the_known():
    with pytest.raises(errors.UserError, match="bc, empo, gem, iql, td3_bc"):
        algorithms.config_class("sac")


def test_uniform_sampling_covers_the_dataset(key):
    dataset = fakes.random_transitions(key, 10)._replace(reward=jnp.arange(10.0))
    batch = sampling.uniform(key, dataset, 500, step=0)
    assert set(np.asarray(batch.reward).tolist()) == set(range(10))
    row = int(batch.reward[0])
    np.testing.assert_array_equal(batch.observation[0], dataset.observation[row])
