"""Exact descriptions of problems and points: integers, rationals, and thresholds, which are algebraic numbers.

The standard library only. What is read from a file is looked at entry by entry: unknown names, floating point numbers,
numbers of absurd length and anything that does not fit are refused with a `CertificateError`.
"""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mcr2_landscape.errors import InputError

_RATIONAL = re.compile(r"-?[0-9]{1,400}(/[1-9][0-9]{0,399})?")
_LARGEST = 10**6  # of dim, of a class, of a count


class CertificateError(InputError):
    """A certificate that cannot be read, or does not prove what it asserts."""


class Disproved(CertificateError):
    """What was asserted is false, as the checker has proved. (That there is a critical point of some kind within a radius is
    never disproved by finding one of another kind there.)"""


class Undecided(CertificateError):
    """What was asserted could not be proved, with what was reached; a higher precision or a better point may."""


def rational(name: str, value: Any) -> Fraction:
    """A rational number from an integer, a `Fraction`, or text such as ``"3/5"``; floats are refused, since they are not exact.

    **Raises:** `CertificateError`.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    if not isinstance(value, str) or not _RATIONAL.fullmatch(value):
        raise CertificateError(f"{name}: found {shown(value)}; expected a rational number as text, for instance '3/5'")
    return Fraction(value)


def integer(name: str, value: Any, minimum: int = 0, maximum: int = _LARGEST) -> int:
    """`value`, if it is an integer from `minimum` to `maximum`.

    **Raises:** `CertificateError`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise CertificateError(f"{name}: found {shown(value)}; expected an integer from {minimum} to {maximum}")
    return value


def fields(name: str, value: Any, required: Sequence[str], optional: Sequence[str] = ()) -> Mapping[str, Any]:
    """`value`, if it is a mapping with these names and no others.

    **Raises:** `CertificateError`.
    """
    if not isinstance(value, Mapping):
        raise CertificateError(f"{name}: found {shown(value)}; expected an object with " + ", ".join(required))
    missing = [key for key in required if key not in value]
    unknown = [shown(key) for key in value if key not in required and key not in optional]
    if missing or unknown:
        words = [f"{', '.join(missing)} missing"] if missing else []
        words += [f"unknown: {', '.join(unknown[:5])}"] if unknown else []
        raise CertificateError(f"{name}: " + "; ".join(words))
    return value


def items(name: str, value: Any, *, minimum: int = 0, maximum: int = _LARGEST) -> Sequence[Any]:
    """`value`, if it is a list of a length within bounds.

    **Raises:** `CertificateError`.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence) or not minimum <= len(value) <= maximum:
        raise CertificateError(f"{name}: found {shown(value)}; expected a list of {minimum} to {maximum} entries")
    return value


def shown(value: Any) -> str:
    """What was found, short enough for a message."""
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object with {len(value)} names"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def number_text(number: Fraction, rounding: str = decimal.ROUND_HALF_EVEN) -> str:
    """A rational number for reading, never one taken for another: a decimal or a fraction where that is exact and short, a
    float64 by its shortest decimal and so named, and anything else as "about" so much, rounded as `rounding` says."""
    try:
        nearest = float(number)
        decimals = repr(nearest)
    except OverflowError:
        nearest, decimals = math.inf, ""
    exact = math.isfinite(nearest) and Fraction(nearest) == number
    if number.denominator > 1 and decimals and math.isfinite(nearest) and Fraction(decimals) == number:
        return decimals
    if len(str(number)) <= 24:
        return str(number)
    if exact:
        return f"{decimals} (float64)"
    about = decimal.Context(prec=8, rounding=rounding).divide(
        decimal.Decimal(number.numerator), decimal.Decimal(number.denominator)
    )
    return f"about {about}"


@dataclass(frozen=True)
class Threshold:
    """The regularization `fraction` · lambda_k with lambda_k = alpha (√rho_k − 1)/(√rho_k + 1) for the class `of_class`,
    counted from 1. It is irrational in general."""

    fraction: Fraction
    of_class: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "fraction", rational("fraction", self.fraction))


@dataclass(frozen=True)
class ExactProblem:
    """A regularized problem (see `mcr2_landscape.MCR2`) as exact data.

    **Fields:** `dim`, `sizes`; `epsilon`, a rational number or text for one; `regularization`, the same or a `Threshold`.

    **Raises:** `CertificateError` for numbers out of range.
    """

    dim: int
    sizes: tuple[int, ...]
    epsilon: Fraction
    regularization: Fraction | Threshold

    def __post_init__(self) -> None:
        integer("dim", self.dim, 1)
        sizes = tuple(integer("sizes", size, 1) for size in items("sizes", self.sizes, minimum=2, maximum=1000))
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "epsilon", rational("epsilon", self.epsilon))
        if self.epsilon <= 0:
            raise CertificateError(f"epsilon: found {self.epsilon}; it must be greater than zero")
        if isinstance(self.regularization, Threshold):
            integer("of_class", self.regularization.of_class, 1, len(sizes))
            number = self.regularization.fraction
        else:
            number = rational("regularization", self.regularization)
            object.__setattr__(self, "regularization", number)
        if number <= 0:
            raise CertificateError(f"regularization: found {number}; it must be greater than zero")

    @property
    def num_samples(self) -> int:
        """m."""
        return sum(self.sizes)

    @property
    def alpha(self) -> Fraction:
        """alpha = d/(m eps²)."""
        return Fraction(self.dim) / (self.num_samples * self.epsilon**2)

    @property
    def ratios(self) -> tuple[Fraction, ...]:
        """rho_k = m/m_k."""
        return tuple(Fraction(self.num_samples, size) for size in self.sizes)

    @property
    def float_regularization(self) -> float:
        """lambda, rounded."""
        if isinstance(self.regularization, Fraction):
            return float(self.regularization)
        root = math.sqrt(self.ratios[self.regularization.of_class - 1])
        return float(self.regularization.fraction) * float(self.alpha) * (root - 1) / (root + 1)

    def to_plain(self) -> dict[str, Any]:
        """The problem as JSON values."""
        weight: Any = self.regularization
        if isinstance(weight, Threshold):
            weight = {"fraction": str(weight.fraction), "of_class": weight.of_class}
        else:
            weight = str(weight)
        return {"dim": self.dim, "sizes": list(self.sizes), "epsilon": str(self.epsilon), "regularization": weight}

    @staticmethod
    def from_plain(value: Any) -> ExactProblem:
        """The problem that JSON values describe.

        **Raises:** `CertificateError`.
        """
        plain = fields("problem", value, ("dim", "sizes", "epsilon", "regularization"))
        weight = plain["regularization"]
        if isinstance(weight, Mapping):
            entry = fields("regularization", weight, ("fraction", "of_class"))
            weight = Threshold(rational("fraction", entry["fraction"]), integer("of_class", entry["of_class"], 1))
        return ExactProblem(plain["dim"], tuple(items("sizes", plain["sizes"])), plain["epsilon"], weight)

    def __str__(self) -> str:
        weight = self.regularization
        if isinstance(weight, Threshold):
            k = weight.of_class
            words = f"lambda_{k}" if weight.fraction == 1 else f"{number_text(weight.fraction)} lambda_{k}"
        else:
            words = number_text(weight)
        sizes = ",".join(map(str, self.sizes))
        return f"d = {self.dim}, sizes {sizes}, epsilon = {number_text(self.epsilon)}, lambda = {words}"


@dataclass(frozen=True)
class Block:
    """Copies of one irreducible piece of a critical point, which a checker can build exactly.

    **Fields:** `sign`: "+" for the large root of the critical equation, "-" for the small one. `classes`, counted from 1. With
    `shape` "line": a line that these classes share (one class: a line of its own). With "triangle": three classes with one line
    each in a plane, at the angles at which m_1 e^{2iθ_1} + m_2 e^{2iθ_2} + m_3 e^{2iθ_3} = 0; classes in `filled` have the
    whole plane. `count`: how many copies.
    """

    sign: str
    classes: tuple[int, ...]
    count: int = 1
    shape: str = "line"
    filled: tuple[int, ...] = ()

    @property
    def dimension(self) -> int:
        """The dimension of one copy."""
        return 1 if self.shape == "line" else 2

    def ranks(self, num_classes: int) -> tuple[int, ...]:
        """p_1 … p_K of one copy.

        **Raises:** `CertificateError` where a class has a number above K.
        """
        if max((*self.classes, *self.filled)) > num_classes:
            raise CertificateError(f"subject: names class {max((*self.classes, *self.filled))} of {num_classes}")
        ranks = [0] * num_classes
        for k in self.classes:
            ranks[k - 1] = 1
        for k in self.filled:
            ranks[k - 1] = 2
        return tuple(ranks)


@dataclass(frozen=True)
class ExactFamily:
    """A critical point as the structure theorem builds it: blocks on mutually orthogonal subspaces, Z = 0 without any.

    **Raises:** `CertificateError` for a block that is not described correctly.
    """

    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        for block in self.blocks:
            if block.sign not in ("+", "-"):
                raise CertificateError(f"sign: found {shown(block.sign)}; expected '+' or '-'")
            integer("count", block.count, 1, 10_000)
            named = (*block.classes, *block.filled)
            if len(set(named)) != len(named) or not all(isinstance(k, int) and k >= 1 for k in named):
                raise CertificateError(f"classes: found {shown(named)}; expected different classes, counted from 1")
            if block.shape not in ("line", "triangle"):
                raise CertificateError(f"shape: found {shown(block.shape)}; expected 'line' or 'triangle'")
            if block.shape == "line" and (block.filled or not block.classes):
                raise CertificateError("line: expected at least one class, and none in 'filled'")
            if block.shape == "triangle" and len(block.classes) != 3:
                raise CertificateError(f"triangle: found {len(block.classes)} classes; expected three")

    @property
    def rank(self) -> int:
        """r, the rank of Z."""
        return sum(block.count * block.dimension for block in self.blocks)

    def class_ranks(self, num_classes: int) -> tuple[int, ...]:
        """r_1 … r_K."""
        lists = [[block.count * rank for rank in block.ranks(num_classes)] for block in self.blocks]
        return tuple(sum(column) for column in zip(*lists, strict=True)) if lists else (0,) * num_classes

    def to_plain(self) -> dict[str, Any]:
        """The family as JSON values."""
        blocks = []
        for block in self.blocks:
            plain: dict[str, Any] = {"shape": block.shape, "sign": block.sign, "classes": list(block.classes)}
            if block.filled:
                plain["filled"] = list(block.filled)
            blocks.append(plain | {"count": block.count})
        return {"family": blocks}

    @staticmethod
    def from_plain(value: Any) -> ExactFamily:
        """The family that JSON values describe.

        **Raises:** `CertificateError`.
        """
        blocks = []
        for entry in items("family", fields("subject", value, ("family",))["family"], maximum=1000):
            plain = fields("block", entry, ("shape", "sign", "classes", "count"), ("filled",))
            named = [items(name, plain.get(name, []), maximum=1000) for name in ("classes", "filled")]
            classes, filled = (tuple(integer("class", k, 1) for k in entries) for entries in named)
            blocks.append(Block(plain["sign"], classes, plain["count"], plain["shape"], filled))
        return ExactFamily(tuple(blocks))

    def __str__(self) -> str:
        words = []
        for block in self.blocks:
            size = "large" if block.sign == "+" else "small"
            names = ",".join(map(str, block.classes))
            plural = "s" if block.count > 1 else ""
            if block.shape == "triangle":
                inside = f" in a plane of class {','.join(map(str, block.filled))}" if block.filled else ""
                words.append(f"{block.count} {size} triangle{plural} of classes {names}{inside}")
            elif len(block.classes) > 1:
                words.append(f"{block.count} {size} line{plural} shared by classes {names}")
            else:
                words.append(f"{block.count} {size} direction{plural} of class {names}")
        return "Z = 0" if not words else "the point with " + ", ".join(words)


def orthogonal(large: Sequence[int], small: Sequence[int] = ()) -> ExactFamily:
    """The orthogonal family: `large[k]` lines of class k + 1 with the large root, `small[k]` with the small one."""
    pairs = (("+", large), ("-", small))
    blocks = (Block(sign, (k + 1,), count) for sign, counts in pairs for k, count in enumerate(counts) if count)
    return ExactFamily(tuple(blocks))
