"""A small network trained on the digits: how it went, what its features are like, and where in the landscape they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.study.tasks.spheres import best_orthogonal, on_spheres
from mcr2_landscape.validation import positive_integer


@dataclass(frozen=True)
class Trained:
    """One training.

    **Fields:** `regularization` and its limit, `class_sizes`. `reason`: why the training ended, in words.

    As in the results of `train_features`, names included: of the features as the loss saw them `rate_reduction` ΔR,
    `objective` F, `maximum` (the global maximum of F in closed form, of `maximum_ranks`), `gap` and `relative_gap`; at the
    common factor `scale` of all features at which F is largest (missing where F is positive at none), whatever the loss,
    `scaled_objective` and `scaled_gap`. `ranks`: directions of each class, singular values nearer to the large root than to
    zero; `family_value`, F of the local maximizers with these ranks, and `family_gap`, what is missing to it (both missing
    where there are none). These three are of the features as they are with the regularized loss, and at `scale` with the
    others, whose features' length means nothing to F.

    On the spheres ‖Z_k‖² = m_k, on which a training with "mcr2" takes place (each of its features has length one):
    `rate_reduction_on_spheres`, ΔR with each class scaled to its sphere (missing where a class is zero); `sphere_maximum`, the
    largest ΔR there of orthogonal blocks with equal singular values, for features of length one too; it is the maximum of all
    where `sphere_maximum_proved`, while elsewhere something higher has not been excluded; `sphere_gap` between the two. The
    maximum and the gap are missing with fewer dimensions than classes, where no such blocks exist.

    All that follows is at the common factor `factor` of the features: 1 for the regularized loss, for the others `scale` (where
    there is none, that at which the features are as long as a global maximizer).

    Each class: `singular_values`, `ideal_singular_values` (√x_k⁺, which the non-zero ones have at a maximizer),
    `effective_ranks`, `coherences` (the largest cosine of an angle to another class's leading subspace). `similarity`: |cos|
    between the features of samples in class order, thinned out to a picture; `similarity_inputs`: the same of the centered
    inputs; `similarity_classes`, the class of each row of both.

    Where training ends: `position_kind` with `position_reason`, `relative_gradient_norm`; `nearest_family` (within 1%) and
    `nearest_distance`, missing where there is none. `top_eigenvalue` of the Hessian, to within `top_residual`; `escapes`: it is
    positive. `density_nodes`, `density_weights`: the Hessian's spectral density. `end_…`: where ascent from the features leads,
    without the network: `end_value`, `end_gap`, `end_gap_closed` (the share of the gap), `end_family`, `end_ranks`,
    `end_distance` (relative), `end_converged`.

    `history_step`, `history_loss`, `history_gradient_norm`, `history_metric`: along the training; the metric is ΔR, with
    cross-entropy the accuracy.
    """

    regularization: float
    regularization_limit: float
    class_sizes: tuple[int, ...]
    reason: str
    rate_reduction: float
    objective: float
    maximum: float
    maximum_ranks: tuple[int, ...]
    gap: float
    relative_gap: float
    scale: float | None
    scaled_objective: float
    scaled_gap: float
    ranks: tuple[int, ...]
    family_value: float | None
    family_gap: float | None
    rate_reduction_on_spheres: float | None
    sphere_maximum: float | None
    sphere_maximum_proved: bool
    sphere_gap: float | None
    factor: float
    singular_values: tuple[tuple[float, ...], ...]
    ideal_singular_values: tuple[float | None, ...]
    effective_ranks: tuple[float, ...]
    coherences: tuple[float, ...]
    similarity_inputs: np.ndarray
    similarity: np.ndarray
    similarity_classes: tuple[int, ...]
    position_kind: str
    position_reason: str
    relative_gradient_norm: float
    nearest_family: str | None
    nearest_distance: float | None
    top_eigenvalue: float
    top_residual: float
    escapes: bool
    density_nodes: tuple[float, ...]
    density_weights: tuple[float, ...]
    end_value: float
    end_gap: float
    end_gap_closed: float
    end_family: str
    end_ranks: tuple[int, ...]
    end_distance: float
    end_converged: bool
    history_step: tuple[int, ...]
    history_loss: tuple[float, ...]
    history_gradient_norm: tuple[float, ...]
    history_metric: tuple[float, ...]


def train(
    *,
    loss: Literal["regularized", "mcr2", "cross-entropy"] = "regularized",
    dim: int = 20,
    width: int = 128,
    depth: int = 2,
    epsilon: float = 0.5,
    relative_regularization: float = 0.1,
    num_steps: int = 1000,
    learning_rate: float = 3e-3,
    num_samples: int | None = None,
    precision: Literal["float32", "float64", "bfloat16"] = "float32",
    num_recorded: int = 100,
    seed: int,
) -> Trained:
    """Train a multilayer perceptron on the digits that come with the package, and analyze its features.

    **Arguments:** as for `mcr2_landscape.training.train_features`; `num_samples`: train on the first so many digits only.
    `num_recorded`: steps of the history to keep.

    **Raises:** `InputError` for numbers out of range; `RuntimeError` where the training ended before its last step.
    """
    import dataclasses

    from mcr2_landscape.analysis import analyze_features
    from mcr2_landscape.data import digits
    from mcr2_landscape.training import Stopped, train_features

    num_recorded = positive_integer("num_recorded", num_recorded, minimum=2)
    data = digits()
    if num_samples is not None:
        count = positive_integer("num_samples", num_samples, minimum=2)
        data = dataclasses.replace(data, features=data.features[:count], labels=data.labels[:count])
    result = train_features(
        data,
        loss=loss,
        dim=dim,
        width=width,
        depth=depth,
        epsilon=epsilon,
        relative_regularization=relative_regularization,
        num_steps=num_steps,
        learning_rate=learning_rate,
        precision=precision,
        record_every=max(1, num_steps // (2 * num_recorded)),
        key=seed,
    )
    training, features = result.training, result.features
    if training.stopped is not Stopped.FINISHED or features is None:
        raise RuntimeError(f"the training ended at step {training.step} of {training.num_steps}: {training.reason}")
    found = analyze_features(
        features.features,
        features.labels,
        epsilon=result.epsilon,
        regularization=result.regularization,
        normalize="none" if loss == "regularized" else "scale",
        key=seed,
    )
    # analyze_features normalizes to where F is largest, to the maximizers' norm where it is positive nowhere.
    factor = float(np.linalg.norm(found.point) / np.linalg.norm(features.features))
    assert found.endpoint is not None
    return Trained(
        regularization=result.regularization,
        regularization_limit=result.regularization_limit,
        class_sizes=result.sizes,
        reason=training.reason,
        rate_reduction=result.rate_reduction,
        objective=result.objective,
        maximum=result.maximum,
        maximum_ranks=found.target.ranks,
        gap=result.gap,
        relative_gap=result.relative_gap,
        scale=result.scale,
        scaled_objective=result.scaled_objective,
        scaled_gap=result.scaled_gap,
        ranks=result.ranks,
        family_value=result.family_value,
        family_gap=result.family_gap,
        **_spheres(result, features),
        factor=factor,
        **_classes(found),
        similarity_inputs=_inputs_similarity(data),
        similarity=found.similarity.astype(np.float32),
        similarity_classes=tuple(found.similarity_classes.tolist()),
        **_position(found),
        **_endpoint(found),
        **_history(training, num_recorded),
    )


def _spheres(result: Any, features: Any) -> dict[str, Any]:
    from mcr2_landscape.mcr2.features import sort_features

    p = Parameters(result.dim, result.sizes, result.epsilon, result.regularization)
    Z, _, _ = sort_features(features.features, features.labels)
    value = None
    if all(block.any() for block in p.blocks(Z)):
        value = closed_form.value(p, on_spheres(p, Z), regularized=False)
    best = best_orthogonal(p)
    return {
        "rate_reduction_on_spheres": value,
        "sphere_maximum": None if best is None else best.value,
        "sphere_maximum_proved": best is not None and best.proved,
        "sphere_gap": None if best is None or value is None else best.value - value,
    }


def _inputs_similarity(data: Any) -> np.ndarray:
    from mcr2_landscape.analysis import measures
    from mcr2_landscape.mcr2.features import sort_features

    X, sizes, _ = sort_features(data.features - data.features.mean(axis=0), data.labels)
    return measures.similarity(X, sizes)[0].astype(np.float32)


def _classes(found: Any) -> dict[str, Any]:
    return {
        "singular_values": tuple(tuple(own.singular_values.tolist()) for own in found.classes),
        "ideal_singular_values": tuple(own.ideal_singular_value for own in found.classes),
        "effective_ranks": tuple(own.effective_rank for own in found.classes),
        "coherences": tuple(own.coherence for own in found.classes),
    }


def _position(found: Any) -> dict[str, Any]:
    position, curvature = found.position, found.curvature
    return {
        "position_kind": str(position.kind),
        "position_reason": position.reason,
        "relative_gradient_norm": position.relative_gradient_norm,
        "nearest_family": position.family,
        "nearest_distance": position.family_distance,
        "top_eigenvalue": curvature.top_eigenvalue,
        "top_residual": curvature.residual,
        "escapes": curvature.escapes,
        "density_nodes": tuple(curvature.nodes.tolist()),
        "density_weights": tuple(curvature.weights.tolist()),
    }


def _endpoint(found: Any) -> dict[str, Any]:
    end = found.endpoint
    return {
        "end_value": end.value,
        "end_gap": end.gap,
        "end_gap_closed": end.gap_closed,
        "end_family": end.family,
        "end_ranks": end.ranks,
        "end_distance": end.relative_distance,
        "end_converged": end.converged,
    }


def _history(training: Any, num_recorded: int) -> dict[str, Any]:
    history = training.history
    places = thinned(len(history["step"]), num_recorded)
    metric = "accuracy" if "accuracy" in history else "rate_reduction"
    return {
        "history_step": tuple(history["step"][places].tolist()),
        "history_loss": tuple(history["loss"][places].tolist()),
        "history_gradient_norm": tuple(history["gradient_norm"][places].tolist()),
        "history_metric": tuple(history[metric][places].tolist()),
    }
