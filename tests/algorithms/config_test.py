"""What the configurations refuse: each bound itself, and what lies just beside it."""

import dataclasses
import math
import types

import pytest

from gem_jax import algorithms, checks

TINY = 1e-9


def refuses(check, value):
    with pytest.raises(ValueError, match=f"field must be .*{value}"):
        check(types.SimpleNamespace(field=value), "field")
    return True


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checks.positive, [TINY, 1, 1e12], [0, -TINY, math.inf, math.nan]),
        (checks.not_negative, [0, TINY, 1e12], [-TINY, -1, math.inf, math.nan]),
        (checks.share, [0, TINY, 1 - TINY], [1, -TINY, math.inf, math.nan]),
        (checks.fraction, [TINY, 0.5, 1 - TINY], [0.0, 1.0, -0.5, 2.0, math.nan]),
    ],
)
def test_numbers(check, good, bad):
    for value in good:
        check(types.SimpleNamespace(field=value), "field")
    assert all(refuses(check, value) for value in bad)


@pytest.mark.parametrize("check", [checks.positive, checks.not_negative])
def test_whole_numbers_are_int32(check):
    check(types.SimpleNamespace(field=2**31 - 1), "field")
    with pytest.raises(ValueError, match="field must be below 2,147,483,648, got 2,1"):
        check(types.SimpleNamespace(field=2**31), "field")


def test_every_named_field_is_looked_at():
    pair = types.SimpleNamespace(one=0.5, other=-1.0)
    every = (checks.positive, checks.not_negative, checks.share, checks.fraction)
    for check in every:
        with pytest.raises(ValueError, match="other"):
            check(pair, "one", "other")


def test_widths():
    checks.widths(types.SimpleNamespace(field=(1, 256)), "field")
    for value in ((), (0,), (8, -1), (2.5,)):
        with pytest.raises(ValueError, match="field must be positive integers"):
            checks.widths(types.SimpleNamespace(field=value), "field")


def test_bounds_may_meet_but_not_cross():
    bounds = types.SimpleNamespace(low=0.0, high=0.0)
    checks.ordered(bounds, "low", "high")
    bounds.low = TINY
    with pytest.raises(ValueError, match="low=1e-09 must not be above high=0.0"):
        checks.ordered(bounds, "low", "high")


# By field, a value beyond its bound; a configuration looks at those that it has.
OUTSIDE = dict(
    num_steps=0,
    batch_size=0,
    learning_rate=0.0,
    hidden_sizes=(),
    num_critics=0,
    discount=1.0,
    expectile=0.0,
    polyak=1.0,
    beta=-TINY,
    max_weight=0.0,
    log_std_min=99.0,
    alpha=-TINY,
    policy_noise=-TINY,
    noise_clip=-TINY,
    actor_period=0,
    num_components=0,
    gating_entropy=-TINY,
    critic_targets="two",
    gradient_cloning=-TINY,
    deploy_critic="newest",
    behavior_steps=0,
    behavior_batch_size=0,
    behavior_learning_rate=0.0,
    behavior_components=0,
    behavior_log_std_min=99.0,
    horizon=-1,
    num_candidates=-1,
    top_m=0,
    candidates="both",
    anchor="best",
    kappa=-TINY,
    lambda_schedule="linear",
    temperature=0.0,
    denoise_steps=-1,
    refine_steps=-1,
    refine_size=0.0,
    backup="best",
    backup_candidates=0,
    kappa_growth="linear",
    anchor_margin=-TINY,
    em_epochs=0,
    critic_steps=0,
    target_period=0,
    value_epochs=0,
    improve_epochs=0,
    clip=0.0,
    microbatch_size=0,
    n_step=0,
    choice_target_period=0,
    support_ratio=1 - TINY,
    behavior_dropout=1.0,
    context=0,
    num_times=0,
    width=0,
    num_layers=0,
    num_heads=0,
    attention_dropout=1.0,
    residual_dropout=1.0,
    embedding_dropout=-TINY,
    warmup_steps=0,
    weight_decay=-TINY,
    max_grad_norm=0.0,
    reward_scale=0.0,
    target_return=-math.inf,
)


@pytest.mark.parametrize("name", algorithms.names())
def test_every_algorithm_looks_at_its_fields(name):
    config_class = algorithms.config_class(name)
    fields = {field.name for field in dataclasses.fields(config_class)} & set(OUTSIDE)
    assert len(fields) >= 4
    for field in fields:
        named = "schedule" if field == "lambda_schedule" else field
        with pytest.raises(ValueError, match=named):
            config_class(**{field: OUTSIDE[field]})
