"""Where labeled features sit in the landscape."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mcr2_landscape import catalog
from mcr2_landscape.analysis import measures
from mcr2_landscape.analysis.advice import advise
from mcr2_landscape.analysis.local import Reductions, affordable_gradients, curvature_at, nearest_family, position_at
from mcr2_landscape.analysis.preparation import Prepared, prepare
from mcr2_landscape.analysis.results import ClassSummary, Endpoint, FeatureAnalysis, Rates, Target
from mcr2_landscape.analysis.summary import summarize
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.landscape import Ascent, ascend, leave
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import positive_integer, positive_real


def analyze_features(
    X: Any,
    labels: Any,
    *,
    epsilon: float = 0.5,
    regularization: float | None = None,
    normalize: str = "none",
    center: bool = False,
    key: Any = 0,
    ascent: bool = True,
    max_steps: int | None = None,
    source: str = "features",
    notes: Sequence[str] = (),
    progress: bool | Callable[[int, int, int], None] = False,
) -> FeatureAnalysis:
    """Say where labeled features sit in the landscape of the regularized rate reduction, and what to change.

    **Arguments:** `X` of shape (samples, features), any real dtype (read as float64), and `labels`, one a sample, of any
    hashable kind. `epsilon`: the coding precision. `regularization`: lambda, by default half of the limit up to which every
    class has critical directions. `normalize`: "none"; "samples" (each to length 1), "classes" (‖Z_k‖² = m_k) or "scale" (one
    factor for all features, that at which F is largest). `center`: subtract the mean of all samples first. `key`: start
    vectors of the eigenvalue computations. `ascent`: also climb from the features, with `max_steps` gradients at most (3,000,
    or fewer where they would take longer than some minutes), and say where that ends; from a saddle the climb starts along the
    steepest direction. `source`: where the features come from, in words; `notes`: what was done to them before, in sentences.
    `progress`: a bar on standard error while it climbs, or a function of (gradients, most gradients, 0).

    **Returns:** `FeatureAnalysis`. Ctrl-C during the ascent stops it; what was reached is in the result, marked `interrupted`.

    **Raises:** `InputError` for NaN rows (which ones), a number of labels that differs, one class, all samples equal, a zero
    sample that is to be normalized, or numbers out of range.
    """
    epsilon = positive_real("epsilon", epsilon)
    max_steps = None if max_steps is None else positive_integer("max_steps", max_steps)
    random = generator(key)
    data = prepare(X, labels, normalize=normalize, center=center)
    Z, dim = data.Z, data.Z.shape[0]
    limit = MCR2(dim, data.sizes, epsilon, 1.0).regularization_limit
    strength = 0.5 * limit if regularization is None else positive_real("regularization", regularization)
    problem = MCR2(dim, data.sizes, epsilon, strength)
    target = _target(problem)
    small, z, bases = problem.compress(Z)
    spectra = _Spectra.of(small.parameters, z)
    scale, pays = _scale(problem.parameters, spectra, target.norm)
    said = [*notes, *_notes(center, normalize)]
    if normalize == "scale":
        Z, z, spectra = scale * Z, scale * z, spectra.scaled(scale)
        where = "where F is largest" if pays else "the norm of the global maximizers: F is negative at every scale"
        said.append(f"all features were multiplied by {scale:.6g}, to {where}")
        scale = 1.0
    rates = _rates(problem.parameters, spectra)
    target = dataclasses.replace(target, gap=max(target.value - rates.value, 0.0))
    reductions = Reductions.at(problem, small, z)
    curvature, escape = curvature_at(problem, reductions, random)
    position = position_at(problem, small, Z, z, reductions.whole, curvature, random)
    del reductions
    climb = endpoint = None
    if ascent:
        leaves = position.relative_gradient_norm <= 1e-6 and curvature.escapes
        start = leave(small, z, escape, curvature.top_eigenvalue)[0] if leaves and escape is not None else z
        climb = ascend(small, start, max_steps=max_steps or affordable_gradients(small), progress=progress)
        endpoint = _endpoint(small, z, climb, target, rates.value)
        climb = dataclasses.replace(climb, point=_expand(problem.parameters, small.parameters, climb.point, bases))
    picture, picture_classes = measures.similarity(Z, data.sizes)
    result = FeatureAnalysis(
        source=source,
        dim=dim,
        num_samples=Z.shape[1],
        epsilon=epsilon,
        regularization=strength,
        regularization_defaulted=regularization is None,
        regularization_limit=limit,
        normalization=normalize,
        centered=center,
        rates=rates,
        target=target,
        position=position,
        curvature=curvature,
        endpoint=endpoint,
        classes=_classes(problem, spectra, data, target),
        rank=int((spectra.whole > 1e-10 * spectra.whole[0]).sum()),
        capacity=sum(min(size, dim) for size in data.sizes),
        scale=scale,
        pays_at_some_scale=pays,
        common_mean=measures.common_mean(Z, data.sizes),
        summary=(),
        advice=(),
        notes=tuple(said),
        problem=problem,
        point=Z,
        ascent=climb,
        similarity=picture,
        similarity_classes=picture_classes,
    )
    return dataclasses.replace(result, summary=summarize(result), advice=advise(result, data))


def _notes(center: bool, normalize: str) -> list[str]:
    notes = []
    if center:
        notes.append("the mean of all samples was subtracted")
    if normalize == "samples":
        notes.append("each sample was divided by its length")
    if normalize == "classes":
        notes.append("each class was scaled to ‖Z_k‖² = m_k")
    return notes


def _target(problem: MCR2) -> Target:
    """The global maximum; its gap is filled in later."""
    p = problem.parameters
    best = problem.global_maximum()
    roots = catalog.roots(p)
    norm = float(np.sqrt(np.sum(np.array(best.family.ranks) * np.nan_to_num(roots[:, 1]))))
    even = None
    if np.isfinite(roots).all():
        ranks = [0] * p.num_classes
        for _ in range(min(p.dim, sum(min(size, p.dim) for size in p.sizes))):
            free = [k for k, size in enumerate(p.sizes) if ranks[k] < size]
            ranks[min(free, key=lambda k: (ranks[k], p.sizes[k], k))] += 1
        even = problem.orthogonal_family(ranks).value
    return Target(best.value, 0.0, best.family.label, tuple(best.family.ranks), best.unique, norm, even)


class _Spectra(NamedTuple):
    """The singular values of Z, and of each Z_k with its left singular vectors."""

    whole: np.ndarray
    classes: list[np.ndarray]
    left: list[np.ndarray]

    @staticmethod
    def of(p: Parameters, z: np.ndarray) -> _Spectra:
        parts = [np.linalg.svd(block, full_matrices=False) for block in p.blocks(z)]
        return _Spectra(np.linalg.svd(z, compute_uv=False), [s for _, s, _ in parts], [U for U, _, _ in parts])

    def scaled(self, factor: float) -> _Spectra:
        return _Spectra(factor * self.whole, [factor * s for s in self.classes], self.left)


def _rates(p: Parameters, spectra: _Spectra) -> Rates:
    whole = 0.5 * float(np.log1p(p.alpha * spectra.whole**2).sum())
    classes = 0.0
    for rho, alpha, s in zip(p.ratios, p.alphas, spectra.classes, strict=True):
        classes += 0.5 / float(rho) * float(np.log1p(alpha * s**2).sum())
    penalty = 0.5 * p.regularization * float(np.sum(spectra.whole**2))
    return Rates(whole, classes, whole - classes, penalty, whole - classes - penalty)


def _scale(p: Parameters, spectra: _Spectra, norm: float) -> tuple[float, bool]:
    """The factor at which F is largest, and true; where F is positive at none, that which gives the global maximizers' norm,
    and false."""
    factor, _ = measures.best_scale(p, spectra.whole, spectra.classes, norm)
    if factor is not None:
        return factor, True
    size = norm if norm > 0 else float(np.sqrt(p.dim / p.alpha))
    return size / float(np.linalg.norm(spectra.whole)), False


def _classes(problem: MCR2, spectra: _Spectra, data: Prepared, target: Target) -> tuple[ClassSummary, ...]:
    thresholds, roots = problem.thresholds(), problem.roots()
    leading = [
        U[:, : int(np.ceil(measures.effective_rank(s) - 1e-9))] for U, s in zip(spectra.left, spectra.classes, strict=True)
    ]
    largest, mean = measures.coherences(leading)
    summaries = []
    for k, (name, size, s) in enumerate(zip(data.names, data.sizes, spectra.classes, strict=True)):
        others = np.delete(mean[k], k)
        summaries.append(
            ClassSummary(
                name=name,
                size=size,
                singular_values=s,
                ideal_singular_value=float(np.sqrt(roots[k, 1])) if np.isfinite(roots[k, 1]) else None,
                ideal_rank=target.ranks[k],
                effective_rank=measures.effective_rank(s),
                participation=measures.participation(s),
                coherence=float(largest[k].max()),
                most_coherent_with=data.names[int(largest[k].argmax())] if largest[k].any() else "",
                mean_coherence=float(np.sqrt(np.mean(others**2))),
                existence_threshold=float(thresholds.existence[k]),
                value_threshold=float(thresholds.value[k]),
            )
        )
    return tuple(summaries)


def _endpoint(small: MCR2, z: np.ndarray, climb: Ascent, target: Target, value: float) -> Endpoint:
    p, end = small.parameters, climb.point
    ranks, words = _describe_ranks(p, end)
    known = catalog.recognize(p, end, rtol=1e-5) if climb.converged else nearest_family(small, end, climb.gradient_norm)
    if known is not None:
        ranks = tuple(known.family.ranks)
        words = known.family.label
    distance = float(np.linalg.norm(end - z))
    size = float(np.linalg.norm(z)) or float(np.linalg.norm(end)) or 1.0
    gap = max(target.value - climb.value, 0.0)
    start_gap = target.value - value
    tiny = 1e-12 * max(1.0, abs(target.value))
    # Near Z = 0 the terms to which the gradient is relative vanish too: there the structure decides.
    at_zero = known is not None and known.family.rank == 0 and not climb.interrupted
    return Endpoint(
        value=0.0 if at_zero else climb.value,
        gap=gap,
        gap_closed=1.0 if start_gap <= tiny else float((climb.value - value) / start_gap),
        family=words,
        recognized=known is not None,
        ranks=ranks,
        distance=distance,
        relative_distance=distance / size,
        relative_gradient_norm=climb.relative_gradient_norm,
        converged=climb.converged or at_zero,
        reason=climb.reason,
        num_gradients=climb.num_gradients,
        history=climb.history,
        interrupted=climb.interrupted,
    )


def _describe_ranks(p: Parameters, Z: np.ndarray) -> tuple[tuple[int, ...], str]:
    """Count the singular values of each class that are nearer to a root than to zero, large and small ones."""
    roots = catalog.roots(p)
    large, small = [], []
    for (low, high), alpha, block in zip(roots, p.alphas, p.blocks(Z), strict=True):
        s = np.linalg.svd(block, compute_uv=False)
        middle = 1 / np.sqrt(p.alpha * alpha)  # x₋ x₊ = middle²
        bottom = low if np.isfinite(low) else 0.1 * middle
        upper = int((s**2 > middle).sum()) if np.isfinite(high) else 0
        large.append(upper)
        small.append(int((s**2 > 0.25 * bottom).sum()) - upper)
    words = [f"{name} ({','.join(map(str, counts))})" for name, counts in (("large", large), ("small", small)) if any(counts)]
    return tuple(a + b for a, b in zip(large, small, strict=True)), "about " + (" ".join(words) or "zero")


def _expand(p: Parameters, q: Parameters, point: np.ndarray, bases: list[np.ndarray | None]) -> np.ndarray:
    blocks = zip(q.blocks(point), bases, strict=True)
    return np.concatenate([block if basis is None else block @ basis for block, basis in blocks], axis=1)
