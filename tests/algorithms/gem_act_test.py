"""GEM's act on mixtures and critics made by hand, whose choice is known."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import inference
from gem_jax.algorithms import gem
from gem_jax.algorithms.gem import judging
from gem_jax.learners import moments
from gem_jax.types import EnvSpec

SPEC = EnvSpec(observation_size=1, action_size=2, horizon=10)
TIGHT = math.log(1e-3)  # a sample tells its component
# First coordinates of the components' means; the second ones are their halves.
ACTOR = {0.6: 0.7, -0.2: 0.3}  # mean to weight
BEHAVIOR = {-0.8: 0.4, 0.4: 0.6}
MODE, MEAN, BEHAVIOR_MODE = 0.6, 0.36, 0.4
SIZES = dict(
    hidden_sizes=(1,),
    num_components=2,
    behavior_components=2,
    log_std_min=-9.0,
    behavior_log_std_min=-9.0,
)


def policy_params(weights, log_std):
    """Parameters whose mixture is the same in every state."""
    means = np.array([(mean, mean / 2) for mean in weights])
    return {
        "params": {
            "MLP_0": {"Dense_0": {"kernel": jnp.zeros((1, 1)), "bias": jnp.zeros(1)}},
            "Dense_0": {
                "kernel": jnp.zeros((1, 2)),
                "bias": jnp.log(jnp.array(list(weights.values()))),
            },
            "Dense_1": {
                "kernel": jnp.zeros((1, 4)),
                "bias": jnp.asarray(np.arctanh(means).reshape(4), jnp.float32),
            },
            "log_stds": jnp.full((2, 2), log_std),
        }
    }


def critic_params(*slopes):
    """Members that are linear in the first coordinate of the action."""
    ones = jnp.ones((len(slopes), 1))
    kernel = jnp.zeros((len(slopes), 3, 1)).at[:, 1].set(1.0)
    heads = jnp.array(slopes)[:, None]
    return {
        "params": {
            "kernel": kernel,
            "bias": 2.0 * ones,  # so that the ReLU lets every action through
            "MLP_0": {},
            "Dense_0": {"kernel": heads[..., None], "bias": -2.0 * heads},
        }
    }


def act(
    slopes, *, behavior=BEHAVIOR, behavior_log_std=TIGHT, t=0, scales=None, **knobs
):
    """What a GEM with such critics does; the best value decides unless told else."""
    settings = dict(lambda_start=0.0, lambda_end=0.0, kappa=0.0, num_candidates=64)
    config = gem.Config(num_critics=len(slopes), **SIZES | settings | knobs)
    params = gem.ActorParams(
        actor=policy_params(ACTOR, TIGHT),
        behavior=policy_params(behavior, behavior_log_std),
        critic=critic_params(*slopes),
        scales=scales or gem.Scales(moments.nothing(), moments.nothing()),
    )
    knobs = gem.make(config, SPEC).knobs
    inputs = params, jax.random.key(0), jnp.zeros(1), jnp.int32(t), knobs
    return _act_of(len(slopes))(*inputs)


@functools.cache
def _act_of(num_critics):
    """Jitted: one program for all that differs in numbers alone."""
    config = gem.Config(num_critics=num_critics, **SIZES)
    return jax.jit(gem.make(config, SPEC).act)


def assert_chosen(output, first, atol=1e-2):
    np.testing.assert_allclose(output.action, [first, first / 2], atol=atol)


@pytest.mark.parametrize(
    ("anchor", "first"),
    [("mode", MODE), ("mean", MEAN), ("behavior", BEHAVIOR_MODE)],
)
def test_without_samples_the_anchor_acts(anchor, first):
    output = act((1.0,), anchor=anchor, num_candidates=0)
    assert_chosen(output, first, atol=1e-5)
    assert output.audit["support_z"] == 0.0


@pytest.mark.parametrize(
    ("anchor", "anchors"),
    [("mode", [MODE]), ("mean", [MEAN]), ("behavior", [BEHAVIOR_MODE]), ("none", [])],
)
@pytest.mark.parametrize(
    ("candidates", "samples"),
    [("actor", ACTOR), ("actor_mode", [MODE]), ("behavior", BEHAVIOR)],
)
@pytest.mark.parametrize(("slope", "best"), [(1.0, max), (-1.0, min)])
def test_the_best_of_anchor_and_samples(
    anchor, anchors, candidates, samples, slope, best
):
    output = act((slope,), anchor=anchor, candidates=candidates)
    assert_chosen(output, best([*anchors, *samples]))


def test_all_candidates_on_average_show_the_weights_of_the_source():
    """The mean of 4,000 samples is the mixture's: weights, not components alone."""
    for candidates, mean in [
        ("actor", MEAN),
        ("behavior", -0.08),
        ("actor_mode", MODE),
    ]:
        output = act(
            (1.0,),
            anchor="none",
            candidates=candidates,
            num_candidates=4000,
            top_m=4000,
        )
        assert_chosen(output, mean, atol=0.03)


def test_support_is_the_behaviors_not_the_actors():
    """The behavior knows the actor's lighter component alone."""
    output = act(
        (1.0,),
        behavior={-0.2: 0.5, -0.9: 0.5},
        behavior_log_std=math.log(0.3),
        anchor="mode",
        num_candidates=1000,
        lambda_start=100.0,
    )
    assert_chosen(output, -0.2)


def test_audits_of_a_known_choice():
    """Of an anchor and one sample, z is 1 for the likelier and -1 for the other."""
    behavior = {0.6: 0.5, -0.2: 0.5}
    settings = dict(behavior=behavior, behavior_log_std=math.log(0.1))
    settings |= dict(anchor="mean", candidates="actor_mode", num_candidates=1)
    high = act((1.0,), **settings)  # the sample, on the behavior's mean
    np.testing.assert_allclose(high.audit["support_z"], 1.0, rtol=1e-4)
    np.testing.assert_allclose(high.audit["collapse_dist"], 0.0, atol=5e-3)
    low = act((-1.0,), **settings)  # the anchor, between the behavior's means
    np.testing.assert_allclose(low.audit["support_z"], -1.0, rtol=1e-4)
    distance = 0.24 * math.sqrt(1.25)
    np.testing.assert_allclose(low.audit["collapse_dist"], distance, rtol=1e-4)
    assert high.audit["violation_rate"] == low.audit["violation_rate"] == 0.0
    strict = act((-1.0,), violation_threshold=-0.5, **settings)
    assert strict.audit["violation_rate"] == 1.0


def test_doubt_between_the_critics_decides_with_kappa():
    """At a first coordinate x the mean is x and the std 2 |x|."""
    assert_chosen(act((3.0, -1.0), kappa=0.0), MODE)
    # x - 0.75 * 2 |x|: -0.3 at 0.6 and -0.5 at -0.2; with kappa 2: -1.8 and -1.0
    assert_chosen(act((3.0, -1.0), kappa=0.75), MODE)
    assert_chosen(act((3.0, -1.0), kappa=2.0), -0.2)


def test_support_weighs_by_the_schedule_of_the_episode():
    """Values want the high end, support the component at -0.2."""
    settings = dict(behavior={-0.2: 0.5, -0.9: 0.5}, behavior_log_std=math.log(0.3))
    settings |= dict(lambda_start=0.0, lambda_end=10.0)  # horizon: SPEC's 10 steps
    assert_chosen(act((1.0,), t=0, **settings), MODE)
    assert_chosen(act((1.0,), t=10, **settings), -0.2)
    assert_chosen(act((1.0,), t=10, horizon=1000, **settings), MODE)


def spread_of(mean, std):
    """Moments as after many batches."""
    values = (mean, std**2 + mean**2, 1.0)
    return moments.Moments(*(jnp.float32(value) for value in values))


@pytest.mark.parametrize(
    ("margin", "advantage_std", "first"),
    [(0.15, None, MODE), (0.25, None, BEHAVIOR_MODE), (0.25, 0.5, MODE)],
    ids=["exceeded", "not exceeded", "exceeded in units of the data's advantage"],
)
def test_a_candidate_must_exceed_the_anchor_by_the_margin(margin, advantage_std, first):
    """The best sample is worth 0.2 more than the anchor, or 0.4 times 0.5."""
    units = {}
    if advantage_std:
        advantage = spread_of(3.0, advantage_std)
        scales = gem.Scales(advantage, moments.nothing())
        units = dict(value_scale="data", scales=scales)
    assert_chosen(act((1.0,), anchor="behavior", anchor_margin=margin, **units), first)


@pytest.mark.parametrize(
    ("mean", "first"), [(-1e6, MODE), (1e6, -0.2)], ids=["all usual", "all unusual"]
)
def test_support_against_the_data_s_own(mean, first):
    """Above the data's mean, at a cap of 0, support is no matter; below, it decides."""
    output = act(
        (1.0,),
        behavior={-0.2: 0.5, -0.9: 0.5},
        behavior_log_std=math.log(0.3),
        anchor="mode",
        num_candidates=1000,
        lambda_start=100.0,
        normalization="data",
        support_cap=0.0,
        scales=gem.Scales(moments.nothing(), spread_of(mean, 0.1)),
    )
    assert_chosen(output, first)


def test_support_in_standard_deviations_of_the_data():
    """From the anchor to the sample: 0.2 of value, 1/8 of density in 4 nats a unit."""
    behavior = {0.4: 1.0, 0.4001: 1e-6}

    def chosen(std, lam):
        return act(
            (1.0,),
            behavior=behavior,
            behavior_log_std=math.log(0.4),
            anchor="behavior",
            candidates="actor_mode",
            lambda_schedule="constant",
            lambda_end=lam,
            normalization="data",
            scales=gem.Scales(moments.nothing(), spread_of(0.0, std)),
        )

    nats = 0.5 * (0.2**2 + 0.1**2) / 0.4**2  # the sample's distance from the anchor
    assert_chosen(chosen(2.0, 0.9 * 0.2 * 2.0 / nats), MODE)
    assert_chosen(chosen(2.0, 1.1 * 0.2 * 2.0 / nats), BEHAVIOR_MODE)


def test_kappa_may_grow_with_the_set():
    plain = inference.Knobs(num_candidates=63, kappa=2.0)
    grown = dataclasses.replace(plain, kappa_growth="log")
    assert plain.effective_kappa == 2.0
    assert grown.effective_kappa == pytest.approx(2.0 * math.sqrt(2 * math.log(64)))
    alone = dataclasses.replace(grown, num_candidates=0)
    assert alone.effective_kappa == 0.0


def test_the_grown_kappa_is_what_scores():
    """0.55 a on average, less 0.45 |a| of spread: 0.6 is best, then the nearer 0.4."""
    slopes = (0.1, 1.0)
    assert_chosen(act(slopes, anchor="behavior", kappa=0.9), MODE)
    assert_chosen(
        act(slopes, anchor="behavior", kappa=0.9, kappa_growth="log"), BEHAVIOR_MODE
    )


@pytest.mark.parametrize("lam, sign", [(0.0, 1.0), (1e6, -1.0)])
def test_refined_candidates_follow_value_or_support(lam, sign):
    """The critic wants the first coordinate high; the behavior's modes lie below."""
    low = dict(behavior={-0.8: 0.5, -0.7: 0.5}, behavior_log_std=0.0)
    knobs = dict(num_candidates=3, lambda_start=lam)
    plain = act([1.0], **low, **knobs)
    refined = act([1.0], refine_steps=1, refine_size=0.05, **low, **knobs)
    step = refined.action - plain.action
    assert sign * step[0] > 0.0
    np.testing.assert_allclose(np.linalg.norm(step), 0.05, rtol=1e-4)


def test_what_refining_makes_worse_is_not_chosen():
    """A step so long that it leads past the behavior's mode, on which all depends."""
    knobs = dict(num_candidates=3, lambda_start=1e6, behavior_log_std=-3.0)
    plain = act([0.0], **knobs)
    refined = act([0.0], refine_steps=1, refine_size=0.9, **knobs)
    np.testing.assert_array_equal(refined.action, plain.action)


def test_refined_candidates_seek_no_support_beyond_its_cap():
    """With a cap below every candidate's support the score is flat, and nothing moves.

    The step is one that support, without the cap, would take.
    """
    low = dict(behavior={-0.8: 0.5, -0.7: 0.5}, behavior_log_std=0.0)
    knobs = dict(num_candidates=3, lambda_start=1.0, normalization="raw", **low)
    plain = act([0.0], support_cap=-99.0, **knobs)
    capped = act([0.0], refine_steps=1, support_cap=-99.0, **knobs)
    np.testing.assert_array_equal(capped.action, plain.action)
    free = act([0.0], refine_steps=1, **knobs)
    assert np.abs(free.action - act([0.0], **knobs).action).max() > 0.01


@pytest.mark.parametrize(
    ("option", "unit"),
    [("data", (5.0, 0.5)), ("raw", (0.0, 1.0)), ("reward", (0.0, 1.0))],
)
def test_scores_and_refining_share_the_units_that_are_not_of_the_set(option, unit):
    found = judging._unit(option, jnp.arange(3.0), spread_of(5.0, 0.5))
    np.testing.assert_allclose(found, unit, rtol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_candidate_without_support_leaves_the_unit_of_the_others(bad):
    values = jnp.array([1.0, bad, 3.0])
    mean, std = judging._unit("zscore", values, moments.nothing())
    assert (float(mean), float(std)) == (2.0, 1.0)
