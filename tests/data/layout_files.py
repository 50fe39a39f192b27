"""The same three episodes in every layout that is read, written without the readers."""

from __future__ import annotations

import csv

import h5py
import numpy as np

from gem_jax.data import episodes

LENGTHS = (4, 5, 3)


def recorded():
    """Ends: a termination, a time limit, a time limit. Four numbers, two actions."""
    rng = np.random.default_rng(0)
    found = []
    for index, steps in enumerate(LENGTHS):
        last = np.arange(steps) == steps - 1
        found.append(
            episodes.Episode(
                observations=rng.normal(size=(steps + 1, 4)).astype(np.float32),
                actions=rng.uniform(-1, 1, (steps, 2)).astype(np.float32),
                rewards=rng.normal(size=steps).astype(np.float32),
                terminations=last & (index == 0),
                truncations=last & (index > 0),
            )
        )
    return found


def rows(with_last):
    """Side by side; ``with_last`` adds, after a time limit, the last observation.

    The row that it adds has an action and a reward that nobody may read.
    """
    parts = {key: [] for key in ("obs", "next", "act", "rew", "term", "end", "episode")}
    for index, e in enumerate(recorded()):
        steps = len(e)
        parts["obs"] += [*e.observations[:-1]]
        parts["next"] += [*e.observations[1:]]
        parts["act"] += [*e.actions]
        parts["rew"] += [*e.rewards]
        parts["term"] += [*e.terminations]
        ends = e.terminations | (e.truncations & (not with_last))
        parts["end"] += [*ends]
        parts["episode"] += [index] * steps
        if with_last and not e.terminations[-1]:
            parts["obs"] += [e.observations[-1]]
            parts["next"] += [np.full(4, 9.0, np.float32)]
            parts["act"] += [np.full(2, 0.5, np.float32)]
            parts["rew"] += [np.float32(77.0)]
            parts["term"] += [False]
            parts["end"] += [True]
            parts["episode"] += [index]
    return {key: np.array(values) for key, values in parts.items()}


def d4rl_arrays():
    found = rows(with_last=True)
    return {
        "observations": found["obs"],
        "actions": found["act"],
        "rewards": found["rew"],
        "terminals": found["term"],
        "timeouts": found["end"] & ~found["term"],
    }


def d4rl_hdf5(path):
    with h5py.File(path, "w") as file:
        for name, array in d4rl_arrays().items():
            file[name] = array


def d4rl_numpy(path):
    np.savez_compressed(path.open("wb"), **d4rl_arrays())


def ogbench(path):
    """As relabeled and saved: each row has its successor."""
    found = rows(with_last=False)
    np.savez(
        path.open("wb"),
        observations=found["obs"],
        next_observations=found["next"],
        actions=np.asfortranarray(found["act"]),
        rewards=found["rew"].astype(">f8"),
        terminals=found["end"].astype(np.float32),
        masks=1.0 - found["term"],
    )


def ogbench_compact(path):
    """As published, with rewards: every episode ends with a row of an observation."""
    parts = {name: [] for name in ("observations", "actions", "rewards")}
    terminals, masks = [], []
    for e in recorded():
        parts["observations"] += [*e.observations]
        parts["actions"] += [*e.actions, np.full(2, 0.5, np.float32)]
        parts["rewards"] += [*e.rewards, np.float32(77.0)]
        terminals += [0] * len(e) + [1]
        masks += [*(1.0 - e.terminations), 0.0]
    arrays = {name: np.array(values) for name, values in parts.items()}
    np.savez(path.open("wb"), terminals=terminals, masks=masks, **arrays)


def robomimic(path):
    with h5py.File(path, "w") as file:
        for index, e in enumerate(recorded()):
            group = file.create_group(f"data/demo_{index}")
            group["actions"] = e.actions.astype(np.float64)
            group["rewards"] = e.rewards
            group["dones"] = e.terminations.astype(np.int64)
            group["states"] = np.zeros((len(e), 3))
            for name, part in (("a", np.s_[:1]), ("b", np.s_[1:3]), ("c", np.s_[3:])):
                group[f"obs/{name}"] = e.observations[:-1, part]
                group[f"next_obs/{name}"] = e.observations[1:, part]


def minari(path):
    with h5py.File(path, "w") as file:
        for index, e in enumerate(recorded()):
            for name in ("observations", "actions", "rewards"):
                file[f"episode_{index}/{name}"] = getattr(e, name)
            for name in ("terminations", "truncations"):
                file[f"episode_{index}/{name}"] = getattr(e, name)


def log(path):
    """Ends by the name of an episode; a column that means nothing."""
    found = rows(with_last=True)
    header = ["time", "action_1", *(f"obs_{i}" for i in range(4)), "action_0"]
    header += ["reward", "terminal", "episode"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for i in range(len(found["obs"])):
            numbers = [0.1 * i, found["act"][i, 1], *found["obs"][i]]
            numbers += [found["act"][i, 0], found["rew"][i]]
            texts = [f"{float(number):.9g}" for number in numbers]
            texts += [str(bool(found["term"][i])), f"run-{found['episode'][i]}"]
            writer.writerow(texts)


def log_with_successors(path):
    """Ends by time-outs."""
    found = rows(with_last=False)
    header = [f"obs_{i}" for i in range(4)] + ["action_0", "action_1", "reward"]
    header += [f"next_obs_{i}" for i in range(4)] + ["terminal", "timeout"]
    lines = [",".join(header)]
    for i in range(len(found["obs"])):
        numbers = [*found["obs"][i], *found["act"][i], found["rew"][i]]
        numbers += [*found["next"][i], found["term"][i]]
        numbers += [found["end"][i] and not found["term"][i]]
        lines.append(",".join(f"{float(number):.9g}" for number in numbers))
    path.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")


ALL = {
    write.__name__: write
    for write in (
        *(d4rl_hdf5, d4rl_numpy, ogbench, ogbench_compact, robomimic, minari),
        *(log, log_with_successors),
    )
}
# These hold what was observed after a termination; in the others it is lost.
WITH_SUCCESSORS = ("ogbench", "ogbench_compact", "robomimic", "minari")
WITH_SUCCESSORS += ("log_with_successors",)
