"""Decision Transformer's parts: windows, returns to go, what tokens see, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms, errors, sampling
from gem_jax.algorithms import dt
from gem_jax.algorithms.dt import trajectories
from gem_jax.networks.decision_transformer import DecisionTransformer
from gem_jax.ops import returns
from gem_jax.testing import fakes
from gem_jax.types import Transition


def recorded(lengths, rewards=None, terminals=()):
    """A trajectory a length; observations tell the row, actions the trajectory."""
    size, episode = sum(lengths), np.repeat(np.arange(len(lengths)), lengths)
    terminal = np.zeros(size, np.float32)
    terminal[list(terminals)] = 1.0
    return Transition(
        observation=np.arange(size, dtype=np.float32)[:, None] + 1.0,
        action=episode[:, None].astype(np.float32) + 1.0,
        reward=np.asarray(np.ones(size) if rewards is None else rewards, np.float32),
        next_observation=np.zeros((size, 1), np.float32),
        terminal=terminal,
        extras={"episode": episode.astype(np.int32)},
    )


def prepared(dataset, scale=1.0):
    _, extras = jax.jit(trajectories.number(scale))((), jax.random.key(0), dataset)
    return dataset._replace(extras={**dataset.extras, **extras})


def test_returns_to_go_by_hand():
    """The first goes on until it is cut, the second is terminal and goes on anew."""
    rows = recorded((4, 5), [1, 2, 4, 8, 5, 0, -3, 2, 7], terminals=[6])
    extras = prepared(rows, 0.5).extras
    wanted = [15, 14, 12, 8, 2, -3, -3, 9, 7]
    np.testing.assert_allclose(extras["return_to_go"], np.multiply(0.5, wanted))
    np.testing.assert_array_equal(extras["time"], [0, 1, 2, 3, 0, 1, 2, 0, 1])
    np.testing.assert_array_equal(extras["after"], [3, 2, 1, 0, 2, 1, 0, 1, 0])


def test_places_of_a_single_stretch_and_of_single_steps():
    for stop, time in (([0, 0, 1], [0, 1, 2]), ([1, 1, 1], [0, 0, 0])):
        since, until = returns.places(jnp.array(stop, bool))
        np.testing.assert_array_equal(since, time)
        np.testing.assert_array_equal(until, time[::-1])


def test_windows_keep_to_one_trajectory():
    lengths, length = (3, 1, 7, 2, 5, 1, 12), 5
    dataset = jax.device_put(prepared(recorded(lengths)))
    sample = jax.jit(sampling.windows(length), static_argnums=2)
    batch = jax.device_get(sample(jax.random.key(0), dataset, 2000, 0))
    row = batch.observation[..., 0].astype(int) - 1  # -1 where there is no step
    ends = np.cumsum(lengths)
    firsts = row[:, 0]
    # Uniformly drawn: each of 31 rows some 65 times of 2000.
    counts = np.bincount(firsts, minlength=sum(lengths))
    assert len(counts) == 31 and counts.min() > 30 and counts.max() < 110
    end = ends[np.searchsorted(ends, firsts, side="right")]
    ahead = firsts[:, None] + np.arange(length)
    inside = ahead < end[:, None]
    np.testing.assert_array_equal(row, np.where(inside, ahead, -1))
    np.testing.assert_array_equal(batch.extras["valid"], inside)
    # Of one trajectory, in order, and nothing where it has ended.
    for leaf in jax.tree.leaves(batch):
        assert leaf.shape[:2] == (2000, length) and not leaf[~inside].any()
    episode = np.searchsorted(ends, firsts, side="right")
    np.testing.assert_array_equal(
        batch.action[..., 0], np.where(inside, episode[:, None] + 1, 0)
    )
    np.testing.assert_array_equal(
        batch.extras["return_to_go"], np.where(inside, end[:, None] - ahead, 0)
    )


def network(count=3, **changes):
    """A network for windows of as many steps, and parameters at random."""
    settings = dict(width=8, num_layers=2, num_heads=2, num_times=9)
    rates = ("attention_dropout", "residual_dropout", "embedding_dropout")
    settings |= dict.fromkeys(rates, 0.0)
    module = DecisionTransformer(2, **(settings | changes))
    keys = jax.random.split(jax.random.key(0), 3)
    window = (
        jax.random.normal(keys[0], (count,)),
        jax.random.normal(keys[1], (count, 3)),
        jax.random.normal(keys[2], (count, 2)),
        jnp.arange(count),
    )
    shapes = jax.eval_shape(module.init, keys[0], *window)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0.0, 0.5, leaf.shape), jnp.float32), shapes
    )
    return module, params, window


def test_no_prediction_sees_its_action_or_what_comes_later():
    """Each token of each step is changed in turn."""
    count = 4
    module, params, window = network(count)
    places = [(token, step) for token in range(3) for step in range(count)]
    changed = []
    for token, step in places:
        leaves = list(window)
        leaves[token] = leaves[token].at[step].add(1.0)
        changed.append(leaves)
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), list(window), *changed)
    found = np.asarray(jax.jit(module.apply)(params, *batch))
    moved = np.abs(found[1:] - found[0]).max(-1)  # [token and step, prediction]
    for (token, step), row in zip(places, moved, strict=True):
        sees = [step < t or (step == t and token < 2) for t in range(count)]
        np.testing.assert_array_equal(row > 1e-5, sees)
        assert row[~np.array(sees)].max(initial=0.0) < 1e-6


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("attention_dropout", {"own", "blocks"}),
        ("residual_dropout", {"own"}),
        ("embedding_dropout", {"blocks"}),
    ],
)
def test_what_each_dropout_drops(name, sees):
    """Of almost everything: its own state, other tokens, or the blocks are not seen."""
    module, params, window = network(num_layers=1, **{name: 0.9999})
    to_go, observation, action, time = window
    blocks = {"Block_0": jax.tree.map(lambda x: 2 * x, params["params"]["Block_0"])}
    variants = {
        "all": (params, window),
        "own": (params, (to_go, observation.at[-1].add(1.0), action, time)),
        "others": (
            params,
            (to_go + 1.0, observation.at[:-1].add(1.0), action + 1.0, time),
        ),
        "blocks": ({"params": params["params"] | blocks}, window),
    }

    @jax.jit
    def last(params, window):
        key = jax.random.key(0)
        trained = module.apply(params, *window, training=True, rngs={"dropout": key})
        return trained[-1], module.apply(params, *window)[-1]

    found = {key: jax.device_get(last(*pair)) for key, pair in variants.items()}
    whole, acting = found.pop("all")
    assert {k for k, (new, _) in found.items() if np.any(new != whole)} == sees
    assert all(np.any(new != acting) for _, new in found.values())  # none is dropped


def test_updates_drop():
    algorithm = dt.make(algorithms.tiny_config("dt"), fakes.SPEC)
    (phase,), rng = algorithm.phases, np.random.default_rng(0)
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0))
    state = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes
    )
    dataset = prepared(jax.jit(fakes.random_transitions)(jax.random.key(0)))

    @jax.jit
    def loss(key, state, dataset):
        batch = phase.sample(jax.random.key(0), dataset, 4, 0)
        return phase.update(state, key, batch, 0)[1]["actor/loss"]

    first, again, other = (loss(jax.random.key(i), state, dataset) for i in (0, 0, 1))
    assert first == again != other


def test_how_parameters_start():
    module, _, window = network(width=64, num_layers=1)
    params = jax.jit(module.init)(jax.random.key(0), *window)["params"]
    block = params["Block_0"]
    for kernel in (
        params["time"]["embedding"],
        params["observation"]["kernel"],
        block["Dense_0"]["kernel"],
        block["Dense_1"]["kernel"],
        block["CausalAttention_0"]["Dense_1"]["kernel"],
        params["Dense_0"]["kernel"],
    ):
        assert np.std(kernel) == pytest.approx(0.02, rel=0.15)
    # Of queries, keys and contents as one matrix, as in the reference: Xavier's.
    joint = np.asarray(block["CausalAttention_0"]["Dense_0"]["kernel"])
    limit = np.sqrt(6 / (64 + 3 * 64))
    assert 0.95 * limit < np.abs(joint).max() <= limit
    for path, leaf in jax.tree.leaves_with_path(params):
        if "bias" in jax.tree_util.keystr(path):
            assert not np.any(leaf)


def test_heads_divide_the_width():
    with pytest.raises(ValueError, match="width=8 must be a multiple of num_heads=3"):
        dt.Config(width=8, num_heads=3)


def check(dataset, **changes):
    lines = []
    config = algorithms.tiny_config("dt", **changes)
    dt.make(config, fakes.SPEC).check(dataset, lines.append)
    return lines


def test_data_that_do_not_fit_are_refused():
    rows = recorded((4, 3), terminals=[1])  # 2, 2 and 3 steps
    with pytest.raises(errors.UserError, match="context=4 is more than .* 3 steps"):
        check(rows, context=4)
    with pytest.raises(errors.UserError, match="num_times=2 is less than .* 3 steps"):
        check(rows, num_times=2)
    with pytest.raises(errors.UserError, match="episode"):
        check(rows._replace(extras={}))
    assert check(rows, num_times=3) == []


def test_targets_are_held_against_the_data():
    rows = recorded((4, 3), [2, 1, 0, -9, 5, 1, 1])  # returns -6 and 7
    assert check(rows, target_return=7.0) == check(rows, target_return=-700.0) == []
    (line,) = check(rows, target_return=700.0)
    assert line == "note: target_return=700 is above the best return of the data, 7"
    for target in (701.0, -701.0):
        with pytest.raises(errors.UserError, match="100 times any return .* -6 to 7"):
            check(rows, target_return=target)
    with pytest.raises(errors.UserError, match="no target return .* say .* data, 7"):
        check(rows, target_return=dt.NO_TARGET)
    nothing = rows._replace(reward=0.0 * rows.reward)
    assert len(check(nothing, target_return=1.0)) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e9])
def test_targets_are_finite(bad):
    with pytest.raises(ValueError, match="target_return must be between"):
        dt.Knobs(bad).validate()
