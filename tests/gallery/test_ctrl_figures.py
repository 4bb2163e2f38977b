"""The numbers of the figures on closed-loop transcription, recomputed from the rows by plain Python."""

from __future__ import annotations

import math
import shutil
from collections import Counter, defaultdict
from itertools import groupby, pairwise
from statistics import median

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from mcr2_landscape.ctrl import full_rank_threshold
from mcr2_landscape.errors import InputError
from mcr2_landscape.figures import load
from mcr2_landscape.figures.ctrl_parts import heights
from mcr2_landscape.gallery.reading import Stores
from mcr2_landscape.report import style

from .conftest import make_store

# A unit compiles what it needs, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)

STAGES = {"X": "x", "f(X)": "f", "gf(X)": "gf", "fgf(X)": "fgf"}
METHODS = ["exact", "gdmax", "simultaneous", "reference"]


@pytest.fixture
def drawn(tables_of):
    """The tables of a figure as lists of dicts."""

    def read(name):
        (figure,) = load([name])
        return {key: records(table) for key, table in tables_of(figure).items()}

    return read


def records(table):
    return [dict(zip(table.columns, values, strict=True)) for values in zip(*table.columns.values(), strict=True)]


def grouped(rows, *names):
    found = defaultdict(list)
    for row in rows:
        found[tuple(tuple(row[name]) if isinstance(row[name], list) else row[name] for name in names)].append(row)
    return found


def check_spread(entry, name, values):
    """Median, least and largest, as they are."""
    for end, how in (("", median), ("_least", min), ("_largest", max)):
        assert entry[f"{name}{end}"] == pytest.approx(how(values), rel=1e-12, abs=1e-300)


def first_games(rows, noise=0.01):
    """Of each method the game at the noise nearest to this one."""
    return {method: min(own, key=lambda row: (abs(row["noise"] - noise), row["seed"])) for (method,), own in
            grouped(rows, "method").items()}  # fmt: skip


# -- noise --------------------------------------------------------------------------------------------------------------------


def test_spectra(drawn, rows_of):
    tables, games = drawn("ctrl_spectra"), first_games(rows_of("ctrl_noise"))
    assert [game["method"] for game in tables["games"]] == [method for method in METHODS if method in games]
    for game in tables["games"]:
        assert game.items() <= games[game["method"]].items()
        assert game["noise"] == 0.01
    expected = {}
    for row in games.values():
        for words, stage in STAGES.items():
            for k, values in enumerate([row[f"spectrum_{stage}"], *row[f"class_spectra_{stage}"]]):
                for number, value in enumerate(values[:20], 1):
                    expected[row["unit"], row["method"], words, k, number] = value
    found = {
        (e["unit"], e["method"], e["stage"], e["class"], e["number"]): e["singular_value"] for e in tables["singular_values"]
    }
    assert found == expected
    assert len(tables["singular_values"]) == len(expected)


def test_cosines(tables_of, rows_of, store_folder):
    (figure,) = load(["ctrl_cosines"])
    games, found = first_games(rows_of("ctrl_noise")), tables_of(figure)["games"]
    arrays = make_store(store_folder, "ctrl_noise") / "arrays"
    assert found.columns["method"] == [method for method in METHODS if method in games]
    for k, method in enumerate(found.columns["method"]):
        row = games[method]
        assert found.columns["unit"][k] == row["unit"]
        counts = Counter(row["cosine_classes"])
        assert found.columns["shown"][k] == [counts[own] for own in sorted(counts)]
        for name in ("cosines_x", "cosines_f", "cosines_fgf"):
            (file,) = arrays.glob(f"*/{row[name]}.npy")
            np.testing.assert_array_equal(found.columns[name][k], np.load(file))
    first = found.columns["shown"][0][0]
    across = [found.columns[name][0][:first, first:].mean() for name in ("cosines_f", "cosines_x")]
    assert across[0] < across[1], "an optimal encoder turns the classes away from each other"


def test_residuals(drawn, rows_of):
    samples, games = drawn("ctrl_residuals")["samples"], first_games(rows_of("ctrl_noise"))
    assert len(samples) == len(games) * 3 * 2 * 50
    for (method, image, subspace), own in grouped(samples, "method", "image", "subspace").items():
        row = games[method]
        counts = np.sum(row[f"residuals_{image}_{subspace}"], axis=0)
        assert [entry["samples"] for entry in own] == counts.tolist()
        assert sum(counts) == sum(row["class_sizes"])
        assert [entry["bin"] for entry in own] == list(range(1, 51))
        edges = [(entry["lower"], entry["upper"]) for entry in own]
        assert edges == list(pairwise(row["residual_edges"]))
        assert {entry["unit"] for entry in own} == {row["unit"]}


def test_noise_sweep(drawn, rows_of):
    methods = drawn("ctrl_noise_sweep")["methods"]
    expected = grouped(rows_of("ctrl_noise"), "method", "noise")
    assert len(methods) == len(expected) == 4
    for entry in methods:
        own = expected[entry["method"], entry["noise"]]
        assert entry["units"] == len(own) == 3
        assert entry["upper_bound"] == own[0]["upper_bound"]
        check_spread(entry, "kept", [sum(row["kept"]) for row in own])
        check_spread(entry, "gap", [row["feasible_gap"] for row in own])
        check_spread(entry, "residual", [row["largest_residual_gf"] for row in own])
        check_spread(entry, "violation", [row["sample_violation"] for row in own])
        assert entry["residual_of_x"] == median(row["largest_residual_x"] for row in own)
        assert entry["ranks"] == sum(own[0]["ranks"])


@pytest.mark.parametrize(
    ("name", "study", "column", "table"),
    [
        ("ctrl_noise_sweep", "ctrl_noise", "feasible_gap", "methods"),
        ("ctrl_dimension_sweep", "ctrl_dimension", "feasible_gap", "values"),
        ("ctrl_single", "ctrl_single", "gap", "methods"),
    ],
)
def test_what_exceeds_a_bound_is_kept_and_seen(name, study, column, table, store_folder, tmp_path):
    (figure,) = load([name])
    for planted in (-1e-15, -3e-4):
        place = tmp_path / f"{planted:g}"
        changed(make_store(store_folder, study), place / study, **{column: planted})
        with Stores(place) as stores:
            tables = stores.tables(figure)
        assert planted in tables[table].columns["gap_least"], "as it is"
        canvas = style.draw(figure.size, lambda own, tables=tables: figure.paint(own, tables))
        seen = [text.get_text() for axes in canvas.axes for text in axes.texts if "exceeds" in text.get_text()]
        assert set(seen) == (set() if planted == -1e-15 else {"exceeds by 3.0e-04"}), "rounding is none"
        crosses = [line for axes in canvas.axes for line in axes.lines if line.get_marker() == "X" and len(line.get_xdata())]
        assert len(crosses) == len(seen)
        assert all(line.get_ydata().tolist() == [3e-4] for line in crosses)


def changed(store, place, **values):
    """A copy of a store, with other values in the first row of exact play."""
    shutil.copytree(store, place)
    for part in sorted(place.glob("rows/*.parquet")):
        rows = pyarrow.parquet.read_table(part)
        methods = rows.column("method").to_pylist()
        if "exact" in methods:
            for name, value in values.items():
                column = rows.column(name).to_pylist()
                column[methods.index("exact")] = value
                at = rows.schema.get_field_index(name)
                rows = rows.set_column(at, rows.schema.field(at), pyarrow.array(column, rows.schema.field(at).type))
            pyarrow.parquet.write_table(rows, part)
            return


def test_heights_on_a_logarithmic_axis():
    numbers = np.array([2.0, 1e-17, 0.0, -1e-13, -1e-3, np.nan])
    found, negative = heights(numbers, 1.0)
    np.testing.assert_array_equal(found, [2.0, 1e-16, 1e-16, 1e-16, 1e-3, np.nan])
    assert negative.tolist() == [False] * 4 + [True, False]
    assert heights(numbers)[1].tolist() == [False] * 3 + [True, True, False], "without a scale hardly anything is rounding"


# -- dimensions, one subspace, images, networks -------------------------------------------------------------------------------


def test_dimension_sweep(drawn, rows_of):
    tables, rows = drawn("ctrl_dimension_sweep"), rows_of("ctrl_dimension")
    first = {row["dim"]: row for row in sorted(rows, key=lambda row: -row["seed"])}
    found = {(e["unit"], e["dim"], e["class"], e["kept"], e["rank"], e["listed"]) for e in tables["kept"]}
    assert found == {
        (row["unit"], dim, k + 1, *own)
        for dim, row in first.items()
        for k, own in enumerate(zip(row["kept"], row["ranks"], row["optimal_multiplicities"], strict=True))
    }
    assert {entry["kept"] for entry in tables["kept"]} == {1, 2}, "both sides of the threshold"
    expected = grouped(rows, "method", "dim")
    assert len(tables["values"]) == len(expected)
    for entry in tables["values"]:
        own = expected[entry["method"], entry["dim"]]
        assert entry["units"] == len(own) == 3
        assert entry["upper_bound"] == own[0]["upper_bound"]
        assert entry["value"] == pytest.approx(median(row["feasible_value"] for row in own), rel=1e-12)
        check_spread(entry, "gap", [row["feasible_gap"] for row in own])


def test_single(drawn, rows_of):
    tables, rows = drawn("ctrl_single"), rows_of("ctrl_single")
    # Of a plane: fewer than its dimensions.
    chosen = min((row for row in rows if row["method"] == "exact" and row["dim"] == 1), key=lambda row: row["seed"])
    expected = {
        (words, number): value for words, stage in STAGES.items() for number, value in enumerate(chosen[f"spectrum_{stage}"], 1)
    }
    assert {(e["stage"], e["number"]): e["singular_value"] for e in tables["singular_values"]} == expected
    assert {(e["unit"], e["dim"], e["rank"]) for e in tables["singular_values"]} == {(chosen["unit"], 1, 2)}
    groups = grouped(rows, "method", "dim")
    assert len(tables["methods"]) == len(groups) == 4
    for entry in tables["methods"]:
        own = groups[entry["method"], entry["dim"]]
        assert (entry["units"], entry["rank"]) == (len(own), 2) == (3, 2)
        assert entry["optimum"] == max(row["optimum"] for row in own)
        columns = {"gap": "gap", "residual": "largest_residual_gf", "reconstruction": "reconstruction_error"}
        for name, column in columns.items():
            check_spread(entry, name, [row[column] for row in own])


def test_images(drawn, rows_of):
    tables, rows = drawn("ctrl_images"), rows_of("ctrl_images")
    # Of 12 dimensions, one of each of ten classes fits, and two do not.
    chosen = [next(row for row in rows if row["components"] == count) for count in (1, 0)]
    assert [game["unit"] for game in tables["games"]] == [row["unit"] for row in chosen]
    for game, row in zip(tables["games"], chosen, strict=True):
        plain = {name: row[name] for name in ("data", "components", "method", "dim", "value", "optimum", "upper_bound")}
        assert plain.items() <= game.items()
        assert (game["ranks"], game["kept"]) == (sum(row["ranks"]), sum(row["kept"]))
        spectra = [entry for entry in tables["singular_values"] if entry["unit"] == row["unit"]]
        shown = 0
        for words, stage in (("X", "x"), ("f(X)", "f")):
            shares = np.array([np.array(own) / own[0] for own in row[f"class_spectra_{stage}"]])[:, :24]
            for number, column in enumerate(shares.T, 1):
                own = [e for e in spectra if (e["stage"], e["number"]) == (words, number)]
                if np.median(column) <= 1e-4:
                    assert not own
                    continue
                shown += 1
                numbers = [own[0][name] for name in ("middle", "least", "largest")]
                np.testing.assert_allclose(numbers, [np.median(column), column.min(), column.max()], rtol=1e-9)
                assert own[0]["classes"] == 10
        assert len(spectra) == shown
        found = [entry for entry in tables["hypotheses"] if entry["unit"] == row["unit"]]
        for name, key in (("hypothesis", "names"), ("verdict", "verdicts"), ("margin", "margins")):
            assert [entry[name] for entry in found] == row[f"hypothesis_{key}"]
        assert [entry["number"] for entry in found] == [1, 2, 3, 4, 5]


def test_networks(drawn, rows_of):
    tables, rows = drawn("ctrl_networks"), rows_of("ctrl_networks")
    names = {"linear": "linear", "vae": "linear VAE"}
    groups = grouped(rows, "network")
    assert {(e["data"], e["network_case"]) for e in tables["ends"]} == {("mixture", name) for name in names.values()}
    for network, name in names.items():
        (entry,) = (e for e in tables["ends"] if e["network_case"] == name)
        own = groups[network,]
        assert (entry["units"], entry["num_steps"]) == (len(own), 4)
        check_spread(entry, "value_share", [row["value"] / row["upper_bound"] for row in own])
        check_spread(entry, "distance", [row["distance"] for row in own])
        check_spread(entry, "reconstruction", [row["reconstruction_error"] for row in own])
    first = min(groups["linear",], key=lambda row: row["seed"])
    assert {e["unit"] for e in tables["curves"]} == {first["unit"]}
    assert [e["step"] for e in tables["curves"]] == first["curve_step"]
    assert [e["distance"] for e in tables["curves"]] == first["curve_distance"]
    shares = [value / first["upper_bound"] for value in first["curve_value"]]
    assert [e["value_share"] for e in tables["curves"]] == pytest.approx(shares, rel=1e-12)


# -- theory -------------------------------------------------------------------------------------------------------------------


def test_threshold(drawn, rows_of):
    tables, rows = drawn("ctrl_threshold"), rows_of("ctrl_threshold")
    by_unit = {row["unit"]: row for row in rows}
    assert len(tables["thresholds"]) == len(rows)
    for entry in tables["thresholds"]:
        assert entry.items() <= by_unit[entry["unit"]].items()
        assert entry["threshold"] == full_rank_threshold(entry["rank"], entry["proportion"])
    third = [row for row in rows if abs(row["proportion"] - 1 / 3) < 0.01]
    expected = {
        (row["unit"], row["proportion"], row["rank"], y, kept, searched): (kept / row["rank"], searched / row["rank"])
        for row in third
        for y, kept, searched in zip(row["precision"], row["kept"], row["searched"], strict=True)
    }
    names = ("unit", "proportion", "rank", "precision", "kept", "searched")
    assert {tuple(e[name] for name in names): (e["kept_share"], e["searched_share"]) for e in tables["kept"]} == expected


def test_degeneracy(drawn, rows_of):
    tables, rows = drawn("ctrl_degeneracy"), rows_of("ctrl_degeneracy")
    counts = Counter((row["lossy"], row["formula"], row["nullity"]) for row in rows)
    assert {(e["lossy"], e["formula"], e["nullity"]): e["units"] for e in tables["dimensions"]} == counts
    assert all(e["formula"] == e["nullity"] for e in tables["dimensions"])
    expected = {}
    for row in rows:
        regular = row["unknowns"] - row["formula"]
        for k, value in enumerate(row["singular_values"]):
            if -7 <= k + 1 - regular <= 8:
                expected[row["unit"], row["lossy"], k + 1 - regular] = value
    assert {(e["unit"], e["lossy"], e["position"]): e["singular_value"] for e in tables["singular_values"]} == expected
    # The fall is where the formula says.
    assert all((value > 1e-9) == (key[2] <= 0) for key, value in expected.items())
    assert {(e["unit"], e["lossy"], e["response_error"], e["identity_error"]) for e in tables["responses"]} == {
        (row["unit"], row["lossy"], row["response_error"], row["identity_error"]) for row in rows
    }


def test_stability(drawn, rows_of):
    tables, rows = drawn("ctrl_stability"), rows_of("ctrl_stability")
    by_ratio = {ratio: own for (ratio,), own in grouped(rows, "relative_ratio").items()}
    assert [entry["relative_ratio"] for entry in tables["rates"]] == sorted(by_ratio)
    for entry in tables["rates"]:
        own = by_ratio[entry["relative_ratio"]]
        assert entry["units"] == len(own) == 3
        for name in ("sizes", "subspace_ranks", "epsilon"):
            assert entry[name] == own[0][name]
        for name in ("threshold", "formula"):
            assert entry[name] == min(row[name] for row in own)
        assert entry["predicted"] == median(row["predicted_share"] for row in own)
        check_spread(entry, "measured", [row["measured_share"] for row in own])
        assert (entry["measured"] > 0) == (entry["relative_ratio"] < 1)
    # The second nearest ratio and those beyond, on either side of the threshold.
    shown = [0.5, 2.0]
    assert [key for key, _ in groupby(e["relative_ratio"] for e in tables["curves"])] == shown
    for ratio in shown:
        row = min(by_ratio[ratio], key=lambda row: row["seed"])
        own = [e for e in tables["curves"] if e["relative_ratio"] == ratio]
        assert [e["time"] for e in own] == row["curve_time"]
        assert [e["gradient"] for e in own] == row["curve_gradient"]
        assert {(e["unit"], tuple(e["sizes"])) for e in own} == {(row["unit"], (4, 6))}
        assert (own[-1]["gradient"] > 1) == row["grows"] == (ratio < 1)


def test_random_starts(drawn, rows_of):
    tables, rows = drawn("ctrl_random_starts"), rows_of("ctrl_random_starts")
    assert len(rows) == 2
    # Counted from the ends of the starts themselves.
    ends = [place for row in rows for place in row["end_listed"]]
    for k, entry in enumerate(tables["maxima"]):
        assert entry["units"] == 2
        assert entry["position"] == k + 1
        for name in ("dim", "sizes", "subspace_ranks", "epsilon"):
            assert entry[name] == rows[0][name]
        assert (entry["kept"], entry["share"]) == (rows[0]["listed_kept"][k], rows[0]["listed_share"][k])
        assert entry["starts"] == ends.count(k)
        assert (entry["all_starts"], entry["maxima"]) == (16, 4)
        assert entry["frequency"] == ends.count(k) / 16
    assert len(tables["maxima"]) == 4
    (elsewhere,) = tables["elsewhere"]
    assert (elsewhere["units"], elsewhere["maxima"], elsewhere["further"], elsewhere["all_starts"]) == (2, 4, 0, 16)
    assert elsewhere["unlisted"] == ends.count(None)
    (survey,) = tables["survey"]
    problems = rows_of("ctrl_survey")
    assert survey.pop("units") == len(problems)
    for name, count in survey.items():
        assert count == sum(problem[name] for problem in problems)
    assert math.fsum(survey.values()) == sum(problem["num_crowded"] for problem in problems)


def test_starts_that_end_elsewhere(store_folder, tmp_path):
    """Ends at no listed maximum, and at one beyond the six that have a bar of their own, have bars."""
    (figure,) = load(["ctrl_random_starts"])
    make_store(store_folder, "ctrl_survey")
    place = tmp_path / "ctrl_random_starts"
    shutil.copytree(make_store(store_folder, "ctrl_random_starts"), place)
    shutil.copytree(store_folder / "ctrl_survey", tmp_path / "ctrl_survey")
    counts = [1, 0, 0, 0, 0, 0, 2, 1]
    for part in place.glob("rows/*.parquet"):
        rows = pyarrow.parquet.read_table(part)
        lists = {"listed_kept": [[1, 1]] * 8, "listed_share": [1 - k / 10 for k in range(8)], "listed_count": counts}
        for name, value in {**lists, "num_unlisted": 4}.items():
            at = rows.schema.get_field_index(name)
            column = pyarrow.array([value] * len(rows), rows.schema.field(at).type)
            rows = rows.set_column(at, rows.schema.field(at), column)
        pyarrow.parquet.write_table(rows, part)
    with Stores(tmp_path) as stores:
        tables = stores.tables(figure)
    (entry,) = records(tables["elsewhere"])
    names = ("further", "unlisted", "all_starts", "further_frequency", "unlisted_frequency")
    assert [entry[name] for name in names] == [6, 8, 16, 6 / 16, 8 / 16]
    canvas = style.draw(figure.size, lambda own: figure.paint(own, tables))
    axes = canvas.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()][6:] == ["further down", "none of the list"]
    assert [text.get_text() for text in axes.texts] == ["2", "0", "0", "0", "0", "0", "6", "8"]


def test_a_survey_without_rows_is_not_drawn(store_folder, tmp_path):
    (figure,) = load(["ctrl_random_starts"])
    for name in figure.studies:
        shutil.copytree(make_store(store_folder, name), tmp_path / name)
    for part in (tmp_path / "ctrl_survey").glob("rows/*.parquet"):
        rows = pyarrow.parquet.read_table(part)
        pyarrow.parquet.write_table(rows.slice(0, 0), part)
    with Stores(tmp_path) as stores, pytest.raises(InputError, match="0 rows for 'survey'"):
        stores.tables(figure)
