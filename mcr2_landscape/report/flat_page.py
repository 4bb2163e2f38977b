"""What goes on the page of flattened points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcr2_landscape.flatnet.build import Stop
from mcr2_landscape.flatnet.sentences import flat_as_they_came, nothing_to_flatten
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
_STOPPED: dict[Stop | None, str] = {Stop.TIME: "at its time limit", Stop.ITERATIONS: "at its number of layers tried"}
_VERDICTS = (
    "A verdict is that these points, at these tolerances, were flattened by these layers or were not: another threshold or "
    "more layers may find otherwise. Layers are diffeomorphisms of the whole space, but a code of fewer dimensions may still "
    "fold."
)
_NO_LAYER = (
    "There is no layer: the code is what points are along the first principal directions of those that were fitted, and "
    "decoding goes back along these."
)
_LAYERS = "Each layer keeps the coordinates along a tangent plane and shrinks what is beside it. "
_SPECTRUM = (
    "Flat means that all that is outside the first d principal directions is at most what is allowed; of held-out points it is "
    "measured once, at the end."
)
_TRIPS = (
    "The round trip of a layer misses by κ(x) times what its quadratic misses, exactly. The strength α is chosen so that half "
    "of its mean square stays within the threshold, which is the certificate of the layer."
)
_PROJECTIONS = (
    "Axes have equal scales, so that what is flat looks flat. Colors follow the first number of the code, from dark to bright: "
    "where colors mix, far points come together."
)
_ERRORS = "Errors of single points; thin lines are the means, which are what the verdict compares."
_LINE = "Decoded codes on a straight line between the two that are farthest apart along the first number of the code. "
_BENT = "On a manifold that was flattened well the decoded line follows the points, where a straight line in space leaves them."
_STRAIGHT = "Without a layer the decoded line is a straight line in space."


def flat_page(found: FlatExamination, provenance: Mapping[str, Any]) -> Page:
    """The report of `flatten`."""
    report = found.report
    fresh = report.judged_error in (report.held_out_error, report.left_out_error)
    facts = [
        ("verdict", report.verdict.value),
        ("dimension", f"{report.dimension} of {report.data.features}"),
        ("layers", f"{report.num_layers:,}"),
        ("outside the plane", text(max(report.tail, report.held_out_tail or 0.0), 3)),
        ("error on new points" if fresh else "error", text(report.judged_error, 3)),
        ("processor time", f"{report.processor_seconds:.1f} s"),
    ]
    held = f", {found.num_held_out:,} held out" if found.num_held_out else ""
    stopped = _STOPPED.get(report.stop)
    sections = [
        Section("Verdicts", _VERDICTS if report.num_layers else _NO_LAYER, tables=(flat_tables.verdicts(found),)),
        _spectrum(found),
        _projections(found),
        _errors(found),
        _line(found),
        *_images(found),
        *_trips(found),
        *_dimension(found),
    ]
    return Page(
        title=_title(found),
        subtitle=f"{found.source}: {report.data.samples:,} points{held}",
        facts=tuple(facts),
        findings=found.summary,
        notes=found.notes,
        warning=f"The build is not complete: it ended {stopped}." if stopped else "",
        sections=tuple(sections),
        provenance=flat(provenance),
    )


def _title(found: FlatExamination) -> str:
    report = found.report
    if not found.fitted:
        return "Points transformed by a network"
    if nothing_to_flatten(report):
        return "Nothing to flatten: the code has as many dimensions as the space"
    if report.verdict is Verdict.HOLDS and flat_as_they_came(report):
        return "Flat as they came, and decoded"
    return _TITLES[report.verdict]


def _picture(figure: Figure, caption: str, alternative: str, form: str = "svg") -> Picture:
    return Picture(embed(figure, form=form), caption, alternative, round(96 * figure.get_figwidth()))


def _spectrum(found: FlatExamination) -> Section:
    layers = found.report.num_layers > 0
    title = "Spectrum by layer" if layers else "Spectrum"
    caption = "Left, the first principal directions one by one; right, all beyond the plane's together"
    picture = _picture(flat_pictures.spectrum(found), f"{caption}, layer by layer." if layers else f"{caption}.", title)
    return Section(title, (_LAYERS if layers else "") + _SPECTRUM, (picture,))


def _projections(found: FlatExamination) -> Section:
    figure, caption = flat_pictures.projections(found), "The points along their own principal directions"
    if not found.report.num_layers:
        return Section("The points", _PROJECTIONS, (_picture(figure, f"{caption}.", "The points", form="png"),))
    caption += ", before the first layer and after the last."
    return Section("Before and after", _PROJECTIONS, (_picture(figure, caption, "Points before and after flattening", "png"),))


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
    return Section("A straight line in the flat space", _LINE + (_BENT if found.report.num_layers else _STRAIGHT), (picture,))


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
