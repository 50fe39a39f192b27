"""Downloads by Minari's client, here one that reaches no network."""

from __future__ import annotations

import json
import sys

import layout_files
import pytest

from gem_jax import errors
from gem_jax.data import files, minari, minari_download

ID = "mujoco/robot/medium-v0"


class Client:
    """Brings a dataset in two visits; the first one is cut off."""

    def __init__(self, cut_off=0, name=minari.DATA_FILE):
        self.cut_off, self.name, self.visits = cut_off, name, 0

    def download_dataset(self, dataset_id, path):
        folder = path / dataset_id / "data"
        folder.mkdir(parents=True, exist_ok=True)
        metadata = {"total_episodes": 3, "total_steps": 12}
        (folder / minari.METADATA_FILE).write_text(json.dumps(metadata))
        self.visits += 1
        if self.visits <= self.cut_off:
            (folder / "half").touch()
            raise ConnectionError("cut off\nby the network")
        self.resumed = (folder / "half").exists()
        layout_files.minari(folder / self.name)


@pytest.fixture
def use(monkeypatch):
    def install(client):
        monkeypatch.setattr(minari_download, "client", lambda: client)
        return client

    return install


def _fetch(dataset_id=ID):
    return minari_download.fetch(dataset_id, lambda line: None)


def test_it_arrives_sealed_and_is_read(use):
    client = use(Client())
    path = _fetch()
    assert path == minari.data_folder(ID) / minari.DATA_FILE
    seal = json.loads(path.with_name(minari.SEAL_FILE).read_text())
    assert seal == {"sha256": files.file_sha256(path), "bytes": path.stat().st_size}
    assert len(minari.read(ID)[0]) == 3
    assert _fetch() == path and client.visits == 1  # it is there
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(errors.UserError, match="is damaged: SHA-256"):
        minari.read(ID)


def test_a_download_that_was_cut_off_goes_on(use):
    client = use(Client(cut_off=1))
    with pytest.raises(errors.UserError, match="cut off by the network; run again"):
        _fetch()
    with pytest.raises(errors.UserError, match="no Minari dataset"):  # not half of one
        minari.read(ID)
    assert _fetch().is_file() and client.resumed


@pytest.mark.parametrize("name", ["data.parquet", "half"])
def test_other_formats_are_not_kept(use, name):
    use(Client(name=name))
    with pytest.raises(errors.UserError, match="publishes no mujoco/robot/medium-v0"):
        _fetch()
    assert not minari.data_folder(ID).exists()


@pytest.mark.parametrize(
    ("dataset_id", "message"),
    [
        ("../x-v0", "no Minari id"),
        ("hf://other/x-v0", "no Minari id"),
        ("D4RL/antmaze/umaze-v1", "a goal of its own"),
    ],
)
def test_ids_that_are_refused(use, dataset_id, message):
    client = use(Client())
    with pytest.raises(errors.UserError, match=message):
        _fetch(dataset_id)
    assert not client.visits


def test_without_the_client_or_its_remote(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "minari.storage.remotes.huggingface", False)
    with pytest.raises(errors.UserError, match=r"pip install 'gem_jax\[minari\]'"):
        _fetch()
    for remote in ("moon", "moon://x"):
        monkeypatch.setenv("MINARI_REMOTE", remote)
        with pytest.raises(errors.UserError, match="no remote that Minari knows"):
            _fetch()
    assert not minari.root().exists()
