"""The regularized rate reduction on the host: float64 NumPy, from singular value decompositions.

With alpha = d/(m eps²), alpha_k = d/(m_k eps²) and rho_k = m/m_k = alpha_k/alpha the objective is

    F(Z) = ½ logdet(I + alpha Z Zᵀ) − Σ_k (m_k/2m) logdet(I + alpha_k Z_k Z_kᵀ) − (lambda/2) ‖Z‖²

Everything is computed for W = √alpha Z, in which only d, the rho_k and ell = lambda/alpha are left: the precision of the answer
then depends on neither eps nor the units of the features. Singular values of W, unlike eigenvalues of W Wᵀ, keep the large
and the small ones apart, so that A = (I + W Wᵀ)^{-1} is accurate to working precision at any condition number.

Source of the objective: Wang, Liu, Pai, Yu, Zhu, Qu, Ma, *A Global Geometric Analysis of Maximal Coding Rate Reduction*
(ICML 2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, class_sizes, positive_integer, positive_real

_NO_NOISE = 1e-9  # of the largest singular value: a smaller one may be noise, whose directions belong to no orbit
_SMALLEST_ALPHA = 1e-150  # products of two alphas stay within float64


@dataclass(frozen=True)
class Parameters(Record):
    """The numbers that make a regularized problem.

    **Fields:** `dim` (d), `sizes` (m_1 … m_K, at least two classes), `epsilon` (coding precision) and `regularization`
    (lambda). `widths`: the columns stored for each class, `sizes` unless given. Fewer of them describe points whose blocks have
    low rank, in coordinates of their row spaces: the objective depends on Z_k Z_kᵀ only, so nothing else changes.

    **Raises:** `InputError` for numbers out of range.
    """

    dim: int
    sizes: tuple[int, ...]
    epsilon: float
    regularization: float
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", positive_integer("dim", self.dim))
        object.__setattr__(self, "sizes", class_sizes("sizes", self.sizes))
        object.__setattr__(self, "epsilon", positive_real("epsilon", self.epsilon))
        object.__setattr__(self, "regularization", positive_real("regularization", self.regularization))
        check_epsilon(self.dim, self.sizes, self.epsilon)
        object.__setattr__(self, "widths", _checked_widths(self.widths, self.sizes))

    @property
    def num_samples(self) -> int:
        """m, the number of columns of Z."""
        return sum(self.sizes)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.sizes)

    @cached_property
    def alpha(self) -> float:
        """alpha = d/(m eps²)."""
        return self.dim / (self.num_samples * self.epsilon**2)

    @cached_property
    def alphas(self) -> np.ndarray:
        """alpha_k = d/(m_k eps²), shape (K,)."""
        return self.dim / (np.array(self.sizes, dtype=np.float64) * self.epsilon**2)

    @cached_property
    def ratios(self) -> np.ndarray:
        """rho_k = m/m_k = alpha_k/alpha, shape (K,)."""
        return self.num_samples / np.array(self.sizes, dtype=np.float64)

    @cached_property
    def ell(self) -> float:
        """ell = lambda/alpha, the regularization in the units in which the landscape depends on nothing else."""
        return self.regularization / self.alpha

    @property
    def shape(self) -> tuple[int, int]:
        """(d, number of stored columns); (d, m) unless `widths` says otherwise."""
        return self.dim, sum(self.widths)

    def blocks(self, Z: np.ndarray) -> Iterator[np.ndarray]:
        """The class blocks Z_1 … Z_K as views, in order."""
        start = 0
        for width in self.widths:
            yield Z[:, start : start + width]
            start += width


def check_epsilon(dim: int, sizes: tuple[int, ...], epsilon: float) -> None:
    """Refuse an epsilon at which alpha, alpha_k or the products of two of them leave the range of float64.

    **Raises:** `InputError`.
    """
    square = epsilon * epsilon  # unlike epsilon**2, this overflows to infinity and not to an exception
    bounds = [dim / (size * square) if square > 0 else np.inf for size in (min(sizes), sum(sizes))]
    if not all(_SMALLEST_ALPHA <= bound <= 1 / _SMALLEST_ALPHA for bound in bounds):
        raise InputError(
            f"epsilon: found {epsilon:g}, at which alpha = d/(m epsilon²) leaves the range of float64; pass a number between "
            "about 1e-70 and 1e70, or change the units of the features"
        )


def _checked_widths(widths: Iterable[int], sizes: tuple[int, ...]) -> tuple[int, ...]:
    try:
        found = tuple(widths)
    except TypeError:
        raise InputError(f"widths: found {widths!r}; pass the number of stored columns of each class") from None
    if not found:
        return sizes
    if len(found) != len(sizes):
        raise InputError(f"widths: found {len(found)} for {len(sizes)} classes; pass one a class")
    checked = tuple(positive_integer(f"widths[{k}]", width) for k, width in enumerate(found))
    for k, (width, size) in enumerate(zip(checked, sizes, strict=True)):
        if width > size:
            raise InputError(f"widths[{k}]: found {width}, but the class has {size} samples; pass at most that many columns")
    return checked


def value(p: Parameters, Z: np.ndarray, *, regularized: bool = True) -> float:
    """F(Z) for Z of shape (d, m), float64; without the penalty, ΔR(Z), if not `regularized`."""
    W = np.sqrt(p.alpha) * Z
    s = np.linalg.svd(W, compute_uv=False)
    total = 0.5 * np.log1p(s**2).sum()
    if regularized:
        total -= 0.5 * p.ell * np.sum(W * W)
    for rho, W_k in zip(p.ratios, p.blocks(W), strict=True):
        s_k = np.linalg.svd(W_k, compute_uv=False)
        total -= 0.5 / rho * np.log1p(rho * s_k**2).sum()
    return float(total)


def _gradient_terms(p: Parameters, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A W and the blocks A_k W_k, both of W's shape."""
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    whole = (U * (s / (1 + s**2))) @ Vt
    classes = np.empty_like(W)
    for rho, W_k, out in zip(p.ratios, p.blocks(W), p.blocks(classes), strict=True):
        U_k, s_k, Vt_k = np.linalg.svd(W_k, full_matrices=False)
        out[...] = (U_k * (s_k / (1 + rho * s_k**2))) @ Vt_k
    return whole, classes


def gradient(p: Parameters, Z: np.ndarray) -> np.ndarray:
    """∇F(Z), with blocks alpha A Z_k − alpha A_k Z_k − lambda Z_k; shape (d, m)."""
    return gradient_and_scale(p, Z)[0]


def gradient_and_scale(p: Parameters, Z: np.ndarray, *, regularized: bool = True) -> tuple[np.ndarray, float]:
    """∇F(Z) and the magnitude ‖alpha A Z‖ + ‖(alpha A_k Z_k)_k‖ + lambda‖Z‖ of the terms that cancel in it; a gradient norm
    is small or large relative to that."""
    root = np.sqrt(p.alpha)
    W = root * Z
    whole, classes = _gradient_terms(p, W)
    ell = p.ell if regularized else 0.0
    scale = np.linalg.norm(whole) + np.linalg.norm(classes) + ell * np.linalg.norm(W)
    return root * (whole - classes - ell * W), float(root * scale)


def hessian_matrix(p: Parameters, Z: np.ndarray, *, regularized: bool = True) -> np.ndarray:
    """The dense Hessian of F at Z, shape (d m, d m), rows and columns in C order of Z.

    With M = (I + WᵀW)^{-1} and P = A W the directional derivative of A W is A D M − P Dᵀ P, and the same holds class by class.
    """
    d, m = p.shape
    W = np.sqrt(p.alpha) * Z
    H = _resolvent_derivative(W, 1.0)
    start = 0
    for rho, W_k in zip(p.ratios, p.blocks(W), strict=True):
        stop = start + W_k.shape[1]
        H[:, start:stop, :, start:stop] -= _resolvent_derivative(W_k, rho)
        start = stop
    H = H.reshape(d * m, d * m)
    if regularized:
        H[np.diag_indices(d * m)] -= p.ell
    return p.alpha * (0.5 * (H + H.T))


def _resolvent_derivative(W: np.ndarray, rho: float) -> np.ndarray:
    """The derivative of W ↦ (I + rho W Wᵀ)^{-1} W as a tensor [i, j, p, q]: output entry (i, j), input entry (p, q)."""
    U, s, Vt = np.linalg.svd(W, full_matrices=True)
    d, m = W.shape
    k = s.size
    inverse = 1 / (1 + rho * s**2)
    a = np.concatenate([inverse, np.ones(d - k)])
    b = np.concatenate([inverse, np.ones(m - k)])
    A = (U * a) @ U.T
    M = (Vt.T * b) @ Vt
    P = (U[:, :k] * (s * inverse)) @ Vt[:k]
    tensor = np.multiply(A[:, None, :, None], M[None, :, None, :])
    tensor -= rho * P[:, None, None, :] * P.T[None, :, :, None]
    return tensor


def orbit_tangent(p: Parameters, Z: np.ndarray) -> np.ndarray:
    """Columns that span the tangent space {Ω Z + [Z_1 Ψ_1 … Z_K Ψ_K] : Ω, Ψ_k skew} of the orbit of Z under O(d) × Π O(m_k),
    shape (d m, at most d(d−1)/2 + d m). They are dependent in general; their rank is the dimension of the orbit. The first
    d(d−1)/2 belong to O(d).
    """
    return orbit_generators(Z, p.widths)


def orbit_generators(Z: np.ndarray, widths: Iterable[int]) -> np.ndarray:
    """`orbit_tangent` of an array (d, m) in blocks of the given widths."""
    d, m = Z.shape
    i, j = np.triu_indices(d, 1)
    left = np.zeros((i.size, d, m))
    numbers = np.arange(i.size)
    left[numbers, i] = Z[j]
    left[numbers, j] = -Z[i]
    columns = [left.reshape(-1, d * m)]
    start = 0
    for width in widths:
        directions = _right_tangent(Z[:, start : start + width]) if width else np.zeros((0, d, 0))
        full = np.zeros((directions.shape[0], d, m))
        full[:, :, start : start + width] = directions
        columns.append(full.reshape(-1, d * m))
        start += width
    return np.concatenate(columns).T


def invariants(p: Parameters, Z: np.ndarray) -> np.ndarray:
    """What O(d) × Π O(m_k) leaves alone: the singular values of √alpha Z and of each √alpha_k Z_k, descending."""
    whole = np.linalg.svd(np.sqrt(p.alpha) * Z, compute_uv=False)
    classes = [np.linalg.svd(np.sqrt(a) * B, compute_uv=False) for a, B in zip(p.alphas, p.blocks(Z), strict=True)]
    return np.concatenate([whole, *classes])


def _right_tangent(block: np.ndarray) -> np.ndarray:
    """Matrices that span {Z Ψ : Ψ skew} for a block Z = U S Vᵀ of rank r: with Ψ in the coordinates of V, the part between row
    space and its complement gives every u_i v⊥ᵀ, the part within the row space U S Ψ Vᵀ. Shape (r (m−r) + r (r−1)/2, d, m)."""
    U, s, Vt = np.linalg.svd(block, full_matrices=True)
    r = int((s > _NO_NOISE * max(s[0], np.finfo(float).tiny)).sum())
    rest = Vt[r:]
    across = np.einsum("di,jm->ijdm", U[:, :r], rest).reshape(-1, *block.shape)
    i, j = np.triu_indices(r, 1)
    within = s[i, None, None] * np.einsum("di,im->idm", U[:, i], Vt[j])
    within -= s[j, None, None] * np.einsum("di,im->idm", U[:, j], Vt[i])
    return np.concatenate([across, within])


def resolvent(W: np.ndarray, scale: float) -> np.ndarray:
    """(I + scale W Wᵀ)^{-1}, shape (d, d), from the singular values of W."""
    U, s, _ = np.linalg.svd(W, full_matrices=W.shape[1] < W.shape[0])
    inverse = np.ones(W.shape[0])
    inverse[: s.size] = 1 / (1 + scale * s**2)
    return (U * inverse) @ U.T
