"""One claim, checked: its verdict, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Verification:
    """What a check came to.

    **Fields:** `title`, `form` ("printed", "corrected", "own") and `corrects` of the claim; `verdict`, `evidence`, `summary`,
    `counter_example`. `expected`: the verdict that is known (missing for open questions), `as_expected`. `num_cases` of the
    claim, `num_certificates` made, and `num_proved` of them that the checker has proved once more, each against the case that
    it names. Lists with an entry for each part: `part_name`, `part_verdict`, `part_evidence`, `part_essential`, `part_summary`.
    The row's own `seconds` are those of the check and the second proofs.
    """

    title: str
    form: str
    corrects: str | None
    verdict: str
    evidence: str
    summary: str
    counter_example: str | None
    expected: str | None
    as_expected: bool | None
    num_cases: int
    num_certificates: int
    num_proved: int
    part_name: tuple[str, ...]
    part_verdict: tuple[str, ...]
    part_evidence: tuple[str, ...]
    part_essential: tuple[bool, ...]
    part_summary: tuple[str, ...]


def verify(*, claim: str, profile: Literal["quick", "standard", "thorough"] = "quick") -> Verification:
    """Check the claim with this id; `profile` says how much is looked at.

    **Raises:** `InputError` for an id that no claim has; `RuntimeError` where the check raises, with its traceback.
    """
    from mcr2_landscape.certify import check
    from mcr2_landscape.claims import load
    from mcr2_landscape.claims.run import Profile
    from mcr2_landscape.claims.worker import perform

    found = load().find(claim)
    # Nothing is shared with other claims: a row tells the work of its own claim, whatever the process did before.
    reply = perform(found, Profile(profile), {})
    if reply.outcome is None:
        raise RuntimeError(f"the check of {claim} raised an error:\n{reply.error}")
    proved = 0
    for certificate in reply.certificates:
        case = None if certificate.case is None else found.case(certificate.case)
        if case is not None and certificate.claim == found.id:
            check(certificate, case.statement)
            proved += 1
    outcome, parts = reply.outcome, reply.outcome["parts"]
    expected = None if found.expected is None else str(found.expected)
    return Verification(
        title=found.title,
        form=str(found.form),
        corrects=found.corrects,
        verdict=outcome["verdict"],
        evidence=outcome["evidence"],
        summary=outcome["summary"],
        counter_example=outcome["counter_example"],
        expected=expected,
        as_expected=None if expected is None else outcome["verdict"] == expected,
        num_cases=len(found.cases),
        num_certificates=len(reply.certificates),
        num_proved=proved,
        part_name=tuple(part["name"] for part in parts),
        part_verdict=tuple(part["verdict"] for part in parts),
        part_evidence=tuple(part["evidence"] for part in parts),
        part_essential=tuple(part["essential"] for part in parts),
        part_summary=tuple(part["summary"] for part in parts),
    )
