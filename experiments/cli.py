"""How every command starts and ends: exit 0 done, 2 the user's error, 1 a fault."""

from __future__ import annotations

import pathlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import app, flags

from gem_jax import errors


def run(
    main: Callable[[list[str]], Any],
    flags_parser: Callable[[list[str]], list[str]] | None = None,
) -> NoReturn:
    """Parses the flags, calls ``main`` with what is left of ``argv``, and exits.

    Bad flags and ``UserError``, from ``main`` or from the parser, end with one line on
    stderr and exit code 2. Ctrl-C and SIGTERM end with one line and 0: what was not
    finished is begun anew by the same command. Any other exception is a fault:
    traceback, exit code 1.

    Args:
      main: takes the program's name and the positional arguments.
      flags_parser: takes ``sys.argv``, parses ``absl.flags.FLAGS``, and returns the
        positional arguments; ``absl.flags.FLAGS`` itself by default.
    """
    parse = flags_parser or flags.FLAGS

    def checked_parse(argv: list[str]) -> list[str]:
        try:
            return parse(argv)
        except (flags.Error, errors.UserError) as error:
            _fail(error)
        except SystemExit:  # absl has shown --help, and would call that a failure
            sys.exit(0)

    def checked_main(argv: list[str]) -> Any:
        try:
            return main(argv)
        except errors.UserError as error:
            _fail(error)
        except KeyboardInterrupt:
            print(
                f"{_name()}: interrupted; the same command continues or begins anew",
                flush=True,
            )

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    app.run(checked_main, flags_parser=checked_parse)
    raise AssertionError("absl's run does not return")


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


def _fail(error: Exception) -> NoReturn:
    line = " ".join(str(error).split())
    print(f"{_name()}: error: {line}", file=sys.stderr)
    sys.exit(2)


def _name() -> str:
    return pathlib.Path(sys.argv[0]).stem
