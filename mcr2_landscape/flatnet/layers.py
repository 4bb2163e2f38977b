"""Flattening layers stacked along a leading axis and scanned: the time to compile does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.flatnet import kernels
from mcr2_landscape.flatnet.kernels import Layer
from mcr2_landscape.precision import traced_array
from mcr2_landscape.validation import InputError


class Layers(eqx.Module):
    """L layers as one diffeomorphism f_L ∘ … ∘ f_1 of R^D, with the decoder g_1 ∘ … ∘ g_L.

    Methods take points in rows, (N, D), float32 or float64, and can be traced; the parameters take the points' dtype.

    **Fields:** `stacked`, a `Layer` whose arrays have a leading axis of length L.

    **Raises:** `InputError`, by the methods, for points of another width, and float64 NumPy points while 64-bit mode is off.
    """

    stacked: Layer

    @staticmethod
    def of(layers: Sequence[Layer], dim: int) -> Layers:
        """From single layers of NumPy arrays, whose numbers of directions may differ: zero columns fill them up."""
        return Layers(kernels.stack(list(layers), dim))

    @property
    def dim(self) -> int:
        """D."""
        return self.stacked.mean.shape[1]

    def __len__(self) -> int:
        return self.stacked.mean.shape[0]

    def __getitem__(self, place: slice) -> Layers:
        """Some of the layers, in order: `layers[:3]`, `layers[2:3]`."""
        if not isinstance(place, slice):
            raise InputError(f"layers: found the index {place!r}; pass a slice, such as layers[2:3]")
        return Layers(Layer(*(part[place] for part in self.stacked)))

    def single(self) -> list[Layer]:
        """The layers one by one, as NumPy arrays."""
        parts = [np.asarray(part) for part in self.stacked]
        return [Layer(*(part[place] for part in parts)) for place in range(len(self))]

    def flatten(self, points: Any) -> jax.Array:
        """f_L(… f_1(x)), (N, D)."""
        points, stacked = self._begin("points", points)
        return _flattened(stacked, points)

    def reconstruct(self, codes: Any) -> jax.Array:
        """g_1(… g_L(z)), (N, D): the layer that was applied last is undone first."""
        codes, stacked = self._begin("codes", codes)
        return _reconstructed(stacked, codes)

    def exact_inverse(self, codes: Any) -> jax.Array:
        """The inverse of `flatten`, (N, D). It needs the normal part of the codes, which shrinks from layer to layer: a test of
        the layers, no decoder of codes that were cut to fewer dimensions."""
        codes, stacked = self._begin("codes", codes)
        return _inverted(stacked, codes)

    def log_abs_det_jacobian(self, points: Any) -> jax.Array:
        """log|det D(f_L ∘ … ∘ f_1)|, (N,), in closed form."""
        points, stacked = self._begin("points", points)
        return _log_abs_det(stacked, points)

    def _begin(self, name: str, points: Any) -> tuple[jax.Array, Layer]:
        points = traced_array(name, points, (None, self.dim))
        return points, Layer(*(jnp.asarray(part, points.dtype) for part in self.stacked))


@jax.custom_jvp
def solve_kappa(constant: jax.Array, squared: jax.Array) -> jax.Array:
    """`kernels.kappa` for JAX: the same steps in a loop that ends where nothing moves; derivatives by the implicit function."""
    normal = jnp.sqrt(squared)
    start = (normal / (1 - constant * jnp.exp(-squared)), normal, normal / (1 - constant))

    def body(carry: Any) -> Any:
        state, _, count = carry
        state, moved = kernels.newton_step(constant, normal, state)
        return state, moved.any(), count + 1

    ends = lambda carry: carry[1] & (carry[2] < kernels._STEPS)  # noqa: E731
    (v, _, _), _, _ = jax.lax.while_loop(ends, body, (start, jnp.asarray(True), jnp.asarray(0, jnp.int32)))
    return constant * jnp.exp(-v * v)


@solve_kappa.defjvp
def _solve_kappa_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    (constant, squared), (d_constant, d_squared) = primals, tangents
    value = solve_kappa(constant, squared)
    # v = n/(1 − κ); by n² rather than n, so that the derivative is finite on the tangent plane itself.
    v_squared = squared / (1 - value) ** 2
    slope = 1 - value * (1 - 2 * v_squared)
    weight = jnp.exp(-v_squared)
    return value, weight * (1 - 2 * v_squared * value / slope) * d_constant - value / ((1 - value) * slope) * d_squared


def _scan(step: Any, stacked: Layer, points: jax.Array, *, reverse: bool = False) -> jax.Array:
    if not stacked.gamma.shape[0]:
        return points
    return jax.lax.scan(lambda x, layer: (step(layer, x), None), points, stacked, reverse=reverse)[0]


# Compiled here and once for each shape: a scan over a function that is new at every call would compile at every call.


@jax.jit
def _flattened(stacked: Layer, points: jax.Array) -> jax.Array:
    return _scan(kernels.flatten, stacked, points)


@jax.jit
def _reconstructed(stacked: Layer, codes: jax.Array) -> jax.Array:
    return _scan(lambda layer, z: kernels.reconstruct(layer, z, solve_kappa), stacked, codes, reverse=True)


@jax.jit
def _inverted(stacked: Layer, codes: jax.Array) -> jax.Array:
    return _scan(lambda layer, z: kernels.invert(layer, z, solve_kappa), stacked, codes, reverse=True)


@jax.jit
def _log_abs_det(stacked: Layer, points: jax.Array) -> jax.Array:
    def step(state: tuple[jax.Array, jax.Array], layer: Layer) -> tuple[tuple[jax.Array, jax.Array], None]:
        x, total = state
        return (kernels.flatten(layer, x), total + kernels.log_abs_det(layer, x)), None

    total = jnp.zeros(points.shape[0], points.dtype)
    return jax.lax.scan(step, (points, total), stacked)[0][1] if stacked.gamma.shape[0] else total
