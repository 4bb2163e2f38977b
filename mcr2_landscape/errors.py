"""The error that a user's mistake raises. It imports nothing, so that code which must not load NumPy can raise it too."""

from __future__ import annotations


class InputError(ValueError):
    """A user's mistake, told in the user's terms. The command line prints it without a traceback and exits with 2."""
