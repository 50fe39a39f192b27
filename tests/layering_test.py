"""Who may import whom, read from the source."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gem_jax"

# Each layer may import what stands left of it, and itself.
LAYERS = {
    "ops": {"types", "ops"},
    "inference": {"types", "ops", "inference"},
    "networks": {"types", "ops", "networks"},
    "clustering": {
        *("types", "errors", "checks", "ops", "networks", "sampling", "train_state"),
        "clustering",
    },
    "utils": {"errors", "utils"},
    "envs": {"errors", "ogbench_worlds", "envs"},
    "data": {
        *("types", "errors", "utils", "action_box", "ogbench_worlds", "envs"),
        "data",
    },
    "learners": {
        *("types", "errors", "checks", "ops", "networks", "algorithm", "train_state"),
        "learners",
    },
    "algorithms": {
        *("types", "errors", "checks", "ops", "inference", "networks", "learners"),
        *("algorithm", "sampling", "train_state", "clustering", "utils", "algorithms"),
    },
    "configs": {"algorithms", "data", "configs"},
    "runs": {
        *("types", "errors", "inference", "algorithm", "algorithms", "configs"),
        "__version__",
        *("data", "training", "policy", "utils", "runs"),
    },
    "testing": {
        *("types", "ops", "algorithm", "acting", "algorithms", "clustering"),
        *("data", "training", "testing"),
    },
    "training": {
        *("types", "errors", "utils", "ops", "algorithm", "acting", "data", "envs"),
        "training",
    },
}
# A library's homes, each a file or a whole layer.
ONLY_HERE = {
    "distrax": ("distributions.py",),
    "filelock": ("utils/locks.py",),
    "flashbax": ("training/online.py",),
    "gymnasium": ("envs/", "training/collecting.py"),
    "minari": ("data/minari_download.py",),  # its client; files our reader reads
    "orbax": ("training/checkpoint.py",),
}


def imports(path):
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def files(layer=""):
    return sorted((PACKAGE / layer).rglob("*.py"))


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_import_downwards_only(layer):
    for path in files(layer):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "gem_jax" and len(parts) > 1:
                assert parts[1] in LAYERS[layer], f"{path}: {name}"
            assert parts[0] not in ("experiments", "benchmarks"), f"{path}: {name}"


@pytest.mark.parametrize("layer", ["ops", "inference"])
def test_ops_and_inference_need_jax_alone(layer):
    forbidden = {"flax", "optax", "chex", "distrax", "gymnasium", "minari", "numpy"}
    for path in files(layer):
        assert not forbidden & {name.split(".")[0] for name in imports(path)}, path


def test_algorithms_are_not_known_below():
    for path in files("training"):
        assert not any("algorithms" in name for name in imports(path)), path


@pytest.mark.parametrize("library", ONLY_HERE)
def test_libraries_stay_in_their_homes(library):
    for path in files():
        if library in {name.split(".")[0] for name in imports(path)}:
            place = path.relative_to(PACKAGE).as_posix()
            assert place.startswith(ONLY_HERE[library]), place


def test_experiments_do_not_know_benchmarks():
    for path in (ROOT / "experiments").rglob("*.py"):
        assert not any(name.startswith("benchmarks") for name in imports(path)), path


def test_benchmarks_know_of_experiments_what_serves_all_commands():
    for path in (ROOT / "benchmarks").rglob("*.py"):
        for name in imports(path):
            if name.startswith("experiments"):
                assert name.startswith("experiments.lib."), f"{path}: {name}"


def test_commands_are_what_stands_at_the_top():
    """Whatever serves them lies in ``lib``, or in the package of its command."""
    serving = {"__init__", "lib", "behaviors", "harness"}
    for folder in ("experiments", "benchmarks"):
        for path in (ROOT / folder).iterdir():
            command = path / "__main__.py" if path.is_dir() else path
            if path.stem not in serving and not path.name.startswith((".", "__")):
                assert "cli.run(main" in command.read_text(), path


def test_nothing_is_unpickled_or_evaluated():
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for path in ROOT.rglob("*.py"):
        if ".venv" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        assert not forbidden & {name.split(".")[0] for name in imports(path)}, path
        calls = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"eval", "exec"}, path
