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
        *("types", "errors", "ops", "networks", "sampling", "train_state"),
        "clustering",
    },
    "envs": {"errors", "envs"},
    "data": {"types", "errors", "data", "envs"},
    "algorithms": {
        *("types", "errors", "ops", "inference", "networks"),
        *("algorithm", "sampling", "train_state", "clustering", "algorithms"),
    },
    "testing": {
        *("types", "ops", "algorithm", "acting", "algorithms", "clustering"),
        *("training", "testing"),
    },
    "training": {
        *("types", "errors", "ops", "algorithm", "acting", "data", "envs"),
        "training",
    },
}
# A library's homes, each a file or a whole layer.
ONLY_HERE = {
    "distrax": ("distributions.py",),
    "filelock": ("data/locks.py",),
    "gymnasium": ("envs/", "training/evaluation.py"),
    "minari": (),  # files are read by our own reader; the library is for users
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


def test_experiments_and_benchmarks_do_not_know_each_other():
    for path in (ROOT / "experiments").rglob("*.py"):
        assert not any(name.startswith("benchmarks") for name in imports(path)), path


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
