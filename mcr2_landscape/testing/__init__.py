"""For tests of your own landscapes and theorems: hypothesis strategies, a dense oracle, and a zoo of problems with known
answers.

The strategies need the extra `test` (hypothesis); the oracle and the zoo do not, hence each name loads its module when it is
first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcr2_landscape.testing.oracle import dense_inertia as dense_inertia
    from mcr2_landscape.testing.strategies import parameters as parameters
    from mcr2_landscape.testing.strategies import points as points
    from mcr2_landscape.testing.strategies import seeds as seeds
    from mcr2_landscape.testing.strategies import spectra as spectra
    from mcr2_landscape.testing.strategies import symmetric_matrix as symmetric_matrix
    from mcr2_landscape.testing.zoo import ZOO as ZOO
    from mcr2_landscape.testing.zoo import KnownPoint as KnownPoint
    from mcr2_landscape.testing.zoo import Specimen as Specimen

_NAMES = {
    "oracle": ("dense_inertia",),
    "strategies": ("parameters", "points", "seeds", "spectra", "symmetric_matrix"),
    "zoo": ("ZOO", "KnownPoint", "Specimen"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ImportError(
            f'{__name__}.{name} needs hypothesis, which is not installed; pip install "mcr2-landscape[test]"'
        ) from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
