"""What the layers of a network for images do, beside those of the same network at random initialization.

Nothing is trained here: `train_images` does that, and weights of a file serve as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import numpy as np

from mcr2_landscape.data import LabeledImages
from mcr2_landscape.record import Record
from mcr2_landscape.training import image_findings
from mcr2_landscape.training.class_tokens import ClassTokenPosition, class_token_positions
from mcr2_landscape.training.image_completion import CompletionMeasures, measure_completion
from mcr2_landscape.training.image_layers import STATES, LayerRow, layer_rows
from mcr2_landscape.training.image_views import ImagePictures, evenly, mosaic, seen, segmented, visible
from mcr2_landscape.training.images import ImageTraining, initial_network
from mcr2_landscape.training.standardization import standardized_images
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.whitebox import Architecture, LayerPositions, count_parameters, layer_positions
from mcr2_landscape.whitebox.halves import SubspaceAttention
from mcr2_landscape.whitebox.segmentation import Segmentation


@dataclass(frozen=True)
class ImageExamination(Record):
    """A network, what its layers do, and how that compares with the same network at random initialization.

    **Fields:** `source` of the images, `num_train` and `num_test` of them, `num_classes` (0: no labels); `architecture`,
    `parameters`, `task`; `training` (`None`: the weights were given); `center` and `spread`, what was subtracted from each
    channel, and what it was divided by. `test_loss` of the task (`None`: not measured) and `test_accuracy` (of classifiers);
    `common_share`, the share of the test images' most common class. `layers`, a row a state ("trained" and "random"), metric
    and layer, over `num_measured` test images. `positions` by state (empty without subspaces); `class_positions`, of the class
    tokens that leave each layer, by state (empty for autoencoders, and without two classes); `segmentation` (`None` without
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
    class_positions: tuple[ClassTokenPosition, ...] = field(repr=False)
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
    initial = initial_network(a, key=key, precision="float64" if dtype == np.float64 else "float32")

    def prepared(images: np.ndarray) -> np.ndarray:
        return standardized_images(images, center, spread, dtype)

    inputs, said = prepared(test.images), list(notes)
    with jax.enable_x64(dtype == np.float64):
        say("measuring each layer, of the network and at random initialization")
        chosen = evenly(len(inputs), num_measured)
        networks: dict[str, Any] = dict(zip(STATES, (model, initial), strict=True))
        layers = tuple(
            row for state, network in networks.items() for row in layer_rows(state, network, inputs[chosen], epsilon)
        )
        positions: dict[str, LayerPositions] = {}
        if isinstance(model.layers.attention, SubspaceAttention):
            say("looking where the tokens of a few images are in the landscape of each layer")
            few = inputs[evenly(len(inputs), num_positions)]
            positions = {state: layer_positions(network, few, epsilon=epsilon) for state, network in networks.items()}
        outputs = seen(model, inputs)
        class_positions: tuple[ClassTokenPosition, ...] = ()
        if not a.is_autoencoder and test.labels is not None and np.unique(test.labels).size > 1:
            say("looking where class tokens are in the landscape of the rate reduction")
            tokens = {STATES[0]: outputs.class_tokens, STATES[1]: seen(initial, inputs).class_tokens}
            for state, own in tokens.items():
                class_positions += class_token_positions(state, own, test.labels, epsilon=epsilon, notes=said)
        loss, accuracy = _classified(outputs.logits, test.labels, task)
        segmentation, shown = None, mosaic(model, test, inputs, None)
        if test.masks is not None:
            say("comparing masks with the truth")
            segmentation, shown = segmented(networks, test, inputs, num_masks, key, said)
        completion: CompletionMeasures | None = None
        further: dict[str, Any] = {}
        if a.is_autoencoder:
            say("completing images of which patches are hidden")
            completion, made = measure_completion(networks, prepared(train.images), inputs, shown["places"], key)
            pictures = visible(made["completions"], center, spread, made["hidden"], shown["images"])
            further = {"hidden": made["hidden"], "completions": pictures}
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
        class_positions=class_positions,
        class_tokens=outputs.class_tokens[-1],
        labels=labels,
        pictures=ImagePictures(**shown, **further),
        model=model,
    )


def _classified(logits: np.ndarray | None, labels: np.ndarray | None, task: str) -> tuple[float | None, float | None]:
    """Cross-entropy and accuracy, of a classifier on images with labels that it knows."""
    if task != "classification" or logits is None or labels is None:
        return None, None
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(labels)), labels] - np.log(np.exp(scores).sum(axis=1))
    return float(-own.mean()), float((logits.argmax(axis=1) == labels).mean())
