"""The closed loop of convolutional sparse coding on images, trained: whether pixels follow although no player sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.validation import positive_integer

_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Looped:
    """One training.

    **Fields:** of the test images, after training and before it (`initial_…`): `distance` Σ_j ΔR(f(X_j), fgf(X_j)),
    `expressiveness` ΔR(f(X)), `consistency` mean ‖f(x) − fgf(x)‖², `pixels` the mean squared error of gf(x), standardized, and
    `neighbors`, the accuracy of the five nearest training features. `mean_image_pixels`: of the training images' mean;
    `pixel_difference`: the error less that, image by image: mean and both ends of its 95 % interval over images;
    `class_mean_pixels`: of the mean training image of each one's class. `verdict`: whether pixels follow. `parameters`, how
    many; `training_seconds`; `stopped`, why the training ended.

    `curve_step`, `curve_distance`, `curve_expressiveness`, `curve_consistency`, `curve_pixels`: along the training, of the
    batch before the step. Arrays of eight test images: `shown_images` (8, C, H, W) float32, and `shown_decoded`, what comes
    back, in the images' own range.
    """

    distance: float
    expressiveness: float
    consistency: float
    pixels: float
    neighbors: float | None
    initial_distance: float
    initial_expressiveness: float
    initial_consistency: float
    initial_pixels: float
    initial_neighbors: float | None
    mean_image_pixels: float
    pixel_difference: tuple[float, ...]
    class_mean_pixels: float | None
    verdict: str
    parameters: int
    training_seconds: float
    stopped: str
    curve_step: tuple[int, ...]
    curve_distance: tuple[float, ...]
    curve_expressiveness: tuple[float, ...]
    curve_consistency: tuple[float, ...]
    curve_pixels: tuple[float, ...]
    shown_images: np.ndarray
    shown_decoded: np.ndarray


def csc_loop(
    *,
    data: Literal["digits", "mnist", "shapes"] = "digits",
    num_images: int | None = None,
    mode: Literal["binary", "classes"] = "binary",
    dim: int = 32,
    channels: tuple[int, ...] = (32, 64),
    sparsity: float = 0.1,
    unrolled_steps: int = 2,
    tied: bool = False,
    num_steps: int = 2000,
    learning_rate: float = 1.5e-4,
    decoder_steps: int = 1,
    batch_size: int = 512,
    num_recorded: int = 100,
    seed: int,
) -> Looped:
    """Train one closed loop.

    **Arguments:** of the data as for `transformer`; all others as for `train_closed_loop`. `seed`: of the split, the parameters
    and the batches.

    **Raises:** `InputError` for numbers out of range; `RuntimeError` where a number was not finite.
    """
    import equinox as eqx
    import jax

    from mcr2_landscape.study.tasks.transformer_setup import image_data
    from mcr2_landscape.training import Stopped, train_closed_loop

    num_recorded = positive_integer("num_recorded", num_recorded, minimum=2)
    train, test = image_data(data, num_images, None, 8, seed)
    found = train_closed_loop(
        train,
        test,
        mode=mode,
        dim=dim,
        channels=channels,
        sparsity=sparsity,
        unrolled_steps=unrolled_steps,
        tied=tied,
        num_steps=num_steps,
        learning_rate=learning_rate,
        decoder_steps=decoder_steps,
        batch_size=batch_size,
        key=seed,
        record_every=max(1, num_steps // (2 * num_recorded)),
    )
    if found.training.stopped is not Stopped.FINISHED:
        raise RuntimeError(f"the training ended at step {found.training.step} of {num_steps}: {found.training.reason}")
    chosen = thinned(len(test.images), _SHOWN)
    model = found.model
    decoded = np.asarray(model.decode(model.encode(found.prepare(test.images[chosen]))))
    history, names = found.training.history, ("distance", "expressiveness", "consistency", "pixels")
    places = thinned(len(history["step"]), num_recorded)
    curves: dict[str, Any] = {f"curve_{name}": tuple(history[name][places].tolist()) for name in ("step", *names)}
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return Looped(
        **{name: getattr(found, name) for name in (*names, "neighbors")},
        **{f"initial_{name}": found.initial[name] for name in (*names, "neighbors")},
        mean_image_pixels=found.mean_image,
        pixel_difference=(found.difference.mean, found.difference.low, found.difference.high),
        class_mean_pixels=found.class_means,
        verdict=str(found.verdict),
        parameters=sum(leaf.size for leaf in leaves),
        training_seconds=found.training.seconds,
        stopped=str(found.training.stopped),
        shown_images=test.images[chosen],
        shown_decoded=(decoded * found.spread[:, None, None] + found.center[:, None, None]).astype(np.float32),
        **curves,
    )
