"""The catalog of a problem as data: thresholds, roots, and its families of largest value."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from mcr2_landscape import catalog
from mcr2_landscape.catalog import Family
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer
from mcr2_landscape.verdict import Kind


@dataclass(frozen=True)
class ListedFamily(Record):
    """One family of the catalog. `found`: whether a search found a member (`None`: there was no search)."""

    label: str
    kind: Kind
    value: float
    index: int
    nullity: int
    orbit_dimension: int
    is_orthogonal: bool
    found: bool | None = None
    family: Family | None = field(default=None, repr=False, metadata={"json": False})

    @staticmethod
    def of(family: Family, found: bool | None = None) -> ListedFamily:
        """The entry of a family."""
        return ListedFamily(
            family.label,
            family.kind,
            family.value,
            family.index,
            family.nullity,
            family.orbit_dimension,
            family.is_orthogonal,
            found,
            family,
        )


@dataclass(frozen=True)
class CatalogListing(Record):
    """What theory says of a problem.

    **Fields:** `parameters`; `regularization_limit` (lambda_max); `existence_thresholds` and `value_thresholds`, one a class;
    `roots`, (K, 2), the squared singular values x₋ and x₊ of each class; `maximum` with `maximum_family` and `maximum_unique`;
    `listed`, families by decreasing value, all of them where `listed_all`; `num_orthogonal`, the number of orthogonal families.
    """

    parameters: Parameters
    regularization_limit: float
    existence_thresholds: np.ndarray
    value_thresholds: np.ndarray
    roots: np.ndarray
    maximum: float
    maximum_family: str
    maximum_unique: bool
    listed: tuple[ListedFamily, ...]
    listed_all: bool
    num_orthogonal: int


def list_catalog(problem: MCR2, *, top: int = 20, fusion: bool = True) -> CatalogListing:
    """The thresholds and the first families of a problem's catalog.

    **Arguments:** `top`: how many families to list. `fusion`: whether to list the non-orthogonal ones too.

    **Raises:** `InputError` for what is no problem, or a `top` below one.
    """
    if not isinstance(problem, MCR2):
        raise InputError(f"problem: found {type(problem).__name__}; pass an MCR2")
    p, limits, best = problem.parameters, problem.thresholds(), problem.global_maximum()
    listed, listed_all = first_families(p, positive_integer("top", top), fusion=fusion)
    return CatalogListing(
        parameters=p,
        regularization_limit=problem.regularization_limit,
        existence_thresholds=limits.existence,
        value_thresholds=limits.value,
        roots=problem.roots(),
        maximum=best.value,
        maximum_family=best.family.label,
        maximum_unique=best.unique,
        listed=tuple(ListedFamily.of(family) for family in listed),
        listed_all=listed_all,
        num_orthogonal=catalog.count_orthogonal_families(p),
    )


def first_families(p: Parameters, count: int, *, fusion: bool = True) -> tuple[list[Family], bool]:
    """The `count` families of largest value, and whether these are all."""
    families = list(itertools.islice(catalog.catalog(p, fusion=fusion), count + 1))
    return families[:count], len(families) <= count
