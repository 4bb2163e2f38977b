"""`mcr2-landscape check`."""

from __future__ import annotations


def check(*certificates: str, claim: str | None = None) -> int:
    """Check certificates again, and say what each of them proves.

    Ball arithmetic and exact rational numbers decide; whoever made the certificate need not be trusted. The exit status is 0 if
    all are proved, 1 if one is not (or states something else than the claim), 2 if one cannot be read, or is not what was
    written.

    Parameters
    ----------
    certificates
        Certificate files.
    claim
        The id of a claim: each certificate also has to state exactly the case of that claim that it names.
    """
    import sys
    from pathlib import Path

    from mcr2_landscape.claims.recheck import State, check_file
    from mcr2_landscape.errors import InputError

    if not certificates:
        raise InputError("check: give at least one certificate file")
    wanted = None
    if claim is not None:
        from mcr2_landscape.claims.registry import load

        registry = load()
        for error in registry.errors:
            print(f"a provider of claims failed: {error.words}", file=sys.stderr)
        wanted = registry.find(claim)
    status = 0
    for name in certificates:
        found = check_file(Path(name), claim=wanted)
        before = f"{name}: " if len(certificates) > 1 else ""
        if found.state is State.PROVED:
            words = found.words
            if wanted is not None:
                case = wanted.case(str(found.case))
                words += f" This is the {case.role.value} {case.name} of the claim {wanted.id} ({wanted.title})."
            print(before + words, flush=True)
            if wanted is None and found.claim is not None:
                print(f"{name}: says that it belongs to {found.claim}; check it with --claim {found.claim}", file=sys.stderr)
        elif found.state is State.REFUSED:
            print(f"{name}: not proved: {found.words}", file=sys.stderr)
            status = max(status, 1)
        else:
            print(f"error: {name}: {found.words}", file=sys.stderr)
            status = 2
    return status
