"""Making certificates, with ordinary numerics (NumPy). Each one is checked before it is given out.

What is computed here only has to be good, never to be trusted: the checker (`check`) sees the certificate alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import ctx

from mcr2_landscape import closed_form
from mcr2_landscape.certify.balls import BallProblem, squared_norm
from mcr2_landscape.certify.certificate import Certificate, Point, Statement
from mcr2_landscape.certify.check import Proof, check
from mcr2_landscape.certify.critical import LARGEST, Enclosure, elements, enclose, matrix, tangents
from mcr2_landscape.certify.exact import CertificateError, ExactFamily, ExactProblem, Undecided, rational
from mcr2_landscape.certify.identities import difference, polynomial_text
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.validation import InputError, float64_matrix

_POINT_KINDS = ("critical point", "inertia", "local maximizer", "strict saddle")


@dataclass(frozen=True)
class Made:
    """A certificate that has passed the checker, and what it proves."""

    certificate: Certificate
    proof: Proof


def exact_problem(problem: Any) -> ExactProblem:
    """The exact problem that the float64 numbers of a `Parameters` or an `MCR2` define.

    **Raises:** `InputError` for a problem of another kind.
    """
    if isinstance(problem, ExactProblem):
        return problem
    p = problem if isinstance(problem, Parameters) else getattr(problem, "parameters", None)
    if not isinstance(p, Parameters) or getattr(problem, "constraint", None) is not None:
        raise InputError(f"problem: found {type(problem).__name__}; certificates are for the regularized problem MCR2")
    if p.widths != p.sizes:
        raise InputError("problem: stored in fewer columns than it has; pass the full one")
    return ExactProblem(p.dim, p.sizes, Fraction(p.epsilon), Fraction(p.regularization))


def float_parameters(problem: ExactProblem) -> Parameters:
    """The problem in float64."""
    return Parameters(problem.dim, problem.sizes, float(problem.epsilon), problem.float_regularization)


def certify_point(problem: Any, Z: Any, *, kind: str | None = None, radius: Any = Fraction(1, 10**8)) -> Made:
    """Prove what the critical point near Z is.

    **Arguments:** `problem`: an `MCR2`, `Parameters` or `ExactProblem`. `Z` of shape (d, m), nearly critical: it is polished
    by Newton steps first. `kind`: "critical point", "inertia", "local maximizer" or "strict saddle"; by default one of the
    last two, as the inertia says. `radius`: the distance within which the critical point has to lie, relative to 1 + ‖Z‖,
    rounded up.

    **Returns:** `Made`, whose certificate is about the polished point.

    **Raises:** `Undecided` with the reason and what was reached, where there is no proof; `InputError` for a wrong shape,
    NaN, or more than 640 unknowns (`certify_approximate_saddle` has no such limit).
    """
    exact = exact_problem(problem)
    p = float_parameters(exact)
    Z = float64_matrix("Z", Z, p.shape)
    if Z.size > LARGEST:
        raise InputError(
            f"Z: {Z.size} unknowns; at most {LARGEST} can be counted. certify_approximate_saddle has no such limit"
        )
    if kind not in (None, *_POINT_KINDS):
        raise InputError(f"kind: found {kind!r}; pass one of " + ", ".join(_POINT_KINDS))
    Z = _polish(p, Z)
    subject = Point(tuple(Z.ravel().tolist()))
    found = _enclosed(exact, subject.entries, Z)
    if kind is None:
        kind = "strict saddle" if found.positive else "local maximizer"
    reach = rational("radius", radius) * (1 + int(np.ceil(np.linalg.norm(Z))))
    assertion: dict[str, Any] = {"radius": str(reach)}
    witness: dict[str, Any] = {}
    if kind == "critical point":
        assertion["orbit_dimension"] = found.zero
    elif kind == "inertia":
        assertion |= {"positive": found.positive, "zero": found.zero, "negative": found.negative}
    elif kind == "local maximizer":
        assertion["zero"] = found.zero
    else:
        witness = {"orbit_dimension": found.zero, "direction": _ascent_direction(p, Z)}
    return _checked(Certificate(Statement(kind, exact, subject, assertion), witness))


def certify_approximate_saddle(problem: Any, Z: Any, direction: Any) -> Made:
    """Prove an (ε, γ)-approximate strict saddle at Z itself: bounds on the gradient norm and on the second derivative along a
    direction, two units in the fourth digit beyond their float64 values.

    **Arguments:** `direction` of shape (d, m), for instance of the largest eigenvalue (see `mcr2_landscape.curvature`).

    **Raises:** `CertificateError` where the second derivative is not positive; `InputError` for wrong shapes or NaN.
    """
    exact = exact_problem(problem)
    p = float_parameters(exact)
    Z, D = float64_matrix("Z", Z, p.shape), float64_matrix("direction", direction, p.shape)
    if not D.any():
        raise InputError("direction: found zero; pass a direction of positive curvature")
    D = D / np.abs(D).max()
    D = D / np.linalg.norm(D)
    subject = Point(tuple(Z.ravel().tolist()))
    direction = tuple(D.ravel().tolist())
    with ctx.workprec(212):
        b, point = BallProblem(exact), matrix(exact, "Z", subject.entries)
        try:
            norm = float(b.alpha * squared_norm(part.abs_upper() for part in b.gradient(point)).sqrt())
            curvature = float(b.alpha * b.curvature(point, matrix(exact, "direction", direction)))
        except ZeroDivisionError:
            raise Undecided("Z: its resolvents cannot be enclosed at 212 bits") from None
    if not curvature > 0:
        raise CertificateError(f"direction: the second derivative along it is {curvature:.3g}; it must be greater than zero")
    # Zero is enclosed by a ball of the size of rounding.
    least = 1e-30 * p.alpha * (1 + float(np.linalg.norm(Z)))
    assertion = {"gradient_norm": str(_short(1.0002 * norm + least)), "curvature": str(_short(0.9998 * curvature))}
    witness = {"direction": direction}
    return _checked(Certificate(Statement("approximate strict saddle", exact, subject, assertion), witness))


def certify_statement(statement: Statement, *, claim: str | None = None, case: str | None = None) -> Made:
    """Find the witness of a statement about a family, about values or about an identity, and check it.

    **Raises:** `CertificateError` where the statement is refuted or not proved.
    """
    witness: dict[str, Any] = {}
    if statement.kind == "strict saddle":
        if statement.problem is None or not isinstance(statement.subject, ExactFamily):
            raise CertificateError("subject: expected a problem and a family; certify_point takes points")
        p = float_parameters(statement.problem)
        with ctx.workprec(212):
            point = BallProblem(statement.problem).point(statement.subject)
            Z = np.array([float(entry) for entry in point.entries()]).reshape(p.shape)
        found = _enclosed(statement.problem, statement.subject, Z)
        witness = {"orbit_dimension": found.zero, "direction": _ascent_direction(p, Z)}
    elif statement.kind == "identity":
        witness = {"cofactors": _cofactors(statement.assertion)}
    return _checked(Certificate(statement, witness, claim, case))


def _checked(certificate: Certificate) -> Made:
    return Made(certificate, check(certificate, certificate.statement))


def _polish(p: Parameters, Z: np.ndarray) -> np.ndarray:
    """Newton steps with the pseudo-inverse, as long as they lower the gradient."""
    gradient = closed_form.gradient(p, Z)
    for _ in range(6):
        values, vectors = np.linalg.eigh(closed_form.hessian_matrix(p, Z))
        keep = np.abs(values) > 1e-9 * np.abs(values).max()
        step = vectors[:, keep] @ ((vectors[:, keep].T @ gradient.ravel()) / values[keep])
        trial = Z - step.reshape(Z.shape)
        following = closed_form.gradient(p, trial)
        if not np.linalg.norm(following) < np.linalg.norm(gradient):
            break
        Z, gradient = trial, following
    return Z


def _enclosed(exact: ExactProblem, subject: ExactFamily | tuple[float, ...], Z: np.ndarray) -> Enclosure:
    """The critical point near `subject`, with the first of the likely orbit dimensions with which there is a proof."""
    failures = []
    for dimension in _orbit_dimensions(exact, Z):
        try:
            return enclose(exact, subject, dimension)
        except Undecided as error:
            failures.append(error)
    raise failures[0]


def _orbit_dimensions(exact: ExactProblem, Z: np.ndarray) -> list[int]:
    """The ranks that the tangent vectors of the orbit may have, the likeliest first: where the singular values of as many
    random ones as can be independent have the widest gaps."""
    count = min(Z.size, sum(size * (size - 1) // 2 for size in (exact.dim, *exact.sizes)))
    if count == 0 or not Z.any():
        return [0]
    with ctx.workprec(106):
        b = BallProblem(exact)
        turned = tangents(b, elements(exact, count), matrix(exact, "Z", (Z / np.abs(Z).max()).ravel().tolist()))
        columns = np.array([[float(entry) for entry in row] for row in turned.tolist()])
    values = np.linalg.svd(columns, compute_uv=False)
    following = np.append(np.maximum(values[1:], 1e-17 * values[0]), 1e-17 * values[0])
    gaps = np.where(values > 1e-14 * values[0], values / following, 0)
    return [int(place) + 1 for place in np.argsort(-gaps, kind="stable")[:3] if gaps[place] > 100] or [int((gaps > 0).sum())]


def _ascent_direction(p: Parameters, Z: np.ndarray) -> tuple[float, ...]:
    return tuple(np.linalg.eigh(closed_form.hessian_matrix(p, Z))[1][:, -1].tolist())


def _short(number: float) -> Fraction:
    """A rational number with few digits, within one part in a million."""
    return Fraction(f"{number:.6e}")


def _cofactors(assertion: Any) -> list[str]:
    """Polynomials c_i with (left − right) · denominators = Σ c_i r_i, by division (sympy)."""
    if not assertion["where"]:
        return []
    import sympy

    names: dict[str, Any] = {name: sympy.Symbol(name) for name in _names(assertion)}
    numerator = sympy.parse_expr(polynomial_text(difference(assertion["left"], assertion["right"])), local_dict=names)
    conditions = [sympy.parse_expr(text, local_dict=names) for text in assertion["where"]]
    if 0 in conditions:
        raise CertificateError("where: a condition is zero identically; leave it out")
    quotients, rest = sympy.reduced(numerator, conditions, *sorted(names.values(), key=str))
    if rest != 0:
        raise CertificateError(f"identity: does not follow from the conditions by division; {rest} is left over")
    return [str(sympy.expand(quotient)) for quotient in quotients]


def _names(assertion: Any) -> set[str]:
    import ast

    texts = [assertion["left"], assertion["right"], *assertion["where"]]
    return {node.id for text in texts for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}
