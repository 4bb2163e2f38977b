"""The tools that tests stand on are tested too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.catalog import regularization_limit
from mcr2_landscape.testing import ZOO, dense_inertia, parameters, points, seeds, spectra, symmetric_matrix


@given(spectra(), seeds())
def test_matrices_have_the_prescribed_spectrum(spectrum, seed):
    matrix = symmetric_matrix(spectrum, seed)
    assert np.allclose(np.linalg.eigvalsh(matrix), spectrum, atol=1e-12)
    inertia = dense_inertia(matrix, 1e-9)
    assert (inertia.positive, inertia.zero, inertia.negative) == (
        int((spectrum > 0).sum()),
        int((spectrum == 0).sum()),
        int((spectrum < 0).sum()),
    )


@given(st.data())
def test_problems_and_points_fit(data):
    p = data.draw(parameters())
    Z = data.draw(points(p))
    assert Z.shape == p.shape
    assert np.isfinite(Z).all()
    assert p.regularization <= 2.0001 * regularization_limit(p)


@pytest.mark.parametrize("specimen", ZOO, ids=lambda specimen: specimen.name)
def test_the_known_points_of_the_zoo_are_critical(specimen):
    landscape = specimen.make()
    for known in specimen.points:
        assert np.linalg.norm(landscape.evaluate(np.array(known.point))[1]) <= 1e-12
