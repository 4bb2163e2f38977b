"""Checks in worker processes: what they find there, and what becomes of those that fail."""

import multiprocessing
import os
import time

import pytest

from mcr2_landscape.claims import Case, Claim, Form
from mcr2_landscape.claims.runner import check_claims


def claim(name, check, group="", **rest):
    fields = {"title": name, "source": "s", "form": Form.OWN, "statement": name} | rest
    return Claim(id=name, check=f"outside_claims.checks:{check}", group=group, **fields)


def replies(claims, **options):
    return {checked.claim.id: checked.reply for checked in check_claims(claims, **options)}


@pytest.fixture(autouse=True)
def _outside(outside):
    outside("outside_claims")


def figures(reply):
    assert reply.error is None, reply.error
    return reply.outcome["parts"][0]["figures"]


def test_a_group_shares_a_process_and_its_work():
    claims = [claim("b", "slow"), claim("a1", "where", "a"), claim("a2", "where", "a"), claim("a3", "where", "a")]
    found = {name: figures(reply) for name, reply in replies(claims, jobs=2).items()}
    assert found["a1"]["pid"] == found["a2"]["pid"] == found["a3"]["pid"]
    assert len({os.getpid(), found["a1"]["pid"], found["b"]["pid"]}) == 3
    assert [found[name]["first"] for name in ("b", "a1", "a2", "a3")] == ["b", "a1", "a1", "a1"]


def test_a_worker_has_its_settings_before_anything_heavy_is_imported(monkeypatch):
    monkeypatch.setenv("NPROC", "7")
    monkeypatch.delenv("JAX_ENABLE_X64")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    before = dict(os.environ)
    found = figures(replies([claim("a", "where")])["a"])
    assert found["settings"] == {"NPROC": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_ENABLE_X64": "1"}
    assert found["heavy"] == []
    assert found["ignores Ctrl-C"] is True
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("raises", "RuntimeError: no luck"),
        ("nonsense", "returned bool; a check returns mcr2_landscape.claims.Outcome"),
        ("uncertified", "gives no certificate"),
        ("no_such_function", "has no attribute 'no_such_function'"),
        ("killed", "ended by SIGKILL"),
        ("exits", "ended with status 3"),
    ],
)
def test_what_goes_wrong_is_an_error_of_its_claim_alone(check, says):
    claims = [claim("before", "where"), claim("wrong", check), claim("after", "where")]
    found = replies(claims, jobs=1)
    assert list(found) == ["before", "wrong", "after"]
    assert found["wrong"].outcome is None
    assert says in found["wrong"].error
    same_process = figures(found["before"])["pid"] == figures(found["after"])["pid"]
    assert same_process == (check not in ("killed", "exits"))


def test_after_a_death_the_rest_of_the_group_goes_on_in_its_order():
    claims = [claim("wrong", "killed", "a"), claim("a1", "where", "a"), claim("a2", "where", "a"), claim("a3", "where", "a")]
    found = replies(claims, jobs=1)
    assert list(found) == ["wrong", "a1", "a2", "a3"]
    assert {figures(found[name])["first"] for name in ("a1", "a2", "a3")} == {"a1"}


def test_a_claim_that_cannot_be_sent_is_an_error():
    class Local(Claim):
        pass

    bad = Local(id="bad", title="t", source="s", form=Form.OWN, statement="s", check="m:f")
    found = replies([bad, claim("good", "where")], jobs=1)
    assert "cannot be sent to a worker" in found["bad"].error
    assert found["good"].error is None


def test_certificates_come_back_even_if_the_check_does_not_hand_them_on():
    from outside_claims.statements import SQUARE

    found = replies([claim("a", "proves", cases=(Case("square", SQUARE),))])["a"]
    assert [certificate.case for certificate in found.certificates] == ["square"]
    assert found.outcome["evidence"] == "certified"


def test_words_for_verdicts_are_verdicts():
    """A part whose verdict is the mere word "refuted" refutes."""
    assert replies([claim("a", "refuted")])["a"].outcome["verdict"] == "refuted"


def test_whoever_watches_hears_what_is_at_work():
    heard = set()
    claims = [claim("a", "slow"), claim("b", "slow")]
    list(check_claims(claims, jobs=2, watch=lambda running: heard.add(tuple(claim.id for claim in running))))
    assert ("a", "b") in heard


def test_leaving_early_ends_the_workers_at_once():
    results = check_claims([claim("quick", "where"), claim("long", "sleeps"), claim("longer", "sleeps")], jobs=2)
    assert next(results).claim.id == "quick"
    assert multiprocessing.active_children()
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < 5
    assert multiprocessing.active_children() == []


def test_what_is_no_certificate_is_an_error_of_its_claim():
    found = replies([claim("a", "no_certificate"), claim("b", "where")])
    assert "certificates hold a str" in found["a"].error
    assert found["b"].error is None
