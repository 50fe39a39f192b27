"""The one exception that means "the user can mend this"."""


class UserError(ValueError):
    """A mistake in what the user gave: a name, a flag, a file, a setting.

    The message is one line that names the thing and the remedy. Commands print it
    on stderr without a traceback and exit with code 2.
    """


def one_line(error: BaseException, length: int = 120) -> str:
    """The beginning of what an error says, or its type where it says nothing."""
    return " ".join(str(error).split())[:length] or type(error).__name__
