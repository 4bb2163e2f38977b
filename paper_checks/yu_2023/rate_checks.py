"""How the claims on the coding rate, its gradient and the Neumann form are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Plot, Run, Series
from paper_checks.yu_2023.common import (
    all_of,
    alpha_of,
    attention,
    cosine,
    gradient,
    lifted,
    mixture,
    neumann,
    projections,
    rate,
    refuted,
    together,
    transposed,
)

_DIM, _HEADS, _RANK = 12, 3, 4
Map = Callable[[np.ndarray, float], np.ndarray]


def _relative(found: Any, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(np.asarray(found) - wanted) / np.linalg.norm(wanted))


def _draws(
    random: np.random.Generator, count: int, samples: int, *, orthogonal: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Random tokens, bases (mutually orthogonal, or independent of one another) and precisions over two decades."""
    for _ in range(count):
        U = wb.random_bases(key=random, heads=_HEADS, dim=_DIM, rank=_RANK, incoherent=orthogonal)
        yield random.standard_normal((_DIM, samples)), U, float(10 ** random.uniform(-1, 1))


# -- the gradient -------------------------------------------------------------------------------------------------------------


def gradient_forms(U: np.ndarray, Z: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """The closed form with N × N inverses, and that with p × p ones."""
    V = projections(U, Z)
    columns = alpha * V @ np.linalg.inv(np.eye(Z.shape[1]) + alpha * transposed(V) @ V)
    return lifted(U, columns), lifted(U, gradient(V, alpha))


def check_gradient(run: Run, *, forms: Callable[..., tuple[np.ndarray, np.ndarray]] = gradient_forms) -> Outcome:
    """Both closed forms and the library's against automatic differentiation, for more tokens than dimensions and fewer."""
    random, errors = np.random.default_rng(run.seed), {"N × N": [], "p × p": [], "library": []}
    with jax.enable_x64(True):
        derivative = jax.jit(jax.grad(wb.coding_rate_given))
        for samples in (10, 3):
            for Z, U, epsilon in _draws(random, run.choose(20, 100, 1000), samples):
                wanted = np.asarray(derivative(Z, U, epsilon))
                found = (*forms(U, Z, _RANK / (samples * epsilon**2)), wb.coding_rate_given_gradient(Z, U, epsilon))
                for own, form in zip(errors.values(), found, strict=True):
                    own.append(_relative(form, wanted))
    parts = [
        Part.measured(name, own, 1e-12, f"{name} form less the derivative, relative", seeds=run.seed)
        for name, own in errors.items()
    ]
    return together(run.certify(), parts)


def one_filter(run: Run, *, of: Map = gradient) -> Outcome:
    """What `of` makes of the tokens, against the matrix made of second moments, and that matrix after an orthogonal change of
    the tokens that leaves those as they are."""
    random, errors, moved, library = np.random.default_rng(run.seed), [], [], []

    def filter_of(U: np.ndarray, Z: np.ndarray, alpha: float) -> np.ndarray:
        V = projections(U, Z)
        return alpha * np.einsum("kdp,kpq,keq->de", U, np.linalg.inv(np.eye(_RANK) + alpha * V @ transposed(V)), U)

    with jax.enable_x64(True):
        for number, (Z, U, epsilon) in enumerate(_draws(random, run.choose(40, 200, 2000), 10)):
            V = projections(U, Z)
            alpha = alpha_of(V, epsilon)
            L, found = filter_of(U, Z, alpha), lifted(U, of(V, alpha))
            errors.append(_relative(L @ Z, found))
            turned = Z @ np.linalg.qr(random.standard_normal((10, 10)))[0]
            moved.append(_relative(filter_of(U, turned, alpha), L))
            if number < 10:
                library.append(_relative(wb.gradient_filter(Z, U, epsilon), L))
    return together(
        run.certify(),
        Part.measured("one map", errors, 1e-12, "LZ less the gradient, relative", seeds=run.seed),
        Part.measured("second moments", moved, 1e-11, "L after a change that keeps ZZᵀ, less L, relative", seeds=run.seed),
        Part.measured("library", library, 1e-12, "gradient_filter less L, relative", seeds=run.seed),
    )


def no_filter(run: Run, *, of: Callable[[np.ndarray], np.ndarray] = attention) -> Outcome:
    """How far the best matrix for what `of` makes of random tokens is from it; tokens (1, 0) on a line."""
    random, close, shares = np.random.default_rng(run.seed), [], []
    for _ in range(run.choose(50, 200, 2000)):
        V = mixture(random, _RANK, 16, 0.1, _HEADS)
        Z, out = V.reshape(_DIM, -1), of(V).reshape(_DIM, -1)
        residual = out - np.linalg.lstsq(Z.T, out.T)[0].T @ Z
        shares.append(float(np.linalg.norm(residual) / np.linalg.norm(out)))
        if shares[-1] < 0.02:
            close.append(f"a matrix within {shares[-1]:.2g}")
    second = float(of(np.array([[[1.0, 0.0]]]))[0, 0, 1])
    words = f"outputs that the best matrix misses, by {min(shares):.2g} to {max(shares):.2g} of their norm"
    return together(
        run.certify(),
        Part.measured("token at zero", [abs(second - 0.5)], 1e-15, "the output of the token at zero, less ½", seeds=None),
        Part.counted("best matrix", len(shares), close, words, seeds=run.seed),
    )


# -- the Neumann form ---------------------------------------------------------------------------------------------------------


def neumann_printed(run: Run, *, precisions: tuple[float, ...] = (0.1, 0.2, 0.5)) -> Outcome:
    """The certified counter-example, and random tokens at precisions at which coding them is not trivial."""
    random, rises, count, ratios = np.random.default_rng(run.seed), [], 0, []
    for _ in range(run.choose(3, 20, 200)):
        for rank in (4, 16):
            V = mixture(random, rank, 32, 0.1)
            for epsilon in precisions:
                alpha = alpha_of(V, epsilon)
                g, form = gradient(V, alpha), neumann(V, alpha)
                error, angle = _relative(form, g), cosine(g, form)
                step = 1e-3 * np.linalg.norm(V) / np.linalg.norm(form)
                count += 1
                ratios.append(alpha * float(np.linalg.norm(V, 2, axis=(1, 2)).max()) ** 2)
                if error > 1 and angle < 0 and rate(V - step * form, alpha) > rate(V, alpha):
                    rises.append(f"ρ = {ratios[-1]:.3g}, a relative error of {error:.3g} and a cosine of {angle:.3g}")
    words = (
        f"tokens with ρ from {min(ratios):.2g} to {max(ratios):.2g} for which the form has a relative error below one, a "
        "positive cosine, or lowers R_c"
    )
    return refuted(run, all_of("draws", count, rises, words, run.seed), plots=[_neumann_plot(run)])


def _neumann_plot(run: Run) -> Plot:
    V = mixture(np.random.default_rng(run.seed), 4, 32, 0.1)
    largest = float(np.linalg.norm(V, 2, axis=(1, 2)).max()) ** 2
    ratios = [10 ** (k / 4) for k in range(-8, 9)]
    errors = [_relative(neumann(V, rho / largest), gradient(V, rho / largest)) for rho in ratios]
    return Plot(
        "The relative error of the first-order Neumann form of the gradient for random tokens: about ρ²/2, and beyond one soon "
        "after ρ = 1.",
        "A line of slope two on logarithmic axes.",
        "ρ",
        "relative error",
        (Series("error", ratios, errors), Series("bound ρ²", ratios, [rho**2 for rho in ratios])),
        log="xy",
    )


def neumann_corrected(run: Run, *, power: int = 2, margin: float = 1.0) -> Outcome:
    """The bounds for random tokens with ρ below one, for orthogonal subspaces and others; `power` is ρ's in the bound of the
    error, `margin` multiplies that of the inner product."""
    random = np.random.default_rng(run.seed)
    excess, flat, sums, products, library, rises = [], [], [], [], [], []
    with jax.enable_x64(True):
        for number, (Z, U, _) in enumerate(_draws(random, run.choose(60, 300, 3000), 10, orthogonal=True)):
            V = projections(U, Z)
            rho = float(random.uniform(0.05, 0.999))
            alpha = rho / float(np.linalg.norm(V, 2, axis=(1, 2)).max()) ** 2
            g, form = gradient(V, alpha), neumann(V, alpha)
            excess.append(max(_relative(form, g) / rho**power - 1, 0.0))
            step = 1e-4 * np.linalg.norm(V) / np.linalg.norm(form)
            if rate(V - step * form, alpha) >= rate(V, alpha):
                rises.append(f"ρ = {rho:.4g}")
            Q = transposed(np.linalg.qr(random.standard_normal((_HEADS, 10, _RANK)))[0])
            g_flat, form_flat = gradient(Q, rho), neumann(Q, rho)
            flat.append(abs(_relative(form_flat, g_flat) / rho**power - 1))
            for A, B in ((g, form), (g_flat, form_flat)):
                products.append(max(margin * (1 - rho**2) - float(np.sum(A * B) / np.sum(A * A)), 0.0))
            # Bases that are not orthogonal to one another: each head's own error.
            W = wb.random_bases(key=random, heads=_HEADS, dim=_DIM, rank=_RANK, incoherent=False)
            V = projections(W, Z)
            alpha = rho / float(np.linalg.norm(V, 2, axis=(1, 2)).max()) ** 2
            own = gradient(V, alpha)
            error = np.linalg.norm(lifted(W, neumann(V, alpha) - own))
            sums.append(max(float(error / np.linalg.norm(own, axis=(1, 2)).sum()) / rho**power - 1, 0.0))
            if number < 10:
                epsilon = float(np.sqrt(_RANK / (10 * alpha)))
                library.append(_relative(wb.neumann_gradient(Z, W, epsilon), lifted(W, neumann(V, alpha))))
                library.append(abs(float(wb.neumann_ratio(Z, W, epsilon)) - rho))
    return together(
        run.certify(),
        Part.measured("error", excess, 1e-9, "relative error over ρ², less one", seeds=run.seed),
        Part.measured("equal singular values", flat, 1e-9, "relative error over ρ², less one", seeds=run.seed),
        Part.measured("other subspaces", sums, 1e-9, "error over ρ² and the terms' norms, less one", seeds=run.seed),
        Part.measured("inner product", products, 1e-12, "shortfall of the inner product over ‖∇R_c‖²", seeds=run.seed),
        Part.counted("descent", len(excess), rises, "steps that lower R_c", seeds=run.seed),
        Part.measured("library", library, 1e-11, "neumann_gradient and neumann_ratio less these", seeds=run.seed),
    )


# -- the rate reduction as a gain ---------------------------------------------------------------------------------------------


def _gain(V: np.ndarray, epsilon: float) -> float:
    """R − R_c of the stack of a complete set of orthogonal subspaces."""
    Z, alpha = V.reshape(1, -1, V.shape[2]), alpha_of(V, epsilon)
    return rate(Z, V.shape[0] * alpha) - rate(V, alpha)


def gain_printed(run: Run, *, samples: int = 4) -> Outcome:
    """The certified counter-example, and normal tokens, fewer than there are dimensions."""
    random = np.random.default_rng(run.seed)
    gains = [_gain(random.standard_normal((4, 4, samples)), 0.1) for _ in range(run.choose(50, 200, 2000))]
    losses = [f"a gain of {gain:.3g}" for gain in gains if gain < 0]
    words = f"{samples} normal tokens in 16 dimensions, four subspaces, ε = 1/10 ({min(gains):.3g} to {max(gains):.3g})"
    return refuted(run, all_of("draws", len(gains), losses, words, run.seed))


def gain_corrected(run: Run, *, factor: float = 0.5, apart: bool = True) -> Outcome:
    """The upper bound `factor` rank(Z) log K over random tokens, dependent ones too; zero as the lower bound where V_kV_lᵀ = 0,
    of tokens in one subspace each and of orthogonal mixtures of such, or (not `apart`) of tokens in none."""
    random, excess, ratios, losses = np.random.default_rng(run.seed), [], [], []
    count = run.choose(200, 1000, 10_000)
    for _ in range(count):
        heads, rank, samples = (int(random.integers(*ends)) for ends in ((2, 5), (1, 5), (1, 25)))
        epsilon, inner = float(10 ** random.uniform(-4, 1)), int(random.integers(1, heads * rank + 1))
        mixed = random.standard_normal((heads * rank, inner)) @ random.standard_normal((inner, samples))
        single = random.standard_normal((heads, rank, samples))
        if apart:
            single *= np.arange(heads)[:, None, None] == random.integers(heads, size=samples)
        turned = single @ np.linalg.qr(random.standard_normal((samples, samples)))[0]  # V_kV_lᵀ as it was
        for V in (mixed.reshape(heads, rank, samples), single, turned):
            gain, bound = _gain(V, epsilon), factor * np.linalg.matrix_rank(V.reshape(-1, samples)) * np.log(heads)
            excess.append(max(gain - bound, 0.0))
            ratios.append(gain / bound)
        losses += [f"a gain of {gain:.3g}" for gain in (_gain(V, epsilon) for V in (single, turned)) if gain < -1e-9]
    words = f"R − R_c beyond the bound ({max(ratios):.4f} of it at most)"
    return together(
        run.certify(),
        # Rounding makes up to α ‖V‖² times the machine epsilon of directions in which dependent tokens have nothing.
        Part.measured("upper bound", excess, 1e-6, words, seeds=run.seed),
        Part.counted("V_kV_lᵀ = 0", 2 * count, losses, "tokens with a gain of at least zero", seeds=run.seed),
    )
