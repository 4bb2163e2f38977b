"""The tasks that climb, search and classify."""

import numpy as np
import pytest

from mcr2_landscape import MCR2, InputError
from mcr2_landscape.catalog import Family
from mcr2_landscape.study.tasks import ascend as ascents
from mcr2_landscape.study.tasks.ascend import ascend
from mcr2_landscape.study.tasks.classify import classify
from mcr2_landscape.study.tasks.search import search

SHAPE = {"dim": 4, "sizes": (2, 3, 3)}
SPHERES = {"dim": 8, "sizes": (2, 3, 3), "problem": "spheres", "relative_regularization": 0.0}


@pytest.mark.parametrize("seed", range(4))
def test_ascent_ends_at_a_maximizer_whose_closed_form_agrees(seed):
    found = ascend(**SHAPE, relative_regularization=0.3, seed=seed, gram=True)
    assert found.outcome in ("global maximizer", "local maximizer")
    assert (found.end_kind, found.end_index) == ("local maximizer", 0)
    where = MCR2(4, (2, 3, 3), 0.5, found.regularization)
    roots = where.roots()[:, 1]
    assert found.value == pytest.approx(where.orthogonal_family(found.ranks).value, abs=1e-11)
    assert found.maximum == where.global_maximum().value
    assert found.gap >= -1e-12
    for own, root, rank in zip(found.singular_values, roots, found.ranks, strict=True):
        np.testing.assert_allclose(own[:rank], root**0.5, rtol=1e-9)
    assert found.coherence < 1e-9
    # |ZᵀZ| becomes block diagonal.
    assert found.gram_start is not None
    assert found.gram_end is not None
    assert found.gram_start[:2, 2:].max() > 0.1 > 1e-9 > found.gram_end[:2, 2:].max()
    assert len(found.history_value) == len(found.history_gradient_norm) == len(found.history_singular_values) <= 50
    assert np.diff(found.history_value).min() > -1e-12
    assert found.history_value[-1] == pytest.approx(found.value, abs=1e-11)
    assert [len(own) for own in found.history_singular_values[0]] == [2, 3, 3]


def test_small_starts_collapse_to_zero():
    found = ascend(**SHAPE, relative_regularization=0.9, scale=0.01, seed=1)
    assert (found.outcome, found.family, found.ranks, found.value) == ("zero", "zero", (0, 0, 0), 0.0)
    assert found.rate_reduction_on_spheres is None
    assert found.gram_end is None


def test_on_spheres_maximizers_have_equal_singular_values():
    found = ascend(**SPHERES, seed=1)
    assert (found.outcome, found.maximum_proved, found.maximum_ranks) == ("global maximizer", True, (2, 3, 3))
    assert found.regularization is None
    for own, size, rank in zip(found.singular_values, (2, 3, 3), found.ranks, strict=True):
        np.testing.assert_allclose(own[:rank], (size / rank) ** 0.5, rtol=1e-9)
    assert found.rate_reduction_on_spheres == pytest.approx(found.value, abs=1e-12)
    with pytest.raises(InputError, match=r"relative_regularization: found 0\.5; pass 0 on spheres"):
        ascend(**{**SPHERES, "relative_regularization": 0.5}, seed=1)


def test_few_steps_are_no_convergence():
    found = ascend(**SHAPE, relative_regularization=0.3, seed=0, max_steps=5)
    assert found.outcome == "not converged"
    assert "gradients spent" in found.reason


def test_a_planted_lower_maximum_is_contradicted(monkeypatch):
    monkeypatch.setattr(ascents, "_maximum", lambda where: (0.5, (1, 0, 0), True))
    found = ascend(**SHAPE, relative_regularization=0.3, seed=0)
    assert found.outcome == "above the maximum"
    assert found.gap < 0


CLASSIFIED = {"dim": 4, "sizes": (3, 4, 5), "large": (1, 1, 0), "small": (0, 1, 1)}


@pytest.mark.parametrize("relative", [1e-6, 0.4, 0.999])
def test_index_and_nullity_are_measured_as_theory_says(relative):
    found = classify(**CLASSIFIED, relative_regularization=relative, seed=2)
    # Index Σ r⁻(r⁻ + 1)/2; nullity: Σ [r_k(m_k − r_k) + (d − r)r_k + r_k(r_k − 1)/2] + Σ_{k<l} r_k r_l + Σ r⁺r⁻.
    assert (found.theory_index, found.theory_nullity) == (2, 2 + 4 + 4 + 1 + 2 + 1 + 2 + 1)
    assert (found.measured_positive, found.measured_zero) == (found.theory_index, found.theory_nullity)
    assert found.measured_positive + found.measured_zero + found.measured_negative == 4 * 12
    assert (found.agreement, found.measured_kind) == ("yes", "strict saddle")
    assert found.spectrum_error < 1e-12
    assert found.value_error < 1e-11
    assert found.recognized == found.family


def test_at_the_threshold_a_point_is_degenerate():
    found = classify(dim=4, sizes=(3, 3), epsilon=0.6, large=(2, 2), relative_regularization=1.0, seed=0)
    assert (found.theory_kind, found.measured_kind, found.agreement) == ("degenerate", "degenerate", "yes")
    assert found.theory_nullity == found.orbit_dimension + 3 + 3  # Σ r_k(r_k + 1)/2 beyond the orbit's
    assert found.higher_order


def test_a_planted_wrong_index_is_contradicted(monkeypatch):
    monkeypatch.setattr(Family, "index", property(lambda family: sum(family.small)))  # right up to rank one
    found = classify(dim=4, sizes=(3, 4), large=(1, 0), small=(2, 0), relative_regularization=0.4, seed=0)
    assert (found.theory_index, found.measured_positive, found.agreement) == (2, 3, "no")
    assert found.measured_kind == "undecided"


def test_a_search_finds_what_the_catalog_lists(monkeypatch):
    settings = {"dim": 3, "sizes": (2, 3), "relative_regularization": 0.4, "num_starts": 60, "seed": 0}
    found = search(**settings)
    assert found.converged + sum(found.unconverged_count) == 60
    assert found.num_orthogonal == len(found.listed_value) == 31
    assert found.listed_all
    assert found.num_orthogonal_found == sum(found.listed_found) == len(found.found_value) > 15
    assert (found.num_unlisted, found.num_undecided, found.num_contradictions) == (0, 0, 0)
    assert found.value_error < 1e-12
    assert max(found.found_residual) < 1e-11
    assert found.maximum == max(found.listed_value)
    listed = dict(zip(found.listed_family, zip(found.listed_index, found.listed_nullity, strict=True), strict=True))
    for label, index, nullity in zip(found.found_family, found.found_index, found.found_nullity, strict=True):
        assert listed[label or ""] == (index, nullity)
    # A catalog whose values are wrong is contradicted by the points.
    right = Family.__dict__["value"].func
    monkeypatch.setattr(Family, "value", property(lambda family: right(family) + 1e-6 * family.rank))
    assert search(**settings).num_contradictions > 0
