"""How the claims on the sparse coding step are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import itertools

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Run
from paper_checks.yu_2023.common import all_of, refuted, together

PUBLISHED = 0.1  # both the step and the weight of sparsity


def objective(A: np.ndarray, Y: np.ndarray, D: np.ndarray, sparsity: float) -> float:
    """λ‖A‖₁ + ½‖Y − DA‖², without the constraint."""
    return sparsity * float(np.abs(A).sum()) + 0.5 * float(np.sum((Y - D @ A) ** 2))


def step(A: np.ndarray, Y: np.ndarray, D: np.ndarray, size: float, sparsity: float, *, sign: int = -1) -> np.ndarray:
    """ReLU(A + ηDᵀ(Y − DA) − ηλ), or + ηλ."""
    return np.maximum(A + size * D.T @ (Y - D @ A) + sign * size * sparsity, 0.0)


def kaiming(random: np.random.Generator, dim: int, atoms: int, fan: int) -> np.ndarray:
    """A dictionary (d, atoms) with entries uniform within ±√(6/fan)."""
    return random.uniform(-1, 1, size=(dim, atoms)) * np.sqrt(6 / fan)


def dictionaries(random: np.random.Generator, dim: int) -> dict[str, np.ndarray]:
    """One of each kind."""
    return {
        "orthonormal": np.linalg.qr(random.standard_normal((dim, dim)))[0],
        "Kaiming, square": kaiming(random, dim, dim, dim),
        "Kaiming, overcomplete": kaiming(random, dim, 2 * dim, 2 * dim),
        "normal, undercomplete": random.standard_normal((dim, dim // 2)),
    }


def ista_printed(run: Run, *, feasible: bool = False) -> Outcome:
    """The certified counter-examples, and the published step from normal tokens with D = I; a `feasible` start instead has no
    negative entries."""
    random, rises, count = np.random.default_rng(run.seed), [], run.choose(100, 500, 5000)
    for _ in range(count):
        Z = random.standard_normal((16, 8))
        A = np.abs(Z) if feasible else Z
        before, after = (objective(X, A, np.eye(16), PUBLISHED) for X in (A, step(A, A, np.eye(16), PUBLISHED, PUBLISHED)))
        if after > before:
            rises.append(f"from {before:.4g} to {after:.4g}")
    words = "normal tokens, D = I and η = λ = 1/10, for which the step lowers F"
    return refuted(run, _longer_steps(run), all_of("from the tokens", count, rises, words, run.seed))


def _longer_steps(run: Run) -> Part:
    """Beyond 2/‖D‖² for orthonormal D, from zero."""
    random, rises, count = np.random.default_rng(run.seed), [], run.choose(100, 500, 5000)
    for _ in range(count):
        D, Y = np.linalg.qr(random.standard_normal((16, 16)))[0], random.standard_normal((16, 8))
        zero = np.zeros_like(Y)
        size = float(random.uniform(2.05, 4))
        before, after = (objective(X, Y, D, PUBLISHED) for X in (zero, step(zero, Y, D, size, PUBLISHED)))
        if after > before:
            rises.append(f"η‖D‖² = {size:.3g}: from {before:.4g} to {after:.4g}")
    return all_of(
        "long steps", count, rises, "orthonormal D and η‖D‖² above 2.05, for which a step from zero lowers F", run.seed
    )


def ista_corrected(run: Run, *, factors: tuple[float, ...] = (0.1, 0.8, 1.0, 1.5, 1.99), margin: float = 1.0) -> Outcome:
    """The decrease of F from feasible codes and along whole runs from the tokens themselves, for steps of `factors` over
    ‖D‖², against its bound, which `margin` multiplies; and that the library's step and objective are these."""
    random, shortfalls, rises, infeasible, library = np.random.default_rng(run.seed), [], [], [], []
    for number in range(run.choose(10, 50, 500)):
        Y = random.standard_normal((8, 5))
        for (kind, D), factor in itertools.product(dictionaries(random, 8).items(), factors):
            norm = float(np.linalg.norm(D, 2)) ** 2
            size, sparsity = factor / norm, float(10 ** random.uniform(-2, 0))
            feasible = np.maximum(random.standard_normal((D.shape[1], 5)), 0.0) * 10 ** random.uniform(-1, 1)
            square = D.shape[0] == D.shape[1]
            for A in (feasible, Y) if square else (feasible,):
                # The tokens themselves are infeasible: only what follows the first step is comparable.
                codes = step(A, Y, D, size, sparsity) if A is Y else A
                if codes.min() < 0:
                    infeasible.append(kind)
                for _ in range(20):
                    moved = step(codes, Y, D, size, sparsity)
                    before, after = objective(codes, Y, D, sparsity), objective(moved, Y, D, sparsity)
                    least = margin * (1 / size - norm / 2) * float(np.sum((moved - codes) ** 2))
                    shortfalls.append(max(least - (before - after), 0.0) / before)
                    if after > before * (1 + 1e-13):
                        rises.append(f"{kind}, η‖D‖² = {factor}: from {before:.6g} to {after:.6g}")
                    codes = moved
            if number < 5 and square and factor in (0.1, 1.0):
                library.append(_library_error(Y, D, size, sparsity, feasible))
    return together(
        run.certify(),
        Part.measured("decrease", shortfalls, 1e-12, "shortfall of the decrease, over F", seeds=run.seed),
        Part.counted("runs", len(shortfalls), rises, "steps that do not raise F", seeds=run.seed),
        Part.counted("feasible", len(shortfalls) // 20, infeasible, "codes without negative entries", seeds=run.seed),
        Part.measured("library", library, 1e-12, "ista and lasso_objective less these", seeds=run.seed),
    )


def _library_error(Y: np.ndarray, D: np.ndarray, size: float, sparsity: float, A: np.ndarray) -> float:
    with jax.enable_x64(True):
        moved = np.asarray(wb.ista(Y, D, size, sparsity, start=A))
        warm = np.asarray(wb.ista(Y, D, size, sparsity))
        value = float(wb.lasso_objective(moved, Y, D, sparsity))
    errors = [
        np.abs(moved - step(A, Y, D, size, sparsity)).max(),
        np.abs(warm - step(Y, Y, D, size, sparsity)).max(),
        abs(value / objective(moved, Y, D, sparsity) - 1),
    ]
    return float(max(errors))


def initialization(run: Run, *, size: float = PUBLISHED) -> Outcome:
    """η‖D‖² of drawn square dictionaries, against the edge 4/5 of the spectrum as d grows."""
    random, dim = np.random.default_rng(run.seed), run.choose(192, 384, 768)
    found = [size * float(np.linalg.norm(kaiming(random, dim, dim, dim), 2)) ** 2 for _ in range(run.choose(5, 10, 20))]
    errors, long = [abs(value / 0.8 - 1) for value in found], [f"{value:.3g}" for value in found if value >= 2]
    seen = f"{min(found):.3g} to {max(found):.3g}"
    return together(
        run.certify(),
        Part.measured("edge", errors, 0.08, f"η‖D‖² at d = {dim} over 4/5, less one", seeds=run.seed, refuted_beyond=5),
        Part.counted("steps", len(errors), long, f"η‖D‖² below two (seen {seen})", seeds=run.seed),
    )
