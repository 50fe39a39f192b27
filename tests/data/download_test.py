from __future__ import annotations

import dataclasses
import hashlib
import http.server
import socket
import threading
import time

import h5py
import pytest

from gem_jax import data, errors
from gem_jax.data import download, publishers, tasks

CONTENT = bytes(range(256)) * 4000  # a million bytes
NAME = "hopper_medium-v2.hdf5"


class _Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; class attributes choose how it misbehaves."""

    ranges = True
    body = CONTENT
    drop_after: int | None = None
    requests: list[str | None] = []  # noqa: RUF012

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.requests.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.body) - start))
        self.end_headers()
        self.wfile.write(self.body[start : self.drop_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    handler = type("Handler", (_Server,), {"requests": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{running.server_port}/"
        monkeypatch.setattr(publishers.D4RL, "url", url)
        monkeypatch.setenv("no_proxy", "*")
        yield handler
        running.shutdown()


@pytest.fixture
def task():
    original = tasks.OriginalFile(
        path=f"gym/{NAME}",
        num_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    return dataclasses.replace(tasks.get("hopper-medium-v2"), original=original)


def _fetch(task):
    return download.fetch(task, show_progress=False)


def test_download_then_cache(server, task, d4rl_root):
    assert download.cached(task) is None
    path = _fetch(task)
    assert path == d4rl_root / NAME and path.read_bytes() == CONTENT
    assert download.cached(task) == _fetch(task) == path
    assert len(server.requests) == 1 and not list(d4rl_root.glob("*.part"))


def test_cut_off_then_resumed(server, task, d4rl_root):
    server.drop_after = 300_000
    with pytest.raises(errors.UserError, match="stopped at 300,000 of 1,024,000"):
        _fetch(task)
    assert not (d4rl_root / NAME).exists()
    server.drop_after = None
    assert _fetch(task).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-"]


def test_server_without_ranges_starts_over(server, task, d4rl_root):
    d4rl_root.mkdir()
    (d4rl_root / f"{NAME}.part").write_bytes(b"rubbish")
    server.ranges = False
    assert _fetch(task).read_bytes() == CONTENT


def test_whole_part_is_only_checked(server, task, d4rl_root):
    d4rl_root.mkdir()
    (d4rl_root / f"{NAME}.part").write_bytes(CONTENT)
    assert _fetch(task).read_bytes() == CONTENT and not server.requests


def test_wrong_hash_is_thrown_away(server, task, d4rl_root):
    server.body = bytes(len(CONTENT))
    with pytest.raises(errors.UserError, match="SHA-256"):
        _fetch(task)
    assert not list(d4rl_root.glob("h*"))
    server.body = CONTENT
    assert _fetch(task).read_bytes() == CONTENT


def test_wrong_size_is_not_even_fetched(server, task, d4rl_root):
    server.body = CONTENT[:-1]
    with pytest.raises(errors.UserError, match="1,023,999 bytes"):
        _fetch(task)
    assert not list(d4rl_root.glob("h*"))


@pytest.fixture
def unknown():
    """A task whose original has no published size or hash."""
    task = tasks.get("maze2d-umaze-v1")
    assert task.original.num_bytes is task.original.sha256 is None
    return task


def test_error_page_is_thrown_away(server, unknown, d4rl_root, tmp_path):
    server.body = b"<html>Log in to use this network</html>"
    with pytest.raises(errors.UserError, match="is no HDF5 file; run again"):
        _fetch(unknown)
    assert not list(d4rl_root.glob("m*"))
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["rewards"] = [0.0]
    server.body = (tmp_path / "a.hdf5").read_bytes()
    assert _fetch(unknown).read_bytes() == server.body


def test_auto_is_local_behind_an_error_page(server, unknown):
    server.body = b"<html>Log in to use this network</html>"
    for _ in range(2):
        dataset = data.load(unknown.name, num_transitions=500, progress=False)
        assert dataset.provenance.source == "local"


def test_size_limit(server, task, monkeypatch):
    unknown = tasks.OriginalFile(path=f"maze/{NAME}", num_bytes=None, sha256=None)
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(errors.UserError, match="expected at most 1000"):
        _fetch(dataclasses.replace(task, original=unknown))


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT[:-1] + b"?"])
def test_bad_cached_file(task, d4rl_root, content):
    d4rl_root.mkdir()
    (d4rl_root / NAME).write_bytes(content)
    with pytest.raises(errors.UserError, match="delete"):
        download.cached(task)


def test_no_such_file_on_the_server(server, task, monkeypatch):
    monkeypatch.setattr(server, "do_GET", lambda self: self.send_error(404))
    with pytest.raises(errors.UserError, match="Not Found"):
        _fetch(task)
    assert not download.failed_lately(task.original)  # it does answer


def test_refused_connection_is_remembered(task, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    monkeypatch.setattr(publishers.D4RL, "url", url)
    with pytest.raises(errors.UserError, match="cannot reach"):
        _fetch(task)
    assert download.failed_lately(task.original)


def test_silent_server_is_given_up(task, monkeypatch):
    monkeypatch.setattr(download, "_CONNECT_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(publishers.D4RL, "url", url)
        start = time.monotonic()
        with pytest.raises(errors.UserError, match="no answer"):
            _fetch(task)
        assert time.monotonic() - start < 2.0


def test_a_home_in_the_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("D4RL_DATASET_DIR", "~/files")
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(publishers.D4RL.cache_folder()) == "/somewhere/files"
