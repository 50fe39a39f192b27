"""Every task has settings and a cadence."""

import pytest

from experiments import configs, presets
from gem_jax import algorithms
from gem_jax.data import tasks


@pytest.mark.parametrize("algo", sorted(algorithms.ALGORITHMS))
@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_task_has_settings_under_every_preset(algo, preset):
    for task in tasks.table().values():
        config = configs.get_config(algo, task, preset)
        cadence = presets.cadence(preset, task, config.num_steps)
        assert cadence.log_every > 0 and cadence.eval_every % cadence.log_every == 0
