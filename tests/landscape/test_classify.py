"""Kinds against theory at constructed points of every kind, against a dense oracle, and on a zoo of known landscapes."""

import itertools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape.catalog import catalog, regularization_limit
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.testing import ZOO, dense_inertia, parameters, seeds

FRACTIONS = (1e-8, 1e-6, 1e-3, 0.4, 0.9, 1 - 1e-8, 1 - 1e-13, 1.0, 1.3)


BASES = parameters(max_dim=5, max_size=4, fractions=(0.5, 0.6))


def family_point(base, fraction, seed):
    """A family of a random small problem, and a random member."""
    limit = regularization_limit(base)
    p = Parameters(base.dim, base.sizes, base.epsilon, fraction * limit)
    families = list(itertools.islice(catalog(p), 300))
    family = families[seed % len(families)]
    return ml.MCR2(p.dim, p.sizes, p.epsilon, p.regularization), family, family.point(key=seed)


def check_family_point(problem, family, Z):
    found = ml.classify(problem, Z)
    if found.kind is ml.Kind.UNDECIDED:
        return False
    assert found.kind is family.kind, (problem, family.label, found.reason)
    assert found.index == family.index
    assert found.inertia.zero == family.nullity
    assert found.inertia.total == Z.size
    return True


@given(BASES, st.sampled_from(FRACTIONS), seeds())
@settings(max_examples=150)
def test_no_member_of_a_family_is_misclassified(base, fraction, seed):
    check_family_point(*family_point(base, fraction, seed))


@pytest.mark.slow
def test_thousands_of_family_members_are_classified_right_and_few_are_undecided():
    random = np.random.default_rng(0)
    decided = total = 0
    while total < 4000:
        dim, sizes = int(random.integers(1, 6)), tuple(int(x) for x in random.integers(1, 5, size=random.integers(2, 5)))
        epsilon = 10 ** random.uniform(-3, 3)
        limit = regularization_limit(Parameters(dim, sizes, epsilon, 1.0))
        problem = ml.MCR2(dim, sizes, epsilon, float(random.choice(FRACTIONS)) * limit)
        families = list(itertools.islice(problem.catalog(), 300))
        for position in random.permutation(len(families))[:4]:
            family = families[position]
            decided += check_family_point(problem, family, family.point(key=int(random.integers(2**31))))
            total += 1
    assert decided >= 0.97 * total


@given(BASES, st.sampled_from(FRACTIONS), seeds())
def test_decided_inertia_agrees_with_a_dense_eigendecomposition(base, fraction, seed):
    problem, _, Z = family_point(base, fraction, seed)
    found = ml.classify(problem, Z)
    if found.kind is ml.Kind.UNDECIDED:
        return
    scale = problem.curvature_scale()
    oracle = dense_inertia(problem.hessian_matrix(Z), found.eigenvalue_tolerance)
    assert (found.inertia.positive, found.inertia.zero, found.inertia.negative) == (
        oracle.positive,
        oracle.zero,
        oracle.negative,
    )
    assert found.eigenvalue_tolerance < 0.1 * scale


@given(seed=seeds())
def test_points_that_are_not_critical_are_said_to_be(seed):
    problem = ml.MCR2(3, (2, 3), 0.5, 0.1)
    Z = np.random.default_rng(seed).standard_normal(problem.shape)
    found = ml.classify(problem, Z)
    assert found.kind is ml.Kind.NOT_CRITICAL
    assert found.relative_gradient_norm > 1e-8


@given(seed=seeds(), exponent=st.floats(-12, -5))
def test_a_tiny_point_beside_zero_is_not_taken_for_another_critical_point(seed, exponent):
    """At a tiny lambda the gradient is small against its terms although the point lies far, by its own size, from the zero it
    is drawn to: no answer but the one that holds at zero, or none, is right."""
    limit = ml.MCR2(3, (2, 3), 0.5, 1.0).regularization_limit
    problem = ml.MCR2(3, (2, 3), 0.5, 1e-8 * limit)
    Z = 10**exponent * np.random.default_rng(seed).standard_normal(problem.shape)
    assert ml.classify(problem, Z).kind in (ml.Kind.NOT_CRITICAL, ml.Kind.UNDECIDED, ml.Kind.LOCAL_MAXIMIZER)


@pytest.mark.parametrize("specimen", ZOO, ids=lambda specimen: specimen.name)
def test_zoo(specimen):
    landscape = specimen.make()
    for known in specimen.points:
        found = ml.classify(landscape, np.array(known.point))
        assert found.kind is known.kind, found.reason
        assert found.index == known.index
        assert found.inertia.zero == known.zeros


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda z: -(z[0] ** 2) + z[1] ** 3, "not a maximizer, third order"),
        (lambda z: -(z[0] ** 2) - z[1] ** 4, "a maximizer to fourth order"),
        (lambda z: -(z[0] ** 2) + z[1] ** 4, "not a maximizer, fourth order"),
        # the fourth derivative along the axis says maximizer; along the parabola the kernel bends to, it does not
        (lambda z: -(z[0] ** 2) + 3 * z[0] * z[1] ** 2 - z[1] ** 4, "not a maximizer, fourth order"),
        (lambda z: -(z[0] ** 2) + z[0] * z[1] ** 2 - z[1] ** 4, "a maximizer to fourth order"),
    ],
)
def test_degenerate_points_get_the_derivatives_that_decide(f, words):
    found = ml.classify(ml.Landscape.from_function(f, example=np.full(2, 0.5)), np.zeros(2))
    assert found.kind is ml.Kind.DEGENERATE
    assert found.higher_order == words


def test_at_the_limit_the_printed_maximizer_is_degenerate():
    """d = 4, sizes 3, 3, eps = 0.6, lambda = lambda_max, ranks 2, 2: no ascent direction, yet no maximizer."""
    limit = ml.MCR2(4, (3, 3), 0.6, 1.0).regularization_limit
    problem = ml.MCR2(4, (3, 3), 0.6, limit)
    family = problem.orthogonal_family(large=(2, 2))
    Z = family.point(key=0)
    found = ml.classify(problem, Z)
    assert found.kind is ml.Kind.DEGENERATE
    assert found.higher_order == "not a maximizer, third order"
    assert found.inertia.positive == 0
    assert found.inertia.zero == family.orbit_dimension + 2 * 3  # excess Σ r_k (r_k + 1)/2
    up, down = (problem.evaluate((1 + t) * Z)[0] - problem.evaluate(Z)[0] for t in (-0.01, 0.01))
    assert up == pytest.approx(1.57e-7, rel=0.02)
    assert down == pytest.approx(-1.57e-7, rel=0.02)


def test_large_problems_fall_back_on_one_eigenpair():
    problem = ml.MCR2(6, (3, 4), 0.5, 0.1)
    for large, small in (((2, 2), (0, 0)), ((1, 1), (1, 0))):
        family = problem.orthogonal_family(large=large, small=small)
        found = ml.classify(problem, family.point(key=1), dense_limit=4)
        assert found.kind is family.kind, found.reason
        assert found.index == family.index
        assert "products" in found.reason


def test_constrained_points_and_their_kinds():
    """T4 on spheres: orthogonal blocks with equal singular values are maximizers when y_k > 1 or r_k = 1, strict saddles when
    y_k < 1 and r_k ≥ 2; unequal values are not critical or saddles."""
    for epsilon in (0.3, 3.0, 1e3):
        problem = ml.ConstrainedMCR2(4, (2, 2), epsilon, "spheres")
        Z = np.zeros(problem.shape)
        Z[[0, 1, 2, 3], [0, 1, 2, 3]] = 1.0  # ‖Z_k‖² = m_k = 2 spread over two equal values
        p = problem.parameters
        y = np.sqrt(p.alpha * p.alphas[0])
        found = ml.classify(problem, Z)
        assert found.kind is (ml.Kind.LOCAL_MAXIMIZER if y > 1 else ml.Kind.STRICT_SADDLE), (y, found.reason)
        Z = np.zeros(problem.shape)
        Z[0, 0] = Z[1, 2] = np.sqrt(2.0)
        rank_one = ml.classify(problem, Z)
        assert rank_one.kind is ml.Kind.LOCAL_MAXIMIZER


def test_eigenvalues_between_kernel_and_signed_ones_are_undecided():
    """−x² + y⁴ near its degenerate zero: the gradient is small, the eigenvalue 12 y² positive and beyond rounding, and yet the
    only critical point in reach has none."""
    ridge = ml.Landscape.from_function(lambda z: -(z[0] ** 2) + z[1] ** 4, example=np.full(2, 0.5))
    found = ml.classify(ridge, np.array([0.0, 1e-3]))
    assert found.kind in (ml.Kind.UNDECIDED, ml.Kind.NOT_CRITICAL)


@given(BASES, st.sampled_from((1e-6, 0.4, 1 - 1e-13)), seeds(), st.floats(-13, -9))
def test_a_point_beside_a_family_is_never_given_another_index(base, fraction, seed, exponent):
    problem, family, Z = family_point(base, fraction, seed)
    noise = np.random.default_rng(seed).standard_normal(Z.shape)
    moved = Z + 10**exponent * np.linalg.norm(Z) * noise / np.sqrt(Z.size)
    found = ml.classify(problem, moved)
    if found.kind not in (ml.Kind.UNDECIDED, ml.Kind.NOT_CRITICAL, ml.Kind.DEGENERATE):
        assert found.index == family.index, (family.label, found.reason)


def test_degenerate_points_of_a_sphere_do_not_see_what_the_function_does_off_it():
    """The last term vanishes on the sphere. The kernel bends in x, and along it the value rises."""

    def f(z):
        return -(z[0] ** 2) + 3 * z[0] * z[1] ** 2 - z[1] ** 4

    for extra in (0.0, -3.0):
        landscape = ml.Landscape.from_function(
            lambda z, extra=extra: f(z) + extra * (jnp.sum(z * z) - 1) * z[0],
            example=np.array([0.3, 0.2, 0.9]),
            constraint=ml.Sphere(),
        )
        found = ml.classify(landscape, np.array([0.0, 0.0, 1.0]))
        assert found.higher_order == "not a maximizer, fourth order"


@pytest.mark.parametrize("size", [4, 6, 7])
def test_rounding_is_not_taken_for_a_third_derivative(size):
    """The bracket is zero, up to rounding that the value's own size does not show."""

    def f(z):
        return -(z[0] ** 2) - jnp.sum(z[1:] ** 6) + (jnp.log1p(jnp.sum(z[1:]) + 0.3) - jnp.log(1.3 + jnp.sum(z[1:])))

    found = ml.classify(ml.Landscape.from_function(f, example=np.full(size, 0.1)), np.zeros(size))
    assert found.kind is ml.Kind.UNDECIDED
    assert found.higher_order is None


def test_a_zero_block_is_on_no_sphere():
    problem = ml.ConstrainedMCR2(4, (2, 2), 0.5, "spheres")
    Z = np.zeros(problem.shape)
    Z[0, 0] = Z[1, 1] = 1
    for call in (ml.classify, ml.ascend, ml.check_derivatives):
        with pytest.raises(ml.InputError, match="zero block"):
            call(problem, Z)


def test_many_unknowns_near_a_degenerate_point_are_undecided():
    flat = ml.Landscape.from_function(lambda z: jnp.sum(z**3) / 3, example=np.ones(5000))
    assert ml.classify(flat, np.full(5000, 1e-7)).kind in (ml.Kind.UNDECIDED, ml.Kind.NOT_CRITICAL)


def test_the_orbit_of_wide_classes_is_counted_in_few_columns():
    problem = ml.MCR2(3, (40, 50), 0.5, 0.05)
    Z = problem.random_starts(5, 1)[0]
    full = np.linalg.matrix_rank(problem.orbit_tangent(Z), tol=1e-9)
    assert problem.reduction(Z).orbit_dimension() == full


@pytest.mark.parametrize("what", ["mcr2", None, ml.MCR2])
def test_what_is_no_landscape_is_named(what):
    for call in (lambda: ml.classify(what, np.zeros((3, 4))), lambda: ml.find_critical_points(what, key=0)):
        with pytest.raises(ml.InputError, match="landscape: found"):
            call()


class Saboteur(eqx.Module):
    """A problem with one planted error."""

    inner: ml.MCR2
    error: str = eqx.field(static=True)
    minimize = False
    constraint = None

    @property
    def shape(self):
        return self.inner.shape

    def value(self, Z):
        return self.inner.value(Z)

    def gradient(self, Z):
        gradient = self.inner.gradient(Z)
        return gradient + (0.01 * jnp.roll(gradient, 1) if self.error == "gradient" else 0)

    def hessian(self, Z):
        return _WrongHessian(self.inner.hessian(Z), self.error)

    def __getattr__(self, name):
        return getattr(object.__getattribute__(self, "inner"), name)


class _WrongHessian(eqx.Module):
    inner: object
    error: str = eqx.field(static=True)

    def mv(self, D):
        out = self.inner.mv(D)
        if self.error == "sign":
            return out + 2 * self.inner.factors.regularization * D
        if self.error == "asymmetric":
            return out + 1e-3 * jnp.roll(D, 1)
        if self.error == "nonlinear":
            return out * (1 + 1e-3 * jnp.sum(D * D))
        return out


def test_the_true_derivatives_hold_and_every_planted_error_is_refuted():
    inner = ml.MCR2(3, (2, 3), 0.5, 0.2)
    Z = np.random.default_rng(0).standard_normal(inner.shape)
    assert ml.check_derivatives(inner, Z).verdict == "holds"
    for error, test in (
        ("gradient", "gradient"),
        ("sign", "Hessian"),
        ("asymmetric", "Hessian symmetry"),
        ("nonlinear", "Hessian linearity"),
    ):
        check = ml.check_derivatives(Saboteur(inner, error), Z)
        assert check.verdict == "refuted", error
        assert test in [found.name for found in check.tests if found.verdict == "refuted"]


def test_a_false_symmetry_is_refuted():
    class Liar(Saboteur):
        def orbit_tangent(self, Z):
            return np.eye(Z.size)[:, :1]

    inner = ml.MCR2(3, (2, 3), 0.5, 0.2)
    check = ml.check_derivatives(Liar(inner, "none"), np.random.default_rng(0).standard_normal(inner.shape))
    assert [found.name for found in check.tests if found.verdict == "refuted"] == ["symmetry"]


class Theory:
    """What a wrong catalog would say of a point."""

    def __init__(self, family, **changes):
        self.family, self.changes = family, changes

    def __getattr__(self, name):
        return self.changes[name] if name in self.changes else getattr(self.family, name)


@pytest.mark.parametrize("changes", [{"nullity": -1}, {"index": 0, "kind": ml.Kind.LOCAL_MAXIMIZER}])
def test_a_planted_error_in_theory_makes_the_answer_undecided(changes, monkeypatch):
    """A wrong multiplicity, and a saddle called maximizer: theory and numbers must agree, or nothing is said."""
    problem = ml.MCR2(3, (2, 2), 0.5, 0.1)
    family = problem.orthogonal_family(large=(1, 0), small=(0, 1))
    Z = family.point(key=0)
    true = problem.recognize(Z)
    changes = {**changes, **({"nullity": family.nullity - 1} if "nullity" in changes else {})}

    class Wrong:
        residual = true.residual
        family = Theory(true.family, **changes)

    monkeypatch.setattr(ml.MCR2, "recognize", lambda self, Z: Wrong)
    found = ml.classify(problem, Z)
    assert found.kind is ml.Kind.UNDECIDED
    assert found.index is None


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (np.ones((3, 3)), r"Z: found shape \(3, 3\), expected \(3, 4\)"),
        (np.full((3, 4), np.nan), "found NaN"),
        (np.ones((3, 4), dtype=np.float32), "found float32"),
        ("zero", "found 'zero'"),
    ],
)
def test_bad_points_are_named(Z, message):
    with pytest.raises(ml.InputError, match=message):
        ml.classify(ml.MCR2(3, (2, 2), 0.5, 0.1), Z)
