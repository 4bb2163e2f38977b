"""Class tokens in the landscape, layer by layer: `analyze_features` for each, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import mcr2_landscape as ml
from mcr2_landscape.training import class_token_positions


def test_each_layer_is_analyzed_at_its_best_scale():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 8)
    tokens = random.standard_normal((2, 24, 5)) + 3 * random.standard_normal((3, 5))[labels]
    notes: list[str] = []
    first, second = class_token_positions("trained", tokens, labels, notes=notes)
    for layer, found in enumerate((first, second)):
        own = ml.analyze_features(tokens[layer], labels, normalize="scale", ascent=False)
        assert (found.layer, found.rank) == (layer + 1, 5)
        assert found.rate_reduction == pytest.approx(own.rates.rate_reduction, rel=1e-12)
        assert found.maximum == pytest.approx(own.problem.global_maximum().value, rel=1e-9)
        assert found.value <= found.maximum
        assert found.relative_gradient_norm == pytest.approx(own.position.relative_gradient_norm, rel=1e-9)
    # The scale is the analysis's own: other lengths of the same tokens are at the same place.
    (again,) = class_token_positions("trained", 7 * tokens[:1], labels)
    assert again.value == pytest.approx(first.value, rel=1e-6)
    assert not notes


def test_tokens_without_a_position_are_said():
    notes: list[str] = []
    assert class_token_positions("random", np.ones((1, 6, 3)), [0, 0, 0, 1, 1, 1], notes=notes) == ()
    assert len(notes) == 1
    assert "after layer 1 (random)" in notes[0]
