"""`mcr2-landscape verify --recheck`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mcr2_landscape.claims.claim import Claim
from mcr2_landscape.claims.recheck import Rechecked, State, recheck, without_certificates
from mcr2_landscape.claims.registry import Registry
from mcr2_landscape.errors import InputError


def recheck_folder(registry: Registry, claims: Sequence[Claim], place: str, *, all_claims: bool) -> int:
    """Check the certificates in a folder against their claims. The exit status is 0 if all are proved and none is missing;
    those of no claim are counted apart.

    **Raises:** `InputError` for what is no folder, or holds no certificate.
    """
    folder = Path(place)
    if not folder.is_dir():
        raise InputError(f"--recheck {place}: is no folder; give the one that --certificates has filled")
    states: Counter[State] = Counter()
    for found in recheck(registry, claims, folder, everything=all_claims):
        if not states:
            print(f"{'result':<11}  {'certificate':<56}  what it proves, or why not")
        states[found.state] += 1
        print(_row(found, folder), flush=True)
    if not states.total() - states[State.MISSING]:
        raise InputError(f"--recheck {place}: holds no certificate" + ("" if all_claims else " of these claims"))
    absent = without_certificates(claims, folder)
    if all_claims and absent:
        print(f"{len(absent)} claims have no certificates here: " + ", ".join(claim.id for claim in absent), file=sys.stderr)
    plural = "" if states.total() == 1 else "s"
    print(
        f"\n{states.total()} certificate{plural}: " + ", ".join(f"{states[state]} {state}" for state in State if states[state])
    )
    return 0 if set(states) <= {State.PROVED, State.UNCLAIMED} and not registry.errors else 1


def _row(found: Rechecked, folder: Path) -> str:
    name = found.path.relative_to(folder).as_posix()
    return f"{'ok' if found.state is State.PROVED else found.state:<11}  {name:<56}  {found.words}"
