"""Empty caches for every test, so that none reads or fills the user's own."""

from __future__ import annotations

import pathlib

import pytest


@pytest.fixture(autouse=True)
def minari_root(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> pathlib.Path:
    root = tmp_path / "minari"
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
    return root


@pytest.fixture(autouse=True)
def d4rl_root(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    root = tmp_path / "d4rl"
    monkeypatch.setenv("D4RL_DATASET_DIR", str(root))
    return root


@pytest.fixture(autouse=True)
def ogbench_root(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> pathlib.Path:
    root = tmp_path / "ogbench"
    monkeypatch.setenv("OGBENCH_DATASET_DIR", str(root))
    return root
