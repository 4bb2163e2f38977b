"""How the claims on learned dictionaries are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

import numpy as np

from mcr2_landscape import csc
from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.data import picture_patches
from mcr2_landscape.verdict import Evidence, Verdict
from paper_checks.dai_2023.common import (
    ATOMS,
    IMAGES,
    KERNEL,
    PADDING,
    SIZE,
    Problem,
    Program,
    as_columns,
    as_images,
    dense,
    problem,
    squared_norm,
    unit_atoms,
)
from paper_checks.yu_2023.common import together

_SPARSITY = 0.05
TRAINING, UNSEEN = ("brick", "grass"), ("gravel", "camera", "coins", "moon")


def _spread(Z: np.ndarray) -> np.ndarray:
    """What each number of the atoms adds to D Z, (numbers, pixels · images): codes moved to its place in the atom."""
    h, w = (n + 2 * PADDING - KERNEL + 1 for n in SIZE)
    codes = np.moveaxis(Z.reshape(ATOMS, h, w, -1), 3, 0)
    large = np.zeros((*codes.shape[:2], SIZE[0] + 2 * PADDING, SIZE[1] + 2 * PADDING))
    rows = []
    for k, a, b in np.ndindex(ATOMS, KERNEL, KERNEL):
        moved = np.zeros_like(large[:, 0])
        moved[:, a : a + h, b : b + w] = codes[:, k]
        inside = moved[:, PADDING : PADDING + SIZE[0], PADDING : PADDING + SIZE[1]]
        rows.append(inside.reshape(len(inside), -1).T.ravel())
    return np.array(rows)


def _alternated(random: np.random.Generator, X: np.ndarray, length: float, ball: bool, rounds: int) -> list[float]:
    """The objective of alternations that start at random atoms, after each half: ISTA for codes, a projected gradient step for
    atoms, `length` times the reciprocal curvature, on the unit `ball` or without it, and back to the sphere."""
    program = Program(np.full(IMAGES, _SPARSITY))
    w = unit_atoms(random, ATOMS, 1, KERNEL, KERNEL)
    D, values = dense(w, 1, PADDING, SIZE), []
    Z = np.zeros((D.shape[1], IMAGES))
    for _ in range(rounds):
        step = 1 / squared_norm(D)
        for _ in range(5):
            Z = program.shrunk(Z + step * D.T @ (X - D @ Z), step * _SPARSITY)
        values.append(float(program.objective(D, X, Z).sum()))
        M = _spread(Z)
        moved = w.ravel() - length / squared_norm(M) * M @ (M.T @ w.ravel() - X.ravel())
        moved = moved.reshape(ATOMS, -1)
        if ball:
            moved /= np.maximum(1, np.linalg.norm(moved, axis=1, keepdims=True))
        norms = np.linalg.norm(moved, axis=1)
        w = (moved / norms[:, None]).reshape(w.shape)
        Z = (Z.reshape(ATOMS, -1) * norms[:, None]).reshape(Z.shape)
        D = dense(w, 1, PADDING, SIZE)
        values.append(float(program.objective(D, X, Z).sum()))
    return values


def learning(run: Run, *, length: float = 1.0, ball: bool = True) -> Outcome:
    """Alternations made here, whose steps are `length` times the safe one and stay in the `ball` before atoms go back to the
    sphere; and the library's histories, with the objective at their end computed here."""
    random, rises, count, own, library, falls = np.random.default_rng(run.seed), [], 0, [], [], []
    for number in range(run.choose(1, 12, 60)):
        D = problem(random).D
        X = D @ (random.standard_normal((D.shape[1], IMAGES)) * (random.random((D.shape[1], IMAGES)) < 0.03))
        values = np.array(_alternated(random, X, length, ball, run.choose(12, 20, 20)))
        count += len(values) - 1
        rises += [f"by {rise:.3g} of the objective" for rise in np.diff(values) / values[:-1] if rise > 1e-13]
        if number >= run.choose(1, 4, 20):
            continue
        made = _learn(as_images(X), random, run.choose(4, 8, 8))
        if made.first_increase is not None:
            library.append(f"alternation {made.first_increase}")
        final = Problem.of(np.asarray(made.dictionary.atoms), as_images(X))
        value = Program(np.full(IMAGES, _SPARSITY)).objective(final.D, X, as_columns(made.codes)).sum()
        own.append(abs(value / made.objective[-1] - 1))
        falls.append(made.objective[-1] / made.objective[1])
    return together(
        run.certify(),
        Part.counted("moves", count, rises, "moves of codes or atoms that do not raise the objective", seeds=run.seed),
        Part.counted("library", len(own), library, f"histories of the library (to {max(falls):.2f})", seeds=run.seed),
        Part.measured("objective", own, 1e-11, "its last objective over the one computed here, less one", seeds=run.seed),
    )


def _learn(images: np.ndarray, random: np.random.Generator, alternations: int) -> csc.LearnedDictionary:
    """By the library."""
    return csc.learn_dictionary(
        images,
        ATOMS,
        KERNEL,
        sparsity=_SPARSITY,
        padding=PADDING,
        key=random,
        max_alternations=alternations,
        code_steps=10,
        tolerance=0.0,
    )


def patches(random: np.random.Generator, names: Sequence[str], each: int) -> np.ndarray:
    """Patches of pictures without their means, those of little contrast left out."""
    found = []
    for name in names:
        crops = picture_patches(max(SIZE), names=[name], channels=1).images.astype(np.float64)[:, :, : SIZE[0], : SIZE[1]]
        crops -= crops.mean(axis=(1, 2, 3), keepdims=True)
        rich = np.flatnonzero(crops.std(axis=(1, 2, 3)) > 0.02)
        found.append(crops[random.choice(rich, each, replace=False)])
    return np.concatenate(found)


def drawn(random: np.random.Generator) -> csc.ConvDictionary:
    """Random atoms."""
    return csc.ConvDictionary.random(ATOMS, KERNEL, padding=PADDING, key=random, dtype=np.float64)


def learned(random: np.random.Generator) -> csc.ConvDictionary:
    """Atoms learned on the pictures for training."""
    return _learn(patches(random, TRAINING, IMAGES // len(TRAINING)), random, 10).dictionary


def generalization(run: Run, *, atoms: Callable[[np.random.Generator], csc.ConvDictionary] = learned) -> Outcome:
    """Patches of pictures that were not learned from, coded in `atoms` and in random ones: the objective for each picture, a
    proved lower bound for random atoms; errors and numbers of codes for all of them together."""
    if importlib.util.find_spec("skimage") is None:
        words = 'The pictures need scikit-image, which is not installed; run: pip install "mcr2_landscape[data]".'
        return Outcome.of([Part("pictures", Verdict.UNDECIDED, Evidence.NUMERICAL, words)])
    random, higher, worse, ratios, errors, used = np.random.default_rng(run.seed), [], [], [], [], []
    each, rounds = IMAGES // len(UNSEEN), run.choose(3, 6, 6)
    for _ in range(run.choose(1, 4, 20)):
        pair, sums, values = (atoms(random), drawn(random)), np.zeros((2, 3)), np.zeros((2, len(UNSEEN)))
        for _ in range(rounds):
            images = patches(random, UNSEEN, each)
            for number, dictionary in enumerate(pair):
                found = csc.solve(dictionary, images, sparsity=_SPARSITY, gap=1e-3, max_newton_steps=0)
                seen, Z = Problem.of(np.asarray(dictionary.atoms), images), as_columns(found.codes)
                X, own = seen.columns, found.objective if number == 0 else found.dual_value
                sums[number] += ((X - seen.D @ Z) ** 2).sum(), (Z != 0).sum(), (X**2).sum()
                values[number] += own.reshape(len(UNSEEN), each).sum(axis=1)
        ratios += list(values[0] / values[1])
        higher += [f"{a:.4g} against {b:.4g}, {name}" for name, a, b in zip(UNSEEN, *values, strict=True) if a >= b]
        error, share = np.sqrt(sums[:, 0] / sums[:, 2]), sums[:, 1] / (rounds * IMAGES)
        errors.append(f"{error[0]:.3f} against {error[1]:.3f}")
        used.append(f"{share[0]:.0f} against {share[1]:.0f}")
        worse += [name for name, pairs in (("error", error), ("number of codes", share)) if pairs[0] >= pairs[1]]
    words = f"pictures with a lower objective in learned atoms ({min(ratios):.2f} to {max(ratios):.2f} times)"
    beside = f"smaller errors and fewer codes in learned atoms (relative errors {errors[0]}, codes of an image {used[0]})"
    return together(
        Part.counted("objective", len(ratios), higher, words, seeds=run.seed),
        Part.counted("error and codes", 2 * len(errors), worse, beside, seeds=run.seed),
    )
