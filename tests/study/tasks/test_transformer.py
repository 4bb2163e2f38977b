"""What the tasks of white-box transformers are made of: data, architectures, statistics over images, probes and baselines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.study.description import SIZES as SIZES_OF_STUDIES
from mcr2_landscape.study.description import read_description
from mcr2_landscape.study.opening import shipped
from mcr2_landscape.study.space import Study
from mcr2_landscape.study.tasks import completion, transformer_layers, transformer_masks, transformer_setup
from mcr2_landscape.training.image_completion import hidden_pixels, images_of, maskings, patches_of
from mcr2_landscape.training.image_views import Outputs
from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox import Architecture, count_parameters

SIZES = {"image_size": (8, 8), "patch": 2, "channels": 1, "num_classes": 10}


def classifier(attention="mssa", sparsification="ista", control="none", base="own", width="equal", heads=4):
    return transformer_setup.classifier(
        dim=16,
        depth=2,
        heads=heads,
        attention=attention,
        sparsification=sparsification,
        control=control,
        base=base,
        width=width,
        sizes=SIZES,
    )


def test_published_combinations_are_the_published_families():
    for family, pair in (("crate", ("mssa", "ista")), ("crate-alpha", ("mssa", "odl")), ("vit", ("mhsa", "mlp"))):
        assert classifier(*pair) == Architecture.published(16, 2, 4, family=family, **SIZES)


def test_the_ablation_changes_the_two_halves_and_nothing_else():
    crate = classifier(base="crate")
    for attention in ("mssa", "mhsa"):
        for sparsification in ("ista", "mlp"):
            found = classifier(attention, sparsification, base="crate")
            assert found == crate.replace(attention=attention, sparsification=sparsification)
    # By itself the ViT has another embedding, and would confound the comparison.
    assert classifier("mhsa", "mlp").embedding != crate.embedding


def test_controls_change_what_they_say():
    tied, flipped = classifier(control="tied output"), classifier(control="flipped sign")
    assert tied == classifier().replace(output="tied", output_bias=False)
    assert flipped == tied.replace(output_scale=-1.0)
    assert classifier(control="no attention") == classifier().replace(attention="none")
    assert classifier(control="as derived") == Architecture.derived(16, 2, 4, **SIZES)
    # What is frozen is a matter of the training.
    assert classifier(control="frozen subspaces") == classifier()


@pytest.mark.parametrize("pair", [("mssa", "odl"), ("mhsa", "mlp"), ("mssa", "mlp")])
def test_equal_parameters_are_the_nearest_there_are(pair):
    wanted, found = count_parameters(classifier()), classifier(*pair, width="equal parameters", heads=2)
    distances = [
        abs(count_parameters(found.replace(dim=dim)) - wanted) for dim in range(max(found.dim - 4, 2), found.dim + 5, 2)
    ]
    assert abs(count_parameters(found) - wanted) == min(distances)
    assert found == classifier(*pair, heads=2).replace(dim=found.dim)


@pytest.mark.parametrize("name", ["transformer_digits", "transformer_mnist", "transformer_shapes"])
@pytest.mark.parametrize("size", SIZES_OF_STUDIES)
def test_every_unit_of_the_studies_has_an_architecture(name, size):
    study = Study.of(read_description(shipped()[name], size)[0])
    images = {"digits": (1, 8), "mnist": (1, 28), "shapes": (3, study.fixed.get("image_size"))}
    names = ("dim", "depth", "heads", "attention", "sparsification", "control", "base", "width")
    architectures = {}
    for unit in study.units():
        given = {**study.signature.defaults, **unit.parameters}
        chosen = {name: given[name] for name in names}
        if tuple(chosen.values()) in architectures:
            continue
        channels, side = images[given["data"]]
        sizes = {"image_size": side, "patch": given["patch"], "channels": channels, "num_classes": 10}
        found = transformer_setup.classifier(**chosen, sizes=sizes)
        architectures[tuple(chosen.values())] = found
        # The landscape of each layer is small enough for its inertia in the quick sizes.
        assert size == "full" or found.dim * min(found.dim, found.num_patches + 1) <= 1200
    # Each with all seeds, at all learning rates.
    others = {(unit.seed, unit.parameters.get("learning_rate")) for unit in study.units()}
    assert len(architectures) * len(others) == len(study)


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"attention": "mhsa", "sparsification": "mlp", "control": "tied output"}, 'is of subspaces; found attention "mhsa"'),
        ({"sparsification": "odl", "control": "as derived"}, 'has sparsification "ista"; found "odl"'),
    ],
)
def test_controls_of_what_there_is_not_are_refused(switches, words):
    with pytest.raises(InputError, match=words):
        classifier(**switches)


def test_networks_have_their_names():
    name = transformer_setup.network_name
    assert name("mssa", "odl", "none") == "CRATE-α"
    assert name("mhsa", "ista", "none") == "MHSA + ISTA"
    assert name("mssa", "ista", "tied output") == "CRATE, tied output"
    assert name("none", "none", "none") == "neither half"


def test_images_of_all_classes_are_on_both_sides():
    train, test = transformer_setup.image_data("digits", 60, None, 8, 3)
    assert (len(train.images), len(test.images)) == (47, 13)
    for part in (train, test):
        assert part.labels is not None
        assert set(part.labels) == set(range(10))
    shapes, _ = transformer_setup.image_data("shapes", 20, 16, 4, 3)
    assert transformer_setup.sizes_of("shapes", shapes, None) == {
        "image_size": (16, 16),
        "patch": 4,
        "channels": 3,
        "num_classes": 4,
    }
    with pytest.raises(InputError, match="image_size: found 16; digits come with 8 pixels a side"):
        transformer_setup.image_data("digits", None, 16, 8, 0)


def test_a_probe_reads_what_is_there_and_nothing_else():
    random = np.random.default_rng(0)
    labels, others = random.integers(0, 3, 300), random.integers(0, 3, 120)
    centers = random.standard_normal((3, 6))
    X, Y = (centers[own] + 0.01 * random.standard_normal((len(own), 6)) for own in (labels, others))
    assert completion.ridge_accuracy(X, labels, Y, others, 0) == 1.0
    assert completion.ridge_accuracy(5 - 3 * X, labels, 5 - 3 * Y, others, 0) == 1.0
    assert completion.ridge_accuracy(X, random.permutation(labels), Y, others, 0) < 0.6
    # A feature that never moves is no division by zero.
    assert completion.ridge_accuracy(np.ones((300, 2)), labels, np.ones((120, 2)), others, 0) < 0.6


ARCHITECTURE = Architecture.published(
    8, 1, 2, family="crate-mae", image_size=(4, 6), patch=2, channels=3, num_classes=2, mask_ratio=0.5
)


def test_patches_are_those_of_the_networks():
    import jax.numpy as jnp

    from mcr2_landscape.whitebox.patches import patchify

    images = np.random.default_rng(0).random((2, 3, 4, 6)).astype(np.float32)
    assert (patches_of(images, ARCHITECTURE) == np.asarray(patchify(jnp.asarray(images), 2))).all()


@given(st.integers(0, 2**32 - 1))
def test_baselines_know_what_they_are_made_of(seed):
    random = np.random.default_rng(seed)
    masked = maskings(ARCHITECTURE, 5, random)
    assert all((hidden.sum(axis=1) == 3).all() for hidden in masked)
    one = random.random((1, 3, 4, 6))
    blocks = np.repeat(np.repeat(random.random((5, 3, 2, 3)), 2, axis=2), 2, axis=3)
    plain = np.broadcast_to(random.random((5, 3, 1, 1)), (5, 3, 4, 6))

    def baselines(own, images):
        patches = [patches_of(part, ARCHITECTURE) for part in (own, images)]
        return completion._baselines(patches[0], patches[1], masked, 3)

    alike = baselines(one, np.broadcast_to(one, (5, 3, 4, 6)))
    assert alike["mean_image_loss"] < 1e-25 < alike["patch_mean_loss"]
    flat = baselines(one, blocks)
    assert flat["patch_mean_loss"] < 1e-25 < min(flat["visible_mean_loss"], flat["mean_image_loss"])
    assert baselines(one, plain)["visible_mean_loss"] < 1e-25


@given(st.integers(0, 2**32 - 1))
def test_patches_are_taken_apart_and_put_together(seed):
    random = np.random.default_rng(seed)
    images = random.random((2, 3, 4, 6))
    assert (images_of(patches_of(images, ARCHITECTURE), ARCHITECTURE) == images).all()
    masked = maskings(ARCHITECTURE, 2, random)[0]
    hidden = hidden_pixels(masked, ARCHITECTURE)
    assert hidden.shape == (2, 4, 6)
    assert (patches_of(hidden[:, None], ARCHITECTURE)[:, :, 0].astype(bool) == masked).all()
    assert hidden.sum() == 2 * 3 * 4


@pytest.mark.parametrize("attends", [True, False])
def test_masks_are_read_off_the_networks_in_their_order(attends):
    random = np.random.default_rng(0)
    # Figures of 2 × 2 patches on a grid of 5 × 5, which the trained network knows and the initial one does not.
    squares = np.zeros((12, 5, 5), bool)
    for square, (row, column) in zip(squares, random.integers(1, 3, (12, 2)), strict=True):
        square[row : row + 2, column : column + 2] = True
    patches, truth = squares.reshape(12, 25), squares.repeat(2, axis=1).repeat(2, axis=2)
    images = random.random((12, 3, 10, 10))

    def view(layers):
        noise = random.random((2, 12, 25))
        maps = np.stack([noise, noise], axis=2)
        features = random.standard_normal((2, 12, 25, 6))
        if layers:
            maps[1, :, 1] = patches / 4
            features[0] = np.where(patches[..., None], 1.0, -0.3) + 0.01 * features[0]
        return Outputs(maps if attends else None, features, features[:, :, 0], None)

    found = transformer_masks.mask_columns((view(False), view(True)), images, truth, (5, 5), 0)
    columns = transformer_masks.MaskColumns(**found)
    assert columns.cut_iou is not None
    assert columns.cut_fixed is not None
    assert columns.cut_iou[1][0] == pytest.approx(1.0)
    assert np.max(columns.cut_iou[0]) < 0.8
    assert columns.cut_fixed[1] == 0
    assert columns.mosaic_cuts is not None
    shown = np.unique(np.linspace(0, 11, 6).round().astype(int))
    assert (columns.mosaic_cuts[1] == squares[shown]).all()
    assert columns.selection_images == columns.evaluation_images == 6
    if not attends:
        assert {name for name, value in vars(columns).items() if value is None} == {
            *(name for name in vars(columns) if name.startswith("attention_")),
            *("mosaic_layer", "mosaic_maps"),
        }
        return
    assert columns.attention_iou is not None
    assert columns.attention_iou[1][1][1] == pytest.approx(1.0)
    assert np.max(columns.attention_iou[0]) < 0.8
    assert columns.attention_fixed is not None
    assert columns.attention_fixed[1] == (1, 1)
    assert columns.attention_verdict == "holds"
    assert columns.mosaic_layer is not None
    assert columns.mosaic_layer[1] == 1
    assert columns.mosaic_maps is not None
    np.testing.assert_allclose(columns.mosaic_maps[1][:, 1], squares[shown] / 4, atol=1e-6)


def test_columns_of_layers_are_means_over_images_and_what_is_not_there_is_missing(monkeypatch):
    from types import SimpleNamespace

    from mcr2_landscape.training import image_layers
    from mcr2_landscape.whitebox.halves import SubspaceAttention
    from mcr2_landscape.whitebox.layer_measures import METRICS, Layerwise

    random = np.random.default_rng(0)
    shape, nothing = (2, 5), np.full((2, 5), np.nan)

    def measured(model, inputs, *, metric, epsilon):
        def own(name):
            return model.values[f"{metric} {name}"] if model.known else nothing

        rates = {name: own(name) for name in ("before", "after", "common", "alignment", "ratio")}
        others = {name: model.values[name] for name in ("nonzero", "nonzero_codes", "objective", "objective_after")}
        return Layerwise(metric, 0.1 if epsilon is None else epsilon, **rates, **others, step_bound=np.array([0.5, np.nan]))

    def network(known):
        names = [f"{metric} {name}" for metric in METRICS for name in ("before", "after", "common", "alignment", "ratio")]
        names += ["nonzero", "nonzero_codes", "objective", "objective_after"]
        attention = SubspaceAttention.__new__(SubspaceAttention) if known else None
        values = {name: random.random(shape) for name in names}
        return SimpleNamespace(known=known, values=values, layers=SimpleNamespace(attention=attention))

    monkeypatch.setattr(image_layers, "layerwise", measured)
    first, second = network(True), network(False)
    columns = transformer_layers.layer_columns((first, second), np.zeros((5, 1)))
    values = first.values["sphere after"] - first.values["sphere before"]
    assert columns["sphere_change"][0] == pytest.approx(values.mean(axis=1))
    assert columns["sphere_change_error"][0] == pytest.approx(values.std(axis=1, ddof=1) / np.sqrt(5))
    assert columns["sphere_change"][1] == (None, None)
    assert columns["nonzero"][1] == pytest.approx(second.values["nonzero"].mean(axis=1))
    assert columns["alignment"][0] == pytest.approx(first.values["as derived alignment"].mean(axis=1))
    assert columns["step_bound"] == ((0.5, None), (0.5, None))
    assert set(columns) == set(transformer_layers.LayerColumns.__dataclass_fields__)
