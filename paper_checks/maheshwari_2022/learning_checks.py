"""How the claims on the experiments' settings are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.markov import Game, learn, power_step, routing_game, step_conditions
from mcr2_landscape.markov.policies import Policy
from mcr2_landscape.verdict import Evidence, Verdict

_SETTINGS = (("1/2", 1),)
_EXPLORED = 0.1
_SLOW, _FAST = power_step("11/20"), power_step("3/4")
_LOCKED = 0.05  # share of learners
_FALLS = 0.8  # the largest ratio of a quantile to what it was a tenth of the steps before
_REPAIRED = (("11/20", "3/4"), ("3/5", 1), ("2/3", "9/10"), ("51/100", 1))


def step_sizes(run: Run, *, settings: Sequence[tuple[Any, Any]] = _SETTINGS) -> Outcome:
    """The conditions of two-timescale stochastic approximation for power laws n^−a and n^−b, in closed form; `settings` are
    pairs (a, b)."""
    parts = []
    for a, b in settings:
        found = step_conditions(power_step(a), power_step(b))
        failing = [f"{c.statement} fails: {c.reason}" for c in found if c.verdict is Verdict.REFUTED]
        verdict = Verdict.REFUTED if failing else Verdict.HOLDS
        words = f"α = n^-{a}, β = n^-{b}: " + ("; ".join(failing) or "all conditions hold") + "."
        parts.append(Part(f"{a} and {b}", verdict, Evidence.EXACT, words))
    return Outcome.of(parts)


def corrected_step_sizes(run: Run, *, settings: Sequence[tuple[Any, Any]] = _REPAIRED) -> Outcome:
    """`step_sizes` for pairs within the corrected hypothesis."""
    return step_sizes(run, settings=settings)


def visits(run: Run, *, exploration: float = 0.0) -> Outcome:
    """How often the least tried pair of a state and an own action is tried, over the number of steps, ten times apart;
    `exploration` replaces the smoothed deviation."""
    last, learners = run.choose(20_000, 50_000, 200_000), run.choose(64, 256, 1024)
    history = learn(
        routing_game(), key=run.seed, num_steps=last, num_seeds=learners, exploration=exploration, record_every=last // 10
    )
    early, late = (np.median(history.least_visited[:, record]) / history.steps[record] for record in (1, 10))
    # A frequency that is bounded below would stay; log n/n falls to about an eighth.
    falls = late < early / 3
    words = (
        f"the least tried pair has a median frequency of {early:.2g} after {last // 10:,} steps and {late:.2g} after {last:,}, "
        f"over {learners:,} learners"
    )
    verdict = Verdict.REFUTED if falls else Verdict.HOLDS if late > early / 1.5 else Verdict.UNDECIDED
    figures = {"tolerance": 1 / 3, "worst": float(late / early), "samples": learners, "seeds": run.seed}
    return Outcome.of([Part("frequency", verdict, Evidence.NUMERICAL, words + ".", figures)])


def explored_visits(run: Run, *, exploration: float = _EXPLORED) -> Outcome:
    """How often each action is tried among the visits of a state, at the end: half of ε/|A_i| at least, the other half being
    left to chance. `exploration` is what the players do, whatever is claimed of them."""
    last, learners = run.choose(20_000, 50_000, 200_000), run.choose(64, 256, 1024)
    history = learn(
        routing_game(), key=run.seed, num_steps=last, num_seeds=learners, exploration=exploration, record_every=last
    )
    shares = np.min([(own[:, -1] / own[:, -1].sum(axis=-1, keepdims=True)).min(axis=(1, 2)) for own in history.visits], axis=0)
    floor = _EXPLORED / 2
    below = [f"a share of {share:.2g} where {floor:.2g} is the floor" for share in shares if share < floor / 2]
    words = f"learners that try every action in every state, the least of them {shares.min() / floor:.2f} times ε/|A|"
    return Outcome.of([Part.counted("shares", learners, below, words, seeds=run.seed)])


def learned_values(run: Run, *, exploration: float = 0.0) -> Outcome:
    """Learned values and policies of the first experiment, at its number of steps in the thorough profile; `exploration`
    replaces the smoothed deviation."""
    steps, learners = run.choose(20_000, 100_000, 100_000), run.choose(64, 256, 1024)
    history = learn(
        routing_game(), key=run.seed, num_steps=steps, num_seeds=learners, exploration=exploration, record_every=steps
    )
    error, gap = (float(np.median(found[:, -1])) for found in (history.q_error, history.nash_gap))
    largest = float(history.nash_gap[:, -1].max())
    words = (
        f"after {steps:,} steps the median over {learners:,} learners of the largest |q − Q̃| is {error:.3g}, that of the Nash "
        f"gap {gap:.2g}, the largest {largest:.2g}"
    )
    wrong = [] if error > 1 else [f"an error of {error:.2g}"]
    wrong += [] if gap < 0.5 else [f"a gap of {gap:.2g}"]
    what = f"{words}; medians on the side that the claim says"
    return Outcome.of([Part.counted("learned", learners, wrong, what, seeds=run.seed)])


def locked_in(run: Run, *, exploration: float = 0.0) -> Outcome:
    """How many learners, with step sizes that meet every condition, never try some action, are off any equilibrium, and stay
    where they are while the number of steps grows ten times; `exploration` replaces the smoothed deviation."""
    last, learners = run.choose(20_000, 100_000, 100_000), run.choose(64, 256, 1024)
    history = learn(
        routing_game(),
        key=run.seed,
        num_steps=last,
        num_seeds=learners,
        q_step=_SLOW,
        policy_step=_FAST,
        exploration=exploration,
        record_every=last // 10,
    )
    early, late = history.nash_gap[:, 1], history.nash_gap[:, -1]
    untried = history.least_visited[:, -1] == 0
    stuck = untried & (late > 0.5) & (np.abs(late - early) < 0.01 * late)
    share = float(stuck.mean())
    words = (
        f"{int(stuck.sum())} of {learners:,} learners never tried some action in some state in {last:,} steps, and have a Nash "
        f"gap above ½, to a hundredth the one that they had after {last // 10:,}"
    )
    verdict = Verdict.REFUTED if share > _LOCKED else Verdict.HOLDS if share == 0 else Verdict.UNDECIDED
    figures = {"tolerance": _LOCKED, "worst": share, "samples": learners, "seeds": run.seed}
    return Outcome.of([Part("locked in", verdict, Evidence.NUMERICAL, words + ".", figures)])


def convergence(run: Run, *, temperature: float = 1.0, exploration: float = 0.1) -> Outcome:
    """Quantiles of the largest |q − Q̃|, ten times as many steps apart, and the Nash gap at the end against what a perturbed
    equilibrium may have: for smoothed deviations at a `temperature` where actions move nothing, and for `exploration` in the
    first experiment."""
    last, learners = run.choose(40_000, 100_000, 100_000), run.choose(48, 256, 1024)
    parts = []
    for name, game, options in (
        ("smoothed", routing_game(common_interest=False, action_independent=True), (temperature, 0.0)),
        ("explored", routing_game(), (None, exploration)),
    ):
        history = learn(
            game,
            key=run.seed,
            num_steps=last,
            num_seeds=learners,
            q_step=power_step("3/5"),
            temperature=options[0],
            exploration=options[1],
            record_every=last // 10,
        )
        error, gap = history.quantiles("q_error")[:, [1, -1]].T, history.quantiles("nash_gap")[:, -1]
        ratio = float((error[1] / error[0]).max())
        # What a player loses by playing the deviation: its entropy, or what the actions that are explored are worth less.
        bound = temperature * np.log(2) / (1 - game.discount)
        if name == "explored":
            losses = [_explored_loss(game, history.policy(seed)) for seed in range(learners)]
            bound = 1.5 * exploration * float(np.quantile(losses, 0.95)) / (1 - game.discount)
        words = (
            f"the 5, 25, 50, 75 and 95 % quantiles over {learners:,} learners of the largest |q − Q̃| are {_listed(error[0])} "
            f"after {last // 10:,} steps and {_listed(error[1])} after {last:,}, those of the Nash gap {_listed(gap)} then, at "
            f"most {bound:.3g}"
        )
        verdict = Verdict.HOLDS if ratio < _FALLS and gap[-1] <= bound else Verdict.UNDECIDED
        figures = {"tolerance": _FALLS, "worst": ratio, "samples": learners, "seeds": run.seed}
        parts.append(Part(name, verdict, Evidence.NUMERICAL, words + ".", figures))
    return Outcome.of(parts)


def _explored_loss(game: Game, policy: Policy) -> float:
    """By how much the mean of Q over a player's actions is below the best one, at most."""
    return max(float((own.max(axis=1) - own.mean(axis=1)).max()) for own in game.q_value(policy))


def _listed(numbers: np.ndarray) -> str:
    return ", ".join(f"{number:.3g}" for number in numbers)
