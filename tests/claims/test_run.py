"""What `Run.certify` makes of cases that are proved, disproved, or neither."""

from fractions import Fraction

import pytest

from mcr2_landscape.certify import ExactProblem, Statement, orthogonal
from mcr2_landscape.claims import Case, Claim, Form, Outcome, Role, Run
from mcr2_landscape.verdict import Evidence, Verdict

PROBLEM = ExactProblem(3, (2, 2), Fraction(1, 2), Fraction(1, 10))
TRUE = {
    "inequality": Statement("inequality", None, None, {"ascending": ["1", "2"]}),
    "identity": Statement("identity", None, None, {"left": "(x + 1)**2", "right": "x**2 + 2*x + 1", "where": []}),
    "maximizer": Statement("local maximizer", PROBLEM, orthogonal((2, 1)), {"radius": "1/1000", "zero": 4}),
}
FALSE = {
    "inequality": Statement("inequality", None, None, {"ascending": ["2", "1"]}),
    "values": Statement(
        "inequality", PROBLEM, None, {"ascending": [{"value_at": orthogonal((2, 1)).to_plain()}, {"value_at": {"family": []}}]}
    ),
    "identity": Statement("identity", None, None, {"left": "(x + 1)**2", "right": "x**2 + x + 1", "where": []}),
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
    return Outcome.of(run.certify(), certificates=run.certificates)


@pytest.mark.parametrize(("role", "verdict"), [(Role.INSTANCE, Verdict.HOLDS), (Role.COUNTER_EXAMPLE, Verdict.REFUTED)])
@pytest.mark.parametrize("name", TRUE)
def test_a_proved_case_decides_with_its_certificate(name, role, verdict):
    found = outcome(TRUE[name], role)
    assert (found.verdict, found.evidence) == (verdict, Evidence.CERTIFIED)
    assert len(found.certificates) == 1


@pytest.mark.parametrize(("role", "verdict"), [(Role.INSTANCE, Verdict.REFUTED), (Role.COUNTER_EXAMPLE, Verdict.UNDECIDED)])
@pytest.mark.parametrize("name", FALSE)
def test_a_disproved_instance_refutes(name, role, verdict):
    found = outcome(FALSE[name], role)
    assert found.verdict is verdict
    assert not found.certificates
    assert "disproved" in found.parts[0].summary


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", UNPROVED)
def test_what_is_not_proved_is_undecided(name, role):
    found = outcome(UNPROVED[name], role)
    assert found.verdict is Verdict.UNDECIDED
    assert not found.certificates
