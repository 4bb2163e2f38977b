"""The Hessian of the rate reduction at a point of low rank, as a direct sum of small symmetric matrices.

Let U (d, r) span the columns of Z, and Z_k = W_k V_kᵀ with orthonormal V_k (m_k, r_k), R = Σ r_k. In the coordinates
w_k = UᵀW_k, with à = (I + alpha Σ w_k w_kᵀ)^{-1} and Ã_k, M̃, M̃_k accordingly, H is at *any* Z orthogonally equivalent to the
direct sum of

1. for each class the matrix alpha (Ã − Ã_k) − lambda, r × r, m_k − r_k times (directions u vᵀ with u in span U, v beyond V_k);
2. alpha (M̃ − blkdiag M̃_k) − lambda, R × R, d − r times (u beyond U, v in V_k);
3. −lambda, (d − r) Σ (m_k − r_k) times;
4. the core: the Hessian of the same formula at the w_k with the original alpha, alpha_k and lambda, of dimension r R.

Nothing of size d m is formed. Derivation: docs/theory.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mcr2_landscape.closed_form import Parameters, orbit_generators
from mcr2_landscape.factorization import Factorization
from mcr2_landscape.memory import require

# Of the largest squared singular value of an orbit's generators: those below are not clearly non-zero.
_CLEAR = 1e-12


@dataclass(frozen=True)
class Part:
    """One of the matrices: its `name`, its number of rows `size`, and how many times it occurs."""

    name: str
    size: int
    multiplicity: int

    @property
    def dimension(self) -> int:
        """The number of eigenvalues that it stands for."""
        return self.size * self.multiplicity


@dataclass(frozen=True)
class Reduction:
    """The direct sum at a factored point. `regularized` is false for ΔR alone, whose Hessian lacks the −lambda."""

    parameters: Parameters
    factors: Factorization
    regularized: bool = True

    @property
    def rank(self) -> int:
        """r."""
        return self.factors.rank

    @property
    def ranks(self) -> tuple[int, ...]:
        """r_k of each class."""
        return self.factors.ranks

    @cached_property
    def coordinates(self) -> list[np.ndarray]:
        """√alpha w_k (r, r_k): the classes in the units in which alpha is one and alpha_k is rho_k."""
        root = np.sqrt(self.parameters.alpha)
        return [root * np.asarray(w, dtype=np.float64) for w in self.factors.coordinates()]

    @property
    def _ell(self) -> float:
        return self.parameters.ell if self.regularized else 0.0

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """All matrices, in the order: each class, beyond U, the constant, the core. Those without rows are left out."""
        p = self.parameters
        free = [width - rank for width, rank in zip(p.widths, self.ranks, strict=True)]
        outside, columns = p.dim - self.rank, sum(self.ranks)
        found = [Part(f"class {k + 1}", self.rank, count) for k, count in enumerate(free)]
        found += [Part("outside", columns, outside), Part("constant", 1, outside * sum(free))]
        found.append(Part("core", self.rank * columns, 1))
        return tuple(part for part in found if part.dimension)

    def matrix(self, part: Part) -> np.ndarray:
        """The part's matrix, dense, shape (size, size)."""
        if part.name == "core":
            return self._core()
        if part.name == "constant":
            return np.array([[-self.parameters.alpha * self._ell]])
        matrix = self._outside() if part.name == "outside" else self._resolvent - self._class_resolvent(_number(part))
        matrix[np.diag_indices_from(matrix)] -= self._ell
        return self.parameters.alpha * matrix

    def eigenvalues(self, part: Part) -> np.ndarray:
        """The part's eigenvalues, ascending, from a dense factorization."""
        import scipy.linalg

        # Transposed, the symmetric matrix lies in memory as LAPACK wants it, and is not copied.
        return scipy.linalg.eigvalsh(self.matrix(part).T, overwrite_a=True, check_finite=False)

    def direction(self, part: Part, vector: np.ndarray) -> np.ndarray:
        """A direction (d, m) on which the Hessian acts as the part's matrix does on `vector` (size,); of the same norm. For a
        part that occurs several times, the first of these directions."""
        p, factors = self.parameters, self.factors
        U = np.eye(p.dim) if factors.basis is None else np.asarray(factors.basis)
        D = np.zeros(p.shape)
        if part.name == "core":
            pieces = np.split(vector.reshape(self.rank, -1), np.cumsum(self.ranks)[:-1], axis=1)
            for block, piece, V in zip(p.blocks(D), pieces, factors.right, strict=True):
                block[...] = (U @ piece) @ V.T
            return D
        if part.name == "constant":
            k = next(k for k, (width, rank) in enumerate(zip(p.widths, self.ranks, strict=True)) if width > rank)
            block = list(p.blocks(D))[k]
            block[...] = vector[0] * np.outer(_beyond(U), _beyond(np.asarray(factors.right[k])))
            return D
        if part.name == "outside":
            u = _beyond(U)
            pieces = np.split(vector, np.cumsum(self.ranks)[:-1])
            for block, piece, V in zip(p.blocks(D), pieces, factors.right, strict=True):
                block[...] = np.outer(u, V @ piece)
            return D
        block = list(p.blocks(D))[_number(part)]
        block[...] = np.outer(U @ vector, _beyond(np.asarray(factors.right[_number(part)])))
        return D

    def settled(self, distance: float) -> Reduction:
        """The reduction at a point with the ranks of the critical point that is at most `distance` away: singular values up to
        that are noise. What is cut off is in the residual of the factors."""
        smallest = min((float(values[-1]) for values in self.factors.values if values.size), default=np.inf)
        if smallest > distance:
            return self
        return Reduction(self.parameters, self.factors.truncated(distance), self.regularized)

    def orbit_dimension(self, distance: float = 0.0) -> int:
        """The dimension of the orbit under O(d) × Π O(m_k) of the critical point that is at most `distance` from Z and has its
        ranks, or a lower bound: generators of the core that are small without being clearly zero are left out, so that every
        zero eigenvalue that it proves is one. With `distance` 0, of Z itself."""
        p, columns = self.parameters, sum(self.ranks)
        across = (p.dim - self.rank) * self.rank
        across += sum(rank * (width - rank) for width, rank in zip(p.widths, self.ranks, strict=True))
        if columns == 0:
            return across
        unit = unit_generators(orbit_generators(np.concatenate(self.coordinates, axis=1), self.ranks))
        require("Z", 8.0 * 3 * unit.size, "the generators of its orbit do not fit; pass a truncation")
        # singular values of a class that are equal at the critical point differ here
        smallest = min(float(values[-1]) for values in self.factors.values if values.size)
        return across + clear_rank(unit, blur=min(10 * distance / smallest, 0.1))

    # -- the matrices, in units of alpha ------------------------------------------------------------------------------------

    @cached_property
    def _decomposed(self) -> _SVD:
        return _svd(np.concatenate(self.coordinates, axis=1))

    @cached_property
    def _whole(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _resolvents(self._decomposed, 1.0)

    @cached_property
    def _resolvent(self) -> np.ndarray:
        # without M, whose Σ r_k rows only the core and the part beyond U ask for
        return _left_resolvent(self._decomposed, 1.0)

    def _class_resolvent(self, k: int) -> np.ndarray:
        return _left_resolvent(_svd(self.coordinates[k]), float(self.parameters.ratios[k]))

    def _outside(self) -> np.ndarray:
        matrix = self._whole[1].copy()
        for _, columns, (_, M, _) in self._classes():
            matrix[columns, columns] -= M
        return matrix

    def _classes(self) -> Iterator[tuple[float, slice, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
        start = 0
        for rho, w in zip(self.parameters.ratios, self.coordinates, strict=True):
            if w.shape[1]:
                yield float(rho), slice(start, start + w.shape[1]), _resolvents(_svd(w), float(rho))
            start += w.shape[1]

    def _core(self) -> np.ndarray:
        """Row by row of w, so that nothing but the matrix itself is of its size."""
        A, M, P = self._whole
        r, R = P.shape
        core = np.empty((r, R, r, R))
        classes = list(self._classes())
        for i in range(r):
            # entry (i, j), (p, q): A_ip M_jq − P_iq P_pj
            core[i] = A[i][None, :, None] * M[:, None, :]
            core[i] -= P.T[:, :, None] * P[i][None, None, :]
            for rho, own, (A_k, M_k, P_k) in classes:
                part = core[i, own, :, own]
                part -= A_k[i][None, :, None] * M_k[:, None, :]
                part += rho * (P_k.T[:, :, None] * P_k[i][None, None, :])
        matrix = core.reshape(r * R, r * R)
        matrix[np.diag_indices_from(matrix)] -= self._ell
        matrix *= self.parameters.alpha
        return matrix


def unit_generators(generators: np.ndarray) -> np.ndarray:
    """The generators (n, g) of a symmetry orbit at a point as unit columns, those left out that are zero up to rounding."""
    norms = np.linalg.norm(generators, axis=0)
    keep = norms > 1e-9 * float(norms.max(initial=0.0))
    return generators[:, keep] / norms[keep]


def clear_rank(unit: np.ndarray, *, blur: float = 0.0) -> int:
    """The rank of `unit_generators`, or a lower bound: singular values that are small without being clearly zero do not count.
    `blur`: relative to the largest, what a singular value may have at this point that is zero at the one that is meant."""
    if unit.shape[1] == 0:
        return 0
    squares = np.linalg.eigvalsh(unit.T @ unit if unit.shape[1] <= unit.shape[0] else unit @ unit.T)
    return int((squares > max(_CLEAR, blur**2) * squares[-1]).sum())


def clear_basis(unit: np.ndarray) -> np.ndarray:
    """An orthonormal basis (n, q) of what `unit_generators` span, q as in `clear_rank`."""
    if unit.shape[1] == 0:
        return unit
    U, s, _ = np.linalg.svd(unit, full_matrices=False)
    return U[:, s**2 > _CLEAR * s[0] ** 2]


def _number(part: Part) -> int:
    return int(part.name.removeprefix("class ")) - 1


_SVD = tuple[np.ndarray, np.ndarray, np.ndarray]


def _svd(W: np.ndarray) -> _SVD:
    return np.linalg.svd(W, full_matrices=False)


def _lost(s: np.ndarray, rho: float) -> np.ndarray:
    """1 − 1/(1 + rho s²), without cancellation."""
    return rho * s**2 / (1 + rho * s**2)


def _left_resolvent(decomposed: _SVD, rho: float) -> np.ndarray:
    """A = (I + rho W Wᵀ)^{-1}, from the singular value decomposition of W."""
    U, s, _ = decomposed
    return np.eye(U.shape[0]) - (U * _lost(s, rho)) @ U.T


def _resolvents(decomposed: _SVD, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, M = (I + rho Wᵀ W)^{-1} and A W, from the singular value decomposition of W."""
    U, s, Vt = decomposed
    M = np.eye(Vt.shape[1]) - (Vt.T * _lost(s, rho)) @ Vt
    return _left_resolvent(decomposed, rho), M, (U * (s / (1 + rho * s**2))) @ Vt


def _beyond(basis: np.ndarray) -> np.ndarray:
    """A unit vector orthogonal to the columns, which do not span everything."""
    n = basis.shape[0]
    shares = 1 - np.sum(basis**2, axis=1)  # what is left of each coordinate direction
    vector = np.zeros(n)
    vector[int(shares.argmax())] = 1.0
    for _ in range(2):
        vector -= basis @ (basis.T @ vector)
        vector /= np.linalg.norm(vector)
    return vector
