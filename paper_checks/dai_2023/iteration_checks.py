"""How the claims on dictionaries as operators, and on unrolled iterations, are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mcr2_landscape import csc
from mcr2_landscape.claims import Outcome, Part, Plot, Run, Series
from paper_checks.dai_2023.common import (
    ATOMS,
    GEOMETRIES,
    IMAGES,
    KERNEL,
    METHODS,
    PADDING,
    SIZE,
    Problem,
    Program,
    as_columns,
    dense,
    path,
    problem,
    problems,
    solved,
    squared_norm,
    unit_atoms,
)
from paper_checks.pai_2024.common import relative
from paper_checks.yu_2023.common import all_of, refuted, together

DEPTHS = (2, 10, 100, 500)
_LATE = 200


def adjoint(run: Run, *, analysis: Callable[[csc.ConvDictionary, np.ndarray], Any] = csc.ConvDictionary.analyze) -> Outcome:
    """The library's synthesis and `analysis` against the dense matrix, and against each other."""
    random, synthesis, back, products = np.random.default_rng(run.seed), [], [], []
    for K, C, kernel, stride, padding, size in GEOMETRIES[: run.choose(1, 6, 6)]:
        for _ in range(run.choose(5, 5, 30)):
            atoms = unit_atoms(random, K, C, *kernel)
            D = dense(atoms, stride, padding, size)
            x, z = random.standard_normal(len(D)), random.standard_normal(D.shape[1])
            with jax.enable_x64(True):
                dictionary = csc.ConvDictionary(atoms, stride, padding)
                codes, images = z.reshape(1, *dictionary.code_shape(size)), x.reshape(1, C, *size)
                made = np.asarray(dictionary.synthesize(codes, size)).ravel()
                seen = np.asarray(analysis(dictionary, images)).ravel()
            synthesis.append(relative(made, D @ z))
            back.append(relative(seen, D.T @ x))
            products.append(abs(seen @ z - x @ made) / (np.linalg.norm(x) * np.linalg.norm(made)))
    return together(
        run.certify(),
        Part.measured("synthesis", synthesis, 1e-13, "D z less that of the dense matrix, relative", seeds=run.seed),
        Part.measured("analysis", back, 1e-13, "Dᵀx less that of its transpose, relative", seeds=run.seed),
        Part.measured("products", products, 1e-13, "⟨Dᵀx, z⟩ less ⟨x, Dz⟩, relative", seeds=run.seed),
    )


def power_iteration(D: np.ndarray, start: np.ndarray) -> float:
    """The Rayleigh quotient of DᵀD after fifty steps."""
    v = start
    for _ in range(50):
        v = D.T @ (D @ v)
        v = v / np.linalg.norm(v)
    return float(np.sum((D @ v) ** 2))


def power(run: Run, *, estimate: Callable[[np.ndarray, np.ndarray], float] = power_iteration) -> Outcome:
    """The certified counter-example; its steps in floating point; and estimates from random starts. The counter-example's start
    is exact: rounding would lead away from it."""
    random, below, shares = np.random.default_rng(run.seed), [], []
    count = run.choose(10, 60, 500)
    for _ in range(count):
        D = problem(random).D
        shares.append(estimate(D, random.standard_normal(D.shape[1])) / squared_norm(D))
        if shares[-1] < 1 - 1e-12:
            below.append(f"{shares[-1]:.6f} of ‖D‖²")
    D = np.array([[0.6, 0.0], [0.8, 0.6], [0.0, 0.8]])
    step = 0.9 / min(13 / 25, estimate(D, np.array([1.0, -1.0])))
    program = Program(np.array([0.01]))
    X = D @ np.ones((2, 1))
    values = [float(program.objective(D, X, codes)[0]) for codes in path(D, X, program, "ista", step, 3)]
    rises = [f"P = {', '.join(f'{value:.3g}' for value in values)}"] if values[1] > values[0] else []
    what = f"estimates from random starts that are not below ‖D‖² (at least {min(shares):.5f} of it)"
    return refuted(
        run,
        all_of("random starts", count, below, what, run.seed),
        all_of("the counter-example", 1, rises, "ISTA at 0.9 over the estimate descends", None),
    )


def certified_bound(run: Run, *, factor: float = 1.0) -> Outcome:
    """`factor` times the library's bound against dense norms of images of several sizes, and against the symbol on a grid."""
    random, below, loose, count = np.random.default_rng(run.seed), [], [], 0
    for _ in range(run.choose(3, 20, 100)):
        atoms = unit_atoms(random, ATOMS, 1, KERNEL, KERNEL)
        bound = factor * csc.ConvDictionary(atoms, 1, PADDING).lipschitz_bound()
        symbol = float(np.sum(abs(np.fft.fft2(atoms[:, 0], (256, 256))) ** 2, axis=0).max())
        loose.append(bound / symbol - 1)
        for size in ((4, 5), SIZE, (15, 16)):
            count, norm = count + 1, squared_norm(dense(atoms, 1, PADDING, size))
            if norm > bound:
                below.append(f"‖D‖² = {norm:.6g}, the bound {bound:.6g} at {size}")
        if bound < symbol * (1 - 1e-12):
            below.append(f"the symbol comes to {symbol:.6g}, the bound is {bound:.6g}")
    for K, C, kernel, stride, padding, size in GEOMETRIES:
        atoms, count = unit_atoms(random, K, C, *kernel), count + 1
        bound = factor * csc.ConvDictionary(atoms, stride, padding).lipschitz_bound()
        norm = squared_norm(dense(atoms, stride, padding, size))
        if norm > bound:
            below.append(f"‖D‖² = {norm:.6g}, the bound {bound:.6g} at stride {stride}")
    return together(
        run.certify(),
        Part.counted("above", count, below, "norms within the bound", seeds=run.seed),
        Part.measured("tight", loose, 1.2e-3, "the bound over the symbol on a grid, less one", seeds=run.seed),
    )


def encoder_gap(found: Problem, program: Program, step: float, depths: tuple[int, ...], *methods: str) -> csc.EncoderGap:
    """The library's gaps at depths."""
    return csc.encoder_gap(found.dictionary, found.images, depths, methods=methods, step=step, **program.arguments())


def _least(found: Problem, program: Program) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The solutions' codes, objectives and gaps."""
    solution = solved(found, program)
    return as_columns(solution.codes), solution.objective, solution.duality_gap


def bounds(run: Run, *, length: float = 1.0, share: float = 1.0) -> Outcome:
    """Objectives of ISTA and FISTA with `length` times the step 1/‖D‖², against `share` times their bounds; the library's."""
    random, beyond, rises, library, count, worst = np.random.default_rng(run.seed), [], [], [], 0, {"ista": 0.0, "fista": 0.0}
    steps = run.choose(100, 400, 2000)
    for found, program in problems(random, run.choose(1, 6, 20)):
        L, X = squared_norm(found.D), found.columns
        made = encoder_gap(found, program, length / L, DEPTHS[:3], "fista")
        best, least, slack = as_columns(made.solution.codes), made.solution.objective, made.uncertainty
        square, k = (best**2).sum(axis=0), np.arange(1, steps + 1)[:, None]
        for method, bound in (("ista", L * square / (2 * k)), ("fista", 2 * L * square / (k + 1) ** 2)):
            codes = path(found.D, X, program, method, length / L, steps)
            values = np.array([program.objective(found.D, X, Z) for Z in codes])
            ratios, count = (values[1:] - least - slack) / (share * bound), count + IMAGES
            worst[method] = max(worst[method], float(ratios.max()))
            beyond += [f"{ratio:.3g} of it, {method}" for ratio in ratios.max(axis=0) if ratio > 1]
            if method == "ista":
                rises += [f"image {n}" for n in np.flatnonzero((np.diff(values, axis=0) > 1e-13 * values[0]).any(axis=0))]
            else:
                library.append(relative(made.gap[0] + least, values[list(made.depths)]))
    seen = ", ".join(f"{value:.3g} of it ({name})" for name, value in worst.items())
    return together(
        run.certify(),
        Part.counted("bounds", count, beyond, f"runs within their bound, at most {seen}", seeds=run.seed),
        Part.counted("descent", count // 2, rises, "runs of ISTA that never raise P", seeds=run.seed),
        Part.measured("library", library, 1e-11, "the library's objectives of FISTA, relative", seeds=run.seed),
    )


def encoder_printed(run: Run, *, depth: int = DEPTHS[0]) -> Outcome:
    """The certified counter-example; and the gap of the library's public layer at that depth, its step 0.9/‖D‖²."""
    random, far, count, least = np.random.default_rng(run.seed), [], 0, np.inf
    for found, program in problems(random, run.choose(1, 6, 40)):
        made = encoder_gap(found, program, 0.9 / squared_norm(found.D), (depth,), "public layer")
        for gap in (made.gap[0, 0] - made.uncertainty) / made.solution.objective:
            count, least = count + 1, min(least, float(gap))
            if gap > 1e-3:
                far.append(f"P is {gap:.2%} above its minimum")
    what = f"codes after {depth} steps within a thousandth of min P (the gap is {least:.2%} at least)"
    return refuted(run, all_of("two steps", count, far, what, run.seed))


def encoder(run: Run, *, share: float = 1.0, growth: float = 1.0) -> Outcome:
    """The library's gaps of FISTA at several depths against those computed here and `share` times their bound; that they fall
    below `growth` times those of the depth before."""
    random, errors, beyond, rises, count, curves = np.random.default_rng(run.seed), [], [], [], 0, []
    for found, program in problems(random, run.choose(1, 5, 15)):
        made = encoder_gap(found, program, 1 / found.dictionary.lipschitz_bound(), DEPTHS, "fista")
        gaps = np.maximum(made.gap[0], 0)
        square = (as_columns(made.solution.codes) ** 2).sum(axis=0)
        bound = 2 * square / (made.step * (np.array(DEPTHS)[:, None] + 1) ** 2)
        codes = path(found.D, found.columns, program, "fista", made.step, 100)
        for row, depth in enumerate(DEPTHS[:3]):
            value = program.objective(found.D, found.columns, codes[depth])
            errors += list(abs(value - made.solution.objective - gaps[row]) / value)
        beyond += [f"{r:.3g} of the bound" for r in (gaps / (share * bound)).ravel() if r > 1]
        for before, after in itertools.pairwise(gaps):
            rose = after > growth * before + made.uncertainty
            rises += [f"{b:.3g}, before {a:.3g}" for a, b in zip(before[rose], after[rose], strict=True)]
        count += IMAGES
        curves.append(gaps / made.solution.objective)
    middle = np.median(np.concatenate(curves, axis=1), axis=1)
    words = ", ".join(f"{value:.2g} at {depth}" for depth, value in zip(DEPTHS, middle, strict=True))
    plot = Plot(
        "How far an unrolled encoder is from the solution, in units of the optimum.",
        "The gap falls with the number of steps, by several orders of magnitude.",
        "steps",
        "gap over optimum",
        (Series("median", DEPTHS, tuple(float(value) for value in middle)),),
        log="xy",
    )
    return together(
        run.certify(),
        Part.measured("gaps", errors, 1e-11, "the library's gaps less those computed here, over P", seeds=run.seed),
        Part.counted("bound", 4 * count, beyond, "gaps within the bound of FISTA", seeds=run.seed),
        Part.counted("depth", 3 * count, rises, f"gaps that fall (medians in units of min P: {words})", seeds=run.seed),
        plots=[plot],
    )


def _codes(found: Problem, program: Program, steps: int, methods: tuple[str, ...] = METHODS[1:]) -> dict[str, np.ndarray]:
    """The codes of methods from zero on."""
    step = 1 / squared_norm(found.D)
    return {method: path(found.D, found.columns, program, method, step, steps) for method in methods}


def layer_printed(run: Run, *, steps: tuple[int, ...] = (3, 10)) -> Outcome:
    """The certified difference at the third step; and codes of both after so many steps, and the library's."""
    random, apart, library, count = np.random.default_rng(run.seed), [], [], 0
    for number, (found, program) in enumerate(problems(random, run.choose(2, 12, 80))):
        codes = _codes(found, program, max(10, *steps))
        for at in steps:
            count, distance = count + 1, relative(codes["public layer"][at], codes["fista"][at])
            if distance > 1e-6:
                apart.append(f"{distance:.2g} at {at} steps")
        if number < 1:
            made = encoder_gap(found, program, 1 / squared_norm(found.D), (10,), *METHODS[1:])
            for row, method in enumerate(METHODS[1:]):
                value = program.objective(found.D, found.columns, codes[method][10]) - made.solution.objective
                library.append(float(abs(value / made.gap[row, 0] - 1).max()))
    part = all_of("steps", count, apart, "codes of the public layer that are those of FISTA, to a millionth", run.seed)
    same = Part.measured("library", library, 1e-9, "the library's gaps at ten steps, relative", seeds=run.seed)
    return Outcome.of([*refuted(run, part).parts, same])


def layer(run: Run, *, steps: int = 2, slower: float = 1.0) -> Outcome:
    """Codes of all three methods after one step and `steps`; how far the layer is behind FISTA later on."""
    random, different, ahead, count, ratios = np.random.default_rng(run.seed), [], [], 0, []
    for found, program in problems(random, run.choose(1, 10, 50)):
        codes = _codes(found, program, steps, METHODS[:1]) | _codes(found, program, _LATE)
        for at in (1, steps):
            count += 1
            if any((codes[method][at] != codes["fista"][at]).any() for method in METHODS):
                different.append(f"after {at} steps")
        _, optimum, slack = _least(found, program)
        gaps = {m: program.objective(found.D, found.columns, codes[m][_LATE]) - optimum + slack for m in METHODS[1:]}
        ratio = float(gaps["public layer"].sum() / gaps["fista"].sum())
        ratios.append(ratio)
        if ratio <= slower:
            ahead.append(f"{ratio:.3g} times the gap")
    words = (
        f"problems with a larger gap of the layer after {_LATE} steps ({min(ratios):.3g} to {max(ratios):.3g} times FISTA's)"
    )
    return together(
        run.certify(),
        Part.counted("two steps", count, different, "codes that are equal for all three, bit for bit", seeds=run.seed),
        Part.counted("later", len(ratios), ahead, words, seeds=run.seed),
    )
