"""Step sizes: their values, which are refused, and the verdicts on the conditions of two timescales."""

from fractions import Fraction

import jax
import numpy as np
import pytest

from mcr2_landscape.markov import power_step
from mcr2_landscape.markov.step_sizes import check_step, step_conditions
from mcr2_landscape.validation import InputError
from mcr2_landscape.verdict import Verdict


@pytest.mark.parametrize(
    ("exponent", "scale", "offset"), [(0.5, 1, 0), (1, 1, 0), (0, 0.25, 0), (0.75, 2, 3), ("2/3", 0.5, -0.5)]
)
def test_values(exponent, scale, offset):
    step, counts = power_step(exponent, scale, offset), np.array([1.0, 2.0, 3.0, 1e3, 1e9])
    exact = scale * (counts + offset) ** -float(Fraction(exponent))
    np.testing.assert_allclose(step(counts), exact, rtol=1e-14)
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(step)(jax.numpy.asarray(counts)), exact, rtol=1e-14)
    assert power_step(exponent, scale, offset) == step, "equal power laws share a compiled program"


def verdicts(q_step, policy_step):
    return [condition.verdict for condition in step_conditions(q_step, policy_step)]


H, R, U = Verdict.HOLDS, Verdict.REFUTED, Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("q_exponent", "policy_exponent", "expected"),
    [
        (0.5, 1, [H, R, H, H, H]),  # the paper's setting
        (1, 0.5, [H, H, H, R, R]),  # its swapped timescales
        (0.55, 0.75, [H, H, H, H, H]),
        ("11/20", 0.55, [H, H, H, H, R]),  # 0.55 is eleven twentieths, not the float nearest to it
        (1.001, 2, [R, H, R, H, H]),
        (0, 0.5, [H, R, H, R, H]),
    ],
)
def test_conditions_on_power_laws(q_exponent, policy_exponent, expected):
    assert verdicts(power_step(q_exponent), power_step(policy_exponent)) == expected
    assert verdicts(power_step(q_exponent, 0.5, 7), power_step(policy_exponent, 0.25, 3)) == expected


def test_functions_of_a_user_are_undecided():
    def own(count):
        return 1 / count

    assert verdicts(own, power_step(1)) == [U, U, H, H, U]
    assert verdicts(power_step(0.5), own) == [H, R, U, U, U]
    found = step_conditions(power_step(1, 0.5), power_step(1, 0.25))[-1]
    assert found.verdict == R
    assert "tends to 0.5" in found.reason


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((-1,), "exponent: found -1"),
        (("x",), "exponent: found 'x'"),
        ((1, 0), "scale: found 0; it must be greater than zero"),
        ((1, 2), "scale: found 2, with which the first step is 2; pass one at which it is at most one"),
        ((1, 1, -1), "offset: found -1; it must be greater than -1"),
        ((0.5, 1, -0.5), "scale: found 1, with which the first step is 1.41"),
        ((1, 1, np.inf), "offset: found inf"),
    ],
)
def test_power_laws_that_are_refused(arguments, says):
    with pytest.raises(InputError, match=says):
        power_step(*arguments)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (0.1, "q_step: found float; pass markov.power_step"),
        (lambda n: 2 / n, "q_step: found 2 at the count 1; every step size must be in"),
        (lambda n: 1 / n - 1e-4, "q_step: found 0 at the count 10000"),
        (lambda n: n / 90_000, r"q_step: found 1.* at the count 9\d{4}; every"),
        (lambda n: 0 / (n - 2) + 0.1, "q_step: found nan at the count 2"),
        (lambda n: 1 / n.sum(), r"q_step: of float64 counts of shape \(2, 3\) it makes float64 of shape \(\); return as many"),
        (lambda n: n > 3, r"q_step: .* it makes bool of shape \(2, 3\)"),
        (lambda n: 1.0 if n > 3 else 0.5, "q_step: cannot be traced"),
    ],
)
def test_functions_that_are_refused(step, says):
    num_steps = 100_000
    with pytest.raises(InputError, match=says):
        check_step("q_step", step, num_steps)
