"""The verification document: what was claimed, what was found, and where the proofs lie. Its schema is in docs/claims.md.

Entries are plain JSON values from the start: those of an earlier run, taken over by `--resume`, and new ones are alike.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mcr2_landscape
from mcr2_landscape.claims.claim import Claim
from mcr2_landscape.claims.registry import Registry
from mcr2_landscape.claims.run import Profile
from mcr2_landscape.claims.runner import Checked
from mcr2_landscape.claims.storage import relative
from mcr2_landscape.record import to_plain
from mcr2_landscape.verdict import Evidence, Verdict

SCHEMA = "mcr2_landscape/verification"
SCHEMA_VERSION = 1


def entry(checked: Checked, registry: Registry, profile: Profile, certificates: Iterable[Path], base: Path) -> dict[str, Any]:
    """The entry of a claim that was checked.

    **Arguments:** `certificates`: where its certificates were written, if they were. `base`: the folder that paths are relative
    to.
    """
    claim, reply = checked.claim, checked.reply
    outcome = reply.outcome or {
        "verdict": Verdict.UNDECIDED.value,
        "evidence": Evidence.NUMERICAL.value,
        "summary": "The check failed; there is no result.",
        "parts": [],
        "counter_example": None,
        "plots": [],
    }
    found = {
        **{name: outcome[name] for name in ("verdict", "evidence", "summary", "parts", "counter_example", "plots")},
        "seconds": round(reply.seconds, 3),
        "certificates": [relative(path, base) for path in certificates],
        "certificates_made": len(reply.certificates),
        "error": reply.error,
    }
    return stated(claim, registry, profile) | found | {"as_expected": as_expected(claim, found)}


def stated(claim: Claim, registry: Registry, profile: Profile) -> dict[str, Any]:
    """What an entry says of the claim itself."""
    plain = claim.to_dict()
    names = ("id", "title", "source", "form", "statement", "formula", "hypotheses", "corrects")
    return {name: plain[name] for name in names} | {
        "corrected_by": registry.corrected_by(claim.id),
        "expected": plain["expected"],
        "cases": plain["cases"],
        "fingerprint": fingerprint(claim, profile),
    }


def as_expected(claim: Claim, found: Mapping[str, Any]) -> bool:
    """Whether a verdict is the expected one. An error never is; any verdict is where none is expected."""
    return found["error"] is None and claim.expected in (None, found["verdict"])


def fingerprint(claim: Claim, profile: Profile | str) -> str:
    """SHA-256 over all that a result depends on: the claim with its cases' statements, the profile, the version of this package
    and the text of the module that checks the claim and of those beside it in its package."""
    plain = {
        "claim": claim.to_dict(),
        "statements": [case.statement.to_plain() for case in claim.cases],
        "profile": Profile(profile).value,
        "version": mcr2_landscape.__version__,
        "check": _source_digest(claim.check.partition(":")[0]),
    }
    # default: a statement that is not well formed is the checker's to refuse.
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def document(
    entries: Sequence[Mapping[str, Any]],
    registry: Registry,
    *,
    profile: Profile,
    patterns: Sequence[str],
    complete: bool,
    device: str | None = None,
) -> dict[str, Any]:
    """The whole document.

    **Arguments:** `complete`: whether every claim that was asked for has its entry. `device`: what computed, if it is known.
    """
    from mcr2_landscape.provenance import provenance

    configuration = {"profile": profile.value, "patterns": list(patterns)}
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "provenance": to_plain(provenance(configuration, device=device)),
        "configuration": configuration,
        "complete": complete,
        "counts": counts(entries),
        "provider_errors": [to_plain(error) for error in registry.errors],
        "claims": [dict(item) for item in entries],
    }


def counts(entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many claims came to what. Errors are counted apart from the undecided."""
    entries = tuple(entries)
    sound = [item for item in entries if item["error"] is None]
    by_verdict = {verdict.value: sum(item["verdict"] == verdict for item in sound) for verdict in Verdict}
    return {
        "claims": len(entries),
        **by_verdict,
        "errors": len(entries) - len(sound),
        "as_expected": sum(item["as_expected"] for item in entries),
    }


def _source_digest(module: str) -> str | None:
    """The digest of a module's file and of the others in the folder of its package, found without importing the module itself;
    `None` where there is none to find."""
    try:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
            return None
        file = Path(spec.origin)
        found = sorted(file.parent.glob("*.py")) if spec.parent else [file]
        digests = [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in found]
        return hashlib.sha256(json.dumps(digests).encode()).hexdigest()
    except Exception:  # importing the packages above it may raise anything
        return None
