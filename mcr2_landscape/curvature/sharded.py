"""The regularized problem with its samples on many devices: value, gradient and Hessian products, over hosts too.

The formulas are in `mcr2_landscape.curvature.on_device`, what lies where in `mcr2_landscape.curvature.device_layout`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from mcr2_landscape import memory
from mcr2_landscape.curvature import on_device
from mcr2_landscape.curvature.device_layout import DeviceLayout
from mcr2_landscape.operators import SymmetricOperator
from mcr2_landscape.validation import InputError, check_finite, check_shape


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
    mesh: Mesh = eqx.field(static=True)
    axis: str = eqx.field(static=True)
    layout: DeviceLayout = eqx.field(static=True)

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
        if not isinstance(mesh, Mesh):
            raise InputError(f'mesh: found {type(mesh).__name__}; pass jax.make_mesh((number of devices,), ("{axis}",))')
        if axis not in mesh.axis_names:
            raise InputError(
                f"axis: found {axis!r}, but the mesh has the axes {', '.join(map(repr, mesh.axis_names))}; pass one"
            )
        devices = mesh.shape[axis]
        if devices > sum(problem.sizes):
            raise InputError(
                f"mesh: found {devices} devices for {sum(problem.sizes)} samples; pass at most one device a sample, for "
                f'instance jax.make_mesh(({sum(problem.sizes)},), ("{axis}",), devices=jax.devices()[:{sum(problem.sizes)}])'
            )
        self.dim, self.sizes = problem.dim, tuple(problem.sizes)
        self.epsilon, self.regularization = problem.epsilon, problem.regularization
        # Axes of the kind that JAX partitions by itself, so that whatever a caller does with a point compiles.
        self.mesh = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))
        self.axis = axis
        self.layout = DeviceLayout(self.dim, self.sizes, devices)

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
        return NamedSharding(self.mesh, PartitionSpec(self.axis))

    # -- to the devices and back ----------------------------------------------------------------------------------------------

    @property
    def local_columns(self) -> np.ndarray:
        """The numbers, ascending, of the columns of Z that lie on this process's devices, int64."""
        ranges = [np.arange(p.start, p.stop) for device in self._local_devices for p in self.layout.parts[device]]
        return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *ranges]))

    def place(self, Z: Any) -> Array:
        """The matrix Z of shape (d, m), classes in column blocks, as an array on the devices. float32 stays float32, float64
        needs JAX's 64-bit mode. Where several processes have the mesh, each passes all of Z, and takes what is its own.

        **Raises:** `InputError` for a wrong shape or dtype, NaN or infinity, or what does not fit into a device's memory.
        """
        return self._placed("Z", Z, np.arange(sum(self.sizes)))

    def place_local(self, Z_local: Any) -> Array:
        """The array on all devices, of which every process passes its own columns: `Z_local` of shape (d, local columns) holds
        the columns `local_columns` of Z, in that order. No process needs any other. All processes call it together.

        **Raises:** `InputError` as `place`; in every process, if in one.
        """
        return self._placed("Z_local", Z_local, self.local_columns)

    def gather(self, Z: Array) -> np.ndarray:
        """The matrix (d, m) of a point, gradient or direction, in this process's memory. All processes call it together.

        **Raises:** `InputError` for a wrong shape, or what does not fit into memory.
        """
        Z = self._point("Z", Z, finite=False)
        size = float(Z.size * Z.dtype.itemsize)
        memory.require("Z", 2 * size, "gather_local gives the columns of this process alone")
        if not Z.is_fully_addressable:
            self._require(size, "gather_local gives each process its own columns, and needs no room for the others")
            Z = _everywhere(self.mesh)(Z)
        return self._columns(np.asarray(Z), np.arange(sum(self.sizes)), range(self.num_devices), 0)

    def gather_local(self, Z: Array) -> np.ndarray:
        """The columns `local_columns` of a point, gradient or direction, shape (d, local columns).

        **Raises:** `InputError` for a wrong shape.
        """
        Z = self._point("Z", Z, finite=False)
        wanted = self.local_columns
        found = np.zeros((self.dim, wanted.size), dtype=Z.dtype)
        seen = set()
        for shard in Z.addressable_shards:
            first = shard.index[0].start or 0
            if first not in seen:  # along other axes of the mesh the same columns come again
                seen.add(first)
                self._columns(np.asarray(shard.data), wanted, [first // self.layout.blocks], first, found)
        return found

    # -- the objective --------------------------------------------------------------------------------------------------------

    def value(self, Z: Any) -> Float[Array, ""]:
        """F(Z), on every device. Can be traced, as `gradient` and `hessian`.

        **Raises:** `InputError` for a wrong shape or dtype, NaN or infinity, or what does not fit into a device's memory.
        """
        Z = self._point("Z", Z)
        self._require_for(Z, self.layout.factor_numbers + self.layout.work_numbers)
        return _value(self, Z)

    def gradient(self, Z: Any) -> Float[Array, "b d w"]:
        """∇F(Z), with blocks alpha A Z_k − alpha A_k Z_k − lambda Z_k, as an array of the point's shape. Errors as `value`."""
        Z = self._point("Z", Z)
        self._require_for(Z, self.layout.numbers + self.layout.factor_numbers + self.layout.work_numbers)
        return _gradient(self, Z)

    def hessian(self, Z: Any) -> ShardedHessian:
        """The Hessian at Z as an operator on arrays of the point's shape. Errors as `value`; the memory foreseen is that of the
        factors and of one product with its direction."""
        Z = self._point("Z", Z)
        self._require_for(Z, 2 * self.layout.numbers + self.layout.factor_numbers + self.layout.work_numbers)
        inverses, linear = _factors(self, Z)
        return ShardedHessian(self, Z, inverses, linear)

    # -- checks ---------------------------------------------------------------------------------------------------------------

    @property
    def _local_devices(self) -> list[int]:
        """Where along the axis this process has devices."""
        rows = np.moveaxis(self.mesh.devices, self.mesh.axis_names.index(self.axis), 0).reshape(self.num_devices, -1)
        here = jax.process_index()
        return [number for number, row in enumerate(rows) if any(device.process_index == here for device in row)]

    @property
    def _several_processes(self) -> bool:
        return len({device.process_index for device in self.mesh.devices.flat}) > 1

    def _point(self, name: str, value: Any, *, leading: int = 0, finite: bool = True) -> Array:
        """`value` as an array on the devices of the point's shape, behind `leading` axes of any length."""
        array = _device_array(name, value)
        if array.shape == (self.dim, sum(self.sizes)):
            raise InputError(f"{name}: found a matrix of shape {array.shape}; bring it to the devices with `place` first")
        check_shape(name, array.shape, (None,) * leading + self.shape)
        if isinstance(array, Tracer):
            return array
        sharding = NamedSharding(self.mesh, PartitionSpec(*(None,) * leading, self.axis))
        if not (isinstance(array, jax.Array) and array.sharding.is_equivalent_to(sharding, array.ndim)):
            if self._several_processes and not isinstance(array, jax.Array):
                raise InputError(
                    f"{name}: found a NumPy array where several processes have the mesh; place it with place_local"
                )
            array = jax.device_put(array, sharding)
        with jax.ensure_compile_time_eval():  # an array that is known stays so while something else is traced
            number = int(_num_bad(array)) if finite else 0
        if number:
            raise InputError(f"{name}: found NaN or infinity in {number} of its columns; remove or repair those samples")
        return array

    def _placed(self, name: str, value: Any, columns: np.ndarray) -> Array:
        """`value`, the given columns of Z in their order, on the devices."""
        refused: InputError | None = None
        array = np.zeros((self.dim, 0))
        try:
            array = _host_array(name, value)
            check_shape(name, array.shape, (self.dim, columns.size))
            check_finite(name, array)
            refused = self._lack(self.layout.numbers * float(array.dtype.itemsize))
        except InputError as error:
            refused = error
        if len(self._together(name, refused, array.dtype.itemsize)) > 1:
            raise InputError(f"{name}: found float32 in one process and float64 in another; pass the same in all")

        def shard(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None
            start = index[0].start or 0
            filled = np.zeros((self.layout.blocks, self.dim, self.layout.width), dtype=array.dtype)
            for block, (_, first, count) in zip(filled, self.layout.table[start // self.layout.blocks], strict=True):
                if count:
                    here = int(np.searchsorted(columns, first))
                    block[:, :count] = array[:, here : here + count]
            return filled

        return jax.make_array_from_callback(self.shape, self.sharding, shard, dtype=array.dtype)

    def _together(self, name: str, refused: InputError | None, number: int = 1) -> set[int]:
        """The numbers (above zero) that the processes that have the mesh say here, where none refuses what it was given.

        A process that left on its own would make the others wait for ever at their next sum.

        **Raises:** `InputError` in every process, if one refuses.
        """
        said = {0 if refused else number}
        if self._several_processes:
            told = jax.make_array_from_callback(
                (self.num_devices,), self.sharding, lambda index: np.array(list(said), dtype=np.int32), dtype=np.int32
            )
            with jax.ensure_compile_time_eval():
                said = set(np.asarray(_everywhere(self.mesh)(told)).tolist())
        if refused:
            raise refused
        if 0 in said:
            raise InputError(f"{name}: refused in another process, whose message says why")
        return said

    def _columns(self, blocks, wanted, devices, first, out=None) -> np.ndarray:
        """Write the columns in the blocks of some devices, of which number `first` comes first, where `wanted` has them."""
        out = np.zeros((self.dim, wanted.size), dtype=blocks.dtype) if out is None else out
        for device in devices:
            for number, (_, start, count) in enumerate(self.layout.table[device], device * self.layout.blocks - first):
                if count:
                    here = int(np.searchsorted(wanted, start))
                    out[:, here : here + count] = blocks[number][:, :count]
        return out

    def _require_for(self, Z: Array, numbers: int) -> None:
        if not isinstance(Z, Tracer):
            self._require(float(numbers * Z.dtype.itemsize))

    def _require(self, needed: float, advice: str = "") -> None:
        """Refuse what does not fit beside what already lies on one of the devices."""
        self._together("mesh", self._lack(needed, advice))

    def _lack(self, needed: float, advice: str = "") -> InputError | None:
        """What to raise where `needed` bytes are not free on one of this process's devices."""
        own = [device for device in self.mesh.devices.flat if device.process_index == jax.process_index()]
        free = [amount for device in own if (amount := _free(device, len(own))) is not None]
        if not free or needed <= min(free):
            return None
        more = math.ceil(self.num_devices * needed / max(min(free), 1))
        return InputError(
            f"mesh: needs {needed / 1e9:.3g} GB on each of {self.num_devices} devices, and {min(free) / 1e9:.3g} GB are free; "
            + (advice or f"take {more} devices or more, float32, or fewer samples")
        )


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
        return super().mv(self.problem._point("D", D, finite=False))

    def mm(self, Ds: Any) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(H[D_i])_i for directions of shape (number, *shape), sharded along the second axis. Errors as `mv`."""
        return super().mm(self.problem._point("Ds", Ds, leading=1, finite=False))


def _scales(problem: ShardedMCR2, dtype: Any) -> on_device.Scales:
    sizes = np.array(problem.sizes, dtype=np.float64)
    square = jnp.asarray(problem.epsilon, dtype=dtype) ** 2
    alpha = jnp.asarray(problem.dim / sizes.sum(), dtype=dtype) / square
    alphas = jnp.asarray(problem.dim / sizes, dtype=dtype) / square
    return on_device.Scales(
        alpha, alphas, jnp.asarray(sizes / sizes.sum(), dtype=dtype), jnp.asarray(problem.regularization, dtype=dtype)
    )


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


# -- arrays and memory -------------------------------------------------------------------------------------------------------


def _without_padding(layout: DeviceLayout, D: Array) -> Array:
    counts = layout.table[:, :, 2].reshape(-1, 1, 1)
    return jnp.where(np.arange(layout.width) < counts, D, 0)


@cache
def _everywhere(mesh: Mesh) -> Callable[[Array], Array]:
    """An array with all of it on every device, so that every process can read it."""
    return jax.jit(lambda array: array, out_shardings=NamedSharding(mesh, PartitionSpec()))


@jax.jit
def _num_bad(array: Array) -> Array:
    """How many columns hold NaN or infinity."""
    return jnp.sum(~jnp.all(jnp.isfinite(array), axis=-2))


def _device_array(name: str, value: Any) -> Any:
    """A JAX array or tracer as it is, anything else as a NumPy array, of a dtype that the formulas take."""
    if not isinstance(value, jax.Array):
        return _host_array(name, value)
    if value.dtype not in (jnp.float32, jnp.float64):
        raise InputError(f"{name}: found {value.dtype}; pass float32 or float64")
    return value


def _host_array(name: str, value: Any) -> np.ndarray:
    if isinstance(value, (str, bytes)) or value is None:
        raise InputError(f"{name}: found {value!r}; pass a numeric array")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: cannot be read as an array ({error}); pass rows of equal length") from None
    wide = jax.config.read("jax_enable_x64")
    if array.dtype.kind in "iub":
        return array.astype(np.float64 if wide else np.float32)
    if array.dtype not in (np.float32, np.float64):
        raise InputError(f"{name}: found {array.dtype}; pass float32 or float64")
    if array.dtype == np.float64 and not wide:
        raise InputError(
            f"{name}: found float64 while JAX's 64-bit mode is off, which would silently round to float32; call "
            'jax.config.update("jax_enable_x64", True) at the start of the program, or pass float32'
        )
    return array


def _free(device: Any, sharing: int) -> float | None:
    """Bytes that are free on a device; of this machine's memory, its share where devices are the machine's processors."""
    statistics = device.memory_stats() or {}
    if "bytes_limit" in statistics:
        return float(statistics["bytes_limit"] - statistics.get("bytes_in_use", 0))
    found = memory.available() if device.platform == "cpu" else None
    return None if found is None else found / sharing
