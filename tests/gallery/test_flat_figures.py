"""The numbers of the figures on flattening and on sparse codes, recomputed from the rows by plain Python."""

from __future__ import annotations

import builtins
import math
from collections import defaultdict
from statistics import median

import numpy as np
import pytest
from scipy.stats import t

from mcr2_landscape.errors import InputError
from mcr2_landscape.figures import load
from mcr2_landscape.figures.csc_parts import mosaic
from mcr2_landscape.figures.flat_parts import manifold_name
from mcr2_landscape.report import style
from mcr2_landscape.study.store import Store
from mcr2_landscape.study.tasks.flat_dimension import flat_dimension
from mcr2_landscape.study.tasks.flat_setup import geodesics, low_dimensional

from .conftest import make_store

pytestmark = pytest.mark.timeout(120)
PARTS = ("error", "active", "objective")


@pytest.fixture
def drawn(tables_of):
    """The tables of a figure as lists of dicts."""

    def read(name):
        (figure,) = load([name])
        found = tables_of(figure)
        return {
            key: [dict(zip(table.columns, values, strict=True)) for values in zip(*table.columns.values(), strict=True)]
            for key, table in found.items()
        }

    return read


def grouped(rows, *names):
    found = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in names)].append(row)
    return found


def check_spread(entry, name, values):
    for end, how in (("", median), ("_least", min), ("_largest", max)):
        assert entry[f"{name}{end}"] == pytest.approx(how(values), rel=1e-12)


def array_of(store_folder, study, row, name):
    return Store(make_store(store_folder, study)).array(row[name])


# -- flattening ---------------------------------------------------------------------------------------------------------------


def test_flow(drawn, rows_of, store_folder, tables_of):
    tables, rows = drawn("flattening_flow"), [row for row in rows_of("flat_flow") if row["seed"] == 0]
    by_name = {row["manifold"]: row for row in rows}
    assert [entry["manifold"] for entry in tables["flows"]] == ["sine", "cap", "roll", "arc"]
    for entry in tables["flows"]:
        row = by_name[entry["manifold"]]
        assert entry["unit"] == row["unit"]
        np.testing.assert_array_equal(entry["positions"], array_of(store_folder, "flat_flow", row, "positions"))
        tails = [own["tail"] for own in tables["tails"] if own["unit"] == row["unit"]]
        assert tails == row["tails"]
        assert len(tails) == row["num_layers"] + 1
        # What is shown is what the tails say: the variance across the plane after the layers of each stage.
        tail = math.inf
        for stage, points in zip(row["stages"], entry["positions"], strict=True):
            across = points[:, 1] - points[:, 1].mean()
            if row["dimension"] == 1:
                along = points[:, 0] - points[:, 0].mean()
                tail = np.sum(across**2) / (np.sum(across**2) + np.sum(along**2))
                assert tail >= row["tails"][stage] * (1 - 1e-9), "no line is nearer than the best"
        if row["dimension"] == 1:
            assert tail == pytest.approx(row["tails"][-1], rel=1e-6), "the last line is the best"
    (figure,) = load(["flattening_flow"])
    canvas = style.draw(figure.size, lambda own: figure.paint(own, tables_of(figure)))
    words = [text.get_text() for axes in canvas.axes for text in axes.texts]
    for name, row in by_name.items():
        assert any(text.startswith(f"{manifold_name(name, row['extent'])}: {row['verdict']}") for text in words)


def test_ratios_of_distances(drawn, rows_of, store_folder, tables_of):
    entries = drawn("flat_distances")["ratios"]
    rows = {row["unit"]: row for row in rows_of("flat_flow")}
    for entry in entries:
        row = rows[entry["unit"]]
        for kind in ("ambient", "geodesic"):
            ratios = array_of(store_folder, "flat_flow", row, f"{kind}_ratios")
            np.testing.assert_array_equal(entry[f"{kind}_ratios"], ratios)
            assert (ratios == ratios.T).all()
            assert not ratios.diagonal().any()
            low, *_, high = row[f"{kind}_quantiles"]
            pairs = ratios[np.triu_indices(len(ratios), 1)]
            assert (pairs >= low * (1 - 1e-12)).all()
            assert (pairs <= high * (1 + 1e-12)).all()
        # The straight line is the shortest, so that its ratio is the larger before medians divide it.
        both = [array_of(store_folder, "flat_flow", row, f"{kind}_ratios") for kind in ("ambient", "geodesic")]
        away = ~np.eye(len(both[0]), dtype=bool)
        assert np.ptp(both[0][away] / both[1][away]) > 1e-3
    (figure,) = load(["flat_distances"])
    canvas = style.draw(figure.size, lambda own: figure.paint(own, tables_of(figure)))
    pictures = [axes.images[0].get_array() for axes in canvas.axes if axes.images]
    assert len(pictures) == 2 * len(entries)
    assert all(np.ma.getmaskarray(np.ma.asarray(picture)).diagonal().all() for picture in pictures), "the diagonal is masked"


@pytest.mark.parametrize(("name", "extent"), [("sine", 1.0), ("arc", 1.5), ("cap", 1 / 3), ("roll", 0.5)])
def test_geodesics(name, extent):
    """No shorter than a straight line, a metric, and for near points the straight line's length."""
    data = low_dimensional(name, extent, 300, 0, 0)
    ways = geodesics(name, data.coordinates)
    lines = np.linalg.norm(data.points[:, None, :] - data.points[None, :, :], axis=2)
    assert (ways >= lines - 1e-7).all()
    few = ways[:40, :40]
    assert (few[:, None, :] <= few[:, :, None] + few[None, :, :] + 1e-9).all()
    near = (lines > 0) & (lines < 0.05 * lines.max())
    assert ways[near] == pytest.approx(lines[near], rel=5e-3)


def test_extents_are_checked():
    with pytest.raises(InputError, match="a sine curve has one period"):
        low_dimensional("sine", 2.0, 10, 0, 0)


def test_interpolations(drawn, rows_of, store_folder):
    tables, rows = drawn("flat_interpolations"), rows_of("flat_interpolation")
    groups = grouped(rows, "data")
    assert [entry["data"] for entry in tables["shown"]] == ["arc", "squares"]
    for entry in tables["shown"]:
        row = min(groups[entry["data"],], key=lambda row: row["seed"])
        assert entry["unit"] == row["unit"]
        straight = array_of(store_folder, "flat_interpolation", row, "shown_straight")
        np.testing.assert_array_equal(entry["shown_straight"], straight)
        middle = (straight[:, 0] + straight[:, -1]) / 2
        np.testing.assert_allclose(straight[:, len(row["place"]) // 2], middle, atol=1e-6)
    for entry in tables["distances"]:
        own = groups[entry["data"],]
        place = own[0]["place"].index(entry["place"])
        assert entry["units"] == len(own) == 2
        for kind in ("flat", "straight"):
            found = [row[f"{kind}_distance"][place] for row in own]
            assert entry[f"{kind}_low"] == min(triple[0] for triple in found)
            assert entry[f"{kind}_median"] == pytest.approx(median(triple[1] for triple in found))
            assert entry[f"{kind}_high"] == max(triple[2] for triple in found)
    # On a half circle the middle of a line between points is as far from it as it is long.
    for row in groups["arc",]:
        assert row["straight_distance"][2][1] > 10 * row["straight_distance"][0][1]


def test_dimension(drawn, rows_of):
    (table,), rows = drawn("flat_dimension").values(), rows_of("flat_dimension")
    groups = grouped(rows, "manifold", "dimension")
    assert len(table) == len(groups) == 6
    for entry in table:
        own = groups[entry["manifold"], entry["dimension"]]
        assert entry["units"] == len(own) == 3
        for name in ("plane_error", "held_out_error", "estimate", "likelihood", "two_nearest", "tail"):
            check_spread(entry, name, [row[name] for row in own])
        assert entry["holds"] == sum(row["verdict"] == "holds" for row in own)


def test_what_estimators_need_is_named(monkeypatch):
    load_module = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "skdim":
            raise ImportError(name)
        return load_module(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"needs scikit-dimension, .*mcr2_landscape\[dimension\]"):
        flat_dimension(dimension=2, seed=0)


# -- sparse codes -------------------------------------------------------------------------------------------------------------


def test_mosaics():
    pictures = [[np.full((2, 3), 1.0), np.full((2, 3), 2.0)], [np.full((2, 3), 3.0)]]
    found, rows, columns = mosaic(pictures)
    assert found.shape == (5, 7)
    assert (rows, columns) == ([0.5, 3.5], [1.0, 5.0])
    assert found.compressed().tolist() == [1.0] * 3 + [2.0] * 3 + [1.0] * 3 + [2.0] * 3 + [3.0] * 6


def test_atoms_and_reconstructions(drawn, rows_of, store_folder):
    rows = rows_of("csc_images")
    first = {row["data"]: row for row in rows if row["seed"] == 0}
    tables = drawn("csc_atoms")
    for entry in [*tables["atoms"], *drawn("csc_reconstructions")["images"]]:
        row = first[entry["data"]]
        assert entry["unit"] == row["unit"]
        for name in ("atoms", "random_atoms", "shown_images", "shown_learned", "shown_random"):
            if name in entry:
                np.testing.assert_array_equal(entry[name], array_of(store_folder, "csc_images", row, name))
    found = grouped(tables["history"], "unit")
    assert {unit: [entry["objective"] for entry in own] for (unit,), own in found.items()} == {
        row["unit"]: row["history"] for row in rows
    }


def test_sparsity_and_error(drawn, rows_of):
    (table,), rows = drawn("csc_sparsity_error").values(), rows_of("csc_images")
    groups = grouped(rows, "data")
    assert len(table) == 4
    for entry in table:
        own = groups[entry["data"],]
        place = own[0]["sparsities"].index(entry["own"])
        assert entry["units"] == len(own) == 2
        for kind in ("learned", "random", "training"):
            for part in PARTS[:2]:
                check_spread(entry, f"{kind}_{part}", [row[f"{kind}_{part}"][place] for row in own])
        ratios = [row["learned_objective"][place] / row["random_objective"][place] for row in own]
        check_spread(entry, "objective_ratio", ratios)


def test_convergence(drawn, rows_of):
    tables, rows = drawn("csc_convergence"), rows_of("csc_convergence")
    groups = grouped(rows, "data")
    for entry in tables["curves"]:
        own = groups[entry["data"],]
        place = own[0]["steps"].index(entry["step"])
        assert entry["units"] == len(own) == 3
        assert entry["uncertainty"] == max(row["uncertainty"] for row in own)
        for name in ("ista_gap", "fista_gap", "public_gap", "restarted_gap", "ista_bound", "fista_bound"):
            check_spread(entry, name, [row[name][place] for row in own])
    assert {(entry["unit"], entry["fista_ratio"]) for entry in tables["ratios"]} == {
        (row["unit"], row["fista_ratio"]) for row in rows
    }


def test_loops(drawn, rows_of, tables_of):
    tables, rows = drawn("csc_loop_curves"), rows_of("csc_loop")
    names = ("mode", "learning_rate", "batch_size", "decoder_steps")
    groups = grouped(rows, *names)
    assert len(tables["ends"]) == len(groups) == 16
    for entry in tables["ends"]:
        own = groups[tuple(entry[name] for name in names)]
        shares = [row["pixels"] / row["mean_image_pixels"] for row in own]
        half = t.ppf(0.975, len(own) - 1) * np.std(shares, ddof=1) / math.sqrt(len(own))
        mean = float(np.mean(shares))
        assert entry["units"] == len(own) == 3
        assert [entry["share"], entry["share_low"], entry["share_high"]] == pytest.approx(
            [mean, mean - half, mean + half], abs=float(1e-4 * half)
        )
        assert entry["refuted"] == sum(row["verdict"] == "refuted" for row in own)
    for entry in tables["curves"][::17]:
        own = groups[tuple(entry[name] for name in names)]
        place = own[0]["curve_step"].index(entry["step"])
        for part in ("distance", "consistency", "pixels"):
            assert entry[part] == pytest.approx(median(row[f"curve_{part}"][place] for row in own))
    (figure,) = load(["csc_loop_curves"])
    canvas = style.draw(figure.size, lambda own: figure.paint(own, tables_of(figure)))
    assert len(canvas.legends[0].get_texts()) == 8 + 2, "a line for each setting, and both mean images"
    summary = canvas.axes[-1]
    for text, entry in zip(summary.texts, tables["ends"], strict=True):
        said = [f"{word} {entry[word]}/3" for word in ("holds", "refuted") if entry[word]]
        assert text.get_text() == ", ".join(said) != ""
    assert any("holds" in text.get_text() for text in summary.texts)
