"""What the tasks of white-box transformers begin with: images from packages or generated, and architectures by name."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.validation import InputError, positive_integer

if TYPE_CHECKING:
    from mcr2_landscape.data import LabeledImages
    from mcr2_landscape.whitebox import Architecture

_PATCHES = {"digits": 2, "mnist": 4, "shapes": 4}
_SHAPES, _SIZE = 4000, 32
_TEST = 0.2
_FAMILIES = {("mssa", "ista"): "crate", ("mssa", "odl"): "crate-alpha", ("mhsa", "mlp"): "vit"}
_NAMES = {"crate": "CRATE", "crate-alpha": "CRATE-α", "vit": "ViT"}
# Sizes, and what only autoencoders have: all other fields of an architecture are switches, which equal width or equal
# parameters leave as they are.
_NO_SWITCHES = (
    *("dim", "depth", "heads", "head_dim", "image_size", "patch", "channels", "num_classes"),
    *("decoder_depth", "decoder_dim", "decoder_heads", "mask_ratio", "normalized_targets"),
)


def image_data(
    data: str,
    num_images: int | None,
    image_size: int | None,
    num_classes: int,
    seed: int,
    *,
    label: str = "outline",
    channels: int = 3,
) -> tuple[LabeledImages, LabeledImages]:
    """Images to train with and images to test with, a fifth of them; both depend on the seed. `label` and `channels` are of
    shapes.

    **Raises:** `InputError` for numbers out of range, or a size of images that come in one size.
    """
    from mcr2_landscape.data import digit_images, mnist_images, shapes

    count = None if num_images is None else positive_integer("num_images", num_images, minimum=20)
    if data == "shapes":
        size = _SIZE if image_size is None else image_size
        images = shapes(
            key=seed, num_images=count or _SHAPES, size=size, num_classes=num_classes, label=label, channels=channels
        )
        return images.split(_TEST, key=seed)
    images = digit_images() if data == "digits" else mnist_images()
    side = images.shape[-1]
    if image_size not in (None, side):
        raise InputError(f"image_size: found {image_size}; {data} come with {side} pixels a side: leave it out")
    if count is not None:
        # Evenly, since MNIST is sorted by class.
        images = images.subset(thinned(len(images.images), count))
    return images.split(_TEST, key=seed)


def sizes_of(data: str, images: LabeledImages, patch: int | None) -> dict[str, Any]:
    """The fields of an architecture that follow from its images."""
    _, channels, height, width = images.shape
    assert images.labels is not None
    return {
        "image_size": (height, width),
        "patch": _PATCHES[data] if patch is None else patch,
        "channels": channels,
        "num_classes": int(images.labels.max()) + 1,
    }


def classifier(
    *,
    dim: int,
    depth: int,
    heads: int,
    attention: str,
    sparsification: str,
    control: str,
    base: str,
    width: str,
    sizes: dict[str, Any],
) -> Architecture:
    """The architecture of a unit of `transformer`; see there for the arguments.

    **Raises:** `InputError` for controls of what the network does not have, and sizes that do not fit.
    """
    from mcr2_landscape.whitebox import Architecture, equal_parameters

    family = _FAMILIES.get((attention, sparsification), "crate") if base == "own" else "crate"
    switches: dict[str, Any] = {"attention": attention, "sparsification": sparsification}
    if control in ("frozen subspaces", "tied output", "flipped sign", "as derived") and attention != "mssa":
        raise InputError(f'control: "{control}" is of subspaces; found attention "{attention}": pass "mssa"')
    if control in ("tied output", "flipped sign"):
        switches |= {"output": "tied", "output_bias": False, "output_scale": -1.0 if control == "flipped sign" else 1.0}
    elif control == "no attention":
        switches["attention"] = "none"
    if control == "as derived":
        if sparsification != "ista":
            raise InputError(f'control: "as derived" has sparsification "ista"; found "{sparsification}"')
        architecture = Architecture.derived(dim, depth, heads, **sizes)
    else:
        architecture = Architecture.published(dim, depth, heads, family=family, **{**sizes, **switches})
    if width == "equal":
        return architecture
    fields = [field.name for field in dataclasses.fields(Architecture) if field.name not in _NO_SWITCHES]
    crate = Architecture.published(dim, depth, heads, family="crate", **sizes)
    return equal_parameters(crate, **{name: getattr(architecture, name) for name in fields})


def network_name(attention: str, sparsification: str, control: str) -> str:
    """A network in words, such as "CRATE", "MSSA + MLP", or "CRATE, tied output"."""
    family = _FAMILIES.get((attention, sparsification))
    words = [part.upper() for part in (attention, sparsification) if part != "none"]
    name = " + ".join(words) or "neither half"
    return (name if family is None else _NAMES[family]) + ("" if control == "none" else f", {control}")
