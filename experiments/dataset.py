"""Makes, downloads and inspects datasets.

python -m experiments.dataset generate --env=maze2d-umaze-v1
python -m experiments.dataset inspect  --env=antmaze-umaze-v2 --output=facts.json
python -m experiments.dataset download --env=hopper-medium-v2
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments import cli
from gem_jax import data, errors
from gem_jax.data import download, episodes, tasks, transforms, transitions

_SATURATED = 0.999  # an action this near to its bound counts as saturated

_ENV = flags.DEFINE_string("env", None, "D4RL name of the task.", required=True)
_SOURCE = flags.DEFINE_string(
    "source", "auto", "For inspect: auto, d4rl, minari, minari:ID, local or file:PATH."
)
_NUM_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions", None, "Size; a million (generate) or all (inspect) by default."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of generated data.")
_OUTPUT = flags.DEFINE_string("output", None, "Also write the result as JSON here.")


def main(argv: list[str]) -> None:
    """Runs the command that is the one positional argument."""
    commands = {"generate": _generate, "inspect": _inspect, "download": _download}
    if len(argv) != 2 or argv[1] not in commands:
        raise errors.UserError(
            f"expected one command of {', '.join(commands)}; got {argv[1:]}"
        )
    facts = commands[argv[1]](tasks.get(_ENV.value))
    for key, value in facts.items():
        print(f"{key:<24} {_format(value)}")
    if _OUTPUT.value:
        path = pathlib.Path(_OUTPUT.value)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(facts, indent=2) + "\n")
        except OSError as error:
            raise errors.UserError(f"cannot write --output={path}: {error}") from None


def describe(found: Sequence[episodes.Episode], task: tasks.Task) -> dict[str, Any]:
    """What one wants to know of a dataset before training on it.

    Args:
      found: episodes with recorded rewards, none of them empty.
      task: gives the scale of the scores and the meaning of the observations.

    Returns:
      Plain numbers, lists and mappings, fit for JSON.
    """
    flat = transitions.flatten(found)
    observation, action = np.asarray(flat.observation), np.asarray(flat.action)
    reward = np.asarray(flat.reward)
    returns = transforms.trajectory_returns(reward, transitions.offsets(found))
    values, counts = np.unique(reward, return_counts=True)
    finite = [np.isfinite(leaf) for leaf in (observation, action, reward)]
    return {
        "episode_length": _summary(np.array([len(episode) for episode in found])),
        "episode_return": _summary(returns),
        "normalized_return_mean": task.normalized_score(float(returns.mean())),
        "rewarded_episodes": int((returns > 0).sum()),
        "reward_mean": float(reward.mean(dtype=np.float64)),
        "reward_counts": {
            f"{value:g}": int(count)
            for value, count in zip(values, counts, strict=True)
        }
        if len(values) <= 10
        else None,
        "terminations": int(np.asarray(flat.terminal).sum()),
        "truncations": sum(int(episode.truncations.sum()) for episode in found),
        "action_low": action.min(axis=0).tolist(),
        "action_high": action.max(axis=0).tolist(),
        "action_saturated": float((np.abs(action) > _SATURATED).mean()),
        "not_finite": sum(int((~leaf).sum()) for leaf in finite),
        "duplicate_rows": _duplicates(np.concatenate([observation, action], axis=1)),
        "largest_jump": _largest_jump(found, task),
    }


def _generate(task: tasks.Task) -> Mapping[str, Any]:
    _, provenance = _read(task, "local")
    return provenance.to_dict()


def _inspect(task: tasks.Task) -> Mapping[str, Any]:
    found, provenance = _read(task, _SOURCE.value)
    return {**provenance.to_dict(), **describe(found, task)}


def _download(task: tasks.Task) -> Mapping[str, Any]:
    path = download.fetch(task)
    return {"env": task.name, "path": str(path), "bytes": path.stat().st_size}


def _read(
    task: tasks.Task, source: str
) -> tuple[list[episodes.Episode], data.Provenance]:
    return data.read(
        task.name, source, seed=_SEED.value, num_transitions=_NUM_TRANSITIONS.value
    )


def _summary(values: np.ndarray) -> dict[str, float]:
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "max": float(values.max()),
    }


def _duplicates(rows: np.ndarray) -> int:
    """Rows that repeat an earlier one, by a 64-bit hash: sorting rows takes minutes."""
    words = np.ascontiguousarray(rows, np.float32).view(np.uint32)
    weights = np.random.default_rng(0).integers(1, 2**63, words.shape[1], np.uint64)
    hashes = np.zeros(len(words), np.uint64)
    for column, weight in zip(words.T, weights, strict=True):
        hashes += column * weight
    return len(rows) - len(np.unique(hashes))


def _largest_jump(found: Sequence[episodes.Episode], task: tasks.Task) -> float | None:
    """Meters moved in the quickest step; None where positions are not observed."""
    if task.suite == "locomotion":
        return None
    moves = [np.diff(episode.observations[:, :2], axis=0) for episode in found]
    return float(np.linalg.norm(np.concatenate(moves), axis=1).max())


def _format(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "  ".join(f"{key}={_format(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(map(_format, value))
    return str(value)


if __name__ == "__main__":
    cli.run(main)
