"""One interface for every Hessian: products, exports, restriction, messages, memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import linalg

import mcr2_landscape as ml
from mcr2_landscape import memory, operators
from mcr2_landscape.operators import SymmetricOperator

PROBLEM = ml.MCR2(3, (2, 4), 0.5, 0.1)
RANDOM = np.random.default_rng(0)
Z = 0.5 * RANDOM.standard_normal(PROBLEM.shape)
D, BLOCK = RANDOM.standard_normal(PROBLEM.shape), RANDOM.standard_normal((3, *PROBLEM.shape))
DENSE = PROBLEM.hessian_matrix(Z)
ATOL = 1e-12 * PROBLEM.curvature_scale()


@pytest.fixture(scope="module")
def H():
    return PROBLEM.hessian(Z)


def test_products_are_those_of_the_dense_matrix(H):
    assert H.shape == PROBLEM.shape
    assert H.size == 18
    assert H.dtype == np.float64
    assert np.allclose(H.as_matrix(), DENSE, rtol=0, atol=ATOL)
    assert np.allclose(np.ravel(H.mv(D)), DENSE @ D.ravel(), rtol=0, atol=10 * ATOL)
    assert np.allclose(np.reshape(H.mm(BLOCK), (3, -1)), BLOCK.reshape(3, -1) @ DENSE, rtol=0, atol=10 * ATOL)
    assert np.array_equal(H.mv(D.tolist()), H.mv(jnp.asarray(D)))


def test_the_flat_function_is_traced_and_transposed(H):
    """As libraries of algorithms use it: under jit, in a loop, and through its transpose."""

    @jax.jit
    def run(H, v):
        apply = H.as_function()
        return jax.lax.fori_loop(0, 3, lambda _, v: apply(v), v), jax.linear_transpose(apply, v)(v)[0]

    power, transposed = run(H, D.ravel())
    assert np.allclose(power, np.linalg.matrix_power(DENSE, 3) @ D.ravel(), atol=1e3 * ATOL)
    assert np.allclose(transposed, DENSE @ D.ravel(), atol=10 * ATOL)


def test_scipy(H):
    A = H.as_scipy()
    assert A.shape == (18, 18)
    assert A.dtype == np.float64
    columns = RANDOM.standard_normal((18, 3))
    for found in (A @ columns, A.matmat(columns), A.rmatmat(columns), (columns.T @ A).T):
        assert np.allclose(found, DENSE @ columns, atol=10 * ATOL)
    for found in (A.rmatvec(columns[:, 0]), A.H @ columns[:, 0], A.T.matvec(columns[:, :1]).ravel()):
        assert np.allclose(found, DENSE @ columns[:, 0], atol=10 * ATOL)
    assert A.matmat(columns[:, :0]).shape == (18, 0)
    assert (A @ np.ones(18, dtype=int)).dtype == np.float64
    values = linalg.eigsh(A, k=3, which="LA", return_eigenvectors=False, v0=np.ones(18))
    assert np.allclose(np.sort(values), np.linalg.eigvalsh(DENSE)[-3:], atol=1e-9)
    shifted = linalg.LinearOperator(A.shape, matvec=lambda v: 10 * v - A @ v, dtype=A.dtype)
    solution, info = linalg.cg(shifted, np.ones(18), rtol=1e-12)
    assert info == 0
    assert np.allclose((10 * np.eye(18) - DENSE) @ solution, 1, atol=1e-9)


def test_lineax(H):
    lineax = pytest.importorskip("lineax")
    A = H.as_lineax(lineax.negative_semidefinite_tag)
    assert lineax.is_symmetric(A)
    assert lineax.is_negative_semidefinite(A)
    assert not lineax.is_negative_semidefinite(H.as_lineax())
    identity = lineax.IdentityLinearOperator(jax.ShapeDtypeStruct(H.shape, H.dtype))
    shifted = lineax.TaggedLinearOperator(10.0 * identity + -1.0 * H.as_lineax(), lineax.positive_semidefinite_tag)
    solution = lineax.linear_solve(shifted, jnp.asarray(D), lineax.CG(rtol=1e-12, atol=1e-12)).value
    assert np.allclose(10 * solution - H.mv(solution), D, atol=1e-9)


# -- restriction --------------------------------------------------------------------------------------------------------------


def entries(rows, columns):
    return (np.arange(18).reshape(3, 6)[np.ix_(rows, columns)]).ravel()


@pytest.mark.parametrize(
    ("arguments", "picked"),
    [
        ({"columns": PROBLEM.class_columns(1)}, entries([0, 1, 2], [2, 3, 4, 5])),
        ({"rows": [2, 0]}, entries([2, 0], [0, 1, 2, 3, 4, 5])),
        ({"rows": np.array([1]), "columns": (5, 0)}, entries([1], [5, 0])),
        ({"rows": 1, "columns": slice(None, None, 2)}, entries([1], [0, 2, 4])),
    ],
)
def test_restriction_to_entries(H, arguments, picked):
    part = H.restrict(**arguments)
    wanted = DENSE[np.ix_(picked, picked)]
    assert part.size == picked.size
    assert part.flops == H.flops
    assert part.form == "fused and Gram side, on some rows and columns"
    assert np.allclose(part.as_matrix(), wanted, rtol=0, atol=ATOL)


def test_restriction_to_a_subspace(H):
    Q = np.linalg.qr(RANDOM.standard_normal((18, 5)))[0]
    part = H.restrict(Q.T.reshape(5, *H.shape))
    assert part.shape == (5,)
    assert part.form.endswith("on a subspace")
    assert part.flops > H.flops
    assert np.allclose(part.as_matrix(), Q.T @ DENSE @ Q, rtol=0, atol=ATOL)
    again = part.restrict(np.eye(5)[:2])
    assert np.allclose(again.mv(np.ones(2)), (Q.T @ DENSE @ Q)[:2, :2].sum(axis=1), atol=10 * ATOL)
    with pytest.raises(ml.InputError, match=r"arrays of shape \(5,\); pass a basis"):
        part.restrict(rows=[0])
    whole = H.restrict(np.eye(18).reshape(18, *H.shape))
    assert np.allclose(np.linalg.eigvalsh(np.asarray(whole.as_matrix())), np.linalg.eigvalsh(DENSE), atol=10 * ATOL)


def test_a_long_float32_basis_is_orthonormal_enough():
    problem = ml.MCR2(50, (100, 100), 0.5, 0.1)
    Q = np.linalg.qr(RANDOM.standard_normal((10_000, 40)).astype(np.float32))[0]
    H = problem.hessian(np.zeros(problem.shape, np.float32))
    assert H.restrict(Q.T.reshape(40, *H.shape)).shape == (40,)


# -- messages -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda H: H.mv(np.ones((3, 5))), r"D: found shape \(3, 5\), expected \(3, 6\)"),
        (lambda H: H.mv(np.ones((6, 3))), "looks transposed"),
        (lambda H: H.mv(np.ones(18)), r"D: found shape \(18,\)"),
        (lambda H: H.mm(np.ones((3, 6))), r"Ds: found shape \(3, 6\), expected \(any, 3, 6\)"),
        (lambda H: H.mv(np.ones((3, 6), np.float32)), "D: found float32, but the operator was made in float64"),
        (lambda H: H.mv(jnp.ones((3, 6), jnp.float32)), "D: found float32, but the operator was made in float64"),
        (lambda H: H.mv(np.ones((3, 6), np.float16)), "D: found float16"),
        (lambda H: H.mv(np.ones((3, 6), complex)), "D: found complex128"),
        (lambda H: H.mv("direction"), "D: found 'direction'"),
        (lambda H: H.mv(None), "D: found None"),
        (lambda H: H.mv([[1, 2], [3]]), "D: cannot be read"),
        (lambda H: H.restrict(), "basis: found none, and neither rows nor columns"),
        (lambda H: H.restrict(np.ones((1, 3, 6)), rows=[0]), "basis: found together with rows or columns"),
        (lambda H: H.restrict(np.ones((2, 3, 6))), "orthonormal only to 1.8e"),
        (lambda H: H.restrict(np.zeros((0, 3, 6))), "basis: number of directions: found 0"),
        (lambda H: H.restrict(np.eye(18)[:, :6]), r"basis: found shape \(18, 6\)"),
        (lambda H: H.restrict(np.full((1, 3, 6), np.nan)), "basis: .* orthonormal"),
        (lambda H: H.restrict(rows=[0, 3]), "rows: found numbers below zero, beyond 2, or twice"),
        (lambda H: H.restrict(columns=[-1]), "columns: found numbers below zero"),
        (lambda H: H.restrict(columns=[1, 1]), "or twice"),
        (lambda H: H.restrict(columns=[]), "columns: found"),
        (lambda H: H.restrict(columns=slice(3, 3)), "pass a slice or a list of numbers below 6"),
        (lambda H: H.restrict(columns=[0.0, 1.0]), "pass a slice or a list of numbers below 6"),
        (lambda H: H.restrict(columns=[True] * 6), "pass a slice or a list of numbers below 6"),
        (lambda H: H.restrict(rows=[[0, 1], [2]]), "rows: found .*pass a slice or a list of numbers below 3"),
        (lambda H: PROBLEM.class_columns(2), "number: found 2; the classes are numbered 0 to 1"),
        (lambda H: PROBLEM.class_columns(-1), "number: found -1"),
        (lambda H: PROBLEM.class_columns(0.0), "number: found 0.0"),
    ],
)
def test_bad_calls_are_named(H, call, message):
    with pytest.raises(ml.InputError, match=message):
        call(H)


def test_float64_directions_without_64_bit_mode(H):
    with jax.enable_x64(False), pytest.raises(ml.InputError, match="D: found float64 while JAX's 64-bit mode is off"):
        PROBLEM.hessian(Z.astype(np.float32)).mv(D)


def test_the_dense_matrix_is_refused_where_it_does_not_fit(H, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 3 * 8 * 18**2 - 1)
    with pytest.raises(ml.InputError, match=r"as_matrix: needs .* GB, and .* are available; the dense matrix has 18 rows"):
        H.as_matrix()
    monkeypatch.setattr(memory, "available", lambda: 3 * 8 * 18**2)
    assert H.as_matrix().shape == (18, 18)


@pytest.mark.parametrize("form", ["by shape", "mid-rank", "low-rank"])
def test_the_dense_matrix_needs_what_is_asked_of_the_memory(form):
    """Three copies of the matrix, the result among them."""
    problem = ml.MCR2(32, (16, 16, 16), 0.5, 0.1)
    big = problem.hessian(np.ones(problem.shape), form=form)
    used = operators._dense.lower(big).compile().memory_analysis()
    if used is None:
        pytest.skip("this backend does not say what a program needs")
    assert used.temp_size_in_bytes + used.output_size_in_bytes <= 3 * 8 * big.size**2


# -- compilation --------------------------------------------------------------------------------------------------------------


def test_another_point_compiles_nothing(H):
    parts = [{"columns": [0, 1]}, {"basis": np.eye(18)[:2].reshape(2, 3, 6)}]

    def products(problem, point):
        found = problem.hessian(point)
        for part in (found, *(found.restrict(**arguments) for arguments in parts)):
            part.mv(np.ones(part.shape))
            part.mm(np.ones((2, *part.shape)))
        found.as_matrix()

    products(PROBLEM, Z)
    compiled = (operators._mv, operators._mm, operators._dense)
    before = [function._cache_size() for function in compiled]
    parts = [{"columns": [3, 2]}, {"basis": np.eye(18)[4:6].reshape(2, 3, 6)}]
    products(ml.MCR2(3, (2, 4), 0.7, 0.2), 2 * Z)
    assert [function._cache_size() for function in compiled] == before


class Diagonal(SymmetricOperator):
    """The least that an operator is: no flops, no block product, vectors."""

    entries: jax.Array
    shape = property(lambda self: self.entries.shape)
    dtype = property(lambda self: np.dtype(self.entries.dtype))
    form = "diagonal"

    def product(self, D):
        return self.entries * D


@pytest.mark.parametrize("n", [1, 64, 65, 200])
def test_a_least_operator(n):
    H = Diagonal(jnp.arange(1.0, n + 1))
    assert np.array_equal(H.as_matrix(), np.diag(np.arange(1.0, n + 1)))
    assert H.flops is None
    assert H.restrict(np.eye(n)[-1:]).flops is None
    assert np.array_equal(H.tangent_part(H.entries), H.entries)
    assert float(H.restrict(np.eye(n)[-1:]).as_matrix()[0, 0]) == n
