"""The numbers of the figures on rate reduction, recomputed from the rows."""

from mcr2_landscape.figures import load


def test_value_against_index(tables_of, rows_of):
    (figure,) = load(["value_against_index"])
    tables = tables_of(figure)
    rows = rows_of("survey")
    assert [len(sizes) for sizes in tables["problems"].columns["sizes"]] == [2, 3]
    for unit, maximum in zip(tables["problems"].columns["unit"], tables["problems"].columns["maximum"], strict=True):
        (row,) = (row for row in rows if row["unit"] == unit)
        assert row["maximum"] == maximum
        for name, prefix, columns in (
            ("levels", "listed", ("family", "value", "index", "found")),
            ("points", "found", ("value", "index", "kind", "count")),
        ):
            table = tables[name].where(unit=unit)
            for column in columns:
                assert table.columns[f"{prefix}_{column}"] == row[f"{prefix}_{column}"]
