"""Certificates checked again, against the claims that they belong to. No check runs, and neither NumPy nor JAX is loaded."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcr2_landscape.certify import CertificateError, Proof, Statement, check, read
from mcr2_landscape.certify.certificate import Certificate
from mcr2_landscape.claims.claim import Claim
from mcr2_landscape.claims.registry import Registry
from mcr2_landscape.claims.storage import safe_name, schema_of
from mcr2_landscape.errors import InputError

# The document of the run itself may lie beside its certificates. (claims.verification, which names it too, is not for the
# checker.)
_VERIFICATION = "mcr2_landscape/verification"


class State(enum.StrEnum):
    """What became of a certificate: proved again, proved but named by no claim as its case, refused (with a reason), not
    readable, or not there."""

    PROVED = "proved"
    UNCLAIMED = "of no claim"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    MISSING = "missing"


@dataclass(frozen=True)
class Rechecked:
    """A certificate, or the place of one: what became of it, and in words what it proves or why it does not."""

    path: Path
    state: State
    words: str
    claim: str | None = None
    case: str | None = None


def check_file(
    path: Path, expected: Statement | None = None, *, registry: Registry | None = None, claim: Claim | None = None
) -> Rechecked:
    """Read a certificate and verify it. Nothing that is wrong with it is raised.

    **Arguments:** `expected`: what it has to state. `registry`: where a claim that it names is looked up; it then has to state
    the case of it that it names, and is of no claim where it names none. `claim`: the same for one given claim.
    """
    try:
        certificate = read(path)
    except Exception as error:
        return Rechecked(path, State.UNREADABLE, _reason(error, path))
    names = (certificate.claim, certificate.case)
    try:
        if claim is not None:
            expected = _case_of(certificate, claim)
        elif registry is not None and certificate.claim is not None:
            expected = _case_of(certificate, registry.find(certificate.claim))
        proof: Proof = check(certificate, expected)
    # Whatever a certificate makes the checker do, it has then proved nothing.
    except Exception as error:
        return Rechecked(path, State.REFUSED, _reason(error, path), *names)
    unclaimed = registry is not None and expected is None
    return Rechecked(path, State.UNCLAIMED if unclaimed else State.PROVED, proof.sentence, *names)


def recheck(registry: Registry, claims: Sequence[Claim], folder: Path, *, everything: bool) -> Iterator[Rechecked]:
    """Check the certificate of every case of the claims, then whatever other certificates lie in the folder.

    **Arguments:** `everything`: whether the claims are all that there are. Claims without a folder of their own are then passed
    over (`without_certificates` tells them), and the others looked for everywhere; else each case of each claim has to be
    there.
    """
    seen: set[Path] = set()
    for claim in claims:
        place = folder / safe_name(claim.id)
        if everything and not place.is_dir():
            continue
        for case in claim.cases:
            path = place / f"{safe_name(case.name)}.json"
            seen.add(path)
            if path.exists():
                found = check_file(path, case.statement)
                yield Rechecked(path, found.state, found.words, claim.id, case.name)
            else:
                yield Rechecked(path, State.MISSING, f"case {case.name} of {claim.id} has no certificate", claim.id, case.name)
    places = [folder] if everything else [folder / safe_name(claim.id) for claim in claims]
    for path in sorted(path for place in places for path in place.rglob("*.json")):
        if path not in seen and not (path.parent == folder and schema_of(path) == _VERIFICATION):
            yield check_file(path, registry=registry)


def without_certificates(claims: Sequence[Claim], folder: Path) -> tuple[Claim, ...]:
    """The claims whose cases have no folder here."""
    return tuple(claim for claim in claims if claim.cases and not (folder / safe_name(claim.id)).is_dir())


def _case_of(certificate: Certificate, claim: Claim) -> Statement:
    """The statement of this claim's case that has the name in the certificate. Which claim the certificate names is no matter:
    what it states decides."""
    if certificate.case is None:
        raise CertificateError(f"case: the certificate names no case of a claim; {claim.id} is not what it was made for")
    return claim.case(certificate.case).statement


def _reason(error: Exception, path: Path) -> str:
    words = str(error).removeprefix(f"{path}: ")
    return words if isinstance(error, InputError) else f"the checker failed ({type(error).__name__}: {words})"
