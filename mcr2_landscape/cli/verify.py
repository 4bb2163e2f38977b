"""`mcr2-landscape verify`."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from mcr2_landscape.cli.options import File


def verify(
    *patterns: str,
    profile: Literal["quick", "standard", "thorough"] = "standard",
    jobs: int | None = None,
    json: File = None,
    report: File = None,
    certificates: str | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    recheck: str | None = None,
    list_claims: Annotated[bool, Parameter(name="--list", negative="")] = False,
) -> int:
    """Check what the papers state, claim by claim, and keep the evidence.

    The exit status is 0 if every verdict is the expected one, and 1 if one differs or is an error.

    Parameters
    ----------
    patterns
        Which claims: an id, its beginning up to a dot, or a shell pattern such as '*.printed'. All of them by default.
    profile
        How much is looked at: quick takes about a minute, standard minutes, thorough as long as it takes.
    jobs
        How many claims are checked at the same time; by default as many as there are cores.
    json
        Write everything to this JSON file, anew after each claim; - is standard output.
    report
        Write an HTML report to this file.
    certificates
        Keep the certificates in this folder.
    resume
        Take over from the file of --json what an earlier run has finished, and check the rest.
    recheck
        Check no claim, but the certificates in this folder, against the claims that they belong to.
    list_claims
        Show which claims there are.
    """
    from mcr2_landscape.claims.registry import load
    from mcr2_landscape.errors import InputError

    chosen = {
        "--jobs": jobs is not None,
        "--json": json is not None,
        "--report": report is not None,
        "--certificates": certificates is not None,
        "--resume": resume,
    }
    mode = "--recheck" if recheck is not None else "--list" if list_claims else None
    if recheck is not None and list_claims:
        raise InputError("--recheck, --list: give one of them")
    if mode is not None and any(chosen.values()):
        raise InputError(f"{mode}: checks no claim; leave out " + ", ".join(name for name, given in chosen.items() if given))
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs: found {jobs}; it must be at least 1")
    registry = load()
    for error in registry.errors:  # first of all: a claim that is not found may be one of theirs
        print(f"a provider of claims failed: {error.words}", file=sys.stderr)
    claims = registry.select(patterns)
    if list_claims:
        from mcr2_landscape.cli.listing import list_them

        return list_them(registry, claims)
    if recheck is not None:
        from mcr2_landscape.cli.rechecking import recheck_folder

        return recheck_folder(registry, claims, recheck, all_claims=not patterns)
    from mcr2_landscape.cli.verification import Places, run

    return run(registry, claims, patterns, profile, jobs, Places.of(json, report, certificates, resume=resume))
