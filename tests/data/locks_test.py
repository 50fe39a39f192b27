"""Locks, and file systems that have none."""

import errno
import fcntl
import os

import pytest

from gem_jax import errors
from gem_jax.utils import locks


def hold(path, log):
    return locks.hold(path, "the data", log)


def claim(path, log):
    return locks.claim(path, "the data", log)


@pytest.mark.parametrize("lock", [hold, claim])
@pytest.mark.parametrize(
    "number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS]
)
def test_without_locks_one_line_warns(tmp_path, monkeypatch, lock, number):
    monkeypatch.setattr(fcntl, "flock", failing(number))
    said = []
    with lock(tmp_path / "lock", said.append):
        pass
    assert len(said) == 1 and f"{tmp_path} has no locks" in said[0]


@pytest.mark.parametrize("lock", [hold, claim])
def test_other_errors_are_one_clear_line(tmp_path, monkeypatch, lock):
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    with (
        pytest.raises(errors.UserError, match="cannot lock .*: Input/output error"),
        lock(tmp_path / "lock", pytest.fail),
    ):
        pass


def failing(number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    return flock


def test_a_claim_is_exclusive_and_ends(tmp_path):
    with (
        locks.claim(tmp_path / "lock", "the run"),
        pytest.raises(errors.UserError, match="another process is using the run"),
        locks.claim(tmp_path / "lock", "the run"),
    ):
        pass
    with locks.claim(tmp_path / "lock", "the run", pytest.fail):
        pass


@pytest.mark.parametrize("lock", [hold, claim])
def test_the_lock_file_is_left_and_nothing_else_is_written(tmp_path, lock):
    path = tmp_path / "new" / "lock"
    for _ in range(2):
        with lock(path, pytest.fail):
            pass
        assert [(p.name, p.read_bytes()) for p in path.parent.iterdir()] == [
            ("lock", b"")
        ]


@pytest.mark.parametrize("lock", [hold, claim])
def test_an_unwritable_folder_is_named(tmp_path, lock):
    (tmp_path / "file").touch()
    with (
        pytest.raises(errors.UserError, match=f"cannot write {tmp_path}/file/folder"),
        lock(tmp_path / "file" / "folder" / "lock", pytest.fail),
    ):
        pass


@pytest.mark.parametrize("lock", [hold, claim])
def test_without_locks_nothing_is_refused(tmp_path, monkeypatch, lock):
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    with lock(tmp_path / "lock", list), lock(tmp_path / "lock", list):
        pass
