"""Where the tokens of each layer sit in the landscape of the layer's own objective.

The objective is f = R − R_c(·|U_l), the smooth part of the sparse rate reduction with the layer's own bases, of the tokens as
they are. What a layer is derived to do is to raise it. See `mcr2_landscape.whitebox.landscape` and docs/whitebox.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.whitebox.halves import SubspaceAttention
from mcr2_landscape.whitebox.landscape import TokenLandscape, token_inertia
from mcr2_landscape.whitebox.layer_measures import bases_of, fine_model, host_images

LIMIT = 1200  # rows of the core up to which directions are counted


@dataclass(frozen=True)
class LayerPositions(Record):
    """One row a layer, one column an image, float64.

    **Fields:** `epsilon`. `value`: f of the tokens that enter the layer; `after_attention` and `after_layer`: f, with the same
    bases, of what leaves its attention half, and the layer. `relative_gradient`: ‖∇R − ∇R_c‖/(‖∇R‖ + ‖∇R_c‖) at the tokens that
    enter, zero at a critical point and at most one; `relative_gradient_attended` and `relative_gradient_after`: at what leaves
    the attention half, and the layer, in the same landscape; NaN at tokens that are all zero. `attention_slope`,
    `layer_slope`: the cosine between ∇f at the tokens that enter and what the half, and the layer, adds to them: positive where
    the step ascends f at first. `ascending`, `descending`, `flat`, `undecided`: directions along which f bends upwards,
    downwards, provably not at all, or not to be told from rounding (−1: not counted, the core is too large).
    """

    epsilon: float
    value: np.ndarray
    after_attention: np.ndarray
    after_layer: np.ndarray
    relative_gradient: np.ndarray
    relative_gradient_attended: np.ndarray
    relative_gradient_after: np.ndarray
    attention_slope: np.ndarray
    layer_slope: np.ndarray
    ascending: np.ndarray
    descending: np.ndarray
    flat: np.ndarray
    undecided: np.ndarray


def layer_positions(model: Any, images: Any, *, epsilon: float = 0.5, count: bool = True, limit: int = LIMIT) -> LayerPositions:
    """Where the tokens of each layer sit, image by image.

    **Arguments:** `model`: a network with subspace attention in its layers. `images` of shape (n, C, H, W), a few: with `count`
    each layer and image takes the eigenvalues of a matrix of d·min(d, N) rows, if these are at most `limit`. `epsilon` > 0.

    **Returns:** `LayerPositions`. The tokens are computed in the dtype of the model, everything else in float64.

    **Raises:** `InputError` for a network without subspaces, images of another shape, or numbers out of range.
    """
    epsilon, limit = positive_real("epsilon", epsilon), positive_integer("limit", limit)
    model, images = fine_model(model), host_images(model, images)
    if not isinstance(model.layers.attention, SubspaceAttention):
        raise InputError('model: found no subspaces; pass a network with attention "mssa"')
    trace = _trace(model, images)
    return positions_of(model.layers.attention, (trace.tokens, trace.attended, trace.outputs), epsilon, count, limit)


def positions_of(
    attention: SubspaceAttention, places: Sequence[Any], epsilon: float, count: bool = True, limit: int = LIMIT
) -> LayerPositions:
    """The positions of tokens that are known already: `places` are those before each layer, after its attention half, and after
    the layer, each (layers, images, N, d); `attention` is that of all layers."""
    bases = np.asarray(bases_of(attention), dtype=np.float64)
    stages = [np.asarray(part, dtype=np.float64).swapaxes(-1, -2) for part in places]
    depth, size, d, N = stages[0].shape
    relative = ("relative_gradient", "relative_gradient_attended", "relative_gradient_after")
    numbers = ("value", "after_attention", "after_layer", *relative, "attention_slope", "layer_slope")
    found = {name: np.zeros((depth, size)) for name in numbers}
    counts = {name: np.full((depth, size), -1) for name in ("ascending", "descending", "flat", "undecided")}
    for layer, U in enumerate(bases):
        landscape = TokenLandscape.of(U, epsilon, N)
        for image in range(size):
            at = layer, image
            points = [stage[at] for stage in stages]
            evaluated = [landscape.evaluate(Z) for Z in points]
            for name, (value, _, _) in zip(numbers, evaluated, strict=False):
                found[name][at] = value
            for name, (_, slope, scale) in zip(relative, evaluated, strict=True):
                found[name][at] = np.linalg.norm(slope) / scale if scale > 0 else np.nan
            gradient = evaluated[0][1]
            found["attention_slope"][at] = _cosine(gradient, points[1] - points[0])
            found["layer_slope"][at] = _cosine(gradient, points[2] - points[0])
            if count and d * min(d, N) <= limit:
                signs = token_inertia(points[0], U, epsilon)
                counts["ascending"][at], counts["descending"][at] = signs.positive, signs.negative
                counts["flat"][at], counts["undecided"][at] = signs.zero, signs.undecided
    return LayerPositions(epsilon, **found, **counts)


def _cosine(gradient: np.ndarray, change: np.ndarray) -> float:
    lengths = float(np.linalg.norm(gradient) * np.linalg.norm(change))
    return float(np.sum(gradient * change)) / lengths if lengths > 0 else 0.0


@eqx.filter_jit
def _trace(model: Any, images: Any) -> Any:
    with jax.default_matmul_precision("highest"):
        return model.trace(jnp.asarray(images))
