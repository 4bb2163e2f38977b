"""Equilibria against the closed form, the upper bound, and the values of cases that were worked out by hand."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import ctrl
from mcr2_landscape.ctrl import solve
from mcr2_landscape.ctrl.solve import kept_dimensions, orthogonal_coefficients
from mcr2_landscape.landscape import Ascent
from mcr2_landscape.testing import seeds

CROSSOVER = 1.851295884612987  # of d_z/ε², K = 3 classes of rank one in two dimensions


def game_of(sizes, ranks, dim, epsilon, *, ambient=None, key=0):
    """Random classes of these ranks, independent as long as `ambient` is large enough."""
    random = np.random.default_rng(key)
    ambient = ambient or sum(ranks) + 1
    parts = [
        random.standard_normal((size, rank)) @ random.standard_normal((rank, ambient))
        for size, rank in zip(sizes, ranks, strict=True)
    ]
    return ctrl.SubspaceGame(np.concatenate(parts), np.repeat(np.arange(len(sizes)), sizes), dim=dim, epsilon=epsilon)


def figure_one():
    """The first experiment of the paper, without noise."""
    random = np.random.default_rng(0)
    common = random.standard_normal((50, 5))
    parts = []
    for rank in (3, 4, 5):
        U = 0.9 * common[:, :rank] + 0.1 * random.standard_normal((50, rank))
        parts.append(random.standard_normal((500, rank)) @ U.T)
    return ctrl.SubspaceGame(np.concatenate(parts), np.repeat([0, 1, 2], 500), dim=40, epsilon=1.0)


@given(
    classes=st.lists(st.tuples(st.integers(4, 40), st.integers(1, 4)), min_size=2, max_size=4),
    spare=st.integers(0, 3),
    log_epsilon=st.floats(-1.5, 1.0),
    seed=seeds(),
)
def test_the_closed_form_attains_the_upper_bound(classes, spare, log_epsilon, seed):
    sizes, ranks = zip(*classes, strict=True)
    game = game_of(sizes, ranks, sum(ranks) + spare, 10**log_epsilon, key=seed)
    found = game.solve(key=seed)
    assert found.decided
    assert found.num_starts == 0
    assert abs(found.gap) <= found.tolerance
    assert found.value == pytest.approx(game.optimum().value, abs=found.tolerance)
    assert found.multiplicities == game.optimum().multiplicities
    assert np.abs(found.feasibility - 1).max() <= found.tolerance
    assert found.response_error <= 1e4 * found.tolerance
    images = [found.F @ C for C in game.spans.factors]
    for j, A in enumerate(images):
        kept = np.linalg.svd(A, compute_uv=False)[: found.multiplicities[j]]
        assert kept == pytest.approx(game.optimum().singular_values[j], rel=1e-7)
        for B in images[:j]:
            assert np.linalg.norm(A.T @ B) <= 1e-7 * np.linalg.norm(A) * np.linalg.norm(B)


@given(
    classes=st.lists(st.tuples(st.integers(4, 40), st.integers(1, 3)), min_size=2, max_size=4),
    log_epsilon=st.floats(-1.0, 0.5),
    seed=seeds(),
)
def test_no_encoder_exceeds_the_value(classes, log_epsilon, seed):
    sizes, ranks = zip(*classes, strict=True)
    game = game_of(sizes, ranks, sum(ranks), 10**log_epsilon, key=seed)
    found = game.solve(key=seed)
    random = np.random.default_rng(seed)
    problem = game.reduced("balls")
    for A in problem.random_starts(random, 4):
        assert problem.evaluate(A)[0] <= found.value + found.tolerance


def test_the_first_experiment_is_solved_within_a_second():
    game = figure_one()
    game.solve(key=0)
    began = time.perf_counter()
    found = game.solve(key=1)
    assert time.perf_counter() - began < 1
    assert found.value == pytest.approx(3.961863935915628, abs=1e-12)
    assert abs(found.gap) <= 1e-9
    assert found.multiplicities == (3, 4, 5)
    assert found.response_error <= 1e-10
    assert found.verdict is ml.Verdict.HOLDS
    assert not np.allclose(found.F, game.solve(key=2).F)
    assert np.array_equal(found.F, game.solve(key=1).F)


def test_nothing_of_the_size_of_the_ambient_space_squared_is_made():
    ambient = 4096
    game = game_of((40, 30), (3, 2), 8, 0.5, ambient=ambient)
    tracemalloc.start()
    try:
        found = game.solve(key=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.decided
    assert peak < 0.1 * 8 * ambient**2


@pytest.mark.parametrize(("factor", "kept"), [(0.98, (1, 1, 1)), (1.02, 2)])
def test_a_tight_frame_gives_way_to_a_collapsed_class_at_the_crossover(factor, kept):
    a = factor * CROSSOVER
    game = game_of((10, 10, 10), (1, 1, 1), 2, (2 / a) ** 0.5)
    found = game.solve(key=0, num_starts=4)
    frame = np.log1p(a / 2) - 0.5 * np.log1p(a)
    collapsed = np.log1p(a / 3) - np.log1p(a) / 3
    assert found.value == pytest.approx(max(frame, collapsed), abs=1e-12)
    assert (frame > collapsed) == (factor < 1)
    assert found.decided, found.reason
    assert found.multiplicities == kept if factor < 1 else sum(found.multiplicities) == kept
    assert found.num_starts == (0 if factor > 1 else 11)


def test_where_the_bound_is_not_attained_the_answer_is_open():
    """Two classes of different sizes that do not fit: the search never exceeds the bound, nor claims it."""
    game = game_of((10, 10, 10), (2, 2, 2), 4, 0.6)
    found = game.solve(key=0, num_starts=6)
    assert found.value <= found.upper_bound + found.tolerance
    assert found.value >= game.optimum().value - found.tolerance
    assert found.verdict is (ml.Verdict.HOLDS if found.gap <= found.tolerance else ml.Verdict.UNDECIDED)
    assert found.decided == (found.verdict is ml.Verdict.HOLDS)
    assert found.feasibility.max() <= 1 + 1e-9


def coherent():
    """S_1 = ⟨e_1, e_2⟩, S_2 = ⟨e_2, e_3⟩ with projectors for second moments."""
    X = np.zeros((20, 3))
    X[0, 0] = X[1, 1] = X[10, 1] = X[11, 2] = 1
    return ctrl.SubspaceGame(X, np.repeat([0, 1], 10), dim=4, epsilon=0.5**0.5)


@pytest.fixture(scope="module")
def shared():
    """The game, what was found, and the progress that was shown."""
    game, seen = coherent(), []
    found = game.solve(key=0, num_starts=4, progress=lambda done, total, good: seen.append((done, total)))
    return game, found, seen


def test_dependent_classes_give_up_what_they_share(shared):
    _, found, seen = shared
    assert found.value == pytest.approx(np.log(5) - np.log(3), abs=1e-11)
    assert np.linalg.norm(found.F[:, 1]) <= 1e-6
    assert found.multiplicities == (1, 1)
    assert found.verdict is ml.Verdict.UNDECIDED
    assert found.gap > 0.05
    assert "dependent" in found.reason
    assert found.feasibility.max() <= 1 + 1e-9
    assert found.response_error <= 1e-8
    assert seen[-1] == (found.num_starts, found.num_starts)


def test_an_equilibrium_of_dependent_classes_is_a_maximizer_and_no_better_is_known(shared):
    game, found, _ = shared
    report = game.verify_equilibrium(found.F, found.G)
    assert report.kind is ml.Kind.LOCAL_MAXIMIZER, report.kind_reason
    assert report.stackelberg is ml.Verdict.UNDECIDED
    assert report.nash is ml.Verdict.REFUTED
    assert report.stability_ratio is None
    assert "dependent" in report.stability_reason
    assert game.verify_equilibrium(found.F, found.G, attainable=0.52).stackelberg is ml.Verdict.REFUTED


def test_an_ascent_along_a_curved_ridge_comes_to_its_end():
    """Ranks 2 and 3 with one direction in common: gradients alone are at 1e-5 after thousands of steps."""
    random = np.random.default_rng(0)
    B = random.standard_normal((4, 8))
    X = np.concatenate([random.standard_normal((30, 2)) @ B[:2], random.standard_normal((30, 3)) @ B[1:]])
    found = ctrl.SubspaceGame(X, np.repeat([0, 1], 30), dim=5, epsilon=0.5).solve(key=0, num_starts=1)
    assert found.value == pytest.approx(1.0306288597972, abs=1e-12)  # 5000 gradients more leave 1.5e-7 of it
    assert found.converged
    assert found.gradient <= 2e-11
    assert "has not converged" not in found.reason


def end_of(value, converged):
    return Ascent(np.zeros(1), value, 0.0, 0.0, converged, "", 1, 0, None, {})


def test_the_highest_ends_go_on_and_of_equal_ones_the_converged_counts():
    ends = [end_of(1.0, True), end_of(3.0, False), end_of(3.0 - 1e-11, True), end_of(2.0, False), end_of(2.5, True)]
    assert [end.value for end in solve._highest(ends)] == [3.0 - 1e-11, 3.0, 2.5]
    assert [end.value for end in solve._highest([end_of(1.0, True), end_of(2.0, False)])] == [2.0, 1.0]


@given(seeds())
def test_kept_dimensions_are_those_of_the_construction(seed):
    random = np.random.default_rng(seed)
    game = game_of((10, 12, 9), (2, 3, 1), 6, 0.5)
    counts = tuple(int(random.integers(0, rank + 1)) for rank in game.ranks)
    if not any(counts):
        return
    F = game.encoder_of(orthogonal_coefficients(game, counts, random))
    assert kept_dimensions(game, F) == counts
    assert game.feasibility(F) == pytest.approx([1.0 if count else 0.0 for count in counts], abs=1e-10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"key": None}, "key: found NoneType"),
        ({"key": 0, "num_starts": 0}, "num_starts: found 0"),
        ({"key": 0, "progress": 1}, "progress: found 1"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ml.InputError, match=words):
        game_of((10, 10), (1, 1), 2, 0.5).solve(**arguments)


def test_what_does_not_fit_into_memory_is_not_begun():
    with pytest.raises(ml.InputError, match=r"dim: needs .* GB, and .* GB of memory are available; pass a smaller d_z"):
        game_of((10, 10), (1, 1), 10**9, 0.5).solve(key=0)


def test_a_search_costs_what_its_size_allows():
    small, large = solve._budget(3, 10, 24), solve._budget(10, 74, 4)
    assert (small.first, small.last) == (500, 5000)
    assert large.first * (1 + large.collapsed + 4) + large.last < 4000
    assert len(list(solve._collapses(100, solve._budget(100, 300, 4).collapsed, np.random.default_rng(0)))) == 2
    assert len(list(solve._collapses(3, 1, np.random.default_rng(0)))) == 6  # of a few classes every set
