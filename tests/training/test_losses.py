import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcr2_landscape.errors import InputError
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.rates import rate_reduction
from mcr2_landscape.training import Encoder, FeatureLoss, cross_entropy, encode, mcr2, on_spheres, regularized

DIM, COUNT, CLASSES = 3, 9, 3
LABELS = np.array([2, 0, 1, 1, 2, 0, 0, 2, 1])
EPSILON, LAMBDA = 0.5, 0.2


def features(seed, count=COUNT, dim=DIM):
    return np.random.default_rng(seed).standard_normal((count, dim))


@pytest.mark.parametrize("seed", range(3))
class TestAgainstTheory:
    def test_values(self, seed):
        X = features(seed)
        problem, Z, _ = MCR2.from_features(X, LABELS, EPSILON, LAMBDA)
        found = regularized(jnp.asarray(X), jnp.asarray(LABELS), EPSILON, LAMBDA, CLASSES)
        assert float(found) == pytest.approx(-float(problem.value(Z)), abs=1e-12)
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        found = mcr2(jnp.asarray(X), jnp.asarray(LABELS), EPSILON, CLASSES)
        assert float(found) == pytest.approx(-float(rate_reduction(unit.T, LABELS, EPSILON)), abs=1e-12)
        assert float(mcr2(7 * jnp.asarray(X), jnp.asarray(LABELS), EPSILON, CLASSES)) == pytest.approx(float(found), abs=1e-12)

    def test_gradient_in_closed_form(self, seed):
        X = features(seed)
        problem, Z, order = MCR2.from_features(X, LABELS, EPSILON, LAMBDA)
        gradient = jax.grad(regularized)(jnp.asarray(X), jnp.asarray(LABELS), EPSILON, LAMBDA, CLASSES)
        assert np.allclose(np.asarray(gradient)[order].T, -np.asarray(problem.gradient(Z)), atol=1e-12)

    def test_the_projection_s_gradient_is_tangent(self, seed):
        X = jnp.asarray(features(seed))
        gradient = jax.grad(mcr2)(X, jnp.asarray(LABELS), EPSILON, CLASSES)
        assert np.abs(np.sum(np.asarray(gradient * X), axis=1)).max() < 1e-12

    def test_cross_entropy(self, seed):
        logits = features(seed, dim=CLASSES)
        expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(COUNT), LABELS]
        assert float(cross_entropy(jnp.asarray(logits), jnp.asarray(LABELS))) == pytest.approx(expected.mean(), abs=1e-12)
        shifted = cross_entropy(jnp.asarray(logits) + 1e4, jnp.asarray(LABELS))
        assert float(shifted) == pytest.approx(expected.mean(), abs=1e-9)


class TestMinibatches:
    def test_a_class_without_samples_adds_nothing(self):
        X, labels = features(0, count=6), np.array([0, 2, 2, 0, 2, 0])  # none of class 1
        expected = -float(rate_reduction(X.T, labels // 2, EPSILON)) + 0.5 * LAMBDA * np.sum(X**2)
        value, gradient = jax.value_and_grad(regularized)(jnp.asarray(X), jnp.asarray(labels), EPSILON, LAMBDA, CLASSES)
        assert float(value) == pytest.approx(expected, abs=1e-12)
        assert np.isfinite(np.asarray(gradient)).all()

    def test_fewer_samples_than_features(self):
        X, labels = features(0, count=2), np.array([0, 2])
        value, gradient = jax.value_and_grad(mcr2)(jnp.asarray(X), jnp.asarray(labels), EPSILON, CLASSES)
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        assert float(value) == pytest.approx(-float(rate_reduction(unit.T, labels // 2, EPSILON)), abs=1e-12)
        assert np.isfinite(np.asarray(gradient)).all()

    def test_the_penalty_weighs_as_in_the_whole(self):
        """All samples twice: rates are the same, and the penalty of either half stands for the whole."""
        X, labels = jnp.asarray(features(0)), jnp.asarray(LABELS)
        twice = regularized(jnp.concatenate([X, X]), jnp.concatenate([labels, labels]), EPSILON, LAMBDA, CLASSES)
        half = regularized(X, labels, EPSILON, LAMBDA, CLASSES, num_samples=2 * COUNT)
        assert float(half) == pytest.approx(float(twice), abs=1e-12)
        assert float(half) != pytest.approx(float(regularized(X, labels, EPSILON, LAMBDA, CLASSES)), abs=1e-3)


class TestNumbers:
    def test_zero_samples_have_a_derivative(self):
        X = jnp.asarray(features(0)).at[3].set(0.0)
        value, gradient = jax.value_and_grad(mcr2)(X, jnp.asarray(LABELS), EPSILON, CLASSES)
        assert np.isfinite(float(value))
        assert np.isfinite(np.asarray(gradient)).all()
        assert (np.asarray(on_spheres(X))[3] == 0).all()
        assert (np.asarray(gradient)[3] == 0).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("factor", [1e-30, 1e-20, 1.0, 1e20, 1e30])
    def test_spheres_of_any_length(self, dtype, factor):
        """Squares would leave the range of float32 above 1.8e19 and below 1e-19."""
        X, W = features(0), features(1)
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        found, pull = jax.vjp(on_spheres, jnp.asarray((factor * X).astype(dtype)))
        assert np.allclose(np.asarray(found), unit, atol=1e-6)
        (gradient,) = pull(jnp.asarray(W.astype(dtype)))
        tangent = (W - np.sum(W * unit, axis=1, keepdims=True) * unit) / np.linalg.norm(X, axis=1, keepdims=True)
        assert np.allclose(np.asarray(gradient, dtype=np.float64) * factor, tangent, atol=1e-4)

    @pytest.mark.parametrize("value", [np.inf, np.nan])
    def test_spheres_of_what_is_not_finite_are_not(self, value):
        X = np.ones((2, 3))
        X[1, 2] = value
        found = np.asarray(on_spheres(jnp.asarray(X)))
        assert np.isfinite(found[0]).all()
        assert np.isnan(found[1]).all()

    def test_bfloat16_is_converted_before_the_rates(self):
        X = jnp.asarray(features(0)).astype(jnp.bfloat16)
        labels = jnp.asarray(LABELS)
        for loss in (lambda Z: mcr2(Z, labels, EPSILON, CLASSES), lambda Z: regularized(Z, labels, EPSILON, LAMBDA, CLASSES)):
            assert loss(X).dtype == jnp.float32
            assert float(loss(X)) == pytest.approx(float(loss(X.astype(jnp.float64))), abs=1e-5)
            assert jax.grad(loss)(X).dtype == jnp.bfloat16

    def test_labels_and_numbers_may_be_traced(self):
        X = jnp.asarray(features(0))
        plain = regularized(X, jnp.asarray(LABELS), EPSILON, LAMBDA, CLASSES)
        traced = jax.jit(regularized, static_argnums=4)(X, jnp.asarray(LABELS), EPSILON, LAMBDA, CLASSES)
        assert float(traced) == pytest.approx(float(plain), abs=1e-12)


class TestFeatureLoss:
    def test_it_is_the_functions(self):
        model = Encoder(5, DIM, width=4, depth=1, num_classes=CLASSES, key=jax.random.key(0))
        inputs, labels = features(2, dim=5).astype(np.float32), jnp.asarray(LABELS, dtype=jnp.int32)
        Z = jnp.asarray(encode(model, inputs))
        logits = Z @ model.head.weight.T + model.head.bias[None]
        expected = {
            "regularized": regularized(Z, labels, EPSILON, LAMBDA, CLASSES, 2 * COUNT),
            "mcr2": mcr2(Z, labels, EPSILON, CLASSES),
            "cross-entropy": cross_entropy(logits, labels),
        }
        for name, value in expected.items():
            found, metrics = FeatureLoss(name, CLASSES, 2 * COUNT, EPSILON, LAMBDA)(
                model, {"inputs": jnp.asarray(inputs), "labels": labels}
            )
            assert float(found) == pytest.approx(float(value), abs=1e-5)
            assert list(metrics) == ["accuracy" if name == "cross-entropy" else "rate_reduction"]
        assert float(metrics["accuracy"]) == pytest.approx(np.mean(np.argmax(np.asarray(logits), axis=1) == LABELS))

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("hinge", 3, 9), "loss: found 'hinge'"),
            (("mcr2", 1, 9), "num_classes: found 1"),
            (("mcr2", 3, 9, 0.0), "epsilon: found 0"),
            (("regularized", 3, 9, 0.5, -1.0), "regularization: found -1"),
        ],
    )
    def test_mistakes(self, arguments, says):
        with pytest.raises(InputError, match=says):
            FeatureLoss(*arguments)


def test_encoder():
    single = Encoder(5, DIM, width=4, depth=2, key=jax.random.key(0))
    assert single.head is None
    assert {leaf.dtype for leaf in jax.tree.leaves(single) if hasattr(leaf, "dtype")} == {np.dtype("float32")}
    X = features(0, count=3, dim=5).astype(np.float32)
    assert encode(single, X).dtype == np.float32
    assert np.allclose(encode(single, X)[1], np.asarray(single(jnp.asarray(X[1]))), atol=1e-6)
    for changes, says in (
        ({"width": 0}, "width"),
        ({"depth": -1}, "depth"),
        ({"depth": 10**5, "width": 1}, "depth: found 100000; pass at most"),
        ({"width": 10**12}, "width: found 1000000000000 units .* GiB"),
        ({"num_classes": 1}, "num_classes"),
    ):
        with pytest.raises(InputError, match=says):
            Encoder(5, DIM, **changes, key=jax.random.key(0))
