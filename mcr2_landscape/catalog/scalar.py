"""The scalar problem of one eigenspace: thresholds, roots and the value of one direction.

Let E be an eigenspace of Z Zᵀ at a critical point, with eigenvalue mu > 0, dimension n and classes of rank p_k in it. Its
*ratio* is rho = n m / Σ_k p_k m_k > 1 (for one class, rho_k = m/m_k). In the units s = alpha mu and ell = lambda/alpha the
critical equation is

    1/(1 + s) − 1/(1 + rho s) = ell,   equivalently   a (1 + ell − a) = ell rho/(rho − 1)   with   a = 1/(1 + s).

It has positive roots s₋ ≤ s₊ with s₋ s₊ = 1/rho exactly when ell ≤ (√rho − 1)/(√rho + 1). One direction of E contributes

    h_rho(s) = ½ [log(1 + s) − log(1 + rho s)/rho − ell s]

to the objective. Near the threshold everything hangs on the difference of the threshold and ell; it is formed exactly,
from rationals and 50-digit decimals, and every later formula only adds numbers of one sign.

Source: the quadratic of Wang et al. (*A Global Geometric Analysis of Maximal Coding Rate Reduction*, ICML 2024) for one
class; docs/theory.md for general eigenspaces.
"""

from __future__ import annotations

import decimal
import enum
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, real

_DECIMALS = decimal.Context(prec=50)
# A regularization that a user computes as alpha (√rho − 1)/(√rho + 1) in float64 is off by a few units in the last place.
_DOUBLE_ROOT = 2.0**-49


class Sign(enum.StrEnum):
    """Which root of the critical equation an eigenspace has: the large singular values or the small ones."""

    LARGE = "+"
    SMALL = "-"


@dataclass(frozen=True)
class Thresholds(Record):
    """The regularizations at which the landscape of each class changes.

    **Fields:** `existence`, shape (K,): lambda_k = alpha (√rho_k − 1)/(√rho_k + 1), above which class k is zero at every
    critical point. `value`, shape (K,): the smaller lambda above which a direction of class k, even at its large root, lowers
    the objective, so that a global maximizer leaves the class out.
    """

    existence: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class EigenspaceRoots(Record):
    """Both roots of the critical equation of an eigenspace.

    **Fields:** `a_small`, `a_big` (a = 1/(1 + alpha mu); their sum is 1 + ell), `large`, `small` (the matching s = alpha mu,
    so `large` belongs to `a_small`), `gap` (large − small, free of cancellation) and `double` (the regularization equals the
    threshold to within rounding; both roots are then 1/√rho).
    """

    a_small: float
    a_big: float
    large: float
    small: float
    gap: float
    double: bool

    def at(self, sign: Sign) -> float:
        """s = alpha mu of the root with this sign."""
        return self.large if sign is Sign.LARGE else self.small


@lru_cache(maxsize=1024)
def normalized_regularization(p: Parameters) -> Fraction:
    """ell = lambda/alpha as the exact rational number that the float64 fields of `p` define."""
    return Fraction(p.regularization) * Fraction(p.epsilon) ** 2 * p.num_samples / p.dim


def class_ratio(p: Parameters, k: int) -> Fraction:
    """rho_k = m/m_k for the class at position k (counted from 0)."""
    return Fraction(p.num_samples, p.sizes[k])


@lru_cache(maxsize=65536)
def _threshold(ratio: Fraction) -> decimal.Decimal:
    root = _DECIMALS.sqrt(_decimal(ratio))
    return _DECIMALS.divide(_DECIMALS.subtract(root, decimal.Decimal(1)), _DECIMALS.add(root, decimal.Decimal(1)))


def _decimal(number: Fraction) -> decimal.Decimal:
    return _DECIMALS.divide(decimal.Decimal(number.numerator), decimal.Decimal(number.denominator))


def existence_threshold(ratio: Fraction) -> float:
    """The largest ell at which the critical equation has positive roots: (√rho − 1)/(√rho + 1)."""
    return float(_threshold(ratio))


@lru_cache(maxsize=65536)
def value_threshold(ratio: Fraction) -> float:
    """The ell at which h_rho vanishes at its large root: above it that direction lowers the objective.

    With delta = rho − 1 and y = s/(1 + s), h_rho(s) = 0 and h_rho'(s) = 0 together say

        −log(1 − y) − y + s/((1 + s)(1 + rho s)) − log(1 + delta y)/delta = 0,

    an equation in s alone whose terms have the size of its slope at every rho; ell = delta s/((1 + s)(1 + rho s)) follows.
    """
    delta, rho = float(ratio - 1), float(ratio)

    def equation(s: float) -> float:
        return _log_minus_share(s) + s / ((1 + s) * (1 + rho * s)) - math.log1p(delta * s / (1 + s)) / delta

    low, high = 0.0, 1.0
    while equation(math.exp(high) / math.sqrt(rho)) < 0:
        low, high = high, 2 * high
    for _ in range(60):
        middle = 0.5 * (low + high)
        if equation(math.exp(middle) / math.sqrt(rho)) < 0:
            low = middle
        else:
            high = middle
    s = math.exp(0.5 * (low + high)) / math.sqrt(rho)
    return delta * s / ((1 + s) * (1 + rho * s))


def log_excess(z: float) -> float:
    """z − log(1 + z) ≥ 0 for z > −1, without cancellation near z = 0."""
    if abs(z) > 0.4:
        return z - math.log1p(z)
    t = z / (2 + z)
    square = t * t
    tail = 0.0
    for odd in range(27, 1, -2):
        tail = tail * square + 1 / odd
    return z * t - 2 * t * square * tail


def _log_minus_share(s: float) -> float:
    """log(1 + s) − s/(1 + s) ≥ 0 for s ≥ 0, without cancellation at either end."""
    y = s / (1 + s)
    return log_excess(-y) if y < 0.4 else math.log1p(s) - y


@lru_cache(maxsize=65536)
def normalized_roots(ratio: Fraction, ell: Fraction) -> EigenspaceRoots | None:
    """The roots at the exact ratio rho > 1 and regularization ell, or `None` above the threshold.

    The discriminant of the quadratic in s factors as (√rho + 1)² (√rho − 1)² (L − ell)(1/L − ell) with the threshold L, and
    1/L − L = 4√rho/(rho − 1).
    """
    threshold = _threshold(ratio)
    margin = float(_DECIMALS.subtract(threshold, _decimal(ell)))
    limit = float(threshold)
    rho, delta = float(ratio), float(ratio - 1)
    root = math.sqrt(rho)
    if abs(margin) <= _DOUBLE_ROOT * limit:
        a = root / (1 + root)
        return EigenspaceRoots(a, a, 1 / root, 1 / root, 0.0, True)
    if margin < 0:
        return None
    near = math.sqrt(margin)
    far = limit * math.sqrt(4 * root / delta + margin)
    scale = (root + 1) ** 2 / (rho * float(ell))
    large = scale * (near + far) ** 2 / 4
    small = 1 / (rho * large)
    return EigenspaceRoots(1 / (1 + large), 1 / (1 + small), large, small, scale * near * far, False)


def eigenspace_roots(p: Parameters, ratio: Fraction | float) -> EigenspaceRoots | None:
    """The roots of the critical equation of an eigenspace with the ratio rho = n m / Σ_k p_k m_k > 1, a `Fraction` or a float
    (which is taken as the rational number that it is). `None` when the regularization is above the threshold.

    **Raises:** `InputError` for a ratio that is not above one.
    """
    exact = ratio if isinstance(ratio, Fraction) else Fraction(real("ratio", ratio))
    if exact <= 1:
        raise InputError(f"ratio: found {float(exact):g}; pass n m / Σ p_k m_k, which is above one unless every class is full")
    return normalized_roots(exact, normalized_regularization(p))


def height(ratio: Fraction, ell: Fraction, s: float) -> float:
    """h_rho(s) = ½ [log(1 + s) − log(1 + rho s)/rho − ell s], what one direction adds to the objective.

    With delta = rho − 1 and y = s/(1 + s), rho times the difference of the logarithms is
    delta (−log(1 − y) − y) + (delta y − log(1 + delta y)), two terms that are never negative.
    """
    rho, delta = float(ratio), float(ratio - 1)
    gain = (delta * _log_minus_share(s) + log_excess(delta * (s / (1 + s)))) / rho
    return 0.5 * (gain - float(ell) * s)


@lru_cache(maxsize=65536)
def direction_value(ratio: Fraction, ell: Fraction, sign: Sign = Sign.LARGE) -> float | None:
    """h_rho at the root with this sign, or `None` where there is no root."""
    found = normalized_roots(ratio, ell)
    return None if found is None else height(ratio, ell, found.at(sign))


def thresholds(p: Parameters) -> Thresholds:
    """The thresholds of each class (see `Thresholds`), in the units of the regularization.

    lambda_k is printed by Wang et al. (ICML 2024), for the largest class; the second threshold is what their theorem on global
    maximizers needs beyond it (docs/theory.md).
    """
    ratios = [class_ratio(p, k) for k in range(p.num_classes)]
    existence = np.array([p.alpha * existence_threshold(ratio) for ratio in ratios])
    value = np.array([p.alpha * value_threshold(ratio) for ratio in ratios])
    return Thresholds(existence, value)


def regularization_limit(p: Parameters) -> float:
    """lambda_max, the smallest lambda_k: below it every class has both roots (Wang et al., ICML 2024)."""
    return float(thresholds(p).existence.min())


def roots(p: Parameters) -> np.ndarray:
    """The squared singular values x_k⁻ ≤ x_k⁺ that class k can have at an orthogonal critical point, shape (K, 2).

    A row is nan where lambda > lambda_k: the class is then zero at every critical point. At lambda = lambda_k, to within
    rounding, both are the double root 1/√(alpha alpha_k). In general their product is 1/(alpha alpha_k).
    """
    found = [eigenspace_roots(p, class_ratio(p, k)) for k in range(p.num_classes)]
    return np.array([(np.nan, np.nan) if r is None else (r.small / p.alpha, r.large / p.alpha) for r in found])
