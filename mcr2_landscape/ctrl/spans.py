"""The data of a game: each class's subspace, with what of it the utilities depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mcr2_landscape.factorization import Factorization, factorize
from mcr2_landscape.mcr2.features import encode_labels, sort_features
from mcr2_landscape.validation import InputError, float64_matrix, positive_real

_CLEAR = 30.0  # how many times the tolerance a singular value must exceed for the rank to be plain
_DEPENDENT = 1e-10


@dataclass(frozen=True)
class Spans:
    """Classes X_j (d_x, n_j) as X_j = C_j V_jᵀ with orthonormal V_j: `factors[j]` is C_j = U_j S_j (d_x, r_j), `values[j]` its
    singular values, descending. The games depend on the C_j and the n_j alone.

    `names` and `sizes` of the classes, in order; `order` is the sample number of each column of [X_1 … X_K]; `tolerance` is
    what a singular value had to exceed to count, `cut` the largest that did not.
    """

    names: tuple[Any, ...]
    sizes: tuple[int, ...]
    factors: tuple[np.ndarray, ...]
    values: tuple[np.ndarray, ...]
    order: np.ndarray
    tolerance: float
    cut: float

    @property
    def ambient_dim(self) -> int:
        """d_x."""
        return self.factors[0].shape[0]

    @property
    def ranks(self) -> tuple[int, ...]:
        """r_j."""
        return tuple(values.size for values in self.values)

    @property
    def proportions(self) -> np.ndarray:
        """gamma_j = n_j/n, shape (K,)."""
        return np.array(self.sizes) / sum(self.sizes)

    @cached_property
    def joined(self) -> np.ndarray:
        """[C_1 … C_K], shape (d_x, Σ r_j)."""
        return np.concatenate(self.factors, axis=1)

    @cached_property
    def bases(self) -> tuple[np.ndarray, ...]:
        """U_j (d_x, r_j), orthonormal."""
        return tuple(C / values for C, values in zip(self.factors, self.values, strict=True))

    @cached_property
    def independence(self) -> float:
        """The smallest singular value of [U_1 … U_K]: 0 iff the classes are dependent, 1 iff they are orthogonal."""
        if sum(self.ranks) > self.ambient_dim:
            return 0.0
        return float(np.linalg.svd(np.concatenate(self.bases, axis=1), compute_uv=False)[-1])

    @property
    def independent(self) -> bool:
        """Whether Σ r_j is the rank of X, numerically."""
        return self.independence > _DEPENDENT

    @cached_property
    def cosines(self) -> np.ndarray:
        """The largest cosine of a principal angle between two classes, shape (K, K); 1 on the diagonal."""
        K = len(self.sizes)
        found = np.eye(K)
        for i in range(K):
            for j in range(i):
                found[i, j] = found[j, i] = np.linalg.svd(self.bases[i].T @ self.bases[j], compute_uv=False)[0]
        return found

    @cached_property
    def span(self) -> np.ndarray:
        """An orthonormal basis of Col X, shape (d_x, rank X)."""
        U, s, _ = np.linalg.svd(np.concatenate(self.bases, axis=1), full_matrices=False)
        return U[:, s > _DEPENDENT]

    def describe_overlap(self) -> str:
        """Which classes are dependent, by their principal angles, in words."""
        pairs = [
            (self.cosines[i, j], i, j) for i in range(len(self.sizes)) for j in range(i) if self.cosines[i, j] > 1 - _DEPENDENT
        ]
        if not pairs:
            dimension = self.span.shape[1]
            return f"the ranks add up to {sum(self.ranks)}, but all classes together span only {dimension} dimensions"
        words = []
        for _, i, j in pairs[:4]:
            shared = int((np.linalg.svd(self.bases[i].T @ self.bases[j], compute_uv=False) > 1 - _DEPENDENT).sum())
            words.append(f"{self.names[j]} and {self.names[i]} (in {shared} dimension{'s' if shared > 1 else ''})")
        more = f" and {len(pairs) - 4} more pairs" if len(pairs) > 4 else ""
        return f"these overlap, with principal angles of zero: {', '.join(words)}{more}"

    def require_independent(self) -> None:
        """Refuse dependent classes.

        **Raises:** `InputError` that names them.
        """
        if not self.independent:
            raise InputError(
                f"X: the classes are linearly dependent: {self.describe_overlap()}; the reduction needs independent ones: drop "
                "directions, merge classes, or search for the optimum (solve)"
            )


def spans_of(X: Any, labels: Any, rank_tolerance: float | None = None) -> Spans:
    """The classes of labeled data.

    **Arguments:** `X` (samples, d_x); `labels`, one of any hashable kind a sample, in any order; `rank_tolerance`: singular
    values of a class up to this, in the units of X, count as zero; by default the rounding of the entries in X's own dtype.

    **Raises:** `InputError` for NaN, lengths that differ, one class, a class whose samples are all zero, or one whose rank the
    default tolerance does not tell plainly.
    """
    given = None if rank_tolerance is None else positive_real("rank_tolerance", rank_tolerance)
    eps = _eps_of(X)
    Z, sizes, order = sort_features(X, labels)
    _, names = encode_labels(labels)
    found = _factored(Z, sizes, names, given, eps)
    factors, values = _own_factors(Z, sizes, found)
    return Spans(
        tuple(names),
        sizes,
        factors,
        values,
        order,
        found.tolerance,
        found.cut,
    )


def span_of(X: Any, rank_tolerance: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """C (d_x, r) and its singular values for data of one subspace, X (samples, d_x). Arguments and errors as `spans_of`."""
    given = None if rank_tolerance is None else positive_real("rank_tolerance", rank_tolerance)
    eps = _eps_of(X)
    Z = np.ascontiguousarray(float64_matrix("X", X, (None, None), refuse_float32=False).T)
    if 0 in Z.shape:
        raise InputError(f"X: found shape {Z.shape[::-1]}; pass at least one sample and one feature")
    found = _factored(Z, (Z.shape[1],), ("all",), given, eps)
    factors, values = _own_factors(Z, (Z.shape[1],), found)
    return factors[0], values[0]


def _eps_of(X: Any) -> float:
    """The rounding of X's entries: data that were float32 once are no more precise for being read as float64."""
    name = str(getattr(X, "dtype", ""))
    return {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}.get(name, float(np.finfo(np.float64).eps))


def _factored(Z: np.ndarray, sizes: Sequence[int], names: Sequence[Any], given: float | None, eps: float) -> Factorization:
    start = 0
    for name, size in zip(names, sizes, strict=True):
        if not Z[:, start : start + size].any():
            raise InputError(f"X: all samples of class {name!r} are zero; drop the class")
        start += size
    tolerance = given
    if given is None and eps > np.finfo(np.float64).eps:
        tolerance = 8 * eps * float(np.sqrt(max(Z.shape))) * float(np.linalg.norm(Z)) / np.sqrt(len(sizes))
    found = factorize(Z, sizes, tolerance=tolerance)
    assert found is not None  # no largest rank was asked for
    for name, values in zip(names, found.values, strict=True):
        if values.size == 0:
            raise InputError(
                f"rank_tolerance: found {found.tolerance:.3g}, above every singular value of class {name!r}; pass a smaller one"
            )
        if given is None and values[-1] < _CLEAR * found.tolerance:
            raise InputError(
                f"X: the rank of class {name!r} is ambiguous: its singular values fall from {values[0]:.3g} to "
                f"{values[-1]:.3g}, near the {found.tolerance:.1e} of rounding{_gap(values)}; pass rank_tolerance, in the "
                "units of X, or more precise data"
            )
    return found


def _own_factors(
    Z: np.ndarray, sizes: Sequence[int], found: Factorization
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """C_j and its singular values from X_j V_j. Those of the factorization lie in the basis that all classes have in common,
    from which directions up to the tolerance are left out too: with a tolerance far above rounding they are other subspaces,
    and dependent ones.
    """
    factors, values, start = [], [], 0
    for size, V in zip(sizes, found.right, strict=True):
        U, s, _ = np.linalg.svd(Z[:, start : start + size] @ V, full_matrices=False)
        factors.append(np.ascontiguousarray(U * s))
        values.append(s)
        start += size
    return tuple(factors), tuple(values)


def _gap(values: np.ndarray) -> str:
    """The widest gap among singular values, in words."""
    if values.size < 2:
        return ""
    ratios = values[:-1] / values[1:]
    at = int(ratios.argmax())
    middle = float(np.sqrt(values[at] * values[at + 1]))
    return f" (the widest gap is after the first {at + 1}, a factor of {ratios[at]:.3g}, at {middle:.3g})"
