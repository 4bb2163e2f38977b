import json

import numpy as np
import pytest
import scipy.linalg
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mcr2_landscape import InputError, Verdict
from mcr2_landscape.data import shapes
from mcr2_landscape.whitebox.cuts import WEAK_EDGE, mask_cut, normalized_cut
from mcr2_landscape.whitebox.mask_baselines import center_prior, color_cut, color_means
from mcr2_landscape.whitebox.masks import attention_masks, best_patch_iou, iou, mean_iou, patch_iou, upsample
from mcr2_landscape.whitebox.segmentation import BASELINES, Interval, emergence, evaluate_segmentation

SEEDS = st.integers(0, 2**32 - 1)


class TestAttentionMasks:
    @given(maps=arrays(np.float64, (3, 9), elements=st.integers(0, 50).map(float)), mass=st.floats(0.05, 1))
    def test_they_are_the_fewest_largest_entries_that_make_up_the_mass(self, maps, mass):
        for row, mask in zip(maps, attention_masks(maps, mass), strict=True):
            if not row.any():
                assert mask.all()
                continue
            assert row[mask].min() > np.max(row[~mask], initial=-1)  # ties stay together
            assert row[mask].sum() >= mass * row.sum() * (1 - 1e-9)
            assert row[row > row[mask].min()].sum() < mass * row.sum()

    @given(seed=SEEDS)
    def test_they_are_those_of_the_published_protocol(self, seed):
        """Sorted upwards, entries whose cumulative share exceeds 0.4."""
        maps = np.random.default_rng(seed).dirichlet(np.full(16, 0.3), size=4)
        for row, mask in zip(maps, attention_masks(maps), strict=True):
            order = np.argsort(row)
            expected = np.empty(16, bool)
            expected[order] = np.cumsum(row[order]) > 0.4
            np.testing.assert_array_equal(mask, expected)

    def test_attention_that_prefers_nothing_keeps_everything(self):
        equal = np.full((2, 64), 1 / 64, np.float32)
        assert attention_masks(equal).all()
        assert attention_masks(equal * (1 + 1e-7 * np.arange(64, dtype=np.float32) / 64)).all()
        assert attention_masks(np.zeros((2, 4))).all()
        assert attention_masks(np.zeros((0, 4))).shape == (0, 4)

    @pytest.mark.parametrize(
        ("maps", "mass", "says"),
        [
            ([-0.1, 1], 0.6, "negative"),
            ([np.nan, 1], 0.6, "NaN"),
            ([0.5, 0.5], 0, "mass"),
            ([0.5, 0.5], 1.1, "mass"),
            ([], 0.6, "shape"),
        ],
    )
    def test_impossible_maps_are_refused(self, maps, mass, says):
        with pytest.raises(InputError, match=says):
            attention_masks(maps, mass)


class TestIoU:
    @given(masks=arrays(bool, (2, 4, 6)), truth=arrays(bool, (4, 6)))
    def test_it_is_that_of_sets(self, masks, truth):
        for mask, value in zip(masks, iou(masks, truth), strict=True):
            first, second = (set(zip(*np.nonzero(part), strict=True)) for part in (mask, truth))
            assert value == (len(first & second) / len(first | second) if first | second else 1)
        np.testing.assert_array_equal(iou(masks, truth), iou(truth, masks))
        assert mean_iou(masks, truth) == iou(masks, truth).mean()

    @given(masks=arrays(bool, (3, 2, 6)), truth=arrays(bool, (2, 8, 9)))
    def test_counts_over_patches_give_that_of_pixels(self, masks, truth):
        np.testing.assert_allclose(patch_iou(masks, truth, (2, 3)), iou(upsample(masks, (8, 9), (2, 3)), truth), rtol=1e-14)

    @given(truth=arrays(bool, (2, 8, 9)))
    def test_no_mask_of_patches_is_better_than_the_best(self, truth):
        every = (np.arange(64)[:, None] >> np.arange(6)) % 2 == 1
        best = patch_iou(np.repeat(every[:, None], 2, axis=1), truth, (2, 3)).max(axis=0)
        np.testing.assert_allclose(best_patch_iou(truth, (2, 3)), best, rtol=1e-14)

    def test_every_pixel_takes_the_value_of_its_patch(self):
        pixels = upsample(np.arange(12).reshape(2, 6), (4, 9), (2, 3))
        np.testing.assert_array_equal(pixels[1, :, ::3], [[6, 7, 8], [6, 7, 8], [9, 10, 11], [9, 10, 11]])
        assert upsample(np.ones((5, 16), bool), (8, 8)).all()

    def test_what_does_not_fit_is_said(self):
        with pytest.raises(InputError, match="which 2 × 2 patches do not divide"):
            upsample(np.ones(4), (5, 4))
        with pytest.raises(InputError, match="6 patches, which are no square"):
            upsample(np.ones(6), (6, 6))
        with pytest.raises(InputError, match="2 × 2 for 5 patches; leave the class token out"):
            upsample(np.ones(5), (6, 6), (2, 2))
        with pytest.raises(InputError, match="dtype float64; pass bool"):
            iou(np.ones((2, 2)), np.ones((2, 2), bool))
        with pytest.raises(InputError, match="upsample the mask"):
            iou(np.ones((2, 2), bool), np.ones((4, 4), bool))


def blocks(seed, grid, spread=0.03, corner=(1, 1), size=(2, 2)):
    """Features of a block on a ground, almost orthogonal to each other, and the block's mask, row by row."""
    mask = np.zeros(grid, bool)
    mask[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]] = True
    random = np.random.default_rng(seed)
    ends = np.linalg.qr(random.standard_normal((8, 2)))[0]
    mask = mask.ravel()
    return np.where(mask[:, None], ends[:, 0], ends[:, 1]) + spread * random.standard_normal((mask.size, 8)) / np.sqrt(8), mask


class TestNormalizedCut:
    @given(seed=SEEDS, row=st.integers(0, 3), column=st.integers(0, 3), size=st.tuples(st.integers(1, 2), st.integers(1, 3)))
    def test_a_block_is_cut_from_its_ground(self, seed, row, column, size):
        features, mask = blocks(seed, (5, 6), corner=(row, column), size=size)
        cut = normalized_cut(features, grid=(5, 6))
        np.testing.assert_array_equal(cut.masks, mask)
        assert cut.found
        assert cut.eigenvalues[0] < 0.01 < cut.eigenvalues[1]
        for change in (features * 1e-200, features.astype(np.float32), -3 * features):
            np.testing.assert_array_equal(normalized_cut(change, grid=(5, 6)).masks, mask)

    @given(seed=SEEDS)
    def test_the_vector_minimizes_the_relaxed_cut(self, seed):
        """An oracle that solves the symmetric form, and the definition: the Rayleigh quotient, orthogonal to the constants."""
        features = np.random.default_rng(seed).standard_normal((16, 4))
        lengths = np.linalg.norm(features, axis=1)
        weights = np.where(features @ features.T > 0.2 * np.outer(lengths, lengths), 1, WEAK_EDGE)
        degrees = weights.sum(axis=1)
        values, vectors = np.linalg.eigh(np.eye(16) - weights / np.sqrt(np.outer(degrees, degrees)))
        assume(values[2] - values[1] > 1e-6 and values[1] < 0.999)
        cut = normalized_cut(features, connected=False)
        np.testing.assert_allclose(cut.eigenvalues, values[1:3], atol=1e-10)
        expected = vectors[:, 1] / np.sqrt(degrees)
        expected *= np.sign(expected @ cut.vectors)
        np.testing.assert_allclose(cut.vectors, expected, atol=1e-7)
        assert abs(degrees @ cut.vectors) < 1e-9
        mean = cut.vectors.mean()
        np.testing.assert_array_equal(cut.masks, cut.vectors > mean)
        assert cut.masks.reshape(4, 4)[[0, 0, -1, -1], [0, -1, 0, -1]].sum() <= 2 or cut.vectors.max() < -cut.vectors.min()

    @given(seed=SEEDS, zeros=st.integers(0, 9), tau=st.floats(-1, 0.9))
    def test_there_is_a_cut_unless_all_weights_are_equal(self, seed, zeros, tau):
        features = np.random.default_rng(seed).standard_normal((9, 2))
        features[:zeros] = 0
        lengths = np.maximum(np.linalg.norm(features, axis=1), 1e-9)
        similar = (
            (features @ features.T > tau * np.outer(lengths, lengths)) & features.any(axis=1)[:, None] & features.any(axis=1)
        )
        cut = normalized_cut(features, tau=tau)
        assert cut.found == (similar.any() and not similar.all())
        assert not cut.found or cut.eigenvalues[0] < 1 - 1e-6
        assert cut.masks.any()

    @given(seed=SEEDS)
    def test_patches_in_another_order_are_cut_alike(self, seed):
        """Turned and mirrored images: corners stay corners."""
        features, _ = blocks(seed, (4, 4), spread=1.0, corner=(0, 1), size=(2, 3))
        cut = normalized_cut(features)
        assume(cut.eigenvalues[1] - cut.eigenvalues[0] > 1e-6)
        peaks = np.sort(np.abs(cut.vectors))
        assume(peaks[-1] - peaks[-2] > 1e-6)
        order = np.arange(16).reshape(4, 4).T[::-1].ravel()
        np.testing.assert_array_equal(normalized_cut(features[order]).masks, cut.masks[order])

    def test_the_part_with_the_corners_is_the_ground_however_small(self):
        """A plus and the four patches in the corners, which are the smaller part and hold the largest entries."""
        mask = np.zeros((6, 6), bool)
        mask[1:5, :] = mask[:, 1:5] = True
        features = np.where(mask.ravel()[:, None], [1.0, 0.0], [0.0, 1.0])
        np.testing.assert_array_equal(normalized_cut(features).masks, mask.ravel())

    def test_of_the_foreground_the_piece_at_the_seed_is_kept(self):
        mask = np.zeros((6, 6), bool)
        mask[1:3, 1:3] = mask[4, 4] = True
        features = np.where(mask.ravel()[:, None], [1.0, 0.0], [0.0, 1.0])
        np.testing.assert_array_equal(normalized_cut(features, connected=False).masks, mask.ravel())
        mask[4, 4] = False
        np.testing.assert_array_equal(normalized_cut(features).masks, mask.ravel())

    @pytest.mark.parametrize(
        "features",
        [np.zeros((9, 3)), np.ones((9, 3)), np.ones((1, 3)), np.zeros((1, 3)), np.full((9, 1), -2.0), np.full((4, 2), 1e300)],
    )
    @pytest.mark.parametrize("center", [False, True])
    def test_without_two_parts_everything_is_foreground(self, features, center):
        cut = normalized_cut(features, center=center)
        assert cut.masks.all()
        assert not cut.found
        assert not cut.vectors.any()
        np.testing.assert_array_equal(mask_cut(features, center=center), [cut.masks, ~cut.masks, ~cut.masks])

    def test_equal_features_in_float32_are_not_cut_along_their_rounding(self):
        random = np.random.default_rng(0)
        features = random.standard_normal(5).astype(np.float32) * (
            1 + 1e-7 * random.standard_normal((16, 1)).astype(np.float32)
        )
        assert not normalized_cut(features, center=True).found

    def test_where_several_cuts_are_as_good_the_answer_does_not_depend_on_the_solver(self, monkeypatch):
        """Three orthogonal groups of equal size: any vector of a plane is a solution; the solver is made to give others."""
        features = np.repeat(np.eye(4), 4, axis=0)
        cut = normalized_cut(features, connected=False)
        assert np.ptp(cut.eigenvalues) < 1e-9
        assert cut.masks[:4].all()
        assert not cut.masks[4:].any()
        solve = scipy.linalg.eigh

        def turned(a, b, **options):
            values, vectors = solve(a, b)
            turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
            vectors[:, 1:4] = vectors[:, 1:4] @ turn
            kept = slice(1, 3) if options else slice(None)
            return values[kept], vectors[:, kept]

        monkeypatch.setattr(scipy.linalg, "eigh", turned)
        np.testing.assert_allclose(normalized_cut(features, connected=False).vectors, cut.vectors, atol=1e-9)

    def test_a_batch_is_cut_image_by_image(self):
        features = np.random.default_rng(0).standard_normal((2, 3, 16, 4))
        cut, masks = normalized_cut(features), mask_cut(features, 2)
        assert (cut.masks.shape, cut.eigenvalues.shape, masks.shape) == ((2, 3, 16), (2, 3, 2), (2, 3, 2, 16))
        np.testing.assert_array_equal(cut.masks[1, 2], normalized_cut(features[1, 2]).masks)
        np.testing.assert_array_equal(masks[1, 2], mask_cut(features[1, 2], 2))
        assert normalized_cut(features[:0]).masks.shape == (0, 3, 16)
        assert mask_cut(features[:0]).shape == (0, 3, 3, 16)

    @pytest.mark.parametrize(
        ("features", "options", "says"),
        [
            (np.ones(3), {}, "shape"),
            (np.ones((5, 2)), {}, "grid: found 5"),
            (np.ones((4, 2)), {"tau": 1}, "tau"),
            (np.ones((4, 2)), {"grid": (1, 3)}, "grid"),
            (np.full((4, 2), np.nan), {}, "NaN"),
        ],
    )
    def test_impossible_features_are_refused(self, features, options, says):
        for cut in (normalized_cut, mask_cut):
            with pytest.raises(InputError, match=says):
                cut(features, **options)


class TestMaskCut:
    def test_one_object_after_the_other(self):
        first, second = np.zeros((2, 8, 8), bool)
        first[1:4, 1:4], second[5:7, 4:7] = True, True
        kinds = (first + 2 * second).ravel()
        masks = mask_cut(np.eye(3)[kinds], num_masks=4)
        found = {mask.tobytes() for mask in masks}
        assert first.ravel().tobytes() in found
        assert second.ravel().tobytes() in found
        assert masks.sum(axis=0).max() <= 1

    @given(seed=SEEDS, num_masks=st.integers(1, 5))
    def test_masks_do_not_overlap_and_more_extend_fewer(self, seed, num_masks):
        features = np.random.default_rng(seed).standard_normal((16, 3))
        masks = mask_cut(features, num_masks)
        assert masks.sum(axis=0).max() <= 1
        np.testing.assert_array_equal(masks, mask_cut(features, 5)[:num_masks])
        np.testing.assert_array_equal(masks[0], normalized_cut(features, tau=0.15).masks)
        empty = ~masks.any(axis=1)
        assert np.all(empty[1:] >= empty[:-1])


class TestBaselines:
    @given(size=st.tuples(st.integers(1, 20), st.integers(1, 20)), fraction=st.floats(0.01, 1))
    def test_the_center_prior_is_symmetric_and_of_the_area_asked_for(self, size, fraction):
        mask = center_prior(size, fraction)
        np.testing.assert_array_equal(mask, mask[::-1, ::-1])
        assert 0 <= mask.sum() - max(round(fraction * mask.size), 1) < 16  # as many pixels are equally far from the middle

    @given(seed=SEEDS)
    def test_colors_that_tell_are_found_by_both(self, seed):
        random = np.random.default_rng(seed)
        truth = np.zeros((16, 16), bool)
        row, column = random.integers(0, 3, 2) * 4
        truth[row : row + 8, column : column + 8] = True
        first, second = random.random((2, 3))
        assume(np.linalg.norm(first - second) > 0.2)
        image = np.where(truth, first[:, None, None], second[:, None, None]) + 0.01 * random.random((3, 16, 16))
        assume(truth[0].sum() + truth[:, 0].sum() < 16 or row % 8)  # less than half of the border
        np.testing.assert_array_equal(color_means(image[None])[0], truth)
        cut = upsample(color_cut(image[None], (4, 4)), (16, 16))[0]
        assert np.array_equal(cut, truth) or np.array_equal(cut, ~truth)

    def test_an_image_of_one_color_is_foreground(self):
        assert color_means(np.full((2, 3, 8, 8), 0.3)).all()
        assert color_cut(np.full((2, 3, 8, 8), 0.3), (2, 2)).all()

    def test_two_means_are_a_fixed_point_of_lloyds_steps(self):
        images = np.random.default_rng(0).random((5, 3, 8, 8))
        for image, mask in zip(images, color_means(images), strict=True):
            centers = np.stack([image[:, part].mean(axis=1) for part in (~mask, mask)])
            nearer = np.linalg.norm(image[None] - centers[:, :, None, None], axis=1).argmin(axis=0)
            np.testing.assert_array_equal(nearer == 1, mask)


def intervals(**changes):
    return {**dict.fromkeys(BASELINES, Interval(0.2, 0.1, 0.3)), **changes}


class TestEmergence:
    def test_it_holds_above_all_and_is_refuted_below_one(self):
        assert emergence(intervals()) == Verdict.HOLDS
        for name in BASELINES:
            assert emergence(intervals(**{name: Interval(0.05, -0.01, 0.2)})) == Verdict.UNDECIDED
            assert emergence(intervals(**{name: Interval(0.0, 0.0, 0.0)})) == Verdict.UNDECIDED
            assert emergence(intervals(**{name: Interval(-0.1, -0.2, -0.01)})) == Verdict.REFUTED
            with pytest.raises(InputError, match=f"found none from {name}"):
                emergence({other: value for other, value in intervals().items() if other != name})


DATA = shapes(key=3, num_images=80)
COVER = DATA.masks.reshape(80, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(80, 64)


def networks(seed, layers=2, heads=2):
    random = np.random.default_rng(seed)
    maps = random.random((2, layers, 80, heads, 64)).astype(np.float32)
    return (*maps, *random.standard_normal((2, layers, 80, 64, 6)).astype(np.float32))


def evaluate(maps, random_maps, features, random_features, **options):
    options = {"key": 0, "resamples": 500, **options}
    return evaluate_segmentation(maps, random_maps, features, random_features, DATA.masks, DATA.images, **options)


class TestEvaluation:
    def test_a_planted_head_and_layer_are_found_and_emergence_holds(self):
        maps, random_maps, features, random_features = networks(0)
        maps[1, :, 0] = 0.01 * maps[1, :, 0] + COVER
        features[0] = 0.2 * features[0] + np.where(COVER[..., None] > 0.5, 1, -1) * np.ones(6)
        result = evaluate(maps, random_maps, features, random_features)
        assert (result.attention.fixed, result.attention.best) == ((1, 0), (1, 0))
        assert (result.cuts.fixed, result.attention.verdict, result.cuts.verdict) == ((0,), Verdict.HOLDS, Verdict.HOLDS)
        assert result.ceiling.mean >= result.attention.fixed_iou.mean > 0.55
        assert set(result.attention.differences) == set(BASELINES)
        plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert (plain["attention"]["verdict"], len(plain["attention"]["iou"])) == ("holds", 2)
        assert (result.selection_images, result.evaluation_images) == (40, 40)

    def test_a_network_that_did_not_learn_is_refuted(self):
        maps, random_maps, features, random_features = networks(1)
        result = evaluate(maps, random_maps, features, random_features)
        assert (result.attention.verdict, result.cuts.verdict) == (Verdict.REFUTED, Verdict.REFUTED)
        low, high = (getattr(result.attention.differences["random-initialization"], end) for end in ("low", "high"))
        assert low < 0.02
        assert high > -0.02

    def test_it_does_not_emerge_where_the_random_network_sees_as_much(self):
        """Planted before training already: the trained network gains nothing."""
        maps, random_maps, features, random_features = networks(2)
        maps[1, :, 0] = random_maps[1, :, 0] = COVER
        result = evaluate(maps, random_maps, features, random_features).attention
        assert result.verdict == Verdict.UNDECIDED
        assert result.differences["random-initialization"] == Interval(0, 0, 0)
        assert min(result.differences[name].low for name in BASELINES[1:]) > 0

    def test_the_best_head_of_many_is_flattered_and_the_fixed_one_is_not(self):
        """32 heads that see nothing: the mean over splits of the fixed head's gain over the average head is zero."""
        random = np.random.default_rng(0)
        maps, features = random.random((2, 1, 80, 32, 64)), random.standard_normal((2, 1, 80, 64, 2))
        gains = []
        for key in range(8):
            result = evaluate(*maps, *features, key=key, resamples=100).attention
            average = result.iou.mean()
            gains.append((result.best_iou.mean - average, result.fixed_iou.mean - average))
            assert result.best_iou.mean >= result.fixed_iou.mean
        best, fixed = np.array(gains).T
        assert best.min() > 0.005
        assert abs(fixed.mean()) < 0.4 * best.mean()

    def test_numbers_are_means_over_the_evaluation_images(self):
        maps, random_maps, features, random_features = networks(3)
        result = evaluate(maps, random_maps, features, random_features, mass=0.5)
        evaluation = np.sort(np.random.default_rng(0).permutation(80)[40:])
        pixels = upsample(attention_masks(maps[:, evaluation], 0.5), (32, 32))
        expected = iou(pixels, DATA.masks[evaluation][:, None]).mean(axis=1)
        np.testing.assert_allclose(result.attention.iou, expected, rtol=1e-12)
        cut = upsample(normalized_cut(features[1, evaluation], center=True).masks, (32, 32))
        np.testing.assert_allclose(result.cuts.iou[1], mean_iou(cut, DATA.masks[evaluation]), rtol=1e-12)
        assert result.baselines["all-foreground"].mean == pytest.approx(DATA.masks[evaluation].mean())
        for name, interval in result.baselines.items():
            gain = result.attention.differences[name].mean
            assert gain == pytest.approx(result.attention.fixed_iou.mean - interval.mean)
            assert interval.low < interval.mean < interval.high

    def test_intervals_are_those_of_the_normal_law_and_the_same_for_the_same_key(self):
        arguments = networks(4)
        wide, again, narrow = (evaluate(*arguments, resamples=4000, confidence=level) for level in (0.95, 0.95, 0.5))
        assert wide.to_dict() == again.to_dict()
        evaluation = np.sort(np.random.default_rng(0).permutation(80)[40:])
        deviation = DATA.masks[evaluation].mean(axis=(1, 2)).std() / np.sqrt(40)
        for result, quantile in ((wide, 1.96), (narrow, 0.674)):
            interval = result.baselines["all-foreground"]
            assert (interval.high - interval.low) / 2 == pytest.approx(quantile * deviation, rel=0.1)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"maps": np.ones((1, 80, 64))}, r"maps: found shape \(1, 80, 64\); pass \(layers, images, heads"),
            ({"maps": np.ones((1, 79, 2, 64))}, r"maps: found shape .*expected \(any, 80"),
            ({"random_maps": np.ones((1, 80, 3, 64))}, "random_maps: found .* compare equal networks"),
            ({"random_features": np.ones((2, 80, 64, 2))}, "random_features: found"),
            ({"maps": np.ones((1, 80, 2, 65)), "random_maps": np.ones((1, 80, 2, 65))}, "65 patches, the features have 64"),
            ({"maps": -np.ones((1, 80, 2, 64))}, "maps: found the negative"),
            ({"features": np.full((1, 80, 64, 2), np.nan)}, "NaN"),
            ({"truth": DATA.masks.astype(int)}, "truth: found .* dtype int64"),
            ({"truth": DATA.masks & (np.arange(80) != 5)[:, None, None]}, r"no foreground in 1 images \(5\)"),
            ({"truth": DATA.masks[:3]}, "at least four"),
            ({"images": DATA.images[:, :, :16]}, "images: found shape"),
            ({"truth": DATA.masks[:, :30], "images": DATA.images[:, :, :30]}, "8 × 8 patches do not divide"),
            ({"confidence": 1}, "confidence"),
            ({"resamples": 10}, "resamples"),
            ({"mass": 2}, "mass"),
            ({"tau": 2}, "tau"),
            ({"key": None}, "key"),
        ],
    )
    def test_what_does_not_fit_is_said(self, change, says):
        names = ("maps", "random_maps", "features", "random_features", "truth", "images")
        maps, features = np.ones((1, 80, 2, 64)), np.ones((1, 80, 64, 2))
        arguments = dict(zip(names, (maps, maps, features, features, DATA.masks, DATA.images), strict=True))
        with pytest.raises(InputError, match=says):
            evaluate_segmentation(**{**arguments, "key": 0, "resamples": 100, **change})
