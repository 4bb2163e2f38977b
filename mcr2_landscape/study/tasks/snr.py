"""Signal over noise in the attention-only transformer, layer by layer.

Source: Wang et al., *Attention-Only Transformers via Unrolled Subspace Denoising* (2025), theorem 1, as recalled; where it ends
is derived in this project (claim `aot.snr.corrected`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mcr2_landscape.validation import InputError, positive_integer, positive_real

_OFF = 1e-6  # of 1 + eta tau: a layer whose ratio is further off is not what the theorem says


@dataclass(frozen=True)
class Snr:
    """Tokens of K classes, through L layers.

    **Fields:** `growth` 1 + eta tau; `breaks`, the first layer (from one) at which the ratio of some class is off it by more
    than a millionth of it, missing where none is; `kept`, how many layers are not. Lists over the layers: `layer`;
    `snr`, signal over noise of all tokens together after the layer, and `start_snr` before the first; of the classes' ratios of
    signal over noise after a layer to that before, each over `growth`, the median `ratio`, `ratio_least` and `ratio_largest`;
    `attending`, the share of the tokens that attend in the head of another class to one of its tokens, with a weight above the
    threshold; `idle`, the share of those that do not attend to themselves in the head of their own class.
    """

    growth: float
    breaks: int | None
    kept: int
    start_snr: float
    layer: tuple[int, ...]
    snr: tuple[float, ...]
    ratio: tuple[float, ...]
    ratio_least: tuple[float, ...]
    ratio_largest: tuple[float, ...]
    attending: tuple[float, ...]
    idle: tuple[float, ...]


def snr(
    *,
    rank: int = 64,
    heads: int = 4,
    num_tokens: int = 256,
    noise: float = 0.1,
    step: float = 0.5,
    threshold: float = 0.75,
    layers: int = 8,
    control: Literal["none", "normalized", "temperature"] = "none",
    seed: int,
) -> Snr:
    """Draw tokens Σ_j U_j v_j, v_j standard normal in a token's own subspace and `noise` times that in all others, and let them
    pass.

    **Arguments:** `rank` p of each of `heads` K ≥ 2 orthogonal subspaces that span the space; `num_tokens`, of all classes
    together, a multiple of K; `noise` delta; `step` eta; `threshold` tau < 1; `control`: "normalized" scales each token to the
    norm √p before each layer, "temperature" divides the logits of layer l + 1 by (1 + eta tau)^(2l).

    **Raises:** `InputError` for numbers out of range.
    """
    import jax

    from mcr2_landscape import whitebox as wb

    rank, heads = positive_integer("rank", rank), positive_integer("heads", heads, minimum=2)
    num_tokens, layers = positive_integer("num_tokens", num_tokens, minimum=2), positive_integer("layers", layers)
    if num_tokens % heads:
        raise InputError(f"num_tokens: found {num_tokens}; pass a multiple of the number of heads, {heads}")
    noise, step, threshold = (positive_real(*own) for own in (("noise", noise), ("step", step), ("threshold", threshold)))
    if threshold >= 1:
        raise InputError(f"threshold: found {threshold:g}; no weight of a softmax is above 1, pass less")
    if control not in ("none", "normalized", "temperature"):
        raise InputError(f'control: found {control!r}; pass "none", "normalized" or "temperature"')
    random, labels = np.random.default_rng(seed), np.repeat(np.arange(heads), num_tokens // heads)
    U = wb.random_bases(key=random, heads=heads, dim=heads * rank, rank=rank)
    mine = np.arange(heads)[:, None] == labels
    V = random.standard_normal((heads, rank, num_tokens)) * np.where(mine, 1.0, noise)[:, None, :]
    Z, growth = np.sum(U @ V, axis=0), 1 + step * threshold
    start, rows = _overall(V, mine), []
    for place in range(layers):
        if control == "normalized":
            Z = Z * math.sqrt(rank) / np.linalg.norm(Z, axis=0)
        # V phi(VᵀV/T) is √T times what V/√T gives.
        scale = growth**place if control == "temperature" else 1.0
        with jax.enable_x64(True):
            after = scale * np.asarray(wb.subspace_denoising(Z / scale, U, step=step, threshold=threshold))
        if not np.isfinite(after).all():
            raise InputError(f"layers: the tokens of layer {place + 1} are too large for float64; pass fewer layers")
        V, W = np.swapaxes(U, 1, 2) @ Z, np.swapaxes(U, 1, 2) @ after
        ratios = _by_class(W, mine, labels) / _by_class(V, mine, labels) / growth
        rows.append((place + 1, _overall(W, mine), *_spread(ratios), *_attention(V / scale, mine, labels, threshold)))
        Z = after
    off = [max(abs(low - 1), abs(high - 1)) > _OFF for _, _, _, low, high, *_ in rows]
    layer, levels, middle, least, largest, attending, idle = zip(*rows, strict=True)
    return Snr(
        growth=growth,
        breaks=off.index(True) + 1 if True in off else None,
        kept=off.index(True) if True in off else layers,
        start_snr=start,
        layer=layer,
        snr=levels,
        ratio=middle,
        ratio_least=least,
        ratio_largest=largest,
        attending=attending,
        idle=idle,
    )


def _squares(V: np.ndarray, mine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared norms of signal and noise of each token."""
    squares = np.sum(V**2, axis=1)
    return np.sum(squares * mine, axis=0), np.sum(squares * ~mine, axis=0)


def _overall(V: np.ndarray, mine: np.ndarray) -> float:
    signal, noise = _squares(V, mine)
    return math.sqrt(signal.sum() / noise.sum())


def _by_class(V: np.ndarray, mine: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Signal over noise of each class's tokens together, in Frobenius norms."""
    signal, noise = (np.bincount(labels, own) for own in _squares(V, mine))
    return np.sqrt(signal / noise)


def _spread(values: np.ndarray) -> tuple[float, float, float]:
    return float(np.median(values)), float(values.min()), float(values.max())


def _attention(V: np.ndarray, mine: np.ndarray, labels: np.ndarray, threshold: float) -> tuple[float, float]:
    """Shares of tokens that attend to another class's signal, and of those that do not attend to themselves."""
    logits = np.swapaxes(V, 1, 2) @ V
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    kept = weights > threshold * weights.sum(axis=1, keepdims=True)
    # [k, i, l]: in head k token l attends to token i, which is of class k, and l is not.
    to_signal = (kept & mine[:, :, None]).any(axis=1) & ~mine
    own = kept[labels, np.arange(labels.size), np.arange(labels.size)]
    return float(to_signal.any(axis=0).mean()), float((~own).mean())
