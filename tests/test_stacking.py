"""Work class by class: buckets against a brute force, and both ways of running against a plain loop."""

import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape as ml
from mcr2_landscape import stacking
from mcr2_landscape.stacking import ClassLayout, class_inner_products
from mcr2_landscape.testing import seeds

# Even; with a class of one column and a window that the right edge moves; several buckets.
WIDTHS = ((4, 4, 4), (20, 19, 1, 20, 18), (10, 9, 1, 30, 2, 8))
ROWS = 3


def padded(layout):
    return sum(bucket.width * len(bucket.classes) for bucket in layout.buckets)


def least_padding(widths, buckets):
    """The fewest columns that any split of the distinct widths into so many buckets needs."""
    distinct = sorted(set(widths))
    costs = []
    for cuts in itertools.combinations(range(1, len(distinct)), min(buckets, len(distinct)) - 1):
        ends = [*cuts, len(distinct)]
        groups = [distinct[a:b] for a, b in zip([0, *cuts], ends, strict=True)]
        costs.append(sum(group[-1] * sum(widths.count(width) for width in group) for group in groups))
    return min(costs)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_buckets_hold_every_class_once_with_little_padding(widths):
    layout = ClassLayout(tuple(widths))
    assert sorted(k for bucket in layout.buckets for k in bucket.classes) == list(range(len(widths)))
    number = len(layout.buckets)
    assert number <= 6
    assert padded(layout) <= 1.1 * sum(widths) or number == min(6, len(set(widths)))
    assert padded(layout) == least_padding(widths, number)
    if len(set(widths)) <= 3:
        assert all(bucket.even for bucket in layout.buckets)
    else:
        assert number == 1 or least_padding(widths, number - 1) > 1.1 * sum(widths)  # as few as will do
    for bucket in layout.buckets:
        assert bucket.width == max(bucket.widths)
        assert (bucket.windows >= 0).all()
        assert (bucket.windows + bucket.width <= layout.num_columns).all()
        for i, k in enumerate(bucket.classes):
            own = bucket.columns[i][bucket.mask[i]]
            assert own.tolist() == list(range(layout.starts[k], layout.starts[k] + widths[k]))


def test_a_thousand_classes_are_quick():
    widths = tuple(np.random.default_rng(0).integers(1, 5000, 1000).tolist())
    begin = time.process_time()
    layout = ClassLayout(widths)
    assert len(layout.buckets) == 6
    assert layout._order is not None
    assert time.process_time() - begin < 2


def _summand(X, Y, scale):
    return scale * jnp.matmul(X, Y.T, precision="highest"), jnp.sum(X * Y)


def _block(X, Y, scale, matrix):
    return scale * X + jnp.matmul(matrix, Y, precision="highest")


def program(layout, X, Y, scales, matrices):
    """Each of the three ways to run, and the derivative of the last one."""

    def assembled(X, Y, scales, matrices):
        return layout.assemble(_block, (X, Y), layout.split(scales), layout.split(matrices))

    grams = layout.join(layout.map(lambda X, Y, scale: _summand(X, Y, scale)[0], (X, Y), layout.split(scales)))
    total, inner = layout.map_and_sum(_summand, (X, Y), layout.split(scales))
    flat = assembled(X, Y, scales, matrices)
    slope = jax.grad(lambda *a: jnp.sum(assembled(*a) ** 3), argnums=(0, 1, 2, 3))(X, Y, scales, matrices)
    return grams, total, layout.join(inner), flat, slope


def plain_loop(widths, X, Y, scales, matrices):
    ends = np.cumsum(widths)[:-1]
    pieces = list(zip(np.split(X, ends, axis=1), np.split(Y, ends, axis=1), scales, matrices, strict=True))
    grams = np.array([c * x @ y.T for x, y, c, _ in pieces])
    flat = np.concatenate([c * x + M @ y for x, y, c, M in pieces], axis=1)
    cubic = [3 * piece**2 for piece in np.split(flat, ends, axis=1)]
    slope = (
        np.concatenate([c * g for g, (_, _, c, _) in zip(cubic, pieces, strict=True)], axis=1),
        np.concatenate([M.T @ g for g, (_, _, _, M) in zip(cubic, pieces, strict=True)], axis=1),
        np.array([np.sum(g * x) for g, (x, _, _, _) in zip(cubic, pieces, strict=True)]),
        np.array([g @ y.T for g, (_, y, _, _) in zip(cubic, pieces, strict=True)]),
    )
    return grams, grams.sum(axis=0), np.array([np.sum(x * y) for x, y, _, _ in pieces]), flat, slope


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("widths", WIDTHS)
def test_both_ways_equal_a_plain_loop(widths, stacked, monkeypatch):
    monkeypatch.setattr(stacking, "_STACKED", 2**14 if stacked else 0)
    layout = ClassLayout(widths)
    assert widths != WIDTHS[2] or len(layout.buckets) > 2
    assert widths != WIDTHS[1] or any(bucket.offsets.any() for bucket in layout.buckets)
    run = jax.jit(lambda *arguments: program(layout, *arguments))

    @given(seeds())
    def check(seed):
        random = np.random.default_rng(seed)
        X, Y = random.standard_normal((2, ROWS, sum(widths)))
        scales, matrices = random.standard_normal(len(widths)), random.standard_normal((len(widths), ROWS, ROWS))
        for mine, theirs in zip(
            jax.tree.leaves(run(X, Y, scales, matrices)),
            jax.tree.leaves(plain_loop(widths, X, Y, scales, matrices)),
            strict=True,
        ):
            assert mine.shape == theirs.shape
            assert np.allclose(mine, theirs, rtol=1e-10, atol=1e-10)

    check()


def test_columns_of_other_classes_are_zero():
    layout = ClassLayout(WIDTHS[1])
    X = np.arange(1.0, 1 + ROWS * layout.num_columns).reshape(ROWS, -1)
    blocks = np.split(X, np.cumsum(layout.widths)[:-1], axis=1)
    for stacked in (True, False):
        found = layout.join(layout.map(jnp.sum, (jnp.asarray(X),), stacked=stacked))
        assert np.array_equal(found, [block.sum() for block in blocks])


def test_inner_products_of_the_classes():
    layout = ClassLayout(WIDTHS[2])
    Y, Z = np.random.default_rng(0).standard_normal((2, ROWS, layout.num_columns))
    ends = np.cumsum(layout.widths)[:-1]
    wanted = [np.sum(block) for block in np.split(Y * Z, ends, axis=1)]
    assert np.allclose(class_inner_products(jnp.asarray(Y), jnp.asarray(Z), layout), wanted)


def count_equations(jaxpr):
    total = 0
    for equation in jaxpr.eqns:
        total += 1
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(value, "jaxpr", value)
            total += count_equations(inner) if hasattr(inner, "eqns") else 0
    return total


@pytest.mark.parametrize("limit", [2**30, 0])
def test_a_program_for_many_classes_is_no_larger_than_one_for_few(limit, monkeypatch):
    """Gradient, factors and product of classes of 100 different sizes against 20: the same number of equations in jaxprs."""
    monkeypatch.setattr(stacking, "_STACKED", limit)

    def size(sizes):
        problem = ml.MCR2(16, sizes, 0.5, 0.1)
        Z = jax.ShapeDtypeStruct(problem.shape, np.float64)
        return count_equations(
            jax.make_jaxpr(lambda Z: (problem.gradient(Z), problem.value(Z), problem.hessian(Z).product(Z)))(Z).jaxpr
        )

    few, many = tuple(range(17, 117, 5)), tuple(range(17, 117))
    assert len(many) == 100
    assert len(ClassLayout(few).buckets) == len(ClassLayout(many).buckets)
    assert size(many) == size(few)


def test_a_hundred_unequal_classes_give_the_right_product():
    sizes = tuple(range(1, 101))
    problem = ml.MCR2(4, sizes, 0.5, 0.1)
    random = np.random.default_rng(0)
    Z, D = random.standard_normal((2, *problem.shape))
    h = 1e-5
    difference = (problem.evaluate(Z + h * D)[1] - problem.evaluate(Z - h * D)[1]) / (2 * h)
    product = np.asarray(problem.hessian(Z).mv(D))
    assert np.linalg.norm(product - difference) <= 1e-7 * problem.curvature_scale() * np.linalg.norm(D)
