"""A dense matrix as an operator: what every test of this folder runs on, beside the problems' own Hessians."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcr2_landscape.operators import SymmetricOperator


class Matrix(SymmetricOperator):
    A: jax.Array
    tangent: jax.Array | None = None
    words: str = eqx.field(static=True, default="dense")

    @property
    def shape(self):
        return (self.A.shape[0],)

    @property
    def dtype(self):
        return np.dtype(self.A.dtype)

    @property
    def form(self):
        return self.words

    def tangent_part(self, D):
        return D if self.tangent is None else jnp.matmul(self.tangent, D, precision="highest")

    def product(self, D):
        return self.tangent_part(jnp.matmul(self.A, self.tangent_part(D), precision="highest"))


@pytest.fixture(scope="session")
def matrix():
    """`matrix(A)`: the operator of a NumPy matrix; `matrix(A, normals)`: on the complement of orthonormal columns."""

    def make(A, normals=None, dtype=np.float64):
        tangent = None if normals is None else jnp.asarray((np.eye(len(A)) - normals @ normals.T).astype(dtype))
        return Matrix(jnp.asarray(np.asarray(A, dtype=dtype)), tangent)

    return make


@pytest.fixture(scope="session")
def rotated():
    """`rotated(eigenvalues, seed)`: a random symmetric matrix with these eigenvalues, quickly."""

    def make(eigenvalues, seed=0):
        n = len(eigenvalues)
        Q = np.linalg.qr(np.random.default_rng([seed, n]).standard_normal((n, n)))[0]
        A = (Q * np.asarray(eigenvalues)) @ Q.T
        return 0.5 * (A + A.T)

    return make
