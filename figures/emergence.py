"""Whether segmentation emerges: masks of trained networks against the truth, beside networks before training and baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, shared_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_PROBES = {"attention": "class token's attention", "cut": "normalized cuts on features"}
# Which stage and place: as it is in the store, what it is called, and its look.
_KINDS = {
    "fixed": (2, "fixed", "trained, place chosen on other images", BLUE, "o"),
    "best": (2, "best", "trained, best place (flatters)", ORANGE, "^"),
    "initial": (1, "fixed", "before training, chosen likewise", GRAY, "s"),
}
_NETWORK = "attention, sparsification"
_ORDER = "attention DESC, sparsification"
_IOU = " UNION ALL ".join(
    f"SELECT unit, {_NETWORK}, seed, '{probe}' AS probe, '{kind}' AS kind, evaluation_images, {probe}_{place}_iou[{stage}][1] "
    f"AS iou, {probe}_{place}_iou[{stage}][2] AS low, {probe}_{place}_iou[{stage}][3] AS high "
    f"FROM rows WHERE {probe}_{place}_iou IS NOT NULL"
    for probe in _PROBES
    for kind, (stage, place, *_) in _KINDS.items()
)
_BASELINES = """
    SELECT unit, seed, name, iou[1] AS iou, iou[2] AS low, iou[3] AS high FROM (
        SELECT unit, seed, unnest(list_append(baseline_names, 'best patches')) AS name,
            unnest(list_append(baseline_iou, ceiling_iou)) AS iou
        FROM ordered_rows WHERE baseline_iou IS NOT NULL QUALIFY row_number() OVER (PARTITION BY seed ORDER BY {order}) = 1
    ) ORDER BY seed
"""
_WORDS = ("holds", "refuted", "undecided")
_VERDICTS = " UNION ALL ".join(
    f"SELECT count(*) AS units, {_NETWORK}, '{probe}' AS probe, "
    + ", ".join(f"CAST(count(*) FILTER ({probe}_verdict = '{word}') AS INTEGER) AS {word}" for word in _WORDS)
    + f" FROM rows WHERE {probe}_verdict IS NOT NULL GROUP BY {_NETWORK}"
    for probe in _PROBES
)
# Classes of shapes are equally frequent.
_ACCURACIES = f"""
    SELECT count(*) AS units, {_NETWORK}, min(test_accuracy) AS accuracy_least, max(test_accuracy) AS accuracy_largest,
        1 / any_value(num_classes) AS chance
    FROM rows GROUP BY {_NETWORK} ORDER BY {_ORDER}
"""


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    found, baselines, verdicts, accuracies = (tables[name] for name in ("iou", "baselines", "verdicts", "accuracies"))
    networks = list(dict.fromkeys(zip(found.columns["attention"], found.columns["sparsification"], strict=True)))
    names = list(dict.fromkeys(baselines.columns["name"]))
    panels = canvas.subplots(1, len(_PROBES), sharey=True, sharex=True)
    for axes, (probe, words) in zip(panels, _PROBES.items(), strict=True):
        for at, (attention, sparsification) in enumerate(networks):
            own = found.where(probe=probe, attention=attention, sparsification=sparsification)
            for k, (kind, (_, _, label, color, marker)) in enumerate(_KINDS.items()):
                _points(axes, own.where(kind=kind), at + 0.26 * (k - 1), label, color, marker)
            _verdict(axes, at, verdicts.where(probe=probe, attention=attention, sparsification=sparsification))
        for k, name in enumerate(names):
            _points(axes, baselines.where(name=name), len(networks) + k, "no network", GREEN, "D")
        axes.axhline(len(networks) - 0.5, color=GRAY, linewidth=0.6)
        axes.set_title(words)
        axes.set_xlabel("intersection over union")
        axes.set_xlim(0, 1.24)
        axes.set_xticks(np.linspace(0, 1, 6))
    panels[0].set_yticks(
        range(len(networks) + len(names)), [*(_learned(*own, accuracies) for own in networks), *names], fontsize=7.5
    )
    panels[0].set_ylim(len(networks) + len(names) - 0.5, -0.5)
    panels[0].set_ylabel("network, baseline")
    shared_legend(canvas, 2)


def _learned(attention: str, sparsification: str, accuracies: Table) -> str:
    """A network's name, and what it knows of the classes: where that is nothing, masks decide nothing."""
    own = {k: v[0] for k, v in accuracies.where(attention=attention, sparsification=sparsification).columns.items()}
    ends = list(dict.fromkeys(f"{own[end]:.2f}" for end in ("accuracy_least", "accuracy_largest")))
    return f"{attention} + {sparsification}".upper() + f"\naccuracy {'–'.join(ends)}\n(chance {own['chance']:.2f})"


def _points(axes: Axes, own: Table, height: float, label: str, color: str, marker: str) -> None:
    """A point for each seed, one above the other, with its interval over images."""
    at = height + 0.07 * (np.arange(len(own)) - (len(own) - 1) / 2)
    axes.hlines(at, own["low"], own["high"], color=color, linewidth=0.9)
    axes.plot(own["iou"], at, color=color, marker=marker, markersize=3.2, linestyle="", label=label)


def _verdict(axes: Axes, at: int, own: Table) -> None:
    """How many seeds have which verdict."""
    if not len(own):
        axes.text(0.5, at, "no attention", fontsize=6.5, ha="center", va="center", color=GRAY)
        return
    words = [f"{word} × {own.columns[word][0]}" for word in _WORDS if own.columns[word][0]]
    axes.text(1.24, at, "\n".join(words), fontsize=6.5, ha="right", va="center", color=INK)


FIGURE = Figure(
    name="emergence",
    group="whitebox",
    title="Does segmentation emerge?",
    caption=(
        "Intersection over union with the true masks, of networks with one attention half and one sparsification half each and "
        "all else the same, from a place (a layer and head of the attention, a layer for cuts) that was chosen on other "
        "images, from the best one in hindsight, and from the same network before training, above baselines that need no "
        "network (the disc of the center prior is given the true masks' mean area) and the best that whole patches can do (a "
        "point for each seed, intervals of 95 % over images). At the right is how many seeds have which verdict on the claim "
        "that a trained network's masks, from the chosen place, are better than those before training and all four baselines, "
        "and at the left the accuracy on test images, least to largest of seeds, near chance where a network learned nothing "
        "and no verdict decides anything."
    ),
    size=(7.2, 5.0),
    tables={
        "iou": Select("transformer_shapes", f"SELECT * FROM ({_IOU}) ORDER BY {_ORDER}, probe, kind, seed"),
        "baselines": Select("transformer_shapes", _BASELINES.format(order=_ORDER)),
        "accuracies": Select("transformer_shapes", _ACCURACIES),
        "verdicts": Select("transformer_shapes", f"SELECT * FROM ({_VERDICTS}) ORDER BY {_ORDER}, probe"),
    },
    paint=paint,
    claims=("crate.emergence", "crate.emergence-of-cuts"),
)
