"""Settings of the clusterer that mean nothing are refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import clustering


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("num_clusters", 0), ("momentum", 1.0), ("em_epochs", -1), ("batch_size", 0)),
        *(("hidden_sizes", (8, 0)), ("log_std_min", 1.0), ("posterior_window", -1)),
        *(("averaging_rate", 0.0), ("averaging_rate", 1.1)),
        ("window_start", -1),
        ("window_start", 1),  # beyond window_stop
        ("window_stop", -1),
        *(("log_std_max", float("inf")), ("learning_rate", float("inf"))),
    ],
)
def test_bad_settings_name_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        clustering.Settings(**{field: value})


@pytest.mark.parametrize(
    "changes",
    [
        dict(num_clusters=1, batch_size=1, learning_rate=1e-9, hidden_sizes=(1,)),
        dict(biased_epochs=0, uniform_epochs=0, em_epochs=0, epoch_steps=0),
        dict(posterior_window=0, window_start=0, window_stop=0, momentum=0.0),
        dict(window_start=3, window_stop=3, averaging_rate=1.0),
        dict(log_std_min=-1e-9, log_std_max=0.0, averaging_rate=1e-9),
    ],
)
def test_the_bounds_themselves_are_allowed(changes):
    clustering.Settings(**changes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("log_std_min", 0.0), ("log_std_min", float("-inf")), ("momentum", -1e-9)),
        *(("learning_rate", 0.0), ("hidden_sizes", (float("inf"),))),
        *((name, -1) for name in ("biased_epochs", "uniform_epochs", "epoch_steps")),
        *(("em_epochs", float("inf")), ("em_epochs", 2**31), ("hidden_sizes", (8.5,))),
    ],
)
def test_nor_what_lies_just_beyond(field, value):
    with pytest.raises(ValueError, match=field):
        clustering.Settings(**{field: value})


@pytest.mark.parametrize(
    ("cosine_decay", "num_steps", "rates"),
    [
        (False, 2, [0.1, 0.1, 0.1]),
        (True, 2, [0.1, 0.05, 0.0]),
        (True, 0, [0.1, 0.0, 0.0]),
    ],
)
def test_the_rate_falls_to_zero_or_stays(cosine_decay, num_steps, rates):
    settings = clustering.Settings(learning_rate=0.1, cosine_decay=cosine_decay)
    optimizer = settings.optimizer(num_steps)
    gradient = jnp.ones(())  # always the same: Adam's step is the rate
    state = optimizer.init(gradient)
    for rate in rates:
        step, state = optimizer.update(gradient, state)
        np.testing.assert_allclose(-step, rate, rtol=1e-3, atol=1e-9)


def test_an_epoch_is_a_pass_unless_told():
    settings = clustering.Settings(batch_size=10)
    assert [settings.steps_per_epoch(size) for size in (1, 10, 11, 20)] == [1, 1, 2, 2]
    assert clustering.Settings(epoch_steps=7).steps_per_epoch(1000) == 7
