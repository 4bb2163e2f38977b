"""The page of an examined network: complete, in need of nothing else, and true to the record, which is made up here."""

import dataclasses
import html
import re

import numpy as np
import pytest

from mcr2_landscape import whitebox as wb
from mcr2_landscape.report import crate_pictures, crate_tables
from mcr2_landscape.report.crate_page import crate_page
from mcr2_landscape.report.page import render
from mcr2_landscape.report.style import draw
from mcr2_landscape.training import ClassTokenPosition, ImageExamination, ImageTraining, Stopped, Training
from mcr2_landscape.training.image_completion import COMPLETIONS, CompletionMeasures
from mcr2_landscape.training.image_layers import STATES, LayerRow
from mcr2_landscape.training.image_views import ImagePictures
from mcr2_landscape.whitebox.layer_measures import METRICS
from mcr2_landscape.whitebox.segmentation import Interval

DEPTH, IMAGES, HEADS = 3, 8, 2
NOTHING = float("nan")


def row(state, metric, layer, **numbers):
    names = [field.name for field in dataclasses.fields(LayerRow)][5:]
    drawn = np.random.default_rng([layer, len(state), len(metric)]).uniform(0.1, 0.9, len(names))
    values = {**dict(zip(names, drawn.tolist(), strict=True)), **numbers}
    values |= {name: 0.01 for name in names if name.endswith("_error")}
    return LayerRow(state, metric, layer, IMAGES, 0.5, **values)


def trained(architecture):
    history = {name: np.array([3.0, 2.0]) for name in ("loss", "gradient_norm", "accuracy", "seconds")}
    history["step"] = np.array([1, 7])
    ended = (7, 7, Stopped.FINISHED, "all 7 steps done", 2.0, 2.0, {"accuracy": 0.5}, history, 1.0, 1.0, None)
    training = Training(None, None, *ended, "float32", "cpu", {}, {})
    return ImageTraining(training, architecture, "classification", 100, np.zeros(1), np.ones(1), 1.0, 1.0, 0.9, 0.75, None)


def made_up(**changes):
    random = np.random.default_rng(0)
    architecture = wb.Architecture.published(8, DEPTH, HEADS, image_size=8, patch=2, channels=1, num_classes=2)
    masks = np.zeros((IMAGES, 8, 8), bool)
    masks[:, 2:6, 2:6] = True
    images = random.random((IMAGES, 1, 8, 8))
    maps = random.random((2, DEPTH, IMAGES, HEADS, 16))
    features = random.standard_normal((2, DEPTH, IMAGES, 16, 8))
    found = wb.evaluate_segmentation(*maps, *features, masks, images, key=0, resamples=100)
    layers = tuple(
        row(state, metric, layer + 1, change=-1.0 if layer else 1.0, nonzero=0.5 - 0.1 * layer, step_bound=0.8)
        for state in ("trained", "random")
        for metric in METRICS
        for layer in range(DEPTH)
    )
    counts = {"ascending": 5, "descending": 3, "flat": 0, "undecided": 0}
    parts = {field.name: random.uniform(0.1, 0.9, (DEPTH, 2)) for field in dataclasses.fields(wb.LayerPositions)}
    parts |= {"epsilon": 0.5, **{name: np.full((DEPTH, 2), count) for name, count in counts.items()}}
    positions = wb.LayerPositions(**parts)
    tokens = tuple(
        ClassTokenPosition(state, layer + 1, 1.25 + layer, 0.5, 7.75, 0.1, 0.2, 5) for state in STATES for layer in range(DEPTH)
    )
    fields = {
        "source": "<script>alert(1)</script>", "num_train": 20, "num_test": IMAGES, "num_classes": 2, "num_measured": IMAGES,
        "architecture": architecture, "parameters": 1234, "task": "classification", "training": trained(architecture),
        "center": np.zeros(1), "spread": np.ones(1), "test_loss": 0.5, "test_accuracy": 0.75, "common_share": 0.5,
        "layers": layers, "positions": {"trained": positions, "random": positions}, "segmentation": found,
        "completion": None, "notes": ("a & b",), "class_positions": tokens, "class_tokens": np.zeros((IMAGES, 8)),
        "labels": np.arange(IMAGES) % 2, "model": None,
        "pictures": ImagePictures(np.arange(2), images[:2], masks[:2], found.attention.fixed[0],
                                  maps[0, 0, :2].reshape(2, HEADS, 4, 4), found.cuts.fixed[0], np.ones((2, 4, 4), bool)),
    }  # fmt: skip
    return ImageExamination(**{**fields, **changes})


@pytest.fixture(scope="module")
def result():
    return made_up()


@pytest.fixture(scope="module")
def page(result):
    return render(crate_page(result, {"configuration_hash": "abc"}))


def test_a_page_loads_nothing_from_elsewhere(page):
    loaded = re.findall(r'(?:src|href|data|srcset|action)="([^"]*)', page)
    assert len(loaded) == 6  # history, rates, halves, positions, overlaps, mosaic
    assert all(address.startswith("data:image/") for address in loaded)
    bare = re.sub(r'data:image/[^"]*', "", page)
    for word in ("<script", "<link", "<iframe", "@import", "url(", "http://", "https://"):
        assert word not in bare
    assert all(re.search(r'alt="[^"]+"', image) for image in re.findall(r"<img [^>]*>", bare))
    assert "&lt;script&gt;" in page


def test_it_says_what_the_record_says(page, result):
    text = html.unescape(page)
    for sentence in (*result.summary, *result.notes):
        assert sentence in text
    for name, value in (("parameters", "1,234"), ("test accuracy", "75.0%")):
        assert re.search(rf"<dt>{name}</dt><dd>{value}</dd>", page)
    for probe in (result.segmentation.attention, result.segmentation.cuts):
        assert f"{probe.fixed_iou.mean:.3f}" in text
    for name in wb.segmentation.BASELINES[1:]:
        assert name in text
    assert "configuration hash" in text


@pytest.fixture
def undrawn(monkeypatch):
    """Pages whose pictures are not looked at: all of them are one small figure."""
    figure = draw((1.0, 1.0), lambda figure: None)
    for name in ("history", "rates", "halves", "positions", "overlaps", "mosaic", "completions"):
        monkeypatch.setattr(crate_pictures, name, lambda result: figure)


class TestSentences:
    def told(self, **changes):
        return " ".join(made_up(**changes).summary)

    def test_layers_are_counted_by_what_errors_allow(self, result):
        assert "R_c of the tokens as they are: the attention half lowers it in 2 of 3 layers and raises it in 1;" in self.told()
        small = [dataclasses.replace(row, change=0.015 if row.layer == 2 else -1.0) for row in result.layers]
        assert "lowers it in 2 of 3 layers and raises it in 0 (1 undecided)" in self.told(layers=tuple(small))
        small = [dataclasses.replace(row, change=0.5) for row in result.layers]
        assert "the attention half raises it in all 3 layers" in self.told(layers=tuple(small))

    def test_a_step_that_is_too_long_is_named(self, result):
        assert "η‖D‖² is 0.8 at most, below 2, as a proximal gradient step" in self.told()
        long = tuple(dataclasses.replace(row, step_bound=2.5) if row.layer == 3 else row for row in result.layers)
        assert "η‖D‖² is not between 0 and 2 in layer 3 (up to 2.5)" in self.told(layers=long)
        backwards = tuple(dataclasses.replace(row, step_bound=-0.5) if row.layer == 1 else row for row in result.layers)
        assert "η‖D‖² is not between 0 and 2 in layer 1" in self.told(layers=backwards)

    def test_sparsity_is_compared_with_random_initialization(self, result):
        assert "50.0% are not zero after the first layer and 30.0% after the last" in self.told()
        assert "as sparse, or sparser" in self.told()
        dense = tuple(dataclasses.replace(row, nonzero=0.9) if row.state == "random" else row for row in result.layers)
        assert "as sparse, or sparser" not in self.told(layers=dense)
        full = tuple(dataclasses.replace(row, nonzero=1.0, nonzero_codes=0.5) for row in result.layers)
        assert "No entry of any layer's tokens is zero; of its codes 50.0% are not zero" in self.told(layers=full)

    def test_tokens_that_are_all_zero_have_no_gradient_to_speak_of(self, result):
        place = result.positions["trained"]
        gradient = np.full((DEPTH, 2), 0.25)
        gradient[1, 1] = np.nan
        place = dataclasses.replace(place, relative_gradient=gradient, relative_gradient_after=gradient)
        words = self.told(positions={"trained": place})
        assert "is 0.25 at the tokens that enter a layer and 0.25 at those that leave it" in words
        assert "bends upwards along 5 directions at the tokens, and downwards along 3" in words

    def test_the_verdict_on_segmentation_is_that_of_the_intervals(self, result):
        probe = result.segmentation.attention
        for low, high, says in (
            (0.1, 0.2, "emerges by attention"),
            (-0.2, -0.1, "does not emerge by attention"),
            (-0.1, 0.1, "cannot be told to emerge from these images by attention"),
        ):
            gains = dict.fromkeys(probe.differences, Interval((low + high) / 2, low, high))
            attention = dataclasses.replace(probe, differences=gains)
            found = dataclasses.replace(result.segmentation, attention=attention)
            assert f"Segmentation {says}" in self.told(segmentation=found)

    def test_a_network_without_subspaces_has_no_rate_to_speak_of(self, result, undrawn):
        rows = [row for row in result.layers if row.metric == "as derived"]
        names = ("before", "after", "change", "common", "alignment", "ratio", "step_bound", "objective_change")
        bare = tuple(dataclasses.replace(row, **dict.fromkeys(names, NOTHING)) for row in rows)
        other = made_up(layers=bare, positions={}, segmentation=None)
        assert "The network has no subspaces" in " ".join(other.summary)
        sections = [section.title for section in crate_page(other, {}).sections]
        assert sections == ["Training", "The two halves", "Class tokens in the landscape", "Attention maps", "Architecture"]


def test_completions_beside_predictions_that_need_no_network(result, undrawn):
    pictures = dataclasses.replace(result.pictures, hidden=np.ones((2, 8, 8), bool), completions=result.pictures.images)
    loss, others = Interval(0.5, 0.4, 0.6), dict.fromkeys(COMPLETIONS, Interval(0.9, 0.8, 1.0))
    for sign, says in ((-1, "better than all of them"), (1, "worse than one of them")):
        gains = dict.fromkeys(COMPLETIONS, Interval(sign * 0.4, sign * 0.4 - 0.1, sign * 0.4 + 0.1))
        found = CompletionMeasures(IMAGES, 4, loss, others, gains)
        examined = dataclasses.replace(result, completion=found, pictures=pictures, test_accuracy=None, training=None)
        assert says in " ".join(examined.summary)
    page = crate_page(examined, {})
    assert dict(page.facts)["loss on hidden patches"] == "0.5"
    table = crate_tables.completion(examined)
    assert [row[0] for row in table.rows] == ["the network", *COMPLETIONS]
    assert "Nothing was trained" in page.sections[0].text
    assert "Completions" in [section.title for section in page.sections]


class TestPictures:
    def test_completions_leave_what_is_visible(self, result):
        hidden = np.zeros((2, 8, 8), bool)
        hidden[:, :2, :2] = True
        seen = dataclasses.replace(result.pictures, hidden=hidden, completions=1 - result.pictures.images)
        shown = [
            np.asarray(axes.images[0].get_array())
            for axes in crate_pictures.completions(dataclasses.replace(result, pictures=seen)).axes
        ]
        np.testing.assert_allclose(shown[2], np.where(hidden[0], 0.5, result.pictures.images[0, 0]))
        np.testing.assert_allclose(shown[5], 1 - result.pictures.images[1, 0])

    def test_rates_of_both_states_by_metric(self, result):
        axes = crate_pictures.rates(result).axes
        assert len(axes) == 2 * len(METRICS)
        for place, metric in enumerate(METRICS):
            lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axes[place].lines}
            rows = result.rows("trained", metric)
            np.testing.assert_allclose(lines["the network"], [row.before for row in rows])

    def test_every_point_of_every_image(self, result):
        panels = crate_pictures.positions(result).axes
        points = [np.asarray(line.get_ydata()) for line in panels[2].lines]
        np.testing.assert_array_equal(points[0], np.full(2 * DEPTH, 5))
        np.testing.assert_array_equal(points[1], np.full(2 * DEPTH, 3))

    def test_the_mosaic_shows_the_maps_that_it_names(self, result):
        figure = crate_pictures.mosaic(result)
        shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
        assert len(shown) == 2 * (3 + HEADS)
        np.testing.assert_array_equal(shown[1], result.pictures.truth[0])
        np.testing.assert_allclose(shown[3], result.pictures.maps[0, 0])
        starred = [axes.get_title(loc="center") for axes in figure.axes if "*" in axes.get_title(loc="center")]
        assert starred == [f"head {result.segmentation.attention.fixed[1] + 1} *"]

    def test_a_chosen_head_beyond_the_shown_ones_takes_the_last_place(self, result):
        many = dataclasses.replace(result.pictures, maps=np.ones((2, 12, 4, 4)))
        chosen = dataclasses.replace(result.segmentation.attention, fixed=(0, 10))
        examined = dataclasses.replace(
            result, pictures=many, segmentation=dataclasses.replace(result.segmentation, attention=chosen)
        )
        assert crate_pictures._shown_heads(examined) == [0, 1, 2, 3, 4, 10]


def test_one_row_a_layer(result):
    table = crate_tables.layers(result)
    assert [row[0] for row in table.rows] == ["1", "2", "3"]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert len(crate_tables.architecture(result).rows) == len(dataclasses.fields(result.architecture))
