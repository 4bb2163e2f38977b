"""Digits and faces: the spectra of the features, and which hypotheses of the theorem hold, by what margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, VERMILION, shared_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# For digits and for faces, the game of all components, and that of the most that fit into d.
_CHOSEN = """
    SELECT *, row_number() OVER (ORDER BY data, components = 0) AS game FROM (
        SELECT * FROM ordered_rows QUALIFY row_number() OVER (PARTITION BY data, components ORDER BY method, seed) = 1
    )
    QUALIFY row_number() OVER (PARTITION BY data, components = 0 ORDER BY list_sum(ranks) > dim, components DESC) = 1
"""
_SUMS = ", ".join(f"CAST(list_sum({name}) AS INTEGER) AS {name}" for name in ("ranks", "kept"))
_GAME = f"unit, data, components, method, dim, value, optimum, upper_bound, {_SUMS}"
_VALUES = " UNION ALL ".join(
    f"SELECT unit, '{name}' AS stage, class, unnest(range(1, len(own) + 1)) AS number, unnest(own) AS singular_value FROM "
    f"(SELECT unit, unnest(range(1, len(class_spectra_{stage}) + 1)) AS class, unnest(class_spectra_{stage}) AS own "
    f"FROM ({_CHOSEN}))"
    for stage, name in (("x", "X"), ("f", "f(X)"))
)
# Each class's values relative to its largest: least, median and largest over the classes.
_SPECTRA = f"""
    SELECT unit, stage, number, count(*) AS classes, median(share) AS middle, min(share) AS least, max(share) AS largest
    FROM (SELECT *, singular_value / max(singular_value) OVER (PARTITION BY unit, stage, class) AS share FROM ({_VALUES}))
    WHERE number <= 24 GROUP BY unit, stage, number HAVING median(share) > 1e-4 ORDER BY unit, stage, number
"""
_HYPOTHESES = f"""
    SELECT unit, unnest(range(1, len(hypothesis_names) + 1)) AS number, unnest(hypothesis_names) AS hypothesis,
        unnest(hypothesis_verdicts) AS verdict, unnest(hypothesis_margins) AS margin
    FROM ({_CHOSEN}) ORDER BY game, number
"""
_LOOKS = {"holds": (BLUE, "✓"), "refuted": (VERMILION, "✗"), "undecided": (GRAY, "?")}


def _name(game: Table) -> str:
    count = game.columns["components"][0]
    return f"{game.columns['data'][0]}, {f'{count} directions' if count else 'as they are'}"


def _spectra(axes: Axes, own: Table) -> None:
    for stage, color, marker in (("X", GRAY, "o"), ("f(X)", BLUE, "s")):
        rows = own.where(stage=stage)
        axes.fill_between(rows["number"], rows["least"], rows["largest"], color=color, alpha=0.2, linewidth=0)
        axes.plot(rows["number"], rows["middle"], color=color, marker=marker, markersize=3, linewidth=1.1, label=stage)
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_ylim(1e-4, 2)


def paint(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    from matplotlib.ticker import MaxNLocator

    games = list(tables["games"].groups("unit"))
    grid = canvas.add_gridspec(2, len(games), height_ratios=[1.0, 1.0])
    first = None
    for k, ((unit,), game) in enumerate(games):
        axes = canvas.add_subplot(grid[0, k], sharey=first)
        _spectra(axes, tables["singular_values"].where(unit=unit))
        ends = f"Σ r = {game.columns['ranks'][0]}, d = {game.columns['dim'][0]}"
        axes.set_title(f"{chr(97 + k)}: {_name(game)}\n{ends}", fontsize=7.5)
        axes.set_xlabel("number", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        if first is None:
            axes.set_ylabel("singular value of a class,\nover its largest")
            first = axes
        else:
            axes.tick_params(labelleft=False)
    _hypotheses(canvas.add_subplot(grid[1, :]), games, tables["hypotheses"])
    shared_legend(canvas, 5)


def _hypotheses(axes: Axes, games: list[tuple[tuple[str], Table]], hypotheses: Table) -> None:
    """A cell for each hypothesis and game: its color says whether it holds, its number by what margin."""
    from matplotlib.patches import Rectangle

    names = list(dict.fromkeys(hypotheses.columns["hypothesis"]))
    seen = set()
    for k, ((unit,), _) in enumerate(games):
        own = hypotheses.where(unit=unit)
        for name, verdict, margin in zip(*(own.columns[key] for key in ("hypothesis", "verdict", "margin")), strict=True):
            color, sign, at = *_LOOKS[verdict], names.index(name)
            label = None if verdict in seen else verdict
            seen.add(verdict)
            axes.add_patch(Rectangle((k - 0.48, at - 0.45), 0.96, 0.9, color=color, alpha=0.3, linewidth=0, label=label))
            words = f"{sign} {'∞' if margin is None else f'{margin:.3g}'}"
            axes.text(k, at, words, ha="center", va="center", fontsize=8)
    axes.set_xlim(-0.5, len(games) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xticks(range(len(games)), [chr(97 + k) for k in range(len(games))])
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set_xlabel("data")
    axes.set_ylabel("hypothesis: its margin")
    for spine in axes.spines.values():
        spine.set_visible(False)


FIGURE = Figure(
    name="ctrl_images",
    group="ctrl",
    title="Images, and which hypotheses of the theorem they meet",
    caption=(
        "Above, singular values of the classes of digits and faces, as they are or each projected on its own leading "
        "directions (lines: medians over the classes, bands: least to largest): where the classes are independent, the "
        "encoder makes those that it keeps equal. Below, which hypotheses hold and by what margin: images as they are have "
        "far too many dimensions (Σ r beside d), and faces on few directions fail the exact precision alone, which the "
        "recalled one does not see, and lose dimensions."
    ),
    size=(7.2, 4.6),
    tables={
        "games": Select("ctrl_images", f"SELECT {_GAME} FROM ({_CHOSEN}) ORDER BY game"),
        "singular_values": Select("ctrl_images", _SPECTRA),
        "hypotheses": Select("ctrl_images", _HYPOTHESES),
    },
    paint=paint,
    claims=("ctrl.precision.printed", "ctrl.injectivity", "ctrl.coherent"),
)
