"""What goes on the page of an examined game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcr2_landscape.report import ctrl_pictures, ctrl_tables
from mcr2_landscape.report.page import Page, Picture, Section, flat
from mcr2_landscape.report.style import embed
from mcr2_landscape.report.tables import NONE, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcr2_landscape.ctrl.examination import Examination

# Rows of a table on a page; the JSON file has them all.
_LONGEST = 300


def ctrl_page(result: Examination, provenance: Mapping[str, Any]) -> Page:
    """The report of `ctrl`."""
    found, count = result.equilibrium, len(result.classes)
    kept = sum(c.kept for c in result.classes)
    facts = (
        ("optimum", NONE if result.optimum is None else text(result.optimum.value, 6)),
        ("upper bound", text(result.upper_bound, 6)),
        ("equilibrium found" if found.converged else "best encoder found", text(found.value, 6)),
        ("gap", text(max(found.gap, 0.0), 3)),
        ("dimensions kept", f"{kept} of {result.total_rank}"),
        ("d_z", str(result.dim)),
        ("epsilon", text(result.epsilon)),
        ("all kept for epsilon below", text(result.injectivity_epsilon, 5)),
    )
    return Page(
        title="The game between encoder and decoder on these data",
        subtitle=f"{result.source}: {result.num_samples} samples of {result.ambient_dim} features, {count} classes",
        facts=facts,
        findings=result.summary,
        advice=result.advice,
        notes=result.notes,
        warning="The search was interrupted: the equilibrium is the best that it had found." if result.interrupted else "",
        sections=(
            Section("Hypotheses", _HYPOTHESES, tables=(ctrl_tables.hypotheses(result),)),
            Section("Optimum and equilibrium", tables=(ctrl_tables.values(result),)),
            _classes(result),
            Section("Spectra", pictures=(_spectra(result),)),
            Section("Similarity of the samples", pictures=(_cosines(result),)),
            Section("Distances to the subspaces", pictures=(_residuals(result),)),
            Section("Angles between the classes", pictures=(_angles(result),)),
        ),
        provenance=flat(provenance),
    )


_HYPOTHESES = (
    "Under these the theorem of Pai et al. (arXiv 2206.09120) says what the equilibria are. Its precision condition is given "
    "as it is recalled, which is too weak, and as it must be."
)


def _picture(figure: Figure, caption: str, alternative: str, form: str = "svg") -> Picture:
    return Picture(embed(figure, form=form), caption, alternative, round(96 * figure.get_figwidth()))


def _first_classes(result: Examination) -> str:
    shown = ctrl_pictures.PANELS
    return "" if len(result.classes) <= shown else f" The first {shown} classes are shown."


def _classes(result: Examination) -> Section:
    words = (
        "Best alone: the number m* of equal directions at which a class adds most. A class is kept whole at every equilibrium "
        "where N_j/r_j, N_j = (d_z/ε²)√γ_j, is above what is needed. Variance kept: the share of the class's squared norm that "
        "is a linear function of its code; possible: what other encoders that keep as many directions reach. Tied: another "
        "number of directions that adds as much as the best."
    )
    if result.on_samples is not None:
        words += (
            " Left out: the share of the class's squared norm that the rank tolerance left out. Everything else here is of "
            "what it leaves."
        )
    caption = (
        "What m equal directions of a class add to the encoder's utility. Beyond the best number each direction gets too "
        f"little of the norm to pay.{_first_classes(result)}"
    )
    picture = _picture(ctrl_pictures.profiles(result), caption, "Utility of a class against its number of directions")
    lost = ctrl_tables.directions(result)
    tables = (ctrl_tables.classes(result).first(_LONGEST), *(() if lost is None else (lost.first(_LONGEST),)))
    return Section("What the encoder keeps", words, (picture,), tables)


def _cut(result: Examination) -> str:
    if result.on_samples is None:
        return " What the rank tolerance cut off is left out."
    shares = [c.left_out for c in result.classes]
    return (
        f" What the rank tolerance cut off, up to {max(shares):.2%} of a class's squared norm, is left out in all four: on the "
        "samples as they are the codes are larger."
    )


def _spectra(result: Examination) -> Picture:
    caption = (
        "Singular values of the data, their codes, what the decoder makes of the codes, and the codes of that. At an "
        "equilibrium those of f(X_j) that are not zero are equal (dotted: their level), and fgf(X_j) has the same."
        f"{_cut(result)}{_first_classes(result)}"
    )
    return _picture(ctrl_pictures.spectra(result), caption, "Singular values of X, f(X), gf(X) and fgf(X)")


def _whole(result: Examination) -> str:
    if result.on_samples is None:
        return ""
    return (
        " The samples are shown as they are, with what the rank tolerance left out: that part of them is in f(X) too, and need "
        "not keep to the blocks."
    )


def _cosines(result: Examination) -> Picture:
    thinned = " Classes were thinned out evenly." if result.images.cosine_classes.size < result.num_samples else ""
    caption = (
        "Absolute cosines between samples, sorted by class. At an equilibrium with independent classes only the blocks on the "
        f"diagonal are dark in f(X) and fgf(X).{thinned}{_whole(result)}"
    )
    return _picture(ctrl_pictures.cosines(result), caption, "Cosines between samples of X, f(X) and fgf(X)", form="png")


def _residuals(result: Examination) -> Picture:
    images = result.images
    thinned = f" {images.sample_classes.size} samples, chosen evenly from each class." if images.thinned else ""
    caption = (
        "Distances of gf(x) to the subspaces S_j of the classes, and of fgf(x) to their images f(S_j), relative to the norm. "
        "At every best response fgf(x) lies in the image of its own class; that gf(x) lies in S_j is not asked for by the game."
        f"{thinned}{_whole_distances(result)}"
    )
    return _picture(ctrl_pictures.residuals(result), caption, "Distances of decoded samples to the subspaces of the classes")


def _whole_distances(result: Examination) -> str:
    return (
        "" if result.on_samples is None else " Here too the samples are as they are, which lie off the subspaces that are left."
    )


def _angles(result: Examination) -> Picture:
    caption = (
        "The smallest principal angle between the subspaces of each two classes, in degrees; 0 where they share a direction. "
        "The optimum does not depend on the angles as long as the classes are independent."
    )
    return _picture(ctrl_pictures.angles(result), caption, "Smallest principal angles between classes")
