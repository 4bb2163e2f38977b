"""Who takes part: one registry of ways to multiply by a Hessian.

A contestant is prepared at a point and gives three functions: `give` takes a direction (NumPy) into its own kind of array,
`multiply` computes the product and waits for it, `take` brings the result back. Only `multiply` is timed.

Those that differentiate get the objective in its cheapest form, which the papers' formula is not: the whole's Gram matrix is
the sum of the classes', and log-determinants come from an LU factorization, whose derivatives are cheaper than Cholesky's.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.bench.plan import BY_SHAPE, LIMIT, OURS
from mcr2_landscape.errors import InputError
from mcr2_landscape.mcr2 import MCR2


class Multiplier(NamedTuple):
    """A product by the Hessian at one point. `about`: a word about how it is computed, of our own operator the form."""

    give: Callable[[np.ndarray], Any]
    multiply: Callable[[Any], Any]
    take: Callable[[Any], np.ndarray]
    about: str = ""


@dataclass(frozen=True)
class Contestant:
    """**Fields:** `name`; `prepare(problem, Z)`, which builds what is kept at a point; `module`, which it imports, and
    `install`, what pip is to be given for it (`None` where nothing but the library itself is needed)."""

    name: str
    prepare: Callable[[MCR2, np.ndarray], Multiplier]
    module: str | None = None
    install: str | None = None

    @property
    def missing(self) -> str | None:
        """The command that installs what is not there."""
        if self.module is None or importlib.util.find_spec(self.module) is not None:
            return None
        return f"pip install {self.install}"


def _of_jax(multiply: Callable[[jax.Array], jax.Array], about: str = "") -> Multiplier:
    return Multiplier(jnp.asarray, lambda D: jax.block_until_ready(multiply(D)), np.asarray, about)


def _ours(form: str | None) -> Callable[[MCR2, np.ndarray], Multiplier]:
    def prepare(problem: MCR2, Z: np.ndarray) -> Multiplier:
        H = jax.block_until_ready(problem.hessian(jnp.asarray(Z), form=form))
        return _of_jax(H.mv, H.form)

    return prepare


def objective(problem: MCR2, Z: jax.Array) -> jax.Array:
    """F(Z) for those that differentiate it, traced."""
    p = problem.parameters
    starts = np.cumsum(p.widths)[:-1].tolist()
    grams = jnp.stack([block @ block.T for block in jnp.split(Z, starts, axis=1)])
    identity = jnp.eye(p.dim, dtype=Z.dtype)
    whole = jnp.linalg.slogdet(identity + p.alpha * jnp.sum(grams, axis=0))[1]
    alphas = jnp.asarray(p.alphas, dtype=Z.dtype)[:, None, None]
    classes = jnp.linalg.slogdet(identity[None] + alphas * grams)[1]
    weights = jnp.asarray(1 / p.ratios, dtype=Z.dtype)
    return 0.5 * (whole - jnp.sum(weights * classes) - p.regularization * jnp.sum(Z * Z))


class _Traced:
    """Jitted functions of one problem, kept so that preparing a second time compiles nothing."""

    def __init__(self, problem: MCR2):
        gradient = jax.grad(lambda Z: objective(problem, Z))
        self.jvp = jax.jit(lambda Z, D: jax.jvp(gradient, (Z,), (D,))[1])
        self.closed = jax.jit(lambda Z, D: jax.jvp(problem.gradient, (Z,), (D,))[1])
        self.linearized = jax.jit(lambda Z: jax.linearize(gradient, Z)[1])
        self.apply = jax.jit(lambda linear, D: linear(D))


_traced: dict[tuple[Any, ...], _Traced] = {}


def _functions(problem: MCR2) -> _Traced:
    key = (problem.dim, problem.sizes, float(problem.epsilon), float(problem.regularization))
    if key not in _traced:
        _traced.clear()
        _traced[key] = _Traced(problem)
    return _traced[key]


def _jvp_of_grad(problem: MCR2, Z: np.ndarray) -> Multiplier:
    functions, point = _functions(problem), jnp.asarray(Z)
    return _of_jax(lambda D: functions.jvp(point, D))


def _jvp_of_closed_gradient(problem: MCR2, Z: np.ndarray) -> Multiplier:
    functions, point = _functions(problem), jnp.asarray(Z)
    return _of_jax(lambda D: functions.closed(point, D))


def _linearize(problem: MCR2, Z: np.ndarray) -> Multiplier:
    functions = _functions(problem)
    linear = jax.block_until_ready(functions.linearized(jnp.asarray(Z)))
    return _of_jax(lambda D: functions.apply(linear, D))


def _torch(name: str) -> Callable[[MCR2, np.ndarray], Multiplier]:
    def prepare(problem: MCR2, Z: np.ndarray) -> Multiplier:
        from mcr2_landscape.bench import torch_peers

        return getattr(torch_peers, name)(problem, Z)

    return prepare


CONTESTANTS = (
    Contestant(OURS, _ours(None)),
    Contestant(BY_SHAPE, _ours("by shape")),
    Contestant("jvp of grad (JAX)", _jvp_of_grad),
    Contestant("jvp of the closed-form gradient (JAX)", _jvp_of_closed_gradient),
    Contestant("jax.linearize of grad", _linearize),
    Contestant("PyHessian", _torch("pyhessian"), "pyhessian", "pyhessian"),
    Contestant("hessian-eigenthings", _torch("eigenthings"), "hessian_eigenthings", '"hessian-eigenthings>=1.0.0a5"'),
    Contestant("curvlinops", _torch("curvlinops"), "curvlinops", "curvlinops-for-pytorch"),
    Contestant("pymanopt", _torch("pymanopt"), "pymanopt", "pymanopt torch"),
)


def chosen(names: tuple[str, ...] | None) -> tuple[Contestant, ...]:
    """Our own contestants, and those that are named; all for `None`.

    **Raises:** `InputError` for a name that nobody has.
    """
    known = {contestant.name for contestant in CONTESTANTS}
    for name in names or ():
        if name not in known and name != LIMIT:
            raise InputError(f"contestants: found {name!r}; pass some of " + ", ".join(sorted(known)))
    return tuple(c for c in CONTESTANTS if names is None or c.name in names or c.name in (OURS, BY_SHAPE))
