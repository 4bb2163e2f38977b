"""How the claims on the rate distance, the objective of the closed loop, are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.rates import rate_reduction_between
from paper_checks.dai_2023.common import rate_distance, rotation
from paper_checks.yu_2023.common import all_of, refuted, together

Distance = Callable[[np.ndarray, np.ndarray, float], float]
Decoder = Callable[[np.random.Generator, np.ndarray], np.ndarray]
_EPSILONS = (0.5, 1.0)


def turned(random: np.random.Generator, X: np.ndarray) -> np.ndarray:
    """Another image for each: a rotation of all of them, where their second moments are those of white noise."""
    return rotation(random, len(X)) @ X


def shuffled(random: np.random.Generator, X: np.ndarray) -> np.ndarray:
    """The image of the next sample."""
    return np.roll(X, 1, axis=1)


def printed(run: Run, *, decoders: tuple[Decoder, ...] = (turned, shuffled)) -> Outcome:
    """The certified counter-example; and loops with an orthogonal encoder and such decoders, which end at a rate distance of
    zero with other images."""
    random, other, count = np.random.default_rng(run.seed), [], 0
    for _ in range(run.choose(20, 200, 2000)):
        dim = int(random.integers(2, 8))
        frame = np.linalg.qr(random.standard_normal((4 * dim, dim)))[0].T
        encoder, X = rotation(random, dim), np.sqrt(4.0) * frame
        for decoder in decoders:
            made, count = decoder(random, X), count + 1
            distance = max(abs(rate_distance(encoder @ X, encoder @ made, epsilon)) for epsilon in _EPSILONS)
            apart = float(np.linalg.norm(made - X, axis=0).min() / np.linalg.norm(X, axis=0).max())
            if distance < 1e-12 and apart > 1e-3:
                other.append(f"ΔR = {distance:.1g}, every image off by {apart:.2g} of the largest one's norm at least")
    what = "loops with ΔR(Z, Ẑ) = 0 in which some image is reproduced"
    return refuted(run, all_of("loops", count, other, what, run.seed))


def moments(run: Run, *, distance: Distance = rate_distance) -> Outcome:
    """`distance` where second moments agree, where they do not, under rotations, and near zero; and the library's."""
    random, same, least, turns, order, library = np.random.default_rng(run.seed), [], [], [], [], []
    count = run.choose(50, 400, 4000)
    for number in range(count):
        dim, samples, epsilon = int(random.integers(2, 7)), int(random.integers(3, 13)), float(random.choice(_EPSILONS))
        Z, Zhat, E = random.standard_normal((3, dim, samples))
        same.append(abs(distance(Z, Z @ rotation(random, samples), epsilon)))
        value = distance(Z, Zhat, epsilon)
        if not value > 1e-9:
            least.append(f"{value:.3g}")
        U = rotation(random, dim)
        turns.append(abs(distance(U @ Z, U @ Zhat, epsilon) - value))
        t, alpha = 1e-4, dim / (samples * epsilon**2)
        change = t * (Z @ E.T + E @ Z.T) + t**2 * E @ E.T
        X = alpha * np.linalg.solve(np.eye(dim) + alpha * Z @ Z.T, change)
        order.append(abs(distance(Z, Z + t * E, epsilon) / (np.trace(X @ X) / 16) - 1))
        if number < run.choose(0, 5, 20):
            A, B = random.standard_normal((2, 3, 8))
            with jax.enable_x64(True):
                library.append(abs(float(rate_reduction_between(A, B, 0.5)) - distance(A, B, 0.5)))
    return together(
        run.certify(),
        Part.measured("equal moments", same, 1e-11, "ΔR(Z, ZQ)", seeds=run.seed),
        Part.counted("other moments", count, least, "ΔR(Z, Ẑ) above zero", seeds=run.seed),
        Part.measured("rotations", turns, 1e-11, "ΔR(UZ, UẐ) less ΔR(Z, Ẑ)", seeds=run.seed),
        Part.measured("second order", order, 1e-2, "ΔR over its second-order term, less one", seeds=run.seed),
        # not in the quick profile, where it would be compiled for this alone
        [Part.measured("library", library, 1e-11, "the library's ΔR less it", seeds=run.seed)] if library else [],
    )
