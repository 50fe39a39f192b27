"""The one exception that means "the user can mend this"."""


class UserError(ValueError):
    """A mistake in what the user gave: a name, a flag, a file, a setting.

    The message is one line that names the thing and the remedy. Commands print it
    on stderr without a traceback and exit with code 2.
    """
