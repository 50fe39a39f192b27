from __future__ import annotations

import numpy as np

from gem_jax.data import episodes, inspection, tasks


def test_duplicates_and_jumps_are_counted():
    observations = np.zeros((4, 4), np.float32)
    observations[3, 0] = 21.0
    episode = episodes.Episode(
        observations=observations,
        actions=np.zeros((3, 2), np.float32),
        rewards=np.array([0.0, 0.0, 1.0], np.float32),
        terminations=np.zeros(3, bool),
        truncations=np.array([False, False, True]),
    )
    facts = inspection.describe([episode], tasks.get("maze2d-umaze-v1"))
    assert facts["duplicate_rows"] == 2 and facts["largest_jump"] == 21.0
    assert facts["reward_counts"] == {"0": 2, "1": 1}
    assert facts["episode_return"]["max"] == 1.0 and facts["truncations"] == 1
