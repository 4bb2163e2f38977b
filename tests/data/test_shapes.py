import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label
from scipy.stats import ks_2samp, kstest

from mcr2_landscape import InputError
from mcr2_landscape.data import shapes
from mcr2_landscape.data.outlines import OUTLINES
from mcr2_landscape.data.textures import DRAWS, TEXTURES
from mcr2_landscape.whitebox.mask_baselines import color_cut, color_means
from mcr2_landscape.whitebox.masks import iou, patch_iou

MANY = shapes(key=1, num_images=800)


def bound(values, sign):
    """The end of a 99.9 % interval of the mean."""
    return values.mean() + sign * 3.29 * values.std() / np.sqrt(len(values))


def colors_of(data):
    """The mean colors of figure and ground, (images, channels)."""
    masks = data.masks[:, None]
    return ((data.images * part).sum(axis=(2, 3)) / part.sum(axis=(2, 3)) for part in (masks, ~masks))


class TestOutlines:
    @pytest.mark.parametrize("name", OUTLINES)
    def test_area_and_radius_are_those_of_the_figure(self, name):
        outline, points = OUTLINES[name], np.linspace(-1.5, 1.5, 1201)
        x, y = np.meshgrid(points, points)
        inside = outline.distance(x, y) <= 0
        assert inside.mean() * 9 == pytest.approx(outline.area, rel=0.01)
        assert np.hypot(x, y)[inside].max() == pytest.approx(outline.radius, rel=0.01)

    @pytest.mark.parametrize("name", OUTLINES)
    def test_near_the_edge_the_distance_grows_by_one(self, name):
        """So that edges are smoothed over one pixel at every scale."""
        points = np.linspace(-1.5, 1.5, 601)
        x, y = np.meshgrid(points, points)
        distance = OUTLINES[name].distance(x, y)
        slope = np.hypot(*np.gradient(distance, points[1] - points[0]))
        assert np.median(np.abs(slope[np.abs(distance) < 0.05] - 1)) < 0.02


@pytest.mark.parametrize("name", TEXTURES)
def test_every_texture_takes_all_values_equally_often(name):
    random = np.random.default_rng(0)
    draws, places = random.random((4000, DRAWS)), 20 * random.random((2, 4000, 1, 1))
    values = TEXTURES[name](*places, draws).ravel()
    assert kstest(values, "uniform").statistic < 0.03
    assert np.ptp(values) > 0.99


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 20), more=st.integers(1, 600))
def test_more_images_extend_fewer(seed, count, more):
    few, many = (shapes(key=seed, num_images=number, size=8, area=(0.25, 0.3), period=(0.4, 0.6)) for number in (count, more))
    same = min(count, more)
    for name in ("images", "labels", "masks"):
        np.testing.assert_array_equal(getattr(few, name)[:same], getattr(many, name)[:same])


def test_noise_leaves_figures_and_textures_where_they_are():
    clean, loud = (shapes(key=1, num_images=20, noise=noise) for noise in (0, 0.1))
    np.testing.assert_array_equal(clean.masks, loud.masks)
    assert 0.05 < np.std(loud.images - clean.images) < 0.1
    assert np.abs(clean.images - shapes(key=2, num_images=20, noise=0).images).max() > 0.3


def test_images_are_well_formed():
    data = MANY
    assert data.shape == (800, 3, 32, 32)
    assert (data.images.dtype, data.labels.dtype, data.masks.dtype) == (np.float32, np.int64, bool)
    assert 0 <= data.images.min() <= data.images.max() <= 1
    np.testing.assert_array_equal(np.bincount(data.labels), [100] * 8)
    assert data.class_names == tuple(OUTLINES)
    assert all(label(mask, np.ones((3, 3)))[1] == 1 for mask in data.masks)
    areas = data.masks.mean(axis=(1, 2))
    assert 0.09 < areas.min() < 0.12 < 0.28 < areas.max() < 0.31
    assert shapes(key=0, num_images=3, channels=1, size=16, num_classes=1).shape == (3, 1, 16, 16)


def test_the_area_tells_nothing_of_the_kind():
    areas = MANY.masks.mean(axis=(1, 2))
    for k in range(8):
        assert ks_2samp(areas[MANY.labels == k], areas[MANY.labels != k]).pvalue > 1e-3


def test_colors_of_figure_and_ground_have_one_distribution():
    figure, ground = colors_of(MANY)
    for channel in range(3):
        assert ks_2samp(figure[:, channel], ground[:, channel]).pvalue > 1e-3
        assert ks_2samp(MANY.images[:, channel][MANY.masks][::97], MANY.images[:, channel][~MANY.masks][::397]).pvalue > 1e-3
    assert np.abs(figure - ground).mean() < 0.02
    separate, other = colors_of(shapes(key=1, num_images=80, palette="separate"))
    assert ks_2samp(separate[:, 0], other[:, 0]).pvalue < 1e-9


class TestColorAlone:
    def test_finds_no_more_than_chance_where_the_palette_is_shared(self):
        """Chance is the whole image as foreground, and for pixels a mask that is right for half of them whatever the truth."""
        whole = MANY.masks.mean(axis=(1, 2))
        pixels, patches = (
            iou(color_means(MANY.images), MANY.masks),
            patch_iou(color_cut(MANY.images, (8, 8)), MANY.masks, (8, 8)),
        )
        assert bound(pixels - whole, 1) < 0
        assert bound(patches - whole, 1) < 0
        chance = iou(np.random.default_rng(0).random(MANY.masks.shape) < 0.5, MANY.masks)
        assert bound(pixels - chance, 1) < 0.02

    def test_finds_the_figure_where_color_was_made_to_tell(self):
        data = shapes(key=1, num_images=80, palette="separate")
        assert bound(iou(color_means(data.images), data.masks), -1) > 0.95
        assert bound(patch_iou(color_cut(data.images, (8, 8)), data.masks, (8, 8)), -1) > 0.6

    def test_finds_some_figures_where_palettes_are_independent(self):
        data = shapes(key=1, num_images=200, palette="independent")
        figure, ground = colors_of(data)
        assert ks_2samp(figure[:, 0], ground[:, 0]).pvalue > 1e-3
        whole = data.masks.mean(axis=(1, 2))
        assert bound(patch_iou(color_cut(data.images, (8, 8)), data.masks, (8, 8)) - whole, -1) > 0.1


def by_orientation(image, mask):
    """Each pixel to the region whose mean structure tensor is nearer: what knowing both textures' directions is worth."""
    colors = image.reshape(len(image), -1)
    colors = colors - colors.mean(axis=1, keepdims=True)
    value = (np.linalg.eigh(colors @ colors.T)[1][:, -1] @ colors).reshape(mask.shape)
    down, across = np.gradient(value)
    tensor = np.stack([gaussian_filter(entry, 1.5) for entry in (down**2, down * across, across**2)])
    tensor /= tensor[0] + tensor[2] + 1e-3
    figure, ground = (np.sum((tensor - tensor[:, part].mean(axis=1)[:, None, None]) ** 2, axis=0) for part in (mask, ~mask))
    return figure < ground


def test_whoever_knows_the_textures_directions_finds_the_figure():
    data = shapes(key=1, num_images=100, textures=("stripes",))
    found = np.stack([by_orientation(image, mask) for image, mask in zip(data.images, data.masks, strict=True)])
    assert bound(iou(found, data.masks), -1) > 0.7
    assert bound(iou(color_means(data.images), data.masks), 1) < 0.25
    found = np.stack([by_orientation(image, mask) for image, mask in zip(MANY.images[:100], MANY.masks[:100], strict=True)])
    assert bound(iou(found, MANY.masks[:100]), -1) > 0.5  # all textures


def test_whoever_knows_the_kind_place_and_turn_finds_the_figure():
    """The mask is the kind's outline: moved, turned and scaled to the mask's own moments, the best of 72 turns fits it."""
    centers = np.arange(32) + 0.5
    x, y = np.meshgrid(centers, centers)
    for mask, kind in zip(MANY.masks[:16], MANY.labels[:16], strict=True):
        outline = OUTLINES[MANY.class_names[kind]]
        scale = np.sqrt(mask.sum() / outline.area)
        across, down = (x - x[mask].mean()) / scale, (y - y[mask].mean()) / scale
        turns = 2 * np.pi * np.arange(72)[:, None, None] / 72
        turned = np.cos(turns) * across + np.sin(turns) * down, np.cos(turns) * down - np.sin(turns) * across
        assert iou(outline.distance(*turned) <= 0, mask).max() > 0.85


def test_two_thousand_images_take_less_than_a_second():
    shapes(key=0, num_images=10)
    times = []
    for _ in range(3):
        start = time.process_time()
        shapes(key=0, num_images=500)
        times.append(time.process_time() - start)
    assert min(times) < 0.25


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num_images": 0}, "num_images"),
        ({"size": 4}, "size: found 4"),
        ({"num_classes": 9}, "num_classes: found 9; there are 8 kinds"),
        ({"num_classes": 0}, "num_classes"),
        ({"channels": 2}, "channels"),
        ({"area": (0.3, 0.1)}, "area: found .*smaller one first"),
        ({"area": 0.2}, "area: found 0.2; pass the least"),
        ({"area": (0.1, 0.5)}, "area: found 0.5; .* fits up to 0.308"),
        ({"area": (0.01, 0.2)}, "area: found 0.01; a figure needs 16 of"),
        ({"period": (0.05, 0.2)}, "period: found 0.05; a texture needs 2"),
        ({"period": (0, 0.2)}, "period"),
        ({"textures": "stripes"}, "textures"),
        ({"textures": ("stripes", "dots")}, "textures: .* pass some of stripes, checks"),
        ({"textures": ()}, "textures"),
        ({"palette": "warm"}, "palette: found 'warm'; pass one of shared"),
        ({"noise": -1}, "noise"),
        ({"key": None}, "key"),
    ],
)
def test_impossible_shapes_are_refused(change, says):
    with pytest.raises(InputError, match=says):
        shapes(**{"key": 0, "num_images": 2, **change})


def test_textures_can_be_what_is_named():
    """Figures of all outlines, of the texture that the label says, on ground that always has the last one."""
    images = shapes(key=0, num_images=60, num_classes=3, label="texture", channels=1)
    assert images.class_names == ("stripes", "checks", "noise")
    assert np.array_equal(images.labels, np.arange(60) % 3)
    more = shapes(key=0, num_images=90, num_classes=3, label="texture", channels=1)
    assert np.array_equal(more.images[:60], images.images)
    # Brightness tells nothing: the means inside and outside differ by chance alone. Roughness does, the ground is smooth.
    inside, rough = [], []
    for image, mask in zip(images.images[:, 0], images.masks, strict=True):
        steps = np.abs(np.diff(image, axis=1))
        within = mask[:, 1:] & mask[:, :-1]
        inside.append(image[mask].mean() - image[~mask].mean())
        rough.append(steps[within].mean() - steps[~mask[:, 1:] & ~mask[:, :-1]].mean())
    assert abs(np.mean(inside)) < 3 * np.std(inside) / np.sqrt(60)
    assert np.mean(rough) > 5 * np.std(rough) / np.sqrt(60)
    with pytest.raises(InputError, match="num_classes: found 4 for 4 textures"):
        shapes(key=0, num_images=4, num_classes=4, label="texture")
    assert shapes(key=0, num_images=4, label="texture").class_names == ("stripes", "checks", "noise")
    with pytest.raises(InputError, match="have to differ"):
        shapes(key=0, num_images=4, label="texture", textures=("noise", "noise"))
    with pytest.raises(InputError, match="label: found 'name'"):
        shapes(key=0, num_images=4, label="name")
