"""How violations are planted in claims: a check with a wrong argument, or a claim with changed cases."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

from mcr2_landscape.claims import Case, Claim, Outcome, Run, load

REGISTRY = load()
CLAIMS = {claim.id: claim for claim in REGISTRY.claims}
SHARED: dict[Any, Any] = {}


def run_check(claim: Claim | Run, **planted: Any) -> Outcome:
    run = claim if isinstance(claim, Run) else Run(claim, "quick", SHARED)
    module, name = run.claim.check.split(":")
    return getattr(importlib.import_module(module), name)(run, **planted)


def with_cases(claim_id: str, change: Callable[[Case], Case]) -> Claim:
    return dataclasses.replace(CLAIMS[claim_id], cases=tuple(change(case) for case in CLAIMS[claim_id].cases))


def restated(case: Case, **changes: Any) -> Case:
    return dataclasses.replace(case, statement=dataclasses.replace(case.statement, **changes))


def asserting(case: Case, **changes: Any) -> Case:
    return restated(case, assertion={**case.statement.assertion, **changes})


def false_identity(case: Case) -> Case:
    if case.statement.kind != "identity":
        return case
    return asserting(case, right=f"({case.statement.assertion['right']}) + 1")


Plant = Callable[[], Outcome]


def keyword(claim_id: str, name: str, **planted: Any) -> tuple[str, str, Plant]:
    """A check with arguments that are wrong."""
    return claim_id, name, lambda: run_check(CLAIMS[claim_id], **planted)


def cases(claim_id: str, name: str, change: Callable[[Case], Case]) -> tuple[str, str, Plant]:
    """A check of a claim whose cases are wrong."""
    return claim_id, name, lambda: run_check(with_cases(claim_id, change))
