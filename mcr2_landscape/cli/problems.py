"""The problem that a command line describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcr2_landscape.mcr2 import MCR2


def parse_sizes(words: str) -> tuple[int, ...]:
    """Class sizes from "2,2,3".

    **Raises:** `InputError` for anything but integers between commas.
    """
    from mcr2_landscape.validation import InputError

    parts = [part.strip() for part in words.split(",")]
    try:
        return tuple(int(part) for part in parts)
    except ValueError:
        raise InputError(
            f"--sizes: found {words!r}; give the samples of each class between commas, for instance 2,2,3"
        ) from None


def problem_of(dim: int, sizes: str, epsilon: float, regularization: float | None) -> tuple[MCR2, bool]:
    """The problem, and whether lambda was defaulted to half of its limit.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape.mcr2 import MCR2

    counts = parse_sizes(sizes)
    if regularization is not None:
        return MCR2(dim, counts, epsilon, regularization), False
    limit = MCR2(dim, counts, epsilon, 1.0).regularization_limit
    return MCR2(dim, counts, epsilon, 0.5 * limit), True
