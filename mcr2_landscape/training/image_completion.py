"""How well a masked autoencoder completes images, beside predictions that need no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.rows import in_rows
from mcr2_landscape.verdict import Verdict
from mcr2_landscape.whitebox import Architecture
from mcr2_landscape.whitebox.autoencoder import Masking
from mcr2_landscape.whitebox.segmentation import Interval

#: What the loss is compared with: the same network before training, the mean of all patches of the images for training, and
#: their mean at the same place.
COMPLETIONS = ("random-initialization", "mean-patch", "mean-patch-of-the-place")

MASKINGS = 4  # of each image
_VARIANCE = 1e-6  # as the networks add it where targets are normalized
_NORMAL = 1.959963984540054


@dataclass(frozen=True)
class CompletionMeasures(Record):
    """The loss on hidden patches of test images, mean squared error, and that of predictions that need no network.

    **Fields:** `images`, and `maskings` of each; `loss` of the network; `baselines`, by the names of `COMPLETIONS`;
    `differences`, the network's loss less the baseline's, paired image by image; and derived `verdict`. Intervals are normal
    ones at 95 % over images.
    """

    images: int
    maskings: int
    loss: Interval
    baselines: Mapping[str, Interval]
    differences: Mapping[str, Interval]

    _derived = ("verdict",)

    @property
    def verdict(self) -> Verdict:
        """Whether the network completes better than all baselines: holds if all intervals of the differences are below zero,
        refuted if one is above, undecided otherwise."""
        if all(one.high < 0 for one in self.differences.values()):
            return Verdict.HOLDS
        return Verdict.REFUTED if any(one.low > 0 for one in self.differences.values()) else Verdict.UNDECIDED


def measure_completion(
    networks: Mapping[str, Any], train: np.ndarray, test: np.ndarray, shown: np.ndarray, key: Any
) -> tuple[CompletionMeasures, dict[str, np.ndarray]]:
    """The losses of the trained and the random network, and of the means, on the same maskings; and, for the test images
    `shown`, which pixels are "hidden" by the first masking, and the "completions".

    `train` and `test` are images as the networks take them.
    """
    trained, random = networks.values()
    a: Architecture = trained.architecture
    draws = generator(key)
    masked = maskings(a, len(test), draws)
    patches = patches_of(test, a)
    targets, own = _targets(patches, a), _targets(patches_of(train, a), a)
    predictions = [[completed(network, test, one) for one in masked] for network in (trained, random)]
    loss, *others = (hidden_losses(each, targets, masked) for each in predictions)
    for mean in (own.mean(axis=(0, 1)), own.mean(axis=0)):
        others.append(hidden_losses([np.broadcast_to(mean, targets.shape)] * MASKINGS, targets, masked))
    measures = CompletionMeasures(
        len(test),
        MASKINGS,
        normal_interval(loss),
        {name: normal_interval(values) for name, values in zip(COMPLETIONS, others, strict=True)},
        {name: normal_interval(loss - values) for name, values in zip(COMPLETIONS, others, strict=True)},
    )
    first = predictions[0][0][shown].astype(np.float64)
    if a.normalized_targets:  # a patch's own mean and deviation, which no network has seen, make a picture of it
        seen = patches[shown]
        first = first * _deviation(seen) + seen.mean(axis=-1, keepdims=True)
    return measures, {"hidden": hidden_pixels(masked[0][shown], a), "completions": images_of(first, a)}


def maskings(architecture: Architecture, count: int, draws: np.random.Generator) -> list[np.ndarray]:
    """Which patches are hidden, (images, patches) bool, for each of `MASKINGS`."""
    shape = (count, architecture.num_patches)
    return [draws.random(shape).argsort(axis=1).argsort(axis=1) >= architecture.num_visible for _ in range(MASKINGS)]


def hidden_pixels(masked: np.ndarray, architecture: Architecture) -> np.ndarray:
    """Which pixels are hidden, (images, H, W)."""
    return images_of(np.broadcast_to(masked[..., None], (*masked.shape, architecture.patch_dim)), architecture)[:, 0]


def patches_of(images: np.ndarray, architecture: Architecture) -> np.ndarray:
    """(images, patches, numbers of a patch) in float64, each number where the networks have it: channels vary fastest."""
    count, channels, *_ = images.shape
    (rows, columns), side = architecture.grid, architecture.patch
    split = images.astype(np.float64).reshape(count, channels, rows, side, columns, side)
    return split.transpose(0, 2, 4, 3, 5, 1).reshape(count, rows * columns, -1)


def images_of(patches: np.ndarray, architecture: Architecture) -> np.ndarray:
    """The images of patches: `patches_of`'s inverse."""
    (rows, columns), side, channels = architecture.grid, architecture.patch, architecture.channels
    split = patches.reshape(len(patches), rows, columns, side, side, channels).transpose(0, 5, 1, 3, 2, 4)
    return split.reshape(len(patches), channels, rows * side, columns * side)


def _targets(patches: np.ndarray, architecture: Architecture) -> np.ndarray:
    if not architecture.normalized_targets:
        return patches
    return (patches - patches.mean(axis=-1, keepdims=True)) / _deviation(patches)


def _deviation(patches: np.ndarray) -> np.ndarray:
    return np.sqrt(patches.var(axis=-1, keepdims=True, ddof=1) + _VARIANCE)


def completed(model: Any, inputs: np.ndarray, masked: np.ndarray) -> np.ndarray:
    """Predicted patches of all images."""
    # A stable sort: the visible patches come first, in their order.
    visible = masked.argsort(axis=1, kind="stable")[:, : model.architecture.num_visible].astype(np.int32)
    return in_rows(lambda *some: _program(model, *some), inputs, masked, visible)


@eqx.filter_jit
def _program(model: Any, images: Any, masked: Any, visible: Any) -> Any:
    with jax.default_matmul_precision("highest"):
        return model.complete(jnp.asarray(images), masking=Masking(masked, visible)).patches


def hidden_losses(predictions: list[np.ndarray], targets: np.ndarray, masked: list[np.ndarray]) -> np.ndarray:
    """The loss of each image on hidden patches, the mean over its maskings."""
    each = []
    for prediction, hidden in zip(predictions, masked, strict=True):
        squares = np.square(prediction.astype(np.float64) - targets).mean(axis=2)
        each.append((squares * hidden).sum(axis=1) / hidden.sum(axis=1))
    return np.mean(each, axis=0)


def normal_interval(values: np.ndarray) -> Interval:
    """The mean over images, and the ends of its normal 95 % interval: infinite for a single image."""
    mean = float(values.mean())
    half = _NORMAL * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("inf")
    return Interval(mean, mean - half, mean + half)
