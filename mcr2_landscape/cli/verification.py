"""Claims checked from the command line: what is written where, and what is said meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcr2_landscape.claims.claim import Claim
from mcr2_landscape.claims.registry import Registry
from mcr2_landscape.claims.run import Profile
from mcr2_landscape.claims.runner import Checked, check_claims
from mcr2_landscape.claims.storage import check_folder, store
from mcr2_landscape.claims.verification import document, entry
from mcr2_landscape.claims.worker import Reply
from mcr2_landscape.cli.output import Output
from mcr2_landscape.cli.rows import Rows, StatusLine
from mcr2_landscape.errors import InputError
from mcr2_landscape.files import to_json, write_json

_DIFFERS, _INTERRUPTED = 1, 130


@dataclass(frozen=True)
class Places:
    """Where results go, and what of an earlier run lies there.

    **Fields:** `output` (JSON and report), `certificates`, `base`: the folder that paths in the document are relative to;
    `earlier`: entries of the document that is to be replaced, by id; `resume`: whether they are taken over.
    """

    output: Output
    certificates: Path | None
    base: Path
    earlier: Mapping[str, Mapping[str, Any]]
    resume: bool

    @staticmethod
    def of(json: str | None, report: str | None, certificates: str | None, *, resume: bool) -> Places:
        """Look at everything before the work begins.

        **Raises:** `InputError` for a place that cannot be written, or nothing to resume.
        """
        from mcr2_landscape.claims.reading import read_verification

        if resume and (json is None or json == "-"):
            raise InputError("--resume: needs --json with the file that an earlier run has written")
        places = {"--json": json, "--report": report, "--certificates": certificates}
        given = [(name, os.path.realpath(place)) for name, place in places.items() if place not in (None, "-")]
        for (name, place), (other, elsewhere) in itertools.combinations(given, 2):
            if place == elsewhere:
                raise InputError(f"{name}, {other}: both are {place}; give different places")
        output = Output(json, report)
        folder = None if certificates is None else check_folder(certificates)
        base = Path.cwd() if json is None or json == "-" else Path(json).parent
        earlier: dict[str, Mapping[str, Any]] = {}
        if resume:
            earlier = {item["id"]: item for item in read_verification(str(json))["claims"]}
        elif json is not None and Path(json).is_file():
            with contextlib.suppress(InputError):  # it only tells what takes long, and is about to be replaced
                earlier = {item["id"]: item for item in read_verification(json)["claims"]}
        return Places(output, folder, base, earlier, resume)


def run(
    registry: Registry, claims: Sequence[Claim], patterns: Sequence[str], profile: str, jobs: int | None, places: Places
) -> int:
    """Check the claims, say and write what comes out, and return the exit status."""
    from mcr2_landscape.claims.reading import taken_over

    session = _Session(registry, claims, patterns, Profile(profile), places)
    if places.resume:
        for claim in claims:
            old = places.earlier.get(claim.id)
            kept = None if old is None else taken_over(old, claim, registry, session.profile, places.base, places.certificates)
            if kept is not None:
                session.add(kept, taken_over=True)
        places.output.note(f"took over {len(session.entries)} of {len(claims)} claims from {places.output.json}")
    rest = [claim for claim in claims if claim.id not in session.entries]
    seconds = {name: float(item["seconds"]) for name, item in places.earlier.items()}
    interrupted = False
    try:
        with contextlib.closing(check_claims(rest, profile, jobs=jobs, seconds=seconds, watch=session.watch)) as results:
            for checked in results:
                checked, paths = _kept(checked, places.certificates)
                session.device = session.device or checked.reply.device
                session.add(entry(checked, registry, session.profile, paths, places.base))
                session.write()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        session.status.clear()
    if interrupted and not session.entries:  # an earlier file is worth more than one without claims
        places.output.note("interrupted: no claim was checked, and nothing was written")
        return _INTERRUPTED
    session.finish(interrupted)
    if interrupted:
        return _INTERRUPTED
    return 0 if not registry.errors and all(item["as_expected"] for item in session.entries.values()) else _DIFFERS


def _kept(checked: Checked, folder: Path | None) -> tuple[Checked, list[Path]]:
    """Write the certificates of a claim, if they are to be kept. One that cannot be written down is an error of its claim."""
    if folder is None or checked.reply.error is not None:
        return checked, []
    try:
        return checked, store(checked.reply.certificates, folder, checked.claim.id)
    except InputError:
        raise  # the folder, which is no claim's fault
    except Exception as error:
        words = f"a certificate cannot be written: {type(error).__name__}: {error}"
        return Checked(checked.claim, Reply(None, (), checked.reply.seconds, words, checked.reply.device)), []


class _Session:
    """The entries so far, and those who want to know of them."""

    def __init__(self, registry: Registry, claims: Sequence[Claim], patterns: Sequence[str], profile: Profile, places: Places):
        self.registry, self.claims, self.patterns, self.profile, self.places = registry, claims, patterns, profile, places
        self.entries: dict[str, dict[str, Any]] = {}
        self.device: str | None = None
        self.status = StatusLine(sys.stderr)
        self.rows = Rows([claim.id for claim in claims], quiet=places.output.quiet)

    def add(self, item: dict[str, Any], *, taken_over: bool = False) -> None:
        self.entries[item["id"]] = item
        self.status.clear()
        self.rows.show(item, note="taken over" if taken_over else "")

    def watch(self, running: tuple[Claim, ...]) -> None:
        self.status.show(
            f"{len(self.entries)} of {len(self.claims)} done; at work: " + ", ".join(claim.id for claim in running)
        )

    def document(self) -> dict[str, Any]:
        ordered = [self.entries[claim.id] for claim in self.claims if claim.id in self.entries]
        complete = len(ordered) == len(self.claims)
        return document(
            ordered, self.registry, profile=self.profile, patterns=self.patterns, complete=complete, device=self.device
        )

    def write(self) -> None:
        """The JSON file as it stands."""
        json = self.places.output.json
        if json is not None and json != "-":
            write_json(json, self.document(), "--json")

    def finish(self, interrupted: bool) -> None:
        output = self.places.output
        self.write()
        found = self.document()
        if output.json == "-":
            sys.stdout.write(to_json(found))
        elif output.json is not None:
            output.note(f"wrote {output.json}")
        if output.report is not None:
            from mcr2_landscape.report.page import write_page
            from mcr2_landscape.report.verification import verification_page

            write_page(output.report, verification_page(found, self.places.base, Path(output.report).parent))
            output.note(f"wrote {output.report}")
        made = sum(item["certificates_made"] for item in self.entries.values())
        if made and self.places.certificates is None:
            output.note(f"{made} certificates were made, checked and not kept (--certificates DIR keeps them)")
        elif made:
            kept = self.places.certificates
            output.note(f"{made} certificates are in {kept} (mcr2-landscape verify --recheck {kept} checks them again)")
        self._summarize(found["counts"], interrupted)

    def _summarize(self, number: Mapping[str, int], interrupted: bool) -> None:
        output = self.places.output
        if not output.quiet:
            words = ", ".join(f"{number[name]} {name}" for name in ("holds", "refuted", "undecided", "errors"))
            print(f"\n{number['claims']} claims: {words}; {number['as_expected']} as expected")
        differing = [item for item in self.entries.values() if not item["as_expected"]]
        output.sentences("Not as expected", (describe_difference(item) for item in differing))
        if interrupted:
            rest = len(self.claims) - len(self.entries)
            kept = output.json not in (None, "-")
            advice = f"kept in {output.json}; --resume goes on" if kept else "shown above; with --json F, --resume goes on"
            output.note(f"interrupted: {rest} claims were not checked; what is done is {advice}")


def describe_difference(item: Mapping[str, Any]) -> str:
    """What is not as expected of a claim, in one sentence."""
    if item["error"] is not None:
        lines = item["error"].strip().splitlines()
        return f"{item['id']}: error: {lines[-1] if lines else 'unknown'}"
    return f"{item['id']}: {item['verdict']}, expected {item['expected']}: {item['summary']}"
