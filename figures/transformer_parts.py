"""What the figures on trained transformers share: how networks and stages look, intervals over seeds, differences
within seeds, and columns by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mcr2_landscape.gallery.figure import Table
from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Color and marker.
NETWORKS = {
    "CRATE": (BLUE, "o"),
    "CRATE-α": (ORANGE, "s"),
    "ViT": (INK, "D"),
    "MSSA + MLP": (SKY, "<"),
    "MHSA + ISTA": (PURPLE, ">"),
    "CRATE, frozen subspaces": (GREEN, "v"),
    "CRATE, tied output": (SKY, "^"),
    "CRATE, flipped sign": (VERMILION, "X"),
    "CRATE, no attention": (PURPLE, "P"),
    "CRATE, as derived": (GRAY, "p"),
}
# Both stages of a network have its color; dashes and filling tell them apart.
STAGES: dict[str, dict[str, Any]] = {
    "trained": {"linestyle": "solid"},
    "initial": {"linestyle": (0, (2, 1.5)), "markerfacecolor": "white"},
}
_STAGE_OF = {"initial": 1, "trained": 2}
ORDER = "CASE network " + " ".join(f"WHEN '{name}' THEN {k}" for k, name in enumerate(NETWORKS)) + " ELSE 99 END"

# 97.5 % quantiles of Student's t with 1, 2, … degrees of freedom.
_QUANTILES = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281),
    *(2.201, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.093, 2.086),
)


def trained(rows: str = "rows") -> str:
    """In SQL, the rows of each network at one learning rate: that with the most rows, and of several the one with the lowest
    mean training loss. The test has no say in it."""
    return f"""(
        SELECT * FROM {rows} SEMI JOIN (
            SELECT data, network, width, token_dim, arg_min(learning_rate, [-units, loss]) AS learning_rate FROM (
                SELECT data, network, width, token_dim, learning_rate, count(*)::DOUBLE AS units, avg(train_loss) AS loss
                FROM rows GROUP BY ALL
            ) GROUP BY ALL
        ) USING (data, network, width, token_dim, learning_rate)
    )"""


def interval(number: str, name: str) -> str:
    """In SQL: the mean of a number over the rows of a group, and the ends of its 95 % interval by Student's t, missing for a
    single row."""
    quantile = f"list_extract([{', '.join(map(str, _QUANTILES))}], least(count({number}) - 1, {len(_QUANTILES)}))"
    half = f"{quantile} * stddev_samp({number}) / sqrt(count({number}))"
    return f"avg({number}) AS {name}, avg({number}) - {half} AS {name}_low, avg({number}) + {half} AS {name}_high"


def differences(numbers: Mapping[str, str], columns: str, reference: str, *, within: str = "seed") -> str:
    """In SQL, a SELECT of what numbers are less those of a reference network with the same seed, mean over seeds and the
    interval of that mean: a seed is also the split into images for training and for the test, which networks share.

    **Arguments:** `numbers`: names by what they are in SQL; `columns`: those that tell networks apart; `reference`: a condition
    that is true of one row a seed, which the answer leaves out; `within`: what a row and its reference share.
    """
    less = ", ".join(
        f"{sql} - any_value({sql}) FILTER (WHERE {reference}) OVER (PARTITION BY {within}) AS less_{name}"
        for sql, name in numbers.items()
    )
    means = ", ".join(interval(f"less_{name}", name) for name in numbers.values())
    there = " AND ".join(f"less_{name} IS NOT NULL" for name in numbers.values())
    return (
        f"SELECT count(*) AS units, {columns}, CAST(avg(parameters) AS INTEGER) AS parameters, {means} "
        f"FROM (SELECT *, {less} FROM {trained()}) WHERE NOT ({reference}) AND {there} GROUP BY {columns}"
    )


def by_layer(names: Sequence[str], where: str, **more: str) -> str:
    """A SELECT of columns that have an entry for each stage and layer, one row each with its mean over seeds and the interval;
    `where`, which networks, of one width; `more`: other numbers of a layer, in SQL that unnests a list, with {stage} for the
    place of the stage's entry."""
    numbers = {name: f"unnest({name}[{{stage}}])" for name in names} | more
    parts = " UNION ALL ".join(
        f"SELECT network, depth, '{stage}' AS stage, unnest(range(1, depth + 1)) AS layer, "
        + ", ".join(f"{sql.format(stage=place)} AS {name}" for name, sql in numbers.items())
        + f" FROM {trained()} WHERE {where}"
        for stage, place in _STAGE_OF.items()
    )
    means = ", ".join(interval(name, name) for name in numbers)
    return (
        f"SELECT count(*) AS units, network, depth, stage, layer, {means} FROM ({parts}) "
        f"GROUP BY network, depth, stage, layer ORDER BY {ORDER}, network, depth, stage DESC, layer"
    )


def look_of(network: str) -> tuple[str, str]:
    """Color and marker of a network."""
    return NETWORKS.get(network, (GRAY, "x"))


def paint_layers(axes: Axes, own: Table, name: str, *, shift: float = 0.0, **look: Any) -> None:
    """A number over the layers, with bars from end to end of its interval, where it has one."""
    style: dict[str, Any] = {"markersize": 3.6, "linewidth": 1.2, **look}
    at = own["layer"] + shift
    axes.vlines(at, own[f"{name}_low"], own[f"{name}_high"], color=style["color"], linewidth=0.8)
    axes.plot(at, own[name], **style)


def paint_stages(axes: Axes, table: Table, name: str, networks: Sequence[str] = ()) -> None:
    """`paint_layers` of each network of a table and both stages, beside each other; `networks`: only of these."""
    chosen = [(network, own) for (network,), own in table.groups("network") if not networks or network in networks]
    for k, (network, own) in enumerate(chosen):
        color, marker = look_of(network)
        for j, (stage, style) in enumerate(STAGES.items()):
            shift = 0.014 * (max(own["depth"]) - 1) * (2 * k + j - len(chosen) + 0.5)
            paint_layers(axes, own.where(stage=stage), name, shift=shift, color=color, marker=marker, **style)


def whole_layers(axes: Axes) -> None:
    """Ticks at whole layers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def stage_legend(canvas: Any, networks: Sequence[str], *, more: dict[str, Any] | None = None) -> None:
    """A legend above all panels: networks by color and marker, stages by dashes and filling."""
    from matplotlib.lines import Line2D

    handles: dict[str, Any] = {}
    for network in networks:
        color, marker = look_of(network)
        handles[network] = Line2D([], [], color=color, marker=marker, markersize=4, linewidth=1.2)
    for stage, words in (("trained", "trained"), ("initial", "before training")):
        handles[words] = Line2D([], [], color=GRAY, marker="o", markersize=4, linewidth=1.2, **STAGES[stage])
    handles |= more or {}
    columns = len(handles) if len(handles) <= 5 else 4
    canvas.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=columns, columnspacing=1.2)
