"""A walking ant that steers: a forward gait, turned to any heading by symmetry.

The stored policy knows one thing, to walk along +x with its torso near yaw 0. The ant
has four equal legs, so the world may be turned until the wanted heading is +x, and
the legs renamed by quarter turns until the torso's yaw is small: both are exact
symmetries of the body on a plain. All arrays carry a leading batch axis `[B]`.
"""

from __future__ import annotations

import functools
import hashlib
import io
from importlib import resources

import numpy as np

from gem_jax.data.local import tanh_gaussian

# Torso yaw may leave its quarter by this much (rad) before the legs are renamed, so
# that a torso on the border between two quarters does not flicker. The walker learnt
# with this much; who walks it may choose another.
TRAINING_HYSTERESIS = 0.15
QUARTER = np.pi / 2
# Legs 1 to 4 stand at 45, 135, 225 and 315 degrees. Turning leg 1 about the vertical
# onto leg j turns its ankle's axis into this sign times the ankle axis of leg j.
_ANKLE_SIGN = np.array([1.0, -1.0, -1.0, 1.0])
# Motors come in the order of legs 4, 1, 2, 3, hip before ankle.
_MOTOR_LEGS = np.array([3, 0, 1, 2])


@functools.cache
def load_walker() -> tanh_gaussian.PolicyParams:
    """The walker that ``experiments.behaviors.train_ant`` wrote."""
    with np.load(io.BytesIO(_content()), allow_pickle=False) as arrays:
        return tanh_gaussian.params_from_arrays(arrays)


@functools.cache
def sha256() -> str:
    """Of the walker's file."""
    return hashlib.sha256(_content()).hexdigest()


def _content() -> bytes:
    path = resources.files("gem_jax.data.local").joinpath("ant_walker.npz")
    return path.read_bytes()


def update_turns(
    turns: np.ndarray,
    observation: np.ndarray,
    heading: np.ndarray,
    hysteresis: float = TRAINING_HYSTERESIS,
) -> np.ndarray:
    """Chooses by how many quarter turns the legs are renamed.

    Args:
      turns: `[B]` int, the present choice, 0 to 3.
      observation: `[B, 29]`.
      heading: `[B]` wanted direction of travel, rad.
      hysteresis: rad.

    Returns:
      `[B]` int: the present choice where the turned torso's yaw stays within an eighth
      of a turn plus the hysteresis, the best choice elsewhere.
    """
    yaw = torso_yaw(observation[:, 3:7]) - heading
    best = np.round(-yaw / QUARTER).astype(np.int64) % 4
    error = np.abs(_wrap(yaw + turns * QUARTER))
    return np.where(error > QUARTER / 2 + hysteresis, best, turns)


def steer_observation(
    observation: np.ndarray, heading: np.ndarray, turns: np.ndarray
) -> np.ndarray:
    """What the ant would sense, were +x its heading and its first leg another one.

    Args:
      observation: `[B, 29]`.
      heading: `[B]` rad; turns: `[B]` int.

    Returns:
      `[B, 27]` float32: z, quaternion, joints `[8]`, velocities `[14]`.
    """
    angle = turns * QUARTER
    quaternion = _turn_quaternion(observation[:, 3:7], -heading, angle)
    linear = _turn_xy(observation[:, 15:18], -heading)
    angular = _turn_xy(observation[:, 18:21], -angle)
    joints = _rename_legs(observation[:, 7:15], turns)
    joint_velocities = _rename_legs(observation[:, 21:29], turns)
    parts = observation[:, 2:3], quaternion, joints, linear, angular, joint_velocities
    return np.concatenate(parts, axis=1, dtype=np.float32)


def steer_action(action: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Hands the actions `[B, 8]` of the renamed legs to the real motors."""
    by_leg = np.empty_like(action).reshape(-1, 4, 2)
    by_leg[:, _MOTOR_LEGS] = action.reshape(-1, 4, 2)
    renamed = _rename_legs(by_leg.reshape(-1, 8), -turns)
    return renamed.reshape(-1, 4, 2)[:, _MOTOR_LEGS].reshape(-1, 8)


def torso_yaw(quaternion: np.ndarray) -> np.ndarray:
    """Yaw `[B]` (rad) of quaternions `[B, 4]` (w, x, y, z)."""
    w, x, y, z = quaternion.T
    yaw: np.ndarray = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return yaw


def _rename_legs(joints: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Joint j of `[B, 8]` becomes that of leg j + turns, in the sense of leg j."""
    source = (np.arange(4) + turns[:, None]) % 4
    renamed = np.take_along_axis(joints.reshape(-1, 4, 2), source[..., None], axis=1)
    renamed[..., 1] *= _ANKLE_SIGN * _ANKLE_SIGN[source]
    return renamed.reshape(-1, 8)


def _turn_quaternion(
    quaternion: np.ndarray, before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    """The rotation turned about the world's vertical by ``before``, the body's by
    ``after`` (rad)."""
    w, x, y, z = quaternion.T
    # q_z(b) (w, x, y, z) q_z(a): (w, z) turns by half of b + a, (x, y) by b - a.
    half_sum, half_difference = (before + after) / 2, (before - after) / 2
    c, s = np.cos(half_sum), np.sin(half_sum)
    cd, sd = np.cos(half_difference), np.sin(half_difference)
    return np.stack(
        [w * c - z * s, x * cd - y * sd, x * sd + y * cd, w * s + z * c], axis=1
    )


def _turn_xy(vector: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Turns vectors `[B, 3]` about the vertical by `[B]` rad."""
    c, s = np.cos(angle), np.sin(angle)
    x, y, z = vector.T
    return np.stack([x * c - y * s, x * s + y * c, z], axis=1)


def _wrap(angle: np.ndarray) -> np.ndarray:
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
