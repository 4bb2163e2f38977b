"""What a report shows of a dictionary: certified codes of images that took no part in learning it, and what codes cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.csc.depth import EncoderGap, compared
from mcr2_landscape.csc.dictionary import ConvDictionary
from mcr2_landscape.csc.iterations import METHODS, default_step
from mcr2_landscape.csc.learning import LearnedDictionary
from mcr2_landscape.csc.programs import Problem, lambda_max
from mcr2_landscape.csc.solver import Solution, solve
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.verdict import Verdict

DEPTHS = (1, 2, 5, 10, 20, 50, 100)
FACTORS = (4.0, 2.0, 1.0, 0.5, 0.25)
_STUDIED = 20  # images for the curves
_SHOWN = 8
CURVE_GAP = 1e-8  # of the curve, and of random atoms


@dataclass(frozen=True)
class SparsityPoint(Record):
    """Solutions at one sparsity λ: over the images, the median of the error ‖x − Dz‖/‖x‖ and of the share of codes that are
    not zero, how many codes are zero altogether, and the largest relative duality gap."""

    sparsity: float
    error: float
    active: float
    zero: int
    relative_gap: float


@dataclass(frozen=True)
class SparseExamination(Record):
    """A dictionary and what it does with images that it was not learned from.

    **Fields:** `source`, the images in words, `num_train` of which it was learned from (0 where it was given) and `num_test` of
    which are looked at; `rows`, (N,): their indices in the data, from 0 on; `learned` (`None` where it was given);
    `atom_shape` (K, C, k_h, k_w), `stride`, `padding`; `lipschitz`, the bound of ‖D‖². `solution`: of the test images, with its
    certificates; `errors`, (N,): ‖x − Dz‖/‖x‖; `active`, (N,): the share of codes that are not zero; `usage`, (K,): the share
    of test images that use an atom, and `weight`, (K,), its share of Σ|z|. `random_objective`, (N,): the optimum with random
    atoms of the same shape, the ones that learning began with (`None` where nothing was learned). `curve`, over several
    sparsities, and `encoder`, over depths, both on the first `num_studied` test images. `images` and `reconstructions` (shown,
    C, H, W), and their numbers `shown` among the test images.
    """

    source: str
    num_train: int
    num_test: int
    num_studied: int
    rows: np.ndarray
    learned: LearnedDictionary | None
    atom_shape: tuple[int, ...]
    stride: tuple[int, int]
    padding: tuple[int, int]
    lipschitz: float
    solution: Solution
    errors: np.ndarray
    active: np.ndarray
    usage: np.ndarray
    weight: np.ndarray
    random_objective: np.ndarray | None
    curve: tuple[SparsityPoint, ...]
    encoder: EncoderGap
    notes: tuple[str, ...]
    atoms: np.ndarray = field(repr=False, metadata={"json": False})
    images: np.ndarray = field(repr=False, metadata={"json": False})
    reconstructions: np.ndarray = field(repr=False, metadata={"json": False})
    shown: np.ndarray = field(repr=False, metadata={"json": False})

    _derived = ("verdict", "summary")

    @property
    def verdict(self) -> Verdict:
        """`holds` where every image's gap is as small as was asked for and learning never raised its objective; `refuted`
        where it did; `undecided` where a gap is larger."""
        if self.learned is not None and self.learned.first_increase is not None:
            return Verdict.REFUTED
        return Verdict.HOLDS if self.solution.converged.all() else Verdict.UNDECIDED

    @property
    def summary(self) -> tuple[str, ...]:
        """What was found, in sentences, the verdict first."""
        from mcr2_landscape.csc.sentences import summary

        return summary(self)


def examine(
    dictionary: ConvDictionary,
    test: Any,
    *,
    sparsity: float,
    ridge: float = 0.0,
    nonnegative: bool = False,
    gap: float = 1e-10,
    learned: LearnedDictionary | None = None,
    begun: ConvDictionary | None = None,
    num_train: int = 0,
    rows: Any = None,
    source: str = "",
    notes: tuple[str, ...] = (),
    studied: int = _STUDIED,
    announce: Callable[[str], None] | None = None,
    progress: Any = False,
) -> SparseExamination:
    """Solve test images (N, C, H, W) with certificates, and look at what sparsity and depth make of them.

    **Arguments:** `begun`: the atoms that learning began with, to compare with; `rows`, (N,): indices of the images in the data
    that they were taken from, by default 0 … N − 1; `studied`: so many images for the curves; `announce`: called with words
    before each part; `progress`: see `solve`, of each part.

    **Raises:** `InputError`, as `solve` does, and for other `rows` than one integer an image; `KeyboardInterrupt` where a solve
    is interrupted.
    """
    say = announce or (lambda words: None)
    problem = Problem.of(dictionary, test)
    program: dict[str, Any] = {"ridge": ridge, "nonnegative": nonnegative}
    images, lam, wanted = problem.images, positive_real("sparsity", sparsity), positive_real("gap", gap)
    few = images[: positive_integer("studied", studied)]
    numbers = np.arange(len(images)) if rows is None else np.asarray(rows)
    if numbers.shape != (len(images),) or numbers.dtype.kind not in "iu":
        raise InputError(f"rows: found shape {numbers.shape} of {numbers.dtype}; pass one integer for each of the images")
    say(f"solving {len(images)} images to a gap of {wanted:g}")
    solution = _whole(solve(dictionary, images, sparsity=lam, gap=wanted, progress=progress, **program))
    fitted = _synthesized(dictionary, solution.codes, problem.size)
    norms = _norms(images)
    used = solution.codes != 0
    total = np.abs(solution.codes).sum()
    random = None
    if begun is not None:
        say("solving the same images with the atoms that learning began with")
        random = _whole(solve(begun, images, sparsity=lam, gap=CURVE_GAP, progress=progress, **program)).objective
    say(f"solving {len(few)} images at {len(FACTORS)} sparsities, and step by step")
    curve = tuple(_point(dictionary, few, factor * lam, program, progress) for factor in FACTORS)
    studied_problem = problem._replace(images=few)
    terms, step = studied_problem.program(lam, ridge, nonnegative), default_step(studied_problem)
    encoder = compared(studied_problem, terms, solution.first(len(few)), DEPTHS, METHODS, step, progress)
    shown = np.unique(np.round(np.linspace(0, len(images) - 1, min(_SHOWN, len(images)))).astype(int))
    return SparseExamination(
        source=source,
        num_train=num_train,
        num_test=len(images),
        num_studied=len(few),
        rows=numbers,
        learned=learned,
        atom_shape=tuple(problem.atoms.shape),
        stride=dictionary.stride,
        padding=dictionary.padding,
        lipschitz=dictionary.lipschitz_bound(),
        solution=solution,
        errors=_ratio(_norms(images - fitted), norms),
        active=used.mean(axis=(1, 2, 3)),
        usage=used.any(axis=(2, 3)).mean(axis=0),
        weight=np.abs(solution.codes).sum(axis=(0, 2, 3)) / (total or 1.0),
        random_objective=random,
        curve=curve,
        encoder=encoder,
        notes=notes,
        atoms=problem.atoms,
        images=images[shown],
        reconstructions=fitted[shown],
        shown=shown,
    )


def typical_limit(dictionary: ConvDictionary, images: Any, *, nonnegative: bool = False) -> float:
    """The median of λ_max over images, from which on the codes of half of the images are zero.

    **Raises:** `InputError` for images that are all zero, or have no code but zero.
    """
    found = float(np.median(lambda_max(dictionary, images, nonnegative=nonnegative)))
    if found > 0:
        return found
    raise InputError("images: for half of them or more zero is the only code at any sparsity; pass images that are not zero")


def _whole(solution: Solution) -> Solution:
    if solution.interrupted:  # a part says less than nothing of the rest
        raise KeyboardInterrupt
    return solution


def _point(dictionary: ConvDictionary, images: np.ndarray, lam: float, program: dict[str, Any], progress: Any) -> SparsityPoint:
    found = _whole(solve(dictionary, images, sparsity=lam, gap=CURVE_GAP, progress=progress, **program))
    left = images - _synthesized(dictionary, found.codes, (images.shape[2], images.shape[3]))
    used = found.codes != 0
    return SparsityPoint(
        lam,
        float(np.median(_ratio(_norms(left), _norms(images)))),
        float(np.median(used.mean(axis=(1, 2, 3)))),
        int(np.sum(~used.any(axis=(1, 2, 3)))),
        float(found.relative_gap.max()),
    )


def _synthesized(dictionary: ConvDictionary, codes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import jax
    import jax.numpy as jnp

    from mcr2_landscape.csc.dictionary import synthesis

    with jax.enable_x64(True):
        atoms = jnp.asarray(np.asarray(dictionary.atoms, np.float64))
        return np.asarray(synthesis(jnp.asarray(codes), atoms, dictionary.geometry, size))


def _norms(images: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum(images**2, axis=(1, 2, 3)))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
