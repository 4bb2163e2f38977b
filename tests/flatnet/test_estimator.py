"""FlatNet is a scikit-learn estimator."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.manifold import trustworthiness
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from mcr2_landscape.data import manifolds
from mcr2_landscape.flatnet import FlatNet, neighborhoods

CAP = manifolds.sphere_cap(np.pi / 3, 200, key=0, num_held_out=40)
QUICK = ("check_fit_idempotent", "check_transformer_general", "check_estimators_nan_inf", "check_n_features_in")
QUICK += ("check_estimators_pickle", "check_methods_subset_invariance", "check_transformer_get_feature_names_out")
QUICK += ("check_parameters_default_constructible", "check_no_attributes_set_in_init", "check_fit2d_1sample")


@pytest.mark.parametrize("name", QUICK)
def test_the_checks_that_matter_most(name):
    getattr(estimator_checks, name)("FlatNet", FlatNet(max_iter=4))


@pytest.mark.slow
@estimator_checks.parametrize_with_checks([FlatNet(max_iter=20), FlatNet(1, max_iter=5, refit=False)])
def test_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def test_codes_and_back():
    flat = FlatNet(random_state=0)
    codes = flat.fit_transform(CAP.points)
    assert codes.shape == (200, 2)
    assert (flat.n_components_, flat.n_features_in_) == (2, 3)
    np.testing.assert_allclose(codes, flat.embedding_, atol=1e-12)
    assert str(flat.report_.verdict) == "holds"
    assert len(flat.validation_) == flat.report_.num_held_out == 20
    own = CAP.points[flat.validation_]
    error = np.sum((flat.inverse_transform(codes[flat.validation_]) - own) ** 2)
    seen = np.delete(CAP.points, flat.validation_, axis=0)
    assert flat.report_.held_out_error == pytest.approx(error / np.sum((own - seen.mean(axis=0)) ** 2), rel=1e-9)
    error = np.sum((flat.inverse_transform(flat.transform(CAP.held_out)) - CAP.held_out) ** 2)
    assert error < 2e-3 * np.sum((CAP.held_out - CAP.points.mean(axis=0)) ** 2)
    np.testing.assert_array_equal(clone(flat).fit(CAP.points).embedding_, flat.embedding_)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(flat)).transform(CAP.points), flat.transform(CAP.points))
    assert list(flat.get_feature_names_out()) == ["flatnet0", "flatnet1"]
    with pytest.raises(ValueError, match=r"X: found shape \(3, 1\)"):
        flat.inverse_transform(np.zeros((3, 1)))


def test_it_lives_in_a_pipeline_and_parameters_reach_the_fit():
    pipeline = make_pipeline(StandardScaler(), FlatNet(2, max_iter=3, random_state=1))
    pipeline.set_params(flatnet__max_iter=2)
    pipeline.fit(CAP.points)
    flat = pipeline[-1]
    assert flat.n_iter_ == 2
    assert str(flat.report_.flat) == "undecided"
    assert pipeline.inverse_transform(pipeline.transform(CAP.points)).shape == (200, 3)
    with pytest.raises(ValueError, match="max_alpha: found 2"):
        FlatNet(max_alpha=2).fit(CAP.points)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_iter": -1}, "max_iter: found -1"),
        ({"n_components": 4}, "n_components: found 4 for points of 3"),
        ({"time_limit": -1}, "time_limit: found -1"),
        ({"ridge": 0}, "ridge: found 0"),
        ({"flatness": 0}, "flatness: found 0"),
        ({"validation_fraction": 1.0}, "validation_fraction: found 1"),
        ({"checkpoint": "state.npz"}, "random_state: found None.*pass an integer"),
    ],
)
def test_errors_name_the_estimators_own_parameters(tmp_path, monkeypatch, change, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=says):
        FlatNet(**change).fit(CAP.points)
    with pytest.raises(ValueError, match="n_components: found 3 for 3 distinct points"):
        FlatNet(3).fit(np.repeat(np.eye(3), 2, axis=0))
    assert not list(tmp_path.iterdir())


def test_a_fit_goes_on_from_its_checkpoint(tmp_path):
    path, given = tmp_path / "state.npz", {"n_components": 2, "random_state": 3}
    whole = FlatNet(max_iter=4, **given).fit(CAP.points)
    first = FlatNet(max_iter=2, checkpoint=path, **given).fit(CAP.points)
    resumed = FlatNet(max_iter=4, checkpoint=path, **given).fit(CAP.points)
    np.testing.assert_array_equal(resumed.embedding_, whole.embedding_)
    again = FlatNet(max_iter=4, checkpoint=path, **given).fit(CAP.points)
    with np.load(path) as file:
        spent = float(file["seconds"])
    assert first.report_.processor_seconds > 0
    assert again.report_.processor_seconds > spent > 0


def test_a_bar_shows_the_layers_tried_and_leaves_nothing_behind(monkeypatch, capsys):
    """On standard error, where that is a terminal; silent unless asked for."""
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm"), ("COLUMNS", "100")):  # a terminal, for the bar
        monkeypatch.setenv(name, value)
    arc, ways = manifolds.circular_arc(1.0, 20, key=0).points, {"max_iter": 300, "flatness": 1e-3, "random_state": 0}
    silent = FlatNet(1, **ways).fit(arc)
    assert (silent.get_params()["verbose"], capsys.readouterr()) == (False, ("", ""))
    shown = FlatNet(1, **ways, verbose=True)
    assert clone(shown).verbose is True
    shown.fit(arc)
    assert 0 < shown.n_iter_ < 300
    out, said = capsys.readouterr()
    assert out == ""
    assert "flattening" in said
    *_, last = re.findall(r"(\d+)/300", said)
    assert int(last) == shown.n_iter_
    # The line is erased, and the cursor is back.
    assert said.rindex("\x1b[2K") > said.rindex("/300")
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")
    with pytest.raises(ValueError, match="max_iter: found -1"):
        FlatNet(1, max_iter=-1, verbose=True).fit(arc)
    assert capsys.readouterr() == ("", "")
    np.testing.assert_array_equal(silent.embedding_, shown.embedding_)


@pytest.mark.parametrize("neighbors", [3, 5])
def test_trustworthiness_is_scikit_learns(neighbors):
    random = np.random.default_rng(0)
    points, codes = random.standard_normal((40, 3)), random.standard_normal((40, 2))
    for code in (codes, points[:, :2]):
        found = neighborhoods(points, code, neighbors)
        assert found.trustworthiness == pytest.approx(trustworthiness(points, code, n_neighbors=neighbors))
        assert found.continuity == pytest.approx(trustworthiness(code, points, n_neighbors=neighbors))


def test_without_scikit_learn_the_rest_works_and_the_cure_is_named():
    program = """
import sys
sys.modules["sklearn"] = None
import numpy as np
from mcr2_landscape.flatnet import local_fit
assert "jax" not in sys.modules
local_fit(np.random.default_rng(0).standard_normal((9, 2)), np.zeros(2), 1.0, 1)
try:
    from mcr2_landscape.flatnet import FlatNet
except ValueError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "FlatNet needs scikit-learn" in said
    assert "mcr2_landscape[data]" in said
