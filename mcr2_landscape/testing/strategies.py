"""Hypothesis strategies: problems, points, spectra with clusters."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.stats import ortho_group

from mcr2_landscape.closed_form import Parameters

seeds = lambda: st.integers(0, 2**32 - 1)  # noqa: E731 - a strategy is a noun


@st.composite
def parameters(
    draw: st.DrawFn,
    *,
    shapes: tuple[tuple[int, tuple[int, ...]], ...] | None = None,
    max_dim: int = 6,
    max_size: int = 6,
    max_classes: int = 4,
    fractions: tuple[float, float] = (1e-8, 2.0),
    wide_epsilon: bool = True,
) -> Parameters:
    """Regularized problems. `shapes` restricts (dim, sizes) to a few, as compiled code wants; lambda is `fractions` of the
    limit, log-uniform; epsilon is log-uniform from 1e-3 to 1e3, or from 0.2 to 2."""
    if shapes is not None:
        dim, sizes = draw(st.sampled_from(shapes))
    else:
        dim = draw(st.integers(1, max_dim))
        sizes = tuple(draw(st.lists(st.integers(1, max_size), min_size=2, max_size=max_classes)))
    exponent = draw(st.floats(-3, 3) if wide_epsilon else st.floats(-0.7, 0.3))
    fraction = 10 ** draw(st.floats(float(np.log10(fractions[0])), float(np.log10(fractions[1]))))
    epsilon = 10**exponent
    alpha = dim / (sum(sizes) * epsilon**2)
    root = np.sqrt(sum(sizes) / max(sizes))
    return Parameters(dim, sizes, epsilon, fraction * alpha * (root - 1) / (root + 1))


@st.composite
def points(draw: st.DrawFn, p: Parameters) -> np.ndarray:
    """Points of a problem: normal entries at a scale about the critical one, with a rank of each class from zero to full,
    repeated columns and zero rows among them."""
    random = np.random.default_rng(draw(seeds()))
    scale = 10 ** draw(st.floats(-1.5, 1.0)) / np.sqrt(p.alpha)
    Z = np.zeros(p.shape)
    for block in p.blocks(Z):
        rank = draw(st.integers(0, min(block.shape)))
        block[...] = scale * random.standard_normal((p.dim, rank)) @ random.standard_normal((rank, block.shape[1]))
    if draw(st.booleans()):
        Z[:, -1] = Z[:, 0]
    if draw(st.booleans()):
        Z[random.integers(p.dim)] = 0
    return Z


@st.composite
def spectra(draw: st.DrawFn, *, clusters: bool = True, max_size: int = 12) -> np.ndarray:
    """Eigenvalues, ascending; with clusters: exact repetitions, zeros among them."""
    count = draw(st.integers(1, max_size))
    values = (
        draw(st.lists(st.sampled_from([-3.0, -1.0, -1e-3, 0.0, 1e-3, 0.5, 2.0]), min_size=1, max_size=4)) if clusters else None
    )
    if values is None:
        return np.sort(np.array(draw(st.lists(st.floats(-10, 10), min_size=count, max_size=count))))
    picks = draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))
    return np.sort(np.array(picks))


def symmetric_matrix(eigenvalues: np.ndarray, seed: int) -> np.ndarray:
    """A random symmetric matrix with the given eigenvalues."""
    n = eigenvalues.size
    Q = np.ones((1, 1)) if n == 1 else ortho_group.rvs(n, random_state=seed)
    matrix = (Q * eigenvalues) @ Q.T
    return 0.5 * (matrix + matrix.T)
