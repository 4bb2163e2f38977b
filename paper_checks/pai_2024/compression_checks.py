"""How the claims on −∇R_c as a denoiser are checked.

In the limit the cosines have the law of a Gaussian vector projected on a random subspace, the root of a Beta variable: means
are held to it within standard errors. A keyword argument of a check is what it puts to the test; a wrong one must change the
verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Run
from paper_checks.pai_2024.common import (
    Draw,
    agrees,
    back,
    beta_law,
    cosines,
    counter_examples,
    draw,
    fact,
    gradient,
    library_gradient,
    own,
    precision,
    projections,
    ratios,
    relative,
    root_law,
)

# (d, p, tokens of each class): n/p from 1/4 to 3/4, unequal classes, and subspaces that do not span.
SETTINGS = (
    (64, 16, (4, 4, 4, 4)),
    (64, 16, (8, 8, 8, 8)),
    (64, 16, (12, 12, 12, 12)),
    (64, 16, (2, 4, 8, 12)),
    (80, 16, (8, 8, 8, 8)),
)
_TINY = 1e-6


def kept_and_removed(dim: int, rank: int, sizes: Sequence[int], k: int) -> tuple[float, float]:
    """Halves of the numbers of directions, of the d − p that carry a class-k token's noise, in which −∇R_c removes it and in
    which it does not: the parameters of the Beta variable cos²."""
    removed = sum(max(rank - size, 0) for j, size in enumerate(sizes) if j != k)
    return removed / 2, (dim - rank - removed) / 2


def _line_examples() -> list[float]:
    """The library's gradient at the tokens of the certified examples, less the rational functions there."""
    errors = []
    for s, epsilon in ((0.01, 0.1), (0.5, 1.0), (1e-3, 0.05)):
        inside = np.array([[1.0, s], [0.0, 0.0], [s, 1.0], [0.0, 0.0]])
        outside = np.array([[1.0, 0.0], [0.0, s], [0.0, 1.0], [s, 0.0]])
        U = np.eye(4).reshape(4, 2, 2).transpose(1, 0, 2)
        a = precision(inside, U, epsilon)
        expected = inside / (1 + a * (1 + s**2))
        errors.append(relative(library_gradient(inside, U, epsilon), expected))
        expected = outside / np.where(outside == 1, 1 + a, 1 + a * s**2)
        errors.append(relative(library_gradient(outside, U, epsilon), expected))
    return errors


def printed_nearest(run: Run, *, exponent: float = 0.0) -> Outcome:
    """Cosines at smaller and smaller noise, with eps² = 0.01 (noise/0.001)^`exponent`, and with as many tokens as dimensions
    in the window; and the library at the certified tokens."""
    random, noises = np.random.default_rng(run.seed), (1e-3, 1e-4, 1e-5, 1e-6)
    table = np.zeros((run.choose(5, 40, 200), len(noises)))
    crowded = []
    for row in table:
        for place, noise in enumerate(noises):
            sample = draw(random, dim=64, rank=16, sizes=(4, 4, 4, 4), noise=noise)
            found = -gradient(sample.Z, sample.U, math.sqrt(0.01 * (noise / 1e-3) ** exponent))
            row[place] = cosines(found, own(sample, sample.Z) - sample.Z).mean()
        sample = draw(random, dim=64, rank=16, sizes=(32, 32, 32, 32), noise=_TINY)
        crowded.append(_window(sample, 4 / 3)[0].mean())
    means = table.mean(axis=0)
    falls = bool(means[-1] < 0.05 and np.all(means[2:] < 0.2 * means[1:-1]))
    shown = ", ".join(f"{mean:.2g}" for mean in means)
    words = (
        f"At eps = 0.1 and noise 1e-3 to 1e-6 cosines with the nearest subspace are {shown}, a tenth at a tenth of the noise."
    )
    many = f"With twice as many tokens of a class as dimensions they are at most {max(crowded):.2g}, eps² = noise^(4/3)."
    library = max(_line_examples())
    same = f"The library's gradient at the tokens of the examples is the rational function to {library:.1g}."
    return counter_examples(
        run,
        [
            fact("fixed precision", falls, words),
            fact("many tokens", max(crowded) < 0.05, many),
            fact("library", library < 1e-12, same),
        ],
    )


def _window(sample: Draw, exponent: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each token: the cosine of −∇R_c with the way to the subspace, the square of the relative error of −∇R_c/alpha, and of
    what one such step multiplies noise over signal by."""
    target = own(sample, sample.Z) - sample.Z
    found = gradient(sample.Z, sample.U, _TINY ** (exponent / 2))
    errors = np.sum((found + target) ** 2, axis=0) / np.sum(target**2, axis=0)
    return cosines(-found, target), errors, (ratios(sample, sample.Z) / ratios(sample, sample.Z - found)) ** 2


def _limit(random: np.random.Generator, taken: float) -> float:
    """−∇R_c/alpha at eps² = noise against its limit: noise outside the slices that the other classes' tokens span is removed,
    and `taken` (N eps²/p) (V_k⁺)ᵀ of the token's own class is taken from the signal."""
    sizes = (2, 4, 8, 12)
    sample = draw(random, dim=80, rank=16, sizes=sizes, noise=_TINY)
    V = projections(sample.Z, sample.U)
    expected = np.zeros_like(V)
    for k in range(len(sizes)):
        mine = sample.labels == k
        slice_ = np.linalg.qr(V[k][:, mine])[0]
        expected[k][:, ~mine] = V[k][:, ~mine] - slice_ @ (slice_.T @ V[k][:, ~mine])
        expected[k][:, mine] = taken * np.linalg.pinv(V[k][:, mine]).T / precision(sample.Z, sample.U, math.sqrt(_TINY))
    return relative(gradient(sample.Z, sample.U, math.sqrt(_TINY)), back(sample.U, expected))


def nearest(
    run: Run,
    *,
    exponent: float = 4 / 3,
    counts: Callable[[int, int, Sequence[int], int], tuple[float, float]] = kept_and_removed,
    crowded: Sequence[int] = (16, 17, 32),
    taken: float = 1.0,
    constant: Callable[[float], float] = lambda share: math.sqrt(1 - share),
) -> Outcome:
    """Cosines, errors and gains over many draws at noise 1e-6 and eps² = noise^`exponent`, against the laws that `counts` gives
    the parameters of; with `crowded` numbers of tokens of a class in 16 dimensions, where nothing is to be left of the cosine;
    the limit at eps² = noise, with `taken` times its term of the signal; and mean cosines at eps² = noise = 1e-4 against
    `constant`(n/p)."""
    random = np.random.default_rng(run.seed)
    standardized: dict[str, list[list[np.ndarray]]] = {"cosine": [], "error": [], "gain": []}
    for dim, rank, sizes in SETTINGS:
        for groups in standardized.values():
            groups.append([])
        for _ in range(run.choose(40, 200, 1000)):
            sample = draw(random, dim=dim, rank=rank, sizes=sizes, noise=_TINY)
            cosine, error, gain = _window(sample, exponent)
            for k in range(len(sizes)):
                removed, left = counts(dim, rank, sizes, k)
                mine, root, square = sample.labels == k, root_law(removed, left), beta_law(left, removed)
                standardized["cosine"][-1].append((cosine[mine] - root.mean) / root.deviation)
                standardized["error"][-1].append((error[mine] - square.mean) / square.deviation)
                standardized["gain"][-1].append((gain[mine] - square.mean) / square.deviation)
    limits = [_limit(random, taken) for _ in range(run.choose(10, 100, 500))]
    gaps, rank, count = [], 32, run.choose(4, 20, 100)
    for size in (4, 8, 16):
        means = []
        for _ in range(count):
            sample = draw(random, dim=8 * rank, rank=rank, sizes=[size] * 8, noise=1e-4)
            means.append(cosines(-gradient(sample.Z, sample.U, 1e-2), own(sample, sample.Z) - sample.Z).mean())
        gaps.append(abs(float(np.mean(means)) - constant(size / rank)))
    sample = draw(random, dim=64, rank=16, sizes=(4, 4, 4, 4), noise=0.01)
    library = relative(library_gradient(sample.Z, sample.U, 0.1), gradient(sample.Z, sample.U, 0.1))
    left = []
    for size in crowded:
        samples = (draw(random, dim=64, rank=16, sizes=[size] * 4, noise=_TINY) for _ in range(count))
        left.append(float(np.mean([_window(sample, 4 / 3)[0].mean() for sample in samples])))
    # One quantity in the limit, seen three ways: both squares are 1 − cos² there.
    names = {
        "cosine": "mean cosine less that of the root of a Beta variable",
        "error": "mean squared relative error, 1 − cos² in the limit, less the Beta variable's",
        "gain": "mean squared noise over signal after one step over that before, 1 − cos² in the limit, less a Beta variable's",
    }
    seen = ", ".join(f"{value:.2g}" for value in left)
    numbers = ", ".join(map(str, crowded))
    return Outcome.of(
        [
            run.certify_proof("one token a class"),
            *(agrees(name, standardized[name], words, seeds=run.seed) for name, words in names.items()),
            Part.measured(
                "n ≥ p",
                left,
                0.02,
                f"mean cosine at n = {numbers} tokens of a class and p = 16 ({seen})",
                seeds=run.seed,
                refuted_beyond=5.0,
            ),
            Part.measured("limit", limits, 1e-3, "−∇R_c at eps² = noise less its limit, relative", seeds=run.seed),
            Part.measured("constant", gaps, 0.02, "mean cosine less √(1 − n/p) at eps² = noise = 1e-4", seeds=run.seed),
            Part.measured("library", [library], 1e-10, "the library's gradient, relative", seeds=run.seed),
        ]
    )


def _overall(sample: Draw, Z: np.ndarray) -> float:
    """Signal over noise of all tokens together."""
    signal = own(sample, Z)
    return float(np.linalg.norm(signal) / np.linalg.norm(Z - signal))


def _standard_errors(values: Sequence[float], expected: float) -> float:
    """How far the mean of independent values is from what it is expected to be."""
    return float(abs(np.mean(values) - expected) / (np.std(values, ddof=1) / math.sqrt(len(values))))


def many_tokens(
    run: Run,
    *,
    excess: Callable[[int, int], float] = lambda n, p: n - p + 1,
    spread: float = 1.0,
    turned: float = 0.0,
    raised: float = 1.2,
    denoised: float = 1e6,
) -> Outcome:
    """cos² of −∇R_c with −z for n ≥ p tokens a class, against the mean (n − p + 1)/n, whose numerator is `excess`, and `spread`
    times the deviation of the Beta variable; what a step does to noise off the subspaces, with `turned` times the tokens added
    to it; and to signal over noise, which it raises to `raised` at most and the posterior mean to `denoised` at least."""
    random, shifts, spreads = np.random.default_rng(run.seed), [], []
    for size in (8, 12, 16, 64):
        # Tokens of a draw share its second moments: means of draws are what is independent.
        means, squares, law = [], [], beta_law((size - 7) / 2, 7 / 2)
        for _ in range(run.choose(200, 1000, 4000)):
            sample = draw(random, dim=16, rank=8, sizes=(size, size), noise=1e-7)
            found = cosines(-gradient(sample.Z, sample.U, 1e-5), -sample.Z) ** 2
            means.append(float(np.mean(found)))
            squares.append(float(np.mean((found - law.mean) ** 2)))
        shifts.append(_standard_errors(means, excess(size, 8) / size))
        spreads.append(_standard_errors(squares, (spread * law.deviation) ** 2))
    off, gains, spanning, best = [], [], [], []
    for _ in range(run.choose(3, 20, 100)):
        for heads, kept in ((3, gains), (4, spanning)):
            sample = draw(random, dim=32, rank=8, sizes=[256] * heads, noise=0.003)
            step = gradient(sample.Z, sample.U, 0.1) + turned * sample.Z
            V, alpha = projections(sample.Z, sample.U), precision(sample.Z, sample.U, 0.1)
            longest = 1 + alpha * np.linalg.svd(V, compute_uv=False).min() ** 2  # ∇R_c/alpha is at most z over this
            after = [_overall(sample, sample.Z - t * longest * step) for t in np.linspace(0.05, 1, 10)]
            kept.append(max(after) / _overall(sample, sample.Z))
            if heads == 3:
                outside = step - back(sample.U, projections(step, sample.U))
                off.append(float(np.linalg.norm(outside) / np.linalg.norm(step)))
                with jax.enable_x64(True):
                    mean = np.asarray(wb.posterior_mean(sample.Z, sample.U, 1.0, 0.003))
                best.append(_overall(sample, mean) / _overall(sample, sample.Z))
    words = "largest ratio of signal to noise of all tokens after ten steps along −∇R_c, over that before"
    return Outcome.of(
        [
            Part.measured(
                "shrinkage", shifts, 4.0, "mean cos² less (n − p + 1)/n, in standard errors", seeds=run.seed, refuted_beyond=2.0
            ),
            Part.measured(
                "deviation",
                spreads,
                4.0,
                "mean squared deviation of cos² less the Beta variable's, in standard errors",
                seeds=run.seed,
                refuted_beyond=2.0,
            ),
            Part.measured("off the subspaces", off, 1e-12, "share of ∇R_c off the subspaces", seeds=run.seed),
            Part.counted(
                "no gain", len(gains), [f"{g:.3g}" for g in gains if g > 1], f"{words}, at most 1 for Kp < d", seeds=run.seed
            ),
            Part.counted(
                "small gain",
                len(spanning),
                [f"{g:.3g}" for g in spanning if g > raised],
                f"{words}, at most {raised:g} for Kp = d (worst {max(spanning):.3g})",
                seeds=run.seed,
            ),
            Part.counted(
                "posterior mean",
                len(best),
                [f"{g:.3g}" for g in best if g < denoised],
                f"the same of the posterior mean, at least {denoised:g} (seen {min(best):.3g} and more)",
                seeds=run.seed,
            ),
        ]
    )
