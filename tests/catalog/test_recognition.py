"""Recognition: every family is read off its points, and nothing is read off others."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.catalog import Block, Family, Sign, catalog, orthogonal_family, recognize
from mcr2_landscape.closed_form import Parameters, gradient, hessian_matrix
from mcr2_landscape.validation import InputError

from .problems import families, newton, problems, with_limit


def check_round_trip(family: Family, Z: np.ndarray, noise: float) -> None:
    found = recognize(family.parameters, Z)
    assert found is not None
    assert found.family == family
    assert found.residual <= max(1e-13, 10 * noise)


@given(families(problems(max_classes=5, max_size=6, max_dim=7)), st.integers(0, 99), st.sampled_from([0.0, 1e-12]))
@settings(max_examples=150)
def test_every_family_is_recognized(family, seed, noise):
    rng = np.random.default_rng(seed)
    Z = family.point(key=rng)
    check_round_trip(family, Z * (1 + noise * rng.standard_normal(Z.shape)), noise)


@given(families(problems(max_classes=3, max_size=400, max_dim=6)), st.integers(0, 99))
def test_families_of_unequal_classes_are_recognized(family, seed):
    check_round_trip(family, family.point(key=seed), 0.0)


@pytest.mark.parametrize("epsilon", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("share", [1e-8, 0.3, 1 - 1e-8, 1.0])
def test_both_roots_of_a_class_at_the_ends_of_the_range(epsilon, share):
    """Ten decades between the two roots, or a part in 1e4, or none: then they are one."""
    p = with_limit(6, (3, 4, 5), epsilon, share)
    for blocks in (
        (Block(1, (0, 1, 0)), Block(1, (0, 1, 0), Sign.SMALL), Block(1, (0, 0, 1), Sign.SMALL)),
        (Block(2, (1, 1, 1)), Block(2, (1, 1, 1), Sign.SMALL), Block(1, (1, 0, 0), Sign.SMALL)),
        (Block(1, (1, 1, 0)), Block(1, (1, 1, 0), Sign.SMALL), Block(1, (0, 0, 1))),
    ):
        try:
            family = Family(p, tuple((block, 1) for block in blocks))
        except InputError:
            assert share >= 1 - 1e-8  # the shared line has a lower threshold
            continue
        check_round_trip(family, family.point(key=1), 0.0)


@pytest.mark.parametrize(
    "blocks",
    [
        ((Block(2, (1, 1, 1, 1)), 2),),
        ((Block(2, (1, 1, 1, 1)), 1), (Block(2, (1, 1, 1, 1)), 1)),
        ((Block(4, (2, 2, 2, 2), Sign.LARGE, 2), 1), (Block(2, (1, 1, 1, 1), Sign.SMALL), 1)),
        ((Block(3, (1, 1, 1, 1)), 1), (Block(1, (1, 0, 0, 0), Sign.SMALL), 1)),
        ((Block(2, (1, 1, 2, 1)), 1), (Block(1, (1, 1, 1, 0)), 2)),
    ],
)
def test_larger_frames_are_recognized(blocks):
    family = Family(with_limit(8, (4, 4, 4, 4), 0.5, 0.1), blocks)
    check_round_trip(family, family.point(key=4), 0.0)


def test_equal_eigenvalues_of_different_blocks():
    """A class as large as two others together: its line and theirs share an eigenspace, and collapsed polygons are lines."""
    p = with_limit(5, (3, 4, 7), 0.5, 0.4)
    for large in ((0, 0, 1), (1, 0, 1), (2, 1, 1)):
        own = orthogonal_family(p, large=large)
        family = Family(p, (*own.blocks, (Block(1, (1, 1, 0)), 1)))
        check_round_trip(family, family.point(key=0), 0.0)


@pytest.mark.parametrize(
    ("dim", "sizes", "share", "seed"),
    [
        (3, (2, 2, 2), 0.4, 0),
        (3, (1, 2, 3), 0.5, 1),  # 3 = 1 + 2: triangles collapse, and are known to 1e-5 only
        (2, (2, 2, 2, 1), 0.3, 2),
        (2, (2, 2, 3), 1.0, 3),  # class 3 at its double root
    ],
)
def test_every_critical_point_that_a_search_finds_is_recognized(dim, sizes, share, seed):
    """The structure theorem from the other side: points of all indices, found without it."""
    p = with_limit(dim, sizes, 0.5, share)
    rng = np.random.default_rng(seed)
    labels, bent = set(), 0
    for _ in range(40):
        Z, slope = newton(p, 10 ** rng.uniform(-1, 0.5) * rng.standard_normal(p.shape) / p.alpha**0.5)
        if slope > 1e-14:
            continue
        found = recognize(p, Z)
        assert found is not None
        labels.add(found.family.label)
        eigenvalues = np.linalg.eigvalsh(hessian_matrix(p, Z)) / p.alpha
        # Where the point is known to 1e-5, zero eigenvalues are known to as much.
        zero = 1e-7 if found.residual < 1e-9 else 1e-3
        assert int((eigenvalues > zero).sum()) == found.family.index
        assert int((np.abs(eigenvalues) <= zero).sum()) == found.family.nullity
        bent += found.residual > 1e-9
    assert len(labels) >= 5
    assert bool(bent) == (sizes == (1, 2, 3) or share == 1.0)


def test_what_is_near_a_critical_point_is_measured():
    p = with_limit(5, (3, 4, 5), 0.5, 0.4)
    family = orthogonal_family(p, large=(1, 2, 1))
    rng = np.random.default_rng(0)
    Z = family.point(key=rng)
    noise = rng.standard_normal(Z.shape)
    noise *= np.linalg.norm(Z) / np.linalg.norm(noise)
    for size in (1e-12, 1e-9, 3e-8):
        found = recognize(p, Z + size * noise)
        assert found is not None
        assert found.family == family
        assert 0.3 * size < found.residual < 2 * size
        assert np.linalg.norm(gradient(p, found.nearest)) < 1e-14 * np.linalg.norm(Z)
    assert recognize(p, Z + 1e-6 * noise) is None
    assert recognize(p, Z + 1e-6 * noise, rtol=1e-5).family == family


@given(
    families(problems(max_classes=3, max_size=4, max_dim=4, fractions=st.floats(0.05, 0.95))),
    st.sampled_from([1e-5, 1e-3, 0.1]),
)
def test_scaled_points_are_not_recognized(family, change):
    """A planted violation: right subspaces, wrong singular values."""
    Z = family.point(key=0)
    found = recognize(family.parameters, (1 + change) * Z)
    assert found is None or family.rank == 0


@given(problems(max_classes=3, max_size=4, max_dim=4, fractions=st.floats(0.05, 0.95)), st.integers(0, 99), st.floats(-2, 1))
def test_random_points_are_not_recognized(p, seed, size):
    Z = 10**size * np.random.default_rng(seed).standard_normal(p.shape) / p.alpha**0.5
    assert recognize(p, Z) is None


def test_classes_at_an_angle_are_not_recognized():
    """Right singular values of every class, in subspaces that form no fusion frame."""
    p = with_limit(4, (3, 4, 5), 0.5, 0.4)
    family = orthogonal_family(p, large=(1, 1, 0))
    Z = family.point(key=0)
    U = np.linalg.svd(Z, full_matrices=False)[0][:, :2]
    generator = U @ np.array([[0.0, -1.0], [1.0, 0.0]]) @ U.T
    for angle in (1e-5, 1e-2, 0.5):
        turned = Z.copy()
        turned[:, :3] += angle * (generator @ Z[:, :3])
        turned[:, :3] *= np.linalg.norm(Z[:, :3]) / np.linalg.norm(turned[:, :3])
        assert recognize(p, turned) is None
    unbalanced = Family(p, ((Block(2, (1, 1, 1)), 1),)).point(key=0)
    turned = np.hstack([unbalanced[:, :3], unbalanced[:, 3:7], np.zeros((4, 5))])
    assert recognize(p, turned) is None


def test_a_class_above_its_threshold_must_vanish():
    p = Parameters(4, (2, 3, 10), 0.5, 0.2)
    Z = orthogonal_family(p, large=(1, 1, 0)).point(key=0)
    assert recognize(p, Z) is not None
    Z[3, -1] = 1e-3
    assert recognize(p, Z) is None


def test_zero():
    p = with_limit(4, (3, 3), 0.5, 0.4)
    found = recognize(p, np.zeros(p.shape))
    assert (found.family.label, found.residual) == ("zero", 0.0)
    assert recognize(p, np.full(p.shape, 1e-12)).family.label == "zero"
    assert recognize(p, np.full(p.shape, 1e-3)) is None
    above = dataclasses.replace(p, regularization=10.0)
    assert recognize(above, np.zeros(p.shape)).family.label == "zero"


def test_record():
    p = with_limit(4, (3, 3), 0.5, 0.4)
    found = recognize(p, orthogonal_family(p, large=(2, 1)).point(key=0))
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["family"]["label"] == "large (2,1)"
    assert "nearest" not in plain


@pytest.mark.parametrize(
    ("Z", "rtol", "message"),
    [
        (np.zeros((6, 4)), 1e-7, "transposed"),
        (np.full((4, 6), np.nan), 1e-7, "NaN"),
        (np.zeros((4, 6), dtype=np.float32), 1e-7, "float32"),
        (np.zeros((4, 6)), 0.5, "rtol"),
        (np.zeros((4, 6)), -1.0, "rtol"),
    ],
)
def test_input_is_checked(Z, rtol, message):
    with pytest.raises(InputError, match=message):
        recognize(with_limit(4, (3, 3), 0.5, 0.4), Z, rtol=rtol)


def test_all_families_of_one_problem_are_told_apart():
    p = with_limit(3, (2, 2, 3), 0.5, 0.4)
    for family in catalog(p):
        check_round_trip(family, family.point(key=7), 0.0)
