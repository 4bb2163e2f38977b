"""Whole fits: flat, unfolded, decoded in the right order, resumed with the same bits, and told when they are none of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcr2_landscape.data import manifolds
from mcr2_landscape.flatnet import (
    BuildOptions,
    Layers,
    Stop,
    build,
    build_layers,
    fit_network,
    kernels,
    local_fit,
    relative_error,
    round_trips,
    spectral_tail,
)
from mcr2_landscape.flatnet.examination import Rows, examine_fit
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Verdict

from .points import CAP, SINE, UNIT

PLAIN = BuildOptions(candidates=1, spread=1.0)  # random centers alone


@pytest.fixture(scope="module")
def fits():
    return {
        "sine": fit_network(SINE.points, key=0, held_out=SINE.held_out, positions=SINE.coordinates[:, 0]),
        "cap": fit_network(CAP.points, key=0, held_out=CAP.held_out),
    }


@pytest.mark.parametrize(("name", "dimension"), [("sine", 1), ("cap", 2)])
def test_a_flattenable_manifold_is_flattened(fits, name, dimension):
    """C4, C7, C8: every part of the verdict, for held-out points as well."""
    report = fits[name].report
    assert report.verdict is Verdict.HOLDS
    assert report.reasons == ()
    assert report.dimension == report.estimate.dimension == dimension
    assert report.stop is Stop.FLAT
    assert report.tail < 1e-6
    assert report.held_out_tail < 1e-6
    assert report.tails[0] > 1e-2
    assert report.held_out_error < 1e-3
    assert (report.trips.errors <= report.trips.thresholds * (1 + 1e-9)).all()
    assert report.trips.identity.max() < 1e-14
    assert report.trips.inverse.max() < 1e-14
    assert report.to_dict()["verdict"] == "holds"


@pytest.mark.parametrize(("name", "factor"), [("sine", 5), ("cap", 1.5)])
def test_the_refit_improves_and_the_order_matters(fits, name, factor):
    """C6: the layer applied last is undone first. The public code's order is planted, with either decoder."""
    fit = fits[name]
    assert fit.report.error < fit.report.local_error / factor
    network, data = fit.network, {"sine": SINE, "cap": CAP}[name].points
    for layers in (network.layers, network.decoder):
        reversed_order = dataclasses.replace(network, decoder=layers[::-1])
        right_order = dataclasses.replace(network, decoder=layers)
        errors = [relative_error(data, own.decode_rows(fit.codes)) for own in (right_order, reversed_order)]
        assert errors[0] < errors[1]


def test_a_certificate_does_not_hold_for_other_coefficients(fits):
    network, built = fits["sine"].network, fits["sine"].built
    start = (SINE.points - network.offset) @ network.frame / network.extent
    assert round_trips(network.layers, start, built.thresholds).verdict is Verdict.HOLDS
    assert round_trips(network.layers, start, built.thresholds / 100).verdict is Verdict.REFUTED
    assert round_trips(network.decoder, start, built.thresholds).verdict is Verdict.REFUTED


def test_the_network_in_jax_is_the_one_on_the_host(fits):
    network = fits["sine"].network
    codes = network.encode_rows(SINE.points)
    # Rounding of a hundred layers, one after the other; decoders stretch it by their derivatives.
    np.testing.assert_allclose(codes, fits["sine"].codes, atol=1e-13)
    np.testing.assert_allclose(network.encode(SINE.points), codes, atol=1e-13)
    np.testing.assert_allclose(network.decode(codes), network.decode_rows(codes), atol=1e-11)
    assert np.asarray(network.decode(codes.astype(np.float32))).dtype == np.float32
    assert relative_error(SINE.points, np.asarray(network.decode(codes.astype(np.float32)), np.float64)) < 2e-3


@pytest.mark.parametrize("part", [0.5, 0.9])
def test_an_arc_below_a_half_circle_does_not_fold(part):
    """C9."""
    arc = manifolds.circular_arc(part * np.pi, 60, key=0)
    for options in (BuildOptions(), PLAIN):
        report = fit_network(arc.points, 1, key=0, options=options, positions=arc.coordinates[:, 0]).report
        assert report.order.inversions == 0
        assert report.unfolded is report.flat is Verdict.HOLDS


def test_three_quarters_of_a_circle_fold_though_they_are_flat():
    """C9, with layers as strong as the public code's: a tail of zero does not say that the code is injective. The order along
    the curve is found without being told."""
    arc = manifolds.circular_arc(1.5 * np.pi, 60, key=0)
    strong = BuildOptions(candidates=1, spread=1.0, threshold=1e-3, most_alpha=0.5)
    report = fit_network(arc.points, 1, key=0, options=strong).report
    known = fit_network(arc.points, 1, key=0, options=strong, positions=arc.coordinates[:, 0]).report
    assert report.order.inversions == known.order.inversions > 5
    assert report.flat is Verdict.HOLDS
    assert report.unfolded is report.verdict is Verdict.REFUTED
    assert report.neighborhoods.trustworthiness < 0.9
    assert report.reasons[0] == "not flattenable to 1 dimension at this tolerance"
    assert "steps along the curve go back" in report.reasons[1]
    # Three points beside the curve leave open whether others are flat, and not whether this code folds.
    odd = np.array([[5.0, 5.0], [4.0, -3.0], [0.0, 0.0]])
    fit = fit_network(arc.points, 1, key=0, options=strong, held_out=odd)
    later, summary = fit.report, examine_fit(fit, Rows(arc.points, np.arange(60)), Rows(odd, np.arange(3))).summary
    assert (later.flat, later.stop) == (Verdict.UNDECIDED, Stop.FLAT)
    assert later.order.inversions == report.order.inversions
    assert later.unfolded is later.verdict is Verdict.REFUTED
    assert any(reason.startswith("folded: ") for reason in later.reasons)
    assert not any("so far" in reason for reason in later.reasons)
    assert summary[1].startswith("Perhaps not flat: ")  # and not "yet": no more layers are to come
    assert any("held-out points are not as flat" in reason and "hold more back" in reason for reason in later.reasons)


@settings(max_examples=5)
@given(st.integers(0, 30), st.integers(1, 4))
def test_an_interrupted_build_goes_on_with_the_same_bits(tmp_path_factory, key, iterations):
    path = tmp_path_factory.mktemp("build") / "state.npz"
    whole = build_layers(UNIT, 2, key=key, options=BuildOptions(max_iterations=8))
    build_layers(UNIT, 2, key=key, options=BuildOptions(max_iterations=iterations), checkpoint=path)
    resumed = build_layers(UNIT, 2, key=key, options=BuildOptions(max_iterations=8), checkpoint=path)
    assert resumed.iterations == whole.iterations
    for first, second in zip(whole.layers, resumed.layers, strict=True):
        for name, one, other in zip(first._fields, first, second, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
    np.testing.assert_array_equal(whole.flat, resumed.flat)
    np.testing.assert_array_equal(whole.tails, resumed.tails)
    with pytest.raises(InputError, match="other points, options or another seed"):
        build_layers(UNIT, 2, key=key + 1, options=BuildOptions(max_iterations=8), checkpoint=path)
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="or damaged"):
        build_layers(UNIT, 2, key=key, checkpoint=path)


@pytest.mark.parametrize("place", ["search_radius", "search_radii", "spectral_tail"])
def test_a_build_interrupted_within_an_iteration_goes_on_with_the_same_bits(tmp_path, monkeypatch, place):
    """Whether the iteration had found its layer or not, and among points that are tried one after the other as well."""
    path, options = tmp_path / "state.npz", BuildOptions(max_iterations=6)
    if place == "search_radii":  # a layer that must move points by as much as this is rare
        options = BuildOptions(max_iterations=30, patience=1, least_move=5e-3)
    whole = build_layers(UNIT, 2, key=0, options=options)
    work, calls = getattr(build, place), []

    def interrupted(*args, **kwargs):
        calls.append(None)
        if len(calls) == (2 if place == "search_radii" else 4):
            raise KeyboardInterrupt
        return work(*args, **kwargs)

    monkeypatch.setattr(build, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_layers(UNIT, 2, key=0, options=options, checkpoint=path)
    monkeypatch.undo()
    resumed = build_layers(UNIT, 2, key=0, options=options, checkpoint=path)
    assert resumed.iterations == whole.iterations
    assert len(resumed.layers) == len(whole.layers) == len(resumed.tails) - 1
    for first, second in zip(whole.layers, resumed.layers, strict=True):
        for name, one, other in zip(first._fields, first, second, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
    for name in ("flat", "tails", "losses", "thresholds"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(resumed, name), err_msg=name)


def _less(name):
    return lambda found: {**found, name: found[name][:-1]}


@pytest.mark.parametrize(
    "damage",
    [
        *map(_less, ("tails", "rows", "layer_mean", "layer_alpha", "points")),
        lambda found: {**found, "iterations": 1},
        lambda found: {**found, "iterations": np.array("x")},
        lambda found: {**found, "points": found["points"] * np.nan},
        lambda found: {"fingerprint": found["fingerprint"]},
    ],
)
def test_a_checkpoint_whose_parts_do_not_fit_is_refused(tmp_path, damage):
    path, options = tmp_path / "state.npz", BuildOptions(max_iterations=3)
    build_layers(UNIT, 2, key=0, options=options, checkpoint=path)
    with np.load(path) as file:
        found = dict(file)
    assert len(found["rows"]) > 1
    np.savez(path, **damage(found))
    with pytest.raises(InputError, match=r"checkpoint .*damaged"):
        build_layers(UNIT, 2, key=0, options=options, checkpoint=path)


@pytest.mark.parametrize("cut", [0, 200, -30])
def test_a_checkpoint_that_is_no_archive_is_refused(tmp_path, cut):
    path, options = tmp_path / "state.npz", BuildOptions(max_iterations=1)
    build_layers(UNIT, 2, key=0, options=options, checkpoint=path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"checkpoint .*damaged"):
        build_layers(UNIT, 2, key=0, options=options, checkpoint=path)
    with open(path, "wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(InputError, match=r"checkpoint .*damaged"):
        build_layers(UNIT, 2, key=0, options=options, checkpoint=path)


def test_a_build_can_be_watched_stopped_and_runs_out_of_time(tmp_path):
    seen = []

    def watch(now):
        seen.append(now)
        if now.iterations == 3:
            raise KeyboardInterrupt

    path = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        build_layers(UNIT, 2, key=0, watch=watch, checkpoint=path)
    assert [now.iterations for now in seen] == [1, 2, 3]
    built = build_layers(UNIT, 2, key=0, time_limit=0, checkpoint=path)
    assert (built.stop, built.iterations) == (Stop.TIME, 3)
    report = fit_network(CAP.points, 2, key=0, time_limit=0).report
    assert report.flat is Verdict.UNDECIDED
    assert any("ended at its time limit" in reason for reason in report.reasons)


def test_noise_that_does_not_decode_is_refuted_unless_the_build_was_cut_short():
    """Held-out points say so; more layers might decode, if the build had not ended before the points were flat."""
    random = np.random.default_rng(0)
    points, later = random.standard_normal((60, 3)), random.standard_normal((20, 3))
    cut = fit_network(points, 1, key=0, held_out=later, options=BuildOptions(max_iterations=20)).report
    assert cut.stop is Stop.ITERATIONS
    assert cut.verdict is cut.flat is cut.unfolded is cut.decodable is Verdict.UNDECIDED
    assert any("decoded so far with a relative error of" in reason for reason in cut.reasons)
    done = fit_network(points, 1, key=0, held_out=later, flatness=10, options=BuildOptions(flatness=0.9)).report
    assert (done.stop, done.flat) == (Stop.FLAT, Verdict.HOLDS)
    assert done.verdict is done.unfolded is done.decodable is Verdict.REFUTED
    assert any("decoded with a relative error of" in reason for reason in done.reasons)


def test_a_build_stalls_where_the_tail_hardly_falls():
    """Which decides nothing: with more layers noise does become flat, by folds. A window that is never full stalls nothing."""
    points = np.random.default_rng(0).standard_normal((60, 3))
    report = fit_network(points, 1, key=0, options=BuildOptions(window=20, progress=0.5, max_iterations=60)).report
    tails = report.tails
    assert report.stop is Stop.STALLED
    assert report.num_layers == len(tails) - 1 < 60
    assert min(tails[-20:]) > 0.5 * min(tails[:-20])
    assert report.verdict is report.flat is report.unfolded is report.decodable is Verdict.UNDECIDED
    assert "hardly falls any more" in report.reasons[0]
    for options in (BuildOptions(window=60, progress=0.5), BuildOptions(window=20, progress=0.0)):
        found = fit_network(points, 1, key=0, options=dataclasses.replace(options, max_iterations=60)).report
        assert (found.stop, found.num_layers) == (Stop.ITERATIONS, 60)
    # Layers that lower the tail are no stall: the sine keeps the whole window's progress.
    assert fit_network(SINE.points, 1, key=0, options=BuildOptions(window=50, progress=0.3)).report.stop is Stop.FLAT


def test_what_random_centers_miss_is_found_before_a_build_gives_up():
    """A straight line with a bend at its end, and radii that reach a fiftieth of it: ten layers in a row move nothing, as a
    rule."""
    x = np.linspace(0, 1, 300)
    points = np.column_stack([x, 20 * np.maximum(x - 0.97, 0) ** 2])
    for key in range(3):
        options = BuildOptions(least_radius=0.005, most_radius=0.02, max_iterations=120)
        report = fit_network(points, 1, key=key, options=options).report
        assert report.num_layers > 3
        assert (report.stop, report.flat, report.verdict) == (Stop.ITERATIONS, Verdict.UNDECIDED, Verdict.UNDECIDED)


def test_a_build_gives_up_only_once_every_point_was_tried(monkeypatch):
    """Repeated points once, and the reason says how many."""
    tried, search = [], build.search_radii

    def kept(points, centers, *rest, **ways):
        tried.append(centers)
        return search(points, centers, *rest, **ways)

    monkeypatch.setattr(build, "search_radii", kept)
    points, options = np.vstack([SINE.points, SINE.points[:7]]), BuildOptions(threshold=1e-14)
    fit = fit_network(points, 1, key=0, options=options)
    assert (fit.report.stop, fit.report.num_layers) == (Stop.EXHAUSTED, 0)
    assert fit.report.verdict is fit.report.flat is Verdict.REFUTED
    assert "none of the layers tried, one around each of the 50 points, moves them any more" in fit.report.reasons[1]
    centers = np.concatenate(tried)
    start = (SINE.points - fit.network.offset) / fit.network.extent
    np.testing.assert_array_equal(np.unique(centers, axis=0), np.unique(start, axis=0))
    assert len(centers) == 50
    # Cut short among them, nothing is said of those that were not tried.
    cut = fit_network(points, 1, key=0, options=dataclasses.replace(options, max_iterations=fit.built.iterations - 1)).report
    assert (cut.stop, cut.flat) == (Stop.ITERATIONS, Verdict.UNDECIDED)


def test_positions_may_be_a_column():
    """As manifolds have coordinates."""
    for positions in (SINE.coordinates, SINE.coordinates[:, 0]):
        report = fit_network(SINE.points, 1, key=0, positions=positions, options=BuildOptions(max_iterations=2)).report
        assert report.order.known
    for wrong in (SINE.coordinates.T, np.hstack([SINE.coordinates] * 2), SINE.coordinates[:-1]):
        with pytest.raises(InputError, match=r"positions: found shape .*\(50,\) or \(50, 1\)"):
            fit_network(SINE.points, 1, key=0, positions=wrong)


def test_a_certificate_does_not_hold_for_a_wrong_inverse(monkeypatch):
    """Without coefficients the identity cannot tell; the exact inverse can."""
    layers = Layers.of([local_fit(SINE.points, SINE.points[9], 1.0, 1).layer(0.5)], 2)
    layers = dataclasses.replace(
        layers, stacked=layers.stacked._replace(coefficients=np.zeros_like(layers.stacked.coefficients))
    )
    assert round_trips(layers, SINE.points, np.full(1, np.inf)).verdict is Verdict.HOLDS
    solve = kernels.kappa
    monkeypatch.setattr(kernels, "kappa", lambda constant, squared: solve(constant, squared) * (1 + 1e-8))
    trips = round_trips(layers, SINE.points, np.full(1, np.inf))
    assert trips.identity.max() < 1e-14  # rounding alone
    assert trips.inverse.max() > 1e-9
    assert trips.verdict is Verdict.REFUTED


def test_a_tail_is_what_lies_outside_the_first_directions():
    points = np.diag([3.0, 2.0, 1.0])
    points = np.vstack([points, -points])
    assert spectral_tail(points, 1) == pytest.approx(5 / 14)
    assert spectral_tail(points, 3) == spectral_tail(np.ones((4, 2)), 1) == 0


@given(st.integers(-1000, 1010), st.integers(0, 2**32 - 1))
@example(-1000, 0)
@example(1010, 0)
def test_a_tail_knows_no_scale(exponent, seed):
    """However great or small squares are."""
    points = np.random.default_rng(seed).standard_normal((9, 4)) + 1
    assert 0.01 < spectral_tail(points, 1) == spectral_tail(np.ldexp(points, exponent), 1)


class TestInput:
    @pytest.mark.parametrize(
        "points", [UNIT * 1e-170, UNIT * 1e200, UNIT * 1.7e308, UNIT * 2, UNIT + 1, np.full((9, 2), 1e-200), np.zeros((9, 2))]
    )
    def test_a_build_takes_points_that_are_centered_and_of_norm_one(self, points):
        """Or their squares may be nothing, and they flat; and thresholds would be relative to where they are."""
        assert build_layers(UNIT, 2, key=0, options=BuildOptions(max_iterations=0)).stop is Stop.ITERATIONS
        with pytest.raises(InputError, match=r"points: found a mean of norm .* subtract the mean and divide by"):
            build_layers(points, 2, key=0, options=BuildOptions(max_iterations=1))

    def test_a_build_takes_points(self):
        with pytest.raises(InputError, match="points: found none"):
            build_layers(UNIT[:0], 2, key=0)

    def test_the_same_point_a_thousand_times_is_one(self):
        """Though the sum of so many equal numbers is no multiple of one."""
        with pytest.raises(InputError, match="points: found the same point 1000 times"):
            fit_network(np.full((1000, 2), 0.1), key=0)

    def test_points_far_from_the_origin_are_centered(self):
        """A sum loses digits that their differences keep."""
        points = np.tile(UNIT[:, :2], (40, 1)) * 1000 + 1e16 / 3
        network = fit_network(points, 1, key=0, options=BuildOptions(max_iterations=0), refit=False).network
        mean = ((points - network.offset) / network.extent).mean(axis=0)
        assert np.abs(mean).max() < 1e-3

    def test_what_is_said_of_the_points(self):
        """Duplicates, constant features and pieces are no errors: they are counted."""
        points = np.column_stack([SINE.points, np.full(50, 7.0)])
        points = np.vstack([points, points[:5], points + np.array([0, 90, 0])])
        report = fit_network(points, 2, key=0, options=BuildOptions(max_iterations=0)).report
        data = report.data
        assert (data.samples, data.features, data.span) == (105, 3, 2)
        assert (data.duplicates, data.constant, data.pieces) == (5, 1, 2)
        assert any("2 pieces" in reason for reason in report.reasons)

    def test_a_fit_in_pieces_does_not_hold(self):
        """Though every part of the verdict does."""
        line = np.outer(np.arange(20.0), [1, 2])
        report = fit_network(np.vstack([line, line + np.array([900, 1800])]), 1, key=0).report
        assert report.data.pieces == 2
        assert report.flat is report.unfolded is report.certified is report.decodable is Verdict.HOLDS
        assert report.verdict is Verdict.UNDECIDED
        assert report.reasons == ("the data fall into 2 pieces that no neighbors connect; fit each on its own",)

    def test_repeated_points_are_no_pieces_and_no_folds(self):
        report = fit_network(np.repeat(SINE.points, 12, axis=0), 1, key=0).report
        assert (report.data.duplicates, report.data.pieces, report.order.steps) == (550, 1, 49)
        assert report.unfolded is report.verdict is Verdict.HOLDS

    def test_radii_that_cover_nothing_are_said_and_decide_nothing(self):
        report = fit_network(SINE.points, 1, key=0, options=BuildOptions(least_radius=1e-6, most_radius=1e-5)).report
        assert (report.stop, report.num_layers) == (Stop.STARVED, 0)
        assert report.verdict is report.flat is Verdict.UNDECIDED
        assert "no radius covers more points than the 3 coefficients" in report.reasons[0]
        # Layers that are possible but may not move anything are another matter.
        assert fit_network(SINE.points, 1, key=0, options=BuildOptions(threshold=1e-14)).report.flat is Verdict.REFUTED

    def test_points_are_too_few_where_they_are_around_most_of_them(self):
        """Around ten of 340 they are not: there a layer was tried, around the others none could be."""
        x = np.arange(330.0)
        far, near = np.column_stack([x, 0.3 * np.cos(x)]), np.linspace(-0.2, 0.2, 10)
        near = np.column_stack([22.5 + near, 1 + near * near])
        options = BuildOptions(least_radius=3e-4, most_radius=1.2e-3, threshold=1e-14)
        assert fit_network(far, 1, key=0, options=options).report.stop is Stop.STARVED
        fit = fit_network(np.insert(far, 23, near, axis=0), 1, key=0, options=options)
        assert (fit.report.stop, fit.report.num_layers, fit.report.flat) == (Stop.STARVED, 0, Verdict.UNDECIDED)
        assert fit.built.iterations > BuildOptions().patience, "the ten were tried before that was said"

    @pytest.mark.parametrize("exponent", [-700, 600])
    def test_units_do_not_matter(self, exponent):
        """However great or small their squares."""
        options = BuildOptions(max_iterations=2)
        plain, scaled = (fit_network(np.ldexp(SINE.points, power), 1, key=0, options=options) for power in (0, exponent))
        np.testing.assert_array_equal(plain.codes, scaled.codes)
        assert plain.report.error == scaled.report.error > 0
        assert plain.report.neighborhoods == scaled.report.neighborhoods

    def test_as_many_directions_as_there_are_need_no_layer(self):
        report = fit_network(SINE.points, 2, key=0).report
        assert (report.num_layers, report.stop, report.error < 1e-20) == (0, Stop.FLAT, True)

    @pytest.mark.parametrize(
        ("points", "d", "says"),
        [
            (np.ones((6, 3)), None, "points: found the same point 6 times"),
            (np.eye(3), 3, "num_components: found 3 for 3 distinct points"),
            (np.vstack([np.eye(3)] * 4), 3, "num_components: found 3 for 3 distinct points"),
            (SINE.points, 3, "num_components: found 3 for points of 2 features"),
            (np.outer(np.arange(9.0), [1, 2]), 2, "num_components: found 2; the points reach only 1 dimension"),
            (np.full((4, 2), np.nan), 1, "points: found NaN in 4 of 4 rows"),
            (np.zeros((0, 2)), 1, "points: found shape"),
            (np.zeros(5), 1, "points: found shape"),
            (SINE.points, 0, "num_components: found 0"),
        ],
    )
    def test_what_cannot_be_flattened_is_refused(self, points, d, says):
        with pytest.raises(InputError, match=says):
            fit_network(points, d, key=0)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"validation_fraction": 1}, "validation_fraction: found 1"),
            ({"validation_fraction": -0.1}, "validation_fraction: found -0.1"),
            ({"validation_fraction": 0.1, "held_out": SINE.held_out}, "validation_fraction: found held_out as well"),
        ],
    )
    def test_what_is_held_back_is_checked(self, change, says):
        with pytest.raises(InputError, match=says):
            fit_network(SINE.points, 1, key=0, **change)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"most_alpha": 1.0}, "most_alpha: found 1"),
            ({"threshold": 0}, "threshold"),
            ({"spread": 2}, "spread: found 2"),
            ({"least_radius": 2.0}, "least_radius: found 2, no less than"),
            ({"radius_tolerance": 1.0}, "radius_tolerance: found 1"),
            ({"progress": -0.1}, "progress: found -0.1"),
            ({"window": 0}, "window: found 0"),
            ({"candidates": 0}, "candidates"),
            ({"refinements": -1}, "refinements: found -1"),
            ({"ridge": 0.0}, "ridge: found 0"),
        ],
    )
    def test_options_are_checked(self, change, says):
        with pytest.raises(InputError, match=says):
            build_layers(SINE.points, 1, key=0, options=BuildOptions(**change))
