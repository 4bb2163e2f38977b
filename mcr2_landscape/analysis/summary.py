"""What an analysis found, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcr2_landscape.verdict import Kind

if TYPE_CHECKING:
    from mcr2_landscape.analysis.results import FeatureAnalysis


def summarize(result: FeatureAnalysis) -> tuple[str, ...]:
    """The objective, the kind of point, the curvature, the signs, where ascent leads."""
    rates, target = result.rates, result.target
    nothing = target.gap <= 1e-12 * max(1.0, abs(target.value))
    words = [
        f"The objective is F = {rates.value:.6g}: the rate reduction {rates.rate_reduction:.6g} less the penalty "
        f"{rates.penalty:.6g}. The global maximum is {target.value:.6g}"
        + (": nothing is missing." if nothing else f", so {target.gap:.6g} is missing.")
    ]
    if rates.value < 0:
        anywhere = "" if result.pays_at_some_scale else ", whatever factor the features are multiplied by"
        words.append(f"F is negative{anywhere}: by this objective no features at all (Z = 0, F = 0) would be better.")
    words.append(_place(result, nothing))
    if result.position.kind is not Kind.LOCAL_MAXIMIZER and result.curvature.escapes:
        words.append(_curvature(result))
    words.append(_signs(result))
    if result.endpoint is not None:
        words.append(_climb(result))
    if any("{" in word for word in words):
        words.append("Numbers in braces are classes, counted from 1 in the order of the table of classes.")
    return tuple(words)


def shorten(label: str, length: int = 100) -> str:
    """A family's label for a sentence: with a hundred classes it would fill a page. The table of classes has the ranks."""
    return label if len(label) <= length else label[: length - 1].rstrip() + "…"


def _place(result: FeatureAnalysis, is_best: bool) -> str:
    place = result.position
    if place.kind is Kind.LOCAL_MAXIMIZER:
        family = shorten(place.family or "unknown")
        return f"The features are a {'global' if is_best else 'local'} maximizer, of the family {family}."
    if place.kind is Kind.NOT_CRITICAL:
        words = f"The features are no critical point: their relative gradient norm is {place.relative_gradient_norm:.2g}"
        if place.family is not None and place.family_distance is not None:
            near = place.family_distance
            share = f"{near:.2%}" if near >= 1e-4 else f"{near:.1e}"
            words += f". They lie near the family {shorten(place.family)} (kind: {place.family_kind}), at {share} of its norm"
        return words + "."
    if place.kind is Kind.UNDECIDED:
        return f"The features are a critical point, of a kind that is undecided: {place.reason}."
    return f"The features are a critical point of the kind {place.kind.value}: {place.reason}."


def _curvature(result: FeatureAnalysis) -> str:
    share = result.curvature.top_eigenvalue / result.curvature.bound
    percent = f"{share:.0%}" if share >= 0.01 else "less than 1%"
    return (
        f"The landscape curves upward along the steepest direction with {result.curvature.top_eigenvalue:.4g}, {percent} of "
        "the largest curvature that this problem can have anywhere."
    )


def _signs(result: FeatureAnalysis) -> str:
    place = result.position
    words = [
        f"{where} along {_between(bracket)}"
        for bracket, where in ((place.positive, "up"), (place.negative, "down"), (place.zero, "neither way"))
        if bracket != (0, 0)
    ]
    return f"Of its {place.inertia.total:,} independent directions the landscape curves {', '.join(words)}."


def _between(bracket: tuple[int, int]) -> str:
    low, high = bracket
    if low == high:
        return f"{low:,}"
    return f"{low:,} to {high:,}" if low else f"at most {high:,}"


def _climb(result: FeatureAnalysis) -> str:
    end = result.endpoint
    assert end is not None
    if result.position.kind is Kind.LOCAL_MAXIMIZER:
        return "Ascent from here does not move."
    best = result.target.value
    if end.converged and end.family == "zero":
        return "Ascent from here collapses to Z = 0."
    how = "ends at" if end.converged else ("was interrupted at" if end.interrupted else "stopped before it converged, at")
    share = f", {end.value / best:.1%} of the global maximum" if best > 0 and end.value >= 0 else ""
    distance = f"{end.relative_distance:.1%}" if end.relative_distance < 9.995 else f"{end.relative_distance:.0f} times"
    return (
        f"Ascent from here {how} {shorten(end.family)} with F = {end.value:.6g}{share}. It moves the features by {distance} of "
        "their norm."
    )
