"""The spectral density, by stochastic Lanczos quadrature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.curvature.frame import PANEL
from mcr2_landscape.curvature.krylov import Krylov, Meter
from mcr2_landscape.curvature.signs import check_memory
from mcr2_landscape.curvature.space import make_space, operator_of, precision_of
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import positive_integer


@dataclass(frozen=True)
class SpectralDensity(Record):
    """Quadrature of the spectral measure: `weights` (sum 1) at `nodes` (ascending), from `num_probes` random vectors.

    Σ weights · nodesʲ estimates tr Hʲ / dim for every j: for the probes that were drawn it is exact up to j = 2 · steps − 1.
    """

    nodes: np.ndarray
    weights: np.ndarray
    num_probes: int
    num_products: int


def spectral_density(H: Any, *, num_probes: int = 4, steps: int = 60, deflate: Any = None, key: Any = 0) -> SpectralDensity:
    """The spectral density of H: Gauss quadrature of the measure that each random vector sees, from Lanczos with full
    reorthogonalization (Golub–Welsch), averaged over vectors of random signs.

    Only the operator's own subspace counts, less what is deflated: on a constraint set the zeros along the normals do not.
    Vectors that are projected there differ in length; each counts by its square. Host function, deterministic for a given key.

    **Arguments:** `H`, `deflate`: as in `eigenpairs`. `num_probes`: random vectors; `steps`: products for each at most, fewer
    where the spectrum has fewer distinct eigenvalues (one product more in all probes the operator).

    **Raises:** `InputError` as `eigenpairs`.

    Source: Ubaru, Chen, Saad, *Fast estimation of tr(f(A)) via stochastic Lanczos quadrature* (SIAM J. Matrix Anal. Appl.
    2017).
    """
    H = operator_of(H)
    num_probes = positive_integer("num_probes", num_probes)
    steps = min(positive_integer("steps", steps), H.size)
    check_memory(H, steps, 3 * PANEL)  # the panel that fills up, its copy, and the probe with what it is drawn from
    random = generator(key)
    nodes, weights = [], []
    with precision_of(H):
        space = make_space(H, deflate, random)
        meter = Meter(num_probes * steps + 1)
        for _ in range(num_probes):
            probe, mass = sign_probe(space, random)
            run = Krylov(space, random, meter, block=1, refill=False, start=probe)
            while not run.ended and run.T.shape[0] < steps:
                run.step()
            values, Y, _ = run.ritz()
            nodes.append(values)
            weights.append(Y[0] ** 2 * mass)
    order = np.argsort(np.concatenate(nodes), kind="stable")
    mass = np.concatenate(weights)[order]
    return SpectralDensity(np.concatenate(nodes)[order], mass / mass.sum(), num_probes, meter.done)


def sign_probe(space: Any, random: np.random.Generator) -> tuple[Any, float]:
    """A vector of random signs projected on the space, of unit length, as a row (1, n); and the square of its length."""
    while True:  # one draw can lie along the normals (n = 2 on a circle), several in a row hardly
        signs = random.choice([-1.0, 1.0], size=(1, space.size))
        row = space.inside(space.inside(space.rows(signs)))
        length = float(np.linalg.norm(np.asarray(row, dtype=np.float64)))
        if length > 1e4 * float(np.finfo(space.dtype).eps) * np.sqrt(space.size):
            return row / np.asarray(length, space.dtype), length**2
