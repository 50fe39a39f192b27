"""How every command starts and ends.

Exit codes: 0 done, 2 the user's error, 1 a fault, 130 or 143 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import jax
from absl import app, flags, logging

from gem_jax import errors
from gem_jax.training import interrupt
from gem_jax.utils import programs

_HELP = ("--help", "-help", "--helpfull", "-h", "-?")
# Flags, of whichever command has them.
_PATHS = ("workdir", "output", "plot", "plan", "proposer", "python")


def run(
    main: Callable[[list[str]], Any],
    flags_parser: Callable[[list[str]], list[str]] | None = None,
    *,
    computes: bool = True,
) -> NoReturn:
    """Parses the flags, calls ``main`` with what is left of ``argv``, and exits.

    Bad flags and ``UserError``, from ``main`` or from the parser, and programs that do
    not fit in memory end with one line on stderr and exit code 2. Ctrl-C and SIGTERM
    end with one line and 130 or 143: what was not finished is begun anew by the same
    command. Any other exception is a fault: traceback, exit code 1.

    Args:
      main: takes the program's name and the positional arguments.
      flags_parser: takes ``sys.argv``, parses ``absl.flags.FLAGS``, and returns the
        positional arguments; ``absl.flags.FLAGS`` itself by default.
      computes: whether jax will be needed; then it is tried first of all.
    """
    parse = flags_parser or flags.FLAGS

    def checked_parse(argv: list[str]) -> list[str]:
        try:
            if computes:
                require_platform()
            return parse(argv)
        except (flags.Error, errors.UserError) as error:
            _fail(error)
        except SystemExit:  # absl has shown --help, and would call that a failure
            sys.exit(0)

    def checked_main(argv: list[str]) -> Any:
        if not flags.FLAGS["verbosity"].present:
            # Other packages narrate at level INFO; jax which devices it did not find.
            logging.set_verbosity(logging.WARNING)
        _expand_paths()
        with _told_in_one_line():
            return main(argv)

    try:
        with interrupt.watch():
            app.run(checked_main, flags_parser=checked_parse)
    except interrupt.Interrupted as error:
        print(
            f"{programs.name()}: interrupted; what was finished is saved, and the same "
            "command continues or begins anew",
            file=sys.stderr,
            flush=True,
        )
        sys.stdout.flush()
        os._exit(error.exit_code)  # threads that wait for workers would hold it up
    raise AssertionError("absl's run does not return")


def parse_twice(argv: list[str], define: Callable[[list[str]], None]) -> list[str]:
    """Parses, lets ``define`` add flags that depend on what was said, parses again.

    Args:
      argv: of the program.
      define: takes ``argv`` with the content of flag files in it; the flags that are
        there before are parsed.
    """
    argv = flags.FLAGS.read_flags_from_files(argv, force_gnu=False)
    asked = [word for word in argv if word not in _HELP]
    before = set(flags.FLAGS)
    try:
        flags.FLAGS(asked, known_only=True)
        define(asked)
        for name in set(flags.FLAGS) - before:  # so that --help lists them
            flags.FLAGS.register_key_flag_for_module(argv[0], flags.FLAGS[name])
    except (flags.Error, errors.UserError):
        if asked == argv:
            raise  # else the help without those flags
    flags.FLAGS.unparse_flags()
    return flags.FLAGS(argv)


def require_platform() -> None:
    """Refuses a ``JAX_PLATFORMS`` of which this machine has nothing.

    Raises:
      UserError: says what jax says of it.
    """
    asked = os.environ.get("JAX_PLATFORMS")
    if not asked:
        return
    try:
        jax.devices()
    except Exception as error:  # jax raises bare assertions too
        said = " ".join(str(error).split()).split(" (set JAX_PLATFORMS")[0]
        raise errors.UserError(
            f"JAX_PLATFORMS={asked} cannot be used here{said and f' ({said})'}; unset "
            "it, or set it to cpu"
        ) from None


def no_arguments(argv: Sequence[str]) -> None:
    """Refuses positional arguments: a forgotten ``--`` would pass unseen.

    Raises:
      UserError: there is one.
    """
    if argv[1:]:
        raise errors.UserError(f"unexpected argument {argv[1]!r}; flags begin with --")


def folders(names: Sequence[str] | None) -> list[pathlib.Path]:
    """The run folders of a ``--workdir`` that takes a list.

    Raises:
      UserError: there is none.
    """
    if not names or not all(names):
        raise errors.UserError("no run given; name its folder, --workdir=FOLDER")
    return [pathlib.Path(name) for name in names]


def folder(flag: str, name: str | None) -> pathlib.Path | None:
    """The run folder of a flag that need not be given.

    Raises:
      UserError: it is given, and empty.
    """
    if name == "":
        raise errors.UserError(f"--{flag} is empty; name a run folder, or leave it out")
    return None if name is None else pathlib.Path(name)


def require_file(flag: str, name: str | None) -> None:
    """Refuses, before hours of work, what can be no file to write.

    Raises:
      UserError: it is a folder, or in one that is not there.
    """
    if name is None:
        return
    path = pathlib.Path(name)
    if path.is_dir():
        raise errors.UserError(f"--{flag}={name} is a folder; name a file")
    if not path.parent.is_dir():
        raise errors.UserError(f"--{flag}={name}: there is no folder {path.parent}")


def _expand_paths() -> None:
    """Puts the home folder where ``~`` stands: in ``--workdir=~/x`` no shell does."""
    for name in _PATHS:
        if name in flags.FLAGS and (value := flags.FLAGS[name].value):
            flags.FLAGS[name].value = (
                [os.path.expanduser(path) for path in value]
                if isinstance(value, list)
                else os.path.expanduser(value)
            )


@contextlib.contextmanager
def _told_in_one_line() -> Iterator[None]:
    """Ends with the user's errors, and with programs too large for the memory."""
    try:
        yield
    except errors.UserError as error:
        _fail(error)
    except jax.errors.JaxRuntimeError as error:
        _, exhausted, said = str(error).partition("RESOURCE_EXHAUSTED: ")
        if not exhausted:
            raise
        remedy = "lower a number of samples, candidates, rows or seeds"
        _fail(errors.UserError(f"{said.splitlines()[0].rstrip('.')}; {remedy}"))


def _fail(error: Exception) -> NoReturn:
    line = " ".join(str(error).split())
    print(f"{programs.name()}: error: {line}", file=sys.stderr)
    sys.exit(2)
