"""Numbers of players on routes, when every player chooses by itself.

Loads (L_1, …, L_M) that sum to a number of players are listed by their first M − 1 entries, the last being what is left, in the
order of the sum of these. So the loads of fewer players stand at the beginning of the list, and a player on the last route
changes no entry: it counts for nothing until the others' number is known.

What player i faces is the distribution of the loads of all others, for every i. It is found by halves: the players outside of
a block are known, and each half of it adds those of the other half, one after the other, until the blocks are single players.
That takes N log N steps of adding a player, none of which divides (taking a player out of the loads of all, a deconvolution,
would lose all digits for probabilities near zero and one).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import comb
from typing import NamedTuple

import numpy as np

from mcr2_landscape.validation import InputError

_LARGEST = 1 << 27  # numbers of the distributions of loads: one gigabyte
_AT_ONCE = 1 << 20  # numbers in the arrays of one step, which should stay in the processor's cache


class Stage(NamedTuple):
    """How partial loads (L_1, …, L_m) extend those of one route less.

    **Fields:** `parent`: where the others stand; `load`: L_m; `first`: where the extensions of each parent begin.
    """

    parent: np.ndarray
    load: np.ndarray
    first: np.ndarray


class Loads:
    """The loads of `num_players` on `num_routes`, C(N + M − 1, M − 1) of them, and how they extend one another.

    **Arguments:** N, at least one, and M, at least two.
    """

    def __init__(self, num_players: int, num_routes: int):
        N, M = self.num_players, self.num_routes = num_players, num_routes
        total, listed = np.zeros(1, dtype=np.int64), np.empty((1, 0), dtype=np.int64)
        stages = []
        for _ in range(M - 1):
            many = N + 1 - total
            parent = np.repeat(np.arange(total.size), many)
            first = np.cumsum(many) - many
            load = np.arange(parent.size) - first[parent]
            stages.append(Stage(parent, load, first))
            total, listed = total[parent] + load, np.column_stack([listed[parent], load])
        every = np.arange(total.size)
        self.stages = (*stages, Stage(every, N - total, every))
        self.order = np.argsort(total, kind="stable")
        self.table = np.column_stack([listed, N - total])[self.order]

    @cached_property
    def up(self) -> np.ndarray:
        """Where the loads of all are, if one player is on route m and the others' loads are l: (M, C(N + M − 2, M − 1))."""
        weights = (self.num_players + 1) ** np.arange(self.num_routes - 1)
        codes = self.table[:, :-1] @ weights
        ranks = np.argsort(codes)
        own = codes[: comb(self.num_players + self.num_routes - 2, self.num_routes - 1)]
        stored = [ranks[np.searchsorted(codes[ranks], own + weight)] for weight in weights]
        return np.stack([*stored, np.arange(own.size)])

    def of_others(self, probabilities: np.ndarray) -> np.ndarray:
        """The distribution of the loads of all players but one, for each of them.

        **Arguments:** `probabilities` (N, rows, M).

        **Returns:** (N, C(N + M − 2, M − 1), rows), in the order of `up`.

        **Raises:** `InputError` where it would take more than a gigabyte.
        """
        N, rows, M = probabilities.shape
        out = np.empty((N, check_size(N, rows, M), rows))
        for part, found in self.in_parts(probabilities):
            if part == slice(0, rows):
                return found
            out[..., part] = found
        return out

    def in_parts(self, probabilities: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """The same, for so many rows at a time that a processor's cache holds them."""
        N, rows, M = probabilities.shape
        step = min(rows, max(1, _AT_ONCE // (N * comb(N + M - 2, M - 1))))
        for begin in range(0, rows, step):
            part = slice(begin, min(begin + step, rows))
            yield part, self._of_others(probabilities[:, part])

    def _of_others(self, probabilities: np.ndarray) -> np.ndarray:
        N, rows, M = probabilities.shape
        size = 1 << (N - 1).bit_length()
        chance = np.zeros((M, size, rows))
        chance[-1, N:] = 1.0  # players who are not there
        chance[:, :N] = np.moveaxis(probabilities, -1, 0)
        found, added = np.ones((1, 1, rows)), 0
        while size > 1:
            size //= 2
            blocks = np.arange(-(-N // size))
            sibling = chance.reshape(M, -1, size, rows)[:, blocks ^ 1, :, None]
            found = found[blocks // 2]
            for k in range(size):
                found = self._added(found, sibling[:, :, k], added)
                added += 1
        return found

    def _added(self, found: np.ndarray, chance: np.ndarray, before: int) -> np.ndarray:
        """One player more, with the probabilities (M, blocks, 1, rows), to distributions of the loads of `before` players."""
        # As a player stays outside, the loads of N − 1 are the largest; who comes after is one of those who are not there.
        now, room = min(before + 1, self.num_players - 1), min(before, self.num_players - 2)
        M = self.num_routes
        blocks, old, rows = found.shape
        loads = comb(now + M - 1, M - 1)
        # The longer axis stands last in memory, as a processor likes it.
        out = np.empty((blocks, loads, rows)) if rows >= loads else np.empty((blocks, rows, loads)).swapaxes(1, 2)
        out[:, old:] = 0.0
        np.multiply(found, chance[-1], out=out[:, :old])
        movable = found[:, : comb(room + M - 1, M - 1)]
        for m in range(M - 1):
            out[:, self._places[m][room]] += movable * chance[m]
        return out

    @cached_property
    def _places(self) -> list[list[slice | np.ndarray]]:
        """Of `up`, by route and number of players, as slices where it can be."""
        ends = [comb(count + self.num_routes - 1, self.num_routes - 1) for count in range(self.num_players)]
        return [[_span(row[:end]) for end in ends] for row in self.up[:-1]]


def check_size(num_players: int, rows: int, num_routes: int) -> int:
    """The number of the loads of all players but one.

    **Raises:** `InputError` where their distributions, in so many rows, take more than a gigabyte.
    """
    count = comb(num_players + num_routes - 2, num_routes - 1)
    numbers = num_players * rows * count
    if numbers > _LARGEST:
        raise InputError(
            f"num_players: found {num_players} players on {num_routes} routes, whose loads in {rows:,} states take {numbers:,} "
            f"numbers, more than {_LARGEST:,}; take fewer players or routes"
        )
    return count


def of_even_players(num_players: int, num_routes: int, function: np.ndarray) -> np.ndarray:
    """E[Π_m function_m(c_m, L_m)] for all c in {0, 1}^M, where all players choose every route alike.

    Route by route: of r players that are left, a binomial number is on the next route.

    **Arguments:** `function` (M, 2, N + 1). **Returns:** (2^M,), c_1 the most significant.
    """
    N = num_players
    players = np.arange(N + 1)
    left = players[:, None] - players  # on the route, if r are before it and r' after it
    found = np.zeros((1, N + 1))
    found[0, N] = 1.0
    for m in range(num_routes):
        chance = np.zeros((N + 1, N + 1))  # of so many on the route, for r that choose
        chance[0, 0] = 1.0
        for r in range(N):
            chance[r + 1] = chance[r] * (1 - 1 / (num_routes - m))
            chance[r + 1, 1:] += chance[r, :-1] / (num_routes - m)
        step = np.where(left >= 0, chance[players[:, None], left] * function[m][:, left], 0.0)
        found = np.stack([found @ own for own in step], axis=1).reshape(-1, N + 1)
    return found[:, 0]


def _span(places: np.ndarray) -> slice | np.ndarray:
    begin, end = int(places[0]), int(places[-1]) + 1
    return slice(begin, end) if end - begin == places.size else places
