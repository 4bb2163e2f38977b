"""Eigenpairs by block Lanczos, against dense eigenvalues with planted clusters."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import memory
from mcr2_landscape.curvature import eigenpairs, space
from mcr2_landscape.curvature.krylov import Krylov, Meter
from mcr2_landscape.curvature.space import make_space
from mcr2_landscape.testing import seeds, spectra

N = 24


def filled(values, n=N):
    """The values, repeated in turn until there are n."""
    return np.sort(np.resize(values, n))


def check_pairs(A, pairs):
    """Every pair is one to within its residual, and the vectors are orthonormal."""
    V = pairs.vectors.reshape(len(pairs.values), -1)
    truth = np.linalg.eigvalsh(A)
    errors = np.linalg.norm(A @ V.T - V.T * pairs.values, axis=0)
    assert (errors <= pairs.residuals).all(), "a residual is too small"
    assert (np.abs(truth[:, None] - pairs.values).min(axis=0) <= pairs.residuals).all(), "no eigenvalue within the residual"
    assert np.abs(V @ V.T - np.eye(len(V))).max(initial=0) <= 1e-10, "vectors are not orthonormal"


@settings(max_examples=15)
@given(values=spectra(max_size=8), seed=seeds(), which=st.sampled_from(["largest", "smallest", "both"]))
def test_extreme_pairs_equal_the_dense_ones(matrix, rotated, values, seed, which):
    spectrum = filled(values)
    pairs = eigenpairs(matrix(rotated(spectrum, seed)), which=which, num_pairs=4, key=seed)
    expected = {"largest": spectrum[::-1][:4], "smallest": spectrum[:4], "both": [*spectrum[::-1][:4], *spectrum[:4]]}[which]
    check_pairs(rotated(spectrum, seed), pairs)
    assert pairs.converged.all()
    np.testing.assert_allclose(pairs.values, expected, atol=1e-10 * max(1, np.abs(spectrum).max()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda p: {"residuals": p.residuals / 1e6}, "a residual is too small"),
        (lambda p: {"values": p.values + 2e-5}, "a residual is too small"),
        (lambda p: {"vectors": p.vectors[[0, 0]], "values": p.values[[0, 0]], "residuals": p.residuals[[0, 0]]}, "orthonormal"),
    ],
)
def test_planted_wrong_pairs_are_seen(matrix, rotated, changes, message):
    A = rotated(np.linspace(-1, 1, N))
    pairs = eigenpairs(matrix(A), num_pairs=2, rtol=1e-6, max_products=14)
    check_pairs(A, pairs)
    with pytest.raises(AssertionError, match=message):
        check_pairs(A, dataclasses.replace(pairs, **changes(pairs)))


@pytest.mark.parametrize("which", ["largest", "smallest", "both"])
def test_restarts_keep_converging(matrix, rotated, which):
    A = rotated(np.linspace(-1, 1, 60) ** 3)
    pairs = eigenpairs(matrix(A), which=which, num_pairs=2, block_size=2, basis_size=14, max_products=600)
    check_pairs(A, pairs)
    assert pairs.converged.all()
    assert pairs.num_products > 28  # twice what a basis holds
    values = np.linalg.eigvalsh(A)
    expected = {"largest": values[::-1][:2], "smallest": values[:2], "both": [*values[::-1][:2], *values[:2]]}[which]
    np.testing.assert_allclose(pairs.values, expected, atol=1e-10)
    assert "within 1.0e-08" in pairs.reason


@pytest.mark.parametrize("spectrum", [[3.0], [2.0, -1.0], np.full(N, 2.5), np.zeros(N)], ids=["one", "two", "identity", "zero"])
def test_small_and_flat_ones(matrix, rotated, spectrum):
    A = rotated(spectrum)
    for which in ("largest", "smallest", "both"):
        pairs = eigenpairs(matrix(A), which=which, num_pairs=5, block_size=8)
        check_pairs(A, pairs)
        assert pairs.converged.all()
        assert len(pairs.values) == min(len(spectrum), 10 if which == "both" else 5)
    assert "whole subspace" in pairs.reason or len(spectrum) == N


@settings(max_examples=8)
@given(values=spectra(), seed=seeds(), refill=st.booleans())
def test_the_defining_identity(matrix, rotated, values, seed, refill):
    """A Q_a = Q_a T + X C + Q_l K with orthonormal rows, clusters or not, through a lock and a restart."""
    A = rotated(filled(values), seed)
    random = np.random.default_rng(seed)
    here = make_space(matrix(A), None, random)
    meter = Meter(1000)
    first = Krylov(here, random, meter, block=4, refill=True)
    first.step()
    first.step()
    locked = first.lock(first.ritz()[1][:, -1:])
    held, scale = np.asarray(locked.frame.array()), np.abs(values).max()
    run = Krylov(here, random, meter, block=4, locked=locked, refill=refill)
    for step in range(3):
        if not run.ended:
            run.step()
        if step == 1:
            run.restart(run.ritz()[1][:, -3:])
        rows = np.asarray(run.frame.array())
        active = rows[locked.count :]
        every = np.concatenate([rows, np.asarray(run.pending)[: run.rows]])
        assert np.abs(every @ every.T - np.eye(len(every))).max() <= 1e-12
        residue = active @ A - run.T.T @ active - run.C.T @ np.asarray(run.pending)[: run.rows] - run.K.T @ held
        assert np.abs(residue).max() <= 1e-12 * scale
        np.testing.assert_allclose(run.T, active @ A @ active.T, atol=1e-12 * scale + 1e-300)
    assert np.linalg.norm(held @ A - locked.T @ held) <= locked.outside[0] + 1e-12 * scale


def test_an_early_stop_says_so(matrix, rotated):
    A = rotated(np.linspace(-1, 1, N))
    pairs = eigenpairs(matrix(A), max_products=6)
    check_pairs(A, pairs)
    assert not pairs.converged.any()
    assert pairs.num_products <= 6
    assert "6 products allowed were spent" in pairs.reason
    assert pairs.values[0] <= 1


def test_the_same_key_gives_the_same_bits(matrix, rotated):
    H = matrix(rotated(np.linspace(-1, 1, N)))
    one, two, other = (eigenpairs(H, num_pairs=2, key=key) for key in (jax.random.key(3), jax.random.key(3), 4))
    assert np.array_equal(one.vectors, two.vectors)
    assert np.array_equal(one.residuals, two.residuals)
    assert not np.array_equal(one.vectors, other.vectors)


def test_deflation_in_its_forms(matrix, rotated):
    A = rotated(np.arange(N, dtype=float))
    top = np.linalg.eigh(A)[1][:, -3:].T
    flat = jnp.asarray(top)

    class Removal(space.eqx.Module):
        rows: jax.Array

        def remove(self, D):
            return D - self.rows.T @ (self.rows @ D)

    forms = [top, flat, Removal(flat), jax.tree_util.Partial(lambda rows, D: D - rows.T @ (rows @ D), flat)]
    forms.append(lambda D: D - flat.T @ (flat @ D))
    for deflate in forms:
        pairs = eigenpairs(matrix(A), deflate=deflate)
        assert pairs.values[0] == pytest.approx(N - 4, abs=1e-10)
        assert np.abs(top @ pairs.vectors[0]).max() <= 1e-12
    assert eigenpairs(matrix(A), deflate=top[:0]).values[0] == pytest.approx(N - 1, abs=1e-10)


def test_another_operator_of_the_kind_compiles_nothing(matrix, rotated):
    A = rotated(np.arange(N, dtype=float))
    basis = np.linalg.eigh(A)[1].T
    project = jax.jit(lambda rows, D: D - rows.T @ (rows @ D))
    eigenpairs(matrix(A), deflate=jax.tree_util.Partial(project, jnp.asarray(basis[:2])))
    compiled: Any = (space._products, space._inside)
    before = [program._cache_size() for program in compiled]
    eigenpairs(matrix(2 * A), deflate=jax.tree_util.Partial(project, jnp.asarray(basis[3:5])))
    assert [program._cache_size() for program in compiled] == before


def test_constrained_pairs_are_tangent(matrix, rotated):
    problem = ml.ConstrainedMCR2(3, (2, 3), 0.5, "spheres")
    Z = np.asarray(problem.constraint.project(jnp.asarray(np.random.default_rng(0).standard_normal(problem.shape))))
    pairs = eigenpairs(problem.hessian(jnp.asarray(Z)), which="both", num_pairs=10, block_size=1)
    normals = problem.normals(Z)
    assert len(pairs.values) == Z.size - normals.shape[1]
    assert np.abs(pairs.vectors.reshape(len(pairs.values), -1) @ normals).max() <= 1e-10
    check_pairs(problem.hessian_matrix(Z), pairs)


def test_float32_keeps_to_what_it_resolves(matrix, rotated):
    A = rotated(np.linspace(-1, 1, N))
    pairs = eigenpairs(matrix(A, dtype=np.float32), which="both", num_pairs=2)
    assert pairs.vectors.dtype == np.float32
    assert np.abs(pairs.values - [1, 1 - 2 / 23, -1, -1 + 2 / 23]).max() <= pairs.residuals.max()
    with pytest.raises(ml.InputError, match=r"rtol: found 1\.0e-08, but float32 resolves .* float64"):
        eigenpairs(matrix(A, dtype=np.float32), rtol=1e-8)
    with pytest.raises(ml.InputError, match=r"rtol: found 1\.0e-15, but float64 resolves"):
        eigenpairs(matrix(A), rtol=1e-15)


def wrong(kind, matrix, rotated):
    """An operator that is none."""
    H = matrix(rotated(np.linspace(-1, 1, N)))
    count = iter(range(10**6))

    class Wrong(type(H)):
        def product(self, D):
            true = self.A @ D
            if kind == "state":
                noise = jax.pure_callback(
                    lambda D: 1e-3 * np.sin(1.0 + next(count)) * np.ones_like(D),
                    jax.ShapeDtypeStruct(D.shape, D.dtype),
                    D,
                    vmap_method="sequential",
                )
                return true + noise
            if kind == "affine":
                return true + 1e-3
            if kind == "infinite":
                return true / jnp.zeros_like(true)
            return true + 1e-3 * jnp.roll(D, 1)

    return Wrong(H.A)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("state", "H: two products with one direction differ"),
        ("affine", "H: its product with −2 D is not"),
        ("infinite", "H: a product is not finite"),
        ("skew", "H: not symmetric: .* differ by"),
    ],
)
@pytest.mark.parametrize("block_size", [1, 4])
def test_what_is_no_symmetric_operator_is_named(matrix, rotated, kind, message, block_size):
    with pytest.raises(ml.InputError, match=message):
        eigenpairs(wrong(kind, matrix, rotated), block_size=block_size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"which": "middle"}, "which: found 'middle'"),
        ({"num_pairs": 0}, "num_pairs: found 0"),
        ({"block_size": 17}, "block_size: found 17; pass at most 16"),
        ({"basis_size": 2}, "basis_size: found 2; 1 pairs with blocks of 1 need at least 3"),
        ({"max_products": 1}, "max_products: found 1"),
        ({"deflate": np.ones((1, N))}, r"deflate: its directions are orthonormal only to"),
        ({"deflate": np.ones((N, 2))}, r"deflate: found shape \(24, 2\)"),
        ({"deflate": lambda D: 0.5 * D}, "deflate: with the operator's own subspace it gives no orthogonal projection"),
        ({"deflate": np.eye(N)}, "H, deflate: no direction is left"),
        ({"deflate": np.full((1, N), "a")}, "deflate: found dtype"),
    ],
)
def test_bad_arguments_are_named(matrix, rotated, options, message):
    with pytest.raises(ml.InputError, match=message):
        eigenpairs(matrix(rotated(np.ones(N))), **options)


def test_other_objects_and_too_little_memory_are_refused(matrix, rotated, monkeypatch):
    with pytest.raises(ml.InputError, match=r"H: found ndarray; pass landscape\.hessian"):
        eigenpairs(np.eye(3))
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    with pytest.raises(ml.InputError, match=r"basis_size: needs .* are available; 24 rows of 24 numbers .* smaller basis_size"):
        eigenpairs(matrix(np.eye(N)))


def test_products_that_lose_digits_are_no_crime(matrix, rotated):
    """Asymmetry far above eps and below its root is rounding of the product; the residuals say so."""
    A = rotated(np.linspace(-1, 1, N))
    skew = np.random.default_rng(0).standard_normal((N, N))
    pairs = eigenpairs(matrix(A + 1e-10 * (skew - skew.T)), num_pairs=2, block_size=2)
    assert pairs.residuals.min() > 1e-11
    check_pairs(A, pairs)


def badly_scaled(problem, big):
    random = np.random.default_rng(0)
    blocks = []
    for size in problem.sizes:
        U, V = (np.linalg.qr(random.standard_normal((rows, 4)))[0] for rows in (problem.dim, size))
        blocks.append((U * [big, big**0.5, 1, 0.3]) @ V.T)
    return np.concatenate(blocks, axis=1)


def test_points_of_a_bad_scale():
    """Rounding of the products is in the residuals, and nobody is accused of a state."""
    problem = ml.MCR2(6, (8, 8, 8), 0.5, 0.1)
    for big in (1e4, 1e6):
        Z = badly_scaled(problem, big)
        A = problem.hessian_matrix(Z)
        check_pairs(A, eigenpairs(problem.hessian(Z), num_pairs=3))
        pairs = eigenpairs(problem.hessian(Z, form="by shape"), num_pairs=3)
        check_pairs(A, pairs)
        assert not pairs.converged.any()
        assert "by which rounding may change a product at this point" in pairs.reason
        assert pairs.num_products < 200
    for big, form in ((1e8, "by shape"), (1e100, None), (1e160, None)):
        with pytest.raises(ml.InputError, match=r"H: at a point of this scale rounding may change a product .* smaller point"):
            eigenpairs(problem.hessian(badly_scaled(problem, big), form=form))


@pytest.mark.parametrize("kind", ["state", "affine", "skew"])
def test_what_rounding_explains_is_no_crime(matrix, rotated, kind):
    """The same as above from an operator that says that its products are off by so much."""
    Wrong = type(wrong(kind, matrix, rotated))

    class Rounded(Wrong):
        magnitude = 1.0
        rounding = 1e-3 * N**0.5

    assert eigenpairs(Rounded(wrong(kind, matrix, rotated).A)).residuals.min() >= Rounded.rounding
    Rounded.rounding = 1e-6
    with pytest.raises(ml.InputError, match=r"two products|its product with|not symmetric"):
        eigenpairs(Rounded(wrong(kind, matrix, rotated).A))
