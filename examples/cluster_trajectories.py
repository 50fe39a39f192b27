"""Whose trajectories are these? EM over whole trajectories, on arrays alone.

python examples/cluster_trajectories.py
"""

import jax
import numpy as np

from gem_jax import clustering

TRAJECTORIES, STEPS = 40, 50


def main() -> None:
    """Two drivers, one who keeps left and one who keeps right, 20 trips each."""
    rng = np.random.default_rng(0)
    driver = np.arange(TRAJECTORIES) % 2
    episode = np.repeat(np.arange(TRAJECTORIES), STEPS).astype(np.int32)
    observation = rng.normal(size=(len(episode), 3)).astype(np.float32)
    side = 2.0 * driver[episode] - 1.0
    action = 0.3 * side + 0.3 * rng.normal(size=len(episode))
    data = clustering.Trajectories(
        observation, action.clip(-1, 1).astype(np.float32)[:, None], episode
    )
    settings = clustering.Settings(
        num_clusters=2, hidden_sizes=(32, 32), em_epochs=20, learning_rate=3e-3
    )
    fitted = clustering.fit(jax.random.key(0), data, settings)
    index = clustering.rand_index(driver, fitted.assignment)
    print(f"Rand index {100 * index:.0f} % of {TRAJECTORIES} trajectories")


if __name__ == "__main__":
    main()
