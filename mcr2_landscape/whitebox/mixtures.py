"""Tokens from a mixture of Gaussians on subspaces, seen with noise: what denoising is, in closed form.

    z = U_k a + noise · w,   k uniform, a ~ N(0, variance I_p), w ~ N(0, I_d)

with orthonormal U_k of shape (d, p). Tokens are columns, Z of shape (d, N). Component k has the covariance
variance U_k U_kᵀ + noise² I, so that all of these are softmaxes and projections.

Source: Buchanan, Pai, Wang, Ma, *Learning Deep Representations of Data Distributions*, chapter 4; Pai et al., *Masked
Completion via Structured Diffusion with White-Box Transformers* (ICLR 2024), section 2; Tweedie's formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mcr2_landscape.precision import positive_leaf, traced_array
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, positive_integer, positive_real, real
from mcr2_landscape.whitebox.tokens import orthonormal_bases, tokens

_PRECISION = "highest"


def responsibilities(Z: Any, U: Any, variance: Any, noise: Any) -> Float[Array, "k n"]:
    """The posterior probability of each component for each token, shape (K, N).

    softmax over k of variance ‖U_kᵀ z‖²/(2 noise² (variance + noise²)). The often printed softmax of ‖U_kᵀ z‖²/(2 noise²) is
    its limit for an infinite variance (`variance=math.inf` gives it).

    **Arguments:** `Z` of shape (d, N); `U` of shape (K, d, p) with orthonormal columns; `variance` > 0 of the coefficients;
    `noise` > 0, the standard deviation of the noise.

    **Raises:** `InputError` for wrong shapes, bases that are not orthonormal, NaN, two dtypes, or numbers ≤ 0.
    """
    Z, U = _both(Z, U)
    return _responsibilities(Z, U, *_numbers(variance, noise))


def posterior_mean(Z: Any, U: Any, variance: Any, noise: Any) -> Float[Array, "d n"]:
    """E[x | z] = shrinkage Σ_k r_k U_k U_kᵀ z, shrinkage = variance/(variance + noise²): the best denoiser, shape (d, N).

    Arguments and errors as `responsibilities`.
    """
    Z, U = _both(Z, U)
    return _posterior_mean(Z, U, *_numbers(variance, noise))


def score(Z: Any, U: Any, variance: Any, noise: Any) -> Float[Array, "d n"]:
    """∇ log density at each token, (E[x | z] − z)/noise² by Tweedie's formula, shape (d, N). Arguments and errors as
    `responsibilities`."""
    Z, U = _both(Z, U)
    shrinkage, noise = _numbers(variance, noise)
    return (_posterior_mean(Z, U, shrinkage, noise) - Z) / noise**2


def log_density(Z: Any, U: Any, variance: Any, noise: Any) -> Float[Array, " n"]:
    """log of the density at each token, shape (N,). Arguments and errors as `responsibilities`, the variance finite."""
    Z, U = _both(Z, U)
    variance = positive_leaf("variance", variance)
    shrinkage, noise = _numbers(variance, noise)
    # 1 − shrinkage before it is rounded: for little noise the shrinkage is one to rounding.
    return _log_density(Z, U, shrinkage, noise**2 / (variance + noise**2), noise)


class Sample(NamedTuple):
    """Tokens of a mixture: `noisy` (d, N), `clean` (d, N), and `labels` (N,), the component of each."""

    noisy: Float[np.ndarray, "d n"]
    clean: Float[np.ndarray, "d n"]
    labels: Int[np.ndarray, " n"]


def sample_mixture(*, key: Any, U: Any, sizes: Any, variance: float = 1.0, noise: float = 0.1) -> Sample:
    """Draw tokens, `sizes[k]` from component k, sorted by component; float64 NumPy.

    **Arguments:** `key`: a JAX key, an integer seed or a NumPy generator; `U` of shape (K, d, p) with orthonormal columns;
    `noise` ≥ 0.

    **Raises:** `InputError` for as many sizes as there are not bases, or numbers out of range.
    """
    with jax.enable_x64(True):
        U = traced_array("U", U)
        if U.ndim != 3:
            raise InputError(f"U: found shape {U.shape}; pass (heads, d, p), one basis of columns a head")
        U = np.asarray(orthonormal_bases("U", U.astype(np.float64), jnp.zeros((U.shape[1], 1))))
    if not isinstance(sizes, Sequence):
        raise InputError(f"sizes: found {sizes!r}; pass one number of tokens a basis, such as (100, 100)")
    sizes = [positive_integer(f"sizes[{k}]", size) for k, size in enumerate(sizes)]
    if len(sizes) != len(U):
        raise InputError(f"sizes: found {len(sizes)} for {len(U)} bases; pass one a basis")
    variance, noise = positive_real("variance", variance), real("noise", noise)
    if noise < 0:
        raise InputError(f"noise: found {noise:g}; it must be at least zero")
    random = generator(key)
    clean = [
        basis @ random.standard_normal((U.shape[2], size)) * math.sqrt(variance) for basis, size in zip(U, sizes, strict=True)
    ]
    signal = np.concatenate(clean, axis=1)
    return Sample(signal + noise * random.standard_normal(signal.shape), signal, np.repeat(np.arange(len(U)), sizes))


def random_bases(*, key: Any, heads: int, dim: int, rank: int, incoherent: bool = True) -> Float[np.ndarray, "k d p"]:
    """Random orthonormal bases (K, d, p) float64: of orthogonal subspaces where `incoherent`, else independent of one another.

    **Raises:** `InputError` where orthogonal subspaces do not fit into the dimension.
    """
    heads, dim, rank = positive_integer("heads", heads), positive_integer("dim", dim), positive_integer("rank", rank)
    if (heads if incoherent else 1) * rank > dim:
        raise InputError(
            f"dim: found {dim}, too few for {heads if incoherent else 1} × {rank} orthonormal directions; pass more"
        )
    random = generator(key)
    if incoherent:
        Q, _ = np.linalg.qr(random.standard_normal((dim, heads * rank)))
        return np.ascontiguousarray(Q.reshape(dim, heads, rank).transpose(1, 0, 2))
    return np.linalg.qr(random.standard_normal((heads, dim, rank)))[0]


def _both(Z: Any, U: Any) -> tuple[jax.Array, jax.Array]:
    Z = tokens("Z", Z)
    return Z, orthonormal_bases("U", U, Z)


def _numbers(variance: Any, noise: Any) -> tuple[Any, Any]:
    """The shrinkage variance/(variance + noise²) and the noise."""
    noise = positive_leaf("noise", noise)
    if isinstance(variance, (int, float)) and variance == math.inf:
        return 1.0, noise
    variance = positive_leaf("variance", variance)
    return variance / (variance + noise**2), noise


def _exponents(Z, U, shrinkage, noise):
    squares = jnp.sum(jnp.einsum("kdp,dn->kpn", U, Z, precision=_PRECISION) ** 2, axis=1)
    return shrinkage / (2 * noise**2) * squares


@jax.jit
def _responsibilities(Z, U, shrinkage, noise):
    return jax.nn.softmax(_exponents(Z, U, shrinkage, noise), axis=0)


@jax.jit
def _posterior_mean(Z, U, shrinkage, noise):
    V = jnp.einsum("kdp,dn->kpn", U, Z, precision=_PRECISION)
    weights = jax.nn.softmax(shrinkage / (2 * noise**2) * jnp.sum(V * V, axis=1), axis=0)
    return shrinkage * jnp.einsum("kdp,kpn->dn", U, weights[:, None, :] * V, precision=_PRECISION)


@jax.jit
def _log_density(Z, U, shrinkage, rest, noise):
    K, d, p = U.shape
    # logdet of the covariance: d log noise² − p log(1 − shrinkage)
    constant = d * math.log(2 * math.pi) + 2 * d * jnp.log(noise) - p * jnp.log(rest)
    quadratic = jnp.sum(Z * Z, axis=0) / noise**2
    mixture = jax.nn.logsumexp(_exponents(Z, U, shrinkage, noise), axis=0) - math.log(K)
    return mixture - 0.5 * (quadratic + constant)
