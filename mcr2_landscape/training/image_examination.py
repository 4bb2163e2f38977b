"""What the layers of a network for images do, beside those of the same network at random initialization.

Nothing is trained here: `train_images` does that, and weights of a file serve as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.data import LabeledImages
from mcr2_landscape.record import Record
from mcr2_landscape.training import image_findings
from mcr2_landscape.training.image_completion import CompletionMeasures, measure_completion
from mcr2_landscape.training.image_layers import STATES, LayerRow, layer_rows
from mcr2_landscape.training.images import ImageTraining
from mcr2_landscape.training.inputs import check_key
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.whitebox import (
    Architecture,
    LayerPositions,
    build,
    count_parameters,
    evaluate_segmentation,
    layer_positions,
    normalized_cut,
)
from mcr2_landscape.whitebox.halves import SubspaceAttention
from mcr2_landscape.whitebox.segmentation import Segmentation

_ROWS = 64  # images at a time
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


@dataclass(frozen=True)
class ImageExamination(Record):
    """A network, what its layers do, and how that compares with the same network at random initialization.

    **Fields:** `source` of the images, `num_train` and `num_test` of them, `num_classes` (0: no labels); `architecture`,
    `parameters`, `task`; `training` (`None`: the weights were given); `center` and `spread`, what was subtracted from each
    channel, and what it was divided by. `test_loss` of the task (`None`: not measured) and `test_accuracy` (of classifiers);
    `common_share`, the share of the test images' most common class. `layers`, a row a state ("trained" and "random"), metric
    and layer, over `num_measured` test images. `positions` by state (empty without subspaces); `segmentation` (`None` without
    masks); `completion` (`None` for classifiers). `summary`, what was found in sentences; `notes`. `class_tokens` of the last
    layer, (num_test, d), and `labels`, of all test images; `pictures`; `model`.
    """

    source: str
    num_train: int
    num_test: int
    num_classes: int
    num_measured: int
    architecture: Architecture
    parameters: int
    task: str
    training: ImageTraining | None
    center: np.ndarray
    spread: np.ndarray
    test_loss: float | None
    test_accuracy: float | None
    common_share: float | None
    layers: tuple[LayerRow, ...] = field(repr=False)
    positions: Mapping[str, LayerPositions] = field(repr=False)
    segmentation: Segmentation | None
    completion: CompletionMeasures | None
    notes: tuple[str, ...]
    class_tokens: np.ndarray = field(repr=False, metadata={"json": False})
    labels: np.ndarray | None = field(repr=False, metadata={"json": False})
    pictures: ImagePictures = field(repr=False, metadata={"json": False})
    model: Any = field(repr=False, metadata={"json": False})

    _derived = ("summary",)

    @property
    def summary(self) -> tuple[str, ...]:
        """What was found, in sentences."""
        return image_findings.summarize(self)

    def rows(self, state: str, metric: str = "as derived") -> tuple[LayerRow, ...]:
        """The rows of one state and metric, layer by layer."""
        return tuple(row for row in self.layers if (row.state, row.metric) == (state, metric))


def initial_network(architecture: Architecture, *, key: Any, dtype: Any = np.float32) -> Any:
    """The network that `train_images` starts from with this key."""
    double = np.dtype(dtype) == np.float64
    with jax.enable_x64(double):
        start, _ = jax.random.split(check_key(key))
        return eqx.filter_jit(build)(architecture, key=start, dtype=np.dtype(dtype), unroll=1)


def examine_images(
    model: Any,
    train: LabeledImages,
    test: LabeledImages,
    *,
    task: str,
    center: Any,
    spread: Any,
    training: ImageTraining | None = None,
    key: Any = 0,
    epsilon: float = 0.5,
    num_measured: int = 128,
    num_masks: int = 256,
    num_positions: int = 4,
    notes: tuple[str, ...] = (),
    announce: Callable[[str], Any] | None = None,
) -> ImageExamination:
    """Measure a network on test images, and the same network at random initialization.

    **Arguments:** `model`: a classifier or a masked autoencoder of `mcr2_landscape.whitebox`. `train`, `test`: images in
    [0, 1]; of the first only the patches' means are used, by autoencoders. `task`, `center`, `spread`: as `ImageTraining` has
    them. `training`: its record, if there is one. `key`: of the random network (the one that `train_images` starts from with
    this key), of maskings and of the images that choose fixed heads. `epsilon`: of the rates "as derived" and "sphere", and of
    the positions. `num_measured`, `num_masks`, `num_positions`: at most so many test images, chosen evenly, for the layers,
    for the segmentation, and for the positions. `announce` is told what is at work.

    **Returns:** `ImageExamination`.

    **Raises:** `InputError` for images of another shape than the network's, or numbers out of range.
    """
    a: Architecture = model.architecture
    epsilon = positive_real("epsilon", epsilon)
    num_measured, num_masks = positive_integer("num_measured", num_measured), positive_integer("num_masks", num_masks)
    num_positions = positive_integer("num_positions", num_positions)
    for name, data in (("train", train), ("test", test)):
        if data.shape[1:] != (a.channels, *a.image_size) or not data.shape[0]:
            found = " × ".join(map(str, data.shape))
            raise InputError(f"{name}: found images of {found}; the network takes {a.channels} × {a.image_size[0]} × "
                             f"{a.image_size[1]}")  # fmt: skip
    say = announce or (lambda words: None)
    dtype = np.dtype(jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))[0].dtype)
    center, spread = np.asarray(center, dtype=np.float64), np.asarray(spread, dtype=np.float64)
    initial = initial_network(a, key=key, dtype=dtype)

    def prepared(images: np.ndarray) -> np.ndarray:
        return ((images - center[:, None, None]) / spread[:, None, None]).astype(dtype)

    inputs, said = prepared(test.images), list(notes)
    with jax.enable_x64(dtype == np.float64):
        say("measuring each layer, of the network and at random initialization")
        chosen = evenly(len(inputs), num_measured)
        if len(chosen) > _ROWS:  # one program serves all batches
            chosen = evenly(len(inputs), len(chosen) - len(chosen) % _ROWS)
        networks: dict[str, Any] = dict(zip(STATES, (model, initial), strict=True))
        layers = tuple(
            row for state, network in networks.items() for row in layer_rows(state, network, inputs[chosen], epsilon, _ROWS)
        )
        positions: dict[str, LayerPositions] = {}
        if isinstance(model.layers.attention, SubspaceAttention):
            say("looking where the tokens of a few images are in the landscape of each layer")
            few = inputs[evenly(len(inputs), num_positions)]
            positions = {state: layer_positions(network, few, epsilon=epsilon) for state, network in networks.items()}
        outputs = _seen(model, inputs)
        loss, accuracy = _classified(outputs.logits, test.labels, task)
        segmentation, mosaic = None, _mosaic(model, test, inputs, None)
        if test.masks is not None:
            say("comparing masks with the truth")
            segmentation, mosaic = _segmented(networks, test, inputs, num_masks, key, said)
        completion: CompletionMeasures | None = None
        further: dict[str, Any] = {}
        if a.is_autoencoder:
            say("completing images of which patches are hidden")
            completion, shown = measure_completion(networks, prepared(train.images), inputs, mosaic["places"], key)
            visible = _visible(shown["completions"], center, spread, shown["hidden"], mosaic["images"])
            further = {"hidden": shown["hidden"], "completions": visible}
            loss = completion.loss.mean
    labels = test.labels
    return ImageExamination(
        source=train.source,
        num_train=len(train.images),
        num_test=len(test.images),
        num_classes=0 if labels is None else int(np.unique(labels).size),
        num_measured=len(chosen),
        architecture=a,
        parameters=count_parameters(model),
        task=task,
        training=training,
        center=center,
        spread=spread,
        test_loss=loss,
        test_accuracy=accuracy,
        common_share=None if labels is None else float(np.unique(labels, return_counts=True)[1].max() / len(labels)),
        layers=layers,
        positions=positions,
        segmentation=segmentation,
        completion=completion,
        notes=tuple(said),
        class_tokens=outputs.class_tokens,
        labels=labels,
        pictures=ImagePictures(**mosaic, **further),
        model=model,
    )


def evenly(available: int, wanted: int) -> np.ndarray:
    """Places of at most `wanted` of so many, evenly spread."""
    count = min(available, wanted)
    return np.arange(count) * available // max(count, 1)


@dataclass(frozen=True)
class _Outputs:
    """`maps` (layers, n, heads, patches) or `None`; `features` (layers, n, patches, d); `class_tokens` (n, d) of the last
    layer; `logits` (n, k) or `None`. Without `whole` maps and features are left out."""

    maps: np.ndarray | None
    features: np.ndarray | None
    class_tokens: np.ndarray
    logits: np.ndarray | None


def _seen(model: Any, inputs: np.ndarray, *, whole: bool = False) -> _Outputs:
    """What a network makes of images, so many at a time that one program serves: the last ones are filled up."""
    count, parts = len(inputs), []
    for at in range(0, count, _ROWS):
        found = _program(model, inputs[np.minimum(np.arange(at, at + _ROWS), count - 1)])
        kept = found if whole else (None, None, *found[2:])
        parts.append([None if part is None else np.asarray(part) for part in kept])
    joined = [
        None if pieces[0] is None else np.concatenate(pieces, axis=axis)
        for pieces, axis in zip(zip(*parts, strict=True), (1, 1, 0, 0), strict=True)
    ]
    maps, features, tokens, logits = joined
    assert tokens is not None
    return _Outputs(
        None if maps is None else maps[:, :count],
        None if features is None else features[:, :count],
        tokens[:count],
        None if logits is None else logits[:count],
    )


@eqx.filter_jit
def _program(model: Any, images: Any) -> tuple[Any, ...]:
    with jax.default_matmul_precision("highest"):
        trace = model.trace(jnp.asarray(images))
        last = trace.outputs[-1]
        logits = None if model.architecture.is_autoencoder else model.classify(last)
        return trace.class_attention, trace.outputs[..., 1:, :], last[..., 0, :], logits


def _classified(logits: np.ndarray | None, labels: np.ndarray | None, task: str) -> tuple[float | None, float | None]:
    """Cross-entropy and accuracy, of a classifier on images with labels that it knows."""
    if task != "classification" or logits is None or labels is None:
        return None, None
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(labels)), labels] - np.log(np.exp(scores).sum(axis=1))
    return float(-own.mean()), float((logits.argmax(axis=1) == labels).mean())


def _segmented(
    networks: Mapping[str, Any], test: LabeledImages, inputs: np.ndarray, num_masks: int, key: Any, said: list[str]
) -> tuple[Segmentation | None, dict[str, Any]]:
    """Masks beside all baselines, and what is shown of them; `said` is told why there is none."""
    assert test.masks is not None
    model, full = networks[STATES[0]], np.flatnonzero(test.masks.any(axis=(1, 2)))
    if model.layers.attention is None:
        said.append("The network has no attention, so that no masks were read off it.")
        return None, _mosaic(model, test, inputs, None)
    if len(full) < len(test.masks):
        said.append(f"{len(test.masks) - len(full)} test images without an object were left out of the segmentation.")
    if len(full) < _LEAST:
        said.append(f"There are masks of {len(full)} test images; a segmentation needs {_LEAST}: none was made.")
        return None, _mosaic(model, test, inputs, None)
    chosen = full[evenly(len(full), num_masks)]
    views = [_seen(network, inputs[chosen], whole=True) for network in networks.values()]
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
    return found, _mosaic(model, test, inputs, found)


def _mosaic(model: Any, test: LabeledImages, inputs: np.ndarray, segmentation: Segmentation | None) -> dict[str, Any]:
    """The fields of `ImagePictures` but for completions: maps of the layer that was best, or of the last one."""
    places = evenly(len(inputs), _SHOWN)
    found: dict[str, Any] = {"places": places, "images": test.images[places]}
    found["truth"] = None if test.masks is None else test.masks[places]
    view = _seen(model, inputs[places], whole=True)
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


def _visible(
    completions: np.ndarray, center: np.ndarray, spread: np.ndarray, hidden: np.ndarray, images: np.ndarray
) -> np.ndarray:
    """Completions in the images' own range, and the images themselves where nothing is hidden."""
    pictures = completions * spread[:, None, None] + center[:, None, None]
    return np.where(hidden[:, None], np.clip(pictures, 0, 1), images)
