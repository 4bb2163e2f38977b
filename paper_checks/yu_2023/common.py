"""Coding rates and attention by their definitions, in plain NumPy, in the coordinates of the subspaces.

For mutually orthogonal subspaces that span the space, tokens are the stack V of their projections V_k, (K, p, N), and R_c, its
gradient and attention act on each V_k alone; an update of the tokens is an update of the stack.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape.claims import Outcome, Part, Plot, Run
from mcr2_landscape.verdict import Evidence, Verdict

HEADS, RANKS, NOISES = 8, (4, 16), (0.1, 0.5)
PRECISIONS = (0.1, 0.5, 1.0)


def alpha_of(V: np.ndarray, epsilon: float) -> float:
    """p/(N ε²)."""
    return V.shape[1] / (V.shape[2] * epsilon**2)


def transposed(V: np.ndarray) -> np.ndarray:
    """V_kᵀ of each head."""
    return np.swapaxes(V, 1, 2)


def rate(V: np.ndarray, alpha: float) -> float:
    """R_c = Σ_k ½ logdet(I + α V_k V_kᵀ), by the smaller of the two Gram matrices: the larger one is singular to rounding."""
    if V.shape[1] > V.shape[2]:
        V = transposed(V)
    return 0.5 * float(np.linalg.slogdet(np.eye(V.shape[1]) + alpha * V @ transposed(V))[1].sum())


def gradient(V: np.ndarray, alpha: float) -> np.ndarray:
    """α(I + αV_kV_kᵀ)⁻¹V_k of each head."""
    return alpha * np.linalg.solve(np.eye(V.shape[1]) + alpha * V @ transposed(V), V)


def neumann(V: np.ndarray, alpha: float) -> np.ndarray:
    """αV_k(I − αV_kᵀV_k) of each head."""
    return alpha * (V - alpha * V @ transposed(V) @ V)


def attention(V: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """V_k softmax(V_kᵀV_k/T) of each head, the softmax down each column."""
    return V @ weights(V, temperature)


def weights(V: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """softmax(V_kᵀV_k/T) of each head."""
    logits = transposed(V) @ V / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def projections(U: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """U_kᵀZ of each head."""
    return np.einsum("kdp,dn->kpn", U, Z)


def lifted(U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Σ_k U_k V_k."""
    return np.einsum("kdp,kpn->dn", U, V)


def cosine(A: np.ndarray, B: np.ndarray) -> float:
    """⟨A, B⟩/(‖A‖‖B‖)."""
    return float(np.sum(A * B) / (np.linalg.norm(A) * np.linalg.norm(B)))


def on_sphere(V: np.ndarray) -> np.ndarray:
    """Each token scaled to norm √d."""
    return V * np.sqrt(V.shape[0] * V.shape[1] / np.sum(V * V, axis=(0, 1)))


def on_spheres(V: np.ndarray) -> np.ndarray:
    """Each head's part of each token scaled to norm one."""
    return V / np.linalg.norm(V, axis=1, keepdims=True)


class Draw(NamedTuple):
    """Tokens of a mixture: their stack, and the setting in words."""

    tokens: np.ndarray
    words: str


def mixture(random: np.random.Generator, rank: int, each: int, noise: float, heads: int = HEADS) -> np.ndarray:
    """The stack of tokens of `heads` subspaces, `each` of every one, with standard normal coefficients and noise."""
    V = noise * random.standard_normal((heads, rank, heads * each))
    for k in range(heads):
        V[k, :, k * each : (k + 1) * each] += random.standard_normal((rank, each))
    return V


def mixtures(random: np.random.Generator, rounds: int, each: int) -> Iterator[Draw]:
    """Tokens in each of the settings, so many times."""
    for _, rank, noise in itertools.product(range(rounds), RANKS, NOISES):
        yield Draw(mixture(random, rank, each, noise), f"p = {rank}, n = {each}, σ = {noise}")


def all_of(name: str, count: int, exceptions: Sequence[str], what: str, seeds: Any) -> Part:
    """Beside a counter-example: draws that are all expected to be exceptions to a claim that is refuted. Undecided where some
    are not."""
    part = Part.counted(name, count, exceptions, what, seeds=seeds, essential=False)
    if count and len(exceptions) == count:
        return part
    words = f"{what}: only {len(exceptions)} of {count} points are exceptions."
    return dataclasses.replace(part, verdict=Verdict.UNDECIDED, summary=words)


def some_of(name: str, count: int, found: Sequence[str], what: str, seeds: Any) -> Part:
    """That some draws are as is said, not how many. Undecided where none is."""
    verdict = Verdict.HOLDS if found else Verdict.UNDECIDED
    words = f"{what}: {len(found)} of {count} points" + (f", the first {found[0]}." if found else ".")
    return Part(name, verdict, Evidence.NUMERICAL, words, {"samples": count, "found": len(found), "seeds": seeds})


def refuted(run: Run, *facts: Part, plots: Iterable[Plot] = ()) -> Outcome:
    """The certified counter-examples of a claim, which decide only if what was seen beside them agrees."""
    agrees = all(fact.verdict is Verdict.REFUTED for fact in facts)
    return Outcome.of([*run.certify(essential=agrees), *facts], plots=plots)


def together(*parts: Part | list[Part], plots: Iterable[Plot] = ()) -> Outcome:
    """The outcome of parts and lists of parts."""
    return Outcome.of([part for entry in parts for part in (entry if isinstance(entry, list) else [entry])], plots=plots)
