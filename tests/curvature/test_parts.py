"""The large parts of the reduction as operators, against the dense ones, and what points of nearby ranks share."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.curvature import diagonal, eigenpairs, eigenvalue_clusters, frame, parts, sign_bracket, space, trace
from mcr2_landscape.curvature.density import spectral_density
from mcr2_landscape.curvature.padded import Padded
from mcr2_landscape.curvature.space import Span
from mcr2_landscape.factorization import factorize
from mcr2_landscape.reduction import Part, Reduction


def reduction_of(dim, sizes, ranks, regularized=True, seed=0):
    p = Parameters(dim, sizes, 0.5, 0.3)
    random = np.random.default_rng(seed)
    blocks = [random.standard_normal((dim, r)) @ random.standard_normal((r, m)) for m, r in zip(sizes, ranks, strict=True)]
    found = factorize(np.concatenate(blocks, axis=1), sizes)
    assert found is not None
    assert found.ranks == ranks
    return Reduction(p, found, regularized)


def operators(reduction) -> list[tuple[Part, Any]]:
    made = {"core": parts.core_operator, "outside": parts.outside_operator}
    return [(part, made[part.name](reduction)) for part in reduction.parts if part.name in made]


@pytest.mark.parametrize("regularized", [True, False])
@pytest.mark.parametrize("large", [0, parts._LARGE])
@pytest.mark.parametrize(("sizes", "ranks"), [((3, 9, 4), (2, 3, 1)), ((5, 4, 3), (3, 0, 2)), ((2, 2, 9), (1, 1, 5))])
def test_large_parts_are_the_dense_ones(sizes, ranks, large, regularized, monkeypatch):
    monkeypatch.setattr(parts, "_LARGE", large)
    reduction = reduction_of(7, sizes, ranks, regularized)
    scale = 9 / 8 * reduction.parameters.alpha + reduction.parameters.regularization
    made = operators(reduction)
    # there is nothing outside where r = d
    assert [part.name for part, _ in made] == (["core"] if reduction.rank == 7 else ["outside", "core"])
    for part, operator in made:
        assert operator.size == part.size
        assert isinstance(operator, Padded) == (large > 0 or part.name == "outside")
        assert np.abs(np.asarray(operator.as_matrix()) - reduction.matrix(part)).max() <= 1e-12 * scale
        vectors = np.random.default_rng(1).standard_normal((3, *operator.shape))
        products = np.asarray(operator.mm(vectors)).reshape(3, -1)
        assert np.abs(products - vectors.reshape(3, -1) @ reduction.matrix(part)).max() <= 1e-11 * scale


def test_a_wide_product_is_exactly_zero_elsewhere():
    for _, operator in operators(reduction_of(9, (3, 9, 4), (2, 3, 1))):
        D = np.random.default_rng(0).standard_normal(operator.parent.shape)
        product = np.asarray(operator.parent.mv(np.where(operator.mask, D, 0)))
        assert (product[~operator.mask] == 0).all()
        assert (product[operator.mask] != 0).all()


class TestTheSpaceOfAPaddedOperator:
    """Whatever looks at one sees its own unknowns alone: the padding brings neither zeros nor dimensions."""

    reduction = reduction_of(9, (3, 9, 4), (2, 3, 1))

    @pytest.fixture(params=["outside", "core"])
    def operator(self, request):
        return next(operator for part, operator in operators(self.reduction) if part.name == request.param)

    @pytest.fixture
    def dense(self, operator):
        return np.linalg.eigh(np.asarray(operator.as_matrix()))

    def test_all_pairs(self, operator, dense):
        pairs = eigenpairs(operator, num_pairs=operator.size, which="both", max_products=400)
        assert np.abs(np.sort(pairs.values) - dense[0]).max() <= 1e-12 * np.abs(dense[0]).max()
        vectors = pairs.vectors.reshape(operator.size, -1)
        assert np.abs(vectors @ vectors.T - np.eye(operator.size)).max() <= 1e-10

    def test_signs_and_dimension(self, operator, dense):
        found = sign_bracket(operator)
        assert found.decided
        assert found.dimension == operator.size
        assert (found.positive[0], found.zero[0], found.negative[0]) == ((dense[0] > 0).sum(), 0, (dense[0] < 0).sum())
        top = eigenvalue_clusters(operator, num_clusters=2)
        assert [cluster.high for cluster in top.clusters] == pytest.approx(dense[0][:-3:-1], rel=1e-9)

    def test_trace_diagonal_and_density(self, operator, dense):
        found = diagonal(operator, num_products=4 * operator.size)
        assert found.values.shape == found.standard_errors.shape == operator.shape
        wrong = np.abs(found.values - np.diagonal(operator.as_matrix()).reshape(operator.shape))
        assert (wrong <= 6 * found.standard_errors).all()
        for num_products in (12, 4 * operator.size):
            estimate = trace(operator, num_products=num_products)
            assert abs(estimate.value - dense[0].sum()) <= 6 * estimate.standard_error
        density = spectral_density(operator, steps=operator.size)
        assert np.abs(density.nodes[:, None] - dense[0]).min(axis=1).max() <= 1e-10

    def test_deflated(self, operator, dense):
        top = dense[1][:, -2:].T.reshape(2, *operator.shape)
        span = Span(jnp.asarray(top))

        class Removal:
            """Neither its directions nor its dimension are said."""

            def __call__(self, D):
                return span.remove(D)

        for deflate in (top, span, Removal().__call__):
            pairs = eigenpairs(operator, deflate=deflate)
            assert pairs.values[0] == pytest.approx(dense[0][-3], abs=1e-10)
            assert np.abs(np.tensordot(top, pairs.vectors[0], top.ndim - 1)).max() <= 1e-10
            assert sign_bracket(operator, deflate=deflate).dimension == operator.size - 2


def test_points_of_nearby_ranks_share_their_programs():
    programs: Any = [parts._core_factors, space._inside, space._products]
    programs += [value for value in vars(frame).values() if hasattr(value, "_cache_size")]
    assert len(programs) > 5

    def look(ranks, seed):
        for part, operator in operators(reduction_of(24, (9, 9, 9), ranks, seed=seed)):
            found = sign_bracket(operator, max_products=40, steps=10, dimension=part.size)
            assert found.dimension == part.size

    with jax.enable_x64(True):
        look((8, 6, 6), 0)
        before = [program._cache_size() for program in programs]
        for seed, ranks in enumerate([(7, 5, 8), (6, 6, 5), (5, 7, 7), (8, 8, 8)]):
            look(ranks, seed + 1)
    assert [program._cache_size() for program in programs] == before
