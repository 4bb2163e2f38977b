"""Certificates as files: what is written is read back, and whatever else a file holds is refused with a `CertificateError`."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import json
import os
import random
import struct
import time
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcr2_landscape.certify import (
    Certificate,
    CertificateError,
    ExactProblem,
    Point,
    Statement,
    certify_approximate_saddle,
    certify_point,
    certify_statement,
    check,
    orthogonal,
    read,
    write,
)
from mcr2_landscape.certify.make import float_parameters
from mcr2_landscape.errors import InputError
from mcr2_landscape.testing import seeds

from .problems import SPECIMENS, at_fraction, catalog_family

files = importlib.import_module("mcr2_landscape.certify.certificate")
KEEPING_THE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@cache
def certificates() -> dict[str, Certificate]:
    """One of every kind, small."""
    problem = at_fraction(2, (1, 2))
    family = orthogonal((1, 0), (0, 1))
    known = catalog_family(problem, family)
    radius = {"radius": "1/1000000000"}
    negative = 6 - known.index - known.nullity
    counts = radius | {"positive": known.index, "zero": known.nullity, "negative": negative}
    top = orthogonal((1, 1))
    zero = catalog_family(problem, top).nullity
    chain = ["-1", {"value_at": orthogonal(()).to_plain()}, {"value_at": top.to_plain()}, "100"]
    statements = [
        Statement("inertia", problem, family, counts),
        Statement("critical point", problem, family, radius | {"orbit_dimension": known.nullity}),
        Statement("local maximizer", problem, top, radius | {"zero": zero}),
        Statement("strict saddle", problem, family, radius),
        Statement("degenerate", at_fraction(2, (1, 2), "1"), orthogonal((0, 1)), {"of_class": 2, "excess_nullity": 1}),
        Statement("inequality", problem, None, {"ascending": chain}),
        Statement("inequality", None, None, {"ascending": ["17/20", {"value_threshold": "3"}, "9/10"]}),
        Statement("identity", None, None, {"left": "x**2", "right": "1", "where": ["x - 1"]}),
    ]
    made = [certify_statement(statement, claim="mcr2.test", case=f"case-{i}") for i, statement in enumerate(statements)]
    p = float_parameters(problem)
    Z = known.point(key=0)
    made += [certify_point(p, Z), certify_point(p, Z, kind="inertia"), certify_approximate_saddle(p, Z, Z * [[0, 1, 1]])]
    return {f"{i} {m.certificate.statement.kind}": m.certificate for i, m in enumerate(made)}


NAMES = st.sampled_from(sorted(certificates()))


@pytest.mark.parametrize("name", sorted(certificates()))
def test_what_is_written_is_read_back(name, tmp_path):
    certificate = certificates()[name]
    path = write(certificate, tmp_path / "a certificate.json")
    found = read(path)
    assert found.statement.to_plain() == certificate.statement.to_plain()
    assert (found.claim, found.case) == (certificate.claim, certificate.case)
    assert check(found, certificate.statement) == check(certificate)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a certificate.json"]
    first = path.read_bytes()
    write(found, path)
    assert path.read_bytes() == first


def document(certificate: Certificate, tmp_path) -> dict:
    return json.loads(write(certificate, tmp_path / "c.json").read_text())


def store(plain, path, *, sign: bool = True) -> None:
    """As a file, with the digest that fits: it is not what the contents are protected by."""
    if sign:
        plain["sha256"] = files._digest({key: value for key, value in plain.items() if key != "sha256"})
    path.write_text(json.dumps(plain))


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from places(item, (*path, i))


def edited(plain: dict, place: tuple, change):
    if not place:
        return change(plain)
    target = plain
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = change(target[place[-1]])
    return plain


WORDS = ["", "0", "1", "-1", "1/0", "1/2", "nan", "+", "x", "0x1p+0", "0x1p+9999", "triangle", "1" * 401, "\ud800"]
NUMBERS = [0, 1, -1, 10**19, -(10**19)]
OBJECTS = [{}, {"family": []}, {"point": []}, {"file": "c.json", "sha256": "", "count": 6}]
JUNK = st.sampled_from([None, True, False, *NUMBERS, *WORDS, [], [[]], [None], ["0"], *OBJECTS])


def neighbors(value):
    """Changes of the same type: what a careful forger would do."""
    if isinstance(value, bool) or value is None:
        return JUNK
    if isinstance(value, int):
        return st.sampled_from([value + 1, value - 1, -value, 2 * value, value + 10**6])
    if isinstance(value, str) and "0x" in value:
        number = float.fromhex(value)
        return st.sampled_from(
            [float(np.nextafter(number, 9)).hex(), (-number).hex(), (1.001 * number).hex(), (number + 1).hex()]
        )
    if isinstance(value, str) and value.replace("/", "").replace("-", "").isdigit():
        number = Fraction(value)
        return st.sampled_from(
            [str(number + 1), str(-number), str(number / 10**12), str(number * 10**12), str(number * Fraction(999, 1000))]
        )
    if isinstance(value, list) and value:
        return st.sampled_from([value[:-1], value[1:], value[::-1], value + value[:1], value * 50])
    if isinstance(value, dict) and value:
        names = sorted(value)
        return st.sampled_from([{k: v for k, v in value.items() if k != name} for name in names] + [value | {"more": 1}])
    return JUNK


@given(NAMES, st.data())
@settings(parent=KEEPING_THE_FOLDER, max_examples=400)
def test_no_edit_proves_another_statement(tmp_path, name, data):
    """Any field changed, with the digest made to fit. What passes against the original statement is that statement; what
    passes on its own agrees with theory."""
    certificate = certificates()[name]
    plain = document(certificate, tmp_path)
    place = data.draw(st.sampled_from(list(places(plain))))
    value = plain
    for key in place:
        value = value[key]
    replacement = data.draw(st.one_of(neighbors(value), JUNK))
    plain = edited(copy.deepcopy(plain), place, lambda _: copy.deepcopy(replacement))
    path = tmp_path / "c.json"
    store(plain, path, sign=isinstance(plain, dict) and "\ud800" not in json.dumps(plain))
    began = time.process_time()
    try:
        found = read(path)
    except CertificateError:
        return
    try:
        check(found, certificate.statement)
    except CertificateError:
        pass
    else:
        assert found.statement.to_plain() == certificate.statement.to_plain()
    try:
        check(found)
    except CertificateError:
        pass
    else:
        agrees_with_theory(found.statement)
    assert time.process_time() - began < 10


def agrees_with_theory(statement: Statement) -> None:
    if statement.problem is None or statement.subject is None or isinstance(statement.subject, Point):
        return
    known = catalog_family(statement.problem, statement.subject)
    a = statement.assertion
    if statement.kind == "inertia":
        assert (a["positive"], a["zero"]) == (known.index, known.nullity)
    elif statement.kind == "critical point":
        assert a["orbit_dimension"] == known.orbit_dimension
    elif statement.kind == "local maximizer":
        assert known.index == 0
    elif statement.kind == "strict saddle":
        assert known.index > 0
    elif statement.kind == "degenerate":
        assert known.nullity - known.orbit_dimension == a["excess_nullity"]
        assert known.index == 0


@pytest.mark.parametrize("name", sorted(certificates()))
def test_an_edit_without_a_new_digest_is_seen(name, tmp_path):
    plain = document(certificates()[name], tmp_path)
    plain["case"] = "another"
    store(plain, tmp_path / "c.json", sign=False)
    with pytest.raises(CertificateError, match="sha256"):
        read(tmp_path / "c.json")


def must_be_refused(path) -> str:
    began = time.process_time()
    with pytest.raises(CertificateError) as caught:
        read(path)
    assert time.process_time() - began < 5
    message = str(caught.value)
    message.encode()  # no lone surrogate: it is going to be printed
    assert len(message) < 1000
    return message


@given(NAMES, seeds())
@settings(parent=KEEPING_THE_FOLDER, max_examples=100)
def test_a_truncated_file_is_refused(tmp_path, name, seed):
    path = write(certificates()[name], tmp_path / "c.json")
    content = path.read_bytes()
    path.write_bytes(content[: random.Random(seed).randrange(len(content.rstrip()))])
    must_be_refused(path)


@given(NAMES, seeds())
@settings(parent=KEEPING_THE_FOLDER, max_examples=200)
def test_flipped_bytes_are_refused(tmp_path, name, seed):
    """Or they change nothing, as where a space becomes another."""
    certificate = certificates()[name]
    path = write(certificate, tmp_path / "c.json")
    rng = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 2, 5])):
        content[rng.randrange(len(content))] = rng.choice([0, 255, 0x22, 0x7B, rng.randrange(256)])
    path.write_bytes(content)
    try:
        found = read(path)
    except CertificateError:
        return
    assert found == read(write(certificate, tmp_path / "d.json"))


GOOD = json.dumps({"schema": files.SCHEMA, "schema_version": 1})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no complete JSON"),
        (b"null", "this is no certificate"),
        (b"[]", "this is no certificate"),
        (b'"' + b"x" * 10**6 + b'"', "this is no certificate"),
        (b"\x00" * 100, "no complete JSON"),
        (b"\xff\xfe{\x00}\x00", "no text in UTF-8"),
        (b"\xef\xbb\xbf{}", "no complete JSON"),
        (b"{}", "this is no certificate"),
        (b"[" * 10**6, "nested too deeply"),
        (b'{"a":' * 10**6, "nested too deeply"),
        (b"[" * 900 + b"]" * 900, "levels of nesting"),
        (b"[" * 20 + b"]" * 20, "levels of nesting"),
        (b'{"schema": NaN}', "found the number NaN"),
        (b'{"schema": Infinity}', "found the number Infinity"),
        (b'{"schema": -Infinity}', "found the number -Infinity"),
        (b'{"schema": 1e400}', "found the number 1e400"),
        (b'{"schema": 0.5}', "found the number 0.5"),
        (b'{"schema": ' + b"9" * 10**6 + b"}", "1000000 digits"),
        (b'{"schema": 1, "schema": 2}', "a name twice"),
        (b'{"schema": "\\ud800"}', "this is no certificate"),
        (b'{"schema": "mcr2_landscape/certificate"}', "schema_version: found None"),
        (GOOD.replace("1}", "2}").encode(), "made by a newer version"),
        (GOOD.replace("1}", "99999999999999}").encode(), "made by a newer version"),
        (GOOD.replace("1}", "true}").encode(), "schema_version: found True"),
        (GOOD.replace("1}", "0}").encode(), "make it again"),
        (GOOD.replace("1}", '"1"}').encode(), "make it again"),
        (GOOD.encode(), "missing"),
        (GOOD.replace("1}", '1, "\\ud800": 1}').encode(), "unknown"),
        (GOOD.replace("1}", '1, "' + "y" * 10**5 + '": 1}').encode(), "unknown"),
        (b" " * ((16 << 20) + 1), "at most 16 MB"),
    ],
)
def test_what_is_no_certificate_is_refused(tmp_path, content, words):
    path = tmp_path / "c.json"
    path.write_bytes(content)
    assert words in must_be_refused(path)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "missing.json", "pipe", "c.json/c.json", "x" * 300):
        must_be_refused(tmp_path / name)


@pytest.mark.parametrize("name", ["\x1b[2J", "a b", "", "x" * 201, "../claim", 3, [], {}, True, "\ud800"])
def test_claims_have_plain_names(tmp_path, name):
    plain = document(next(iter(certificates().values())), tmp_path)
    for field in ("claim", "case"):
        store(plain | {field: name}, tmp_path / "c.json")
        assert must_be_refused(tmp_path / "c.json").split(": ")[1] == field


@pytest.mark.parametrize("wrong", [None, True, 3, "x", [], {}, {"more": 1}])
def test_wrong_types_are_refused_everywhere(tmp_path, wrong):
    for certificate in certificates().values():
        plain = document(certificate, tmp_path)
        for place in places(plain):
            if place and place[0] not in ("claim", "case"):
                changed = edited(copy.deepcopy(plain), place, lambda _: copy.deepcopy(wrong))
                if changed == plain:
                    continue
                store(changed, tmp_path / "c.json")
                try:
                    found = read(tmp_path / "c.json")
                    check(found, certificate.statement)
                except CertificateError:
                    continue
                assert found.statement.to_plain() == certificate.statement.to_plain()


@pytest.mark.parametrize(
    "entry",
    [
        "nan",
        "inf",
        "-inf",
        "1.5",
        "0x1p+2000",
        "0x1p+600",
        "0x",
        "",
        "0x1p+0" + " " * 50,
        "0x1p+0 ",
        "0x1p-2000",
        "0x1.00000000000001p+0",
        "0x1.000000000000001p+0",
        "0X1P0",
        1,
        None,
        [],
        True,
    ],
)
def test_wrong_numbers_in_a_point_are_refused(tmp_path, entry):
    certificate = next(c for c in certificates().values() if isinstance(c.statement.subject, Point))
    plain = document(certificate, tmp_path)
    plain["subject"]["point"][2] = entry
    store(plain, tmp_path / "c.json")
    must_be_refused(tmp_path / "c.json")


@pytest.fixture
def with_side_files(tmp_path, monkeypatch):
    """A certificate whose arrays lie beside it, as those above 1 MB do."""
    monkeypatch.setattr(files, "_LARGEST_INLINE", 16)
    certificate = next(c for c in certificates().values() if c.statement.kind == "approximate strict saddle")
    return certificate, write(certificate, tmp_path / "c.json")


def test_side_files_are_read_back(with_side_files):
    certificate, path = with_side_files
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["c.direction.f64", "c.json", "c.point.f64"]
    raw = path.with_name("c.point.f64").read_bytes()
    assert struct.unpack("<6d", raw) == certificate.statement.subject.entries
    found = read(path)
    assert found.statement == certificate.statement
    assert check(found, certificate.statement) == check(certificate)


@pytest.mark.parametrize(
    "damage",
    [
        lambda beside: beside.unlink(),
        lambda beside: beside.write_bytes(b""),
        lambda beside: beside.write_bytes(beside.read_bytes()[:-1]),
        lambda beside: beside.write_bytes(beside.read_bytes() + b"\0" * 8),
        lambda beside: beside.write_bytes(beside.read_bytes()[8:] + beside.read_bytes()[:8]),
        lambda beside: beside.write_bytes(bytes([beside.read_bytes()[0] ^ 1]) + beside.read_bytes()[1:]),
        lambda beside: (beside.unlink(), beside.mkdir()),
        lambda beside: (beside.unlink(), os.mkfifo(beside)),
    ],
)
@pytest.mark.parametrize("name", ["c.point.f64", "c.direction.f64"])
def test_a_damaged_side_file_is_refused(with_side_files, damage, name):
    _, path = with_side_files
    damage(path.with_name(name))
    must_be_refused(path)


@pytest.mark.parametrize(
    "name",
    [
        "../c.point.f64",
        "/etc/passwd",
        "..",
        ".f64",
        "sub/c.point.f64",
        "c\x00.f64",
        "c.json",
        "é.f64",
        "x" * 300 + ".f64",
        "",
        None,
        3,
        [],
    ],
)
def test_a_side_file_elsewhere_is_refused(with_side_files, name):
    _, path = with_side_files
    plain = json.loads(path.read_text())
    path.parent.parent.joinpath("c.point.f64").write_bytes(path.with_name("c.point.f64").read_bytes())
    plain["subject"]["point"]["file"] = name
    store(plain, path)
    must_be_refused(path)


@pytest.mark.parametrize(
    ("field", "value"), [("count", 5), ("count", True), ("count", 10**12), ("sha256", "0" * 64), ("sha256", None)]
)
def test_a_side_file_that_is_described_wrongly_is_refused(with_side_files, field, value):
    _, path = with_side_files
    plain = json.loads(path.read_text())
    plain["subject"]["point"][field] = value
    store(plain, path)
    must_be_refused(path)


@pytest.mark.parametrize("entry", [float("nan"), float("inf"), 1e151])
def test_a_side_file_with_a_number_out_of_range_is_refused(tmp_path, monkeypatch, with_side_files, entry):
    certificate, path = with_side_files
    subject = Point((entry, *certificate.statement.subject.entries[1:]))
    statement = dataclasses.replace(certificate.statement, subject=subject)
    write(dataclasses.replace(certificate, statement=statement), path)
    must_be_refused(path)


def test_a_problem_of_absurd_size_takes_no_memory(tmp_path):
    certificate = next(c for c in certificates().values() if isinstance(c.statement.subject, Point))
    plain = document(certificate, tmp_path)
    plain["problem"] |= {"dim": 10**6, "sizes": [10**6] * 1000}
    store(plain, tmp_path / "c.json")
    assert "stored up to" in must_be_refused(tmp_path / "c.json")


def test_a_problem_with_many_generators_is_bounded():
    """The group of one class with 199 samples has 19,701 dimensions, of which none moves the point."""
    problem = at_fraction(1, (1, 199))
    with pytest.raises(CertificateError):
        check(Certificate(Statement("critical point", problem, orthogonal((1, 0)), {"radius": "1", "orbit_dimension": 1})))
    proof = check(Certificate(Statement("critical point", problem, orthogonal((1, 0)), {"radius": "1", "orbit_dimension": 0})))
    assert proof.figures["precision"] == 106


@pytest.mark.slow
def test_large_arrays_lie_beside_the_certificate(tmp_path):
    """140,000 unknowns: above 1 MB, and far above what can be counted."""
    problem = at_fraction(2, (35_000, 35_000))
    p = float_parameters(problem)
    from mcr2_landscape.catalog import roots

    Z = np.zeros(p.shape)
    Z[0, 0] = roots(p)[0, 0] ** 0.5  # the small root: scaling it is a direction of ascent
    certificate = certify_approximate_saddle(p, Z, Z).certificate
    path = write(certificate, tmp_path / "large.json")
    assert path.stat().st_size < 2000
    assert path.with_name("large.point.f64").stat().st_size == 8 * 140_000
    found = read(path)
    assert found.statement == certificate.statement
    check(found, certificate.statement)


def test_an_unwritable_place_is_an_input_error(tmp_path):
    certificate = next(iter(certificates().values()))
    for path in (tmp_path, tmp_path / "missing" / "c.json"):
        with pytest.raises(InputError):
            write(certificate, path)


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 0},
        {"sizes": (3,)},
        {"sizes": (3, 0)},
        {"sizes": (3, True)},
        {"sizes": "33"},
        {"epsilon": 0.5},
        {"epsilon": "0"},
        {"epsilon": "-1/2"},
        {"epsilon": "1/2 "},
        {"epsilon": "1e3"},
        {"epsilon": "٣"},
        {"regularization": "0"},
        {"regularization": None},
    ],
)
def test_a_problem_is_exact_and_in_range(change):
    right = {"dim": 2, "sizes": (3, 3), "epsilon": "1/2", "regularization": "1/3"}
    ExactProblem(**right)
    with pytest.raises(CertificateError):
        ExactProblem(**(right | change))


def test_every_specimen_survives_a_file(tmp_path):
    for problem, family in SPECIMENS.values():
        claim = {"radius": Fraction(1, 10**6), "orbit_dimension": catalog_family(problem, family).orbit_dimension}
        certificate = Certificate(Statement("critical point", problem, family, claim))
        found = read(write(certificate, tmp_path / "c.json"))
        check(found, certificate.statement)
        assert found.statement.subject == family
        assert found.statement.problem == problem
