"""How long values, Q-functions and best responses of all players of a routing game take, by counts and by tables."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mcr2_landscape.study.tasks.timings import WrongResult, spreads
from mcr2_landscape.validation import positive_integer

if TYPE_CHECKING:
    from mcr2_landscape.markov import CongestionGame

_TOLERANCE = 1e-11
_CHECKED = 8  # players whose numbers are found by another way


@dataclass(frozen=True, kw_only=True)
class GameTimes:
    """CPU seconds on one core for all players, after compilation: the least, the median and the most of `repeats` rounds.

    **Fields:** `entries`, numbers in the tables of rewards and transitions, were they written down; `difference` of Q-functions
    and best responses from those that convolutions and trying all pure policies give, relative to the largest |Q|; `value_…`;
    `q_…`, values among them; `response_…`, the Nash gap by exact best responses.
    """

    entries: float
    difference: float
    repeats: int
    value_low: float
    value_middle: float
    value_high: float
    q_low: float
    q_middle: float
    q_high: float
    response_low: float
    response_middle: float
    response_high: float


def game_times(
    *, num_players: int, form: Literal["counts", "tables"] = "counts", common_interest: bool = True, rounds: int = 7, seed: int
) -> GameTimes:
    """Evaluate a random policy of a routing game on two routes, and time it.

    **Arguments:** `form`: by distributions of loads, or by the tables of all actions, of which there are 2^N.

    **Raises:** `InputError` for numbers out of range; `WrongResult` where they are not what they should be.
    """
    from mcr2_landscape.markov import routing_game

    N = positive_integer("num_players", num_players, minimum=2)
    game = routing_game(
        num_players=N,
        threshold=N // 2,
        slopes=(3, 5),
        intercepts=(5 * N, 9 * N),
        safe_probabilities=("7/10", "2/5"),
        cost_factors=(1, "3/2"),
        discount="3/5",
        common_interest=common_interest,
    )
    timed = game.to_tables() if form == "tables" else game
    policy = game.random_policy(key=seed)
    q, gap = timed.q_value(policy), timed.nash_gap(policy)
    players = range(0, N, -(-N // _CHECKED))
    off = max(evaluation_error(game, policy, player, q[player], gap.gains[player]) for player in players)
    if not off <= _TOLERANCE:
        raise WrongResult(f"Q-functions or best responses of {N} players by {form} are off by {off:.1e}, relative")
    calls = {
        "value": lambda: timed.value(policy),
        "q": lambda: timed.q_value(policy),
        "response": lambda: timed.nash_gap(policy),
    }
    calls["value"]()
    S = game.num_states
    return GameTimes(entries=float(S * 2**N * (N + S)), difference=off, repeats=rounds, **spreads(calls, rounds))


def evaluation_error(
    game: CongestionGame, policy: tuple[np.ndarray, ...], player: int, q: np.ndarray, gain: np.ndarray
) -> float:
    """How far Q_i (S, 2) and the gain of a best response (S,) of one player on two routes are from those that are found here,
    relative to the largest |Q_i|.

    The player's decision problem comes from convolutions of the others' actions, its values from linear equations, and its best
    response from trying all pure policies.
    """
    N, S = game.num_players, game.num_states
    payoff, stays = game.payoff.astype(np.float64), game.stays.astype(np.float64)
    reward, step = np.empty((S, 2)), np.empty((S, 2, S))
    for s, route in itertools.product(range(S), range(2)):
        chance = np.ones(1)  # that so many of the others are on route 0
        for other in range(N):
            if other != player:
                chance = np.convolve(chance, policy[other][s, ::-1])
        loads = np.arange(N) + (route == 0), np.arange(N - 1, -1, -1) + (route == 1)
        paid = payoff[s, route, loads[route]]
        if game.common_interest:
            paid = sum(payoff[s, m, loads[m]] * loads[m] for m in range(2))
        reward[s, route] = chance @ paid
        for t, conditions in enumerate(itertools.product((0, 1), repeat=2)):
            likely = [stays[m, loads[m]] if c == 0 else 1 - stays[m, loads[m]] for m, c in enumerate(conditions)]
            step[s, route, t] = chance @ (likely[0] * likely[1])

    def worth(own: np.ndarray) -> np.ndarray:
        moved = np.einsum("sa,sat->st", own, step)
        return np.linalg.solve(np.eye(S) - game.discount * moved, np.sum(own * reward, axis=1))

    value = worth(policy[player])
    expected = reward + game.discount * step @ value
    best = np.max([worth(np.eye(2)[list(pure)]) for pure in itertools.product(range(2), repeat=S)], axis=0)
    off = max(np.abs(q - expected).max(), np.abs(gain - (best - value)).max())
    return float(off / np.abs(expected).max())
