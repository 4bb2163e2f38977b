"""Rates of tokens against subspaces: values, gradients, the linear filter, the Neumann series, symmetries."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape import InputError
from mcr2_landscape import whitebox as wb

SHAPES = ((6, 9, 2, 3), (8, 3, 2, 4))  # d, N, K, p: more tokens than p, and fewer


def problem(seed: int, shape: tuple[int, int, int, int], scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    d, N, K, p = shape
    random = np.random.default_rng(seed)
    return scale * random.standard_normal((d, N)), random.standard_normal((K, d, p)) / np.sqrt(d)


def dense_rate(Z: np.ndarray, U: np.ndarray, epsilon: float) -> float:
    """Σ ½ logdet(I + p/(N eps²) VᵀV) on the side of the tokens, as it is defined."""
    alpha = U.shape[2] / (Z.shape[1] * epsilon**2)
    return sum(0.5 * np.linalg.slogdet(np.eye(Z.shape[1]) + alpha * (B.T @ Z).T @ (B.T @ Z))[1] for B in U)


def dense_gradient(Z: np.ndarray, U: np.ndarray, epsilon: float) -> np.ndarray:
    alpha = U.shape[2] / (Z.shape[1] * epsilon**2)
    identity = np.eye(Z.shape[1])
    return alpha * sum(B @ (B.T @ Z) @ np.linalg.inv(identity + alpha * (B.T @ Z).T @ (B.T @ Z)) for B in U)


def relative(found: Any, expected: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(found) - expected) / np.linalg.norm(expected))


seeds = st.integers(0, 2**32 - 1)
precisions = st.floats(0.05, 5)


@given(seeds, st.sampled_from(SHAPES), precisions)
def test_the_rate_and_its_gradient_are_the_definition(seed, shape, epsilon):
    Z, U = problem(seed, shape)
    assert float(wb.coding_rate_given(Z, U, epsilon)) == pytest.approx(dense_rate(Z, U, epsilon), rel=1e-12)
    expected = dense_gradient(Z, U, epsilon)
    assert relative(wb.coding_rate_given_gradient(Z, U, epsilon), expected) < 1e-10
    assert relative(np.asarray(wb.gradient_filter(Z, U, epsilon)) @ Z, expected) < 1e-10
    autodiff = jax.grad(wb.coding_rate_given)(jnp.asarray(Z), jnp.asarray(U), epsilon)
    assert relative(autodiff, expected) < 1e-10
    # A gradient with one factor too many would be seen.
    assert relative(1.001 * np.asarray(autodiff), expected) > 1e-4


@given(seeds, st.sampled_from(SHAPES), st.floats(1e-3, 0.5))
def test_the_first_order_of_the_neumann_series_errs_by_the_square_of_its_ratio(seed, shape, ratio):
    Z, U = problem(seed, shape)
    epsilon = 1.0
    Z = Z * np.sqrt(ratio / float(wb.neumann_ratio(Z, U, epsilon)))
    assert float(wb.neumann_ratio(Z, U, epsilon)) == pytest.approx(ratio, rel=1e-10)
    exact = dense_gradient(Z, U, epsilon)
    V = np.einsum("kdp,dn->kpn", U, Z)
    alpha = U.shape[2] / Z.shape[1]
    expected = alpha * sum(B @ v @ (np.eye(Z.shape[1]) - alpha * v.T @ v) for B, v in zip(U, V, strict=True))
    found = np.asarray(wb.neumann_gradient(Z, U, epsilon))
    assert relative(found, expected) < 1e-10
    largest = max(float(np.linalg.norm(v)) for v in V)
    assert np.linalg.norm(found - exact) <= alpha * ratio**2 * sum(np.linalg.norm(B, 2) for B in U) * largest * (1 + 1e-9)


@given(seeds, st.sampled_from(SHAPES), precisions)
def test_rotations_permutations_and_scale_leave_the_rate_alone(seed, shape, epsilon):
    Z, U = problem(seed, shape)
    random = np.random.default_rng(seed)
    Q = np.linalg.qr(random.standard_normal((shape[0], shape[0])))[0]
    inner = np.linalg.qr(random.standard_normal((shape[3], shape[3])))[0]
    value = float(wb.coding_rate_given(Z, U, epsilon))
    assert float(wb.coding_rate_given(Q @ Z, Q @ U, epsilon)) == pytest.approx(value, rel=1e-12)
    assert float(wb.coding_rate_given(Z[:, ::-1], U[::-1] @ inner, epsilon)) == pytest.approx(value, rel=1e-12)
    assert float(wb.coding_rate_given(3 * Z, U, 3 * epsilon)) == pytest.approx(value, rel=1e-12)


@given(seeds, precisions, st.floats(0, 2))
def test_the_sparse_rate_reduction_is_its_three_terms(seed, epsilon, sparsity):
    Z, U = problem(seed, SHAPES[0])
    d, N = Z.shape
    whole = 0.5 * np.linalg.slogdet(np.eye(d) + d / (N * epsilon**2) * Z @ Z.T)[1]
    expected = whole - dense_rate(Z, U, epsilon) - sparsity * np.abs(Z).sum()
    assert float(wb.sparse_rate_reduction(Z, U, epsilon, sparsity)) == pytest.approx(expected, rel=1e-11, abs=1e-11)


def test_the_rates_difference_can_be_negative():
    """It is no information gain: the two rates have different constants."""
    Z, U = problem(0, (8, 3, 2, 4))
    assert float(wb.sparse_rate_reduction(Z, np.linalg.qr(U)[0], 0.01, 0.0)) < 0


def test_no_array_of_tokens_by_tokens_is_made():
    """The compiled programs' memory stays below one such array."""
    d, N, K, p = 768, 4096, 12, 64
    shapes = jax.ShapeDtypeStruct((d, N), jnp.float32), jax.ShapeDtypeStruct((K, d, p), jnp.float32)
    for function in (wb.coding_rate_given, wb.coding_rate_given_gradient, jax.grad(wb.coding_rate_given)):
        program = str(jax.make_jaxpr(function)(*shapes, jnp.float32(0.5)))
        assert f"{N},{N}" not in program
    assert f"{N},{N}" in str(jax.make_jaxpr(lambda Z: Z.T @ Z)(shapes[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Z": np.zeros(3)}, "Z: "),
        ({"Z": np.full((6, 9), np.nan)}, "Z: "),
        ({"Z": np.zeros((6, 0))}, "at least one dimension and one token"),
        ({"U": np.zeros((6, 3))}, r"one basis alone is U\[None\]"),
        ({"U": np.zeros((2, 5, 3))}, r"pass \(heads, 6, p\)"),
        ({"U": np.zeros((2, 6, 7))}, "7 columns in 6 dimensions"),
        ({"U": np.zeros((2, 6, 3), dtype=np.float32)}, "float32, the tokens are float64"),
        ({"epsilon": 0.0}, "epsilon: found 0"),
        ({"epsilon": -1.0}, "epsilon: found -1"),
        ({"sparsity": -0.1}, "sparsity: found -0.1"),
        ({"Z": np.full((6, 9), 1e200)}, "too large beside epsilon"),
    ],
)
def test_bad_input_is_named(change, message):
    Z, U = problem(0, SHAPES[0])
    arguments = {"Z": Z, "U": U, "epsilon": 0.5, "sparsity": 0.1, **change}
    with pytest.raises(InputError, match=message):
        wb.sparse_rate_reduction(**arguments)
