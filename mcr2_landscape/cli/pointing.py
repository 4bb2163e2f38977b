"""The points that a command line names: a manifold, or a file."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mcr2_landscape.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from mcr2_landscape.data.arrays import Content
    from mcr2_landscape.flatnet.examination import Rows


class _Kind(NamedTuple):
    """A function of `data.manifolds`, the arguments that options give it, and defaults of the command's own."""

    function: str
    options: Mapping[str, str]
    defaults: Mapping[str, Any]


_CURVE = {"--samples": "num_points", "--noise": "noise"}
_SURFACE = {"--samples": "num_points"}
_FREE = {**_SURFACE, "--dim": "dimension", "--ambient": "num_features"}
_KINDS = {
    "sine": _Kind("sine_curve", _CURVE, {}),
    "arc": _Kind("circular_arc", {**_CURVE, "--angle": "angle"}, {"angle": math.pi}),
    "cap": _Kind("sphere_cap", {**_SURFACE, "--angle": "angle"}, {}),
    "swiss-roll": _Kind("swiss_roll", _SURFACE, {}),
    "gaussian-process": _Kind("gaussian_process_manifold", _FREE, {"dimension": 2, "num_points": 500}),
    "random": _Kind("random_manifold", _FREE, {"dimension": 2}),
    "squares": _Kind("translated_squares", _SURFACE, {}),
    "digit": _Kind("digit_class", {"--label": "label"}, {"label": 3}),
    "faces": _Kind("face_class", {}, {}),
}
NAMES = tuple(_KINDS)
_USUAL = "features", "points", "X", "images"  # of arrays in a file, by which one is taken unasked
_USUAL_LABELS = "labels", "label"
_PICTURE = 16  # features at least for a row to be shown as a square picture


@dataclass(frozen=True)
class Points:
    """Points to be fitted, those held out, the numbers of both in the data, what pictures they are, and what was done."""

    used: Rows
    held_out: Rows | None
    image_size: tuple[int, int, int] | None
    source: str
    notes: tuple[str, ...] = ()
    coordinates: np.ndarray | None = None


def read_points(
    name: str, options: Mapping[str, Any], held_out: float, seed: int, features_name: str | None, labels_name: str | None
) -> Points:
    """Points of a manifold by its name, or from a file; `options`, by their own names, are `None` where they were not given.
    `held_out`: the part of a file's points, or as many more of a manifold's.

    **Raises:** `InputError` for a file that cannot be read or holds something else, a word that is none, options that do not
    belong to the data, and numbers out of range.
    """
    kind = name.lower().replace("_", "-").replace(" ", "-")
    if kind not in _KINDS or Path(name).is_file():
        given = [option for option, value in options.items() if value is not None]
        if given:
            raise InputError(f"{', '.join(given)}: only a manifold by its name takes it, one of {', '.join(NAMES)}")
        return _from_file(name, held_out, seed, features_name, labels_name)
    for option, value in (("--features-name", features_name), ("--labels-name", labels_name)):
        if value is not None:
            raise InputError(f"{option}: {kind} is made here, from no file; leave it out")
    return _made(kind, options, held_out, seed)


def _made(kind: str, options: Mapping[str, Any], held_out: float, seed: int) -> Points:
    import numpy as np

    from mcr2_landscape.data import manifolds
    from mcr2_landscape.flatnet.examination import Rows

    function, known, defaults = _KINDS[kind]
    given = {option: value for option, value in options.items() if value is not None}
    foreign = [option for option in given if option not in known]
    if foreign:
        takes = f"takes {', '.join(known)}" if known else "takes none of these options"
        raise InputError(f"{', '.join(foreign)}: {kind} {takes}")
    arguments = {**defaults, **{known[option]: value for option, value in given.items()}}
    if "--angle" in given:
        arguments["angle"] = math.radians(given["--angle"])
    make = getattr(manifolds, function)
    try:
        if kind in ("digit", "faces"):
            side = 8 if kind == "digit" else 25
            word = f"handwritten digits {arguments['label']}" if kind == "digit" else "faces"
            return _split(make(**arguments), (1, side, side), word, (), held_out, seed)
        count = arguments.get("num_points", inspect.signature(make).parameters["num_points"].default)
        later = round(held_out * count)
        found = make(**arguments, key=seed, num_held_out=later)
    except InputError as error:
        argument, colon, rest = str(error).partition(":")
        names = {argument: option for option, argument in known.items()}
        if argument == "angle" and colon:
            found_angle = given.get("--angle", 0.0)
            raise InputError(f"--angle: found {found_angle:g} degrees; give more than 0 and less than {_most(kind)}") from None
        raise InputError(names.get(argument, argument) + colon + rest) from None
    along = found.coordinates[:, 0] if found.dimension == 1 else None
    used = Rows(found.points, np.arange(count), along)
    more = Rows(found.held_out, np.arange(count, count + later)) if later else None
    side = math.isqrt(found.points.shape[1])
    return Points(used, more, (1, side, side) if kind == "squares" else None, found.source, (), found.coordinates)


def _most(kind: str) -> int:
    return 180 if kind == "cap" else 360


def _split(
    points: np.ndarray, image_size: tuple[int, int, int] | None, source: str, notes: tuple[str, ...], part: float, seed: int
) -> Points:
    import numpy as np

    from mcr2_landscape.flatnet.examination import Rows
    from mcr2_landscape.randomness import generator

    count = len(points)
    if count < 2:
        raise InputError(f"{source}: found a single point; give two at least, and many more for a verdict")
    _, first, same = np.unique(points, axis=0, return_index=True, return_inverse=True)
    # Copies of a point stay together: of one that was fitted none was held out. Two different points are left to be fitted.
    first, same = np.sort(first), first[same.reshape(-1)]
    out = max(0, min(round(part * len(first)), len(first) - 2))
    held = np.isin(same, first[generator(seed).permutation(len(first))[:out]])
    used, later = np.flatnonzero(~held), np.flatnonzero(held)
    return Points(
        Rows(points[used], used), Rows(points[later], later) if out else None, image_size, f"{source}, {count} points", notes
    )


def _from_file(name: str, held_out: float, seed: int, features_name: str | None, labels_name: str | None) -> Points:
    import numpy as np

    from mcr2_landscape.validation import check_finite

    path = Path(name)
    if not path.exists() and not path.suffix:
        near = difflib.get_close_matches(name.lower(), NAMES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{name}: no such file, nor one of {', '.join(NAMES)}{hint}")
    array, notes = _read(path, features_name, labels_name)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{path}: found numbers of type {array.dtype}; give real ones")
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise InputError(
            f"{path}: found shape {array.shape}; give points (N, D), or pictures (N, H, W) or (N, C, H, W)"
            + ("; x[:, None] makes rows of numbers" if array.ndim == 1 else "")
        )
    points = array.reshape(len(array), -1).astype(np.float64)
    check_finite(str(path), points)
    size = None
    if array.ndim > 2:
        shape = array.shape[1:] if array.ndim == 4 else (1, *array.shape[1:])
        size = shape if shape[0] in (1, 3) else None
    elif (side := math.isqrt(points.shape[1])) ** 2 == points.shape[1] >= _PICTURE and points.min() >= 0:
        size = (1, side, side)
        notes += (f"rows are shown as pictures of {side} × {side}, since they are as long and have no negative number",)
    return _split(points, size, str(path), notes, held_out, seed)


def _read(path: Path, features_name: str | None, labels_name: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    import numpy as np

    from mcr2_landscape.data import arrays
    from mcr2_landscape.data.files import reading

    with reading(path, "points"):
        ending = path.suffix.lower()
        if ending == ".npz":
            found = arrays.read_npz(path, arrays.Names(features_name or _only_name(path), None, False))
        elif ending == ".npy":
            found = arrays.read_npy(path, arrays.Names(features_name, None, False))
        elif ending in (".csv", ".tsv", ".txt"):
            found = _read_table(path, features_name, labels_name)
        else:
            endings = ".npz, .npy, .csv, .tsv, .txt"
            raise InputError(f"{path}: found the ending {ending or 'of no format'}; give a file of one of {endings}")
    notes = tuple(found.notes)
    if found.labels is not None:
        notes += ("the column of labels was left out",)
    elif labels_name is not None:
        raise InputError(f"--labels-name: {path} has no column {labels_name!r} to leave out")
    return np.asarray(found.features), notes


def _read_table(path: Path, features_name: str | None, labels_name: str | None) -> Content:
    """A table without its column of labels: the one that is named, or one of the usual names that is there."""
    from mcr2_landscape.data import arrays, tables

    faults = []
    for name in _USUAL_LABELS if labels_name is None else (labels_name,):
        try:
            found = tables.read_csv(path, arrays.Names(features_name, name, False))
        except InputError as error:  # words in the column of labels, as long as it counts as features
            faults.append(error)
            continue
        if found.labels is not None or name == _USUAL_LABELS[-1] or labels_name is not None:
            return found
    raise faults[0]


def _only_name(path: Path) -> str | None:
    """The array to take where none was named: one of the usual names, or the only one there is."""
    from mcr2_landscape.data.arrays import npz_names

    names = npz_names(path)
    usual = [name for name in _USUAL if name in names]
    return usual[0] if usual else names[0] if len(names) == 1 else None
