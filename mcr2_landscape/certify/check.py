"""The checker: what each kind of certificate proves, and how that is verified.

It needs python-flint and the standard library alone. Everything that decides is ball arithmetic or exact; what a certificate
says is only ever tried, never believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR
from itertools import pairwise
from typing import Any

from flint import arb, arb_mat, ctx

from mcr2_landscape.certify.balls import BallProblem, ball, squared_norm
from mcr2_landscape.certify.certificate import Certificate, Point, Statement
from mcr2_landscape.certify.critical import PRECISIONS, Enclosure, enclose, matrix
from mcr2_landscape.certify.exact import (
    CertificateError,
    Disproved,
    ExactFamily,
    ExactProblem,
    Undecided,
    fields,
    integer,
    items,
    number_text,
    rational,
    shown,
)
from mcr2_landscape.certify.identities import check_identity
from mcr2_landscape.certify.markov import KIND as MARKOV_CYCLE
from mcr2_landscape.certify.markov import check_cycle
from mcr2_landscape.certify.quadratic import degenerate
from mcr2_landscape.certify.quantities import Number, Quantity, ValueAt, ValueThreshold, parse_quantity

LARGEST_WORK = 1 << 27  # d·m·min(d, m) of an approximate saddle: about half a minute for each precision


@dataclass(frozen=True)
class Proof:
    """What a certificate has proved: one sentence, and figures of the proof (precision, contraction, bounds)."""

    sentence: str
    figures: Mapping[str, Any]


def check(certificate: Certificate, expected: Statement | None = None) -> Proof:
    """Verify a certificate, and that it states what is `expected`, if that is given.

    **Raises:** `CertificateError` for a statement that is not the expected one, not well formed, or not proved: `Undecided`
    where a better witness might prove it, `Disproved` where it is false.
    """
    statement = certificate.statement
    if expected is not None:
        found, wanted = statement.to_plain(), expected.to_plain()
        for name, value in wanted.items():
            if found[name] != value:
                raise CertificateError(f"{name}: the certificate states something else than the claim does")
    if not isinstance(statement.kind, str) or statement.kind not in KINDS:
        raise CertificateError(f"kind: found {shown(statement.kind)}; expected one of " + ", ".join(KINDS))
    try:
        return KINDS[statement.kind](statement, certificate.witness)
    except ArithmeticError as error:  # numbers so large or small that even the words about them overflow
        raise Undecided(f"{statement.kind}: the numbers are out of range ({error})") from None


def _problem(statement: Statement) -> ExactProblem:
    if statement.problem is None:
        raise CertificateError(f"problem: missing; {statement.kind!r} is about one")
    return statement.problem


def _nothing(witness: Mapping[str, Any]) -> None:
    fields("witness", witness, ())


def _direction(problem: ExactProblem, entries: Any) -> arb_mat:
    D = matrix(problem, "direction", entries)
    if not any(entries):
        raise CertificateError("direction: found zero; expected a direction of positive curvature")
    return D


def _enclosed(statement: Statement, orbit_dimension: Any) -> tuple[Enclosure, str, dict[str, Any]]:
    """The critical point within the asserted radius, the words for it, and figures."""
    problem, subject = _problem(statement), statement.subject
    if subject is None:
        raise CertificateError("subject: missing; a point or a family is expected")
    radius = rational("radius", statement.assertion["radius"])
    if radius <= 0:
        raise CertificateError(f"radius: found {radius}; it must be greater than zero")
    count = integer("orbit dimension", orbit_dimension, 0)
    found = enclose(problem, subject.entries if isinstance(subject, Point) else subject, count)
    with ctx.workprec(found.precision):
        if not found.distance <= ball(radius):
            raise Undecided(
                f"the critical point was found within {float(found.distance):.1e}, not within {number_text(radius)}"
            )
    figures = {"precision": found.precision, "contraction": found.contraction, "distance": float(found.distance)}
    words = f"For {problem}, there is a critical point within {number_text(radius, ROUND_CEILING)} (Frobenius) of {subject}"
    return found, words, figures


def _critical_point(statement: Statement, witness: Mapping[str, Any]) -> Proof:
    """*critical point*: a zero of ∇F within `radius`, whose orbit has dimension `orbit_dimension`, which is also the
    nullity."""
    _nothing(witness)
    assertion = fields("assertion", statement.assertion, ("radius", "orbit_dimension"))
    found, words, figures = _enclosed(statement, assertion["orbit_dimension"])
    return Proof(f"{words}; its symmetry orbit has dimension {found.zero}, and so has the kernel of its Hessian.", figures)


def _inertia(statement: Statement, witness: Mapping[str, Any]) -> Proof:
    """*inertia*: a critical point within `radius` with exactly these numbers of eigenvalues, the zeros being the orbit's."""
    _nothing(witness)
    assertion = fields("assertion", statement.assertion, ("radius", "positive", "zero", "negative"))
    found, words, figures = _enclosed(statement, assertion["zero"])
    counts = tuple(integer(name, assertion[name], 0) for name in ("positive", "zero", "negative"))
    if counts != (found.positive, found.zero, found.negative):
        raise CertificateError(
            f"assertion: found the inertia {counts} (positive, zero, negative); proved is "
            f"{(found.positive, found.zero, found.negative)}"
        )
    return Proof(
        f"{words}; its Hessian has exactly {counts[0]} positive, {counts[1]} zero and {counts[2]} negative eigenvalues, the "
        "zeros being the tangent space of its symmetry orbit.",
        figures,
    )


def _local_maximizer(statement: Statement, witness: Mapping[str, Any]) -> Proof:
    """*local maximizer*: a critical point within `radius` whose Hessian is negative definite across its orbit of dimension
    `zero`, so that F is smaller at all points near it that are not on the orbit."""
    _nothing(witness)
    assertion = fields("assertion", statement.assertion, ("radius", "zero"))
    found, words, figures = _enclosed(statement, assertion["zero"])
    if found.positive:
        raise CertificateError(
            f"assertion: the critical point has {found.positive} positive eigenvalues: it is a strict saddle"
        )
    return Proof(
        f"{words}; it is a local maximizer: F is smaller at all points near it off its orbit (dimension {found.zero}).", figures
    )


def _strict_saddle(statement: Statement, witness: Mapping[str, Any]) -> Proof:
    """*strict saddle*: a critical point within `radius`, and a direction along which the second derivative is positive there:
    the quadratic form is enclosed above zero over the whole neighborhood in which the point lies."""
    fields("assertion", statement.assertion, ("radius",))
    entry = fields("witness", witness, ("orbit_dimension", "direction"))
    D = _direction(_problem(statement), entry["direction"])
    found, words, figures = _enclosed(statement, entry["orbit_dimension"])
    with ctx.workprec(found.precision):
        b = BallProblem(_problem(statement))
        curvature = b.alpha * b.curvature(found.box, D) / squared_norm(D.entries())
        if not curvature > 0:
            raise Undecided("direction: the second derivative along it is not positive over the whole neighborhood")
    figures["curvature"] = float(curvature)
    return Proof(f"{words}; it is a strict saddle: the second derivative along the stored direction is positive.", figures)


def _degenerate(statement: Statement, witness: Mapping[str, Any]) -> Proof:
    """*degenerate*: neither a local maximizer nor a strict saddle, in exact arithmetic (see `quadratic`)."""
    _nothing(witness)
    problem = _problem(statement)
    assertion = fields("assertion", statement.assertion, ("of_class", "excess_nullity"))
    if not isinstance(statement.subject, ExactFamily):
        raise CertificateError("subject: expected a family, which can be built exactly")
    of_class = integer("of_class", assertion["of_class"], 1, len(problem.sizes))
    found = degenerate(problem, statement.subject, of_class)
    excess = found.zero - found.orbit_dimension
    if integer("excess_nullity", assertion["excess_nullity"], 1) != excess:
        raise Disproved(f"excess_nullity: found {assertion['excess_nullity']}; proved is {excess}")
    third = float(found.third_derivative)
    return Proof(
        f"For {problem}, {statement.subject} is critical and neither a local maximizer nor a strict saddle: its Hessian has no "
        f"positive eigenvalue, {found.zero} zero ones ({excess} more than its symmetry orbit has dimensions) and "
        f"{found.negative} negative ones, and scaling the block of class {of_class} by 1 + t changes F by "
        f"about {third / 6:.6g} t³ + O(t⁴).",
        {"third_derivative": third, "exact": str(found.third_derivative)},
    )


def _inequality(statement: Statement, witness: Mapping[str, Any]) -> Proof:
    """*inequality*: a strictly ascending chain of quantities (see `quantities`)."""
    _nothing(witness)
    if statement.subject is not None:
        raise CertificateError("subject: an inequality has none; its quantities name their points")
    chain = items("ascending", fields("assertion", statement.assertion, ("ascending",))["ascending"], minimum=2, maximum=20)
    quantities = [parse_quantity(statement.problem, entry) for entry in chain]
    if statement.problem is not None and not any(isinstance(quantity, ValueAt) for quantity in quantities):
        raise CertificateError("problem: no quantity is about it; expected null")
    bits = max(_below(*pair) for pair in pairwise(quantities))
    where = f"For {statement.problem}: " if statement.problem is not None else ""
    return Proof(f"{where}{' < '.join(str(quantity) for quantity in quantities)}.", {"precision": bits})


def _below(low: Quantity, high: Quantity) -> int:
    """Prove low < high, and return the bits that it took."""
    if isinstance(low, ValueThreshold) and isinstance(high, ValueThreshold):
        raise CertificateError("ascending: two thresholds side by side; put a number between them")
    for bits in PRECISIONS:
        with ctx.workprec(bits):
            margin = _margin(low, high)
            if margin > 0:
                return bits
            if margin <= 0:
                raise Disproved(f"ascending: {low} is not below {high}")
    raise Undecided(f"ascending: {low} and {high} cannot be told apart at {PRECISIONS[-1]} bits")


def _margin(low: Quantity, high: Quantity) -> arb:
    """A number that is positive exactly if low < high."""
    for threshold, other, sign in ((high, low, 1), (low, high, -1)):
        if isinstance(threshold, ValueThreshold):
            if not isinstance(other, Number) or not 0 < other.number < 1:
                raise CertificateError("ascending: a threshold is compared with a number between 0 and 1")
            return sign * threshold.height(other.number)
    return high.enclosure() - low.enclosure()


def _identity(statement: Statement, witness: Mapping[str, Any]) -> Proof:
    """*identity*: of rational functions, perhaps under side conditions (see `identities`)."""
    assertion = fields("assertion", statement.assertion, ("left", "right", "where"))
    entry = fields("witness", witness, ("cofactors",))
    if statement.problem is not None or statement.subject is not None:
        raise CertificateError("problem, subject: an identity has none")
    where = items("where", assertion["where"], maximum=20)
    check_identity(assertion["left"], assertion["right"], where, items("cofactors", entry["cofactors"], maximum=20))
    condition = f" whenever {' and '.join(f'{r} = 0' for r in where)}" if where else ""
    return Proof(f"{assertion['left']} = {assertion['right']}{condition}, wherever no denominator vanishes.", {})


def _approximate_saddle(statement: Statement, witness: Mapping[str, Any]) -> Proof:
    """*approximate strict saddle*: at the stored point ‖∇F‖ ≤ `gradient_norm`, and along the stored direction D the quadratic
    form ⟨D, H D⟩/‖D‖² ≥ `curvature`, both with outward rounding."""
    problem = _problem(statement)
    assertion = fields("assertion", statement.assertion, ("gradient_norm", "curvature"))
    entry = fields("witness", witness, ("direction",))
    if not isinstance(statement.subject, Point):
        raise CertificateError("subject: expected a stored point")
    norm_bound = rational("gradient_norm", assertion["gradient_norm"])
    curvature_bound = rational("curvature", assertion["curvature"])
    if curvature_bound <= 0:
        raise CertificateError(f"curvature: found {curvature_bound}; it must be greater than zero")
    work = problem.dim * problem.num_samples * min(problem.dim, problem.num_samples)
    if work > LARGEST_WORK:
        raise CertificateError(f"problem: d·m·min(d, m) is {work}; at most {LARGEST_WORK} is checked")
    Z = matrix(problem, "point", statement.subject.entries)
    D = _direction(problem, entry["direction"])
    for bits in PRECISIONS:
        with ctx.workprec(bits):
            b = BallProblem(problem)
            try:
                # Bounds from those of the entries: the square of a ball about zero reaches below zero and has no root.
                gradient = b.gradient(Z)
                least = b.alpha * squared_norm(part.abs_lower() for part in gradient).sqrt()
                norm = b.alpha * squared_norm(part.abs_upper() for part in gradient).sqrt()
                curvature = b.alpha * b.curvature(Z, D) / squared_norm(D.entries())
            except ZeroDivisionError:
                continue
            if norm <= ball(norm_bound) and curvature >= ball(curvature_bound):
                figures = {"precision": bits, "gradient_norm": float(norm), "curvature": float(curvature)}
                return Proof(
                    f"For {problem}, at the stored point the gradient has norm at most "
                    f"{number_text(norm_bound, ROUND_CEILING)} and the second derivative along the stored direction, for "
                    f"unit length, is at least {number_text(curvature_bound, ROUND_FLOOR)}: an approximate strict saddle.",
                    figures,
                )
            if least > ball(norm_bound):
                raise Disproved(f"gradient_norm: the gradient norm is {float(norm):.3e}")
            if curvature < ball(curvature_bound):  # along this direction; another one may do
                raise Undecided(f"direction: the second derivative along it is {float(curvature):.3e}")
    raise Undecided(f"gradient norm and curvature cannot be bounded at {PRECISIONS[-1]} bits")


def _markov_cycle(statement: Statement, witness: Mapping[str, Any]) -> Proof:
    """*markov cycle*: a four-cycle of policies of a Markov game that is not zero, hence no Markov potential game (see
    `markov`)."""
    return Proof(*check_cycle(statement, witness))


KINDS: dict[str, Callable[[Statement, Mapping[str, Any]], Proof]] = {
    "critical point": _critical_point,
    "inertia": _inertia,
    "local maximizer": _local_maximizer,
    "strict saddle": _strict_saddle,
    "degenerate": _degenerate,
    "inequality": _inequality,
    "identity": _identity,
    "approximate strict saddle": _approximate_saddle,
    MARKOV_CYCLE: _markov_cycle,
}
