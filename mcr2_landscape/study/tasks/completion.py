"""A masked autoencoder, white-box or not: how well it completes images, and what its encoder's tokens know of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.validation import positive_integer

if TYPE_CHECKING:
    from mcr2_landscape.whitebox import Architecture

_SHOWN = 8
_ROWS = 128
_RIDGES = tuple(10.0**power for power in range(-6, 4))  # relative to the mean square of a feature


@dataclass(frozen=True, kw_only=True)
class Completed:
    """One training. Losses are mean squared errors over masked patches of the test images, pixels standardized by the training
    images' mean and standard deviation; each of the maskings, four an image, is the same for all losses of a seed.

    **Fields:** `network`: "CRATE-MAE", "CRATE-MAE, tied decoder" or "MAE"; `token_dim`, `num_tokens`, `parameters`;
    `num_train`, `num_test`. `test_loss`, with the standard error over images; `initial_loss`, before training;
    `mean_image_loss`: each pixel the training images' mean; `visible_mean_loss`: all masked pixels the mean of the image's
    visible ones, channel by channel; `patch_mean_loss`: each masked patch its own mean, which no network can know: below it,
    structure within patches is predicted. `train_loss`: of the trained network on the training images, other maskings.

    Accuracies on test images of a linear classifier (ridge regression one-vs-all, its ridge chosen on half of the training
    images, then fitted to all) on what the encoder makes of whole images: `probe_tokens` of the mean of patch tokens,
    `probe_class` of the class token; each with two entries, for the initial and for the trained network; `probe_pixels`, of the
    standardized pixels themselves.

    Arrays of eight test images: `shown_images` (8, C, H, W) float32 in [0, 1]; `shown_masked` (8, H, W) bool, true where
    hidden; `shown_completions` (8, C, H, W) float32, the image where visible, predicted (and not clipped) where hidden.
    `training_seconds`; `history_step`, `history_loss` (of the batch, on masked patches), `history_gradient_norm`.
    """

    network: str
    token_dim: int
    num_tokens: int
    parameters: int
    num_train: int
    num_test: int
    train_loss: float
    test_loss: float
    test_loss_error: float
    initial_loss: float
    mean_image_loss: float
    visible_mean_loss: float
    patch_mean_loss: float
    probe_tokens: tuple[float, ...]
    probe_class: tuple[float, ...]
    probe_pixels: float
    shown_images: np.ndarray
    shown_masked: np.ndarray
    shown_completions: np.ndarray
    training_seconds: float
    history_step: tuple[int, ...]
    history_loss: tuple[float, ...]
    history_gradient_norm: tuple[float, ...]


def completion(
    *,
    data: Literal["digits", "mnist", "shapes"] = "digits",
    num_images: int | None = None,
    image_size: int | None = None,
    num_classes: int = 8,
    patch: int | None = None,
    autoencoder: Literal["crate-mae", "tied", "mae"] = "crate-mae",
    dim: int = 48,
    depth: int = 3,
    heads: int = 4,
    mask_ratio: float = 0.75,
    width: Literal["equal", "equal parameters"] = "equal",
    num_steps: int = 1000,
    learning_rate: float = 1e-3,
    num_recorded: int = 100,
    seed: int,
) -> Completed:
    """Train one masked autoencoder, and test it beside baselines.

    **Arguments:** of the data as for `transformer`. `autoencoder`: "crate-mae"; "tied", the same with the decoder that inverts
    the encoder's layers; "mae", whose encoder and decoder are the transformer's. Each has `depth` layers in its encoder and as
    many in its decoder. `mask_ratio` of the patches are hidden. `width`: "equal", all have `dim`; "equal parameters", the MAE
    has the width that comes nearest to the parameters of the CRATE-MAE with `dim`.

    **Raises:** `InputError` for numbers out of range; `RuntimeError` where the training ended before its last step.
    """
    from mcr2_landscape.study.tasks.transformer import history_columns
    from mcr2_landscape.study.tasks.transformer_setup import image_data, sizes_of
    from mcr2_landscape.training import Stopped, initial_network, train_images
    from mcr2_landscape.training.image_completion import (
        completed,
        hidden_losses,
        hidden_pixels,
        images_of,
        maskings,
        patches_of,
    )

    num_steps = positive_integer("num_steps", num_steps)
    num_recorded = positive_integer("num_recorded", num_recorded, minimum=2)
    train, test = image_data(data, num_images, image_size, num_classes, seed)
    assert train.labels is not None
    assert test.labels is not None
    architecture = _architecture(autoencoder, dim, depth, heads, width, sizes_of(data, train, patch), mask_ratio)
    result = train_images(
        architecture,
        train,
        num_steps=num_steps,
        learning_rate=learning_rate,
        key=seed,
        record_every=max(1, num_steps // (2 * num_recorded)),
    )
    training = result.training
    if training.stopped is not Stopped.FINISHED or result.train_loss is None:
        raise RuntimeError(f"the training ended at step {training.step} of {num_steps}: {training.reason}")
    inputs = {"train": result.prepare(train.images), "test": result.prepare(test.images)}
    initial = initial_network(architecture, key=seed)
    masked = maskings(architecture, len(test.images), np.random.default_rng([seed, 1]))
    targets = patches_of(inputs["test"], architecture)
    predictions, untrained = ([completed(model, inputs["test"], one) for one in masked] for model in (result.model, initial))
    errors = hidden_losses(predictions, targets, masked)
    shown = thinned(len(test.images), _SHOWN)
    hidden = hidden_pixels(masked[0][shown], architecture)
    pictures = images_of(predictions[0][shown], architecture) * result.spread[:, None, None] + result.center[:, None, None]
    probes: dict[str, tuple[float, ...]] = {}
    views = [[_features(model, inputs[part]) for part in ("train", "test")] for model in (initial, result.model)]
    for place, name in enumerate(("probe_class", "probe_tokens")):
        probes[name] = tuple(ridge_accuracy(own[place], train.labels, other[place], test.labels, seed) for own, other in views)
    flat = [array.reshape(len(array), -1).astype(np.float64) for array in inputs.values()]
    return Completed(
        network={"crate-mae": "CRATE-MAE", "tied": "CRATE-MAE, tied decoder", "mae": "MAE"}[autoencoder],
        token_dim=architecture.dim,
        num_tokens=architecture.num_patches + 1,
        parameters=result.parameters,
        num_train=len(train.images),
        num_test=len(test.images),
        train_loss=result.train_loss,
        test_loss=float(errors.mean()),
        test_loss_error=float(errors.std(ddof=1) / np.sqrt(len(errors))),
        initial_loss=float(hidden_losses(untrained, targets, masked).mean()),
        **_baselines(patches_of(inputs["train"], architecture), targets, masked, architecture.channels),
        **probes,
        probe_pixels=ridge_accuracy(flat[0], train.labels, flat[1], test.labels, seed),
        shown_images=test.images[shown],
        shown_masked=hidden,
        shown_completions=np.where(hidden[:, None], pictures, test.images[shown]).astype(np.float32),
        training_seconds=training.seconds,
        **history_columns(training.history, num_recorded, {}),
    )


def ridge_accuracy(X: np.ndarray, labels: np.ndarray, test_X: np.ndarray, test_labels: np.ndarray, seed: int) -> float:
    """The accuracy on test features of ridge regression on ±1, one class against all others; features are one row a sample."""
    order = np.random.default_rng(seed).permutation(len(X))
    first, second = order[: len(X) // 2], order[len(X) // 2 :]
    scores = [_ridge(X[first], labels[first], X[second], labels[second], ridge) for ridge in _RIDGES]
    # Of several best ones the largest: the list ascends.
    best = max(range(len(_RIDGES)), key=lambda place: (scores[place], place))
    return _ridge(X, labels, test_X, test_labels, _RIDGES[best])


def _architecture(
    autoencoder: str, dim: int, depth: int, heads: int, width: str, sizes: dict[str, Any], mask_ratio: float
) -> Architecture:
    from mcr2_landscape.whitebox import Architecture, equal_parameters, twin

    settings: dict[str, Any] = {"decoder_depth": depth, "mask_ratio": mask_ratio, **sizes}
    crate = Architecture.published(dim, depth, heads, family="crate-mae", unused_parameters=False, **settings)
    if autoencoder == "tied":
        return crate.replace(decoder="tied")
    if autoencoder == "crate-mae":
        return crate
    return twin(crate) if width == "equal" else equal_parameters(crate)


def _features(model: Any, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class token of whole images, and the mean of their patch tokens."""
    import equinox as eqx

    from mcr2_landscape.rows import in_rows

    first, second = in_rows(lambda images: eqx.filter_jit(_summaries)(model, images), inputs, rows=_ROWS)
    return first.astype(np.float64), second.astype(np.float64)


def _summaries(model: Any, images: Any) -> Any:
    class_token, tokens = model.features(images)
    return class_token, tokens.mean(axis=1)


def _baselines(own: np.ndarray, targets: np.ndarray, masked: list[np.ndarray], channels: int) -> dict[str, float]:
    from mcr2_landscape.training.image_completion import hidden_losses

    count, patches, _ = targets.shape
    split = targets.reshape(count, patches, -1, channels)
    means = [np.einsum("npqc,np->nc", split, ~hidden) / ((~hidden).sum(axis=1) * split.shape[2])[:, None] for hidden in masked]
    constant = [np.broadcast_to(mean[:, None, None], split.shape).reshape(targets.shape) for mean in means]
    within = np.broadcast_to(split.mean(axis=2, keepdims=True), split.shape).reshape(targets.shape)
    found = {
        "mean_image_loss": [np.broadcast_to(own.mean(axis=0, dtype=np.float64), targets.shape)] * len(masked),
        "visible_mean_loss": constant,
        "patch_mean_loss": [within] * len(masked),
    }
    return {name: float(hidden_losses(predictions, targets, masked).mean()) for name, predictions in found.items()}


def _ridge(X: np.ndarray, labels: np.ndarray, test_X: np.ndarray, test_labels: np.ndarray, ridge: float) -> float:
    classes = np.unique(labels)
    targets = np.where(labels[:, None] == classes[None], 1.0, -1.0)
    center, spread = X.mean(axis=0), X.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    A, B = (X - center) / scale, (test_X - center) / scale
    shift = targets.mean(axis=0)
    gram = A.T @ A / len(A) + ridge * np.eye(A.shape[1])
    weights = np.linalg.solve(gram, A.T @ (targets - shift) / len(A))
    return float((classes[(B @ weights + shift).argmax(axis=1)] == test_labels).mean())
