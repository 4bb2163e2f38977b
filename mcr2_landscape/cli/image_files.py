"""Images from a file: which array they are, where their channels lie, and what their numbers mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mcr2_landscape.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from mcr2_landscape.data import LabeledImages

Channels = Literal["first", "last"]
_MOST = 4  # channels that an axis is taken for unasked: gray, with opacity, red, green and blue, with opacity
_BESIDE = "labels", "masks"


def read_image_file(path: Path, channels: Channels | None) -> tuple[LabeledImages, tuple[str, ...]]:
    """Images of an .npy file, or of an .npz file with the array `images`, or a single one beside `labels` and `masks`, which
    belong to them; and what was done to them.

    Their shape is (n, H, W), (n, C, H, W) or (n, H, W, C). Of four axes the channels are the second or the last, whichever has
    at most four entries; where both have, or none, the second. `channels` says it instead. Bytes are divided by 255.

    **Raises:** `InputError` for a file that cannot be read or holds something else, numbers out of [0, 1] that are no bytes,
    labels or masks that do not belong to the images, and `channels` where no axis holds them.
    """
    import numpy as np

    from mcr2_landscape.data import check_images
    from mcr2_landscape.data.files import reading

    ending = path.suffix.lower()
    if ending not in (".npz", ".npy"):
        raise InputError(
            f"{path}: found the ending {ending or 'of no format'}; give an .npz file with an array images, or an .npy file"
        )
    with reading(path, "images"):
        pixels, labels, masks = _arrays(path)
    notes: tuple[str, ...] = ()
    if pixels.dtype == np.uint8:
        notes += ("The bytes of the images, 0 … 255, were divided by 255.",)
    pixels, told = _channels_second(path, pixels, channels)
    notes += told
    if masks is not None and masks.dtype != bool:
        if not np.isin(masks, (0, 1)).all():
            raise InputError(f"{path}: found masks of {masks.dtype} with other values than 0 and 1; 1 is on the object")
        masks = masks.astype(bool)
    class_names: Sequence[str] = ()
    if labels is not None:
        labels, class_names, told = _classes(path, labels)
        notes += told
    return check_images(pixels, labels, masks, class_names=class_names, source=str(path)), notes


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Pixels, and labels and masks if the file has them."""
    from mcr2_landscape.data.arrays import Names, npz_names, read_npy, read_npz

    if path.suffix.lower() == ".npy":
        return read_npy(path, Names(None, None, False)).features, None, None
    names = npz_names(path)
    others = [name for name in names if name not in _BESIDE]
    if "images" not in names and len(others) != 1:
        raise InputError(f"{path}: found the arrays {', '.join(names) or 'none'}; give one by the name images")
    pixels = read_npz(path, Names("images" if "images" in names else others[0], None, False)).features
    labels, masks = (read_npz(path, Names(name, None, False)).features if name in names else None for name in _BESIDE)
    return pixels, labels, masks


def _channels_second(path: Path, pixels: np.ndarray, channels: Channels | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """The images as (n, C, H, W), and what was taken for their channels where that was not clear."""
    import numpy as np

    shape = pixels.shape
    if pixels.ndim == 3:
        if channels is not None:
            raise InputError(f"--channels: {path} has no axis of channels, its shape is {shape}; leave it out")
        if shape[2] in (3, 4):
            raise InputError(
                f"{path}: found shape {shape}, which may be one picture with its channels last: give x[None] if it is, or "
                f"x[:, None] for {shape[0]} images {shape[2]} pixels wide"
            )
        return pixels[:, None], ()
    if pixels.ndim != 4:
        cure = "; x.reshape(-1, H, W) makes images of rows" if pixels.ndim == 2 else ""
        raise InputError(f"{path}: found shape {shape}; give images (n, H, W), (n, C, H, W) or (n, H, W, C){cure}")
    second, last = (shape[axis] <= _MOST for axis in (1, 3))
    taken = channels or ("last" if last and not second else "first")
    notes: tuple[str, ...] = ()
    if channels is None and (taken == "last" or second == last):
        layout, count = ("(n, H, W, C)", shape[3]) if taken == "last" else ("(n, C, H, W)", shape[1])
        notes = (f"Images of shape {shape} were taken as {layout}, of {count} channel{'' if count == 1 else 's'}.",)
    return np.ascontiguousarray(np.moveaxis(pixels, 3, 1)) if taken == "last" else pixels, notes


def _classes(path: Path, labels: np.ndarray) -> tuple[np.ndarray, Sequence[str], tuple[str, ...]]:
    """Labels as the numbers 0 … K−1, with names where they were not that already."""
    import numpy as np

    from mcr2_landscape.data.labeled import check_labels

    checked = check_labels(labels, str(path))
    found, numbers = np.unique(np.asarray(checked), return_inverse=True)
    if found.dtype.kind in "iu" and np.array_equal(found, np.arange(found.size)):
        return numbers.reshape(-1), (), ()
    names = [str(name) for name in found]
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return numbers.reshape(-1), names, (f"The labels {shown} were numbered from 0 on.",)
