"""How the claims on both players together are checked: who gains by moving alone, and where simultaneous ascent is stable.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.optimize

from mcr2_landscape import closed_form
from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.ctrl import SubspaceGame
from mcr2_landscape.ctrl.solve import orthogonal_coefficients
from mcr2_landscape.verdict import Evidence, Verdict
from paper_checks.pai_2022.common import random_factors, samples_of
from paper_checks.pai_2022.decoder_checks import distance
from paper_checks.pai_2022.stability import Linearized, simulated_rate


def equilibrium(random: np.random.Generator, ranks: Sequence[int], sizes: Sequence[int]) -> tuple[SubspaceGame, np.ndarray]:
    """A random game with classes of these ranks and sizes, and an optimal encoder."""
    ambient, dim = sum(ranks) + 1, sum(ranks)
    factors = random_factors(random, ambient, ranks)
    game = SubspaceGame(*samples_of(factors, sizes, random), dim=dim, epsilon=float(random.uniform(0.4, 0.8)))
    return game, game.encoder_of(orthogonal_coefficients(game, game.optimum().multiplicities, random))


def _turned(F: np.ndarray, plane: np.ndarray, angle: float) -> np.ndarray:
    """F after a rotation in a plane with that orthonormal basis (d_z, 2)."""
    c, s = np.cos(angle), np.sin(angle)
    return F + plane @ np.array([[c - 1, -s], [s, c - 1]]) @ plane.T @ F


def _game_distance(game: SubspaceGame, F: np.ndarray, G: np.ndarray) -> float:
    total = 0.0
    for C, size in zip(game.spans.factors, game.sizes, strict=True):
        A, image = F @ C, F @ G @ F @ C
        total += distance(A @ A.T, image @ image.T, game.dim / (size * game.epsilon**2))
    return total


def not_nash(run: Run, *, mixing: bool = True) -> Outcome:
    """At equilibria and random best responses: Q along a rotation of two classes into each other is constant, and D grows like
    t². `mixing` = False turns a class within itself instead."""
    random, constant, exceptions, ratios, count = np.random.default_rng(run.seed), [], [], [], 0
    for _ in range(run.choose(20, 100, 1000)):
        ranks = [int(r) for r in random.integers(2, 4, size=2)]
        game, F = equilibrium(random, ranks, [r + 3 for r in ranks])
        G = game.best_response(F).sample(int(random.integers(2**31)), scale=0.3)
        first, second = (np.linalg.svd(F @ C)[0][:, 0] for C in game.spans.factors)
        if not mixing:
            second = np.linalg.svd(F @ game.spans.factors[0])[0][:, 1]
        p = Parameters(game.dim, game.sizes, game.epsilon, 1.0, game.ranks)
        plane = np.stack([first, second], axis=1)
        value = closed_form.value(p, F @ game.spans.joined, regularized=False)
        constant.append(abs(closed_form.value(p, _turned(F, plane, 0.3) @ game.spans.joined, regularized=False) - value))
        near, far = (_game_distance(game, _turned(F, plane, t), G) for t in (1e-3, 2e-3))
        count += 1
        if near < 1e-9:
            exceptions.append(f"sizes {game.sizes}: D grows by {near:.2g} at an angle of 1e-3")
        else:
            ratios.append(abs(far / near - 4))
    words, library = [], 0
    for _ in range(run.choose(1, 3, 10)):
        game, F = equilibrium(random, (1, 1), (4, 6))
        report = game.verify_equilibrium(F, game.best_response(F).sample(int(random.integers(2**31)), scale=0.3))
        library += 1
        if report.stackelberg is not Verdict.HOLDS or report.nash is not Verdict.REFUTED:
            words.append(f"Stackelberg: {report.stackelberg}, Nash: {report.nash}")
    return Outcome.of(
        [
            *run.certify(),
            Part.measured("Q along the rotation", constant, 1e-11, "change of Q", seeds=run.seed),
            Part.counted("D along the rotation", count, exceptions, "equilibria that the encoder leaves", seeds=run.seed),
            Part.measured("order", ratios, 0.2, "D at twice the angle over D at once, less four", seeds=run.seed),
            Part.counted("the library", library, words, "found Stackelberg and not Nash", seeds=run.seed),
        ]
    )


Drawn = Callable[[np.random.Generator, Sequence[int], Sequence[int]], tuple[SubspaceGame, np.ndarray]]


def timescale_threshold(run: Run, *, factor: float = 1.0, draw: Drawn = equilibrium) -> Outcome:
    """The threshold from the spectrum of the linearization; rates of growth of simulated ascents on both sides of it against
    the spectrum, from the mode that grows below it; and how it depends on the covariances. `factor` misplaces the threshold;
    `draw` draws the games."""
    random, errors, wrong, thresholds, count = np.random.default_rng(run.seed), [], [], [], 0
    library = []
    for _ in range(run.choose(2, 6, 40)):
        game, F = draw(random, (1, 1), (4, 6))
        A = game.coefficients(F)
        whitened = Linearized.of(game.whitened(), A, np.linalg.pinv(A)).threshold()
        found = game.verify_equilibrium(F, np.linalg.pinv(F)).stability_ratio
        library.append(np.nan if found is None else abs(found / whitened - 1))
        at = Linearized.of(game, F, np.linalg.pinv(F))
        ratio = at.threshold()
        thresholds.append(ratio)
        if not 0 < ratio < np.inf:
            continue
        start = at.leading(0.6 * ratio * factor)
        for times in (0.6, 1.7):
            kappa = times * ratio * factor
            predicted, (measured, left) = at.abscissa(kappa), simulated_rate(at, kappa, start)
            count += 1
            if left != (times < 1):
                wrong.append(f"κ = {kappa:.4g}, threshold {ratio:.4g}: the start {'moves away' if left else 'returns'}")
            if left:
                errors.append(abs(measured / predicted - 1))
    for _ in range(run.choose(10, 40, 400)):
        game, F = draw(random, (1, 1), (4, 6))
        thresholds.append(Linearized.of(game, F, np.linalg.pinv(F)).threshold())
    inside = [ratio for ratio in thresholds if 0 < ratio < np.inf]
    smallest, largest = min(inside, default=np.nan), max(inside, default=np.nan)
    figures: dict[str, Any] = {
        "smallest": smallest,
        "largest": largest,
        "games": len(thresholds),
        "without": len(thresholds) - len(inside),
    }
    words = f"Over {len(thresholds)} games the threshold is between {smallest:.3g} and {largest:.3g}."
    # sizes and ranks are those of one game, and ε differs by a factor of two: the rest are the data's covariances
    spread = Verdict.HOLDS if largest > 10 * smallest else Verdict.UNDECIDED
    return Outcome.of(
        [
            Part.counted("both sides", count, wrong, "starts that move away below and return above", seeds=run.seed),
            Part.measured("rate below", errors, 0.1, "simulated rate of growth over the spectrum's, less one", seeds=run.seed),
            Part.measured(
                "the library", library, 1e-5, "its ratio in whitened coordinates over this, less one", seeds=run.seed
            ),
            Part("spread", spread, Evidence.NUMERICAL, words, figures),
        ]
    )


def order_of_moves(run: Run, *, turning: bool = True) -> Outcome:
    """The decoder commits itself first: whatever it plays, what an encoder among the rotations RF of an optimal F gets beyond
    max Q is bounded below. Decoders are made to lose as little as possible, from F⁺, zero and random starts. `turning` = False
    leaves the encoder as it is."""
    random, least, exceptions, count = np.random.default_rng(run.seed), [], [], 0
    angles = np.arange(24) * (2 * np.pi / 24) if turning else np.zeros(1)
    turns = np.stack([np.stack([np.cos(angles), -np.sin(angles)], -1), np.stack([np.sin(angles), np.cos(angles)], -1)], -2)
    for _ in range(run.choose(4, 20, 100)):
        game, F = equilibrium(random, (1, 1), (4, 7))
        images = [turns @ F @ C for C in game.spans.factors]
        rates = [game.dim / (size * game.epsilon**2) for size in game.sizes]

        def lost(entries: np.ndarray, F: np.ndarray = F, images: list = images, rates: list = rates) -> np.ndarray:
            """Σ D_j for every rotation."""
            moves, total = turns @ F @ entries.reshape(F.shape[::-1]), 0.0
            for A, b in zip(images, rates, strict=True):
                P, seen = (part @ np.swapaxes(part, -1, -2) for part in (A, moves @ A))
                whole, first, second = (np.linalg.slogdet(np.eye(2) + b * own)[1] for own in ((P + seen) / 2, P, seen))
                total = total + whole / 2 - first / 4 - second / 4
            return np.asarray(total)

        size = float(np.linalg.norm(np.linalg.pinv(F)))
        starts = [np.linalg.pinv(F), np.zeros(F.shape[::-1]), *(size * random.standard_normal(F.shape[::-1]) for _ in range(2))]
        best = np.inf
        for start in starts:
            end = scipy.optimize.minimize(lambda x: np.logaddexp.reduce(50 * lost(x)) / 50, start.ravel(), method="BFGS").x
            best = min(best, float(lost(start.ravel()).max()), float(lost(end).max()))
        least.append(best)
        count += len(starts)
        if best < 1e-2:
            exceptions.append(f"ε = {game.epsilon:.3g}: a decoder that loses {best:.2g} at most")
    words = f"decoders that lose to a rotation of the encoder, {min(least):.3g} at least"
    return Outcome.of([Part.counted("the decoder first", count, exceptions, words, seeds=run.seed)])
