"""The numbers of the figures on rate reduction, recomputed from the rows by plain Python."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest

from mcr2_landscape.figures import load
from mcr2_landscape.gallery.figure import Table
from mcr2_landscape.gallery.reading import Stores
from mcr2_landscape.report import style

# A unit compiles what it needs, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def drawn(tables_of, rows_of):
    """The tables of a figure, and the rows of its study by unit."""

    def read(name):
        (figure,) = load([name])
        (study,) = figure.studies
        return tables_of(figure), {row["unit"]: row for row in rows_of(study)}

    return read


def records(table):
    return [dict(zip(table.columns, values, strict=True)) for values in zip(*table.columns.values(), strict=True)]


def paint(name, tables):
    """The panels of a figure that is painted from these tables."""
    (figure,) = load([name])
    return style.draw(figure.size, lambda canvas: figure.paint(canvas, tables)).axes


def labelled(axes, label):
    """The positions of the markers that bear this label."""
    return [point for own in axes.collections if own.get_label() == label for point in own.get_offsets().tolist()]


def changed(table, row, **values):
    """The table with other values in one row."""
    columns = {name: list(column) for name, column in table.columns.items()}
    for name, value in values.items():
        columns[name][row] = value
    return Table(columns, table.origin)


def planted(folder, name, table, right, wrong):
    """A table of a figure whose question has something replaced."""
    (figure,) = load([name])
    select = figure.tables[table]
    assert right in select.sql
    asked = dataclasses.replace(select, sql=select.sql.replace(right, wrong))
    with Stores(folder) as stores:
        return stores.tables(dataclasses.replace(figure, tables={table: asked}))[table]


def nearest(values, wanted):
    return min(sorted(values), key=lambda value: abs(value - wanted))


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
            ("points", "found", ("value", "index", "family", "kind", "count")),
        ):
            table = tables[name].where(unit=unit)
            for column in columns:
                assert table.columns[f"{prefix}_{column}"] == row[f"{prefix}_{column}"]


def test_which_problem_is_drawn_against_the_index(store_folder, tables_of):
    """Planted: of problems with as many classes, neither another λ, nor more dimensions, nor another seed is drawn."""
    (figure,) = load(["value_against_index"])
    expected = tables_of(figure)["problems"]
    decoys = "".join(
        f" UNION ALL SELECT * REPLACE ({own}, 'decoy' AS unit) FROM rows"
        for own in (
            "0.9 AS relative_regularization, 1 AS dim",
            "dim + 1 AS dim, -1 AS seed",
            "list_transform(sizes, lambda size: size + 1) AS sizes, -1 AS seed",
            "seed + 1 AS seed",
        )
    )
    found = planted(store_folder, "value_against_index", "problems", "FROM rows", f"FROM (FROM rows{decoys})")
    assert found.columns == expected.columns


def test_points_without_an_index_or_a_family_are_marked(tables_of):
    (figure,) = load(["value_against_index"])
    tables = dict(tables_of(figure))
    whole = paint("value_against_index", tables)[0]
    names = ("index unknown (right edge)", "in no family")
    assert [labelled(whole, name) for name in names] == [[], []]
    own = tables["problems"].columns["unit"][0]
    one, other, *_ = (k for k, unit in enumerate(tables["points"].columns["unit"]) if unit == own)
    points = changed(changed(tables["points"], one, found_index=None), other, found_family=None)
    panel = paint("value_against_index", tables | {"points": points})[0]
    values, indices = points.columns["found_value"], points.columns["found_index"]
    assert [labelled(panel, name) for name in names] == [[[1, values[one]]], [[indices[other], values[other]]]]


def test_exact_spectrum(drawn):
    tables, rows = drawn("exact_spectrum")
    points = records(tables["points"])
    assert [point["theory_kind"] for point in points] == ["strict saddle", "local maximizer", "degenerate"]
    for point in points:
        row = rows[point["unit"]]
        assert {name: row[name] for name in ("dim", "sizes", "large", "small", "theory_index", "theory_nullity")}.items() <= (
            point.items()
        )
        unknowns, alpha = row["dim"] * sum(row["sizes"]), row["dim"] / (sum(row["sizes"]) * row["epsilon"] ** 2)
        assert (point["unknowns"], point["alpha"]) == (unknowns, pytest.approx(alpha))
        exact = tables["exact"].where(unit=point["unit"])
        assert exact.columns["multiplicity"] == row["multiplicities"]
        np.testing.assert_allclose(exact["eigenvalue"] * alpha, row["eigenvalues"], rtol=1e-12)
        np.testing.assert_allclose(exact["share"], np.array(row["multiplicities"]) / unknowns, rtol=1e-12)
        assert (
            sum(m for m, s in zip(exact["multiplicity"], exact.columns["sign"], strict=True) if s == "positive")
            == (row["theory_index"])
        )
        # The density is the mean over all seeds of the same point.
        alike = [
            other for other in rows.values()
            if all(other[n] == row[n] for n in ("dim", "sizes", "large", "small", "epsilon", "relative_regularization"))
        ]  # fmt: skip
        assert len(alike) == 2
        eigenvalues, sums, moments = np.array(row["eigenvalues"]), Counter(), Counter()
        for other in alike:
            for node, weight in zip(other["density_nodes"], other["density_weights"], strict=True):
                place = int(np.argmin(np.abs(eigenvalues - node)))
                sums[place] += weight
                moments[place] += weight * node
        lanczos = tables["lanczos"].where(unit=point["unit"])
        assert lanczos.columns["densities"] == [2] * len(lanczos)
        expected = [(eigenvalues[k], sums[k] / 2, moments[k] / sums[k]) for k in sorted(sums) if sums[k] > 0]
        found = np.transpose([lanczos["nearest"] * alpha, lanczos["weight"], lanczos["node"] * alpha])
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)
        assert sum(lanczos["weight"]) == pytest.approx(1), "a density"


@pytest.mark.parametrize("theorem", ["printed", "corrected"])
def test_phase_diagram(drawn, theorem):
    tables, rows = drawn("phase_diagram")
    expected = []
    for dim, sizes in {(row["dim"], tuple(row["sizes"])) for row in rows.values()}:
        own = [row for row in rows.values() if (row["dim"], tuple(row["sizes"])) == (dim, sizes)]
        own.sort(key=lambda row: row["regularization"])
        runs = []
        for row in own:
            if not runs or runs[-1][0][f"{theorem}_verdict"] != row[f"{theorem}_verdict"]:
                runs.append([])
            runs[-1].append(row)
        for run in runs:
            low, high = run[0], run[-1]
            expected.append((
                len(run), dim, list(sizes), min(low["ratios"]), low[f"{theorem}_verdict"],
                low["regularization"] / low["alpha"], high["regularization"] / high["alpha"],
                low["relative_regularization"], high["relative_regularization"],
            ))  # fmt: skip
    # Problems of the same ratio stand beside each other, at the same place with each of their verdicts.
    places = {}
    for row in records(tables[theorem]):
        places.setdefault((row["dim"], *row["sizes"]), set()).add(round(row["place"] / row["ratio"], 9))
    assert places == {
        (4, 5, 5, 6): {1}, (4, 1, 1, 8): {1},
        (3, 2, 2, 2): {round(1.035**-0.5, 9)}, (7, 4, 4, 4): {round(1.035**0.5, 9)},
    }  # fmt: skip
    names = ("units", "dim", "sizes", "ratio", "verdict", "first", "last", "first_relative", "last_relative")
    found = [tuple(row[name] for name in names) for row in records(tables[theorem])]
    assert sorted(map(repr, (row[:5] for row in found))) == sorted(map(repr, (row[:5] for row in expected)))

    def key(row):
        return row[1], row[2], row[5]

    for one, other in zip(sorted(found, key=key), sorted(expected, key=key), strict=True):
        assert one[5:] == pytest.approx(other[5:], rel=1e-12)
    assert {row[4] for row in found} == ({"holds", "fails", "silent"} if theorem == "printed" else {"holds"})


def test_the_thresholds_of_the_phase_diagram(drawn):
    tables, rows = drawn("phase_diagram")
    for line in records(tables["thresholds"]):
        own = [row for row in rows.values() if min(row["ratios"]) == line["ratio"]]
        assert line["units"] == len(own)
        for row in own:
            assert line["existence"] == pytest.approx(min(row["existence_thresholds"]) / row["alpha"], rel=1e-12)
            assert line["crossing"] == pytest.approx(min(row["value_thresholds"]) / row["alpha"], rel=1e-12)
            assert line["crossing_relative"] * line["existence"] == pytest.approx(line["crossing"], rel=1e-12)
        assert line["existence_relative"] == 1
    assert len(tables["thresholds"]) == 3


def test_a_single_failure_is_seen_in_the_phase_diagram(store_folder, drawn):
    """Planted: were one point within an interval to fail, there would be two more intervals."""
    tables, rows = drawn("phase_diagram")
    (figure,) = load(["phase_diagram"])
    unit = next(row["unit"] for row in rows.values() if row["sizes"] == [5, 5, 6] and row["relative_regularization"] == 0.8)
    select = figure.tables["corrected"]
    assert select.sql.count("FROM rows") == 1
    planted = select.sql.replace(
        "FROM rows", f"FROM (SELECT * REPLACE (if(unit = '{unit}', 'fails', corrected_verdict) AS corrected_verdict) FROM rows)"
    )
    changed = dataclasses.replace(figure, tables={"corrected": dataclasses.replace(select, sql=planted)})
    with Stores(store_folder) as stores:
        found = stores.tables(changed)["corrected"]
    assert len(found) == len(tables["corrected"]) + 2
    assert len(found.where(verdict="fails")) == 1


def test_direction_profile(drawn):
    tables, rows = drawn("direction_profile")
    profiles = records(tables["profiles"])
    assert [p["ratio"] for p in profiles] == sorted([1.25, 2.0, 3.0, 10.0] * 6)
    for profile in profiles:
        row = rows[profile["unit"]]
        for name in ("ratio", "relative_regularization", "small_root", "large_root", "small_height", "large_height"):
            assert profile[name] == row[name]
        crossing = row["crossing"] / row["existence"]
        wanted = [0.6, 0.8, crossing, 0.95, 1.0, 1.1][profile["place"] - 1]
        own = [other for other in rows.values() if other["ratio"] == row["ratio"]]
        assert row["relative_regularization"] == nearest([other["relative_regularization"] for other in own], wanted)
        assert profile["crossing_relative"] == pytest.approx(crossing, rel=1e-12)
        # Of two ratios λ_k° is among the λ: there, and only there, the maximum is at zero.
        assert profile["crosses"] == (profile["place"] == 3 and row["ratio"] < 3)
        assert profile["crosses"] == (row["large_height"] is not None and abs(row["large_height"]) < 1e-5)
        drawn_units = {p["unit"] for p in profiles if p["ratio"] == row["ratio"]}
        shown = [other for other in own if other["unit"] in drawn_units and other["large_root"] is not None]
        assert profile["highest"] == max(other["large_height"] for other in shown)
        assert profile["least"] == min(other["small_root"] for other in shown)
        assert profile["greatest"] == max(other["large_root"] for other in shown)
        curve = tables["curves"].where(unit=profile["unit"])
        assert curve.columns["s"] == row["s"][1:]
        assert curve.columns["height"] == row["height"][1:]


def test_a_profile_is_said_to_be_at_the_crossing_where_it_is(drawn):
    tables, rows = drawn("direction_profile")
    panels = paint("direction_profile", tables)
    for axes, ((ratio,), own) in zip(panels, tables["profiles"].groups("ratio"), strict=True):
        found = {line.get_label() for line in axes.lines if not line.get_label().startswith("_")}
        middle = {1.25: "°", 2.0: "°", 3.0: "0.87", 10.0: "0.88"}[ratio]
        words = [f"0.6 {style.LAMBDA_K}", f"0.8 {style.LAMBDA_K}", f"0.95 {style.LAMBDA_K}", style.LAMBDA_K]
        words += [f"1.1 {style.LAMBDA_K}", f"{style.LAMBDA_K}°" if middle == "°" else f"{middle} {style.LAMBDA_K}"]
        assert found == {f"λ = {word}" for word in words}
        crossing = [(row["large_root"], row["large_height"]) for row in map(rows.get, own.where(crosses=True).columns["unit"])]
        assert labelled(axes, "the maximum crosses zero") == [pytest.approx(at) for at in crossing]
        assert len(crossing) == (middle == "°")
        assert f"= {own['crossing_relative'][0]:.4g} {style.LAMBDA_K}" in axes.get_title(loc="left")


def test_ascent_paths(drawn):
    tables, rows = drawn("ascent_paths")
    ascents = records(tables["ascents"])
    assert [(a["problem"], a["start"]) for a in ascents] == [(p, n) for p in ("regularized", "spheres") for n in (1, 2)]
    for ascent in ascents:
        row = rows[ascent["unit"]]
        assert row["seed"] == ascent["start"] - 1
        # Neither equal sizes nor a larger λ.
        assert (row["sizes"], row["relative_regularization"]) == ([2, 3], {"regularized": 0.3, "spheres": 0}[row["problem"]])
        for name in ("problem", "dim", "sizes", "relative_regularization", "outcome", "ranks", "gap", "num_gradients"):
            assert ascent[name] == row[name]
        path = tables["paths"].where(unit=ascent["unit"])
        assert path.columns["gradients"] == row["history_gradients"]
        assert path.columns["gradient_norm"] == row["history_gradient_norm"]
        np.testing.assert_array_equal(path["gap"], row["maximum"] - np.array(row["history_value"]))
    expected = [
        (row["problem"], gradients, k + 1, j + 1, value)
        for row in map(rows.get, (ascent["unit"] for ascent in ascents if ascent["start"] == 1))
        for gradients, spectra in zip(row["history_gradients"], row["history_singular_values"], strict=True)
        for k, own in enumerate(spectra) for j, value in enumerate(own)
    ]  # fmt: skip
    names = ("problem", "gradients", "class", "position", "singular_value")
    assert sorted(tuple(r[n] for n in names) for r in records(tables["singular_values"])) == sorted(expected)


def test_gaps_that_no_logarithm_shows_are_marked(drawn):
    """Planted: an end above what it is measured against has a triangle, and its gap is in the legend."""
    tables, _ = drawn("ascent_paths")
    paths, ascents = tables["paths"], tables["ascents"]
    last = max(k for k, unit in enumerate(paths.columns["unit"]) if unit == ascents.columns["unit"][0])
    above = tables | {"paths": changed(paths, last, gap=-0.5), "ascents": changed(ascents, 0, gap=-0.5)}
    panel = paint("ascent_paths", above)[0]
    # Of the starts of this problem, whose names stand in the legend once.
    units = [unit for unit, problem in zip(ascents.columns["unit"], ascents.columns["problem"], strict=True)
             if problem == ascents.columns["problem"][0]]  # fmt: skip
    own = [r for r in records(above["paths"]) if r["unit"] in units and r["gap"] <= 0]
    assert paths.columns["gradients"][last] in [r["gradients"] for r in own]
    found = [at for markers in panel.collections for at in markers.get_offsets().tolist()]
    assert sorted(found) == sorted([r["gradients"], 0.02] for r in own)
    assert sum(text.get_text() == "gap of zero or less" for text in panel.get_legend().get_texts()) == 1
    assert any("gap -0.5" in text.get_text() for text in panel.get_legend().get_texts())


def test_gram_matrices(drawn):
    tables, rows = drawn("gram_matrices")
    ascents = records(tables["ascents"])
    assert [(a["problem"], a["seed"]) for a in ascents] == [("regularized", 0), ("spheres", 0)]
    for ascent in ascents:
        row = rows[ascent["unit"]]
        assert (ascent["ranks"], ascent["outcome"], ascent["coherence"]) == (row["ranks"], row["outcome"], row["coherence"])
        start, end, cut = ascent["gram_start"], ascent["gram_end"], row["sizes"][0]
        assert start.shape == end.shape == (sum(row["sizes"]),) * 2
        # The samples of two classes are at most as close as the spaces that they span.
        assert start[:cut, cut:].max() > 0.1 > 1e-5 > end[:cut, cut:].max()


def ascent_case(rows):
    """Rows at the λ that are drawn: 0.6 is none of them."""
    kept = [row for row in rows.values() if row["relative_regularization"] != 0.6]
    assert len(kept) == 27
    groups = {}
    for row in kept:
        groups.setdefault((row["relative_regularization"], row["scale"]), []).append(row)
    return kept, groups


def test_basins(drawn):
    tables, rows = drawn("basins")
    kept, groups = ascent_case(rows)

    def outcome(row):
        if row["outcome"] == "local maximizer":
            return "fewer directions" if sum(row["ranks"]) < row["dim"] else "all directions"
        return row["outcome"] if row["outcome"] in ("zero", "global maximizer") else "other"

    def named(row):
        return ", ".join(map(str, row["ranks"])) if sum(row["ranks"]) else "zero"

    often = Counter(named(row) for row in kept if sum(row["ranks"]))
    order = ["zero", *sorted(often, key=lambda name: (-often[name], name))]

    def end(row):
        return named(row) if order.index(named(row)) <= 6 else "others"

    for table, column, of in (("outcomes", "outcome", outcome), ("ends", "end", end)):
        expected = {
            (*key, value): (count, count / len(own))
            for key, own in groups.items()
            for value, count in Counter(map(of, own)).items()
        }
        found = {
            (r["relative_regularization"], r["scale"], r[column]): (r["units"], pytest.approx(r["share"]))
            for r in records(tables[table])
        }
        assert found == expected
    for row in records(tables["ends"]):
        assert row["place"] == (7 if row["end"] == "others" else order.index(row["end"]))
    assert "zero" in tables["outcomes"].columns["outcome"]
    assert "local maximizer" not in tables["outcomes"].columns["outcome"]


def test_basin_statistics(drawn):
    tables, rows = drawn("basin_statistics")
    _, groups = ascent_case(rows)
    found = {(r["relative_regularization"], r["scale"]): r for r in records(tables["starts"])}
    assert set(found) == set(groups)
    for key, own in groups.items():
        value = np.quantile([row["value"] / row["maximum"] for row in own], [0.1, 0.5, 0.9])
        gradients = np.quantile([row["num_gradients"] for row in own], [0.1, 0.5, 0.9])
        line = found[key]
        assert line["units"] == len(own)
        assert line["ends"] == len({tuple(row["ranks"]) for row in own})
        assert [line["value_low"], line["value"], line["value_high"]] == pytest.approx(list(value), abs=1e-12)
        assert [line["gradients_low"], line["gradients"], line["gradients_high"]] == pytest.approx(list(gradients))


def test_another_aggregate_is_seen_in_the_statistics(store_folder, drawn):
    """Planted: means for medians, and all starts for distinct ends, change the numbers that the test above compares."""
    tables, _ = drawn("basin_statistics")
    (figure,) = load(["basin_statistics"])
    select = figure.tables["starts"]
    for right, wrong, column in (
        ("median(value / maximum)", "avg(value / maximum)", "value"),
        ("median(num_gradients)", "avg(num_gradients)", "gradients"),
        ("count(DISTINCT ranks)", "count(ranks)", "ends"),
    ):
        assert right in select.sql
        planted = dataclasses.replace(select, sql=select.sql.replace(right, wrong))
        with Stores(store_folder) as stores:
            found = stores.tables(dataclasses.replace(figure, tables={"starts": planted}))["starts"]
        assert not np.allclose(found[column], tables["starts"][column])


def test_rates(drawn):
    tables, rows = drawn("rates")
    found = records(tables["rates"])
    assert {r["unit"] for r in found} == {unit for unit, row in rows.items() if row["measured"] is not None}
    assert {r["measures"] for r in found} == {"approach", "escape"}
    for one in found:
        row = rows[one["unit"]]
        assert one["agreement"] == row["agreement"]
        assert one["predicted"] == pytest.approx(abs(math.log(row["predicted"])), rel=1e-12)
        assert one["measured"] == pytest.approx(abs(math.log(row["measured"])), rel=1e-12)
        assert (row["predicted"] > 1) == (row["measured"] > 1)
        assert (one["uncertainty"], one["error_uncertainty"]) == (row["uncertainty"], row["relative_uncertainty"])
        # The signed difference is, but for its sign, what the study itself says.
        assert abs(one["error"]) == pytest.approx(row["relative_error"], abs=1e-12)
        assert (one["error"] > 0) == (one["measured"] > one["predicted"])


def test_rates_are_shown_however_wrong_they_are(store_folder, drawn):
    """Planted: a factor on the wrong side of one, and a difference of twenty times the prediction."""
    tables, rows = drawn("rates")
    unit = next(unit for unit, row in rows.items() if row["measures"] == "approach" and row["measured"] is not None)
    wrong = f"FROM (SELECT * REPLACE (if(unit = '{unit}', power(predicted, -20), measured) AS measured) FROM ordered_rows)"
    found = planted(store_folder, "rates", "rates", "FROM ordered_rows", wrong)
    (one,) = records(found.where(unit=unit))
    assert (one["measured"], one["error"]) == (pytest.approx(-20 * one["predicted"]), pytest.approx(-21))
    panels = paint("rates", {"rates": found})
    label = "factor on the wrong side of one"
    assert [labelled(axes, label) for axes in panels[:2]] == [[[pytest.approx(one["predicted"]), 0.02]], []]
    assert [labelled(axes, label) for axes in paint("rates", tables)[:2]] == [[], []]
    for axes, measures in zip(panels[2:], ("approach", "escape"), strict=True):
        low, high = axes.get_ylim()
        own = found.where(measures=measures)
        assert low < min(own["error"] - own["error_uncertainty"]) <= max(own["error"] + own["error_uncertainty"]) < high


@pytest.mark.parametrize("measures", ["approach", "escape"])
def test_rates_of_one_kind_alone_are_drawn(drawn, measures):
    tables, _ = drawn("rates")
    panels = paint("rates", {"rates": tables["rates"].where(measures=measures)})
    assert [axes.axison for axes in panels] == [measures == "approach", measures == "escape"] * 2


def test_constrained_regularized(drawn):
    tables, rows = drawn("constrained_regularized")
    best = {row["maximum"] for row in rows.values() if row["problem"] == "spheres"}
    assert len(best) == 1
    ranks, values, totals, gaps = Counter(), Counter(), Counter(), {}
    for row in rows.values():
        key = (row["problem"], row["relative_regularization"])
        totals[key] += 1
        ranks[*key, ", ".join(map(str, row["ranks"]))] += 1
        if row["rate_reduction_on_spheres"] is not None:
            place = (*key, round(row["rate_reduction_on_spheres"] / min(best), 6))
            values[place] += 1
            gaps.setdefault(place, []).append(row["gap"])
    found = {(r["problem"], r["relative_regularization"], r["named"]): r for r in records(tables["ranks"])}
    assert {key: r["units"] for key, r in found.items()} == ranks
    assert all(r["share"] == pytest.approx(ranks[key] / totals[key[:2]]) for key, r in found.items())
    found = {(r["problem"], r["relative_regularization"], r["value"]): r for r in records(tables["values"])}
    assert {key: r["units"] for key, r in found.items()} == values
    assert all((r["least_gap"], r["greatest_gap"]) == (min(gaps[key]), max(gaps[key])) for key, r in found.items())


def trained(rows):
    """The rows of trainings that are drawn, those of seed 0 first: all at 0.1 λ_max."""
    kept = sorted((row for row in rows.values() if row["relative_regularization"] == 0.1), key=lambda row: row["seed"])
    assert [(row["loss"], row["num_steps"]) for row in kept] == [("regularized", 4), ("mcr2", 4)] * 2
    assert len(rows) == 6
    return kept


def test_trained_features(drawn):
    tables, rows = drawn("trained_features")
    kept = trained(rows)
    assert {row["unit"] for row in kept[:2]} == set(tables["singular_values"].columns["unit"])
    assert {row["unit"] for row in kept[:2]} == set(tables["ideal_levels"].columns["unit"])
    assert {row["unit"] for row in kept} == set(tables["gaps"].columns["unit"])
    for row in kept[:2]:
        own = tables["singular_values"].where(unit=row["unit"])
        spectra = [[r["singular_value"] for r in records(own.where(**{"class": k}))] for k in range(len(row["class_sizes"]))]
        assert spectra == row["singular_values"]
        assert tables["ideal_levels"].where(unit=row["unit"]).columns["level"] == row["ideal_singular_values"]
    for row in kept:
        optimum = row["maximum"] if row["loss"] == "regularized" else row["sphere_maximum"]
        gaps = tables["gaps"].where(unit=row["unit"])
        assert gaps.columns["step"] == row["history_step"]
        np.testing.assert_allclose(gaps["gap"], optimum + np.array(row["history_loss"]), rtol=1e-12)
        # The loss is the objective but for its sign, before the last step: the features after it lack less, by no more than
        # the step before has gained.
        end = row["gap"] if row["loss"] == "regularized" else row["sphere_gap"]
        assert 0 < gaps["gap"][-1] - end < gaps["gap"][-2] - gaps["gap"][-1]
        assert gaps["gap"][-1] == pytest.approx(end, rel=0.02)


def test_what_a_logarithm_leaves_out_of_the_landscape_of_training_is_counted(store_folder, drawn):
    """Planted: a gap below zero, and one that is missing."""
    tables, rows = drawn("trained_landscape")
    kept = trained(rows)
    for one in records(tables["left_out"]):
        values = [row[one["gap"]] for row in kept if row["loss"] == one["loss"]]
        assert one["units"] == len(values) == 2
        assert one["missing"] == sum(value is None or math.isnan(value) for value in values)
        assert one["not_positive"] == sum(value is not None and value <= 0 for value in values)
    assert len(tables["left_out"]) == 6
    first, second = (row["unit"] for row in kept if row["loss"] == "mcr2")
    wrong = (
        f"FROM (SELECT * REPLACE (CASE unit WHEN '{first}' THEN -0.5 WHEN '{second}' THEN NULL ELSE end_gap END AS end_gap) "
        "FROM rows) QUALIFY"
    )
    found = planted(store_folder, "trained_landscape", "left_out", "FROM rows QUALIFY", wrong)
    (one,) = records(found.where(loss="mcr2", gap="end_gap"))
    assert (one["missing"], one["not_positive"]) == (1, 1)
    texts = {text.get_text() for axes in paint("trained_landscape", tables | {"left_out": found}) for text in axes.texts}
    assert "constrained: 1 of 2 missing\nconstrained: 1 of 2 not above 0" in texts


def test_trained_landscape(drawn):
    tables, rows = drawn("trained_landscape")
    kept = trained(rows)
    assert [(one["loss"], one["run"]) for one in records(tables["gaps"])] == [
        ("regularized", 1), ("regularized", 2), ("mcr2", 1), ("mcr2", 2)
    ]  # fmt: skip
    assert {row["unit"] for row in kept[:2]} == set(tables["density"].columns["unit"])
    for one in records(tables["gaps"]):
        row = rows[one["unit"]]
        assert row["seed"] == one["run"] - 1
        for name in ("position_kind", "scaled_gap", "family_gap", "end_gap", "end_distance", "relative_gradient_norm"):
            assert one[name] == row[name]
        alpha = row["dim"] / (sum(row["class_sizes"]) * row["epsilon"] ** 2)
        assert one["top_relative"] == pytest.approx(row["top_eigenvalue"] / alpha, rel=1e-12)
        weights = Counter()
        for node, weight in zip(row["density_nodes"], row["density_weights"], strict=True):
            weights[round(node / alpha * 40)] += weight
        if one["run"] > 1:
            continue
        density = tables["density"].where(unit=row["unit"])
        bins = range(min(weights), max(weights) + 1)
        np.testing.assert_allclose(density["middle"], np.array(bins) / 40)
        np.testing.assert_allclose(density["weight"], [weights[k] for k in bins], rtol=1e-9, atol=1e-15)
        assert sum(density["weight"]) == pytest.approx(1), "a density"
    for one in records(tables["cosines"]):
        count = len(one["similarity_classes"])
        assert one["similarity_classes"] == rows[one["unit"]]["similarity_classes"]
        assert one["similarity"].shape == one["similarity_inputs"].shape == (count, count)
        np.testing.assert_allclose(np.diag(one["similarity"]), 1, atol=1e-5)
