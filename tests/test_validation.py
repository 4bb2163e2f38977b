import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mcr2_landscape import validation
from mcr2_landscape.validation import InputError

pytestmark = pytest.mark.smoke


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60))
def test_real_numbers_pass_unchanged(number):
    for form in (number, np.asarray(number, dtype=np.float64), np.float64(number)):
        found = validation.real("x", form)
        assert type(found) is float
        assert found == float(number)


@pytest.mark.parametrize(
    "value", [True, np.True_, "1", b"1", 1j, None, [1.0, 2.0], np.ones(2), math.nan, -math.inf, 10**400, {}]
)
def test_what_is_no_finite_real_number_is_refused_by_name(value):
    with pytest.raises(InputError, match=r"^epsilon: found .*; pass "):
        validation.real("epsilon", value)


@given(st.floats(max_value=0, allow_infinity=False))
def test_positive_means_greater_than_zero(number):
    with pytest.raises(InputError, match=r"^epsilon: found .*greater than zero \(try 0\.5\)$"):
        validation.positive_real("epsilon", number, advice="try 0.5")


def test_a_positive_number_passes():
    assert validation.positive_real("epsilon", 5e-324) == 5e-324


@pytest.mark.parametrize("value", [True, 2.0, "2", None, np.float64(2)])
def test_integers_are_not_converted(value):
    with pytest.raises(InputError, match=r"^dim: found .*; pass an integer of at least 1$"):
        validation.positive_integer("dim", value)


def test_integers_have_a_minimum():
    assert validation.positive_integer("dim", np.int64(2)) == 2
    assert validation.positive_integer("top", 0, minimum=0) == 0
    with pytest.raises(InputError, match="dim: found 1; it must be at least 2"):
        validation.positive_integer("dim", 1, minimum=2)


@given(st.lists(st.integers(1, 1000), min_size=2))
def test_class_sizes_pass_in_every_form(sizes):
    for form in (sizes, tuple(sizes), np.asarray(sizes)):
        found = validation.class_sizes("sizes", form)
        assert found == tuple(sizes)
        assert all(type(size) is int for size in found)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ("22", "sizes: found '22'; pass the number of samples of each class"),
        (3, "sizes: found 3; pass the number of samples"),
        ([2, 2.0], r"sizes\[1\]: found 2.0; pass an integer"),
        ([2, True], r"sizes\[1\]: found True; pass an integer"),
        ([0, 2], r"sizes\[0\]: found 0; every class needs at least one sample"),
        ([4], "sizes: found 1 class; pass at least two"),
        ([], "sizes: found 0 classes; pass at least two"),
    ],
)
def test_class_sizes_that_make_no_problem_are_explained(sizes, message):
    with pytest.raises(InputError, match=message):
        validation.class_sizes("sizes", sizes)


matrices = arrays.arrays(np.float64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=4), elements=st.floats(-1e300, 1e300))


@given(matrices)
def test_a_finite_float64_matrix_passes_unchanged(matrix):
    assert validation.float64_matrix("Z", matrix, matrix.shape) is matrix
    np.testing.assert_array_equal(validation.float64_matrix("Z", matrix.tolist(), (None, None)), matrix)


@given(matrices, st.data())
def test_one_bad_entry_is_found_and_its_row_named(matrix, data):
    row, column = (data.draw(st.integers(0, side - 1)) for side in matrix.shape)
    matrix[row, column] = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    what = "NaN" if np.isnan(matrix).any() else "infinity"
    with pytest.raises(InputError, match=rf"^Z: found {what} in 1 of {matrix.shape[0]} rows \(row {row}\)"):
        validation.float64_matrix("Z", matrix)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "Z: found None; pass a numeric array"),
        ("Z.npy", "Z: found 'Z.npy'; pass a numeric array"),
        ([[1.0], [1.0, 2.0]], "Z: cannot be read as an array .*; pass rows of equal length"),
        ([[1j]], "Z: found dtype complex128; pass real numbers"),
        ([[object()]], "Z: found dtype object; pass real numbers"),
        (np.ones((2, 3), np.float32), "Z: found float32, whose rounding can turn a sign"),
        (np.ones((3, 2)), r"Z: found shape \(3, 2\), expected \(2, 3\); it looks transposed"),
        (np.ones((2, 4)), r"Z: found shape \(2, 4\), expected \(2, 3\)$"),
        (np.ones(6), r"Z: found shape \(6,\), expected \(2, 3\)$"),
    ],
)
def test_what_is_no_matrix_is_explained(value, message):
    with pytest.raises(InputError, match=message):
        validation.float64_matrix("Z", value, (2, 3))


def test_float32_passes_where_it_does_no_harm():
    found = validation.float64_matrix("Z", np.ones((2, 3), np.float32), (None, 3), refuse_float32=False)
    assert found.dtype == np.float64


def test_a_single_number_must_be_finite_too():
    with pytest.raises(InputError, match="x: found nan; pass a finite number"):
        validation.check_finite("x", np.asarray(np.nan))
