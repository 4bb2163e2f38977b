"""Reading a verification document, of this version of its schema or an older one, and taking over what it holds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcr2_landscape.claims.claim import Claim, Form
from mcr2_landscape.claims.recheck import State, check_file
from mcr2_landscape.claims.registry import Registry
from mcr2_landscape.claims.run import Profile
from mcr2_landscape.claims.verification import SCHEMA, SCHEMA_VERSION, as_expected, stated
from mcr2_landscape.errors import InputError
from mcr2_landscape.verdict import Evidence, Verdict

_VERDICTS = tuple(verdict.value for verdict in Verdict)
_EVIDENCE = tuple(evidence.value for evidence in Evidence)
# What every entry of version 1 has, and what it may have beyond that, each with the words for it.
_REQUIRED = ("id", "source", "form", "verdict", "evidence", "expected", "seconds", "certificates")
_OPTIONAL: Mapping[str, Any] = {
    "summary": "",
    "parts": [],
    "counter_example": None,
    "plots": [],
    "error": None,
    "fingerprint": "",
    "certificates_made": 0,
}


def read_verification(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a verification document. Names that are unknown are left as they are, those that version 1 does not promise are
    filled in.

    **Raises:** `InputError` for a file that cannot be read, is incomplete, of another schema or of a newer version, or holds
    something else than is expected at some place.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a run with --json writes one") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text in UTF-8, hence no verification document") from None
    try:
        found = json.loads(text)
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path}: is no complete JSON text ({error}); run again without --resume") from None
    try:
        return _document(found)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def taken_over(
    old: Mapping[str, Any], claim: Claim, registry: Registry, profile: Profile, base: Path, certificates: Path | None
) -> dict[str, Any] | None:
    """The entry of an earlier run, if it says what a new one would: the fingerprint is the same, there was no error, and its
    certificates are still there and proved again. `None` otherwise.

    **Arguments:** `base`: the folder that paths are relative to. `certificates`: the folder in which they have to be, if there
    is one.
    """
    new = stated(claim, registry, profile)
    if old["fingerprint"] != new["fingerprint"] or old["error"] is not None:
        return None
    paths = [base / item for item in old["certificates"]]
    registered = Registry((claim,), ())
    if any(check_file(path, registry=registered).state not in (State.PROVED, State.UNCLAIMED) for path in paths):
        return None
    if certificates is not None:
        inside = Path(os.path.realpath(certificates))
        if len(paths) < old["certificates_made"] or not all(inside in Path(os.path.realpath(path)).parents for path in paths):
            return None
    names = (
        "verdict",
        "evidence",
        "summary",
        "parts",
        "counter_example",
        "plots",
        "seconds",
        "certificates",
        "certificates_made",
        "error",
    )
    kept = {name: old[name] for name in names}
    return new | kept | {"as_expected": as_expected(claim, kept)}


def _document(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        schema = found.get("schema") if isinstance(found, dict) else found
        raise InputError(f"schema: found {_shown(schema)}; expected {SCHEMA!r}: this is no verification document")
    version = found.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"schema_version: found {_shown(version)}; expected a number from 1 to {SCHEMA_VERSION}")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"schema_version: found {version}, this program reads up to {SCHEMA_VERSION}; a newer version of "
            "mcr2-landscape made the file: update"
        )
    claims = found.get("claims")
    if not isinstance(claims, list):
        raise InputError(f"claims: found {_shown(claims)}; expected a list")
    entries = [_entry(number, item) for number, item in enumerate(claims, start=1)]
    if len({item["id"] for item in entries}) != len(entries):
        raise InputError("claims: two have the same id")
    return {**found, "claims": entries}


def _entry(number: int, item: Any) -> dict[str, Any]:
    where = f"claims, number {number}"
    if not isinstance(item, dict):
        raise InputError(f"{where}: found {_shown(item)}; expected an object")
    missing = [name for name in _REQUIRED if name not in item]
    if missing:
        raise InputError(f"{where}: {', '.join(missing)} missing")
    filled = {**_OPTIONAL, "certificates_made": _length(item["certificates"]), **item}
    for name, (fits, words) in _FIELDS.items():
        if not fits(filled[name]):
            raise InputError(f"{where}: {name}: found {_shown(filled[name])}; expected {words}")
    return filled


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _paths(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _parts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(part, dict)
        and all(isinstance(part.get(name), str) for name in ("name", "summary"))
        and part.get("verdict") in _VERDICTS
        and part.get("evidence") in _EVIDENCE
        and isinstance(part.get("figures", {}), dict)
        for part in value
    )


def _plots(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(plot, dict)
        and all(isinstance(plot.get(name), str) for name in ("caption", "alternative", "x_label", "y_label"))
        and isinstance(plot.get("series"), list)
        and all(
            isinstance(series, dict)
            and isinstance(series.get("name"), str)
            and all(isinstance(series.get(axis), list) for axis in ("x", "y"))
            and len(series["x"]) == len(series["y"])
            and all(n is None or isinstance(n, (int, float)) for n in (*series["x"], *series["y"]))
            for series in plot["series"]
        )
        for plot in value
    )


_FIELDS: Mapping[str, Any] = {
    "id": (_text, "text"),
    "source": (_text, "text"),
    "form": (lambda value: value in tuple(form.value for form in Form), "one of " + ", ".join(form.value for form in Form)),
    "verdict": (lambda value: value in _VERDICTS, "one of " + ", ".join(_VERDICTS)),
    "evidence": (lambda value: value in _EVIDENCE, "one of " + ", ".join(_EVIDENCE)),
    "expected": (lambda value: value is None or value in _VERDICTS, "null or one of " + ", ".join(_VERDICTS)),
    "seconds": (_seconds, "a number of seconds"),
    "certificates": (_paths, "a list of paths"),
    "summary": (_text, "text"),
    "parts": (_parts, "a list of parts, each with name, verdict, evidence and summary"),
    "counter_example": (_text_or_null, "text or null"),
    "plots": (_plots, "a list of pictures as data"),
    "error": (_text_or_null, "text or null"),
    "fingerprint": (_text, "text"),
    "certificates_made": (_count, "a count"),
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
