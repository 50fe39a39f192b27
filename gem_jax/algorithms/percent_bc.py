"""10 % BC: behavior cloning of the best tenth of the episodes, by return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gem_jax.algorithms.bc import TINY as TINY
from gem_jax.algorithms.bc import Config as Config
from gem_jax.algorithms.bc import make as make

_SHARE = 0.1


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """The best tenth; another share is asked for by the data option."""
    del config, task
    return {"best_share": _SHARE}
