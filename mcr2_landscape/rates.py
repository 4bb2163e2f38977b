"""Coding rates: of a set of features, of a set split into classes, and the reduction between the two.

    R(Z)       = ½ logdet(I + d/(m eps²) Z Zᵀ)
    R_c(Z, Π)  = Σ_k tr(Π_k)/(2m) logdet(I + d/(tr(Π_k) eps²) Z Π_k Zᵀ)
    ΔR(Z, Π)   = R(Z) − R_c(Z, Π)

for Z of shape (d, m), in nats. Each log-determinant is taken on the smaller side (d × d or samples × samples), all classes in
one stacked Cholesky factorization of I + G; rank-deficient features, zero rows and zero columns need no care as long as the
one survives beside G in floating point. The relative error is about alpha ‖Z‖² times the dtype's epsilon (6e-8 for float32,
1e-16 for float64), alpha = d/(m eps²). Where alpha ‖Z‖² comes near the inverse of that epsilon, the factorization of
rank-deficient features can fail: an `InputError` for values that are known, NaN for traced ones.
`mcr2_landscape.closed_form.value`, on the host, works from singular values and holds at any scale. All functions can be traced
and differentiated twice.

Source: Yu, Chan, You, Song, Ma, *Learning Diverse and Discriminative Representations via the Principle of Maximal Coding Rate
Reduction* (NeurIPS 2020), equations (3), (5) and (7).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.linalg import cho_solve
from jaxtyping import Array, Float

from mcr2_landscape.precision import positive_leaf, traced_array
from mcr2_landscape.stacking import ClassLayout
from mcr2_landscape.validation import InputError

_PRECISION = jax.lax.Precision.HIGHEST


def coding_rate(Z: Any, epsilon: float) -> Float[Array, ""]:
    """The coding rate R(Z) up to distortion epsilon², in nats.

    **Arguments:** `Z` of shape (d, m), float32 or float64; `epsilon` > 0.

    **Raises:** `InputError` for a wrong shape, NaN or infinity, epsilon ≤ 0, features too large for the dtype's precision, or
    NumPy float64 while JAX's 64-bit mode is off.

    >>> import jax.numpy as jnp
    >>> round(float(coding_rate(jnp.eye(2), epsilon=1.0)), 6)   # two directions, ½ log 2 each
    0.693147
    """
    Z = _features("Z", Z)
    return _finite(_coding_rate(Z, positive_leaf("epsilon", epsilon)))


def class_coding_rate(Z: Any, memberships: Any, epsilon: float) -> Float[Array, ""]:
    """The class-conditional coding rate R_c(Z, Π), in nats.

    **Arguments:** `Z` of shape (d, m). `memberships`: labels 0 … K−1 of shape (m,), integers whose values are known when the
    function is traced; or soft memberships of shape (K, m), each column a probability vector (these may be traced).

    **Raises:** `InputError` as `coding_rate`; also for labels with a gap (an empty class), for memberships that are negative or
    do not sum to one (looked at only when they are not traced).
    """
    Z = _features("Z", Z)
    members = _memberships(memberships, Z.shape[1])
    return _finite(_class_coding_rate(Z, members, positive_leaf("epsilon", epsilon)))


def rate_reduction(Z: Any, memberships: Any, epsilon: float) -> Float[Array, ""]:
    """The rate reduction ΔR(Z, Π) = R(Z) − R_c(Z, Π) ≥ 0, in nats. Arguments and errors as `class_coding_rate`.

    >>> import jax.numpy as jnp
    >>> round(float(rate_reduction(jnp.eye(2), jnp.array([0, 1]), epsilon=1.0)), 6)   # log 2 − ½ log 3
    0.143841
    """
    Z = _features("Z", Z)
    members = _memberships(memberships, Z.shape[1])
    epsilon = positive_leaf("epsilon", epsilon)
    return _finite(_coding_rate(Z, epsilon) - _class_coding_rate(Z, members, epsilon))


def rate_reduction_between(Z1: Any, Z2: Any, epsilon: float) -> Float[Array, ""]:
    """ΔR between two sets of features: R([Z1 Z2]) less the mean of R(Z1) and R(Z2), weighted by their numbers of samples. Zero
    iff both have the same second moments per sample.

    **Arguments:** `Z1` of shape (d, m1), `Z2` of shape (d, m2), of one dtype.

    **Raises:** `InputError` as `coding_rate`; also where the dimensions differ.

    Source: Dai et al., *Closed-Loop Data Transcription to an LDR via Minimaxing Rate Reduction* (2022), equation (7).
    """
    Z1, Z2 = _features("Z1", Z1), _features("Z2", Z2)
    if Z1.shape[0] != Z2.shape[0]:
        raise InputError(f"Z2: found {Z2.shape[0]} rows, Z1 has {Z1.shape[0]}; both need the same feature dimension")
    if Z1.dtype != Z2.dtype:
        raise InputError(f"Z2: found {Z2.dtype}, Z1 is {Z1.dtype}; convert one of them")
    labels = np.repeat([0, 1], [Z1.shape[1], Z2.shape[1]])
    return rate_reduction(jnp.concatenate([Z1, Z2], axis=1), labels, epsilon)


def logdet_one_plus(G: Float[Array, "*b n n"]) -> Float[Array, "*b"]:
    """logdet(I + G) of positive semidefinite G, stacked."""
    L = jnp.linalg.cholesky(identity_like(G) + G)
    return 2 * jnp.sum(jnp.log(jnp.diagonal(L, axis1=-2, axis2=-1)), axis=-1)


def identity_like(G: Float[Array, "*b n n"]) -> Float[Array, "*b n n"]:
    """Identity matrices of G's shape and dtype."""
    return jnp.broadcast_to(jnp.eye(G.shape[-1], dtype=G.dtype), G.shape)


def small_gram(Z: Float[Array, "*b d m"]) -> Float[Array, "*b n n"]:
    """Z Zᵀ or ZᵀZ, whichever is smaller: both have the same logdet(I + ·)."""
    Zt = jnp.swapaxes(Z, -1, -2)
    return jnp.matmul(Z, Zt, precision=_PRECISION) if Z.shape[-2] <= Z.shape[-1] else jnp.matmul(Zt, Z, precision=_PRECISION)


@jax.jit
def _coding_rate(Z, epsilon):
    d, m = Z.shape
    return 0.5 * logdet_one_plus(d / (m * epsilon**2) * small_gram(Z))


def _class_coding_rate(Z, members, epsilon):
    if isinstance(members, tuple):
        return _hard_rate(Z, members, epsilon)
    return _soft_rate(Z, members.astype(Z.dtype), epsilon)


def _hard_rate(Z, labels: tuple[int, ...], epsilon):
    array = np.asarray(labels)
    layout = ClassLayout(tuple(int(n) for n in np.bincount(array)))
    order = np.argsort(array, kind="stable")
    return _hard_rate_sorted(Z[:, order], layout, epsilon)


def _hard_rate_sorted_impl(Z, layout: ClassLayout, epsilon):
    d, m = Z.shape
    sizes = jnp.asarray(np.asarray(layout.widths), dtype=Z.dtype)
    scales = d / (sizes * epsilon**2)
    logdets = layout.join(
        layout.map(lambda block, scale: logdet_one_plus(scale * small_gram(block)), (Z,), layout.split(scales), stacked=True)
    )
    return jnp.sum(sizes * logdets) / (2 * m)


_hard_rate_sorted = jax.jit(_hard_rate_sorted_impl, static_argnums=1)


@jax.jit
def _soft_rate(Z, memberships, epsilon):
    d, m = Z.shape
    mass = jnp.sum(memberships, axis=1)
    empty = mass <= 0  # the term's limit is zero there; the guarded division keeps its derivative finite
    scales = jnp.where(empty, 0, d / (jnp.where(empty, 1, mass) * epsilon**2))
    if d <= m:
        grams = jnp.einsum("dm,km,em->kde", Z, memberships, Z, precision=_PRECISION)
        logdets = logdet_one_plus(scales[:, None, None] * grams)
    else:
        gram = jnp.matmul(Z.T, Z, precision=_PRECISION)
        logdets = _weighted_logdet(gram, scales[:, None] * memberships)
    return jnp.sum(mass * logdets) / (2 * m)


@jax.custom_jvp
def _weighted_logdet(G, weights):
    """logdet(I + diag(w_k) G) for each row w_k ≥ 0 of `weights` (K, m). The symmetric form under the Cholesky factorization
    needs √w, whose derivative is infinite at w = 0 although the function's is not: hence the rule of its own."""
    root = jnp.sqrt(weights)
    return logdet_one_plus(root[:, :, None] * G[None] * root[:, None, :])


@_weighted_logdet.defjvp
def _weighted_logdet_jvp(primals, tangents):
    G, weights = primals
    G_dot, weights_dot = tangents
    inner = weights_dot[:, :, None] * G[None] + weights[:, :, None] * G_dot[None]
    out_dot = jnp.einsum("kij,kji->k", _weighted_resolvent(G, weights), inner, precision=_PRECISION)
    return _weighted_logdet(G, weights), out_dot


@jax.custom_jvp
def _weighted_resolvent(G, weights):
    """(I + diag(w_k) G)^{-1}, shape (K, m, m), through the symmetric factorization; differentiable at w = 0."""
    root = jnp.sqrt(weights)
    inner = root[:, :, None] * G[None]
    identity = identity_like(inner)
    L = jnp.linalg.cholesky(identity + inner * root[:, None, :])
    inner = cho_solve((L, True), inner)
    return identity - root[:, :, None] * inner


@_weighted_resolvent.defjvp
def _weighted_resolvent_jvp(primals, tangents):
    G, weights = primals
    G_dot, weights_dot = tangents
    resolvent = _weighted_resolvent(G, weights)
    inner = weights_dot[:, :, None] * G[None] + weights[:, :, None] * G_dot[None]
    product = jnp.einsum("kij,kjl,klm->kim", resolvent, inner, resolvent, precision=_PRECISION)
    return resolvent, -product


def _finite(rate: jax.Array) -> jax.Array:
    if not isinstance(rate, Tracer) and not np.isfinite(np.asarray(rate)):
        raise InputError(
            f"Z: too large beside epsilon for {rate.dtype}: the rate came out as {float(rate)}; scale Z down, pass a larger "
            "epsilon or float64, or take mcr2_landscape.closed_form.value, which works from singular values"
        )
    return rate


def _features(name: str, value: Any) -> jax.Array:
    Z = traced_array(name, value, (None, None))
    if 0 in Z.shape:
        raise InputError(f"{name}: found shape {Z.shape}; pass at least one dimension and one sample")
    return Z


def _memberships(value: Any, num_samples: int) -> tuple[int, ...] | jax.Array:
    """Hard labels as a tuple (static under `jit`), soft memberships as an array."""
    if isinstance(value, Tracer):
        if value.ndim != 2:
            raise InputError(
                "memberships: found traced labels; labels decide shapes and must be concrete: close over them, or pass "
                "one-hot memberships of shape (K, m)"
            )
        _check_columns(value.shape, num_samples)
        return traced_array("memberships", value)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"memberships: cannot be read as an array ({error}); pass integer labels of shape ({num_samples},) or "
            "rows of equal length"
        ) from None
    if array.ndim == 1:
        return _labels(array, num_samples)
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise InputError(
            f"memberships: found shape {array.shape} and dtype {array.dtype}; pass integer labels of shape ({num_samples},) or "
            f"memberships of shape (K, {num_samples})"
        )
    _check_columns(array.shape, num_samples)
    if not np.isfinite(array).all() or (array < 0).any():
        raise InputError("memberships: found negative or non-finite entries; pass probabilities")
    tolerance = 1e-5 if array.dtype == np.float32 else 1e-8
    worst = int(np.argmax(np.abs(array.sum(axis=0) - 1)))
    if abs(array[:, worst].sum() - 1) > tolerance:
        raise InputError(f"memberships: column {worst} sums to {array[:, worst].sum():g}; each column must sum to one")
    empty = np.flatnonzero(array.sum(axis=1) <= 0)
    if empty.size:
        raise InputError(f"memberships: class {int(empty[0])} is empty; drop its row")
    return jnp.asarray(value, dtype=jnp.result_type(float)) if array.dtype.kind != "f" else traced_array("memberships", value)


def _check_columns(shape: tuple[int, ...], num_samples: int) -> None:
    if shape[1] != num_samples:
        hint = "; it looks transposed" if shape[0] == num_samples else ""
        raise InputError(f"memberships: found shape {tuple(shape)}, expected (K, {num_samples}){hint}")


def _labels(array: np.ndarray, num_samples: int) -> tuple[int, ...]:
    if array.dtype.kind not in "iu":
        raise InputError(
            f"memberships: found labels of dtype {array.dtype}; pass integers 0 … K−1, for instance from "
            "np.unique(labels, return_inverse=True)[1]"
        )
    if array.size != num_samples:
        raise InputError(
            f"memberships: found {array.size} labels for {num_samples} samples (columns of Z); pass one label each"
        )
    if array.min() < 0:
        raise InputError(f"memberships: found the negative label {array.min()}; pass integers 0 … K−1")
    present = np.unique(array)
    if present.size != present[-1] + 1:
        gap = int(np.flatnonzero(np.append(present, -1)[: present.size] != np.arange(present.size))[0])
        raise InputError(
            f"memberships: labels run to {present[-1]} but class {gap} has no samples; relabel with "
            "np.unique(labels, return_inverse=True)[1]"
        )
    return tuple(array.tolist())
