"""What to change, in sentences."""

from __future__ import annotations

import itertools
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
# Below this share of its limit, lambda makes the landscape ill-conditioned.
_FAINT = 1e-4


def advise(result: FeatureAnalysis, data: Prepared) -> tuple[str, ...]:
    """What to change, the most consequential first. Empty if nothing is wrong."""
    rules = (_regularization(result), _size(result), _common_mean(result), _data(result, data), _spread(result), _stuck(result))
    return tuple(itertools.chain(*rules))


def _regularization(result: FeatureAnalysis) -> list[str]:
    strength, limit, words = result.regularization, result.regularization_limit, []
    gone = [c for c in result.classes if strength > c.existence_threshold]
    if gone:
        words.append(
            f"lambda = {strength:.4g} is above the threshold lambda_k of {_named(gone)} "
            f"({_range(gone, 'existence_threshold')}): such a class is zero at every critical point. Choose lambda below "
            f"{limit:.4g}; half of that, {0.5 * limit:.4g}, is the default."
        )
    costly = [c for c in result.classes if c.value_threshold < strength <= c.existence_threshold]
    if costly:
        least = min(c.value_threshold for c in result.classes)
        words.append(
            f"lambda = {strength:.4g} is above the value threshold lambda_k° of {_named(costly)} "
            f"({_range(costly, 'value_threshold')}): local maximizers may still use directions there, the global maximum does "
            f"not. Choose lambda below {least:.4g} to keep every class."
        )
    if strength < _FAINT * limit:
        words.append(
            f"lambda = {strength:.4g} is only {strength / limit:.1e} of its limit {limit:.4g}. The landscape is badly "
            "conditioned "
            f"there, and ascent slow. Choose lambda nearer to half of the limit, {0.5 * limit:.4g}."
        )
    return words


def _size(result: FeatureAnalysis) -> list[str]:
    factor = result.scale
    if 1 / _OFF_SCALE <= factor <= _OFF_SCALE:
        return []
    p = result.problem.parameters
    penalty = p.regularization * float(np.sum(result.point**2))
    strongest = max(float(alpha * c.singular_values[0] ** 2) for alpha, c in zip(p.alphas, result.classes, strict=True))
    typical = [np.median(s[s > 1e-9 * s[0]]) for s in (c.singular_values for c in result.classes) if s[0] > 0]
    weakest = float(p.alpha * min(typical) ** 2)
    what = f"The features are too {'large' if factor < 1 else 'small'} for epsilon = {result.epsilon:g}"
    if factor > 1 and strongest < _FLAT:
        what += f": all logarithms are linear there (alpha_k s² ≤ {strongest:.2g}), and the rate reduction is nearly flat"
    elif factor < 1 and weakest > _SATURATED:
        what += f": all logarithms are saturated (alpha s² is about {weakest:.2g}), and directions hardly differ"
    elif factor < 1 and penalty > p.dim:
        what += f": lambda ‖Z‖² is {penalty:.3g}, and below d = {p.dim} at every critical point"
    strength = "" if result.regularization_defaulted else f" and lambda = {p.regularization * factor**2:.3g}"
    return [
        f"{what}. Multiply them by {factor:.3g} (normalize='scale', --normalize scale); or take epsilon = "
        f"{result.epsilon / factor:.3g}{strength} for the features as they are, which is the same problem."
    ]


def _common_mean(result: FeatureAnalysis) -> list[str]:
    if result.centered or result.common_mean < 0.25:
        return []
    return [
        f"{result.common_mean:.0%} of the features' squared norm is their common mean, a direction that all classes share. "
        "Subtract it (center=True, --center)."
    ]


def _data(result: FeatureAnalysis, data: Prepared) -> list[str]:
    words = []
    if data.constant_columns:
        count = len(data.constant_columns)
        shown = ", ".join(map(str, data.constant_columns[:8])) + (", …" if count > 8 else "")
        words.append(
            f"{count} of {result.dim} features {'are' if count > 1 else 'is'} constant (column {shown}). They count in d and "
            "so "
            "in alpha = d/(m epsilon²), but tell no classes apart: leave them out."
        )
    used = result.rank
    if used < result.dim - len(data.constant_columns) and used < result.num_samples:
        words.append(
            f"The features span {used} of {result.dim} dimensions. Ascent never leaves their span; project them on it, or use "
            "features of full rank."
        )
    if data.mixed_duplicates:
        words.append(
            f"{data.mixed_duplicates} samples have exactly the features of a sample of another class: nothing can tell those "
            "classes apart there. Look for mislabeled samples."
        )
    if data.duplicates > data.mixed_duplicates:
        words.append(
            f"{data.duplicates} of {result.num_samples} samples repeat an earlier one. They weigh their class without adding "
            "directions; remove repetitions that are accidental."
        )
    if data.zero_samples:
        words.append(f"{data.zero_samples} samples are zero: they count in m_k, and add nothing to any rate. Remove them.")
    single = [c for c in result.classes if c.size == 1]
    if single:
        named = _named(single)
        words.append(
            f"{named[0].upper()}{named[1:]} {'have' if len(single) > 1 else 'has'} a single sample: one direction at most, at "
            "any epsilon. Check that the labels are classes, not measurements or sample numbers."
        )
    return words


def _spread(result: FeatureAnalysis) -> list[str]:
    """Too few dimensions for all classes. Nothing to say where the features are at the global maximum, or where all ways of
    sharing the dimensions are as good."""
    empty = [c for c in result.classes if c.ideal_rank == 0 and result.regularization < c.value_threshold]
    best, even = result.target.value, result.target.even_value
    at_best = result.target.gap <= 1e-9 * max(1.0, abs(best))
    if not empty or at_best or (even is not None and even >= 0.9995 * best):
        return []
    filled = [c for c in result.classes if c.ideal_rank]
    enough = sum(c.size for c in result.classes) - max(c.size for c in result.classes)
    words = (
        f"The classes could fill {result.capacity} directions, and there are no more than d = {result.dim}. The global maximum "
        f"gives all of them to {_named(filled)}, because small classes gain most from a direction, and none to "
        f"{_named(empty)}; "
        f"only with more than {enough} features would every class have a share. For classes of equal size every way of sharing "
        "is optimal."
    )
    if even is not None and even > 0:
        words += f" Local maximizers that share evenly reach F = {even:.6g}, {even / best:.1%} of the global maximum."
    return [words]


def _stuck(result: FeatureAnalysis) -> list[str]:
    place, end = result.position, result.endpoint
    words = []
    if place.kind is Kind.STRICT_SADDLE:
        words.append(
            "The features are a strict saddle: gradient steps stay there, and any small perturbation leaves it. Perturb "
            "them, or "
            "step along the steepest direction, as the ascent here does."
        )
    if end is not None and not end.converged and not end.interrupted:
        words.append(
            f"The ascent stopped early ({end.reason}); give it more steps (max_steps, --max-steps) to see where it ends."
        )
    return words


def _named(classes: Sequence[ClassSummary]) -> str:
    names = [c.name for c in classes]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"class{'es' if len(classes) > 1 else ''} {shown}"


def _range(classes: Sequence[ClassSummary], name: str) -> str:
    values = [getattr(c, name) for c in classes]
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if low == high else f"{low} to {high}"
