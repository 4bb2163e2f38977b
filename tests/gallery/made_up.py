"""Results of tasks that take long to compile, made up: figures are tested by what they make of rows, whatever is in them.

The types of the columns are the tasks' own, so that a store of these is refused where they have changed.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from mcr2_landscape.study.tasks.completion import Completed
from mcr2_landscape.study.tasks.csc_convergence import Converged
from mcr2_landscape.study.tasks.csc_images import Coded
from mcr2_landscape.study.tasks.csc_loop import Looped
from mcr2_landscape.study.tasks.flat_dimension import Dimensioned
from mcr2_landscape.study.tasks.transformer import Classified
from mcr2_landscape.study.tasks.transformer_setup import network_name

STAGES = 2
_NUMBERS = {
    "derived_before": (90, 110), "derived_after": (90, 110), "derived_change": (-3, 3), "derived_common": (90, 110),
    "sphere_before": (80, 100), "sphere_after": (80, 100), "sphere_change": (-2, 2), "sphere_common": (80, 100),
    "hooked_before": (85, 97), "hooked_after": (85, 97), "hooked_change": (-1, 1), "hooked_common": (85, 97),
    "alignment": (-0.5, 0.5), "ratio": (1, 50), "relative_gradient": (0.3, 0.9), "relative_gradient_attended": (0.3, 0.9),
    "relative_gradient_after": (0.3, 0.9), "value": (-20, 20), "value_change_attended": (-3, 3), "value_change": (-9, 9),
}  # fmt: skip
_OBJECTIVES = {"objective": (3, 9), "objective_after": (1, 3), "objective_change": (-6, 0)}
_DIFFERENCES = ("random-initialization", "all-foreground", "center-prior", "color-cut", "color-means")


def _random(parameters: dict[str, Any]) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(sorted(parameters.items())).encode()))


def _nested(values: np.ndarray) -> Any:
    return tuple(_nested(own) for own in values) if values.ndim else values.item()


def _triples(random: np.random.Generator, *shape: int, low: float = 0.2, high: float = 0.6) -> Any:
    middle = random.uniform(low, high, shape)
    return _nested(np.stack([middle, middle - 0.03, middle + 0.04], axis=-1))


def transformer(**parameters: Any) -> Classified:
    """Random columns for one training; without attention or sparsification what they have is missing."""
    random = _random(parameters)
    attention = "none" if parameters["control"] == "no attention" else parameters["attention"]
    sparsification, depth, heads = parameters["sparsification"], parameters["depth"], parameters["heads"]
    columns: dict[str, Any] = {}

    def numbers(name: str, low: float, high: float, *, there: bool, error: bool = True) -> None:
        columns[name] = _nested(random.uniform(low, high, (STAGES, depth))) if there else ((None,) * depth,) * STAGES
        if error:
            spread = 0.02 * (high - low)
            columns[f"{name}_error"] = ((spread if there else None,) * depth,) * STAGES

    for name, ends in _NUMBERS.items():
        numbers(name, *ends, there=attention == "mssa")
    for name, ends in _OBJECTIVES.items():
        numbers(name, *ends, there=sparsification in ("ista", "odl"))
    numbers("step_bound", 0.4, 2.3, there=sparsification in ("ista", "odl"), error=False)
    # A perceptron's codes are its hidden units, and hardly one of those is zero.
    numbers("nonzero_codes", *((0.97, 0.999) if sparsification == "mlp" else (0.2, 0.5)), there=sparsification != "none")
    for end in ("", "_error"):
        # ISTA's output are its codes; the others add to tokens.
        dense = ((0.0 if end else 1.0,) * depth,) * STAGES
        columns[f"nonzero{end}"] = columns[f"nonzero_codes{end}"] if sparsification == "ista" else dense
    dimension, few = 17 * parameters["dim"], 2
    positive = random.integers(1, dimension // 4, (STAGES, depth, few))
    zero = random.integers(0, dimension // 4, (STAGES, depth, few))
    counts = {"positive": positive, "zero": zero, "negative": dimension - positive - zero, "undecided": 0 * zero}
    for sign, own in counts.items():
        columns[f"inertia_{sign}"] = _nested(own if attention == "mssa" else own[:, :, :0])
    if parameters["data"] == "shapes":
        side, channels = parameters["image_size"] or 32, parameters["channels"]
        columns |= _masks(random, depth, heads, side, channels, attends=attention != "none")
    same_width = parameters["width"] == "equal"
    steps = 5
    return Classified(
        network=network_name(parameters["attention"], sparsification, parameters["control"]),
        token_dim=parameters["dim"] if same_width else parameters["dim"] + 3,
        num_tokens=17,
        parameters=int(random.integers(1000, 1100)) * (3 if same_width and sparsification != "ista" else 1),
        num_train=40,
        num_test=10,
        train_loss=random.uniform(0.01, 0.3),
        test_loss=random.uniform(0.1, 0.5),
        train_accuracy=random.uniform(0.95, 1),
        test_accuracy=random.uniform(0.8, 0.95),
        measured_images=8,
        training_seconds=1.0,
        history_step=tuple(range(steps)),
        history_loss=_nested(random.uniform(0, 2, steps)),
        history_gradient_norm=_nested(random.uniform(0, 2, steps)),
        history_accuracy=_nested(random.uniform(0, 1, steps)),
        landscape_images=few,
        inertia_dimension=dimension,
        **columns,
    )


def _masks(random: np.random.Generator, depth: int, heads: int, side: int, channels: int, *, attends: bool) -> dict[str, Any]:
    shown, rows = 6, side // 4
    columns: dict[str, Any] = {
        "selection_images": 4,
        "evaluation_images": 4,
        "difference_names": _DIFFERENCES,
        "baseline_names": _DIFFERENCES[1:],
        "baseline_iou": _triples(random, 4),
        "ceiling_iou": _triples(random, low=0.8, high=0.9),
        "mosaic_images": random.random((shown, channels, side, side)).astype(np.float32),
        "mosaic_truth": random.random((shown, side, side)) < 0.3,
        "mosaic_cuts": random.random((STAGES, shown, rows, rows)) < 0.3,
    }
    layers = _nested(random.integers(0, depth, STAGES))
    if attends:
        columns["mosaic_layer"] = layers
        columns["mosaic_maps"] = random.random((STAGES, shown, heads, rows, rows)).astype(np.float32)
    for probe in ("attention", "cut") if attends else ("cut",):
        columns[f"{probe}_iou"] = _nested(random.uniform(0.2, 0.5, (STAGES, depth, heads)[: 3 if probe == "attention" else 2]))
        for name in ("fixed", "best"):
            place = _nested(random.integers(0, heads, STAGES))
            fixed = layers if attends and name == "fixed" else _nested(random.integers(0, depth, STAGES))
            columns[f"{probe}_{name}"] = tuple(zip(fixed, place, strict=True)) if probe == "attention" else fixed
            columns[f"{probe}_{name}_iou"] = _triples(random, STAGES)
        columns[f"{probe}_differences"] = _triples(random, 5, low=-0.2, high=0.2)
        columns[f"{probe}_verdict"] = ("holds", "refuted", "undecided")[int(random.integers(3))]
    return columns


def completion(**parameters: Any) -> Completed:
    """Random columns for one training of an autoencoder."""
    random, shown, steps = _random(parameters), 8, 5
    side, channels = (32, 3) if parameters["data"] == "shapes" else (8, 1)
    images = random.random((shown, channels, side, side)).astype(np.float32)
    names = {"crate-mae": "CRATE-MAE", "tied": "CRATE-MAE, tied decoder", "mae": "MAE"}
    return Completed(
        network=names[parameters["autoencoder"]],
        token_dim=parameters["dim"],
        num_tokens=17,
        parameters=int(random.integers(1000, 9000)),
        num_train=40,
        num_test=10,
        train_loss=random.uniform(0.3, 0.7),
        test_loss=random.uniform(0.3, 0.7),
        test_loss_error=0.01,
        initial_loss=random.uniform(1, 2),
        mean_image_loss=random.uniform(0.8, 1),
        visible_mean_loss=random.uniform(0.8, 1),
        patch_mean_loss=random.uniform(0.2, 0.3),
        probe_tokens=_nested(random.uniform(0.5, 0.9, STAGES)),
        probe_class=_nested(random.uniform(0.5, 0.9, STAGES)),
        probe_pixels=random.uniform(0.5, 0.9),
        shown_images=images,
        shown_masked=random.random((shown, side, side)) < 0.75,
        shown_completions=images + random.normal(0, 0.2, images.shape).astype(np.float32),
        training_seconds=1.0,
        history_step=tuple(range(steps)),
        history_loss=_nested(random.uniform(0, 2, steps)),
        history_gradient_norm=_nested(random.uniform(0, 2, steps)),
    )


def csc_loop(**parameters: Any) -> Looped:
    """Random columns for one training of a closed loop: pixels that come back worse than the mean image, and better ones."""
    random, steps = _random(parameters), 6
    pixels, mean_image = random.uniform(0.3, 0.9), 0.5
    names = ("distance", "expressiveness", "consistency", "neighbors")
    curves = {f"curve_{name}": _nested(random.uniform(1, 2, steps)) for name in (*names[:3], "pixels")}
    return Looped(
        **{f"{stage}{name}": random.uniform(0.5, 1) for stage in ("", "initial_") for name in names},
        pixels=pixels,
        initial_pixels=1.5,
        mean_image_pixels=mean_image,
        pixel_difference=(pixels - mean_image, pixels - mean_image - 0.01, pixels - mean_image + 0.01),
        class_mean_pixels=0.3,
        verdict="refuted" if pixels > mean_image else "holds",
        parameters=1000,
        training_seconds=1.0,
        stopped="finished",
        curve_step=tuple(range(0, 20 * steps, 20)),
        **curves,
        shown_images=random.random((2, 1, 4, 4)).astype(np.float32),
        shown_decoded=random.random((2, 1, 4, 4)).astype(np.float32),
    )


def csc_images(**parameters: Any) -> Coded:
    """Random columns for one dictionary."""
    random, many, shown, side = _random(parameters), len(parameters["sparsities"]), 6, 6
    columns = {
        f"{kind}_{part}": _nested(random.uniform(0.01, 1, many))
        for kind in ("learned", "random", "training")
        for part in ("error", "active", "objective")
    }
    del columns["training_objective"]
    atoms, kernel = parameters["num_atoms"], parameters["kernel"]
    return Coded(
        **columns,
        worst_gap=random.uniform(0, 1e-3),
        history=_nested(np.sort(random.uniform(0.1, 1, 4))[::-1]),
        usage=_nested(np.sort(random.dirichlet(np.ones(atoms)))[::-1]),
        dead=0,
        atoms=random.standard_normal((atoms, kernel, kernel)),
        random_atoms=random.standard_normal((atoms, kernel, kernel)),
        shown_images=random.random((shown, side, side)).astype(np.float32),
        shown_learned=random.random((many, shown, side, side)).astype(np.float32),
        shown_random=random.random((many, shown, side, side)).astype(np.float32),
    )


def csc_convergence(**parameters: Any) -> Converged:
    """Random columns for one program."""
    random = _random(parameters)
    steps = np.geomspace(1, parameters["num_steps"], parameters["num_recorded"]).round().astype(int)
    names = ("ista_gap", "fista_gap", "public_gap", "restarted_gap", "ista_bound", "fista_bound")
    return Converged(
        steps=_nested(steps),
        **{name: _nested(random.uniform(1, 2, len(steps)) / steps) for name in names},
        uncertainty=random.uniform(0, 1e-12),
        ista_ratio=random.uniform(0, 1),
        fista_ratio=random.uniform(0, 1),
        ista_rises=0,
        fista_rises=3,
        lipschitz=20.0,
        objective=1.0,
        zero_objective=2.0,
        active=10,
    )


def flat_dimension(**parameters: Any) -> Dimensioned:
    """Random columns for one manifold."""
    random, d = _random(parameters), parameters["dimension"]
    names = ("relative_error", "held_out_error", "plane_error", "initial_tail", "tail", "trustworthiness", "fit_seconds")
    return Dimensioned(
        estimate=d,
        rule="quadratics",
        likelihood=d * random.uniform(0.8, 1),
        two_nearest=d * random.uniform(0.9, 1.1),
        num_layers=10,
        verdict=("holds", "refuted", "undecided")[int(random.integers(3))],
        reasons=(),
        **{name: random.uniform(0.001, 0.1) for name in names},
    )


RESULTS = {
    "transformer": transformer,
    "completion": completion,
    "csc_loop": csc_loop,
    "csc_images": csc_images,
    "csc_convergence": csc_convergence,
    "flat_dimension": flat_dimension,
}
