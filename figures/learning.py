"""What the figures on learning share: the settings in words, bands over learners, and the five figures of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcr2_landscape.gallery.figure import Figure, Select, Table
from mcr2_landscape.report.style import BLUE, GRAY, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

STUDY = "markov_learning"
QUANTILES = ("low", "first", "middle", "third", "high")
FLOOR = 1e-3  # the lowest gap that logarithmic axes show: some are zero

# The settings of the study in the words of SQL, and how each is drawn wherever several are.
SETTINGS: dict[str, tuple[str, str, str, str]] = {
    "1: common interest": ("num_players = 4 AND common_interest AND NOT unsafe_costs_more AND q_exponent = 0.5 "
                           "AND policy_exponent = 1 AND temperature = 1e-6 AND exploration = 0", BLUE, "o", "-"),
    "2: step sizes exchanged": ("q_exponent = 1 AND policy_exponent = 0.5", VERMILION, "^", "--"),
    "3: τ = 1e-3": ("temperature = 1e-3 AND exploration = 0", SKY, "x", ":"),
    "4: eight players": ("num_players = 8", GREEN, "s", "-."),
    "5: own rewards": ("NOT common_interest", ORANGE, "D", "-"),
    "step sizes that meet all conditions": ("q_exponent = 0.55 AND policy_exponent = 0.75", GRAY, "v", "--"),
    "exploration 0.01": ("exploration = 0.01", PURPLE, "P", "-"),
    "unsafe routes cost more": ("unsafe_costs_more", INK, "*", ":"),
}  # fmt: skip


def names(prefix: str) -> list[str]:
    """The columns of a quantity's quantiles."""
    return [f"{prefix}_{word}" for word in QUANTILES]


def row_of(setting: str) -> str:
    """A SELECT of the row of a setting; of several seeds the first."""
    return f"(SELECT * FROM ordered_rows WHERE {SETTINGS[setting][0]} ORDER BY seed LIMIT 1)"


def curves(source: str, *columns: str, beside: str = "unit") -> str:
    """A SELECT of list columns beside the step, from the first step on: time is shown by its logarithm."""
    inner = ", ".join(f"unnest({name}) AS {name}" for name in columns)
    return f"SELECT * FROM (SELECT {beside}, unnest(curve_step) AS step, {inner} FROM {source}) WHERE step > 0"


def setting_name() -> str:
    """The name of a row's setting, in SQL."""
    return "CASE " + " ".join(f"WHEN {SETTINGS[name][0]} THEN '{name}'" for name in SETTINGS) + " END"


def paint_band(axes: Axes, table: Table, at: str, prefix: str, color: str, *, marker: str = "") -> None:
    """Median, quartiles and 5 to 95 % of a quantity over a column."""
    low, first, middle, third, high = (table[name] for name in names(prefix))
    axes.fill_between(table[at], low, high, color=color, alpha=0.18, linewidth=0)
    axes.fill_between(table[at], first, third, color=color, alpha=0.32, linewidth=0)
    axes.plot(table[at], middle, color=color, linewidth=1.5, marker=marker, markersize=4)


def band_legend(canvas: Canvas, *, who: str = "of the learners", more: Mapping[str, tuple[str, Any]] | None = None) -> None:
    """What the parts of a band are; `more`: other lines, with color and dashes."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: dict[str, Line2D | Patch] = {
        f"median {who}": Line2D([], [], color=GRAY),
        "quartiles": Patch(color=GRAY, alpha=0.5, linewidth=0),
        "5 to 95 %": Patch(color=GRAY, alpha=0.22, linewidth=0),
    }
    for name, (color, dashes) in (more or {}).items():
        handles[name] = Line2D([], [], color=color, linestyle=dashes)
    canvas.legend(
        list(handles.values()),
        list(handles),
        loc="outside upper center",
        ncols=len(handles),
        columnspacing=1.2,
        handlelength=1.7,
        handletextpad=0.5,
    )


def brief(value: float) -> str:
    """Two digits, without a power of ten for hundreds."""
    return f"{value:.2g}" if abs(value) < 99.5 else f"{value:.0f}"


def paint_learning(canvas: Canvas, tables: Mapping[str, Table]) -> None:
    """The Nash gap, the reference's measure of it, and the error of the learned values, over time."""
    curve, end = tables["curve"], tables["end"]
    panels = canvas.subplots(1, 3, sharey=True, sharex=True)
    last = {name: end[f"{name}_middle"][0] for name in ("gap", "frozen", "q_error")}
    high = {name: end[f"{name}_high"][0] for name in last}
    below = {name: f"median {brief(last[name])}, 95 % {brief(high[name])}" for name in last}
    below["gap"] += f", max {brief(end['largest_gap'][0])}"
    below["q_error"] += f", untried {brief(100 * end['share_untried'][0])} %"
    titles = {"gap": "Nash gap", "frozen": "others frozen at their last", "q_error": "largest |q − Q̃|"}
    for axes, (name, title), color in zip(panels, titles.items(), (BLUE, ORANGE, GREEN), strict=True):
        paint_band(axes, curve, "step", name, color)
        axes.set_xscale("log")
        axes.set_title(f"{title}\n{below[name]}", fontsize=8)
    more = {"median Nash gap": (INK, "--")}
    panels[1].plot(curve["step"], curve["gap_middle"], color=INK, linestyle=(0, (4, 2)), linewidth=1)
    if "first" in tables:
        first = tables["first"]
        for axes, name in ((panels[0], "gap"), (panels[2], "q_error")):
            axes.plot(first["step"], first[f"{name}_middle"], color=VERMILION, linestyle=(0, (1, 1.5)), linewidth=1.6)
        more["median in setting 1"] = (VERMILION, ":")
    panels[0].set_yscale("log")
    panels[0].set_ylim(bottom=max(FLOOR, panels[0].get_ylim()[0]))
    panels[0].set_ylabel("gap, error (units of value)")
    note = "the numbers above are those at the end; untried: learners with a pair of state and own action never tried"
    canvas.supxlabel(f"time (steps)\n{note}", fontsize=9)
    band_legend(canvas, more=more)


def paper_figure(number: int, setting: str, title: str, caption: str, *, beside_first: bool = False) -> Figure:
    """One of the figures on the five settings of the paper."""
    columns = [*names("gap"), *names("frozen"), *names("q_error")]
    ends = ", ".join(
        f"{name}_{word}[-1] AS {name}_{word}" for name in ("gap", "frozen", "q_error") for word in ("middle", "high")
    )
    tables = {
        "curve": Select(STUDY, curves(row_of(setting), *columns), least=2),
        "end": Select(
            STUDY,
            f"SELECT unit, num_learners, num_steps, {ends}, largest_gap, share_away, share_untried FROM {row_of(setting)}",
        ),
    }
    if beside_first:
        tables["first"] = Select(STUDY, curves(row_of("1: common interest"), "gap_middle", "q_error_middle"), least=2)
    return Figure(
        name=f"markov_figure_{number}",
        group="markov",
        title=title,
        caption=caption,
        size=(7.2, 2.9),
        tables=tables,
        paint=paint_learning,
        claims=_CLAIMS[number],
    )


_CLAIMS: dict[int, tuple[str, ...]] = {
    1: ("mpg.step-sizes.printed", "mpg.visits.printed", "mpg.learned-values"),
    2: ("mpg.step-sizes.printed", "mpg.visits.printed"),
    3: ("mpg.step-sizes.printed",),
    4: ("mpg.step-sizes.printed",),
    5: ("mpg.step-sizes.printed", "mpg.stage-potentials.corrected"),
}
