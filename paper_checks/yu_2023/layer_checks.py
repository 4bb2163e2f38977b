"""How the claims on trained networks are checked: small CRATEs, trained on the digits of this package, layer by layer.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Plot, Run, Series
from mcr2_landscape.data import digit_images
from mcr2_landscape.training import Stopped, initial_network, train_images

_LEARNED = 0.25  # test accuracy, of ten classes; a network below has learned too little for anything to follow
_STANDARD_ERRORS = 4.0  # a change in the mean over images that is smaller has no sign


class Network(NamedTuple):
    """A network before and after training, and test images as it takes them."""

    initial: Any
    trained: Any
    images: np.ndarray
    accuracy: float


def networks(run: Run) -> list[Network]:
    """CRATEs of several seeds, trained once for all claims of a process."""
    return run.shared("trained CRATEs", lambda: trained(run))


def trained(run: Run, **family: Any) -> list[Network]:
    """Networks of several seeds, of a size that the profile says."""
    dim, depth, steps, seeds = run.choose((16, 3, 150, 1), (48, 6, 440, 3), (48, 6, 1500, 5))
    train, test = digit_images().split(0.1, key=0)
    architecture = wb.Architecture.published(dim, depth, 4, image_size=8, patch=2, channels=1, num_classes=10, **family)
    found = []
    for seed in range(seeds):
        result = train_images(
            architecture, train, test, num_steps=steps, batch_size=64, learning_rate=run.choose(5e-3, 2e-3, 2e-3), key=seed
        )
        if result.training.stopped is not Stopped.FINISHED or result.test_accuracy is None:
            raise RuntimeError(f"the training of seed {seed} did not finish: {result.training.reason}")
        if result.test_accuracy < _LEARNED:
            raise RuntimeError(f"the network of seed {seed} has learned too little: test accuracy {result.test_accuracy:.3f}")
        initial = initial_network(architecture, key=seed)
        found.append(Network(initial, result.model, result.prepare(test.images), result.test_accuracy))
    return found


def untrained(**switches: Any) -> Callable[[Run], list[Network]]:
    """Random networks of another architecture in the place of the trained ones, for planted violations."""
    images = digit_images().images[:100]
    switches = {"depth": 3, "image_size": 8, "patch": 4, "channels": 1, "num_classes": 10, **switches}
    architecture = wb.Architecture.published(8, heads=2, **switches)
    model = wb.build(architecture, key=jax.random.key(0))
    return lambda run: [Network(model, model, images, 0.1)]


def measured(run: Run, which: Callable[[Run], list[Network]], model: str, metric: str) -> list[wb.Layerwise]:
    """The measures of all networks, shared among claims."""
    if which is not networks:
        return [wb.layerwise(getattr(each, model), each.images, metric=metric) for each in which(run)]
    return run.shared(
        ("layers", model, metric),
        lambda: [wb.layerwise(getattr(each, model), each.images, metric=metric) for each in networks(run)],
    )


def layers_printed(run: Run, *, which: Callable[[Run], list[Network]] = networks) -> Outcome:
    """R_c and the share of non-zero entries from layer to layer; one that clearly rises refutes."""
    found = measured(run, which, "trained", "as hooked")
    parts = []
    for name, what in (("before", "R_c as hooked"), ("nonzero", "the share of non-zero entries")):
        rises, count = [], 0
        for seed, own in enumerate(found):
            values = getattr(own, name)
            for layer in range(1, len(values)):
                count += 1
                step = values[layer] - values[layer - 1]
                if sign_of(step) > 0:
                    rises.append(f"seed {seed}: from layer {layer} to {layer + 1} it rises by {step.mean():.3g}")
        parts.append(Part.counted(what, count, rises, f"{what} from one layer to the next", seeds=len(found)))
    accuracy = ", ".join(f"{each.accuracy:.3f}" for each in which(run))
    return Outcome.of(
        parts, f"{parts[0].summary} {parts[1].summary} Test accuracies of the networks: {accuracy}.", plots=_plots(run, which)
    )


def layers_corrected(run: Run, *, which: Callable[[Run], list[Network]] = networks) -> Outcome:
    """The change across attention halves, summed over layers, with and without the tokens' scale."""
    parts = []
    for model, words in (("trained", "after training"), ("initial", "at random initialization")):
        for metric, sign, what in (("as hooked", -1, "falls, of unit projections"), ("as derived", 1, "rises, of raw tokens")):
            wrong, open_ones, count = [], 0, 0
            for seed, own in enumerate(measured(run, which, model, metric)):
                total = (own.after - own.before).sum(axis=0)
                found = sign_of(total)
                if found == 0 or not np.isfinite(total).all():
                    open_ones += 1
                    continue
                count += 1
                if found != sign:
                    wrong.append(f"seed {seed}: it changes by {total.mean():.3g}")
            label = f"R_c {what}, {words}"
            parts.append(Part.counted(label, count, wrong, f"{label}, summed over layers", seeds=count, undecided=open_ones))
    return Outcome.of(parts)


def random_start(run: Run, *, which: Callable[[Run], list[Network]] = networks) -> Outcome:
    """How much the share of non-zero entries falls over depth, untrained and trained."""
    pairs = [
        [own.nonzero[0] - own.nonzero[-1] for own in measured(run, which, model, "as hooked")]
        for model in ("initial", "trained")
    ]
    falls, more = ([], [])
    for seed, (initial, trained) in enumerate(zip(*pairs, strict=True)):
        if sign_of(initial) <= 0:
            falls.append(f"seed {seed}: it changes by {-initial.mean():.3g} before training")
        if sign_of(initial - trained / 2) <= 0:
            more.append(f"seed {seed}: {initial.mean():.3g} before training, {trained.mean():.3g} after it")
    return Outcome.of(
        [
            Part.counted(
                "falls untrained", len(pairs[0]), falls, "the share falls over depth without training", seeds=len(pairs[0])
            ),
            Part.counted(
                "falls untrained by half",
                len(pairs[0]),
                more,
                "it falls by more than half of what it does after training",
                seeds=len(pairs[0]),
            ),
        ]
    )


def proximal_after_training(run: Run, *, which: Callable[[Run], list[Network]] = networks) -> Outcome:
    """η‖D‖² of every layer after training, and the objective across the step."""
    found = measured(run, which, "trained", "as hooked")
    bounds = np.concatenate([own.step_bound for own in found])
    beyond = [f"{value:.3g}" for value in bounds if not 0 < value < 2]
    rises = [
        f"seed {seed}, layer {layer + 1}"
        for seed, own in enumerate(found)
        for layer, (before, after) in enumerate(zip(own.objective, own.objective_after, strict=True))
        if sign_of(after - before) >= 0
    ]
    return Outcome.of(
        [
            Part.counted("step", len(bounds), beyond, f"η‖D‖² below 2, at most {bounds.max():.3g}", seeds=len(found)),
            Part.counted("objective", len(bounds), rises, "the objective falls in the mean over images", seeds=len(found)),
        ]
    )


def sign_of(change: np.ndarray) -> int:
    """The sign of a mean over images, zero where it is within so many standard errors of zero, or not a number."""
    error = change.std(ddof=1) / np.sqrt(change.size)
    mean = float(change.mean())
    return int(np.sign(mean)) if abs(mean) > _STANDARD_ERRORS * error and mean != 0 else 0


def _plots(run: Run, which: Callable[[Run], list[Network]]) -> Sequence[Plot]:
    series = []
    for model, words in (("trained", "trained"), ("initial", "random initialization")):
        for seed, own in enumerate(measured(run, which, model, "as hooked")):
            values = own.before.mean(axis=1)
            series.append(Series(f"{words}, seed {seed}", list(range(1, len(values) + 1)), values.tolist()))
    return (
        Plot(
            "R_c of what enters each layer, as the published figure measures it",
            "A curve for each network, before and after its training.",
            "layer",
            "R_c as hooked (nats)",
            tuple(series),
        ),
    )
