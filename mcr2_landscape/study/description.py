"""A study's description: the file that names a task, its parameters and its seeds, checked key by key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcr2_landscape.errors import InputError
from mcr2_landscape.study.values import check_keys

SIZES = ("quick", "full")
_SPACE = ("parameters", "cases", "grid", "sample", "seeds", "chunk")
_KEYS = ("name", "task", "title", "about", *_SPACE, *SIZES)


@dataclass(frozen=True)
class Description:
    """What a study's file says, in one size.

    **Fields:** `name`, `task`, `title` and `about` (text); `parameters`, the same for every unit; `cases`, tables of parameters
    that vary together; `grid` and `sample`, the parameters that vary one by one or are drawn; `seeds`; `chunk`, units that a
    worker takes at once (`None`: as many as take about a second); `size`, which size this is (`None` for a file without any).
    The values are as the file has them: `Study` knows their meaning.
    """

    name: str
    task: str
    title: str = ""
    about: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cases: tuple[Mapping[str, Any], ...] = ()
    grid: Mapping[str, Any] = field(default_factory=dict)
    sample: Mapping[str, Any] = field(default_factory=dict)
    seeds: Any = None
    chunk: int | None = None
    size: str | None = None


def read_description(path: Path, size: str | None = None) -> tuple[Description, str]:
    """Read a study's file, and return its description with its text.

    **Arguments:** `size`: "quick" or "full" for a file that has these tables; "quick" by default.

    **Raises:** `InputError` for a file that cannot be read, is no TOML, or holds an unknown key (the nearest is offered) or a
    value of a wrong type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a study's file (.toml)") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text in UTF-8; a study is a TOML file") from None
    return parse_description(text, str(path), size), text


def parse_description(text: str, where: str, size: str | None = None) -> Description:
    """The description in a text; see `read_description`. `where` is what messages call the text."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: is no TOML: {error}") from None
    check_keys(content, _KEYS, where)
    sizes = [name for name in SIZES if name in content]
    if size is None and sizes:
        size = sizes[0]
    if size is not None and size not in sizes:
        known = f"this study has {' and '.join(sizes)}" if sizes else "this study has no sizes; leave it out"
        raise InputError(f"{where}: size: found {size!r}; {known}")
    for name in sizes:
        check_keys(_table(content, name, where), _SPACE, f"{where}: [{name}]")
    chosen = _merged(content, {} if size is None else content[size], where)
    name, task = (_text(content, key, where, required=True) for key in ("name", "task"))
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"{where}: name: found {name!r}; use letters, digits, - and _: the results' folder is called so")
    cases = chosen.get("cases", [])
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise InputError(f"{where}: cases: write [[cases]] with a table of parameters for each")
    chunk = chosen.get("chunk")
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
        raise InputError(f"{where}: chunk: found {chunk!r}; give how many units a worker takes at once, an integer from 1 on")
    return Description(
        name,
        task,
        _text(content, "title", where),
        _text(content, "about", where),
        _table(chosen, "parameters", where),
        tuple(cases),
        _table(chosen, "grid", where),
        _table(chosen, "sample", where),
        chosen.get("seeds"),
        chunk,
        size,
    )


def _merged(content: Mapping[str, Any], chosen: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The file's own tables with those of the size over them: tables key by key, everything else as a whole."""
    merged = {key: content[key] for key in _SPACE if key in content}
    for key, value in chosen.items():
        table = key in ("parameters", "grid", "sample")
        merged[key] = {**_table(merged, key, where), **_table(chosen, key, where)} if table else value
    return merged


def _table(content: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise InputError(f"{where}: {key}: found {value!r}; write it as a table, [{key}]")
    return value


def _text(content: Mapping[str, Any], key: str, where: str, *, required: bool = False) -> str:
    value = content.get(key)
    if value is None and not required:
        return ""
    if value is None:
        raise InputError(f'{where}: {key} is missing; write {key} = "…"')
    if not isinstance(value, str) or (required and not value):
        raise InputError(f"{where}: {key}: found {value!r}; write a text in quotes")
    return value
