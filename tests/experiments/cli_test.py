"""How commands start and end."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from absl import flags

from experiments.lib import cli
from gem_jax import errors

_COMMAND = """
import logging, os, sys
import jax
from absl import flags
from experiments.lib import cli

flags.DEFINE_string("workdir", None, "A folder.")

def main(argv):
    print("begun", jax.default_backend(), flags.FLAGS.workdir, flush=True)
    logging.getLogger("absl").info("narration")
    if argv[1:]:
        os.kill(os.getpid(), int(argv[1]))
        print("went on")

cli.run(main)
"""


def command(environment, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-c", _COMMAND, *arguments],
        env={**environment, **variables},
        cwd=pathlib.Path(cli.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_one_line_and_the_shells_code(environment, number):
    result = command(environment, str(int(number)))
    assert result.returncode == 128 + number, result.stderr
    (begun,), (line,) = result.stdout.splitlines(), result.stderr.splitlines()
    assert begun.startswith("begun") and "the same command continues" in line


def test_a_platform_that_is_absent_is_one_line_before_anything_else(environment):
    result = command(environment, JAX_PLATFORMS="nonsense")
    assert result.returncode == 2 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "error: JAX_PLATFORMS=nonsense cannot be used here" in line


def test_an_ordinary_start_says_nothing_and_knows_the_home_folder(environment):
    chosen = {name: v for name, v in environment.items() if name != "JAX_PLATFORMS"}
    result = command(chosen, "--workdir=~/x", HOME="/nobody")
    assert result.returncode == 0, result.stderr
    assert "TPU" not in result.stderr and "tpu" not in result.stderr
    assert "narration" not in result.stderr
    assert result.stdout.split()[-1] == "/nobody/x"


def test_every_path_of_a_list_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/nobody")
    values = flags.FlagValues()
    flags.DEFINE_list("workdir", ["~/a", "/b~", "c"], "Folders.", flag_values=values)
    flags.DEFINE_string("output", "~", "A file.", flag_values=values)
    flags.DEFINE_string("other", "~", "No path.", flag_values=values)
    values.mark_as_parsed()
    monkeypatch.setattr(flags, "FLAGS", values)
    cli._expand_paths()
    assert values.workdir == ["/nobody/a", "/b~", "c"]
    assert values.output == "/nobody" and values.other == "~"


def test_a_platform_that_is_there_is_none_of_our_business(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    cli.require_platform()

    def absent():
        raise AssertionError  # as jax does for a GPU that is absent

    monkeypatch.setattr(cli.jax, "devices", absent)
    with pytest.raises(
        errors.UserError, match="JAX_PLATFORMS=cpu cannot be used here;"
    ):
        cli.require_platform()
    monkeypatch.delenv("JAX_PLATFORMS")
    cli.require_platform()
    assert "JAX_PLATFORMS" not in os.environ


def test_outputs_are_refused_before_the_work(tmp_path):
    for name in (None, str(tmp_path / "x.json"), "x.json"):
        cli.require_file("output", name)
    with pytest.raises(errors.UserError, match="is a folder; name a file"):
        cli.require_file("output", str(tmp_path))
    with pytest.raises(errors.UserError, match="there is no folder"):
        cli.require_file("output", str(tmp_path / "none" / "x.json"))


def test_a_program_that_does_not_fit_in_memory_is_one_line(capsys):
    said = "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nmore of it"
    with pytest.raises(SystemExit) as ended, cli._told_in_one_line():
        raise cli.jax.errors.JaxRuntimeError(said)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Out of memory allocating 9 bytes; lower a number of samples" in line
    with pytest.raises(cli.jax.errors.JaxRuntimeError), cli._told_in_one_line():
        raise cli.jax.errors.JaxRuntimeError("INTERNAL: a fault")
