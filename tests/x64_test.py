"""A host program that asked JAX for 64 bits gets the same numbers."""

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gem_jax
from gem_jax import algorithms
from gem_jax.algorithms import gem, td3_bc
from gem_jax.testing import fakes
from gem_jax.training import admission, checkpoint, loop, rundir

_ACT = """
import sys, jax, numpy as np, gem_jax
assert jax.config.jax_enable_x64
policy = gem_jax.load(sys.argv[1])
observation = np.load(sys.argv[2])
output = policy.act(jax.random.key(3), observation, np.arange(len(observation)))
np.savez(sys.argv[3], action=output.action, **output.audit)
"""


def leaves_in_64(tree):
    return [
        (jax.tree_util.keystr(path), str(leaf.dtype))
        for path, leaf in jax.tree.leaves_with_path(tree)
        if leaf.dtype in ("float64", "int64", "uint64")
    ]


@pytest.mark.parametrize("name", algorithms.names())
def test_states_and_metrics_stay_in_32_bits(name):
    algorithm = algorithms.make(name, algorithms.tiny_config(name), fakes.SPEC)
    data = jax.tree.map(np.asarray, fakes.random_transitions(jax.random.key(0)))
    with jax.enable_x64(True):
        key = jax.random.key(0)
        dataset = admission.admit(data)
        state = jax.eval_shape(algorithm.init, key)
        for phase in algorithm.phases:

            def step(state, key, dataset, phase=phase):
                state, extras = phase.prepare(state, key, dataset)
                dataset = dataset._replace(extras={**dataset.extras, **extras})
                if phase.refresh:
                    state = phase.refresh(state, key, dataset, jnp.int32(0))
                batch = phase.sample(key, dataset, 8, jnp.int32(0))
                return batch, phase.update(state, key, batch, jnp.int32(0))

            outputs = jax.eval_shape(step, state, key, dataset)
            assert not leaves_in_64((state, outputs)), phase.name


def test_training_is_the_same_within_rounding():
    config = td3_bc.Config(hidden_sizes=(4,), num_steps=5, num_critics=1)
    algorithm = td3_bc.make(config, fakes.SPEC)  # draws indices and noise
    data = jax.tree.map(np.asarray, fakes.random_transitions(jax.random.key(0)))

    def trained():
        keys = loop.seed_keys([4])
        state = loop.init(algorithm, keys)
        *_, last = loop.run(algorithm, keys, data, state)
        assert not leaves_in_64(last.state)
        return jax.device_get(last.state)

    expected = trained()
    with jax.enable_x64(True):
        data = jax.tree.map(lambda leaf: leaf.astype(f"{leaf.dtype.kind}8"), data)
        got = trained()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
        got,
        expected,
    )


def test_a_run_loads_and_acts_as_it_would_without(tmp_path):
    config = gem.Config(hidden_sizes=(8, 8), num_critics=3, num_candidates=20)
    record = {
        "algo": "gem",
        "config": dataclasses.asdict(config),
        "spec": fakes.SPEC._asdict(),
        "seeds": [5],
        "identity": {},
        "format": rundir.FORMAT,
    }
    rundir.write_json(tmp_path / rundir.CONFIG, record)
    algorithm = algorithms.make("gem", config, fakes.SPEC)
    with checkpoint.open_store(tmp_path, {}) as store:
        checkpoint.save(store, 0, loop.init(algorithm, loop.seed_keys([5])))
    observation = np.random.default_rng(0).normal(size=(7, 3))
    np.save(tmp_path / "observation.npy", observation)
    subprocess.run(
        [
            *(sys.executable, "-c", _ACT, str(tmp_path)),
            *(str(tmp_path / "observation.npy"), str(tmp_path / "actions.npz")),
        ],
        env=os.environ | {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"},
        check=True,
    )
    expected = gem_jax.load(tmp_path).act(
        jax.random.key(3), observation, np.arange(len(observation))
    )
    with np.load(tmp_path / "actions.npz") as wide:
        assert wide["action"].dtype == np.float32
        np.testing.assert_allclose(wide["action"], expected.action, rtol=1e-5)
        for name, values in expected.audit.items():
            np.testing.assert_allclose(wide[name], values, rtol=1e-4, atol=1e-5)
