"""A second-order method for one image: proximal points, each found by a semi-smooth Newton method on its dual.

The proximal point algorithm replaces z̄ by the minimizer of P(z) + ‖z − z̄‖²/(2σ). With a = μ + 1/σ and S the soft threshold at
λ, its dual is to minimize over images y the function, smooth and strongly convex,

    ψ(y) = ½‖y‖² − xᵀy + ‖S(Dᵀy + z̄/σ)‖²/(2a),     ∇ψ = y − x + D z(y),   z(y) = S(Dᵀy + z̄/σ)/a,

and z(y) at its minimizer is the new point (the augmented Lagrangian method of Li, Sun and Toh, SIAM J. Optim. 28, 2018, whose
second-order sparsity this is). Newton's matrix I + D_J D_Jᵀ/a has only the columns of the support J of z(y); it is solved in
the pixels or, by Woodbury's identity, in the support, whichever are fewer. σ grows, and the support settles after a few points.

Then the program on the support is a linear system, A = D_J, ε the signs:  (AᵀA + μI) z_J = Aᵀx − λε. It is solved by refinement
with a slightly shifted factor, which needs no full rank, and the result counts only if its signs are ε and its duality gap,
which the caller evaluates anew, is smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from mcr2_landscape.csc.support import Columns, Matrix, ShiftedGram

_FIRST, _LARGEST, _GROWTH = 100.0, 1e7, 3.0  # of σ, in units of 1/(norm of an atom)², which is one
_INNER = 1e-2  # of the first gradient norm of a proximal point
_NEWTON, _LAST = 40, 8  # Newton steps of a proximal point, and points of the largest σ, at most
_ARMIJO, _HALVINGS = 1e-4, 30
_EPS = np.finfo(np.float64).eps
_SHIFT, _LARGE_SHIFT, _REFINEMENTS = 1e-9, 1e-6, 12


class Point(NamedTuple):
    """New codes as a vector, or `None` between two of them, and the Newton steps that were made so far."""

    codes: np.ndarray | None
    steps: int


class Terms(NamedTuple):
    """λ, μ and whether codes are nonnegative, of one image."""

    sparsity: float
    ridge: float
    nonnegative: bool


def proximal_points(columns: Columns, x: np.ndarray, terms: Terms, start: np.ndarray, max_steps: int) -> Iterator[Point]:
    """Codes, better and better, each as soon as it is found. The caller judges them by their duality gaps and stops where one
    is good enough; it also ends where `max_steps` Newton steps are made, or rounding keeps it from getting on.

    **Arguments:** `x` and `start`: vectors in the order of `columns`.
    """
    z, steps, sigma, lasting = start, 0, _FIRST, 0
    support = np.flatnonzero(z)
    y = x - columns.at(support) @ z[support]
    settled = None
    while steps < max_steps and lasting < _LAST:
        inner = _Inner(columns, x, terms, z, sigma)
        at = inner.evaluate(y)
        first = None
        for _ in range(_NEWTON):
            A = columns.at(at.support)
            gradient = at.y - x + A @ at.codes
            norm = float(np.linalg.norm(gradient))
            first = norm if first is None else first
            # rounding of Dᵀy, of size λ at the support, is divided by a
            hidden = np.sqrt(at.support.size) * terms.sparsity / inner.shift
            floor = 4 * _EPS * (np.linalg.norm(x) + np.linalg.norm(at.y) + hidden)
            if norm <= max(_INNER * first, floor) or steps >= max_steps:
                break
            moved = inner.step(at, inner.direction(A, gradient), gradient)
            steps += 1
            yield Point(None, steps)  # what takes long has a look in between
            if moved is None:  # rounding hides the descent
                break
            at = moved
        y, z = at.y, np.zeros_like(z)
        z[at.support] = at.codes
        yield Point(z, steps)
        signs = np.sign(z)
        if settled is None or not np.array_equal(signs, settled):
            settled = signs
            polished = on_support(columns, x, terms, z)
            if polished is not None:
                yield Point(polished, steps)
        lasting += sigma == _LARGEST
        sigma = min(sigma * _GROWTH, _LARGEST)


class _At(NamedTuple):
    """ψ at y, the support of z(y) and its values there."""

    y: np.ndarray
    value: float
    support: np.ndarray
    codes: np.ndarray


class _Inner:
    """ψ of one proximal point."""

    def __init__(self, columns: Columns, x: np.ndarray, terms: Terms, center: np.ndarray, sigma: float):
        self.columns, self.x, self.terms = columns, x, terms
        self.shift = terms.ridge + 1 / sigma
        self.center = center / sigma

    def evaluate(self, y: np.ndarray) -> _At:
        v = self.columns.analyze(y) + self.center
        lam = self.terms.sparsity
        shrunk = np.maximum(v - lam, 0) if self.terms.nonnegative else np.sign(v) * np.maximum(np.abs(v) - lam, 0)
        support = np.flatnonzero(shrunk)
        kept = shrunk[support]
        value = 0.5 * (y @ y) - self.x @ y + (kept @ kept) / (2 * self.shift)
        return _At(y, float(value), support, kept / self.shift)

    def direction(self, A: Matrix, gradient: np.ndarray) -> np.ndarray:
        """−(I + A Aᵀ/a)⁻¹∇ψ."""
        pixels, columns = A.shape
        if columns > pixels:
            return -ShiftedGram(A, self.shift, pixels=True).solve(gradient)
        if not columns:
            return -gradient
        return A @ ShiftedGram(A, self.shift, pixels=False).solve(A.T @ gradient) - gradient

    def step(self, at: _At, direction: np.ndarray, gradient: np.ndarray) -> _At | None:
        """The point of a step that descends, or `None`."""
        slope = float(gradient @ direction)
        slack = 4 * _EPS * (abs(at.value) + float(self.x @ self.x))
        length = 1.0
        for _ in range(_HALVINGS):
            new = self.evaluate(at.y + length * direction)
            if new.value <= at.value + _ARMIJO * length * slope + (slack if length == 1 else 0):
                return new
            length /= 2
        return None


def on_support(columns: Columns, x: np.ndarray, terms: Terms, z: np.ndarray) -> np.ndarray | None:
    """The minimizer among codes with the support and the signs of z, or `None` where it has other signs."""
    support = np.flatnonzero(z)
    if not support.size:
        return z
    A, signs, found = columns.at(support), np.sign(z[support]), z[support].copy()
    correct = _corrections(A, terms.ridge)
    last = np.inf
    for _ in range(_REFINEMENTS):
        error = A.T @ (x - A @ found) - terms.sparsity * signs - terms.ridge * found
        size = float(np.abs(error).max())
        if size >= 0.5 * last:
            break
        last = size
        found = found + correct(error)
    if not np.array_equal(np.sign(found), signs):
        return None
    polished = np.zeros_like(z)
    polished[support] = found
    return polished


def _corrections(A: Matrix, ridge: float) -> Callable[[np.ndarray], np.ndarray]:
    """(AᵀA + (μ + shift)I)⁻¹, in the pixels where these are fewer than the columns, which are then dependent."""
    pixels, columns = A.shape
    if columns <= pixels:
        return ShiftedGram(A, ridge + _SHIFT, pixels=False).solve
    # the larger shift leaves enough digits after the cancellation
    shift = ridge + _LARGE_SHIFT
    system = ShiftedGram(A, shift, pixels=True)
    return lambda error: (error - A.T @ system.solve(A @ error) / shift) / shift
