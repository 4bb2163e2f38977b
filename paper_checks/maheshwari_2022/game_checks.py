"""How the claims on which games are Markov potential games are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.markov import (
    MarkovGame,
    example,
    four_cycle,
    identical_interest,
    potential_test,
    random_game,
    routing_game,
    stage_potential,
)
from mcr2_landscape.verdict import Evidence, Verdict
from paper_checks.maheshwari_2022.common import SHAPES, potential_games, values, with_own

_SMALL = ((2, (2, 2)), (2, (2, 3)), (3, (2, 2)), (2, (2, 2, 2)))


def _tested(run: Run, name: str, make: Callable[[int], Any], wanted: Verdict, what: str) -> Part:
    """The exact decision on random games of a kind."""
    exceptions, count = [], run.choose(20, 200, 1000)
    for number in range(count):
        found = potential_test(make(number), num_points=1, key=number)  # no theorem answers
        if found.verdict is not wanted:
            exceptions.append(f"{found.verdict.value}: {found.reason}")
    return Part.counted(name, count, exceptions, what, seeds=run.seed)


def sufficient(run: Run, *, spoiled: bool = False) -> Outcome:
    """The decision test at random points, without these very theorems, on games of both kinds; `spoiled` adds a millionth to
    one reward."""

    def changed(game: MarkovGame) -> MarkovGame:
        if not spoiled:
            return game
        reward = game.exact.reward.copy()
        reward[(0,) * reward.ndim] += Fraction(1, 10**6)
        return MarkovGame(game.exact.transition, reward, game.exact.discount)

    parts = []
    for name, kind in (("identical interest", identical_interest), ("stage potentials, actions move nothing", stage_potential)):
        parts.append(
            _tested(
                run,
                name,
                lambda number, kind=kind: changed(kind(*_SMALL[number % len(_SMALL)], key=number)),
                Verdict.HOLDS,
                "random games that are Markov potential games",
            )
        )
    routing = [
        routing_game(),
        routing_game(common_interest=False, action_independent=True),
    ]
    wrong = [game for game in routing if potential_test(game, num_points=1).verdict is not Verdict.HOLDS]
    parts.append(
        Part.counted("routing", len(routing), [str(game) for game in wrong], "routing games of the experiments", seeds=None)
    )
    return Outcome.of(parts)


def stage_potentials(run: Run) -> Outcome:
    """A game with constant, hence potential, stage games is none: the certified four-cycle; and routing games are none."""
    stages = example("opposed-interests").exact.reward
    constant = all((stages[i, s] == stages[i, s].ravel()[0]).all() for i, s in np.ndindex(stages.shape[:2]))
    words = "The rewards of the counter-example depend on the state alone, so that every stage game has a potential."
    hypothesis = Part("hypothesis", Verdict.HOLDS if constant else Verdict.UNDECIDED, Evidence.EXACT, words, essential=False)
    own = [routing_game(num_players=n, common_interest=False) for n in run.choose((2, 3), (2, 3, 4), (2, 3, 4, 5))]
    found = [potential_test(game) for game in own]
    words = f"routing games with own rewards, whose stage games are congestion games: {[t.verdict.value for t in found]}"
    refuted = all(t.verdict is Verdict.REFUTED for t in found)
    return Outcome.of(
        [
            hypothesis,
            *run.certify(essential=constant),
            Part("routing", Verdict.REFUTED if refuted else Verdict.HOLDS, Evidence.EXACT, words + ".", essential=False),
        ]
    )


def pure_cycles(run: Run) -> Outcome:
    """All four-cycles of deterministic policies of the example vanish, and a certified one of mixed policies does not."""
    game = example("pure-cycles-vanish")
    corners = [np.eye(2, dtype=int)[list(actions)].astype(object) for actions in itertools.product((0, 1), repeat=2)]
    nonzero = 0
    for A, B, C, D in itertools.product(corners, repeat=4):
        nonzero += any(four_cycle(game, (A, B), (C, D), (0, 1), exact=True))
    words = f"{nonzero} of {len(corners) ** 4} four-cycles of deterministic policies do not vanish."
    vanish = Part("deterministic", Verdict.HOLDS if nonzero == 0 else Verdict.UNDECIDED, Evidence.EXACT, words)
    return Outcome.of([vanish, *run.certify()])


def recovered_potential(run: Run, *, kinds: Callable[..., Any] = potential_games) -> Outcome:
    """The sum along the players' order, in games whose four-cycles vanish at a random point, against the values of random
    changes of every player; `kinds` draws the games."""
    random, errors, rejected, count = np.random.default_rng(run.seed), [], [], 0
    for game, policy in kinds(random, run.choose(40, 200, 2000)):
        found = potential_test(game, num_points=1, key=random)
        count += 1
        if found.verdict is not Verdict.HOLDS:
            rejected.append(found.reason)
        reference, other = game.random_policy(key=random), game.random_policy(key=random)
        before, value = game.potential(policy, reference=reference), values(game, policy)
        for i in range(game.num_players):
            changed = with_own(policy, i, other[i])
            difference = game.potential(changed, reference=reference) - before
            errors.append(float(np.abs(difference - (values(game, changed) - value)[i]).max() / np.abs(value).max()))
    return Outcome.of(
        [
            Part.counted("cycles", count, rejected, "games whose four-cycles vanish", seeds=run.seed),
            Part.measured("potential", errors, 1e-11, "differences of Φ less those of V_i", seeds=run.seed),
        ]
    )


def random_games(run: Run, *, kind: Callable[..., MarkovGame] = random_game) -> Outcome:
    """Random games, and random stage potentials with actions that move the state, are no Markov potential games; `kind` draws
    the first ones."""
    return Outcome.of(
        [
            _tested(
                run,
                "random",
                lambda number: kind(*_SMALL[number % len(_SMALL)], key=number),
                Verdict.REFUTED,
                "random games that are none",
            ),
            _tested(
                run,
                "stage potentials that move",
                lambda number: stage_potential(*_SMALL[number % len(_SMALL)], key=number, moving=True),
                Verdict.REFUTED,
                "stage potentials with random transitions that are none",
            ),
        ]
    )


def perturbed_potential(run: Run) -> Outcome:
    """In the example nothing is paid, and the four-cycle of Ṽ is −(2/3)τ log 2: enclosed by balls at τ = 1, and in floating
    point at others."""
    game, errors, sizes = example("entropy-moves"), [], []
    even = np.array([[1.0, 0.0], [0.5, 0.5]])
    policy, first, second = (even, np.eye(2)), np.array([[0.0, 1.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    for tau in (0.1, 1.0, 3.0):
        found = four_cycle(game, policy, (first, second), (0, 1), temperature=tau)[0]
        sizes.append(abs(found) / tau)
        errors.append(abs(abs(found) / tau - 2 / 3 * np.log(2)))
    words = f"in a game where nothing is paid a four-cycle is {sizes[0]:.12g} τ in size, (2/3) log 2 to {max(errors):.1g}."
    verdict = Verdict.REFUTED if max(errors) < 1e-12 else Verdict.UNDECIDED
    return Outcome.of([*run.certify(), Part("by hand", verdict, Evidence.NUMERICAL, words, essential=False)])


def perturbed_independent(run: Run, *, moving: bool = False) -> Outcome:
    """Four-cycles of Ṽ in potential games whose transitions do not depend on actions; `moving` draws others."""
    random, errors = np.random.default_rng(run.seed), []
    for number in range(run.choose(40, 200, 2000)):
        game = stage_potential(*SHAPES[number % len(SHAPES)], key=random, moving=moving)
        policy, other = game.random_policy(key=random), game.random_policy(key=random)
        tau = float(random.uniform(0.1, 3))
        corners = [policy, (other[0], *policy[1:]), (*other[:2], *policy[2:]), (policy[0], other[1], *policy[2:])]
        A, B, C, D = (values(game, corner, tau) for corner in corners)
        errors.append(float(np.abs((B - A)[0] + (C - B)[1] + (D - C)[0] + (A - D)[1]).max()))
    return Outcome.of([Part.measured("four-cycles", errors, 1e-11, "of the perturbed values", seeds=run.seed)])
