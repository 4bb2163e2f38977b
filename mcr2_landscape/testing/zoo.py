"""Landscapes whose critical points are known, for algorithms to be run on. A specimen appended to `ZOO` enters every test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from mcr2_landscape.constraints import Sphere
from mcr2_landscape.landscape import Landscape
from mcr2_landscape.verdict import Kind


@dataclass(frozen=True)
class KnownPoint:
    """A critical point: coordinates, kind, index, and how many zero eigenvalues the symmetry proves."""

    point: tuple[float, ...]
    kind: Kind
    index: int | None
    zeros: int = 0


@dataclass(frozen=True)
class Specimen:
    """A landscape and all that is known of it. `orbits`: the number of distinct critical orbits, `None` if unknown."""

    name: str
    make: Callable[[], Landscape]
    points: tuple[KnownPoint, ...]
    orbits: int | None


def _himmelblau(z: Any) -> Any:
    return (z[0] ** 2 + z[1] - 11) ** 2 + (z[0] + z[1] ** 2 - 7) ** 2


def _hat(z: Any) -> Any:
    return (jnp.sum(z**2) - 1) ** 2


def _turn(z: Any) -> Any:
    return jnp.stack([-z[1], z[0]])[None]


def _rayleigh(z: Any) -> Any:
    return jnp.sum(jnp.arange(1, 5, dtype=z.dtype) * z**2)


def _make(f: Callable[[Any], Any], size: int, **options: Any) -> Callable[[], Landscape]:
    return lambda: Landscape.from_function(f, example=np.full(size, 0.5), **options)


ZOO: tuple[Specimen, ...] = (
    Specimen(
        "Himmelblau",
        _make(_himmelblau, 2, minimize=True),
        (KnownPoint((3.0, 2.0), Kind.LOCAL_MINIMIZER, 0),),
        9,
    ),
    Specimen(
        "Mexican hat with its rotation",
        _make(_hat, 2, minimize=True, symmetry=_turn),
        (KnownPoint((0.6, 0.8), Kind.LOCAL_MINIMIZER, 0, zeros=1), KnownPoint((0.0, 0.0), Kind.STRICT_SADDLE, 2)),
        2,
    ),
    Specimen(
        "Rayleigh quotient on the sphere",
        _make(_rayleigh, 4, constraint=Sphere()),
        (
            KnownPoint((0.0, 0.0, 0.0, 1.0), Kind.LOCAL_MAXIMIZER, 0),
            KnownPoint((0.0, 0.0, 1.0, 0.0), Kind.STRICT_SADDLE, 1),
            KnownPoint((1.0, 0.0, 0.0, 0.0), Kind.STRICT_SADDLE, 3),
        ),
        8,
    ),
    Specimen(
        "cubic fold", _make(lambda z: -(z[0] ** 2) + z[1] ** 3, 2), (KnownPoint((0.0, 0.0), Kind.DEGENERATE, None),), None
    ),
    Specimen(
        "quartic ridge", _make(lambda z: -(z[0] ** 2) - z[1] ** 4, 2), (KnownPoint((0.0, 0.0), Kind.DEGENERATE, None),), None
    ),
    Specimen(
        "sextic ridge", _make(lambda z: -(z[0] ** 2) - z[1] ** 6, 2), (KnownPoint((0.0, 0.0), Kind.UNDECIDED, None),), None
    ),
)
