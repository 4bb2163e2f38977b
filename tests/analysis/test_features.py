"""Analysis of features: identities, invariances, points whose answer theory knows, and the advice that planted mistakes get."""

import json
import re

import numpy as np
import pytest

from mcr2_landscape import MCR2, InputError, Kind, analyze_features
from mcr2_landscape.analysis import FeatureAnalysis, local
from mcr2_landscape.curvature import exact
from mcr2_landscape.data import gaussian_subspaces
from mcr2_landscape.landscape import bracketing

EPSILON = 0.5
# One shape for the whole module: each costs a second of compilation.
SIZES, DIM = (5, 4, 4), 6
LABELS = np.repeat(["a", "b", "c"], SIZES)


@pytest.fixture(scope="module")
def problem():
    limit = MCR2(DIM, SIZES, EPSILON, 1.0).regularization_limit
    return MCR2(DIM, SIZES, EPSILON, 0.5 * limit)


@pytest.fixture(scope="module")
def mixture():
    return gaussian_subspaces(key=3, dim=DIM, sizes=SIZES, ranks=(2, 1, 2), noise=0.2)


def analyze(X, labels=LABELS, **arguments) -> FeatureAnalysis:
    return analyze_features(X, labels, **{"epsilon": EPSILON, **arguments})


@pytest.fixture(scope="module")
def result(mixture):
    return analyze(mixture.features)


class TestIdentities:
    def test_the_objective_is_its_parts(self, result):
        r = result.rates
        assert r.rate_reduction == pytest.approx(r.coding_rate - r.class_coding_rate, abs=1e-14)
        assert r.penalty == pytest.approx(0.5 * result.regularization * np.sum(result.point**2))
        assert r.value == pytest.approx(r.rate_reduction - r.penalty, abs=1e-14)
        assert r.value == pytest.approx(result.problem.evaluate(result.point)[0], abs=1e-13)
        assert r.rate_reduction >= 0

    def test_the_gap_is_what_is_missing_and_ascent_closes_some_of_it(self, result):
        assert result.gap == pytest.approx(result.target.value - result.rates.value)
        assert result.gap > 0
        assert 0 < result.endpoint.gap_closed <= 1
        assert result.endpoint.gap == pytest.approx(result.target.value - result.endpoint.value, abs=1e-12)

    def test_lambda_defaults_to_half_of_the_limit(self, result):
        assert result.regularization_defaulted
        assert result.regularization == pytest.approx(0.5 * result.problem.regularization_limit)
        assert result.regularization_limit == pytest.approx(min(c.existence_threshold for c in result.classes))

    def test_the_ascent_ends_at_a_local_maximizer_that_theory_knows(self, result):
        from mcr2_landscape import classify

        end = classify(result.problem, result.ascent.point)
        assert end.kind is Kind.LOCAL_MAXIMIZER
        assert end.family == result.endpoint.family
        assert result.endpoint.recognized
        assert end.value == pytest.approx(result.endpoint.value, abs=1e-10)
        assert result.endpoint.distance == pytest.approx(np.linalg.norm(result.ascent.point - result.point))

    def test_the_largest_eigenvalue_and_the_density_are_those_of_the_dense_hessian(self, result):
        exact = np.linalg.eigvalsh(result.problem.hessian_matrix(result.point))
        c = result.curvature
        assert abs(c.top_eigenvalue - exact[-1]) <= 1e-6
        assert c.escapes == (exact[-1] > 0)
        assert exact[-1] <= c.bound
        assert c.weights.sum() == pytest.approx(1)
        scale = np.abs(exact).max()
        assert c.weights @ c.nodes == pytest.approx(exact.mean(), abs=0.1 * scale)
        assert exact[0] - 1e-9 <= c.nodes.min()
        assert c.nodes.max() <= exact[-1] + 1e-9

    def test_no_class_can_have_more_than_its_size_or_the_dimension(self, result):
        for c in result.classes:
            assert 1 <= c.effective_rank <= min(c.size, DIM)
            assert 1 <= c.participation <= c.effective_rank + 1e-12
            assert 0 <= c.mean_coherence <= c.coherence <= 1
        assert result.capacity == sum(min(size, DIM) for size in SIZES)

    def test_it_is_json_data(self, result):
        plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert plain["rates"]["value"] == result.rates.value
        assert plain["position"]["kind"] == "not critical"
        assert "similarity" not in plain
        assert "point" not in plain


class TestInvariance:
    def test_rotations_and_the_order_of_samples_change_nothing(self, mixture):
        random = np.random.default_rng(7)
        rotation, _ = np.linalg.qr(random.standard_normal((DIM, DIM)))
        order = random.permutation(len(LABELS))
        one = analyze(mixture.features)
        other = analyze((mixture.features @ rotation)[order], LABELS[order])
        assert other.rates.value == pytest.approx(one.rates.value, abs=1e-12)
        assert other.endpoint.value == pytest.approx(one.endpoint.value, abs=1e-9)
        assert other.endpoint.family == one.endpoint.family
        assert other.curvature.top_eigenvalue == pytest.approx(one.curvature.top_eigenvalue, abs=1e-6)
        for a, b in zip(one.classes, other.classes, strict=True):
            np.testing.assert_allclose(a.singular_values, b.singular_values, atol=1e-12)
            assert a.coherence == pytest.approx(b.coherence, abs=1e-12)

    def test_labels_of_any_kind_name_the_same_classes(self, mixture):
        values = [
            analyze(mixture.features, labels, ascent=False).rates.value
            for labels in (LABELS, np.repeat([3, 7, 9], SIZES), np.repeat([False, True], [5, 8]).tolist())
        ]
        assert values[0] == values[1] != values[2]

    def test_scaling_features_is_dividing_epsilon(self, mixture):
        one = analyze(mixture.features, ascent=False)
        other = analyze(10 * mixture.features, epsilon=10 * EPSILON, ascent=False)
        assert other.rates.value == pytest.approx(one.rates.value)
        assert other.scale == pytest.approx(one.scale, rel=1e-6)


class TestKnownPoints:
    def test_the_global_maximum(self, problem):
        result = analyze(problem.global_maximum().family.point(key=1).T)
        assert result.position.kind is Kind.LOCAL_MAXIMIZER
        assert result.gap == pytest.approx(0, abs=1e-13)
        assert not result.curvature.escapes
        assert result.endpoint.relative_distance < 1e-6
        assert any("global maximizer" in sentence for sentence in result.summary)
        assert "dimensions" not in " ".join(result.advice)

    def test_a_local_maximizer_below_it(self, problem):
        result = analyze(problem.orthogonal_family([1, 1, 1]).point(key=1).T)
        assert result.position.kind is Kind.LOCAL_MAXIMIZER
        assert result.position.family == "large (1,1,1)"
        assert result.gap > 0.1
        for c in result.classes:
            np.testing.assert_allclose(c.singular_values[0], c.ideal_singular_value, rtol=1e-12)
            assert c.effective_rank == pytest.approx(1)
            assert c.coherence == pytest.approx(0, abs=1e-12)

    def test_ascent_leaves_a_strict_saddle(self, problem):
        saddle = problem.orthogonal_family([1, 1, 0], [0, 0, 1])
        result = analyze(saddle.point(key=1).T)
        assert result.position.kind is Kind.STRICT_SADDLE
        assert result.position.inertia.positive == saddle.index
        assert result.curvature.top_eigenvalue == pytest.approx(saddle.spectrum().eigenvalues[-1], abs=1e-8)
        assert result.endpoint.value > saddle.value
        assert any("strict saddle" in sentence for sentence in result.advice)

    def test_near_a_family_its_name_is_said(self, problem):
        Z = problem.orthogonal_family([2, 2, 2]).point(key=0)
        noise = np.random.default_rng(0).standard_normal(Z.shape)
        result = analyze((Z + 1e-3 * np.linalg.norm(Z) / np.linalg.norm(noise) * noise).T)
        assert result.position.kind is Kind.NOT_CRITICAL
        assert result.position.family == "large (2,2,2)"
        assert result.position.family_kind is Kind.LOCAL_MAXIMIZER
        assert 1e-4 < result.position.family_distance < 1e-2
        assert result.endpoint.family == "large (2,2,2)"
        assert result.endpoint.ranks == (2, 2, 2)

    def test_single_precision_features_are_read_and_placed(self, problem):
        Z = problem.orthogonal_family([2, 2, 2]).point(key=0)
        result = analyze(Z.T.astype(np.float32))
        assert result.position.family == "large (2,2,2)"
        assert result.position.family_distance < 1e-6

    def test_all_signs_of_a_larger_problem_are_counted(self):
        limit = MCR2(24, (40, 40, 50), EPSILON, 1.0).regularization_limit
        problem = MCR2(24, (40, 40, 50), EPSILON, 0.5 * limit)
        labels = np.repeat([0, 1, 2], [40, 40, 50])
        high = problem.orthogonal_family([8, 8, 8])
        top = analyze_features(high.point(key=0).T, labels, epsilon=EPSILON)
        assert top.position.kind is Kind.LOCAL_MAXIMIZER
        assert (top.position.inertia.positive, top.position.inertia.zero, top.position.inertia.undecided) == (
            0,
            high.nullity,
            0,
        )
        low = problem.orthogonal_family([8, 7, 8], [0, 1, 0])
        saddle = analyze_features(low.point(key=0).T, labels, epsilon=EPSILON)
        assert saddle.position.kind is Kind.STRICT_SADDLE
        assert saddle.curvature.top_eigenvalue == pytest.approx(low.spectrum().eigenvalues[-1], rel=1e-4)


class TestTooLargeToCount:
    """Parts that are no longer counted from dense matrices get brackets, which hold the true numbers."""

    def counted(self, mixture):
        return analyze(mixture.features, ascent=False).position

    def test_brackets_hold_the_counts(self, mixture, monkeypatch):
        known = self.counted(mixture)
        assert known.positive[0] == known.positive[1] > 0
        monkeypatch.setattr(local, "_DENSE", 20)
        monkeypatch.setattr(local, "_MOST_PRODUCTS", 30)
        result = analyze(mixture.features, ascent=False)
        place = result.position
        for name in ("positive", "zero", "negative"):
            low, high = getattr(place, name)
            assert low <= getattr(known, name)[0] <= high
        assert place.inertia.undecided > 0
        low, high = place.positive
        assert f"up along {low} to {high}" in " ".join(result.summary)

    def test_the_largest_eigenvalue_counts_where_nothing_else_fits(self, mixture, monkeypatch):
        known = self.counted(mixture)
        monkeypatch.setattr(local, "_DENSE", 20)
        monkeypatch.setattr(bracketing, "_steps", lambda rows: None)
        place = analyze(mixture.features, ascent=False).position
        assert place.positive[0] == 1 == place.inertia.positive
        assert place.inertia.total == known.inertia.total
        assert known.positive[0] <= place.positive[1]

    def test_an_open_saddle_is_one_by_its_largest_eigenvalue(self, problem, monkeypatch):
        """The exchange of two classes leads up; theory, which would know the point, is kept out of it."""
        saddle = problem.orthogonal_family([1, 1, 0], [0, 0, 1])
        monkeypatch.setattr(local, "_DENSE", 1)
        monkeypatch.setattr(exact, "recognized", lambda *_: None)
        monkeypatch.setattr(bracketing, "_steps", lambda rows: None)
        place = analyze(saddle.point(key=1).T, ascent=False).position
        assert place.kind is Kind.STRICT_SADDLE
        assert "leads up" in place.reason
        highest = problem.orthogonal_family([1, 1, 1])
        place = analyze(highest.point(key=1).T, ascent=False).position
        assert place.kind is Kind.UNDECIDED
        assert place.positive[0] == 0


class TestPreparation:
    def test_samples_are_brought_to_length_one(self, mixture):
        result = analyze(mixture.features, normalize="samples", ascent=False)
        np.testing.assert_allclose(np.linalg.norm(result.point, axis=0), 1)
        assert result.notes == ("each sample was divided by its length",)

    def test_classes_are_brought_to_their_size(self, mixture):
        result = analyze(mixture.features, normalize="classes", ascent=False)
        squares = [np.sum(block**2) for block in result.problem.parameters.blocks(result.point)]
        np.testing.assert_allclose(squares, SIZES)

    def test_the_best_scale_is_best(self, mixture):
        best = analyze(100 * mixture.features, normalize="scale", ascent=False)
        assert best.scale == 1
        for factor in (0.9, 1.1):
            assert best.problem.evaluate(factor * best.point)[0] < best.rates.value

    def test_where_no_scale_helps_that_is_said(self):
        """The same second moments in both classes: ΔR vanishes at every scale."""
        X = np.tile(np.random.default_rng(0).standard_normal((6, DIM)), (2, 1))
        result = analyze(X, np.repeat([0, 1], 6), normalize="scale", ascent=False)
        assert not result.pays_at_some_scale
        assert result.rates.rate_reduction == pytest.approx(0, abs=1e-13)
        assert np.linalg.norm(result.point) == pytest.approx(result.target.norm)
        assert "negative at every scale" in result.notes[-1]
        assert "whatever factor" in result.summary[1]

    def test_the_mean_is_subtracted(self, mixture):
        result = analyze(mixture.features + 5.0, center=True, ascent=False)
        np.testing.assert_allclose(result.point.mean(axis=1), 0, atol=1e-14)
        assert result.centered

    def test_the_order_of_columns_is_that_of_the_classes(self, mixture):
        order = np.random.default_rng(0).permutation(len(LABELS))
        result = analyze(mixture.features[order], LABELS[order], ascent=False)
        assert [c.name for c in result.classes] == ["a", "b", "c"]
        assert [c.size for c in result.classes] == list(SIZES)


def advice_for(X, labels=LABELS, **arguments):
    return " ".join(analyze(X, labels, **{"ascent": False, **arguments}).advice)


class TestPlantedMistakes:
    """Each mistake is named, and features without it get no such advice."""

    def test_good_features_get_no_advice(self, problem):
        assert analyze(problem.orthogonal_family([0, 4, 2]).point(key=0).T[5:], LABELS[5:], regularization=0.2).advice == ()

    @pytest.mark.parametrize("factor", [1e-2, 30.0])
    def test_features_of_the_wrong_size(self, mixture, factor):
        said = advice_for(factor * mixture.features)
        assert f"too {'large' if factor > 1 else 'small'} for epsilon" in said
        assert "--normalize scale" in said
        result = analyze(factor * mixture.features, ascent=False)
        advised = float(re.search(r"or take epsilon = (\S+) for the features as they are", said)[1])
        repaired = analyze(factor * mixture.features, epsilon=advised, ascent=False)
        assert repaired.scale == pytest.approx(1, rel=0.01)
        assert repaired.rates.value == pytest.approx(analyze(result.scale * factor * mixture.features).rates.value, rel=1e-3)
        assert "too" not in " ".join(repaired.advice)

    def test_a_flat_landscape(self, mixture):
        assert "all logarithms are linear" in advice_for(mixture.features, epsilon=200.0)

    def test_a_saturated_landscape(self, problem):
        X = problem.orthogonal_family([2, 2, 2]).point(key=0).T
        assert "all logarithms are saturated" in advice_for(1e4 * X)

    def test_lambda_above_thresholds(self, problem, mixture):
        limits = problem.thresholds()
        said = advice_for(mixture.features, regularization=1.02 * float(limits.existence.min()))
        assert "above the threshold lambda_k of class a" in said
        costly = 0.5 * float(limits.value[0] + limits.existence[0])
        assert "above the value threshold lambda_k° of class a" in advice_for(mixture.features, regularization=costly)
        assert "threshold" not in advice_for(mixture.features)

    def test_every_class_gone(self, problem, mixture):
        result = analyze(mixture.features, regularization=2 * float(problem.thresholds().existence.max()))
        assert "classes a, b, c" in result.advice[0]
        assert result.endpoint.family == "zero"
        assert result.target.value == 0
        assert result.target.even_value is None
        assert all(c.ideal_singular_value is None for c in result.classes)

    def test_a_faint_lambda(self, mixture):
        assert "badly conditioned" in advice_for(mixture.features, regularization=1e-7)

    def test_a_common_mean(self, mixture):
        assert "common mean" in advice_for(mixture.features + 2.0)
        assert "common mean" not in advice_for(mixture.features + 2.0, center=True)

    def test_orthogonal_classes_have_no_common_mean(self, problem):
        X = np.repeat(np.eye(DIM)[:3], SIZES, axis=0) * 0.7
        assert "common mean" not in advice_for(X)

    def test_constant_columns(self, mixture):
        X = mixture.features.copy()
        X[:, [1, 4]] = [0.0, 3.0]
        assert "2 of 6 features are constant (column 1, 4)" in advice_for(X)

    def test_features_in_a_subspace(self, mixture):
        X = mixture.features.copy()
        X[:, 0] = X[:, 1]
        assert "span 5 of 6 dimensions" in advice_for(X)

    def test_repeated_and_mislabeled_and_zero_samples(self, mixture):
        X = mixture.features.copy()
        X[1] = X[0]
        X[7] = X[0]
        X[12] = 0
        said = advice_for(X)
        assert "2 of 13 samples repeat" in said
        assert "1 samples have exactly the features of a sample of another class" in said
        assert "1 samples are zero" in said

    def test_classes_of_one_sample(self, mixture):
        labels = ["Lonely", *LABELS[1:]]
        assert "Class Lonely has a single sample" in advice_for(mixture.features, labels)

    def test_too_few_dimensions(self, mixture):
        said = advice_for(mixture.features)
        assert "could fill 13 directions" in said
        assert "none to class a" in said
        even = np.repeat(["a", "b", "c"], [4, 4, 4])
        assert "could fill" not in advice_for(mixture.features[:12], even)

    def test_an_ascent_without_enough_steps(self, mixture):
        result = analyze(mixture.features, regularization=1e-3, max_steps=2)
        assert not result.endpoint.converged
        assert "stopped early" in result.advice[-1]


@pytest.mark.parametrize(
    ("X", "labels", "arguments", "says"),
    [
        (np.ones((13, 6)), LABELS, {}, "all 13 samples are the same"),
        (np.zeros((13, 6)), LABELS, {}, "all 13 samples are zero"),
        (np.eye(13), ["a"] * 13, {}, "single class"),
        (np.eye(13), LABELS[:-1], {}, "12 for 13 samples"),
        (np.where(np.eye(13) == 1, np.nan, 0), LABELS, {}, "NaN in 13 of 13 rows"),
        (np.eye(13)[:, 5:], LABELS, {"normalize": "classes"}, "all samples of class 'a' are zero"),
        (np.eye(13)[:, :12], LABELS, {"normalize": "samples"}, "1 samples are zero"),
        (np.eye(13), LABELS, {"normalize": "rows"}, "normalize: found 'rows'"),
        (np.eye(13), LABELS, {"epsilon": 0.0}, "epsilon"),
        (np.eye(13), LABELS, {"regularization": -1.0}, "regularization"),
        (np.eye(13), LABELS, {"max_steps": 0}, "max_steps"),
        (np.eye(13), LABELS, {"key": None}, "key"),
        (np.eye(13)[0], LABELS, {}, "X: found shape"),
    ],
)
def test_what_cannot_be_analyzed_is_refused(X, labels, arguments, says):
    with pytest.raises(InputError, match=says):
        analyze(X, labels, **arguments)


def test_an_interruption_keeps_what_was_reached(mixture, monkeypatch):
    def press_ctrl_c(done, total, good):
        raise KeyboardInterrupt

    result = analyze(mixture.features, regularization=1e-3, progress=press_ctrl_c)
    assert result.interrupted
    assert not result.endpoint.converged
    assert np.isfinite(result.endpoint.value)
    assert any("interrupted" in sentence for sentence in result.summary)


def test_process_wide_settings_are_left_alone(mixture):
    import jax

    jax.config.update("jax_enable_x64", False)
    try:
        result = analyze(mixture.features)
        assert not jax.config.read("jax_enable_x64")
    finally:
        jax.config.update("jax_enable_x64", True)
    assert result.endpoint.relative_gradient_norm < 1e-9
