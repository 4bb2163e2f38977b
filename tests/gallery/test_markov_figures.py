"""The numbers of the figures on learning in Markov games, recomputed from the rows."""

from __future__ import annotations

import numpy as np
import pytest

from mcr2_landscape.figures import load

pytestmark = pytest.mark.timeout(120)

FIRST = {
    "num_players": 4,
    "common_interest": True,
    "action_independent": False,
    "unsafe_costs_more": False,
    "q_exponent": 0.5,
    "policy_exponent": 1.0,
    "temperature": 1e-6,
    "exploration": 0.0,
}
# What differs from the first.
SETTINGS = {
    "1: common interest": {},
    "2: step sizes exchanged": {"q_exponent": 1.0, "policy_exponent": 0.5},
    "3: τ = 1e-3": {"temperature": 1e-3},
    "4: eight players": {"num_players": 8},
    "5: own rewards": {"common_interest": False, "action_independent": True},
    "step sizes that meet all conditions": {"q_exponent": 0.55, "policy_exponent": 0.75},
    "exploration 0.01": {"exploration": 0.01},
    "unsafe routes cost more": {"unsafe_costs_more": True},
}
NAMES = list(SETTINGS)


def row_of(rows, setting):
    """The one row with these parameters."""
    (row,) = (row for row in rows if all(row[name] == value for name, value in (FIRST | SETTINGS[setting]).items()))
    return row


def check_curve(table, row, columns):
    """The table has the row's lists from the first step on."""
    assert row["curve_step"][0] == 0
    assert table.columns["unit"] == [row["unit"]] * (len(row["curve_step"]) - 1)
    assert table.columns["step"] == row["curve_step"][1:]
    for name in columns:
        assert table.columns[name] == row[name][1:]


@pytest.mark.parametrize("number", range(1, 6))
def test_the_settings_of_the_paper(number, tables_of, rows_of):
    (figure,) = load([f"markov_figure_{number}"])
    tables, rows = tables_of(figure), rows_of("markov_learning")
    row = row_of(rows, NAMES[number - 1])
    words = ("low", "first", "middle", "third", "high")
    check_curve(tables["curve"], row, [f"{name}_{word}" for name in ("gap", "frozen", "q_error") for word in words])
    end = {name: column for name, (column,) in tables["end"].columns.items()}
    for name in ("unit", "num_learners", "num_steps", "largest_gap", "share_away", "share_untried"):
        assert end[name] == row[name]
    for name in ("gap", "frozen", "q_error"):
        assert end[f"{name}_middle"] == row[f"{name}_middle"][-1]
        assert end[f"{name}_high"] == row[f"{name}_high"][-1]
    assert ("first" in tables) == (number in (3, 4))
    if "first" in tables:
        check_curve(tables["first"], row_of(rows, NAMES[0]), ["gap_middle", "q_error_middle"])


def test_potential(tables_of, rows_of):
    (figure,) = load(["markov_potential"])
    tables, rows = tables_of(figure), rows_of("markov_learning")
    assert sorted(tables) == ["1", "2", "3", "4"]
    for key, table in tables.items():
        row = row_of(rows, NAMES[int(key) - 1])
        check_curve(table, row, [f"potential_{word}" for word in ("low", "first", "middle", "third", "high")])
        assert set(table.columns["optimum"]) == {row["optimum"]}
        assert max(row["potential_high"]) <= row["optimum"]


def test_q_error(tables_of, rows_of):
    (figure,) = load(["markov_q_error"])
    tables, rows = tables_of(figure), rows_of("markov_learning")
    assert sorted(set(tables["paths"].columns["setting"])) == sorted(tables["ends"].columns["setting"]) == sorted(NAMES)
    for name in NAMES:
        row = row_of(rows, name)
        check_curve(tables["paths"].where(setting=name), row, ["gap_middle", "q_error_middle"])
        end = tables["ends"].where(setting=name)
        assert end.columns["unit"] == [row["unit"]]
        for column in (f"{prefix}_{word}" for prefix in ("gap", "q_error") for word in ("first", "middle", "third")):
            assert end.columns[column] == [row[column][-1]]


def test_exploration(tables_of, rows_of):
    (figure,) = load(["markov_exploration"])
    sweep, rows = tables_of(figure)["sweep"], sorted(rows_of("markov_exploration"), key=lambda row: row["exploration"])
    assert sweep.columns["exploration"] == [0.1, 0.3]
    for name, column in sweep.columns.items():
        quantile = name.startswith(("gap_", "q_error_"))
        assert column == [row[name][-1] if quantile else row[name] for row in rows]


def test_distance(tables_of, rows_of):
    (figure,) = load(["markov_distance"])
    tables, rows = tables_of(figure), rows_of("markov_distance")
    games = tables["games"]
    assert len(games) == len(rows) == 15
    assert games.columns["relative"].count(None) == sum(row["num_states"] == 1 for row in rows) == 3, "values that are equal"
    for unit, relative, verdict in zip(*(games.columns[name] for name in ("unit", "relative", "verdict")), strict=True):
        (row,) = (row for row in rows if row["unit"] == unit)
        assert relative == ratio(row)
        assert verdict == row["verdict"]
    families = tables["families"]
    assert sorted(families.columns["family"]) == sorted({row["family"] for row in rows})
    for (family,), own in families.groups("family"):
        of_it = [row for row in rows if row["family"] == family]
        assert own.columns["units"] == [len(of_it)]
        assert own.columns["holds"] == [sum(row["verdict"] == "holds" for row in of_it)]
        known = [ratio(row) for row in of_it if row["spread"] is not None]
        assert own["middle"] == pytest.approx(np.median(known), rel=1e-12)


def ratio(row):
    """The bound on the distance in units of the range of values, if they have one."""
    return None if row["spread"] is None else row["alpha"] / row["spread"]
