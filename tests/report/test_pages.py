"""The pages: complete, and in need of nothing else."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mcr2_landscape import MCR2, InputError, analyze_features, survey
from mcr2_landscape.analysis import list_catalog
from mcr2_landscape.data import gaussian_subspaces
from mcr2_landscape.report import contents, document, pictures, tables
from mcr2_landscape.report.page import Page, Section, render, write_page
from mcr2_landscape.report.style import embed
from mcr2_landscape.report.tables import Table


class Resources(HTMLParser):
    """Everything that a browser would load, the tags, and the text."""

    LOADING = ("src", "href", "srcset", "data", "poster", "action", "background", "xlink:href")

    def __init__(self, text):
        super().__init__()
        self.loaded, self.tags, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value for name, value in attrs if name in self.LOADING]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def analysis():
    data = gaussian_subspaces(key=3, dim=6, sizes=(5, 4, 4), ranks=(2, 1, 2), noise=0.2)
    labels = np.repeat(["<b>bold</b>", "b & c", "c"], (5, 4, 4))
    return analyze_features(data.features, labels, source="<script>alert(1)</script>")


@pytest.fixture(scope="module")
def surveyed():
    limit = MCR2(3, (2, 2, 2), 0.5, 1.0).regularization_limit
    return survey(MCR2(3, (2, 2, 2), 0.5, 0.4 * limit), key=0, num_starts=40)


@pytest.fixture(scope="module")
def pages(analysis, surveyed):
    problem = MCR2(4, (3, 4, 5), 0.5, 0.2)
    listing = list_catalog(problem, top=12)
    documents = {
        name: document(name, result, configuration={}, key=0)
        for name, result in (("analysis", analysis), ("survey", surveyed), ("catalog", listing))
    }
    return {
        "analysis": render(contents.analysis_page(analysis, documents["analysis"]["provenance"])),
        "survey": render(contents.survey_page(surveyed, documents["survey"]["result"], documents["survey"]["provenance"])),
        "catalog": render(contents.catalog_page(listing, documents["catalog"]["result"], documents["catalog"]["provenance"])),
    }


@pytest.mark.parametrize("name", ["analysis", "survey", "catalog"])
def test_a_page_loads_nothing_from_elsewhere(pages, name):
    found = Resources(pages[name])
    assert found.loaded
    assert all(address.startswith("data:image/") for address in found.loaded)
    assert not {"script", "link", "iframe", "object", "embed"} & set(found.tags)
    style = re.sub(r"data:image/[^\"]*", "", pages[name])
    assert "@import" not in style
    assert "url(" not in style
    assert "http://" not in style
    assert "https://" not in style
    for address in found.loaded:
        if address.startswith("data:image/svg"):
            svg = base64.b64decode(address.partition("base64,")[2]).decode()
            assert not re.search(r"(?:href|src)=\"(?!#|data:)", svg)


@pytest.mark.parametrize("name", ["analysis", "survey", "catalog"])
def test_pictures_have_words_for_those_who_cannot_see_them(pages, name):
    images = re.findall(r"<img [^>]*>", re.sub(r"data:image/[^\"]*", "", pages[name]))
    assert images
    assert all(re.search(r'alt="[^"]+"', image) for image in images)


def test_names_of_classes_and_files_are_text(pages):
    assert "<b>bold" not in pages["analysis"]
    assert "<script" not in pages["analysis"]
    text = "".join(Resources(pages["analysis"]).text)
    assert "<b>bold</b>" in text
    assert "<script>alert(1)</script>" in text


def test_a_page_says_what_the_analysis_says(pages, analysis):
    text = " ".join(Resources(pages["analysis"]).text)
    for sentence in (*analysis.summary, *analysis.advice):
        assert sentence in text
    assert analysis.endpoint.family in text
    assert "configuration hash" in text


def test_advice_comes_before_pictures_and_tables(pages):
    page = pages["analysis"]
    assert page.index("What was found") < page.index("What to change") < page.index("<img") < page.index("<table")


def test_the_same_result_gives_the_same_bytes(pages, analysis):
    again = contents.analysis_page(analysis, document("analysis", analysis, configuration={}, key=0)["provenance"])
    assert render(again) == pages["analysis"]


def test_a_page_without_advice_says_so():
    assert "Nothing: the parameters suit" in render(Page("t", "s", advice=()))
    assert "What to change" not in render(Page("t", "s"))


def test_long_tables_are_cut_and_say_so():
    table = Table.of("Rows", ("n",), [(k,) for k in range(400)])
    page = render(Page("t", "s", sections=(Section("x", tables=(table.first(300),)),)))
    assert page.count("<tr>") == 301
    assert "first 300 of 400" in page


def test_numbers_are_written_for_readers():
    assert tables.text(None) == tables.text(float("nan")) == "–"
    assert tables.text(1 / 3, 3) == "0.333"
    assert tables.text(-2.0) == "-2"
    assert tables.text(True) == "yes"


def test_a_page_is_written_whole(tmp_path):
    write_page(tmp_path / "x.html", Page("Title", "s"))
    assert (tmp_path / "x.html").read_text().rstrip().endswith("</html>")
    with pytest.raises(InputError, match="does not exist"):
        write_page(tmp_path / "nowhere" / "x.html", Page("t", "s"))


class TestPictures:
    def test_no_global_state_of_matplotlib_is_touched(self, analysis):
        import matplotlib

        before = dict(matplotlib.rcParams)
        pictures.spectra(analysis)
        embed(pictures.thresholds(analysis))
        assert dict(matplotlib.rcParams) == before

    def test_every_class_has_a_panel_and_its_ideal_level(self, analysis):
        figure = pictures.spectra(analysis)
        shown = [axes for axes in figure.axes if axes.get_visible()]
        assert len(shown) == 3
        for axes, c in zip(shown, analysis.classes, strict=True):
            levels = [line.get_ydata() for line in axes.lines]
            assert any(np.allclose(level, c.ideal_singular_value) for level in levels)

    def test_the_path_ends_where_the_ascent_does(self, analysis):
        left, right = pictures.path(analysis).axes
        assert left.lines[0].get_ydata()[-1] == pytest.approx(analysis.endpoint.gap, rel=1e-6)
        assert right.lines[0].get_ydata()[-1] < 1e-9

    def test_without_an_ascent_there_is_no_path(self, analysis):
        import dataclasses

        bare = dataclasses.replace(analysis, endpoint=None, ascent=None)
        assert pictures.path(bare) is None
        assert "Ascent from the features" not in render(contents.analysis_page(bare, {}))

    def test_many_classes_fit(self):
        data = gaussian_subspaces(key=0, dim=6, sizes=(2,) * 40, ranks=(1,) * 40, noise=0.3)
        many = analyze_features(data.features, data.labels, ascent=False)
        page = render(contents.analysis_page(many, {}))
        assert "first 20 classes" in page
        assert page.count("<tr>") > 40


class TestFigure:
    def test_it_shows_every_point_that_was_found(self, surveyed):
        from mcr2_landscape.report.scatter import value_against_index as scatter

        plain = surveyed.to_dict()
        axes = scatter(plain).axes[0]
        drawn = {
            label: len(c.get_offsets())
            for c in axes.collections
            if (label := c.get_label()) in ("local maximizer", "strict saddle")
        }
        for kind, count in drawn.items():
            assert count == sum(point["kind"] == kind for point in plain["found"])
        assert sum(drawn.values()) == len(plain["found"])
