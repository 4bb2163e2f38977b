"""What `Run.certify` makes of cases that are proved, disproved, or neither."""

from fractions import Fraction

import pytest

from mcr2_landscape.certify import ExactProblem, Statement, orthogonal
from mcr2_landscape.claims import Case, Claim, Form, Outcome, Part, Role, Run
from mcr2_landscape.verdict import Evidence, Verdict

PROBLEM = ExactProblem(3, (2, 2), Fraction(1, 2), Fraction(1, 10))
TRUE = {
    "inequality": Statement("inequality", None, None, {"ascending": ["1", "2"]}),
    "identity": Statement("identity", None, None, {"left": "(x + 1)**2", "right": "x**2 + 2*x + 1", "where": []}),
    "maximizer": Statement("local maximizer", PROBLEM, orthogonal((2, 1)), {"radius": "1/1000", "zero": 4}),
}
FALSE = {
    "descent": Statement("inequality", None, None, {"ascending": ["2", "1"]}),
    "values": Statement(
        "inequality", PROBLEM, None, {"ascending": [{"value_at": orthogonal((2, 1)).to_plain()}, {"value_at": {"family": []}}]}
    ),
    "other-identity": Statement("identity", None, None, {"left": "(x + 1)**2", "right": "x**2 + x + 1", "where": []}),
}
UNPROVED = {
    # Another critical point of this kind may be within the radius.
    "saddle": Statement("local maximizer", PROBLEM, orthogonal((2,), (0, 1)), {"radius": "1/1000", "zero": 4}),
    "conditions": Statement("identity", None, None, {"left": "x", "right": "0", "where": ["y"]}),
    "malformed": Statement("inequality", PROBLEM, None, {"ascending": ["1"]}),
}


def outcome(statement, role):
    claim = Claim("a", "t", "s", Form.OWN, "w", check="m:f", cases=(Case("one", statement, role, "Words."),))
    run = Run(claim)
    return Outcome.of(run.certify()), run.certificates


@pytest.mark.parametrize(
    ("role", "verdict"), [(Role.INSTANCE, Verdict.HOLDS), (Role.LEMMA, Verdict.HOLDS), (Role.COUNTER_EXAMPLE, Verdict.REFUTED)]
)
@pytest.mark.parametrize("name", TRUE)
def test_a_proved_case_decides_with_its_certificate(name, role, verdict):
    found, certificates = outcome(TRUE[name], role)
    assert (found.verdict, found.evidence) == (verdict, Evidence.CERTIFIED)
    assert len(certificates) == 1


@pytest.mark.parametrize(
    ("role", "verdict"),
    [(Role.INSTANCE, Verdict.REFUTED), (Role.LEMMA, Verdict.UNDECIDED), (Role.COUNTER_EXAMPLE, Verdict.UNDECIDED)],
)
@pytest.mark.parametrize("name", FALSE)
def test_a_disproved_instance_refutes(name, role, verdict):
    found, certificates = outcome(FALSE[name], role)
    assert found.verdict is verdict
    assert not certificates
    assert "disproved" in found.parts[0].summary


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", UNPROVED)
def test_what_is_not_proved_is_undecided(name, role):
    found, certificates = outcome(UNPROVED[name], role)
    assert found.verdict is Verdict.UNDECIDED
    assert not certificates


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([0.0, 1e-9], "holds"),
        ([1e-8], "holds"),
        ([0.0, 2e-8], "undecided"),
        ([0.0, 2e-6, 0.0], "refuted"),
        ([INFINITY], "refuted"),
        ([], "undecided"),
        ([0.0, NAN, 0.0], "undecided"),
        ([NAN, 1.0], "undecided"),
    ],
)
def test_errors_measured(errors, verdict):
    part = Part.measured("errors", errors, 1e-8, "error", seeds=1)
    assert part.verdict == verdict
    assert part.figures["samples"] == len(errors)


@pytest.mark.parametrize(
    ("samples", "exceptions", "undecided", "verdict"),
    [
        (20, [], 0, "holds"),
        (19, [], 1, "holds"),
        (18, [], 1, "undecided"),
        (0, [], 0, "undecided"),
        (20, ["one"], 0, "refuted"),
        (1, ["one"], 100, "refuted"),
    ],
)
def test_samples_counted(samples, exceptions, undecided, verdict):
    assert Part.counted("n", samples, exceptions, "w", seeds=1, undecided=undecided).verdict == verdict


def test_a_proof_needs_all_its_steps():
    def proof(*names):
        cases = tuple(Case(name, (TRUE | FALSE | UNPROVED)[name], Role.LEMMA) for name in names)
        return Run(Claim("a", "t", "s", Form.OWN, "w", check="m:f", cases=cases)).certify_proof()

    assert (proof("identity").verdict, proof("identity").evidence) == (Verdict.HOLDS, Evidence.EXACT)
    for names in ((), ("identity", "values"), ("conditions",)):
        assert proof(*names).verdict is Verdict.UNDECIDED
