"""A layer is a diffeomorphism with a known determinant and an exact inverse, whatever its numbers.

Both sides of an identity are a few dozen operations on numbers of the size of the points (and of the layers' own, which are of
size one), so that they differ by about 1e-15 of that; `ROUNDING` leaves room for thirty times as much. Where a map stretches
rounding, the tolerance says by how much.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.flatnet import Layer, Layers, kernels
from mcr2_landscape.flatnet.layers import solve_kappa
from mcr2_landscape.validation import InputError

DIM, ROWS = 6, 7
ROUNDING = 3e-14
seeds = st.integers(0, 2**32 - 1)
alphas = st.sampled_from([0.0, 0.15, 0.5, 0.9, 0.99])


def random_layer(seed: int, alpha: float, d: int = 2, dim: int = DIM) -> Layer:
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.standard_normal((dim, d)))[0]
    mean, center, shift = 0.3 * random.standard_normal((3, dim))
    coefficients = random.standard_normal((dim, kernels.num_features(d)))
    numbers = random.uniform(0.2, 3), np.float64(alpha), shift, random.uniform(0.3, 3)
    return Layer(mean, center, basis, coefficients, *numbers, np.int32(d))


def random_points(seed: int) -> np.ndarray:
    random = np.random.default_rng([seed, 1])
    return random.standard_normal((ROWS, DIM)) * random.choice([0.1, 1, 3])


@given(seeds, alphas, st.integers(1, DIM))
def test_a_layer_keeps_tangential_coordinates_and_scales_the_normal_part(seed, alpha, d):
    layer, x = random_layer(seed, alpha, d), random_points(seed)
    y = kernels.flatten(layer, x) * layer.scale + layer.shift
    size = 1 + np.abs(x).max()
    np.testing.assert_allclose(y @ layer.basis, x @ layer.basis, atol=ROUNDING * size)
    kappa = alpha * np.exp(-layer.gamma * np.sum((x - layer.mean) ** 2, axis=1))
    project = np.eye(DIM) - layer.basis @ layer.basis.T
    shrunk = (1 - kappa)[:, None] * ((x - layer.mean) @ project)
    np.testing.assert_allclose((y - layer.mean) @ project, shrunk, atol=ROUNDING * size)
    # Planted: a kernel that is wider by a thousandth.
    if alpha >= 0.5 and d < DIM and size < 2:
        wider = kernels.flatten(layer._replace(gamma=layer.gamma / 1.001), x) * layer.scale + layer.shift
        assert np.abs((wider - layer.mean) @ project - shrunk).max() > 1e3 * ROUNDING * size


@given(seeds, alphas, st.integers(1, DIM))
def test_the_inverse_is_exact(seed, alpha, d):
    layer, x = random_layer(seed, alpha, d), random_points(seed)
    # The derivative of the inverse is at most scale/(1 − α), and so is what rounding becomes.
    bound = 1e-14 * (1 + np.abs(x).max()) * max(1.0, layer.scale) / (1 - alpha)
    assert np.abs(kernels.invert(layer, kernels.flatten(layer, x)) - x).max() <= bound
    wrong = layer._replace(gamma=1.01 * layer.gamma)
    if alpha >= 0.5 and d < DIM and np.abs(x).max() < 1:
        assert np.abs(kernels.invert(wrong, kernels.flatten(layer, x)) - x).max() > 1e3 * bound


@given(st.floats(0, 0.999), st.floats(-12, 4))
def test_kappa_solves_its_equation(constant, exponent):
    c, n = np.array([constant]), np.array([10.0**exponent])
    found = kernels.kappa(c, n * n)
    v = n / (1 - found)
    # To rounding, as the equation itself can be evaluated.
    np.testing.assert_allclose(found, c * np.exp(-v * v), rtol=1e-15 / (1 - constant) ** 2 * 10, atol=1e-300)
    assert kernels.kappa(c, np.zeros(1)) == c


def test_kappa_is_found_to_the_last_bits():
    """Against the answer, which is chosen first: v is given, and n follows from it."""
    v = np.geomspace(1e-8, 6, 4000)
    for constant in (0.15, 0.5, 0.9):
        kappa = constant * np.exp(-v * v)
        found = kernels.kappa(np.full_like(v, constant), (v * (1 - kappa)) ** 2)
        assert np.abs(found - kappa).max() <= 1e-15 / (1 - constant)


JACOBIAN = jax.jit(lambda layers, x: jax.vmap(jax.jacfwd(lambda row: layers.flatten(row[None])[0]))(x))
LOG_DET = jax.jit(lambda layers, x: layers.log_abs_det_jacobian(x))


@given(seeds, st.sampled_from([0.15, 0.5, 0.9]))
def test_the_determinant_is_the_jacobians(seed, alpha):
    layers, x = Layers.of([random_layer(seed, alpha), random_layer(seed + 1, 0.5, 3)], DIM), random_points(seed)
    jacobian = np.asarray(JACOBIAN(layers, x))
    sign, value = np.linalg.slogdet(jacobian)
    assert (sign == 1).all()
    # The logarithm of six singular values, each of which divides rounding by up to 1 − α, in either layer.
    np.testing.assert_allclose(LOG_DET(layers, x), value, atol=30 * ROUNDING)
    assert np.linalg.svd(jacobian, compute_uv=False).min() > 0
    # Planted: the determinant at the wrong point, where the layers have already moved x.
    if np.abs(x).max() < 1:
        assert np.abs(np.asarray(LOG_DET(layers, layers.flatten(x))) - value).max() > 1e-6


@given(seeds)
def test_jax_and_numpy_agree_and_layers_of_different_width_stack(seed):
    single = [random_layer(seed + k, 0.5, d) for k, d in enumerate((1, 3, 2))]
    layers, x = Layers.of(single, DIM), random_points(seed)
    z, back = x, None
    for layer in single:
        z = kernels.flatten(layer, z)
    np.testing.assert_allclose(layers.flatten(x), z, atol=ROUNDING * (1 + np.abs(z).max()))
    back = z
    for layer in reversed(single):
        back = kernels.reconstruct(layer, back)
    scale = max(1, np.abs(back).max())
    # Quadratics of quadratics: their greatest number decides.
    np.testing.assert_allclose(layers.reconstruct(z) / scale, back / scale, atol=10 * ROUNDING)
    # The derivative of each of the three inverses is at most scale/(1 − α) ≤ 6, and a few times one as a rule.
    np.testing.assert_allclose(layers.exact_inverse(z), x, atol=10 * ROUNDING * (1 + np.abs(x).max()))
    forward = z
    for layer in single:  # planted: the public code's order
        forward = kernels.reconstruct(layer, forward)
    assert np.abs(forward - back).max() > 1e-6
    total = sum(
        kernels.log_abs_det(layer, np.asarray(layers[:place].flatten(x))) for place, layer in enumerate(layers.single())
    )
    np.testing.assert_allclose(layers.log_abs_det_jacobian(x), total, atol=30 * ROUNDING)


def test_no_layers_are_the_identity():
    layers, x = Layers.of([], 3), np.ones((2, 3))
    assert len(layers) == 0
    for method in (layers.flatten, layers.reconstruct, layers.exact_inverse):
        np.testing.assert_array_equal(method(x), x)
    np.testing.assert_array_equal(layers.log_abs_det_jacobian(x), np.zeros(2))


KAPPA_GRADIENT = jax.jit(jax.vmap(jax.grad(solve_kappa, argnums=(0, 1))))


def _kappa(c, v):
    return c * np.exp(-v * v)


def _squared(c, v):
    return (v * (1 - _kappa(c, v))) ** 2


@given(st.floats(0.05, 0.9), st.floats(0.01, 3))
def test_kappas_derivative_is_that_of_the_implicit_function(c, v):
    """Against the answer v, chosen first: by imaginary steps, exact to rounding, through κ and n² as functions of c and v. n²
    is flat in v by at least (1 − c)² v, by which rounding is divided."""
    step = 1e-30j
    partials = [(f(c + step, v).imag / 1e-30, f(c, v + step).imag / 1e-30) for f in (_kappa, _squared)]
    (kappa_c, kappa_v), (squared_c, squared_v) = partials
    expected = kappa_c - kappa_v * squared_c / squared_v, kappa_v / squared_v
    found = [float(part[0]) for part in KAPPA_GRADIENT(np.array([c]), np.array([_squared(c, v)]))]
    np.testing.assert_allclose(found, expected, rtol=1e-13 / (1 - c) ** 2)
    # Planted: the derivative of the explicit function, as if v did not move with c.
    assert abs(found[0] - kappa_c) > 1e-3 * abs(kappa_c * squared_c)


def test_kappas_derivative_on_the_plane_itself():
    found = KAPPA_GRADIENT(np.array([0.5]), np.zeros(1))
    np.testing.assert_allclose([found[0][0], found[1][0]], [1, -0.5 / (1 - 0.5) ** 2], rtol=1e-15)


def test_float32_is_float32_and_widths_are_checked():
    layers, x = Layers.of([random_layer(0, 0.5)], DIM), random_points(0)
    z = layers.flatten(x.astype(np.float32))
    assert z.dtype == jnp.float32
    np.testing.assert_allclose(z, layers.flatten(x), atol=1e-6 * (1 + np.abs(x).max()))  # ten times float32's rounding
    with pytest.raises(InputError, match="points: found shape"):
        layers.flatten(x[:, :3])
    with pytest.raises(InputError, match="pass a slice"):
        layers[0]  # pyright: ignore[reportArgumentType]
