"""Critical points of every index that a search of one problem finds, beside those that theory lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.study.tasks.problems import problem

if TYPE_CHECKING:
    from mcr2_landscape.analysis.listing import ListedFamily
    from mcr2_landscape.verdict import Inertia

# How well F at a found point, whose gradient is at rounding, and F in closed form have to agree, relative to 1 + |F|.
_SAME = 1e-9


@dataclass(frozen=True)
class Search:
    """What was found in one problem.

    **Fields:** `regularization` and its limit; `existence_thresholds` λ_k and `value_thresholds` λ_k°, one a class. Lists with
    one entry for each distinct point found, by decreasing value: `found_value`, `found_kind`, `found_index` (`None` where an
    eigenvalue is undecided), `found_nullity` (zero eigenvalues that are proved), `found_undecided` (eigenvalues without a
    sign), `found_family` (label; `None` for a point that theory does not list), `found_count` (starts that ended there), and
    `found_residual`, its relative gradient norm. Lists with one entry for each family of the catalog, by decreasing value:
    `listed_family`, `listed_value`, `listed_kind`, `listed_index`, `listed_nullity`, `listed_orthogonal`, `listed_found`;
    `listed_all`: whether these are all families.

    `converged` of the starts reached the tolerance; `unconverged_reason` and `unconverged_count` say how the others ended.
    `num_orthogonal` families exist, `num_orthogonal_found` were found. `maximum`: the global maximum in closed form, of
    `maximum_family`, and whether it was found. `num_unlisted`: found points that no catalog lists; `num_undecided`: points
    without a kind; `num_contradictions`: points that contradict theory: their value is not their family's, the signs of
    their eigenvalues rule out its index or nullity, they are in no catalog though all families are listed (of up to three
    classes, none as large as the two others together: blocks of three dimensions, of which more classes have some, are not
    listed, and collapsed triangles are fixed too badly to be recognized), or they are degenerate though λ is no class's
    threshold; `value_error`, the largest difference between the value of a found point and its family's, relative to 1 + |F|.
    """

    regularization: float
    regularization_limit: float
    existence_thresholds: tuple[float, ...]
    value_thresholds: tuple[float, ...]
    found_value: tuple[float, ...]
    found_kind: tuple[str, ...]
    found_index: tuple[int | None, ...]
    found_nullity: tuple[int, ...]
    found_undecided: tuple[int, ...]
    found_family: tuple[str | None, ...]
    found_count: tuple[int, ...]
    found_residual: tuple[float, ...]
    listed_family: tuple[str, ...]
    listed_value: tuple[float, ...]
    listed_kind: tuple[str, ...]
    listed_index: tuple[int, ...]
    listed_nullity: tuple[int, ...]
    listed_orthogonal: tuple[bool, ...]
    listed_found: tuple[bool, ...]
    listed_all: bool
    converged: int
    unconverged_reason: tuple[str, ...]
    unconverged_count: tuple[int, ...]
    num_orthogonal: int
    num_orthogonal_found: int
    maximum: float
    maximum_family: str
    maximum_found: bool
    num_unlisted: int
    num_undecided: int
    num_contradictions: int
    value_error: float


def search(
    *,
    dim: int,
    sizes: tuple[int, ...],
    epsilon: float = 0.5,
    relative_regularization: float,
    num_starts: int = 500,
    max_listed: int = 2000,
    seed: int,
) -> Search:
    """Search one problem from `num_starts` random starts, and list up to `max_listed` families beside what is found.

    **Raises:** `InputError` for numbers out of range or a problem of more than 1,500 unknowns.
    """
    from mcr2_landscape.analysis import survey
    from mcr2_landscape.verdict import Kind

    where = problem(dim, sizes, epsilon, relative_regularization)
    result = survey(where, key=seed, num_starts=num_starts, max_listed=max_listed)
    limits = where.thresholds()
    families = {listed.label: listed for listed in result.listed}
    at_threshold = bool(np.isclose(limits.existence, where.parameters.regularization, rtol=1e-9).any())
    errors, contradictions = [0.0], 0
    for point, measured in zip(result.found, result.search.distinct, strict=True):
        if point.label is None:
            contradicts = result.listed_all and _all_known(where.sizes)
        else:
            family = families[point.label]
            errors.append(abs(point.value - family.value) / (1 + abs(point.value)))
            contradicts = errors[-1] > _SAME or _rules_out(measured.inertia, family)
        contradictions += contradicts or (point.kind is Kind.DEGENERATE and not at_threshold)
    found, listed = result.found, result.listed
    return Search(
        regularization=where.parameters.regularization,
        regularization_limit=result.regularization_limit,
        existence_thresholds=tuple(limits.existence.tolist()),
        value_thresholds=tuple(limits.value.tolist()),
        found_value=tuple(point.value for point in found),
        found_kind=tuple(str(point.kind) for point in found),
        found_index=tuple(point.index for point in found),
        found_nullity=tuple(point.nullity for point in found),
        found_undecided=tuple(point.undecided for point in found),
        found_family=tuple(point.label for point in found),
        found_count=tuple(point.count for point in found),
        found_residual=tuple(point.relative_gradient_norm for point in found),
        listed_family=tuple(family.label for family in listed),
        listed_value=tuple(family.value for family in listed),
        listed_kind=tuple(str(family.kind) for family in listed),
        listed_index=tuple(family.index for family in listed),
        listed_nullity=tuple(family.nullity for family in listed),
        listed_orthogonal=tuple(family.is_orthogonal for family in listed),
        listed_found=tuple(bool(family.found) for family in listed),
        listed_all=result.listed_all,
        converged=result.num_converged,
        unconverged_reason=tuple(result.unconverged),
        unconverged_count=tuple(result.unconverged.values()),
        num_orthogonal=result.num_orthogonal,
        num_orthogonal_found=result.num_orthogonal_found,
        maximum=result.maximum,
        maximum_family=result.maximum_family,
        maximum_found=result.maximum_found,
        num_unlisted=len(result.unlisted),
        num_undecided=sum(point.kind is Kind.UNDECIDED for point in found),
        num_contradictions=contradictions,
        value_error=max(errors),
    )


def _all_known(sizes: tuple[int, ...]) -> bool:
    """Whether every critical point of classes of these sizes is in the catalog, and can be told from others."""
    return len(sizes) == 2 or (len(sizes) == 3 and 2 * max(sizes) != sum(sizes))


def _rules_out(inertia: Inertia, family: ListedFamily) -> bool:
    """Whether the signs measured at a point rule out its family's index or nullity. An eigenvalue without a sign may be any of
    the three, but so many as the symmetry orbit has dimensions are zero."""
    unsigned = inertia.zero + inertia.undecided
    zeros = max(inertia.zero, family.orbit_dimension)
    nullity = zeros <= family.nullity <= unsigned
    return not (nullity and inertia.positive <= family.index <= inertia.positive + unsigned - zeros)
