"""Random points of a family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.catalog.frames import irreducible_frame
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError

if TYPE_CHECKING:
    from mcr2_landscape.catalog.families import Family


def random_point(family: Family, *, key: Any) -> np.ndarray:
    """A point of the family, shape (d, m): its blocks side by side, rotated at random (see `Family.point`)."""
    p, rng = family.parameters, generator(key)
    left = _orthonormal(p.dim, family.rank, rng)
    columns: list[list[np.ndarray]] = [[] for _ in p.sizes]
    start = 0
    for space in family.eigenspaces:
        for block, multiplicity in space.types:
            bases = irreducible_frame(p.sizes, block.dimension, block.ranks, key=rng, division=block.division)
            if bases is None:
                raise InputError(
                    f"family: no frame {block.label} was found for classes of sizes {p.sizes}; the numerical search is not "
                    "complete, so this does not prove that there is none"
                )
            for _ in range(multiplicity):
                place = left[:, start : start + block.dimension]
                start += block.dimension
                for own, basis, x in zip(columns, bases, space.class_values, strict=True):
                    if basis.shape[1]:
                        own.append(x**0.5 * (place @ basis))
    Z = np.zeros(p.shape)
    for out, own, width in zip(p.blocks(Z), columns, p.widths, strict=True):
        if own:
            scaled = np.concatenate(own, axis=1)
            out[...] = scaled @ _orthonormal(width, scaled.shape[1], rng).T
    return Z


def _orthonormal(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Uniformly random orthonormal columns (Mezzadri 2007: the factor R must have a positive diagonal)."""
    Q, R = np.linalg.qr(rng.standard_normal((rows, columns)))
    return Q * np.where(np.diag(R) < 0, -1.0, 1.0)
