"""Every task, cadence and amount of data, from D4RL's constants and not the code."""

from __future__ import annotations

MILLION = 1_000_000

# log_every, eval_every, eval_episodes, final_episodes, checkpoint_every.
CADENCE = {
    ("paper", "locomotion"): (5_000, 100_000, 10, 10, 50_000),
    ("paper", "antmaze"): (5_000, 100_000, 100, 100, 50_000),
    ("paper", "maze2d"): (5_000, 100_000, 100, 100, 50_000),
    ("paper", "navigation"): (5_000, 100_000, 10, 10, 50_000),
    ("paper", "ogbench"): (5_000, 100_000, 50, 50, 50_000),
    ("best", "locomotion"): (5_000, 100_000, 10, 10, 50_000),
    ("best", "antmaze"): (5_000, 100_000, 100, 100, 50_000),
    ("best", "maze2d"): (5_000, 100_000, 100, 100, 50_000),
    ("best", "navigation"): (5_000, 100_000, 10, 10, 50_000),
    ("best", "ogbench"): (5_000, 100_000, 50, 50, 50_000),
    ("laptop", "locomotion"): (1_000, 34_000, 10, 10, 10_000),
    ("laptop", "antmaze"): (1_000, 20_000, 20, 100, 10_000),
    ("laptop", "maze2d"): (1_000, 14_000, 20, 100, 10_000),
    ("laptop", "navigation"): (1_000, 14_000, 10, 10, 10_000),
    ("laptop", "ogbench"): (1_000, 20_000, 20, 50, 10_000),
    ("smoke", "locomotion"): (200, 200, 2, 4, 200),
    ("smoke", "antmaze"): (200, 200, 2, 4, 200),
    ("smoke", "maze2d"): (200, 200, 2, 4, 200),
    ("smoke", "navigation"): (200, 200, 2, 4, 200),
    ("smoke", "ogbench"): (200, 200, 2, 4, 200),
}
NUM_TRANSITIONS = {"paper": None, "best": None, "laptop": None, "smoke": 20_000}

# Environment, O, A, horizon, returns of D4RL's random and reference policies.
_CHEETAH = ("HalfCheetah-v4", 17, 6, 1000, -280.178953, 12135.0)
_HOPPER = ("Hopper-v4", 11, 3, 1000, -20.272305, 3234.3)
_WALKER = ("Walker2d-v4", 17, 6, 1000, 1.629008, 4592.3)
_UMAZE = ("gem_jax/AntMaze-umaze-v0", 29, 8, 700, 0.0, 1.0)
_MEDIUM = ("gem_jax/AntMaze-medium-v0", 29, 8, 1000, 0.0, 1.0)
_LARGE = ("gem_jax/AntMaze-large-v0", 29, 8, 1000, 0.0, 1.0)
# Suite, reward transform, size of D4RL's set, then the above.
TASKS = {
    "halfcheetah-random-v2": ("locomotion", "identity", MILLION, *_CHEETAH),
    "halfcheetah-medium-v2": ("locomotion", "identity", MILLION, *_CHEETAH),
    "halfcheetah-medium-replay-v2": ("locomotion", "identity", 202_000, *_CHEETAH),
    "halfcheetah-medium-expert-v2": ("locomotion", "identity", 2_000_000, *_CHEETAH),
    "halfcheetah-full-replay-v2": ("locomotion", "identity", MILLION, *_CHEETAH),
    "halfcheetah-expert-v2": ("locomotion", "identity", MILLION, *_CHEETAH),
    "hopper-random-v2": ("locomotion", "identity", MILLION, *_HOPPER),
    "hopper-medium-v2": ("locomotion", "return_range", MILLION, *_HOPPER),
    "hopper-medium-replay-v2": ("locomotion", "return_range", 402_000, *_HOPPER),
    "hopper-medium-expert-v2": ("locomotion", "identity", 2_000_000, *_HOPPER),
    "hopper-full-replay-v2": ("locomotion", "identity", MILLION, *_HOPPER),
    "hopper-expert-v2": ("locomotion", "identity", MILLION, *_HOPPER),
    "walker2d-random-v2": ("locomotion", "identity", MILLION, *_WALKER),
    "walker2d-medium-v2": ("locomotion", "identity", MILLION, *_WALKER),
    "walker2d-medium-replay-v2": ("locomotion", "identity", 302_000, *_WALKER),
    "walker2d-medium-expert-v2": ("locomotion", "identity", 2_000_000, *_WALKER),
    "walker2d-full-replay-v2": ("locomotion", "identity", MILLION, *_WALKER),
    "walker2d-expert-v2": ("locomotion", "identity", MILLION, *_WALKER),
    "antmaze-umaze-v2": ("antmaze", "minus_one", MILLION, *_UMAZE),
    "antmaze-umaze-diverse-v2": ("antmaze", "minus_one", MILLION, *_UMAZE),
    "antmaze-medium-play-v2": ("antmaze", "minus_one", MILLION, *_MEDIUM),
    "antmaze-medium-diverse-v2": ("antmaze", "minus_one", MILLION, *_MEDIUM),
    "antmaze-large-play-v2": ("antmaze", "minus_one", MILLION, *_LARGE),
    "antmaze-large-diverse-v2": ("antmaze", "minus_one", MILLION, *_LARGE),
    "maze2d-umaze-v1": (
        *("maze2d", "identity", MILLION, "gem_jax/Maze2D-umaze-v0", 4, 2),
        *(300, 23.85, 161.86),
    ),
    "maze2d-medium-v1": (
        *("maze2d", "identity", MILLION, "gem_jax/Maze2D-medium-v0", 4, 2),
        *(600, 13.13, 277.39),
    ),
    "maze2d-large-v1": (
        *("maze2d", "identity", MILLION, "gem_jax/Maze2D-large-v0", 4, 2),
        *(800, 6.7, 273.99),
    ),
    "navigation-v0": (
        *("navigation", "identity", 2_000_000, "gem_jax/Navigation-v0", 2, 2),
        *(1000, -1000.0, -299.0),
    ),
}

# OGBench's worlds: O, A, horizon, the task of a name without a number, and their sets.
_WORLDS = {
    "cube-single": (28, 5, 200, 2, "play", "noisy"),
    "cube-double": (37, 5, 500, 2, "play", "noisy"),
    "scene": (40, 5, 750, 2, "play", "noisy"),
    "puzzle-3x3": (55, 5, 500, 4, "play", "noisy"),
    "puzzle-4x4": (83, 5, 500, 4, "play", "noisy"),
    "pointmaze-medium": (2, 2, 1000, 1, "navigate", "stitch"),
    "pointmaze-large": (2, 2, 1000, 1, "navigate", "stitch"),
}
for _world, (_o, _a, _horizon, _default, *_sets) in _WORLDS.items():
    for _set in _sets:
        for _number in ("", 1, 2, 3, 4, 5):
            _env = f"gem_jax/OGBench-{_world}-task{_number or _default}-v0"
            _suffix = f"-task{_number}" if _number else ""
            TASKS[f"{_world}-{_set}-singletask{_suffix}-v0"] = (
                *("ogbench", "identity", MILLION, _env, _o, _a),
                *(_horizon, 0.0, 1.0),
            )
