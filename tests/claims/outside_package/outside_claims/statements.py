"""Claims of another group, as its own package would state them."""

from mcr2_landscape.certify import Statement
from mcr2_landscape.claims import Case, Claim, Form, Role


def identity(left, right):
    return Statement("identity", assertion={"left": left, "right": right, "where": []})


def _claim(name, check, **rest):
    source = "Outside et al. (2026), Theorem 1"
    fields = {"title": f"The claim {name}", "source": source, "form": Form.OWN, "statement": f"What {name} says."} | rest
    return Claim(id=name, check=f"outside_claims.checks:{check}", **fields)


SQUARE = identity("(a + b)**2", "a**2 + 2*a*b + b**2")
CUBE = identity("(a - b)*(a**2 + a*b + b**2)", "a**3 - b**3")

CLAIMS = [
    _claim("outside.square", "proves", expected="holds", cases=(Case("square", SQUARE), Case("cube", CUBE)), formula="(a+b)²"),
    _claim(
        "outside.refuted",
        "proves",
        form=Form.PRINTED,
        expected="refuted",
        statement="For <script>alert(1)</script> & all a, b.",
        hypotheses=("a < b", "b ≤ 1"),
        cases=(Case("cube", CUBE, Role.COUNTER_EXAMPLE, "At a = b:"),),
    ),
    _claim("outside.corrected", "seen", form=Form.CORRECTED, expected="holds", corrects="outside.refuted"),
    _claim("outside.open", "open_question", expected="undecided"),
]

# What goes wrong, each in its own way.
TROUBLE = [
    _claim("trouble.raises", "raises"),
    _claim("trouble.killed", "killed"),
    _claim("trouble.exits", "exits"),
    _claim("trouble.nonsense", "nonsense"),
    _claim("trouble.uncertified", "uncertified"),
    _claim("trouble.nowhere", "no_such_function"),
    _claim("trouble.unwritable", "unwritable"),
    _claim("trouble.after", "seen"),
]
UNEXPECTED = [
    _claim("unexpected.refuted", "refuted", expected="holds"),
    _claim("unexpected.undecided", "open_question", expected="holds"),
    _claim("unexpected.unknown", "open_question"),
]
GATED = [_claim("gated.before", "proves", cases=(Case("square", SQUARE),), expected="holds"), _claim("gated.gate", "gated")]
BROKEN = [_claim("broken.id", "seen"), "no claim"]
