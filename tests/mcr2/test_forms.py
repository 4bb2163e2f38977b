"""The Hessian's forms against the dense oracle and each other, their flops, choice and precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import closed_form, memory, operators, stacking
from mcr2_landscape.mcr2 import forms, rank_forms
from mcr2_landscape.mcr2 import hessian as module
from mcr2_landscape.mcr2.hessian import FORMS
from mcr2_landscape.testing import parameters, points, seeds

# Both kinds of class, one of one sample and one whose window is moved; fewer samples than rows; even classes.
MIXED, TALL, EVEN = (6, (2, 9, 1, 8)), (24, (3, 2)), (5, (5, 5))
EPS = float(np.finfo(np.float64).eps)
EPS32 = float(np.finfo(np.float32).eps)


def problem_of(p):
    return ml.MCR2(p.dim, p.sizes, p.epsilon, p.regularization)


def growth(p, Z):
    """What the Gram matrices' condition costs: 1 + the largest alpha_k ‖Z_k‖²."""
    return 1 + max(a * np.sum(block**2) for a, block in zip(p.alphas, p.blocks(Z), strict=True))


def curvature(p):
    return 9 / 8 * p.alpha + p.regularization


def low_rank_point(p, ranks, seed, rank=None):
    """Class blocks of given ranks in a common space of dimension `rank`, singular values about one in units of 1/√alpha."""
    random = np.random.default_rng(seed)
    U = np.linalg.qr(random.standard_normal((p.dim, p.dim)))[0][:, : rank or p.dim]
    blocks = [
        U @ random.standard_normal((U.shape[1], r)) @ random.standard_normal((r, width)) / width
        for r, width in zip(ranks, p.widths, strict=True)
    ]
    return np.concatenate(blocks, axis=1) / np.sqrt(p.alpha)


def error(p, Z, H, D):
    """Of H[D] against the dense matrix, for D of norm one."""
    return np.linalg.norm(np.ravel(H.mv(D)) - closed_form.hessian_matrix(p, Z) @ D.ravel())


@st.composite
def cases(draw, shape):
    p = draw(parameters(shapes=(shape,), fractions=(1e-3, 2)))
    D = np.random.default_rng(draw(seeds())).standard_normal(p.shape)
    return p, draw(points(p)), D / np.linalg.norm(D)


def check_form(shape, form):
    @given(cases(shape))
    def check(case):
        p, Z, D = case
        assert error(p, Z, problem_of(p).hessian(Z, form=form), D) <= 1e-14 * curvature(p) * growth(p, Z)

    check()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [MIXED, TALL])
def test_every_form_equals_the_dense_hessian(shape, form):
    check_form(shape, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ranks", [(0, 0), (0, 2), (3, 2), (1, 1)])
def test_forms_at_ends_of_the_ranks(form, ranks):
    """Z = 0, an empty class, full ranks and lines."""
    p = closed_form.Parameters(*TALL, 0.5, 0.1)
    Z = low_rank_point(p, ranks, 0)
    dense = np.asarray(problem_of(p).hessian(Z, form=form).as_matrix())
    assert np.abs(dense - closed_form.hessian_matrix(p, Z)).max() <= 1e-13 * curvature(p)


@pytest.mark.parametrize("kind", ["spheres", "balls", "unit columns"])
def test_constrained_problems_in_each_form(kind):
    problem = ml.ConstrainedMCR2(4, (5, 5), 0.5, kind)
    random = np.random.default_rng(0)
    held = set()
    for rank in (1, 2, 3, 4):
        Z = random.standard_normal((4, rank)) @ random.standard_normal((rank, 10))
        Z = np.array(problem.constraint.project(jnp.asarray(Z)))
        if kind == "balls":
            Z[:, :5] *= 0.5
        held.add(np.count_nonzero(problem.multipliers(Z)))
        D = random.standard_normal(Z.shape)
        wanted = problem.hessian_matrix(Z) @ D.ravel()
        bound = 1e-14 * problem.curvature_scale() * growth(problem.parameters, Z) * np.linalg.norm(D)
        for form in FORMS:
            assert np.linalg.norm(np.ravel(problem.hessian(Z, form=form).mv(D)) - wanted) <= bound
    assert kind != "balls" or 1 in held


# -- planted errors -----------------------------------------------------------------------------------------------------------

_FIELDS = {
    "by shape": ("inverse", "class_inverses", "regularization", "Z"),
    "mid-rank": ("scaled", "smoothed", "inner", "straight", "inverse", "whole_smoothed", "whole_inner", "right"),
    "low-rank": (
        "basis scaled smoothed inner straight lost whole_smoothed whole_inner mixing regularization right".split()  # noqa: SIM905
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_error_in_any_factor_is_seen(form):
    """One part in a million of any of them is far above the tolerance of the comparison with the dense matrix."""
    for shape in (MIXED, TALL):
        p = closed_form.Parameters(*shape, 0.5, 0.1)
        Z = low_rank_point(p, (2,) * p.num_classes, 1, rank=3)
        H = problem_of(p).hessian(Z, form=form)
        D = np.random.default_rng(2).standard_normal(p.shape)
        wanted = (closed_form.hessian_matrix(p, Z) @ D.ravel()).reshape(p.shape)
        bound = 1e-13 * curvature(p) * growth(p, Z) * np.linalg.norm(D)
        assert np.linalg.norm(H.mv(D) - wanted) <= bound
        for name in _FIELDS[form]:
            if name == "whole_inner" and form == "mid-rank" and shape is MIXED:
                continue  # the other of two ways, taken where the ranks add up to little

            def altered(H, name=name):
                return getattr(H.factors, name)

            wrong = eqx.tree_at(altered, H, jax.tree.map(lambda leaf: leaf * (1 + 1e-6), altered(H)))
            assert np.linalg.norm(wrong.mv(D) - wanted) > 10 * bound, name


@pytest.mark.parametrize("form", FORMS)
def test_a_flipped_sign_is_seen(form):
    p = closed_form.Parameters(*MIXED, 0.5, 0.1)
    Z = low_rank_point(p, (2,) * p.num_classes, 1, rank=3)
    H = problem_of(p).hessian(Z, form=form)
    D = np.random.default_rng(2).standard_normal(p.shape)
    right = np.asarray(H.mv(D))
    for name in _FIELDS[form]:
        if name in ("right", "basis", "Z") or (form, name) in (("mid-rank", "whole_inner"), ("low-rank", "whole_smoothed")):
            continue  # H is even in them; or the factor is not used at this shape

        def altered(H, name=name):
            return getattr(H.factors, name)

        wrong = eqx.tree_at(altered, H, jax.tree.map(lambda leaf: -leaf, altered(H)))
        assert np.linalg.norm(wrong.mv(D) - right) > 1e-3 * np.linalg.norm(right), name


# -- choice, flops ------------------------------------------------------------------------------------------------------------


def products_of(jaxpr, times=1):
    """Multiplications and additions of all matrix products in a jaxpr, a loop's body counted for every turn."""
    total = 0
    for equation in jaxpr.eqns:
        turns = times * equation.params["length"] if equation.primitive.name == "scan" else times
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
            total += turns * 2 * int(np.prod(out)) * int(np.prod([left[axis] for axis in contracted]))
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(value, "jaxpr", value)
            total += products_of(inner, turns) if hasattr(inner, "eqns") else 0
    return total


# d, sizes, ranks, r: few and many directions beside d (the two ways of the mid-rank form), m < d, and both kinds of class.
_COUNTED = [
    (32, (48, 48), (8, 8), 16),
    (32, (48, 48), (16, 16), 24),
    (64, (16, 16), (8, 8), 16),
    (32, (16, 16, 48, 48), (8, 8, 16, 16), 32),
]


@pytest.mark.parametrize(
    ("dim", "sizes", "ranks", "rank", "limit"), [(*case, 0) for case in _COUNTED] + [(*_COUNTED[-1], 2**30)]
)
def test_flops_are_those_of_the_program(dim, sizes, ranks, rank, limit, monkeypatch):
    monkeypatch.setattr(stacking, "_STACKED", limit)
    monkeypatch.setattr(forms, "_WHOLE", limit)
    for name in ("_by_shape", "_mid_rank", "_low_rank"):  # shapes are enough
        monkeypatch.setattr(module, name, getattr(module, name).eval_shape)
    p = closed_form.Parameters(dim, sizes, 0.5, 0.1)
    Z = low_rank_point(p, ranks, 0, rank)
    wanted = {
        "by shape": forms.flops(dim, sizes),
        "mid-rank": rank_forms.mid_rank_flops(dim, sizes, ranks),
        "low-rank": rank_forms.low_rank_flops(dim, sizes, rank, ranks),
    }
    for form in FORMS:
        H = problem_of(p).hessian(Z, form=form)
        jaxpr = jax.make_jaxpr(lambda H, D: H.product(D))(H, jax.ShapeDtypeStruct(p.shape, np.float64))
        assert products_of(jaxpr.jaxpr) == wanted[form], form


def test_the_cheapest_form_is_taken(monkeypatch):
    monkeypatch.setattr(module, "_WORTH_IT", 0.0)
    taken = set()
    for dim, sizes, ranks, rank in (
        (32, (48, 48), (1, 1), 2),
        (32, (48, 48), (8, 8), 16),
        (32, (48, 48), (16, 16), 32),
        (32, (48, 48), (32, 32), 32),
        (64, (8, 8), (1, 2), 3),
        (64, (8, 8), (8, 8), 16),
    ):
        p = closed_form.Parameters(dim, sizes, 0.5, 0.1)
        Z = low_rank_point(p, ranks, 0, rank)
        H = problem_of(p).hessian(Z)
        by_rank = rank_forms.mid_rank_flops(dim, sizes, ranks), rank_forms.low_rank_flops(dim, sizes, rank, ranks)
        assert H.flops == min(forms.flops(dim, sizes), *by_rank)
        taken.add(H.form)
    assert taken == {"low-rank", "mid-rank", "fused", "Gram side"}


def test_small_problems_are_not_asked_for_their_ranks(monkeypatch):
    monkeypatch.setattr(module, "factorize", None)
    assert ml.MCR2(3, (4, 4), 0.5, 0.1).hessian(np.zeros((3, 8))).form == "fused"


def test_flops_in_a_traced_operator():
    """The ranks are numbers there."""
    p = closed_form.Parameters(*TALL, 0.5, 0.1)
    for form in FORMS:
        H = problem_of(p).hessian(low_rank_point(p, (2, 1), 0), form=form)
        assert isinstance(H.flops, int)
        assert jax.jit(lambda H: H.flops)(H) == (H.flops if form == "by shape" else None)


@pytest.mark.parametrize("form", FORMS)
def test_factors_that_do_not_fit_are_refused(form, monkeypatch):
    monkeypatch.setattr(module, "_NOTICED", 0.0)
    p = closed_form.Parameters(*MIXED, 0.5, 0.1)
    Z = low_rank_point(p, (2, 2, 1, 2), 0)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(problem_of(p).hessian(Z, form=form)))
    asked = []
    monkeypatch.setattr(module, "require", lambda name, needed, text: asked.append(needed))
    problem_of(p).hessian(Z, form=form)
    assert held <= asked[0] <= 4 * held
    monkeypatch.undo()
    monkeypatch.setattr(module, "_NOTICED", 0.0)
    monkeypatch.setattr(memory, "available", lambda: 100)
    with pytest.raises(ml.InputError, match=r"Z: needs .* are available; the factors .* float32 .* fewer classes.*ShardedMCR2"):
        problem_of(p).hessian(Z, form=form)
    jax.eval_shape(lambda Z: problem_of(p).hessian(Z).mv(Z), jnp.asarray(Z))  # nothing is known of a traced point


# -- tracing ------------------------------------------------------------------------------------------------------------------


def test_a_traced_point_is_taken_by_its_shape(monkeypatch):
    monkeypatch.setattr(module, "_WORTH_IT", 0.0)
    problem = ml.MCR2(*MIXED, 0.5, 0.1)
    Z = np.zeros(problem.shape)
    taken = []
    jax.eval_shape(lambda Z: taken.append(problem.hessian(Z).form), jnp.asarray(Z))
    assert taken == ["fused and Gram side"]
    for form in ("mid-rank", "low-rank"):
        with pytest.raises(ml.InputError, match=f"form: found '{form}' at a traced point"):
            jax.eval_shape(lambda Z, form=form: problem.hessian(Z, form=form).mv(Z), jnp.asarray(Z))
        with pytest.raises(ml.InputError, match="traced point"):
            jax.eval_shape(lambda Z, form=form: ml.ConstrainedMCR2(*MIXED, 0.5).hessian(Z, form=form).mv(Z), jnp.asarray(Z))
    with pytest.raises(ml.InputError, match="form: found 'fused'; pass one of 'by shape', 'mid-rank', 'low-rank'"):
        problem.hessian(Z, form="fused")


@pytest.mark.parametrize("form", FORMS)
def test_numbers_are_traced(form):
    """One compilation for a sweep over lambda, epsilon, and points of other ranks."""
    p = closed_form.Parameters(*MIXED, 0.5, 0.1)
    Z = low_rank_point(p, (2, 3, 1, 2), 0)
    problem_of(p).hessian(Z, form=form).mv(Z)
    factoring = getattr(module, "_" + form.replace("-", "_").replace(" ", "_"))
    before = factoring._cache_size(), operators._mv._cache_size()
    for epsilon, regularization, ranks in ((0.3, 0.1, (2, 3, 1, 2)), (0.5, 0.2, (1, 1, 0, 4)), (2.0, 1e-3, (0, 0, 1, 1))):
        q = closed_form.Parameters(*MIXED, epsilon, regularization)
        Z = low_rank_point(q, ranks, 1)
        found = problem_of(q).hessian(Z, form=form).mv(Z)
        wanted = closed_form.hessian_matrix(q, Z) @ Z.ravel()
        assert np.linalg.norm(np.ravel(found) - wanted) <= 1e-13 * curvature(q) * growth(q, Z) * np.linalg.norm(Z)
    assert (factoring._cache_size(), operators._mv._cache_size()) == before


def test_numbers_may_be_tracers_at_a_known_point():
    p = closed_form.Parameters(*TALL, 0.5, 0.1)
    Z = low_rank_point(p, (2, 1), 0)

    def product(epsilon, regularization):
        return ml.MCR2(*TALL, epsilon, regularization).hessian(Z, form="low-rank").mv(Z)

    swept = jax.vmap(product)(jnp.array([0.5, 1.0]), jnp.array([0.1, 0.3]))
    for found, epsilon, regularization in zip(swept, (0.5, 1.0), (0.1, 0.3), strict=True):
        q = closed_form.Parameters(*TALL, epsilon, regularization)
        wanted = closed_form.hessian_matrix(q, Z) @ Z.ravel()
        assert np.linalg.norm(np.ravel(found) - wanted) <= 1e-12 * np.linalg.norm(wanted)


# -- precision ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_float32(form):
    """Within the bound that `RateHessian` states."""

    @given(cases(MIXED))
    def check(case):
        p, Z, D = case
        Z, D = Z.astype(np.float32), D.astype(np.float32)
        growing = growth(p, Z.astype(np.float64))
        H = problem_of(p).hessian(Z, form=form)
        assert H.dtype == np.float32
        if growing <= 0.1 / EPS32:
            off = error(p, Z.astype(np.float64), H, D)
            worst.append(off / (EPS32 * curvature(p) * growing))
            assert worst[-1] <= 10

    worst = []
    check()
    assert max(worst) > 0.01  # float32 indeed


@given(
    exponent=st.floats(-3, 3),
    size=st.floats(-8, 5),
    rank=st.integers(1, 6),
    seed=seeds(),
    fraction=st.sampled_from([1e-6, 0.5]),
)
def test_value_gradient_and_scale_at_any_scale(exponent, size, rank, seed, fraction):
    """Against singular values on the host, up to what forming alpha Z Zᵀ costs."""
    epsilon = 10**exponent
    problem = ml.MCR2(*MIXED, epsilon, fraction * MIXED[0] / (20 * epsilon**2))
    p = problem.parameters
    random = np.random.default_rng(seed)
    Z = random.standard_normal((p.dim, rank)) @ random.standard_normal((rank, sum(p.sizes)))
    Z *= 10**size / np.sqrt(p.alpha) / np.linalg.norm(Z)
    square = growth(p, Z)
    value, gradient, scale = problem.evaluate(Z)
    assert abs(float(problem.value(Z)) - value) <= 1e-14 * square + 1e-13 * abs(value)
    assert np.linalg.norm(problem.gradient(Z) - gradient) <= 1e-14 * scale * square
    assert abs(float(problem.gradient_scale(Z)) / scale - 1) <= 1e-14 * square**2


def badly_scaled(p, big, seed=0):
    """Classes with singular values from `big` to less than one."""
    random = np.random.default_rng(seed)
    blocks = []
    for width in p.widths:
        U, V = (np.linalg.qr(random.standard_normal((rows, min(4, width))))[0] for rows in (p.dim, width))
        blocks.append((U * [big, big**0.5, 1, 0.3][: U.shape[1]]) @ V.T)
    return np.concatenate(blocks, axis=1)


@pytest.mark.parametrize("shape", [(6, (8, 8, 8)), (16, (8, 8, 8)), (8, (8, 8)), (8, (8, 3))])
def test_products_at_a_bad_scale(shape):
    """What is said of rounding holds in every form, and the one that is taken keeps its digits: where all directions are
    spanned, and where the whole is as badly scaled as its classes."""
    p = closed_form.Parameters(*shape, 0.5, 0.1)
    D = np.random.default_rng(1).standard_normal(p.shape)
    D /= np.linalg.norm(D)
    for big in (1.0, 1e2, 1e4, 1e6, 1e8, 1e10):
        Z = badly_scaled(p, big)
        for form in (*FORMS, None):
            H = problem_of(p).hessian(Z, form=form)
            wrong, said = error(p, Z, H, D), float(H.rounding)
            assert wrong <= said or said > p.alpha
        assert (H.form == "low-rank") == (growth(p, Z) - 1 > 1e6)
        if H.form == "low-rank":
            assert wrong <= 10 * EPS * curvature(p) * np.sqrt(growth(p, Z))
            assert said <= 1e3 * EPS * curvature(p) * np.sqrt(growth(p, Z))
    assert np.isnan(problem_of(p).hessian(Z, form="by shape").mv(D)).any()
    single = problem_of(p).hessian(Z.astype(np.float32), form="low-rank")
    assert float(single.rounding) > 1e3 * p.alpha


def test_a_bad_scale_is_not_asked_for_where_it_is_not_known():
    p = closed_form.Parameters(6, (8, 8, 8), 0.5, 0.1)
    Z = jnp.asarray(badly_scaled(p, 1e6))
    forms_taken = []
    jax.eval_shape(lambda Z: forms_taken.append(problem_of(p).hessian(Z).form), Z)
    jax.vmap(lambda epsilon: forms_taken.append(ml.MCR2(6, (8, 8, 8), epsilon, 0.1).hessian(Z).form))(jnp.array([0.5, 1.0]))
    assert forms_taken == ["fused", "fused"]
    H = problem_of(p).hessian(Z)
    for part in (H.restrict(columns=[0, 1]), H.restrict(jnp.eye(6 * 24)[:2].reshape(2, 6, 24))):
        assert (part.rounding, part.magnitude) == (H.rounding, H.magnitude)
        assert float(part.rounding) > 0


# Last in this file: the limits are not part of what a compiled program is found by, so that what was compiled is dropped.
@pytest.mark.parametrize("whole", [0, 2**14])
@pytest.mark.parametrize(("shape", "form"), [*((MIXED, form) for form in FORMS), (EVEN, "by shape"), (TALL, "by shape")])
def test_every_form_in_a_loop_over_the_classes(shape, form, whole, monkeypatch):
    monkeypatch.setattr(stacking, "_STACKED", 0)
    monkeypatch.setattr(forms, "_WHOLE", whole)
    jax.clear_caches()
    check_form(shape, form)


# Strips that overlap, blocks narrower than their windows (in the last case some of them narrower than high), and both kinds.
@pytest.mark.parametrize(
    "shape", [(3, (10, 10)), (3, (10, 9, 8, 7, 11)), (4, (31, 30, 29, 28)), (6, (2, 17, 1, 8)), (20, (21, 20, 19, 22))]
)
@pytest.mark.parametrize("summed", [0, 5])
def test_strips_of_columns(shape, summed, monkeypatch):
    monkeypatch.setattr(forms, "_WHOLE", 0)
    monkeypatch.setattr(forms, "_SUMMED", summed)
    monkeypatch.setattr(stacking, "_FEW", 0)  # few buckets, with padding
    jax.clear_caches()
    p = closed_form.Parameters(*shape, 0.5, 0.1)
    random = np.random.default_rng(0)
    Z, Ds = random.standard_normal(p.shape) / np.sqrt(p.dim), random.standard_normal((3, *p.shape))
    H = problem_of(p).hessian(Z, form="by shape")
    wanted = (closed_form.hessian_matrix(p, Z) @ Ds.reshape(3, -1).T).T.reshape(Ds.shape)
    bound = 1e-14 * curvature(p) * growth(p, Z) * np.linalg.norm(Ds)
    assert np.linalg.norm(H.mm(Ds) - wanted) <= bound
    assert np.linalg.norm(H.mv(Ds[0]) - wanted[0]) <= bound
