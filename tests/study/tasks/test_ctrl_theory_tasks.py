"""The tasks on what is proved of closed-loop transcription: thresholds, best responses, stability, and local maxima."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.ctrl import SubspaceGame, full_rank_threshold, values
from mcr2_landscape.ctrl.solve import orthogonal_coefficients
from mcr2_landscape.data import subspace_mixture
from mcr2_landscape.study.tasks import ctrl_responses, ctrl_stability, ctrl_starts, ctrl_threshold
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

# Dynamics compile, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)


# -- how many directions are kept ---------------------------------------------------------------------------------------------


@given(st.floats(0.01, 0.9), st.integers(2, 8))
def test_all_numbers_of_directions_tried_out_give_the_closed_form(proportion, rank):
    found = ctrl_threshold.ctrl_threshold(proportion=proportion, rank=rank, num_precisions=20)
    assert found.threshold_error < 1e-10
    assert found.threshold < found.bound
    for y, kept, searched, value, best, full in zip(
        found.precision, found.kept, found.searched, found.value, found.searched_value, found.full_value, strict=True
    ):
        if abs(y / found.threshold - 1) > 1e-9:
            assert (kept == rank) == (y > found.threshold)
        assert kept == searched or value == pytest.approx(best, rel=1e-12)
        assert value == pytest.approx(best, rel=1e-10)
        assert full <= best
    # r and r − 1 directions tie there.
    own = ctrl_threshold.values(rank, proportion, found.searched_threshold)
    assert own[-1] == pytest.approx(own[-2], rel=1e-9)


@given(seeds(), st.floats(0.3, 1.5))
def test_the_values_are_those_of_encoders(seed, epsilon):
    """m equal directions of one of two orthogonal classes, from the rate reduction of the features."""
    random, sizes, rank, dim = np.random.default_rng(seed), (6, 9), 3, 4
    value_of_other = None
    for m in range(1, rank + 1):
        blocks = [np.zeros((dim, own)) for own in (rank, 1)]
        blocks[0][:m, :m] = np.sqrt(sizes[0] / m) * np.eye(m)
        blocks[1][3, 0] = np.sqrt(sizes[1])
        turn = np.linalg.qr(random.standard_normal((dim, dim)))[0]
        value = values.expressiveness(blocks, sizes, dim, epsilon, turn)
        precision = dim / epsilon**2 * np.sqrt(0.4) / rank
        rest = value - ctrl_threshold.values(rank, 0.4, precision)[m - 1]
        value_of_other = rest if value_of_other is None else value_of_other
        assert rest == pytest.approx(value_of_other, abs=1e-10), "what the other class adds, whatever m is"


def test_the_recalled_precision_is_seen_through():
    found = ctrl_threshold.ctrl_threshold(proportion=0.5, rank=2, lowest=1.0, highest=1.6, num_precisions=13)
    lost = [y for y, kept in zip(found.precision, found.searched, strict=True) if kept < 2]
    assert lost
    assert min(lost) == 1.0
    assert max(lost) < 1.540558
    for changes, says in (
        ({"rank": 1}, "rank: found 1"),
        ({"lowest": 2.0, "highest": 1.0}, "lowest: found 2; pass less than highest, 1"),
        ({"proportion": 1.0}, "proportion: found 1"),
        ({"num_precisions": 1}, "num_precisions: found 1"),
    ):
        with pytest.raises(InputError, match=says):
            ctrl_threshold.ctrl_threshold(**{"proportion": 0.5, "rank": 2, **changes})


# -- best responses -----------------------------------------------------------------------------------------------------------


@given(seeds(), st.booleans())
def test_the_nullity_is_the_formulas(seed, lossy):
    found = ctrl_responses.ctrl_responses(seed=seed % 10**6, lossy=lossy)
    assert found.formula == found.listed == found.nullity == found.turns + found.unseen + found.idle
    assert found.turns == sum(m * (m - 1) // 2 for m in found.kept)
    assert found.idle == found.ambient_dim * (found.dim - sum(found.kept))
    assert found.response_error < 1e-8
    assert found.smallest is None or found.smallest > 1e-9
    assert found.rounding is None or found.rounding < 1e-12
    assert len(found.singular_values) == found.unknowns == found.ambient_dim * found.dim
    assert lossy or found.kept == found.ranks
    assert all(m <= r for m, r in zip(found.kept, found.ranks, strict=True))
    # The distance grows like the square of the step off the set.
    assert found.away[0] > 0
    if found.away[1] < 1e-2:
        assert found.away[1] / found.away[0] == pytest.approx(100, rel=0.2)


@given(seeds())
def test_the_derivative_is_that_of_the_second_moments(seed):
    random = np.random.default_rng(seed)
    F, G = random.standard_normal((3, 5)), random.standard_normal((5, 3))
    factors = [random.standard_normal((5, r)) for r in (1, 2)]

    def moments(G: np.ndarray) -> np.ndarray:
        return np.concatenate([(F @ G @ F @ C @ C.T @ F.T @ G.T @ F.T).ravel() for C in factors])

    direction, step = random.standard_normal(G.shape), 1e-5
    numerical = (moments(G + step * direction) - moments(G - step * direction)) / (2 * step)
    exact = ctrl_responses.jacobian(F, G, factors) @ direction.ravel()
    np.testing.assert_allclose(exact, numerical, atol=1e-6 * np.abs(numerical).max())


def test_planted_decoders_and_mistakes_are_seen_through():
    random = np.random.default_rng(0)
    factors = [np.eye(4)[:, :2], np.eye(4)[:, 2:]]
    F = np.linalg.qr(random.standard_normal((4, 4)))[0]
    zero = ctrl_responses.jacobian(F, np.zeros((4, 4)), factors)
    assert not zero.any(), "at zero all directions are in the kernel, not two"
    at = np.linalg.svd(ctrl_responses.jacobian(F, F.T, factors), compute_uv=False)
    assert int((at <= 1e-9 * at[0]).sum()) == 2
    assert ctrl_responses.ctrl_responses(seed=3).identity_error > 1e-3, "a best response is no inverse"
    for changes, says in (
        ({"max_classes": 1}, "max_classes: found 1"),
        ({"max_rank": 0}, "max_rank: found 0"),
        ({"scale": 0.0}, "scale: found 0"),
    ):
        with pytest.raises(InputError, match=says):
            ctrl_responses.ctrl_responses(**{"seed": 0, **changes})


# -- stability ----------------------------------------------------------------------------------------------------------------

GAME: dict[str, Any] = {"sizes": (4, 6), "subspace_ranks": (1, 1), "epsilon": 0.5, "seed": 0}


@pytest.mark.parametrize("relative", [0.5, 0.8, 1.25, 2.0])
def test_ascents_leave_below_the_threshold_and_return_above(relative):
    found = ctrl_stability.ctrl_stability(**GAME, relative_ratio=relative)
    assert found.formula == pytest.approx(1 / 24)
    assert found.threshold == pytest.approx(found.formula, rel=1e-6)
    assert found.grows == (relative < 1) == (found.predicted > 0)
    assert found.measured is not None
    assert found.measured == pytest.approx(found.predicted, rel=0.02)
    assert found.ratio == relative * found.threshold
    assert found.predicted_share == found.predicted / found.fastest
    assert found.measured_share == found.measured / found.fastest
    assert found.curve_gradient[0] == 1
    assert (found.curve_gradient[-1] > 1) == found.grows
    assert len(found.curve_time) == len(found.curve_gradient) <= 60


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "ranks"), [((6, 9), (1, 2)), ((8, 8), (2, 2)), ((4, 6, 9), (1, 1, 1))])
def test_complex_modes_and_larger_ranks(sizes, ranks):
    for relative in (0.7, 1.4):
        found = ctrl_stability.ctrl_stability(sizes=sizes, subspace_ranks=ranks, relative_ratio=relative, seed=1)
        assert found.threshold == pytest.approx(found.formula, rel=1e-6)
        assert found.grows == (relative < 1)
        assert found.measured == pytest.approx(found.predicted, rel=0.03)


def test_a_planted_threshold_is_seen_through(monkeypatch):
    report = SubspaceGame.verify_equilibrium

    def misplaced(self: SubspaceGame, F: Any, G: Any) -> Any:
        found = report(self, F, G)
        assert found.stability_ratio is not None
        return dataclasses.replace(found, stability_ratio=3 * found.stability_ratio)

    monkeypatch.setattr(SubspaceGame, "verify_equilibrium", misplaced)
    found = ctrl_stability.ctrl_stability(**GAME, relative_ratio=0.5)
    assert found.grows is False, "below the planted ratio, but above the true one"
    assert found.threshold != pytest.approx(found.formula, rel=0.5)


def test_a_game_that_loses_dimensions_has_no_formula():
    game = SubspaceGame(np.eye(4)[[0, 1, 0, 2, 3, 2]], [0, 0, 0, 1, 1, 1], dim=4, epsilon=1.5)
    assert game.optimum().multiplicities == (1, 1)
    assert ctrl_stability.closed_form_threshold(game) is None


@given(st.floats(-2, 2), st.sampled_from([1e-4, 1e4]))
def test_rates_are_fitted_where_they_are_rates(rate, jump):
    times = np.linspace(0, 6, 200)
    norms = 1e-6 * np.exp(rate * times)
    # What comes once the norms are large, or rounding, is left out.
    norms[100:] = norms[0] * jump * np.linspace(1, 2, 100)
    assert ctrl_stability.fitted_rate(times, norms) == pytest.approx(rate, abs=1e-9)
    assert ctrl_stability.fitted_rate(times[:3], norms[:3]) is None


def test_a_rate_that_is_not_measured_is_missing(monkeypatch):
    monkeypatch.setattr(ctrl_stability, "fitted_rate", lambda *_: None)
    found = ctrl_stability.ctrl_stability(**GAME, relative_ratio=0.5, max_steps=50)
    assert (found.measured, found.grows, found.measured_share) == (None, None, None)
    assert found.predicted > 0


def test_mistakes_of_ascents():
    for changes, says in (
        ({"relative_ratio": 0.0}, "relative_ratio: found 0"),
        ({"max_steps": 0}, "max_steps: found 0"),
        ({"num_recorded": 1}, "num_recorded: found 1"),
    ):
        with pytest.raises(InputError, match=says):
            ctrl_stability.ctrl_stability(**{**GAME, "relative_ratio": 2.0, **changes})


# -- random starts ------------------------------------------------------------------------------------------------------------

START: dict[str, Any] = {"dim": 4, "sizes": (10, 10), "subspace_ranks": (2, 2), "epsilon": 0.9, "num_starts": 12}


def test_ends_are_at_maxima_that_theory_lists(monkeypatch):
    found = ctrl_starts.ctrl_starts(**START, seed=0)
    assert found.num_unlisted == 0
    assert max(found.end_gradient) < 1e-9
    assert found.listed_kept == ((2, 2), (1, 2), (2, 1), (1, 1))
    assert found.listed_share[0] == 1
    assert found.optimal_multiplicities == (2, 2)
    assert sum(found.listed_count) == 12
    assert len(set(found.end_listed)) > 1, "some starts end lower"
    for place, kept, value, share in zip(found.end_listed, found.end_kept, found.end_value, found.end_share, strict=True):
        assert place is not None
        assert kept == found.listed_kept[place]
        assert value == pytest.approx(found.listed_value[place], rel=1e-8)
        assert share == value / found.optimum
    # A list without the optimum: the ends there are at none.
    whole = ctrl_starts.listed_maxima
    monkeypatch.setattr(ctrl_starts, "listed_maxima", lambda *own: whole(*own)[1:])
    assert ctrl_starts.ctrl_starts(**START, seed=0).num_unlisted == found.listed_count[0]


@given(seeds(), st.floats(0.4, 2.5))
def test_the_list_is_what_theory_says(seed, epsilon):
    sizes, ranks, dim = (12, 16), (2, 3), 6
    listed = ctrl_starts.listed_maxima(dim, sizes, ranks, epsilon)
    a, n = dim / epsilon**2, sum(sizes)
    for first in range(1, 3):
        for second in range(1, 4):
            fine = all(m == 1 or a * np.sqrt(size / n) / m > 1 for m, size in zip((first, second), sizes, strict=True))
            assert ((first, second) in dict(listed)) == fine
    assert [value for _, value in listed] == sorted((value for _, value in listed), reverse=True)
    # The values are those of orthogonal encoders.
    data = subspace_mixture(key=seed % 1000, sizes=sizes, ambient_dim=6, ranks=ranks, correlation=0.5)
    game = SubspaceGame(data.features, data.labels, dim=dim, epsilon=epsilon)
    for counts, value in listed:
        F = game.encoder_of(orthogonal_coefficients(game, counts, np.random.default_rng(seed)))
        assert values.expressiveness(game.spans.factors, game.sizes, dim, epsilon, F) == pytest.approx(value, rel=1e-9)


def test_mistakes_of_starts():
    for changes, says in (
        ({"dim": 3}, "dim: found 3; pass at least the sum of the ranks, 4"),
        ({"num_starts": 0}, "num_starts: found 0"),
        ({"subspace_ranks": (101, 100), "sizes": (200, 200), "dim": 300}, "subspace_ranks: found .*product is at most 10000"),
    ):
        with pytest.raises(InputError, match=says):
            ctrl_starts.ctrl_starts(**{**START, "seed": 0, **changes})


def test_thresholds_of_the_librarys_tables():
    assert full_rank_threshold(2, 0.5) == pytest.approx(ctrl_threshold.searched_threshold(2, 0.5), rel=1e-12)
