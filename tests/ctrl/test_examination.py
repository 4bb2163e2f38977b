"""What the record says of the data, against what the data were made of."""

import dataclasses
import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.ctrl import SubspaceGame
from mcr2_landscape.ctrl.examination import classes_of, common_gap, examine, injectivity_dim, normalized
from mcr2_landscape.ctrl.images import column_bases, cosines_of, residuals_of, thinned
from mcr2_landscape.ctrl.spans import spans_of
from mcr2_landscape.data import subspace_mixture
from mcr2_landscape.record import to_plain
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Verdict

from .problems import class_reduction, subspace_data
from .stand_ins import stand_in

SEEDS = st.integers(0, 2**32 - 1)
RANKS = st.lists(st.integers(1, 4), min_size=2, max_size=4)


def game_of(seed, ranks, *, dim=9, epsilon=0.5, size=9):
    X, labels = subspace_data(seed, [size + k for k in range(len(ranks))], ranks, 20)
    return SubspaceGame(X, labels, dim=dim, epsilon=epsilon)


class TestGap:
    @given(seed=SEEDS, ranks=RANKS)
    def test_no_class_has_a_singular_value_in_it_and_none_is_wider(self, seed, ranks):
        spans = game_of(seed, ranks).spans
        pool = np.sort(np.concatenate(spans.values))
        # by brute force: every tolerance between two neighbors that leaves each class something
        cuts = [(b / a, a, b) for a, b in itertools.pairwise(pool) if all(v[0] >= b for v in spans.values)]
        gap = common_gap(spans)
        if not cuts:
            assert gap is None
            return
        ratio, low, high = max(cuts)
        assert gap.ratio == pytest.approx(ratio)
        assert low < gap.tolerance < high
        assert gap.ranks == tuple(int((values > gap.tolerance).sum()) for values in spans.values)

    def test_without_noise_the_widest_is_not_plain(self):
        data = subspace_mixture(key=0, sizes=(40, 50, 60), ambient_dim=15, ranks=(2, 3, 4), correlation=0.5)
        assert not common_gap(SubspaceGame(data.features, data.labels, dim=8, epsilon=1.0).spans).plain
        with pytest.raises(InputError, match="spans: found int; pass the spans of a SubspaceGame"):
            common_gap(3)

    def test_it_finds_the_ranks_under_noise(self):
        data = subspace_mixture(key=4, sizes=(40, 50, 60), ambient_dim=15, ranks=(1, 2, 3), correlation=0.5, noise=1e-3)
        noisy = SubspaceGame(data.features, data.labels, dim=8, epsilon=1.0)
        assert noisy.ranks == (15, 15, 15)
        gap = common_gap(noisy.spans)
        assert gap.ranks == (1, 2, 3)
        assert gap.plain
        assert SubspaceGame(data.features, data.labels, dim=8, epsilon=1.0, rank_tolerance=gap.tolerance).ranks == gap.ranks

    @given(seed=SEEDS)
    def test_a_tolerance_leaves_the_subspaces_above_it_as_they_are(self, seed):
        """Classes near one line: what they do not share has singular values below the tolerance, and no less to say."""
        random = np.random.default_rng(seed)
        lines = random.standard_normal(6) + 0.05 * random.standard_normal((4, 6))
        X = np.repeat(lines, 5, axis=0) * random.uniform(1, 2, size=(20, 1)) + 1e-6 * random.standard_normal((20, 6))
        spans = SubspaceGame(X, np.repeat(np.arange(4), 5), dim=4, epsilon=1.0, rank_tolerance=0.5).spans
        assert spans.ranks == (1, 1, 1, 1)
        assert spans.independent
        assert spans.span.shape == (6, 4)
        for U, line in zip(spans.bases, lines, strict=True):
            assert np.linalg.norm(U) == pytest.approx(1)
            assert abs(U[:, 0] @ line) == pytest.approx(np.linalg.norm(line), rel=1e-6)


class TestWhatItTakes:
    @given(seed=SEEDS, ranks=RANKS, epsilon=st.floats(0.2, 3.0))
    def test_the_dimension_from_which_on_all_is_kept(self, seed, ranks, epsilon):
        game = game_of(seed, ranks, epsilon=epsilon)
        needed = injectivity_dim(game.spans, epsilon)

        def lost(dim):
            best = SubspaceGame.from_spans(game.spans, dim=dim, epsilon=epsilon).optimum()
            return sum(best.lost) or any(tied is not None for tied in best.tied)

        assert not lost(needed)
        assert not lost(needed + 3)
        assert needed == sum(ranks) or lost(needed - 1)

    @given(seed=SEEDS, ranks=RANKS)
    def test_the_precision_below_which_a_class_is_kept(self, seed, ranks):
        game = game_of(seed, ranks, dim=sum(ranks))
        F = np.zeros((game.dim, game.ambient_dim))
        for j, c in enumerate(classes_of(game, None, F)):
            if c.rank == 1:
                assert c.epsilon_needed is None
                continue
            for factor, kept in ((1 - 1e-9, c.rank), (1 + 1e-9, c.rank - 1)):
                near = SubspaceGame.from_spans(game.spans, dim=game.dim, epsilon=factor * c.epsilon_needed)
                assert classes_of(near, None, F)[j].optimal == kept


class TestWhatIsKept:
    @given(seed=SEEDS, ranks=RANKS)
    def test_an_encoder_of_chosen_directions_keeps_those(self, seed, ranks):
        """Principal directions that are chosen are kept whole, the others not at all, and the variance is theirs."""
        game = game_of(seed, ranks, dim=16)
        random = np.random.default_rng(seed)
        chosen = [random.random(rank) < 0.5 for rank in ranks]
        mask = np.concatenate(chosen).astype(float)
        A = random.standard_normal((game.dim, mask.size)) * mask
        for c, own in zip(classes_of(game, None, game.encoder_of(A)), chosen, strict=True):
            np.testing.assert_allclose(c.directions, own, atol=1e-9)
            assert c.kept == own.sum()
            shares = c.singular_values**2 / np.sum(c.singular_values**2)
            assert c.variance == pytest.approx(shares[own].sum(), abs=1e-9)
            low, high = c.variance_range
            assert low - 1e-9 <= c.variance <= high + 1e-9

    @given(seed=SEEDS)
    def test_the_variance_is_what_a_linear_regression_explains(self, seed):
        random = np.random.default_rng(seed)
        X, labels = subspace_data(seed, (12, 9), (3, 2), 8)
        game = SubspaceGame(X, labels, dim=2, epsilon=1.0)
        F = random.standard_normal((2, 8))
        for j, c in enumerate(classes_of(game, None, F)):
            own = X[labels == j]
            codes = own @ F.T
            fitted = codes @ np.linalg.lstsq(codes, own, rcond=None)[0]
            assert c.variance == pytest.approx(np.sum(fitted**2) / np.sum(own**2), rel=1e-8)

    def test_which_directions_is_known_for_all_or_none_of_a_class(self):
        game = game_of(1, (1, 2, 3), dim=6, epsilon=0.9)
        optimum = game.optimum()
        assert optimum.multiplicities == (1, 2, 2)
        F = game.encoder_of(np.eye(6))
        # the encoder keeps all of every class: what all equilibria keep is told by the optimum, not by this one
        assert [c.determined for c in classes_of(game, optimum, F)] == [Verdict.HOLDS, Verdict.HOLDS, Verdict.REFUTED]
        assert {c.determined for c in classes_of(game, None, F)} == {Verdict.UNDECIDED}
        tight = SubspaceGame.from_spans(game.spans, dim=4, epsilon=0.2)
        assert Verdict.HOLDS not in [c.determined for c in classes_of(tight, tight.optimum(), F[:4])]

    def test_the_level_is_that_of_the_number_kept(self):
        """Planted: an encoder that keeps one direction of a class, at ‖f(X_j)‖² = n_j, where two are best."""
        game = game_of(1, (2, 2), dim=2, epsilon=0.2, size=30)
        A = np.zeros((2, 4))
        A[0, 0], A[1, 2] = np.sqrt(game.sizes)
        for c in classes_of(game, None, game.encoder_of(A)):
            assert (c.optimal, c.kept) == (2, 1)
            assert c.level == pytest.approx(c.encoded[0])
        none = classes_of(game, None, game.encoder_of(A * [1, 1, 0, 0]))[1]
        assert (none.kept, none.level) == (0, 0.0)


@pytest.fixture(scope="module")
def noisy():
    return subspace_mixture(key=4, sizes=(40, 50, 60), ambient_dim=15, ranks=(1, 2, 3), correlation=0.9, noise=0.3)


@pytest.fixture(scope="module")
def cut(noisy):
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch)
        return examine(noisy.features, noisy.labels, dim=8, epsilon=0.5, rank_tolerance=4.0)


class TestWhatTheToleranceLeavesOut:
    def test_it_is_measured_on_the_samples_as_they_are(self, noisy, cut):
        """Against the utilities' definitions, sample by sample."""
        Z = cut.equilibrium.F @ noisy.features.T
        own = cut.on_samples
        for j, c in enumerate(cut.classes):
            X = noisy.features[noisy.labels == j]
            s = np.linalg.svd(X, compute_uv=False)
            assert c.rank == (s > 4).sum() < 15
            assert c.left_out == pytest.approx(np.sum(s[c.rank :] ** 2) / np.sum(s**2), rel=1e-10)
            assert own.feasibility[j] == pytest.approx(np.sum(Z[:, noisy.labels == j] ** 2) / c.size, rel=1e-10)
        assert own.value == pytest.approx(class_reduction(Z, noisy.labels, 8, 0.5), rel=1e-10)
        scaled = Z / np.sqrt(own.feasibility.max())
        assert own.feasible_value == pytest.approx(class_reduction(scaled, noisy.labels, 8, 0.5), rel=1e-10)
        assert own.feasibility.max() > 1.1 > cut.equilibrium.feasibility.max()

    def test_the_answer_begins_with_it(self, cut):
        first = cut.summary[0]
        shares = [c.left_out for c in cut.classes]
        assert "hold for what the rank tolerance 4 leaves" in first
        assert f"{min(shares):.1%} to {max(shares):.1%} of the classes' squared norms" in first
        assert f"up to {cut.on_samples.feasibility.max():.4g}, where at most 1 is allowed" in first
        assert f"ΔR is {cut.on_samples.value:.6g}" in first
        assert "Lower rank_tolerance (--rank-tolerance), or divide the encoder by" in cut.advice[0]
        plain = to_plain(cut)
        assert plain["on_samples"]["feasibility"] == cut.on_samples.feasibility.tolist()
        assert plain["classes"][0]["left_out"] == shares[0]

    def test_the_page_says_it(self, cut):
        from mcr2_landscape.report import ctrl_tables
        from mcr2_landscape.report.ctrl_page import ctrl_page

        table = ctrl_tables.classes(cut)
        column = table.columns.index("left out")
        assert [row[column] for row in table.rows] == [f"{c.left_out:.1%}" for c in cut.classes]
        values = dict(ctrl_tables.values(cut).rows)
        assert values["value (ΔR) on the samples as they are"] == f"{cut.on_samples.value:.6g}"
        words = " ".join(
            text for section in ctrl_page(cut, {}).sections for text in (section.text, *(p.caption for p in section.pictures))
        )
        for part in ("Everything else here is of what it leaves", "left out in all four", "shown as they are", "Tied: another"):
            assert part in words

    def test_nothing_is_said_where_nothing_was_left_out(self, paper):
        assert paper.on_samples is None
        assert max(c.left_out for c in paper.classes) < 1e-12
        assert "tolerance" not in " ".join(paper.summary)


class TestImages:
    @given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=9), most=st.integers(1, 300))
    def test_samples_are_thinned_evenly(self, sizes, most):
        places = thinned(sizes, most)
        counts = np.histogram(places, bins=np.concatenate([[0], np.cumsum(sizes)]) - 0.5)[0]
        assert np.all(np.diff(places) > 0)
        assert counts.min() >= 1
        assert places.size <= most + len(sizes)
        if sum(sizes) <= most:
            assert places.size == sum(sizes)

    @given(seed=SEEDS)
    def test_distances_are_those_of_least_squares(self, seed):
        random = np.random.default_rng(seed)
        rows, owners = random.standard_normal((7, 5)), np.array([0, 0, 1, 1, 2, 2, 2])
        rows[3] = 0
        blocks = [random.standard_normal((5, rank)) @ random.standard_normal((rank, 4)) for rank in (1, 2, 3)]
        own, other = residuals_of(rows, owners, column_bases(blocks))
        for row, owner, mine, others in zip(rows, owners, own, other, strict=True):
            found = [np.linalg.norm(row - B @ np.linalg.lstsq(B, row, rcond=1e-10)[0]) for B in blocks]
            if not row.any():
                assert np.isnan(mine)
                assert np.isnan(others)
                continue
            found = np.array(found) / np.linalg.norm(row)
            assert mine == pytest.approx(found[owner], abs=1e-10)
            assert others == pytest.approx(np.delete(found, owner).min(), abs=1e-10)

    def test_a_basis_sees_the_rank_where_a_qr_does_not(self):
        """The first columns of a block of rank one are equal: an unpivoted QR takes noise for a direction."""
        random = np.random.default_rng(0)
        block = random.standard_normal((6, 1)) @ np.ones((1, 4))
        (basis,) = column_bases([block])
        assert basis.shape == (6, 1)
        small = column_bases([block, 1e-12 * random.standard_normal((6, 2))])
        assert [B.shape[1] for B in small] == [1, 0]

    def test_cosines(self):
        rows = np.array([[1.0, 0], [-2, 0], [1, 1], [0, 0]])
        half = np.sqrt(0.5)
        expected = [[1, 1, half, 0], [1, 1, half, 0], [half, half, 1, 0], [0, 0, 0, 0]]
        np.testing.assert_allclose(cosines_of(rows), expected, atol=1e-15)


class TestNormalization:
    @given(seed=SEEDS)
    def test_samples_and_classes_have_the_norms_asked_for(self, seed):
        X, labels = subspace_data(seed, (4, 6), (2, 2), 5)
        order = np.random.default_rng(seed).permutation(10)
        X, labels = X[order], labels[order]
        before = X.copy()
        samples = normalized(X, labels, "samples")[0]
        np.testing.assert_allclose(np.linalg.norm(samples, axis=1), 1.0)
        classes = normalized(X, labels, "classes")[0]
        for name in (0, 1):
            assert np.sum(classes[labels == name] ** 2) == pytest.approx((labels == name).sum())
        assert normalized(X, labels, "none")[0] is X
        assert normalized(X, labels, "none", True)[0] == pytest.approx(X - X.mean(axis=0), abs=1e-13)
        centered, said = normalized(X + 100, labels, "samples", True)
        assert centered == pytest.approx(normalized(X, labels, "samples", True)[0], abs=1e-11)
        assert np.linalg.norm(centered, axis=1) == pytest.approx(np.ones(len(X)), rel=1e-12)
        assert [words.split()[-1] for words in said] == ["subtracted", "length"]
        np.testing.assert_array_equal(X, before)

    @pytest.mark.parametrize("way", ["none", "samples", "classes"])
    def test_ranks_are_read_off_with_the_rounding_of_what_was_stored(self, light, way):
        X, labels = subspace_data(3, (20, 30), (2, 3), 12)
        single = X.astype(np.float32)
        for rows, word in ((single, None), (single.astype(np.float64), "float32")):
            assert examine(rows, labels, dim=5, epsilon=1.0, dtype=word, normalize=way).game.ranks == (2, 3)
        # planted: without a word on how they were stored, rounding counts as directions
        assert spans_of(normalized(single.astype(np.float64), labels, way)[0], labels).ranks == (12, 12)

    @pytest.mark.parametrize("stored", ["float16", "bfloat16"])
    def test_half_precision_decides_no_rank(self, stored):
        X, labels = subspace_data(3, (20, 30), (2, 3), 12)
        coarse = np.asarray(jnp.asarray(X).astype(stored).astype(jnp.float64))
        with pytest.raises(InputError, match="ambiguous"):
            examine(coarse, labels, dim=5, epsilon=1.0, dtype=stored)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"normalize": "rows"}, "normalize: found 'rows'"),
            ({"normalize": "samples", "zero": [3]}, "1 samples are zero"),
            ({"normalize": "classes", "zero": [0, 1, 2, 3]}, "all samples of class 0 are zero"),
            ({"normalize": "classes", "labels": [0, 1]}, "labels: found 2 for 10"),
            ({"dim": 0}, "dim"),
            ({"epsilon": 0.0}, "epsilon"),
            ({"num_starts": 0}, "num_starts"),
            ({"rank_tolerance": -1.0}, "rank_tolerance"),
            ({"rank_tolerance": 1e9}, "rank_tolerance"),
            ({"labels": [0] * 10}, "single class"),
            ({"dtype": "x"}, "dtype: found 'x'"),
            ({"dim": 10**9}, "dim: needs .* GB, and"),
            ({"scale": 1e200}, "whose square leaves the range of float64; rescale X"),
            ({"scale": 1e200, "normalize": "samples"}, "whose square leaves the range of float64; rescale X"),
            ({"scale": 1e-200}, "whose square leaves the range of float64; rescale X"),
        ],
    )
    def test_mistakes_are_told(self, change, says):
        X, labels = subspace_data(0, (4, 6), (2, 2), 5)
        X[change.get("zero", [])] = 0
        X *= change.get("scale", 1.0)
        options = {"dim": 4, "epsilon": 1.0, **{k: v for k, v in change.items() if k not in ("zero", "labels", "scale")}}
        with pytest.raises(InputError, match=says):
            examine(X, change.get("labels", labels), **options)


@pytest.fixture
def light(monkeypatch):
    stand_in(monkeypatch)


@pytest.fixture(scope="module")
def paper():
    """The paper's first experiment, without noise."""
    data = subspace_mixture(key=0)
    return examine(data.features, np.array(["ash", "birch", "cedar"])[data.labels], dim=40, epsilon=1.0)


class TestExamination:
    def test_the_first_experiment_of_the_paper(self, paper):
        assert paper.optimum.value == pytest.approx(3.961863935915628, rel=1e-13)
        assert abs(paper.equilibrium.gap) < 1e-9
        assert [c.kept for c in paper.classes] == [3, 4, 5]
        assert [c.variance for c in paper.classes] == pytest.approx([1, 1, 1])
        for c, level in zip(paper.classes, (12.90994448735806, 11.18033988749895, 10), strict=True):
            np.testing.assert_allclose(c.encoded, level, rtol=1e-6)
        assert {c.determined for c in paper.classes} == {Verdict.HOLDS}
        assert paper.advice == ()
        report = paper.equilibrium_report
        assert (report.stackelberg, report.nash) == (Verdict.HOLDS, Verdict.REFUTED)
        assert "keeps every direction of every class" in " ".join(paper.summary)
        assert paper.injectivity_epsilon == pytest.approx(1.5376, abs=1e-3)

    def test_its_images_are_orthogonal_and_come_back_to_their_classes(self, paper):
        images = paper.images
        different = images.cosine_classes[:, None] != images.cosine_classes
        assert images.cosines["X"][different].max() > 0.5
        assert images.cosines["f(X)"][different].max() < 1e-6
        assert images.cosines["fgf(X)"][different].max() < 1e-6
        assert images.own["fgf(X)"].max() < 1e-6
        assert images.other["fgf(X)"].min() > 1 - 1e-6
        assert images.own["gf(X)"].min() >= 0
        for j, values in enumerate(images.class_spectra["fgf(X)"]):
            np.testing.assert_allclose(values, images.class_spectra["f(X)"][j], rtol=1e-6, atol=1e-6)
        assert not images.thinned

    def test_it_is_plain_data(self, paper):
        plain = json.loads(json.dumps(to_plain(paper), allow_nan=False))
        assert [c["name"] for c in plain["classes"]] == ["ash", "birch", "cedar"]
        assert "images" not in plain
        assert len(json.dumps(plain)) < 30_000  # neither the samples nor the matrices are in it

    def test_the_same_seed_gives_the_same(self, light):
        X, labels = subspace_data(5, (8, 9), (2, 2), 6)
        first, again = (to_plain(examine(X, labels, dim=4, epsilon=1.14, key=3)) for _ in range(2))
        assert first == again

    def test_the_recalled_precision_is_too_weak(self, light):
        """n = (10, 10), r = (2, 2), d_z = 4, ε² = 1.3: the recalled condition holds, and half of each class is lost."""
        X, labels = subspace_data(2, (10, 10), (2, 2), 7)
        result = examine(X, labels, dim=4, epsilon=1.3**0.5)
        verdicts = {h.name: h.verdict for h in result.hypotheses}
        assert (verdicts["precision, as recalled"], verdicts["precision, exact"]) == (Verdict.HOLDS, Verdict.REFUTED)
        assert result.equilibrium.value == pytest.approx(0.228886926, abs=1e-9)
        assert [(c.kept, c.optimal, c.determined) for c in result.classes] == [(1, 1, Verdict.REFUTED)] * 2
        for c in result.classes:
            assert 0 < c.variance_range[0] <= c.variance <= c.variance_range[1] < 1
            assert c.directions.sum() == pytest.approx(1)
        (advice,) = result.advice
        assert "keeps 1 of 2 dimensions of class 0" in " ".join(result.summary)
        # what it advises helps, at once
        finer, larger = float(advice.split("epsilon below ")[1].split(",")[0]), int(advice.split("at least ")[1].split(",")[0])
        for options in ({"dim": 4, "epsilon": finer}, {"dim": larger, "epsilon": 1.3**0.5}):
            assert SubspaceGame(X, labels, **options).optimum().lost == (0, 0)

    def test_dependent_classes_are_named(self, light):
        E = np.eye(4)
        X = np.concatenate([np.repeat(E[:2], 5, axis=0), np.repeat(E[1:3], 5, axis=0)])
        result = examine(X, ["left"] * 10 + ["right"] * 10, dim=4, epsilon=0.5**0.5)
        assert result.optimum is None
        assert not result.independent
        assert "left and right (in 1 dimension)" in result.summary[0]
        assert result.angles[0, 1] == pytest.approx(0, abs=1e-6)
        assert [(c.closest, c.shared) for c in result.classes] == [("right", 1), ("left", 1)]
        assert result.equilibrium.value <= result.upper_bound
        assert {c.determined for c in result.classes} == {Verdict.UNDECIDED}
        assert "cannot make the images" in result.advice[0]

    def test_noise_is_recognized_and_the_advice_helps(self, light):
        data = subspace_mixture(key=4, sizes=(40, 50, 60), ambient_dim=15, ranks=(1, 2, 3), correlation=0.5, noise=1e-3)
        result = examine(data.features, data.labels, dim=8, epsilon=0.5)
        (advice,) = result.advice
        assert "Every class has full numerical rank" in advice
        assert "the ranks 1, 2, 3" in advice
        tolerance = float(advice.split("--rank-tolerance ")[1].split(")")[0])
        better = examine(data.features, data.labels, dim=8, epsilon=0.5, rank_tolerance=tolerance)
        assert [c.rank for c in better.classes] == [1, 2, 3]
        assert better.advice == ()

    def test_too_small_a_dimension(self, light):
        X, labels = subspace_data(1, (6, 6), (2, 2), 8)
        result = examine(X, labels, dim=3, epsilon=0.3)
        assert any("has no room" in words and "4 dimensions are needed, which keep every" in words for words in result.advice)
        assert sum(c.kept for c in result.classes) <= 4

    def test_names_that_look_alike_are_told_apart(self, light):
        X, _ = subspace_data(1, (6, 6), (2, 2), 8)
        result = examine(X, [1] * 6 + ["1"] * 6, dim=5, epsilon=0.3)
        assert {c.name for c in result.classes} == {"1", "'1'"}


def test_centering_that_makes_classes_dependent_is_what_is_advised_against(light):
    X, labels = subspace_data(1, (20, 30), (2, 3), 5)
    X[labels == 0] += np.random.default_rng(0).standard_normal(2) @ np.linalg.svd(X[labels == 0])[2][:2] * 3
    plain, centered = (examine(X, labels, dim=5, epsilon=0.3, center=center) for center in (False, True))
    assert plain.independent
    assert plain.independent_before is None
    assert not centered.independent
    assert centered.independent_before
    (advice,) = centered.advice
    assert "Leave center=True (--center) out" in advice


def test_real_directions_are_not_advised_away(light):
    """Dependent classes without noise: their singular values are those of directions that are all there."""
    for ranks, ambient in (((2, 3), 4), ((3, 3, 3), 6)):
        X, labels = subspace_data(3, [20 + rank for rank in ranks], ranks, ambient)
        result = examine(X, labels, dim=5, epsilon=0.3, num_starts=1)
        assert not result.independent
        assert not result.gap.plain
        words = " ".join(result.advice)
        assert "Set rank_tolerance" not in words
        assert "real directions" in words or "rank_tolerance" not in words
        assert "cannot make the images" in words


def test_a_search_that_has_not_converged_is_told(light):
    from mcr2_landscape.ctrl import findings

    X, labels = subspace_data(2, (10, 10), (2, 2), 3)
    result = examine(X, labels, dim=4, epsilon=0.5)
    assert "The equilibrium found has the value" in " ".join(result.summary)
    end = dataclasses.replace(result.equilibrium, converged=False, gradient=1.23e-4)
    words = " ".join(findings.summarize(dataclasses.replace(result, equilibrium=end)))
    assert "equilibrium found" not in words
    assert "The best encoder found has the value" in words
    assert "its ascent has not converged (relative gradient 1.2e-04)" in words
    assert "Stackelberg" not in words


def test_a_tie_is_told(light):
    X, labels = subspace_data(2, (10, 10), (2, 2), 7)
    result = examine(X, labels, dim=4, epsilon=0.5)
    from mcr2_landscape.ctrl import findings

    tied = tuple(dataclasses.replace(c, tied=1) for c in result.classes)
    assert "equally good for class 0 (2 and 1 directions)" in " ".join(
        findings.advise(dataclasses.replace(result, classes=tied))
    )
