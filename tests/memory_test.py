"""Free memory by the files that a system tells it by."""

import pathlib

import pytest

from gem_jax.utils import memory

MEGABYTE = 2**20


def write(root, files):
    for name, text in {"proc/meminfo": "MemAvailable: 2048 kB", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def second(limit, used, droppable, group=""):
    folder = f"sys/fs/cgroup{group}"
    return {
        f"{folder}/memory.max": limit,
        f"{folder}/memory.current": used,
        f"{folder}/memory.stat": f"anon 7\nactive_file 30\ninactive_file {droppable}",
    }


def first(limit, used, droppable, group=""):
    folder = f"sys/fs/cgroup/memory{group}"
    return {
        f"{folder}/memory.limit_in_bytes": limit,
        f"{folder}/memory.usage_in_bytes": used,
        f"{folder}/memory.stat": "total_cache 7\ntotal_active_file 30\n"
        f"total_inactive_file {droppable}",
    }


def test_memory_is_what_the_system_says(monkeypatch):
    assert 0 < memory.free_bytes() < 2**50

    def refuse(self):
        raise FileNotFoundError

    monkeypatch.setattr(pathlib.Path, "read_text", refuse)
    assert 0 < memory.free_bytes() < 2**50


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        (None, {}, 2 * MEGABYTE),
        ("0::/", {}, 2 * MEGABYTE),
        ("0::/", second("max", 5, 0), 2 * MEGABYTE),
        ("0::/", second(2**40, 5, 0), 2 * MEGABYTE),
        ("0::/", second(1000, 600, 100), 530),
        ("0::/", second(1000, 1200, 0), 0),
        ("0::/a/b", second(900, 0, 0, "/a/b") | second(800, 100, 0, "/a"), 730),
        ("0::/of/the/host", second(1000, 600, 0), 430),
        ("4:cpu,memory:/a\n0::/", first(1000, 600, 50, "/a"), 480),
        ("4:memory:/of/the/host", first(1000, 600, 50), 480),
        ("4:cpu:/a", first(1000, 600, 50, "/a"), 2 * MEGABYTE),
    ],
)
def test_a_group_may_have_less(tmp_path, groups, files, expected):
    write(tmp_path, files)
    if groups is not None:
        write(tmp_path, {"proc/self/cgroup": groups})
    assert memory.free_bytes(tmp_path) == expected
