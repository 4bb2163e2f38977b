"""How the claims on mixtures of Gaussians on subspaces are checked: against Bayes' rule with full covariances.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Run
from paper_checks.pai_2024.common import STEP, counter_examples, fact, projections, relative

_HEADS, _DIM, _RANK, _TOKENS = 3, 8, 3, 20


def _shrinkage(variance: float, noise: float) -> float:
    return variance / (variance + noise**2)


def _draws(run: Run, count: int, variance: float | None = None) -> Iterator[tuple[np.ndarray, np.ndarray, float, float]]:
    """Tokens (d, N), bases that overlap, the variance and the noise."""
    random = np.random.default_rng(run.seed)
    for _ in range(count):
        U = wb.random_bases(key=random, heads=_HEADS, dim=_DIM, rank=_RANK, incoherent=False)
        v, noise = variance or float(10 ** random.uniform(-1, 1)), float(10 ** random.uniform(-0.5, 0))
        sizes = [_TOKENS] * _HEADS
        yield wb.sample_mixture(key=random, U=U, sizes=sizes, variance=v, noise=noise).noisy, U, v, noise


def _covariances(U: np.ndarray, variance: float, noise: float) -> np.ndarray:
    return variance * U @ np.swapaxes(U, 1, 2) + noise**2 * np.eye(U.shape[1])


def _log_components(Z: np.ndarray, C: np.ndarray) -> np.ndarray:
    """log densities of the components at complex tokens, (K, N), by their covariances."""
    quadratic = np.sum(Z * np.linalg.solve(C, np.broadcast_to(Z, (len(C), *Z.shape))), axis=1)
    return -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * C)[1][:, None])


def _log_sum(exponents: np.ndarray) -> np.ndarray:
    top = np.real(exponents).max(axis=0)
    return top + np.log(np.exp(exponents - top).sum(axis=0))


def _softmax(exponents: np.ndarray) -> np.ndarray:
    return np.exp(exponents - _log_sum(exponents))


def _library(function: Callable[..., Any], *arguments: Any) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(function(*arguments))


def printed_responsibilities(run: Run, *, variance: float = 1.0) -> Outcome:
    """The printed softmax against Bayes' rule at one variance."""
    errors = []
    for Z, U, v, noise in _draws(run, run.choose(20, 200, 2000), variance):
        bayes = _softmax(_log_components(Z, _covariances(U, v, noise)))
        errors.append(float(np.abs(_library(wb.responsibilities, Z, U, math.inf, noise) - bayes).max()))
    words = (
        f"At lambda = {variance:g} the printed softmax is off by {min(errors):.2g} to {max(errors):.2g} in {len(errors)} draws."
    )
    return counter_examples(run, [fact("random tokens", min(errors) > 1e-3, words)])


def responsibilities(run: Run, *, factor: Callable[[float, float], float] = _shrinkage) -> Outcome:
    """Bayes' rule against the softmax with `factor`, and the library's; then the distance to its limit over the variance."""
    formula, library, limits = [], [], []
    for Z, U, variance, noise in _draws(run, run.choose(30, 200, 2000)):
        bayes = _softmax(_log_components(Z, _covariances(U, variance, noise)))
        squares = np.sum(projections(Z, U) ** 2, axis=1)
        formula.append(float(np.abs(_softmax(factor(variance, noise) * squares / (2 * noise**2)) - bayes).max()))
        library.append(float(np.abs(_library(wb.responsibilities, Z, U, variance, noise) - bayes).max()))
        limit = _library(wb.responsibilities, Z, U, math.inf, noise)
        # The same tokens at larger and larger variances: variance times the distance tends to a constant.
        near, far = (v * np.abs(_softmax(factor(v, noise) * squares / (2 * noise**2)) - limit).max() for v in (1e4, 1e6))
        limits.append(abs(float(near / far) - 1) if far else math.inf)
    return Outcome.of(
        [
            run.certify_proof("two lines"),
            Part.measured("formula", formula, 1e-10, "softmax less Bayes' rule with full covariances", seeds=run.seed),
            Part.measured("library", library, 1e-10, "the library's responsibilities less Bayes' rule", seeds=run.seed),
            Part.measured(
                "limit", limits, 0.01, "lambda times the distance to the limit, at 1e4 over at 1e6, less one", seeds=run.seed
            ),
        ]
    )


def tweedie(run: Run, *, power: float = 2.0) -> Outcome:
    """z + noise^`power` times the derivative of the log density, by a complex step through full covariances, against the mean
    of Gaussians given z, and the library's."""
    identity, library = [], []
    for Z, U, variance, noise in _draws(run, run.choose(10, 100, 1000)):
        C = _covariances(U, variance, noise)
        slope = np.stack([np.imag(_log_sum(_log_components(Z + 1j * STEP * e[:, None], C))) / STEP for e in np.eye(_DIM)])
        weights = _softmax(_log_components(Z, C))
        means = (C - noise**2 * np.eye(_DIM)) @ np.linalg.solve(C, np.broadcast_to(Z, (_HEADS, *Z.shape)))
        mean = np.sum(weights[:, None, :] * means, axis=0)
        identity.append(relative(Z + noise**power * slope, mean))
        library.append(relative(_library(wb.score, Z, U, variance, noise), slope))
        library.append(relative(_library(wb.posterior_mean, Z, U, variance, noise), mean))
    return Outcome.of(
        [
            Part.measured("Tweedie", identity, 1e-10, "z + noise² ∇ log density less E[x | z], relative", seeds=run.seed),
            Part.measured("library", library, 1e-10, "the library's score and posterior mean, relative", seeds=run.seed),
        ]
    )
