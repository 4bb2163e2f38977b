"""A survey of a problem: the critical points that a search finds, beside those that theory lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mcr2_landscape import catalog
from mcr2_landscape.analysis.listing import ListedFamily, first_families
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.landscape import SearchResult, find_critical_points
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer
from mcr2_landscape.verdict import Kind


@dataclass(frozen=True)
class FoundFamily(Record):
    """One orbit of critical points that the search found.

    `label`: the theory's family, `None` if theory does not list the point. `index`: ascent directions, `None` if undecided;
    `nullity`: zero eigenvalues. `count`: the number of starts that ended there.
    """

    label: str | None
    kind: Kind
    value: float
    index: int | None
    nullity: int
    undecided: int
    count: int
    relative_gradient_norm: float
    reason: str


@dataclass(frozen=True)
class SurveyResult(Record):
    """What a search found, beside what theory lists.

    **Fields:** `parameters`; `regularization_limit`; `maximum`, the global maximum in closed form, with `maximum_family` and
    whether it was found; `found`, by decreasing value; `listed`, the catalog's families by decreasing value: all of them
    where `listed_all`, else the first ones and those found; `num_orthogonal`, how many orthogonal families exist, and
    `num_orthogonal_found`; `num_starts`, `num_converged` and `unconverged` (how the others ended) of the search;
    `interrupted`. `search` is the search's own result, not part of the JSON form.
    """

    parameters: Parameters
    regularization_limit: float
    maximum: float
    maximum_family: str
    maximum_found: bool
    found: tuple[FoundFamily, ...]
    listed: tuple[ListedFamily, ...]
    listed_all: bool
    num_orthogonal: int
    num_orthogonal_found: int
    num_starts: int
    num_converged: int
    unconverged: dict[str, int]
    interrupted: bool
    search: SearchResult = field(repr=False, metadata={"json": False})

    @property
    def unlisted(self) -> tuple[FoundFamily, ...]:
        """What was found and is in no catalog. Each is a discovery, or a defect."""
        return tuple(family for family in self.found if family.label is None)


def survey(
    problem: MCR2,
    *,
    key: Any,
    num_starts: int = 500,
    max_listed: int = 2000,
    progress: bool | Callable[[int, int, int], None] = False,
) -> SurveyResult:
    """Search a problem for critical points of every index, and match them with the catalog.

    **Arguments:** `problem`: an `MCR2` of at most 1,500 unknowns (classes with more samples than dimensions count dim
    columns). `key`: a JAX key or an integer seed. `num_starts`: random starts. `max_listed`: families of the catalog to list,
    by decreasing value. `progress`: a bar, or a function of (done, total, converged).

    **Returns:** `SurveyResult`. Ctrl-C during the search stops it; what was found until then is in the result.

    **Raises:** `InputError` for a problem that is too large, or numbers out of range.
    """
    if not isinstance(problem, MCR2):
        raise InputError(f"problem: found {type(problem).__name__}; pass an MCR2")
    max_listed = positive_integer("max_listed", max_listed)
    search = find_critical_points(problem, key=key, num_starts=num_starts, progress=progress)
    p = problem.parameters
    matches = [catalog.recognize(p, point.point) for point in search.distinct if point.family is not None]
    known = {match.family.label: match.family for match in matches if match is not None}
    families, listed_all = first_families(p, max_listed)
    names = {family.label for family in families}
    families += sorted((known[label] for label in known.keys() - names), key=lambda family: (-family.value, family.label))
    listed = tuple(ListedFamily.of(family, family.label in known) for family in families)
    best = problem.global_maximum()
    found = tuple(
        FoundFamily(
            point.family,
            point.kind,
            point.value,
            point.index,
            point.inertia.zero,
            point.inertia.undecided,
            point.count,
            point.relative_gradient_norm,
            point.reason,
        )
        for point in search.distinct
    )
    close = 1e-9 * max(1.0, abs(best.value))
    return SurveyResult(
        parameters=p,
        regularization_limit=problem.regularization_limit,
        maximum=best.value,
        maximum_family=best.family.label,
        maximum_found=any(abs(family.value - best.value) <= close for family in found),
        found=found,
        listed=listed,
        listed_all=listed_all,
        num_orthogonal=catalog.count_orthogonal_families(p),
        num_orthogonal_found=sum(family.is_orthogonal for family in known.values()),
        num_starts=search.num_starts,
        num_converged=search.num_converged,
        unconverged=search.unconverged,
        interrupted=search.interrupted,
        search=search,
    )
