"""How long a product with the Hessian takes, in the form that the operator takes by itself, beside what the machine can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mcr2_landscape.study.tasks.timings import WrongResult, spreads

_SQUARE, _COPIED = 768, 1 << 22  # rows of the product, and numbers of the copy, that the machine's rates are taken from


@dataclass(frozen=True, kw_only=True)
class ProductTimes:
    """CPU seconds of a product on one core, after compilation: the least, the median and the most of `repeats` rounds.

    **Fields:** `form` of the operator; `unknowns` n = d m; `flops` of a product; `moved`, the bytes that any product moves at
    least: Z and the direction are read, the result is written; `difference` from the oracle, relative; `product_…`; `limit_…`,
    of the form's matrix products alone, of operands that are all contiguous; `flop_rate`, flops a second of a product of square
    matrices, and `copy_rate`, bytes a second, read or written, of a copy: the best of all rounds.
    """

    form: str
    unknowns: int
    flops: int
    moved: int
    difference: float
    repeats: int
    product_low: float
    product_middle: float
    product_high: float
    limit_low: float
    limit_middle: float
    limit_high: float
    flop_rate: float
    copy_rate: float


def product_times(
    *,
    dim: int,
    samples: int,
    classes: int,
    point: Literal["generic", "low-rank", "mid-rank", "critical", "perturbed"],
    rounds: int = 7,
    seed: int,
) -> ProductTimes:
    """Time a product of the Hessian in turns with its limit.

    **Arguments:** `dim` (d), `samples` (m) and `classes` (K), of equal size or nearly so; `point`, one of the kinds of the
    benchmark: the ranks of its classes decide the form.

    **Raises:** `InputError` for numbers out of range; `WrongResult` where the product is not that of the oracle.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from mcr2_landscape.bench.limits import Limit, Product
    from mcr2_landscape.bench.measure import limit_of
    from mcr2_landscape.bench.oracle import Oracle, difference
    from mcr2_landscape.bench.plan import TOLERANCE, Plan
    from mcr2_landscape.bench.points import make_point, make_problem

    Plan(sizes={"this": (dim, samples, classes)}, points=(point,), rounds=rounds)  # refuses what is out of range
    problem = make_problem(dim, samples, classes)
    Z = make_point(problem, point, seed)
    D = np.random.default_rng(seed + 1).standard_normal(Z.shape)
    with jax.enable_x64(True):
        H = jax.block_until_ready(problem.hessian(jnp.asarray(Z)))
        direction = jnp.asarray(D)
        off = difference(np.asarray(H.mv(direction)), Oracle(problem, Z).product(D))
        if not off <= TOLERANCE:
            raise WrongResult(f"the {H.form} product is off by {off:.1e}, relative")
        limit, square = limit_of(H, problem), Limit([Product(_SQUARE, _SQUARE, _SQUARE)])
        source, target = np.ones(_COPIED), np.zeros(_COPIED)
        calls = {
            "product": lambda: jax.block_until_ready(H.mv(direction)),
            "limit": limit.run,
            "square": square.run,
            "copy": lambda: np.copyto(target, source),
        }
        for call in calls.values():
            call()
        found = spreads(calls, rounds)
    square_seconds, copy_seconds = found["square_low"], found["copy_low"]  # what the machine can do: its best
    return ProductTimes(
        form=H.form,
        unknowns=Z.size,
        flops=H.flops or 0,
        moved=3 * Z.nbytes,
        difference=off,
        repeats=rounds,
        **{name: value for name, value in found.items() if name.startswith(("product", "limit"))},
        flop_rate=square.flops / square_seconds,
        copy_rate=2 * source.nbytes / copy_seconds,
    )
