"""How the claims on values, best responses and the perturbed game are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.markov import MarkovGame, perturbed_equilibrium
from paper_checks.maheshwari_2022.common import (
    derivative,
    entropies,
    games,
    potential_games,
    q_of,
    resolvent,
    softmax,
    values,
    with_own,
)

_TEMPERATURES = (0.05, 0.5, 2.0)


def contraction(run: Run, *, discounted: float = 1.0) -> Outcome:
    """The update with the others' policies fixed, on pairs of random q; `discounted` multiplies the discount that it is held
    to."""
    random, ratios, fixed = np.random.default_rng(run.seed), [], []
    for game, policy in games(random, run.choose(40, 200, 2000)):
        tau = float(random.choice(_TEMPERATURES))
        first, second = ([random.standard_normal(own.shape) for own in policy] for _ in range(2))

        def update(q: list[np.ndarray], game: Any = game, policy: Any = policy, tau: float = tau) -> list[np.ndarray]:
            return q_of(game, policy, np.stack([np.sum(p * own, axis=1) for p, own in zip(policy, q, strict=True)]), tau)

        before = max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))
        after = max(float(np.abs(a - b).max()) for a, b in zip(update(first), update(second), strict=True))
        ratios.append(max(after / before / (discounted * game.discount) - 1, 0.0))
        q = q_of(game, policy, values(game, policy, tau), tau)
        fixed.append(max(float(np.abs(a - b).max()) for a, b in zip(update(q), q, strict=True)))
    return Outcome.of(
        [
            Part.measured("contraction", ratios, 1e-12, "ratio of distances over δ, less one", seeds=run.seed),
            Part.measured("fixed point", fixed, 1e-11, "Q̃ after the update, less Q̃", seeds=run.seed),
        ]
    )


def performance(run: Run, *, entropy: float = 1.0) -> Outcome:
    """Both sides for random changes of one player's policy; `entropy` weighs the entropies' difference."""
    random, plain, perturbed = np.random.default_rng(run.seed), [], []
    for game, policy in games(random, run.choose(40, 200, 2000)):
        other, tau = game.random_policy(key=random), float(random.choice(_TEMPERATURES))
        for found, t in ((plain, 0.0), (perturbed, tau)):
            value = values(game, policy, t)
            q = q_of(game, policy, value, t)
            for i in range(game.num_players):
                changed = with_own(policy, i, other[i])
                bracket = np.sum((other[i] - policy[i]) * q[i], axis=1)
                bracket = bracket + entropy * t * (entropies(changed) - entropies(policy))[i]
                left = (values(game, changed, t) - value)[i]
                right = resolvent(game, changed) @ bracket
                found.append(float(np.abs(left - right).max() / np.abs(value).max()))
    return Outcome.of(
        [
            Part.measured("as it is", plain, 1e-11, "difference of values less the identity", seeds=run.seed),
            Part.measured("perturbed", perturbed, 1e-11, "the same with entropies", seeds=run.seed),
        ]
    )


def _divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p‖q) + KL(q‖p) of rows."""
    return np.sum((p - q) * (np.log(p) - np.log(q)), axis=1)


def own_rate(run: Run, *, response: Callable[..., np.ndarray] = softmax) -> Outcome:
    """The derivative of a player's own value towards its smoothed response, by a complex step; `response` is what it moves
    to."""
    random, errors, falls = np.random.default_rng(run.seed), [], []
    count = 0
    for game, policy in games(random, run.choose(40, 200, 2000)):
        tau = float(random.choice(_TEMPERATURES))
        q = q_of(game, policy, values(game, policy, tau), tau)
        for i in range(game.num_players):
            own, speed = response(q[i], tau), random.uniform(0.1, 2, size=game.num_states)
            if not (own > 0).all():
                continue
            moves = [np.zeros_like(p) for p in policy]
            moves[i] = speed[:, None] * (own - policy[i])
            rate = derivative(lambda p, i=i, game=game, tau=tau: values(game, p, tau)[i], policy, moves)
            expected = resolvent(game, policy) @ (speed * tau * _divergence(own, policy[i]))
            errors.append(float(np.abs(rate - expected).max() / max(1.0, np.abs(expected).max())))
            count += 1
            if rate.min() < -1e-12:
                falls.append(f"a rate of {rate.min():.3g}")
    return Outcome.of(
        [
            Part.measured("rate", errors, 1e-11, "derivative less (I − δP)⁻¹γτ[KL + KL]", seeds=run.seed),
            Part.counted("sign", count, falls, "own values that do not fall", seeds=run.seed),
        ]
    )


def potential_rate(run: Run, *, kinds: Callable[..., Any] = potential_games) -> Outcome:
    """The derivative of the potential along best responses, by a complex step, in Markov potential games; `kinds` draws the
    games."""
    random, errors, falls, count = np.random.default_rng(run.seed), [], [], 0
    for game, policy in kinds(random, run.choose(40, 200, 2000)):
        value = values(game, policy)
        q = q_of(game, policy, value)
        speeds = random.uniform(0.1, 2, size=(game.num_players, game.num_states))
        moves = [
            g[:, None] * (np.eye(own.shape[1])[own.argmax(axis=1)] - p) for g, own, p in zip(speeds, q, policy, strict=True)
        ]

        reference = game.random_policy(key=random)

        def potential(p: Any, game: Any = game, reference: Any = reference) -> np.ndarray:
            """One player after the other goes from the reference to p: in other games the derivative depends on it."""
            total, mixed = np.zeros(game.num_states, dtype=complex), tuple(reference)
            for i in range(game.num_players):
                moved = with_own(mixed, i, p[i])
                total, mixed = total + (values(game, moved) - values(game, mixed))[i], moved
            return total

        rate = derivative(potential, policy, moves)
        gains = np.stack([own.max(axis=1) for own in q]) - value
        expected = resolvent(game, policy) @ np.sum(speeds * gains, axis=0)
        errors.append(float(np.abs(rate - expected).max() / max(1.0, np.abs(expected).max())))
        count += 1
        if rate.min() < -1e-11:
            falls.append(f"a rate of {rate.min():.3g}")
    return Outcome.of(
        [
            Part.measured("rate", errors, 1e-10, "derivative less (I − δP)⁻¹ Σ γ_i [max Q_i − V_i]", seeds=run.seed),
            Part.counted("sign", count, falls, "potentials that do not fall", seeds=run.seed),
        ]
    )


def perturbation(run: Run, *, smaller: float = 1.0) -> Outcome:
    """Perturbed equilibria that were found, by their smoothed responses: their Nash gap in the perturbed game, in which random
    policies have one, and gap ≤ τD ≤ τ log max |A_i|/(1 − δ); `smaller` multiplies the bound."""
    random, residuals, exceptions, undecided, count = np.random.default_rng(run.seed), [], [], 0, 0
    perturbed, others = [], []
    for game, _ in games(random, run.choose(20, 100, 1000)):
        tau = float(random.choice(_TEMPERATURES))
        found = perturbed_equilibrium(game, tau, key=random)
        if not found.converged:
            undecided += 1
            continue
        policy = found.policy
        q = q_of(game, policy, values(game, policy, tau), tau)
        residuals.append(max(float(np.abs(softmax(own, tau) - p).max()) for own, p in zip(q, policy, strict=True)))
        paid = tau * entropies(policy) @ resolvent(game, policy).T
        scale = float(np.abs(found.value).max())
        perturbed.append(game.nash_gap(policy, temperature=tau).maximum / scale)
        others.append(game.nash_gap(game.random_policy(key=random), temperature=tau).maximum)
        gains = game.nash_gap(policy).gains
        bound = smaller * tau * np.log(max(game.num_actions)) / (1 - game.discount)
        count += 1
        if (gains > paid + 1e-9).any() or paid.max() > bound + 1e-12:
            exceptions.append(f"gap {gains.max():.3g}, τD {paid.max():.3g}, bound {bound:.3g}")
    return Outcome.of(
        [
            Part.measured("residual", residuals, 1e-8, "smoothed response less policy", seeds=run.seed),
            Part.measured("perturbed gap", perturbed, 1e-8, "Nash gap in the perturbed game, over the values", seeds=run.seed),
            Part.counted(
                "other policies",
                count,
                [f"a gap of {gap:.1e}" for gap in others if gap < 1e-6],
                "random policies with a Nash gap in the perturbed game",
                seeds=run.seed,
            ),
            Part.counted("gap", count, exceptions, "perturbed equilibria", seeds=run.seed, undecided=undecided),
        ]
    )


def tightness(run: Run, *, bound: float = 1.0) -> Outcome:
    """One player, who may go to a state with two equal actions, where it is paid for entropy alone, or to one that pays almost
    as much for sure: the gap of its perturbed equilibrium over the bound, which `bound` multiplies, as δ → 1."""
    ratios, tau, ahead = [], 1.0, 10.0
    for discount in (0.9, 0.99, 0.999, 0.9999, 0.99999):
        sure = tau * np.log(2) - ahead * tau * (1 - discount) / discount
        transition, reward = np.zeros((3, 2, 3)), np.zeros((1, 3, 2))
        transition[0, 0, 1] = transition[0, 1, 2] = 1
        transition[1, :, 1] = transition[2, :, 2] = 1
        reward[0, 2] = sure, sure - 1000 * tau  # nobody plays the second: no entropy there
        game = MarkovGame(transition, reward, discount)
        policy = (game.best_response(game.uniform_policy(), 0, temperature=tau).policy,)
        ratios.append(game.nash_gap(policy).maximum / (bound * tau * np.log(2) / (1 - discount)))
    falls = [f"from {a:.6g} to {b:.6g}" for a, b in itertools.pairwise(ratios) if b <= a]
    return Outcome.of(
        [
            Part.measured("limit", [abs(ratios[-1] - 1)], 1e-3, "gap over bound at δ = 0.99999, less one", seeds=None),
            Part.counted("rise", len(ratios), falls, "gaps over bounds that rise with δ", seeds=None),
        ]
    )
