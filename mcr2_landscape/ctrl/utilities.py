"""The utilities of the game, with their first and second derivatives in closed form, as traced functions.

Everything depends on the factors C_j of the classes' second moments, Σ_j = C_j C_jᵀ. With A_j = F C_j, P_j = A_j A_jᵀ, M = F G,
P̂_j = M P_j Mᵀ and b = d/(n ε²), b_j = d/(n_j ε²):

    Q = ½ logdet(I + b Σ P_j) − Σ (gamma_j/2) logdet(I + b_j P_j)
    D = Σ_j [½ logdet(I + (b_j/2)(P_j + P̂_j)) − ¼ logdet(I + b_j P_j) − ¼ logdet(I + b_j P̂_j)]

The encoder's utility is Q + D, the decoder's −D. With E = (I + bP)⁻¹, E_j = (I + b_j P_j)⁻¹, Ê_j likewise,
C̄_j = (I + (b_j/2)(P_j + P̂_j))⁻¹, K_j = (b_j/2)(C̄_j − E_j), L_j = (b_j/2)(C̄_j − Ê_j) and T = Σ L_j M P_j

    ∇_F (Q + D) = Σ (b (E − E_j) + K_j + Mᵀ L_j M) A_j C_jᵀ + T Gᵀ,   ∇_G D = Fᵀ T.

The differences are formed as products, C̄_j − E_j = (b_j/2) C̄_j (P_j − P̂_j) E_j, P_j − P̂_j from A_j − M A_j: near a best
response, where both players' gradients of D vanish, that subtraction alone cancels. The products cost precision elsewhere: with
kappa = 1 + max b_j ‖P_j‖, or P̂_j, relative errors are about kappa times the dtype's epsilon for gradients, kappa² for
Hessian–vector products; where kappa comes near the inverse of epsilon, the Cholesky factorizations of images without full rank
can fail: NaN. Source: docs/ctrl.md.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from mcr2_landscape.mcr2.kernels import matmul
from mcr2_landscape.rates import identity_like
from mcr2_landscape.validation import InputError


class Data(NamedTuple):
    """What a utility is evaluated on: `factors` (K, d_x, r), classes of lower rank filled up with zero columns; `b` (), `bs`
    (K,) and `proportions` (K,). One class of proportion 0 stands for the game of a single subspace: Q is then the coding rate
    ½ logdet(I + bP), of which no class's rate is taken off."""

    factors: jax.Array
    b: jax.Array
    bs: jax.Array
    proportions: jax.Array


def numbers(factors: np.ndarray, sizes: Any, dim: int, epsilon: float) -> Data:
    """`Data` in float64 NumPy of stacked factors (K, d_x, r) and the n_j: as arguments of what is compiled they are read in the
    precision of the scope in which it is traced."""
    each, a = np.asarray(sizes, dtype=np.float64), dim / epsilon**2
    found: list[Any] = [factors, np.array(a / each.sum()), a / each, each / each.sum()]
    return Data(*found)


def stacked(factors: tuple[np.ndarray, ...]) -> np.ndarray:
    """Factors of unequal ranks as one array (K, d_x, max r_j)."""
    rank = max(C.shape[1] for C in factors)
    found = np.zeros((len(factors), factors[0].shape[0], rank))
    for out, C in zip(found, factors, strict=True):
        out[:, : C.shape[1]] = C
    return found


def _mm(A: jax.Array, B: jax.Array) -> jax.Array:
    return matmul(A, B)


def _t(A: jax.Array) -> jax.Array:
    return jnp.swapaxes(A, -1, -2)


def _log_det(B: jax.Array, scale: jax.Array) -> jax.Array:
    """logdet(I + scale B Bᵀ) of matrices (…, p, q), on the smaller side."""
    gram = _mm(B, _t(B)) if B.shape[-2] <= B.shape[-1] else _mm(_t(B), B)
    gram = identity_like(gram) + scale[..., None, None] * gram
    return 2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(gram), axis1=-2, axis2=-1)), axis=-1)


def expressiveness(data: Data, F: jax.Array) -> jax.Array:
    """Q(F) = ΔR(FX)."""
    A = _mm(F, data.factors)
    joined = jnp.moveaxis(A, 0, 1).reshape(F.shape[0], -1)
    return 0.5 * _log_det(joined, data.b) - 0.5 * jnp.sum(data.proportions * _log_det(A, data.bs))


def distances(data: Data, F: jax.Array, G: jax.Array) -> jax.Array:
    """D_j = ΔR(f(X_j), fgf(X_j)) of each class, shape (K,)."""
    A = _mm(F, data.factors)
    image = _mm(F, _mm(G, A))
    both = jnp.concatenate([A, image], axis=-1)
    return 0.5 * _log_det(both, data.bs / 2) - 0.25 * (_log_det(A, data.bs) + _log_det(image, data.bs))


def encoder_utility(data: Data, F: jax.Array, G: jax.Array) -> jax.Array:
    """Q + Σ D_j."""
    return expressiveness(data, F) + jnp.sum(distances(data, F, G))


def decoder_utility(data: Data, F: jax.Array, G: jax.Array) -> jax.Array:
    """−Σ D_j."""
    return -jnp.sum(distances(data, F, G))


class Point(NamedTuple):
    """What gradients and their derivatives at (F, G) share, in the letters of the module's text: `image` M A_j, `whole` E,
    `classes` E_j, `images` Ê_j, `middles` C̄_j, `own` K_j, `across` L_j."""

    F: jax.Array
    G: jax.Array
    M: jax.Array
    A: jax.Array
    image: jax.Array
    whole: jax.Array
    classes: jax.Array
    images: jax.Array
    middles: jax.Array
    own: jax.Array
    across: jax.Array


def _inverse(B: jax.Array, scale: jax.Array) -> jax.Array:
    """(I + scale B Bᵀ)⁻¹."""
    gram = _mm(B, _t(B))
    eye = identity_like(gram)
    factor = jnp.linalg.cholesky(eye + scale[..., None, None] * gram)
    half = jax.scipy.linalg.solve_triangular(factor, eye, lower=True)
    return _mm(_t(half), half)


def point_at(data: Data, F: jax.Array, G: jax.Array) -> Point:
    """Everything of size (d, d) and (K, d, d) at (F, G)."""
    A, M = _mm(F, data.factors), _mm(F, G)
    image = _mm(M, A)
    joined = jnp.moveaxis(A, 0, 1).reshape(F.shape[0], -1)
    whole, classes, images = _inverse(joined, data.b), _inverse(A, data.bs), _inverse(image, data.bs)
    middles = _inverse(jnp.concatenate([A, image], axis=-1), data.bs / 2)
    half = (data.bs / 2)[:, None, None]
    gap = _moved(A, image)
    own = half**2 * _mm(_mm(middles, gap), classes)
    across = -(half**2) * _mm(_mm(middles, gap), images)
    return Point(F, G, M, A, image, whole, classes, images, middles, own, across)


def _moved(A: jax.Array, image: jax.Array) -> jax.Array:
    """P_j − P̂_j = ½ [(A − Â)(A + Â)ᵀ + (A + Â)(A − Â)ᵀ], exact to the size of A − Â."""
    half = 0.5 * _mm(A - image, _t(A + image))
    return half + _t(half)


def _weights(data: Data, at: Point) -> jax.Array:
    """What multiplies A_j C_jᵀ in the encoder's gradient, less the part through G."""
    return data.b * (at.whole[None] - _parted(data) * at.classes) + at.own + _mm(_t(at.M), _mm(at.across, at.M))


def _parted(data: Data) -> jax.Array:
    """gamma_j b_j/b, shape (K, 1, 1): one, or zero for a class of proportion 0."""
    return jnp.sign(data.proportions)[:, None, None]


def _coupling(at: Point) -> jax.Array:
    """T = Σ L_j M P_j."""
    return jnp.sum(_mm(at.across, _mm(at.image, _t(at.A))), axis=0)


def _spread(B: jax.Array, data: Data) -> jax.Array:
    """Σ B_j C_jᵀ."""
    return jnp.sum(_mm(B, _t(data.factors)), axis=0)


def gradients(data: Data, at: Point) -> tuple[jax.Array, jax.Array]:
    """∇_F of the encoder's utility and ∇_G of the decoder's."""
    T = _coupling(at)
    return _spread(_mm(_weights(data, at), at.A), data) + _mm(T, _t(at.G)), -_mm(_t(at.F), T)


def expressiveness_gradient(data: Data, F: jax.Array) -> jax.Array:
    """∇Q(F)."""
    A = _mm(F, data.factors)
    joined = jnp.moveaxis(A, 0, 1).reshape(F.shape[0], -1)
    return _spread(data.b * _mm(_inverse(joined, data.b)[None] - _parted(data) * _inverse(A, data.bs), A), data)


def hvp(data: Data, at: Point, V: jax.Array, W: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The derivative of both players' `gradients` along (V, W)."""
    half = (data.bs / 2)[:, None, None]
    b, bs = data.b, data.bs[:, None, None]
    dA = _mm(V, data.factors)
    dM = _mm(V, at.G) + _mm(at.F, W)
    dimage = _mm(dM, at.A) + _mm(at.M, dA)
    dP, dP_hat = _both(_mm(dA, _t(at.A))), _both(_mm(dimage, _t(at.image)))
    dwhole = -b * _mm(_mm(at.whole, jnp.sum(dP, axis=0)), at.whole)
    dclasses = -bs * _mm(_mm(at.classes, dP), at.classes)
    dimages = -bs * _mm(_mm(at.images, dP_hat), at.images)
    dmiddles = -half * _mm(_mm(at.middles, dP + dP_hat), at.middles)
    down, dacross = half * (dmiddles - dclasses), half * (dmiddles - dimages)
    through = _mm(_t(dM), _mm(at.across, at.M))
    dweights = b * (dwhole[None] - _parted(data) * dclasses) + down + through + _t(through) + _mm(_t(at.M), _mm(dacross, at.M))
    T = _coupling(at)
    dT = jnp.sum(_mm(_mm(dacross, at.image) + _mm(at.across, dimage), _t(at.A)) + _mm(_mm(at.across, at.image), _t(dA)), axis=0)
    encoder = _spread(_mm(dweights, at.A) + _mm(_weights(data, at), dA), data) + _mm(dT, _t(at.G)) + _mm(T, _t(W))
    return encoder, -(_mm(_t(V), T) + _mm(_t(at.F), dT))


def _both(B: jax.Array) -> jax.Array:
    return B + _t(B)


def finite(value: jax.Array) -> jax.Array:
    """A utility, if it is a number, or traced.

    **Raises:** `InputError`.
    """
    if not isinstance(value, Tracer) and not bool(jnp.isfinite(value).all()):
        raise InputError(
            f"epsilon: the images f(X) or fgf(X) are too large beside it for {value.dtype}; pass a larger epsilon, smaller "
            "matrices, or float64"
        )
    return value
