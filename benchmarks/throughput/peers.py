"""Other libraries' updates at the same sizes, where they are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np

from gem_jax.types import Transition

# Name shown: module that must be there, method that it is compared with, configuration.
_PEERS = {
    "d3rlpy BC": ("d3rlpy", "bc", "BCConfig"),
    "d3rlpy IQL": ("d3rlpy", "iql", "IQLConfig"),
    "d3rlpy TD3+BC": ("d3rlpy", "td3_bc", "TD3PlusBCConfig"),
}
_EPISODE = 1000  # steps after which the synthetic data are cut


def available(method: str) -> list[str]:
    """Peers of a method that are installed."""
    return [
        name
        for name, (module, of, _) in _PEERS.items()
        if of == method and importlib.util.find_spec(module)
    ]


def absent(methods: list[str]) -> list[str]:
    """One line for each peer of the methods that is not installed."""
    return [
        f"{name} is not installed; pip install {module} to compare with it"
        for name, (module, of, _) in _PEERS.items()
        if of in methods and not importlib.util.find_spec(module)
    ]


def make_updates(
    name: str, data: Transition, batch_size: int, count: int
) -> Callable[[], None]:
    """A function that draws ``count`` minibatches and makes as many updates.

    The peer's networks are its own defaults, 2x256, as ours.

    Args:
      name: one of ``available``.
      data: arrays `[D, ...]`.
      batch_size: transitions an update.
      count: updates a call.
    """
    import d3rlpy  # an optional library, slow to import

    timeouts = np.zeros(len(data.reward), np.float32)
    timeouts[_EPISODE - 1 :: _EPISODE] = 1.0
    columns = (data.observation, data.action, data.reward, data.terminal)
    buffer = d3rlpy.dataset.MDPDataset(*map(np.asarray, columns), timeouts)
    config = getattr(d3rlpy.algos, _PEERS[name][2])(batch_size=batch_size)
    learner = config.create(device=False)
    learner.build_with_dataset(buffer)

    def update() -> None:
        for _ in range(count):
            learner.update(buffer.sample_transition_batch(batch_size))

    return update
