"""The landscape of the regularized maximal coding rate reduction objective (MCR²).

The top level is lazy: importing the package loads neither NumPy nor JAX, and each name below loads its module when it is
first used.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Where each public name lives. The stub `__init__.pyi` says the same to type checkers, and a test compares the two. A
# submodule cannot carry a public name: importing the submodule would replace the function by the module.
_NAMES = {
    "mcr2": ("MCR2", "ConstrainedMCR2"),
    "rates": ("coding_rate", "class_coding_rate", "rate_reduction", "rate_reduction_between"),
    "constraints": ("Balls", "Sphere", "Spheres", "UnitColumns"),
    "landscape": ("Landscape", "ascend", "check_derivatives", "classify", "escape", "find_critical_points", "inertia"),
    "curvature": ("spectrum",),
    "analysis": ("analyze_features", "survey"),
    "training": ("fit", "train_features"),
    "verdict": ("Evidence", "Inertia", "Kind", "Verdict"),
    "validation": ("InputError",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOMES)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
