"""Closed-loop transcription by convolutional sparse coding: trained, and what becomes of images that it has not seen."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.csc.transcriber import ConvTranscriber
from mcr2_landscape.data import LabeledImages
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.record import Record
from mcr2_landscape.rows import in_rows
from mcr2_landscape.training.image_completion import normal_interval
from mcr2_landscape.training.inputs import check_key, check_precision
from mcr2_landscape.training.loop import fit
from mcr2_landscape.training.results import Status, Stopped, Training
from mcr2_landscape.training.standardization import image_moments, standardized_images
from mcr2_landscape.training.transcription import ClosedLoopLoss, players_of, transcription_utilities
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.verdict import Verdict
from mcr2_landscape.whitebox.segmentation import Interval

MODES = ("binary", "classes")
_MOMENTUM, _SQUARES = 0.5, 0.999  # of both Adams
_NEIGHBORS = 5
_FIRST = 32  # images that a network is tried on


@dataclass(frozen=True)
class ClosedLoop(Record):
    """A trained encoder and decoder, and what they make of images that they have not seen.

    **Fields:** `training`; `mode`, "binary" or "classes"; `dim`, `epsilon`. Images go in less `center` over `spread`, channel
    by channel.

    Of the test images, in float64, in the units that go in: `distance`, Σ_j ΔR(f(X_j), fgf(X_j)), which the decoder lowers;
    `expressiveness` ΔR(f(X)) of the classes (zero for one); `consistency`, the mean of ‖f(x) − fgf(x)‖², at most 4;
    `pixels`, the mean squared error of gf(x), `mean_image` that of the training images' mean, and `difference`, the first less
    the second, image by image: mean and both ends of the normal 95 % interval over images. `class_means`: the error of the
    mean training image of each one's class. `neighbors`: the share of test images that a vote of the five nearest training
    features names rightly. Both are `None` without labels, the first also where the training images lack a class. `initial`:
    the same numbers before training, by name.
    """

    training: Training
    mode: str
    dim: int
    epsilon: float
    center: np.ndarray = field(repr=False)
    spread: np.ndarray = field(repr=False)
    distance: float
    expressiveness: float
    consistency: float
    pixels: float
    mean_image: float
    difference: Interval
    class_means: float | None
    neighbors: float | None
    initial: Mapping[str, float | None]

    _derived = ("verdict",)

    @property
    def model(self) -> Any:
        """The trained `ConvTranscriber`."""
        return self.training.model

    @property
    def verdict(self) -> Verdict:
        """Whether pixels followed in this training without a pixel loss: that test images come back nearer than the mean image
        is. Holds if the interval of the difference is below zero, refuted if it is above; undecided where it is neither, or
        where the training did not make all its steps. The interval is over images: what another seed does is not in it."""
        if self.training.stopped is not Stopped.FINISHED:
            return Verdict.UNDECIDED
        if self.difference.high < 0:
            return Verdict.HOLDS
        return Verdict.REFUTED if self.difference.low > 0 else Verdict.UNDECIDED

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Images (n, C, H, W) in [0, 1] as the network takes them."""
        return standardized_images(images, self.center, self.spread, self.model.encoder[0].dtype)


def train_closed_loop(
    train: LabeledImages,
    test: LabeledImages,
    *,
    mode: str = "binary",
    dim: int = 32,
    channels: tuple[int, ...] = (32, 64),
    kernel: Any = 4,
    stride: Any = 2,
    padding: Any = 1,
    sparsity: float = 0.1,
    unrolled_steps: int = 2,
    tied: bool = False,
    epsilon: float = 0.5**0.5,
    num_steps: int = 2000,
    learning_rate: float = 1.5e-4,
    decoder_steps: int = 1,
    batch_size: int = 512,
    key: Any = 0,
    precision: str = "float32",
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 30.0,
    record_every: int = 10,
    max_seconds: float | None = None,
    progress: bool | Callable[[Status], Any] = False,
    stop: Callable[[Status], bool] | None = None,
) -> ClosedLoop:
    """Train an encoder and a decoder as players of a closed loop, by an Adam each, its rate falling to zero along a line.

    **Arguments:** `train`, `test`: images; `mode`: "binary" plays for ΔR(f(X), fgf(X)) of all images together, "classes" for
    ΔR(f(X)) + ΔR(fgf(X)) + Σ_j ΔR(f(X_j), fgf(X_j)), which needs labels. `dim`, `channels`, `kernel`, `stride`, `padding`,
    `sparsity`, `tied`: of the `ConvTranscriber`, whose stages make `unrolled_steps` steps. `epsilon`: the coding precision,
    by default that of the public code. `decoder_steps`: steps of the decoder for each one of the encoder; `num_steps` counts
    the decoder's. `batch_size`: at most all images; it should be several times `dim`. All others are as for `fit`.

    **Returns:** `ClosedLoop`. A loss that is not finite ends the training at the step before.

    **Raises:** `InputError` for images of different shapes, missing labels, a single class in mode "classes", images that are
    all equal or too small for the stages, an unknown mode, numbers out of range, and as `fit`.
    """
    try:
        import optax  # noqa: F401
    except ImportError:
        raise missing_extra("training", "optax", "solvers") from None
    if mode not in MODES:
        raise InputError(f"mode: found {mode!r}; pass one of {', '.join(map(repr, MODES))}")
    num_classes = _checked(train, test, mode)
    precision = check_precision(precision)
    settings = {"num_steps": num_steps, "decoder_steps": decoder_steps, "batch_size": batch_size, "dim": dim}
    settings = {name: positive_integer(name, value) for name, value in settings.items()}
    rate, epsilon = positive_real("learning_rate", learning_rate), positive_real("epsilon", epsilon)
    center, spread = image_moments(train)
    real = np.dtype(np.float64 if precision == "float64" else np.float32)
    with jax.enable_x64(real == np.float64):
        start, order = jax.random.split(check_key(key))
        model = ConvTranscriber(
            train.shape[1:],
            dim,
            channels=channels,
            kernel=kernel,
            stride=stride,
            padding=padding,
            sparsity=sparsity,
            steps=unrolled_steps,
            tied=tied,
            key=start,
            dtype=real,
        )
    inputs = standardized_images(train.images, center, spread, real)
    with jax.enable_x64(real == np.float64):
        if not np.asarray(_stages(model, jnp.asarray(inputs[:_FIRST]))[0]).any():
            raise InputError(
                f"sparsity: found {sparsity:g}, at which every feature is zero: it is above λ_max in some stage; lower it"
            )
    training = fit(
        model,
        ClosedLoopLoss(num_classes, epsilon),
        {"inputs": inputs, "labels": _codes(train, mode)},
        optimizer=_two_players(rate, num_steps, decoder_steps),
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
        configuration={
            **{name: value for name, value in settings.items() if name != "batch_size"},
            "mode": mode,
            "learning_rate": rate,
            "epsilon": epsilon,
            "sparsity": sparsity,
            "unrolled_steps": unrolled_steps,
            "tied": tied,
        },
    )
    others = standardized_images(test.images, center, spread, real)
    with jax.enable_x64(real == np.float64):
        before, after = (_seen(network, inputs, others, train, test, mode, epsilon) for network in (model, training.model))
    errors = after.pop("errors")
    before.pop("errors")
    means = _squared_errors(others, inputs.mean(axis=0, dtype=np.float64))
    return ClosedLoop(
        training=training,
        mode=mode,
        dim=dim,
        epsilon=epsilon,
        center=center,
        spread=spread,
        mean_image=float(means.mean()),
        difference=normal_interval(errors - means),
        class_means=_class_means(inputs, others, train.labels, test.labels),
        initial=before,
        **after,
    )


def _checked(train: LabeledImages, test: LabeledImages, mode: str) -> int:
    """The number of classes that play."""
    if not len(test.images):
        raise InputError("test: found no images; pass one at least")
    if train.shape[1:] != test.shape[1:]:
        raise InputError(
            f"test: found images of shape {test.shape[1:]}, those for training have {train.shape[1:]}; pass the same"
        )
    if mode == "binary":
        return 1
    for name, data in (("train", train), ("test", test)):
        if data.labels is None:
            raise InputError(f'{name}: found no labels; pass labels, or mode="binary"')
    assert train.labels is not None
    assert test.labels is not None
    classes = np.unique(train.labels)
    if len(classes) < 2:
        raise InputError(f'train: found the single class {classes[0]}; pass at least two classes, or mode="binary"')
    strange = np.setdiff1d(test.labels, classes)
    if strange.size:
        raise InputError(f"test: found class {strange[0]}, which the images for training do not have; leave it out")
    return len(classes)


def _codes(data: LabeledImages, mode: str) -> np.ndarray:
    if mode == "binary" or data.labels is None:
        return np.zeros(len(data.images), np.int32)
    return np.unique(data.labels, return_inverse=True)[1].astype(np.int32)


def _seen(
    model: Any, inputs: np.ndarray, others: np.ndarray, train: LabeledImages, test: LabeledImages, mode: str, epsilon: float
) -> dict[str, Any]:
    """The numbers of `ClosedLoop` on the test images, and the "errors" of each."""
    features, decoded, image = (
        part.astype(np.float64) for part in in_rows(lambda some: _stages(model, some), others, rows=256)
    )
    classes, codes = (np.zeros(1, np.int64), np.zeros(len(others), np.int64))
    if mode == "classes":
        assert train.labels is not None
        assert test.labels is not None
        classes = np.unique(train.labels)
        codes = np.searchsorted(classes, test.labels)
    members = (codes[None, :] == np.arange(len(classes))[:, None]).astype(np.float64)
    with jax.enable_x64(True):
        expressiveness, distances = _utilities(jnp.asarray(features), jnp.asarray(image), jnp.asarray(members), epsilon)
    errors = _squared_errors(others, decoded)
    neighbors = None
    if train.labels is not None and test.labels is not None:
        known = in_rows(lambda some: _stages(model, some)[0], inputs, rows=256).astype(np.float64)
        neighbors = _voted(known, train.labels, features, test.labels)
    return {
        "distance": float(np.asarray(distances).sum()),
        "expressiveness": float(expressiveness),
        "consistency": float(np.mean(np.sum((features - image) ** 2, axis=1))),
        "pixels": float(errors.mean()),
        "neighbors": neighbors,
        "errors": errors,
    }


def _squared_errors(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.mean((images - others) ** 2, axis=(1, 2, 3))


def _class_means(inputs: np.ndarray, others: np.ndarray, labels: np.ndarray | None, truth: np.ndarray | None) -> float | None:
    if labels is None or truth is None or np.setdiff1d(truth, labels).size:
        return None
    classes = np.unique(labels)
    means = np.stack([inputs[labels == label].mean(axis=0, dtype=np.float64) for label in classes])
    return float(_squared_errors(others, means[np.searchsorted(classes, truth)]).mean())


def _voted(known: np.ndarray, labels: np.ndarray, features: np.ndarray, truth: np.ndarray) -> float:
    """The share of features that their nearest known ones name rightly; of a tie the smallest label."""
    count = min(_NEIGHBORS, len(known))
    nearest = labels[np.argsort(-features @ known.T, axis=1, kind="stable")[:, :count]]
    classes = np.unique(labels)
    votes = (nearest[:, :, None] == classes).sum(axis=1)
    return float((classes[votes.argmax(axis=1)] == truth).mean())


_utilities = jax.jit(transcription_utilities)


@eqx.filter_jit
def _stages(model: ConvTranscriber, images: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """f(x), gf(x), fgf(x)."""
    with jax.default_matmul_precision("highest"):
        features = model.encode(images)
        decoded = model.decode(features)
        return features, decoded, model.encode(decoded)


class _Every(NamedTuple):
    """How many steps were made, and the state of what is done at every n-th."""

    made: jax.Array
    inner: Any


@functools.lru_cache(maxsize=16)
def _two_players(rate: float, num_steps: int, decoder_steps: int) -> Any:
    """An Adam for the decoder, and one for the encoder at every `decoder_steps`-th step. One object for one setting, so that a
    second training compiles nothing."""
    import optax

    def adam(steps: int) -> Any:
        return optax.adam(optax.linear_schedule(rate, 0.0, steps), b1=_MOMENTUM, b2=_SQUARES)

    inner = adam(-(-num_steps // decoder_steps))

    def begin(params: Any) -> _Every:
        return _Every(jnp.zeros((), jnp.int32), inner.init(params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, _Every]:
        moved, later = inner.update(updates, state.inner, params)
        now = state.made % decoder_steps == 0

        def chosen(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda first, second: jnp.where(now, first, second), new, old)

        still = jax.tree.map(jnp.zeros_like, moved)
        return chosen(moved, still), _Every(state.made + 1, chosen(later, state.inner))

    encoder = optax.GradientTransformation(begin, update)
    return optax.multi_transform({"encoder": encoder, "decoder": adam(num_steps)}, players_of)
