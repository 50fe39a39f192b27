"""Every operation refuses wrongly shaped arguments and names them."""

import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import pytest

from gem_jax import ops
from gem_jax.ops import (
    diffusion,
    flow,
    gaussian,
    mixture,
    normalize,
    returns,
    schedule,
    value,
)

B, C, D, E, K, A = 4, 5, 6, 2, 3, 2


def zeros(*shape):
    return jnp.zeros(shape, jnp.float32)


def flags(*shape):
    return jnp.zeros(shape, bool)


def gaussians(batch=(B,), log_std=None):
    return gaussian.Gaussian(zeros(*batch, A), zeros(*(log_std or (*batch, A))))


def mixtures(batch=(B,), logits=None, log_stds=None):
    means = (*batch, K, A)
    return mixture.Mixture(
        zeros(*(logits or means[:-1])), zeros(*means), zeros(*(log_stds or means))
    )


KEY = jax.random.key(0)
OTHER_MIXTURES = {
    "mixture.logits": [mixtures(logits=(B, 1)), mixtures(logits=(K,))],
    "mixture.log_stds": [mixtures(log_stds=(B, K, 1)), mixtures(log_stds=(K, A))],
}
MIXTURE_AND_ACTION = (
    {"mixture": mixtures(), "action": zeros(B, A)},
    {
        **OTHER_MIXTURES,
        "action": [zeros(B, 1), zeros(A), zeros(B, 1, A), zeros(C, B, A)],
    },
)
MIXTURE_ALONE = ({"mixture": mixtures()}, OTHER_MIXTURES)
VALUES = ({"q_values": zeros(E, B)}, {"q_values": [zeros()]})
TILT = (
    {"advantage": zeros(B), "beta": 2.0, "max_weight": 9.0},
    {"beta": [zeros(B), zeros(1)], "max_weight": [zeros(B, 1)]},
)
STEPS = {"reward": zeros(D), "stop": flags(D), "discount": 0.9}
WRONG_STEPS = {
    "reward": [zeros(D, 1), zeros(1), zeros()],
    "stop": [flags(D, 1), flags(1), flags()],
    "discount": [zeros(D)],
}

# Arguments that are right, and for each argument shapes that are not.
CASES = {
    flow.between: (
        {"noise": zeros(B, A), "action": zeros(B, A), "t": zeros(B)},
        {
            "action": [zeros(B, 1), zeros(A)],
            "noise": [zeros(B, 1), zeros(A)],
            "t": [zeros(B, 1), zeros(), zeros(1)],
        },
    ),
    diffusion.noised: (
        {"action": zeros(B, A), "noise": zeros(B, A), "t": zeros(B)},
        {
            "action": [zeros(B, 1), zeros(A)],
            "noise": [zeros(B, 1), zeros(A)],
            "t": [zeros(B, 1), zeros(), zeros(1)],
        },
    ),
    gaussian.log_prob: (
        {"gaussian": gaussians(), "action": zeros(B, A)},
        {
            "gaussian.log_std": [gaussians(log_std=(A,)), gaussians(log_std=(B, 1))],
            "action": [zeros(B, 1), zeros(A), zeros(1, A), zeros(C, B, A)],
        },
    ),
    gaussian.sample: (
        {"key": KEY, "gaussian": gaussians()},
        {"gaussian.log_std": [gaussians(log_std=(A,)), gaussians(log_std=(B, 1))]},
    ),
    gaussian.squashed_sample: (
        {"key": KEY, "gaussian": gaussians()},
        {"gaussian.log_std": [gaussians(log_std=(A,)), gaussians(log_std=(B, 1))]},
    ),
    mixture.component_log_prob: MIXTURE_AND_ACTION,
    mixture.log_joint: MIXTURE_AND_ACTION,
    mixture.log_prob: MIXTURE_AND_ACTION,
    mixture.responsibilities: MIXTURE_AND_ACTION,
    mixture.towards_mode: MIXTURE_AND_ACTION,
    mixture.loose_elbo: MIXTURE_AND_ACTION,
    mixture.log_prob_of_set: (
        {"mixture": mixtures(()), "actions": zeros(C, A)},
        {
            "actions": [zeros(C, 1), zeros(A), zeros(B, C, A)],
            "mixture.logits": [mixtures()],
        },
    ),
    mixture.component: (
        {"mixture": mixtures(), "index": jnp.zeros(B, jnp.int32)},
        {**OTHER_MIXTURES, "index": [jnp.zeros(K, jnp.int32), jnp.int32(0)]},
    ),
    mixture.gating_entropy: MIXTURE_ALONE,
    mixture.mode_component: MIXTURE_ALONE,
    mixture.mode_mean: MIXTURE_ALONE,
    mixture.mean: MIXTURE_ALONE,
    mixture.only_mode: ({"mixture": mixtures(())}, OTHER_MIXTURES),
    mixture.sample: (
        {"key": KEY, "mixture": mixtures(()), "num_samples": 3, "temperature": 1.0},
        {"mixture.logits": [mixtures()], "temperature": [zeros(3, 1), zeros(A)]},
    ),
    normalize.standardize: (
        {"values": zeros(B, C), "where": flags(B, C)},
        {"values": [zeros()], "where": [flags(C), flags(B, 1), flags(1, C)]},
    ),
    normalize.fit_normalizer: (
        {"observations": zeros(D, A)},
        {"observations": [zeros(A), zeros(B, D, A)]},
    ),
    normalize.Normalizer.__call__: (
        {"self": normalize.identity_normalizer(A), "observation": zeros(B, A)},
        {"observation": [zeros(B, 1), zeros(B, A + 1), zeros()]},
    ),
    returns.last_steps: (
        {"episode": zeros(D)},
        {"episode": [zeros(D, 1), zeros()]},
    ),
    returns.ends: (
        {"episode": zeros(D), "terminal": zeros(D)},
        {"episode": [zeros(D, 1), zeros()], "terminal": [zeros(D, 1), zeros(1)]},
    ),
    returns.places: ({"stop": flags(D)}, {"stop": [flags(D, 1), flags()]}),
    returns.monte_carlo: (STEPS, WRONG_STEPS),
    returns.totals: (
        {name: STEPS[name] for name in ("reward", "stop")},
        {name: WRONG_STEPS[name] for name in ("reward", "stop")},
    ),
    returns.planned: (
        {
            **{name: zeros(D) for name in ("reward", "next_value")},
            **{name: flags(D) for name in ("terminal", "last")},
            "discount": 0.9,
        },
        {
            "reward": [zeros(D, 1), zeros()],
            "next_value": [zeros(D, 1), zeros(1)],
            **{name: [flags(D, 1), flags(1)] for name in ("terminal", "last")},
            "discount": [zeros(D)],
        },
    ),
    returns.n_step: ({**STEPS, "n": 3}, WRONG_STEPS),
    schedule.cosine: (
        {"t": zeros(B), "start": 3.0, "end": zeros(B), "horizon": zeros(1)},
        {name: [zeros(B, 1), zeros(C)] for name in ("start", "end", "horizon")},
    ),
    value.scaled: (
        {"q": zeros(B), "by": zeros(B)},
        {"q": [zeros(B, 1)], "by": [zeros(B, 1), zeros(C)]},
    ),
    value.td_target: (
        {
            **{name: zeros(B) for name in ("reward", "terminal", "next_value")},
            "discount": 0.9,
        },
        {
            **{name: [zeros(B, 1), zeros(1)] for name in ("terminal", "next_value")},
            "reward": [zeros(B, 1), zeros(1)],
            "discount": [zeros(B, 1), zeros(1), zeros(C)],
        },
    ),
    value.minimizer: (
        {"loss": jnp.square, "values": zeros(B)},
        {"values": [zeros(), zeros(B, 1)]},
    ),
    value.implicit_weight: (
        {"loss": jnp.square, "q": zeros(B)},
        {"q": [zeros(), zeros(B, 1)]},
    ),
    value.expectile_loss: (
        {"residual": zeros(B), "expectile": 0.7},
        {"expectile": [zeros(B), zeros(B, 1)]},
    ),
    value.quantile_loss: (
        {"residual": zeros(B), "quantile": 0.7},
        {"quantile": [zeros(B), zeros(B, 1)]},
    ),
    value.exponential_loss: (
        {"residual": zeros(B), "temperature": 2.0},
        {"temperature": [zeros(B), zeros(B, 1)]},
    ),
    value.lower_confidence_bound: (
        {"q_values": zeros(E, B, C), "kappa": zeros(B, 1)},
        {
            "q_values": [zeros()],
            "kappa": [zeros(E, B, C), zeros(B, 2), zeros(B), zeros(1, B, 1)],
        },
    ),
    value.ensemble_std: VALUES,
    value.clipped_surrogate: (
        {"log_ratio": zeros(B), "advantage": zeros(B), "clip": 0.2},
        {
            "log_ratio": [zeros(B, 1), zeros(1)],
            "advantage": [zeros(B, 1), zeros()],
            "clip": [zeros(B)],
        },
    ),
    value.advantage_weight: TILT,
    value.is_capped: TILT,
}
# Functions of each element by itself, and those that take no array.
ANY_SHAPE = {
    "log_alpha": {"t", "beta_max"},
    "alpha_sigma": {"t", "beta_max"},
    "noised": {"beta_max"},
    "dpm_solver": {"start"},
    "ddpm": {"start"},
    "euler": {"start"},
    "at_least_float32": {"values"},
    "minimizer": {"loss"},
    "implicit_weight": {"loss"},
    "expectile_loss": {"residual"},
    "quantile_loss": {"residual"},
    "exponential_loss": {"residual"},
    "advantage_weight": {"advantage"},
    "is_capped": {"advantage"},
    "cosine": {"t"},
    "identity_normalizer": set(),
}


def public_functions():
    for module in pkgutil.iter_modules(ops.__path__):
        if not module.name.startswith("_"):
            found = importlib.import_module(f"gem_jax.ops.{module.name}")
            for name, member in vars(found).items():
                own = getattr(member, "__module__", "") == found.__name__
                if own and not name.startswith("_"):
                    function = vars(member).get("__call__", member)
                    if inspect.isfunction(function):
                        yield function


def takes_numbers(parameter):
    kinds = ("Array", "Mixture", "Gaussian", "float")
    return any(kind in str(parameter.annotation) for kind in kinds)


@pytest.mark.parametrize(
    "function", list(public_functions()), ids=lambda f: f.__qualname__
)
def test_every_argument_of_every_operation_has_a_case(function):
    parameters = inspect.signature(function).parameters.values()
    wanted = {parameter.name for parameter in parameters if takes_numbers(parameter)}
    wanted -= ANY_SHAPE.get(function.__name__, set())
    cases = CASES[function][1] if wanted else {}
    assert {name.split(".")[0] for name in cases} == wanted


@pytest.mark.parametrize(
    ("function", "name"),
    [(function, name) for function, (_, wrong) in CASES.items() for name in wrong],
    ids=lambda x: x if isinstance(x, str) else x.__name__,
)
def test_wrong_shapes_are_refused_by_name(function, name):
    right, wrong = CASES[function]
    static = {k: v for k, v in right.items() if isinstance(v, int) or callable(v)}
    traced = {k: v for k, v in right.items() if k not in static}
    jax.eval_shape(lambda arguments: function(**arguments, **static), traced)
    for bad in wrong[name]:
        arguments = {**right, name.split(".")[0]: bad}
        with pytest.raises(ValueError) as caught:
            function(**arguments)
        message = str(caught.value)
        assert name in message, message
        if isinstance(bad, jax.Array):
            assert str(bad.shape) in message, message
