"""A step against the gradient of R_c beside denoising, on tokens near orthogonal subspaces.

Source: Pai et al., *Masked Completion via Structured Diffusion with White-Box Transformers* (ICLR 2024), section 2, as
recalled; the laws for few tokens are derived in this project (claim `crate-mae.nearest-subspace.corrected`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mcr2_landscape.validation import InputError, positive_integer, positive_real, real

_ROUNDING = float(np.finfo(np.float64).eps)
_TINY = 1e-100  # a precision beyond that overflows as a square
_LENGTHS = 40  # of steps that are tried out for the best one


@dataclass(frozen=True)
class Denoising:
    """One draw of tokens, n of each of K subspaces of p dimensions in d = Kp.

    **Fields:** `tokens_per_dimension` n/p; `dim` d; `precision`, the eps that was used; `neumann_ratio` rho. Of −∇R_c and the
    way P_own z − z to a token's subspace: `cosine`, the mean over the tokens, with its `cosine_deviation`;
    `shrinkage_cosine`, that of −∇R_c with −z; `relative_error` of −∇R_c/alpha, in Frobenius norms of all tokens. What
    multiplies signal over noise, the norms of the tokens' parts in their own subspaces and off them: `step_gain` of the step
    1/alpha, `best_gain` of the best of many steps up to the longest that overshoots no direction, `posterior_gain` of the
    posterior mean (what rounding can leave of noise counts as noise). For n < p and infinitesimal noise theory has
    `predicted_cosine` √(1 − n/p), `predicted_error` √(n/p), `predicted_gain` √(p/n); for n ≥ p a cosine of zero, an error and
    a gain of one. `assignment_error`: the largest difference of the printed softmax(‖U_kᵀz‖²/(2 noise²)) from the posterior
    probabilities.
    """

    tokens_per_dimension: float
    dim: int
    precision: float
    neumann_ratio: float
    cosine: float
    cosine_deviation: float
    shrinkage_cosine: float
    relative_error: float
    step_gain: float
    best_gain: float
    posterior_gain: float
    predicted_cosine: float
    predicted_error: float
    predicted_gain: float
    assignment_error: float


def denoising(
    *,
    rank: int,
    size: int,
    heads: int = 4,
    noise: float = 1e-4,
    epsilon: float = 1.0,
    exponent: float = 1.0,
    variance: float = 1.0,
    seed: int,
) -> Denoising:
    """Draw tokens, and compare.

    **Arguments:** `rank` p of each of `heads` K ≥ 2 subspaces; `size` n, the tokens of each; `noise`, its standard deviation;
    `epsilon` and `exponent`: the precision of R_c is eps = `epsilon` · noise^(`exponent`/2), fixed for the exponent zero;
    `variance` of the coefficients.

    **Raises:** `InputError` for numbers out of range.
    """
    import jax

    from mcr2_landscape import whitebox as wb

    rank, size = positive_integer("rank", rank), positive_integer("size", size)
    heads = positive_integer("heads", heads, minimum=2)
    noise, variance = positive_real("noise", noise), positive_real("variance", variance)
    precision = _precision(positive_real("epsilon", epsilon), noise, real("exponent", exponent))
    random, dim = np.random.default_rng(seed), heads * rank
    U = wb.random_bases(key=random, heads=heads, dim=dim, rank=rank)
    Z, _, labels = wb.sample_mixture(key=random, U=U, sizes=[size] * heads, variance=variance, noise=noise)
    alpha = rank / (Z.shape[1] * precision**2)
    with jax.enable_x64(True):
        step = np.asarray(wb.coding_rate_given_gradient(Z, U, precision)) / alpha
        mean = np.asarray(wb.posterior_mean(Z, U, variance, noise))
        exact, printed = (np.asarray(wb.responsibilities(Z, U, own, noise)) for own in (variance, math.inf))
    before, off = _ratio(U, labels, Z), _own(U, labels, Z) - Z
    V = np.swapaxes(U, 1, 2) @ Z
    moments = np.linalg.eigvalsh(V @ np.swapaxes(V, 1, 2))
    # The longest step that overshoots no direction: one of second moment s² is multiplied by 1 − t/(1 + alpha s²).
    longest = 1 + alpha * max(float(moments.min()), 0.0)
    best = max(_ratio(U, labels, Z - t * longest * step) for t in np.linspace(0, 1, _LENGTHS + 1))
    found, share = _cosines(-step, off), size / rank
    return Denoising(
        tokens_per_dimension=share,
        dim=dim,
        precision=precision,
        neumann_ratio=alpha * float(moments.max()),
        cosine=float(found.mean()),
        cosine_deviation=float(found.std()),
        shrinkage_cosine=float(_cosines(step, Z).mean()),
        relative_error=float(np.linalg.norm(step + off) / np.linalg.norm(off)),
        step_gain=_ratio(U, labels, Z - step) / before,
        best_gain=best / before,
        posterior_gain=_ratio(U, labels, mean) / before,
        predicted_cosine=math.sqrt(max(1 - share, 0.0)),
        predicted_error=math.sqrt(min(share, 1.0)),
        predicted_gain=math.sqrt(max(1 / share, 1.0)),
        assignment_error=float(np.abs(exact - printed).max()),
    )


def _precision(epsilon: float, noise: float, exponent: float) -> float:
    with np.errstate(over="ignore", under="ignore"):
        found = float(epsilon * np.float64(noise) ** (exponent / 2))
    if not _TINY < found < 1 / _TINY:
        raise InputError(f"exponent: found {exponent:g}, which makes eps = {found:g}; pass one nearer to zero")
    return found


def _own(U: np.ndarray, labels: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Each token projected on its own subspace."""
    V = np.swapaxes(U, 1, 2) @ Z
    return np.sum(U @ (V * (np.arange(len(U))[:, None] == labels)[:, None, :]), axis=0)


def _ratio(U: np.ndarray, labels: np.ndarray, Z: np.ndarray) -> float:
    """Signal over noise of all tokens together."""
    signal = _own(U, labels, Z)
    size = float(np.linalg.norm(signal))
    return size / max(float(np.linalg.norm(Z - signal)), _ROUNDING * size)


def _cosines(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Of columns."""
    return np.sum(A * B, axis=0) / (np.linalg.norm(A, axis=0) * np.linalg.norm(B, axis=0))
