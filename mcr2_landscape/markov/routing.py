"""The routing game of the paper's experiments."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcr2_landscape.markov import tables
from mcr2_landscape.markov.congestion import MOST_ROUTES, CongestionGame
from mcr2_landscape.validation import InputError, positive_integer


def routing_game(
    *,
    num_players: int = 4,
    num_routes: int = 2,
    threshold: int = 2,
    slopes: Sequence[Any] = (2, 4),
    intercepts: Sequence[Any] = (9, 16),
    safe_probabilities: Sequence[Any] = (0.8, 0.2),
    cost_factors: Sequence[Any] = (2, 1),
    discount: Any = 0.5,
    common_interest: bool = True,
    action_independent: bool = False,
) -> CongestionGame:
    """Players choose routes, each SAFE or UNSAFE: a player on route m receives b_m − c m_m L, L the load of the route.

    The defaults are the setting of the first experiment. There c is 2 on a SAFE route and 1 on an UNSAFE one, so that unsafe
    states are worth more; `cost_factors=(1, 2)` has it the other way round. A route is SAFE next with probability λ_1 if its
    load is below `threshold`, and λ_2 otherwise.

    **Arguments:** `slopes` m and `intercepts` b, one a route; `safe_probabilities` (λ_1, λ_2); `cost_factors` (SAFE, UNSAFE);
    `discount` δ; `common_interest`, every player receives the sum of all payoffs; `action_independent`, transitions are
    averaged over all actions. Floating point numbers are read as the decimals that they print as, so that the game is exact.

    **Returns:** a `CongestionGame`; state 0 has all routes SAFE (condition 0), the last one all UNSAFE.

    **Raises:** `InputError` for numbers out of range, or not one slope and intercept for each route.

    Source: Maheshwari, Wu, Pai, Sastry (arXiv 2205.14590), the experiments, as its public code has them.
    """
    N, M = positive_integer("num_players", num_players), positive_integer("num_routes", num_routes, minimum=2)
    if M > MOST_ROUTES:
        raise InputError(f"num_routes: found {M}; pass at most {MOST_ROUTES}, as there are 2^M states")
    threshold = positive_integer("threshold", threshold, minimum=0)
    m, b = _numbers("slopes", slopes, M), _numbers("intercepts", intercepts, M)
    below, above = _numbers("safe_probabilities", safe_probabilities, 2)
    safe, unsafe = _numbers("cost_factors", cost_factors, 2)
    paid = np.empty((M, 2, N + 1), dtype=object)  # by route, condition and load
    for route, (condition, factor), load in itertools.product(range(M), enumerate((safe, unsafe)), range(N + 1)):
        paid[route, condition, load] = b[route] - factor * m[route] * load
    conditions = np.array(list(itertools.product((0, 1), repeat=M)))
    payoff = paid[np.arange(M), conditions]
    stays = np.empty((M, N + 1), dtype=object)
    stays[:] = [[below if load < threshold else above for load in range(N + 1)]] * M
    return CongestionGame(
        N,
        payoff,
        stays,
        tables.decimal_fraction("discount", discount),
        common_interest=common_interest,
        action_independent=action_independent,
    )


def _numbers(name: str, values: Sequence[Any], count: int) -> list[Any]:
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__") or len(values) != count:
        raise InputError(f"{name}: found {values!r}; pass {count} numbers")
    return [tables.decimal_fraction(f"{name}[{i}]", value) for i, value in enumerate(values)]
