"""Published architectures by name."""

from __future__ import annotations

import difflib
import re
from typing import Any

from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox.architecture import Architecture

# Width, depth and heads.
_CRATE = {"T": (384, 12, 6), "S": (576, 12, 12), "B": (768, 12, 12), "L": (1024, 24, 16)}
_VIT = {"T": (192, 12, 3), "S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "H": (1280, 32, 16)}
_SIZES = {
    "crate": _CRATE,
    "crate-alpha": {**_CRATE, "T": (192, 12, 3), "H": (1280, 32, 16)},
    "crate-mae": _CRATE,
    "vit": _VIT,
    "vit-mae": {size: _VIT[size] for size in ("B", "L", "H")},
}
_SPELLING = {"crate": "CRATE", "crate-alpha": "alpha", "crate-mae": "mae", "vit": "ViT", "vit-mae": "ViT-MAE"}
_ALIASES = {"alpha": "crate-alpha", "crate-α": "crate-alpha", "mae": "crate-mae"}
_NAME = re.compile(r"(?P<family>[a-zα]+(?:-[a-zα]+)?)-(?P<size>t|ti|s|b|l|h)/(?P<patch>[0-9]{1,4})")
_USUAL_PATCHES = (8, 14, 16, 32)


def names() -> tuple[str, ...]:
    """The names of all families and sizes with the usual patches; other patches have names of the same form."""
    return tuple(
        f"{_SPELLING[family]}-{size}/{patch}" for family, sizes in _SIZES.items() for size in sizes for patch in _USUAL_PATCHES
    )


def named(name: str, *, num_classes: int = 1000, image_size: Any = 224, **switches: Any) -> Architecture:
    """The architecture of a name, upper or lower case: "CRATE-T/16" (also S, B, L), "alpha-B/16" or "CRATE-alpha-B/16" (also L,
    H), "mae-S/16" or "CRATE-MAE-S/16" (T, S, B, L), "ViT-T/16" (S, B, L, H), "ViT-MAE-B/16" (L, H), with any patch after the
    slash. `switches` are fields of `Architecture`.

    **Raises:** `InputError` for an unknown name (the nearest known ones are offered), or switches that do not fit.
    """
    found = _NAME.fullmatch(name.strip().lower()) if isinstance(name, str) else None
    family = _ALIASES.get(found["family"], found["family"]) if found else ""
    size = found["size"].replace("ti", "t").upper() if found else ""
    if found is None or size not in _SIZES.get(family, {}) or int(found["patch"]) == 0:
        raise InputError(f"name: found {name!r}; {_nearest(name)}")
    dim, depth, heads = _SIZES[family][size]
    settings: dict[str, Any] = {"dim": dim, "depth": depth, "heads": heads, "patch": int(found["patch"])}
    settings |= {"image_size": image_size, "num_classes": num_classes}
    if family == "vit-mae":
        settings |= {"decoder_depth": 8, "decoder_dim": dim, "decoder_heads": 16}
    return Architecture.published(family=family, **{**settings, **switches})


def _nearest(name: Any) -> str:
    by_folded = {known.lower(): known for known in names()}
    by_folded |= {f"crate-{folded}": f"CRATE-{known}" for folded, known in by_folded.items() if folded[:2] in ("al", "ma")}
    near = difflib.get_close_matches(str(name).strip().lower(), by_folded, 3, cutoff=0.4) if isinstance(name, str) else []
    if near:
        return f"did you mean {', or '.join(by_folded[match] for match in near)}?"
    return "known are names such as CRATE-B/16, alpha-B/16, mae-B/16, ViT-B/16 and ViT-MAE-B/16"
