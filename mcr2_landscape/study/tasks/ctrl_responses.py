"""The decoder's best responses to an encoder: the dimension of their set by the formula, and as it is measured.

Source: docs/ctrl.md, best responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcr2_landscape.validation import InputError, positive_integer, positive_real

_ZERO = 1e-9  # of the largest singular value: what of the Jacobian counts as zero
_SPREAD = 1e-2  # images whose directions are nearer to dependent than that are drawn anew
_DRAWS = 100


@dataclass(frozen=True)
class CtrlResponses:
    """One game, an encoder, and a random best response G to it.

    **Fields:** `ranks` r_j; `kept` m_j = rank f(X_j); `ambient_dim` d_x; `dim` d_z; `encoder_rank`. `formula`: the dimension
    Σ m_j(m_j − 1)/2 + (d_x − rank F) Σ m_j + d_x(d_z − Σ m_j), in three terms, `turns`, `unseen` and `idle`; `listed`: as the
    library has it; `nullity` of the derivative of G ↦ (M P_j Mᵀ)_j at G, which is that of the distance's Hessian, `unknowns`
    d_x d_z. `singular_values` of that derivative over the largest, of which `nullity` are zero: `smallest` is the least of the
    others (missing where none is), `rounding` the largest of the zeros (missing likewise). `response_error` of G, and
    `identity_error`, ‖FGF − F‖/‖F‖ on the data's span: best responses need not be inverses. `away`: ΣD_j at a distance of
    `steps` from G, in norms of G, along a random direction, the mean of both sides.
    """

    ranks: tuple[int, ...]
    kept: tuple[int, ...]
    ambient_dim: int
    dim: int
    encoder_rank: int
    turns: int
    unseen: int
    idle: int
    formula: int
    listed: int
    nullity: int
    unknowns: int
    singular_values: tuple[float, ...]
    smallest: float | None
    rounding: float | None
    response_error: float
    identity_error: float
    steps: tuple[float, ...]
    away: tuple[float, ...]


def ctrl_responses(
    *, max_classes: int = 3, max_rank: int = 3, lossy: bool = False, scale: float = 0.3, seed: int
) -> CtrlResponses:
    """Draw independent classes and an encoder in general position, and measure the set of best responses.

    **Arguments:** `max_classes`, at least 2, and `max_rank` of each; d_x is up to two beyond Σ r_j, d_z up to one; `lossy`:
    whether the encoder gives up dimensions at random; `scale` of the free parts of the best response.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape.ctrl import SubspaceGame, values

    random = np.random.default_rng(seed)
    most = positive_integer("max_classes", max_classes, minimum=2), positive_integer("max_rank", max_rank)
    scale = positive_real("scale", scale)
    factors, F, kept = _draw(random, *most, lossy=lossy)
    sizes = tuple(C.shape[1] + 2 for C in factors)
    X, labels = _samples(factors, sizes, random)
    game = SubspaceGame(X, labels, dim=F.shape[0], epsilon=1.0)
    responses = game.best_response(F)
    if responses.dimension is None:
        raise InputError(f"seed: found {seed}, of which the images of the classes are dependent")
    G = responses.sample(int(random.integers(2**31)), scale=scale)
    singular = np.linalg.svd(jacobian(F, G, factors), compute_uv=False)
    singular = np.concatenate([singular, np.zeros(G.size - singular.size)]) / singular[0]
    zero = singular <= _ZERO
    ambient, dim, rank, total = F.shape[1], F.shape[0], responses.rank, sum(kept)
    terms = sum(m * (m - 1) // 2 for m in kept), (ambient - rank) * total, ambient * (dim - total)
    basis = game.spans.span
    seen = F @ basis
    direction = random.standard_normal(G.shape)
    direction *= np.linalg.norm(G) / np.linalg.norm(direction)
    steps = (1e-3, 1e-2, 1e-1)
    away = [
        0.5 * sum(values.distances(factors, sizes, dim, 1.0, F, G + side * step * direction).sum() for side in (1, -1))
        for step in steps
    ]
    return CtrlResponses(
        ranks=game.ranks,
        kept=tuple(kept),
        ambient_dim=ambient,
        dim=dim,
        encoder_rank=rank,
        turns=terms[0],
        unseen=terms[1],
        idle=terms[2],
        formula=sum(terms),
        listed=responses.dimension,
        nullity=int(zero.sum()),
        unknowns=G.size,
        singular_values=tuple(singular.tolist()),
        smallest=float(singular[~zero].min()) if not zero.all() else None,
        rounding=float(singular[zero].max()) if zero.any() else None,
        response_error=game.response_error(F, G),
        identity_error=float(np.linalg.norm(F @ G @ seen - seen) / np.linalg.norm(seen)),
        steps=steps,
        away=tuple(float(own) for own in away),
    )


def jacobian(F: np.ndarray, G: np.ndarray, factors: Sequence[np.ndarray]) -> np.ndarray:
    """The derivative of G ↦ (M P_j Mᵀ)_j, M = FG: one column for each entry of G, row by row."""
    M, size = F @ G, G.size
    parts = []
    for C in factors:
        A = F @ C
        # δ(M P Mᵀ) = F δG P Mᵀ + its transpose; (F δG P Mᵀ)_{ik} = Σ F_ia δG_ac (P Mᵀ)_ck
        moved = np.einsum("ia,ck->ikac", F, A @ (M @ A).T)
        parts.append((moved + np.swapaxes(moved, 0, 1)).reshape(-1, size))
    return np.concatenate(parts)


def _draw(
    random: np.random.Generator, max_classes: int, max_rank: int, *, lossy: bool
) -> tuple[list[np.ndarray], np.ndarray, list[int]]:
    """Classes C_j of singular values over about a decade, an encoder, and what it keeps of each."""
    for _ in range(_DRAWS):
        ranks = random.integers(1, max_rank + 1, size=int(random.integers(2, max_classes + 1))).tolist()
        ambient, dim = sum(ranks) + int(random.integers(0, 3)), sum(ranks) + int(random.integers(0, 2))
        factors = [
            np.linalg.qr(random.standard_normal((ambient, r)))[0] * 10 ** random.uniform(-0.3, 0.7, size=r) for r in ranks
        ]
        kept = [int(random.integers(1, r + 1)) for r in ranks] if lossy else list(ranks)
        joined = np.concatenate(factors, axis=1)
        back = np.linalg.pinv(joined)
        images = [random.standard_normal((dim, m)) @ random.standard_normal((m, r)) for m, r in zip(kept, ranks, strict=True)]
        A = np.concatenate(images, axis=1)
        beyond = random.standard_normal((dim, 1)) @ random.standard_normal((1, ambient))
        F = A @ back + beyond @ (np.eye(ambient) - joined @ back)
        spread, plain = (np.linalg.svd(own, compute_uv=False) for own in (A, joined))
        if spread[sum(kept) - 1] > _SPREAD * spread[0] and plain[-1] > _SPREAD * plain[0]:
            return factors, F, kept
    raise InputError(f"max_rank: found {max_rank}, with which no draw of {_DRAWS} was in general position; pass a smaller one")


def _samples(factors: Sequence[np.ndarray], sizes: Sequence[int], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Samples (n, d_x) and labels, with X_jX_jᵀ = C_jC_jᵀ."""
    rows = [np.linalg.qr(random.standard_normal((size, C.shape[1])))[0] @ C.T for C, size in zip(factors, sizes, strict=True)]
    return np.concatenate(rows), np.repeat(np.arange(len(sizes)), sizes)
