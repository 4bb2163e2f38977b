"""The error for an optional library that is not installed. The standard library only."""

from __future__ import annotations

from mcr2_landscape.errors import InputError


def missing_extra(what: str, library: str, extra: str) -> InputError:
    """The error to raise where `what` (such as "reading a .parquet file") needs a library of one of the package's extras."""
    return InputError(f'{what} needs {library}, which is not installed; run: pip install "mcr2_landscape[{extra}]"')
