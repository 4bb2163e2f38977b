"""What a report shows of a dictionary: that no image is solved twice, and that parts are those of the whole."""

from __future__ import annotations

import numpy as np

from mcr2_landscape import csc
from mcr2_landscape.csc import examination, solver

from . import problems


def test_images_are_solved_once_for_certificates_and_encoders(monkeypatch):
    monkeypatch.setattr(examination, "FACTORS", (2.0,))
    monkeypatch.setattr(examination, "DEPTHS", (1, 3))
    begun, real = [], solver._Work.run
    monkeypatch.setattr(
        solver._Work, "run", lambda work, *rest: begun.append((len(work.codes), work.wanted)) or real(work, *rest)
    )
    dictionary, x, _ = problems.small(2)
    lam = float(csc.lambda_max(dictionary, x)[:2].min())  # so that the code of one of the first two images is zero
    found = examination.examine(dictionary, x, sparsity=lam, gap=1e-11, studied=2)
    assert begun == [(3, 1e-11), (2, examination.CURVE_GAP)]
    alone = csc.encoder_gap(dictionary, x[:2], (1, 3), sparsity=lam, gap=1e-11)
    assert found.encoder.methods == alone.methods
    assert found.encoder.depths == alone.depths
    np.testing.assert_allclose(found.encoder.gap, alone.gap, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.encoder.distance, alone.distance, atol=1e-5)
    part, whole = found.encoder.solution, found.solution
    for name, value in vars(whole).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(part, name), value[:2], err_msg=name)
        elif name != "advice":
            assert getattr(part, name) == value
    assert part.zero_is_optimal.sum() == 1
    assert part.advice == alone.solution.advice
