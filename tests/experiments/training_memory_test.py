"""Ensembles that do not fit are refused before anything is allocated."""

import jax
import jax.numpy as jnp
import pytest

from gem_jax import algorithms, errors
from gem_jax.algorithms import bc, cql, dt, sac_n
from gem_jax.runs import training_memory
from gem_jax.testing import fakes
from gem_jax.training import loop


def test_estimate_by_hand():
    config = sac_n.Config(hidden_sizes=(10, 20), batch_size=5, num_critics=3)
    like = {"a": jnp.zeros((2, 3), jnp.float32), "b": jnp.zeros((), jnp.int32)}
    state, activations = 4 * 7, 4 * 2 * 5 * 3 * 60
    assert training_memory.estimate(like, config, 2) == 3 * state + activations


def test_what_a_transformer_keeps_counts_too():
    """And the line names nothing that there is not."""
    config = dt.Config(batch_size=5, context=2, width=8, num_layers=3, num_heads=2)
    tokens, like = 6, {"a": jnp.zeros(7, jnp.float32)}
    kept = 3 * tokens * (36 * 8 + 4 * 2 * tokens)
    assert training_memory.estimate(like, config, 2) == 3 * 28 + 4 * 2 * 5 * kept
    for other in (config, bc.Config()):
        with pytest.raises(errors.UserError, match=r"2 seed\(s\) takes about"):
            training_memory.require(like, other, 2, 0)


def test_the_actions_that_cql_samples_count_too():
    config = cql.Config(batch_size=5, num_actions=4, critic_hidden_sizes=(10, 20))
    like = {"a": jnp.zeros(7, jnp.float32)}
    actor, critics = 2 * sum(config.hidden_sizes), 2 * (1 + 3 * 4) * 2 * 30
    kept = 4 * 2 * 5 * (actor + critics)
    assert training_memory.estimate(like, config, 2) == 3 * 28 + kept


def test_five_hundred_critics():
    """Their parameters are shapes alone here."""
    config = sac_n.Config(num_critics=500)
    algorithm = algorithms.make("sac_n", config, fakes.SPEC)
    keys = loop.seed_keys([0, 1])
    like = jax.eval_shape(lambda: loop.init(algorithm, keys))
    training_memory.require(like, config, 2, 10**11)
    with pytest.raises(errors.UserError, match="2 seed.s. with 500 critic"):
        training_memory.require(like, config, 2, 10**9)


def test_the_command_refuses_them(run, tmp_path):
    result = run(
        "train",
        *("--algo=sac_n", "--env=navigation-v0", "--preset=smoke", "--steps=3"),
        *("--config.num_critics=100000000", f"--workdir={tmp_path / 'run'}"),
    )
    assert result.returncode == 2 and "lower --config.num_critics" in result.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()
