"""Points of the regularized problem on the devices of a mesh: how they get there and back, and what is refused.

What lies where is in `mcr2_landscape.curvature.device_layout`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from mcr2_landscape import memory
from mcr2_landscape.curvature.device_layout import DeviceLayout
from mcr2_landscape.validation import InputError, check_finite, check_shape


@dataclass(frozen=True)
class Placement:
    """Blocks of columns, as `layout` cuts them, on the devices along one axis of a mesh. Static: part of the shape of a
    compiled program."""

    mesh: Mesh
    axis: str
    layout: DeviceLayout

    @staticmethod
    def on(mesh: Any, axis: str, dim: int, sizes: tuple[int, ...]) -> Placement:
        """The samples of classes of these sizes spread over the devices.

        **Raises:** `InputError` for what is no mesh, for one without the axis, or with more devices than samples.
        """
        if not isinstance(mesh, Mesh):
            raise InputError(f'mesh: found {type(mesh).__name__}; pass jax.make_mesh((number of devices,), ("{axis}",))')
        if axis not in mesh.axis_names:
            raise InputError(
                f"axis: found {axis!r}, but the mesh has the axes {', '.join(map(repr, mesh.axis_names))}; pass one"
            )
        devices, samples = mesh.shape[axis], sum(sizes)
        if devices > samples:
            raise InputError(
                f"mesh: found {devices} devices for {samples} samples; pass at most one device a sample, for "
                f'instance jax.make_mesh(({samples},), ("{axis}",), devices=jax.devices()[:{samples}])'
            )
        # Axes of the kind that JAX partitions by itself, so that whatever a caller does with a point compiles.
        automatic = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))
        return Placement(automatic, axis, DeviceLayout(dim, sizes, devices))

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

    def place(self, name: str, value: Any, columns: np.ndarray) -> Array:
        """`value`, the given columns of Z in their order, on the devices. All processes call it together.

        **Raises:** `InputError` for a wrong shape or dtype, NaN or infinity, or what does not fit into a device's memory; in
        every process, if in one.
        """
        refused: InputError | None = None
        array = np.zeros((self.layout.dim, 0))
        try:
            array = _host_array(name, value)
            check_shape(name, array.shape, (self.layout.dim, columns.size))
            check_finite(name, array)
            refused = self._lack(self.layout.numbers * float(array.dtype.itemsize))
        except InputError as error:
            refused = error
        if len(self._together(name, refused, array.dtype.itemsize)) > 1:
            raise InputError(f"{name}: found float32 in one process and float64 in another; pass the same in all")

        def shard(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None
            start = index[0].start or 0
            filled = np.zeros((self.layout.blocks, self.layout.dim, self.layout.width), dtype=array.dtype)
            for block, (_, first, count) in zip(filled, self.layout.table[start // self.layout.blocks], strict=True):
                if count:
                    here = int(np.searchsorted(columns, first))
                    block[:, :count] = array[:, here : here + count]
            return filled

        return jax.make_array_from_callback(self.layout.shape, self.sharding, shard, dtype=array.dtype)

    def gather(self, Z: Array) -> np.ndarray:
        """The matrix (d, m) of a point, gradient or direction, in this process's memory. All processes call it together.

        **Raises:** `InputError` for a wrong shape, or what does not fit into memory.
        """
        Z = self.point("Z", Z, finite=False)
        size = float(Z.size * Z.dtype.itemsize)
        memory.require("Z", 2 * size, "gather_local gives the columns of this process alone")
        if not Z.is_fully_addressable:
            self._require(size, "gather_local gives each process its own columns, and needs no room for the others")
            Z = _everywhere(self.mesh)(Z)
        return self._columns(np.asarray(Z), np.arange(sum(self.layout.sizes)), range(self.layout.devices), 0)

    def gather_local(self, Z: Array) -> np.ndarray:
        """The columns `local_columns` of a point, gradient or direction, shape (d, local columns).

        **Raises:** `InputError` for a wrong shape.
        """
        Z = self.point("Z", Z, finite=False)
        wanted = self.local_columns
        found = np.zeros((self.layout.dim, wanted.size), dtype=Z.dtype)
        seen = set()
        for shard in Z.addressable_shards:
            first = shard.index[0].start or 0
            if first not in seen:  # along other axes of the mesh the same columns come again
                seen.add(first)
                self._columns(np.asarray(shard.data), wanted, [first // self.layout.blocks], first, found)
        return found

    def _columns(self, blocks, wanted, devices, first, out=None) -> np.ndarray:
        """Write the columns in the blocks of some devices, of which number `first` comes first, where `wanted` has them."""
        out = np.zeros((self.layout.dim, wanted.size), dtype=blocks.dtype) if out is None else out
        for device in devices:
            for number, (_, start, count) in enumerate(self.layout.table[device], device * self.layout.blocks - first):
                if count:
                    here = int(np.searchsorted(wanted, start))
                    out[:, here : here + count] = blocks[number][:, :count]
        return out

    # -- checks ---------------------------------------------------------------------------------------------------------------

    def point(self, name: str, value: Any, *, leading: int = 0, finite: bool = True) -> Array:
        """`value` as an array on the devices of the point's shape, behind `leading` axes of any length."""
        array = _device_array(name, value)
        if array.shape == (self.layout.dim, sum(self.layout.sizes)):
            raise InputError(f"{name}: found a matrix of shape {array.shape}; bring it to the devices with `place` first")
        check_shape(name, array.shape, (None,) * leading + self.layout.shape)
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

    def require_for(self, Z: Array, numbers: int) -> None:
        """Refuse work that needs so many numbers of Z's dtype on each device beside what lies there; a traced Z passes."""
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
        devices, least = self.layout.devices, min(free)
        more = math.ceil(devices * needed / max(least, 1))
        return InputError(
            f"mesh: needs {needed / 1e9:.3g} GB on each of {devices} devices, and {least / 1e9:.3g} GB are free; "
            + (advice or f"take {more} devices or more, float32, or fewer samples")
        )

    def _together(self, name: str, refused: InputError | None, number: int = 1) -> set[int]:
        """The numbers (above zero) that the processes that have the mesh say here, where none refuses what it was given.

        A process that left on its own would make the others wait for ever at their next sum.

        **Raises:** `InputError` in every process, if one refuses.
        """
        said = {0 if refused else number}
        if self._several_processes:
            told = jax.make_array_from_callback(
                (self.layout.devices,), self.sharding, lambda index: np.array(list(said), dtype=np.int32), dtype=np.int32
            )
            with jax.ensure_compile_time_eval():
                said = set(np.asarray(_everywhere(self.mesh)(told)).tolist())
        if refused:
            raise refused
        if 0 in said:
            raise InputError(f"{name}: refused in another process, whose message says why")
        return said

    @property
    def _local_devices(self) -> list[int]:
        """Where along the axis this process has devices."""
        rows = np.moveaxis(self.mesh.devices, self.mesh.axis_names.index(self.axis), 0).reshape(self.layout.devices, -1)
        here = jax.process_index()
        return [number for number, row in enumerate(rows) if any(device.process_index == here for device in row)]

    @property
    def _several_processes(self) -> bool:
        return len({device.process_index for device in self.mesh.devices.flat}) > 1


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
