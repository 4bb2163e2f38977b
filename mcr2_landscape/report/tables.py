"""Tables as data, shown alike on a page and in a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcr2_landscape.analysis import CatalogListing, FeatureAnalysis, SurveyResult

NONE = "–"


@dataclass(frozen=True)
class Table:
    """Rows of text under column names. Columns in `left` are words, the others numbers."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: frozenset[int] = frozenset({0})

    @staticmethod
    def of(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], left: Iterable[int] = (0,)) -> Table:
        """A table of any values, each written by `text`."""
        return Table(caption, tuple(columns), tuple(tuple(text(cell) for cell in row) for row in rows), frozenset(left))

    def first(self, count: int) -> Table:
        """The first `count` rows, with a caption that says so."""
        if len(self.rows) <= count:
            return self
        caption = f"{self.caption}; the first {count} of {len(self.rows)} rows, the JSON file has all"
        return dataclasses.replace(self, caption=caption, rows=self.rows[:count])


def text(value: Any, digits: int = 6) -> str:
    """A value for a reader: floats with `digits` significant digits, a dash for `None`."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return NONE if value != value else f"{value:.{digits}g}"
    return str(value)


def rates(result: FeatureAnalysis) -> Table:
    """The objective and its parts."""
    r, t = result.rates, result.target
    rows = [
        ("coding rate R", r.coding_rate),
        ("class coding rate R_c", r.class_coding_rate),
        ("rate reduction ΔR = R − R_c", r.rate_reduction),
        ("penalty (λ/2)‖Z‖²", r.penalty),
        ("objective F = ΔR − penalty", r.value),
        ("global maximum of F", t.value),
        ("gap", t.gap),
    ]
    return Table.of("Rates, in nats", ("quantity", "value"), rows)


def signs(result: FeatureAnalysis) -> Table:
    """Eigenvalues of the Hessian by sign."""
    place = result.position
    rows = [
        ("positive: the objective curves up", *place.positive),
        ("zero: it is flat", *place.zero),
        ("negative: it curves down", *place.negative),
    ]
    return Table.of("Eigenvalues of the Hessian by sign", ("sign", "at least", "at most"), rows)


def classes(result: FeatureAnalysis) -> Table:
    """One row a class."""
    reached: Sequence[int | None] = result.endpoint.ranks if result.endpoint else [None] * len(result.classes)
    columns = (
        *(
            "class",
            "samples",
            "effective rank",
            "participation",
            "largest s",
            "ideal s",
            "rank at maximum",
            "rank after ascent",
        ),
        *("coherence", "with", "λ_k", "λ_k°"),
    )
    rows = [
        (
            c.name,
            c.size,
            text(c.effective_rank, 4),
            text(c.participation, 4),
            text(float(c.singular_values[0]), 4),
            text(c.ideal_singular_value, 4),
            c.ideal_rank,
            rank,
            text(c.coherence, 3),
            c.most_coherent_with or NONE,
            text(c.existence_threshold, 4),
            text(c.value_threshold, 4),
        )
        for c, rank in zip(result.classes, reached, strict=True)
    ]
    return Table.of("Classes", columns, rows, left=(0, 9))


def found(result: SurveyResult) -> Table:
    """The families that a search found."""
    columns = ("family", "kind", "F", "index", "nullity", "starts")
    rows = [
        (family.label or "not in the catalog", family.kind.value, family.value, family.index, family.nullity, family.count)
        for family in result.found
    ]
    return Table.of("Critical points found, by decreasing value", columns, rows, left=(0, 1))


def listed(result: CatalogListing | SurveyResult) -> Table:
    """The families of a catalog."""
    searched = any(family.found is not None for family in result.listed)
    columns = ("family", "kind", "F", "index", "nullity", "orbit dimension", *(("found",) if searched else ()))
    rows = [
        (
            *(family.label, family.kind.value, family.value, family.index, family.nullity, family.orbit_dimension),
            *((family.found,) if searched else ()),
        )
        for family in result.listed
    ]
    count = "all" if result.listed_all else f"{len(rows)} of them"
    return Table.of(f"Families that theory lists, {count}, by decreasing value", columns, rows, left=(0, 1))


def class_thresholds(result: CatalogListing) -> Table:
    """Thresholds and roots of each class."""
    columns = ("class", "samples", "λ_k", "λ_k°", "√x⁻", "√x⁺")
    rows = [
        (str(k + 1), size, float(existence), float(value), float(low) ** 0.5, float(high) ** 0.5)
        for k, (size, existence, value, (low, high)) in enumerate(
            zip(result.parameters.sizes, result.existence_thresholds, result.value_thresholds, result.roots, strict=True)
        )
    ]
    return Table.of("Classes: thresholds of the regularization, singular values at critical points", columns, rows)
