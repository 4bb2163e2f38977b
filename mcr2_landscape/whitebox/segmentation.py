"""Does segmentation emerge? Masks from a trained network's attention and features, against masks that need no training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, check_shape, float64_matrix, positive_integer, real
from mcr2_landscape.verdict import Verdict
from mcr2_landscape.whitebox.cuts import normalized_cut
from mcr2_landscape.whitebox.mask_baselines import center_prior, color_cut, color_means
from mcr2_landscape.whitebox.masks import attention_masks, best_patch_iou, checked_grid, iou, patch_iou, patch_size

#: What the masks of a trained network are compared with: the same network before training, the whole image, a disc in the
#: middle of the true masks' mean area, and two segmentations by color.
BASELINES = ("random-initialization", "all-foreground", "center-prior", "color-cut", "color-means")


@dataclass(frozen=True)
class Interval(Record):
    """A mean over images, and the ends of its bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Probe(Record):
    """One way to read masks off a network: from its attention, by layer and head, or by normalized cuts, by layer.

    **Fields:** `iou` and `random_iou`, (layers, heads) or (layers,), the mean intersection over union at every place of the
    trained and the random network, over the evaluation images; `fixed`, the place that was best on the selection images, and
    `fixed_iou` on the evaluation images; `best`, the place that was best on the evaluation images, and `best_iou` on the same
    images, which flatters it; the same four of the random network; `differences`, by baseline, `fixed_iou` less the
    baseline's, paired image by image, with its interval; and derived `verdict`, see `emergence`.
    """

    iou: np.ndarray = field(repr=False)
    random_iou: np.ndarray = field(repr=False)
    fixed: tuple[int, ...]
    fixed_iou: Interval
    best: tuple[int, ...]
    best_iou: Interval
    random_fixed: tuple[int, ...]
    random_fixed_iou: Interval
    random_best: tuple[int, ...]
    random_best_iou: Interval
    differences: Mapping[str, Interval]

    _derived = ("verdict",)

    @property
    def verdict(self) -> Verdict:
        """Whether segmentation emerges by this probe."""
        return emergence(self.differences)


@dataclass(frozen=True)
class Segmentation(Record):
    """A network's masks and the baselines on the same images.

    **Fields:** `attention` and `cuts`, the two probes; `baselines`, the intersection over union of those that are not the
    network's; `ceiling`, that of the best masks of whole patches there are; `selection_images` and `evaluation_images`, how
    many choose the fixed places and how many all numbers are means over; `mass`, `tau`, `center`, `confidence` and `resamples`,
    as passed.

    Intervals are over the images, for the two networks that were passed: they say nothing of other seeds of the training.
    """

    attention: Probe
    cuts: Probe
    baselines: Mapping[str, Interval]
    ceiling: Interval
    selection_images: int
    evaluation_images: int
    mass: float
    tau: float
    center: bool
    confidence: float
    resamples: int


def emergence(differences: Mapping[str, Interval]) -> Verdict:
    """Whether segmentation emerges, from the gains of a trained network's masks over each of `BASELINES`.

    **Arguments:** `differences`: by baseline, the intersection over union of the network's masks, from a place chosen on other
    images, less that of the baseline.

    **Returns:** `Verdict`: holds if every interval lies above zero, refuted if one lies below, undecided otherwise. That every
    baseline has to be exceeded needs no correction for their number; a refutation by one of five does, and has none: it is as
    sure as the interval of that baseline alone.

    **Raises:** `InputError` where a baseline is missing: none may be left out.
    """
    missing = [name for name in BASELINES if name not in differences]
    if missing:
        raise InputError(f"differences: found none from {', '.join(missing)}; all of {', '.join(BASELINES)} are compared")
    if all(interval.low > 0 for interval in differences.values()):
        return Verdict.HOLDS
    if any(interval.high < 0 for interval in differences.values()):
        return Verdict.REFUTED
    return Verdict.UNDECIDED


def evaluate_segmentation(
    maps: Any,
    random_maps: Any,
    features: Any,
    random_features: Any,
    truth: Any,
    images: Any,
    *,
    key: Any,
    mass: float = 0.6,
    tau: float = 0.2,
    center: bool = True,
    grid: tuple[int, int] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Segmentation:
    """The intersection over union of a network's masks with the true ones, beside all baselines.

    Half of the images, drawn at random, choose the fixed layer and head of each network and probe; all numbers are means over
    the other half, so that the choice does not flatter the fixed places. Intervals are percentiles of means over images drawn
    with replacement, the same draws for all numbers.

    **Arguments:** `maps` and `random_maps`: (layers, images, heads, patches), the class token's attention to the patches in the
    trained network and in the one of random initialization, of equal shape. `features` and `random_features`:
    (layers, images, patches, d), of equal shape; their layers need not be those of the maps. `truth`: bool,
    (images, height, width), each with some foreground. `images`: (images, channels, height, width), for the baselines of color.
    `key`: a JAX key, an integer seed or a NumPy generator. `mass`: see `attention_masks`. `tau`, `center`, `grid`: see
    `normalized_cut`; `center` is of the features, colors are always centered. `confidence`: of the intervals, between 0 and 1.
    `resamples`: how many draws, at least 100.

    **Returns:** `Segmentation`.

    **Raises:** `InputError` for shapes that do not fit, fewer than four images, true masks without foreground (which), or
    numbers out of range.

    Sources: M. Caron et al. (DINO, ICCV 2021) and Y. Yu et al., *Emergence of Segmentation with Minimalistic White-Box
    Transformers* (2023), for masks from attention; `normalized_cut` for the others. The fixed place, the baselines and the
    verdict are this library's.
    """
    masks = _checked_truth(truth)
    count, height, width = masks.shape
    checked = [
        _checked_pair(name, pair, count)
        for name, pair in (("maps", (maps, random_maps)), ("features", (features, random_features)))
    ]
    grid = checked_grid(checked[1][0].shape[2], grid)
    patch_size((height, width), grid)
    if checked[0][0].shape[3] != checked[1][0].shape[2]:
        raise InputError(
            f"maps: found {checked[0][0].shape[3]} patches, the features have {checked[1][0].shape[2]}; leave the class token "
            "out of both"
        )
    pixels = float64_matrix("images", images, (count, None, height, width), refuse_float32=False)
    if not 0 < real("confidence", confidence) < 1:
        raise InputError(f"confidence: found {confidence:g}; pass a number between 0 and 1, such as 0.95")
    resamples = positive_integer("resamples", resamples, minimum=100)
    random = generator(key)
    order = random.permutation(count)
    selection, evaluation = np.sort(order[: count // 2]), np.sort(order[count // 2 :])
    draws = random.multinomial(len(evaluation), np.full(len(evaluation), 1 / len(evaluation)), size=resamples) / len(evaluation)

    def interval(values: np.ndarray) -> Interval:
        low, high = np.quantile(draws @ values[evaluation], [(1 - confidence) / 2, (1 + confidence) / 2])
        return Interval(float(values[evaluation].mean()), float(low), float(high))

    simple = {
        "all-foreground": masks.mean(axis=(1, 2)),
        "center-prior": iou(center_prior((height, width), float(masks.mean())), masks),
        "color-cut": patch_iou(color_cut(pixels, grid, tau=tau), masks, grid),
        "color-means": iou(color_means(pixels), masks),
    }

    def probe(trained: np.ndarray, initial: np.ndarray) -> Probe:
        places = [_best(scores, chosen) for scores in (trained, initial) for chosen in (selection, evaluation)]
        fixed, best, random_fixed, random_best = places
        others = {"random-initialization": initial[random_fixed], **simple}
        return Probe(
            trained[..., evaluation].mean(axis=-1),
            initial[..., evaluation].mean(axis=-1),
            fixed,
            interval(trained[fixed]),
            best,
            interval(trained[best]),
            random_fixed,
            interval(initial[random_fixed]),
            random_best,
            interval(initial[random_best]),
            {name: interval(trained[fixed] - values) for name, values in others.items()},
        )

    attention = (
        [patch_iou(attention_masks(np.swapaxes(layer, 0, 1), mass), masks, grid) for layer in network] for network in checked[0]
    )
    cuts = (
        [patch_iou(normalized_cut(layer, tau=tau, grid=grid, center=center).masks, masks, grid) for layer in network]
        for network in checked[1]
    )
    return Segmentation(
        probe(*map(np.stack, attention)),
        probe(*map(np.stack, cuts)),
        {name: interval(values) for name, values in simple.items()},
        interval(best_patch_iou(masks, grid)),
        len(selection),
        len(evaluation),
        float(mass),
        float(tau),
        bool(center),
        float(confidence),
        resamples,
    )


def _best(scores: np.ndarray, chosen: np.ndarray) -> tuple[int, ...]:
    """The place, such as (layer, head), whose mean over the chosen images is the greatest: the first one of several."""
    means = scores[..., chosen].mean(axis=-1)
    return tuple(int(index) for index in np.unravel_index(int(np.argmax(means)), means.shape))


def _checked_truth(truth: Any) -> np.ndarray:
    masks = np.asarray(truth)
    if masks.dtype != bool or masks.ndim != 3:
        raise InputError(f"truth: found shape {masks.shape} and dtype {masks.dtype}; pass bool, (images, height, width)")
    if len(masks) < 4:
        raise InputError(f"truth: found {len(masks)} images; pass at least four: half of them choose, half are evaluated")
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if empty.size:
        shown = ", ".join(map(str, empty[:8])) + (", …" if empty.size > 8 else "")
        raise InputError(f"truth: found no foreground in {empty.size} images ({shown}); leave those images out")
    return masks


def _checked_pair(name: str, pair: tuple[Any, Any], count: int) -> list[np.ndarray]:
    # Values are checked layer by layer where they are used: a copy of all features in float64 might not fit into memory.
    arrays = [np.asarray(value) for value in pair]
    kind = "(layers, images, heads, patches)" if name == "maps" else "(layers, images, patches, d)"
    for place, array in zip((name, f"random_{name}"), arrays, strict=True):
        if array.ndim != 4 or 0 in array.shape:
            raise InputError(f"{place}: found shape {array.shape}; pass {kind}")
        check_shape(place, array.shape, (None, count, None, None))
    if arrays[0].shape != arrays[1].shape:
        raise InputError(f"random_{name}: found shape {arrays[1].shape}, {name} has {arrays[0].shape}; compare equal networks")
    return arrays
