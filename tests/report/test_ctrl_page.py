"""The page of an examined game: complete, in need of nothing else, and true to the record."""

import dataclasses
import re

import numpy as np
import pytest

from mcr2_landscape.ctrl.examination import examine
from mcr2_landscape.data import subspace_mixture
from mcr2_landscape.report import ctrl_pictures, ctrl_tables, document
from mcr2_landscape.report.ctrl_page import ctrl_page
from mcr2_landscape.report.page import render
from tests.ctrl.stand_ins import stand_in

SHAPE = {"sizes": (20, 25, 30), "ambient_dim": 12, "ranks": (1, 2, 3), "correlation": 0.5}


@pytest.fixture(scope="module")
def result():
    data = subspace_mixture(key=1, **SHAPE)
    names = np.array(["<b>ash</b>", "birch & co", "cedar"])[data.labels]
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch)
        return examine(data.features, names, dim=8, epsilon=1.0, source="<script>alert(1)</script>")


@pytest.fixture(scope="module")
def page(result):
    return render(ctrl_page(result, document("ctrl", result, configuration={}, key=0)["provenance"]))


def test_the_example_loses_something(result):
    """Otherwise half of what the page can say would not be looked at."""
    assert any(c.kept < c.rank for c in result.classes)
    assert result.advice


def test_a_page_loads_nothing_from_elsewhere(page):
    loaded = re.findall(r'(?:src|href|data|srcset|action)="([^"]*)', page)
    assert len(loaded) == 5
    assert all(address.startswith("data:image/") for address in loaded)
    bare = re.sub(r'data:image/[^"]*', "", page)
    for word in ("<script", "<link", "<iframe", "@import", "url(", "http://", "https://"):
        assert word not in bare
    images = re.findall(r"<img [^>]*>", bare)
    assert all(re.search(r'alt="[^"]+"', image) for image in images)


def test_names_are_text(page):
    assert "<b>ash" not in page
    assert "&lt;b&gt;ash&lt;/b&gt;" in page
    assert "&lt;script&gt;" in page


def test_it_says_what_the_record_says(page, result):
    import html

    text = html.unescape(page)
    for sentence in (*result.summary, *result.advice):
        assert sentence in text
    for hypothesis in result.hypotheses:
        assert hypothesis.statement in text
    assert "configuration hash" in text
    assert page.index("What was found") < page.index("What to change") < page.index("<img")


def test_the_same_record_gives_the_same_bytes(page, result):
    assert render(ctrl_page(result, document("ctrl", result, configuration={}, key=0)["provenance"])) == page


class TestTables:
    def test_one_row_a_class_with_what_is_kept(self, result):
        table = ctrl_tables.classes(result)
        kept = table.columns.index("kept")
        assert [row[kept] for row in table.rows] == [str(c.kept) for c in result.classes]
        assert all(len(row) == len(table.columns) for row in table.rows)

    def test_directions_of_the_classes_that_lose_some(self, result):
        table = ctrl_tables.directions(result)
        assert len(table.rows) == sum(c.rank for c in result.classes if c.kept < c.rank)
        whole = dataclasses.replace(result, classes=tuple(dataclasses.replace(c, kept=c.rank) for c in result.classes))
        assert ctrl_tables.directions(whole) is None


class TestPictures:
    def test_spectra_of_all_stages_and_classes(self, result):
        panels = [axes for axes in ctrl_pictures.spectra(result).axes if axes.get_visible()]
        assert len(panels) == 1 + len(result.classes)
        for j, axes in enumerate(panels[1:]):
            lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines}
            for stage, own in result.images.class_spectra.items():
                seen = np.isfinite(lines[stage])
                np.testing.assert_allclose(lines[stage][seen], own[j][seen])
                assert seen[own[j] > 0.01 * own[j].max()].all()

    def test_the_best_number_and_the_rank_are_marked(self, result):
        panels = [axes for axes in ctrl_pictures.profiles(result).axes if axes.get_visible()]
        for c, axes in zip(result.classes, panels, strict=True):
            marks = {line.get_label(): np.ravel(line.get_xdata()) for line in axes.lines}
            assert marks["best number m*"][0] == c.optimal
            assert marks["rank r"][0] == c.rank
            heights = dict(zip(c.profile_counts.tolist(), c.profile_values.tolist(), strict=True))
            assert max(heights[m] for m in range(c.rank + 1)) == pytest.approx(heights[c.optimal], rel=1e-12)

    def test_cosines_of_three_stages(self, result):
        figure = ctrl_pictures.cosines(result)
        shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
        for values, stage in zip(shown, ("X", "f(X)", "fgf(X)"), strict=False):
            np.testing.assert_array_equal(np.asarray(values), result.images.cosines[stage])

    def test_every_sample_is_counted_in_the_histograms(self, result):
        figure, sizes = ctrl_pictures.residuals(result), SHAPE["sizes"]
        for axes in figure.axes:
            assert [stairs.get_data().values.sum() for stairs in axes.patches] == [
                sizes[axes.get_subplotspec().colspan.start]
            ] * 2

    def test_no_global_state_of_matplotlib_is_touched(self, result):
        import matplotlib

        before = dict(matplotlib.rcParams)
        ctrl_pictures.angles(result)
        assert dict(matplotlib.rcParams) == before

    def test_many_classes_fit(self, monkeypatch):
        stand_in(monkeypatch)
        data = subspace_mixture(key=0, sizes=(30,) * 15, ambient_dim=40, ranks=(1, 2, 1) * 5, correlation=0.5)
        many = examine(data.features, data.labels, dim=20, epsilon=0.5)
        assert len(ctrl_tables.classes(many).rows) == 15
        monkeypatch.setattr(ctrl_pictures, "PANELS", 4)  # as large as the picture that a test has time for
        page = ctrl_page(many, {})
        captions = " ".join(picture.caption for section in page.sections for picture in section.pictures)
        assert captions.count("The first 4 classes are shown") == 2
        assert "Classes were thinned out evenly" in captions
