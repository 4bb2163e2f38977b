"""Claims found through the entry-point group ``mcr2_landscape.claims``. The standard library only.

An entry point names a collection of `Claim`, for instance in a package's setup.cfg

    [options.entry_points]
    mcr2_landscape.claims =
        my-paper = my_package.statements:CLAIMS
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib.metadata
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mcr2_landscape.claims.claim import Claim
from mcr2_landscape.errors import InputError

GROUP = "mcr2_landscape.claims"


@dataclass(frozen=True)
class ProviderError:
    """A provider that could not be loaded: its name, one line of words, and the traceback."""

    provider: str
    words: str
    details: str


@dataclass(frozen=True)
class Registry:
    """All claims in order (providers by name, each in its own order), and the providers that failed."""

    claims: tuple[Claim, ...]
    errors: tuple[ProviderError, ...]

    def find(self, claim_id: str) -> Claim:
        """The claim with this id.

        **Raises:** `InputError` where there is none, with the nearest ids.
        """
        for claim in self.claims:
            if claim.id == claim_id:
                return claim
        raise InputError(f"claim: no claim has the id {claim_id!r}" + self._nearest(claim_id))

    def select(self, patterns: Sequence[str]) -> tuple[Claim, ...]:
        """The claims whose id matches one of the patterns: an id, its beginning up to a dot, or a shell pattern with ``*``. All
        of them without a pattern.

        **Raises:** `InputError` for a pattern that matches nothing, with the nearest ids.
        """
        if not patterns:
            return self.claims
        chosen: set[str] = set()
        for pattern in patterns:
            found = {c.id for c in self.claims if fnmatch.fnmatchcase(c.id, pattern) or c.id.startswith(f"{pattern}.")}
            if not found:
                raise InputError(f"pattern: no claim matches {pattern!r}" + self._nearest(pattern))
            chosen |= found
        return tuple(claim for claim in self.claims if claim.id in chosen)

    def corrected_by(self, claim_id: str) -> str | None:
        """The id of the claim that corrects this one, if there is one."""
        return next((claim.id for claim in self.claims if claim.corrects == claim_id), None)

    def _nearest(self, words: str) -> str:
        ids = [claim.id for claim in self.claims]
        near = difflib.get_close_matches(words, ids, n=3, cutoff=0.4) or [i for i in ids if words.strip("*").lower() in i][:3]
        if not near:
            return f"; there are {len(ids)} claims, mcr2-landscape verify --list shows them"
        return "; nearest: " + ", ".join(near)


def load() -> Registry:
    """Load every provider, those of this project first, so that no other can take their ids. One that raises, gives something
    else than claims, or repeats an id becomes an error; the rest is kept."""
    claims: dict[str, Claim] = {}
    errors = []
    entries = sorted(importlib.metadata.entry_points(group=GROUP), key=_precedence)
    for entry in entries:
        try:
            found = list(entry.load())
            for claim in found:
                if not isinstance(claim, Claim):
                    raise TypeError(f"{entry.value} holds a {type(claim).__name__}; expected mcr2_landscape.claims.Claim")
            counted = Counter([*claims, *(claim.id for claim in found)])
            if repeated := sorted(claim_id for claim_id, count in counted.items() if count > 1):
                raise ValueError(f"{entry.value} repeats the ids {', '.join(repeated)}")
        except (Exception, SystemExit) as error:  # a module that ends the program must not end this one
            words = f"{entry.name} ({entry.value}): {type(error).__name__}: {error}"
            errors.append(ProviderError(entry.name, words, traceback.format_exc()))
            continue
        claims |= {claim.id: claim for claim in found}
    return Registry(tuple(claims.values()), tuple(errors))


def _precedence(entry: importlib.metadata.EntryPoint) -> tuple[bool, str, str]:
    distribution = "" if entry.dist is None else entry.dist.name
    return distribution.replace("-", "_") != "mcr2_landscape", entry.name, entry.value
