"""The tables of an examined network for images."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mcr2_landscape.report.tables import NONE, Table, text

if TYPE_CHECKING:
    from mcr2_landscape.training.image_examination import ImageExamination
    from mcr2_landscape.whitebox.segmentation import Interval, Probe


def layers(result: ImageExamination, state: str = "trained") -> Table:
    """One row a layer: rates by metric before attention and their change, and what else is measured."""
    columns = ["layer"]
    metrics = [metric for metric in ("as derived", "sphere", "as hooked") if result.rows(state, metric)]
    if len(metrics) > 1:
        columns += [f"{word} {metric}" for metric in metrics for word in ("R_c", "change")]
        columns += ["alignment", "ρ"]
    columns += ["nonzero", "codes", "η‖D‖²"]
    rows = []
    for place, own in enumerate(result.rows(state)):
        cells = [str(own.layer)]
        if len(metrics) > 1:
            for metric in metrics:
                row = result.rows(state, metric)[place]
                cells += [text(row.before, 5), f"{row.change:+.3g}"]
            cells += [f"{own.alignment:+.3f}", text(own.ratio, 3)]
        cells += [_share(own.nonzero), _share(own.nonzero_codes), text(own.step_bound, 3)]
        rows.append(cells)
    name = "the network" if state == "trained" else "the same network at random initialization"
    caption = f"What each layer does, {name}; means over {result.num_measured} test images"
    return Table.of(caption, columns, rows)


def positions(result: ImageExamination) -> Table | None:
    """One row a layer, means over the images; `None` without subspaces."""
    found = result.positions.get("trained")
    if found is None:
        return None
    counted = bool((found.ascending >= 0).all())
    columns = ["layer", "f", "change by attention", "change by layer"]
    columns += ["relative gradient", "after attention", "after layer", "slope, attention", "slope, layer"]
    columns += ["upwards", "downwards"] if counted else []
    rows = []
    for layer in range(len(found.value)):
        value = found.value[layer]
        cells = [str(layer + 1), text(float(value.mean()), 5)]
        cells += [f"{float((after[layer] - value).mean()):+.4g}" for after in (found.after_attention, found.after_layer)]
        gradients = (found.relative_gradient, found.relative_gradient_attended, found.relative_gradient_after)
        cells += [text(float(part[layer].mean()), 3) for part in gradients]
        cells += [f"{float(slope[layer].mean()):+.3f}" for slope in (found.attention_slope, found.layer_slope)]
        if counted:
            cells += [text(float(counts[layer].mean()), 4) for counts in (found.ascending, found.descending)]
        rows.append(cells)
    images = found.value.shape[1]
    return Table.of(f"Where the tokens of {images} images are, means over them", columns, rows)


def class_tokens(result: ImageExamination) -> Table | None:
    """One row a layer, the network beside its random initialization; `None` where class tokens have no position."""
    if not result.class_positions:
        return None
    own = {(one.state, one.layer): one for one in result.class_positions}
    names = ("ΔR", "F", "relative gradient", "top eigenvalue", "rank")
    rows = []
    for layer in sorted({one.layer for one in result.class_positions}):
        cells = [str(layer)]
        for state in ("trained", "random"):
            one = own.get((state, layer))
            if one is None:
                cells += [NONE] * len(names)
                continue
            numbers = (one.rate_reduction, one.value, one.relative_gradient_norm, one.top_eigenvalue)
            cells += [*(text(number, 4) for number in numbers), str(one.rank)]
        rows.append(cells)
    columns = ["layer", *names, *(f"{name}, random" for name in names)]
    maximum = text(result.class_positions[0].maximum, 5)
    return Table.of(
        f"Class tokens of {result.num_test} test images after each layer; the global maximum of F is {maximum}", columns, rows
    )


def segmentation(result: ImageExamination) -> Table | None:
    """The masks of the network beside all baselines; `None` without masks."""
    found = result.segmentation
    if found is None:
        return None
    rows: list[tuple[str, ...]] = []
    for name, probe in (("attention", found.attention), ("cuts", found.cuts)):
        rows.append(
            (f"{name}: chosen on other images, {_place(probe.fixed)}", *_interval(probe.fixed_iou), *_gain(probe, None))
        )
        rows.append((f"{name}: best in hindsight, {_place(probe.best)}", *_interval(probe.best_iou), "", ""))
        rows.append(
            (
                f"{name} at random initialization: chosen, {_place(probe.random_fixed)}",
                *_interval(probe.random_fixed_iou),
                *_gain(probe, "random-initialization"),
            )
        )
    for name, one in found.baselines.items():
        gains = [_gain(probe, name) for probe in (found.attention, found.cuts)]
        rows.append((name, *_interval(one), f"{gains[0][0]} / {gains[1][0]}", ""))
    rows.append(("best masks of whole patches", *_interval(found.ceiling), "", ""))
    columns = ("masks", "intersection over union", "95 % interval", "gain over it (attention / cuts)", "verdict")
    return Table.of(
        f"Masks of {found.evaluation_images} test images; {found.selection_images} others chose layers and heads",
        columns,
        rows,
        left=(0, 4),
    )


def completion(result: ImageExamination) -> Table | None:
    """The loss beside predictions that need no network; `None` for classifiers."""
    found = result.completion
    if found is None:
        return None
    rows: list[tuple[str, ...]] = [("the network", *_interval(found.loss), "")]
    rows += [(name, *_interval(one), _signed(found.differences[name])) for name, one in found.baselines.items()]
    columns = ("prediction", "loss on hidden patches", "95 % interval", "the network's less this")
    return Table.of(f"Completions of {found.images} test images, {found.maskings} maskings each", columns, rows)


def architecture(result: ImageExamination) -> Table:
    """Every field of the architecture."""
    rows = [(field.name, _plain(getattr(result.architecture, field.name))) for field in dataclasses.fields(result.architecture)]
    return Table.of("The architecture", ("field", "value"), rows, left=(0, 1))


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return " × ".join(map(str, value))
    return "none" if value is None else text(value)


def _share(value: float) -> str:
    return text(value) if value != value else f"{value:.1%}"


def _place(place: tuple[int, ...]) -> str:
    return f"layer {place[0] + 1}" + "".join(f", head {index + 1}" for index in place[1:])


def _interval(one: Interval) -> tuple[str, str]:
    return f"{one.mean:.3f}", f"{one.low:.3f} to {one.high:.3f}"


def _signed(one: Interval) -> str:
    return f"{one.mean:+.3f} ({one.low:+.3f} to {one.high:+.3f})"


def _gain(probe: Probe, baseline: str | None) -> tuple[str, str]:
    if baseline is None:
        return "", probe.verdict.value
    return _signed(probe.differences[baseline]), ""
