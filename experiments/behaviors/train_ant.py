"""Trains the walking ant behind the local AntMaze data, and picks its best checkpoint.

SAC learns to walk along a heading in D4RL's ant physics, on an open plain and under
the noise that the data are made with. The heading jumps now and then, which teaches
turning from full speed; ``gem_jax.data.local.ant_walker`` turns every heading into
the same task. Needs the extra `behaviors`; about half an hour on one core:

    python -m experiments.behaviors.train_ant --output=ant_walker.npz

Every checkpoint is a small NPZ file in the work folder. After training, each of the
later ones walks many episodes, and a fast one that hardly falls goes to ``--output``,
to replace the one in ``gem_jax/data/local``. `--steps=0` only repeats this choice.
"""

from __future__ import annotations

import pathlib
import time
from typing import Any

import gymnasium
import mujoco
import numpy as np
from absl import flags

from experiments.behaviors import actor
from experiments.lib import cli
from gem_jax import errors
from gem_jax.data.local import ant_walker, tanh_gaussian
from gem_jax.envs import ant_maze

ACTION_NOISE = 0.2
EPISODE_STEPS = 500
STEP_SECONDS = 0.1
JUMP_PROBABILITY = 1 / 100  # of the heading, per step
HEALTHY_REWARD = 0.2
CONTROL_COST = 0.05
LATERAL_COST = 0.3
FALL_COST = 10.0  # of a certain fall, when checkpoints are compared
HEALTHY_HEIGHT = (0.2, 1.0)  # meters

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "runs/ant_walker", "Folder of the checkpoints.")
flags.DEFINE_string("output", None, "File of the chosen walker; nothing if unset.")
flags.DEFINE_integer("steps", 400_000, "Environment steps.")
flags.DEFINE_integer("checkpoint_every", 20_000, "Environment steps.")
flags.DEFINE_integer("candidates", 6, "Last checkpoints to compare.", 1)
flags.DEFINE_integer("episodes", 128, "Episodes per compared checkpoint.")
flags.DEFINE_integer("seed", 0, "Seed of everything.")


class SteeredAnt(gymnasium.Env[np.ndarray, np.ndarray]):
    """Walk along a heading; observation `[27]` and action `[8]` are steered ones.

    Reward per step: speed along the heading, minus costs of drifting sideways and of
    the controls, plus a little for staying upright. A fall ends the episode.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self) -> None:
        self._model = ant_maze.make_model(None)
        self._data = mujoco.MjData(self._model)
        self._heading = np.zeros(1)
        self._turns = np.zeros(1, np.int64)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (27,))
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (8,))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        ant_maze.reset_data(self._data, self._model, self.np_random)
        self._heading = self.np_random.uniform(-np.pi, np.pi, 1)
        return self._observe(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        noisy = action + self.np_random.normal(0.0, ACTION_NOISE, 8)
        control = np.clip(noisy, -1.0, 1.0)
        before = self._data.qpos[:2].copy()
        self._data.ctrl[:] = ant_walker.steer_action(control[None], self._turns)[0]
        mujoco.mj_step(self._model, self._data, nstep=ant_maze.FRAME_SKIP)
        dx, dy = (self._data.qpos[:2] - before) / STEP_SECONDS
        c, s = np.cos(self._heading[0]), np.sin(self._heading[0])
        reward = dx * c + dy * s - LATERAL_COST * abs(dy * c - dx * s)
        reward += HEALTHY_REWARD - CONTROL_COST * float(control @ control)
        fallen = has_fallen(self._data)
        if self.np_random.random() < JUMP_PROBABILITY:
            self._heading = self.np_random.uniform(-np.pi, np.pi, 1)
        return self._observe(), float(reward), fallen, False, {}

    def _observe(self) -> np.ndarray:
        raw = ant_maze.observe(self._data)[None]
        self._turns = ant_walker.update_turns(self._turns, raw, self._heading)
        return ant_walker.steer_observation(raw, self._heading, self._turns)[0]


def has_fallen(data: mujoco.MjData) -> bool:
    """Whether the torso is at no walking height or tipped by a right angle."""
    _, x, y, _ = data.qpos[3:7]
    low, high = HEALTHY_HEIGHT
    upright = 1 - 2 * (x * x + y * y)  # the torso's vertical, along the world's
    return not (low <= data.qpos[2] <= high and upright > 0)


def train(workdir: pathlib.Path) -> None:
    """Runs SAC and leaves `walker_STEP.npz` files in ``workdir``."""
    # Only training needs these; choosing a checkpoint does not.
    import sbx
    from stable_baselines3.common import callbacks, env_util

    class Checkpoint(callbacks.BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps % FLAGS.checkpoint_every < self.training_env.num_envs:
                save(self.model, self.num_timesteps, workdir)
            return True

    envs = env_util.make_vec_env(
        lambda: gymnasium.wrappers.TimeLimit(SteeredAnt(), EPISODE_STEPS),
        n_envs=8,
        seed=FLAGS.seed,
    )
    model = sbx.SAC(
        "MlpPolicy",
        envs,
        train_freq=8,
        gradient_steps=24,
        learning_starts=5_000,
        policy_kwargs={"net_arch": [256, 256]},
        seed=FLAGS.seed,
        verbose=1,
    )
    model.learn(FLAGS.steps, callback=Checkpoint(), log_interval=40)


def save(model: Any, step: int, workdir: pathlib.Path) -> None:
    """Writes the actor's weights, float32, as `walker_STEP.npz`."""
    arrays: dict[str, Any] = {
        "metadata/steps": np.int64(step),
        "metadata/seed": np.int64(FLAGS.seed),
        **actor.arrays(model),
    }
    np.savez(workdir / f"walker_{step:08d}.npz", **arrays)


def walk(
    params: tanh_gaussian.PolicyParams, episodes: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Walks episodes of noisy behavior; returns reward per step and share of falls."""
    env = SteeredAnt()
    rewards, falls = [], 0
    for _ in range(episodes):
        observation, _ = env.reset(seed=int(rng.integers(2**31)))
        fallen = False
        for _ in range(EPISODE_STEPS):
            noise = rng.standard_normal((1, 8), np.float32)
            action = tanh_gaussian.sample(params, observation[None], noise)[0]
            observation, reward, fallen, _, _ = env.step(action)
            rewards.append(reward)
            if fallen:
                break
        falls += fallen
    return float(np.mean(rewards)), falls / episodes


def choose(workdir: pathlib.Path) -> dict[str, Any]:
    """The arrays of the checkpoint with the best score: reward less cost of falls.

    Raises:
      UserError: there is no checkpoint.
    """
    paths = sorted(workdir.glob("walker_*.npz"))[-FLAGS.candidates :]
    if not paths:
        raise errors.UserError(f"{workdir} holds no checkpoint; give it --steps")
    rng = np.random.default_rng(FLAGS.seed)
    best: dict[str, Any] = {}
    best_score = -np.inf
    for path in paths:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        params = tanh_gaussian.params_from_arrays(arrays)
        reward, falls = walk(params, FLAGS.episodes, rng)
        print(
            f"{path.name}: reward {reward:.3f} per step, falls {falls:.3f}", flush=True
        )
        if reward - FALL_COST * falls > best_score:
            best, best_score = arrays, reward - FALL_COST * falls
            best["metadata/reward_per_step"] = np.float32(reward)
            best["metadata/falls_per_episode"] = np.float32(falls)
    return best


def main(argv: list[str]) -> None:
    """Trains, compares checkpoints and writes the best one."""
    cli.no_arguments(argv)
    workdir = pathlib.Path(FLAGS.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    if FLAGS.steps:
        train(workdir)
        print(f"trained for {time.monotonic() - start:.0f} s", flush=True)
    best = choose(workdir)
    print(f"chosen: {best['metadata/steps']} steps")
    if FLAGS.output:
        np.savez(FLAGS.output, **best)


if __name__ == "__main__":
    cli.run(main)
