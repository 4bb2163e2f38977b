"""Certificates as files: a statement, what is needed to check it, and where it belongs. See docs/certificates.md.

A certificate is a JSON file without a single floating point number: rationals are text, points are hexadecimal floats, and an
array above 1 MB lies beside it as raw little-endian float64, whose SHA-256 the certificate holds.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from mcr2_landscape.certify.exact import CertificateError, ExactFamily, ExactProblem, fields, integer, items, shown
from mcr2_landscape.files import write_bytes, write_text

SCHEMA = "mcr2_landscape/certificate"
SCHEMA_VERSION = 1

_LARGEST_FILE = 16 << 20
_LARGEST_INLINE = 1 << 20
_LARGEST_POINT = 1 << 20  # unknowns
_DEEPEST = 12  # levels of nesting; a family within a chain of inequalities has seven
_HEXADECIMAL = re.compile(r"(-)?0x([0-9a-f]{1,16})(?:\.([0-9a-f]{1,16}))?p([+-]?[0-9]{1,4})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class Point:
    """A point Z as the exact numbers that its float64 entries are, in C order."""

    entries: tuple[float, ...]

    def __str__(self) -> str:
        return "the stored point"


@dataclass(frozen=True)
class Statement:
    """What a certificate proves, as exact data.

    **Fields:** `kind` (a key of `check.KINDS`), `problem` (`None` where the statement is about no problem), `subject` (a
    family, a point, or `None`) and `assertion`: plain values whose names depend on the kind.
    """

    kind: str
    problem: ExactProblem | None = None
    subject: ExactFamily | Point | None = None
    assertion: Mapping[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """The statement as JSON values, equal for equal statements."""
        subject: Any = self.subject
        if isinstance(subject, Point):
            subject = {"point": [entry.hex() for entry in subject.entries]}
        elif isinstance(subject, ExactFamily):
            subject = subject.to_plain()
        return {
            "kind": self.kind,
            "problem": None if self.problem is None else self.problem.to_plain(),
            "subject": subject,
            "assertion": plain_copy(self.assertion),
        }


@dataclass(frozen=True)
class Certificate:
    """A statement with its witness: what the checker needs beyond the statement and nobody has to believe.

    `claim` and `case` name the claim and the case of it that the certificate was made for; they prove nothing by themselves.
    """

    statement: Statement
    witness: Mapping[str, Any] = field(default_factory=dict)
    claim: str | None = None
    case: str | None = None


def plain_copy(value: Any) -> Any:
    """Mappings as dictionaries, sequences as lists and fractions as text, all the way down."""
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain_copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_copy(item) for item in value]
    return value


def write(certificate: Certificate, path: str | Path) -> Path:
    """Write a certificate, whole or not at all; large arrays first, beside it.

    **Raises:** `InputError` where a file cannot be written.
    """
    path = Path(path)
    plain = certificate.statement.to_plain()
    witness = plain_copy(certificate.witness)
    if isinstance(certificate.statement.subject, Point):
        plain["subject"] = {"point": _stored(path, "point", certificate.statement.subject.entries)}
    if "direction" in witness:
        witness["direction"] = _stored(path, "direction", certificate.witness["direction"])
    document = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "claim": certificate.claim, "case": certificate.case}
    document |= plain | {"witness": witness}
    document["sha256"] = _digest(document)
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "certificate")
    return path


def read(path: str | Path) -> Certificate:
    """Read a certificate. Everything is looked at; nothing is believed.

    **Raises:** `CertificateError` that says what is wrong with the file.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if not path.is_file() or size > _LARGEST_FILE:
            raise CertificateError(f"{path}: expected a file of at most {_LARGEST_FILE >> 20} MB")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CertificateError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise CertificateError(f"{path}: is no text in UTF-8, hence no certificate") from None
    try:
        document = json.loads(
            text, parse_float=_refuse_float, parse_constant=_refuse_float, parse_int=_small, object_pairs_hook=_unique
        )
    except CertificateError as error:
        raise CertificateError(f"{path}: {error}") from None
    except RecursionError:
        raise CertificateError(f"{path}: is nested too deeply") from None
    except ValueError as error:
        raise CertificateError(f"{path}: is no complete JSON text ({error})") from None
    try:
        _check_depth(document)
        return _certificate(document, path)
    except CertificateError as error:
        raise CertificateError(f"{path}: {error}") from None


def _certificate(document: Any, path: Path) -> Certificate:
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        found = shown(document.get("schema")) if isinstance(document, Mapping) else shown(document)
        raise CertificateError(f"schema: found {found}; expected {SCHEMA!r}: this is no certificate")
    version = document.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        advice = "it was made by a newer version of mcr2-landscape: update" if newer else "make it again"
        raise CertificateError(f"schema_version: found {shown(version)}, this program reads {SCHEMA_VERSION}; {advice}")
    names = ("schema", "schema_version", "claim", "case", "kind", "problem", "subject", "assertion", "witness", "sha256")
    fields("certificate", document, names)
    if document["sha256"] != _digest({name: document[name] for name in names if name != "sha256"}):
        raise CertificateError("sha256: does not fit the contents: the file was changed after it was written")
    for name in ("claim", "case"):
        if document[name] is not None and not (isinstance(document[name], str) and _NAME.fullmatch(document[name])):
            raise CertificateError(f"{name}: found {shown(document[name])}; expected a name or null")
    if not isinstance(document["kind"], str):
        raise CertificateError(f"kind: found {shown(document['kind'])}; expected a word")
    for name in ("assertion", "witness"):
        if not isinstance(document[name], Mapping):
            raise CertificateError(f"{name}: found {shown(document[name])}; expected an object")
    problem = None if document["problem"] is None else ExactProblem.from_plain(document["problem"])
    subject: ExactFamily | Point | None = None
    if isinstance(document["subject"], Mapping) and "point" in document["subject"]:
        stored = fields("subject", document["subject"], ("point",))["point"]
        subject = Point(_loaded("point", stored, path, problem))
    elif document["subject"] is not None:
        subject = ExactFamily.from_plain(document["subject"])
    witness = dict(document["witness"])
    if "direction" in witness:
        witness["direction"] = _loaded("direction", witness["direction"], path, problem)
    statement = Statement(document["kind"], problem, subject, document["assertion"])
    return Certificate(statement, witness, document["claim"], document["case"])


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            item
            for entry in level
            if isinstance(entry, (dict, list))
            for item in (entry.values() if isinstance(entry, dict) else entry)
            if isinstance(item, (dict, list))
        ]
    if level:
        raise CertificateError(f"found more than {_DEEPEST} levels of nesting: this is no certificate")


def _stored(path: Path, name: str, entries: Sequence[float]) -> Any:
    if 8 * len(entries) <= _LARGEST_INLINE:
        return [float(entry).hex() for entry in entries]
    raw = struct.pack(f"<{len(entries)}d", *entries)
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem)[:150].lstrip("._-") or "certificate"
    beside = path.with_name(f"{stem}.{name}.f64")
    write_bytes(beside, raw, "certificate")
    return {"file": beside.name, "sha256": hashlib.sha256(raw).hexdigest(), "count": len(entries)}


def _loaded(name: str, stored: Any, path: Path, problem: ExactProblem | None) -> tuple[float, ...]:
    if problem is None:
        raise CertificateError(f"{name}: given without a problem")
    count = problem.dim * problem.num_samples
    if count > _LARGEST_POINT:
        raise CertificateError(f"{name}: the problem has {count} unknowns; points are stored up to {_LARGEST_POINT}")
    if isinstance(stored, Mapping):
        entry = fields(name, stored, ("file", "sha256", "count"))
        beside = entry["file"]
        if not (isinstance(beside, str) and _NAME.fullmatch(beside) and beside.endswith(".f64")):
            raise CertificateError(
                f"{name}: found the file {shown(beside)}; expected a name of the form x.f64, in the same folder"
            )
        if integer("count", entry["count"], 0, 10**9) != count:
            raise CertificateError(f"{name}: found {entry['count']} numbers; the problem has {count} unknowns")
        try:
            if path.with_name(beside).stat().st_size != 8 * count:
                raise CertificateError(f"{name}: {beside} has not {8 * count} bytes: it is truncated or another file")
            raw = path.with_name(beside).read_bytes()
        except OSError as error:
            raise CertificateError(f"{name}: {beside} cannot be read ({error.strerror or error})") from None
        if hashlib.sha256(raw).hexdigest() != entry["sha256"]:
            raise CertificateError(f"{name}: {beside} does not have the SHA-256 that the certificate holds")
        entries = struct.unpack(f"<{len(raw) // 8}d", raw)
    else:
        try:
            entries = tuple(_hexadecimal(item) for item in items(name, stored))
        except (ValueError, OverflowError):
            raise CertificateError(f"{name}: expected hexadecimal floats such as '0x1.8p+0'") from None
    if len(entries) != count:
        raise CertificateError(f"{name}: found {len(entries)} numbers; the problem has {count} unknowns")
    if not all(map(math.isfinite, entries)):
        raise CertificateError(f"{name}: found NaN or infinity; expected finite numbers")
    if any(abs(entry) > 1e150 for entry in entries):
        raise CertificateError(f"{name}: found a number beyond 1e150; scale the problem")
    return entries


def _hexadecimal(item: Any) -> float:
    if not isinstance(item, str) or not (match := _HEXADECIMAL.fullmatch(item)):
        raise ValueError
    value = float.fromhex(item)
    if value.hex() == item:
        return value
    # Another spelling, of exactly this number: one that float64 cannot hold would be rounded.
    sign, whole, digits, exponent = match.groups(default="")
    exact = Fraction(int(whole + digits, 16)) * Fraction(2) ** (int(exponent) - 4 * len(digits))
    if Fraction(value) != (-exact if sign else exact):
        raise ValueError
    return value


def _digest(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_float(text: str) -> Any:
    raise CertificateError(
        f"found the number {text[:40]}; certificates hold integers, rationals as text and hexadecimal floats"
    )


def _small(text: str) -> int:
    if len(text) > 20:
        raise CertificateError(f"found an integer of {len(text)} digits; expected at most 20")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CertificateError("found a name twice in one object")
    return found
