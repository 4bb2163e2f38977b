"""Random games, and what a policy is worth by the definition: loops over joint actions, and series instead of solves."""

import itertools

import numpy as np

from mcr2_landscape.markov import MarkovGame

SHAPES = [(1, (2,)), (1, (2, 3)), (2, (2, 2)), (3, (2, 3)), (2, (3, 1, 2)), (3, (2, 2, 2))]


def random_game(seed, shape=(3, (2, 3)), discount=None):
    """Rewards are normal, transitions and the discount uniform."""
    draw = np.random.default_rng(seed)
    S, actions = shape
    transition = draw.dirichlet(np.ones(S), size=(S, *actions))
    reward = draw.standard_normal((len(actions), S, *actions))
    return MarkovGame(transition, reward, draw.uniform(0.1, 0.9) if discount is None else discount, draw.dirichlet(np.ones(S)))


def joint_probability(policy, state, profile):
    return np.prod([own[state, a] for own, a in zip(policy, profile, strict=True)])


def profiles(game):
    return list(itertools.product(*map(range, game.num_actions)))


def averages(game, policy):
    """P_π (S, S) and r_π (N, S)."""
    step, paid = np.zeros((game.num_states,) * 2), np.zeros((game.num_players, game.num_states))
    for s, a in itertools.product(range(game.num_states), profiles(game)):
        chance = joint_probability(policy, s, a)
        step[s] += chance * game.transition[(s, *a)]
        paid[:, s] += chance * game.reward[(slice(None), s, *a)]
    return step, paid


def series(step, paid, discount):
    """Σ_k δᵏ P^k r, term by term; (…, S)."""
    total, term = np.zeros_like(paid), paid.copy()
    while np.abs(term).max() > 1e-17:
        total += term
        term = discount * term @ step.T
    return total


def values(game, policy, temperature=0.0):
    step, paid = averages(game, policy)
    own = np.array([[-sum(p * np.log(p) for p in row if p > 0) for row in one] for one in policy])
    return series(step, paid + temperature * own, game.discount)


def q_values(game, policy, temperature=0.0):
    value, out = values(game, policy, temperature), []
    for i, count in enumerate(game.num_actions):
        q = np.zeros((game.num_states, count))
        for s, a in itertools.product(range(game.num_states), profiles(game)):
            others = np.prod([policy[j][s, a[j]] for j in range(game.num_players) if j != i])
            q[s, a[i]] += others * (game.reward[(i, s, *a)] + game.discount * game.transition[(s, *a)] @ value[i])
        q += temperature * np.array([[-sum(p * np.log(p) for p in row if p > 0)] for row in policy[i]])
        out.append(q)
    return out


def best_value(game, policy, player):
    """The best over all deterministic policies of one player, in each state."""
    found = []
    for actions in itertools.product(range(game.num_actions[player]), repeat=game.num_states):
        own = np.eye(game.num_actions[player])[list(actions)]
        found.append(values(game, (*policy[:player], own, *policy[player + 1 :]))[player])
    return np.max(found, axis=0)
