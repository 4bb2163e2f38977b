"""The numbers of the figures on white-box transformers, recomputed from the rows by plain Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from statistics import median

import numpy as np
import pytest
from scipy.stats import t

from mcr2_landscape.figures import load
from mcr2_landscape.figures.attention_maps import picture
from mcr2_landscape.figures.denoising_alignment import precision_of
from mcr2_landscape.figures.transformer_parts import trained
from mcr2_landscape.gallery.figure import Table
from mcr2_landscape.report import style
from mcr2_landscape.study.store import Store

from .conftest import make_store

# A unit compiles what it needs, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)

STAGES = ("initial", "trained")
METRICS = ("derived", "sphere", "hooked")


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
        found[tuple(row[name] for name in names)].append(row)
    return found


def check_spread(entry, name, values):
    for end, how in (("", median), ("_least", min), ("_largest", max)):
        assert entry[f"{name}{end}"] == pytest.approx(how(values), rel=1e-12, abs=1e-300)


def check_interval(entry, name, values):
    """Mean and 95 % interval by Student's t of what there is."""
    values = [value for value in values if value is not None]
    ends = [entry[f"{name}_{end}"] for end in ("low", "high")]
    if not values:
        assert [entry[name], *ends] == [None] * 3
        return
    assert entry[name] == pytest.approx(np.mean(values), rel=1e-12)
    if len(values) == 1:
        assert ends == [None] * 2, "one seed says nothing of others"
        return
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    assert ends == pytest.approx([np.mean(values) - half, np.mean(values) + half], abs=1e-4 * half + 1e-12)


def check_differences(table, rows, reference, names, numbers):
    """Each network less the reference with the same seed; `names` tell networks apart, `numbers` by column."""
    groups = grouped(rows, *names)
    first = {row["seed"]: row for row in groups[reference]}
    assert {tuple(entry[name] for name in names) for entry in table} == set(groups) - {reference}
    assert len(table) == len(groups) - 1
    for entry in table:
        own = groups[tuple(entry[name] for name in names)]
        assert entry["units"] == len(own)
        for name, number in numbers.items():
            check_interval(entry, name, [number(row) - number(first[row["seed"]]) for row in own])


def canvas_of(name, tables_of, **changed):
    """A figure drawn, with some of its tables changed."""
    (figure,) = load([name])
    tables = tables_of(figure) | changed
    return style.draw(figure.size, lambda own: figure.paint(own, tables))


def words_of(canvas):
    """All texts of a picture."""
    return [text.get_text() for text in canvas.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]


# -- algebra ------------------------------------------------------------------------------------------------------------------


def test_denoising(drawn, rows_of):
    tables, rows = drawn("denoising_alignment"), rows_of("denoising")
    groups = grouped(rows, "size", "epsilon", "exponent", "noise")
    expected = {
        "tokens": [(1, 1.0, 1.0, 1e-4), (2, 1.0, 1.0, 1e-4), (4, 1.0, 1.0, 1e-4)],
        "noise": [(2, 1.0, 1.0, s) for s in (1e-4, 1e-3, 1e-2)] + [(2, 0.1, 0.0, s) for s in (1e-6, 1e-5, 1e-4)],
        "many": [(4, 1.0, 1.0, s) for s in (1e-4, 0.1, 0.4)],
    }
    for name, keys in expected.items():
        assert len(tables[name]) == len(keys)
        for entry, key in zip(tables[name], keys, strict=True):
            own = groups[key]
            assert entry["units"] == len(own) == 2
            assert tuple(entry[column] for column in ("epsilon", "exponent", "noise")) == key[1:]
            assert entry["predicted_cosine"] == own[0]["predicted_cosine"] == math.sqrt(max(0, 1 - key[0] / 4))
            for column in ("cosine", "step_gain", "best_gain", "posterior_gain", "assignment_error"):
                check_spread(entry, column, [row[column] for row in own])
    assert precision_of(1.0, 1.0) == "eps² = noise"
    assert precision_of(0.1, 0.0) == "eps = 0.1"


def test_snr(drawn, rows_of, tables_of):
    tables, rows = drawn("snr_layers"), rows_of("snr")
    groups = grouped(rows, "noise", "control")
    assert len(tables["layers"]) == 3 * len(groups) == 18
    for entry in tables["layers"]:
        own, k = groups[entry["noise"], entry["control"]], entry["layer"] - 1
        assert entry["units"] == len(own) == 2
        assert entry["ratio"] == median(row["ratio"][k] for row in own)
        assert entry["ratio_least"] == min(row["ratio_least"][k] for row in own)
        assert entry["ratio_largest"] == max(row["ratio_largest"][k] for row in own)
        assert entry["attending"] == median(row["attending"][k] for row in own)
    assert len(tables["breaks"]) == len(groups)
    for entry in tables["breaks"]:
        own = groups[entry["noise"], entry["control"]]
        check_spread(entry, "kept", [row["kept"] for row in own])
        assert entry["broken"] == sum(row["breaks"] is not None for row in own)
    assert {entry["broken"] for entry in tables["breaks"]} == {0, 2}, "layers that break, and layers that do not"
    assert "layers that multiply by 1 + eta tau, of 3" in words_of(canvas_of("snr_layers", tables_of))


# -- layers -------------------------------------------------------------------------------------------------------------------


def check_layers(table, rows, numbers):
    """Each entry of a table by layer; `numbers`: what a row has for a stage and layer, by column."""
    groups = grouped([row for row in rows if row["width"] == "equal"], "network")
    networks = list(dict.fromkeys(entry["network"] for entry in table))
    assert len(table) == len(networks) * 2 * 3
    for entry in table:
        own, stage, layer = groups[entry["network"],], STAGES.index(entry["stage"]), entry["layer"] - 1
        assert entry["units"] == len(own) == 3
        for name, number in numbers.items():
            check_interval(entry, name, [number(row, stage, layer) for row in own])
    return networks


def column(name):
    return lambda row, stage, layer: row[name][stage][layer]


def column_of(name):
    return lambda row: row[name]


def test_layers(drawn, rows_of):
    names = [f"{metric}_{part}" for metric in METRICS for part in ("before", "common", "change")]
    (table,), rows = drawn("transformer_layers").values(), rows_of("transformer_digits")
    found = check_layers(table, rows, {name: column(name) for name in names})
    assert found == ["CRATE", "CRATE-α", "CRATE, tied output"]


def test_sparsity(drawn, rows_of):
    names = ("nonzero", "nonzero_codes", "objective_change", "step_bound")
    (table,), rows = drawn("transformer_sparsity").values(), rows_of("transformer_digits")
    assert check_layers(table, rows, {name: column(name) for name in names}) == ["CRATE", "CRATE-α"]
    assert {entry["nonzero"] for entry in table if entry["network"] == "CRATE-α"} == {1.0}
    assert all(entry["nonzero"] == entry["nonzero_codes"] < 1 for entry in table if entry["network"] == "CRATE")


def test_landscape(drawn, rows_of):
    names = ("relative_gradient", "relative_gradient_attended", "relative_gradient_after", "value_change")
    signs = {"ascending": "positive", "level": "zero", "descending": "negative"}

    def share(sign):
        return lambda row, stage, layer: np.mean(row[f"inertia_{sign}"][stage][layer]) / row["inertia_dimension"]

    numbers = {name: column(name) for name in names} | {name: share(sign) for name, sign in signs.items()}
    (table,), rows = drawn("transformer_landscape").values(), rows_of("transformer_digits")
    assert check_layers(table, rows, numbers) == ["CRATE", "CRATE-α"]
    for entry in table:
        assert sum(entry[name] for name in (*signs, "undecided")) == pytest.approx(1)


@pytest.mark.parametrize("name", ["transformer_layers", "transformer_sparsity", "transformer_landscape"])
def test_what_is_missing_is_not_drawn(name, tables_of):
    """A single seed has no interval, and a network too large for a dense Hessian no counts."""
    (figure,) = load([name])
    (table,) = tables_of(figure).values()
    gone = {key for key in table.columns if key.endswith(("_low", "_high")) or key in ("ascending", "nonzero_codes")}
    layers = Table({key: [None] * len(table) if key in gone else values for key, values in table.columns.items()})
    canvas = canvas_of(name, tables_of, layers=layers)
    for axes in canvas.axes:
        assert not any(np.isfinite(own.get_segments()).any() for own in axes.collections)


# -- accuracy -----------------------------------------------------------------------------------------------------------------


def test_each_network_is_shown_at_the_rate_that_trains_it_best():
    import duckdb

    lines = [  # the test prefers 0.1 for A, the training 0.01; of B one seed ran at 0.1
        *(("A", 0.1, seed, 0.5 + seed, 0.99) for seed in range(2)),
        *(("A", 0.01, seed, 0.4 + seed, 0.10) for seed in range(2)),
        ("B", 0.1, 0, 0.1, 0.99),
        *(("B", 0.01, seed, 0.4, 0.10) for seed in range(2)),
        ("C", 0.01, 0, 0.4, 0.10),
    ]
    names = ("network", "learning_rate", "seed", "train_loss", "test_accuracy")
    with duckdb.connect() as connection:
        values = ", ".join(f"('digits', 'equal', 8, {', '.join(map(repr, line))})" for line in lines)
        connection.sql(f"CREATE TABLE rows AS SELECT * FROM (VALUES {values}) t(data, width, token_dim, {', '.join(names)})")
        found = connection.sql(f"SELECT network, learning_rate, count(*) FROM {trained()} GROUP BY ALL ORDER BY ALL").fetchall()
    assert [(name, float(rate), count) for name, rate, count in found] == [("A", 0.01, 2), ("B", 0.01, 2), ("C", 0.01, 1)]


def test_accuracy(drawn, rows_of, tables_of):
    tables = drawn("transformer_accuracy")
    for name in ("digits", "mnist", "shapes"):
        table, rows = tables[name], rows_of(f"transformer_{name}")
        groups = grouped(rows, "network", "width")
        assert len(table) == len(groups)
        for entry in table:
            own = groups[entry["network"], entry["width"]]
            assert entry["units"] == len(own)
            assert entry["parameters"] == round(np.mean([row["parameters"] for row in own]))
            check_interval(entry, "accuracy", [row["test_accuracy"] for row in own])
    assert [entry["units"] for entry in tables["mnist"]] == [1, 1]
    above, below = canvas_of("transformer_accuracy", tables_of).subfigs
    controls, less = below.axes
    shown = [text.get_text() for text in controls.get_yticklabels()]
    assert shown == ["CRATE", "CRATE, tied output", "CRATE, no attention"]
    # One of the lines is the zero, which CRATE stands for.
    assert [len(axes.lines) for axes in above.axes] == [4, 2, 4, 4, 2, 4], "controls stand below alone"
    heights = sorted(float(line.get_ydata()[0]) for line in above.axes[0].lines)
    assert heights == sorted(entry["accuracy"] for entry in tables["digits"] if entry["control"] == "none")
    places = {tuple(np.ravel(line.get_xydata())) for line in less.lines if len(line.get_ydata()) == 1}
    expected = {entry["network"]: entry["accuracy"] for entry in tables["differences_digits"] if entry["control"] != "none"}
    assert places == {(value, shown.index(network)) for network, value in expected.items()}
    for axes in above.axes[3:]:
        low, high = axes.get_ylim()
        assert low < 0 < high, "the zero is seen"


def test_accuracies_are_compared_within_seeds(drawn, rows_of):
    """Networks of a seed have the same images: what seeds have in common is no part of a difference."""
    tables = drawn("transformer_accuracy")
    for name in ("digits", "mnist", "shapes"):
        rows = rows_of(f"transformer_{name}")
        table = tables[f"differences_{name}"]
        number = {"accuracy": column_of("test_accuracy")}
        check_differences(table, rows, ("CRATE", "equal"), ("network", "width"), number)
    assert [entry["accuracy_low"] for entry in tables["differences_mnist"]] == [None], "one seed has no interval"


def test_what_lacks_crate_is_drawn(tables_of):
    """A store that is not complete may hold CRATE alone, or none of it: then there is nothing to compare."""
    (figure,) = load(["transformer_accuracy"])
    tables = tables_of(figure)
    names = [name for name in tables if name.startswith("differences")]
    assert all(figure.tables[name].least == 0 for name in names)
    canvas = canvas_of("transformer_accuracy", tables_of, **{name: tables[name].where(network="?") for name in names})
    assert [len(axes.lines) for axes in canvas.subfigs[0].axes[3:]] == [1, 1, 1]
    (figure,) = load(["completions"])
    canvas = canvas_of("completions", tables_of, differences=tables_of(figure)["differences"].where(network="?"))
    assert not any(axes.lines for axes in canvas.subfigs[1].axes[2:])


# -- masks --------------------------------------------------------------------------------------------------------------------


def arrays_of(store_folder, study, row, name):
    return Store(make_store(store_folder, study)).array(row[name])


def test_attention_maps(tables_of, rows_of, store_folder):
    (figure,) = load(["attention_maps"])
    table, rows = tables_of(figure)["mosaics"], rows_of("transformer_shapes")
    halves = [("mssa", "ista"), ("mhsa", "mlp")]
    assert list(zip(table.columns["attention"], table.columns["sparsification"], strict=True)) == halves
    groups = grouped(rows, "attention", "sparsification")
    canvas = style.draw(figure.size, lambda own: figure.paint(own, {"mosaics": table}))
    for k, key in enumerate(halves):
        row = min(groups[key], key=lambda row: row["seed"])
        assert table.columns["unit"][k] == row["unit"]
        for name in ("mosaic_images", "mosaic_truth", "mosaic_maps"):
            array = arrays_of(store_folder, "transformer_shapes", row, name)
            np.testing.assert_array_equal(table.columns[name][k], array)
        layers = row["mosaic_layer"]
        assert table.columns["head_iou"][k] == [row["attention_iou"][stage][layers[stage]] for stage in range(2)]
        assert table.columns["fixed_head"][k] == [row["attention_fixed"][stage][1] for stage in range(2)]
        # The trained network's maps come first.
        panels = [axes for axes in canvas.subfigs[k].axes if axes.images]
        assert len(panels) == 3 * (2 + 2 * 2)
        gray = panels[0].images[0]
        np.testing.assert_array_equal(gray.get_array(), table.columns["mosaic_images"][k][0, 0])
        assert gray.get_cmap().name == "gray", "the study's images have one channel"
        assert gray.get_clim() == (0, 1)
        # Each network's own layer.
        words = [text.get_text() for axes in panels for text in axes.texts]
        assert words == [f"trained, layer {layers[1] + 1}", f"before training, layer {layers[0] + 1}"]
        for place, (stage, head) in enumerate([(1, 0), (1, 1), (0, 0), (0, 1)]):
            axes = panels[2 + place]
            np.testing.assert_array_equal(axes.images[0].get_array(), table.columns["mosaic_maps"][k][stage, 0, head])
            title = next(text for text in (axes.title, axes._left_title) if text.get_text())
            assert title.get_text() == f"{row['attention_iou'][stage][layers[stage]][head]:.2f}"
            assert (title.get_weight() == "bold") == (head == row["attention_fixed"][stage][1])


def test_pictures_in_color():
    image = np.linspace(-0.2, 1.2, 3 * 4 * 5).reshape(3, 4, 5)
    (axes,) = style.draw((2, 2), lambda own: picture(own.subplots(), image)).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), np.clip(image, 0, 1).transpose(1, 2, 0))


def test_emergence(drawn, rows_of, tables_of):
    tables, rows = drawn("emergence"), rows_of("transformer_shapes")
    found = {(e["unit"], e["probe"], e["kind"]): (e["iou"], e["low"], e["high"]) for e in tables["iou"]}
    expected = {}
    for row in rows:
        for probe in ("attention", "cut"):
            fixed, best = row[f"{probe}_fixed_iou"], row[f"{probe}_best_iou"]
            for kind, triple in (("fixed", fixed[1]), ("best", best[1]), ("initial", fixed[0])):
                expected[row["unit"], probe, kind] = tuple(triple)
    assert found == expected
    assert len(tables["iou"]) == len(expected) == 4 * 2 * 2 * 3
    # Baselines depend on the images alone, those of a seed.
    first = {row["seed"]: row for row in rows if (row["attention"], row["sparsification"]) == ("mssa", "ista")}
    assert {(e["seed"], e["name"]): (e["iou"], e["low"], e["high"]) for e in tables["baselines"]} == {
        (seed, name): tuple(triple)
        for seed, row in first.items()
        for name, triple in zip(
            [*row["baseline_names"], "best patches"], [*row["baseline_iou"], row["ceiling_iou"]], strict=True
        )
    }
    counts = {(e["attention"], e["sparsification"], e["probe"]): e for e in tables["verdicts"]}
    assert len(counts) == len(tables["verdicts"]) == 8
    for (attention, sparsification), own in grouped(rows, "attention", "sparsification").items():
        for probe in ("attention", "cut"):
            entry = counts[attention, sparsification, probe]
            assert entry["units"] == len(own)
            found = {word: entry[word] for word in ("holds", "refuted", "undecided") if entry[word]}
            assert found == Counter(row[f"{probe}_verdict"] for row in own)
    canvas = canvas_of("emergence", tables_of)
    words = words_of(canvas)
    learned = [text.get_text() for text in canvas.axes[0].get_yticklabels()]
    for entry, label in zip(tables["accuracies"], learned[:4], strict=True):
        own = [row for row in rows if all(row[name] == entry[name] for name in ("attention", "sparsification"))]
        ends = [how(row["test_accuracy"] for row in own) for how in (min, max)]
        assert [entry["units"], entry["accuracy_least"], entry["accuracy_largest"]] == [len(own), *ends]
        assert entry["chance"] == pytest.approx(1 / 3), "three textures, equally frequent"
        name = f"{entry['attention']} + {entry['sparsification']}".upper()
        # Once, where both ends read the same.
        known = "–".join(dict.fromkeys(f"{end:.2f}" for end in ends))
        assert label == f"{name}\naccuracy {known}\n(chance 0.33)"
    for entry in counts.values():
        shown = "\n".join(f"{word} × {entry[word]}" for word in ("holds", "refuted", "undecided") if entry[word])
        assert shown in words, "the verdicts as they are"


def test_another_verdict_is_seen(tables_of):
    (figure,) = load(["emergence"])
    table = tables_of(figure)["verdicts"]
    for word in ("holds", "refuted"):
        columns = table.columns | {name: [7 * (name == word)] * len(table) for name in ("holds", "refuted", "undecided")}
        words = words_of(canvas_of("emergence", tables_of, verdicts=Table(columns)))
        assert words.count(f"{word} × 7") == 8
        assert sum(" × " in text for text in words) == 8


# -- completion ---------------------------------------------------------------------------------------------------------------


def test_completions(tables_of, drawn, rows_of, store_folder):
    tables, rows = drawn("completions"), rows_of("completion")
    assert [entry["network"] for entry in tables["examples"]] == ["CRATE-MAE", "MAE"]
    groups = grouped(rows, "network", "width")
    for entry in tables["examples"]:
        row = min(groups[entry["network"], "equal"], key=lambda row: row["seed"])
        assert entry["unit"] == row["unit"]
        for name in ("shown_images", "shown_masked", "shown_completions"):
            np.testing.assert_array_equal(entry[name], arrays_of(store_folder, "completion", row, name))
    assert len(tables["losses"]) == len(groups) == 3
    for entry in tables["losses"]:
        own = groups[entry["network"], entry["width"]]
        assert entry["units"] == len(own) == 2
        check_interval(entry, "loss", [row["test_loss"] for row in own])
        check_interval(entry, "probe", [row["probe_tokens"][1] for row in own])
        assert entry["initial_probe"] == pytest.approx(np.mean([row["probe_tokens"][0] for row in own]))
        for name in ("initial_loss", "mean_image_loss", "visible_mean_loss", "patch_mean_loss", "probe_pixels"):
            assert entry[name] == pytest.approx(np.mean([row[name] for row in own]))
    numbers = {"loss": column_of("test_loss"), "probe": lambda row: row["probe_tokens"][1]}
    names = ("data", "network", "width")
    check_differences(tables["differences"], rows, ("digits", "CRATE-MAE", "equal"), names, numbers)
    above, below = canvas_of("completions", tables_of).subfigs
    for axes, name in zip(below.axes[2:], numbers, strict=True):
        found = [float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1]
        assert found == [entry[name] for entry in tables["differences"]]
    panels = np.reshape(above.subfigs[0].axes, (4, 8))
    first = tables["examples"][0]
    masked = first["shown_masked"][3] > 0
    visible = panels[1, 3].images[0].get_array()
    assert (visible[masked] == 0.5).all()
    np.testing.assert_array_equal(visible[~masked], first["shown_images"][3, 0][~masked])
    for k, entry in enumerate(tables["examples"]):
        shown = panels[2 + k, 3].images[0].get_array()
        np.testing.assert_array_equal(shown, np.clip(entry["shown_completions"][3, 0], 0, 1))
