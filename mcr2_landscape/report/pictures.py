"""The pictures of an analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, PALE, SKY, VERMILION, draw, paint_cosines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcr2_landscape.analysis import FeatureAnalysis

_PANELS = 20
_LABELED = 30


def spectra(result: FeatureAnalysis) -> Figure:
    """The singular values of each class, the level that they have at a local maximizer, and how many of them ascent keeps."""
    classes = result.classes[:_PANELS]
    columns = min(5, len(classes))
    rows = -(-len(classes) // columns)

    def paint(figure: Figure) -> None:
        panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)).ravel()
        top = max(float(c.singular_values[0]) for c in classes)
        ideal = [c.ideal_singular_value for c in classes if c.ideal_singular_value is not None]
        low = 0.02 * min([*ideal, top])
        for k, (axes, c) in enumerate(zip(panels, classes, strict=False)):
            numbers = np.arange(1, c.singular_values.size + 1)
            axes.plot(
                numbers,
                np.where(c.singular_values > low, c.singular_values, np.nan),
                color=BLUE,
                marker="o",
                markersize=2.2,
                linewidth=1.0,
            )
            if c.ideal_singular_value is not None:
                axes.axhline(c.ideal_singular_value, color=GRAY, linestyle=(0, (4, 3)), linewidth=1.0)
                if result.endpoint is not None and result.endpoint.ranks[k]:
                    kept = [0.5, result.endpoint.ranks[k] + 0.5]
                    axes.plot(kept, [c.ideal_singular_value] * 2, color=ORANGE, linewidth=4.0, solid_capstyle="butt", zorder=3)
            axes.set_yscale("log")
            axes.set_title(f"class {c.name}" if len(c.name) < 16 else c.name[:15] + "…")
        for axes in panels[len(classes) :]:
            axes.set_visible(False)
        panels[0].set_ylim(low, 2 * max([top, *ideal]))
        figure.supxlabel("number of the singular value", fontsize=9)
        figure.supylabel("singular value", fontsize=9)
        _legend(figure, result.endpoint is not None)

    return draw((8.2, 0.6 + 1.5 * rows), paint)


def _legend(figure: Figure, ascended: bool) -> None:
    from matplotlib.lines import Line2D

    entries = [
        Line2D([], [], color=BLUE, marker="o", markersize=3, linewidth=1.0, label="features"),
        Line2D([], [], color=GRAY, linestyle=(0, (4, 3)), linewidth=1.0, label="ideal level √x⁺"),
    ]
    if ascended:
        entries.append(Line2D([], [], color=ORANGE, linewidth=4.0, label="directions kept where ascent ends"))
    figure.legend(handles=entries, loc="outside upper center", ncols=3)


def similarity(result: FeatureAnalysis) -> Figure:
    """|cos| between samples in class order."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        counts = np.bincount(result.similarity_classes, minlength=len(result.classes)).tolist()
        image = paint_cosines(axes, result.similarity, counts)
        names = [c.name if len(c.name) < 10 else c.name[:9] + "…" for c in result.classes]
        if len(names) <= _LABELED:
            axes.set_xticks(axes.get_xticks(), names, rotation=90 if max(map(len, names)) > 3 else 0)
            axes.set_yticks(axes.get_yticks(), names)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
        axes.set_xlabel("samples, by class")
        figure.colorbar(image, ax=axes, shrink=0.8, label="|cosine|").outline.set_visible(False)  # pyright: ignore[reportCallIssue]

    return draw((4.6, 3.9), paint)


def curvature(result: FeatureAnalysis) -> Figure:
    """The density of Hessian eigenvalues, with the line between up and down."""
    c = result.curvature
    low, high = float(c.nodes.min()), max(float(c.nodes.max()), c.top_eigenvalue, 0.0)
    span = max(high - low, 1e-12)
    grid = np.linspace(low - 0.08 * span, high + 0.08 * span, 900)
    width = 0.02 * span  # about the distance of the quadrature's nodes: less would show them as a comb
    kernel = np.exp(-0.5 * ((grid[:, None] - c.nodes) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    density = np.maximum(kernel @ c.weights, 1e-300)
    above = float(c.weights[c.nodes > 1e-9 * span].sum())

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        floor = max(density.max() * 1e-5, 1e-12)
        axes.fill_between(grid, floor, np.maximum(density, floor), where=grid <= 0, color=SKY, alpha=0.6, linewidth=0)
        axes.fill_between(grid, floor, np.maximum(density, floor), where=grid >= 0, color=VERMILION, alpha=0.6, linewidth=0)
        axes.plot(grid, np.maximum(density, floor), color=INK, linewidth=0.8)
        axes.axvline(0, color=INK, linewidth=1.2)
        axes.set_yscale("log")
        axes.set_ylim(floor, density.max() * 6)
        axes.axvline(c.top_eigenvalue, color=VERMILION, linestyle=(0, (2, 2)), linewidth=1.0)
        axes.set_title(f"The objective curves up along about {above:.1%} of the directions")
        axes.set_xlabel("Hessian eigenvalue (left of the line: curved down, right: up)")
        axes.set_ylabel("density")

    return draw((5.4, 2.9), paint)


def path(result: FeatureAnalysis) -> Figure | None:
    """What is missing to the global maximum, and the gradient, along the ascent."""
    end = result.endpoint
    if end is None:
        return None
    history: dict[str, Any] = end.history
    steps, values = np.asarray(history["gradients"]), np.asarray(history["value"])
    norms = np.asarray(history["relative_gradient_norm"])

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        marker = "o" if steps.size < 40 else None
        gaps = np.maximum(result.target.value - values, 1e-16 * max(1.0, abs(result.target.value)))
        left.plot(steps, gaps, color=BLUE, marker=marker, markersize=3)
        left.set_title("Missing to the global maximum")
        right.plot(steps, np.maximum(norms, 1e-17), color=GREEN, marker=marker, markersize=3)
        right.set_title("Relative gradient norm")
        for axes in (left, right):
            axes.set_yscale("log")
            axes.set_xlabel("gradients")

    return draw((6.6, 2.5), paint)


def thresholds(result: FeatureAnalysis) -> Figure:
    """For each class the regularizations at which it has critical directions, and those at which they pay."""
    classes = result.classes
    places = np.arange(len(classes))
    existence = np.array([c.existence_threshold for c in classes])
    value = np.array([c.value_threshold for c in classes])

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        height = 0.62 if len(classes) <= _LABELED else 1.0
        axes.barh(places, value, height=height, color=SKY, label=r"directions pay (below $\lambda_k^\circ$)")
        axes.barh(
            places,
            existence - value,
            left=value,
            height=height,
            color=PALE,
            label=r"directions exist, and cost (below $\lambda_k$)",
        )
        axes.axvline(result.regularization, color=VERMILION, linewidth=1.6, label=f"λ = {result.regularization:.4g}")
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.set_xlim(0, 1.08 * max(float(existence.max()), result.regularization))
        if len(classes) <= _LABELED:
            axes.set_yticks(places, [c.name if len(c.name) < 16 else c.name[:15] + "…" for c in classes])
            axes.tick_params(axis="y", length=0)
        else:
            axes.set_yticks([])
        axes.set_ylabel("class")
        axes.set_xlabel("regularization λ")
        figure.legend(loc="outside upper center", ncols=3)

    return draw((6.6, 1.3 + min(0.2 * len(classes), 4.5)), paint)
