"""Refutations of "is a Markov potential game": proved again from the file alone, and no edit of it proves another statement."""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcr2_landscape import markov
from mcr2_landscape.certify import Certificate, CertificateError, Disproved, Statement, Undecided, check, read, write
from mcr2_landscape.certify.markov import cycle_statement
from mcr2_landscape.testing import seeds

files = importlib.import_module("mcr2_landscape.certify.certificate")
OPPOSED = markov.potential_test(markov.example("opposed-interests")).certificate()
AVERAGED = markov.potential_test(markov.random_game(2, (2, 3), key=0), notion="averaged").certificate()
PERTURBED = markov.potential_test(markov.example("entropy-moves"), temperature=1).certificate()
CERTIFICATES = {"state": OPPOSED, "average": AVERAGED, "perturbed": PERTURBED}


def assertion(certificate=OPPOSED):
    return copy.deepcopy(certificate.statement.to_plain()["assertion"])


def proved(plain):
    return check(Certificate(Statement("markov cycle", None, None, plain)))


@pytest.mark.parametrize("name", CERTIFICATES)
def test_what_is_written_is_read_back(name, tmp_path):
    certificate = CERTIFICATES[name]
    path = write(certificate, tmp_path / "cycle.json")
    found = read(path)
    assert found.statement.to_plain() == certificate.statement.to_plain()
    proof = check(found, certificate.statement)
    assert "is no Markov potential game" in proof.sentence
    assert ("from state" in proof.sentence) == (name != "average")
    assert ("perturbed by entropies at temperature 1" in proof.sentence) == (name == "perturbed")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=seeds(),
    shape=st.sampled_from([(1, (2, 2)), (2, (2, 2)), (3, (2, 1, 3))]),
    notion=st.sampled_from(["state-wise", "averaged"]),
)
def test_random_refutations_are_proved(tmp_path, seed, shape, notion):
    found = markov.potential_test(markov.random_game(*shape, key=seed), notion=notion, key=seed)
    certificate = found.certificate(claim="markov.test", case="a")
    again = read(write(certificate, tmp_path / "c.json"))
    assert again.claim == "markov.test"
    assert check(again, certificate.statement).figures["cycle"] == pytest.approx(float(found.cycle.value))


def test_rounded_games_have_certificates():
    draw = np.random.default_rng(0)
    game = markov.MarkovGame(draw.dirichlet(np.ones(6), size=(6, 3, 3)), draw.standard_normal((2, 6, 3, 3)), 0.9)
    certificate = markov.potential_test(game).certificate()
    bounds = certificate.statement.assertion["cycle"]
    assert bounds["at_least"] != bounds["at_most"], "its digits are too many"
    check(certificate)


def test_the_command_line_checks_it(tmp_path):
    path = write(OPPOSED, tmp_path / "cycle.json")
    command = [sys.executable, "-m", "mcr2_landscape.cli", "check", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "is no Markov potential game: from state" in ran.stdout


def test_the_checker_needs_python_flint_alone(tmp_path):
    path = write(OPPOSED, tmp_path / "cycle.json")
    code = (
        "import sys\nfrom mcr2_landscape import certify\n"
        f"certify.check(certify.read({str(path)!r}))\nassert not {{'numpy', 'jax', 'scipy'}} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


# -- forgeries --------------------------------------------------------------------------------------------------------------


def leaves(value, path=()):
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, (*path, i))
    else:
        yield path


def edited(plain, path, change):
    target = plain
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = change(target[path[-1]])
    return plain


def moved(value):
    return str(Fraction(value) + Fraction(1, 7)) if isinstance(value, str) else 1 if value is None else value + 1


@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_changed_number_is_noticed(name):
    """A changed game, policy or bound is another statement; the checker refuses it, or proves what is then in the file and
    never what was expected."""
    certificate = CERTIFICATES[name]
    refused = 0
    paths = list(leaves(assertion(certificate)))
    for path in paths:
        forged = edited(assertion(certificate), path, moved)
        statement = Statement("markov cycle", None, None, forged)
        with pytest.raises(CertificateError):
            check(Certificate(statement), certificate.statement)
        try:
            check(Certificate(statement))
        except CertificateError:
            refused += 1
    # Rewards that this cycle does not meet may be anything, for instance those of a third player.
    assert refused >= 0.8 * len(paths)


@pytest.mark.parametrize("name", CERTIFICATES)
def test_bounds_are_checked(name):
    value = CERTIFICATES[name].statement.assertion["cycle"]["at_least"]
    for low, high in (("1/2", "1/3"), ("-1", "1"), ("0", "0"), ("0", "1")):
        with pytest.raises(CertificateError, match="one sign"):
            proved(assertion(CERTIFICATES[name]) | {"cycle": {"at_least": low, "at_most": high}})
    off = str(Fraction(value) * Fraction(1000001, 1000000))
    with pytest.raises(Disproved, match="the bounds say otherwise"):
        proved(assertion(CERTIFICATES[name]) | {"cycle": {"at_least": off, "at_most": off}})


def test_entropies_are_enclosed():
    """−(2/3)τ log 2 at the policies of the hand-made example, and bounds that come near it from either side."""
    plain = assertion(PERTURBED) | {
        "policies": [["1", "0", "1/2", "1/2"], ["1", "0", "0", "1"]],
        "deviations": [["0", "1", "1/2", "1/2"], ["0", "1", "0", "1"]],
        "state": 0,
    }

    def between(low, high, temperature="1"):
        bounds = {"at_least": str(Fraction(low)), "at_most": str(Fraction(high))}
        return proved(plain | {"temperature": temperature, "cycle": bounds})

    assert "at the given policies is about -0.46209812." in between("-0.46209812037330", "-0.46209812037329").sentence
    assert between("-0.92419624074660", "-0.92419624074658", temperature="2").figures["precision"] == 106
    for low, high in (("-0.46209812037329", "-0.46209812037328"), ("-0.46209812037331", "-0.46209812037330")):
        with pytest.raises(Disproved, match=r"found about -0\.46209812"):
            between(low, high)
    exact = str(sympy.N(-2 * sympy.log(2) / 3, 300))
    with pytest.raises(Undecided, match="state wider ones"):
        between(exact, "-0.4")
    with pytest.raises(Disproved, match="the four-cycle is zero"):
        between("-0.5", "-0.4", temperature="0")


def test_a_potential_game_has_no_certificate():
    plain = assertion()
    quarter = len(plain["reward"]) // 2
    plain["reward"] = plain["reward"][:quarter] * 2
    with pytest.raises(Disproved, match="the four-cycle is zero"):
        proved(plain)


JUNK = st.sampled_from([None, True, 0, -1, 10**19, "", "x", "1/0", "0x1", "1" * 401, [], [[]], {}, ["0"], {"at_least": "1"}])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(CERTIFICATES)))
def test_junk_is_refused(tmp_path, data, name):
    certificate = CERTIFICATES[name]
    plain = assertion(certificate)
    path = data.draw(st.sampled_from([*leaves(plain), *[(key,) for key in plain]]))
    junk = data.draw(JUNK)
    forged = edited(plain, path, lambda _: junk)
    if forged == assertion(certificate):
        return
    document = json.loads(write(certificate, tmp_path / "c.json").read_text())
    document["assertion"] = forged
    document["sha256"] = files._digest({key: value for key, value in document.items() if key != "sha256"})
    (tmp_path / "c.json").write_text(json.dumps(document))
    with pytest.raises(CertificateError):
        check(read(tmp_path / "c.json"), certificate.statement)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shape": [2, 2]}, "shape: found a list of 2"),
        ({"shape": [2, 2, 3]}, "transition: found 16 numbers; the shape says 24"),
        ({"shape": [65, 2, 2]}, "at most 64 states"),
        ({"shape": [10**6] * 9}, "at most 64 states"),
        ({"shape": [2] * 18}, "shape: found a list of 18"),
        ({"discount": "1"}, "discount: found 1; it is between"),
        ({"discount": "0"}, "discount: found 0"),
        ({"discount": "-1/2"}, "discount: found -0.5"),
        ({"discount": 1}, "discount: found 1; expected a rational number as text"),
        ({"temperature": "-1"}, "temperature: found -1; it is zero, or above"),
        ({"temperature": 1}, "temperature: found 1; expected a rational number as text"),
        ({"players": [1, 0]}, "players: found 1 and 0"),
        ({"players": [0, 0]}, "players: found 0 and 0"),
        ({"players": [0, 2]}, "players: found 2"),
        ({"state": 2}, "state: found 2"),
        ({"state": None}, "state, initial: expected a state, or"),
        ({"initial": ["1", "0"]}, "state, initial: expected a state, or"),
        ({"state": None, "initial": ["1", "1"]}, "initial: row 0 does not sum to one"),
        ({"state": None, "initial": ["2", "-1"]}, "initial: row 0 has a negative probability"),
        ({"policies": []}, "policies: found a list of 0"),
        ({"deviations": [["1", "0", "1", "0"]]}, "deviations: found a list of 1"),
        ({"deviations": [["1", "0", "1", "1"], ["1", "0", "1", "0"]]}, r"deviations\[0\]: row 1 does not sum to one"),
        ({"policies": [["2", "-1", "1", "0"], ["1", "0", "1", "0"]]}, r"policies\[0\]: row 0 has a negative probability"),
        ({"more": 1}, "unknown: 'more'"),
    ],
)
def test_what_is_no_game_is_refused(changes, says):
    with pytest.raises(CertificateError, match=says):
        proved(assertion() | changes)


def test_a_witness_a_problem_or_a_subject_is_refused():
    statement = OPPOSED.statement
    with pytest.raises(CertificateError, match="witness"):
        check(Certificate(statement, {"more": 1}))


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_hostile_numbers_take_little_time():
    """Long coprime denominators at every place, as many as a file holds."""
    draw = np.random.default_rng(0)
    S, actions, digits = 32, (4, 4), 300

    def number():
        return Fraction(int.from_bytes(draw.bytes(digits // 3), "big"), int.from_bytes(draw.bytes(digits // 3), "big") | 1)

    def rows(count, width, fixed):
        out = []
        for _ in range(count):
            cut = [Fraction(int.from_bytes(draw.bytes(40), "big"), fixed * 2**320) for _ in range(width - 1)]
            out += [*cut, 1 - sum(cut)]
        return out

    even = [[Fraction(1, 4)] * (S * 4)] * 2
    turned = [[Fraction(int(a == 0)) for _ in range(S) for a in range(4)]] * 2
    for transition, reward in (
        (rows(S * 16, S, S), [number() for _ in range(2 * S * 16)]),
        (rows(S * 16, S, S), [Fraction(k % 7) for k in range(2 * S * 16)]),
    ):
        statement = cycle_statement(
            (S, *actions), transition, reward, Fraction(1, 2), (0, 1), 0, None, even, turned, Fraction(1)
        )
        start = time.perf_counter()
        with pytest.raises(CertificateError):
            check(Certificate(statement))
        assert time.perf_counter() - start < 30
