"""What was found and what to change, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.verdict import Kind

if TYPE_CHECKING:
    from mcr2_landscape.analysis.preparation import Prepared
    from mcr2_landscape.analysis.results import ClassSummary, FeatureAnalysis

# The features' size is worth a word when it is off by more than this factor.
_OFF_SCALE = 2.0
_FLAT, _SATURATED = 0.05, 1e4


def summarize(result: FeatureAnalysis) -> tuple[str, ...]:
    """What was found: the objective, the kind of point, where ascent leads."""
    rates, target, place = result.rates, result.target, result.position
    words = [
        f"The objective is F = {rates.value:.6g}: the rate reduction {rates.rate_reduction:.6g} less the penalty "
        f"{rates.penalty:.6g}. The global maximum is {target.value:.6g}, so {target.gap:.6g} is missing."
    ]
    if rates.value < 0:
        words.append("F is negative: by this objective no features at all (Z = 0, F = 0) would be better.")
    words.append(_place(result))
    if place.kind is not Kind.LOCAL_MAXIMIZER and result.curvature.escapes:
        share = result.curvature.top_eigenvalue / result.curvature.bound
        words.append(
            f"The landscape curves upward along the steepest direction with {result.curvature.top_eigenvalue:.4g}, "
            f"{share:.0%} of "
            "the largest curvature that this problem has anywhere."
        )
    if result.endpoint is not None:
        words.append(_climb(result))
    return tuple(words)


def _place(result: FeatureAnalysis) -> str:
    place = result.position
    if place.kind is Kind.LOCAL_MAXIMIZER:
        best = result.target.gap <= 1e-9 * max(1.0, abs(result.target.value))
        return f"The features are a {'global' if best else 'local'} maximizer, of the family {place.family or 'unknown'}."
    if place.kind is Kind.NOT_CRITICAL:
        share = f"{place.relative_gradient_norm:.2g}"
        words = f"The features are no critical point: the gradient is {share} of the terms that cancel in it"
        if place.family is not None:
            words += f"; they lie within {place.family_distance:.2%} of the family {place.family}"
        return words + "."
    if place.kind is Kind.UNDECIDED:
        return f"The features are a critical point, of a kind that is undecided: {place.reason}."
    return f"The features are a critical point of the kind {place.kind.value}: {place.reason}."


def _climb(result: FeatureAnalysis) -> str:
    end = result.endpoint
    assert end is not None
    if result.position.kind is Kind.LOCAL_MAXIMIZER:
        return "Ascent from here does not move."
    how = "ends at" if end.converged else ("was interrupted at" if end.interrupted else "stopped before it converged, at")
    return (
        f"Ascent from here {how} {end.family} with F = {end.value:.6g}. It closes {_percent(end.gap_closed)} of the gap and "
        "moves the "
        f"features by {_percent(end.relative_distance)} of their norm."
    )


def advise(result: FeatureAnalysis, data: Prepared, *, even_value: float | None, mean_share: float) -> tuple[str, ...]:
    """What to change, the most consequential first. Empty if nothing is wrong."""
    words = [
        *_regularization(result),
        *_size(result),
        *_spread(result, even_value),
        *_common_mean(result, mean_share),
        *_data(result, data),
        *_stuck(result),
    ]
    return tuple(words)


def _regularization(result: FeatureAnalysis) -> list[str]:
    strength, words = result.regularization, []
    gone = [c for c in result.classes if strength > c.existence_threshold]
    if gone:
        words.append(
            f"lambda = {strength:.4g} is above the threshold lambda_k of {_named(gone)} "
            f"({_range(gone, 'existence_threshold')}), which "
            f"{'are' if len(gone) > 1 else 'is'} zero at every critical point. Choose lambda below "
            f"{result.regularization_limit:.4g}; "
            f"half of that, {0.5 * result.regularization_limit:.4g}, is the default."
        )
    costly = [c for c in result.classes if c.value_threshold < strength <= c.existence_threshold]
    if costly:
        least = min(c.value_threshold for c in result.classes)
        words.append(
            f"lambda = {strength:.4g} is above the value threshold lambda_k° of {_named(costly)} "
            f"({_range(costly, 'value_threshold')}): "
            f"local maximizers may still use {'them' if len(costly) > 1 else 'it'}, the global maximum does not. Choose "
            "lambda below "
            f"{least:.4g} to keep every class."
        )
    return words


def _size(result: FeatureAnalysis) -> list[str]:
    factor = result.scale
    if 1 / _OFF_SCALE <= factor <= _OFF_SCALE:
        return []
    p = result.problem.parameters
    strongest = max(float(alpha * c.singular_values[0] ** 2) for alpha, c in zip(p.alphas, result.classes, strict=True))
    weakest = min(
        (
            float(p.alpha * np.median(c.singular_values[c.singular_values > 1e-9 * c.singular_values[0]]) ** 2)
            for c in result.classes
            if c.singular_values[0] > 0
        ),
        default=0.0,
    )
    what = f"The features are too {'large' if factor < 1 else 'small'} for epsilon = {result.epsilon:g}"
    if strongest < _FLAT:
        what += f": all logarithms are linear there (alpha_k s² ≤ {strongest:.2g}), and the rate reduction is nearly flat"
    elif weakest > _SATURATED:
        what += f": all logarithms are saturated (alpha s² is about {weakest:.2g}), and directions hardly differ"
    else:
        penalty = p.regularization * float(np.sum(result.point**2))
        if penalty > p.dim:
            what += f": lambda ‖Z‖² is {penalty:.3g}, and below d = {p.dim} at every critical point"
    strength = "" if result.regularization_defaulted else f" and lambda = {p.regularization * factor**2:.3g}"
    return [
        f"{what}. Multiply them by {factor:.3g} (normalize='scale', --normalize scale), or take epsilon = "
        f"{result.epsilon / factor:.3g}"
        f"{strength} for the features as they are, which is the same problem."
    ]


def _spread(result: FeatureAnalysis, even_value: float | None) -> list[str]:
    empty = [c for c in result.classes if c.ideal_rank == 0 and result.regularization < c.value_threshold]
    if not empty:
        return []
    filled = [c for c in result.classes if c.ideal_rank]
    words = (
        f"The classes could fill {result.capacity} directions, and there are {result.dim}: the global maximum gives all of "
        "them to "
        f"{_named(filled)}, because small classes gain more from a direction, and none to {_named(empty)}. "
        "With classes of equal size every way of sharing them is optimal."
    )
    if even_value is not None and result.target.value > 0:
        words += (
            " Little hangs on it where sizes are close: local maximizers that share the directions evenly reach F = "
            f"{even_value:.6g}, "
            f"{even_value / result.target.value:.1%} of the maximum."
        )
    return [words]


def _common_mean(result: FeatureAnalysis, share: float) -> list[str]:
    if result.centered or share < 0.25:
        return []
    return [
        f"{share:.0%} of the features' squared norm is their common mean, one direction that all classes share. Subtract it "
        "(center=True, --center)."
    ]


def _data(result: FeatureAnalysis, data: Prepared) -> list[str]:
    words = []
    if data.constant_columns:
        count = len(data.constant_columns)
        shown = ", ".join(map(str, data.constant_columns[:8])) + (", …" if count > 8 else "")
        words.append(
            f"{count} of {result.dim} features {'are' if count > 1 else 'is'} constant (column {shown}). They count in d and "
            "so in "
            "alpha = d/(m epsilon²), but tell no classes apart: leave them out."
        )
    used = _rank(result)
    if used < result.dim - len(data.constant_columns) and used < result.num_samples:
        words.append(
            f"The features span {used} of {result.dim} dimensions. Ascent never leaves their span; project them on it, or "
            "use features "
            "of full rank."
        )
    if data.mixed_duplicates:
        words.append(
            f"{data.mixed_duplicates} samples have exactly the features of a sample of another class: no features of this "
            "kind can tell "
            "those classes apart. Look for mislabeled samples."
        )
    if data.duplicates > data.mixed_duplicates:
        words.append(
            f"{data.duplicates} of {result.num_samples} samples repeat an earlier one. They weigh their class without adding "
            "directions; "
            "remove repetitions that are accidental."
        )
    if data.zero_samples:
        words.append(f"{data.zero_samples} samples are zero: they count in m_k, and add nothing to any rate. Remove them.")
    single = [c for c in result.classes if c.size == 1]
    if single:
        words.append(
            f"{_named(single).capitalize()} {'have' if len(single) > 1 else 'has'} a single sample: one direction at most, "
            "at any "
            "epsilon. Check that the labels are classes, not measurements or sample numbers."
        )
    return words


def _stuck(result: FeatureAnalysis) -> list[str]:
    place, end = result.position, result.endpoint
    words = []
    if place.kind is Kind.STRICT_SADDLE:
        words.append(
            "The features are a strict saddle: gradient steps stay there, and any small perturbation leaves it. Perturb "
            "them, or step "
            "along the steepest direction (analysis.ascent starts there)."
        )
    if end is not None and not end.converged and not end.interrupted:
        words.append(
            f"The ascent stopped after {end.num_gradients} gradients ({end.reason}); give it more steps (max_steps, "
            "--max-steps) to see "
            "where it ends."
        )
    return words


def _rank(result: FeatureAnalysis) -> int:
    s = np.linalg.svd(result.point, compute_uv=False)
    return int((s > 1e-10 * s[0]).sum()) if s[0] > 0 else 0


def _named(classes: Sequence[ClassSummary]) -> str:
    names = [repr(c.name) if not c.name.lstrip("-").isdigit() else c.name for c in classes]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"class{'es' if len(classes) > 1 else ''} {shown}"


def _range(classes: Sequence[ClassSummary], name: str) -> str:
    values = [getattr(c, name) for c in classes]
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low} to {high}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 9.995 else f"{share:.0f} times"
