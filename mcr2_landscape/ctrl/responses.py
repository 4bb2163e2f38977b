"""The decoder's best responses to an encoder: a whole set of them.

G is one iff M = F G satisfies M P_j Mᵀ = P_j for every class: on f(S_j) it acts as an isometry of the inner product P_j⁺, that
is M A_j = A_j O_j with O_j orthogonal on the row space of A_j. F⁺ is one (O_j = I). For independent images the set has
dimension

    Σ m_j (m_j − 1)/2 + (d_x − rank F) Σ m_j + d_x (d_z − Σ m_j),   m_j = rank f(X_j).

Source: docs/ctrl.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.stats

from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, real
from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.game import SubspaceGame

_RANK = 1e-10
_RESPONDS = 1e-8


@dataclass(frozen=True)
class BestResponses(Record):
    """All best responses to one encoder.

    **Fields:** `decoder`: F⁺, shape (d_x, d_z). `dimension` of the set (`None` where the images f(S_j) are dependent, which
    ties the orthogonal factors together). `ranks`: m_j. `rank`: of F.
    """

    decoder: np.ndarray = field(repr=False, metadata={"json": False})
    dimension: int | None
    ranks: tuple[int, ...]
    rank: int
    _parts: Any = field(repr=False, metadata={"json": False})

    def sample(self, key: Any, *, scale: float = 1.0) -> np.ndarray:
        """A random member (d_x, d_z): orthogonal factors by Haar's measure, the free parts Gaussian with standard deviation
        `scale`; none of the orthogonal factors moves where the images are dependent.

        **Raises:** `InputError` for a bad key, or a scale that is not a number of at least zero.
        """
        random, scale = generator(key), real("scale", scale)
        if scale < 0:
            raise InputError(f"scale: found {scale:g}; it must be at least zero")
        F, blocks = self._parts
        bases = [U for U, _ in blocks]
        image = np.concatenate(bases, axis=1)
        moved = []
        for U, s in blocks:
            size = s.size
            if self.dimension is None or size == 0:
                moved.append(U)
                continue
            turn = scipy.stats.ortho_group.rvs(size, random_state=random) if size > 1 else random.choice([-1.0, 1.0], (1, 1))
            moved.append(U @ (s[:, None] * turn / s))
        joined = np.linalg.pinv(image, rcond=_RANK)
        on_image = np.concatenate(moved, axis=1) @ joined  # M on f(S), zero on its complement
        onto = image @ joined
        first, second = (scale * random.standard_normal(self.decoder.shape) for _ in range(2))
        kernel = first - self.decoder @ (F @ first)
        return self.decoder @ on_image + kernel @ onto + second @ (np.eye(F.shape[0]) - onto)


def responses_to(F: np.ndarray, factors: tuple[np.ndarray, ...]) -> BestResponses:
    """All best responses to F (d_z, d_x) for classes C_j (d_x, r_j)."""
    U, s, Vt = np.linalg.svd(F, full_matrices=False)
    kept = s > _RANK * max(float(s[0]), 1e-300)
    rank = int(kept.sum())
    decoder = (Vt[kept].T / s[kept]) @ U[:, kept].T
    images = [F @ C for C in factors]
    cut = _cut(F, images, factors)
    blocks = []
    for A in images:
        U_j, s_j, _ = np.linalg.svd(A, full_matrices=False)
        blocks.append((U_j[:, s_j > cut], s_j[s_j > cut]))
    ranks = tuple(s_j.size for _, s_j in blocks)
    together = np.concatenate([U_j for U_j, _ in blocks], axis=1)
    independent = together.shape[1] == 0 or (
        together.shape[1] <= F.shape[0] and float(np.linalg.svd(together, compute_uv=False)[-1]) > 1e-8
    )
    dim, ambient = F.shape
    dimension = None
    if independent:
        total = sum(ranks)
        dimension = sum(m * (m - 1) // 2 for m in ranks) + (ambient - rank) * total + ambient * (dim - total)
    return BestResponses(decoder, dimension, ranks, rank, (F, blocks))


def _cut(F: np.ndarray, images: list[np.ndarray], factors: tuple[np.ndarray, ...]) -> float:
    """Singular values of the images up to this count as zero: small beside the largest, or beside the rounding of the product
    where F does not see the data."""
    rounding = 64 * np.finfo(np.float64).eps * float(np.linalg.norm(F)) * max(float(np.linalg.norm(C)) for C in factors)
    return max(_RANK * max(float(np.linalg.norm(A, 2)) for A in images), rounding)


def response_error(F: np.ndarray, G: np.ndarray, factors: tuple[np.ndarray, ...], scales: np.ndarray) -> float:
    """max_j ‖M P_j Mᵀ − P_j‖/‖P_j‖, zero exactly at best responses; classes that F maps to zero are left out.

    Norms are those of E_j^½ (·) E_j^½ with E_j = (I + b_j P_j)⁻¹ and `scales` b_j, shape (K,): the distance D is quadratic in
    that error, however small a direction of f(X_j) is beside the largest one. In the plain norm a small direction that the
    decoder loses would go unseen, where D may be large.
    """
    M = F @ G
    images = [F @ C for C in factors]
    cut = _cut(F, images, factors)
    errors = [0.0]
    for j, A in enumerate(images):
        if float(np.linalg.norm(A, 2)) <= cut:
            continue
        image = M @ A
        U, s, _ = np.linalg.svd(A, full_matrices=False)
        root = np.sqrt(scales[j]) * s
        less = U * (1 / np.sqrt(1 + root**2) - 1) @ U.T  # E_j^½ − I
        A, image = A + less @ A, image + less @ image
        size = np.linalg.norm(A)
        A, image = A / size, image / size
        errors.append(float(np.linalg.norm(image @ image.T - A @ A.T) / np.linalg.norm(A @ A.T)))
    return float(np.max(errors))  # NaN, should there be one, is not lost


def response_verdict(game: SubspaceGame, F: np.ndarray, G: np.ndarray) -> tuple[Verdict, float]:
    """Whether G is a best response to F, and its `response_error`: undecided where an error above 1e-8 may be rounding of F G,
    which grows with the norms of both and with the spread of the singular values of f(X_j)."""
    error = game.response_error(F, G)
    if error <= _RESPONDS:
        return Verdict.HOLDS, error
    scale = np.sqrt(game.dim / (min(game.sizes) * game.epsilon**2))
    spread = 1 + scale * max(float(np.linalg.norm(F @ C, 2)) for C in game.spans.factors)
    size = float(np.linalg.norm(F, 2)) * float(np.linalg.norm(G, 2))
    rounding = 16 * float(np.finfo(np.float64).eps) * size * spread
    return (Verdict.REFUTED if error > _RESPONDS + rounding else Verdict.UNDECIDED), error


def check_tolerance(rtol: float) -> None:
    """A tolerance for `response_error` below what rounding leaves decides nothing.

    **Raises:** `InputError`.
    """
    if not 1e-14 <= rtol < 1:
        raise InputError(f"rtol: found {rtol:g}; pass a number between 1e-14 and 1, for instance 1e-8")
