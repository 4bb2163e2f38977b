"""How the claims on emergence are checked: small CRATEs trained to classify generated figures whose masks are known.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.data import shapes
from mcr2_landscape.training import Stopped, initial_network, train_images
from mcr2_landscape.verdict import Evidence, Verdict

_CLEAR = 3.0  # standard errors of an accuracy above chance


class Views(NamedTuple):
    """What a trained network and the same one before training make of test images: `maps` (layers, images, heads, patches),
    `features` (layers, images, patches, d), the trained ones first; `truth` and `images`; the test `accuracy`."""

    maps: tuple[np.ndarray, np.ndarray]
    features: tuple[np.ndarray, np.ndarray]
    truth: np.ndarray
    images: np.ndarray
    accuracy: float


def attention(run: Run, *, see: Callable[[Views], Views] | None = None) -> Outcome:
    """Masks of the class token's attention; `see` changes what networks make of the images."""
    return _outcome(run, "attention", see)


def cuts(run: Run, *, see: Callable[[Views], Views] | None = None) -> Outcome:
    """Normalized cuts of the tokens; as `attention`."""
    return _outcome(run, "cuts", see)


def seeing(views: Views) -> Views:
    """A trained network whose attention and tokens are the true masks, patch by patch: a violation to plant."""
    side = int(np.sqrt(views.maps[0].shape[-1]))
    count, height, width = views.truth.shape
    share = views.truth.reshape(count, side, height // side, side, width // side).mean(axis=(2, 4)).reshape(count, -1)
    maps = np.broadcast_to((share[None, :, None] > 0.4) + 1e-3, views.maps[0].shape)
    marks = np.stack([share > 0.4, share <= 0.4], axis=-1).astype(np.float64)
    features = np.broadcast_to(marks, (len(views.features[0]), *marks.shape))
    random = views.features[1][..., :2]
    return views._replace(maps=(maps, views.maps[1]), features=(features, random))


def _outcome(run: Run, probe: str, see: Callable[[Views], Views] | None) -> Outcome:
    parts = []
    known = run.shared("emergence", lambda: [(_evaluated(seed, views), views) for seed, views in enumerate(_seen(run))])
    for seed, (segmentation, views) in enumerate(known):
        found = segmentation if see is None else _evaluated(seed, see(views))
        own = getattr(found, probe)
        gains = own.differences
        told = "; ".join(f"{name} {gain.low:+.3f} to {gain.high:+.3f}" for name, gain in gains.items())
        words = (
            f"Seed {seed}, test accuracy {views.accuracy:.3f}: fixed place {own.fixed_iou.mean:.3f}, best place "
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


def _evaluated(seed: int, views: Views) -> wb.Segmentation:
    # Tokens lie to one side of the origin, where every cosine is near one and nothing would be cut: they are centered.
    return wb.evaluate_segmentation(
        *views.maps, *views.features, views.truth, views.images, key=seed, center=True, resamples=1000
    )


def _seen(run: Run) -> list[Views]:
    settings = ((24, 2, 3000, 400, 8, 1), (48, 3, 12000, 1500, 4, 3), (64, 4, 40000, 5000, 4, 5))
    dim, depth, count, steps, patch, seeds = run.choose(*settings)
    rate = run.choose(5e-3, 2e-3, 2e-3)
    data = shapes(key=0, num_images=count, label="texture", channels=1)
    train, test = data.split(300 / count if count < 6000 else 0.05, key=0)
    architecture = wb.Architecture.published(dim, depth, 4, image_size=32, patch=patch, channels=1, num_classes=3)
    found = []
    for seed in range(seeds):
        result = train_images(architecture, train, test, num_steps=steps, learning_rate=rate, batch_size=64, key=seed)
        if result.training.stopped is not Stopped.FINISHED or result.test_accuracy is None:
            raise RuntimeError(f"the training of seed {seed} did not finish: {result.training.reason}")
        # Of a network that has not learned to tell the textures apart nothing follows.
        chance, size = 1 / 3, len(test.images)
        if result.test_accuracy < chance + _CLEAR * np.sqrt(chance * (1 - chance) / size):
            raise RuntimeError(f"the network of seed {seed} has learned nothing: test accuracy {result.test_accuracy:.3f}")
        networks, images = (result.model, initial_network(architecture, key=seed)), result.prepare(test.images)
        maps = (wb.attention_maps(networks[0], images), wb.attention_maps(networks[1], images))
        features = (wb.token_features(networks[0], images), wb.token_features(networks[1], images))
        found.append(Views(maps, features, np.asarray(test.masks), test.images, result.test_accuracy))
    return found
