"""How fast Markov games are learned, decided and evaluated on one core: `python -m mcr2_landscape.experiments.markov_speed
[OUT.json]`.

CPU seconds of this process, pinned to one core where the system allows it, medians of runs, each gated on its result:

- seed-steps a second of the whole function `markov.learn`, after compilation, records included. The setting is that of the
  paper's first figure, N = 4 players on M = 2 routes, by loads and by tables. The same program, fed with recorded numbers, has
  to agree with a plain loop of the definition to 1e-12.
- recorded policies a second of the diagnostics.
- seconds of the decision test for routing games with arguments of their own, where a theorem answers and by a random point
  alone, the tables included. The verdict has to be the right one, and a wrong "holds" less probable than 1e-12.
- seconds of Q-functions, and so values, with `q_value`, and of best responses with `nash_gap`, of all players of large routing
  games. They have to agree to 1e-12 with numbers that are found by another way: a player's decision problem by convolutions of
  the others' actions, its values by linear equations, and its best response by trying all pure policies.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # before NumPy and JAX are imported: threads that wait for work would be counted as work
    os.environ |= {"NPROC": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import numpy as np

from mcr2_landscape import markov
from mcr2_landscape.markov.policies import entropy, softmax
from mcr2_landscape.provenance import versions
from mcr2_landscape.study.tasks.game_times import evaluation_error
from mcr2_landscape.verdict import Verdict

_TEMPERATURE = 1e-6
# seeds, steps and the bound in seed-steps a second
_RUNS = ((1, 200_000, 0.4e6), (64, 40_000, 3.5e6), (1024, 4_000, 2.5e6))
_CHECKED, _ROUNDS = 400, 5
# players, seconds of a decision test, and of an evaluation
_DECIDED, _EVALUATED = ((4, 0.1), (8, 1.5)), ((64, 0.05), (256, 0.5))
_OWN = {
    "slopes": (3, 5),
    "intercepts": (20, 37),
    "safe_probabilities": ("7/10", "2/5"),
    "cost_factors": (1, "3/2"),
    "discount": "3/5",
}
_KINDS = {
    "common interest": {},
    "actions move nothing": {"common_interest": False, "action_independent": True},
    "own rewards": {"common_interest": False},  # no potential game
}


def pin() -> str:
    """Keep this process on one core; in words what came of it."""
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned: this system does not do it"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f"pinned to core {core}"


def pick(row: Any, draw: float) -> int:
    running = list(accumulate(row))
    return bisect.bisect_right(running, draw * running[-1], 0, len(running) - 1)


def plain(game: markov.MarkovGame, stream: np.ndarray, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Policies and q, (N, S, A), after so many steps of the definition: α = n^-½, β = 1/n, softmax."""
    policy = np.stack(game.uniform_policy())
    q, visits, draws = np.zeros_like(policy), np.zeros(policy.shape, dtype=int), iter(stream)
    state = pick(game.initial, next(draws))
    for _ in range(num_steps):
        actions = tuple(pick(own[state], next(draws)) for own in policy)
        following = pick(game.transition[(state, *actions)], next(draws))
        players = np.arange(len(actions))
        visits[players, state, actions] += 1
        row, values = policy[:, state].copy(), q[:, state].copy()
        goal = game.reward[(slice(None), state, *actions)] + _TEMPERATURE * entropy(row)
        goal = goal + game.discount * np.sum(policy[:, following] * q[:, following], axis=1)
        rate = visits[players, state, actions] ** -0.5
        q[players, state, actions] += rate * (goal - values[players, actions])
        policy[:, state] += (softmax(values, _TEMPERATURE) - row) / visits[0, state].sum()
        state = following
    return policy, q


def distance(game: Any, num_seeds: int, num_steps: int = _CHECKED) -> float:
    """How far `learn` is from the plain loop, relative to the largest value, in the first, the middle and the last seed."""
    width = 1 + game.num_players
    stream = np.random.default_rng(0).random((num_seeds, 1 + num_steps * width))
    found = markov.learn(game, uniforms=stream, num_steps=num_steps, record_every=num_steps, temperature=_TEMPERATURE)
    worst = 0.0
    for seed in {0, num_seeds // 2, num_seeds - 1}:
        policy, q = plain(game.to_tables(), stream[seed], num_steps)
        last = found.recorded
        worst = max(worst, float(np.abs(last.policy[-1, ..., seed] - policy).max()))
        worst = max(worst, float(np.abs(last.q[-1, ..., seed] - q).max() / np.abs(q).max()))
    return worst


def learning_rows() -> list[dict[str, Any]]:
    """Seed-steps a second."""
    game, rows = markov.routing_game(), []
    for name, own in (("loads", game), ("tables", game.to_tables())):
        for num_seeds, num_steps, bound in _RUNS:
            seconds, history = [], None
            for key in range(_ROUNDS + 1):  # the first run compiles
                began = time.process_time()
                history = markov.learn(own, key=key, num_seeds=num_seeds, num_steps=num_steps, record_every=1000)
                seconds.append(time.process_time() - began)
            assert history is not None
            error = distance(own, num_seeds)
            size = sum(array.nbytes for array in history.recorded) / (num_seeds * len(history.steps))
            note = f"off the plain loop by {error:.1e}; {size:.0f} bytes a record and seed; first run {seconds[0]:.2f} s"
            rate = num_seeds * num_steps / statistics.median(seconds[1:])
            right = error <= 1e-12 and size <= 1000
            rows.append({"what": f"{num_seeds} seeds, {name}", "rate": rate, "bound": bound, "right": right, "note": note})
    return rows


def diagnostic_rows() -> list[dict[str, Any]]:
    """Recorded policies a second."""
    game = markov.routing_game()
    history = markov.learn(game, key=0, num_seeds=1024, num_steps=1000, record_every=200)
    rows = []
    for name, bound in (("nash_gap", 1e4), ("frozen_gap", 1e4), ("q_error", 1e4)):
        began = time.process_time()
        found = getattr(history, name)
        rate = found.size / (time.process_time() - began)
        note = "of 1,024 seeds with 6 records"
        right = True
        if name == "nash_gap":
            error = max(abs(found[seed, -1] - game.nash_gap(history.policy(seed)).maximum) for seed in range(0, 1024, 64))
            right, note = error <= 1e-10, f"{note}; off one at a time by {error:.1e}"
        rows.append({"what": name, "rate": rate, "bound": bound, "right": bool(right), "note": note})
    return rows


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, the median of some calls after the first, and what the last one returned."""
    found, result = [], None
    for _ in range(_ROUNDS + 1):
        began = time.process_time()
        result = call()
        found.append(time.process_time() - began)
    return statistics.median(found[1:]), result


def decision_rows() -> list[dict[str, Any]]:
    """Seconds of the decision test."""
    rows = []
    for (num_players, bound), (name, settings) in itertools.product(_DECIDED, _KINDS.items()):
        expected = Verdict.REFUTED if name == "own rewards" else Verdict.HOLDS
        for points in (0, 1) if expected is Verdict.HOLDS else (1,):
            game = markov.routing_game(num_players=num_players, threshold=num_players // 2, **_OWN, **settings)
            seconds, test = seconds_of(lambda game=game, asked=points or None: markov.potential_test(game, num_points=asked))
            # with other points than asked for the row would not be what it says
            right = test.verdict is expected and test.num_points == points and test.error_bound < 1e-12
            what = f"decision, N = {num_players}, {name}, by {'a point' if points else 'a theorem'}"
            note = f"{test.verdict.value}; {test.evidence.value}, wrong with probability {test.error_bound:.1e} at most"
            rows.append({"what": what, "seconds": seconds, "bound": bound, "right": right, "note": note})
    return rows


def evaluation_rows() -> list[dict[str, Any]]:
    """Seconds of Q-functions and best responses of all players."""
    rows = []
    for (num_players, bound), name in itertools.product(_EVALUATED, ("common interest", "own rewards")):
        own = {**_OWN, "intercepts": (5 * num_players, 9 * num_players)}
        game = markov.routing_game(num_players=num_players, threshold=num_players // 2, **own, **_KINDS[name])
        policy = game.random_policy(key=0)
        seconds, (q, gap) = seconds_of(lambda game=game, policy=policy: (game.q_value(policy), game.nash_gap(policy)))
        checked = range(0, num_players, num_players // 16)
        error = max(evaluation_error(game, policy, player, q[player], gap.gains[player]) for player in checked)
        what, note = f"Q and gaps, N = {num_players}, {name}", f"off convolutions by {error:.1e}, {len(checked)} players"
        rows.append({"what": what, "seconds": seconds, "bound": bound, "right": error <= 1e-12, "note": note})
    return rows


def line(row: dict[str, Any]) -> str:
    """A row in words."""
    if "rate" in row:
        figure = f"{row['rate']:12,.0f} /s  (at least {row['bound']:11,.0f} /s)"
    else:
        figure = f"{row['seconds']:12.4f} s   (at most  {row['bound']:11g} s) "
    return f"{row['what']:52} {figure}  {'ok' if kept(row) else 'MISSED':6}  {row['note']}"


def kept(row: dict[str, Any]) -> bool:
    """Whether the result is right and the bound kept."""
    within = row["rate"] >= row["bound"] if "rate" in row else row["seconds"] <= row["bound"]
    return row["right"] and within


def main(arguments: list[str]) -> int:
    """Print the table; write it as JSON where a path is given. 1 if a bound is missed or a result wrong."""
    parser = argparse.ArgumentParser(prog="markov_speed")
    parser.add_argument("out", nargs="?", type=Path)
    asked = parser.parse_args(arguments)
    print(pin())
    rows = []
    for measure in (learning_rows, diagnostic_rows, decision_rows, evaluation_rows):
        found = measure()
        print(*map(line, found), sep="\n", flush=True)
        rows += found
    print(f"{os.cpu_count()} cores; " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    if asked.out:
        asked.out.write_text(json.dumps({"figures": rows, "versions": versions(), "cores": os.cpu_count()}, indent=1) + "\n")
    return 0 if all(map(kept, rows)) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
