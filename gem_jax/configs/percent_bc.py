"""10 % BC: the settings of BC.

python -m experiments.train --algo=percent_bc --env=hopper-medium-replay-v2
"""

from __future__ import annotations

from gem_jax.configs.bc import get_config as get_config
