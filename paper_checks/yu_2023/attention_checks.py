"""How the claims on attention as a step on the coding rate are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Plot, Run, Series
from mcr2_landscape.verdict import Evidence, Verdict
from paper_checks.yu_2023.common import (
    PRECISIONS,
    RANKS,
    Draw,
    all_of,
    alpha_of,
    attention,
    cosine,
    gradient,
    lifted,
    mixture,
    mixtures,
    on_sphere,
    on_spheres,
    projections,
    rate,
    refuted,
    some_of,
    together,
    weights,
)

Step = Callable[[np.ndarray, np.ndarray], np.ndarray]


def added(V: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Z + MSSA."""
    return V + core


def _changes(V: np.ndarray, moved: np.ndarray) -> Iterator[tuple[float, float]]:
    """The precision, and the relative change of R_c."""
    for epsilon in PRECISIONS:
        alpha = alpha_of(V, epsilon)
        yield epsilon, rate(moved, alpha) / rate(V, alpha) - 1


def _settings(run: Run, random: np.random.Generator, scales: tuple[float, ...]) -> Iterator[tuple[Draw, float]]:
    """Tokens of every setting, at each scale and temperature; more draws of the small ones."""
    rounds = run.choose(2, 20, 150)
    for each, times in ((32, rounds), (4, 5 * rounds)):
        for draw in mixtures(random, times, each):
            for scale, raised in itertools.product(scales, (False, True)):
                temperature = draw.tokens.shape[1] ** 0.5 if raised else 1.0
                yield Draw(scale * draw.tokens, f"{draw.words}, scale {scale}, T = {temperature:g}"), temperature


def compression_printed(run: Run, *, step: Step = added) -> Outcome:
    """The certified counter-examples; `step` in every setting, at three scales; its cosine with the gradient there; and that
    the library's operators are what is meant."""
    random, rises, count, least = np.random.default_rng(run.seed), [], 0, np.inf
    for draw, temperature in _settings(run, random, (0.1, 1.0, 3.0)):
        V = draw.tokens
        core = attention(V, temperature)
        for epsilon, change in _changes(V, step(V, core)):
            count += 1
            angle = cosine(-gradient(V, alpha_of(V, epsilon)), step(V, core) - V)
            if change > 0 and angle < 0:
                rises.append(f"{draw.words}, ε = {epsilon}: R_c changes by {change:+.2%}, the cosine with −∇R_c is {angle:.3f}")
                least = min(least, change)
    words = f"settings in which the step lowers R_c, or leans towards −∇R_c (the least rise is {least:.2g} of R_c)"
    return refuted(run, _library(run), all_of("settings", count, rises, words, run.seed))


def _library(run: Run) -> Part:
    """Z + mssa(Z, U) raises the library's R_c, for random orthogonal bases; compared with the stack's."""
    random, rises, count = np.random.default_rng(run.seed), [], 10
    with jax.enable_x64(True):
        for _ in range(count):
            U = wb.random_bases(key=random, heads=3, dim=12, rank=4)
            Z = wb.sample_mixture(key=random, U=U, sizes=(5, 5, 5)).noisy
            moved = Z + np.asarray(wb.mssa(Z, U, temperature=2.0))
            V = projections(U, Z)
            before, after = (float(wb.coding_rate_given(X, U, 0.5)) for X in (Z, moved))
            alpha = alpha_of(V, 0.5)
            same = abs(rate(V, alpha) / before - 1) + abs(rate(V + attention(V, 2.0), alpha) / after - 1)
            if after > before and same < 1e-12:
                rises.append(f"R_c goes from {before:.4g} to {after:.4g}")
    return all_of("library", count, rises, "draws in which Z + mssa(Z, U) does not raise R_c", run.seed)


def compression_corrected(
    run: Run, *, step: Callable[[np.ndarray, np.ndarray, float], np.ndarray] | None = None, scales: tuple[float, ...] = (0.1, 1)
) -> Outcome:
    """`step` of the weights 1/10 and 1/2 in every setting, at these scales of the tokens; and beside it at three times."""
    move = step or (lambda V, core, t: (1 - t) * V + t * core)

    def changes(own: tuple[float, ...]) -> tuple[int, list[str], float]:
        random, rises, count, most = np.random.default_rng(run.seed), [], 0, -np.inf
        for draw, temperature in _settings(run, random, own):
            core = attention(draw.tokens, temperature)
            for t in (0.1, 0.5):
                for epsilon, change in _changes(draw.tokens, move(draw.tokens, core, t)):
                    count, most = count + 1, max(most, change)
                    if change >= 0:
                        rises.append(f"{draw.words}, ε = {epsilon}, t = {t}: R_c changes by {change:+.2%}")
        return count, rises, most

    (count, rises, most), (large_count, large, _) = changes(scales), changes((3.0,))
    words = f"settings in which the step lowers R_c (by {-most:.2%} at least)"
    return together(
        Part.counted("settings", count, rises, words, seeds=run.seed),
        some_of("large tokens", large_count, large, "at three times the scale R_c rises", run.seed),
        plots=[_scale_plot(run)],
    )


def _scale_plot(run: Run) -> Plot:
    """R_c after both steps by the scale of the tokens."""
    V = mixture(np.random.default_rng(run.seed), 16, 32, 0.1)
    scales = [10 ** (k / 6) for k in range(-6, 5)]
    series = []
    for name, t in (("Z + MSSA", None), ("½Z + ½MSSA", 0.5)):
        ratios = []
        for scale in scales:
            X = scale * V
            core, alpha = attention(X, 1.0), alpha_of(X, 0.5)
            moved = X + core if t is None else (1 - t) * X + t * core
            ratios.append(rate(moved, alpha) / rate(X, alpha))
        series.append(Series(name, scales, ratios))
    return Plot(
        "R_c after a step over R_c before it, by the scale of the tokens (p = 16, 32 tokens of each of 8 subspaces, T = 1, ε "
        "= ½): above one Z + MSSA raises R_c.",
        "One curve above one throughout; the other rises from below one and crosses it between scales one and three.",
        "scale of the tokens",
        "R_c after over before",
        tuple(series),
        log="x",
    )


def compression_limit(run: Run, *, weight: float = 1.0, least: float = 1.0, fall: float = 0.0) -> Outcome:
    """Fewer tokens than dimensions at a high precision, against logdet of the heads' weights; `weight` multiplies what is
    added, `least` the bound K log 2 of the rise; the step with its first-order term is to lower R_c by `fall`."""
    random, errors, few, rises = np.random.default_rng(run.seed), [], [], []
    count = run.choose(100, 500, 5000)
    for _ in range(count):
        V = random.uniform(0.3, 2) * random.standard_normal((3, 8, int(random.integers(1, 7))))
        temperature, t, alpha = float(random.choice([1.0, 8**0.5])), float(random.uniform(0.05, 0.95)), alpha_of(V, 1e-6)
        core, S, one = attention(V, temperature), weights(V, temperature), np.eye(V.shape[2])
        before = rate(V, alpha)
        gain, loss = rate(V + weight * core, alpha) - before, rate((1 - t) * V + t * core, alpha) - before
        for found, mixed in ((gain, one + S), (loss, (1 - t) * one + t * S)):
            errors.append(abs(found - np.linalg.slogdet(mixed)[1].sum()) / max(1.0, abs(found)))
        if gain < least * len(V) * np.log(2) - 1e-6:
            few.append(f"a rise of {gain:.4g}")
        if loss > -fall + 1e-6:
            rises.append(f"{loss:.3g} at t = {t:.3g}")
    return together(
        run.certify(),
        Part.measured("limit", errors, 1e-6, "change of R_c at ε = 10⁻⁶ less the logdet", seeds=run.seed),
        Part.counted("added", count, few, "rises of at least K log 2", seeds=run.seed),
        Part.counted("in between", count, rises, "steps with their first-order term that do not raise R_c", seeds=run.seed),
    )


def normalized(run: Run, *, step: Step = added) -> Outcome:
    """R_c before and after, tokens brought to one norm; the same by the public code's measure; and beside it attention taken of
    small tokens and normalized only then."""
    random, rises, heads, count, most = np.random.default_rng(run.seed), [], [], 0, -np.inf
    late, late_count = [], 0
    for draw, temperature in _settings(run, random, (1.0,)):
        X = on_sphere(draw.tokens)
        moved = step(X, attention(X, temperature))
        for epsilon, change in _changes(X, on_sphere(moved)):
            count, most = count + 1, max(most, change)
            if change >= 0:
                rises.append(f"{draw.words}, ε = {epsilon}: {change:+.2g}")
        alpha = alpha_of(X, 0.1)
        change = rate(on_spheres(moved), alpha) / rate(on_spheres(X), alpha) - 1
        if change >= 0:
            heads.append(f"{draw.words}: {change:+.2g}")
        small = 0.1 * draw.tokens
        for epsilon, change in _changes(X, on_sphere(step(small, attention(small, temperature)))):
            late_count += 1
            if change >= 0:
                late.append(f"{draw.words}, ε = {epsilon}: {change:+.2g}")
    words = f"settings in which R_c of the directions falls (by {-most:.3%} at least)"
    return together(
        Part.counted("norm √d", count, rises, words, seeds=run.seed),
        Part.counted("each head apart", count // len(PRECISIONS), heads, "settings in which it falls", seeds=run.seed),
        some_of("attention before normalization", late_count, late, "with attention of small tokens it rises", run.seed),
    )


def _gradient_steps(
    run: Run, size: Callable[[np.ndarray, np.ndarray, float], float]
) -> Iterator[tuple[str, np.ndarray, np.ndarray, float]]:
    """A setting in words, tokens of norm √d, where a step of gradient descent of `size` takes them, and alpha."""
    random, rounds = np.random.default_rng(run.seed), run.choose(2, 20, 150)
    for each, times in ((32, rounds), (4, 5 * rounds)):
        for draw in mixtures(random, times, each):
            X = on_sphere(draw.tokens)
            for epsilon in PRECISIONS:
                alpha = alpha_of(X, epsilon)
                g = gradient(X, alpha)
                yield f"{draw.words}, ε = {epsilon}", X, X - size(X, g, alpha) * g, alpha


def gradient_step_printed(run: Run, *, length: float = 0.5) -> Outcome:
    """The certified counter-example; and draws of the settings, a step `length` times as long as the tokens."""
    rises, count = [], 0
    for words, X, moved, alpha in _gradient_steps(run, lambda X, g, _: float(length * np.linalg.norm(X) / np.linalg.norm(g))):
        count += 1
        change = rate(on_sphere(moved), alpha) / rate(X, alpha) - 1
        if change > 0:
            rises.append(f"{words}: R_c of the directions changes by {change:+.2%}")
    words = "steps that lower R_c of the directions"
    return refuted(run, Part.counted("settings", count, rises, words, seeds=run.seed, essential=False))


def gradient_step(run: Run, *, factor: float = 1.0, many: float = 10.0) -> Outcome:
    """The map of eigenvalues; R_c before and after a step `factor`/alpha, with and without normalization; `many` times that
    step; and one just below 2/alpha without normalization."""
    errors, rises, raw, count = [], [], [], 0
    for words, X, moved, alpha in _gradient_steps(run, lambda X, g, alpha: factor / alpha):
        count += 1
        own, new = (np.linalg.eigvalsh(V @ np.swapaxes(V, 1, 2)) for V in (X, moved))
        expected = np.sort(own * (1 - 1 / (1 + alpha * own)) ** 2, axis=1)
        errors.append(float(abs(new - expected).max() / own.max()))
        for found, after in ((rises, on_sphere(moved)), (raw, moved)):
            if rate(after, alpha) >= rate(X, alpha):
                found.append(words)
    for words, X, moved, alpha in _gradient_steps(run, lambda X, g, alpha: 1.99 * factor / alpha):
        if rate(moved, alpha) >= rate(X, alpha):
            raw.append(f"{words}, at 1.99/α")
    far = [
        words
        for words, X, moved, alpha in _gradient_steps(run, lambda X, g, alpha: many * factor / alpha)
        if rate(on_sphere(moved), alpha) > rate(X, alpha)
    ]
    return together(
        run.certify(),
        Part.measured("eigenvalues", errors, 1e-10, "eigenvalues after the step less b(1 − ηα/(1 + αb))²", seeds=run.seed),
        Part.counted("as they are", 2 * count, raw, "settings in which R_c falls, at 1/α and 1.99/α", seeds=run.seed),
        Part.counted("norm √d", count, rises, "settings in which R_c of the directions falls", seeds=run.seed),
        some_of("a long step", count, far, f"at {many:g}/α R_c of the directions rises", run.seed),
    )


def temperature(run: Run, *, raised: Callable[[int], float] = lambda rank: rank**0.5, few: int = 4) -> Outcome:
    """cos(−∇R_c, MSSA − Z) at a temperature that depends on p, and at one; with many tokens, and with `few` in subspaces of 16
    dimensions."""

    def worse(each: int, rounds: int, ranks: tuple[int, ...] = RANKS) -> tuple[int, list[str], list[float]]:
        random, exceptions, gains = np.random.default_rng(run.seed), [], []
        for draw in mixtures(random, rounds, each):
            V = draw.tokens
            if V.shape[1] not in ranks:
                continue
            g = gradient(V, alpha_of(V, 0.5))
            with_root, plain = (cosine(-g, attention(V, T) - V) for T in (raised(V.shape[1]), 1.0))
            gains.append(with_root - plain)
            if with_root <= plain:
                exceptions.append(f"{draw.words}: {with_root:.3f}, {plain:.3f} at T = 1")
        return len(gains), exceptions, gains

    rounds = run.choose(2, 20, 150)
    (count, exceptions, gains), (few_count, smaller, _) = worse(32, rounds), worse(few, 5 * rounds, (16,))
    words = f"draws with a larger cosine at T = √p (from {min(gains):+.3f} to {max(gains):+.3f})"
    return together(
        Part.counted("settings", count, exceptions, words, seeds=run.seed),
        some_of("few tokens", few_count, smaller, f"at n = {few} and p = 16 the cosine is smaller at T = √p", run.seed),
    )


def free_output(run: Run, *, tied: bool = False, most: float = -0.4) -> Outcome:
    """The cosine over draws of both initializations and the tokens; `tied` takes W = U where it is to be free, and `most` is
    the bound of the cosine for W = U."""
    random, count = np.random.default_rng(run.seed), run.choose(150, 1000, 10_000)
    heads, dim, rank, samples = 4, 64, 16, 64
    cosines: dict[str, list[float]] = {"free": [], "tied": []}
    for _ in range(count):
        U, W = random.uniform(-1, 1, size=(2, heads, dim, rank)) / np.sqrt(dim)
        Z = random.standard_normal((dim, samples))
        Z *= np.sqrt(dim) / np.linalg.norm(Z, axis=0)
        V = projections(U, Z)
        g, core = lifted(U, gradient(V, alpha_of(V, 0.5))), attention(V, rank**0.5)
        cosines["free"].append(cosine(-g, lifted(U if tied else W, core)))
        cosines["tied"].append(cosine(-g, lifted(U, core)))
    free = np.array(cosines["free"])
    mean, error = float(free.mean()), float(free.std(ddof=1) / np.sqrt(count))
    low, high = mean - 3.29 * error, mean + 3.29 * error  # 99.9%
    zero = Verdict.HOLDS if max(-low, high) <= 0.02 else Verdict.UNDECIDED
    verdict = zero if low <= 0 <= high else Verdict.REFUTED
    words = f"The mean cosine is in [{low:.4f}, {high:.4f}] (99.9%, {count} draws); single ones go up to {abs(free).max():.2f}."
    figures = {"low": low, "high": high, "samples": count, "seeds": run.seed}
    large = [f"{value:.3f}" for value in cosines["tied"] if value >= most]
    return together(
        Part("free output map", verdict, Evidence.NUMERICAL, words, figures),
        Part.counted("tied output map", count, large, f"draws with a cosine below {most:g}", seeds=run.seed),
    )
