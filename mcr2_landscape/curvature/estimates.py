"""Trace and diagonal from products, with standard errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from mcr2_landscape.curvature.frame import PANEL, Frame, orthonormalize
from mcr2_landscape.curvature.krylov import Krylov, Meter
from mcr2_landscape.curvature.space import dimension_of, make_space, operator_of, precision_of
from mcr2_landscape.memory import require
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import positive_integer

_BLOCK = 8


@dataclass(frozen=True)
class TraceEstimate(Record):
    """An estimate of the trace: `value`, its `standard_error` (rounding included), and the products spent.
    `num_samples` is the number of random vectors that the error was estimated from: few of them make it uncertain itself (a
    Student t of num_samples − 1 degrees of freedom); 0 where the sketch has the whole trace."""

    value: float
    standard_error: float
    num_samples: int
    num_products: int


@dataclass(frozen=True)
class DiagonalEstimate(Record):
    """An unbiased estimate of the diagonal: `values` and `standard_errors` of the operator's shape; the rest as in
    `TraceEstimate`."""

    values: np.ndarray
    standard_errors: np.ndarray
    num_samples: int
    num_products: int


def trace(H: Any, *, num_products: int = 90, deflate: Any = None, key: Any = 0) -> TraceEstimate:
    """The trace of H on its own subspace, less what is deflated.

    A third of the products sketch the dominant eigenvectors, a third take their part of the trace exactly, and a third sample
    what is left with random signs (Hutch++): the error falls like 1/num_products, not like its root, and is small where a few
    eigenvalues stand out from a bulk (whose mean is taken out of the
    samples by a control variate). With products enough for every dimension the trace is exact up to rounding. Host function,
    deterministic for a given key.

    **Arguments:** `num_products`: at least 8; `H`, `deflate`: as in `eigenpairs`.

    **Raises:** `InputError` as `eigenpairs`.

    Source: Meyer, Musco, Musco, Woodruff, *Hutch++: optimal stochastic trace estimation* (SOSA 2021).
    """
    with precision_of(operator_of(H)):
        sketch = _Sketch(H, num_products, deflate, key)
        value = sum(float(np.sum(Q * image)) for Q, image in sketch.dominant())
        samples, squares = [np.zeros(0)], [np.zeros(0)]
        for X, image in sketch.remainder():
            samples.append(np.sum(X * image, axis=1))
            squares.append(np.sum(X * X, axis=1))
        mean, error = _regressed(np.concatenate(samples), np.concatenate(squares), sketch.rest())
        count = sum(part.size for part in samples)
        rounding = sketch.rounding * np.sqrt(sketch.space.size)
        return TraceEstimate(value + mean, float(error + rounding), count, sketch.done)


def diagonal(H: Any, *, num_products: int = 90, deflate: Any = None, key: Any = 0) -> DiagonalEstimate:
    """The diagonal of H between projections on its own subspace, less what is deflated, in the coordinates of its shape.

    With P the projection on a sketch of the dominant eigenvectors, the diagonal of P H + (I − P) H P is taken exactly, that of
    (I − P) H (I − P) sampled with random signs. The samples of an entry may agree by chance: where they vary less than those of
    the other entries, its error is moderated by theirs. Arguments and errors as `trace`.

    Sources: Bekas, Kokiopoulou, Saad, *An estimator for the diagonal of a matrix* (Appl. Numer. Math. 2007); Baston,
    Nakatsukasa, *Stochastic diagonal estimation: probabilistic bounds and an improved algorithm* (2022).
    """
    with precision_of(operator_of(H)):
        sketch = _Sketch(H, num_products, deflate, key)
        values = np.zeros(sketch.space.size)
        for Q, image in sketch.dominant():
            inner = sketch.outside(image)
            values += np.sum(Q * (image + inner), axis=0)
        mean, squares, count = np.zeros_like(values), np.zeros_like(values), 0
        for X, image in sketch.remainder(signs=True):
            for sample in X * image:
                count += 1
                step = sample - mean  # Welford: no cancellation in the variance
                mean += step / count
                squares += step * (sample - mean)
        error = np.zeros_like(values)
        if count > 1:
            # an entry that the space has no part of is known to be zero, and says nothing of the others
            live = sketch.live()
            error[live] = np.sqrt(_moderated(squares[live] / (count - 1), count - 1) / count)
        rounding = sketch.rounding
        found, errors = sketch.space.shaped(np.stack([values + mean, error + rounding]))
        return DiagonalEstimate(found, errors, count, sketch.done)


class _Sketch:
    """Orthonormal rows Q near the dominant eigenvectors, and random rows orthogonal to them, with their products, in NumPy
    float64 and in blocks."""

    def __init__(self, H: Any, num_products: int, deflate: Any, key: Any):
        num_products = positive_integer("num_products", num_products, minimum=8)
        # the first product of a run is repeated to probe the operator
        rank = min((num_products - 1) // 3, H.size)
        require(
            "num_products",
            np.dtype(H.dtype).itemsize * float(H.size) * (2 * rank + 6 * PANEL),
            f"a sketch of {rank} rows of {H.size:,} numbers is kept; pass fewer products, or restrict the operator",
        )
        self.random = generator(key)
        self.space = make_space(H, deflate, self.random)
        self.allowed = num_products
        meter = Meter(num_products)
        self.images = Frame(self.space)
        blocks = -(-rank // _BLOCK)
        block = rank // blocks
        for _ in range(blocks):
            run = Krylov(self.space, self.random, meter, block=block)
            run.step()
            products = run.T.shape[0]
            _, _, rows, found = orthonormalize(self.images, run.image, run.floor, inside=True)
            self.images.append(rows, found)
            if found == 0 or products < block:
                break
        self.rounding, self.done = self.space.resolution * meter.scale + meter.error, meter.done

    def dominant(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of Q, and of H Q."""
        rows = self.images.array()
        for start in range(0, rows.shape[0], _BLOCK):
            Q = _padded(rows[start : start + _BLOCK])
            image = self.space.products(Q)
            self.done += min(_BLOCK, rows.shape[0] - start)
            yield np.asarray(Q, dtype=np.float64), np.asarray(image, dtype=np.float64)

    def rest(self) -> float | None:
        """The dimension outside of Q, `None` where it is not known."""
        dimension = dimension_of(self.space, self.random)
        return None if dimension is None else float(dimension - self.images.count)

    def live(self) -> np.ndarray:
        """Which entries some vector of the space has, (n,)."""
        draw = self.space.draw(self.random, 1)
        inside = np.asarray(self.space.inside(self.space.rows(draw)), dtype=np.float64)[0]
        return np.abs(inside) > 1e3 * float(np.finfo(self.space.dtype).eps)

    def outside(self, rows: np.ndarray) -> np.ndarray:
        """The rows less their parts in the span of Q."""
        return np.asarray(self.images.remove(self.space.rows(rows))[1], dtype=np.float64)

    def remainder(self, *, signs: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of random signs X (less their part in the span of Q, unless `signs`), and of (I − P) H (I − P) X, with the
        products that are left; nothing where Q spans all that the operator does."""
        left = self.allowed - self.done
        while left > 0:
            count = min(_BLOCK, left)
            signs_drawn = np.zeros((_BLOCK, self.space.size))
            signs_drawn[:count] = self.random.choice([-1.0, 1.0], size=(count, self.space.size))
            X = self.images.remove(self.images.remove(self.space.rows(signs_drawn))[1])[1]
            if float(np.abs(np.asarray(X)).max()) <= 1e3 * float(np.finfo(self.space.dtype).eps):
                return  # Q spans the space
            _, image = self.images.remove(self.space.products(X), inside=True)
            shown = signs_drawn if signs else np.asarray(X, dtype=np.float64)
            yield shown[:count], np.asarray(image, dtype=np.float64)[:count]
            self.done += count
            left -= count


def _regressed(samples: np.ndarray, squares: np.ndarray, expected: float | None) -> tuple[float, float]:
    """The mean of the samples and its standard error. The squared lengths of the random vectors, whose expectation is known,
    are a control variate: what the samples share with them is no chance, so that a multiple of the identity is estimated
    exactly."""
    if samples.size < 2:
        return (float(samples.mean()) if samples.size else 0.0), 0.0
    if expected is None or samples.size < 8 or np.ptp(squares) <= 1e-12 * squares.max():
        return float(samples.mean()), float(samples.std(ddof=1) / np.sqrt(samples.size))
    centered = squares - squares.mean()
    slope = float(centered @ samples / (centered @ centered))
    residuals = samples - samples.mean() - slope * centered
    error = float(np.sqrt(residuals @ residuals / (samples.size - 2) / samples.size))
    return float(samples.mean() + slope * (expected - squares.mean())), error


def _moderated(variances: np.ndarray, degrees: int) -> np.ndarray:
    """Sample variances of `degrees` degrees of freedom, those below their mean moved toward it as far as chance explains that
    they differ: the posterior mean (ν μ + degrees s²)/(ν + degrees) of each variance under a common conjugate prior, whose mean
    μ and weight ν come from the first two moments of all (logarithms, as usual for ν, know no zero). Those above are left
    alone: an entry that truly varies more must not have its error understated by the others.

    Sources: Smyth, *Linear models and empirical Bayes methods for assessing differential expression in microarray experiments*
    (Stat. Appl. Genet. Mol. Biol. 2004), section 3; for leaving some alone Efron, Morris, *Limiting the risk of Bayes and
    empirical Bayes estimators* (J. Amer. Stat. Assoc. 1971, 1972).
    """
    largest = float(variances.max(initial=0.0))
    if largest == 0:
        return variances
    scaled = variances / largest
    mean, square = float(scaled.mean()), float(np.mean(scaled**2))
    # s² = σ² χ²/degrees: its mean square is (1 + 2/degrees) times that of σ²
    spread = square / (1 + 2 / degrees) - mean**2
    weight = max(spread, 0.0) / (square - mean**2) if square > mean**2 else 0.0
    return np.maximum(variances, largest * (mean + weight * (scaled - mean)))


def _padded(rows: jax.Array) -> jax.Array:
    missing = _BLOCK - rows.shape[0]
    return rows if missing == 0 else jax.numpy.pad(rows, ((0, missing), (0, 0)))
