"""Features trained on labeled data: the first use of the training loop."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.analysis import measures
from mcr2_landscape.data import LabeledFeatures
from mcr2_landscape.extras import missing_extra
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.mcr2.features import sort_features
from mcr2_landscape.record import Record
from mcr2_landscape.training.inputs import check_key, check_precision
from mcr2_landscape.training.loop import fit
from mcr2_landscape.training.losses import FeatureLoss, check_loss, on_spheres
from mcr2_landscape.training.networks import Encoder, encode
from mcr2_landscape.training.results import Status, Training
from mcr2_landscape.training.standardization import standardized
from mcr2_landscape.validation import float64_matrix, positive_integer, positive_real

# Up to so many samples all of them make one batch, else so many do.
_WHOLE, _BATCH = 5000, 1000
# Of F in float64, relative: sums over the singular values.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class FeatureTraining(Record):
    """Trained features, and how close to a global maximizer of F they are.

    **Fields:** `training`, of the network; `features` with their labels, as the loss saw them (on the unit sphere for "mcr2"),
    from the trained network in `training.precision` (float32 for "bfloat16"); `None` where training diverged and the network
    gives infinite ones, and all numbers below are then NaN. `loss`: its name. `dim`, `sizes` (samples of each
    class, in the order of the sorted labels), `epsilon`, `regularization` and its limit `regularization_limit`: the problem.

    `rate_reduction` ΔR and `objective` F at the features, in float64; `maximum`: the global maximum of F in closed form; `gap`
    between the two, and `relative_gap`, the gap over the maximum (NaN where that is zero). `scale`: the common factor of all
    features at which F is largest (`None` where F is positive at none), `scaled_objective`: F there, `scaled_gap`: its gap. The
    regularized loss finds that scale itself; for features of the others, whose length means nothing to F, the scaled numbers
    are the ones to compare.

    `center` and `spread`: what was subtracted from the inputs, and what they were divided by; `encode` does the same to others.

    `ranks`: how many directions each class has, singular values nearer to the large root than to zero: of the features as they
    are for the regularized loss, at that scale for the others. `family_value`: F of the local maximizers with these ranks, and
    `family_gap`, how far below it the same features are (negative where they are above it): what is missing to the maximizer
    nearby, as `gap` or `scaled_gap` is what is missing to the best of all (`None` where no such maximizer exists).
    """

    training: Training
    features: LabeledFeatures | None = field(repr=False, metadata={"json": False})
    loss: str
    dim: int
    sizes: tuple[int, ...]
    epsilon: float
    regularization: float
    regularization_limit: float
    rate_reduction: float
    objective: float
    maximum: float
    gap: float
    relative_gap: float
    scale: float | None
    scaled_objective: float
    scaled_gap: float
    ranks: tuple[int, ...]
    family_value: float | None
    family_gap: float | None
    center: np.ndarray = field(repr=False, metadata={"json": False})
    spread: float

    def encode(self, inputs: Any) -> np.ndarray:
        """The features of other samples, (samples, dim), by the trained network.

        **Raises:** `InputError` for inputs of another width, NaN or infinity.
        """
        array = float64_matrix("inputs", inputs, (None, self.center.size), refuse_float32=False)
        return _encoded(self.training, self.loss, (array - self.center) / self.spread)


def train_features(
    data: LabeledFeatures,
    *,
    loss: str = "regularized",
    dim: int = 20,
    width: int = 128,
    depth: int = 2,
    epsilon: float = 0.5,
    regularization: float | None = None,
    relative_regularization: float = 0.1,
    num_steps: int = 1000,
    learning_rate: float = 3e-3,
    batch_size: int | None = None,
    key: Any = 0,
    precision: str = "float32",
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 30.0,
    record_every: int = 10,
    max_seconds: float | None = None,
    progress: bool | Callable[[Status], Any] = False,
    stop: Callable[[Status], bool] | None = None,
    lock: FolderLock | None = None,
) -> FeatureTraining:
    """Train a multilayer perceptron from labeled data to features.

    The inputs are centered, and divided by one number so that their variances are one on average: shapes stay as they are. The
    optimizer is Adam, its rate falling from `learning_rate` to zero along half a cosine.

    **Arguments:** `data`: any labeled features, `digits()` for instance. `loss`: "regularized" (−F, Wang et al. 2024), "mcr2"
    (−ΔR on unit spheres, Yu et al. 2020) or "cross-entropy" (of a linear map of the features). `dim`: features; `width`,
    `depth`: units of a hidden layer, number of hidden layers. `epsilon`: coding precision. `regularization`: lambda, by default
    `relative_regularization` times the limit up to which every class has critical directions (of all samples, with minibatches
    too). Towards the limit ever more directions end at zero, a local maximizer too, but a poor one: on the digits at half of
    it 11 of 20 were left, at a tenth all. `batch_size`: by default all samples up to 5,000, else 1,000. `key` draws the initial
    parameters and the order of the samples. All others are as for `fit`.

    **Returns:** `FeatureTraining`.

    **Raises:** `InputError` for data of a single class or of samples that are all equal, an unknown loss, a network beyond the
    machine's memory, and as `fit`.
    """
    try:
        import optax  # noqa: F401
    except ImportError:
        raise missing_extra("training", "optax", "solvers") from None
    loss = check_loss(loss)
    precision = check_precision(precision)
    num_steps = positive_integer("num_steps", num_steps)
    learning_rate = positive_real("learning_rate", learning_rate)
    inputs, codes, names, center, spread = standardized(data)
    if batch_size is None and len(codes) > _WHOLE:
        batch_size = _BATCH
    problem = _problem(dim, codes, epsilon, regularization, relative_regularization)
    real = np.dtype(np.float64 if precision == "float64" else np.float32)
    with jax.enable_x64(real == np.float64):
        root = check_key(key)
        network, order = jax.random.split(root)
        head = len(names) if loss == "cross-entropy" else None
        model = Encoder(inputs.shape[1], dim, width=width, depth=depth, num_classes=head, key=network, dtype=real)
    objective = FeatureLoss(loss, len(names), len(codes), problem.epsilon, problem.regularization)
    arrays = {"inputs": inputs.astype(real), "labels": codes.astype(np.int32)}
    training = fit(
        model,
        objective,
        arrays,
        optimizer=_adam(learning_rate, num_steps),
        num_steps=num_steps,
        key=order,
        batch_size=batch_size,
        precision=precision,
        checkpoint=checkpoint,
        resume=resume,
        checkpoint_seconds=checkpoint_seconds,
        record_every=record_every,
        max_seconds=max_seconds,
        progress=progress,
        stop=stop,
        lock=lock,
        # In the order in which they are told where a checkpoint does not fit. Names that the loop has taken are put otherwise.
        configuration={
            "objective": loss,
            "dim": dim,
            "width": width,
            "depth": depth,
            "epsilon": problem.epsilon,
            "regularization": problem.regularization,
            "num_steps": num_steps,
            "learning_rate": learning_rate,
        },
    )
    return _measured(training, data, _encoded(training, loss, inputs), loss, problem, center, spread)


def _encoded(training: Training, loss: str, inputs: np.ndarray) -> np.ndarray:
    """The features that the loss sees, of standardized inputs."""
    double = training.precision == "float64"
    with jax.enable_x64(double):
        features = encode(training.model, inputs.astype(np.float64 if double else np.float32))
        return np.asarray(on_spheres(jnp.asarray(features))) if loss == "mcr2" else features


@functools.lru_cache(maxsize=16)
def _adam(learning_rate: float, num_steps: int) -> Any:
    """One object for one configuration, so that a second training with it compiles nothing."""
    import optax

    return optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps))


def _problem(dim: int, codes: np.ndarray, epsilon: float, regularization: float | None, relative: float) -> MCR2:
    sizes = tuple(int(size) for size in np.bincount(codes))
    if regularization is None:
        limit = MCR2(dim, sizes, epsilon, 1.0).regularization_limit
        regularization = positive_real("relative_regularization", relative) * limit
    return MCR2(dim, sizes, epsilon, regularization)


def _measured(
    training: Training,
    data: LabeledFeatures,
    features: np.ndarray,
    loss: str,
    problem: MCR2,
    center: np.ndarray,
    spread: float,
) -> FeatureTraining:
    p = problem.parameters
    best = problem.global_maximum()
    unknown = float("nan")
    known = FeatureTraining(
        training=training,
        features=None,
        loss=loss,
        dim=problem.dim,
        sizes=problem.sizes,
        epsilon=p.epsilon,
        regularization=p.regularization,
        regularization_limit=problem.regularization_limit,
        rate_reduction=unknown,
        objective=unknown,
        maximum=best.value,
        gap=unknown,
        relative_gap=unknown,
        scale=None,
        scaled_objective=unknown,
        scaled_gap=unknown,
        ranks=(),
        family_value=None,
        family_gap=None,
        center=center,
        spread=spread,
    )
    if not np.isfinite(features).all():
        return known
    Z, _, _ = sort_features(features, data.labels)
    objective = closed_form.value(p, Z)
    whole = np.linalg.svd(Z, compute_uv=False)
    classes = [np.linalg.svd(block, compute_uv=False) for block in p.blocks(Z)]
    norm = float(np.sqrt(np.sum(np.array(best.family.ranks) * np.nan_to_num(problem.roots()[:, 1]))))
    scale, scaled = measures.best_scale(p, whole, classes, norm)
    # What the family is compared with is what the gap is told of: the regularized loss sees the features' length.
    factor, reached = (1.0, objective) if loss == "regularized" else (scale, scaled)
    ranks = _ranks(problem, classes, factor)
    exists = factor is not None and sum(ranks) <= problem.dim and bool(np.isfinite(problem.roots()).all())
    family = problem.orthogonal_family(ranks).value if exists else None
    gap = _missing(best.value, objective)
    return dataclasses.replace(
        known,
        features=LabeledFeatures(
            features.astype(np.float64), data.labels, (), f"features trained on {data.source}", features.dtype.name
        ),
        rate_reduction=closed_form.value(p, Z, regularized=False),
        objective=objective,
        gap=gap,
        relative_gap=gap / best.value if best.value > 0 else unknown,
        scale=scale,
        scaled_objective=scaled,
        scaled_gap=_missing(best.value, scaled),
        ranks=ranks,
        family_value=family,
        family_gap=None if family is None else _missing(family, reached),
    )


def _missing(target: float, value: float) -> float:
    """How far `value` is below `target`: negative above it, and zero where no more than rounding is between them."""
    difference = target - value
    return 0.0 if abs(difference) <= _ROUNDING * max(abs(target), abs(value)) else difference


def _ranks(problem: MCR2, classes: list[np.ndarray], scale: float | None) -> tuple[int, ...]:
    """Singular values above the geometric mean of the two roots, 1/√(alpha alpha_k), as `analyze_features` counts them."""
    p = problem.parameters
    middles = 1 / np.sqrt(p.alpha * p.alphas)
    factor = 1.0 if scale is None else scale
    return tuple(int(((factor * s) ** 2 > middle).sum()) for s, middle in zip(classes, middles, strict=True))
