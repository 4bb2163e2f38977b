"""The numbers of the figures on speed, recomputed from the rows."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow
import pytest

from mcr2_landscape.figures import load
from mcr2_landscape.gallery.figure import Table
from mcr2_landscape.report import style

pytestmark = pytest.mark.timeout(120)


def by_unit(table, rows):
    """The rows of the store in the order of the table."""
    found = {row["unit"]: row for row in rows}
    return [found[unit] for unit in table.columns["unit"]]


def check_as_they_are(table, rows, derived=()):
    """All columns but the derived ones are those of the rows."""
    for name, column in table.columns.items():
        if name not in derived:
            assert column == [row[name] for row in rows], name


def test_products(tables_of, rows_of):
    (figure,) = load(["scale_products"])
    table, rows = tables_of(figure)["products"], rows_of("product_times")
    assert len(table) == len(rows) == 2
    assert table.columns["unknowns"] == [8 * 16, 8 * 32]
    rows = by_unit(table, rows)
    check_as_they_are(table, rows, ("bound", "limit_share", "bound_share"))
    for k, row in enumerate(rows):
        bound = max(row["flops"] / row["flop_rate"], row["moved"] / row["copy_rate"])
        assert table["bound"][k] == pytest.approx(bound, rel=1e-15)
        assert table["bound_share"][k] == pytest.approx(bound / row["product_middle"], rel=1e-15)
        assert table["limit_share"][k] == pytest.approx(row["limit_middle"] / row["product_middle"], rel=1e-15)


def test_inertia(tables_of, rows_of):
    (figure,) = load(["scale_inertia"])
    tables, rows = tables_of(figure), rows_of("inertia_times")
    table = tables["inertias"]
    assert len(table) == len(rows) == 3
    own = by_unit(table, rows)
    check_as_they_are(table, own, ("of_point", "of_dense"))
    assert table.columns["of_point"] == [8 * row["unknowns"] for row in own]
    assert table.columns["of_dense"] == [8.0 * row["unknowns"] ** 2 for row in own]
    dense = tables["dense"]
    expected = [row for row in rows if row["point"] == "low-rank" and row["dense_middle"] is not None]
    assert [row["unknowns"] for row in expected] == dense.columns["unknowns"] == [128]
    check_as_they_are(dense, by_unit(dense, rows))


def test_games_with_few_players_have_no_slopes(tables_of, rows_of):
    (figure,) = load(["scale_games"])
    tables = tables_of(figure)
    with duckdb.connect() as connection:
        connection.register("rows", pyarrow.Table.from_pylist([r for r in rows_of("game_times") if r["num_players"] < 128]))
        slopes = connection.sql(figure.tables["slopes"].sql).to_arrow_table()
    assert slopes.num_rows == figure.tables["slopes"].least == 0, "one size from 64 on makes no slope"
    few = {"games": tables["games"], "slopes": Table(slopes.to_pydict())}
    canvas = style.draw(figure.size, lambda own: figure.paint(own, few))
    assert [axes.get_title(loc="left") for axes in canvas.axes] == ["values", "Q-functions and values", "best responses"]


def test_games(tables_of, rows_of):
    (figure,) = load(["scale_games"])
    tables, rows = tables_of(figure), rows_of("game_times")
    table = tables["games"]
    assert [*zip(table.columns["form"], table.columns["num_players"], strict=True)] == [
        ("counts", 2),
        ("counts", 64),
        ("counts", 128),
        ("tables", 2),
    ]
    check_as_they_are(table, by_unit(table, rows))
    slopes = {name: column for name, (column,) in tables["slopes"].columns.items()}
    many = [row for row in rows if row["form"] == "counts" and row["num_players"] >= 64]
    assert (slopes["units"], slopes["first"]) == (2, 64)
    for part in ("value", "q", "response"):
        points = np.log([[row["num_players"], row[f"{part}_middle"]] for row in many])
        assert slopes[f"{part}_slope"] == pytest.approx(np.polyfit(*points.T, 1)[0], rel=1e-9)
