"""How the claims on the programs of convolutional sparse coding and on their solutions are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import betaincinv

from mcr2_landscape import csc
from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.verdict import Evidence, Verdict
from paper_checks.dai_2023.common import (
    IMAGES,
    Problem,
    Program,
    as_columns,
    as_images,
    path,
    problem,
    problems,
    solved,
    squared_norm,
)
from paper_checks.yu_2023.common import some_of, together

# Ridge, and whether codes are nonnegative; each compiles anew.
_FEW = ((0.0, False), (0.2, False))
_PROGRAMS = (*_FEW, (0.0, True), (0.2, True))


def optimality(run: Run, *, shift: float = 0.0) -> Outcome:
    """The library's codes, each multiplied by 1 + `shift`: their gap to a dual point that is computed here, the conditions of
    optimality, and the objective that long iterations reach."""
    random, gaps, kkt, beside, behind = np.random.default_rng(run.seed), [], [], [], []
    steps = run.choose(200, 600, 2000)
    for found, drawn in problems(random, run.choose(1, 6, 30)):
        for ridge, nonnegative in run.choose(_FEW, _PROGRAMS, _PROGRAMS):
            program = drawn._replace(ridge=ridge, nonnegative=nonnegative)
            X, Z = found.columns, (1 + shift) * as_columns(solved(found, program).codes)
            scale, value = 0.5 * (X**2).sum(axis=0), program.objective(found.D, X, Z)
            gaps += list((value - program.dual_value(found.D, X, Z)) / scale)
            V = found.D.T @ (X - found.D @ Z) - ridge * Z
            kkt.append(abs((V / program.sparsity - np.sign(Z))[Z != 0]).max())
            beside.append(float(((V if nonnegative else abs(V)) / program.sparsity)[Z == 0].max()) - 1)
            reached = path(found.D, X, program, "fista", 1 / squared_norm(found.D), steps)[-1]
            behind += list((value - program.objective(found.D, X, reached)) / scale)
    seeds = run.seed
    return together(
        run.certify(),
        Part.measured("gap", gaps, 2e-12, "duality gap in units of ½‖x‖²", seeds=seeds),
        Part.measured("on the support", kkt, 1e-4, "(Dᵀr − μz)/λ less the sign of z", seeds=seeds, refuted_beyond=5.0),
        Part.measured("off the support", beside, 1e-6, "|Dᵀr|/λ less one", seeds=seeds),
        Part.measured("long iterations", behind, 2e-12, f"the objective above that of {steps} steps of FISTA", seeds=seeds),
    )


def _pairs(run: Run, random: np.random.Generator) -> list[tuple[Problem, Program, np.ndarray, np.ndarray]]:
    """Problems whose images are near and far from each other: their images, and what is left over of them, as columns."""
    rows = []
    for found, program in problems(random, run.choose(2, 10, 50)):
        images = found.images.copy()
        images[1] = images[0] + 10 ** random.uniform(-2, 0) * random.standard_normal(images[1].shape)
        same = program._replace(sparsity=np.full(IMAGES, program.sparsity[0]))
        X = images.reshape(IMAGES, -1).T
        rows.append((found, same, X, X - found.D @ as_columns(solved(found, same, images).codes)))
    return rows


def projection(run: Run, *, factor: float = 1.0) -> Outcome:
    """`factor` times the fits Dz* of pairs of images; that what is left over satisfies what characterizes the projection, with
    what is left over of the other images as points of the set."""
    random, infeasible, angles, expansive, count = np.random.default_rng(run.seed), [], [], [], 0
    for found, program, X, left in _pairs(run, random):
        infeasible.append(float(abs(found.D.T @ left).max() / program.sparsity[0]) - 1)
        for i, j in itertools.permutations(range(IMAGES), 2):
            angle = (X[:, i] - left[:, i]) @ (left[:, j] - left[:, i])
            angles.append(float(angle / (X[:, i] @ X[:, i])))
        fits = factor * (X - left)
        for i, j in itertools.combinations(range(IMAGES), 2):
            df, dx, count = fits[:, i] - fits[:, j], X[:, i] - X[:, j], count + 1
            if df @ dx < (1 - 1e-6) * (df @ df):
                expansive.append(f"⟨Δf, Δx⟩ = {df @ dx:.4g}, ‖Δf‖² = {df @ df:.4g}")
    return together(
        run.certify(),
        Part.measured("feasible", infeasible, 1e-6, "‖Dᵀ(x − Dz*)‖_∞/λ less one", seeds=run.seed),
        Part.measured("projection", angles, 1e-6, "⟨x − θ, y − θ⟩/‖x‖² of points y of the set", seeds=run.seed),
        Part.counted("firmly nonexpansive", count, expansive, "pairs with ⟨Δf, Δx⟩ ≥ ‖Δf‖²", seeds=run.seed),
    )


def ridge(run: Run, *, constant: float = 0.5, ridges: tuple[float, ...] = (0.3, 1.0)) -> Outcome:
    """‖Δz‖/‖Δx‖ at a random change and at the worst one for the support, against `constant`/√μ; how near it comes."""
    random, ratios, near = np.random.default_rng(run.seed), [], []
    count = run.choose(2, 10, 50)
    for number, (found, drawn) in enumerate(problems(random, count)):
        mu = ridges[number % len(ridges)]
        program = Program(np.full(IMAGES, drawn.sparsity.min() / 2), mu, number % 4 > 1)
        first = as_columns(solved(found, program).codes)[:, 0]
        U, values, _ = np.linalg.svd(found.D[:, first != 0])
        worst = U[:, abs(np.log(values / np.sqrt(mu))).argmin()]
        images = np.repeat(found.images[:1], IMAGES, axis=0)
        images[1] += 0.01 * as_images(worst[:, None])[0]
        images[2:] += random.standard_normal(images[2:].shape)
        Z, X = as_columns(solved(found, program, images).codes), images.reshape(IMAGES, -1).T
        changes = np.linalg.norm(Z[:, 1:] - Z[:, :1], axis=0) / np.linalg.norm(X[:, 1:] - X[:, :1], axis=0)
        ratios += list(changes * np.sqrt(mu) / constant)
        if changes[0] * np.sqrt(mu) > 0.45:
            near.append(f"{2 * changes[0] * np.sqrt(mu):.4f} of it")
    excess = [ratio - 1 for ratio in ratios]
    what = f"‖Δz‖√μ/‖Δx‖ over {constant:g}, less one"
    return together(
        run.certify(),
        Part.measured("bound", excess, 1e-6, what, seeds=run.seed),
        some_of("sharp", count, near, "changes that come to nine tenths of the bound", run.seed),
    )


def zero_code(run: Run, *, below: float = 0.999, power: int = 1) -> Outcome:
    """The solution `below` times λ_max and just above it; and at images times a number, λ times its `power`."""
    random, wrong, peaks, codes, values = np.random.default_rng(run.seed), [], [], [], []
    count = run.choose(1, 10, 50)
    for found, program in problems(random, count):
        peak = abs(found.D.T @ found.columns).max(axis=0)
        peaks += list(abs(csc.lambda_max(found.dictionary, found.images) / peak - 1))
        for factor, zero in ((below, False), (1 + 1e-9, True)):
            Z = as_columns(solved(found, program._replace(sparsity=factor * peak)).codes)
            wrong += [f"at {factor:g} λ_max" for n in range(IMAGES) if (not Z[:, n].any()) is not zero]
        a = 10 ** random.uniform(-0.5, 0.5)
        one = solved(found, program)
        other = solved(found, program._replace(sparsity=a**power * program.sparsity), a * found.images)
        values += list(abs(other.objective / (a**2 * one.objective) - 1))
        codes.append(float(np.linalg.norm(other.codes / a - one.codes) / np.linalg.norm(one.codes)))
    return together(
        run.certify(),
        Part.measured("lambda_max", peaks, 1e-12, "the library's λ_max over ‖Dᵀx‖_∞, less one", seeds=run.seed),
        Part.counted("both sides", 2 * IMAGES * count, wrong, "solutions zero above λ_max and not below", seeds=run.seed),
        Part.measured("objective", values, 1e-9, "P of scaled images over its square, less one", seeds=run.seed),
        Part.measured("codes", codes, 1e-4, "distance of scaled codes, relative", seeds=run.seed, refuted_beyond=10.0),
    )


_SPIKES = 4


def recovery(run: Run, *, noise: tuple[float, float] = (0.0, 0.03), most: float = 3.0, least: float = 0.7) -> Outcome:
    """Codes of noisy images whose noise is drawn from a range; how many of them miss no spike and are within `most` λ√S."""
    random, parts, extra = np.random.default_rng(run.seed), [], []
    for number in range(run.choose(1, 2, 6)):
        dictionary, _, D = problem(random)
        failures, batches = [], run.choose(4, 10, 40)
        for _ in range(batches):
            Z = np.zeros((D.shape[1], IMAGES))
            for column in Z.T:
                places = random.choice(len(Z), _SPIKES, replace=False)
                column[places] = random.choice([-1, 1], _SPIKES) * random.uniform(1, 2, _SPIKES)
            sigma = random.uniform(*noise, IMAGES)
            X, weight = D @ Z + sigma * random.standard_normal((len(D), IMAGES)), np.maximum(4 * sigma, 0.01)
            found = csc.solve(dictionary, as_images(X), sparsity=weight, gap=1e-6)
            codes = as_columns(found.codes)
            missed = ((codes == 0) & (Z != 0)).any(axis=0)
            ratios = np.linalg.norm(codes - Z, axis=0) / (weight * np.sqrt(_SPIKES))
            extra += [f"{n} extra" for n in ((codes != 0) & (Z == 0)).sum(axis=0) if n]
            words = zip(sigma, missed, ratios, strict=True)
            failures += [f"σ = {s:.3f}: {r:.2f} λ√S{', one missed' * bool(m)}" for s, m, r in words if m or r > most]
        parts.append(_share(f"dictionary {number}", batches * IMAGES, failures, least, run.seed))
    count = sum(part.figures["samples"] for part in parts)
    return together(*parts, some_of("support", count, extra, "codes that are not zero at places without a spike", run.seed))


def _share(name: str, count: int, failures: list[str], least: float, seed: int) -> Part:
    """Whether at least that share of all draws succeeds, by the interval of Clopper and Pearson at 99.9 % on either side."""
    good = count - len(failures)
    low = float(betaincinv(good, count - good + 1, 1e-3)) if good else 0.0
    high = float(betaincinv(good + 1, count - good, 1 - 1e-3)) if good < count else 1.0
    verdict = Verdict.HOLDS if low >= least else Verdict.REFUTED if high < least else Verdict.UNDECIDED
    seen = f", the first {failures[0]}" if failures else ""
    words = f"{good} of {count} draws are recovered{seen}: a share between {low:.3f} and {high:.3f} (99.9 % on either side)."
    return Part(name, verdict, Evidence.NUMERICAL, words, {"low": low, "high": high, "samples": count, "seeds": seed})
