"""How the claims on emergence are checked: small CRATEs trained to classify generated figures whose masks are known.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.data import shapes
from mcr2_landscape.training import Stopped, initial_network, train_images
from mcr2_landscape.verdict import Evidence, Verdict


def attention(run: Run, *, differences: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict) -> Outcome:
    """Masks of the class token's attention; `differences` is applied to the gains over the baselines."""
    return _outcome(run, "attention", differences)


def cuts(run: Run, *, differences: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict) -> Outcome:
    """Normalized cuts of the tokens; as `attention`."""
    return _outcome(run, "cuts", differences)


def above(gains: Mapping[str, Any]) -> dict[str, Any]:
    """Gains turned upside down and away from zero: a violation to plant."""
    return {name: dataclasses.replace(gain, mean=1.0, low=0.5, high=1.5) for name, gain in gains.items()}


def _outcome(run: Run, probe: str, differences: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Outcome:
    parts = []
    for seed, (found, accuracy) in enumerate(run.shared("emergence", lambda: _segmentations(run))):
        own = getattr(found, probe)
        gains = differences(own.differences)
        told = "; ".join(f"{name} {gain.low:+.3f} to {gain.high:+.3f}" for name, gain in gains.items())
        words = (
            f"Seed {seed}, test accuracy {accuracy:.3f}: fixed place {own.fixed_iou.mean:.3f}, best place "
            f"{own.best_iou.mean:.3f}, of at most {found.ceiling.mean:.3f}. Gains: {told}."
        )
        figures = {"images": found.evaluation_images, "confidence": found.confidence, "seeds": seed}
        parts.append(Part(f"seed {seed}", wb.emergence(gains), Evidence.NUMERICAL, words, figures))
    return Outcome.of(_agreeing(parts))


def _agreeing(parts: list[Part]) -> list[Part]:
    """The parts as they are if all seeds agree. A refutation by one seed of several that disagree decides nothing."""
    if len({part.verdict for part in parts}) == 1:
        return parts
    return [dataclasses.replace(part, verdict=Verdict.UNDECIDED) for part in parts]


def _segmentations(run: Run) -> list[tuple[wb.Segmentation, float]]:
    dim, depth, count, steps, patch, seeds = run.choose(
        (24, 2, 400, 100, 8, 2), (48, 3, 3000, 600, 4, 3), (64, 4, 6000, 3000, 4, 5)
    )
    train, test = shapes(key=0, num_images=count, num_classes=4).split(0.25, key=0)
    architecture = wb.Architecture.published(dim, depth, 4, image_size=32, patch=patch, num_classes=4)
    found = []
    for seed in range(seeds):
        result = train_images(architecture, train, test, num_steps=steps, learning_rate=2e-3, batch_size=64, key=seed)
        if result.training.stopped is not Stopped.FINISHED or result.test_accuracy is None:
            raise RuntimeError(f"the training of seed {seed} did not finish: {result.training.reason}")
        initial, images = initial_network(architecture, key=seed), result.prepare(test.images)
        segmentation = wb.evaluate_segmentation(
            wb.attention_maps(result.model, images),
            wb.attention_maps(initial, images),
            wb.token_features(result.model, images),
            wb.token_features(initial, images),
            np.asarray(test.masks),
            test.images,
            key=seed,
            # Tokens lie to one side of the origin, where every cosine is near one and nothing would be cut.
            center=True,
        )
        found.append((segmentation, result.test_accuracy))
    return found
