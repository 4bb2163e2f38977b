"""Irreducible blocks: what every critical point is made of.

On an eigenspace of Z Zᵀ the classes span subspaces with projectors P_k such that Σ_k m_k P_k is a multiple of the identity, a
*weighted tight fusion frame*. It is the direct sum of irreducible ones, which are

* a line of one class: all that an orthogonal critical point has;
* a line shared by several classes, but not by all (dimension 1);
* lines of at least three classes in a plane, at angles theta_k with Σ m_k exp(2 i theta_k) = 0: a closed polygon with the
  class sizes as sides. Further classes may fill the plane (dimension 2);
* larger frames, which need at least four classes. Two classes have lines of one class only, three classes lines and triangles
  only (the problem of three subspaces, whose diagram D4 is of finite type).

A block is *rigid* when any two of its kind are images of each other under a rotation, in the algebraist's words when its Tits
form n² + Σ p_k² − n Σ p_k is one. Others, such as four lines in a plane, come in continuous families.

Classes are numbered from 1 in labels and messages, as in the formulas; tuples hold them in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from mcr2_landscape.catalog.scalar import Sign
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError


@dataclass(frozen=True)
class Block(Record):
    """An irreducible block.

    **Fields:** `dimension` (n), `ranks` (p_1 … p_K, the rank of each class in it), `sign` (which root of the critical equation)
    and `division` (the dimension over the reals of the matrices that commute with all its projectors: 1, or 2 and 4 for blocks
    whose structure is complex or quaternionic, which need dimension 4 at least).
    """

    dimension: int
    ranks: tuple[int, ...]
    sign: Sign = Sign.LARGE
    division: int = 1

    _derived = ("label",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranks", tuple(int(rank) for rank in self.ranks))
        object.__setattr__(self, "sign", Sign(self.sign))
        n = self.dimension
        if n < 1 or not all(0 <= rank <= n for rank in self.ranks) or not any(self.ranks):
            raise InputError(f"ranks: found {self.ranks} in dimension {n}; each is from 0 to {n}, and some class is present")
        if all(rank == n for rank in self.ranks):
            raise InputError(f"ranks: found {self.ranks}; the critical equation has no root when every class fills the space")
        if self.division not in (1, 2, 4):
            raise InputError(f"division: found {self.division}; pass 1 (real), 2 (complex) or 4 (quaternionic)")

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """The classes present, numbered from 1."""
        return tuple(k + 1 for k, rank in enumerate(self.ranks) if rank)

    @cached_property
    def total_rank(self) -> int:
        """Σ_k p_k."""
        return sum(self.ranks)

    @property
    def is_orthogonal(self) -> bool:
        """Whether this is a line of one class."""
        return self.dimension == 1 and self.total_rank == 1

    @property
    def is_rigid(self) -> bool:
        """Whether all irreducible frames with these ranks are rotations of one of them."""
        return tits_form(self.dimension, self.ranks) == 1

    def ratio(self, sizes: tuple[int, ...]) -> Fraction:
        """rho = n m / Σ_k p_k m_k, which with the sign decides the eigenvalue."""
        weight = sum(rank * size for rank, size in zip(self.ranks, sizes, strict=True))
        return Fraction(self.dimension * sum(sizes), weight)

    @cached_property
    def label(self) -> str:
        """For instance ``line{1,2}+``, ``triangle{1,2,3}-``, or ``frame(3; 1,1,1,2)+`` with the dimension and the ranks."""
        lines = [k + 1 for k, rank in enumerate(self.ranks) if rank == 1]
        if self.dimension == 1:
            name = "line"
        elif self.dimension == 2 and len(lines) == len(self.classes):
            name = "triangle" if len(lines) == 3 else "polygon"
        else:
            kind = {1: "frame", 2: "complex frame", 4: "quaternionic frame"}[self.division]
            return f"{kind}({self.dimension}; {','.join(map(str, self.ranks))}){self.sign}"
        return f"{name}{{{','.join(map(str, lines))}}}{self.sign}"

    @cached_property
    def order(self) -> tuple[int, int, tuple[int, ...], str, int]:
        """Sorting key: smaller blocks first, then by classes in order, large before small roots."""
        return self.dimension, self.total_rank, tuple(-rank for rank in self.ranks), self.sign.value, self.division


def line(num_classes: int, k: int, sign: Sign = Sign.LARGE) -> Block:
    """The line of the one class at position k (counted from 0)."""
    return Block(1, tuple(int(j == k) for j in range(num_classes)), sign)


def tits_form(dimension: int, ranks: tuple[int, ...]) -> int:
    """n² + Σ p_k² − n Σ p_k. A block has at most one: Kac's theorem for the star-shaped quiver whose arms are the classes."""
    return dimension**2 + sum(rank**2 for rank in ranks) - dimension * sum(ranks)


def is_admissible(sizes: tuple[int, ...], dimension: int, ranks: tuple[int, ...]) -> bool:
    """Whether exact arithmetic allows an irreducible frame with these ranks, classes weighted by their sizes.

    In dimensions one and two this decides existence (in a plane: the sides m_k of the classes that have a line there satisfy
    the strict polygon inequality). In larger ones it is necessary only: the inequalities of Horn and Klyachko decide.
    """
    if all(rank == dimension for rank in ranks):
        return False
    if dimension == 1:
        return True
    proper = [(rank, size) for rank, size in zip(ranks, sizes, strict=True) if 0 < rank < dimension]
    if tits_form(dimension, ranks) > 1 or len(proper) < 3:
        return False
    weight = sum(rank * size for rank, size in proper)
    dual = sum((dimension - rank) * size for rank, size in proper)
    # No class may keep a vector to itself (P_k ≤ c/m_k), nor may its complement: irreducible blocks are strict in both.
    return all(weight > dimension * size and dual > dimension * size for _, size in proper)
