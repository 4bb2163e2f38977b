"""What goes on the page of flattened points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcr2_landscape.report import flat_pictures, flat_tables
from mcr2_landscape.report.page import Page, Picture, Section, flat
from mcr2_landscape.report.style import embed
from mcr2_landscape.report.tables import text
from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcr2_landscape.flatnet.examination import FlatExamination

_LONGEST = 300
_TITLES = {
    Verdict.HOLDS: "Flattened and decoded",
    Verdict.REFUTED: "Not flattenable at this tolerance",
    Verdict.UNDECIDED: "Undecided whether this can be flattened",
}
_VERDICTS = (
    "A verdict is that these points, at these tolerances, were flattened by these layers or were not: another threshold or "
    "more layers may find otherwise. Layers are diffeomorphisms of the whole space, but a code of fewer dimensions may still "
    "fold."
)
_SPECTRUM = (
    "Each layer keeps the coordinates along a tangent plane and shrinks what is beside it. Flat means that all that is outside "
    "the first d principal directions is at most what is allowed; of held-out points it is measured once, at the end."
)
_TRIPS = (
    "The round trip of a layer misses by κ(x) times what its quadratic misses, exactly. The strength α is chosen so that half "
    "of its mean square stays within the threshold, which is the certificate of the layer."
)
_PROJECTIONS = (
    "Both rows have equal scales on both axes, so that what is flat looks flat. Colors follow the first number of the code, "
    "from dark to bright: where colors mix, far points come together."
)
_ERRORS = "Errors of single points; thin lines are the means, which are what the verdict compares."
_LINE = (
    "Decoded codes on a straight line between the two that are farthest apart along the first number of the code. On a "
    "manifold that was flattened well the decoded line follows the points, where a straight line in space leaves them."
)


def flat_page(found: FlatExamination, provenance: Mapping[str, Any]) -> Page:
    """The report of `flatten`."""
    report = found.report
    fresh = report.held_out_error is not None or report.left_out_error is not None
    facts = [
        ("verdict", report.verdict.value),
        ("dimension", f"{report.dimension} of {report.data.features}"),
        ("layers", f"{report.num_layers:,}"),
        ("outside the plane", text(max(report.tail, report.held_out_tail or 0.0), 3)),
        ("error on new points" if fresh else "error", text(flat_tables.judged_error(report), 3)),
        ("processor time", f"{report.processor_seconds:.1f} s"),
    ]
    title = _TITLES[report.verdict]
    if not found.fitted:
        title = "Points transformed by a network"
    held = f", {found.num_held_out:,} held out" if found.num_held_out else ""
    stopped = {"time": "at its time limit", "iterations": "at its number of layers tried"}.get(report.stop.value)
    sections = [
        Section("Verdicts", _VERDICTS, tables=(flat_tables.verdicts(found),)),
        _spectrum(found),
        _projections(found),
        _errors(found),
        _line(found),
        *_images(found),
        *_trips(found),
        *_dimension(found),
    ]
    return Page(
        title=title,
        subtitle=f"{found.source}: {report.data.samples:,} points{held}",
        facts=tuple(facts),
        findings=found.summary,
        notes=found.notes,
        warning=f"The build is not complete: it ended {stopped}." if stopped and found.fitted else "",
        sections=tuple(sections),
        provenance=flat(provenance),
    )


def _picture(figure: Figure, caption: str, alternative: str, form: str = "svg") -> Picture:
    return Picture(embed(figure, form=form), caption, alternative, round(96 * figure.get_figwidth()))


def _spectrum(found: FlatExamination) -> Section:
    caption = "Left, the first principal directions one by one; right, all beyond the plane's together, layer by layer."
    return Section("Spectrum by layer", _SPECTRUM, (_picture(flat_pictures.spectrum(found), caption, "Spectrum by layer"),))


def _projections(found: FlatExamination) -> Section:
    picture = _picture(
        flat_pictures.projections(found),
        "The points along their own principal directions, before the first layer and after the last.",
        "Points before and after flattening",
        form="png",
    )
    return Section("Before and after", _PROJECTIONS, (picture,))


def _errors(found: FlatExamination) -> Section:
    picture = _picture(
        flat_pictures.errors(found), "How many of the points are decoded with less than an error.", "Distribution of errors"
    )
    return Section("Decoding", _ERRORS, (picture,), (flat_tables.errors(found),))


def _line(found: FlatExamination) -> Section:
    caption = (
        f"The decoded line stays within {found.line.distance:.2g} of the points, the straight one within "
        f"{found.line.straight_distance:.2g}; neighbors are {found.line.spacing:.2g} apart."
    )
    picture = _picture(flat_pictures.line(found), caption, "A line through the flat space, decoded", form="png")
    return Section("A straight line in the flat space", _LINE, (picture,))


def _images(found: FlatExamination) -> tuple[Section, ...]:
    if found.image_size is None:
        return ()
    caption = (
        "Points and what is decoded from their codes, by the first number of the code; below, steps along the line in the flat "
        "space, and of the straight line in space between the same ends."
    )
    picture = _picture(flat_pictures.images(found), caption, "Points, decoded points and lines as pictures", form="png")
    return (Section("As pictures", pictures=(picture,)),)


def _trips(found: FlatExamination) -> tuple[Section, ...]:
    if not flat_pictures.has_layers(found):
        return ()
    picture = _picture(
        flat_pictures.round_trips(found), "A point is a layer.", "Round trips, strengths and radii of the layers"
    )
    table = flat_tables.layers(found)
    return (Section("Layers", _TRIPS, (picture,), () if table is None else (table.first(_LONGEST),)),)


def _dimension(found: FlatExamination) -> tuple[Section, ...]:
    table = flat_tables.dimension(found)
    if table is None:
        return ()
    words = (
        "Around some points a quadratic is fitted over d directions. The number is what it leaves in its worst explained "
        "direction, over the extent of the last of the d: about one where a direction was left out, small where none was."
    )
    return (Section("Dimension", words, tables=(table,)),)
