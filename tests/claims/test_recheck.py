"""Certificates checked again: whatever was done to them is found."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from mcr2_landscape.certify import Certificate, Statement, write
from mcr2_landscape.claims import Registry
from mcr2_landscape.claims.recheck import State, check_file, recheck, without_certificates
from mcr2_landscape.cli import main


@pytest.fixture
def kept(outside, tmp_path):
    """A folder with the certificates of the outside package's claims, as `verify` would leave it."""
    outside("outside_claims", outside="statements:CLAIMS")
    from outside_claims.statements import CLAIMS

    folder = tmp_path / "certificates"
    for claim in CLAIMS:
        for case in claim.cases:
            (folder / claim.id).mkdir(parents=True, exist_ok=True)
            certificate = Certificate(case.statement, {"cofactors": []}, claim.id, case.name)
            write(certificate, folder / claim.id / f"{case.name}.json")
    return folder


def run(folder, *patterns):
    from outside_claims.statements import CLAIMS

    registry = Registry(tuple(CLAIMS), ())
    claims = registry.select(patterns)
    found = recheck(registry, claims, folder, everything=not patterns)
    return {item.path.relative_to(folder).as_posix(): (item.state.value, item.words) for item in found}


def states(folder, *patterns):
    return {name: state for name, (state, _) in run(folder, *patterns).items()}


SQUARE, CUBE, REFUTED = "outside.square/square.json", "outside.square/cube.json", "outside.refuted/cube.json"


def test_untouched_they_are_proved(kept, capsys):
    assert states(kept) == {SQUARE: "proved", CUBE: "proved", REFUTED: "proved"}
    assert main(["verify", "outside", "--recheck", str(kept)]) == 0
    said = capsys.readouterr()
    assert "3 certificates: 3 proved" in said.out
    assert "(a + b)**2 = a**2 + 2*a*b + b**2" in said.out


def test_a_change_of_one_letter_is_found(kept, capsys):
    path = kept / SQUARE
    path.write_text(path.read_text().replace("2*a*b", "3*a*b"))
    assert run(kept)[SQUARE][0] == "unreadable"
    assert "sha256" in run(kept)[SQUARE][1]
    assert main(["verify", "outside", "--recheck", str(kept)]) == 1
    assert "1 unreadable" in capsys.readouterr().out


def test_a_certificate_of_something_easier_is_refused(kept, capsys):
    """It is valid, names the case, and lies in its place."""
    easy = Statement("identity", assertion={"left": "a", "right": "a", "where": []})
    write(Certificate(easy, {"cofactors": []}, "outside.square", "square"), kept / SQUARE)
    assert check_file(kept / SQUARE).state is State.PROVED
    state, words = run(kept)[SQUARE]
    assert state == "refused"
    assert "states something else than the claim does" in words
    assert main(["verify", "--recheck", str(kept)]) == 1
    assert main(["check", str(kept / SQUARE)]) == 0
    assert main(["check", str(kept / SQUARE), "--claim", "outside.square"]) == 1
    assert "states something else than the claim does" in capsys.readouterr().err


def test_certificates_that_changed_places_are_refused(kept):
    for one, other in ((SQUARE, CUBE), (SQUARE, REFUTED)):
        first, second = (kept / one).read_bytes(), (kept / other).read_bytes()
        (kept / one).write_bytes(second)
        (kept / other).write_bytes(first)
        assert states(kept)[one] == states(kept)[other] == "refused"
        (kept / one).write_bytes(first)
        (kept / other).write_bytes(second)
    assert set(states(kept).values()) == {"proved"}


def test_a_missing_one_is_told(kept, capsys):
    (kept / CUBE).unlink()
    assert states(kept)[CUBE] == "missing"
    assert main(["verify", "--recheck", str(kept)]) == 1
    assert "case cube of outside.square has no certificate" in capsys.readouterr().out


def test_claims_without_a_folder_are_told_and_missing_only_if_asked_for(kept, capsys):
    shutil.rmtree(kept / "outside.refuted")
    assert states(kept) == {SQUARE: "proved", CUBE: "proved"}
    assert states(kept, "outside.*")[REFUTED] == "missing"
    from outside_claims.statements import CLAIMS

    assert [claim.id for claim in without_certificates(CLAIMS, kept)] == ["outside.refuted"]
    assert main(["verify", "outside", "--recheck", str(kept)]) == 1
    capsys.readouterr()
    main(["verify", "--recheck", str(kept)])
    assert "outside.refuted" in capsys.readouterr().err


def test_other_certificates_are_compared_with_the_claim_that_they_name(kept):
    certificate = json.loads((kept / SQUARE).read_text())
    assert certificate["case"] == "square"
    shutil.copy(kept / SQUARE, kept / "copy.json")
    from outside_claims.statements import CUBE as statement

    for name, claim, case in (
        ("easier.json", "outside.square", "square"),
        ("nobody.json", "outside.nobody", "cube"),
        ("no-case.json", "outside.square", "sphere"),
        ("alone.json", None, None),
        ("claim-alone.json", "outside.square", None),
        ("case-alone.json", None, "square"),
    ):
        write(Certificate(statement, {"cofactors": []}, claim, case), kept / name)
    (kept / "garbage.json").write_text("{")
    found = states(kept)
    others = {name: found[name] for name in found if "/" not in name}
    assert others == {
        "copy.json": "proved",
        "alone.json": "of no claim",
        "case-alone.json": "of no claim",
        "claim-alone.json": "refused",
        "easier.json": "refused",
        "nobody.json": "refused",
        "no-case.json": "refused",
        "garbage.json": "unreadable",
    }


def test_the_document_of_the_run_may_lie_beside_its_certificates(kept, monkeypatch):
    monkeypatch.chdir(kept)
    assert main(["verify", "outside", "--json", "x.json", "--certificates", "."]) == 0
    assert set(states(kept).values()) == {"proved"}
    (kept / "outside.square" / "square.json").write_text((kept / "x.json").read_text())
    assert states(kept)[SQUARE] == "unreadable"


def test_a_checker_that_fails_has_proved_nothing(kept, monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("mcr2_landscape.claims.recheck.check", fail)
    found = check_file(kept / SQUARE)
    assert found.state is State.REFUSED
    assert "the checker failed (ZeroDivisionError: a defect)" in found.words


@pytest.mark.parametrize("words", ["nowhere", "file", "empty"])
def test_where_there_is_nothing_to_check(kept, tmp_path, capsys, words):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    assert main(["verify", "--recheck", str(tmp_path / words)]) == 2
    assert "error: --recheck" in capsys.readouterr().err


def test_it_needs_neither_numpy_nor_jax(kept, user_environment):
    """Nor the modules of checks: only statements are imported."""
    program = """
import sys
from mcr2_landscape.cli import main
folder = sys.argv[1]
assert main(["verify", "outside", "--recheck", folder]) == 0
assert main(["check", folder + "/outside.square/square.json"]) == 0
assert main(["check", folder + "/outside.square/square.json", "--claim", "outside.square"]) == 0
names = {"numpy", "scipy", "jax", "sympy", "matplotlib", "outside_claims.checks"}
print(sorted(names & set(sys.modules)), "flint" in sys.modules)
"""
    environment = {**user_environment, "PYTHONPATH": os.environ["PYTHONPATH"]}
    command = [sys.executable, "-c", program, str(kept)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("[] True\n")
