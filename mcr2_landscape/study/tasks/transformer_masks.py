"""Masks from a network's attention and features, before and after its training, as columns of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.study.tasks.problems import thinned

if TYPE_CHECKING:
    from mcr2_landscape.training.image_views import Outputs
    from mcr2_landscape.whitebox.segmentation import Interval, Probe

_SHOWN = 6
Triple = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class MaskColumns:
    """The record of `evaluate_segmentation` on test images with masks; all `None` without masks, what is of attention also
    without attention. An interval is (mean, low, high) at 95 % over images. Two entries are of the initial and the trained
    network.

    **Fields:** `selection_images` choose the fixed places, all numbers are over the other `evaluation_images`. Of attention:
    `attention_iou`, two entries of [layer][head]; `attention_fixed`, two entries (layer, head), the place that was best on the
    selection images, with the intervals `attention_fixed_iou`; `attention_best` and `attention_best_iou`, best on the
    evaluation images themselves, which flatters; `attention_differences`, the trained fixed head less each of
    `difference_names`, intervals; `attention_verdict`, whether segmentation emerges: "holds", "refuted", "undecided". Of
    normalized cuts on patch features the same without heads: `cut_iou`, two entries of [layer]; `cut_fixed`, two layers;
    `cut_fixed_iou`, `cut_best`, `cut_best_iou`, `cut_differences`, `cut_verdict`. `difference_names`: the five baselines.
    `baseline_names` and `baseline_iou`: those four that are no network's. `ceiling_iou`: of the best masks of whole patches.

    Arrays of six images: `mosaic_images` (6, C, H, W) float32 in [0, 1]; `mosaic_truth` (6, H, W) bool; `mosaic_maps`
    (2, 6, heads, rows, columns) float32, the class token's attention to patches in the layer `mosaic_layer` (two entries: that
    of each network's `attention_fixed`); `mosaic_cuts` (2, 6, rows, columns) bool, the cut's mask in each network's layer
    `cut_fixed`.
    """

    selection_images: int | None = None
    evaluation_images: int | None = None
    attention_iou: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    attention_fixed: tuple[tuple[int, ...], ...] | None = None
    attention_fixed_iou: tuple[Triple, ...] | None = None
    attention_best: tuple[tuple[int, ...], ...] | None = None
    attention_best_iou: tuple[Triple, ...] | None = None
    attention_differences: tuple[Triple, ...] | None = None
    attention_verdict: str | None = None
    cut_iou: tuple[tuple[float, ...], ...] | None = None
    cut_fixed: tuple[int, ...] | None = None
    cut_fixed_iou: tuple[Triple, ...] | None = None
    cut_best: tuple[int, ...] | None = None
    cut_best_iou: tuple[Triple, ...] | None = None
    cut_differences: tuple[Triple, ...] | None = None
    cut_verdict: str | None = None
    difference_names: tuple[str, ...] | None = None
    baseline_names: tuple[str, ...] | None = None
    baseline_iou: tuple[Triple, ...] | None = None
    ceiling_iou: Triple | None = None
    mosaic_images: np.ndarray | None = None
    mosaic_truth: np.ndarray | None = None
    mosaic_layer: tuple[int, ...] | None = None
    mosaic_maps: np.ndarray | None = None
    mosaic_cuts: np.ndarray | None = None


def mask_columns(
    views: tuple[Outputs, Outputs], images: np.ndarray, truth: np.ndarray, grid: tuple[int, int], seed: int
) -> dict[str, Any]:
    """The columns of `MaskColumns` of the initial and the trained network, on images in [0, 1] with masks."""
    from mcr2_landscape.whitebox.cuts import normalized_cut
    from mcr2_landscape.whitebox.segmentation import BASELINES, evaluate_segmentation

    initial, trained = views
    assert initial.features is not None
    assert trained.features is not None
    attends = initial.maps is not None and trained.maps is not None
    # Without attention the cuts are left: maps that prefer nothing stand in, and what is said of them is dropped.
    nothing = np.zeros((1, len(images), 1, grid[0] * grid[1]))
    maps = (trained.maps, initial.maps) if attends else (nothing, nothing)
    found = evaluate_segmentation(*maps, trained.features, initial.features, truth, images, key=seed, grid=grid)
    shown = thinned(len(images), _SHOWN)
    cuts = [
        normalized_cut(features[place][shown], grid=grid).masks.reshape(-1, *grid)
        for features, place in zip((initial.features, trained.features), _layers(found.cuts), strict=True)
    ]
    columns: dict[str, Any] = {
        "selection_images": found.selection_images,
        "evaluation_images": found.evaluation_images,
        **_probe("cut", found.cuts),
        "difference_names": BASELINES,
        "baseline_names": tuple(found.baselines),
        "baseline_iou": tuple(_triple(interval) for interval in found.baselines.values()),
        "ceiling_iou": _triple(found.ceiling),
        "mosaic_images": images[shown].astype(np.float32),
        "mosaic_truth": truth[shown],
        "mosaic_cuts": np.stack(cuts),
    }
    # A cut's place is a layer alone.
    columns |= {name: tuple(place[0] for place in columns[name]) for name in ("cut_fixed", "cut_best")}
    if initial.maps is None or trained.maps is None:
        return columns
    layers = _layers(found.attention)
    chosen = [view[layer][shown] for view, layer in zip((initial.maps, trained.maps), layers, strict=True)]
    columns["mosaic_layer"] = layers
    columns["mosaic_maps"] = np.stack(chosen).reshape(2, len(shown), -1, *grid).astype(np.float32)
    return columns | _probe("attention", found.attention)


def _layers(probe: Probe) -> tuple[int, int]:
    """The layers of the initial and of the trained network's fixed places."""
    return probe.random_fixed[0], probe.fixed[0]


def _probe(prefix: str, probe: Probe) -> dict[str, Any]:
    columns = {
        "iou": tuple(_nested(values) for values in (probe.random_iou, probe.iou)),
        "fixed": (probe.random_fixed, probe.fixed),
        "fixed_iou": (_triple(probe.random_fixed_iou), _triple(probe.fixed_iou)),
        "best": (probe.random_best, probe.best),
        "best_iou": (_triple(probe.random_best_iou), _triple(probe.best_iou)),
        "differences": tuple(_triple(interval) for interval in probe.differences.values()),
        "verdict": str(probe.verdict),
    }
    return {f"{prefix}_{name}": values for name, values in columns.items()}


def _nested(values: np.ndarray) -> tuple[Any, ...]:
    return tuple(tuple(row) if isinstance(row, list) else row for row in values.tolist())


def _triple(interval: Interval) -> Triple:
    return interval.mean, interval.low, interval.high
