"""Making certificates, with ordinary numerics (NumPy). Each one is checked before it is given out.

What is computed here only has to be good, never to be trusted: the checker (`check`) sees the certificate alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from mcr2_landscape import closed_form
from mcr2_landscape.certify.balls import BallProblem, apply_generator, generator_pairs
from mcr2_landscape.certify.certificate import Certificate, Point, Statement
from mcr2_landscape.certify.check import Proof, check
from mcr2_landscape.certify.critical import LARGEST
from mcr2_landscape.certify.exact import CertificateError, ExactFamily, ExactProblem, rational
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

    **Arguments:** `problem`: an `MCR2`, `Parameters` or `ExactProblem`. `Z` of shape (d, m), nearly critical: it is polished by Newton
    steps first. `kind`: "critical point", "inertia", "local maximizer" or "strict saddle"; by default one of the last two, as the
    numerical inertia says. `radius`: the distance within which the critical point has to lie, relative to 1 + ‖Z‖, rounded up.

    **Returns:** `Made`, whose certificate is about the polished point.

    **Raises:** `Undecided` with the reason and what was reached, where there is no proof; `InputError` for a wrong shape, NaN, or more
    than 640 unknowns (`certify_approximate_saddle` has no such limit).
    """
    exact = exact_problem(problem)
    p = float_parameters(exact)
    Z = float64_matrix("Z", Z, p.shape)
    if Z.size > LARGEST:
        raise InputError(f"Z: {Z.size} unknowns; at most {LARGEST} can be counted. certify_approximate_saddle has no such limit")
    Z = _polish(p, Z)
    counts, direction = _inertia(exact, p, Z)
    if kind is None:
        kind = "strict saddle" if counts[0] else "local maximizer"
    if kind not in _POINT_KINDS:
        raise InputError(f"kind: found {kind!r}; pass one of " + ", ".join(_POINT_KINDS))
    reach = rational("radius", radius) * (1 + int(np.ceil(np.linalg.norm(Z))))
    assertion: dict[str, Any] = {"radius": str(reach)}
    witness: dict[str, Any] = {}
    if kind == "critical point":
        assertion["orbit_dimension"] = counts[1]
    elif kind == "inertia":
        assertion |= dict(zip(("positive", "zero", "negative"), counts, strict=True))
    elif kind == "local maximizer":
        assertion["zero"] = counts[1]
    else:
        witness = {"orbit_dimension": counts[1], "direction": tuple(direction.tolist())}
    return _checked(Certificate(Statement(kind, exact, Point(tuple(Z.ravel().tolist())), assertion), witness))


def certify_approximate_saddle(problem: Any, Z: Any, direction: Any) -> Made:
    """Prove an (ε, γ)-approximate strict saddle at Z itself: bounds on the gradient norm and on the second derivative along a direction,
    two units in the fourth digit beyond their float64 values.

    **Arguments:** `direction` of shape (d, m), for instance of the largest eigenvalue (see `mcr2_landscape.curvature`).

    **Raises:** `CertificateError` where the second derivative is not positive; `InputError` for wrong shapes or NaN.
    """
    exact = exact_problem(problem)
    p = float_parameters(exact)
    Z, D = float64_matrix("Z", Z, p.shape), float64_matrix("direction", direction, p.shape)
    if not D.any():
        raise InputError("direction: found zero; pass a direction of positive curvature")
    D = D / np.linalg.norm(D)
    subject = Point(tuple(Z.ravel().tolist()))
    norm = float(np.linalg.norm(closed_form.gradient(p, Z)))
    curvature = float(BallProblem(exact).curvature(_balls(exact, Z), _balls(exact, D))) * p.alpha
    if not curvature > 0:
        raise CertificateError(f"direction: the second derivative along it is {curvature:.3g}; it must be greater than zero")
    floor = 1e-14 * p.alpha * float(np.linalg.norm(Z))  # the rounding of the float64 gradient
    assertion = {"gradient_norm": str(_short(1.0002 * norm + floor)), "curvature": str(_short(0.9998 * curvature))}
    witness = {"direction": tuple(D.ravel().tolist())}
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
        point = BallProblem(statement.problem).point(statement.subject)
        Z = np.array([float(entry) for entry in point.entries()]).reshape(p.shape)
        counts, direction = _inertia(statement.problem, p, Z)
        witness = {"orbit_dimension": counts[1], "direction": tuple(direction.tolist())}
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


def _inertia(exact: ExactProblem, p: Parameters, Z: np.ndarray) -> tuple[tuple[int, int, int], np.ndarray]:
    """Numbers of positive, zero and negative eigenvalues, the zeros being as many as the orbit has dimensions, and the direction of the
    largest. Values of the size of rounding belong to the orbit: those nearest to zero are taken."""
    values, vectors = np.linalg.eigh(closed_form.hessian_matrix(p, Z))
    rows = Z.tolist()
    generators = np.array([apply_generator(pair, rows, 0.0) for pair in generator_pairs(exact)])
    norms = np.linalg.norm(generators, axis=1)
    generators = generators[norms > 1e-10 * np.linalg.norm(Z)]  # blocks that are zero up to rounding turn nothing
    zero = 0
    if generators.size:
        singular = np.linalg.svd(generators / np.linalg.norm(generators, axis=1)[:, None], compute_uv=False)
        zero = int((singular > 1e-6 * singular[0]).sum())
    signed = values[np.argsort(np.abs(values))[zero:]]
    positive = int((signed > 0).sum())
    return (positive, zero, values.size - zero - positive), vectors[:, -1]


def _balls(problem: ExactProblem, Z: np.ndarray) -> Any:
    from flint import arb, arb_mat

    return arb_mat(problem.dim, problem.num_samples, [arb(entry) for entry in Z.ravel().tolist()])


def _short(number: float) -> Fraction:
    """A rational number with few digits, within one part in a million."""
    return Fraction(f"{number:.6e}")


def _cofactors(assertion: Any) -> list[str]:
    """Polynomials c_i with (left − right) · denominators = Σ c_i r_i, by division (sympy)."""
    if not assertion["where"]:
        return []
    import sympy

    names = {name: sympy.Symbol(name) for name in _names(assertion)}
    numerator = sympy.sympify(polynomial_text(difference(assertion["left"], assertion["right"])), locals=names)
    conditions = [sympy.sympify(text, locals=names) for text in assertion["where"]]
    quotients, rest = sympy.reduced(numerator, conditions, *sorted(names.values(), key=str))
    if rest != 0:
        raise CertificateError(f"identity: does not follow from the conditions by division; {rest} is left over")
    return [str(sympy.expand(quotient)) for quotient in quotients]


def _names(assertion: Any) -> set[str]:
    import ast

    texts = [assertion["left"], assertion["right"], *assertion["where"]]
    return {node.id for text in texts for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}
