"""How the book's formulas are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Evidence, Verdict
from paper_checks.yu_2023.common import all_of, gradient, refuted, together, transposed
from paper_checks.yu_2023.sparse_checks import PUBLISHED, dictionaries, objective, step

_SIZE = 6


def _contraction(random: np.random.Generator) -> np.ndarray:
    A = random.standard_normal((_SIZE, _SIZE))
    return A * random.uniform(0.1, 0.9) / np.linalg.norm(A, 2)


def _series(A: np.ndarray, first: int, terms: int) -> np.ndarray:
    """Aᵏ summed over `terms` values of k."""
    total, power = np.zeros_like(A), np.linalg.matrix_power(A, first)
    for _ in range(terms):
        total, power = total + power, power @ A
    return total


def neumann_printed(run: Run, *, first: int = 1) -> Outcome:
    """The certified identity, and random matrices: what is missing is the identity matrix, of norm √6."""
    random, wrong, count = np.random.default_rng(run.seed), [], run.choose(50, 200, 2000)
    for _ in range(count):
        A = _contraction(random)
        missing = np.linalg.inv(np.eye(_SIZE) - A) - _series(A, first, 500)
        if np.abs(missing - np.eye(_SIZE)).max() < 1e-9:
            wrong.append(f"an error of norm {np.linalg.norm(missing):.4g}")
    return refuted(run, all_of("matrices", count, wrong, "6 × 6 matrices whose series from k = 1 is the inverse", run.seed))


def neumann_corrected(run: Run, *, first: int = 0) -> Outcome:
    """What m terms of the series from `first` leave."""
    random, errors, beyond = np.random.default_rng(run.seed), [], []
    for _ in range(run.choose(50, 200, 2000)):
        A, terms = _contraction(random), int(random.integers(1, 30))
        inverse, norm = np.linalg.inv(np.eye(_SIZE) - A), float(np.linalg.norm(A, 2))
        left = inverse - _series(A, first, terms)
        errors.append(np.abs(left - np.linalg.matrix_power(A, terms) @ inverse).max() / np.linalg.norm(inverse))
        beyond.append(max(float(np.linalg.norm(left, 2)) - norm**terms / (1 - norm), 0.0))
    return together(
        run.certify(),
        Part.measured("remainder", errors, 1e-12, "what is left less Aᵐ(I − A)⁻¹", seeds=run.seed),
        Part.measured("bound", beyond, 1e-12, "excess over ‖A‖ᵐ/(1 − ‖A‖)", seeds=run.seed),
    )


def _expansion_errors(run: Run, power: int) -> list[tuple[float, float, float]]:
    """ρ, and the relative errors of αV − α^power VVᵀV at ρ and ρ/2, for random heads with α well away from one."""
    random, found = np.random.default_rng(run.seed), []
    for _ in range(run.choose(50, 200, 2000)):
        V = random.standard_normal((3, 4, 10))
        rho, alpha = float(10 ** random.uniform(-3, -1)), float(10 ** random.uniform(-3, -1))
        V *= np.sqrt(rho / alpha) / np.linalg.norm(V, 2, axis=(1, 2)).max()
        pair = []
        for X in (V, V / np.sqrt(2)):
            g, form = gradient(X, alpha), alpha * X - alpha**power * X @ transposed(X) @ X
            pair.append(float(np.linalg.norm(form - g) / np.linalg.norm(g)))
        found.append((rho, *pair))
    return found


def factor_printed(run: Run, *, power: int = 3) -> Outcome:
    """The certified expansion, and random heads, for which halving ρ halves the error: it is of first order."""
    errors = _expansion_errors(run, power)
    first = [f"ρ = {rho:.2g}: {a:.2g}, {b:.2g} at half of it" for rho, a, b in errors if abs(np.log2(a / b) - 1) < 0.2]
    words = "random heads for which the error falls faster than ρ"
    return refuted(run, all_of("order", len(errors), first, words, run.seed))


def factor_corrected(run: Run, *, power: int = 2) -> Outcome:
    """The error with α to this power, over ρ²."""
    errors = _expansion_errors(run, power)
    excess = [max(a / rho**2 - 1, 0.0) for rho, a, _ in errors]
    orders = [abs(float(np.log2(a / b)) - 2) for _, a, b in errors]
    return together(
        run.certify(),
        Part.measured("bound", excess, 1e-8, "relative error over ρ², less one", seeds=run.seed),
        Part.measured("order", orders, 0.15, "order of the error less two", seeds=run.seed, refuted_beyond=5),
    )


def sign_printed(run: Run, *, sign: int = 1) -> Outcome:
    """The certified counter-example; and one step from the minimizer of orthonormal dictionaries, ReLU(DᵀY − λ)."""
    random, rises, count = np.random.default_rng(run.seed), [], run.choose(50, 200, 2000)
    for _ in range(count):
        Y, D = random.standard_normal((8, 5)), np.linalg.qr(random.standard_normal((8, 8)))[0]
        best = np.maximum(D.T @ Y - PUBLISHED, 0.0)
        moved = step(best, Y, D, float(random.uniform(0.1, 1)), PUBLISHED, sign=sign)
        before, after = (objective(X, Y, D, PUBLISHED) for X in (best, moved))
        if after > before * (1 + 1e-9):
            rises.append(f"from {before:.6g} to {after:.6g}")
    return refuted(run, all_of("from minimizers", count, rises, "steps from a minimizer that do not raise F", run.seed))


def sign_corrected(run: Run, *, sign: int = -1) -> Outcome:
    """Steps of this sign against those of the other, from the same codes; runs of both."""
    random = np.random.default_rng(run.seed)
    rises, moves, denser, higher, counts, steps = [], [], [], [], np.zeros(2, dtype=int), 0
    for _ in range(run.choose(10, 50, 500)):
        Y = random.standard_normal((8, 5))
        for kind, D in dictionaries(random, 8).items():
            size = float(random.uniform(0.1, 1)) / float(np.linalg.norm(D, 2)) ** 2
            start = np.maximum(random.standard_normal((D.shape[1], 5)), 0.0)
            ours, other = start, start
            for _ in range(300):
                before = objective(ours, Y, D, PUBLISHED)
                plus = step(ours, Y, D, size, PUBLISHED, sign=-sign)
                ours = step(ours, Y, D, size, PUBLISHED, sign=sign)
                other = step(other, Y, D, size, PUBLISHED, sign=-sign)
                steps += 1
                counts += np.count_nonzero(ours), np.count_nonzero(plus)
                if objective(ours, Y, D, PUBLISHED) > before * (1 + 1e-13):
                    rises.append(kind)
                if ((ours > 0) & (plus == 0)).any():
                    denser.append(kind)
            if objective(ours, Y, D, PUBLISHED) >= objective(other, Y, D, PUBLISHED):
                higher.append(kind)
        # Where the minimizer is known: D orthonormal.
        D = np.linalg.qr(random.standard_normal((8, 8)))[0]
        best = np.maximum(D.T @ Y - PUBLISHED, 0.0)
        moves.append(float(np.abs(step(best, Y, D, 0.9, PUBLISHED, sign=sign) - best).max()))
    share = f"{counts[0]} entries after all steps, {counts[1]} with the other sign"
    fewer = [] if counts[0] < counts[1] else [share]
    return together(
        run.certify(),
        Part.counted("decrease", steps, rises, "steps that do not raise F", seeds=run.seed),
        Part.measured("minimizer", moves, 1e-12, "move from the minimizer of an orthonormal dictionary", seeds=run.seed),
        Part.counted("support", steps, denser, "steps with entries only where the other sign has them", seeds=run.seed),
        Part.counted("sparsity", 1, fewer, f"fewer non-zero entries ({share})", seeds=run.seed),
        Part.counted("objective", len(moves) * 4, higher, "runs that end with a lower F", seeds=run.seed),
    )


Shape = Callable[[int, int], tuple[int, int]]


def _composes(dim: int, atoms: int, shape: tuple[int, int], samples: int) -> tuple[bool, bool]:
    """Whether DA − Y and Dᵀ(DA − Y) + A are defined by the rule of matrix products, and whether the library takes them."""
    Y, A, D = np.ones((dim, samples)), np.ones((atoms, samples)), np.ones(shape)
    defined = shape[1] == atoms and shape[0] == dim
    try:
        with jax.enable_x64(True):
            taken = wb.ista(Y, D, 0.1, 0.1, start=A).shape == A.shape
    except InputError:
        taken = False
    return defined, taken


_SHAPES = ((2, 5, 3), (4, 16, 6), (3, 4, 1))


def shape_printed(run: Run, *, shape: Shape = lambda dim, atoms: (atoms, dim)) -> Outcome:
    """The rule of matrix products, and the library's refusal."""
    found = [_composes(dim, atoms, shape(dim, atoms), samples) for dim, atoms, samples in _SHAPES]
    words = (
        "D A needs as many columns of D as A has rows: s, while a D of shape (s, d) has d < s; and the library refuses such a "
        f"dictionary for all of (d, s, N) in {_SHAPES}."
    )
    wrong = all(not defined and not taken for defined, taken in found)
    return Outcome.of([Part("shapes", Verdict.REFUTED if wrong else Verdict.UNDECIDED, Evidence.EXACT, words)])


def shape_corrected(run: Run, *, shape: Shape = lambda dim, atoms: (dim, atoms)) -> Outcome:
    """The same for the transpose."""
    found = [_composes(dim, atoms, shape(dim, atoms), samples) for dim, atoms, samples in _SHAPES]
    right = all(defined and taken for defined, taken in found)
    words = f"DA and Y have one shape, Dᵀ(DA − Y) and A have one, and the library takes D for all of (d, s, N) in {_SHAPES}."
    return Outcome.of([Part("shapes", Verdict.HOLDS if right else Verdict.REFUTED, Evidence.EXACT, words)])
