import dataclasses

import jax
import numpy as np
import pytest

from mcr2_landscape.analysis import analyze_features
from mcr2_landscape.data import LabeledFeatures, digits, gaussian_subspaces
from mcr2_landscape.errors import InputError
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.training import Stopped, train_features
from mcr2_landscape.training import features as features_module
from mcr2_landscape.training.standardization import standardized

SMALL = {"dim": 6, "width": 24, "depth": 1, "num_steps": 300, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def data():
    found = gaussian_subspaces(key=3, dim=8, sizes=(16, 12, 20), ranks=(2, 2, 2), noise=0.05)
    order = np.random.default_rng(0).permutation(48)
    return dataclasses.replace(found, features=found.features[order], labels=np.array(["a", "b", "c"])[found.labels[order]])


@pytest.fixture(scope="module")
def trained(data):
    return {loss: train_features(data, loss=loss, **SMALL) for loss in ("regularized", "mcr2", "cross-entropy")}


def test_the_regularized_loss_comes_close_to_a_maximizer(trained):
    result = trained["regularized"]
    assert result.training.stopped is Stopped.FINISHED
    assert result.regularization == pytest.approx(0.1 * result.regularization_limit)
    assert result.sizes == (16, 12, 20)
    assert sum(result.ranks) == 6
    assert 0 <= result.family_gap < 0.02 * result.maximum
    assert 0 <= result.relative_gap < 0.3
    assert result.family_value <= result.maximum + 1e-9
    assert result.scale == pytest.approx(1, abs=0.02)  # it has found its scale


@pytest.mark.parametrize("loss", ["regularized", "mcr2", "cross-entropy"])
def test_the_numbers_are_those_of_the_analysis(trained, loss):
    result = trained[loss]
    told = {"epsilon": result.epsilon, "regularization": result.regularization, "ascent": False}
    found = analyze_features(result.features.features, result.features.labels, **told)
    assert result.objective == pytest.approx(found.rates.value, abs=1e-9)
    assert result.rate_reduction == pytest.approx(found.rates.rate_reduction, abs=1e-9)
    assert result.maximum == pytest.approx(found.target.value, abs=1e-12)
    assert result.gap == pytest.approx(found.target.gap, abs=1e-9)
    scaled = analyze_features(result.features.features, result.features.labels, **told, normalize="scale")
    assert result.scaled_objective == pytest.approx(scaled.rates.value, abs=1e-6)


def test_what_the_family_is_compared_with_is_what_the_gap_is_told_of(data):
    """An under-trained network, whose features are far from the scale where F is largest."""
    for loss, changes in (
        ("regularized", {"dim": 10, "num_steps": 1, "learning_rate": 1e-5}),
        ("cross-entropy", {"num_steps": 40}),
    ):
        result = train_features(data, loss=loss, **{**SMALL, **changes})
        normalize, reached = ("none", result.objective) if loss == "regularized" else ("scale", result.scaled_objective)
        assert abs(np.log(result.scale)) > 0.3
        assert abs(result.objective - result.scaled_objective) > 0.1
        told = {"epsilon": result.epsilon, "regularization": result.regularization, "ascent": False, "normalize": normalize}
        found = analyze_features(result.features.features, result.features.labels, **told)
        assert reached == pytest.approx(found.rates.value, abs=1e-6)
        Z, middles = found.point, 1 / np.sqrt(_alphas(result))
        blocks = np.split(Z, np.cumsum(result.sizes)[:-1], axis=1)
        expected = [
            int((np.linalg.svd(block, compute_uv=False) ** 2 > middle).sum())
            for block, middle in zip(blocks, middles, strict=True)
        ]
        assert list(result.ranks) == expected
        assert result.family_gap == pytest.approx(result.family_value - reached, abs=1e-12)


def _alphas(result):
    p = MCR2(result.dim, result.sizes, result.epsilon, result.regularization).parameters
    return p.alpha * np.asarray(p.alphas)


@pytest.mark.parametrize("factor", [1e-300, 1e-200, 1e200, 1e300])
@pytest.mark.filterwarnings("error")
def test_the_units_of_the_data_make_no_difference(data, trained, factor):
    inputs, *_, spread = standardized(dataclasses.replace(data, features=data.features * factor))
    expected, *_, reference = standardized(data)
    assert np.allclose(inputs, expected, rtol=1e-9, atol=1e-9)
    assert np.allclose(np.std(inputs), 1.0, atol=0.5)
    assert spread / factor == pytest.approx(reference)


@pytest.mark.filterwarnings("error")
def test_a_spread_beyond_numbers_is_refused(data):
    huge = dataclasses.replace(data, features=np.sign(data.features) * 1.7e308, source="huge.npz")
    with pytest.raises(InputError, match=r"data \(huge.npz\): found numbers up to 1.7e\+308, .* rescale"):
        train_features(huge, **SMALL)


def test_a_value_above_the_maximum_would_be_seen():
    assert features_module._missing(10.0, 10.5) == -0.5
    assert features_module._missing(10.0, 10.0 + 4e-15) == 0.0
    assert features_module._missing(10.0, 9.5) == 0.5


def test_features_far_out_in_float32_are_on_the_sphere(data):
    """Squares of these features overflow: they became zero, and the training "finished"."""
    result = train_features(data, **{**SMALL, "num_steps": 20, "learning_rate": 1e11}, loss="mcr2")
    assert result.training.stopped is Stopped.FINISHED
    assert np.abs(result.training.model.layers.layers[0].weight).max() > 1e10
    assert np.allclose(np.linalg.norm(result.features.features, axis=1), 1, atol=1e-5)


def test_the_last_loss_is_that_of_the_features(trained):
    """The loss is of the parameters before the last step, which the cosine has made tiny."""
    assert trained["regularized"].training.loss == pytest.approx(-trained["regularized"].objective, rel=1e-3)
    assert trained["mcr2"].training.loss == pytest.approx(-trained["mcr2"].rate_reduction, rel=1e-3)
    assert np.allclose(np.linalg.norm(trained["mcr2"].features.features, axis=1), 1, atol=1e-6)


def test_other_samples_are_encoded_as_these(data, trained):
    for result in trained.values():
        assert np.allclose(result.encode(data.features[:5]), result.features.features[:5], atol=1e-5)
    with pytest.raises(InputError, match="inputs: found shape"):
        result.encode(data.features[:, :3])


def test_training_is_real(data, trained):
    """Classes that were told apart: the nearest of the classes' subspaces is the right one."""
    for loss, result in trained.items():
        features, labels = result.features.features, result.features.labels
        lengths = []
        for name in ("a", "b", "c"):
            _, _, Vt = np.linalg.svd(features[labels == name], full_matrices=False)
            lengths.append(np.linalg.norm(features @ Vt[:2].T, axis=1))
        right = np.array(["a", "b", "c"])[np.argmax(lengths, axis=0)] == labels
        assert right.mean() > 0.85, loss
        assert (labels == data.labels).all()
    assert trained["cross-entropy"].training.metrics["accuracy"] > 0.95


def test_interrupted_and_resumed_is_the_same(data, trained, tmp_path):
    stopped = train_features(data, **SMALL, checkpoint=tmp_path, stop=lambda status: status.step >= 5)
    assert stopped.training.stopped is Stopped.REQUESTED
    result = train_features(data, **SMALL, checkpoint=tmp_path, resume=True)
    assert result.training.resumed_from == stopped.training.step
    assert result.features.features.tobytes() == trained["regularized"].features.features.tobytes()
    plain, expected = result.to_dict(), trained["regularized"].to_dict()
    for document in (plain, expected):
        document.pop("training")
    assert plain == expected
    with pytest.raises(InputError, match=r"learning_rate \(0.01, now 0.02\)"):
        train_features(data, **{**SMALL, "learning_rate": 0.02}, checkpoint=tmp_path, resume=True)
    with pytest.raises(InputError, match=r"objective \(regularized, now mcr2\)"):
        train_features(data, **SMALL, loss="mcr2", checkpoint=tmp_path, resume=True)


def test_a_sweep_over_lambda_compiles_once(data, trained):
    from mcr2_landscape.training import program

    before = program._shared.cache_info()
    results = [train_features(data, **SMALL, relative_regularization=relative) for relative in (0.05, 0.2)]
    after = program._shared.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 2)
    assert results[0].maximum > results[1].maximum


def test_bfloat16_in_minibatches(data, trained):
    result = train_features(data, **SMALL, precision="bfloat16", batch_size=16)
    assert result.features.dtype == "float32"
    assert result.objective > 0.6 * trained["regularized"].objective


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loss": "hinge"}, "loss: found 'hinge'"),
        ({"dim": 0}, "dim: found 0"),
        ({"epsilon": -1.0}, "epsilon: found -1"),
        ({"learning_rate": 0}, "learning_rate: found 0"),
        ({"regularization": 0.0}, "regularization: found 0"),
        ({"relative_regularization": 0.0}, "relative_regularization: found 0"),
        ({"num_steps": 0}, "num_steps: found 0"),
        ({"precision": "half"}, "precision: found 'half'"),
        ({"key": "a"}, "key: found str"),
        ({"batch_size": 99}, "batch_size: found 99"),
        ({"width": 10**12}, "width: found 1000000000000"),
    ],
)
def test_mistakes(data, changes, says):
    with pytest.raises(InputError, match=says):
        train_features(data, **{**SMALL, **changes})


def test_data_that_cannot_be_trained_on():
    for features, labels, says in (
        (np.eye(3), np.zeros(3, int), "the single class 0"),
        (np.ones((4, 2)), np.arange(4) % 2, "all 4 samples are the same"),
        (np.eye(3), np.arange(2), "found 2 labels for 3 samples"),
        (np.full((4, 2), np.nan), np.arange(4) % 2, "found NaN"),
    ):
        with pytest.raises(InputError, match=says):
            train_features(LabeledFeatures(features, labels), **SMALL)


def test_a_network_whose_features_are_not_finite(data):
    result = train_features(data, **{**SMALL, "learning_rate": 1e30})
    assert result.training.stopped is Stopped.DIVERGED
    assert result.features is None
    assert np.isnan(result.objective)
    assert result.to_dict()["gap"] is None


def test_without_optax_the_extra_is_named(data, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optax", None)
    with pytest.raises(InputError, match=r'optax, which is not installed; run: pip install "mcr2_landscape\[solvers\]"'):
        train_features(data, **SMALL)


@pytest.mark.slow
def test_the_digits_with_default_settings():
    result = train_features(digits())
    problem = MCR2(20, result.sizes, 0.5, result.regularization)
    assert problem.global_maximum().value == result.maximum
    assert result.relative_gap < 0.012
    assert result.family_gap < 1e-3 * result.family_value
    assert sum(result.ranks) == 20
    jax.clear_caches()
