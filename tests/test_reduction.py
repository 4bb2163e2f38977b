"""The exact reduction against dense matrices, with its scale laws, its memory, and the error that `spectrum` says."""

import dataclasses
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import closed_form, operators
from mcr2_landscape.bench.points import make_problem
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.curvature import exact
from mcr2_landscape.factorization import factorize
from mcr2_landscape.reduction import Reduction, clear_basis, clear_rank, unit_generators
from mcr2_landscape.testing import parameters, points, seeds


def problem_of(p):
    return ml.MCR2(p.dim, p.sizes, p.epsilon, p.regularization)


def reduced(p, Z):
    found = factorize(Z, p.widths)
    assert found is not None
    return Reduction(p, found)


def eigenvalues(reduction):
    return np.sort(np.concatenate([np.repeat(reduction.eigenvalues(part), part.multiplicity) for part in reduction.parts]))


def curvature(p):
    return 9 / 8 * p.alpha + p.regularization


def tolerance(p, Z):
    """Rounding of the factors, through the bound on how fast H changes."""
    return (1e-13 + 1e-14 * np.sqrt(p.alpha * p.ratios.max()) * np.linalg.norm(Z)) * curvature(p)


@st.composite
def cases(draw):
    p = draw(parameters(max_classes=3))
    return p, draw(points(p)), draw(seeds())


@given(cases())
def test_the_parts_have_the_eigenvalues_of_the_dense_hessian(case):
    p, Z, _ = case
    reduction = reduced(p, Z)
    assert sum(part.dimension for part in reduction.parts) == Z.size
    dense = np.linalg.eigvalsh(closed_form.hessian_matrix(p, Z))
    assert np.abs(eigenvalues(reduction) - dense).max() <= tolerance(p, Z)
    without = Reduction(p, reduction.factors, regularized=False)
    assert np.abs(eigenvalues(without) - p.regularization - dense).max() <= tolerance(p, Z)


@pytest.mark.parametrize(
    ("ranks", "rank"), [((0, 0), 0), ((3, 4), 4), ((2, 0), 2), ((0, 4), 4), ((2, 2), 2), ((3, 1), 4), ((1, 1), 1)]
)
def test_the_ends_of_the_ranks(ranks, rank):
    """Z = 0, r = d, r_k = m_k, an empty class, one space of both."""
    p, random = Parameters(4, (3, 6), 0.7, 0.1), np.random.default_rng(0)
    U = np.linalg.qr(random.standard_normal((4, 4)))[0][:, :rank]
    blocks = [
        U @ random.standard_normal((rank, r)) @ random.standard_normal((r, m)) for r, m in zip(ranks, p.sizes, strict=True)
    ]
    Z = np.concatenate(blocks, axis=1)
    reduction = reduced(p, Z)
    assert (reduction.ranks, reduction.rank) == (ranks, rank)
    dense = np.linalg.eigvalsh(closed_form.hessian_matrix(p, Z))
    assert np.abs(eigenvalues(reduction) - dense).max() <= tolerance(p, Z)
    names = [part.name for part in reduction.parts]
    assert len(names) == len(set(names))
    assert all(part.size and part.multiplicity for part in reduction.parts)


@given(cases())
def test_eigenvectors_of_the_parts_are_those_of_the_hessian(case):
    p, Z, _ = case
    reduction = reduced(p, Z)
    H = closed_form.hessian_matrix(p, Z)
    for part in reduction.parts:
        values, vectors = np.linalg.eigh(reduction.matrix(part))
        for value, vector in zip(values[[0, -1]], vectors.T[[0, -1]], strict=True):
            D = reduction.direction(part, vector)
            assert np.linalg.norm(D) == pytest.approx(1, abs=1e-12)
            assert np.linalg.norm(H @ D.ravel() - value * D.ravel()) <= 10 * tolerance(p, Z)


@given(cases())
def test_the_orbit_has_the_dimension_that_its_tangent_has(case):
    p, Z, _ = case
    values = np.linalg.svd(closed_form.orbit_tangent(p, Z), compute_uv=False)
    largest = values.max(initial=0)
    clear = int((values > 1e-4 * largest).sum()) if largest else 0
    unclear = int(((values > 1e-12 * largest) & (values <= 1e-4 * largest)).sum()) if largest else 0
    assert clear <= reduced(p, Z).orbit_dimension() <= clear + unclear


@pytest.mark.parametrize(("apart", "length", "rank"), [(1e-5, 1e-8, 3), (1e-7, 1e-8, 2), (1e-5, 1e-10, 2), (0.0, 0.0, 1)])
def test_the_rank_of_generators_counts_what_is_clear(apart, length, rank):
    """Two generators that are nearly one, and a short one: how far apart, how long they must be to count."""
    generators = np.random.default_rng(0).permutation(
        np.array([[1.0, 1.0, 0.0, 0.0], [0.0, apart, 0.0, 0.0], [0.0, 0.0, length, 0.0], [0.0, 0.0, 0.0, 0.0]])
    )
    unit = unit_generators(generators)
    basis = clear_basis(unit)
    assert clear_rank(unit) == clear_rank(unit, blur=1e-7) == basis.shape[1] == rank
    assert np.abs(basis.T @ basis - np.eye(rank)).max() <= 1e-12
    assert clear_rank(unit, blur=1e-4) == rank - (apart == 1e-5)
    tall = np.concatenate([generators, np.zeros((3, 4))])  # the other Gram matrix
    assert clear_rank(unit_generators(tall)) == clear_rank(unit_generators(generators[:, :3])) == rank
    assert clear_rank(unit_generators(0 * generators)) == clear_basis(unit_generators(0 * generators)).shape[1] == 0


def test_orbit_dimension_at_a_critical_point():
    problem = ml.MCR2(6, (4, 4, 5), 0.5, 0.05)
    for large, small in (((2, 1, 2), (0, 0, 0)), ((1, 0, 2), (1, 2, 0)), ((0, 0, 0), (0, 0, 0))):
        family = problem.orthogonal_family(large, small)
        assert problem.reduction(family.point(key=1)).orbit_dimension() == family.orbit_dimension


@given(cases(), st.sampled_from([1e-3, 0.5, 1e3]))
def test_scale_laws(case, c):
    """Z → c Z, eps → c eps, lambda → lambda/c² divides H by c²; exactly so for powers of two."""
    p, Z, _ = case
    q = Parameters(p.dim, p.sizes, c * p.epsilon, p.regularization / c**2)
    assert np.abs(c**2 * eigenvalues(reduced(q, c * Z)) - eigenvalues(reduced(p, Z))).max() <= tolerance(p, Z)


@pytest.mark.parametrize("name", ["_outside", "_core", "_class_resolvent"])
def test_a_planted_error_is_caught(name, monkeypatch):
    p = Parameters(5, (3, 4), 0.5, 0.1)
    random = np.random.default_rng(0)
    Z = np.concatenate([random.standard_normal((5, 2)) @ random.standard_normal((2, m)) for m in p.sizes], axis=1)
    dense = np.linalg.eigvalsh(closed_form.hessian_matrix(p, Z))
    right = getattr(Reduction, name)
    monkeypatch.setattr(Reduction, name, lambda self, *arguments: right(self, *arguments) * (1 + 1e-6))
    assert np.abs(eigenvalues(reduced(p, Z)) - dense).max() > 1e3 * tolerance(p, Z)


def test_a_multiplicity_that_is_wrong_is_caught():
    p, random = Parameters(5, (3, 5), 0.5, 0.1), np.random.default_rng(0)
    Z = np.concatenate([random.standard_normal((5, 2)) @ random.standard_normal((2, m)) for m in p.sizes], axis=1)
    reduction = reduced(p, Z)
    first, second, *rest = reduction.parts
    swapped = ((first, second.multiplicity), (second, first.multiplicity))
    wrong = [dataclasses.replace(part, multiplicity=other) for part, other in swapped]
    assert first.size == second.size
    dense = np.linalg.eigvalsh(closed_form.hessian_matrix(p, Z))
    found = np.sort(np.concatenate([np.repeat(reduction.eigenvalues(part), part.multiplicity) for part in (*wrong, *rest)]))
    assert np.abs(found - dense).max() > 1e3 * tolerance(p, Z)


# -- spectrum -----------------------------------------------------------------------------------------------------------------


def all_of(found):
    return np.repeat(found.eigenvalues, found.multiplicities)


@given(seeds(), st.floats(-6, -1), st.booleans())
def test_what_truncation_changes_is_within_the_error(seed, exponent, given_here):
    """Noisy points of low rank: asked for, or taken because the core would be too large."""
    problem = ml.MCR2(8, (7, 12), 0.6, 0.1)
    random = np.random.default_rng(seed)
    low = np.concatenate([random.standard_normal((8, 2)) @ random.standard_normal((2, m)) for m in problem.sizes], axis=1)
    noise = random.standard_normal(low.shape)
    Z = low + 10**exponent * noise / np.linalg.norm(noise)
    dense = np.linalg.eigvalsh(problem.hessian_matrix(Z))
    if given_here:
        found = ml.spectrum(problem, Z, truncation=2 * 10**exponent)
    else:
        try:
            found = ml.spectrum(problem, Z, dense_limit=16)
        except ml.InputError:  # it would leave no sign
            assert exponent > -4
            return
    assert found.ranks == (2, 2)
    assert 0 < found.truncation <= found.error
    assert found.truncation <= 2 * problem.hessian_lipschitz() * 10**exponent
    assert np.abs(all_of(found) - dense).max() <= found.error


def exact_eigenvalues(p, Z):
    """In forty digits, from Z's entries as they are."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(40):
        d, m = Z.shape
        H, alpha = mp.zeros(d * m), mp.mpf(p.dim) / (p.num_samples * mp.mpf(p.epsilon) ** 2)

        def add(first, count, scale, sign):
            W = mp.matrix(Z[:, first : first + count].tolist())
            A, M = mp.inverse(mp.eye(d) + scale * W * W.T), mp.inverse(mp.eye(count) + scale * W.T * W)
            P = A * W
            for i, j, k, q in np.ndindex(d, count, d, count):
                H[i * m + first + j, k * m + first + q] += sign * alpha * (A[i, k] * M[j, q] - scale * P[i, q] * P[k, j])

        add(0, m, alpha, 1)
        for size, first in zip(p.sizes, np.cumsum([0, *p.sizes[:-1]]).tolist(), strict=True):
            add(first, size, mp.mpf(p.dim) / (size * mp.mpf(p.epsilon) ** 2), -1)
        for i in range(d * m):
            H[i, i] -= mp.mpf(p.regularization)
        return list(mp.eigsy(H, eigvals_only=True))


@pytest.mark.parametrize("seed", range(8))
def test_the_error_holds_at_badly_scaled_points(seed):
    """Singular values that differ by up to 1e6, some of them about the rounding of the largest: the error of the factors is
    relative to the largest, and turns the directions of the small ones."""
    problem = ml.MCR2(2, (2, 3), 1.0, 0.01)
    random = np.random.default_rng(seed)
    blocks = []
    for width in problem.sizes:
        s = np.array([10.0 ** random.choice([0, 2, 4, 6]), 10.0 ** random.uniform(-1, 0)])
        if seed % 2:
            s[1] = s[0] * 10.0 ** random.uniform(-16, -14)
        left, right = (np.linalg.qr(random.standard_normal((n, 2)))[0] for n in (2, width))
        blocks.append((left * s) @ right.T)
    Z = np.concatenate(blocks, axis=1)
    found = ml.spectrum(problem, Z)
    exactly = exact_eigenvalues(problem.parameters, Z)
    assert max(abs(float(a - float(b))) for a, b in zip(exactly, all_of(found), strict=True)) <= found.error


@pytest.mark.parametrize(
    ("large", "small"), [((2, 1, 2), (0, 0, 0)), ((1, 0, 2), (1, 2, 0)), ((0, 0, 0), (0, 0, 0)), ((0, 3, 0), (0, 0, 1))]
)
def test_closed_form_and_dense_core_agree_at_critical_points(large, small):
    problem = ml.MCR2(6, (4, 4, 5), 0.5, 0.05)
    Z = problem.orthogonal_family(large, small).point(key=0)
    closed = ml.spectrum(problem, Z)
    assert closed.regime == "closed form"
    dense = exact.dense_core_spectrum(problem, problem.reduction(Z), 0.0)
    assert dense.regime == "dense core"
    assert closed.dimension == dense.dimension == Z.size
    assert np.abs(all_of(closed) - all_of(dense)).max() <= closed.error + dense.error
    assert closed.error + dense.error <= 1e-10 * problem.curvature_scale()


# -- memory -------------------------------------------------------------------------------------------------------------------


def traced(function):
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def large_point(problem, rank, seed=0):
    random = np.random.default_rng(seed)
    U = random.standard_normal((problem.dim, rank)) / np.sqrt(problem.dim)
    return U @ random.standard_normal((rank, sum(problem.sizes)))


def test_a_large_spectrum_needs_a_few_copies_of_the_point():
    problem, random = ml.MCR2(128, (1024,) * 8, 0.5, 0.1), np.random.default_rng(0)
    Z = np.concatenate([random.standard_normal((128, 2)) @ random.standard_normal((2, 1024)) for _ in range(8)], axis=1)
    found, peak = traced(lambda: ml.spectrum(problem, Z))
    assert (found.rank, found.dimension) == (16, Z.size)
    assert peak <= 2.5 * Z.nbytes


def test_a_core_is_not_copied():
    problem = ml.MCR2(32, (64, 64), 0.5, 0.1)
    reduction = problem.reduction(large_point(problem, 12))
    core = reduction.parts[-1]
    assert core.size == 12 * 24
    _, peak = traced(lambda: reduction.eigenvalues(core))
    assert peak <= 1.4 * 8 * core.size**2


@pytest.mark.parametrize(("form", "copies"), [("by shape", 1.9), ("mid-rank", 3), ("low-rank", 3)])
def test_a_product_needs_a_few_copies_of_the_direction(form, copies):
    """Its result among them, beside the direction and the factors."""
    problem = ml.MCR2(64, (512, 512, 500, 17), 0.5, 0.1)
    H = problem.hessian(large_point(problem, 8), form=form)
    used = operators._mv.lower(H, jax.ShapeDtypeStruct(H.shape, jnp.float64)).compile().memory_analysis()
    if used is None:
        pytest.skip("this backend does not say what a program needs")
    assert used.temp_size_in_bytes + used.output_size_in_bytes <= copies * 8 * H.size


@pytest.mark.parametrize(
    ("dim", "samples", "classes", "copies"),
    [(64, 512, 4, 4.4), (256, 4096, 8, 3.95), (512, 16384, 10, 3.65), (256, 4096, 2, 4)],
)
def test_a_fused_product_needs_four_copies_of_the_point_in_all(dim, samples, classes, copies):
    """Z, the other factors, the direction, the result and the work space. Shapes are enough."""
    if jax.default_backend() != "cpu":
        pytest.skip("an accelerator takes the classes whole")
    problem = make_problem(dim, samples, classes)
    Z = jax.ShapeDtypeStruct(problem.shape, jnp.float64)
    H = jax.eval_shape(lambda Z: problem.hessian(Z, form="by shape"), Z)
    used = operators._mv.lower(H, Z).compile().memory_analysis()
    if used is None:
        pytest.skip("this backend does not say what a program needs")
    needed = used.argument_size_in_bytes + used.output_size_in_bytes + used.temp_size_in_bytes
    size = 8 * dim * samples
    assert needed <= copies * size
    assert needed - size <= 4 * size  # all but the direction, which is the caller's


def test_wide_classes_on_one_line():
    """Their directions agree up to the rounding of wide blocks, which is no second direction."""
    p = Parameters(3, (2000, 3000), 0.5, 0.1)
    reduction = reduced(p, np.random.default_rng(0).standard_normal((3, 1)) @ np.ones((1, 5000)))
    assert [(part.name, part.size, part.multiplicity) for part in reduction.parts] == [
        ("class 1", 1, 1999),
        ("class 2", 1, 2999),
        ("outside", 2, 2),
        ("constant", 1, 2 * 4998),
        ("core", 2, 1),
    ]
    assert reduction.orbit_dimension() == 2 + 1999 + 2999
