"""Families of critical points: a multiset of irreducible blocks, and everything that theory says about it.

Index, nullity and the kind rest on the theorem on the inertia at every critical point (docs/theory.md); a regularization
that equals a class's threshold, where the critical equation has a double root, is part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.catalog.blocks import Block, is_admissible, line
from mcr2_landscape.catalog.scalar import (
    EigenspaceRoots,
    Sign,
    class_ratio,
    direction_value,
    existence_threshold,
    normalized_regularization,
    normalized_roots,
)
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Kind

if TYPE_CHECKING:
    from mcr2_landscape.catalog.spectra import Spectrum


@dataclass(frozen=True)
class Eigenspace(Record):
    """An eigenspace of Z Zᵀ with a positive eigenvalue.

    **Fields:** `dimension` (n), `ranks` (p_1 … p_K of the classes in it), `sign`, `a` = 1/(1 + alpha mu), `mu` (the
    eigenvalue), `class_values` (x_1 … x_K: the squared singular value of each class in it, nan for absent ones), `double`
    (whether the root is double) and `types`: the blocks up to isomorphism with their multiplicities.
    """

    dimension: int
    ranks: tuple[int, ...]
    sign: Sign
    a: float
    mu: float
    class_values: tuple[float, ...]
    double: bool
    types: tuple[tuple[Block, int], ...]
    ratio: Fraction = field(metadata={"json": False})

    @property
    def symmetric_commutant(self) -> int:
        """The dimension of the symmetric matrices that commute with every class's projector (t_E)."""
        return sum(q + block.division * q * (q - 1) // 2 for block, q in self.types)

    @property
    def skew_commutant(self) -> int:
        """The dimension of the skew matrices that commute with every class's projector."""
        return sum(q * (block.division - 1) + block.division * q * (q - 1) // 2 for block, q in self.types)


@dataclass(frozen=True)
class Family(Record):
    """All critical points with the same blocks: for rigid blocks, one orbit of the symmetry group O(d) × Π O(m_k).

    **Fields:** `parameters` and `blocks`, pairs (block, multiplicity) in a fixed order. Copies that a multiplicity counts are
    isomorphic (images of each other under a rotation). Blocks that are not rigid may stand in several pairs, which are then
    not isomorphic: of all such points those are the generic ones.

    At a double root the two signs name the same points; they are written with the sign ``+``.

    **Raises:** `InputError` for blocks that do not exist at these parameters or do not fit into the dimensions.
    """

    parameters: Parameters
    blocks: tuple[tuple[Block, int], ...]

    _derived = ("label", "value", "kind", "index", "nullity", "orbit_dimension", "ranks", "large", "small", "is_orthogonal")

    def __post_init__(self) -> None:
        p = self.parameters
        counts: Counter[Block] = Counter()
        moduli: list[tuple[Block, int]] = []
        for block, multiplicity in self.blocks:
            found = _checked_roots(p, block)
            if found.double and block.sign is Sign.SMALL:
                block = Block(block.dimension, block.ranks, Sign.LARGE, block.division)
            if block.is_rigid:
                counts[block] += multiplicity
            elif multiplicity:
                moduli.append((block, multiplicity))
        entries = [(block, q) for block, q in counts.items() if q] + moduli
        object.__setattr__(self, "blocks", tuple(sorted(entries, key=lambda entry: (entry[0].order, -entry[1]))))
        if any(q < 0 for _, q in self.blocks):
            raise InputError(f"blocks: found a negative multiplicity in {self.label}")
        if self.rank > p.dim:
            raise InputError(f"blocks: {self.label} has rank {self.rank}; Z has only dim = {p.dim} rows")
        for k, (rank, width) in enumerate(zip(self.ranks, p.widths, strict=True)):
            if rank > width:
                raise InputError(f"blocks: {self.label} gives class {k + 1} the rank {rank}; it has only {width} columns")

    @cached_property
    def rank(self) -> int:
        """r, the rank of Z."""
        return sum(q * block.dimension for block, q in self.blocks)

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """r_1 … r_K, the rank of each Z_k."""
        return tuple(sum(q * block.ranks[k] for block, q in self.blocks) for k in range(self.parameters.num_classes))

    @cached_property
    def is_orthogonal(self) -> bool:
        """Whether different classes are orthogonal: only lines of one class occur."""
        return all(block.is_orthogonal for block, _ in self.blocks)

    @cached_property
    def large(self) -> tuple[int, ...]:
        """For each class the number of lines of its own with the large root."""
        return self._own_lines(Sign.LARGE)

    @cached_property
    def small(self) -> tuple[int, ...]:
        """For each class the number of lines of its own with the small root."""
        return self._own_lines(Sign.SMALL)

    def _own_lines(self, sign: Sign) -> tuple[int, ...]:
        own = {block.classes[0]: q for block, q in self.blocks if block.is_orthogonal and block.sign is sign}
        return tuple(own.get(k + 1, 0) for k in range(self.parameters.num_classes))

    @cached_property
    def label(self) -> str:
        """For instance ``large (2,1,1) small (0,0,1) line{1,2}+``; ``zero`` for Z = 0. A block's count follows it as ``×2``.

        With more than ten classes only those that occur are named, as in ``large (3: 2, 17: 1)``.
        """
        words = [f"{name} ({_listed(own)})" for name, own in (("large", self.large), ("small", self.small)) if any(own)]
        words += [block.label + (f"×{q}" if q > 1 else "") for block, q in self.blocks if not block.is_orthogonal]
        return " ".join(words) or "zero"

    @cached_property
    def value(self) -> float:
        """F at these points: the sum of n h_rho(mu) over the blocks."""
        return float(exact_value(self.parameters, self.blocks))

    @cached_property
    def eigenspaces(self) -> tuple[Eigenspace, ...]:
        """The eigenspaces of Z Zᵀ other than the kernel, by ascending eigenvalue. Blocks share one when their ratios and signs
        are equal, which is decided in exact arithmetic."""
        p = self.parameters
        groups: dict[tuple[Fraction, Sign], list[tuple[Block, int]]] = {}
        for block, q in self.blocks:
            groups.setdefault((block.ratio(p.sizes), block.sign), []).append((block, q))

        def ascending(key: tuple[Fraction, Sign]) -> tuple[bool, Fraction]:
            return key[1] is Sign.LARGE, key[0] if key[1] is Sign.LARGE else -key[0]

        return tuple(self._eigenspace(*key, groups[key]) for key in sorted(groups, key=ascending))

    def _eigenspace(self, ratio: Fraction, sign: Sign, types: list[tuple[Block, int]]) -> Eigenspace:
        p = self.parameters
        found = _existing_roots(p, ratio)
        s = found.at(sign)
        ranks = tuple(sum(q * block.ranks[k] for block, q in types) for k in range(p.num_classes))
        values = tuple(s / p.alpha * float(ratio / class_ratio(p, k)) if rank else float("nan") for k, rank in enumerate(ranks))
        dimension = sum(q * block.dimension for block, q in types)
        return Eigenspace(dimension, ranks, sign, 1 / (1 + s), s / p.alpha, values, found.double, tuple(types), ratio)

    @cached_property
    def index(self) -> int:
        """The number of positive eigenvalues of the Hessian: directions of second-order ascent."""
        spaces = self.eigenspaces
        within = sum(
            sum(rank * (rank + 1) // 2 for rank in space.ranks) - (space.symmetric_commutant if space.sign is Sign.LARGE else 0)
            for space in spaces
        )
        below = self.parameters.dim - self.rank
        between = 0
        for space in spaces:
            between += below * (sum(space.ranks) - space.dimension)
            below += space.dimension
        return within + between

    @cached_property
    def nullity(self) -> int:
        """The number of zero eigenvalues of the Hessian. At a double root it exceeds what the theorem counts elsewhere by the
        dimension of the symmetric commutant, for a class's own eigenspace r_k (r_k + 1)/2."""
        p, spaces = self.parameters, self.eigenspaces
        outside = p.dim - self.rank
        total = sum(rank * (width - rank) for rank, width in zip(self.ranks, p.widths, strict=True)) + outside * self.rank
        for i, space in enumerate(spaces):
            n, t = space.dimension, space.symmetric_commutant
            total += sum(rank * (rank - 1) // 2 + rank * (n - rank) for rank in space.ranks) - n * (n + 1) // 2 + t
            total += t if space.double else 0
            for other in spaces[:i]:
                total += sum(x * y for x, y in zip(space.ranks, other.ranks, strict=True)) + n * other.dimension
        return total

    @cached_property
    def orbit_dimension(self) -> int:
        """The dimension of the orbit through a point of the family under O(d) × Π O(m_k)."""
        p = self.parameters
        stabilizer = sum(space.skew_commutant for space in self.eigenspaces) + _skew(p.dim - self.rank)
        stabilizer += sum(_skew(width - rank) for width, rank in zip(p.widths, self.ranks, strict=True))
        return _skew(p.dim) + sum(_skew(width) for width in p.widths) - stabilizer

    @cached_property
    def kind(self) -> Kind:
        """Strict saddle, local maximizer, or degenerate: no direction of second-order ascent, and yet no local maximizer,
        because a class is used at its double root, along whose scaling the objective changes with the third power."""
        if self.index:
            return Kind.STRICT_SADDLE
        return Kind.DEGENERATE if any(space.double for space in self.eigenspaces) else Kind.LOCAL_MAXIMIZER

    @property
    def singular_values(self) -> np.ndarray:
        """The non-zero singular values of Z, descending, shape (r,)."""
        return np.concatenate(
            [np.full(space.dimension, space.mu**0.5) for space in reversed(self.eigenspaces)] or [np.empty(0)]
        )

    @property
    def class_singular_values(self) -> tuple[np.ndarray, ...]:
        """The non-zero singular values of each Z_k, descending, shapes (r_k,)."""
        lists: list[list[float]] = [[] for _ in self.ranks]
        for space in reversed(self.eigenspaces):
            for values, rank, x in zip(lists, space.ranks, space.class_values, strict=True):
                values += [x**0.5] * rank
        return tuple(np.sort(np.array(values))[::-1] for values in lists)

    def spectrum(self) -> Spectrum:
        """The eigenvalues of the Hessian, with multiplicities (see `spectra.Spectrum`)."""
        from mcr2_landscape.catalog.spectra import spectrum

        return spectrum(self)

    def point(self, *, key: Any) -> np.ndarray:
        """A random point of the family, shape (d, m): rotated uniformly from the left and, class by class, from the right.

        **Raises:** `InputError` when a frame of dimension three or more is asked for that the numerical search cannot find.
        """
        from mcr2_landscape.catalog.representatives import random_point

        return random_point(self, key=key)


def exact_value(p: Parameters, blocks: Iterable[tuple[Block, int]]) -> Fraction:
    """The sum of the blocks' values with the float64 values of single directions taken as rational numbers: sums of any order
    then agree exactly, and families can be compared."""
    total = Fraction(0)
    for block, q in blocks:
        total += q * block.dimension * Fraction(block_height(p, block))
    return total


def block_height(p: Parameters, block: Block) -> float:
    """h_rho at the block's root, the value of each of its directions.

    **Raises:** `InputError` where it has no root.
    """
    found = direction_value(block.ratio(p.sizes), normalized_regularization(p), block.sign)
    if found is None:
        _checked_roots(p, block)
        raise AssertionError("a block without roots was accepted")
    return found


def orthogonal_family(p: Parameters, *, large: Sequence[int], small: Sequence[int] | None = None) -> Family:
    """The family of critical points with mutually orthogonal classes: `large[k]` singular values of class k+1 at the large root
    and `small[k]` at the small one (Wang et al., ICML 2024, characterize them).

    **Raises:** `InputError` for a wrong number of entries, entries that are no integers of at least zero, more directions than
    dimensions or than a class has samples, and for a class above its threshold.
    """
    counts = {"large": _counts(p, "large", large)}
    counts["small"] = _counts(p, "small", (0,) * p.num_classes if small is None else small)
    totals = [up + down for up, down in zip(counts["large"], counts["small"], strict=True)]
    for k, (total, width) in enumerate(zip(totals, p.widths, strict=True)):
        name = "large" if counts["large"][k] else "small"
        if total > width:
            raise InputError(
                f"{name}: found {total} directions for class {k + 1}, which has {width} columns; give it at most {width}"
            )
        if total and normalized_roots(class_ratio(p, k), normalized_regularization(p)) is None:
            raise InputError(f"{name}: class {k + 1} " + _above_threshold(p, class_ratio(p, k)) + "; give it none")
    if sum(totals) > p.dim:
        raise InputError(
            f"large, small: found {sum(totals)} directions in all; they are orthogonal, so at most dim = {p.dim} fit"
        )
    blocks = [
        (line(p.num_classes, k, sign), count)
        for name, sign in (("large", Sign.LARGE), ("small", Sign.SMALL))
        for k, count in enumerate(counts[name])
        if count
    ]
    return Family(p, tuple(blocks))


def _counts(p: Parameters, name: str, counts: Sequence[int]) -> tuple[int, ...]:
    entries = tuple(counts) if isinstance(counts, (Sequence, np.ndarray)) else (counts,)
    entries = tuple(entry.item() if isinstance(entry, np.generic) else entry for entry in entries)
    if len(entries) != p.num_classes:
        raise InputError(f"{name}: found {len(entries)} entries; pass one for each of the {p.num_classes} classes")
    for k, entry in enumerate(entries):
        if isinstance(entry, bool) or not isinstance(entry, int) or entry < 0:
            raise InputError(f"{name}[{k}]: found {entry!r}; pass an integer of at least 0")
    return entries


def _above_threshold(p: Parameters, ratio: Fraction) -> str:
    threshold = p.alpha * existence_threshold(ratio)
    return (
        f"has no nonzero critical directions: its threshold is lambda = {threshold:.6g}, and the regularization is "
        f"{p.regularization:.6g}"
    )


def _existing_roots(p: Parameters, ratio: Fraction) -> EigenspaceRoots:
    found = normalized_roots(ratio, normalized_regularization(p))
    if found is None:
        raise InputError("blocks: an eigenspace " + _above_threshold(p, ratio))
    return found


def _checked_roots(p: Parameters, block: Block) -> EigenspaceRoots:
    if len(block.ranks) != p.num_classes:
        raise InputError(
            f"blocks: {block.label} has {len(block.ranks)} ranks; pass one for each of the {p.num_classes} classes"
        )
    if block.division == 1 and not is_admissible(p.sizes, block.dimension, block.ranks):
        raise InputError(f"blocks: no irreducible frame {block.label} exists for classes of sizes {p.sizes}")
    found = normalized_roots(block.ratio(p.sizes), normalized_regularization(p))
    if found is None:
        raise InputError(f"blocks: {block.label} " + _above_threshold(p, block.ratio(p.sizes)))
    return found


def _listed(counts: tuple[int, ...]) -> str:
    if len(counts) <= 10:
        return ",".join(map(str, counts))
    return ", ".join(f"{k + 1}: {count}" for k, count in enumerate(counts) if count)


def _skew(size: int) -> int:
    return size * (size - 1) // 2
