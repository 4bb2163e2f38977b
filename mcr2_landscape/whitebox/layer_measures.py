"""What each layer of a network does to the sparse rate reduction.

Whether a layer compresses depends on what is measured, so that every measure has a name:

* "as derived": R_c(Z|U_l) of the tokens as they are, before and after the layer's attention half;
* "sphere": the same with every token scaled to length √d, as a norm layer does;
* "as hooked": the measure of the published figures, in which each head's projections U_kᵀ norm(z) are scaled to length one
  and epsilon² = 0.01. It sees what enters the layer, not what leaves its attention half; `after` applies it there.

The bases differ from layer to layer, and so does what is measured: `common` has all layers against the bases of the last one.

Source: Yu et al. (NeurIPS 2023), section 3.2 and figure 3; the measures are docs/whitebox.md's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.record import Record
from mcr2_landscape.rows import in_rows
from mcr2_landscape.validation import InputError, check_finite, positive_integer, positive_real
from mcr2_landscape.whitebox.halves import Norm, Sparsification, SubspaceAttention
from mcr2_landscape.whitebox.layers import Layer, Trace
from mcr2_landscape.whitebox.patches import check_images
from mcr2_landscape.whitebox.rates import rate_given, rate_given_gradient

METRICS = ("as derived", "sphere", "as hooked")
_HOOKED = 0.1  # the published code's eps = 0.01 stands where eps² belongs
_TINY = 1e-30


@dataclass(frozen=True)
class Layerwise(Record):
    """One row a layer, one column an image.

    **Fields:** `metric`; `epsilon`; `before` and `after`: R_c of the layer's tokens and of what leaves its attention half,
    against the layer's own bases; `common`: of the layer's tokens against the last layer's bases; shape (layers, images), NaN
    in layers without subspaces. `alignment`: the cosine between what the attention half adds to the tokens and −∇R_c of
    them, raw and with the layer's own bases. `ratio`: alpha max_k ‖U_kᵀZ‖², below one where the derivation's Neumann series
    converges. `nonzero`: the fraction of entries that are not zero in the layer's output, class token included;
    `nonzero_codes`: in its codes (ISTA: the same). `objective` and `objective_after`: λ‖A‖_1 + ½‖X − DA‖² of the
    sparsification half at the feasible point nearest to its start and at its codes, over the number of tokens. `step_bound`,
    (layers,): η‖D‖². From a feasible start (ODL, soft thresholds) a step with 0 < η‖D‖² < 2 cannot raise that objective;
    ISTA with codes of one sign starts at the tokens, which are not feasible, and may: its two objectives are what is seen.
    """

    metric: str
    epsilon: float
    before: np.ndarray
    after: np.ndarray
    common: np.ndarray
    alignment: np.ndarray
    ratio: np.ndarray
    nonzero: np.ndarray
    nonzero_codes: np.ndarray
    objective: np.ndarray
    objective_after: np.ndarray
    step_bound: np.ndarray

    _derived = ("descends",)

    @property
    def descends(self) -> tuple[bool | None, ...]:
        """For each layer, whether its attention half lowers R_c in the mean over images; `None` without subspaces."""
        changes = (self.after - self.before).mean(axis=1)
        return tuple(None if np.isnan(change) else bool(change < 0) for change in changes)


def layerwise(
    model: Any, images: Any, *, metric: str = "as derived", epsilon: float | None = None, batch: int = 64
) -> Layerwise:
    """Measure every layer of a network on images.

    **Arguments:** `model`: a classifier or the encoder of a masked autoencoder (nothing masked), any architecture; measures of
    subspaces are NaN without them. `images` of shape (n, C, H, W). `metric`: one of `METRICS`. `epsilon`: by default 0.5, and
    0.1 for "as hooked". `batch`: images at a time.

    **Returns:** `Layerwise`, float64 NumPy, computed in the dtype of the model.

    **Raises:** `InputError` for an unknown metric, images of another shape, none of them, or numbers out of range.
    """
    if metric not in METRICS:
        raise InputError(f"metric: found {metric!r}; pass one of {', '.join(METRICS)}")
    epsilon = (_HOOKED if metric == "as hooked" else 0.5) if epsilon is None else positive_real("epsilon", epsilon)
    batch = positive_integer("batch", batch)
    model, images = fine_model(model), host_images(model, images)
    measured = in_rows(lambda some: _measured(model, some, jnp.asarray(epsilon)), images, rows=batch, axis=1)
    found: dict[str, Any] = {
        name.removesuffix(f" {metric}"): values.astype(np.float64)
        for name, values in measured.items()
        if name.endswith(f" {metric}") or " " not in name
    }
    found["step_bound"] = step_bounds(model)
    if isinstance(model.layers.attention, SubspaceAttention):
        broken = np.flatnonzero(~np.isfinite(found["before"] + found["after"] + found["common"]).all(axis=1)) + 1
        if broken.size:
            raise InputError(
                f"images: R_c is not finite in layer {', '.join(map(str, broken))}: tokens are too large beside epsilon for "
                f"{model.mask_token.dtype if hasattr(model, 'mask_token') else model.head.dtype}; pass a larger epsilon, or a "
                "float64 network"
            )
    return Layerwise(metric, epsilon, **found)


def attention_maps(model: Any, images: Any, *, batch: int = 64) -> np.ndarray:
    """How much the class token attends to each patch, (layers, images, heads, patches): rows of the softmax without the class
    token itself, in the model's type, at least float32.

    **Raises:** `InputError` for a network without attention, or images of another shape.
    """
    maps = _over_batches(model, images, batch, "class_attention")
    if maps is None:
        raise InputError('model: found attention "none", which has no maps; pass a network with attention')
    return maps


def token_features(model: Any, images: Any, *, batch: int = 64) -> np.ndarray:
    """The tokens of patches that leave each layer, (layers, images, patches, d), in the model's type, at least
    float32.

    **Raises:** `InputError` for images of another shape.
    """
    outputs = _over_batches(model, images, batch, "outputs")
    assert outputs is not None
    return outputs[..., 1:, :]


def class_features(model: Any, images: Any, *, batch: int = 64) -> np.ndarray:
    """The class token that leaves each layer, (layers, images, d), in the model's type, at least float32.

    **Raises:** `InputError` for images of another shape.
    """
    outputs = _over_batches(model, images, batch, "outputs")
    assert outputs is not None
    return outputs[..., 0, :]


def step_bounds(model: Any) -> np.ndarray:
    """η‖D‖₂² of each layer; NaN where there is no dictionary."""
    layers, depth = model.layers, model.architecture.depth
    if not isinstance(layers.sparsification, Sparsification):
        return np.full(depth, np.nan)
    step = layers.numbers[1] if layers.steps[1] is None else np.asarray(layers.steps[1], dtype=np.float64)
    norms = np.linalg.norm(np.asarray(layers.sparsification.dictionary, dtype=np.float64), 2, axis=(1, 2))
    return np.broadcast_to(step * norms**2, (depth,)).copy()


def _over_batches(model: Any, images: Any, batch: int, part: str) -> np.ndarray | None:
    batch = positive_integer("batch", batch)
    model, images = fine_model(model), host_images(model, images)
    return in_rows(lambda some: _part(model, some, part), images, rows=batch, axis=1)


def host_images(model: Any, images: Any) -> np.ndarray:
    """Images (n, C, H, W) as an array, looked at before anything is traced.

    **Raises:** `InputError` for another shape, none of them, numbers that are not floating or not finite, or float64 while
    JAX's 64-bit mode is off.
    """
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise InputError(f"images: cannot be read as an array ({error}); pass (n, C, H, W)") from None
    if array.ndim != 4 or array.shape[0] == 0:
        raise InputError(f"images: found shape {array.shape}; pass (n, C, H, W) with one image at least")
    check_images(array, model.architecture, array.dtype)
    check_finite("images", array)
    return array


def fine_model(model: Any) -> Any:
    """The model with parameters of at least float32: nothing coarser carries a log-determinant."""

    def fine(leaf: Any) -> Any:
        coarse = eqx.is_inexact_array(leaf) and jnp.finfo(leaf.dtype).bits < 32
        return leaf.astype(jnp.float32) if coarse else leaf

    return jax.tree.map(fine, model)


@eqx.filter_jit
def _part(model: Any, images: Any, part: str) -> Any:
    with jax.default_matmul_precision("highest"):
        return getattr(model.trace(images), part)


@eqx.filter_jit
def _measured(model: Any, images: Any, epsilon: jax.Array) -> dict[str, jax.Array]:
    """All measures by all metrics: one program, since it takes longer to compile than to run."""
    with jax.default_matmul_precision("highest"):
        trace: Trace = model.trace(images)
        arrays, static = eqx.partition(model.layers, eqx.is_array)
        last = jax.tree.map(lambda leaf: leaf[-1], arrays)
        epsilon = epsilon.astype(trace.tokens.dtype)

        def layer(each: Any, seen: Trace) -> dict[str, jax.Array]:
            return _layer(eqx.combine(each, static), eqx.combine(last, static), seen, epsilon)

        return jax.lax.map(lambda pair: layer(*pair), (arrays, trace))


def _layer(layer: Layer, last: Layer, seen: Trace, epsilon: jax.Array) -> dict[str, jax.Array]:
    """The measures of one layer; each part of `seen` has a leading axis of images."""
    real, count = seen.tokens.dtype, seen.tokens.shape[0]
    rates = [f"{name} {metric}" for name in ("before", "after", "common") for metric in METRICS]
    others = ("alignment", "ratio", "objective", "objective_after", "nonzero_codes")
    found: dict[str, jax.Array] = dict.fromkeys((*rates, *others), jnp.full(count, jnp.nan, real))
    if isinstance(layer.attention, SubspaceAttention):
        assert isinstance(last.attention, SubspaceAttention)
        own, end = bases_of(layer.attention), bases_of(last.attention)
        for metric in METRICS:
            found[f"before {metric}"] = _rate(seen.tokens, own, layer.first_norm, epsilon, metric)
            found[f"after {metric}"] = _rate(seen.attended, own, layer.first_norm, epsilon, metric)
            found[f"common {metric}"] = _rate(seen.tokens, end, last.first_norm, epsilon, metric)
        found["alignment"] = jax.vmap(lambda z, moved: _alignment(z, moved - z, own, epsilon))(seen.tokens, seen.attended)
        found["ratio"] = jax.vmap(lambda z: _ratio(z, own, epsilon))(seen.tokens)
    found["nonzero"] = _share(seen.outputs)
    if seen.codes is not None:
        found["nonzero_codes"] = _share(seen.codes)
    if isinstance(layer.sparsification, Sparsification) and seen.codes is not None:
        sparsity = layer.numbers[2] if layer.steps[2] is None else layer.steps[2]
        inputs, dictionary = layer.second_norm(seen.attended), layer.sparsification.dictionary
        # ODL starts at zero, ISTA at the tokens: with codes of one sign their negative entries are not feasible, and the
        # nearest feasible point is compared, from which the step does not start.
        first = jnp.zeros_like(seen.codes) if layer.sparsification.decodes else inputs
        first = first if layer.sparsification.soft else jax.nn.relu(first)
        for name, codes in (("objective", first), ("objective_after", seen.codes)):
            residual = inputs - jnp.matmul(codes, dictionary.T)
            total = sparsity * jnp.abs(codes).sum(axis=(1, 2)) + 0.5 * jnp.square(residual).sum(axis=(1, 2))
            found[name] = total / inputs.shape[1]
    return found


def bases_of(attention: SubspaceAttention) -> jax.Array:
    """The bases (…, K, d, p) that a layer projects on."""
    *stack, d, joined = attention.subspaces.shape
    split = jnp.reshape(attention.subspaces, (*stack, d, attention.heads, joined // attention.heads))
    return jnp.moveaxis(split, -2, -3)


def _rate(tokens: jax.Array, U: jax.Array, norm: Norm, epsilon: jax.Array, metric: str) -> jax.Array:
    """R_c of each image's tokens (images, N, d)."""
    if metric == "as hooked":
        V = jnp.einsum("bnd,kdp->bknp", norm(tokens), U)
        V = V / jnp.sqrt(jnp.sum(jnp.square(V), axis=-1, keepdims=True) + _TINY)
        # One basis a head, each the identity: the projections are the tokens of their head.
        identity = jnp.eye(U.shape[2], dtype=U.dtype)[None]
        return jnp.sum(jax.vmap(jax.vmap(lambda v: rate_given(v.T, identity, epsilon)))(V), axis=1)
    if metric == "sphere":
        lengths = jnp.sqrt(jnp.sum(jnp.square(tokens), axis=-1, keepdims=True) + _TINY)
        tokens = tokens / lengths * tokens.shape[-1] ** 0.5
    return jax.vmap(lambda z: rate_given(z.T, U, epsilon))(tokens)


def _alignment(tokens: jax.Array, change: jax.Array, U: jax.Array, epsilon: jax.Array) -> jax.Array:
    descent = -rate_given_gradient(tokens.T, U, epsilon).T
    lengths = jnp.sqrt(jnp.sum(jnp.square(descent)) * jnp.sum(jnp.square(change)) + _TINY)
    return jnp.sum(descent * change) / lengths


def _ratio(tokens: jax.Array, U: jax.Array, epsilon: jax.Array) -> jax.Array:
    V = jnp.einsum("nd,kdp->knp", tokens, U)
    gram = jnp.matmul(jnp.swapaxes(V, 1, 2), V)
    return U.shape[2] / (tokens.shape[0] * epsilon**2) * jnp.max(jnp.linalg.eigvalsh(gram))


def _share(array: jax.Array) -> jax.Array:
    return jnp.mean((array != 0).astype(array.dtype), axis=(1, 2))
