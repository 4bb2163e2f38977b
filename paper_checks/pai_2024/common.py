"""Tokens near subspaces, the gradient of R_c and what is measured of them, in plain NumPy, for checks of many draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.verdict import Evidence, Verdict

STEP = 1e-40  # of derivatives by a complex step, exact to rounding
ERRORS = 4.0  # standard errors that a mean may be off


class Draw(NamedTuple):
    """Tokens z = U_k a + noise w as columns: `Z` (d, N), `U` (K, d, p), `labels` (N,)."""

    Z: np.ndarray
    U: np.ndarray
    labels: np.ndarray


class Law(NamedTuple):
    """The mean and the deviation that a distribution has."""

    mean: float
    deviation: float


def draw(random: np.random.Generator, *, dim: int, rank: int, sizes: Sequence[int], noise: float) -> Draw:
    """Tokens near orthogonal subspaces."""
    U = wb.random_bases(key=random, heads=len(sizes), dim=dim, rank=rank)
    sample = wb.sample_mixture(key=random, U=U, sizes=sizes, noise=noise)
    return Draw(sample.noisy, U, sample.labels)


def precision(Z: np.ndarray, U: np.ndarray, epsilon: float) -> float:
    """alpha = p/(N eps²)."""
    return U.shape[2] / (Z.shape[1] * epsilon**2)


def projections(Z: np.ndarray, U: np.ndarray) -> np.ndarray:
    """V_k = U_kᵀ Z, (K, p, N)."""
    return np.swapaxes(U, 1, 2) @ Z


def back(U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Σ_k U_k V_k."""
    return np.sum(U @ V, axis=0)


def gradient(Z: np.ndarray, U: np.ndarray, epsilon: float) -> np.ndarray:
    """∇R_c/alpha = Σ_k U_k (I + alpha V_k V_kᵀ)⁻¹ V_k."""
    V = projections(Z, U)
    return back(U, np.linalg.solve(np.eye(U.shape[2]) + precision(Z, U, epsilon) * V @ np.swapaxes(V, 1, 2), V))


def library_gradient(Z: np.ndarray, U: np.ndarray, epsilon: float) -> np.ndarray:
    """The same by the library."""
    with jax.enable_x64(True):
        return np.asarray(wb.coding_rate_given_gradient(Z, U, epsilon)) / precision(Z, U, epsilon)


def attention(Z: np.ndarray, U: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """MSSA, of complex tokens too."""
    V = projections(Z, U)
    logits = np.swapaxes(V, 1, 2) @ V / temperature
    weights = np.exp(logits - np.real(logits).max(axis=1, keepdims=True))
    return back(U, V @ (weights / weights.sum(axis=1, keepdims=True)))


def own(sample: Draw, Z: np.ndarray) -> np.ndarray:
    """Each token projected on the subspace of its class."""
    mine = np.arange(len(sample.U))[:, None] == sample.labels
    return back(sample.U, projections(Z, sample.U) * mine[:, None, :])


def cosines(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Of columns."""
    return np.sum(A * B, axis=0) / (np.linalg.norm(A, axis=0) * np.linalg.norm(B, axis=0))


def ratios(sample: Draw, Z: np.ndarray) -> np.ndarray:
    """Signal over noise of each token: the norm of its projection on its subspace over that of the rest."""
    signal = own(sample, Z)
    return np.linalg.norm(signal, axis=0) / np.linalg.norm(Z - signal, axis=0)


def beta_law(first: float, second: float) -> Law:
    """Of a Beta variable."""
    total = first + second
    return Law(first / total, math.sqrt(first * second / (total + 1)) / total)


def root_law(first: float, second: float) -> Law:
    """Of the root of a Beta variable."""
    total = first + second
    mean = math.exp(math.lgamma(first + 0.5) - math.lgamma(first) + math.lgamma(total) - math.lgamma(total + 0.5))
    return Law(mean, math.sqrt(first / total - mean**2))


def agrees(name: str, groups: Sequence[Sequence[np.ndarray]], what: str, *, seeds: Any) -> Part:
    """Whether independent values, each less its expectation and over its deviation, have the mean zero within `ERRORS` standard
    errors, in every group of them."""
    values = [np.concatenate(group) for group in groups]
    errors = [abs(float(group.mean())) * math.sqrt(group.size) for group in values]
    words = f"{what}, in standard errors, of {sum(group.size for group in values)} tokens in {len(values)} settings"
    return Part.measured(name, errors, ERRORS, words, seeds=seeds, refuted_beyond=2.0)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """The norm of the difference, over the expected one's."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def fact(name: str, true: bool, words: str) -> Part:
    """Something that has been seen, or not, beside a certified counter-example."""
    return Part(name, Verdict.HOLDS if true else Verdict.UNDECIDED, Evidence.NUMERICAL, words, {}, essential=False)


def counter_examples(run: Run, facts: Sequence[Part]) -> Outcome:
    """The certified counter-examples refute, as long as every fact holds: that the library computes what they are about, and
    that they are no exception."""
    true = all(part.verdict is Verdict.HOLDS for part in facts)
    return Outcome.of([*run.certify(essential=true), *facts])
