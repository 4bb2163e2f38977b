"""The JAX problem: closed form against autodiff and against the host, tracing, precision, features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import closed_form
from mcr2_landscape.mcr2 import problem as module
from mcr2_landscape.testing import parameters, points, seeds

SHAPES = ((3, (2, 1, 4)), (7, (2, 2)), (4, (6, 6, 6)))


@st.composite
def cases(draw):
    p = draw(parameters(shapes=SHAPES, wide_epsilon=False, fractions=(1e-3, 2)))
    return ml.MCR2(p.dim, p.sizes, p.epsilon, p.regularization), draw(points(p)), draw(seeds())


@jax.jit
def autodiff(problem, Z, D):
    gradient = jax.grad(problem.value)
    return problem.value(Z), gradient(Z), jax.jvp(gradient, (Z,), (D,))[1]


@given(cases())
def test_closed_form_equals_autodiff_and_the_host(case):
    problem, Z, seed = case
    D = jnp.asarray(np.random.default_rng(seed).standard_normal(Z.shape))
    value, gradient, product = autodiff(problem, jnp.asarray(Z), D)
    p = problem.parameters
    size = 1 + problem.regularization * np.sum(Z * Z)
    assert float(problem.value(Z)) == pytest.approx(closed_form.value(p, Z), rel=1e-10, abs=1e-12 * size)
    assert float(value) == pytest.approx(closed_form.value(p, Z), rel=1e-10, abs=1e-12 * size)
    scale = float(problem.gradient_scale(Z)) * (1 + p.alpha * np.sum(Z * Z)) + 1e-300
    host, host_scale = closed_form.gradient_and_scale(p, Z)
    assert np.linalg.norm(problem.gradient(Z) - host) <= 1e-12 * scale
    assert np.linalg.norm(gradient - host) <= 1e-12 * scale
    assert float(problem.gradient_scale(Z)) == pytest.approx(host_scale, rel=1e-9)
    closed = problem.hessian(Z).mv(D)
    bound = 1e-11 * (p.alpha + p.regularization) * np.linalg.norm(D) * (1 + p.alphas.max() * np.sum(Z * Z))
    assert np.linalg.norm(closed - product) <= bound


@given(cases())
def test_dense_hessian_equals_the_host(case):
    problem, Z, _ = case
    p = problem.parameters
    bound = 1e-12 * (p.alpha + p.regularization) * (1 + p.alphas.max() * np.sum(Z * Z))
    dense = np.asarray(problem.hessian(Z).as_matrix())
    assert np.abs(dense - problem.hessian_matrix(Z)).max() <= bound


@given(cases())
def test_compression_keeps_value_gradient_and_spectrum(case):
    problem, Z, _ = case
    small, point, _ = problem.compress(Z)
    assert all(width <= problem.dim for width in small.parameters.widths)
    value, gradient, scale = problem.evaluate(Z)
    small_value, small_gradient, small_scale = small.evaluate(point)
    assert small_value == pytest.approx(value, rel=1e-10, abs=1e-12)
    assert np.linalg.norm(small_gradient) == pytest.approx(np.linalg.norm(gradient), rel=1e-9, abs=1e-13 * scale)
    assert small_scale == pytest.approx(scale, rel=1e-10, abs=1e-300)
    reduction = problem.reduction(Z)
    parts = [np.repeat(reduction.eigenvalues(part), part.multiplicity) for part in reduction.parts]
    together = np.sort(np.concatenate(parts))
    full = np.linalg.eigvalsh(problem.hessian_matrix(Z))
    assert np.abs(together - full).max() <= 1e-12 * problem.curvature_scale()


@given(cases())
def test_the_lipschitz_bound_holds(case):
    problem, Z, seed = case
    D = np.random.default_rng(seed).standard_normal(Z.shape)
    D *= 1e-3 / np.sqrt(problem.parameters.alpha) / np.linalg.norm(D)
    change = problem.hessian_matrix(Z + D) - problem.hessian_matrix(Z)
    assert np.linalg.norm(change, 2) <= problem.hessian_lipschitz() * np.linalg.norm(D) + 1e-13 * problem.curvature_scale()


def test_a_sweep_of_lambda_is_one_compilation():
    Z = np.random.default_rng(0).standard_normal((3, 7))
    module._value._clear_cache()
    for fraction in (0.1, 0.2, 0.3, 0.4):
        ml.MCR2(3, (2, 1, 4), 0.5 + fraction, fraction).value(Z)
    assert module._value._cache_size() == 1
    swept = jax.vmap(lambda lam: ml.MCR2(3, (2, 1, 4), 0.5, lam).value(Z))(jnp.linspace(0.1, 1, 5))
    single = [float(ml.MCR2(3, (2, 1, 4), 0.5, float(lam)).value(Z)) for lam in np.linspace(0.1, 1, 5)]
    assert np.allclose(swept, single, rtol=1e-12)


def test_many_classes_compile_at_once():
    """The program's size does not grow with K: no loop over classes is unrolled."""

    def size(num_classes):
        problem = ml.MCR2(8, (10,) * num_classes, 0.5, 0.1)
        return len(jax.make_jaxpr(problem.gradient)(jnp.ones(problem.shape)).jaxpr.eqns[0].params["jaxpr"].eqns)

    assert size(100) == size(3)


def test_float32_in_float32_out_and_its_error():
    problem = ml.MCR2(4, (6, 6, 6), 0.5, 0.1)
    Z = np.random.default_rng(0).standard_normal(problem.shape)
    single = problem.hessian(Z.astype(np.float32)).mv(np.ones(Z.shape, np.float32))
    assert single.dtype == jnp.float32
    double = problem.hessian(Z).mv(np.ones(Z.shape))
    assert np.linalg.norm(np.asarray(single) - np.asarray(double)) <= 1e-4 * np.linalg.norm(double)


def test_float64_without_64_bit_mode_is_refused():
    problem = ml.MCR2(2, (1, 1), 0.5, 0.1)
    for call in (problem.value, problem.gradient, problem.hessian):
        with jax.enable_x64(False), pytest.raises(ml.InputError, match="64-bit mode is off"):
            call(np.ones((2, 2)))


def test_transposed_points_are_recognized():
    with pytest.raises(ml.InputError, match="looks transposed"):
        ml.MCR2(3, (2, 2), 0.5, 0.1).value(np.ones((4, 3)))


def test_theory_needs_concrete_numbers():
    with pytest.raises(ml.InputError, match="outside jit"):
        jax.jit(lambda lam: ml.MCR2(3, (2, 2), 0.5, lam).regularization_limit)(0.1)


@given(seed=seeds())
def test_from_features_sorts_any_labels(seed):
    random = np.random.default_rng(seed)
    X = random.standard_normal((12, 3))
    labels = np.array(["b", "a", "c"])[np.r_[[0, 1, 2], random.integers(0, 3, 9)]]
    problem, Z, order = ml.MCR2.from_features(X, labels, epsilon=0.5)
    assert np.array_equal(Z, X[order].T)
    assert labels[order].tolist() == sorted(labels)
    assert problem.sizes == tuple(int((labels == name).sum()) for name in "abc")
    assert problem.regularization == pytest.approx(problem.regularization_limit / 2)
    codes = np.unique(labels, return_inverse=True)[1]
    reduction = float(problem.value(Z)) + problem.regularization / 2 * np.sum(Z * Z)
    assert reduction == pytest.approx(float(ml.rate_reduction(X.T, codes, 0.5)), rel=1e-10)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.array([[1.0, np.nan], [0, 1], [2, np.nan]]), [0, 1, 1], r"X: found NaN in 2 of 3 rows \(row 0, 2\)"),
        (np.ones((3, 2)), [0, 1], "labels: found 2 for 3 samples"),
        (np.ones((3, 2)), [0, 1], "looks transposed"),
        (np.ones((3, 2)), [5, 5, 5], "the single class 5"),
        (np.ones((3, 2)), [0, None, 1], "found None at sample 1"),
        (np.ones((3, 2)), [0, float("nan"), 1], "found nan at sample 1"),
        (np.ones((3, 2)), [np.float32("nan"), 1, 1], "found nan at sample 0"),
        (np.ones((3, 2)), {0, 1, 2}, "labels: found set"),
        (np.ones((3, 2)), [[0], [1], [2]], "cannot be hashed"),
        (np.ones((3, 2)), np.eye(3), r"labels: found shape \(3, 3\)"),
        (np.ones(3), [0, 1, 1], r"X: found shape \(3,\)"),
        ([[1, 2], [3]], [0, 1], "X: cannot be read as an array"),
    ],
)
def test_bad_features_are_named(features, labels, message):
    with pytest.raises(ml.InputError, match=message):
        ml.MCR2.from_features(features, labels, epsilon=0.5)


SMALL = ml.MCR2(3, (3, 3), 0.5, 0.1)
BALLS = ml.ConstrainedMCR2(3, (3, 3), 0.5, "balls")


@pytest.mark.parametrize("problem", [SMALL, BALLS])
@pytest.mark.parametrize("method", ["evaluate", "invariants", "hessian_matrix", "orbit_tangent", "compress", "recognize"])
def test_host_methods_check_the_shape(problem, method):
    if hasattr(problem, method):
        with pytest.raises(ml.InputError, match=r"Z: found shape \(3, 9\)"):
            getattr(problem, method)(np.ones((3, 9)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SMALL.random_starts(0, -1), "count: found -1"),
        (lambda: SMALL.value(np.full((3, 6), np.nan)), "Z: found NaN"),
        (lambda: SMALL.value(np.ones((3, 6), np.float16)), "Z: found float16"),
        (lambda: SMALL.hessian(np.ones((3, 6), np.float32)).mv(np.ones((3, 6))), "D: found float64, .* float32"),
        (lambda: jax.jit(lambda z: ml.classify(SMALL, z).value)(jnp.ones((3, 6))), "outside jit"),
        (lambda: jax.jit(lambda e: ml.ConstrainedMCR2(3, (3, 3), e).parameters.alpha)(0.5), "outside jit"),
    ],
)
def test_bad_calls_are_named(call, message):
    with pytest.raises(ml.InputError, match=message):
        call()


def test_small_ranks_may_be_an_array():
    problem = ml.MCR2(3, (3, 3, 3), 0.5, 0.1)
    assert problem.orthogonal_family(large=(1, 1, 0), small=np.array([0, 0, 1])) is not None
