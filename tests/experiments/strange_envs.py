"""A point on a line that must be held at 0, in an environment with faults to choose.

``strange_envs:Point-v0`` pays whole numbers, observes float64, and takes forces in
[-2, 4] and [0, 1], of which the second does nothing.
"""

import os
import time

import gymnasium
import numpy as np
from gymnasium import spaces

LOW, HIGH = (-2.0, 0.0), (4.0, 1.0)
HORIZON = 6
OBSERVATIONS = {
    "vector": spaces.Box(-np.inf, np.inf, (3,), np.float64),
    "matrix": spaces.Box(-np.inf, np.inf, (3, 1), np.float64),
    "image": spaces.Box(0, 255, (4, 4, 3), np.uint8),
    "gray": spaces.Box(0, 255, (8, 8), np.uint8),
    "endless": spaces.Sequence(spaces.Box(-1.0, 1.0, (1,))),
    "dict": spaces.Dict(
        {
            "place": spaces.Box(-np.inf, np.inf, (2,), np.float64),
            "camera": spaces.Box(0, 255, (4, 4, 3), np.uint8),
            "clock": spaces.Box(0.0, 99.0, (), np.float32),
        }
    ),
    "numbers": spaces.Dict(  # gymnasium sorts the keys
        {
            "place": spaces.Box(-np.inf, np.inf, (2,), np.float64),
            "clock": spaces.Box(0.0, 99.0, (1,), np.float32),
        }
    ),
}
ACTIONS = {
    "box": spaces.Box(np.float32(LOW), np.float32(HIGH)),
    "box64": spaces.Box(np.float64(LOW), np.float64(HIGH), dtype=np.float64),
    "column": spaces.Box(np.float32([LOW]).T, np.float32([HIGH]).T),
    "other": spaces.Box(-1.0, 1.0, (2,)),
    "longer": spaces.Box(-1.0, 1.0, (3,)),
    "endless": spaces.Box(-np.inf, np.inf, (2,)),
    "whole": spaces.Box(0, 5, (2,), np.int64),
    "discrete": spaces.Discrete(5),
    "several": spaces.MultiDiscrete([2, 3]),
}
TASK = f"""
name = "my-point"
observation_size = 3
action_size = 2
action_low = {list(LOW)}
action_high = {list(HIGH)}
horizon = {HORIZON}
source = "file:log.hdf5"
"""
ENVIRONMENT = 'env_id = "strange_envs:Point-v0"\n'
BROKEN = "STRANGE_ENV_IS_BROKEN"  # a variable that makes every environment raise


class PointEnv(gymnasium.Env):
    """Never ends by itself; ``taken`` are the actions as they came."""

    def __init__(self, observes="vector", takes="box", fault="", delay=0.0):
        if fault == "making":
            raise RuntimeError("no license\nfor this robot")
        self.observation_space = OBSERVATIONS[observes]
        self.action_space = ACTIONS[takes]
        self.observes, self.fault, self.delay = observes, fault, delay
        self.taken = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        time.sleep(self.delay)  # a simulator that is slow to reset
        if self.fault == "reset":
            raise ValueError("the arm is stuck")
        self.place, self.clock = self.np_random.uniform(-1, 1), 0
        return self.seen(), {}

    def step(self, action):
        self.taken.append(action)
        if self.fault == "step" or os.environ.get(BROKEN):
            raise KeyError("joint 3")
        assert self.action_space.contains(action), action
        self.place += 0.1 * float(np.ravel(action)[0])
        self.clock += 1
        near = abs(self.place) < 0.5
        reward = {"reward": None, "nan reward": np.nan}.get(self.fault, int(near))
        info = None if self.fault == "no info" else {"is_success": np.bool_(near)}
        found = self.seen(), reward, False, False, info
        return found[:4] if self.fault == "four values" else found

    def seen(self):
        place = np.array([self.place, self.place**2])
        if self.fault == "nan observation" and self.clock == 2:
            place[0] = np.nan
        if self.observes in ("dict", "numbers"):
            shape = self.observation_space["clock"].shape
            clock = np.full(shape, self.clock, np.float32)
            camera = np.zeros((4, 4, 3), np.uint8)
            seen = {"place": place, "clock": clock, "camera": camera}
            return {key: seen[key] for key in self.observation_space}
        vector = np.array([*place, self.clock])
        if self.fault == "short":
            return vector[:2]
        return vector.reshape(self.observation_space.shape)


gymnasium.register("Point-v0", "strange_envs:PointEnv", max_episode_steps=None)
