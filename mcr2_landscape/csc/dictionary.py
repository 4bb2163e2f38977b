"""Convolutional dictionaries: synthesis of images from codes, and its exact adjoint.

    D z = Σ_k w_k ∗ z_k,        (Dᵀx)_k = w_k ⋆ x

with a stride s and zero padding p: D is what deep learning calls a transposed convolution, Dᵀ a convolution. Both are written
here as one correlation each, D with the codes' positions spread by s, so that they are adjoint for every stride, padding,
kernel and image size, those included for which s does not divide H + 2p − k: the last rows that no kernel reaches are then
zero.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from mcr2_landscape.csc.geometry import Geometry, pair
from mcr2_landscape.csc.symbol import squared_norm_bound
from mcr2_landscape.precision import traced_array
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer

_LAYOUT = ("NCHW", "OIHW", "NCHW")
_UNIT = 16.0  # units in the last place, for each number of an atom, by which its norm may differ from one
_CURE = "ConvDictionary.normalized(atoms, ...) scales atoms to norm one"


class ConvDictionary(eqx.Module):
    """A dictionary of K atoms that are placed at every position (each s-th one) of an image.

    **Arguments:** `atoms`: (K, C, k_h, k_w), float32 or float64, each of norm one over its C·k_h·k_w numbers; kernels of even
    or odd sides. `stride`: s ≥ 1, an integer or (vertical, horizontal). `padding`: p ≥ 0 zeros on each side of an image,
    likewise.

    Under `jit`, `vmap` and `grad` the atoms are leaves; norms are checked where values are known. NumPy's float64 atoms are
    kept as they are while JAX's 64-bit mode is off: host functions (`solve`, `lipschitz_bound`) take them, and `synthesize` and
    `analyze` refuse them, since they would round.

    **Raises:** `InputError` for other shapes, NaN or infinity, and atoms whose norm is zero or not one.
    """

    atoms: Any
    stride: tuple[int, int] = eqx.field(static=True)
    padding: tuple[int, int] = eqx.field(static=True)

    def __init__(self, atoms: Any, stride: Any = 1, padding: Any = 0):
        self.stride, self.padding = pair("stride", stride, minimum=1), pair("padding", padding, minimum=0)
        self.atoms = _checked(atoms)
        if not isinstance(self.atoms, Tracer):
            norms = _norms(self.atoms)
            off = np.abs(norms - 1)
            allowed = _UNIT * np.finfo(self.atoms.dtype).eps * np.sqrt(np.prod(self.atoms.shape[1:]))
            if off.max() > allowed:
                worst = int(off.argmax())
                raise InputError(f"atoms: found norm {norms[worst]:.9g} of atom {worst}; {_CURE}")

    @classmethod
    def normalized(cls, atoms: Any, stride: Any = 1, padding: Any = 0) -> ConvDictionary:
        """The dictionary of the atoms divided by their norms; traced ones too.

        **Raises:** `InputError` as the constructor, and for atoms of norm zero.
        """
        array = _checked(atoms)
        if not isinstance(array, Tracer):
            unit = (np.asarray(array, np.float64) / _norms(array)[:, None, None, None]).astype(array.dtype)
            return cls(unit, stride, padding)
        norms = jnp.sqrt(jnp.sum(array**2, axis=(1, 2, 3), keepdims=True))
        return cls(array / jnp.broadcast_to(norms, array.shape), stride, padding)

    @classmethod
    def random(
        cls, num_atoms: int, kernel: Any, *, channels: int = 1, stride: Any = 1, padding: Any = 0, key: Any, dtype: Any = None
    ) -> ConvDictionary:
        """Atoms drawn uniformly from the unit sphere.

        **Arguments:** `kernel`: the sides (k_h, k_w), or one integer. `key`: a JAX key, an integer seed or a NumPy generator.
        `dtype`: float32 or float64; by default JAX's.

        **Raises:** `InputError` for bad input.
        """
        shape = (positive_integer("num_atoms", num_atoms), positive_integer("channels", channels))
        drawn = generator(key).standard_normal((*shape, *pair("kernel", kernel, minimum=1)))
        found = jnp.result_type(float) if dtype is None else np.dtype(dtype)
        if found not in (np.float32, np.float64):
            raise InputError(f"dtype: found {found}; pass float32 or float64")
        return cls.normalized(drawn.astype(found), stride, padding)

    @property
    def num_atoms(self) -> int:
        """K."""
        return self.atoms.shape[0]

    @property
    def channels(self) -> int:
        """C."""
        return self.atoms.shape[1]

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of an atom."""
        return self.atoms.shape[2], self.atoms.shape[3]

    @property
    def geometry(self) -> Geometry:
        """Kernel, stride and padding."""
        return Geometry(self.kernel, self.stride, self.padding)

    def code_shape(self, size: Any) -> tuple[int, int, int]:
        """Shape (K, h, w) of the codes of an image of `size` (H, W).

        **Raises:** `InputError` for a kernel that is larger than the padded image.
        """
        return self.num_atoms, *self.geometry.code_shape(pair("size", size, minimum=1))

    def synthesize(self, codes: Any, size: Any = None) -> Float[Array, "n c height width"]:
        """D z: images (N, C, H, W) of codes (N, K, h, w), in the wider dtype of codes and atoms.

        **Arguments:** `size`: (H, W), which a stride leaves open: any with these codes; by default the smallest.

        **Raises:** `InputError` for other shapes, a size whose codes have another shape, and NumPy's float64 while 64-bit mode
        is off.
        """
        found, atoms = self._together("codes", codes, self.num_atoms, "atoms")
        height, width = self.geometry.check_size((found.shape[2], found.shape[3]), size)
        return synthesis(found, atoms, self.geometry, (height, width))

    def analyze(self, images: Any) -> Float[Array, "n k h w"]:
        """Dᵀx: codes (N, K, h, w) of images (N, C, H, W), in the wider dtype of images and atoms.

        **Raises:** `InputError` for other shapes, kernels that do not fit into the padded images, and NumPy's float64 while
        64-bit mode is off.
        """
        found, atoms = self._together("images", images, self.channels, "channels")
        self.geometry.code_shape((found.shape[2], found.shape[3]))
        return analysis(found, atoms, self.geometry)

    def lipschitz_bound(self) -> float:
        """An upper bound of ‖D‖² for images of every size: of the largest curvature of ½‖x − Dz‖² (see `symbol`).

        Above the least such number by the factor 1.001 at most for dictionaries of usual size (the supremum over all sizes is
        approached by large images). A single small image may have a norm well below: its border cuts atoms off.

        **Raises:** `InputError` where the atoms are traced: it is a host function.
        """
        return squared_norm_bound(float64_matrix("atoms", self.atoms, refuse_float32=False), self.stride)[1]

    def _together(self, name: str, value: Any, second: int, what: str) -> tuple[jax.Array, jax.Array]:
        """The array and the atoms in the wider dtype of the two, the first checked."""
        array, atoms = traced_array(name, value), traced_array("atoms", self.atoms, finite=False)
        if array.ndim != 4 or 0 in array.shape:
            cure = "; add the axis of images with x[None]" if array.ndim == 3 else ""
            axes = "(codes, atoms, height, width)" if name == "codes" else "(images, channels, height, width)"
            raise InputError(f"{name}: found shape {array.shape}; pass {axes}{cure}")
        if array.shape[1] != second:
            raise InputError(
                f"{name}: found shape {array.shape}, of {array.shape[1]} {what}, where the dictionary has {second}"
                + ("; channels come first" if array.shape[3] == second and name == "images" else "")
            )
        dtype = np.promote_types(array.dtype, atoms.dtype)
        return array.astype(dtype), atoms.astype(dtype)


def analysis(images: jax.Array, atoms: jax.Array, geometry: Geometry) -> jax.Array:
    """Dᵀx, unchecked."""
    (ph, pw), highest = geometry.padding, jax.lax.Precision.HIGHEST  # else an accelerator rounds float32 to fewer digits
    return jax.lax.conv_general_dilated(
        images, atoms, geometry.stride, ((ph, ph), (pw, pw)), dimension_numbers=_LAYOUT, precision=highest
    )


def synthesis(codes: jax.Array, atoms: jax.Array, geometry: Geometry, size: tuple[int, int]) -> jax.Array:
    """D z for images of `size`, unchecked."""
    flipped = jnp.transpose(jnp.flip(atoms, (2, 3)), (1, 0, 2, 3))
    pads = []
    for n, k, s, p, length in zip(codes.shape[2:], *geometry, size, strict=True):
        before = k - 1 - p
        pads.append((before, length + k - 1 - ((n - 1) * s + 1) - before))
    return jax.lax.conv_general_dilated(
        codes,
        flipped,
        (1, 1),
        pads,
        lhs_dilation=geometry.stride,
        dimension_numbers=_LAYOUT,
        precision=jax.lax.Precision.HIGHEST,
    )


def _checked(atoms: Any) -> Any:
    """Atoms of a right shape, as JAX's array, or NumPy's for float64 while 64-bit mode is off."""
    wide = isinstance(atoms, np.ndarray) and atoms.dtype == np.float64 and not jax.config.read("jax_enable_x64")
    array = float64_matrix("atoms", atoms) if wide else traced_array("atoms", atoms)
    if array.ndim != 4 or 0 in array.shape:
        cure = "; atoms[:, None] adds the axis of one channel" if array.ndim == 3 else ""
        raise InputError(f"atoms: found shape {array.shape}; pass (atoms, channels, height, width){cure}")
    if not isinstance(array, Tracer):
        norms = _norms(array)
        if not norms.all():
            zero = np.flatnonzero(norms == 0)
            named = ", ".join(map(str, zero[:8])) + (", …" if zero.size > 8 else "")
            raise InputError(f"atoms: found norm zero of atom {named}; an atom needs a number that is not zero: drop these")
    return array


def _norms(atoms: Any) -> np.ndarray:
    wide = np.asarray(atoms, dtype=np.float64)
    largest = np.abs(wide).max(axis=(1, 2, 3))  # first, so that squares of tiny or huge numbers are told from zero
    scaled = wide / np.where(largest > 0, largest, 1)[:, None, None, None]
    return largest * np.sqrt(np.sum(scaled**2, axis=(1, 2, 3)))
