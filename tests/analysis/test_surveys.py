import json

import numpy as np
import pytest

from mcr2_landscape import MCR2, InputError, Kind, survey
from mcr2_landscape.analysis import list_catalog


@pytest.fixture(scope="module")
def problem():
    limit = MCR2(3, (2, 2, 2), 0.5, 1.0).regularization_limit
    return MCR2(3, (2, 2, 2), 0.5, 0.4 * limit)


@pytest.fixture(scope="module")
def result(problem):
    return survey(problem, key=0, num_starts=80)


def test_a_survey_finds_families_that_theory_lists(result):
    assert result.unlisted == ()
    assert result.maximum_found
    assert result.listed_all
    kinds = {family.kind for family in result.found}
    assert kinds == {Kind.LOCAL_MAXIMIZER, Kind.STRICT_SADDLE}
    assert not result.interrupted


def test_found_and_listed_agree(result):
    listed = {family.label: family for family in result.listed}
    for family in result.found:
        entry = listed[family.label]
        assert entry.found
        assert (entry.index, entry.nullity, entry.kind) == (family.index, family.nullity, family.kind)
        assert entry.value == pytest.approx(family.value, abs=1e-10)
    assert sum(family.found for family in result.listed) == len({family.label for family in result.found})
    assert result.num_orthogonal == sum(family.is_orthogonal for family in result.listed)
    assert result.num_orthogonal_found == sum(family.is_orthogonal and family.found for family in result.listed)


def test_values_fall_and_none_exceeds_the_maximum(result):
    for families in (result.found, result.listed):
        values = [family.value for family in families]
        assert all(np.diff(values) <= 1e-12)
        assert values[0] <= result.maximum + 1e-12


def test_starts_are_accounted_for(result):
    assert result.num_converged + sum(result.unconverged.values()) == result.num_starts == 80
    assert sum(family.count for family in result.found) <= result.num_converged


def test_the_same_key_gives_the_same_survey(problem, result):
    again = survey(problem, key=0, num_starts=80)
    assert again.to_dict() == result.to_dict()


def test_a_short_list_still_holds_what_was_found(problem):
    short = survey(problem, key=0, num_starts=80, max_listed=3)
    assert not short.listed_all
    labels = {family.label for family in short.listed}
    assert {family.label for family in short.found} <= labels
    assert len(short.listed) == len(labels)


def test_it_is_json_data(result):
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert len(plain["found"]) == len(result.found)
    assert "search" not in plain


def test_an_interrupted_survey_keeps_what_it_found(problem):
    calls = []

    def press_ctrl_c(done, total, good):
        calls.append(done)
        if good >= 5:
            raise KeyboardInterrupt

    partial = survey(problem, key=0, num_starts=80, progress=press_ctrl_c)
    assert partial.interrupted
    assert calls
    assert len(partial.found) > 0
    assert partial.num_converged >= 5


def test_what_cannot_be_surveyed_is_refused(problem):
    with pytest.raises(InputError, match="unknowns"):
        survey(MCR2(50, (40, 40), 0.5, 0.1), key=0)
    with pytest.raises(InputError, match="pass an MCR2"):
        survey(problem.parameters, key=0)
    with pytest.raises(InputError, match="num_starts"):
        survey(problem, key=0, num_starts=0)
    with pytest.raises(InputError, match="max_listed"):
        survey(problem, key=0, max_listed=0)


class TestCatalog:
    def test_a_listing_is_the_first_families(self, problem, result):
        listing = list_catalog(problem, top=7)
        assert [family.label for family in listing.listed] == [family.label for family in result.listed[:7]]
        assert not listing.listed_all
        assert listing.listed[0].label == listing.maximum_family
        assert listing.maximum == result.maximum
        assert listing.maximum_unique is False  # classes of equal size share the dimensions in any way

    def test_without_fusion_all_are_orthogonal(self, problem):
        listing = list_catalog(problem, top=1000, fusion=False)
        assert listing.listed_all
        assert len(listing.listed) == listing.num_orthogonal
        assert all(family.is_orthogonal for family in listing.listed)

    def test_what_cannot_be_listed_is_refused(self, problem):
        with pytest.raises(InputError, match="top"):
            list_catalog(problem, top=0)
        with pytest.raises(InputError, match="pass an MCR2"):
            list_catalog("problem")
