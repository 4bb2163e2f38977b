"""The tasks that compare with closed forms and need no JAX: the phase diagram, profiles, rates. Values of the theory note."""

import math
import subprocess
import sys

import numpy as np
import pytest

from mcr2_landscape import InputError, catalog
from mcr2_landscape.catalog import Family, Spectrum, Thresholds
from mcr2_landscape.study.tasks import TASKS
from mcr2_landscape.study.tasks import profile as profiles
from mcr2_landscape.study.tasks import rates as measuring
from mcr2_landscape.study.tasks.phase import phase
from mcr2_landscape.study.tasks.profile import profile
from mcr2_landscape.study.tasks.rates import rates


def test_the_printed_theorem_fails_where_a_class_it_has_to_use_costs_more_than_it_gives():
    equal = phase(dim=7, sizes=(4, 4, 4), epsilon=0.4, relative_regularization=0.9)
    assert sum(equal.printed_ranks or ()) == 7
    assert equal.printed_value == pytest.approx(-0.03321447357155, abs=1e-13)
    assert (equal.printed_verdict, equal.maximum, equal.maximum_ranks) == ("fails", 0.0, (0, 0, 0))
    assert (equal.corrected_verdict, equal.corrected_ranks, equal.failure_predicted) == ("holds", (0, 0, 0), True)
    large = phase(dim=4, sizes=(1, 1, 8), epsilon=0.5, relative_regularization=0.95)
    assert (large.printed_ranks, large.corrected_ranks, large.prediction) == ((1, 1, 2), (1, 1, 0), "right")
    assert large.printed_value == pytest.approx(1.470094, abs=1e-6)
    assert large.corrected_value == pytest.approx(1.478024, abs=1e-6)


def test_the_printed_theorem_holds_where_small_classes_suffice_and_is_silent_beyond_its_range():
    for relative in (0.1, 0.9, 1.0):
        found = phase(dim=4, sizes=(5, 5, 6), epsilon=0.5, relative_regularization=relative)
        assert (found.printed_verdict, found.corrected_verdict, found.prediction) == ("holds", "holds", "right")
    beyond = phase(dim=4, sizes=(5, 5, 6), epsilon=0.5, relative_regularization=1.01)
    assert (beyond.printed_verdict, beyond.printed_ranks, beyond.prediction) == ("silent", None, "silent")
    assert beyond.corrected_verdict == "holds"
    assert beyond.large_roots[2] is None
    assert all(root is not None for root in beyond.large_roots[:2])


def test_at_the_crossing_nothing_is_decided():
    limits = phase(dim=7, sizes=(4, 4, 4), epsilon=0.4, relative_regularization=0.5)
    at = limits.value_thresholds[0] / limits.regularization_limit
    assert at == pytest.approx(0.87047, abs=1e-5)
    found = phase(dim=7, sizes=(4, 4, 4), epsilon=0.4, relative_regularization=at)
    assert (found.printed_verdict, found.corrected_verdict, found.prediction) == ("undecided",) * 3


def test_random_problems_never_contradict_the_corrected_theorem():
    random = np.random.default_rng(3)
    for _ in range(150):
        sizes = tuple(int(size) for size in random.integers(1, 7, int(random.integers(2, 5))))
        found = phase(
            dim=int(random.integers(1, 9)), sizes=sizes, epsilon=1.0, relative_regularization=random.uniform(0.7, 1.3)
        )
        assert found.corrected_verdict == "holds"
        assert found.prediction in ("right", "silent")


def test_planted_wrong_thresholds_and_a_wrong_maximum_are_noticed(monkeypatch):
    right = catalog.thresholds

    def twice(p):
        return Thresholds(right(p).existence, 2 * right(p).value)

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "thresholds", twice)
        found = phase(dim=7, sizes=(4, 4, 4), epsilon=0.4, relative_regularization=0.9)
        assert (found.failure_predicted, found.prediction) == (False, "wrong")
    printed = catalog.orthogonal_family
    monkeypatch.setattr(
        catalog,
        "global_maximum",
        lambda p: catalog.GlobalMaximum(0.0, printed(p, large=[4, 3, 0]), True),
    )
    assert phase(dim=7, sizes=(4, 4, 4), epsilon=0.4, relative_regularization=0.5).corrected_verdict == "fails"


@pytest.mark.parametrize(
    ("ratio", "crossing"), [(1.1, 0.86491), (2.0, 0.86713), (3.0, 0.87047), (10.0, 0.88739), (1000.0, 0.96668)]
)
def test_profiles_turn_at_their_roots_and_cross_zero_at_the_value_threshold(ratio, crossing):
    below, above = (profile(ratio=ratio, relative_regularization=crossing + step) for step in (-1e-4, 1e-4))
    assert below.crossing / below.existence == pytest.approx(crossing, abs=1e-5)
    assert below.large_height is not None
    assert above.large_height is not None
    assert below.large_height > 0 > above.large_height
    for found in (below, above):
        assert found.residual is not None
        assert found.residual < 1e-12
        slopes, s = np.array(found.slope), np.array(found.s)
        assert found.small_root is not None
        assert found.large_root is not None
        rising = (s > found.small_root) & (s < found.large_root)
        assert (slopes[rising] > 0).all()
        assert (slopes[(s < found.small_root) | (s > found.large_root)] < 0).all()
        np.testing.assert_allclose(np.trapezoid(slopes, s), found.height[-1], atol=1e-3 * max(1.0, s[-1] * found.ell))


def test_beyond_existence_a_profile_only_falls():
    found = profile(ratio=3.0, relative_regularization=1.01)
    assert (found.large_root, found.small_height, found.residual) == (None, None, None)
    assert max(found.slope) < 0


def test_a_planted_wrong_root_shows_in_the_residual(monkeypatch):
    right = profiles.normalized_roots
    monkeypatch.setattr(profiles, "normalized_roots", lambda ratio, ell: right(ratio, ell * 11 / 10))
    found = profile(ratio=3.0, relative_regularization=0.5)
    assert found.residual is not None
    assert found.residual > 0.05


APPROACH = {"dim": 4, "sizes": (3, 4), "large": (2, 1)}
ESCAPE = {"dim": 3, "sizes": (2, 2, 2), "large": (1, 0, 0), "small": (0, 1, 1)}


@pytest.mark.parametrize("family", [APPROACH, ESCAPE], ids=["approach", "escape"])
@pytest.mark.parametrize("step", [0.6, 1.5])
def test_measured_rates_are_those_of_the_exact_spectrum(family, step):
    found = rates(**family, relative_regularization=0.4, relative_step=step, seed=1)
    assert found.agreement == "yes"
    assert found.measured == pytest.approx(found.predicted, rel=1e-4)
    assert found.relative_error is not None
    assert found.relative_uncertainty is not None
    assert found.relative_error < 3 * found.relative_uncertainty < 3e-3
    assert found.history_step[-1] == found.num_steps
    assert found.measures == ("escape" if "small" in family else "approach")
    assert (found.predicted > 1) == (found.measures == "escape")


@pytest.mark.parametrize("family", [APPROACH, ESCAPE], ids=["approach", "escape"])
def test_a_planted_wrong_spectrum_is_contradicted(monkeypatch, family):
    right = Family.spectrum

    def wrong(self):
        exact = right(self)
        return Spectrum(np.where(exact.eigenvalues > 0, 1.05, 0.95) * exact.eigenvalues, exact.multiplicities, True)

    monkeypatch.setattr(Family, "spectrum", wrong)
    found = rates(**family, relative_regularization=0.4, seed=1)
    assert found.agreement == "no"


def test_a_rate_that_is_not_known_well_agrees_with_nothing(monkeypatch):
    # Two factors that are almost equal: the second has not died out, whatever the measured one is.
    close = {"dim": 4, "sizes": (3, 4), "large": (2, 1), "relative_regularization": 0.7, "relative_step": 1.8}
    found = rates(**close, seed=3)
    assert found.next_predicted is not None
    assert found.next_predicted / found.predicted > 0.99
    assert found.relative_uncertainty is not None
    assert found.relative_uncertainty > 0.01
    assert found.agreement == "undecided"
    # A measured factor that happens to be the predicted one is no agreement either.
    monkeypatch.setattr(measuring, "_slope", lambda logs: (float(np.log(found.predicted)), 0.0))
    lucky = rates(**close, seed=3)
    assert lucky.relative_error is not None
    assert lucky.relative_error < 1e-12
    assert lucky.agreement == "undecided"


def test_other_directions_count_by_what_is_left_of_them():
    found = rates(**APPROACH, relative_regularization=0.6, seed=0)
    assert found.next_predicted is not None
    assert found.next_predicted / found.predicted > 0.97
    assert found.relative_uncertainty is not None
    assert found.relative_uncertainty < 1e-3
    assert found.agreement == "yes"


@pytest.mark.parametrize(
    ("error", "doubt", "agreement"),
    [
        (0.005, 0.005, "yes"),
        (0.005, 0.02, "undecided"),
        (0.02, 0.005, "undecided"),
        (0.04, 0.005, "no"),
        (None, None, "undecided"),
    ],
)
def test_agreement_needs_a_small_error_and_a_small_uncertainty(error, doubt, agreement):
    assert measuring._agreement(error, doubt, 0.01) == agreement


def test_a_step_at_which_a_factor_vanishes_is_measured_too():
    found = rates(**APPROACH, relative_regularization=0.4, relative_step=1.0, seed=0)
    assert found.agreement == "yes"


def test_a_fall_of_few_steps_decides_nothing():
    found = rates(**APPROACH, relative_regularization=0.4, max_steps=9, seed=0)
    assert (found.measured, found.agreement) == (None, "undecided")


def test_rates_refuse_what_has_none():
    with pytest.raises(InputError, match="relative_step: found 2"):
        rates(**APPROACH, relative_regularization=0.4, relative_step=2.0, seed=0)
    with pytest.raises(InputError, match="large, small: found the family zero"):
        rates(dim=4, sizes=(3, 4), large=(0, 0), relative_regularization=0.4, seed=0)
    with pytest.raises(InputError, match="ratio: found 1"):
        profile(ratio=1.0, relative_regularization=0.5)
    with pytest.raises(InputError, match="relative_regularization: found -1"):
        phase(dim=4, sizes=(3, 4), relative_regularization=-1.0)


def test_seeds_decide_everything():
    first, again, other = (rates(**ESCAPE, relative_regularization=0.3, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first.measured != other.measured
    assert math.isclose(first.predicted, other.predicted)


def test_no_task_loads_jax_before_it_is_called():
    code = (
        "import sys; from mcr2_landscape.study.tasks import TASKS; [task.load() for task in TASKS]; print('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
    assert len({task.name for task in TASKS}) == len(TASKS)
