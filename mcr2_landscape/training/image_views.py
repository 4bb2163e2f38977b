"""What a network for images makes of them: attention maps, tokens, masks and completions to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.data import LabeledImages
from mcr2_landscape.rows import in_rows
from mcr2_landscape.whitebox import evaluate_segmentation, normalized_cut
from mcr2_landscape.whitebox.segmentation import Segmentation

_SHOWN = 6
_LEAST = 4  # images that a segmentation needs


@dataclass(frozen=True)
class ImagePictures:
    """A few test images and what the network makes of them.

    **Fields:** `places`, which of the test images; `images` (n, C, H, W) in [0, 1]; `truth` (n, H, W) bool or `None`; `layer`,
    whose `maps` (n, heads, rows, columns) are, the class token's attention to the patches (`None` without attention); `cuts`
    (n, rows, columns) bool, the normalized cut's masks in layer `cut_layer` (`None` without masks to compare with); `hidden`
    (n, H, W) bool and `completions` (n, C, H, W), of autoencoders.
    """

    places: np.ndarray
    images: np.ndarray
    truth: np.ndarray | None = None
    layer: int | None = None
    maps: np.ndarray | None = None
    cut_layer: int | None = None
    cuts: np.ndarray | None = None
    hidden: np.ndarray | None = None
    completions: np.ndarray | None = None


def evenly(available: int, wanted: int) -> np.ndarray:
    """Places of at most `wanted` of so many, evenly spread."""
    count = min(available, wanted)
    return np.arange(count) * available // max(count, 1)


@dataclass(frozen=True)
class Outputs:
    """`maps` (layers, n, heads, patches) or `None`; `features` (layers, n, patches, d); `class_tokens` (layers, n, d);
    `logits` (n, k) or `None`. Without `whole` maps and features are left out."""

    maps: np.ndarray | None
    features: np.ndarray | None
    class_tokens: np.ndarray
    logits: np.ndarray | None


def seen(model: Any, inputs: np.ndarray, *, whole: bool = False) -> Outputs:
    """What a network makes of images."""

    def rows(images: np.ndarray) -> tuple[Any, ...]:
        found = _program(model, images)
        return found if whole else (None, None, *found[2:])

    maps, features, tokens, logits = in_rows(rows, inputs, axis=1)
    return Outputs(maps, features, tokens, None if logits is None else logits[0])


@eqx.filter_jit
def _program(model: Any, images: Any) -> tuple[Any, ...]:
    """Images are along the second axis of everything."""
    with jax.default_matmul_precision("highest"):
        trace = model.trace(jnp.asarray(images))
        logits = None if model.architecture.is_autoencoder else model.classify(trace.outputs[-1])[None]
        return trace.class_attention, trace.outputs[..., 1:, :], trace.outputs[..., 0, :], logits


def segmented(
    networks: Mapping[str, Any], test: LabeledImages, inputs: np.ndarray, num_masks: int, key: Any, said: list[str]
) -> tuple[Segmentation | None, dict[str, Any]]:
    """Masks beside all baselines, and what is shown of them; `said` is told why there is none."""
    assert test.masks is not None
    model, full = networks["trained"], np.flatnonzero(test.masks.any(axis=(1, 2)))
    if model.layers.attention is None:
        said.append("The network has no attention, so that no masks were read off it.")
        return None, mosaic(model, test, inputs, None)
    if len(full) < len(test.masks):
        said.append(f"{len(test.masks) - len(full)} test images without an object were left out of the segmentation.")
    if len(full) < _LEAST:
        said.append(f"There are masks of {len(full)} test images; a segmentation needs {_LEAST}: none was made.")
        return None, mosaic(model, test, inputs, None)
    chosen = full[evenly(len(full), num_masks)]
    views = [seen(network, inputs[chosen], whole=True) for network in networks.values()]
    found = evaluate_segmentation(
        views[0].maps,
        views[1].maps,
        views[0].features,
        views[1].features,
        test.masks[chosen],
        test.images[chosen],
        key=key,
        grid=model.architecture.grid,
    )
    return found, mosaic(model, test, inputs, found)


def mosaic(model: Any, test: LabeledImages, inputs: np.ndarray, segmentation: Segmentation | None) -> dict[str, Any]:
    """The fields of `ImagePictures` but for completions: maps of the layer that was best, or of the last one."""
    places = evenly(len(inputs), _SHOWN)
    found: dict[str, Any] = {"places": places, "images": test.images[places]}
    found["truth"] = None if test.masks is None else test.masks[places]
    view = seen(model, inputs[places], whole=True)
    assert view.features is not None
    rows, columns = grid = model.architecture.grid
    if view.maps is not None:
        found["layer"] = len(view.maps) - 1 if segmentation is None else segmentation.attention.fixed[0]
        maps = view.maps[found["layer"]]
        found["maps"] = maps.reshape(*maps.shape[:2], rows, columns)
    if segmentation is not None:
        found["cut_layer"] = segmentation.cuts.fixed[0]
        cut = normalized_cut(view.features[found["cut_layer"]], tau=segmentation.tau, grid=grid, center=segmentation.center)
        found["cuts"] = cut.masks.reshape(-1, rows, columns)
    return found


def visible(
    completions: np.ndarray, center: np.ndarray, spread: np.ndarray, hidden: np.ndarray, images: np.ndarray
) -> np.ndarray:
    """Completions in the images' own range, and the images themselves where nothing is hidden."""
    pictures = completions * spread[:, None, None] + center[:, None, None]
    return np.where(hidden[:, None], np.clip(pictures, 0, 1), images)
