"""What every registered algorithm must do; a new one is picked up by itself."""

import dataclasses
import json

import golden
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms, errors, sampling
from gem_jax.testing import contract, fakes


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", algorithms.names())
def test_contract(name, check, tmp_path):
    check(contract.case(name), tmp_path)


@pytest.mark.parametrize("name", algorithms.names())
def test_metrics_are_the_golden_ones(name):
    """The same training on every machine, by every version."""
    written = json.loads(golden.PATH.read_text())
    assert name in written, "run python tests/algorithms/golden.py"
    wanted, found = written[name], golden.metrics(name)
    assert {p: list(m) for p, m in found.items()} == {
        p: list(m) for p, m in wanted.items()
    }
    for phase, metrics in wanted.items():
        for metric, value in metrics.items():
            got = found[phase][metric]
            np.testing.assert_allclose(got, value, 1e-3, 1e-5, err_msg=metric)


# Whose targets may span several rewards.
N_STEP = {
    *("awac", "cql", "diffusion_ql", "edac", "fql", "gem", "idql", "ifql", "iql"),
    *("sac_n", "td3_bc"),
}


@pytest.mark.parametrize("name", algorithms.names())
def test_the_loop_is_told_what_is_configured(name):
    for value in (True, False):
        config = algorithms.tiny_config(name, normalize_observations=value)
        algorithm = algorithms.make(name, config, fakes.SPEC)
        assert algorithm.normalize_observations is value
    wanted = config.discount if name in N_STEP else None
    assert algorithm.n_step_discount == wanted


def test_unknown_algorithm_lists_the_known():
    with pytest.raises(errors.UserError, match="choose one of awac, bc, cql"):
        algorithms.config_class("sac")


def test_uniform_sampling_covers_the_dataset(key):
    dataset = fakes.random_transitions(key, 10)._replace(reward=jnp.arange(10.0))
    batch = sampling.uniform(key, dataset, 500, step=0)
    assert set(np.asarray(batch.reward).tolist()) == set(range(10))
    row = int(batch.reward[0])
    np.testing.assert_array_equal(batch.observation[0], dataset.observation[row])


def test_a_diagnostic_named_like_a_field_of_an_evaluation_is_refused(tmp_path):
    case = contract.case("bc")

    def act(*inputs):
        return case.algorithm.act(*inputs)._replace(audit={"length_mean": zero})

    zero = jnp.float32(0.0)
    hiding = case._replace(algorithm=case.algorithm._replace(act=act))
    check = contract.acting_is_bounded_repeatable_and_blind_to_neighbours
    with pytest.raises(AssertionError, match="hides a field"):
        check(hiding, tmp_path)


def test_checks_look_at_the_case_and_not_at_what_is_registered(tmp_path):
    case = contract.case("bc")
    (phase,) = case.algorithm.phases

    def update(state, key, batch, step):
        state, metrics = phase.update(state, key, batch, step)
        return state, {**metrics, "policy/loss": jnp.float32(jnp.nan)}

    broken = (phase._replace(update=update),)
    bad = case._replace(algorithm=case.algorithm._replace(phases=broken))
    with pytest.raises(AssertionError, match="policy/loss"):
        contract.metrics_are_finite_scalars_with_names(bad, tmp_path)


def test_a_knob_without_a_default_is_refused(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Knobs:
        kappa: float

    case = contract.case("bc")
    with pytest.raises(AssertionError, match="kappa"):
        contract.knobs_have_defaults_that_tell_their_types(
            case._replace(algorithm=case.algorithm._replace(knobs=Knobs(1.0))), tmp_path
        )
