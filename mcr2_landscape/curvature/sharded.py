"""The regularized problem with its samples on many devices: value, gradient and Hessian products, over hosts too.

The formulas are in `mcr2_landscape.curvature.on_device`, how points get to the devices and back in
`mcr2_landscape.curvature.placement`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from mcr2_landscape.curvature import on_device
from mcr2_landscape.curvature.device_layout import DeviceLayout
from mcr2_landscape.curvature.placement import Placement
from mcr2_landscape.mcr2 import kernels
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.validation import InputError


class ShardedMCR2(eqx.Module):
    """An `MCR2` problem whose points lie on the devices along one axis of a mesh.

    **Arguments:** `problem`, an `MCR2` (its `epsilon` and `regularization` stay traced); `mesh`, a `jax.sharding.Mesh`, for
    instance `jax.make_mesh((8,), ("samples",))`, perhaps of several processes; `axis`, the axis of the mesh along which samples
    are spread. Along other axes everything is repeated.

    Points, gradients and directions are arrays of the shape `shape`, (devices · blocks, d, width), sharded along the first
    axis: blocks of columns, each of one class. `place` and `place_local` make them, `gather` and `gather_local` give the matrix
    (d, m) back. Columns that stand for no sample are zero in every result and have no influence.

    **Raises:** `InputError` for a problem of another kind, a mesh without the axis, or more devices than samples.

    >>> import jax, numpy as np, mcr2_landscape as ml
    >>> problem = ml.MCR2(3, (4, 2), epsilon=0.5, regularization=0.1)
    >>> sharded = ShardedMCR2(problem, jax.make_mesh((1,), ("samples",)))
    >>> Z = sharded.place(np.ones((3, 6), dtype=np.float32))
    >>> H = sharded.hessian(Z)
    >>> sharded.gather(H.mv(Z)).shape
    (3, 6)
    """

    dim: int = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    epsilon: Any
    regularization: Any
    placement: Placement = eqx.field(static=True)

    def __init__(self, problem: Any, mesh: Mesh, axis: str = "samples"):
        missing = [name for name in ("dim", "sizes", "epsilon", "regularization") if not hasattr(problem, name)]
        if missing:
            raise InputError(
                f"problem: found {type(problem).__name__}, which has no {', '.join(missing)}; pass an mcr2_landscape.MCR2: "
                "only the regularized problem is spread over devices"
            )
        if tuple(problem.shape) != (problem.dim, sum(problem.sizes)):
            raise InputError(
                f"problem: found one with points of shape {tuple(problem.shape)} for {sum(problem.sizes)} samples; pass the "
                "problem with all its samples, not a narrowed one, which is small enough for one device"
            )
        self.dim, self.sizes = problem.dim, tuple(problem.sizes)
        self.epsilon, self.regularization = problem.epsilon, problem.regularization
        self.placement = Placement.on(mesh, axis, self.dim, self.sizes)

    @property
    def mesh(self) -> Mesh:
        """The devices."""
        return self.placement.mesh

    @property
    def axis(self) -> str:
        """The axis of the mesh along which samples are spread."""
        return self.placement.axis

    @property
    def layout(self) -> DeviceLayout:
        """Which columns lie where."""
        return self.placement.layout

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a point on all devices: (devices · blocks, d, width)."""
        return self.layout.shape

    @property
    def num_devices(self) -> int:
        """The number of devices along the axis."""
        return self.layout.devices

    @property
    def sharding(self) -> NamedSharding:
        """How a point lies on the mesh."""
        return self.placement.sharding

    # -- to the devices and back ----------------------------------------------------------------------------------------------

    @property
    def local_columns(self) -> np.ndarray:
        """The numbers, ascending, of the columns of Z that lie on this process's devices, int64."""
        return self.placement.local_columns

    def place(self, Z: Any) -> Array:
        """The matrix Z of shape (d, m), classes in column blocks, as an array on the devices. float32 stays float32, float64
        needs JAX's 64-bit mode. Where several processes have the mesh, each passes all of Z, and takes what is its own.

        **Raises:** `InputError` for a wrong shape or dtype, NaN or infinity, or what does not fit into a device's memory.
        """
        return self.placement.place("Z", Z, np.arange(sum(self.sizes)))

    def place_local(self, Z_local: Any) -> Array:
        """The array on all devices, of which every process passes its own columns: `Z_local` of shape (d, local columns) holds
        the columns `local_columns` of Z, in that order. No process needs any other. All processes call it together.

        **Raises:** `InputError` as `place`; in every process, if in one.
        """
        return self.placement.place("Z_local", Z_local, self.local_columns)

    def gather(self, Z: Array) -> np.ndarray:
        """The matrix (d, m) of a point, gradient or direction, in this process's memory. All processes call it together.

        **Raises:** `InputError` for a wrong shape, or what does not fit into memory.
        """
        return self.placement.gather(Z)

    def gather_local(self, Z: Array) -> np.ndarray:
        """The columns `local_columns` of a point, gradient or direction, shape (d, local columns).

        **Raises:** `InputError` for a wrong shape.
        """
        return self.placement.gather_local(Z)

    # -- the objective --------------------------------------------------------------------------------------------------------

    def value(self, Z: Any) -> Float[Array, ""]:
        """F(Z), on every device. Can be traced, as `gradient` and `hessian`.

        **Raises:** `InputError` for a wrong shape or dtype, NaN or infinity, or what does not fit into a device's memory.
        """
        Z = self.placement.point("Z", Z)
        self.placement.require_for(Z, self.layout.factor_numbers + self.layout.work_numbers)
        return _value(self, Z)

    def gradient(self, Z: Any) -> Float[Array, "b d w"]:
        """∇F(Z), with blocks alpha A Z_k − alpha A_k Z_k − lambda Z_k, as an array of the point's shape. Errors as `value`."""
        Z = self.placement.point("Z", Z)
        self.placement.require_for(Z, self.layout.numbers + self.layout.factor_numbers + self.layout.work_numbers)
        return _gradient(self, Z)

    def hessian(self, Z: Any) -> ShardedHessian:
        """The Hessian at Z as an operator on arrays of the point's shape. Errors as `value`; the memory foreseen is that of the
        factors and of one product with its direction."""
        Z = self.placement.point("Z", Z)
        self.placement.require_for(Z, 2 * self.layout.numbers + self.layout.factor_numbers + self.layout.work_numbers)
        inverses, linear = _factors(self, Z)
        return ShardedHessian(self, Z, inverses, linear)


class ShardedHessian(SymmetricOperator):
    """The Hessian of F at a point on many devices, an operator on arrays of the shape `ShardedMCR2.shape`.

    `product` and `mv` take and return arrays on the devices. In `as_matrix` and the like, columns that stand for no sample are
    coordinates of their own, on which the operator is zero.
    """

    problem: ShardedMCR2
    Z: Float[Array, "b d w"]
    inverses: Float[Array, "n d d"]  # on each device A, and A_k of its slots
    linear: Float[Array, "s d d"]  # on each device B_k of its slots

    @property
    def shape(self) -> tuple[int, ...]:
        """(devices · blocks, d, width)."""
        return self.problem.shape

    @property
    def dtype(self) -> np.dtype:
        """The point's."""
        return self.Z.dtype

    @property
    def form(self) -> str:
        """How a product is computed."""
        number = self.problem.num_devices
        return f"fused, sharded over {number} device" + "s" * (number > 1)

    @property
    def flops(self) -> int:
        """Multiplications and additions of one product on all devices together, padding included."""
        return self.problem.num_devices * self.problem.layout.product_flops

    def tangent_part(self, D: Array) -> Array:
        """D with zeros where a column stands for no sample, traced."""
        return _without_padding(self.problem.layout, D)

    def product(self, D: Array) -> Array:
        """See `SymmetricOperator.product`."""
        split, whole = PartitionSpec(self.problem.axis), PartitionSpec()
        local = partial(on_device.product, on_device.Device(self.problem.layout, self.problem.axis))
        mapped = _mapped(self.problem, local, (split, split, split, split, whole), split)
        return mapped(self.Z, self.inverses, self.linear, D, _scales(self.problem, self.dtype))

    # The base's are attributes of a kind of their own to the type checker, and bound methods to everyone else.
    def mv(self, D: Any) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """H[D] for a direction on the devices; a NumPy array of the operator's shape is brought there, unless several processes
        have them. Errors as for other operators."""
        return super().mv(self.problem.placement.point("D", D, finite=False))

    def mm(self, Ds: Any) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(H[D_i])_i for directions of shape (number, *shape), sharded along the second axis. Errors as `mv`."""
        return super().mm(self.problem.placement.point("Ds", Ds, leading=1, finite=False))


def _scales(problem: ShardedMCR2, dtype: Any) -> on_device.Scales:
    found = kernels.scales(problem.dim, problem.sizes, problem.epsilon, dtype)
    return on_device.Scales(*found, jnp.asarray(problem.regularization, dtype=dtype))


def _mapped(problem: ShardedMCR2, local: Callable[..., Any], in_specs: Any, out_specs: Any) -> Callable[..., Any]:
    return jax.shard_map(local, mesh=problem.mesh, in_specs=in_specs, out_specs=out_specs)


@jax.jit
def _value(problem: ShardedMCR2, Z: Array) -> Array:
    local = partial(on_device.value, on_device.Device(problem.layout, problem.axis))
    mapped = _mapped(problem, local, (PartitionSpec(problem.axis), PartitionSpec()), PartitionSpec())
    return mapped(Z, _scales(problem, Z.dtype))


@jax.jit
def _gradient(problem: ShardedMCR2, Z: Array) -> Array:
    local = partial(on_device.gradient, on_device.Device(problem.layout, problem.axis))
    split = PartitionSpec(problem.axis)
    return _mapped(problem, local, (split, PartitionSpec()), split)(Z, _scales(problem, Z.dtype))


@jax.jit
def _factors(problem: ShardedMCR2, Z: Array) -> tuple[Array, Array]:
    local = partial(on_device.factors, on_device.Device(problem.layout, problem.axis))
    split = PartitionSpec(problem.axis)
    return _mapped(problem, local, (split, PartitionSpec()), (split, split))(Z, _scales(problem, Z.dtype))


def _without_padding(layout: DeviceLayout, D: Array) -> Array:
    counts = layout.table[:, :, 2].reshape(-1, 1, 1)
    return jnp.where(np.arange(layout.width) < counts, D, 0)
