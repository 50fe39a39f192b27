"""Trains GEM on a small set made here, then acts with more and with fewer candidates.

python examples/train_and_act.py [FOLDER]
"""

import pathlib
import sys

import jax

import gem_jax
from gem_jax import envs
from gem_jax.data import tasks

TASK = tasks.get("maze2d-umaze-v1")


def main() -> None:
    """A minute on one core; with preset="laptop" a useful policy in half an hour."""
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example")
    policy = gem_jax.train(
        TASK.name,
        "gem",
        source="local",
        preset="smoke",
        workdir=folder,
        num_steps=150,
        behavior_steps=50,
    )
    environment = envs.make(TASK.env_id)
    for num_candidates in (0, 64):
        chooser = policy.with_knobs(num_candidates=num_candidates)
        observation, _ = environment.reset(seed=0)
        total = 0.0
        for t in range(TASK.horizon):
            key = jax.random.fold_in(jax.random.key(0), t)
            output = chooser.act(key, observation[None], [t])
            observation, reward, *_ = environment.step(jax.device_get(output.action[0]))
            total += float(reward)
        print(f"N = {num_candidates}: return {total:.1f}")


if __name__ == "__main__":
    main()
