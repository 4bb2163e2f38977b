"""The objective and its derivatives in ball arithmetic (python-flint): every result encloses the true one.

With alpha = d/(m eps²), alpha_k = alpha rho_k, rho_k = m/m_k and ell = lambda/alpha, all derivatives are divided by alpha > 0,
which changes no sign and no critical point:

    F(Z)           = ½ logdet(I + alpha Z Zᵀ) − Σ_k logdet(I + alpha_k Z_k Z_kᵀ)/(2 rho_k) − (lambda/2) ‖Z‖²
    ∇F(Z)_k/alpha  = A Z_k − A_k Z_k − ell Z_k

    H(Z)[D]/alpha  = A D M − alpha P Dᵀ P − (A_k D_k M_k − alpha_k P_k D_kᵀ P_k)_k − ell D

with A = (I + alpha Z Zᵀ)^{-1}, A_k = (I + alpha_k Z_k Z_kᵀ)^{-1}, P = A Z and M = I − alpha Zᵀ P (and the same class by class),
since d(A Z)[D] = A D M − alpha P Dᵀ P. A ball that holds several points gives balls that hold the derivatives at each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from flint import arb, arb_mat, fmpq

from mcr2_landscape.certify.exact import Block, CertificateError, ExactFamily, ExactProblem, Threshold, Undecided

LARGEST_FAMILY = 1 << 16  # unknowns of a point that is built from its blocks


def ball(number: Fraction | int) -> arb:
    """A rational number as a ball at the working precision."""
    number = Fraction(number)
    return arb(fmpq(number.numerator, number.denominator))


def identity(size: int) -> arb_mat:
    """The identity matrix."""
    return arb_mat(size, size, [int(i == j) for i in range(size) for j in range(size)])


def columns(Z: arb_mat, start: int, stop: int) -> arb_mat:
    """The columns from `start` to before `stop`."""
    return arb_mat(Z.nrows(), stop - start, [Z[i, j] for i in range(Z.nrows()) for j in range(start, stop)])


class BallProblem:
    """The numbers of a problem as balls, at the working precision of the moment it is made."""

    def __init__(self, problem: ExactProblem):
        self.problem = problem
        self.dim, self.sizes = problem.dim, problem.sizes
        self.alpha = ball(problem.alpha)
        self.ratios = [ball(ratio) for ratio in problem.ratios]
        weight = problem.regularization
        if isinstance(weight, Threshold):
            root = self.ratios[weight.of_class - 1].sqrt()
            self.ell = ball(weight.fraction) * (root - 1) / (root + 1)
        else:
            self.ell = ball(weight / problem.alpha)
        self.spans = list(_spans(self.sizes))

    def value(self, Z: arb_mat) -> arb:
        """F(Z)."""
        total = self._logdet(Z, self.alpha) / 2
        for ratio, span in zip(self.ratios, self.spans, strict=True):
            total -= self._logdet(columns(Z, *span), self.alpha * ratio) / (2 * ratio)
        return total - self.alpha * self.ell / 2 * squared_norm(Z.entries())

    def _logdet(self, Z: arb_mat, scale: arb) -> arb:
        # On the smaller side the determinant is the same.
        gram = Z * Z.transpose() if Z.nrows() <= Z.ncols() else Z.transpose() * Z
        return (identity(gram.nrows()) + gram * scale).det().log()

    def _parts(self, Z: arb_mat) -> Iterator[tuple[int, arb, arb_mat, tuple[int, int]]]:
        """Sign, alpha, block and its columns: first for all of Z, then class by class."""
        yield 1, self.alpha, Z, (0, Z.ncols())
        for ratio, span in zip(self.ratios, self.spans, strict=True):
            yield -1, self.alpha * ratio, columns(Z, *span), span

    def gradient(self, Z: arb_mat) -> list[arb]:
        """∇F(Z)/alpha, the entries in C order.

        **Raises:** `ZeroDivisionError` where a ball is too wide, as all derivatives do.
        """
        d, m = Z.nrows(), Z.ncols()
        entries = [-self.ell * z for z in Z.entries()]
        for sign, scale, block, (start, stop) in self._parts(Z):
            P, _ = _resolvent(block, scale)
            for i in range(d):
                for j in range(start, stop):
                    entries[i * m + j] += sign * P[i, j - start]
        return entries

    def hessian(self, Z: arb_mat) -> arb_mat:
        """H(Z)/alpha, rows and columns in C order of Z, exactly symmetric."""
        d, m = Z.nrows(), Z.ncols()
        n = d * m
        rows = [[arb(0)] * n for _ in range(n)]
        for sign, scale, block, (start, stop) in self._parts(Z):
            A = _inverse(block * block.transpose(), scale)
            P = A * block
            M = identity(block.ncols()) - block.transpose() * P * scale
            a, b = (A * sign).tolist(), M.tolist()
            left, right = (P * (-sign * scale)).tolist(), P.tolist()
            for i in range(d):
                for j in range(start, stop):
                    row, M_j, P_i = rows[i * m + j], b[j - start], left[i]
                    for p in range(i, d):  # the upper triangle
                        A_ip, P_pj, place = a[i][p], right[p][j - start], p * m
                        for q in range(j if p == i else start, stop):
                            row[place + q] += A_ip * M_j[q - start] + P_i[q - start] * P_pj
        for r in range(n):
            rows[r][r] -= self.ell
            for c in range(r):
                rows[r][c] = rows[c][r]
        return arb_mat(n, n, [entry for row in rows for entry in row])

    def curvature(self, Z: arb_mat, D: arb_mat) -> arb:
        """⟨D, H(Z)[D]⟩/alpha, without forming H: no matrix here is larger than Z and D."""
        total = -self.ell * squared_norm(D.entries())
        for sign, scale, block, span in self._parts(Z):
            part = columns(D, *span)
            P, inverse = _resolvent(block, scale)
            if block.ncols() < self.dim:  # the inverse is M, and A = I − scale P Zᵀ
                image = (part - P * (block.transpose() * part) * scale) * inverse - P * (part.transpose() * P) * scale
            else:  # it is A, and M = I − scale Zᵀ P
                moved = inverse * part
                image = moved - (moved * block.transpose() + P * part.transpose()) * P * scale
            total += sign * sum((x * y for x, y in zip(image.entries(), part.entries(), strict=True)), arb(0))
        return total

    def root(self, weight: int, dimension: int, sign: str) -> arb:
        """s = alpha mu of an eigenspace of the given dimension with Σ_k p_k m_k = `weight`: the root of
        1/(1 + s) − 1/(1 + rho s) = ell, rho = n m/weight, with this sign; that is, of ell rho s² − beta s + ell = 0 with beta =
        rho − 1 − ell (1 + rho).

        With large = s₊, the larger one, s₊ s₋ = 1/rho gives the other.

        **Raises:** `CertificateError` where there is none, `Undecided` where the precision does not tell.
        """
        ratio = Fraction(dimension * self.problem.num_samples, weight)
        if ratio <= 1:
            raise CertificateError("subject: every class fills an eigenspace, where the critical equation has no root")
        rho = ball(ratio)
        beta = rho - 1 - self.ell * (1 + rho)
        discriminant = beta * beta - 4 * rho * self.ell * self.ell
        if discriminant < 0 or beta < 0:
            raise CertificateError(f"subject: no block of ratio {ratio}: lambda is above its threshold")
        if not (discriminant > 0 and beta > 0):
            raise Undecided(
                f"subject: the two roots at ratio {ratio} cannot be told apart: lambda is at its threshold or near it"
            )
        large = (beta + discriminant.sqrt()) / (2 * rho * self.ell)
        return large if sign == "+" else 1 / (rho * large)

    def point(self, family: ExactFamily) -> arb_mat:
        """The critical point that the family describes, in its standard position: blocks on consecutive rows, and each class's
        columns taken in order.

        **Raises:** `CertificateError` where a block does not exist or does not fit.
        """
        d, m = self.dim, self.problem.num_samples
        if d * m > LARGEST_FAMILY:
            raise CertificateError(f"problem: {d * m} unknowns; points are built up to {LARGEST_FAMILY}")
        entries = [arb(0)] * (d * m)
        row = 0
        free = [start for start, _ in self.spans]
        for block in family.blocks:
            ranks = block.ranks(len(self.sizes))
            weight = sum(rank * size for rank, size in zip(ranks, self.sizes, strict=True))
            mu = self.root(weight, block.dimension, block.sign) / self.alpha
            for _ in range(block.count):
                if row + block.dimension > d:
                    raise CertificateError(f"subject: rank {family.rank} does not fit into dim = {d}")
                for k, basis in self._bases(block):
                    # Σ_k x_k P_k = mu I with x_k ∝ m_k: x_k = mu n m_k / Σ p_j m_j.
                    size = (mu * ball(Fraction(block.dimension * self.sizes[k], weight))).sqrt()
                    for vector in basis:
                        if free[k] >= self.spans[k][1]:
                            raise CertificateError(f"subject: class {k + 1} has only {self.sizes[k]} columns")
                        for i, coordinate in enumerate(vector):
                            entries[(row + i) * m + free[k]] = size * coordinate
                        free[k] += 1
                row += block.dimension
        return arb_mat(d, m, entries)

    def _bases(self, block: Block) -> Iterable[tuple[int, Sequence[Sequence[arb]]]]:
        """For each class of a block, its place and orthonormal vectors that span its subspace."""
        one, zero = arb(1), arb(0)
        if block.shape == "line":
            for k in block.classes:
                yield k - 1, [(one,)]
            return
        a, b, c = (self.sizes[k - 1] for k in block.classes)
        if not (a < b + c and b < a + c and c < a + b):
            raise CertificateError(f"subject: sides {a}, {b}, {c} close no triangle")
        # The sides m e^{2iθ} add up to zero: with θ_1 = 0 the law of cosines gives cos 2θ_2 and cos 2θ_3, rational numbers.
        cosines = (Fraction(1), Fraction(c * c - a * a - b * b, 2 * a * b), Fraction(b * b - a * a - c * c, 2 * a * c))
        for k, double, side in zip(block.classes, cosines, (1, 1, -1), strict=True):
            cosine, sine = (ball((1 + double) / 2).sqrt(), side * ball((1 - double) / 2).sqrt())
            yield k - 1, [(cosine, sine)]
        for k in block.filled:
            yield k - 1, [(one, zero), (zero, one)]


def _inverse(gram: arb_mat, scale: arb) -> arb_mat:
    return (identity(gram.nrows()) + gram * scale).inv()


def _resolvent(block: arb_mat, scale: arb) -> tuple[arb_mat, arb_mat]:
    """P = A Z = Z M and the smaller of M and A."""
    if block.ncols() < block.nrows():
        M = _inverse(block.transpose() * block, scale)
        return block * M, M
    A = _inverse(block * block.transpose(), scale)
    return A * block, A


def squared_norm(entries: Iterable[arb]) -> arb:
    """The sum of squares."""
    total = arb(0)
    for entry in entries:
        total += entry * entry  # `entry**2` of a ball about zero is nan
    return total


def _spans(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for size in sizes:
        yield start, start + size
        start += size
