"""The errors that a user's input can cause; the command line prints them as one line.

Wrong arguments of a Python call are `ValueError` or `TypeError`, as in Keras.
"""


class UserError(Exception):
    """Something from outside is wrong. The message says what, where, and what would be right."""


class VideoError(UserError):
    """A video cannot be opened or holds no picture that can be decoded."""


class WeightsError(UserError):
    """Weights are unknown, unreadable or do not fit the model."""


class DatasetError(UserError):
    """A dataset's folder or table is missing something or contradicts itself."""


class ExportError(UserError):
    """An artifact cannot be made, or does not answer as the model that it was made from."""


def first_line(error):
    """The first line of another library's error, or its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
