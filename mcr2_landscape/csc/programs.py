"""The programs of convolutional sparse coding, and how far a code is from their optimum at most.

    P(z) = λ‖z‖₁ + (μ/2)‖z‖² + ½‖x − Dz‖²,        z ≥ 0 where that is asked for,

with sparsity λ > 0 and ridge μ ≥ 0, image by image (λ may differ). With h the term of z, h* its conjugate and S(v) the soft
threshold of v at λ (its positive part at nonnegative codes), every θ gives the lower bound of Fenchel and Rockafellar

    θᵀx − ½‖θ‖² − h*(Dᵀθ) ≤ min P,      h*(v) = ‖S(v)‖²/(2μ), and for μ = 0 zero where S(v) = 0 and infinite elsewhere.

At a code z with residual r = x − Dz the points θ = s r are tried: s = 1 for μ > 0, and the best s for which S(Dᵀθ) = 0. The
duality gap is summed from terms none of which is negative,

    P(z) − lower bound = Σ_i [h(z_i) + h*(v_i) − z_i v_i] + ½(1 − s)²‖r‖²,       v = s Dᵀr,

so that no large numbers cancel. What rounding can still hide is added to it: see `Gaps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.csc.dictionary import ConvDictionary, analysis, synthesis
from mcr2_landscape.csc.geometry import Geometry
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, real

ROUNDING = 8 * np.finfo(np.float64).eps
_SMALLEST, _LARGEST = 1e-140, 1e140  # numbers whose squares, summed over an image, leave room for gaps and their rounding


class Program(NamedTuple):
    """The terms of a program: `sparsity` (N,) or a number, `ridge` a number, and whether codes are `nonnegative`. `elastic`:
    whether the ridge is above zero, which decides the dual."""

    sparsity: Any
    ridge: Any
    nonnegative: bool
    elastic: bool


@dataclass(frozen=True)
class Gaps(Record):
    """How far codes are from the optimum at most, image by image: arrays (N,) float64.

    **Fields:** `objective`: P(z). `duality_gap`: an upper bound of P(z) − min P: the gap to the dual point plus `rounding`, 8
    units in the last place of λ‖z‖₁ + μ‖z‖² + ‖r‖² + ‖r‖‖x‖, what floating point may hide (an estimate with a margin, not a
    proof). `dual_value`: objective − duality_gap.
    """

    objective: np.ndarray
    duality_gap: np.ndarray
    rounding: np.ndarray

    _derived = ("dual_value",)

    @property
    def dual_value(self) -> np.ndarray:
        """A lower bound of the optimum."""
        return self.objective - self.duality_gap


def objective(
    dictionary: ConvDictionary, images: Any, codes: Any, *, sparsity: Any, ridge: float = 0.0, nonnegative: bool = False
) -> np.ndarray:
    """P(z) of codes (N, K, h, w) for images (N, C, H, W), (N,) float64; infinite where a nonnegative code is negative.

    A host function. **Raises:** `InputError` for bad input, see `solve`.
    """
    return _gaps(dictionary, images, codes, sparsity, ridge, nonnegative).objective


def duality_gap(
    dictionary: ConvDictionary, images: Any, codes: Any, *, sparsity: Any, ridge: float = 0.0, nonnegative: bool = False
) -> Gaps:
    """How far codes (N, K, h, w) are from the optimum at most, whatever made them.

    A host function. **Raises:** `InputError` for bad input, see `solve`.
    """
    return _gaps(dictionary, images, codes, sparsity, ridge, nonnegative)


def lambda_max(dictionary: ConvDictionary, images: Any, *, nonnegative: bool = False) -> np.ndarray:
    """The least sparsity for which the zero code is optimal, (N,) float64: max |Dᵀx|, and max(Dᵀx, 0) for nonnegative codes.

    A host function. **Raises:** `InputError` for bad input, see `solve`.
    """
    with jax.enable_x64(True):
        problem = Problem.of(dictionary, images)
        found = analysis(jnp.asarray(problem.images), jnp.asarray(problem.atoms), problem.geometry)
        return np.array(_peak(found, nonnegative))


def _gaps(dictionary: Any, images: Any, codes: Any, sparsity: Any, ridge: Any, nonnegative: Any) -> Gaps:
    with jax.enable_x64(True):
        problem = Problem.of(dictionary, images)
        program = problem.program(sparsity, ridge, nonnegative)
        return measured(problem, program, problem.codes("codes", codes))


class Problem(NamedTuple):
    """Checked input of host functions, in float64: `images` (N, C, H, W), `atoms` (K, C, k_h, k_w)."""

    images: np.ndarray
    atoms: np.ndarray
    geometry: Geometry

    @staticmethod
    def of(dictionary: Any, images: Any) -> Problem:
        """**Raises:** `InputError` for what is no dictionary, and images of another shape, with NaN, or beyond float64's range
        of squares."""
        if not isinstance(dictionary, ConvDictionary):
            raise InputError(f"dictionary: found {type(dictionary).__name__}; pass a ConvDictionary")
        found = float64_matrix("images", images, refuse_float32=False)
        if found.ndim != 4 or 0 in found.shape:
            cure = "; add the axis of images with x[None]" if found.ndim == 3 else ""
            raise InputError(f"images: found shape {found.shape}; pass (images, channels, height, width){cure}")
        if found.shape[1] != dictionary.channels:
            raise InputError(
                f"images: found shape {found.shape}, of {found.shape[1]} channels, where the dictionary has "
                f"{dictionary.channels}" + ("; channels come first" if found.shape[3] == dictionary.channels else "")
            )
        dictionary.geometry.code_shape((found.shape[2], found.shape[3]))
        largest = np.abs(found).max(axis=(1, 2, 3))
        outside = np.flatnonzero((largest > _LARGEST) | ((largest > 0) & (largest < _SMALLEST)))
        if outside.size:
            raise InputError(
                f"images: found the largest number {largest[outside[0]]:.3g} of image {outside[0]}, whose square is beyond "
                f"float64's range, where gaps could not be told from zero or infinity; bring images to a scale between "
                f"{_SMALLEST:g} and {_LARGEST:g}: codes of c·x at sparsity c·λ are c times those of x at λ"
            )
        return Problem(found, float64_matrix("atoms", dictionary.atoms, refuse_float32=False), dictionary.geometry)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.images.shape[2], self.images.shape[3]

    @property
    def code_shape(self) -> tuple[int, int, int, int]:
        """Shape (N, K, h, w) of the codes."""
        return len(self.images), len(self.atoms), *self.geometry.code_shape(self.size)

    @property
    def scale(self) -> np.ndarray:
        """½‖x‖², the objective of the zero code, (N,)."""
        return 0.5 * np.sum(self.images**2, axis=(1, 2, 3))

    def program(self, sparsity: Any, ridge: Any, nonnegative: Any) -> Program:
        """**Raises:** `InputError` for a sparsity that is not above zero, or so large that products overflow, or another number
        of them than images, a negative ridge and a `nonnegative` that is no bool."""
        numbers = float64_matrix("sparsity", sparsity, refuse_float32=False)
        if numbers.shape not in ((), (len(self.images),)):
            raise InputError(
                f"sparsity: found shape {numbers.shape}; pass one number, or one for each of the {len(self.images)} images"
            )
        if numbers.min() <= 0:
            raise InputError(f"sparsity: found {numbers.min():g}; it must be greater than zero")
        if numbers.max() > _LARGEST:
            raise InputError(
                f"sparsity: found {numbers.max():g}; pass {_LARGEST:g} at most: from lambda_max on every code is zero"
            )
        mu = real("ridge", ridge)
        if mu < 0:
            raise InputError(f"ridge: found {mu:g}; it must be zero or more")
        nonnegative = check_nonnegative(nonnegative)
        return Program(np.broadcast_to(numbers, len(self.images)).copy(), mu, nonnegative, mu > 0)

    def codes(self, name: str, codes: Any) -> np.ndarray:
        """Codes of these images, float64.

        **Raises:** `InputError` for another shape, NaN, or numbers whose squares overflow.
        """
        found = float64_matrix(name, codes, self.code_shape, refuse_float32=False)
        if np.abs(found).max() > _LARGEST:
            raise InputError(f"{name}: found {np.abs(found).max():.3g}; pass codes of {_LARGEST:g} at most, as images are")
        return found


def check_nonnegative(nonnegative: Any) -> bool:
    """`nonnegative`, if it is true or false.

    **Raises:** `InputError` otherwise.
    """
    if not isinstance(nonnegative, (bool, np.bool_)):
        raise InputError(f"nonnegative: found {nonnegative!r}; pass True or False")
    return bool(nonnegative)


def measured(problem: Problem, program: Program, codes: Any) -> Gaps:
    """`duality_gap` of what is checked. In 64 bits, which the caller turns on."""
    lam, mu = jnp.asarray(program.sparsity), jnp.asarray(program.ridge, dtype=jnp.float64)
    traced = program._replace(sparsity=lam, ridge=mu)
    images, atoms = jnp.asarray(problem.images), jnp.asarray(problem.atoms)
    found = _measure(images, atoms, jnp.asarray(codes), lam, mu, problem.geometry, traced.nonnegative, traced.elastic)
    return Gaps(*(np.array(values) for values in found))


def soft_threshold(v: jax.Array, threshold: jax.Array, nonnegative: bool) -> jax.Array:
    """S(v), of arrays of the same shape."""
    return jnp.maximum(v - threshold, 0) if nonnegative else jnp.sign(v) * jnp.maximum(jnp.abs(v) - threshold, 0)


def objectives(r: jax.Array, z: jax.Array, program: Program) -> Float[Array, " n"]:
    """P(z) at the residual r, but for the constraint."""
    axes = (1, 2, 3)
    return (
        program.sparsity * jnp.sum(jnp.abs(z), axis=axes)
        + program.ridge / 2 * jnp.sum(z**2, axis=axes)
        + jnp.sum(r**2, axis=axes) / 2
    )


@partial(jax.jit, static_argnums=(5, 6, 7))
def _measure(
    x: jax.Array,
    atoms: jax.Array,
    z: jax.Array,
    sparsity: jax.Array,
    ridge: jax.Array,
    geometry: Geometry,
    nonnegative: bool,
    elastic: bool,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    def total(a: jax.Array) -> jax.Array:
        return jnp.sum(a, axis=(1, 2, 3))

    program = Program(sparsity, ridge, nonnegative, elastic)
    r = x - synthesis(z, atoms, geometry, (x.shape[2], x.shape[3]))
    v = analysis(r, atoms, geometry)
    lam = jnp.broadcast_to(sparsity[:, None, None, None], v.shape)
    l1, square, rr = total(jnp.abs(z)), total(z**2), total(r**2)
    h = lam * jnp.abs(z) + ridge / 2 * z**2

    def gap_at(s: jax.Array, conjugate: jax.Array) -> jax.Array:
        shrunk = jnp.broadcast_to(s[:, None, None, None], v.shape) * v
        return total(h - z * shrunk) + total(conjugate) + (1 - s) ** 2 * rr / 2

    # for μ = 0 a dual point must be feasible: the one of largest dual value on the line through the residual
    wanted = total(r * x) / jnp.where(rr > 0, rr, 1)
    peak = _peak(v, nonnegative)
    feasible = jnp.where(peak > 0, sparsity / jnp.where(peak > 0, peak, 1), jnp.inf)
    gap = gap_at(jnp.clip(wanted, 0, feasible), jnp.zeros_like(v))
    if elastic:
        gap = jnp.minimum(gap, gap_at(jnp.ones_like(gap), soft_threshold(v, lam, nonnegative) ** 2 / (2 * ridge)))
    rounding = ROUNDING * (sparsity * l1 + ridge * square + rr + jnp.sqrt(rr) * jnp.sqrt(total(x**2)))
    value = objectives(r, z, program)
    if nonnegative:
        outside = jnp.min(z, axis=(1, 2, 3)) < 0
        value, gap = jnp.where(outside, jnp.inf, value), jnp.where(outside, jnp.inf, gap)
    return value, jnp.maximum(gap, 0) + rounding, rounding


def _peak(v: jax.Array, nonnegative: bool) -> jax.Array:
    return jnp.maximum(jnp.max(v, axis=(1, 2, 3)), 0) if nonnegative else jnp.max(jnp.abs(v), axis=(1, 2, 3))
