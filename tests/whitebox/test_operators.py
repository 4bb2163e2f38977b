"""Operators of layers against loops over tokens, and what the derivation says of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape import InputError
from mcr2_landscape import whitebox as wb

seeds = st.integers(0, 2**32 - 1)


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    random = np.random.default_rng(seed)
    return random.standard_normal((6, 5)), random.standard_normal((2, 6, 3)), random.standard_normal((2, 6, 3)), random


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def attention(Z: np.ndarray, U: np.ndarray, W: np.ndarray, temperature: float) -> np.ndarray:
    """Token by token and head by head."""
    result = np.zeros_like(Z)
    for B, out in zip(U, W, strict=True):
        V = B.T @ Z
        for i in range(Z.shape[1]):
            result[:, i] += out @ (V @ softmax(np.array([V[:, j] @ V[:, i] for j in range(Z.shape[1])]) / temperature))
    return result


@given(seeds, st.floats(0.2, 5))
def test_attention_is_its_definition(seed, temperature):
    Z, U, W, random = problem(seed)
    free = np.asarray(wb.mssa(Z, U, W, temperature=temperature))
    np.testing.assert_allclose(free, attention(Z, U, W, temperature), rtol=1e-12, atol=1e-13)
    tied = np.asarray(wb.mssa(Z, U, temperature=temperature))
    np.testing.assert_allclose(tied, attention(Z, U, U, temperature), rtol=1e-12, atol=1e-13)
    # The other convention for a temperature, or output maps forgotten, would be seen.
    assert np.abs(tied - attention(Z, U, U, 1.3 * temperature)).max() > 1e-6
    assert np.abs(tied - free).max() > 1e-6
    order = random.permutation(Z.shape[1])
    np.testing.assert_allclose(
        np.asarray(wb.mssa(Z[:, order], U, W, temperature=temperature)), free[:, order], rtol=1e-12, atol=1e-13
    )
    step = np.asarray(wb.compression_step(Z, U, weight=0.3, alpha=2.0, temperature=temperature))
    np.testing.assert_allclose(step, 0.7 * Z + 0.6 * tied, rtol=1e-12, atol=1e-13)


@given(seeds, st.floats(0.05, 0.9))
def test_denoising_by_subspaces_is_its_definition(seed, threshold):
    Z, U, _, _ = problem(seed)
    expected = Z.copy()
    for B in U:
        V = B.T @ Z
        phi = np.stack([softmax(V.T @ V[:, i]) for i in range(Z.shape[1])], axis=1)
        expected += 0.5 * B @ V @ (threshold * (phi > threshold))
    np.testing.assert_allclose(
        np.asarray(wb.subspace_denoising(Z, U, step=0.5, threshold=threshold)), expected, rtol=1e-12, atol=1e-13
    )


@given(seeds, st.floats(0, 1), st.floats(0.05, 1.99))
def test_a_proximal_gradient_step_never_raises_its_objective(seed, sparsity, share):
    Z, _, _, random = problem(seed)
    D = random.standard_normal((6, 9))
    step = share / np.linalg.norm(D, 2) ** 2
    A = np.abs(random.standard_normal((9, 5)))
    for _ in range(3):
        after = np.asarray(wb.ista(Z, D, step, sparsity, start=A))
        by_hand = np.maximum(A + step * D.T @ (Z - D @ A) - step * sparsity, 0)
        np.testing.assert_allclose(after, by_hand, rtol=1e-12, atol=1e-13)
        before, now = (float(wb.lasso_objective(each, Z, D, sparsity)) for each in (A, after))
        assert now <= before * (1 + 1e-13)
        A = after


@given(seeds)
def test_the_square_step_starts_at_the_tokens(seed):
    Z, _, _, random = problem(seed)
    D = random.standard_normal((6, 6))
    expected = np.maximum(Z + 0.1 * D.T @ (Z - D @ Z) - 0.1 * 0.2, 0)
    found = np.asarray(wb.ista(Z, D, 0.1, 0.2))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    transposed = np.maximum(Z + 0.1 * D @ (Z - D.T @ Z) - 0.1 * 0.2, 0)
    assert np.abs(found - transposed).max() > 1e-6


@given(seeds)
def test_overcomplete_learning_is_two_steps_from_zero_and_a_dictionary(seed):
    Z, _, _, random = problem(seed)
    D, D1 = random.standard_normal((2, 6, 24)) / 5
    first = np.maximum(0.1 * D.T @ Z - 0.1 * 0.05, 0)
    second = np.maximum(first - 0.1 * D.T @ (D @ first - Z) - 0.1 * 0.05, 0)
    np.testing.assert_allclose(np.asarray(wb.odl(Z, D, D1, 0.1, 0.05)), D1 @ second, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.asarray(wb.odl(Z, D, None, 0.1, 0.05, codes=True)), second, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.asarray(wb.odl(Z, D, None, 0.1, 0.05, num_steps=1)), D @ first, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda Z, U: wb.mssa(Z, U, temperature=0.0), "temperature: found 0"),
        (lambda Z, U: wb.mssa(Z, U, U[:, :5]), r"W: found shape \(2, 5, 3\)"),
        (lambda Z, U: wb.mssa(Z[0], U), "Z: "),
        (lambda Z, U: wb.ista(Z, np.ones((6, 7)), 0.1, 0.1), "D: "),
        (lambda Z, U: wb.ista(Z, np.ones((6, 6)), 0.0, 0.1), "step: found 0"),
        (lambda Z, U: wb.ista(Z, np.ones((6, 6)), 0.1, -1.0), "sparsity: found -1"),
        (lambda Z, U: wb.odl(Z, np.ones((6, 9)), np.ones((6, 8))), "D1: "),
        (
            lambda Z, U: wb.ista(Z, np.ones((6, 6)), 0.1, 0.1, start=np.ones((5, 5))),
            r"start: found shape \(5, 5\), expected \(6, 5\)",
        ),
        (lambda Z, U: wb.odl(Z, np.ones((6, 9)), num_steps=0), "num_steps: found 0"),
        (lambda Z, U: wb.subspace_denoising(Z, U, step=0.5, threshold=-0.1), "threshold: found -0.1"),
    ],
)
def test_bad_input_is_named(call, message):
    Z, U, _, _ = problem(0)
    with pytest.raises(InputError, match=message):
        call(Z, U)
