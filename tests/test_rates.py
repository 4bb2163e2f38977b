"""Coding rates against plain NumPy determinants, their invariances, and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape.testing import seeds

SHAPES = [(3, 7), (6, 3), (1, 4)]
LABELS = {7: [0, 1, 1, 0, 2, 1, 0], 3: [1, 0, 1], 4: [0, 0, 0, 1]}


def oracle_rate(Z, epsilon):
    d, m = Z.shape
    return 0.5 * np.log1p(np.clip(np.linalg.svd(Z, compute_uv=False), 0, None) ** 2 * d / (m * epsilon**2)).sum()


def oracle_class_rate(Z, memberships, epsilon):
    d, m = Z.shape
    total = 0.0
    for row in memberships:
        mass = row.sum()
        total += mass / (2 * m) * np.linalg.slogdet(np.eye(d) + d / (mass * epsilon**2) * (Z * row) @ Z.T)[1]
    return total


def one_hot(labels):
    return np.eye(max(labels) + 1)[np.array(labels)].T


def sample(shape, seed):
    random = np.random.default_rng(seed)
    Z = random.standard_normal(shape)
    if seed % 3 == 0:
        Z[-1] = 0
    if seed % 5 == 0:
        Z[:, -1] = Z[:, 0]
    return Z


@given(shape=st.sampled_from(SHAPES), seed=seeds(), epsilon=st.floats(0.05, 20))
def test_rates_equal_the_determinants(shape, seed, epsilon):
    Z, labels = sample(shape, seed), LABELS[shape[1]]
    assert float(ml.coding_rate(Z, epsilon)) == pytest.approx(oracle_rate(Z, epsilon), rel=1e-11, abs=1e-13)
    hard = float(ml.class_coding_rate(Z, labels, epsilon))
    assert hard == pytest.approx(oracle_class_rate(Z, one_hot(labels), epsilon), rel=1e-11, abs=1e-13)
    assert float(ml.class_coding_rate(Z, one_hot(labels), epsilon)) == pytest.approx(hard, rel=1e-11, abs=1e-13)


@given(shape=st.sampled_from(SHAPES), seed=seeds(), epsilon=st.floats(0.05, 20))
def test_soft_rate_reduction_is_nonnegative_and_equals_the_determinants(shape, seed, epsilon):
    Z = sample(shape, seed)
    soft = np.random.default_rng(seed + 1).dirichlet(np.ones(3), size=shape[1]).T
    reduction = float(ml.rate_reduction(Z, soft, epsilon))
    assert reduction >= -1e-12
    assert reduction == pytest.approx(oracle_rate(Z, epsilon) - oracle_class_rate(Z, soft, epsilon), rel=1e-9, abs=1e-12)


@given(shape=st.sampled_from(SHAPES), seed=seeds())
def test_rate_reduction_is_invariant_under_rotation_and_reordering(shape, seed):
    Z, labels = sample(shape, seed), np.array(LABELS[shape[1]])
    random = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(random.standard_normal((shape[0], shape[0])))
    order = random.permutation(shape[1])
    reference = float(ml.rate_reduction(Z, labels, 0.5))
    assert float(ml.rate_reduction(Q @ Z, labels, 0.5)) == pytest.approx(reference, rel=1e-10, abs=1e-13)
    assert float(ml.rate_reduction(Z[:, order], labels[order], 0.5)) == pytest.approx(reference, rel=1e-10, abs=1e-13)
    # scaling features and distortion together changes nothing
    assert float(ml.rate_reduction(3 * Z, labels, 1.5)) == pytest.approx(reference, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("shape", [(3, 7), (6, 3)])
def test_soft_memberships_are_differentiable_twice_where_they_vanish(shape):
    """At hard memberships √π has no derivative, the rate has: compare with differences into the simplex."""
    Z = jnp.asarray(sample(shape, 1))
    hard = jnp.asarray(one_hot(LABELS[shape[1]]))
    direction = jnp.asarray(np.random.default_rng(0).random(hard.shape))

    def along(t):
        return ml.class_coding_rate(Z, hard + t * direction, 0.7)

    def oracle(t):
        return oracle_class_rate(np.asarray(Z), np.asarray(hard + t * direction), 0.7)

    h = 1e-3
    values = [oracle(i * h) for i in range(5)]  # one-sided: memberships stay nonnegative
    first = (-25 * values[0] + 48 * values[1] - 36 * values[2] + 16 * values[3] - 3 * values[4]) / (12 * h)
    second = (35 * values[0] - 104 * values[1] + 114 * values[2] - 56 * values[3] + 11 * values[4]) / (12 * h * h)
    traced = jax.jit(lambda t: (jax.grad(along)(t), jax.grad(jax.grad(along))(t)))(0.0)
    assert float(traced[0]) == pytest.approx(first, rel=1e-6)
    assert float(traced[1]) == pytest.approx(second, rel=1e-3)


@given(seed=seeds())
def test_reduction_between_two_sets(seed):
    random = np.random.default_rng(seed)
    Z1, Z2 = random.standard_normal((3, 4)), random.standard_normal((3, 3))
    between = float(ml.rate_reduction_between(Z1, Z2, 0.5))
    both = np.concatenate([Z1, Z2], axis=1)
    expected = oracle_rate(both, 0.5) - oracle_class_rate(both, one_hot([0] * 4 + [1] * 3), 0.5)
    assert between == pytest.approx(expected, rel=1e-10, abs=1e-13)
    assert float(ml.rate_reduction_between(Z1, Z1, 0.5)) == pytest.approx(0, abs=1e-12)


def test_float32_stays_float32_and_float64_needs_64_bit_mode():
    Z = np.ones((2, 3), dtype=np.float32)
    assert ml.coding_rate(Z, 0.5).dtype == jnp.float32
    with jax.enable_x64(False), pytest.raises(ml.InputError, match="64-bit mode is off"):
        ml.coding_rate(Z.astype(np.float64), 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(3), [0, 1, 1], 0.5), r"Z: found shape \(3,\)"),
        ((np.ones((2, 3)), [0, 1], 0.5), r"found 2 labels for 3 samples"),
        ((np.ones((2, 3)), [0, 2, 2], 0.5), r"class 1 has no samples"),
        ((np.ones((2, 3)), [1, 1, 2], 0.5), r"class 0 has no samples"),
        ((np.ones((2, 3)), [-1, 0, 1], 0.5), r"negative label"),
        ((np.ones((2, 3)), [0.0, 1.0, 1.0], 0.5), r"labels of dtype float64"),
        ((np.ones((2, 3)), ["a", "b", "b"], 0.5), r"labels of dtype"),
        ((np.ones((2, 3)), np.ones((3, 2)) / 2, 0.5), r"looks transposed"),
        ((np.ones((2, 3)), np.ones((2, 3)), 0.5), r"column 0 sums to 2"),
        ((np.ones((2, 3)), np.array([[1.0, 1, 1], [0, 0, 0]]), 0.5), r"class 1 is empty"),
        ((np.ones((2, 3)), np.array([[2.0, 1, 1], [-1, 0, 0]]), 0.5), r"negative or non-finite"),
        ((np.ones((2, 3)), [0, 1, 1], 0.0), r"epsilon: found 0; it must be greater than zero"),
        ((np.ones((2, 3)), [0, 1, 1], -1), r"epsilon: found -1"),
        ((np.ones((2, 3)), [0, 1, 1], float("nan")), r"epsilon: found nan"),
        ((np.ones((2, 3)), [0, 1, 1], "small"), r"epsilon: found 'small'"),
        ((np.zeros((0, 3)), [0, 1, 1], 0.5), r"at least one dimension"),
        ((np.ones((2, 3)), [[0, 1], [2]], 0.5), r"memberships: cannot be read"),
        ((np.full((2, 3), np.nan), [0, 1, 1], 0.5), r"Z: found NaN"),
        ((np.ones((2, 3), np.float16), [0, 1, 1], 0.5), r"Z: found float16"),
        ((1e5 * np.outer(np.arange(1, 6), np.ones(8)), [0, 1] * 4, 0.01), r"Z: too large beside epsilon"),
        (("features", [0, 1, 1], 0.5), r"Z: found 'features'"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ml.InputError, match=message):
        ml.rate_reduction(*arguments)


def test_traced_labels_are_refused_with_the_cure():
    with pytest.raises(ml.InputError, match="labels decide shapes"):
        jax.jit(lambda labels: ml.rate_reduction(jnp.ones((2, 3)), labels, 0.5))(jnp.array([0, 1, 1]))


def test_a_traced_epsilon_is_one_number():
    with pytest.raises(ml.InputError, match="epsilon: found a traced array of shape"):
        jax.jit(lambda e: ml.coding_rate(jnp.ones((2, 3)), e))(jnp.array([0.5, 0.6]))


def test_lists_of_float64_arrays_need_64_bit_mode_too():
    with jax.enable_x64(False), pytest.raises(ml.InputError, match="64-bit mode is off"):
        ml.coding_rate([np.ones(3), np.zeros(3)], 0.5)
