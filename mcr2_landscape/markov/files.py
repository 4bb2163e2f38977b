"""Games as files: JSON, which keeps exact numbers and congestion games as they are, and NumPy's .npz for tables of floats.

A JSON file is an object with ``"schema": "mcr2_landscape/markov-game"``, ``"kind"``, and the arguments of `MarkovGame` (kind
"tables") or `CongestionGame` (kind "congestion") by their names, arrays as nested lists. A number of at most twelve digits is
the decimal that it says, 0.8 being 4/5; a text such as "1/3" is that fraction; a longer number is a float. An .npz file has the
arrays ``transition``, ``reward``, ``discount`` and, if wanted, ``initial``.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.files import write_bytes, write_json
from mcr2_landscape.markov.congestion import CongestionGame
from mcr2_landscape.markov.game import Game, MarkovGame
from mcr2_landscape.validation import InputError

SCHEMA, SCHEMA_VERSION = "mcr2_landscape/markov-game", 1
_KINDS: Mapping[str, tuple[Any, tuple[str, ...], tuple[str, ...]]] = {
    "tables": (MarkovGame, ("transition", "reward", "discount"), ("initial",)),
    "congestion": (
        CongestionGame,
        ("num_players", "payoff", "stays", "discount"),
        ("initial", "common_interest", "action_independent"),
    ),
}
_DIGITS = 12
_LARGEST_FILE = 1 << 30


def save_game(game: Game, path: str | os.PathLike[str]) -> Path:
    """Write a game, whole or not at all; the ending of the name, .json or .npz, says how.

    **Raises:** `InputError` for another ending, a congestion game as .npz (`to_tables` first), or a file that cannot be
    written.
    """
    path = Path(path)
    if path.suffix == ".npz":
        if not isinstance(game, MarkovGame):
            raise InputError(f"{path}: .npz holds tables alone; take .json, or game.to_tables()")
        content = BytesIO()
        arrays = {"transition": game.transition, "reward": game.reward, "initial": game.initial}
        np.savez(content, allow_pickle=False, **arrays, discount=np.array(game.discount))
        write_bytes(path, content.getvalue(), "game")
    elif path.suffix == ".json":
        write_json(path, {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **game.arguments()}, "game")
    else:
        raise InputError(f"{path}: found the ending {path.suffix!r}; pass a name that ends with .json or .npz")
    return path


def load_game(path: str | os.PathLike[str]) -> Game:
    """Read a game from a .json or .npz file.

    **Raises:** `InputError` for a file that is missing, unreadable, truncated or no game, and for what makes no game (see
    `MarkovGame` and `CongestionGame`), with the file's name.
    """
    path = Path(path)
    readers = {".npz": _read_npz, ".json": _read_json}
    if path.suffix not in readers:
        raise InputError(f"{path}: found the ending {path.suffix!r}; a game is a .json or an .npz file")
    try:
        if not path.is_file():
            raise InputError(f"{path}: there is no such file")
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path}: is larger than {_LARGEST_FILE >> 30} GB; expected a game")
        kind, arguments = readers[path.suffix](path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    make, needed, optional = _KINDS[kind]
    missing = [name for name in needed if name not in arguments]
    other = [name for name in arguments if name not in (*needed, *optional)]
    if missing or other:
        found = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(other)}"
        raise InputError(
            f"{path}: {found}; a game of kind {kind!r} has {', '.join(needed)}, and may have {', '.join(optional)}"
        )
    try:
        return make(**arguments)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read_npz(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arguments = {name: stored[name] for name in stored.files}
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"{path}: is no complete .npz file ({error})") from None
    if "discount" in arguments:
        if arguments["discount"].size != 1:
            raise InputError(f"{path}: discount: found shape {arguments['discount'].shape}; store one number")
        arguments["discount"] = arguments["discount"].reshape(()).item()
    return "tables", arguments


def _read_json(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no complete JSON text ({error})") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f'{path}: is no game: expected an object with "schema": "{SCHEMA}"')
    if document.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version: found {document.get('schema_version')!r}; this version reads {SCHEMA_VERSION}"
        )
    if document.get("kind") not in _KINDS:
        raise InputError(f"{path}: kind: found {document.get('kind')!r}; expected one of {', '.join(_KINDS)}")
    arguments = {name: value for name, value in document.items() if name not in ("schema", "schema_version", "kind")}
    for name in ("common_interest", "action_independent"):
        if not isinstance(arguments.get(name, False), bool):
            raise InputError(f"{path}: {name}: found {arguments[name]!r}; expected true or false")
    return document["kind"], arguments


def _number(text: str) -> Any:
    digits = sum(character.isdigit() for character in text.lower().split("e")[0])
    return Fraction(text) if digits <= _DIGITS else float(text)
