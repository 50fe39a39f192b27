"""Decision Transformer against float64 NumPy: windows, gradient steps and acting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import comparison, descent, transformer

from gem_jax import policy
from gem_jax.algorithms import dt
from gem_jax.testing import fakes
from gem_jax.types import Transition

HEADS, CONTEXT, ROWS = 2, 3, 6
CONFIG = dt.Config(
    context=CONTEXT,
    num_times=7,
    width=4,
    num_layers=2,
    num_heads=HEADS,
    attention_dropout=0.0,
    residual_dropout=0.0,
    embedding_dropout=0.0,
    learning_rate=0.004,
    warmup_steps=2,
    weight_decay=0.2,
    max_grad_norm=0.1,
    reward_scale=0.5,
    target_return=4.0,
)
LENGTHS = (4, 1, 2, 7)


@pytest.fixture(scope="module")
def algorithm():
    return dt.make(CONFIG, comparison.SPEC)


@pytest.fixture(scope="module")
def state(algorithm):
    return comparison.start(algorithm)


def recorded():
    """Trajectories of several lengths, one of them shorter than a window."""
    rng, size = np.random.default_rng(5), sum(LENGTHS)
    rows = Transition(
        observation=rng.normal(size=(size, 3)),
        action=rng.uniform(-1, 1, (size, 2)),
        reward=rng.normal(size=size),
        next_observation=rng.normal(size=(size, 3)),
        terminal=np.zeros(size),
    )
    rows = jax.tree.map(lambda leaf: leaf.astype(np.float32), rows)
    episode = np.repeat(np.arange(len(LENGTHS)), LENGTHS).astype(np.int32)
    return rows._replace(extras={"episode": episode})


def windows(rows, firsts):
    """What the network sees and what counts, `[B, K, ...]`, written out."""
    seen = [np.zeros((ROWS, CONTEXT, *shape)) for shape in ((), (3,), (2,))]
    time, valid = np.zeros((ROWS, CONTEXT), int), np.zeros((ROWS, CONTEXT))
    begins = np.cumsum((0, *LENGTHS))
    for b, first in enumerate(firsts):
        (begin,) = begins[:-1][(begins[:-1] <= first) & (first < begins[1:])]
        end = begins[begins > first][0]
        for k in range(min(CONTEXT, end - first)):
            i = first + k
            seen[0][b, k] = 0.5 * rows.reward[i:end].astype(np.float64).sum()
            seen[1][b, k], seen[2][b, k] = rows.observation[i], rows.action[i]
            time[b, k], valid[b, k] = i - begin, 1
    return (*seen, time), valid


def test_updates(algorithm, state):
    rows, (phase,) = recorded(), algorithm.phases
    oracle = descent.Adam(state.actor.params)

    @jax.jit
    def step(state, key, dataset):
        state, extras = phase.prepare(state, key, dataset)
        dataset = dataset._replace(extras={**dataset.extras, **extras})
        return phase.update(state, key, phase.sample(key, dataset, ROWS, 0), 0)

    for number, rate in enumerate((0.002, 0.004, 0.004)):
        key = jax.random.key(number)
        firsts = np.asarray(jax.random.randint(key, (ROWS, 1), 0, sum(LENGTHS)))[:, 0]
        inputs, valid = windows(rows, firsts)
        assert 0 < valid.mean() < 1

        def loss(params, inputs=inputs, valid=valid):
            error = transformer.actions(params, *inputs, HEADS) - inputs[2]
            return (valid[..., None] * error**2).mean()

        expected = {"actor/loss": loss(oracle.params)}
        oracle.descend(loss, rate, max_norm=0.1, decay=0.2)
        assert oracle.shrunk
        state, metrics = step(state, key, rows)
        comparison.assert_metrics(metrics, expected)
        take_over_key_biases(oracle.params, state.actor.params["params"])
        comparison.assert_learned(state.actor, oracle)


def take_over_key_biases(params, found):
    """What all keys share changes no weight of the attention: its gradient is rounding
    alone, whose sign is all that Adam leaves of it."""
    for name in ("Block_0", "Block_1"):
        own, other = (
            tree[name]["CausalAttention_0"]["Dense_0"]["bias"]
            for tree in (params, found)
        )
        own[4:8] = other[4:8]


def test_acting_by_memory_is_the_network_on_the_last_steps(algorithm, state):
    """Two episodes side by side, longer than the window; then one anew."""
    params, steps = state.actor.params, 5
    oracle = descent.float64(params)
    rng = np.random.default_rng(0)
    observations, rewards = rng.normal(size=(steps, 2, 3)), rng.normal(size=(steps, 2))
    asked = policy.bind(algorithm, fakes.policy_params(params))
    for target in (4.0, -3.0):
        acts = asked.with_knobs(target_return=target)
        memory = acts.init_memory(2)
        to_go, done = [np.full(2, 0.5 * target)], []
        last = {}
        for t in range(steps):
            output, memory = acts.take_step(
                *(jax.random.key(t), memory, observations[t], np.full(2, t)), **last
            )
            last = dict(last_action=output.action, last_reward=rewards[t])
            begin = max(0, t + 1 - CONTEXT)
            window = (
                np.stack(to_go[begin:], 1),
                np.swapaxes(observations[begin : t + 1], 0, 1),
                np.stack([*done[begin:], np.full((2, 2), 9.0)], 1),  # not known yet
                np.tile(np.arange(begin, t + 1), (2, 1)),
            )
            expected = transformer.actions(oracle, *window, HEADS)
            np.testing.assert_allclose(output.action, expected[:, -1], 1e-5, 1e-5)
            to_go.append(to_go[-1] - 0.5 * rewards[t])
            done.append(np.asarray(output.action, np.float64))


def test_later_steps_of_an_episode_share_the_last_embedding(algorithm, state):
    acts = policy.bind(algorithm, fakes.policy_params(state.actor.params))

    def first(t):
        output, _ = acts.take_step(
            jax.random.key(0), acts.init_memory(1), jnp.ones((1, 3)), [t]
        )
        return np.asarray(output.action)

    np.testing.assert_array_equal(first(6), first(900))
    assert np.abs(first(5) - first(6)).max() > 1e-4
