"""How the claims on the decoder are checked. A keyword argument of a check is what it puts to
the test; a wrong one must change the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from mcr2_landscape import closed_form
from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.ctrl import SubspaceGame
from mcr2_landscape.ctrl.single import SingleSubspaceGame
from mcr2_landscape.verdict import Evidence, Verdict
from paper_checks.pai_2022.common import fact, log_det, random_factors, refuting, samples_of

Matrix = list[list[Fraction]]


def distance(P: np.ndarray, P_hat: np.ndarray, scale: float) -> float:
    """D_j from its definition."""
    eye = np.eye(P.shape[0])
    apart = log_det(eye + scale * P) + log_det(eye + scale * P_hat)
    return 0.5 * log_det(eye + scale / 2 * (P + P_hat)) - 0.25 * apart


def _spectral_distance(P: np.ndarray, P_hat: np.ndarray, scale: float) -> float:
    """¼ Σ log((1 + μ)²/(4μ))."""
    eye = np.eye(P.shape[0])
    values = scipy.linalg.eigh(eye + scale * P_hat, eye + scale * P, eigvals_only=True)
    return 0.25 * float(np.log((1 + values) ** 2 / (4 * values)).sum())


def decoder_eliminated(
    run: Run,
    *,
    decoder: Callable[[np.ndarray], np.ndarray] = lambda F: np.linalg.pinv(F, rcond=1e-10),
    spectral: Callable[[np.ndarray, np.ndarray, float], float] = _spectral_distance,
) -> Outcome:
    """D against its spectral form and the library's; D(F, F⁺) for encoders of every rank and classes in any position."""
    random, forms, zeros, library, positive = np.random.default_rng(run.seed), [], [], [], []
    for number in range(run.choose(40, 200, 2000)):
        ambient, dim = (5, 4) if number % 8 == 0 else (int(random.integers(2, 7)), int(random.integers(1, 6)))
        # dependent classes too
        ranks = (2, 1) if number % 8 == 0 else tuple(int(r) for r in random.integers(1, 4, size=int(random.integers(2, 4))))
        factors = random_factors(random, ambient, [min(rank, ambient) for rank in ranks])
        rank = int(random.integers(1, min(dim, ambient) + 1))
        F = random.standard_normal((dim, rank)) @ random.standard_normal((rank, ambient))
        G, scale = random.standard_normal((ambient, dim)), float(10 ** random.uniform(-1, 1))
        for C in factors:
            A = F @ C
            P, image = A @ A.T, F @ G @ A
            own = distance(P, image @ image.T, scale)
            forms.append(abs(own - spectral(P, image @ image.T, scale)) / (1 + own))
            positive.append(0.0 if own > 0 else 1.0)
            back = F @ decoder(F) @ A
            zeros.append(abs(distance(P, back @ back.T, scale)))
        if number % 8 == 0:
            game = SubspaceGame(*samples_of(factors, (6, 8), random), dim=dim, epsilon=1.0)
            with jax.enable_x64(True):
                found = np.asarray(game.distances(jnp.asarray(F), jnp.asarray(G)))
            own_values = [
                distance((F @ C) @ (F @ C).T, (F @ G @ F @ C) @ (F @ G @ F @ C).T, dim / size)
                for C, size in zip(factors, (6, 8), strict=True)
            ]
            library.append(float(np.abs(found - own_values).max()))
    return Outcome.of(
        [
            *run.certify(),
            Part.measured("spectral form", forms, 1e-7, "D less ¼ Σ log((1 + μ)²/(4μ)), over 1 + D", seeds=run.seed),
            Part.measured("positive", positive, 0.5, "decoders drawn at random with D ≤ 0", seeds=run.seed, refuted_beyond=1),
            Part.measured("the pseudo-inverse", zeros, 1e-10, "D(F, F⁺)", seeds=run.seed),
            Part.measured("the library", library, 1e-10, "D less the library's", seeds=run.seed),
        ]
    )


def _times(X: Matrix, Y: Matrix) -> Matrix:
    return [
        [sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0)) for column in zip(*Y, strict=True)] for row in X
    ]


def recalled_responses(run: Run, *, cosine: Fraction = Fraction(3, 5)) -> Outcome:
    """F = I, P = diag(1, 4), M of the statement with c = 3/5, s = 4/5, u = 1, v = 2: MPMᵀ = P in rational arithmetic, FGF ≠
    F."""
    sine = Fraction(4, 5)
    P = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(4)]]
    M = [[cosine, -sine / 2], [sine * 2, cosine]]
    moved = _times(_times(M, P), [list(row) for row in zip(*M, strict=True)])
    words = "With F = I and P = diag(1, 4), G = M = [[3/5, −2/5], [8/5, 3/5]] has MPMᵀ = P, so D = 0, but FGF = G ≠ F."
    identity: Matrix = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]]
    return Outcome.of(refuting(run, "another decoder", [fact("example", moved == P and identity != M, Evidence.EXACT, words)]))


def response_dimension(F: np.ndarray, factors: Sequence[np.ndarray]) -> int:
    """The formula of the statement."""
    ranks = [int(np.linalg.matrix_rank(F @ C, tol=1e-8)) for C in factors]
    rank, total = int(np.linalg.matrix_rank(F, tol=1e-8)), sum(ranks)
    dim, ambient = F.shape
    return sum(m * (m - 1) // 2 for m in ranks) + (ambient - rank) * total + ambient * (dim - total)


def _response_jacobian(F: np.ndarray, G: np.ndarray, factors: Sequence[np.ndarray]) -> np.ndarray:
    """The derivative of G ↦ (M P_j Mᵀ)_j, one column for each entry of G."""
    M, columns = F @ G, []
    for a in range(G.shape[0]):
        for c in range(G.shape[1]):
            dM = np.zeros_like(M)
            dM[:, c] = F[:, a]
            parts = [dM @ (F @ C) @ (M @ F @ C).T for C in factors]
            columns.append(np.concatenate([(part + part.T).ravel() for part in parts]))
    return np.array(columns).T


def _keeping(random: np.random.Generator, dim: int, factors: Sequence[np.ndarray], kept: Sequence[int]) -> np.ndarray:
    """An encoder that keeps so many dimensions of each independent class, its images in general position, and a random part of
    what no class spans."""
    C = np.concatenate(factors, axis=1)
    A = [
        random.standard_normal((dim, m)) @ random.standard_normal((m, own.shape[1]))
        for own, m in zip(factors, kept, strict=True)
    ]
    back = np.linalg.pinv(C)
    rest = random.standard_normal((dim, 1)) @ random.standard_normal((1, C.shape[0])) @ (np.eye(C.shape[0]) - C @ back)
    return np.concatenate(A, axis=1) @ back + rest


def best_responses(run: Run, *, dimension: Callable[[np.ndarray, Sequence[np.ndarray]], int] = response_dimension) -> Outcome:
    """Random members of the library's set: D = 0; the set's dimension against the nullity of MPMᵀ there, which is that of D's
    Hessian; and how D grows away from it."""
    random, errors, exceptions, growth, count = np.random.default_rng(run.seed), [], [], [], 0
    for number in range(run.choose(20, 80, 800)):
        ranks = [int(r) for r in random.integers(1, 4, size=int(random.integers(1, 4)))]
        ambient, dim = sum(ranks) + int(random.integers(0, 3)), sum(ranks) + int(random.integers(0, 2))
        factors = random_factors(random, ambient, ranks)
        # some of each class lost, in a third of the games
        kept = ranks if number % 3 else [int(random.integers(1, rank + 1)) for rank in ranks]
        F = _keeping(random, dim, factors, kept)
        images = np.linalg.svd(np.concatenate([F @ C for C in factors], axis=1), compute_uv=False)
        if images[sum(kept) - 1] < 1e-2 * images[0]:  # dependent, or nearly
            continue
        if len(ranks) > 1:
            sizes = [rank + 2 for rank in ranks]
            game = SubspaceGame(*samples_of(factors, sizes, random), dim=dim, epsilon=1.0)
            responses = game.best_response(F)
            G, listed = responses.sample(int(random.integers(2**31)), scale=0.3), responses.dimension
        else:
            G, listed = np.linalg.pinv(F, rcond=1e-10), None
        for C in factors:
            A, image = F @ C, F @ G @ F @ C
            errors.append(float(np.linalg.norm(image @ image.T - A @ A.T) / np.linalg.norm(A @ A.T)))
        singular = np.linalg.svd(_response_jacobian(F, G, factors), compute_uv=False)
        found = G.size - int((singular > 1e-9 * singular[0]).sum())
        count += 1
        if found != dimension(F, factors) or (listed is not None and listed != found):
            exceptions.append(f"ranks {ranks}, d_x = {ambient}, d_z = {dim}: nullity {found}, formula {dimension(F, factors)}")
        direction = random.standard_normal(G.shape)
        near, far = (sum(_total_distance(F, G + s * t * direction, factors) for s in (1, -1)) for t in (1e-4, 2e-4))
        growth.append(abs(far / near - 4))
    return Outcome.of(
        [
            Part.measured("members", errors, 1e-7, "‖MPMᵀ − P‖/‖P‖", seeds=run.seed),
            Part.counted("dimension", count, exceptions, "the formula is the nullity", seeds=run.seed),
            Part.measured(
                "growth", growth, 0.1, "D on both sides at twice the distance over that at once, less four", seeds=run.seed
            ),
        ]
    )


def _total_distance(F: np.ndarray, G: np.ndarray, factors: Sequence[np.ndarray]) -> float:
    total = 0.0
    for C in factors:
        A, image = F @ C, F @ G @ F @ C
        total += distance(A @ A.T, image @ image.T, 1 / float(np.linalg.norm(A, 2)) ** 2)
    return total


def single_subspace(run: Run, *, stretched: float = 0.0) -> Outcome:
    """Equilibria of the library's game: fgf(S) = f(S), gf is ±1 along the principal directions, and −1 occurs. `stretched`
    spoils the decoder."""
    random, recovered, signs, stackelberg, unrecovered = np.random.default_rng(run.seed), [], [], [], 0
    shapes = ((6, 4, 3), (5, 7, 2))[: run.choose(1, 2, 2)]
    for ambient, dim, rank in shapes:
        for _ in range(run.choose(6, 20, 200)):
            (C,) = random_factors(random, ambient, [rank])
            X, _ = samples_of([C], [rank + 5], random)
            game = SingleSubspaceGame(X, dim=dim, epsilon=0.7)
            F = game.solve(key=int(random.integers(2**31))).encoder
            responses = game.best_response(F)
            G = responses.sample(int(random.integers(2**31)))
            if stretched:
                turn = np.eye(dim)
                c, s = np.cos(stretched), np.sin(stretched)
                turn[:2, :2] = [[c, -s], [s, c]]
                G = G @ turn
            U = np.linalg.svd(C, full_matrices=False)[0]
            back = U.T @ G @ F @ U
            image, again = F @ U, F @ G @ F @ U
            inside = again - image @ np.linalg.lstsq(image, again, rcond=None)[0]
            recovered.append(float(np.linalg.norm(inside)))
            signs.append(float(np.abs(np.abs(back) - np.eye(rank)).max()))
            report = game.verify_equilibrium(F, G)
            stackelberg.append(0.0 if report.stackelberg is Verdict.HOLDS else 1.0)
            unrecovered += bool(np.diagonal(back).min() < -0.5)
    words = f"At {unrecovered} of {len(signs)} of them some x are not recovered, gf being −1 along a direction."
    example = Part("not every x", Verdict.HOLDS if unrecovered else Verdict.UNDECIDED, Evidence.NUMERICAL, words)
    return Outcome.of(
        [
            *run.certify(),
            Part.measured("fgf(S) = f(S)", recovered, 1e-8, "what of fgf(S) is outside f(S)", seeds=run.seed),
            Part.measured("signs", signs, 1e-7, "|gf| on the principal directions less the identity", seeds=run.seed),
            Part.measured("equilibria", stackelberg, 0.5, "pairs that are none", seeds=run.seed, refuted_beyond=1),
            example,
        ]
    )


# -- second derivatives -------------------------------------------------------------------------------------------------------


def _gauss_newton_example() -> tuple[Fraction, Fraction]:
    """At F = G = diag(1, 0), X_2 = e_1 + e_2, β = 1: ⟨V, D_ff V⟩ for V = e_2e_2ᵀ, and the largest ⟨V, D_fg W⟩ over unit
    matrices W. At D = 0 the second derivative is (β²/8) tr(EΔEΔ') with the first derivatives Δ of P − P̂ and E = (I + βP)⁻¹."""
    one, zero = Fraction(1), Fraction(0)
    F = G = [[one, zero], [zero, zero]]
    M = _times(F, G)
    zeros = [[zero, zero], [zero, zero]]
    E = [[Fraction(1, 2), zero], [zero, one]]
    P = [[one, zero], [zero, zero]]
    c = [[one], [one]]

    def derivative(V: Matrix, W: Matrix) -> Matrix:
        A, dA = _times(F, c), _times(V, c)
        dP = _symmetric(_times(dA, _transposed(A)))
        dM = _sum(_times(V, G), _times(F, W))
        first = _symmetric(_times(_times(dM, P), _transposed(M)))
        second = _times(_times(M, dP), _transposed(M))
        return [[x - y - z for x, y, z in zip(*rows, strict=True)] for rows in zip(dP, first, second, strict=True)]

    def form(X: Matrix, Y: Matrix) -> Fraction:
        product = _times(_times(_times(E, X), E), Y)
        return (product[0][0] + product[1][1]) / 8

    V = [[zero, zero], [zero, one]]
    own = derivative(V, zeros)
    mixed = []
    for a in range(2):
        for b in range(2):
            W = [[Fraction(int((i, j) == (a, b))) for j in range(2)] for i in range(2)]
            mixed.append(abs(form(own, derivative(zeros, W))))
    return form(own, own), max(mixed)


def _transposed(X: Matrix) -> Matrix:
    return [list(row) for row in zip(*X, strict=True)]


def _sum(X: Matrix, Y: Matrix) -> Matrix:
    return [[x + y for x, y in zip(*rows, strict=True)] for rows in zip(X, Y, strict=True)]


def _symmetric(X: Matrix) -> Matrix:
    return _sum(X, _transposed(X))


def schur_residual(game: SubspaceGame, F: np.ndarray, G: np.ndarray) -> float:
    """‖D_ff − D_fg D_gg⁺ D_gf‖/‖D_ff‖ from the library's Hessian products, less that of Q in closed form."""
    dim = F.shape[0]
    C = game.spans.joined
    p = Parameters(game.dim, game.sizes, game.epsilon, 1.0, game.ranks)
    HQ = closed_form.hessian_matrix(p, F @ C, regularized=False)
    lift = np.kron(np.eye(dim), C)  # F ↦ F C, rows first
    size = F.size
    blocks = np.zeros((2 * size, 2 * size))
    with jax.enable_x64(True):
        for number in range(2 * size):
            unit = np.zeros(2 * size)
            unit[number] = 1
            V, W = unit[:size].reshape(F.shape), unit[size:].reshape(G.shape)
            up, down = game.hvp(*(jnp.asarray(own) for own in (F, G, V, W)))
            blocks[:, number] = np.concatenate([np.asarray(up).ravel(), -np.asarray(down).ravel()])
    ff = blocks[:size, :size] - lift @ HQ @ lift.T
    fg, gg = blocks[:size, size:], blocks[size:, size:]
    schur = ff - fg @ np.linalg.pinv(gg, rcond=1e-9, hermitian=True) @ fg.T
    return float(np.linalg.norm(schur) / np.linalg.norm(ff))


def _residuals(run: Run) -> dict[str, list[float]]:
    """Of encoders of full row rank, of F with gf = id on Col X and rank F < d_z, and of F of lower rank."""

    def work() -> dict[str, list[float]]:
        random = np.random.default_rng(19)
        found: dict[str, list[float]] = {"full": [], "identity": [], "deficient": []}
        for _ in range(run.choose(2, 6, 60)):
            factors = random_factors(random, 5, (2, 1))
            game = SubspaceGame(*samples_of(factors, (6, 8), random), dim=4, epsilon=1.0)
            U = np.linalg.qr(np.concatenate(factors, axis=1))[0]
            for name, F in (
                ("full", random.standard_normal((4, 5))),
                ("identity", random.standard_normal((4, 3)) @ U.T),
                ("deficient", random.standard_normal((4, 2)) @ random.standard_normal((2, 5))),
            ):
                found[name].append(schur_residual(game, F, np.linalg.pinv(F, rcond=1e-10)))
        return found

    return run.shared("ctrl envelope", work)


def recalled_envelope(run: Run, *, example: Callable[[], tuple[Fraction, Fraction]] = _gauss_newton_example) -> Outcome:
    """The exact example, in rational arithmetic, and its closed form; random encoders of low rank beside it."""
    own, mixed = example()
    words = f"In rational arithmetic, at β = 1: ⟨V, D_ff V⟩ = {own} = β²/(4(1 + β)), and D_gf V = {mixed}: nothing cancels it."
    facts = [fact("example", mixed == 0 and own == Fraction(1, 8), Evidence.EXACT, words)]
    parts = refuting(run, "an encoder of low rank", facts)
    worst = min(_residuals(run)["deficient"])
    words = f"At random encoders of rank below d_z and rank X the relative residual is at least {worst:.3g}."
    parts.append(fact("random encoders", worst > 1e-3, Evidence.NUMERICAL, words))
    return Outcome.of(parts)


def envelope(run: Run, *, kinds: Sequence[str] = ("full", "identity")) -> Outcome:
    """The Schur complement by the library's Hessian products."""
    found = _residuals(run)
    errors = [error for kind in kinds for error in found[kind]]
    return Outcome.of([Part.measured("Schur complement", errors, 1e-7, "‖D_ff − D_fg D_gg⁺ D_gf‖/‖D_ff‖", seeds=19)])
