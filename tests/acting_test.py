"""One state or many, with memory or without: the same actions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import acting, algorithms, errors, inference, policy
from gem_jax.algorithms import gem
from gem_jax.testing import fakes
from gem_jax.types import ActOutput


@pytest.mark.parametrize("rows", [1, 5, 9])
def test_rows_by_blocks_are_rows_at_once(key, rows):
    # Four rows of 61 candidates fill a chunk.
    config = gem.Config(hidden_sizes=(8, 8), num_critics=2, num_candidates=60)
    algorithm = algorithms.make("gem", config, fakes.SPEC)
    params = fakes.policy_params(algorithm.actor_params(algorithm.init(key)))
    observation = jax.random.normal(key, (rows, fakes.SPEC.observation_size))
    got = policy.bind(algorithm, params).act(key, observation, jnp.arange(rows))
    step = jax.jit(acting.make_step(algorithm))
    for i in range(rows):
        seen = acting.Seen(observation[i], jnp.int32(i))
        row_key = jax.random.fold_in(key, i)
        expected, _ = step(params, row_key, (), seen, algorithm.knobs)
        np.testing.assert_allclose(got.action[i], expected.action, 1e-4, 1e-5)
        for name, value in expected.audit.items():
            np.testing.assert_allclose(got.audit[name][i], value, 1e-4, 1e-5)


@pytest.mark.parametrize("count", [None, 0, 1, 4, 5, 10])
@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_the_first_rows_are_computed_whatever_their_number(count, size):
    rows = {"x": jnp.arange(10.0), "y": jnp.ones((10, 2))}

    @jax.jit
    def run(count):
        def one(row):
            return 2.0 * row["x"], row["y"].sum()

        return acting.map_rows(one, rows, size, count)

    doubled, sums = run(count)
    wanted = 10 if count is None else count
    np.testing.assert_array_equal(doubled[:wanted], 2.0 * np.arange(wanted))
    np.testing.assert_array_equal(sums[:wanted], [2.0] * wanted)


@pytest.mark.parametrize("name", algorithms.names())
def test_algorithms_without_candidates_are_batched_too(key, name):
    algorithm = algorithms.make(name, algorithms.config_class(name)(), fakes.SPEC)
    params = jax.eval_shape(
        lambda k: fakes.policy_params(algorithm.actor_params(algorithm.init(k))), key
    )
    last = jnp.zeros((300, 2)), jnp.zeros(300)
    seen = acting.Seen(jnp.zeros((300, 3)), jnp.zeros(300), *last)
    acts = policy.bind(algorithm, params)
    before = jax.eval_shape(lambda: acts.init_memory(300))
    inputs = params, key, before, seen, algorithm.knobs
    output, memory = jax.eval_shape(acts.batched, *inputs)
    assert output.action.shape == (300, 2) and memory == before
    assert algorithm.observe or memory == ()


def test_rows_on_an_accelerator_share_its_chunk(key, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    shapes = []

    def act(params, key, observation, t, knobs):
        def score(candidates):
            shapes.append(candidates.shape)
            return candidates[:, 0] * observation[0]

        candidates = jnp.zeros((knobs.set_size, 2))
        scores = inference.map_chunks(score, candidates, knobs.chunk_size)
        return ActOutput(candidates[jnp.argmax(scores)], {})

    params = fakes.policy_params(())
    batched = policy.bind(fakes.acts_by(act), params).batched
    seen = acting.Seen(jnp.ones((4, 3)), jnp.zeros(4))
    for chunk_size in (0, 50_000):
        knobs = inference.Knobs(num_candidates=99_999, chunk_size=chunk_size)
        jax.eval_shape(batched, params, key, (), seen, knobs)
    # 65,536 candidates over four rows; what the caller asks for is for each row.
    assert set(shapes) == {(100_000 // 7 + 1, 2), (50_000, 2)}


def test_a_policy_with_memory_sees_actions_and_rewards_of_its_own_rows(key):
    remembering = policy.bind(fakes.remembers(), fakes.policy_params(0.0))
    memory = remembering.init_memory(2)
    observation = np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    output, memory = remembering.take_step(key, memory, observation)
    np.testing.assert_array_equal(memory.observation, observation)
    np.testing.assert_array_equal(output.audit["rewards"], [0.0, 0.0])
    output, memory = remembering.take_step(
        *(key, memory, observation + 1.0, [1, 1]),
        last_action=[[0.5, 0.25], [-1.0, 0.0]],
        last_reward=[3.0, 4.0],
    )
    np.testing.assert_array_equal(output.audit["rewards"], [3.0, 4.0])
    np.testing.assert_array_equal(output.audit["actions"], [0.75, -1.0])
    np.testing.assert_array_equal(output.audit["late"], [0.0, 0.0])
    np.testing.assert_array_equal(memory.observation, observation)


def test_a_policy_with_memory_is_not_asked_without_it(key):
    remembering = policy.bind(fakes.remembers(), fakes.policy_params(0.0))
    with pytest.raises(errors.UserError, match="use init_memory and take_step"):
        remembering.act(key, np.zeros((1, 3)))
    with pytest.raises(errors.UserError, match=r"last_reward must be \[1\], got"):
        memory = remembering.init_memory(1)
        remembering.take_step(key, memory, np.zeros((1, 3)), last_reward=[1, 2])


def test_a_bad_row_is_not_remembered(key):
    remembering = policy.bind(fakes.remembers(), fakes.policy_params(0.0))
    start, good = remembering.init_memory(2), np.ones((2, 3))
    bad = good.copy()
    bad[1, 0] = np.nan
    output, memory = remembering.take_step(key, start, bad)
    np.testing.assert_array_equal(output.audit["bad_observation"], [0.0, 1.0])
    np.testing.assert_array_equal(memory.steps, [1.0, 0.0])
    output, _ = remembering.take_step(key, memory, good, [1, 0])
    np.testing.assert_array_equal(output.audit["bad_action"], [0.0, 0.0])


@pytest.mark.parametrize("size", [1, 3])
def test_memory_of_other_episodes_is_refused(key, size):
    remembering = policy.bind(fakes.remembers(), fakes.policy_params(0.0))
    for memory in (remembering.init_memory(size), ()):
        with pytest.raises(errors.UserError, match="memory is not that of 2 episode"):
            remembering.take_step(key, memory, np.zeros((2, 3)))


def test_diagnostics_are_those_of_the_algorithm(key):
    assert policy.bind(fakes.remembers(), fakes.policy_params(0.0)).diagnostics == (
        *("actions", "late", "rewards"),
    )


def test_a_policy_without_memory_takes_steps_too(key):
    algorithm = algorithms.make("bc", algorithms.tiny_config("bc"), fakes.SPEC)
    params = fakes.policy_params(algorithm.actor_params(algorithm.init(key)))
    plain, observation = policy.bind(algorithm, params), np.ones((2, 3))
    output, memory = plain.take_step(key, plain.init_memory(2), observation)
    assert memory == ()
    np.testing.assert_array_equal(output.action, plain.act(key, observation).action)
