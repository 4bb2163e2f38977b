"""Random problems, and what is measured on them without the library's theory: dense inertia, orbits, brute force."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

from mcr2_landscape.catalog import Family, catalog, regularization_limit, thresholds
from mcr2_landscape.closed_form import Parameters, gradient, hessian_matrix


def with_limit(dim: int, sizes: tuple[int, ...], epsilon: float, fraction: float) -> Parameters:
    """The problem with the regularization at a fraction of its limit, the smallest threshold."""
    limit = regularization_limit(Parameters(dim, sizes, epsilon, 1.0))
    return Parameters(dim, sizes, epsilon, fraction * limit)


@st.composite
def problems(draw, max_classes: int = 4, max_size: int = 4, max_dim: int = 4, fractions=None) -> Parameters:
    """Small problems over the whole range of regularizations: deep inside it, at its ends, exactly at and above thresholds."""
    sizes = tuple(draw(st.lists(st.integers(1, max_size), min_size=2, max_size=max_classes)))
    dim = draw(st.integers(1, max_dim))
    epsilon = 10 ** draw(st.floats(-3, 3))
    levels = thresholds(Parameters(dim, sizes, epsilon, 1.0)).existence
    if fractions is None:
        fractions = st.one_of(
            st.floats(0.05, 0.95).map(lambda f: f * levels.min()),
            st.sampled_from([1e-8, 1e-4, 1 - 1e-8]).map(lambda f: f * levels.min()),
            st.sampled_from(sorted(set(levels.tolist()))),
            st.floats(0.05, 0.95).map(lambda f: levels.min() + f * (levels.max() - levels.min())),
        )
    else:
        fractions = fractions.map(lambda f: f * levels.min())
    return Parameters(dim, sizes, epsilon, float(draw(fractions)))


@st.composite
def families(draw, source=None, **options) -> Family:
    """A family of a random problem: any of the first three hundred."""
    p = draw(problems() if source is None else source)
    known = list(itertools.islice(catalog(p, **options), 300))
    return known[draw(st.integers(0, len(known) - 1))]


def dense_eigenvalues(family: Family, key: int = 0) -> np.ndarray:
    """The Hessian's eigenvalues at a random point of the family, ascending, relative to alpha."""
    p = family.parameters
    return np.linalg.eigvalsh(hessian_matrix(p, family.point(key=key))) / p.alpha


def newton(p: Parameters, Z: np.ndarray, steps: int = 80) -> tuple[np.ndarray, float]:
    """A critical point of any index near Z by damped Newton steps on the gradient's norm, and its gradient relative to
    alpha ‖Z‖. Knows nothing of the theory."""
    damping = 1.0
    slope = gradient(p, Z)
    for _ in range(steps):
        values, vectors = np.linalg.eigh(hessian_matrix(p, Z))
        coefficients = vectors.T @ slope.ravel()
        while damping < 1e6:
            step = vectors @ (values * coefficients / (values**2 + (damping * p.alpha) ** 2))
            moved = Z - step.reshape(Z.shape)
            following = gradient(p, moved)
            if np.linalg.norm(following) < np.linalg.norm(slope):
                Z, slope, damping = moved, following, max(damping / 5, 1e-9)
                break
            damping *= 3
        else:
            break
    return Z, float(np.linalg.norm(slope) / (p.alpha * max(np.linalg.norm(Z), 1e-6 / p.alpha**0.5)))


def orbit_rank(p: Parameters, Z: np.ndarray) -> int:
    """The rank of the map from generators of O(d) x Π O(m_k) to motions of Z: the dimension of its orbit."""
    motions = []
    for i, j in itertools.combinations(range(p.dim), 2):
        motion = np.zeros_like(Z)
        motion[i], motion[j] = Z[j], -Z[i]
        motions.append(motion.ravel())
    start = 0
    for size in p.sizes:
        for i, j in itertools.combinations(range(start, start + size), 2):
            motion = np.zeros_like(Z)
            motion[:, i], motion[:, j] = Z[:, j], -Z[:, i]
            motions.append(motion.ravel())
        start += size
    if not motions or not Z.any():
        return 0
    values = np.linalg.svd(np.array(motions), compute_uv=False)
    return int((values > 1e-9 * values[0]).sum())
