"""Expectations over numbers of players: how many chose each route, when every player chooses by itself.

A function g of the loads (L_1, …, L_M), Σ L_m = number of players, is stored as an array over (L_1, …, L_{M−1}), each from 0 to
N. What player i faces is g averaged over the others, with i itself on each route. With prefixes F_i, the distribution of the
loads of the players before i, and suffixes B_i(l) = E[g(l + loads of the players after i)],

    E[g | i on route m] = Σ_l F_i(l) B_i(l + e_m),

which costs N steps forward and N back instead of M^N terms, and divides by nothing (a deconvolution would lose all digits for
probabilities near zero and one). For M = 2 the loads are Poisson–binomial.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcr2_landscape.validation import InputError

_LARGEST = 1 << 27  # numbers kept for the suffixes: one gigabyte


def shifted(values: np.ndarray, route: int, num_routes: int, *, back: bool) -> np.ndarray:
    """values(l + e_route), or values(l − e_route) with `back`; zero outside. The last route is the one that is not stored."""
    if route == num_routes - 1:
        return values
    axis = values.ndim - (num_routes - 1) + route
    out = np.zeros_like(values)
    here, there = [slice(None)] * values.ndim, [slice(None)] * values.ndim
    here[axis], there[axis] = (slice(1, None), slice(None, -1)) if back else (slice(None, -1), slice(1, None))
    out[tuple(here)] = values[tuple(there)]
    return out


def with_each_on_each(probabilities: np.ndarray, function: np.ndarray) -> np.ndarray:
    """E[g(loads) | player i on route m], the others at their probabilities.

    **Arguments:** `probabilities` (N, S, M); `function` (S, T, N + 1, …, N + 1), M − 1 axes of loads: T functions for each
    state.

    **Returns:** (N, S, M, T).

    **Raises:** `InputError` where it would take more than a gigabyte.
    """
    N, S, M = probabilities.shape
    T, axes = function.shape[1], M - 1
    if N * function.size > _LARGEST:
        raise InputError(
            f"num_players: the loads of {N} players on {M} routes in {S} states take {N * function.size:,} numbers, more than "
            f"{_LARGEST:,}; take fewer players, routes or states"
        )
    chance = probabilities.reshape(N, S, M, *(1,) * axes)
    suffix = [function]
    for i in range(N - 1, 0, -1):
        later = suffix[-1]
        suffix.append(np.sum([chance[i, :, None, m] * shifted(later, m, M, back=False) for m in range(M)], axis=0))
    suffix.reverse()
    prefix = np.zeros((S, *function.shape[2:]))
    prefix[(slice(None), *(0,) * axes)] = 1.0
    out = np.empty((N, S, M, T))
    loads = tuple(range(2, 2 + axes))
    for i in range(N):
        for m in range(M):
            out[i, :, m] = np.sum(prefix[:, None] * shifted(suffix[i], m, M, back=False), axis=loads)
        prefix = np.sum([chance[i, :, m] * shifted(prefix, m, M, back=True) for m in range(M)], axis=0)
    return out


def load_grid(num_players: int, num_routes: int) -> tuple[np.ndarray, ...]:
    """The load of each route over the grid (L_1, …, L_{M−1}); that of the last is what is left (below zero where the others
    exceed the number of players, which has probability zero)."""
    stored: Sequence[np.ndarray] = np.meshgrid(*[np.arange(num_players + 1)] * (num_routes - 1), indexing="ij")
    return (*stored, num_players - np.sum(stored, axis=0))
