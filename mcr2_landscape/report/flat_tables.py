"""The tables of flattened points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.flatnet import certificates
from mcr2_landscape.flatnet.findings import FOLDED, UNFOLDED
from mcr2_landscape.report.tables import Table, text

if TYPE_CHECKING:
    from mcr2_landscape.flatnet.examination import FlatExamination

_QUANTILES = (0.5, 0.9, 0.99, 1.0)


def verdicts(found: FlatExamination) -> Table:
    """One row a question, with the number that answers it and what is allowed."""
    report = found.report
    outside = max(report.tail, report.held_out_tail or 0.0)
    near = report.neighborhoods
    order = report.order
    folds = f"{order.inversions} of {order.steps} steps back" if order is not None else "–"
    trust = "too few points" if near is None else f"{near.trustworthiness:.4f} trustworthy"
    trips, question, worst, most = report.trips, "error over threshold", "no layer", "1"
    if len(trips.errors) and np.isfinite(trips.thresholds).all():
        worst = text(float((trips.errors / trips.thresholds).max()), 4)
    elif len(trips.errors):  # thresholds are for other points
        question, worst, most = "off their identity", text(float(trips.identity.max()), 2), f"{certificates.ROUNDING:g}"
    rows = [
        ("flat: variance outside the plane", report.flat.value, text(outside, 3), f"at most {report.flatness:g}"),
        (
            "not folded",
            report.unfolded.value,
            f"{folds}, {trust}" if order is not None else trust,
            f"none back, at least {FOLDED:g}" if order is not None else f"at least {UNFOLDED:g}",
        ),
        (f"round trips: {question}", report.certified.value, worst, f"at most {most}"),
        ("decoded: relative error", report.decodable.value, text(report.judged_error, 3), f"at most {report.tolerance:g}"),
        ("all of it", report.verdict.value, plural_pieces(report.data.pieces), "one piece"),
    ]
    return Table.of("Verdicts", ("question", "verdict", "found", "allowed"), rows, left=(0, 1, 2, 3))


def plural_pieces(count: int) -> str:
    """In how many pieces the data are."""
    return "one piece" if count == 1 else f"{count} pieces"


def errors(found: FlatExamination) -> Table:
    """Quantiles of the errors of points, those fitted and those held out."""
    rows = [("fitted" if found.fitted else "these points", len(found.errors), *_quantiles(found.errors))]
    if found.num_held_out:
        rows.append(("held out", found.num_held_out, *_quantiles(found.held_out_errors)))
    columns = ("points", "number", "mean", *(f"{quantile:.0%} below" for quantile in _QUANTILES))
    return Table.of("Relative errors of single points, ‖x − x̂‖² over the mean of ‖x − x̄‖²", columns, rows)


def _quantiles(values: np.ndarray) -> tuple[str, ...]:
    return text(float(values.mean()), 3), *(text(float(np.quantile(values, part)), 3) for part in _QUANTILES)


def layers(found: FlatExamination) -> Table | None:
    """One row a layer; `None` where nothing was fitted."""
    report = found.report
    if not len(found.radii):
        return None
    columns = ("layer", "outside the plane", "round trip", "threshold", "radius", "α", "move")
    rows = [
        (str(place + 1), *(text(float(number), 4) for number in numbers))
        for place, numbers in enumerate(
            zip(
                report.tails[1:], report.trips.errors, report.trips.thresholds, found.radii, found.alphas, found.moves,
                strict=True,
            )
        )
    ]  # fmt: skip
    return Table.of("Layers, for points of greatest norm one", columns, rows)


def dimension(found: FlatExamination) -> Table | None:
    """What speaks for the dimension; `None` where it was given."""
    estimate = found.report.estimate
    if estimate is None:
        return None
    rows = [
        (str(d), text(float(share), 3), f"{votes} of {estimate.centers}")
        for d, share, votes in zip(estimate.candidates, estimate.unexplained, estimate.votes, strict=True)
    ]
    caption = f"Dimensions tried; a direction counts as explained up to {estimate.tolerance:g}"
    return Table.of(caption, ("dimension", "worst explained direction", "votes"), rows)
