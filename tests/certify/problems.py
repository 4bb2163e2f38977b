"""Random exact problems and families, and what the catalog's theory says about them."""

from __future__ import annotations

import itertools
from fractions import Fraction

from hypothesis import strategies as st

from mcr2_landscape import catalog
from mcr2_landscape.catalog.scalar import eigenspace_roots
from mcr2_landscape.certify import Block, ExactFamily, ExactProblem, Threshold, orthogonal
from mcr2_landscape.certify.make import float_parameters

FRACTIONS = ["1/100000000", "1/10000", "1/20", "2/5", "3/4", "19/20", "99999999/100000000"]
EPSILONS = ["1/1000", "1/7", "1/2", "1", "30", "1000"]


def at_fraction(dim: int, sizes: tuple[int, ...], fraction: str = "2/5", epsilon: str = "1/2") -> ExactProblem:
    """lambda at a fraction of its limit, the threshold of the largest class."""
    return ExactProblem(dim, sizes, Fraction(epsilon), Threshold(Fraction(fraction), sizes.index(max(sizes)) + 1))


def catalog_family(problem: ExactProblem, family: ExactFamily) -> catalog.Family:
    """The same family in the catalog, whose index and nullity come from theory."""
    signs = {"+": catalog.Sign.LARGE, "-": catalog.Sign.SMALL}
    blocks = [(catalog.Block(b.dimension, b.ranks(len(problem.sizes)), signs[b.sign]), b.count) for b in family.blocks]
    return catalog.Family(float_parameters(problem), tuple(blocks))


def irreducible(problem: ExactProblem) -> list[Block]:
    """All blocks that a checker can build and that have roots at this lambda."""
    p, numbers = float_parameters(problem), range(1, len(problem.sizes) + 1)
    blocks = [Block("+", c) for n in numbers for c in itertools.combinations(numbers, n) if n < len(problem.sizes)]
    for lines in itertools.combinations(numbers, 3):
        a, b, c = sorted(problem.sizes[k - 1] for k in lines)
        if c < a + b:
            others = [k for k in numbers if k not in lines]
            for n in range(len(others) + 1):
                blocks += [Block("+", lines, 1, "triangle", filled) for filled in itertools.combinations(others, n)]
    found = []
    for block in blocks:
        weight = sum(rank * size for rank, size in zip(block.ranks(len(problem.sizes)), problem.sizes, strict=True))
        roots = eigenspace_roots(p, Fraction(block.dimension * problem.num_samples, weight))
        if roots is not None and not roots.double:
            found += [Block(sign, block.classes, 1, block.shape, block.filled) for sign in "+-"]
    return found


@st.composite
def problems(draw, max_unknowns: int = 40) -> ExactProblem:
    """Small problems from far below to just below the limit of lambda."""
    sizes = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=4)))
    dim = draw(st.integers(1, min(5, max_unknowns // sum(sizes))))
    return at_fraction(dim, sizes, draw(st.sampled_from(FRACTIONS)), draw(st.sampled_from(EPSILONS)))


@st.composite
def families(draw, source=None) -> tuple[ExactProblem, ExactFamily]:
    """A problem and a family of it: any blocks that fit, in any number."""
    problem = draw(problems() if source is None else source)
    chosen: list[Block] = []
    room, columns = problem.dim, list(problem.sizes)
    for block in draw(st.lists(st.sampled_from(irreducible(problem)), max_size=5)):
        ranks = block.ranks(len(problem.sizes))
        if block.dimension <= room and all(rank <= left for rank, left in zip(ranks, columns, strict=True)):
            chosen.append(block)
            room -= block.dimension
            columns = [left - rank for left, rank in zip(columns, ranks, strict=True)]
    return problem, ExactFamily(tuple(chosen))


# One of every kind that can be built, by name.
SPECIMENS: dict[str, tuple[ExactProblem, ExactFamily]] = {
    "zero": (at_fraction(3, (2, 3)), orthogonal(())),
    "large": (at_fraction(4, (3, 4, 5)), orthogonal((1, 1, 2))),
    "small": (at_fraction(4, (3, 4, 5)), orthogonal((0, 0, 0), (1, 2, 0))),
    "mixed": (at_fraction(4, (2, 2, 3)), orthogonal((1, 0, 1), (0, 1, 1))),
    "one sample a class": (at_fraction(3, (1, 1, 1)), orthogonal((1, 0, 1), (0, 1, 0))),
    "one dimension": (at_fraction(1, (3, 2)), orthogonal((1, 0))),
    "more samples than dimensions": (at_fraction(2, (5, 6)), orthogonal((1, 1))),
    "shared line": (at_fraction(4, (3, 4, 5)), ExactFamily((Block("+", (1, 2)),))),
    "small shared line": (at_fraction(4, (3, 4, 5)), ExactFamily((Block("-", (1, 2)),))),
    "shared lines and own": (
        at_fraction(5, (2, 2, 3, 4)),
        ExactFamily((Block("-", (1, 2, 3)), Block("+", (1, 4)), Block("+", (4,)))),
    ),
    "triangle": (at_fraction(4, (2, 2, 2)), ExactFamily((Block("+", (1, 2, 3), 1, "triangle"),))),
    "weighted triangle": (at_fraction(4, (3, 4, 5)), ExactFamily((Block("+", (1, 2, 3), 1, "triangle"),))),
    "small triangle and line": (
        at_fraction(4, (3, 4, 5)),
        ExactFamily((Block("-", (1, 2, 3), 1, "triangle"), Block("+", (3,)))),
    ),
    "filled triangle": (at_fraction(4, (2, 2, 2, 3), "1/5"), ExactFamily((Block("+", (1, 2, 3), 1, "triangle", (4,)),))),
    "tiny lambda": (at_fraction(3, (2, 3), "1/100000000", "1000"), orthogonal((1, 1), (0, 1))),
    "next to the limit": (at_fraction(3, (2, 3), "99999999/100000000", "1/1000"), orthogonal((1, 1), (0, 1))),
}
