"""The data of a game: each class's subspace, with what of it the utilities depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.factorization import factorize
from mcr2_landscape.mcr2.features import encode_labels, grouped
from mcr2_landscape.validation import InputError, float64_matrix, positive_real

_CLEAR = 30.0  # how many times the tolerance a singular value must exceed for the rank to be plain
_DEPENDENT = 1e-10
_LARGEST = 1e150  # entries whose squares, added up, are in the range of float64, as are those of the inverse


@dataclass(frozen=True)
class Spans:
    """Classes X_j (d_x, n_j) as X_j = C_j V_jᵀ with orthonormal V_j: `factors[j]` is C_j = U_j S_j (d_x, r_j), `values[j]` its
    singular values, descending. The games depend on the C_j and the n_j alone.

    `names` and `sizes` of the classes, in order; `order` is the sample number of each column of [X_1 … X_K]; `tolerance` is
    what a singular value had to exceed to count, `cut` the largest that did not; `blur`: the sine of the angle by
    which rounding of X's entries, in their own dtype, may have turned the subspaces: smaller angles between classes say
    nothing. Source: Wedin, *Perturbation bounds in connection with singular value decomposition* (BIT 1972).
    """

    names: tuple[Any, ...]
    sizes: tuple[int, ...]
    factors: tuple[np.ndarray, ...]
    values: tuple[np.ndarray, ...]
    order: np.ndarray
    tolerance: float
    cut: float
    blur: float = _DEPENDENT

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
        """Whether Σ r_j is the rank of X, beyond rounding."""
        return self.independence > self.blur

    @cached_property
    def rounding(self) -> float:
        """What rounding of F's float64 entries leaves unknown of f(X), relative to its norm: small singular values of X make
        large entries of F."""
        s = np.concatenate(self.values)
        apart = self.independence if self.independent else 1.0
        return 8 * float(np.finfo(np.float64).eps) * float(s.max() / (s.min() * apart))

    @cached_property
    def cosines(self) -> np.ndarray:
        """The largest cosine of a principal angle between two classes, shape (K, K); 1 on the diagonal."""
        K = len(self.sizes)
        found = np.eye(K)
        U = np.concatenate(self.bases, axis=1)
        edges = np.concatenate([[0], np.cumsum(self.ranks)])
        gram = U.T @ U
        for i in range(K):
            for j in range(i):
                block = gram[edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
                found[i, j] = found[j, i] = min(1.0, np.linalg.svd(block, compute_uv=False)[0])
        return found

    def principal_sines(self, i: int, j: int) -> np.ndarray:
        """sin θ of the principal angles between two classes, ascending, to rounding at small angles as well: of which cosines
        say nothing below 1e-8."""
        U, V = self.bases[i], self.bases[j]
        if U.shape[1] < V.shape[1]:
            U, V = V, U
        return np.minimum(np.linalg.svd(V - U @ (U.T @ V), compute_uv=False)[::-1], 1.0)

    def angle(self, i: int, j: int) -> float:
        """The smallest principal angle between two classes, in degrees."""
        cosine = float(self.cosines[i, j])
        return float(np.degrees(np.arccos(cosine) if cosine < 0.9 else np.arcsin(self.principal_sines(i, j)[0])))

    @cached_property
    def angles(self) -> np.ndarray:
        """The smallest principal angles between the classes in degrees, shape (K, K); 0 on the diagonal."""
        K = len(self.sizes)
        found = np.zeros((K, K))
        for i in range(K):
            for j in range(i):
                found[i, j] = found[j, i] = self.angle(i, j)
        return found

    def shared(self, i: int, j: int) -> int:
        """How many dimensions two classes have in common, to rounding."""
        if self.cosines[i, j] < 0.9:
            return 0
        return int((self.principal_sines(i, j) <= self.blur).sum())

    @cached_property
    def span(self) -> np.ndarray:
        """An orthonormal basis of Col X, shape (d_x, rank X)."""
        U, s, _ = np.linalg.svd(np.concatenate(self.bases, axis=1), full_matrices=False)
        # independent classes span Σ r_j dimensions, whatever the angles between them are
        return U if self.independent else U[:, s > self.blur]

    def describe_overlap(self) -> str:
        """Which classes are dependent, by their principal angles, in words."""
        pairs = [(shared, i, j) for i in range(len(self.sizes)) for j in range(i) if (shared := self.shared(i, j))]
        if not pairs:
            dimension = self.span.shape[1]
            return f"the ranks add up to {sum(self.ranks)}, but all classes together span only {dimension} dimensions"
        words = []
        for shared, i, j in pairs[:4]:
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


def spans_of(X: Any, labels: Any, rank_tolerance: float | None = None, *, dtype: str | None = None) -> Spans:
    """The classes of labeled data.

    **Arguments:** `X` (samples, d_x); `labels`, one of any hashable kind a sample, in any order; `rank_tolerance`: singular
    values of a class up to this, in the units of X, count as zero; by default the rounding of the entries in X's own dtype, or
    in `dtype`, the name of a coarser one that they were stored in.

    **Raises:** `InputError` for NaN, lengths that differ, one class, a class whose samples are all zero, or whose largest entry
    is not within 1e-150 and 1e150, or one whose rank the default tolerance does not tell plainly.
    """
    given = None if rank_tolerance is None else positive_real("rank_tolerance", rank_tolerance)
    check_samples(X)
    eps = max(_eps_of(getattr(X, "dtype", None)), _eps_of(dtype))
    features, sizes, order = grouped(X, labels)
    names = tuple(encode_labels(labels)[1])
    default = _default_tolerance(features, len(sizes), eps)
    places = np.split(order, np.cumsum(sizes)[:-1])
    # one class at a time: a sorted copy of all samples would be as large as X
    found = [_factored(features[rows].T, name, given, default) for rows, name in zip(places, names, strict=True)]
    if given is None:
        _check_plain(found, names)
    blurs = [4 * eps * own.norm / own.values[-1] for own in found]
    return Spans(
        names,
        sizes,
        tuple(own.factor for own in found),
        tuple(own.values for own in found),
        order,
        max(own.tolerance for own in found),
        max(own.cut for own in found),
        max(_DEPENDENT, float(np.linalg.norm(blurs))),
    )


def span_of(X: Any, rank_tolerance: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """C (d_x, r) and its singular values for data of one subspace, X (samples, d_x). Arguments and errors as `spans_of`."""
    given = None if rank_tolerance is None else positive_real("rank_tolerance", rank_tolerance)
    check_samples(X)
    eps = _eps_of(getattr(X, "dtype", None))
    features = float64_matrix("X", X, (None, None), refuse_float32=False)
    if 0 in features.shape:
        raise InputError(f"X: found shape {features.shape}; pass at least one sample and one feature")
    found = _factored(features.T, _ONE, given, _default_tolerance(features, 1, eps))
    if given is None:
        _check_plain([found], [_ONE])
    return found.factor, found.values


_ONE = object()  # the name of the only class


def _of_class(name: Any) -> str:
    return "" if name is _ONE else f" of class {name!r}"


def check_samples(X: Any) -> None:
    """Refuse what has not two axes, in the terms of data; everything else about X is looked at later.

    **Raises:** `InputError`.
    """
    if not (isinstance(X, (list, tuple)) or hasattr(X, "shape")):
        return
    try:
        shape = tuple(np.shape(X))
    except ValueError:  # rows of unequal length
        return
    if len(shape) != 2:
        raise InputError(f"X: found shape {shape}; pass one row a sample, shape (samples, features)")


def check_entries(Z: np.ndarray, of: str = "") -> None:
    """Refuse entries whose squares leave the range of float64.

    **Raises:** `InputError`.
    """
    largest = float(max(Z.max(initial=0.0), -Z.min(initial=0.0)))
    if largest and not 1 / _LARGEST <= largest <= _LARGEST:
        raise InputError(
            f"X: the largest entry{of} is {largest:.3g}, whose square leaves the range of float64; rescale X, for instance X / "
            f"{largest:.1g}"
        )


def _eps_of(dtype: Any) -> float:
    """The rounding of entries: data that were float32 once are no more precise for being read as float64."""
    return {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}.get(str(dtype), float(np.finfo(np.float64).eps))


def _default_tolerance(features: np.ndarray, num_classes: int, eps: float) -> float | None:
    """What rounding leaves of data that are less precise than float64; `None` for float64, where `factorize` knows."""
    if eps <= np.finfo(np.float64).eps:
        return None
    return 8 * eps * float(np.sqrt(max(features.shape))) * float(np.linalg.norm(features)) / np.sqrt(num_classes)


class _Factored(NamedTuple):
    """C_j and its singular values; the norm of X_j, and what counted as zero."""

    factor: np.ndarray
    values: np.ndarray
    norm: float
    tolerance: float
    cut: float


def _factored(Z: np.ndarray, name: Any, given: float | None, default: float | None) -> _Factored:
    """One class Z (d_x, n_j)."""
    if not Z.any():
        what = "pass others" if name is _ONE else "drop the class"
        raise InputError(f"X: all samples{_of_class(name)} are zero; {what}")
    check_entries(Z, _of_class(name))
    found = factorize(Z, (Z.shape[1],), tolerance=default if given is None else given)
    assert found is not None  # no largest rank was asked for
    values = found.values[0]
    if values.size == 0:
        raise InputError(
            f"rank_tolerance: found {found.tolerance:.3g}, above every singular value{_of_class(name) or ' of X'}; pass a "
            "smaller one"
        )
    # from X_j V_j: the factors found may lie in a basis from which directions up to the tolerance are left out
    U, s, _ = np.linalg.svd(Z @ found.right[0], full_matrices=False)
    return _Factored(np.ascontiguousarray(U * s), s, float(np.linalg.norm(Z)), found.tolerance, found.cut)


def _check_plain(found: Sequence[_Factored], names: Sequence[Any]) -> None:
    """Refuse singular values near the rounding of the classes' entries."""
    tolerance = max(own.tolerance for own in found)
    for name, own in zip(names, found, strict=True):
        if own.values[-1] < _CLEAR * tolerance:
            raise InputError(
                f"X: the rank{_of_class(name)} is ambiguous: its singular values fall from {own.values[0]:.3g} to "
                f"{own.values[-1]:.3g}, near the {tolerance:.1e} of rounding{_gap(own.values)}; pass rank_tolerance, in the "
                "units of X, or more precise data"
            )


def _gap(values: np.ndarray) -> str:
    """The widest gap among singular values, in words."""
    if values.size < 2:
        return ""
    ratios = values[:-1] / values[1:]
    at = int(ratios.argmax())
    middle = float(np.sqrt(values[at] * values[at + 1]))
    return f" (the widest gap is after the first {at + 1}, a factor of {ratios[at]:.3g}, at {middle:.3g})"
