"""The landscape over tokens: its derivatives, its symmetry, and the exact reduction of its Hessian."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import InputError
from mcr2_landscape import whitebox as wb
from mcr2_landscape.whitebox.landscape import TokenLandscape, token_inertia

seeds = st.integers(0, 2**32 - 1)
D, N, K, P = 4, 7, 2, 2


def problem(seed: int, tokens: int = N, *, incoherent: bool = False) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((D, tokens)), wb.random_bases(key=random, heads=K, dim=D, rank=P, incoherent=incoherent)


@given(seeds, st.floats(0.2, 3))
def test_it_is_the_smooth_part_of_the_sparse_rate_reduction(seed, epsilon):
    Z, U = problem(seed)
    landscape = TokenLandscape.of(U, epsilon, N)
    value, gradient, scale = landscape.evaluate(Z)
    assert value == pytest.approx(float(wb.sparse_rate_reduction(Z, U, epsilon, 0.0)), rel=1e-11, abs=1e-11)
    own = jax.grad(lambda z: ml.coding_rate(z, epsilon))(jnp.asarray(Z)), wb.coding_rate_given_gradient(Z, U, epsilon)
    np.testing.assert_allclose(gradient, np.asarray(own[0]) - np.asarray(own[1]), rtol=1e-9, atol=1e-11)
    assert scale == pytest.approx(sum(np.linalg.norm(np.asarray(part)) for part in own), rel=1e-10)
    along = landscape.orbit_tangent(Z)
    assert np.abs(along.T @ gradient.ravel()).max() < 1e-10 * scale * np.linalg.norm(along)
    assert np.linalg.matrix_rank(along) == N * (N - 1) // 2 - (N - D) * (N - D - 1) // 2


@given(seeds, st.floats(0.2, 3))
def test_the_reduction_counts_as_the_dense_hessian_does(seed, epsilon):
    Z, U = problem(seed)
    values = np.linalg.eigvalsh(TokenLandscape.of(U, epsilon, N).hessian_matrix(Z))
    left, singular, _ = np.linalg.svd(Z, full_matrices=False)
    core = np.linalg.eigvalsh(TokenLandscape.of(U, epsilon, N, D).hessian_matrix(left * singular))
    a, alpha = D / (N * epsilon**2), P / (N * epsilon**2)
    inside = [B @ np.linalg.inv(np.eye(P) + alpha * B.T @ Z @ Z.T @ B) @ B.T for B in U]
    outside = np.linalg.eigvalsh(a * np.linalg.inv(np.eye(D) + a * Z @ Z.T) - alpha * sum(inside))
    expected = np.sort(np.concatenate([core, np.repeat(outside, N - D)]))
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9 * np.abs(values).max())
    found = token_inertia(Z, U, epsilon)
    assert found.total == D * N
    clear = 1e-7 * np.abs(values).max()
    assert found.positive >= (values > clear).sum()
    assert found.negative >= (values < -clear).sum()
    assert found.undecided <= (np.abs(values) <= clear).sum()
    # The core of fewer tokens has other constants: its counts would not be these.
    other = np.linalg.eigvalsh(TokenLandscape.of(U, epsilon, D, D).hessian_matrix(left * singular))
    assert np.abs(other - core).max() > 1e-3 * np.abs(core).max()


def test_f_rises_in_all_directions_from_zero():
    """There f bends by a − alpha U_kU_kᵀ, and d > p: with orthogonal subspaces that span, by (d − p)/(N eps²) everywhere."""
    _, U = problem(0, incoherent=True)
    zero, landscape = np.zeros((D, N)), TokenLandscape.of(U, 0.7, N)
    np.testing.assert_allclose(landscape.hessian_matrix(zero), (D - P) / (N * 0.7**2) * np.eye(D * N), rtol=1e-12, atol=1e-14)
    assert token_inertia(zero, U, 0.7).positive == D * N
    found = ml.classify(landscape, zero)
    assert (found.kind, found.index) == (ml.Kind.STRICT_SADDLE, D * N)


def test_a_difference_that_is_rounding_has_no_sign():
    """U = ½[I, I] and ZZᵀ = (2/a) I: ∇R and ∇R_c cancel, and so does the matrix beyond the core, N − d times."""
    d, tokens, epsilon = 3, 7, 0.8
    U = 0.5 * np.stack([np.eye(d), np.eye(d)])
    a = d / (tokens * epsilon**2)
    for seed in range(5):
        random = np.random.default_rng(seed)
        V = np.linalg.qr(random.standard_normal((tokens, d)))[0]
        Q = np.linalg.qr(random.standard_normal((d, d)))[0]
        Z = np.sqrt(2 / a) * Q @ V.T
        landscape = TokenLandscape.of(U, epsilon, tokens)
        values = np.linalg.eigvalsh(landscape.hessian_matrix(Z))
        assert ((values > 1e-9).sum(), (values < -1e-9).sum()) == (0, 6)
        found = token_inertia(Z, U, epsilon)
        assert (found.positive, found.zero, found.negative, found.undecided) == (0, 15, 6, 0)
        assert ml.classify(landscape, Z).kind is ml.Kind.LOCAL_MAXIMIZER
        # Beside the critical point nothing is proved, and the orbit's directions do have a sign or none.
        assert token_inertia(1.5 * Z, U, epsilon).zero == 0
    # f = 0 everywhere: every direction is flat, and no symmetry says so.
    flat = token_inertia(np.random.default_rng(0).standard_normal((d, 5)), np.eye(d)[None], 0.7)
    assert (flat.positive, flat.negative) == (0, 0)


def test_bad_input_is_named():
    Z, U = problem(0)
    with pytest.raises(InputError, match="U: found shape"):
        token_inertia(Z, U[0], 1.0)
    with pytest.raises(InputError, match="Z: "):
        token_inertia(Z[:3], U, 1.0)
    with pytest.raises(InputError, match="epsilon"):
        token_inertia(Z, U, 0.0)
    with pytest.raises(InputError, match="Z: "):
        token_inertia(Z.astype(np.float32), U, 1.0)
