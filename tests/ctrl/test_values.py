"""Utilities on the host: those of the traced game, of factors and of samples alike."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given

from mcr2_landscape.ctrl import SubspaceGame, values
from mcr2_landscape.testing import seeds

from . import problems

SIZES, RANKS, AMBIENT, DIM, EPSILON = (5, 3, 4), (2, 1, 2), 6, 4, 0.7


@given(seed=seeds())
def test_they_are_the_games(seed):
    X, labels = problems.subspace_data(seed, SIZES, RANKS, AMBIENT)
    game = SubspaceGame(X, labels, dim=DIM, epsilon=EPSILON)
    random = np.random.default_rng([seed, 1])
    F, G = random.standard_normal((DIM, AMBIENT)), random.standard_normal((AMBIENT, DIM))
    expressive, distances = float(game.expressiveness(jnp.asarray(F))), game.distances(jnp.asarray(F), jnp.asarray(G))
    blocks = np.split(X[game.spans.order].T, np.cumsum(SIZES)[:-1], axis=1)
    for classes in (game.spans.factors, blocks):
        of = (classes, SIZES, DIM, EPSILON, F)
        np.testing.assert_allclose(values.expressiveness(*of), expressive, rtol=1e-9)
        np.testing.assert_allclose(values.distances(*of, G), distances, atol=1e-9)
    # planted: a class without one of its samples is another game
    fewer = [blocks[0][:, 1:], *blocks[1:]]
    assert abs(values.expressiveness(fewer, SIZES, DIM, EPSILON, F) - expressive) > 1e-9
    assert values.distances(fewer, SIZES, DIM, EPSILON, F, G)[0] != values.distances(blocks, SIZES, DIM, EPSILON, F, G)[0]
