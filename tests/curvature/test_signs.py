"""Counts by sign: brackets contain the truth, close where they must, and say so where they cannot."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import memory
from mcr2_landscape.curvature import sign_bracket, sweep
from mcr2_landscape.testing import seeds

N = 72


@st.composite
def planted(draw):
    """Clusters of up to fifty equal eigenvalues at both ends and inside, zeros among them, filled up with single ones."""
    values: list[float] = []
    for value in draw(st.lists(st.sampled_from([-2.0, -1.0, -0.1, 0.0, 0.05, 1.0, 1.5]), max_size=4, unique=True)):
        values += [value] * draw(st.integers(1, 50))
    rest = np.random.default_rng(draw(seeds())).uniform(-1, draw(st.sampled_from([-0.05, 1.0])), max(0, N - len(values)))
    return np.concatenate([values, np.where(np.abs(rest) < 1e-3, 1e-3, rest)])[:N]


def orbit_basis(problem, Z):
    """Orthonormal directions of the symmetry orbit's tangent space at Z, (q, d, m)."""
    U, s, _ = np.linalg.svd(problem.orbit_tangent(Z), full_matrices=False)
    return U[:, s > 1e-9 * s[0]].T.reshape(-1, *problem.shape)


def check_bracket(spectrum, found):
    """The numbers lie in their brackets."""
    t = found.tolerance
    truth = ((spectrum > t).sum(), (np.abs(spectrum) <= t).sum(), (spectrum < -t).sum())
    for name, number in zip(("positive", "zero", "negative"), truth, strict=True):
        low, high = getattr(found, name)
        assert low <= number <= high, f"{name}: {number} is not in [{low}, {high}]"
    return truth


@settings(max_examples=8)
@given(spectrum=planted(), seed=seeds())
def test_clusters_of_up_to_fifty_are_counted(matrix, rotated, spectrum, seed):
    found = sign_bracket(matrix(rotated(spectrum, seed)), key=seed)
    check_bracket(spectrum, found)
    assert found.decided
    assert found.dimension == N
    assert found.reason == "all numbers are decided"


@settings(max_examples=10)
@given(spectrum=planted(), seed=seeds(), budget=st.integers(2, 120))
def test_with_few_products_nothing_false_is_said(matrix, rotated, spectrum, seed, budget):
    found = sign_bracket(matrix(rotated(spectrum, seed)), max_products=budget, key=seed)
    check_bracket(spectrum, found)
    assert found.num_products <= budget
    assert found.decided == (found.reason == "all numbers are decided")


@pytest.mark.parametrize("multiplicity", [1, 2, 8, 9, 50])
@pytest.mark.parametrize("value", [1.0, 1e-4])
def test_positive_ones_alone(matrix, rotated, multiplicity, value):
    spectrum = np.array([value] * multiplicity + list(np.linspace(-1, -0.2, N - multiplicity)))
    found = sign_bracket(matrix(rotated(spectrum)), which="positive")
    assert found.positive == (multiplicity, multiplicity)
    mirrored = sign_bracket(matrix(rotated(-spectrum)), which="negative")
    assert mirrored.negative == (multiplicity, multiplicity)
    assert (found.failure, mirrored.failure) == (1e-12, 1e-12)


@pytest.mark.parametrize(
    "spectrum", [[2.0], [-1.0], [0.0], [1.0, -1.0], np.ones(N), -np.ones(N), np.zeros(N), [1.0] * 36 + [-1.0] * 36], ids=str
)
def test_small_and_flat_ones(matrix, rotated, spectrum):
    spectrum = np.asarray(spectrum)
    found = sign_bracket(matrix(rotated(spectrum)))
    check_bracket(spectrum, found)
    assert found.decided
    assert found.num_products <= 90


@pytest.mark.parametrize(
    ("dim", "sizes", "fraction"),
    [(6, (4, 5, 6), 1e-3), (6, (4, 5, 6), 0.2), (6, (4, 5, 6), 0.9)],
)
def test_a_maximizer_is_decided_in_forty_products(dim, sizes, fraction):
    limit = ml.MCR2(dim, sizes, 0.5, 1.0).regularization_limit
    problem = ml.MCR2(dim, sizes, 0.5, fraction * limit)
    Z = problem.global_maximum().family.point(key=0)
    orbit = orbit_basis(problem, Z)
    found = sign_bracket(problem.hessian(jnp.asarray(Z)), deflate=orbit)
    assert found.num_products <= 40
    assert (found.positive, found.zero) == ((0, 0), (0, 0))
    assert found.negative == (Z.size - len(orbit),) * 2
    # Not deflated, the zeros of the orbit are in the way: there are that many.
    plain = sign_bracket(problem.hessian(jnp.asarray(Z)), max_products=40)
    assert plain.positive[0] == 0
    assert plain.zero[1] >= len(orbit)
    assert not plain.decided
    # Deflating less than the orbit leaves a zero, and that is seen.
    less = sign_bracket(problem.hessian(jnp.asarray(Z)), deflate=orbit[1:])
    assert less.zero == (1, 1)


def test_normals_do_not_count(matrix, rotated):
    A = rotated(np.linspace(-1, -0.1, N))
    normals = np.linalg.qr(np.random.default_rng(0).standard_normal((N, 2)))[0]
    found = sign_bracket(matrix(A, normals))
    assert (found.positive, found.zero, found.negative) == ((0, 0), (0, 0), (N - 2, N - 2))
    assert found.dimension == N - 2


def test_a_dimension_that_is_not_found_can_be_said(matrix, rotated):
    spectrum = np.concatenate([np.full(N - 64, -1.0), np.zeros(64)])
    A = rotated(spectrum)
    normals = np.linalg.eigh(A)[1][:, -64:]
    unknown = sign_bracket(matrix(A, normals), max_products=4)
    assert unknown.dimension is None
    assert (unknown.positive, unknown.zero) == ((0, 0), (0, 0))
    assert unknown.negative == (1, N)
    assert not unknown.decided
    assert "about 72 eigenvalues are negative" in unknown.reason
    said = sign_bracket(matrix(A, normals), dimension=N - 64)
    assert (said.negative, said.decided) == ((N - 64, N - 64), True)


def test_a_planted_false_bound_is_seen(matrix, rotated, monkeypatch):
    """The check sees what the bound is there to prevent."""
    spectrum = np.array([1.0] * 3 + [-1.0] * (N - 3))
    monkeypatch.setattr(sweep, "nothing_beyond", lambda *arguments: True)
    with pytest.raises(AssertionError, match="positive: 3 is not in"):
        check_bracket(spectrum, sign_bracket(matrix(rotated(spectrum)), which="positive", max_products=2))


def test_eigenvalues_at_the_tolerance_stay_open(matrix, rotated):
    spectrum = np.concatenate([[1e-3], np.linspace(-1, -0.2, N - 1)])
    found = sign_bracket(matrix(rotated(spectrum)), tolerance=1e-3)
    assert found.positive == (0, 1)
    assert found.zero == (0, 1)
    assert not found.decided
    assert "too near" in found.reason or "spent" in found.reason


def test_float32_decides_what_it_resolves_and_no_more(matrix, rotated):
    spectrum = np.concatenate([np.full(3, 0.5), np.linspace(-1, -0.2, N - 3)])
    found = sign_bracket(matrix(rotated(spectrum), dtype=np.float32))
    check_bracket(spectrum, found)
    assert found.decided
    for tolerance in (1e-6, 1e-9):
        with pytest.raises(ml.InputError, match=r"tolerance: found .*, but float32 decides no sign below .* in float64"):
            sign_bracket(matrix(rotated(spectrum), dtype=np.float32), tolerance=tolerance)
    with pytest.raises(ml.InputError, match="float64 decides no sign below"):
        sign_bracket(matrix(rotated(spectrum)), tolerance=1e-15)


def test_the_same_key_gives_the_same_answer(matrix, rotated):
    H = matrix(rotated(np.random.default_rng(0).uniform(-1, 1, N)))
    assert sign_bracket(H, key=5) == sign_bracket(H, key=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"which": "zero"}, "which: found 'zero'"),
        ({"failure": 2.0}, "failure: found 2; pass a probability"),
        ({"dimension": N + 1}, f"dimension: found {N + 1}, more than the {N} unknowns"),
        ({"steps": 1}, "steps: found 1"),
    ],
)
def test_bad_arguments_are_named(matrix, options, message):
    with pytest.raises(ml.InputError, match=message):
        sign_bracket(matrix(np.eye(N)), **options)


def test_memory_is_foreseen(matrix, rotated, monkeypatch):
    spectrum = np.array([1.0] * 20 + [-1.0] * (N - 20))
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    with pytest.raises(ml.InputError, match=r"steps: needs .*; a run keeps up to 136 rows of 72 numbers"):
        sign_bracket(matrix(rotated(spectrum)))
    monkeypatch.undo()
    # memory that runs out on the way ends the count, and what is known so far is kept
    left = iter([10**9] * 2)
    monkeypatch.setattr(sweep, "available", lambda: next(left, 0))
    found = sign_bracket(matrix(rotated(spectrum)), which="positive")
    check_bracket(spectrum, found)
    assert not found.decided
    assert "does not fit into memory" in found.reason
