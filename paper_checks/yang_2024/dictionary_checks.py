"""How the claims on overcomplete dictionaries are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from mcr2_landscape.claims import Outcome, Part, Run
from paper_checks.pai_2024.common import counter_examples, fact, relative
from paper_checks.yang_2024.common import (
    SCHEMES,
    SPARSITY,
    STEP,
    Codes,
    dictionary,
    encoded,
    initial,
    library_codes,
    limit,
    normalized,
    squared_norm,
)

_DIM = 48


def _rises(name: str, codes: Codes) -> list[str]:
    """The steps that raise the objective, in words."""
    values = codes.objectives()
    return [
        f"step {number} of {name}: from {before:.4g} to {after:.4g}"
        for number, (before, after) in enumerate(itertools.pairwise(values), start=1)
        if after > before * (1 + 1e-13)
    ]


def descent(run: Run, *, largest: float = 2.0, margin: float = 1.0) -> Outcome:
    """Random dictionaries, tokens and weights, with step · ‖D‖² up to `largest`; the least that a step lowers the objective by,
    which `margin` multiplies; and the library's codes and objective."""
    random, rises, less, library = np.random.default_rng(run.seed), [], [], []
    count = run.choose(60, 400, 4000)
    for number in range(count):
        D = random.standard_normal((12, 48)) * 10 ** random.uniform(-0.5, 0.5, 48)
        Z, norm = random.standard_normal((12, 16)), squared_norm(D)
        factor = largest * (0.999 if number % 3 == 0 else random.uniform(0.02, 1))
        sparsity = float(random.uniform(0, 0.5) * np.abs(D.T @ Z).max())
        codes = encoded(D, Z, factor / norm, sparsity)
        rises += _rises(f"draw {number}", codes)
        values = codes.objectives()
        for before, after, A, B in zip(values[:-1], values[1:], codes.steps[:-1], codes.steps[1:], strict=True):
            bound = margin * (1 / codes.step - norm / 2) * np.sum((B - A) ** 2)
            if after - before > -bound + 1e-12 * before:
                less.append(f"draw {number}: lowered by {before - after:.4g}, not by {bound:.4g}")
        if number < 5:
            library.append(relative(library_codes(D, Z, codes.step, sparsity), codes.steps[2]))
    return Outcome.of(
        [
            run.certify_proof("one atom"),
            Part.counted("descent", 2 * count, rises, "steps from zero that do not raise the objective", seeds=run.seed),
            Part.counted("by how much", 2 * count, less, "steps that lower it by (1/eta − ‖D‖²/2)‖ΔA‖²", seeds=run.seed),
            Part.measured("library", library, 1e-12, "the library's codes, relative", seeds=run.seed),
        ]
    )


def _sizes(run: Run, schemes: Sequence[str]) -> dict[str, list[float]]:
    """eta ‖D‖² at the start, of dictionaries of 192 and 384 dimensions."""
    random = np.random.default_rng(run.seed)
    dims = [192] * run.choose(3, 10, 40) + [384] * run.choose(2, 10, 40)
    return {scheme: [STEP * squared_norm(dictionary(random, dim, scheme)) for dim in dims] for scheme in schemes}


def printed_step(run: Run, *, schemes: Sequence[str] = SCHEMES) -> Outcome:
    """eta ‖D‖² at the start."""
    found = _sizes(run, schemes)
    return Outcome.of(
        Part.counted(
            name,
            len(values),
            [f"{value:.3g}" for value in values if value > 1],
            f"eta ‖D‖² of {name} dictionaries at most one",
            seeds=run.seed,
        )
        for name, values in found.items()
    )


def step(run: Run, *, scale: float = 1.0) -> Outcome:
    """The same below two, near the limit, and descent there; `scale` multiplies dictionaries."""
    random, found, rises, count = np.random.default_rng(run.seed), _sizes(run, SCHEMES), [], 0
    distances = [abs(scale**2 * value / (STEP * limit(name)) - 1) for name, values in found.items() for value in values]
    large = [f"{scale**2 * v:.3g} ({name})" for name, values in found.items() for v in values if scale**2 * v >= 2]
    for name, codes in initial(random, 96, run.choose(5, 50, 400)):
        count += 2
        rises += _rises(f"{name} dictionaries", encoded(scale * codes.D, codes.Z, STEP, SPARSITY))
    seen = ", ".join(f"{scale**2 * min(v):.3g} to {scale**2 * max(v):.3g} ({name})" for name, v in found.items())
    return Outcome.of(
        [
            *run.certify(),
            Part.counted("below two", len(distances), large, f"eta ‖D‖² below two: {seen}", seeds=run.seed),
            Part.measured(
                "limit", distances, 0.06, "eta ‖D‖² over that of d → ∞, less one", seeds=run.seed, refuted_beyond=2.0
            ),
            Part.counted("descent", count, rises, "steps from zero that do not raise the objective", seeds=run.seed),
        ]
    )


def printed_sparsity(run: Run, *, residual: bool = True) -> Outcome:
    """The share of nonzero entries of tokens after each of four layers without attention; of the codes without `residual`."""
    random, shares = np.random.default_rng(run.seed), []
    for scheme in SCHEMES:
        for _ in range(run.choose(4, 30, 300)):
            Z = random.standard_normal((_DIM, 32))
            for _ in range(4):
                D, D1 = (dictionary(random, _DIM, scheme) for _ in range(2))
                codes = encoded(D, normalized(Z), STEP, SPARSITY).steps[2]
                Z = Z + D1 @ codes
                shares.append(float(np.mean((Z if residual else codes) != 0)))
    words = (
        f"Shares of nonzero entries after {len(shares)} layers of both initializations: {min(shares):.4g} to {max(shares):.4g}."
    )
    return counter_examples(run, [fact("dense tokens", min(shares) == 1, words)])


def sparsity(run: Run, *, least: float = 0.4, largest: float = 0.55, values: Sequence[float] = (0.1, 0.3, 1.0)) -> Outcome:
    """Shares of nonzero codes at the weight of practice, between `least` and `largest`; how they fall with lambda over
    `values`; and the library's zeros."""
    random, shares, outside, falls, differ = np.random.default_rng(run.seed), [], [], [], []
    for name, codes in initial(random, _DIM, run.choose(6, 50, 500)):
        share = float(np.mean(codes.steps[2] != 0))
        shares.append(share)
        if not least <= share <= largest:
            outside.append(f"{share:.3g} ({name})")
        row = [float(np.mean(encoded(codes.D, codes.Z, STEP, w).steps[2] != 0)) for w in values]
        if not all(after < before for before, after in itertools.pairwise(row)):
            falls.append(f"{', '.join(f'{s:.3g}' for s in row)} ({name})")
        if len(shares) <= 3 and ((library_codes(codes.D, codes.Z, STEP, SPARSITY) != 0) != (codes.steps[2] != 0)).any():
            differ.append(name)
    words = f"shares of nonzero codes from {least:g} to {largest:g} (seen {min(shares):.3g} to {max(shares):.3g})"
    return Outcome.of(
        [
            Part.counted("zeros", len(shares), outside, words, seeds=run.seed),
            Part.counted("lambda", len(shares), falls, f"shares that fall over lambda = {list(values)}", seeds=run.seed),
            Part.counted("library", 3, differ, "the library's zeros in the same places", seeds=run.seed),
        ]
    )
