"""What was found of points and a network, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcr2_landscape.flatnet.build import Stop
from mcr2_landscape.flatnet.findings import FOLDED, UNFOLDED
from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from mcr2_landscape.flatnet.examination import FlatExamination
    from mcr2_landscape.flatnet.findings import FlatReport

_STOPPED: dict[Stop | None, str] = {
    Stop.ITERATIONS: "; the build ended at its number of layers tried, and more may change that",
    Stop.TIME: "; the build ended at its time limit, and more layers may change that",
}


def summary(found: FlatExamination) -> tuple[str, ...]:
    """The verdict, what it rests on, the dimension, and the line through the flat space."""
    report = found.report
    said = [_headline(found), _flat(found), _folded(report), _certified(found), _decoded(found), _dimension(found)]
    return (*said, _line(found))


def nothing_to_flatten(report: FlatReport) -> bool:
    """Whether the code has as many dimensions as the space, so that there is no layer."""
    return not report.num_layers and report.dimension == report.data.features


def flat_as_they_came(report: FlatReport) -> bool:
    """Whether the points lie in a plane of so many dimensions without any layer."""
    return not report.num_layers and report.flat is Verdict.HOLDS


def plural(count: int, word: str) -> str:
    """1 layer, 2 layers."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _headline(found: FlatExamination) -> str:
    report, because = found.report, _because(found.report)
    where = plural(report.dimension, "dimension")
    if nothing_to_flatten(report):
        what = "Nothing was flattened" if found.fitted else "The network flattens nothing"
        verdict = {Verdict.HOLDS: "holds", Verdict.REFUTED: "is refuted", Verdict.UNDECIDED: "is undecided"}[report.verdict]
        return (
            f"{what}: the points have {plural(report.dimension, 'feature')} and the code has as many dimensions, so that it is "
            f"the points in other coordinates. The verdict {verdict}{because}."
        )
    if report.verdict is Verdict.HOLDS:
        if flat_as_they_came(report):
            return f"The points lie in {where} as they came, without a layer, as far as they tell: the verdict holds."
        if found.fitted:
            return f"Flattened to {where} and decoded, as far as these points tell: the verdict holds."
        return f"The network flattens these points to {where} and decodes them, as far as they tell: the verdict holds."
    if report.verdict is Verdict.UNDECIDED and found.fitted:
        return f"Whether the points can be flattened to {where} and decoded is undecided{because}."
    if report.verdict is Verdict.UNDECIDED:
        return f"Whether the network flattens these points to {where} and decodes them is undecided{because}."
    what = "The points are not flattenable" if found.fitted else "The network does not flatten and decode these points"
    return f"{what} to {where} at this tolerance: refuted{because}."


def _because(report: FlatReport) -> str:
    """What a verdict that does not hold rests on."""
    if report.verdict is Verdict.HOLDS:
        return ""
    parts = {
        "flatness": report.flat,
        "the folds of the code": report.unfolded,
        "the layers' round trips": report.certified,
        "the error of decoding": report.decodable,
    }
    causes = [name for name, part in parts.items() if part is report.verdict]
    if report.data.pieces > 1 and report.verdict is Verdict.UNDECIDED:
        causes.append("the pieces that the data fall into")
    return f", by {_listed(causes)}" if causes else ""


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _flat(found: FlatExamination) -> str:
    report = found.report
    if nothing_to_flatten(report):
        return f"Flat: a space of {plural(report.dimension, 'dimension')} has nothing outside them."
    undecided = "Perhaps not flat" if report.stop is not None and report.stop.complete else "Not flat yet"
    word = {Verdict.HOLDS: "Flat", Verdict.REFUTED: "Not flat", Verdict.UNDECIDED: undecided}[report.flat]
    held = ""
    if report.held_out_tail is not None and found.fitted:
        held = f", of held-out points {report.held_out_tail:.2g}"
    elif report.held_out_tail is not None and report.held_out_tail > report.tail:
        held = f", and {report.held_out_tail:.2g} about the plane of the points that were fitted"
    ended = _ended(report) if found.fitted and report.flat is not Verdict.HOLDS else ""
    if found.fitted and report.data.span <= report.dimension:
        ended += (
            f"; the points fitted reach {plural(report.data.span, 'dimension')}, so that they are flat as they came: "
            "only others could tell more"
        )
    where = f"of the variance outside {plural(report.dimension, 'dimension')}{held};"
    if not report.num_layers:
        return f"{word}: without a layer there is {report.tail:.2g} {where} {report.flatness:g} is allowed{ended}."
    leave = f"{plural(report.num_layers, 'layer')} leave{'s' if report.num_layers == 1 else ''}"
    return (
        f"{word}: {leave} {report.tail:.2g} {where} before it was {report.tails[0]:.2g}, and {report.flatness:g} is "
        f"allowed{ended}."
    )


def _ended(report: FlatReport) -> str:
    """Why there are no more layers: where the build ended by itself the report's own reason."""
    if report.stop in _STOPPED:
        return _STOPPED[report.stop]
    reason = next((words for words in report.reasons if words.startswith("not flat:")), "")
    why = reason.rpartition(" is allowed, and ")[2]
    why = why.replace(", fewer dimensions, or a larger most_radius", " or fewer dimensions")
    return f"; {why}" if why else ""


def _folded(report: FlatReport) -> str:
    order, near = report.order, report.neighborhoods
    said = []
    if order is not None:
        known = "the known order" if order.known else "the order of neighbors"
        back = f"{order.inversions} of {order.steps} steps along the curve, by {known}, go back in the code"
        said.append(back + (f" and {order.ties} do not change it" if order.ties else ""))
    if near is not None:
        # An order says more of a fold than neighborhoods do.
        asked = (
            f"less than {FOLDED:g} is a fold"
            if order is not None
            else f"{UNFOLDED:g} is asked for, less than {FOLDED:g} is a fold"
        )
        said.append(
            f"trustworthiness of neighborhoods is {near.trustworthiness:.4f} ({asked}) and continuity {near.continuity:.4f}"
        )
    else:
        said.append("fewer than four different points do not tell a fold")
    evidence = ", and ".join(said)
    if report.unfolded is Verdict.HOLDS:
        known = order is not None or nothing_to_flatten(report)
        proof = "" if known else "; that is no proof, since a small fold hardly shows"
        return f"No fold seen: {evidence}{proof}."
    word = "Folded" if report.unfolded is Verdict.REFUTED else "Perhaps folded"
    return f"{word}: {evidence}."


def _certified(found: FlatExamination) -> str:
    report, trips = found.report, found.report.trips
    if not len(trips.errors):
        return "Round trips: there is no layer whose round trip could miss."
    identity = f"their identity is met to {trips.identity.max():.1g} and their exact inverse to {trips.inverse.max():.1g}"
    if not found.fitted:
        word = "as derived" if report.certified is Verdict.HOLDS else "NOT as derived"
        return (
            f"Round trips of the layers are {word}: {identity}. Thresholds are for the points that were fitted, not for these."
        )
    most = float((trips.errors / trips.thresholds).max())
    word = "every" if report.certified is Verdict.HOLDS else "NOT every"
    return (
        f"Round trips: {word} layer stays within its threshold (half the mean square error is {most:.3f} of it at most), and "
        f"{identity}."
    )


def _decoded(found: FlatExamination) -> str:
    report = found.report
    if not found.fitted:
        return f"Decoded with a relative error of {report.error:.2g} on these points; {report.tolerance:g} is allowed."
    said = [f"{report.error:.2g} on the points fitted"]
    if report.left_out_error is not None:
        said.append(f"{report.left_out_error:.2g} on points left out of the refit")
    if report.held_out_error is not None:
        said.append(f"{report.held_out_error:.2g} on {plural(found.num_held_out, 'held-out point')}")
    refit = f"; without the refit {report.local_error:.2g}" if report.ridge is not None else ", without a refit"
    return f"Decoded with a relative error of {', '.join(said)}{refit}; {report.tolerance:g} is allowed."


def _dimension(found: FlatExamination) -> str:
    report, estimate = found.report, found.report.estimate
    if not found.fitted:
        return f"The dimension, {report.dimension}, is the network's."
    if estimate is None and report.data.samples - report.data.duplicates < 3:
        return "The dimension is 1, since only two different points were fitted."
    if estimate is None:
        return f"The dimension, {report.dimension}, was given."
    votes = f"{estimate.votes[estimate.dimension - 1]} of {estimate.centers}" if estimate.agreement else "none"
    near = f"two nearest neighbors say {estimate.neighbors:.2f}"
    if estimate.rule == "quadratics":
        return f"The dimension, {estimate.dimension}, is that of {votes} quadratics around points of the data; {near}."
    return f"The dimension, {estimate.dimension}, is that of neighbors ({near}): quadratics around points do not agree on one."


def _line(found: FlatExamination) -> str:
    line = found.line
    unit = f"The unit is the root mean square distance from the mean; neighbors are {line.spacing:.2g} apart."
    if not found.report.num_layers:
        return (
            "Without a layer decoded points along a straight line of codes are on a straight line in space: it gets "
            f"{line.distance:.2g} away from the data. {unit}"
        )
    return (
        f"Decoded points along a straight line in the flat space stay within {line.distance:.2g} of the data; a straight line "
        f"in space between the same ends gets {line.straight_distance:.2g} away from them. {unit}"
    )
