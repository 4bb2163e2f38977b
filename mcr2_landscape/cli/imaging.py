"""The images and the network that a command line names."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcr2_landscape.cli.image_files import Channels, read_image_file
from mcr2_landscape.errors import InputError

if TYPE_CHECKING:
    from mcr2_landscape.data import LabeledImages
    from mcr2_landscape.whitebox import Architecture

DATA = ("digits", "mnist", "faces", "shapes")
#: The families of networks that have no size of their own, by the option's words.
FAMILIES = {
    "crate": "crate",
    "alpha": "crate-alpha",
    "vit": "vit",
    "mae": "crate-mae",
    "vit-mae": "vit-mae",
    "derived": "derived",
}
SIZES = {"dim": 48, "depth": 4, "heads": 4}

_SHAPES = 2000
_FACES, _EVEN = 25, 24  # the size at which faces are stored, and one that more patches divide
_PATCHES = 64  # at most so many by default
# Fields of an architecture that have options of their own, or follow from the images.
_OWN = {"dim": "--dim", "depth": "--depth", "heads": "--heads", "patch": "--patch"}
_GIVEN = ("image_size", "channels", "num_classes")
# What the library calls arguments, and the options that they come from.
_OPTIONS = {
    "task": "--task",
    "batch_size": "--batch",
    "num_steps": "--steps",
    "learning_rate": "--learning-rate",
    "max_seconds": "--max-seconds",
    "precision": "--precision",
    "key": "--seed",
    "epsilon": "--epsilon",
    "frozen": "--frozen",
    "test_fraction": "--test-fraction",
    **_OWN,
}


def options() -> dict[str, str]:
    """The options by the library's names; a field of an architecture is set by --set."""
    from mcr2_landscape.whitebox import Architecture

    fields = {field.name: f"--set {field.name}" for field in dataclasses.fields(Architecture)}
    return {**fields, **_OPTIONS}


@contextlib.contextmanager
def named_as_options(data: str, folder: Path) -> Iterator[None]:
    """Errors name options and the data instead of the library's arguments."""
    from mcr2_landscape.cli.training import in_options

    try:
        yield
    except InputError as error:
        name, colon, rest = str(error).partition(":")
        if colon and name in ("train", "test", "split"):
            raise InputError(f"{data}:{rest}") from None
        raise InputError(in_options(str(error), folder, options())) from None


def read_images(
    name: str, count: int | None, seed: int, patch: int | None, channels: Channels | None = None
) -> tuple[LabeledImages, tuple[str, ...]]:
    """Images by a word or from a file, and what was done to them. `patch` decides whether the faces are cropped, `channels`
    where a file has them (see `read_image_file`).

    **Raises:** `InputError` for a file that cannot be read or holds something else, a word that is none, and `channels` where
    there is no file.
    """
    import numpy as np

    from mcr2_landscape import data
    from mcr2_landscape.randomness import generator

    notes: tuple[str, ...] = ()
    if name in DATA and channels is not None:
        raise InputError(f"--channels: is of images in a file, and {name} has none; leave it out")
    if name == "shapes":
        return data.shapes(key=seed, num_images=count or _SHAPES), notes
    if name == "faces":
        images = data.face_images(_FACES if patch is not None and _FACES % patch == 0 else _EVEN)
    elif name in DATA:
        images = data.digit_images() if name == "digits" else data.mnist_images()
    elif not Path(name).suffix and not Path(name).exists():
        near = difflib.get_close_matches(name, DATA, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{name}: no such file, nor one of {', '.join(DATA)}{hint}")
    else:
        images, notes = read_image_file(Path(name), channels)
    total = len(images.images)
    if count is not None and count > total:
        raise InputError(f"--images: found {count}; {name} has {total}: give at most as many")
    if count is not None and count < total:
        images = images.subset(np.sort(generator(seed).permutation(total)[:count]))
        notes += (f"{count} of the {total} images were drawn.",)
    return images, notes


def architecture_of(
    network: str, sizes: dict[str, int | None], switches: Sequence[str], images: LabeledImages, num_classes: int
) -> Architecture:
    """The architecture that --network, the sizes and --set name, for these images.

    **Raises:** `InputError` for an unknown network (the nearest is offered), sizes that a published name has already, patches
    that do not divide the images, and switches that are unknown or do not fit.
    """
    from mcr2_landscape.whitebox import Architecture
    from mcr2_landscape.whitebox.names import named

    _, channels, height, width = images.shape
    given: dict[str, Any] = {"image_size": (height, width), "channels": channels, "num_classes": num_classes}
    if "/" in network or network.lower() not in FAMILIES:
        taken = [_OWN[name] for name, value in sizes.items() if value is not None]
        try:
            named(network, image_size=2520)  # whether there is such a name: 2520 is divided by most patches
        except InputError as error:
            if str(error).startswith("name:"):
                raise InputError(f"--network: {_unknown(network, str(error))}") from None
        if taken:
            raise InputError(
                f"{', '.join(taken)}: {network} has sizes of its own; leave it out, or give a family such as crate"
            )
        patch = int(network.rsplit("/", 1)[1])
        _check_patch(patch, height, width, "--network")
        return named(network, **given, **parse_switches(switches))
    family = FAMILIES[network.lower()]
    patch = sizes["patch"] or default_patch(height, width)
    _check_patch(patch, height, width, "--patch")
    shape = [sizes[name] or default for name, default in SIZES.items()]
    given |= {"patch": patch, **parse_switches(switches)}
    if family == "derived":
        return Architecture.derived(*shape, **given)
    return Architecture.published(*shape, family=family, **given)


def _unknown(network: str, message: str) -> str:
    near = difflib.get_close_matches(network.lower(), FAMILIES, 1, 0.7)
    if near:
        return f"found {network!r}; did you mean {near[0]}?"
    rest = message.removeprefix("name: ")
    return f"{rest}; or give one of {', '.join(FAMILIES)}" if not rest.endswith("?") else rest


def default_patch(height: int, width: int) -> int:
    """The smallest side above one pixel that divides the images into at most 64 patches."""
    for side in range(2, min(height, width) + 1):
        if height % side == 0 and width % side == 0 and (height // side) * (width // side) <= _PATCHES:
            return side
    return 1


def _check_patch(patch: int, height: int, width: int, option: str) -> None:
    if height % patch == 0 and width % patch == 0:
        return
    sides = [side for side in range(1, min(height, width) + 1) if height % side == 0 and width % side == 0]
    raise InputError(
        f"{option}: found patches of {patch} × {patch} pixels, which do not divide images of {height} × {width}; "
        f"{', '.join(map(str, sides))} {'do' if len(sides) > 1 else 'does'}"
    )


def parse_switches(words: Sequence[str]) -> dict[str, Any]:
    """Fields of an architecture from name=value.

    **Raises:** `InputError` that lists all that are unknown or have a value of another kind.
    """
    from mcr2_landscape.whitebox import Architecture

    kinds = {field.name: str(field.type) for field in dataclasses.fields(Architecture)}
    found: dict[str, Any] = {}
    faults = []
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        name = name.replace("-", "_")
        if not equals:
            faults.append(f"{word!r} is not name=value")
        elif name in _OWN:
            faults.append(f"{name} has an option of its own, {_OWN[name]}")
        elif name in _GIVEN:
            faults.append(f"{name} follows from the images")
        elif name not in kinds:
            near = difflib.get_close_matches(name, [kind for kind in kinds if kind not in _GIVEN], 1)
            faults.append(f"{name} is unknown" + (f" (did you mean {near[0]}?)" if near else ""))
        else:
            try:
                found[name] = _value(kinds[name], value)
            except ValueError:
                faults.append(f"{name}={value} is no {_KINDS[kinds[name].split(' ')[0]]}")
    if faults:
        known = ", ".join(name for name in kinds if name not in _OWN and name not in _GIVEN)
        raise InputError(f"--set: {'; '.join(faults)}. Switches are {known}")
    return found


_KINDS = {"int": "whole number", "float": "number", "bool": "true or false", "str": "word"}


def _value(kind: str, word: str) -> Any:
    if "None" in kind and word.lower() == "none":
        return None
    if kind.startswith("bool"):
        if word.lower() not in ("true", "false"):
            raise ValueError
        return word.lower() == "true"
    if kind.startswith("int"):
        return int(word)
    return float(word) if kind.startswith("float") else word
