"""Block Lanczos with full reorthogonalization: one step at a time, with thick restart and locking.

The state is the relation  A Q_a = Q_a T + X C + Q_l K  between orthonormal rows (written as columns here): locked rows Q_l, the
active ones Q_a, and the pending block X that the next step multiplies. It is exact to rounding whatever the spectrum: blocks
that come out dependent are made full by random rows, whose coupling is zero. Hence the residual of a Ritz pair (θ, Q_a y) is
√(‖C y‖² + ‖K y‖²) to rounding, and products ⟨q, A x⟩ that are known twice tell whether A is symmetric.

Sources: Grimes, Lewis, Simon, *A shifted block Lanczos algorithm* (SIAM J. Matrix Anal. Appl. 1994); Wu, Simon, *Thick-restart
Lanczos method for large symmetric eigenvalue problems* (SIAM J. Matrix Anal. Appl. 2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from scipy.linalg import eigh_tridiagonal

from mcr2_landscape.curvature.frame import Frame, orthonormalize, random_rows
from mcr2_landscape.curvature.space import Space, check_product, rounding_of
from mcr2_landscape.validation import InputError


@dataclass
class Meter:
    """Products done, of those allowed; the largest norm of a product seen, or the operator's own magnitude, which scales what
    rounding does; how far known products were from symmetric; and what the operator says of its rounding."""

    allowed: int
    done: int = 0
    scale: float = 0.0
    asymmetry: float = 0.0
    rounding: float = 0.0

    @property
    def error(self) -> float:
        """What products may be off by, beyond what the dtype resolves."""
        return max(self.asymmetry, self.rounding)

    @property
    def left(self) -> int:
        """Products that may still be done."""
        return self.allowed - self.done


@dataclass
class Locked:
    """Rows that later runs stay orthogonal to: the frame, the operator between them, and the norm of what each one's product
    has outside of them (or less)."""

    frame: Frame
    T: np.ndarray
    outside: np.ndarray

    @staticmethod
    def nothing(space: Space) -> Locked:
        """No rows."""
        return Locked(Frame(space), np.zeros((0, 0)), np.zeros(0))

    @property
    def count(self) -> int:
        """The number of locked rows."""
        return self.T.shape[0]


class Krylov:
    """A run from a random block, orthogonal to what is locked. `refill`: blocks that come out dependent are made full with
    random rows, until the space is exhausted; without, the run ends at the first invariant subspace."""

    def __init__(
        self,
        space: Space,
        random: np.random.Generator,
        meter: Meter,
        *,
        block: int,
        locked: Locked | None = None,
        refill: bool = True,
        start: jax.Array | None = None,
    ):
        self.space, self.random, self.meter, self.block, self.refill = space, random, meter, block, refill
        meter.scale = max(meter.scale, float(space.H.magnitude))
        meter.rounding = rounding_of(space)
        self.locked = Locked.nothing(space) if locked is None else locked
        self.frame = self.locked.frame.shared()
        self.T = np.zeros((0, 0))
        self.K = np.zeros((self.locked.count, 0))
        if start is None:
            self.pending, self.rows = random_rows(self.frame, random, block)
        else:
            self.pending, self.rows = start, block
        self.C = np.zeros((self.rows, 0))
        self.tridiagonal = block == 1  # until a restart
        self.image = self.pending  # of the last step: the products as they came

    @property
    def floor(self) -> float:
        """What a product's rounding may amount to, absolutely; what is below is taken for zero. What the operator says of its
        rounding is not in it: most of that lies in factors that all products share, hence is another operator nearby."""
        return self.space.resolution / 8 * self.meter.scale + self.meter.asymmetry

    @property
    def ended(self) -> bool:
        """No direction is left to multiply."""
        return self.rows == 0

    def step(self) -> None:
        """Multiply the pending block, and orthogonalize what comes out.

        **Raises:** `InputError` for products that are not finite, not symmetric, or depend on a state.
        """
        old, rows, held = self.T.shape[0], self.rows, self.locked.count
        X = self.pending
        self.frame.append(X, rows)
        W = self.space.products(X)
        sizes = np.linalg.norm(np.asarray(W, dtype=np.float64), axis=1)
        if not np.isfinite(sizes).all():
            raise InputError("H: a product is not finite; take a point where the function is twice differentiable")
        self.meter.scale = max(self.meter.scale, float(sizes.max(initial=0.0)))
        if self.meter.done == 0:
            check_product(self.space, X[:1], np.asarray(W[:1], dtype=np.float64), self.meter.rounding)
            self.meter.done += 1
        self.meter.done += rows
        self.image = W
        c, R, pending, found = orthonormalize(self.frame, W, self.floor, inside=True)
        c, R = c[:, :rows], R[:rows]
        self._check_symmetry(c, old, held)
        new = c[held:]
        T = np.zeros((old + rows, old + rows))
        T[:old, :old] = self.T
        T[:old, old:] = 0.5 * (new[:old] + self.C.T)
        T[old:, :old] = T[:old, old:].T
        T[old:, old:] = 0.5 * (new[old:] + new[old:].T)
        self.T = T
        self.K = np.concatenate([self.K, c[:held]], axis=1)
        if found < self.block and self.refill:
            pending, self.rows = random_rows(self.frame, self.random, self.block, pending, found)
        else:
            self.rows = found
        self.pending = pending
        self.C = np.zeros((self.rows, old + rows))
        self.C[:found, old:] = R.T

    def _check_symmetry(self, c: np.ndarray, old: int, held: int) -> None:
        """Products with earlier rows are known from those rows' own products; with locked ones, up to their residuals. A
        product may lose half its digits to cancellation; what it lost is counted as rounding from here on."""
        new = c[held + old :]
        found = [np.abs(new - new.T).max(initial=0.0), np.abs(c[held : held + old] - self.C.T).max(initial=0.0)]
        found.append((np.abs(c[:held]) - self.locked.outside[:, None]).max(initial=0.0))
        worst = max(float(value) for value in found)
        self.meter.asymmetry = max(self.meter.asymmetry, worst)
        half = max(float(np.sqrt(np.finfo(self.space.dtype).eps)), 4 * self.space.resolution)
        if worst > half * self.meter.scale + 4 * self.meter.rounding:
            raise InputError(
                f"H: not symmetric: ⟨u, H v⟩ and ⟨v, H u⟩ differ by {worst:.1e} for unit u and v, where H v is of size "
                f"{self.meter.scale:.1e}; a Hessian is symmetric: check the product (check_derivatives does), or that it "
                "has no state"
            )

    def ritz(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ritz values of the active rows (ascending), their coefficients as columns, and their residual norms (less
        rounding)."""
        if self.tridiagonal:  # but for rounding, and this asks nothing of a threaded library: it is called after every step
            values, Y = eigh_tridiagonal(np.diag(self.T), np.diag(self.T, 1))
        else:
            values, Y = np.linalg.eigh(self.T)
        return values, Y, np.sqrt(np.sum((self.C @ Y) ** 2, axis=0) + np.sum((self.K @ Y) ** 2, axis=0))

    def restart(self, Y: np.ndarray) -> None:
        """Keep the Ritz vectors of the coefficients Y (columns of `ritz`) and the pending block; drop the others."""
        coefficients = np.concatenate([np.zeros((self.locked.count, Y.shape[1])), Y])
        panels = self.frame.combined(coefficients)
        self.frame = self.locked.frame.shared()
        self.frame.adopt(panels)
        self.tridiagonal = False
        self.T, self.C, self.K = Y.T @ self.T @ Y, self.C @ Y, self.K @ Y

    def lock(self, Y: np.ndarray) -> Locked:
        """What is locked, and the Ritz vectors of the coefficients Y with it."""
        panels = self.frame.combined(np.concatenate([np.zeros((self.locked.count, Y.shape[1])), Y]))
        frame = self.locked.frame.shared()
        frame.adopt(panels)
        coupling = self.K @ Y
        T = np.block([[self.locked.T, coupling], [coupling.T, Y.T @ self.T @ Y]])
        own = np.linalg.norm(self.C @ Y, axis=0) + self.floor
        return Locked(frame, T, np.concatenate([self.locked.outside, own]))
