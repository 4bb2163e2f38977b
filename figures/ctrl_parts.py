"""What the figures on closed-loop transcription share: how methods and stages look, and questions that several of them ask."""

from __future__ import annotations

from mcr2_landscape.report.style import BLUE, GREEN, ORANGE, VERMILION

# Color, marker, dashes and name. The markers differ in size where one lies on another.
METHODS = {
    "exact": (BLUE, "o", "solid", "exact"),
    "gdmax": (GREEN, "s", (0, (5, 1.5)), "GDmax"),
    "simultaneous": (ORANGE, "^", (0, (4, 1.5, 1, 1.5)), "simultaneous"),
    "reference": (VERMILION, "D", (0, (1, 1)), "reference"),
}
STAGES = {"x": "X", "f": "f(X)", "gf": "gf(X)", "fgf": "fgf(X)"}
ORDER = "CASE method " + " ".join(f"WHEN '{name}' THEN {k}" for k, name in enumerate(METHODS)) + " END"
FLOOR = 1e-16


def spectra(chosen: str, columns: str) -> str:
    """Singular values at each stage, of all classes together (class 0) and of each, of the rows that `chosen` selects;
    `columns` of these rows come along."""
    parts = []
    for stage, name in STAGES.items():
        parts.append(
            f"SELECT {columns}, '{name}' AS stage, 0 AS class, unnest(range(1, len(spectrum_{stage}) + 1)) AS number, "
            f"unnest(spectrum_{stage}) AS singular_value FROM ({chosen})"
        )
        parts.append(
            f"SELECT {columns}, stage, class, unnest(range(1, len(own) + 1)) AS number, unnest(own) AS singular_value FROM "
            f"(SELECT {columns}, '{name}' AS stage, unnest(range(1, len(class_spectra_{stage}) + 1)) AS class, "
            f"unnest(class_spectra_{stage}) AS own FROM ({chosen}))"
        )
    return " UNION ALL ".join(parts)


def floored(number: str) -> str:
    """A number for a logarithmic axis: what is below 1e-16, rounding or negative, is drawn there."""
    return f"CASE WHEN {number} < {FLOOR} THEN {FLOOR} ELSE {number} END"


def spread(number: str, name: str, *, floor: bool = False) -> str:
    """Median, least and largest of a number over the rows of a group."""
    words = [f"{how}({number})" for how in ("median", "min", "max")]
    words = [floored(own) for own in words] if floor else words
    return ", ".join(f"{own} AS {name}{end}" for own, end in zip(words, ("", "_least", "_largest"), strict=True))


def counts(groups: str = "cosine_classes") -> str:
    """How many samples of each class, in its order, are in a picture of cosines."""
    return f"list_transform(list_sort(list_distinct({groups})), lambda k: len(list_filter({groups}, lambda own: own = k)))"
