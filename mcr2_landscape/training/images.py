"""White-box transformers and their twins trained on images: the classes, the masked patches, or the rate reduction."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.data import LabeledImages, check_images
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.record import Record
from mcr2_landscape.rows import in_rows
from mcr2_landscape.training.image_losses import TASKS, Classification, ClassTokenRates, Completion
from mcr2_landscape.training.inputs import check_key, check_precision
from mcr2_landscape.training.loop import fit
from mcr2_landscape.training.losses import mcr2
from mcr2_landscape.training.results import Status, Training
from mcr2_landscape.training.standardization import image_moments, standardized_images
from mcr2_landscape.validation import InputError, positive_integer, positive_real, real
from mcr2_landscape.whitebox import Architecture, build, count_parameters

FROZEN = ("subspaces", "output", "dictionary")
_ROWS = 256
_MASKINGS = 4  # of each test image: what is masked is drawn, and the loss depends on it


@dataclass(frozen=True)
class ImageTraining(Record):
    """A trained network, and how well it does.

    **Fields:** `training`, of the network; `architecture`; `task`; `parameters`, how many. `center` and `spread`, one number a
    channel: what was subtracted from the images, and what they were divided by (`prepare` does it). On the images for training
    and for the test (`None` without any, or where training diverged): `train_loss` and `test_loss` of the task, labels not
    smoothed; `train_accuracy` and `test_accuracy` of the most likely class (`None` but for "classification"). `hits`: which
    test images are classified rightly.
    """

    training: Training
    architecture: Architecture
    task: str
    parameters: int
    center: np.ndarray
    spread: np.ndarray
    train_loss: float | None
    test_loss: float | None
    train_accuracy: float | None
    test_accuracy: float | None
    hits: np.ndarray | None = field(repr=False, metadata={"json": False})

    @property
    def model(self) -> Any:
        """The trained network."""
        return self.training.model

    def prepare(self, images: Any) -> np.ndarray:
        """Images in [0, 1], (n, C, H, W), as the network takes them."""
        checked = check_images(images).images
        expected = (self.architecture.channels, *self.architecture.image_size)
        if checked.shape[1:] != expected:
            raise InputError(f"images: found shape {checked.shape}, expected (n, {', '.join(map(str, expected))})")
        return standardized_images(checked, self.center, self.spread, np.float32)


def train_images(
    architecture: Architecture,
    train: LabeledImages,
    test: LabeledImages | None = None,
    *,
    task: str | None = None,
    num_steps: int = 500,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.05,
    warmup: float = 0.1,
    batch_size: int = 128,
    label_smoothing: float = 0.1,
    epsilon: float = 0.5,
    frozen: Sequence[str] = (),
    key: Any = 0,
    precision: str = "float32",
    unroll: int = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 30.0,
    record_every: int = 10,
    max_seconds: float | None = None,
    progress: bool | Callable[[Status], Any] = False,
    stop: Callable[[Status], bool] | None = None,
    lock: FolderLock | None = None,
) -> ImageTraining:
    """Train a network on images by AdamW, its rate rising from zero along the first part of the steps and then falling along
    half a cosine.

    **Arguments:** `architecture`: of the network; its `image_size`, `channels` and, for a classifier, `num_classes` have to be
    those of the images. `train`, `test`: what it is trained and tested on. `task`: "classification", "completion" of masked
    patches, or "features", −ΔR of the class tokens; by default the first for a classifier, the second for an autoencoder.
    `warmup`: the share of steps before the rate is highest. `batch_size`: at most all images. `epsilon`: the coding precision
    of "features". `frozen`: parts that keep their initial values: "subspaces" U, "output" W, "dictionary" D. `key` draws
    parameters, order and maskings. `unroll`: layers that are compiled in a row. All others are as for `fit`.

    Images are centered and scaled channel by channel, by the training images' mean and standard deviation.

    **Returns:** `ImageTraining`. A loss that is not finite ends the training at the step before, with the place in
    `training.reason`.

    **Raises:** `InputError` for images that do not fit the architecture or the task, a single class, images that are all equal,
    unknown tasks or parts, numbers out of range, and as `fit`.
    """
    try:
        import optax  # noqa: F401
    except ImportError:
        raise missing_extra("training", "optax", "solvers") from None
    task = _check_task(task, architecture)
    precision = check_precision(precision)
    num_steps, batch_size = positive_integer("num_steps", num_steps), positive_integer("batch_size", batch_size)
    learning_rate = positive_real("learning_rate", learning_rate)
    for name, value in (("weight_decay", weight_decay), ("warmup", warmup)):
        if not 0 <= real(name, value) < (1 if name == "warmup" else np.inf):
            raise InputError(f"{name}: found {value:g}; pass at least 0" + (" and less than 1" if name == "warmup" else ""))
    num_classes = _check_data("train", train, architecture, task)
    if test is not None:
        _check_data("test", test, architecture, task, num_classes)
    center, spread = image_moments(train)
    inputs = standardized_images(train.images, center, spread, np.float32)
    real_type = np.dtype(np.float64 if precision == "float64" else np.float32)
    model = initial_network(architecture, key=key, precision=precision, unroll=unroll)
    with jax.enable_x64(real_type == np.float64):
        _, order = jax.random.split(check_key(key))
    loss: Any = Completion()
    if task == "classification":
        loss = Classification(label_smoothing)
    elif task == "features":
        loss = ClassTokenRates(num_classes, epsilon)
    batch: dict[str, Any] = {"images": inputs.astype(real_type)}
    if task != "completion":
        assert train.labels is not None
        batch["labels"] = train.labels.astype(np.int32)
    training = fit(
        model,
        loss,
        batch,
        optimizer=_adamw(learning_rate, weight_decay, num_steps, max(1, round(warmup * num_steps))),
        num_steps=num_steps,
        key=order,
        batch_size=min(batch_size, len(inputs)),
        precision=precision,
        checkpoint=checkpoint,
        resume=resume,
        checkpoint_seconds=checkpoint_seconds,
        record_every=record_every,
        max_seconds=max_seconds,
        progress=progress,
        stop=stop,
        lock=lock,
        trainable=_trainable(model, frozen),
        configuration={
            "task": task,
            **{name: str(value) for name, value in vars(architecture).items()},
            "num_steps": num_steps,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "warmup": warmup,
        },
    )
    own = _tested(training, train, center, spread, loss)
    other = (None, None, None) if test is None else _tested(training, test, center, spread, loss)
    return ImageTraining(
        training=training,
        architecture=architecture,
        task=task,
        parameters=count_parameters(model),
        center=center,
        spread=spread,
        train_loss=own[0],
        test_loss=other[0],
        train_accuracy=own[1],
        test_accuracy=other[1],
        hits=other[2],
    )


def initial_network(architecture: Architecture, *, key: Any, precision: str = "float32", unroll: int = 1) -> Any:
    """The network that `train_images` starts from with these arguments: what training changes is told from it.

    **Raises:** `InputError` for what is no key, or an unknown precision.
    """
    dtype = np.float64 if check_precision(precision) == "float64" else np.float32
    with jax.enable_x64(dtype == np.float64):
        start, _ = jax.random.split(check_key(key))
        shape = eqx.filter_eval_shape(build, architecture, key=start, dtype=dtype, unroll=unroll)
        _, static = eqx.partition(shape, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
        # One program, hardly optimized: drawn one after another, or compiled with care, the parameters of a small network
        # take longer than its training.
        hurry = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
        draw = jax.jit(
            lambda start: eqx.filter(build(architecture, key=start, dtype=dtype, unroll=unroll), eqx.is_array),
            compiler_options=hurry if jax.default_backend() == "cpu" else None,
        )
        return eqx.combine(draw(start), static)


def _check_task(task: str | None, architecture: Architecture) -> str:
    default = "completion" if architecture.is_autoencoder else "classification"
    task = default if task is None else task
    if task not in TASKS:
        raise InputError(f"task: found {task!r}; pass one of {', '.join(TASKS)}")
    if (task == "completion") != architecture.is_autoencoder:
        kind = "an autoencoder" if architecture.is_autoencoder else "a classifier"
        raise InputError(
            f'task: found "{task}" for {kind}; "completion" needs an architecture with a decoder, the others one without'
        )
    return task


def _check_data(name: str, data: LabeledImages, architecture: Architecture, task: str, num_classes: int | None = None) -> int:
    """The number of classes."""
    if not isinstance(data, LabeledImages):
        raise InputError(f"{name}: found {type(data).__name__}; pass LabeledImages, for instance from mcr2_landscape.data")
    check_images(data.images, data.labels, data.masks, class_names=data.class_names, source=name)
    expected = (architecture.channels, *architecture.image_size)
    if data.shape[1:] != expected:
        raise InputError(
            f"{name}: found images of {' × '.join(map(str, data.shape[1:]))}, the architecture takes "
            f"{' × '.join(map(str, expected))}; pass image_size and channels of the images"
        )
    if not len(data.images):
        raise InputError(f"{name}: found no images")
    if task == "completion":
        return 0
    if data.labels is None:
        raise InputError(f'{name}: found images without labels; pass labels, or task="completion" with an autoencoder')
    found = np.unique(data.labels)
    if num_classes is None and found.size < 2:
        raise InputError(f"{name}: found the single class {found[0]}; pass at least two classes")
    own = architecture.num_classes if task == "classification" else int(found.size)
    most = own if num_classes is None else num_classes
    if found[0] < 0 or found[-1] >= most:
        raise InputError(
            f"{name}: found labels from {found[0]} to {found[-1]} for {most} classes; pass labels 0 … K−1, and an architecture "
            "with as many classes"
        )
    return most


def _trainable(model: Any, frozen: Sequence[str]) -> Any:
    """Which arrays are trained, in the model's form. Fixed positions are not: they have no gradient, but would decay."""
    fixed = model.architecture.positions == "sincos"
    if not frozen and not fixed:
        return None
    chosen = jax.tree.map(eqx.is_inexact_array, model)
    for part in ("positions", "decoder_positions") if fixed else ():
        if getattr(model, part, None) is not None:
            chosen = eqx.tree_at(lambda tree, part=part: getattr(tree, part), chosen, False)
    for part in frozen:
        if part not in FROZEN:
            raise InputError(f"frozen: found {part!r}; pass some of {', '.join(FROZEN)}")
        half = model.layers.sparsification if part == "dictionary" else model.layers.attention
        if getattr(half, part, None) is None:
            raise InputError(f"frozen: found {part!r}, which this architecture does not have")
        place = "sparsification" if part == "dictionary" else "attention"
        chosen = eqx.tree_at(lambda tree, place=place, part=part: getattr(getattr(tree.layers, place), part), chosen, False)
    return chosen


@functools.lru_cache(maxsize=16)
def _adamw(learning_rate: float, weight_decay: float, num_steps: int, warmup: int) -> Any:
    """One object for one configuration, so that a second training with it compiles nothing."""
    import optax

    rate = optax.warmup_cosine_decay_schedule(0.0, learning_rate, warmup, max(num_steps, warmup + 1))
    return optax.adamw(rate, weight_decay=weight_decay, mask=_decays)


def _decays(parameters: Any) -> Any:
    """All but learned step sizes and thresholds, which decay would lead to zero."""

    def decays(path: Any, leaf: Any) -> bool:
        return not any(getattr(part, "name", None) in ("steps", "step") for part in path)

    return jax.tree_util.tree_map_with_path(decays, parameters)


def _tested(
    training: Training, data: LabeledImages, center: np.ndarray, spread: np.ndarray, loss: Any
) -> tuple[float | None, float | None, np.ndarray | None]:
    """Loss, accuracy and which images are classified rightly; `None` where there is none, or numbers are not finite."""
    double = training.precision == "float64"
    inputs = standardized_images(data.images, center, spread, np.float32).astype(np.float64 if double else np.float32)
    with jax.enable_x64(double), jax.default_matmul_precision("highest"):
        if isinstance(loss, Completion):
            return (
                _finite(np.mean([_masked_losses(training.model, inputs, number).mean() for number in range(_MASKINGS)])),
                None,
                None,
            )
        if isinstance(loss, ClassTokenRates):
            features = in_rows(lambda some: _class_tokens(training.model, some), inputs, rows=_ROWS)
            labels = jnp.asarray(data.labels, dtype=jnp.int32)
            return _finite(_rates(jnp.asarray(features), labels, loss)), None, None
        logits = in_rows(lambda some: _logits(training.model, some), inputs, rows=_ROWS).astype(np.float64)
    if not np.isfinite(logits).all():
        return None, None, None
    assert data.labels is not None
    top = logits.max(axis=1)
    scores = logits[np.arange(len(logits)), data.labels] - top - np.log(np.exp(logits - top[:, None]).sum(axis=1))
    hits = logits.argmax(axis=1) == data.labels
    return float(-scores.mean()), float(hits.mean()), hits


def _finite(number: Any) -> float | None:
    return float(number) if np.isfinite(float(number)) else None


@eqx.filter_jit
def _logits(model: Any, images: Any) -> Any:
    return model(images)


@eqx.filter_jit
def _class_tokens(model: Any, images: Any) -> Any:
    return model.features(images).class_token


def _masked_losses(model: Any, inputs: np.ndarray, number: int) -> np.ndarray:
    """The loss of each image, under the maskings of that number."""

    def rows(images: np.ndarray, places: np.ndarray) -> Any:
        return _masked_errors(model, images, jax.random.fold_in(jax.random.key(number), places[0]))

    return in_rows(rows, inputs, np.arange(len(inputs)), rows=_ROWS)


@eqx.filter_jit
def _masked_errors(model: Any, images: Any, key: Any) -> Any:
    """The loss of each image."""
    found = model.complete(images, key=key)
    errors = jnp.mean(jnp.square(found.patches - model.targets(images)), axis=-1)
    masked = found.masking.masked.astype(errors.dtype)
    return jnp.sum(errors * masked, axis=-1) / jnp.sum(masked, axis=-1)


@eqx.filter_jit
def _rates(features: Any, labels: Any, loss: Any) -> Any:
    return mcr2(features, labels, loss.epsilon, loss.num_classes)
