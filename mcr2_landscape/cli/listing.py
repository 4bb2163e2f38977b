"""`mcr2-landscape verify --list`."""

from __future__ import annotations

from collections.abc import Sequence

from mcr2_landscape.claims.claim import Claim
from mcr2_landscape.claims.registry import Registry
from mcr2_landscape.cli.output import Output
from mcr2_landscape.report.tables import Table


def list_them(registry: Registry, claims: Sequence[Claim]) -> int:
    """Show the claims; the exit status is 1 where a provider failed."""
    output = Output(None, None)
    rows = [
        (claim.id, claim.form.value, claim.expected and claim.expected.value, len(claim.cases), claim.title) for claim in claims
    ]
    columns = ("claim", "form", "expected", "cases", "title")
    output.table(Table.of(f"{len(rows)} claims", columns, rows, left=(0, 1, 2, 4)))
    return 1 if registry.errors else 0
