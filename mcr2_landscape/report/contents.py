"""What goes on the page of each command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcr2_landscape.analysis.summary import shorten
from mcr2_landscape.report import pictures, tables
from mcr2_landscape.report.page import Page, Picture, Section, flat
from mcr2_landscape.report.scatter import value_against_index
from mcr2_landscape.report.style import embed
from mcr2_landscape.report.tables import text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcr2_landscape.analysis import CatalogListing, FeatureAnalysis, SurveyResult
    from mcr2_landscape.closed_form import Parameters

# Rows of a table on a page; the JSON file has them all.
_LONGEST = 300


def analysis_page(result: FeatureAnalysis, provenance: Mapping[str, Any]) -> Page:
    """The report of `analyze`."""
    default = " (half of the limit)" if result.regularization_defaulted else ""
    facts = (
        ("objective F", text(result.rates.value, 5)),
        ("global maximum", text(result.target.value, 5)),
        ("gap", text(result.gap, 5)),
        ("after ascent", text(result.endpoint.value, 5) if result.endpoint else tables.NONE),
        ("kind of point", result.position.kind.value),
        ("relative gradient", text(result.position.relative_gradient_norm, 3)),
        ("epsilon", text(result.epsilon)),
        (f"lambda{default}", text(result.regularization, 5)),
    )
    climb = pictures.path(result)
    climb_section = () if climb is None else (_climb_section(result, climb),)
    return Page(
        title="Where the features sit in the landscape",
        subtitle=f"{result.source}: {result.num_samples} samples of {result.dim} features in {len(result.classes)} classes",
        facts=facts,
        findings=result.summary,
        advice=result.advice,
        notes=result.notes,
        warning="The ascent was interrupted: its end is where it had got to." if result.interrupted else "",
        sections=(
            _classes_section(result),
            Section("Similarity of the samples", pictures=(_similarity(result),)),
            *climb_section,
            Section("Curvature", pictures=(_curvature(result),), tables=(tables.signs(result),)),
            Section("Regularization", pictures=(_thresholds(result),)),
            Section("Rates", tables=(tables.rates(result),)),
        ),
        provenance=flat(provenance),
    )


def _picture(figure: Figure, caption: str, alternative: str, form: str = "svg") -> Picture:
    return Picture(embed(figure, form=form), caption, alternative, round(96 * figure.get_figwidth()))


def _classes_section(result: FeatureAnalysis) -> Section:
    shown = "" if len(result.classes) <= 20 else " The first 20 classes are shown."
    caption = (
        "Singular values of each class. At a local maximizer those of a class are all equal, to its ideal level, or zero, and "
        f"different classes are orthogonal. A bar on the level shows how many directions are left where ascent ends.{shown}"
    )
    spectra = _picture(pictures.spectra(result), caption, "Singular values of each class against their ideal level")
    explained = (
        "Effective rank: exponential of the entropy of the squared singular values' shares. Participation: inverse of the "
        "sum of "
        "their squared shares. Coherence: largest cosine between the leading subspace of the class and that of another, the "
        "one "
        "named. λ_k: above it the class is zero at every critical point. λ_k°: above it the global maximum leaves the class "
        "out."
    )
    return Section("Classes", explained, (spectra,), (tables.classes(result).first(_LONGEST),))


def _similarity(result: FeatureAnalysis) -> Picture:
    thinned = " Classes were thinned out evenly." if result.similarity.shape[0] < result.num_samples else ""
    caption = (
        "Absolute cosines between samples, sorted by class. At a local maximizer with every class in use only the blocks on "
        "the "
        f"diagonal are dark.{thinned}"
    )
    return _picture(pictures.similarity(result), caption, "Cosines between samples by class", form="png")


def _climb_section(result: FeatureAnalysis, picture: Figure) -> Section:
    end = result.endpoint
    assert end is not None
    known = "recognized by theory" if end.recognized else "described by its ranks; theory does not recognize the point"
    words = (
        f"Ends at {shorten(end.family)} ({known}) with F = {text(end.value)}, {text(end.gap, 4)} below the global maximum, "
        "after "
        f"{end.num_gradients} gradients: {end.reason}. Distance travelled: {text(end.distance, 4)}, "
        f"{end.relative_distance:.1%} of the "
        "features' norm."
    )
    caption = "What is missing to the global maximum, and the gradient, along the ascent."
    return Section("Ascent from the features", words, (_picture(picture, caption, "Progress of the ascent"),))


def _curvature(result: FeatureAnalysis) -> Picture:
    c = result.curvature
    caption = (
        "Estimated density of the Hessian's eigenvalues (smoothed; stochastic Lanczos quadrature). The dotted line is the "
        "largest one, "
        f"{text(c.top_eigenvalue, 5)} ± {text(c.residual, 2)}; no Hessian of this problem has one above {text(c.bound, 5)}."
    )
    return _picture(pictures.curvature(result), caption, "Density of Hessian eigenvalues")


def _thresholds(result: FeatureAnalysis) -> Picture:
    caption = (
        "For each class, up to which regularization its directions pay (λ_k°), and up to which critical points have such "
        "directions "
        f"at all (λ_k). The limit λ_max = {text(result.regularization_limit, 5)} is the smallest λ_k."
    )
    return _picture(pictures.thresholds(result), caption, "Thresholds of each class against the regularization")


def survey_page(result: SurveyResult, plain: Mapping[str, Any], provenance: Mapping[str, Any]) -> Page:
    """The report of `survey`; `plain` is the result's plain form."""
    return Page(
        title="Survey of the landscape",
        subtitle=describe(result.parameters),
        facts=(
            ("families found", str(len(result.found))),
            ("not in the catalog", str(len(result.unlisted))),
            ("orthogonal families", f"{result.num_orthogonal_found} of {result.num_orthogonal}"),
            ("global maximum", text(result.maximum, 5)),
            ("starts converged", f"{result.num_converged} of {result.num_starts}"),
            ("lambda / limit", text(result.parameters.regularization / result.regularization_limit, 3)),
        ),
        findings=survey_findings(result),
        warning="The search was interrupted: this is what it had found." if result.interrupted else "",
        sections=(
            Section("Value and index", pictures=(_scatter(plain),)),
            Section("Found", tables=(tables.found(result).first(_LONGEST),)),
            Section("Catalog", tables=(tables.listed(result).first(_LONGEST),)),
        ),
        provenance=flat(provenance),
    )


def survey_findings(result: SurveyResult) -> tuple[str, ...]:
    """What a survey found, in sentences."""
    words = [
        f"{result.num_converged} of {result.num_starts} starts converged, to {len(result.found)} different families of "
        "critical points; "
        f"{result.num_orthogonal_found} of the {result.num_orthogonal} orthogonal families are among them."
    ]
    if result.unlisted:
        words.append(
            f"{len(result.unlisted)} of them are in no catalog. Such a point is a discovery or a defect: search again with "
            "another seed, "
            "and classify it at higher precision."
        )
    elif result.found:
        words.append("Theory recognizes every one of them.")
    maximum = f"the global maximum {text(result.maximum)} ({shorten(result.maximum_family)})"
    words.append(f"{maximum[0].upper()}{maximum[1:]} was {'found' if result.maximum_found else 'not found'}.")
    if result.unconverged:
        words.append("Other starts: " + ", ".join(f"{count} {name}" for name, count in result.unconverged.items()) + ".")
    words.append("A search never proves that its list is complete.")
    return tuple(words)


def catalog_page(result: CatalogListing, plain: Mapping[str, Any], provenance: Mapping[str, Any]) -> Page:
    """The report of `catalog`; `plain` is the result's plain form."""
    return Page(
        title="Catalog of critical points",
        subtitle=describe(result.parameters),
        facts=(
            ("global maximum", text(result.maximum, 5)),
            ("limit of lambda", text(result.regularization_limit, 5)),
            ("orthogonal families", str(result.num_orthogonal)),
            ("listed", f"{len(result.listed)}{' (all)' if result.listed_all else ''}"),
        ),
        findings=catalog_findings(result),
        sections=(
            Section("Classes", tables=(tables.class_thresholds(result).first(_LONGEST),)),
            Section("Value and index", pictures=(_scatter(plain),)),
            Section("Families", tables=(tables.listed(result).first(_LONGEST),)),
        ),
        provenance=flat(provenance),
    )


def catalog_findings(result: CatalogListing) -> tuple[str, ...]:
    """What the catalog says, in sentences."""
    p = result.parameters
    unique = "its points are the only global maximizers" if result.maximum_unique else "other families reach the same value"
    words = [f"The global maximum {text(result.maximum)} is attained by {shorten(result.maximum_family)}; {unique}."]
    gone = [k + 1 for k, limit in enumerate(result.existence_thresholds) if p.regularization > limit]
    if gone:
        words.append(f"lambda is above the threshold of class {', '.join(map(str, gone))}: zero at every critical point.")
    return tuple(words)


def _scatter(plain: Mapping[str, Any]) -> Picture:
    caption = "Value of the objective against the Morse index. Larger markers were reached from more starts."
    if not plain.get("found"):
        caption = "Value of the objective against the Morse index, for the families that are listed."
    return _picture(value_against_index(plain), caption, "Value against Morse index")


def describe(p: Parameters) -> str:
    """The problem in one line."""
    sizes = ", ".join(map(str, p.sizes[:12])) + (", …" if p.num_classes > 12 else "")
    return f"d = {p.dim}, classes of {sizes} samples, epsilon = {p.epsilon:g}, lambda = {text(p.regularization)}"
