"""One program on many rows."""

import jax.numpy as jnp
import numpy as np
import pytest

from mcr2_landscape.rows import in_rows


@pytest.mark.parametrize("count", [1, 5, 6, 7])
def test_all_rows_come_back_in_their_order_from_one_shape(count):
    shapes = set()

    def function(first, second):
        shapes.add(first.shape)
        return {"sum": jnp.asarray(first + second), "none": None}

    X = np.arange(2.0 * count).reshape(count, 2)
    found = in_rows(function, X, 10 * X, rows=3)
    assert (found["sum"] == 11 * X).all()
    assert found["none"] is None
    assert shapes == {(min(3, count), 2)}
    assert (in_rows(lambda some: some.T, X, rows=3, axis=1) == X.T).all()
