"""What every registered algorithm must do; a new one is picked up by itself."""

import dataclasses
import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithm as protocol
from gem_jax import algorithms, errors
from gem_jax.testing import fakes
from gem_jax.training import checkpoint, loop, sampling

SMALL = {
    "num_steps": 6,
    "batch_size": 8,
    "hidden_sizes": (16, 16),
    "behavior_steps": 4,
    "behavior_batch_size": 8,
    "num_candidates": 5,
    "num_critics": 3,
    "num_components": 2,
    "behavior_components": 2,
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


def train(algorithm, seeds, *, state=None, start_step=0, stop=None, chunk_size=2):
    keys = loop.seed_keys(seeds)
    dataset = fakes.random_transitions(jax.random.key(7))
    state = loop.init(algorithm, keys) if state is None else state
    chunks = []
    for chunk in loop.run(
        algorithm, keys, dataset, state, start_step=start_step, chunk_size=chunk_size
    ):
        chunks.append(chunk._replace(state=jax.device_get(chunk.state)))
        if chunk.step == stop:
            break
    return chunks


def test_init_is_a_function_of_the_key(algorithm, key):
    first, second = algorithm.init(key), algorithm.init(key)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(first))
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(first))
    assert_equal(first, second)
    other = algorithm.init(jax.random.key(1))
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True)
    )


def test_update_keeps_the_structure_and_counts(algorithm, key):
    batch = fakes.random_transitions(key, 8)
    state = algorithm.init(key)
    for phase in algorithm.phases:
        after = jax.eval_shape(phase.update, state, key, batch)[0]
        chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
        assert phase.update(state, key, batch)[0].step == state.step + 1


def test_second_update_does_not_retrace(algorithm, key):
    batch = fakes.random_transitions(key, 8)
    state = algorithm.init(key)
    for phase in algorithm.phases:
        chex.clear_trace_counter()
        update = jax.jit(chex.assert_max_traces(phase.update, n=1))
        for _ in range(3):
            state, _ = update(state, key, batch)


def test_metrics_are_finite_scalars_with_names(algorithm, key):
    batch = fakes.random_transitions(key, 8)
    state = algorithm.init(key)
    for phase in algorithm.phases:
        state, first = phase.update(state, key, batch)
        state, second = phase.update(state, key, batch)
        assert first.keys() == second.keys()
        for metric, value in first.items():
            assert metric.count("/") == 1
            assert value.shape == () and np.isfinite(value)


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


def act_on(algorithm, params, observations, key):
    size = len(observations)
    keys = jax.random.split(key, 32)[:size]
    steps = jnp.zeros(size, jnp.int32)
    act = jax.jit(protocol.batched_act(algorithm.act))
    return act(params, keys, observations, steps, algorithm.knobs)


def test_act_is_bounded_repeatable_and_blind_to_neighbours(algorithm, key):
    params = algorithm.actor_params(algorithm.init(key))
    observations = 10.0 * jax.random.normal(key, (8, 3))
    output = act_on(algorithm, params, observations, key)
    assert output.action.shape == (8, 2)
    assert np.abs(output.action).max() <= 1.0
    assert all(value.shape == (8,) for value in output.audit.values())
    assert_equal(output, act_on(algorithm, params, observations, key))
    fewer = act_on(algorithm, params, observations[:3], key)
    np.testing.assert_allclose(fewer.action, output.action[:3], rtol=1e-5, atol=1e-6)


def test_actor_params_hold_no_optimizer_state(algorithm, key):
    state = algorithm.init(key)
    params = algorithm.actor_params(state)
    assert len(jax.tree.leaves(params)) < len(jax.tree.leaves(state))


def test_resume_is_bit_exact_through_the_checkpoint(algorithm, tmp_path):
    whole = train(algorithm, [0])
    half_step = whole[len(whole) // 2 - 1].step
    half = train(algorithm, [0], stop=half_step)[-1]
    keys = loop.seed_keys([0])
    like = jax.eval_shape(lambda: loop.init(algorithm, keys))
    with checkpoint.open_store(tmp_path, {"config": 1}) as store:
        checkpoint.save(store, half.step, half.state)
        restored = checkpoint.restore(store, like)
    assert_equal(restored.state, half.state)
    rest = train(algorithm, [0], state=restored.state, start_step=half.step)
    assert_equal(rest[-1].state, whole[-1].state)


def test_seeds_side_by_side_equal_seeds_alone(algorithm):
    together = train(algorithm, [3, 5])[-1].state
    for index, seed in enumerate([3, 5]):
        alone = train(algorithm, [seed])[-1].state
        jax.tree.map(
            lambda a, b, index=index: np.testing.assert_allclose(
                a[index], b[0], rtol=2e-4, atol=2e-5
            ),
            together,
            alone,
        )


def test_chunk_size_does_not_matter(algorithm):
    assert_equal(
        train(algorithm, [0], chunk_size=1)[-1].state,
        train(algorithm, [0], chunk_size=1)[-1].state,
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
        train(algorithm, [0], chunk_size=1)[-1].state,
        train(algorithm, [0], chunk_size=4)[-1].state,
    )


def test_normalizer_is_fitted_to_the_data(algorithm):
    state = train(algorithm, [0])[-1].state
    data = fakes.random_transitions(jax.random.key(7))
    np.testing.assert_allclose(
        state.normalizer.mean[0], data.observation.mean(0), rtol=1e-4, atol=1e-6
    )


def test_bad_settings_name_the_field(name):
    with pytest.raises(ValueError, match="num_steps must be positive"):
        small_config(name, num_steps=0)


def test_another_algorithms_config_is_refused(name):
    @dataclasses.dataclass
    class Foreign:
        pass

    with pytest.raises(TypeError, match=name):
        algorithms.make(name, Foreign(), fakes.SPEC)


def test_unknown_algorithm_lists_the_known():
    with pytest.raises(errors.UserError, match="bc, gem, iql"):
        algorithms.config_class("sac")


def test_uniform_sampling_covers_the_dataset(key):
    dataset = fakes.random_transitions(key, 10)._replace(reward=jnp.arange(10.0))
    batch = sampling.uniform(key, dataset, 500)
    assert set(np.asarray(batch.reward).tolist()) == set(range(10))
    row = int(batch.reward[0])
    np.testing.assert_array_equal(batch.observation[0], dataset.observation[row])
