"""A white-box transformer or its twin, trained to classify images: how well it does, and what its layers do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.study.tasks.transformer_layers import LandscapeColumns, LayerColumns
from mcr2_landscape.study.tasks.transformer_masks import MaskColumns
from mcr2_landscape.validation import positive_integer

_FEW = 4  # images whose tokens' landscape is looked at


@dataclass(frozen=True, kw_only=True)
class Classified(LayerColumns, LandscapeColumns, MaskColumns):
    """One training, with the measures of its base classes.

    **Fields:** `network`, in words, such as "CRATE", "CRATE-α", "ViT", "MSSA + MLP", "CRATE, tied output"; `token_dim`, the
    width d that the network has; `num_tokens`, the class token included; `parameters`, how many. `num_train`, `num_test`
    images; `train_loss`, `test_loss`, cross-entropy without smoothing; `train_accuracy`, `test_accuracy`. `measured_images`,
    test images that layers (and masks) are measured on. `training_seconds`. `history_step`, `history_loss` (labels smoothed, of
    the batch), `history_gradient_norm`, `history_accuracy` (of the batch): along the training.
    """

    network: str
    token_dim: int
    num_tokens: int
    parameters: int
    num_train: int
    num_test: int
    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float
    measured_images: int
    training_seconds: float
    history_step: tuple[int, ...]
    history_loss: tuple[float, ...]
    history_gradient_norm: tuple[float, ...]
    history_accuracy: tuple[float, ...]


def transformer(
    *,
    data: Literal["digits", "mnist", "shapes"] = "digits",
    num_images: int | None = None,
    image_size: int | None = None,
    num_classes: int = 8,
    label: Literal["outline", "texture"] = "outline",
    channels: int = 3,
    patch: int | None = None,
    attention: Literal["mssa", "mhsa", "none"] = "mssa",
    sparsification: Literal["ista", "odl", "mlp", "none"] = "ista",
    control: Literal["none", "frozen subspaces", "tied output", "flipped sign", "no attention", "as derived"] = "none",
    base: Literal["own", "crate"] = "own",
    dim: int = 48,
    depth: int = 6,
    heads: int = 4,
    width: Literal["equal", "equal parameters"] = "equal",
    num_steps: int = 440,
    learning_rate: float = 1e-3,
    num_measured: int = 256,
    num_recorded: int = 100,
    seed: int,
) -> Classified:
    """Train one classifier, and measure it before and after.

    **Arguments:**

    * `num_images` in all, a fifth of which is for the test (without: all there are; of shapes 4,000); `image_size`,
      `num_classes`, `label` (what is to be named) and `channels` of shapes; `patch`, by default 2 for digits and 4 for the
      others.
    * `attention` and `sparsification`: CRATE is "mssa" and "ista", CRATE-α "mssa" and "odl", the ViT "mhsa" and "mlp". What
      else there is to an architecture is by `base` that of the combination's "own" published code (of a combination that was
      never published: CRATE's), or always that of "crate", so that only the two halves differ.
    * `control`: "frozen subspaces" keeps the random U. "tied output" has the map back [U_1, …, U_K], no bias. "flipped sign"
      is the same with the sign −1: with a free map a sign means nothing, since its random values have none; compare it with
      "tied output". "no attention" leaves the first half out. "as derived" is `Architecture.derived`.
    * `width`: "equal", all have `dim`; "equal parameters", the width that comes nearest to the parameters of CRATE with `dim`.
    * `num_measured`: test images for layers and masks, at most. `num_recorded`: steps of the history
      to keep.
    * `seed`: of the split (of shapes also the images), the parameters and the batches.

    **Raises:** `InputError` for numbers out of range and what does not go together; `RuntimeError` where the training ended
    before its last step.
    """
    from mcr2_landscape.study.tasks import transformer_layers as layers
    from mcr2_landscape.study.tasks.transformer_masks import mask_columns
    from mcr2_landscape.study.tasks.transformer_setup import classifier, image_data, network_name, sizes_of
    from mcr2_landscape.training import Stopped, initial_network, train_images
    from mcr2_landscape.training.image_views import seen

    num_steps = positive_integer("num_steps", num_steps)
    num_measured = positive_integer("num_measured", num_measured, minimum=8)
    num_recorded = positive_integer("num_recorded", num_recorded, minimum=2)
    train, test = image_data(data, num_images, image_size, num_classes, seed, label=label, channels=channels)
    architecture = classifier(
        dim=dim,
        depth=depth,
        heads=heads,
        attention=attention,
        sparsification=sparsification,
        control=control,
        base=base,
        width=width,
        sizes=sizes_of(data, train, patch),
    )
    result = train_images(
        architecture,
        train,
        test,
        num_steps=num_steps,
        learning_rate=learning_rate,
        frozen=("subspaces",) if control == "frozen subspaces" else (),
        key=seed,
        record_every=max(1, num_steps // (2 * num_recorded)),
    )
    training = result.training
    losses = (result.train_loss, result.test_loss, result.train_accuracy, result.test_accuracy)
    if training.stopped is not Stopped.FINISHED or None in losses:
        raise RuntimeError(f"the training ended at step {training.step} of {num_steps}: {training.reason}")
    chosen = test.subset(thinned(len(test.images), num_measured))
    inputs = result.prepare(chosen.images)
    networks = (initial_network(architecture, key=seed), result.model)
    masks: dict[str, Any] = {}
    if chosen.masks is not None:
        views = tuple(seen(model, inputs, whole=True) for model in networks)
        masks = mask_columns((views[0], views[1]), chosen.images, chosen.masks, architecture.grid, seed)
    return Classified(
        network=network_name(attention, sparsification, control),
        token_dim=architecture.dim,
        num_tokens=architecture.num_patches + 1,
        parameters=result.parameters,
        num_train=len(train.images),
        num_test=len(test.images),
        **dict(zip(("train_loss", "test_loss", "train_accuracy", "test_accuracy"), losses, strict=True)),
        measured_images=len(inputs),
        training_seconds=training.seconds,
        **history_columns(training.history, num_recorded, {"accuracy": "accuracy"}),
        **layers.layer_columns(networks, inputs),
        **layers.landscape_columns(networks, inputs[:_FEW]),
        **masks,
    )


def history_columns(history: Any, count: int, metrics: dict[str, str]) -> dict[str, Any]:
    """At most `count` steps of a training's history; `metrics` by the names of their columns."""
    places = thinned(len(history["step"]), count)
    columns: dict[str, Any] = {"history_step": tuple(np.asarray(history["step"])[places].astype(int).tolist())}
    for column, name in {"loss": "loss", "gradient_norm": "gradient_norm", **metrics}.items():
        columns[f"history_{column}"] = tuple(np.asarray(history[name], dtype=float)[places].tolist())
    return columns
