"""The tasks that climb, search and classify."""

import dataclasses

import numpy as np
import pytest

import mcr2_landscape.analysis
from mcr2_landscape import MCR2, InputError
from mcr2_landscape.analysis.listing import ListedFamily
from mcr2_landscape.catalog import Family
from mcr2_landscape.study.tasks import ascend as ascents
from mcr2_landscape.study.tasks import search as searching
from mcr2_landscape.study.tasks.ascend import ascend
from mcr2_landscape.study.tasks.classify import classify
from mcr2_landscape.study.tasks.search import search
from mcr2_landscape.study.tasks.spheres import BestOrthogonal
from mcr2_landscape.verdict import Inertia

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
    assert min(found.history_value) >= found.history_value[0] - 1e-12
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


def test_where_no_maximum_is_proved_no_end_is_called_global(monkeypatch):
    crowded = {"dim": 3, "sizes": (2, 2, 2), "problem": "spheres", "relative_regularization": 0.0, "seed": 0}
    found = ascend(**crowded)
    assert (found.outcome, found.maximum_proved, found.ranks) == ("best orthogonal value", False, (1, 1, 1))
    assert abs(found.gap) < 1e-12
    for shift, proved, outcome in (
        (0.1, False, "local maximizer"),
        (-0.1, False, "above the best orthogonal value"),
        (0.0, True, "global maximizer"),
        (-0.1, True, "above the maximum"),
    ):
        with monkeypatch.context() as patch:
            planted = BestOrthogonal(found.maximum + shift, (1, 1, 1), proved)
            patch.setattr(ascents, "best_orthogonal", lambda p, planted=planted: planted)
            assert ascend(**crowded).outcome == outcome


def test_lower_maximizers_on_crowded_spheres_are_local_ones():
    # A case of the full size of constrained.toml.
    found = ascend(dim=6, sizes=(8, 12, 16), problem="spheres", relative_regularization=0.0, seed=0)
    assert (found.outcome, found.maximum_proved) == ("local maximizer", False)
    assert (found.ranks, found.maximum_ranks) == ((1, 2, 3), (2, 2, 2))
    assert found.gap == pytest.approx(0.0601781, abs=1e-6)
    with pytest.raises(InputError, match="dim: found 2 for 3 classes"):
        ascend(dim=2, sizes=(2, 2, 2), problem="spheres", relative_regularization=0.0, seed=0)


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


def test_the_density_by_lanczos_lies_on_the_exact_spectrum():
    found = classify(**CLASSIFIED, relative_regularization=0.4, seed=2, num_probes=20)
    values, counts = np.array(found.eigenvalues), np.array(found.multiplicities)
    assert (np.diff(values) > 0).all()
    assert (counts.sum(), counts[values > 0].sum(), counts[values == 0].sum()) == (48, 2, 17)
    nodes, weights = np.array(found.density_nodes), np.array(found.density_weights)
    assert weights.sum() == pytest.approx(1.0)
    assert (np.diff(nodes) >= 0).all()
    # Where there is weight there is an eigenvalue, with the share of its multiplicity, up to the chance of the probes.
    nearest = np.abs(nodes[:, None] - values).argmin(axis=1)
    assert np.abs(nodes - values[nearest])[weights > 1e-6].max() < 1e-8
    shares = np.bincount(nearest, weights, minlength=len(values))
    np.testing.assert_allclose(shares, counts / 48, atol=0.08)
    again = classify(**CLASSIFIED, relative_regularization=0.4, seed=2, num_probes=1)
    assert again.eigenvalues == found.eigenvalues
    assert len(again.density_nodes) < len(found.density_nodes)


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
    # A catalog whose values or indices are wrong is contradicted by the points.
    right = Family.__dict__["value"].func
    with monkeypatch.context() as patch:
        patch.setattr(Family, "value", property(lambda family: right(family) + 1e-6 * family.rank))
        assert search(**settings).num_contradictions > 0
    with monkeypatch.context() as patch:
        patch.setattr(Family, "index", property(lambda family: sum(family.small)))  # right up to rank one
        wrong = sum(small > 1 for label in found.found_family for small in _small(label or ""))
        assert search(**settings).num_contradictions == wrong > 0


def _small(label: str) -> list[int]:
    """The numbers of small singular values that a label names."""
    return [int(number) for number in label.partition("small (")[2].rstrip(")").split(",") if number]


SEARCHED = {"dim": 3, "sizes": (2, 3), "relative_regularization": 0.4, "num_starts": 20, "seed": 0}


def test_points_that_contradict_the_catalog_are_counted(monkeypatch):
    surveyed = []
    right = mcr2_landscape.analysis.survey

    def survey(*arguments, **settings):
        surveyed.append(right(*arguments, **settings))
        return surveyed[-1]

    monkeypatch.setattr(mcr2_landscape.analysis, "survey", survey)
    assert search(**SEARCHED).num_contradictions == 0
    (result,) = surveyed
    label = result.found[0].label
    place = next(i for i, family in enumerate(result.listed) if family.label == label)

    def count(result):
        monkeypatch.setattr(mcr2_landscape.analysis, "survey", lambda *_, **__: result)
        return search(**SEARCHED).num_contradictions

    def listing(**changes):
        listed = list(result.listed)
        listed[place] = dataclasses.replace(listed[place], **changes)
        return dataclasses.replace(result, listed=tuple(listed))

    family = result.listed[place]
    assert count(listing()) == 0
    assert count(listing(index=family.index + 1)) == 1
    assert count(listing(nullity=family.nullity + 1)) == 1
    assert count(listing(nullity=family.nullity - 1)) == 1
    unlisted = (dataclasses.replace(result.found[0], label=None), *result.found[1:])
    assert count(dataclasses.replace(result, found=unlisted)) == 1
    assert count(dataclasses.replace(result, found=unlisted, listed_all=False)) == 0


def test_points_in_no_catalog_contradict_only_where_all_are_known():
    known = [(2, 3), (2, 2), (2, 2, 2), (3, 4, 5)]
    assert all(searching._all_known(sizes) for sizes in known)
    assert not any(searching._all_known(sizes) for sizes in [(1, 2, 3), (4, 2, 2), (2, 2, 2, 3)])


@pytest.mark.parametrize(
    ("measured", "ruled_out"),
    [
        (Inertia(2, 5, 3), False),
        (Inertia(3, 5, 2), True),
        (Inertia(1, 5, 4), True),
        (Inertia(2, 4, 4), True),
        (Inertia(2, 6, 2), True),
        (Inertia(2, 0, 3, 5), False),  # no zero is proved
        (Inertia(3, 0, 2, 5), True),
        (Inertia(1, 0, 4, 5), True),  # the fifth without a sign would have to be positive, and so many are zero
        (Inertia(1, 0, 3, 6), False),
        (Inertia(2, 0, 4, 4), True),
    ],
)
def test_eigenvalues_without_a_sign_rule_nothing_out_that_they_may_be(measured, ruled_out):
    family = ListedFamily.of(MCR2(3, (2, 3), 0.5, 0.1).orthogonal_family((1, 0)))
    family = dataclasses.replace(family, index=2, nullity=5, orbit_dimension=5)
    assert searching._rules_out(measured, family) is ruled_out
