from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox.architecture import Architecture
from mcr2_landscape.whitebox.autoencoder import MaskedAutoencoder
from mcr2_landscape.whitebox.counting import count_parameters, equal_parameters, twin
from mcr2_landscape.whitebox.families import FAMILIES
from mcr2_landscape.whitebox.names import named, names
from mcr2_landscape.whitebox.network import Crate

from .models import derived, published, random_model

COUNTS = {
    **{"CRATE-T/16": 6_090_856, "CRATE-S/16": 13_116_328, "CRATE-B/16": 22_796_008, "CRATE-L/16": 77_641_192},
    **{"mae-S/16": 25_405_824, "mae-B/16": 44_638_464, "ViT-MAE-B/16": 143_790_336},
    **{"alpha-B/32": 73_985_512, "alpha-B/16": 72_328_936, "alpha-B/8": 72_338_152, "alpha-L/32": 255_982_568},
    **{"alpha-L/14": 253_650_920, "alpha-L/8": 253_786_088, "alpha-H/14": 526_819_560},
    **{"ViT-T/16": 5_717_416, "ViT-S/16": 22_050_664, "ViT-B/16": 86_567_656},
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_the_published_ones(name):
    assert count_parameters(named(name)) == COUNTS[name]


def test_unused_parameters_are_those_of_the_published_code():
    used = named("mae-B/16", unused_parameters=False)
    assert COUNTS["mae-B/16"] - count_parameters(used) == 741_888


@given(
    st.sampled_from(["T", "S", "B", "L"]),
    st.sampled_from([8, 14, 16, 28, 32]),
    st.integers(1, 2000),
    st.sampled_from(["crate", "alpha"]),
)
def test_counts_follow_the_formula(size, patch, classes, family):
    a = named(f"{family}-{size}/{patch}", num_classes=classes)
    d, q, count, depth = a.dim, 3 * patch**2, (224 // patch) ** 2, a.depth
    layers = depth * (3 * d**2 + 5 * d) if family == "crate" else depth * (10 * d**2 + 4 * d)
    patches = 2 * q + q * d + 3 * d if family == "crate" else q * d + d
    assert count_parameters(a) == layers + patches + (count + 1) * d + d + 2 * d + d * classes + classes


def test_a_model_counts_as_its_architecture():
    for family in FAMILIES:
        architecture = published(family, steps="learned")
        assert count_parameters(random_model(architecture)) == count_parameters(architecture)
    with pytest.raises(InputError, match="model: found str without parameters"):
        count_parameters("CRATE")


@given(st.sampled_from(names()), st.data())
def test_names_are_read_in_any_case(name, data):
    mixed = "".join(data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name)
    patch = int(name.split("/")[1])
    assert named(mixed, image_size=4 * patch) == named(name, image_size=4 * patch)
    assert named(name, image_size=4 * patch).patch == patch


@pytest.mark.parametrize(
    ("other", "name"), [("CRATE-alpha-B/16", "alpha-B/16"), ("crate-mae-S/16", "mae-S/16"), ("vit-ti/16", "ViT-T/16")]
)
def test_other_spellings(other, name):
    assert named(other) == named(name)


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("CRATE-B16", "CRATE-B/16"),
        ("crate_b/16", "CRATE-B/16"),
        ("alfa-L/14", "alpha-L/14"),
        ("mae-H/16", "mae-S/16"),
        ("vit-mae-s/16", "ViT-MAE-B/16"),
        ("CRATE-B/0", "CRATE-B/8"),
        ("", "CRATE-B/16"),
        (None, "CRATE-B/16"),
        ("ResNet-50", ""),
    ],
)
def test_unknown_names_come_back_with_the_nearest(name, offered):
    with pytest.raises(InputError, match="name: found") as caught:
        named(name)
    assert offered in str(caught.value)


def test_from_name_makes_the_right_model():
    small = {"dim": 8, "depth": 1, "heads": 2, "image_size": 8, "num_classes": 3}
    for name, kind in (("CRATE-B/4", Crate), ("alpha-B/4", Crate), ("mae-B/4", MaskedAutoencoder)):
        model = eqx.filter_eval_shape(lambda name=name: Crate.from_name(name, key=jax.random.key(0), **small))
        assert type(model) is kind
        assert model.architecture == named(name, **small)
    with pytest.raises(InputError, match="atention: no field of an architecture; did you mean attention"):
        Crate.from_name("CRATE-B/16", key=jax.random.key(0), atention="mhsa")


def test_an_architecture_is_a_value():
    size: Any = np.int64(8)
    one, same = (Architecture.published(size, 2, 2, image_size=[8, 8], patch=4) for _ in range(2))
    assert (one, hash(one)) == (same, hash(same))
    assert one.image_size == (8, 8)
    assert Architecture(**dataclasses.asdict(one)) == one
    assert (one.grid, one.num_patches, one.patch_dim, one.inner) == ((2, 2), 4, 48, 8)
    assert one.replace(heads=4).head_dim == 2
    assert one.replace(heads=4, head_dim=5).head_dim == 5
    mae = published("vit-mae", decoder_depth=3)
    assert mae.replace(dim=16, depth=5) == published("vit-mae", dim=16, depth=5, decoder_depth=3, decoder_dim=16)
    assert mae.replace(decoder="none").decoder_depth is None


def test_derived_and_published_are_each_one_configuration():
    d, p = derived(), published("crate")
    assert (d.output, d.first_order, d.temperature, d.normalization) == ("tied", True, 1.0, "none")
    assert (p.output, p.first_order, p.temperature, p.normalization) == ("free", False, None, "layer")
    assert d.orthonormal_subspaces
    assert d.orthonormal_dictionary
    assert derived(decoder="tied").decoder_depth == 2


@given(st.sampled_from(sorted(FAMILIES)))
def test_a_twin_differs_in_its_layers_alone(family):
    a = published(family)
    b = twin(a, mask_tokens="decoder") if a.is_autoencoder else twin(a)
    assert (b.attention, b.sparsification) == ("mhsa", "mlp")
    for name in ("dim", "depth", "heads", "image_size", "patch", "channels", "decoder_depth", "decoder_dim", "mask_ratio"):
        assert getattr(a, name) == getattr(b, name)


@pytest.mark.parametrize("architecture", [published("crate", dim=48, heads=6), published("crate-mae", dim=48, heads=3)])
def test_no_other_width_comes_nearer(architecture):
    found = equal_parameters(architecture)
    wanted = count_parameters(architecture)
    step = 4 * found.heads if found.is_autoencoder else found.heads

    def gap(width):
        return abs(count_parameters(twin(architecture, dim=width, head_dim=None, **_wide(architecture, width))) - wanted)

    gaps = {width: gap(width) for width in range(step, 2 * found.dim, step)}
    assert gap(found.dim) == min(gaps.values())
    with pytest.raises(InputError, match="dim: the width is what is looked for"):
        equal_parameters(architecture, dim=8)


def _wide(architecture, width):
    return {"decoder_dim": width} if architecture.is_autoencoder else {}


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"image_size": 10}, r"image_size: found 10 × 10, which patches of 4 × 4 do not divide; .* 8 × 8"),
        ({"image_size": (8, 10)}, "image_size: found 8 × 10"),
        ({"image_size": (8, 8, 3)}, r"image_size: found \(8, 8, 3\)"),
        ({"image_size": "big"}, "image_size: found 'big'"),
        ({"heads": 3}, "heads: found 3, which do not divide the dimension 8"),
        ({"attention": "msa"}, "attention: found 'msa'; pass one of 'mssa', 'mhsa', 'none'"),
        ({"sparsification": "lista"}, "sparsification: found 'lista'"),
        ({"decoder": True}, "decoder: found True"),
        ({"output_bias": 1}, "output_bias: found 1; pass True or False"),
        ({"dim": 0}, "dim: found 0"),
        ({"depth": 1.5}, "depth: found 1.5"),
        ({"temperature": 0}, "temperature: found 0"),
        ({"sparsity": float("nan")}, "sparsity: found nan"),
        ({"attention": "mhsa", "output": "tied"}, 'output: found "tied" with attention "mhsa"'),
        ({"decoder_depth": 3}, "decoder_depth: given without a decoder"),
        ({"decoder": "tied", "sparsification": "odl"}, 'decoder: "tied" inverts layers'),
        ({"decoder": "tied", "decoder_depth": 1}, 'decoder: "tied" needs the depth 2'),
        ({"decoder": "crate", "decoder_dim": 16}, "decoder_dim: found 16; where mask tokens enter the encoder"),
        ({"decoder": "crate", "decoder_heads": 3}, "decoder_heads: found 3, which do not divide"),
        ({"decoder": "crate", "mask_ratio": 1.0}, "mask_ratio: found 1, which leaves 0 of 6 patches"),
        ({"decoder": "crate", "mask_ratio": 0.99}, "mask_ratio: found 0.99"),
        ({"decoder": "crate", "mask_ratio": -0.5}, "mask_ratio: found -0.5"),
        ({"dim": 6, "positions": "sincos"}, "dim: found 6; sines and cosines of two coordinates need a multiple of 4"),
        ({"atention": "mssa"}, "atention: no field of an architecture; did you mean attention"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_what_does_not_fit_is_refused(switches, message):
    with pytest.raises(InputError, match=message):
        published("crate", **switches)


def test_unknown_families_are_refused():
    with pytest.raises(InputError, match="family: found 'crates'; pass one of 'crate', 'crate-alpha'"):
        published("crates")
