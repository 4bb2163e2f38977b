"""Manifold flattening and reconstruction: layers that flatten data to a plane of their dimension, a decoder, and a verdict.

The names are lazy: `FlatNet` needs scikit-learn, `Layers`, `FlatNetwork` and its files load JAX, all else is NumPy.
"""

import importlib
from typing import Any

# Where each public name lives. The stub `__init__.pyi` says the same to type checkers.
_NAMES = {
    "build": ("BuildOptions", "Built", "Progressed", "Stop", "build_layers", "spectral_tail"),
    "certificates": ("RoundTrips", "round_trips"),
    "dimension": ("DimensionEstimate", "estimate_dimension"),
    "estimator": ("FlatNet",),
    "findings": ("DataNotes", "FlatReport"),
    "fitting": ("FlatFit", "fit_network"),
    "folding": ("Neighborhoods", "Order", "connected_pieces", "neighborhoods", "order_along"),
    "kernels": ("Layer",),
    "layers": ("Layers",),
    "local": ("LocalModel", "local_fit"),
    "network": ("FlatNetwork",),
    "refitting": ("Refitted", "refit_decoder", "relative_error"),
    "storage": ("load_network", "network_metadata", "save_network"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
