"""Trajectories for the clusterer, with the policies that acted in them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from gem_jax import clustering, data, errors
from gem_jax.ops import normalize


def labels(dataset: data.OfflineDataset) -> np.ndarray:
    """The policy that acted in each trajectory, `[J]`.

    Raises:
      UserError: the data do not tell.
    """
    if dataset.policy is None:
        raise errors.UserError(
            f"{dataset.provenance.id} does not tell which policy acted; local data of "
            "navigation and of the locomotion tasks do"
        )
    return dataset.policy[dataset.episode_offsets[:-1]]


def subsample(
    dataset: data.OfflineDataset, max_transitions: int
) -> tuple[clustering.Trajectories, np.ndarray]:
    """Every n-th trajectory, observations normalized, and their labels.

    Args:
      dataset: labeled.
      max_transitions: about how many to take.

    Raises:
      UserError: the data are not labeled.
    """
    label = labels(dataset)
    stride = -(-len(dataset.episode_id) // max_transitions)
    episode_id = dataset.episode_id
    kept = np.flatnonzero(episode_id % stride == 0)
    observation = jnp.asarray(dataset.transitions.observation[kept])
    trajectories = clustering.Trajectories(
        observation=normalize.fit_normalizer(observation)(observation),
        action=jnp.asarray(dataset.transitions.action[kept]),
        episode=jnp.asarray(episode_id[kept] // stride, jnp.int32),
    )
    return trajectories, label[::stride]
