"""What the measures of a network say, in sentences: what is seen, beside what is seen without training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcr2_landscape.verdict import Verdict
from mcr2_landscape.whitebox.layer_measures import METRICS

if TYPE_CHECKING:
    from mcr2_landscape.training.image_examination import ImageExamination
    from mcr2_landscape.training.image_layers import LayerRow
    from mcr2_landscape.whitebox.segmentation import Interval, Probe

_CLEAR = 2.0  # standard errors
_WORDS = {
    "as derived": "of the tokens as they are",
    "sphere": "of tokens brought to one length",
    "as hooked": "as the published figures measure it",
}
_READ = {
    Verdict.HOLDS: "emerges",
    Verdict.REFUTED: "does not emerge",
    Verdict.UNDECIDED: "cannot be told to emerge from these images",
}


def summarize(result: ImageExamination) -> tuple[str, ...]:
    """Accuracy, completion, rates, sparsity, step sizes, positions, segmentation."""
    parts = (_accuracy(result), _completed(result), _rates(result), _depth(result), _sparsity(result))
    return tuple(itertools.chain(*parts, _steps(result), _positions(result), _class_tokens(result), _segmentation(result)))


def _accuracy(result: ImageExamination) -> list[str]:
    if result.test_accuracy is None:
        if result.task == "features" and result.test_loss is None and result.training is not None:
            loss = result.training.test_loss
            return [] if loss is None else [f"ΔR of the {result.num_test} test images' class tokens is {-loss:.4g} nats."]
        return []
    words = f"Of {result.num_test} test images {result.test_accuracy:.1%} are classified rightly"
    if result.training is not None and result.training.train_accuracy is not None:
        words += f", of the {result.num_train} for training {result.training.train_accuracy:.1%}"
    if result.common_share is not None:
        words += f"; to name the test's most common class always is right for {result.common_share:.1%}"
    return [f"{words}."]


def _completed(result: ImageExamination) -> list[str]:
    found = result.completion
    if found is None:
        return []
    others = ", ".join(f"{_baseline(name)} has {one.mean:.4g}" for name, one in found.baselines.items())
    means = {
        Verdict.HOLDS: "The network is better than all of them.",
        Verdict.REFUTED: "The network is worse than one of them.",
        Verdict.UNDECIDED: "Whether the network is better than all of them is undecided.",
    }
    return [
        f"The loss on hidden patches of {found.images} test images is {found.loss.mean:.4g} ({_between(found.loss)}); "
        f"{others}. {means[found.verdict]}"
    ]


def _baseline(name: str) -> str:
    return {
        "random-initialization": "the network at random initialization",
        "mean-patch": "the mean of all training patches",
        "mean-patch-of-the-place": "the mean of the training patches at the same place",
    }[name]


def _between(one: Interval) -> str:
    return f"{one.low:.4g} to {one.high:.4g}"


def _rates(result: ImageExamination) -> list[str]:
    if not any(math.isfinite(row.change) for row in result.layers):
        return ["The network has no subspaces: there is no R_c, and no objective of its attention, to speak of."]
    said = [
        f"R_c {_WORDS[metric]}: the attention half {_directions(result.rows('trained', metric))}; at random "
        f"initialization it {_directions(result.rows('random', metric))}."
        for metric in METRICS
        if result.rows("trained", metric)
    ]
    own = result.rows("trained")
    converging = sum(row.ratio < 1 for row in own)
    said.append(
        f"ρ = α max ‖U_kᵀZ‖², which has to be below 1 for the Neumann series of the derivation to converge, is "
        f"{_span([row.ratio for row in own])} in the mean over images: below 1 in {converging} of {_layers(len(own))}."
    )
    return said


def _directions(rows: Sequence[LayerRow]) -> str:
    """ "lowers it in 3 of 4 layers and raises it in 1": with what two standard errors do not tell left as undecided."""
    lowered = sum(row.change + _CLEAR * _error(row.change_error) < 0 for row in rows)
    raised = sum(row.change - _CLEAR * _error(row.change_error) > 0 for row in rows)
    open_ = len(rows) - lowered - raised
    for count, verb in ((lowered, "lowers"), (raised, "raises")):
        if count == len(rows):
            return f"{verb} it in {('the one layer', 'both layers')[count - 1] if count < 3 else f'all {count} layers'}"
    words = f"lowers it in {lowered} of {_layers(len(rows))} and raises it in {raised}"
    return words + (f" ({open_} undecided)" if open_ else "")


def _error(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _depth(result: ImageExamination) -> list[str]:
    """Whether what enters the layers has a lower and lower rate, as published figures are read."""
    rows, random = (result.rows(state, "as hooked") for state in ("trained", "random"))
    if len(rows) < 2:
        return []
    falls, others = (sum(b.before < a.before for a, b in itertools.pairwise(each)) for each in (rows, random))
    steps = len(rows) - 1
    return [
        f"Over depth, as the published figures measure it, R_c of what enters the layers goes from {rows[0].before:.4g} to "
        f"{rows[-1].before:.4g} and falls in {falls} of {_steps_of(steps)}; at random initialization from "
        f"{random[0].before:.4g} to {random[-1].before:.4g}, in {others}."
    ]


def _steps_of(count: int) -> str:
    return f"{count} step{'' if count == 1 else 's'} between layers"


def _sparsity(result: ImageExamination) -> list[str]:
    rows, random = result.rows("trained"), result.rows("random")
    said = []
    if all(row.nonzero == 1 for row in rows):
        words = "No entry of any layer's tokens is zero"
        codes = [row.nonzero_codes for row in rows]
        if all(map(math.isfinite, codes)) and min(codes) < 1:
            words += f"; of its codes {_span(codes, percent=True)} are not zero"
            words += f", at random initialization {_span([row.nonzero_codes for row in random], percent=True)}"
        return [f"{words}."]
    said.append(
        f"Of the entries of tokens {rows[0].nonzero:.1%} are not zero after the first layer and {rows[-1].nonzero:.1%} after "
        f"the last; at random initialization {random[0].nonzero:.1%} and {random[-1].nonzero:.1%}."
    )
    if random[-1].nonzero <= rows[-1].nonzero and len(rows) > 1:
        said.append("At random initialization the last layer's tokens are as sparse, or sparser.")
    return said


def _steps(result: ImageExamination) -> list[str]:
    rows = [row for row in result.rows("trained") if math.isfinite(row.step_bound)]
    if not rows:
        return []
    largest = max(row.step_bound for row in rows)
    beyond = [str(row.layer) for row in rows if not 0 < row.step_bound < 2]
    falls = sum(row.objective_change < 0 for row in rows)
    seen = f"its objective is lower after the half than at the feasible point nearest to its start in {falls} of {len(rows)}"
    if not beyond:
        return [
            f"η‖D‖² is {largest:.3g} at most, below 2, as a proximal gradient step from feasible codes needs to be certain not "
            f"to raise its objective; {seen}."
        ]
    return [
        f"η‖D‖² is not between 0 and 2 in layer {', '.join(beyond)} (up to {largest:.3g}): there the sparsification half is no "
        f"step that is certain to lower its objective; {seen}."
    ]


def _positions(result: ImageExamination) -> list[str]:
    found = result.positions.get("trained")
    if found is None:
        return []
    total = found.value.size
    half, whole = (int((after > found.value).sum()) for after in (found.after_attention, found.after_layer))
    before, behind = (
        [float(value) for value in part.ravel() if math.isfinite(value)]  # NaN at tokens that are all zero
        for part in (found.relative_gradient, found.relative_gradient_after)
    )
    said = ""
    if before and behind:
        said = (
            f" Its relative gradient (0 at a critical point, at most 1) is {_span(before)} at the tokens that enter a layer "
            f"and {_span(behind)} at those that leave it."
        )
    words = [
        f"f = R − R_c, with a layer's own bases, rises over the attention half in {half} and over the layer in {whole} of the "
        f"{total} pairs of a layer and one of {found.value.shape[1]} images.{said}"
    ]
    if (found.ascending >= 0).all():
        ascending, descending = ([float(n) for n in counts.ravel()] for counts in (found.ascending, found.descending))
        words.append(
            f"f bends upwards along {_span(ascending)} directions at the tokens, and downwards along {_span(descending)}; at a "
            "local maximizer it would bend upwards along none."
        )
    return words


def _class_tokens(result: ImageExamination) -> list[str]:
    own = {state: [one for one in result.class_positions if one.state == state] for state in ("trained", "random")}
    if not own["trained"]:
        return []
    first, last = own["trained"][0], own["trained"][-1]
    words = (
        f"The class tokens' ΔR, at the scale where F is largest, goes from {first.rate_reduction:.3g} after layer "
        f"{first.layer} to {last.rate_reduction:.3g} after layer {last.layer}"
    )
    if own["random"]:
        ends = (own["random"][0], own["random"][-1])
        words += f" (at random initialization {ends[0].rate_reduction:.3g} and {ends[1].rate_reduction:.3g})"
    return [f"{words}; F is {last.value:.3g} there, and {last.maximum:.3g} at the global maximum."]


def _segmentation(result: ImageExamination) -> list[str]:
    found = result.segmentation
    if found is None:
        return []
    said = [
        _probe("attention", "the head chosen on other images", found.attention),
        _probe("normalized cuts of tokens", "the layer chosen on other images", found.cuts),
    ]
    simple = ", ".join(f"{name} {one.mean:.3f}" for name, one in found.baselines.items())
    return [
        *said,
        f"Masks that need no network have: {simple}; the best masks of whole patches {found.ceiling.mean:.3f}. Intervals are "
        "over images, of one training: another seed may differ.",
    ]


def _probe(name: str, chosen: str, probe: Probe) -> str:
    worst = min(probe.differences, key=lambda one: probe.differences[one].mean)
    least = probe.differences[worst]
    return (
        f"Segmentation {_READ[probe.verdict]} by {name}: {chosen} {_place(probe.fixed)} has the mean intersection over union "
        f"{probe.fixed_iou.mean:.3f} on the evaluation images, at random initialization {probe.random_fixed_iou.mean:.3f}; the "
        f"best one in hindsight, {_place(probe.best)}, {probe.best_iou.mean:.3f}. Over {worst}, the strongest rival, it gains "
        f"{least.mean:+.3f} ({least.low:+.3f} to {least.high:+.3f})."
    )


def _place(place: tuple[int, ...]) -> str:
    words = [f"layer {place[0] + 1}", *(f"head {index + 1}" for index in place[1:])]
    return f"({', '.join(words)})"


def _layers(count: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'}"


def _span(values: Sequence[float], *, percent: bool = False) -> str:
    words = [f"{value:.1%}" if percent else f"{value:.3g}" for value in (min(values), max(values))]
    return words[0] if words[0] == words[1] else f"{words[0]} to {words[1]}"
