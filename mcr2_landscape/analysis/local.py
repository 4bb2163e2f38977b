"""The features as a point of the landscape: curvature, and what kind of point they are."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
import scipy.linalg

from mcr2_landscape import catalog
from mcr2_landscape.analysis.results import Curvature, Position
from mcr2_landscape.curvature import eigenpairs, spectral_density
from mcr2_landscape.curvature.exact import rounding
from mcr2_landscape.curvature.parts import core_operator, outside_operator
from mcr2_landscape.factorization import factorize
from mcr2_landscape.landscape import InertiaCount, classify
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.memory import available
from mcr2_landscape.reduction import Part, Reduction
from mcr2_landscape.verdict import Inertia, Kind

CRITICAL = 1e-8
# Rows of a part of the reduction up to which all its eigenvalues are computed: a second or two.
_DENSE = 2500
# Hessian products to spend on a larger one; the work that they may take where a product is expensive, some ten seconds of one
# core; and that of an ascent, some minutes.
_MOST_PRODUCTS, _FEWEST_PRODUCTS = 320, 48
_WORK, _CLIMB = 1.5e11, 5e12
_SHARE = 0.3  # of the available memory, for the rows of a Lanczos run
_NEAR = 0.01


class _Seen(NamedTuple):
    """What was seen of one part of the reduction: quadrature of its spectral measure (weights of sum 1), and its largest
    eigenvalue with a residual and its vector."""

    nodes: np.ndarray
    weights: np.ndarray
    top: float
    residual: float
    vector: np.ndarray


class Reductions(NamedTuple):
    """The exact reduction at a point of the full problem, and at the compressed point, in one basis."""

    whole: Reduction
    inner: Reduction

    @staticmethod
    def at(problem: MCR2, small: MCR2, z: np.ndarray) -> Reductions:
        """From the compressed point: it has the singular vectors that the full one has, less those that no sample sees."""
        factors = factorize(z, small.parameters.widths)
        assert factors is not None  # no largest rank was asked for
        return Reductions(Reduction(problem.parameters, factors), Reduction(small.parameters, factors))


def curvature_at(problem: MCR2, reductions: Reductions, random: np.random.Generator) -> tuple[Curvature, np.ndarray | None]:
    """The curvature, all columns of the full problem counted; and the steepest direction at the compressed point (`None` where
    it lies in the columns that the compression leaves out)."""
    whole, inner = reductions
    noise = rounding(problem, max(part.size for part in whole.parts))
    found = [(part, _look(whole, part, noise, random)) for part in whole.parts]
    total = sum(part.dimension for part in whole.parts)
    nodes = np.concatenate([seen.nodes for _, seen in found])
    weights = np.concatenate([seen.weights * (part.dimension / total) for part, seen in found])
    order = np.argsort(nodes, kind="stable")
    part, best = max(found, key=lambda item: item[1].top)
    own = next((other for other in inner.parts if other.name == part.name), None)
    direction = None if own is None else inner.direction(own, best.vector)
    p = problem.parameters
    escapes = best.top > max(best.residual, 1e-10 * problem.curvature_scale())
    bound = 9 / 8 * p.alpha - p.regularization
    curvature = Curvature(best.top, best.residual, escapes, bound, nodes[order], weights[order])
    return curvature, direction


def _look(reduction: Reduction, part: Part, noise: float, random: np.random.Generator) -> _Seen:
    if part.size <= _DENSE:
        values, vectors = scipy.linalg.eigh(reduction.matrix(part), overwrite_a=True, check_finite=False)
        return _Seen(values, np.full(values.size, 1 / values.size), float(values[-1]), noise, vectors[:, -1])
    with jax.enable_x64(True):
        H = core_operator(reduction) if part.name == "core" else outside_operator(reduction)
        products = int(np.clip(_WORK / (H.flops or 1), _FEWEST_PRODUCTS, _MOST_PRODUCTS))
        room = available()
        rows = 200 if room is None else max(8, int(_SHARE * room / (8 * H.size)))
        # a restart keeps the rows twice
        kept = int(np.clip(rows // 2, 8, 64))
        pairs = eigenpairs(H, basis_size=kept, max_products=3 * products // 8, rtol=1e-6, key=random)
        # In many dimensions one probe sees as much as four in few.
        probes = 4 if products == _MOST_PRODUCTS else 1
        steps = min(50, 5 * products // (8 * probes), rows)
        density = spectral_density(H, num_probes=probes, steps=steps, key=random)
    return _Seen(density.nodes, density.weights, float(pairs.values[0]), float(pairs.residuals[0]), pairs.vectors[0])


def position_at(
    problem: MCR2,
    small: MCR2,
    Z: np.ndarray,
    z: np.ndarray,
    reduction: Reduction,
    curvature: Curvature,
    random: np.random.Generator,
) -> Position:
    """What kind of point Z is, with its eigenvalues counted by sign as far as some seconds of one core allow; the largest
    eigenvalue that `curvature` has seen counts too."""
    _, gradient, scale = small.evaluate(z)
    norm = float(np.linalg.norm(gradient))
    relative = norm / scale if scale > 0 else 0.0
    near = nearest_family(small, z, norm)
    family, kind = (None, None) if near is None else (near.family.label, near.family.kind)
    distance = None if near is None else near.residual
    products = _affordable_products(small)
    point = classify(
        problem, Z, rtol=CRITICAL, dense_limit=_DENSE, max_products=products, key=random, reduction=reduction
    )  # fmt: skip
    signs = point.signs
    counts = _Counts.of(point.inertia) if signs is None else _Counts(signs.positive, signs.zero, signs.negative)
    own, reason, inertia = point.kind, point.reason, point.inertia
    if signs is not None and _adds(curvature, signs):
        counts = counts.with_a_positive_one()
        inertia = dataclasses.replace(inertia, positive=1, undecided=inertia.undecided - 1)
        if own is Kind.UNDECIDED:
            own = Kind.STRICT_SADDLE
            reason = f"the largest eigenvalue {curvature.top_eigenvalue:.6g} with residual {curvature.residual:.1e} leads up"
    return Position(norm, relative, own, reason, point.family or family, kind, distance, inertia, *counts)


def _adds(curvature: Curvature, signs: InertiaCount) -> bool:
    """Whether the largest eigenvalue seen is one that the brackets have missed, for want of products or memory."""
    is_open = signs.regime == "block Lanczos" and signs.positive[0] == 0 < signs.positive[1]
    return is_open and curvature.top_eigenvalue - curvature.residual > signs.tolerance


class _Counts(NamedTuple):
    """Numbers of eigenvalues by sign, each (at least, at most)."""

    positive: tuple[int, int]
    zero: tuple[int, int]
    negative: tuple[int, int]

    @staticmethod
    def of(inertia: Inertia) -> _Counts:
        """What is undecided may be anything."""
        return _Counts(*((number, number + inertia.undecided) for number in (inertia.positive, inertia.zero, inertia.negative)))

    def with_a_positive_one(self) -> _Counts:
        """One of those that were open is positive."""
        zero, negative = ((low, max(low, high - 1)) for low, high in (self.zero, self.negative))
        return _Counts((1, self.positive[1]), zero, negative)


def affordable_gradients(small: MCR2) -> int:
    """How many gradients an ascent may take: 3,000, or what some minutes of one core allow, at least fifty."""
    d, columns = small.shape
    work = 4 * d**2 * columns + 3 * (len(small.sizes) + 1) * d**3
    return int(np.clip(_CLIMB / work, 50, 3000))


def _affordable_products(small: MCR2) -> int:
    """How many Hessian products a count of the signs may take; where they are expensive, those of the look at the curvature
    are the ones that are spent."""
    d, columns = small.shape
    return int(np.clip(_WORK / (8 * d**2 * columns), 2, _MOST_PRODUCTS))


def nearest_family(small: MCR2, z: np.ndarray, gradient_norm: float) -> catalog.Recognition | None:
    """The family of critical points within 1% of z, if there is one. None is looked for where the gradient is larger than the
    curvature allows at that distance: the look takes minutes in many dimensions."""
    if gradient_norm > _NEAR * small.curvature_scale() * float(np.linalg.norm(z)):
        return None
    return catalog.recognize(small.parameters, z, rtol=_NEAR)
