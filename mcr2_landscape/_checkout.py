"""In a checkout, where `mcr2_landscape.experiments` and `mcr2_landscape.figures` are.

The build maps the two folders into the package. Without this finder, a checkout that shadows an installed package (Python
started in its root) would have no such modules.
"""

import os
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MAPPED = ("mcr2_landscape.experiments", "mcr2_landscape.figures")
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Finder:
    """Finds the two mapped packages beside the library."""

    @staticmethod
    def find_spec(fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The specification of a mapped package, `None` for every other module."""
        return PathFinder.find_spec(fullname, [_ROOT], target) if fullname in MAPPED else None
