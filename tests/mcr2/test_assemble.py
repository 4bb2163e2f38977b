"""Blocks added onto an array, as the low-rank product does it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcr2_landscape import stacking
from mcr2_landscape.stacking import ClassLayout


@pytest.mark.parametrize("stacked", [0, 2**14], ids=["loop", "stacked"])
@pytest.mark.parametrize("widths", [(3, 3, 3), (4, 3, 4, 1), (2, 9)])
def test_blocks_are_added_to_what_is_there(monkeypatch, stacked, widths):
    monkeypatch.setattr(stacking, "_STACKED", stacked)
    layout = ClassLayout(widths)
    random = np.random.default_rng(0)
    D, onto = random.standard_normal((2, 5, sum(widths)))
    factors = random.standard_normal((len(widths), 5, 5))

    def assembled(D, factors, onto):
        return layout.assemble(jnp.matmul, (), layout.split(factors), columns(D), onto=onto)

    def columns(D):
        return layout.map(lambda block: block, (D,))

    blocks = np.split(D, np.cumsum(widths)[:-1], axis=1)
    wanted = onto + np.concatenate([M @ block for M, block in zip(factors, blocks, strict=True)], axis=1)
    found = jax.jit(assembled)(jnp.asarray(D), jnp.asarray(factors), jnp.asarray(onto))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13)
