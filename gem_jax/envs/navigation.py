"""EMPO's didactic task: cross a square around a costly box (EMPO, section 4.1).

The paper's actions are steps in [-0.2, 0.2]; here they lie in [-1, 1] as everywhere in
this suite, and the environment multiplies them by 0.2. States keep the paper's units.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

SIZE = 30.0  # side of the square
STEP = 0.2  # longest step along an axis: what an action of 1 does
GOAL = (30.0, 30.0)
ARRIVAL_RADIUS = 0.1
START_SIZE = 0.1  # side of the square at the origin in which episodes begin
BOX_LOW, BOX_HIGH = (15.0, 0.0), (30.0, 10.0)  # corners of the box of double cost
HORIZON = 1000


def transition(position: Any, action: Any, xp: Any = np) -> tuple[Any, Any, Any]:
    """One step of any number of episodes.

    Args:
      position: `[..., 2]` float32.
      action: `[..., 2]`; values beyond [-1, 1] are clipped.
      xp: ``numpy`` or ``jax.numpy``.

    Returns:
      Next position, reward `[...]` and whether the goal is reached, which ends the
      episode. The reward is 0 at the goal, else -2 in the box and -1 outside.
    """
    step = xp.float32(STEP) * xp.clip(action, -1.0, 1.0)
    moved = xp.clip(position + step, 0.0, SIZE)
    x, y = moved[..., 0], moved[..., 1]
    reached = xp.hypot(x - GOAL[0], y - GOAL[1]) < ARRIVAL_RADIUS
    in_box = (x >= BOX_LOW[0]) & (x <= BOX_HIGH[0]) & (y <= BOX_HIGH[1])
    reward = xp.where(reached, 0.0, xp.where(in_box, -2.0, -1.0))
    return moved, reward, reached


class NavigationEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """Walk from the lower left to the upper right corner.

    Observation: `[2]` float32, (x, y) in [0, 30]. Action: `[2]` in [-1, 1], a step in
    units of 0.2. Reward and end as ``transition`` says; a time limit comes from
    ``gymnasium.make``. ``info["success"]`` says if the goal is reached.
    """

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0.0, SIZE, (2,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._position = np.zeros(2, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins at a random place close to the origin."""
        super().reset(seed=seed, options=options)
        start = self.np_random.uniform(0.0, START_SIZE, 2)
        self._position = start.astype(np.float32)
        return self._position.copy(), {"success": False}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Moves by ``0.2 action``."""
        action = np.asarray(action, np.float32)
        self._position, reward, reached = transition(self._position, action)
        done = bool(reached)
        return self._position.copy(), float(reward), done, False, {"success": done}
