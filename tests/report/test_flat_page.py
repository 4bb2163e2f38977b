"""The page of flattened points: complete, in need of nothing else, and true to the record, of a fit of a few small pictures."""

import dataclasses
import html
import re

import numpy as np
import pytest

from mcr2_landscape.data import manifolds
from mcr2_landscape.flatnet import BuildOptions, Stop, certificates, findings, fit_network
from mcr2_landscape.flatnet.examination import Rows, examine_fit, examine_network
from mcr2_landscape.report import flat_pictures, flat_tables
from mcr2_landscape.report.flat_page import flat_page
from mcr2_landscape.report.page import render
from mcr2_landscape.report.style import draw
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Verdict

OPTIONS = BuildOptions(max_iterations=6)


@pytest.fixture(scope="module")
def data():
    return manifolds.translated_squares(40, key=0, size=5, side=2.0, num_held_out=8)


@pytest.fixture(scope="module")
def fit(data):
    return fit_network(data.points, 2, key=0, options=OPTIONS, held_out=data.held_out)


@pytest.fixture(scope="module")
def found(data, fit):
    used, later = Rows(data.points, np.arange(40)), Rows(data.held_out, np.arange(40, 48))
    return examine_fit(fit, used, later, source="<script>alert(1)</script>", notes=("a & b",), image_size=(1, 5, 5))


@pytest.fixture(scope="module")
def drawn(found):
    """The page, and its figures by name."""
    figures = {}

    def keep(name, make):
        def made(found):
            return figures.setdefault(name, make(found))

        return made

    with pytest.MonkeyPatch.context() as patch:
        for name in ("spectrum", "projections", "errors", "line", "images", "round_trips"):
            patch.setattr(flat_pictures, name, keep(name, getattr(flat_pictures, name)))
        return render(flat_page(found, {"configuration_hash": "abc"})), figures


@pytest.fixture(scope="module")
def page(drawn):
    return drawn[0]


@pytest.fixture(scope="module")
def figures(drawn):
    return drawn[1]


@pytest.fixture
def undrawn(monkeypatch):
    figure = draw((1.0, 1.0), lambda figure: None)
    monkeypatch.setattr(flat_pictures, "draw", lambda size, paint: figure)


def test_a_page_loads_nothing_from_elsewhere(page):
    loaded = re.findall(r'(?:src|href|data|srcset|action)="([^"]*)', page)
    assert len(loaded) == 6  # spectrum, projections, errors, line, images, round trips
    assert all(address.startswith("data:image/") for address in loaded)
    bare = re.sub(r'data:image/[^"]*', "", page)
    for word in ("<script", "<link", "<iframe", "@import", "url(", "http://", "https://"):
        assert word not in bare
    assert all(re.search(r'alt="[^"]+"', image) for image in re.findall(r"<img [^>]*>", bare))
    assert "&lt;script&gt;" in page


def test_it_says_what_the_record_says(page, found):
    text = html.unescape(page)
    for sentence in (*found.summary, *found.notes):
        assert sentence in text
    assert f"<dt>verdict</dt><dd>{found.report.verdict.value}</dd>" in page
    assert "configuration hash" in text
    for part in ("flat", "unfolded", "certified", "decodable"):
        assert getattr(found.report, part).value in text


def test_errors_and_spectra_are_those_of_the_network(found, fit, data):
    """The report's relative errors are the means of what is said of single points; the shares make its tails."""
    assert found.errors.mean() == pytest.approx(fit.report.error)
    assert found.held_out_errors.mean() == pytest.approx(fit.report.held_out_error)
    np.testing.assert_allclose(found.codes, fit.codes, atol=1e-12)
    np.testing.assert_array_equal(found.depths, np.arange(fit.report.num_layers + 1))
    whole = np.array([1 - shares[:2].sum() for shares in found.spectra])
    np.testing.assert_allclose(whole, fit.report.tails, atol=1e-12)
    centered = data.points - data.points.mean(axis=0)
    np.testing.assert_allclose(found.before, centered @ found.directions, atol=1e-12)


def test_the_line_ends_at_decoded_points(found, fit):
    ends = found.codes[[found.codes[:, 0].argmin(), found.codes[:, 0].argmax()]]
    np.testing.assert_allclose(found.line.decoded[[0, -1]], fit.network.decode_rows(ends), atol=1e-12)
    np.testing.assert_allclose(found.line.straight[[0, -1]], found.line.decoded[[0, -1]], atol=1e-12)
    middle = np.linalg.norm(found.line.straight[:, None] - found.points, axis=2).min(axis=1).max()
    spread = np.sqrt(np.mean(np.sum((found.points - found.points.mean(axis=0)) ** 2, axis=1)))
    assert found.line.straight_distance == pytest.approx(middle / spread)


def test_a_network_on_other_points(fit, data, undrawn):
    """Its certificates are of the identity alone, and what it leaves is told of these points."""
    other = examine_network(fit.network, Rows(data.held_out, np.arange(8)), source="others")
    assert (other.fitted, other.report.data.samples, other.num_held_out) == (False, 8, 0)
    assert other.report.certified is Verdict.HOLDS
    np.testing.assert_array_equal(other.codes, fit.network.encode_rows(data.held_out))
    told = " ".join(other.summary)
    assert "The network does not flatten and decode these points" in told
    assert "layer moves" not in told
    assert "stood" not in told
    assert (other.report.stop, other.report.iterations) == (None, None)
    assert other.report.num_layers == fit.report.num_layers
    plain = other.to_dict()["report"]
    assert (plain["stop"], plain["iterations"]) == (None, None)
    first, flat, *others = other.report.reasons
    assert first == "the network does not flatten and decode these points to 2 dimensions at this tolerance"
    assert flat.endswith("of the variance is left outside, 1e-06 is allowed")
    assert not any("held-out" in reason or "so far" in reason or "build" in reason for reason in others)
    page = flat_page(other, {})
    assert page.title == "Points transformed by a network"
    assert page.warning == ""
    assert flat_tables.layers(other) is None
    question, _, off, allowed = flat_tables.verdicts(other).rows[2]
    assert (question, allowed) == ("round trips: off their identity", "at most 1e-10")
    assert float(off) == pytest.approx(other.report.trips.identity.max(), rel=0.06)


def test_scale_and_copies_change_no_number(fit, data, found):
    """Squares of points of any scale fit, and one held-out point in the center has no spread to divide by."""
    for power in (-700, 700):
        scaled = np.ldexp(data.points, power)
        network = dataclasses.replace(
            fit.network, offset=np.ldexp(fit.network.offset, power), extent=float(np.ldexp(fit.network.extent, power))
        )
        other = examine_network(network, Rows(scaled, np.arange(40)))
        np.testing.assert_allclose(other.errors, found.errors, rtol=1e-9)
        assert other.line.distance == pytest.approx(found.line.distance)
        with pytest.raises(InputError, match=r"points: lie .* those that the network was fitted to"):
            examine_network(fit.network, Rows(scaled, np.arange(40)))
    alone = Rows(found.center[None], np.arange(1))
    assert examine_fit(fit, Rows(data.points, np.arange(40)), alone).held_out_errors.tolist() == [0.0]


def test_few_held_out_points_do_not_hide_a_greater_error(found):
    """The number that is shown is the one that the verdict compares."""
    report = dataclasses.replace(found.report, held_out_error=0.1, left_out_error=0.3, num_held_out=8)
    assert report.judged_error == 0.3
    assert dataclasses.replace(report, num_held_out=80).judged_error == 0.1
    assert dataclasses.replace(report, held_out_error=None, num_held_out=0).judged_error == 0.3


def test_what_is_shown_is_allowed_where_it_is_decided(found, fit, data, monkeypatch):
    """Bounds are in one place: where the verdict takes another one, so do the tables."""
    report = dataclasses.replace(found.report, held_out_error=0.1, left_out_error=0.3, num_held_out=8)
    shown = dataclasses.replace(found, report=report)
    assert flat_tables.verdicts(shown).rows[3][2] == "0.3"
    monkeypatch.setattr(findings, "FEW_HELD_OUT", 8)
    assert flat_tables.verdicts(shown).rows[3][2] == "0.1"
    monkeypatch.setattr(certificates, "ROUNDING", 1e-40)
    other = examine_network(fit.network, Rows(data.held_out, np.arange(8)))
    assert other.report.certified is Verdict.REFUTED
    assert flat_tables.verdicts(other).rows[2][3] == "at most 1e-40"


def test_few_points_that_a_network_does_not_flatten_are_not_flat(fit, data):
    """Nothing is to come that could change it: neither "so far" nor "yet"."""
    other = examine_network(fit.network, Rows(data.held_out[:3], np.arange(3)), flatness=0.9, tolerance=1e-9)
    assert other.report.tail < 1e-9  # three points lie in some plane
    assert other.report.flat is Verdict.HOLDS
    other = examine_network(fit.network, Rows(data.held_out[:3], np.arange(3)), tolerance=1e-9)
    assert other.report.flat is other.report.decodable is Verdict.REFUTED
    assert "about the plane of the points that were fitted" in other.report.reasons[1]
    assert f"Not flat: {other.report.num_layers} layers leave" in other.summary[1]


class TestNothingToFlatten:
    """As many dimensions as features, or points that lie in a plane as they came: no layer."""

    def looked_at(self, points, d, **rest):
        fit = fit_network(points, d, key=0, **rest)
        return examine_fit(fit, Rows(points, np.arange(len(points))), None, source="points"), fit

    def test_a_code_of_as_many_dimensions_as_features(self, undrawn):
        points = np.random.default_rng(0).standard_normal((20, 2))
        found, fit = self.looked_at(points, 2)
        assert (found.report.num_layers, found.report.verdict) == (0, Verdict.HOLDS)
        page = flat_page(found, {})
        assert page.title == "Nothing to flatten: the code has as many dimensions as the space"
        told = " ".join(found.summary)
        assert told.startswith("Nothing was flattened: the points have 2 features and the code has as many dimensions, ")
        assert "The verdict holds." in found.summary[0]
        assert "Flat: a space of 2 dimensions has nothing outside them." in told
        for words in ("Flattened", "flattened well", "0 layers", "only others could tell", "straight line in the flat space"):
            assert words not in told
        shown = render(page)
        for words in (
            "Flattened",
            "flattened well",
            "before the first layer",
            "Before and after",
            "layer by layer",
            "these layers",
        ):
            assert words not in shown
        other = examine_network(fit.network, Rows(points[:9], np.arange(9)))
        assert other.summary[0].startswith("The network flattens nothing: the points have 2 features")
        # Whatever the verdict: two heaps are undecided, and still nothing was to be flattened.
        heaps, _ = self.looked_at(np.vstack([points, points + 900]), 2)
        assert heaps.report.verdict is Verdict.UNDECIDED
        assert flat_page(heaps, {}).title == page.title
        assert heaps.summary[0].endswith("The verdict is undecided, by the pieces that the data fall into.")

    def test_points_that_lie_in_a_plane_as_they_came(self, undrawn):
        line = np.outer(np.arange(20.0), [1, 2])
        found, fit = self.looked_at(line, 1)
        assert (found.report.num_layers, found.report.verdict) == (0, Verdict.HOLDS)
        assert flat_page(found, {}).title == "Flat as they came, and decoded"
        told = found.summary
        assert told[0] == "The points lie in 1 dimension as they came, without a layer, as far as they tell: the verdict holds."
        assert told[1].startswith("Flat: without a layer there is")
        # Points off that line are not flat, and still no layer has made anything of them.
        bent = line + np.array([[2, -1]]) * np.cos(line[:, :1])
        other = examine_network(fit.network, Rows(bent, np.arange(20)))
        assert other.report.flat is Verdict.REFUTED
        assert other.summary[0].startswith("The network does not flatten and decode these points to 1 dimension")
        assert flat_page(found, {}).sections[2].title == "The points"

    def test_only_the_points_as_they_came_are_drawn(self):
        found, _ = self.looked_at(np.random.default_rng(0).standard_normal((12, 2)), 2)
        panels = flat_pictures.projections(found).axes
        assert [axes.get_title(loc="left") for axes in panels] == ["as they came"]


class TestSentences:
    def told(self, found, **changes):
        return " ".join(dataclasses.replace(found, report=dataclasses.replace(found.report, **changes)).summary)

    def test_a_verdict_names_what_it_rests_on(self, found):
        parts = {"flat": Verdict.HOLDS, "unfolded": Verdict.HOLDS, "certified": Verdict.HOLDS, "decodable": Verdict.HOLDS}
        assert "the verdict holds." in self.told(found, **parts, verdict=Verdict.HOLDS)
        for part, words in (
            ("flat", "flatness"),
            ("unfolded", "the folds of the code"),
            ("certified", "the layers' round trips"),
            ("decodable", "the error of decoding"),
        ):
            told = self.told(found, **{**parts, part: Verdict.REFUTED}, verdict=Verdict.REFUTED)
            assert f"not flattenable to 2 dimensions at this tolerance: refuted, by {words}." in told
        pieces = dataclasses.replace(found.report.data, pieces=2)
        told = self.told(found, **parts, verdict=Verdict.UNDECIDED, data=pieces)
        assert "is undecided, by the pieces that the data fall into." in told

    @pytest.mark.parametrize(
        ("options", "stop", "says"),
        [
            (BuildOptions(threshold=1e-14), Stop.EXHAUSTED, "none of the layers tried, one around each of the"),
            (BuildOptions(least_radius=1e-6, most_radius=1e-5), Stop.STARVED, "take more points or fewer dimensions."),
        ],
    )
    def test_why_a_build_ended_by_itself(self, found, options, stop, says):
        report = fit_network(manifolds.sine_curve(40, key=1).points, 1, key=0, options=options).report
        assert report.stop is stop
        told = self.told(found, flat=report.flat, stop=report.stop, reasons=report.reasons)
        assert says in told
        assert "most_radius" not in told, "the command has no such option"

    def test_why_it_is_not_flat(self, found):
        assert "number of layers tried" in self.told(found, flat=Verdict.UNDECIDED)
        reasons = ("not flattenable", "not flat: a part of 0.1 of the variance is left outside, 0.01 is allowed, and it stands")
        told = self.told(found, flat=Verdict.REFUTED, stop=Stop.STALLED, reasons=reasons)
        assert "is allowed; it stands." in told  # the report's own reason
        assert "number of layers tried" not in self.told(found, flat=Verdict.HOLDS)

    def test_a_round_trip_beyond_its_threshold_is_told(self, found):
        trips = dataclasses.replace(found.report.trips, errors=2 * found.report.trips.thresholds)
        told = self.told(found, trips=trips, certified=Verdict.REFUTED)
        assert "NOT every layer stays within its threshold (half the mean square error is 2.000 of it at most)" in told


class TestPictures:
    def test_the_points_are_shown_before_and_after(self, found, figures):
        panels = figures["projections"].axes
        assert len(panels) == 4
        for axes, (points, second) in zip(panels, [(p, k) for p in (found.before, found.after) for k in (1, 2)], strict=True):
            np.testing.assert_allclose(np.asarray(axes.collections[0].get_offsets()), points[:, [0, second]])

    def test_pictures_are_those_of_points_and_lines(self, found, figures):
        shown = [np.asarray(axes.images[0].get_array()) for axes in figures["images"].axes]
        low, high = found.points.min(), found.points.max()
        first = np.clip((found.line.straight[0].reshape(5, 5) - low) / (high - low), 0, 1)
        np.testing.assert_allclose(shown[27], first, atol=1e-12)
        assert len(shown) == 36


def test_one_row_a_layer_and_a_question(found):
    assert len(flat_tables.layers(found).rows) == found.report.num_layers
    assert [row[1] for row in flat_tables.verdicts(found).rows][-1] == found.report.verdict.value
    assert flat_tables.dimension(found) is None
    assert [row[0] for row in flat_tables.errors(found).rows] == ["fitted", "held out"]
