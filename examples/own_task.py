"""A task of one's own: a log, a file that describes it, a policy in the log's units.

python examples/own_task.py [FOLDER]

Gymnasium's pendulum is to stand upright. Its motor turns by -2 to 2 N m, it has no
normalized score, and its log was recorded by a controller that is not always in charge.
After this program the commands take FOLDER/pendulum.toml for --env:

python -m experiments.dataset inspect --env=FOLDER/pendulum.toml
python -m experiments.train --env=FOLDER/pendulum.toml --algo=iql --steps=5000 --workdir=FOLDER/again
python -m experiments.evaluate --workdir=FOLDER/run --episodes=20
"""  # noqa: E501 - commands are one line

import argparse
import pathlib

import gymnasium
import jax
import numpy as np

import gem_jax

TASK = """\
name = "pendulum-swing-up"
env_id = "Pendulum-v1"       # or "my_package:MyEnv-v0"; without, nothing is evaluated
observation_size = 3         # cosine and sine of the angle, angular velocity (rad/s)
action_size = 1
action_low = [-2.0]          # N m
action_high = [2.0]
horizon = 200
source = "file:log.npz"      # beside this file; --source overrides it
"""


def controller(observation: np.ndarray) -> float:
    """Pumps energy until the pendulum is nearly upright, then holds it there (N m)."""
    cosine, sine, velocity = observation
    if cosine > 0.8:
        return -10.0 * np.arctan2(sine, cosine) - 2.0 * velocity
    energy = velocity**2 / 6 + 5 * (cosine - 1)  # of a rod of 1 kg and 1 m; 0 upright
    return -energy * np.sign(velocity)


def record(path: pathlib.Path, episodes: int) -> float:
    """Writes the steps of some episodes; returns their mean return."""
    environment = gymnasium.make("Pendulum-v1")
    rng = np.random.default_rng(0)
    steps: list[tuple[np.ndarray, float, float, bool]] = []
    for episode in range(episodes):
        observation, _ = environment.reset(seed=episode)
        in_charge = rng.uniform()  # share of the steps that are the controller's
        over = False
        while not over:
            torque = rng.uniform(-2.0, 2.0)
            if rng.uniform() < in_charge:
                torque = controller(observation)
            torque = float(np.clip(torque, -2.0, 2.0))
            following, reward, _, over, _ = environment.step(np.float32([torque]))
            steps.append((observation, torque, float(reward), over))
            observation = following
    observations, actions, rewards, timeouts = (np.array(s) for s in zip(*steps))
    np.savez(
        path,
        observations=observations,
        actions=actions[:, None],  # as recorded, in N m
        rewards=rewards,
        terminals=np.zeros(len(steps), bool),  # the pendulum never ends
        timeouts=timeouts,
    )
    return rewards.sum() / episodes


def play(policy: gem_jax.Policy, seed: int) -> float:
    """The return of one episode, without any of this project around the environment."""
    environment = gymnasium.make("Pendulum-v1")
    observation, _ = environment.reset(seed=seed)
    total = 0.0
    for t in range(200):
        output = policy.act(jax.random.key(t), observation[None], [t])
        torque = jax.device_get(output.action[0])  # N m, as the log has it
        observation, reward, *_ = environment.step(torque)
        total += float(reward)
    return total


def main() -> None:
    """Four minutes on two slow cores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default="runs/own_task")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--algo", default="iql")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    recorded = record(asked.folder / "log.npz", asked.episodes)
    path = asked.folder / "pendulum.toml"
    path.write_text(TASK)
    policy = gem_jax.train(
        str(path), asked.algo, workdir=asked.folder / "run", num_steps=asked.steps
    )
    returns = [play(policy, seed) for seed in range(1_000, 1_005)]
    print(f"mean return: log {recorded:.1f}, policy {np.mean(returns):.1f}")


if __name__ == "__main__":
    main()
