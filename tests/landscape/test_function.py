"""Functions as landscapes: what is accepted, what is refused and why."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import mcr2_landscape as ml
from mcr2_landscape.testing import seeds, spectra, symmetric_matrix


def test_a_problem_as_a_function_is_the_same_landscape():
    problem = ml.MCR2(3, (2, 2), 0.5, 0.1)
    Z = np.random.default_rng(0).standard_normal(problem.shape)
    twin = ml.Landscape.from_function(problem.value, example=Z)
    assert twin.evaluate(Z)[0] == pytest.approx(problem.evaluate(Z)[0], rel=1e-12)
    assert np.allclose(twin.evaluate(Z)[1], problem.evaluate(Z)[1], atol=1e-12)
    assert np.allclose(twin.hessian_matrix(Z), problem.hessian_matrix(Z), atol=1e-12)


@given(spectrum=spectra(max_size=6).filter(lambda s: s.size == 6), seed=seeds())
def test_inertia_of_a_prescribed_spectrum(spectrum, seed):
    """A quadratic form with clusters and zeros: signs are counted right, and no zero is claimed without a symmetry."""
    matrix = jnp.asarray(symmetric_matrix(spectrum, seed))
    found = _classify_quadratic(matrix)
    assert found.inertia.positive == int((spectrum > 0).sum())
    assert found.inertia.negative == int((spectrum < 0).sum())
    assert found.inertia.zero == 0
    assert found.inertia.undecided == int((spectrum == 0).sum())
    if (spectrum > 0).any():
        assert found.kind is ml.Kind.STRICT_SADDLE
    elif (spectrum == 0).any():
        assert found.kind is ml.Kind.UNDECIDED
    else:
        assert found.kind is ml.Kind.LOCAL_MAXIMIZER


class Quadratic:
    """½ zᵀ A z without compilation: the protocol, by hand. Classifying calls none of the traced methods."""

    minimize, constraint, shape = False, None, (6,)

    def _traced(self, Z):
        raise AssertionError("a host function called a traced method")

    value = gradient = hessian = gradient_scale = invariants = _traced

    def __init__(self, matrix):
        self.matrix = np.asarray(matrix)

    def evaluate(self, Z):
        return float(0.5 * Z @ self.matrix @ Z), self.matrix @ Z, 1.0

    def hessian_matrix(self, Z):
        return self.matrix

    def orbit_tangent(self, Z):
        return np.zeros((Z.size, 0))


def _classify_quadratic(matrix):
    return ml.classify(Quadratic(matrix), np.zeros(6))


_STATE = []


def _stateful(z):
    _STATE.append(1)
    return jnp.sum(z**2) * len(_STATE)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda z: z, "f: gave shape"),
        (lambda z: jnp.sum(z) / 0, "f: gave inf|f: raised ZeroDivisionError"),
        (lambda z: float(z[0]) if isinstance(z, jax.core.Tracer) else z[0], "cannot be traced"),
        (lambda z: jnp.sum(jnp.sqrt(z - 1)), "gradient or Hessian is not finite"),
        (lambda z: 1 / 0, "f: raised ZeroDivisionError"),
        (_stateful, "two different values"),
        (3, "f: found int"),
    ],
)
def test_bad_functions_are_explained(f, message):
    with pytest.raises(ml.InputError, match=message):
        ml.Landscape.from_function(f, example=np.ones(2))


def test_a_symmetry_of_the_wrong_shape_is_named():
    with pytest.raises(ml.InputError, match="symmetry: gave shape"):
        ml.Landscape.from_function(lambda z: jnp.sum(z**2), example=np.ones(2), symmetry=lambda z: z)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symmetry": lambda z: jnp.stack([-z[1], z[0]])[None]}, "symmetry: the value changes along it"),
        ({"symmetry": 3}, "symmetry: found int"),
        ({"invariants": 3}, "invariants: found int"),
        ({"constraint": 3}, "constraint: found int"),
        ({"constraint": ml.Balls((2,), (1.0,))}, "constraint: found balls"),
        ({"example": np.ones(0)}, r"example: found shape \(0,\)"),
        ({"gradient_scale": 0}, "gradient_scale: found 0"),
    ],
)
def test_bad_declarations_are_explained(options, message):
    """(z_0 − 1)² + z_1³ has no rotation symmetry: taken at its word, it would prove a zero that is none."""
    with pytest.raises(ml.InputError, match=message):
        ml.Landscape.from_function(lambda z: -((z[0] - 1) ** 2) + z[1] ** 3, **{"example": np.full(2, 0.5), **options})


def test_a_function_that_computes_in_float32_is_refused():
    with pytest.raises(ml.InputError, match="computes in float32"):
        ml.Landscape.from_function(lambda z: jnp.sum(z.astype(jnp.float32) ** 2), example=np.ones(2))


def test_a_far_point_is_not_critical_because_gradients_are_large_elsewhere():
    steep = ml.Landscape.from_function(lambda z: jnp.sum(z**12 / 12 - z**2 / 2), example=np.full(2, 4.0), minimize=True)
    assert ml.classify(steep, np.array([0.5, 0.5])).kind is ml.Kind.NOT_CRITICAL


def test_declared_invariants_tell_mirror_images_apart():
    options = {"example": np.full(3, 0.5), "symmetry": lambda z: jnp.stack([-z[1], z[0], 0 * z[2]])[None]}

    def f(z):
        return -((z[0] ** 2 + z[1] ** 2 - 1) ** 2) - (z[2] ** 2 - 1) ** 2

    def radius_and_height(z):
        return jnp.stack([z[0] ** 2 + z[1] ** 2, z[2]])

    apart = ml.Landscape.from_function(f, invariants=radius_and_height, **options)
    assert len(ml.find_critical_points(apart, key=0, num_starts=200).distinct) == 6


def test_functions_that_hold_arrays_are_taken():
    class Bowl(eqx.Module):
        center: jax.Array

        def __call__(self, z):
            return -jnp.sum((z - self.center) ** 2)

    landscape = ml.Landscape.from_function(Bowl(jnp.ones(2)), example=np.zeros(2))
    assert ml.classify(landscape, np.ones(2)).kind is ml.Kind.LOCAL_MAXIMIZER


def test_float64_is_refused_while_64_bit_mode_is_off():
    landscape = ml.Landscape.from_function(lambda z: jnp.sum(z**2), example=np.ones(2))
    with jax.enable_x64(False):
        with pytest.raises(ml.InputError, match="64-bit mode is off"):
            landscape.value(np.ones(2))
        assert ml.classify(landscape, np.zeros(2)).kind is ml.Kind.STRICT_SADDLE  # host functions bring their own scope
