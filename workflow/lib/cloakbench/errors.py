"""The one exception that users see as a line of text instead of a traceback."""


class InputError(ValueError):
    """Something given from outside is wrong: the message is one line, names the thing and what would do."""
