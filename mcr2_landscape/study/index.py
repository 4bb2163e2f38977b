"""Which units the parts of a store hold, found out once: a long run leaves thousands of small parts, each a file to open.

The index is derived and may be removed at any time. Parts never change and never share a name, so what it says of a part that
is there is true.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mcr2_landscape.files import place
from mcr2_landscape.study.space import DIGEST_BYTES

_WORTHWHILE = 64  # parts that are not in the index yet


def identities_of_parts(
    parts: Sequence[Path], index: Path, read: Callable[[Path], np.ndarray], *, may_write: bool
) -> np.ndarray:
    """The identities of all rows in `parts`, (rows, 16) bytes, in their order.

    **Arguments:** `index`: the file of the index. `read`: the identities of one part. `may_write`: whether the index may be
    brought up to date where that is worthwhile.
    """
    known = _load(index)
    fresh = {path.name: read(path) for path in parts if path.name not in known}
    pieces = {path.name: known.get(path.name, fresh.get(path.name)) for path in parts}
    everything = np.concatenate([_EMPTY, *(piece for piece in pieces.values() if piece is not None)])
    if may_write and len(fresh) >= _WORTHWHILE:
        content = io.BytesIO()
        counts = np.array([0 if piece is None else len(piece) for piece in pieces.values()])
        np.savez(content, names=np.array(list(pieces)), counts=counts, identities=everything)
        place(index, content.getbuffer())
    return everything


_EMPTY = np.empty((0, DIGEST_BYTES), np.uint8)


def _load(index: Path) -> dict[str, np.ndarray]:
    try:
        with open(index, "rb") as file, np.load(file, allow_pickle=False) as stored:
            names, counts, identities = stored["names"], stored["counts"], stored["identities"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # none, or a damaged one: it is read from the parts
        return {}
    ends = np.cumsum(counts)
    if len(names) != len(counts) or (len(ends) and ends[-1] != len(identities)):
        return {}
    return {str(name): identities[end - count : end] for name, count, end in zip(names, counts, ends, strict=True)}
