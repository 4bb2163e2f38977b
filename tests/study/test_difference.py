"""`mcr2-landscape study diff`."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from mcr2_landscape.study import Store


def test_diff_finds_what_differs_and_nothing_else(run, file, tmp_path):
    for store in ("a", "b"):
        assert run("run", file, "--size", "full", "--store", store)[0] == 0
    status, out, _ = run("diff", "a", "b")
    assert status == 0
    assert "no difference" in out
    part = Store(tmp_path / "b").parts("rows")[0]
    table = pq.read_table(part)
    totals = table.column("total").to_pylist()
    totals[2] *= 1 + 1e-9
    changed = table.set_column(table.schema.get_field_index("total"), table.schema.field("total"), [totals])
    pq.write_table(changed.slice(1), part)
    status, out, _ = run("diff", "a", "b", "--json", "diff.json")
    assert status == 1
    found = json.loads((tmp_path / "diff.json").read_text())["result"]
    assert (found["common"], found["only_first"], found["only_second"]) == (17, 1, 0)
    (column,) = found["columns"]
    assert (column["column"], column["count"]) == ("total", 1)
    assert column["largest"] == pytest.approx(1e-9, rel=1e-3)
    status, out, _ = run("diff", "a", "b", "--rtol", "1e-8")
    assert status == 1  # a unit is missing still
    assert "Columns that differ" not in out
    _, out, _ = run("diff", "a", "b", "--atol", "1e-7")
    assert "Columns that differ" not in out


@pytest.mark.parametrize(
    ("first", "second", "atol", "apart"),
    [
        (1.0, 1.0, 0, 0.0),
        (1.0, 1.5, 0, 1 / 3),
        (1.0, 1.5, 0.5, 0.0),
        (None, None, 0, 0.0),
        (None, 1.0, 0, None),
        (float("nan"), float("nan"), 0, 0.0),
        (float("nan"), 1.0, 9, None),
        (float("inf"), float("inf"), 0, 0.0),
        ([None, 1.0], [None, 1.0 + 1e-12], 0, 1e-12),
        ([1.0], [1.0, 2.0], 9, None),
        ([[1.0], []], [[2.0], []], 0, 0.5),
        ("a", "b", 9, None),
        (1, 2, 9, None),
    ],
)
def test_how_far_two_values_are_apart(first, second, atol, apart):
    from mcr2_landscape.study.difference import _apart

    found = _apart(first, second, atol)
    assert found == (apart if apart is None else pytest.approx(apart, rel=1e-3))
