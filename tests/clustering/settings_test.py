"""Settings of the clusterer that mean nothing are refused."""

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
