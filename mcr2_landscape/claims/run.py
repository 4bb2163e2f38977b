"""What a check is given: how much to look at, where randomness comes from, and the claim's cases made into certificates."""

from __future__ import annotations

import enum
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from mcr2_landscape.certify import Certificate, CertificateError, Disproved, Undecided
from mcr2_landscape.claims.claim import Claim, Role
from mcr2_landscape.claims.outcome import Part
from mcr2_landscape.verdict import Evidence, Verdict

T = TypeVar("T")


class Profile(enum.StrEnum):
    """How much is looked at: `quick` takes about a minute for all claims, `standard` minutes, `thorough` as long as it
    takes."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


class Run:
    """One check at work.

    **Attributes:** `claim`; `profile`; `certificates`: what has been proved so far, in the order of the cases.
    """

    def __init__(self, claim: Claim, profile: Profile | str = Profile.STANDARD, shared: dict[Any, Any] | None = None):
        self.claim, self.profile = claim, Profile(profile)
        self.certificates: list[Certificate] = []
        self._shared = {} if shared is None else shared

    @property
    def seed(self) -> int:
        """A seed of the claim's own, the same at every run."""
        return zlib.crc32(self.claim.id.encode())

    def choose(self, quick: T, standard: T, thorough: T) -> T:
        """What suits the profile."""
        return {Profile.QUICK: quick, Profile.STANDARD: standard, Profile.THOROUGH: thorough}[self.profile]

    def shared(self, name: Any, work: Callable[[], T]) -> T:
        """The result of `work`, done once for all claims of a process that ask for this name at this profile."""
        key = (self.profile, name)
        if key not in self._shared:
            self._shared[key] = work()
        return self._shared[key]

    def certify(self, *, essential: bool = True) -> list[Part]:
        """Make and check a certificate for each case of the claim. A case that cannot be proved is an undecided part, with the
        reason. A counter-example that is proved refutes, and so does an instance that is disproved."""
        from mcr2_landscape.certify import certify_statement

        parts = []
        for case in self.claim.cases:
            counter = case.role is Role.COUNTER_EXAMPLE
            name = f"{case.role.value} {case.name}"
            try:
                made = certify_statement(case.statement, claim=self.claim.id, case=case.name)
            except Disproved as error:
                verdict = Verdict.REFUTED if case.role is Role.INSTANCE else Verdict.UNDECIDED
                parts.append(Part(name, verdict, Evidence.EXACT, f"The checker has disproved it: {error}.", {}, essential))
                continue
            except CertificateError as error:
                kind = "not proved" if isinstance(error, Undecided) else "fails"
                words = f"The certificate {kind}: {error}."
                parts.append(Part(name, Verdict.UNDECIDED, Evidence.CERTIFIED, words, {}, essential))
                continue
            self.certificates.append(made.certificate)
            verdict = Verdict.REFUTED if counter else Verdict.HOLDS
            words = f"{case.words} {made.proof.sentence}".strip()
            parts.append(Part(name, verdict, Evidence.CERTIFIED, words, made.proof.figures, essential))
        return parts

    def certify_proof(self, name: str = "identities of the proof") -> Part:
        """Make the certificates of all cases, identities that make up a proof, and sum them up in one part: exact if all are
        certified."""
        parts = self.certify()
        failed = [part for part in parts if part.verdict is not Verdict.HOLDS]
        if failed or not parts:
            verdict = Verdict.REFUTED if any(part.verdict is Verdict.REFUTED for part in failed) else Verdict.UNDECIDED
            return Part(name, verdict, Evidence.EXACT, " ".join(part.summary for part in failed) or "The claim has no cases.")
        words = " ".join(case.words for case in self.claim.cases)
        words = f"Each with a certificate: {words}"
        return Part(name, Verdict.HOLDS, Evidence.EXACT, words, {"steps": len(parts)})
