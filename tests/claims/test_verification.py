"""The verification document: what is in it, what of it is read, and what is taken over."""

import copy
import dataclasses
import importlib
import json
import sys
from pathlib import Path

import pytest

from mcr2_landscape.claims import Case, Claim, Form, Profile, Registry
from mcr2_landscape.claims.reading import read_verification, taken_over
from mcr2_landscape.claims.runner import Checked
from mcr2_landscape.claims.storage import store
from mcr2_landscape.claims.verification import counts, document, entry, fingerprint
from mcr2_landscape.claims.worker import Reply, perform
from mcr2_landscape.errors import InputError

STORED = Path(__file__).parent / "verification_v1.json"
# What version 1 of the schema promises: no release may drop one of these.
PROMISED = {"id", "source", "form", "verdict", "evidence", "expected", "seconds", "certificates"}


@pytest.fixture
def claim(outside):
    outside("outside_claims")
    from outside_claims.statements import CLAIMS

    return CLAIMS[0]


def entry_of(claim, base, *, error=None, registry=None):
    reply = perform(claim, Profile.QUICK, {}) if error is None else Reply(None, (), 0.5, error)
    paths = [base / "c" / claim.id / f"{certificate.case}.json" for certificate in reply.certificates]
    return entry(Checked(claim, reply), registry or Registry((claim,), ()), Profile.QUICK, paths, base)


def test_an_entry_says_what_was_claimed_and_what_was_found(claim, tmp_path):
    found = entry_of(claim, tmp_path)
    assert set(found) >= PROMISED
    assert found["id"] == "outside.square"
    assert (found["verdict"], found["evidence"], found["expected"], found["as_expected"]) == (
        "holds",
        "certified",
        "holds",
        True,
    )
    assert found["certificates"] == ["c/outside.square/square.json", "c/outside.square/cube.json"]
    assert found["cases"][0] == {"name": "square", "role": "instance", "words": ""}
    assert found["error"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_an_error_is_never_as_expected_nor_a_verdict(claim, tmp_path):
    for expected in (None, "undecided", "holds"):
        found = entry_of(dataclasses.replace(claim, expected=expected), tmp_path, error="Traceback\nRuntimeError: no luck")
        assert (found["verdict"], found["evidence"], found["as_expected"]) == ("undecided", "numerical", False)
        assert counts([found]) == {"claims": 1, "holds": 0, "refuted": 0, "undecided": 0, "errors": 1, "as_expected": 0}


def test_claims_are_linked_both_ways(outside, tmp_path):
    outside("outside_claims")
    from outside_claims.statements import CLAIMS

    registry = Registry(tuple(CLAIMS), ())
    by_id = {claim.id: entry_of(claim, tmp_path, registry=registry) for claim in CLAIMS}
    assert by_id["outside.refuted"]["corrected_by"] == "outside.corrected"
    assert by_id["outside.corrected"]["corrects"] == "outside.refuted"
    assert by_id["outside.refuted"]["counter_example"].startswith("At a = b:")


def test_a_document_is_read_as_it_was_written(claim, tmp_path):
    registry = Registry((claim,), ())
    whole = document(
        [entry_of(claim, tmp_path)], registry, profile=Profile.QUICK, patterns=("outside",), complete=True, device="somewhere"
    )
    assert whole["configuration"] == {"profile": "quick", "patterns": ["outside"]}
    assert whole["provenance"]["device"] == "somewhere"
    assert whole["complete"] is True
    (tmp_path / "x.json").write_text(json.dumps(whole))
    assert read_verification(tmp_path / "x.json") == whole


def test_a_stored_file_of_version_1_is_read():
    found = read_verification(STORED)
    first, second = found["claims"]
    assert set(first) >= PROMISED
    assert (first["verdict"], first["certificates_made"], first["fingerprint"]) == ("refuted", 1, "")
    assert second["another name of a later release"] == [1, 2.5, "three"]
    assert found["a name of a later release"] == {"kept": True}


def test_nothing_is_taken_over_without_a_fingerprint(tmp_path):
    old = read_verification(STORED)["claims"][1]
    claim = Claim(id=old["id"], title="t", source="s", form=Form.OWN, statement="s", check="m:f")
    assert taken_over(old, claim, Registry((claim,), ()), Profile.STANDARD, tmp_path, None) is None


def spoil(change):
    plain = json.loads(STORED.read_text())
    change(plain)
    return json.dumps(plain)


def in_claim(name, value):
    return lambda plain: plain["claims"][0].update({name: value})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda plain: plain.update(schema="mcr2_landscape/survey"), "schema: found 'mcr2_landscape/survey'"),
        (lambda plain: plain.update(schema_version=2), "made by a newer version|a newer version"),
        (lambda plain: plain.update(schema_version=0), "schema_version: found 0"),
        (lambda plain: plain.update(schema_version=True), "schema_version: found True"),
        (lambda plain: plain.update(schema_version="1"), "schema_version: found '1'"),
        (lambda plain: plain.update(claims={}), "claims: found {}; expected a list"),
        (lambda plain: plain["claims"].append(3), "number 3: found 3; expected an object"),
        (lambda plain: plain["claims"].append(plain["claims"][0]), "two have the same id"),
        (lambda plain: plain["claims"][0].pop("verdict"), "number 1: verdict missing"),
        (in_claim("id", 7), "id: found 7; expected text"),
        (in_claim("form", "guessed"), "form: found 'guessed'"),
        (in_claim("verdict", "probably"), "verdict: found 'probably'"),
        (in_claim("evidence", None), "evidence: found None"),
        (in_claim("expected", "maybe"), "expected: found 'maybe'"),
        (in_claim("seconds", "long"), "seconds: found 'long'"),
        (in_claim("seconds", -1), "seconds: found -1"),
        (in_claim("certificates", "x.json"), "certificates: found 'x.json'"),
        (in_claim("certificates", [1]), "expected a list of paths"),
        (in_claim("parts", [{"name": "p"}]), "expected a list of parts"),
        (in_claim("plots", [{"caption": "c"}]), "expected a list of pictures"),
        (in_claim("error", 1), "error: found 1"),
    ],
)
def test_what_is_no_verification_document_is_refused(tmp_path, change, says):
    file = tmp_path / "x.json"
    file.write_text(spoil(change))
    with pytest.raises(InputError, match=says) as refusal:
        read_verification(file)
    assert str(file) in str(refusal.value)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_verification(tmp_path / "x.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_verification(tmp_path)
    for content, says in (
        (STORED.read_bytes()[:400], "no complete JSON text"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", r"schema: found \[\]"),
        (b"", "no complete JSON text"),
    ):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(InputError, match=says):
            read_verification(tmp_path / "x.json")


def test_the_fingerprint_changes_with_whatever_a_result_depends_on(claim, monkeypatch):
    first = fingerprint(claim, "quick")
    assert first == fingerprint(copy.deepcopy(claim), Profile.QUICK)
    case = claim.cases[0]
    other = dataclasses.replace(case.statement, assertion={**case.statement.assertion, "left": "(b + a)**2"})
    others = [
        fingerprint(claim, "standard"),
        fingerprint(dataclasses.replace(claim, hypotheses=("a > 0",)), "quick"),
        fingerprint(dataclasses.replace(claim, expected=None), "quick"),
        fingerprint(dataclasses.replace(claim, check="json:loads"), "quick"),
        fingerprint(dataclasses.replace(claim, cases=claim.cases[:1]), "quick"),
        fingerprint(dataclasses.replace(claim, cases=(Case(case.name, other), *claim.cases[1:])), "quick"),
    ]
    monkeypatch.setattr("mcr2_landscape.__version__", "99")
    others.append(fingerprint(claim, "quick"))
    assert len({first, *others}) == len(others) + 1


def test_the_fingerprint_changes_with_the_module_that_checks(claim, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "some_checks_of_mine.py"
    own = dataclasses.replace(claim, check="some_checks_of_mine:f")
    found = [fingerprint(own, "quick")]
    for text in ("def f(run): ...", "def f(run): return 1 / 0"):
        module.write_text(text)
        importlib.invalidate_caches()
        found.append(fingerprint(own, "quick"))
    assert len(set(found)) == 3
    assert "some_checks_of_mine" not in sys.modules


def test_an_entry_is_taken_over_only_if_nothing_has_changed(claim, tmp_path):
    registry = Registry((claim,), ())
    old = entry_of(claim, tmp_path)
    folder = tmp_path / "c"
    store(perform(claim, Profile.QUICK, {}).certificates, folder, claim.id)

    def taken(old, certificates=None, claim=claim, profile=Profile.QUICK):
        return taken_over(old, claim, registry, profile, tmp_path, certificates)

    assert taken(old) == old
    assert taken(old, folder) == old
    assert taken({**old, "error": "RuntimeError"}) is None
    assert taken(old, profile=Profile.STANDARD) is None
    assert taken(old, claim=dataclasses.replace(claim, statement="Another.")) is None
    assert taken(old, tmp_path / "elsewhere") is None
    assert taken({**old, "certificates": []}) == {**old, "certificates": []}
    assert taken({**old, "certificates": []}, folder) is None  # they were made, and not kept
    first, second = (tmp_path / path for path in old["certificates"])
    whole = first.read_bytes()
    for wrong in (b"{}", whole[:-9], second.read_bytes().replace(b'"cube"', b'"square"')):
        first.write_bytes(wrong)
        assert taken(old) is None
    first.write_bytes(whole)
    assert taken(old) == old
    first.unlink()
    assert taken(old) is None
