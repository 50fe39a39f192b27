"""Trains a robot to run by SAC and keeps its policy at every stage of training.

    python -m experiments.behaviors.train_locomotion --robot=hopper

leaves `policy_STEP.npz` files, float32 weights without pickle, in the work folder:
from the untrained policy to the last one. ``select_locomotion`` picks the tiers of the
local data sets from them. Needs the extra `behaviors`; one to three hours on one core.
The same command continues after an interruption, with new episodes.
"""

from __future__ import annotations

import json
import os
import pathlib
import time
from typing import Any

import flax.serialization
import gymnasium
import numpy as np
import sbx
from absl import flags
from stable_baselines3.common import callbacks, env_util

from experiments.behaviors import actor
from experiments.lib import cli

ENV_IDS = {
    "halfcheetah": "HalfCheetah-v4",
    "hopper": "Hopper-v4",
    "walker2d": "Walker2d-v4",
}
NUM_ENVS = 8
STEPS_PER_ROUND = 64  # environment steps between two rounds of updates
STATE_FILE = "state.npz"
# Training is quick at first, and a replay set needs its stages.
EARLY_STEPS, EARLY_CHECKPOINT_EVERY = 40_000, 1_000

FLAGS = flags.FLAGS
flags.DEFINE_enum("robot", None, list(ENV_IDS), "Which robot.", required=True)
flags.DEFINE_enum("algo", "sac", ["sac", "crossq"], "What trains it.")
flags.DEFINE_string("workdir", None, "Folder; runs/behaviors/ROBOT if unset.")
flags.DEFINE_integer("steps", 1_200_000, "Environment steps.")
flags.DEFINE_integer("checkpoint_every", 5_000, "Steps between policies, later on.")
flags.DEFINE_integer("state_every", 50_000, "Steps between two complete states.")
flags.DEFINE_float("updates_per_step", 0.5, "Gradient updates per environment step.")
flags.DEFINE_integer("batch_size", 256, "Transitions of an update.")
flags.DEFINE_integer("seed", 0, "Seed of everything.")


class Recorder(callbacks.BaseCallback):
    """Writes policies, progress and the state to continue from."""

    def __init__(self, workdir: pathlib.Path) -> None:
        super().__init__()
        self._workdir = workdir
        self._start = time.monotonic()
        self._next_policy = self._next_state = 0

    def _on_training_start(self) -> None:
        if not self.num_timesteps:
            self._save_policy()
        self._next_policy = self._after(self._policy_period())
        self._next_state = self._after(FLAGS.state_every)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self.num_timesteps >= self._next_policy:
            self._next_policy = self._after(self._policy_period())
            self._save_policy()
        if self.num_timesteps >= self._next_state:
            self._next_state = self._after(FLAGS.state_every)
            save_state(self.model, self._workdir)

    def _policy_period(self) -> int:
        early = self.num_timesteps < EARLY_STEPS
        return EARLY_CHECKPOINT_EVERY if early else FLAGS.checkpoint_every

    def _after(self, period: int) -> int:
        return (self.num_timesteps // period + 1) * period

    def _save_policy(self) -> None:
        step = self.num_timesteps
        arrays: dict[str, Any] = actor.arrays(self.model)
        arrays["metadata/steps"] = np.int64(step)
        np.savez(self._workdir / f"policy_{step:08d}.npz", **arrays)
        returns = [info["r"] for info in self.model.ep_info_buffer or ()]
        line = {
            "step": step,
            "seconds": round(time.monotonic() - self._start),
            "recent_return": round(float(np.mean(returns)), 1) if returns else None,
        }
        with (self._workdir / "progress.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(line, flush=True)


def make_model(robot: str, seed: int) -> Any:
    """SAC with a slim policy, or CrossQ: SAC without targets, batches normalized."""
    envs = env_util.make_vec_env(ENV_IDS[robot], n_envs=NUM_ENVS, seed=seed)
    shared = {
        "train_freq": STEPS_PER_ROUND // NUM_ENVS,
        "gradient_steps": round(STEPS_PER_ROUND * FLAGS.updates_per_step),
        "batch_size": FLAGS.batch_size,
        "learning_starts": 5_000,
        "seed": seed,
    }
    sizes = {"net_arch": {"pi": [128, 128], "qf": [256, 256]}}
    if FLAGS.algo == "crossq":
        policy = sizes | {"batch_norm_actor": False}
        return sbx.CrossQ("MlpPolicy", envs, policy_kwargs=policy, **shared)
    policy = sizes | {"layer_norm": True}  # of the critics
    return sbx.SAC(
        "MlpPolicy", envs, qf_learning_rate=1e-3, policy_kwargs=policy, **shared
    )


def save_state(model: Any, workdir: pathlib.Path) -> None:
    """Writes all that training needs to go on; replaces the old state at once."""
    buffer = model.replay_buffer
    size = buffer.buffer_size if buffer.full else buffer.pos
    partial = workdir / f".{STATE_FILE}"
    with partial.open("wb") as file:
        np.savez(
            file,
            steps=model.num_timesteps,
            position=buffer.pos,
            networks=np.frombuffer(
                flax.serialization.to_bytes(_networks(model)), np.uint8
            ),
            **{name: getattr(buffer, name)[:size] for name in _BUFFER_FIELDS},
        )
    os.replace(partial, workdir / STATE_FILE)


def restore_state(model: Any, workdir: pathlib.Path) -> None:
    """Continues from the state in ``workdir``; removes the policies made after it."""
    with np.load(workdir / STATE_FILE, allow_pickle=False) as state:
        networks = flax.serialization.from_bytes(
            _networks(model), state["networks"].tobytes()
        )
        model.policy.actor_state = networks["actor"]
        model.policy.qf_state = networks["critic"]
        model.ent_coef_state = networks["temperature"]
        model.key = networks["key"]
        model.num_timesteps = int(state["steps"])
        buffer = model.replay_buffer
        buffer.pos = int(state["position"])
        for name in _BUFFER_FIELDS:
            stored = state[name]
            getattr(buffer, name)[: len(stored)] = stored
        buffer.full = len(stored) == buffer.buffer_size
    for path in workdir.glob("policy_*.npz"):
        if actor.step_of(path) > model.num_timesteps:
            path.unlink()


_BUFFER_FIELDS = (
    "observations",
    "next_observations",
    "actions",
    "rewards",
    "dones",
    "timeouts",
)


def _networks(model: Any) -> dict[str, Any]:
    return {
        "actor": model.policy.actor_state,
        "critic": model.policy.qf_state,
        "temperature": model.ent_coef_state,
        "key": model.key,
    }


def main(argv: list[str]) -> None:
    """Trains, from the beginning or from the last state."""
    cli.no_arguments(argv)
    gymnasium.logger.min_level = gymnasium.logger.ERROR  # v4 is D4RL's, if old
    workdir = pathlib.Path(FLAGS.workdir or f"runs/behaviors/{FLAGS.robot}")
    workdir.mkdir(parents=True, exist_ok=True)
    model = make_model(FLAGS.robot, FLAGS.seed)
    if (workdir / STATE_FILE).exists():
        restore_state(model, workdir)
    model.learn(
        FLAGS.steps - model.num_timesteps,
        callback=Recorder(workdir),
        reset_num_timesteps=False,
    )
    save_state(model, workdir)


if __name__ == "__main__":
    cli.run(main)
