"""How the claims on several layers are checked: decoders in both orders, errors that add up, flatness and folds.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.flatnet import BuildOptions, Layer, kernels, relative_error
from mcr2_landscape.verdict import Verdict
from paper_checks.psenka_2024.common import (
    MORE_ARCS,
    STRONG,
    Fitted,
    arc,
    before,
    decoded,
    encodings,
    fits,
    half_mean_square,
    inversions,
    seeds,
    tail,
)
from paper_checks.yu_2023.common import all_of, refuted, some_of, together

Order = Callable[[Sequence[Layer]], Iterable[Layer]]
_STEP = 1e-6  # of central differences
_EVERY = 6  # points whose errors are bounded


def _example() -> tuple[list[Layer], np.ndarray]:
    """The layers of the claim's case, and the point (0, 1): both take away the second coordinate alone."""

    def own(mean: float, rate: int, height: float, shift: float) -> Layer:
        coefficients = np.array([[0.0, 0, 0], [height, 0, 0]])
        place = np.array([0.0, mean])
        return Layer(
            place, place, np.array([[1.0], [0]]), coefficients, rate * np.log(2), 0.5, np.array([0, shift]), 1.0, np.int32(1)
        )

    return [own(0, 4, 1, 0), own(125 / 96, 9, -1 / 3, 65 / 96)], np.array([[0.0, 1]])


def _through(layers: Iterable[Layer], z: np.ndarray, step: Callable[[Layer, np.ndarray], np.ndarray]) -> np.ndarray:
    for layer in layers:
        z = step(layer, z)
    return z


def _inverse(layer: Layer, z: np.ndarray) -> np.ndarray:
    return before(layer, z)[1]


def _exact_example(order: Order, expected: float) -> Part:
    """The library's layers on the example, each alone and all in order."""
    layers, x = _example()
    own = encodings(layers, x)
    errors = [
        np.abs(kernels.reconstruct(layer, kernels.flatten(layer, one)) - one).max()
        for layer, one in zip(layers, own[:-1], strict=True)
    ]
    errors.append(abs(_through(order(layers), own[-1], kernels.reconstruct)[0, 1] - expected))
    return Part.measured("example", errors, 1e-14, "the library's layers, each alone and in order", seeds=None)


def appended(run: Run, *, order: Order = list) -> Outcome:
    """The certified counter-example, with the library's layers; exact inverses of the layers of fits, in that order; and beside
    it how often the layers' own decoders hide the difference."""
    far, hidden, found = [], [], fits(run)
    for entry in found:
        z = encodings(entry.layers, entry.points)[-1]
        error = relative_error(entry.points, _through(order(entry.layers), z, _inverse))
        if error > 1e-2:
            far.append(f"relative error {error:.2g} ({entry.words})")
        printed, right = (
            relative_error(entry.points, _through(layers, z, kernels.reconstruct))
            for layers in (order(entry.layers), reversed(entry.layers))
        )
        if printed < right:
            hidden.append(f"{printed:.3g} against {right:.3g} ({entry.words})")
    example = ["109/96"] if _exact_example(order, 109 / 96).verdict is Verdict.HOLDS else []
    outcome = refuted(
        run,
        all_of("library", 1, example, "examples in which the library's layers do not give 109/96", None),
        all_of("exact inverses", len(found), far, "fits that exact inverses in this order undo", seeds(run)),
    )
    beside = some_of("own decoders", len(found), hidden, "with the layers' own decoders this order happens to win", seeds(run))
    return together(list(outcome.parts), beside)


def reversed_order(run: Run, *, order: Order = reversed) -> Outcome:
    """The same in the other order, which the library's decoder takes too; and both orders of the refitted decoder."""
    errors, library, worse, found = [], [], [], fits(run)
    for entry in found:
        network = entry.fit.network
        z = encodings(entry.layers, entry.points)[-1]
        errors.append(relative_error(entry.points, _through(order(entry.layers), z, _inverse)))
        mean, codes = network.code_mean, entry.fit.codes
        start = mean + codes @ network.code_basis.T
        layers = network.decoder.single()
        own = _through(order(layers), start, decoded)
        points = network.decode_rows(codes)
        library.append(np.abs((points - network.offset) @ network.frame / network.extent - own).max())
        wrong = relative_error(entry.points, _through(layers, start, kernels.reconstruct))
        if not relative_error(entry.points, own) < wrong:
            worse.append(f"{relative_error(entry.points, own):.3g} against {wrong:.3g} ({entry.words})")
    return together(
        run.certify(),
        _exact_example(order, 1.0),
        Part.measured("exact inverses", errors, 1e-9, "relative errors of exact inverses in this order", seeds=seeds(run)),
        Part.measured("library", library, 1e-9, "the library's decoder less the definition's", seeds=seeds(run)),
        Part.counted("refitted decoder", len(found), worse, "fits that it decodes better in this order", seeds=seeds(run)),
    )


def _norms(layer: Layer, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The greatest ‖Dg‖ at both ends and in the middle between points, (N,)."""
    dim, count = first.shape[1], len(first)
    places = np.concatenate([first, (first + second) / 2, second])
    steps = _STEP * np.concatenate([np.eye(dim), -np.eye(dim)])
    values = decoded(layer, (places[None] + steps[:, None]).reshape(-1, dim)).reshape(2, dim, 3, count, dim)
    jacobians = np.moveaxis((values[0] - values[1]) / (2 * _STEP), 0, -1)
    return np.linalg.norm(jacobians, 2, axis=(2, 3)).max(axis=0)


def accumulation(run: Run, *, share: float = 1.0) -> Outcome:
    """Errors of the reversed decoder, point by point and layer by layer, against the bound with `share` of the layers' own
    errors; and beside it whether Λ = 1 would do."""
    over, plain, ends, stretches, count, points = [], [], [], [], 0, 0
    chosen = fits(run)[: run.choose(2, 8, 40)]
    for entry in chosen:
        z = encodings(entry.layers, entry.points[::_EVERY])
        back, bound, total, error = z[-1], *np.zeros((3, len(z[-1])))
        for place in reversed(range(len(entry.layers))):
            layer, before_it, after_it = entry.layers[place], z[place], z[place + 1]
            alone = share * np.linalg.norm(decoded(layer, after_it) - before_it, axis=1)
            norms = _norms(layer, after_it, back)
            stretches.append(float(norms.max()))
            bound, total = norms * bound + alone, total + alone
            back = decoded(layer, back)
            error = np.linalg.norm(back - before_it, axis=1)
            count += len(back)
            over += [f"{e:.4g}, bounded by {b:.4g} ({entry.words})" for e, b in zip(error, bound, strict=True) if e > b + 1e-9]
        ends.append(float((error / bound).max()))
        points += len(error)
        plain += [f"{e:.4g}, the sum is {t:.4g} ({entry.words})" for e, t in zip(error, total, strict=True) if e > t + 1e-9]
    words = (
        f"errors before each layer within the bound (in the end at most {max(ends):.2f} of it; Λ at most {max(stretches):.3f})"
    )
    return together(
        run.certify(),
        Part.counted("bound", count, over, words, seeds=seeds(run)),
        Part.counted("Λ = 1", points, plain, "errors within Σ e_l", seeds=seeds(run), essential=False),
    )


def error_sum(run: Run, *, most: int | None = None) -> Outcome:
    """Half mean squares of the reversed decoder's error and of the layers' own, for fits, or their first layers."""
    larger, ratios, found = [], [], fits(run)
    for entry in found:
        layers = entry.layers[:most]
        z = encodings(layers, entry.points)
        back = _through(reversed(layers), z[-1], kernels.reconstruct)
        end = half_mean_square(back - entry.points)
        total = sum(
            half_mean_square(kernels.reconstruct(layer, after) - before_it)
            for layer, (before_it, after) in zip(layers, itertools.pairwise(z), strict=True)
        )
        ratios.append(end / total)
        if end > total * (1 + 1e-6):
            larger.append(f"{end:.3g}, the layers' sum is {total:.3g} ({entry.words})")
    words = f"fits with no more than the layers' sum ({min(ratios):.3g} to {max(ratios):.3g} times as much)"
    return together(Part.counted("sum", len(found), larger, words, seeds=seeds(run)))


def refit(run: Run, *, refitted: bool = True) -> Outcome:
    """Relative errors of the library's decoder and of the layers' own, from codes of d dimensions, on both kinds of points."""
    worse, ratios, found = [], [], fits(run)
    for entry in found:
        network, layers = entry.fit.network, (entry.fit.network.decoder if refitted else entry.fit.network.layers).single()
        for name, points in (("fitted", entry.points), ("held-out", entry.held_out)):
            z = encodings(entry.layers, points)[-1]
            start = network.code_mean + (z - network.code_mean) @ network.code_basis @ network.code_basis.T
            new, old = (
                relative_error(points, _through(reversed(own), start, kernels.reconstruct)) for own in (layers, entry.layers)
            )
            ratios.append(old / new)
            if not new < old:
                worse.append(f"{new:.3g} instead of {old:.3g} on {name} points ({entry.words})")
    words = f"errors that the refit lowers (by factors from {min(ratios):.3g} to {max(ratios):.3g})"
    return together(Part.counted("refit", 2 * len(found), worse, words, seeds=seeds(run)))


def flattening(run: Run, *, most: int | None = None) -> Outcome:
    """Spectral tails after all layers, or the first ones, of points that were fitted and of others."""
    tails, begun, found = [], [], fits(run)
    for entry in found:
        begun.append(tail(entry.points, entry.dimension))
        tails += [
            tail(encodings(entry.layers[:most], points)[-1], entry.dimension) for points in (entry.points, entry.held_out)
        ]
    flat = [f"{value:.2g}" for value in begun if value < 1e-3]
    return together(
        Part.measured("tails", tails, 1e-6, "parts of the variance outside d dimensions", seeds=seeds(run), refuted_beyond=10),
        Part.counted("before", len(found), flat, "points that were not flat to begin with", seeds=seeds(run)),
    )


def _code(entry: Fitted) -> np.ndarray:
    """The first principal coordinate after the layers."""
    z = encodings(entry.layers, entry.points)[-1]
    return (z - z.mean(axis=0)) @ np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[2][0]


def flat_is_injective(run: Run, *, part: float = 1.5) -> Outcome:
    """The certified counter-example; and strong layers on arcs of `part` π."""
    folds, count = [], run.choose(3, 10, 60)
    for seed in range(count):
        entry = arc(part, seed, STRONG)
        assert entry.positions is not None
        back, left = inversions(_code(entry), entry.positions), tail(encodings(entry.layers, entry.points)[-1], 1)
        known = entry.fit.report.order
        if left < 1e-6 and back and known is not None and known.inversions == back:
            folds.append(f"{back} of {len(entry.points) - 1} steps go back, tail {left:.2g}")
    words = f"arcs of {part:g} π that strong layers flatten (a tail below 10⁻⁶) without a fold"
    return refuted(run, all_of("arcs", count, folds, words, list(range(count))))


def unfolded(run: Run, *, options: BuildOptions | None = None) -> Outcome:
    """Steps back of the code of arcs and sine curves, of the library's fits or of others of the same arcs; and beside it of
    strong layers on arcs of 1.1 π."""
    folded, strong, count, rounds = [], [], 0, run.choose(3, 10, 60)
    found = fits(run) if options is None else [arc(part, 0, options) for part in MORE_ARCS]
    for entry in found:
        if entry.positions is None:
            continue
        count += 1
        if back := inversions(_code(entry), entry.positions):
            folded.append(f"{back} steps back ({entry.words})")
    for seed in range(rounds):
        entry = arc(1.1, seed, STRONG)
        assert entry.positions is not None
        if back := inversions(_code(entry), entry.positions):
            strong.append(f"{back} steps back")
    return together(
        Part.counted("order", count, folded, "codes without a step back", seeds=seeds(run)),
        some_of("strong layers", rounds, strong, "strong layers fold arcs of 1.1 π", list(range(rounds))),
    )
