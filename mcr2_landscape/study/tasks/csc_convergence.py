"""How fast iterations solve a convolutional sparse coding program, beside what theory promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mcr2_landscape.validation import positive_integer, positive_real

_SHORT = {"ista": "ista", "fista": "fista", "public layer": "public", "restarted fista": "restarted"}


@dataclass(frozen=True)
class Converged:
    """One program min P(c), with P(c) = λ‖c‖₁ + ½‖x − Dc‖².

    **Fields:** `steps` k, evenly on a logarithmic scale, and at each (P(c_k) − P*)/P* of `ista_gap`, `fista_gap`, of the layer
    in public code `public_gap`, and of FISTA with restarts `restarted_gap`, all from zero with the step 1/L; `ista_bound`
    L‖c*‖²/(2k)/P* and `fista_bound` 2L‖c*‖²/(k + 1)²/P*, with L a proved bound of ‖D‖². P* is the objective of the solution,
    which is above the minimum by a relative `uncertainty` at most: gaps as small say nothing. `ista_ratio` and `fista_ratio`:
    the greatest gap over its bound at any step; `ista_rises` and `fista_rises`: at how many steps P grew by more than
    rounding.
    `lipschitz` L; `objective` P*; `zero_objective` P(0); `active`, how many codes of the solution are not zero.
    """

    steps: tuple[int, ...]
    ista_gap: tuple[float, ...]
    fista_gap: tuple[float, ...]
    public_gap: tuple[float, ...]
    restarted_gap: tuple[float, ...]
    ista_bound: tuple[float, ...]
    fista_bound: tuple[float, ...]
    uncertainty: float
    ista_ratio: float
    fista_ratio: float
    ista_rises: int
    fista_rises: int
    lipschitz: float
    objective: float
    zero_objective: float
    active: int


def csc_convergence(
    *,
    data: Literal["digits", "noise"] = "digits",
    size: int = 16,
    num_atoms: int = 16,
    kernel: int = 5,
    relative_sparsity: float = 0.1,
    num_steps: int = 3000,
    num_recorded: int = 60,
    seed: int,
) -> Converged:
    """Make so many steps of each kind on one image.

    **Arguments:** `data`: one of the digits, or Gaussian noise of `size` × `size` pixels; `num_atoms` random ones of `kernel` ×
    `kernel` pixels; `relative_sparsity` λ/λ_max; `num_steps`; `num_recorded` of them are kept.

    **Raises:** `InputError` for numbers out of range; `RuntimeError` where the program was not solved.
    """
    import jax
    import jax.numpy as jnp

    from mcr2_landscape import csc
    from mcr2_landscape.csc.iterations import RESTARTED, Runner, State
    from mcr2_landscape.csc.programs import Problem
    from mcr2_landscape.data import digit_images

    num_steps = positive_integer("num_steps", num_steps, minimum=2)
    num_recorded, kernel = positive_integer("num_recorded", num_recorded, minimum=2), positive_integer("kernel", kernel)
    relative_sparsity, size = positive_real("relative_sparsity", relative_sparsity), positive_integer("size", size)
    random = np.random.default_rng(seed)
    if data == "digits":
        images = digit_images().images
        image = images[random.integers(len(images))][None].astype(np.float64)
    else:
        image = random.standard_normal((1, 1, size, size))
    dictionary = csc.ConvDictionary.random(num_atoms, kernel, padding=kernel // 2, key=random)
    sparsity = relative_sparsity * float(csc.lambda_max(dictionary, image)[0])
    solution = csc.solve(dictionary, image, sparsity=sparsity)
    if not solution.converged.all():
        raise RuntimeError(f"the program was not solved: {solution.advice}")
    problem = Problem.of(dictionary, image)
    program = problem.program(sparsity, 0.0, False)
    best, bound = float(solution.objective[0]), dictionary.lipschitz_bound()
    values = {}
    for method in ("ista", "fista", "public layer", RESTARTED):
        with jax.enable_x64(True):
            runner = Runner(problem, program, method, 1 / bound)
            chunks = runner.chunks(State.start(jnp.zeros(problem.code_shape)), num_steps + 1, record=True)
            values[method] = np.concatenate([found[:, 0] for _, found, _ in chunks])
    k = np.arange(1, num_steps + 1)
    squared = float(np.sum(solution.codes**2))
    bounds = {"ista": bound * squared / (2 * k), "fista": 2 * bound * squared / (k + 1) ** 2}
    kept = np.unique(np.geomspace(1, num_steps, num_recorded).round().astype(int))
    allowance = 1e-14 * values["ista"][0]
    columns: dict[str, Any] = {f"{short}_gap": _listed((values[name][kept] - best) / best) for name, short in _SHORT.items()}
    for name, own in bounds.items():
        columns[f"{name}_bound"] = _listed(own[kept - 1] / best)
        columns[f"{name}_ratio"] = float(np.max((values[name][1:] - best) / own))
        columns[f"{name}_rises"] = int(np.sum(np.diff(values[name]) > allowance))
    return Converged(
        **columns,
        steps=tuple(kept.tolist()),
        uncertainty=float(solution.duality_gap[0]) / best,
        lipschitz=bound,
        objective=best,
        zero_objective=float(values["ista"][0]),
        active=int(np.count_nonzero(solution.codes)),
    )


def _listed(numbers: np.ndarray) -> tuple[float, ...]:
    return tuple(numbers.tolist())
