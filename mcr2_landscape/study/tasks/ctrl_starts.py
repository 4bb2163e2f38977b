"""Which maxima gradient ascent of the encoder reaches from random starts, beside all that theory lists.

Source: docs/ctrl.md, the landscape of the reduced problem.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mcr2_landscape.validation import InputError, positive_integer, positive_real

_SAME = 1e-6  # of the optimum: an end this near to a listed value is there
_MOST = 10_000


@dataclass(frozen=True)
class CtrlStarts:
    """The ends of all starts in one game.

    **Fields:** `ranks`, `class_sizes`; `optimum` in closed form, with `optimal_multiplicities`. What theory lists, d_z ≥ Σ m_j,
    in descending order of value: `listed_kept`, numbers m_j of equal directions of each class with m_j = 1 or N_j/m_j > 1, one
    list each; `listed_value`, and `listed_share` of the optimum; `listed_count`, how many starts ended there: with these
    numbers of directions and that value. One entry for each start: `end_value`, `end_share` of the optimum, `end_kept`,
    `end_listed`, the position in the list (missing where it is at none), `end_gradient` as in `ctrl.History`. `num_unlisted`
    ends are at none.
    """

    class_sizes: tuple[int, ...]
    ranks: tuple[int, ...]
    optimum: float
    optimal_multiplicities: tuple[int, ...]
    listed_kept: tuple[tuple[int, ...], ...]
    listed_value: tuple[float, ...]
    listed_share: tuple[float, ...]
    listed_count: tuple[int, ...]
    end_value: tuple[float, ...]
    end_share: tuple[float, ...]
    end_kept: tuple[tuple[int, ...], ...]
    end_listed: tuple[int | None, ...]
    end_gradient: tuple[float, ...]
    num_unlisted: int


def ctrl_starts(
    *,
    dim: int,
    sizes: tuple[int, ...],
    subspace_ranks: tuple[int, ...],
    epsilon: float,
    constraint: Literal["balls", "spheres"] = "spheres",
    num_starts: int = 64,
    num_steps: int = 2000,
    seed: int,
) -> CtrlStarts:
    """Let the encoder climb from random starts, the decoder answering exactly.

    The data are classes in general position; of them the ends show numbers of samples and ranks alone.

    **Arguments:** `dim` d_z, at least Σ r_j; `sizes` n_j; `subspace_ranks` r_j; `epsilon`; `constraint`: "spheres" or "balls";
    `num_starts`; `num_steps` at most, fewer where all gradients are small.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape.ctrl import SubspaceGame, play
    from mcr2_landscape.ctrl.solve import kept_dimensions
    from mcr2_landscape.data import subspace_mixture

    dim, epsilon = positive_integer("dim", dim), positive_real("epsilon", epsilon)
    if dim < sum(subspace_ranks):
        raise InputError(f"dim: found {dim}; pass at least the sum of the ranks, {sum(subspace_ranks)}")
    listed = listed_maxima(dim, sizes, subspace_ranks, epsilon)
    ambient = sum(subspace_ranks) + 2
    data = subspace_mixture(key=seed, sizes=sizes, ambient_dim=ambient, ranks=subspace_ranks, correlation=0.5)
    game = SubspaceGame(data.features, data.labels, dim=dim, epsilon=epsilon)
    best = game.optimum()
    found = play(
        game,
        key=seed,
        constraint=constraint,
        num_seeds=positive_integer("num_starts", num_starts),
        num_steps=num_steps,
        rtol=1e-10,
    )
    if found.interrupted:
        raise KeyboardInterrupt
    values = found.expressiveness[:, -1]
    kept = [kept_dimensions(game, F, 1e-3) for F in found.encoders]
    places = [
        next((k for k, (m, own) in enumerate(listed) if m == end and abs(own - value) <= _SAME * best.value), None)
        for end, value in zip(kept, values, strict=True)
    ]
    return CtrlStarts(
        class_sizes=game.sizes,
        ranks=game.ranks,
        optimum=best.value,
        optimal_multiplicities=best.multiplicities,
        listed_kept=tuple(m for m, _ in listed),
        listed_value=tuple(value for _, value in listed),
        listed_share=tuple(value / best.value for _, value in listed),
        listed_count=tuple(places.count(k) for k in range(len(listed))),
        end_value=tuple(values.tolist()),
        end_share=tuple((values / best.value).tolist()),
        end_kept=tuple(kept),
        end_listed=tuple(places),
        end_gradient=tuple(found.encoder_gradient[:, -1].tolist()),
        num_unlisted=places.count(None),
    )


def listed_maxima(
    dim: int, sizes: tuple[int, ...], ranks: tuple[int, ...], epsilon: float
) -> list[tuple[tuple[int, ...], float]]:
    """All numbers of equal directions that make local maxima on spheres, with their values, the largest first.

    **Raises:** `InputError` where there are too many to list.
    """
    from mcr2_landscape.ctrl.multiplicity import capacity_of, value_of

    if np.prod(ranks, dtype=float) > _MOST:
        raise InputError(f"subspace_ranks: found {ranks}; pass ranks whose product is at most {_MOST}")
    shares = [size / sum(sizes) for size in sizes]
    capacities = [capacity_of(gamma, dim, epsilon) for gamma in shares]
    own = [[m for m in range(1, rank + 1) if m == 1 or N / m > 1] for rank, N in zip(ranks, capacities, strict=True)]
    found = []
    for counts in itertools.product(*own):
        if sum(counts) <= dim:
            value = sum(value_of(m, N, gamma) for m, N, gamma in zip(counts, capacities, shares, strict=True))
            found.append((counts, value))
    return sorted(found, key=lambda entry: (-entry[1], entry[0]))
