"""How the claims on decoders as inverses of encoders are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Run
from paper_checks.pai_2024.common import STEP, attention, counter_examples, draw, fact, gradient, relative

Map = Callable[[np.ndarray, np.ndarray], np.ndarray]

_EPSILON = 0.5
_STEPS = tuple(2.0**-j for j in range(4, 10))
_SMALL = 2.0**-14  # where the term in k³ is small beside that in k², and rounding beside both


def _root_temperature(Z: np.ndarray, U: np.ndarray) -> np.ndarray:
    return attention(Z, U, np.sqrt(U.shape[2]))


def _descent(Z: np.ndarray, U: np.ndarray) -> np.ndarray:
    """−∇R_c/alpha."""
    return -gradient(Z, U, _EPSILON)


_MAPS: tuple[Map, ...] = (attention, _root_temperature, _descent)


def _tokens(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    sample = draw(random, dim=32, rank=8, sizes=(8, 8, 8, 8), noise=0.1)
    return sample.Z, sample.U


def _round_trip(Z: np.ndarray, U: np.ndarray, forward: Map, backward: Map, step: float) -> np.ndarray:
    Y = Z + step * forward(Z, U)
    return Y - step * backward(Y, U)


def printed_inverse(run: Run, *, step: float = 1.0) -> Outcome:
    """The round trip of random tokens with the step of networks, through the library's attention too."""
    random, errors, library = np.random.default_rng(run.seed), [], []
    for number in range(run.choose(20, 200, 2000)):
        Z, U = _tokens(random)
        errors += [relative(_round_trip(Z, U, M, M, step), Z) for M in (attention, _root_temperature)]
        if number < 3:
            with jax.enable_x64(True):
                library.append(relative(np.asarray(wb.mssa(Z, U)), attention(Z, U)))
    seen = f"{min(errors):.2g} to {max(errors):.2g}"
    words = f"Random tokens come back from a layer of step {step:g} with a relative error of {seen}."
    facts = [
        fact("random tokens", min(errors) > 0.3, words),
        Part.measured("library", library, 1e-12, "the library's MSSA, relative", seeds=run.seed, essential=False),
    ]
    return counter_examples(run, facts)


def inverse(run: Run, *, other: bool = False, constant: float = -1.0) -> Outcome:
    """Orders of the round trip's error between steps that halve, and the error at a small one against `constant` k² M′(Z)M(Z)
    by a complex step, for attention at both temperatures and for −∇R_c; the decoder has subspaces of its own with `other`."""
    random, orders, constants, seen = np.random.default_rng(run.seed), [], [], []
    for _ in range(run.choose(20, 200, 2000)):
        Z, U = _tokens(random)
        V = _tokens(random)[1] if other else U
        for M in _MAPS:
            misses = [_round_trip(Z, U, M, lambda Y, _, M=M, V=V: M(Y, V), step) - Z for step in (*_STEPS, _SMALL)]
            errors = [np.linalg.norm(miss) for miss in misses[:-1]]
            slopes = np.log2(np.array(errors[:-1]) / errors[1:])
            seen += [float(slopes.min()), float(slopes.max())]
            orders += [f"an order of {slope:.3g}" for slope in slopes if not 1.9 <= slope <= 2.15]
            curvature = np.imag(M(Z + 1j * STEP * M(Z, U), U)) / STEP
            constants.append(relative(misses[-1] / _SMALL**2, constant * curvature))
    words = f"orders between steps from 1/16 to 1/512 in [1.9, 2.15] (seen {min(seen):.3g} to {max(seen):.3g})"
    return Outcome.of(
        [
            run.certify_proof("one token"),
            Part.counted("order", len(seen), orders, words, seeds=run.seed),
            Part.measured("constant", constants, 0.01, "(X − Z)/k² less −M′(Z)M(Z), relative, at k = 2⁻¹⁴", seeds=run.seed),
        ]
    )


def _codes(random: np.random.Generator, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An orthonormal dictionary, and codes without negative entries, most of them zero."""
    for _ in range(count):
        D = np.linalg.qr(random.standard_normal((16, 16)))[0]
        yield D, np.abs(random.standard_normal((16, 24))) * (random.random((16, 24)) < 0.3)


def _sparsified(Z: np.ndarray, D: np.ndarray, step: float, sparsity: float) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(wb.ista(Z, D, step, sparsity))


def printed_dictionary(run: Run, *, step: float = 0.1, sparsity: float = 0.1) -> Outcome:
    """The dictionary after the step of the public code, on tokens that have sparse codes."""
    random = np.random.default_rng(run.seed)
    errors = [relative(D @ _sparsified(D @ A, D, step, sparsity), D @ A) for D, A in _codes(random, run.choose(20, 200, 2000))]
    words = (
        f"At eta = {step:g}, lambda = {sparsity:g} tokens with sparse codes come back with a relative error of "
        f"{min(errors):.2g} to {max(errors):.2g}."
    )
    return counter_examples(run, [fact("random codes", min(errors) > 0.5, words)])


def dictionary(run: Run, *, step: float = 1.0, spread: Callable[[Any, float], Any] = np.minimum) -> Outcome:
    """The same at `step`: exact at lambda = 0, off by what `spread`(A, lambda) says otherwise."""
    random, exact, bias = np.random.default_rng(run.seed), [], []
    for D, A in _codes(random, run.choose(30, 200, 2000)):
        exact.append(relative(D @ _sparsified(D @ A, D, step, 0.0), D @ A))
        for sparsity in (0.01, 0.1, 0.5):
            found = np.linalg.norm(D @ _sparsified(D @ A, D, step, sparsity) - D @ A)
            bias.append(abs(float(found / np.linalg.norm(spread(A, sparsity))) - 1))
    return Outcome.of(
        [
            run.certify_proof("two atoms"),
            Part.measured("lambda = 0", exact, 1e-13, "relative error of the round trip", seeds=run.seed),
            Part.measured("lambda > 0", bias, 1e-11, "error over ‖min(A, lambda)‖, less one", seeds=run.seed),
        ]
    )
