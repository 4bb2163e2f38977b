"""The tasks on tokens near subspaces: compression beside denoising, and signal over noise through layers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape import whitebox as wb
from mcr2_landscape.study.tasks.denoising import denoising
from mcr2_landscape.study.tasks.snr import snr
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

# Programs compile, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)


# -- compression beside denoising ---------------------------------------------------------------------------------------------


@given(seeds(), st.floats(1e-4, 1.0), st.sampled_from([(1.0, 1.0), (0.1, 0.0)]))
def test_denoising_by_an_oracle(seed, noise, precision):
    """From the gradient in its N × N form, the definition of the posterior by Gaussian densities, and token by token."""
    epsilon, exponent = precision
    found = denoising(rank=3, size=2, heads=2, noise=noise, epsilon=epsilon, exponent=exponent, seed=seed)
    eps = epsilon * noise ** (exponent / 2)
    assert found.precision == pytest.approx(eps)
    random = np.random.default_rng(seed)
    U = wb.random_bases(key=random, heads=2, dim=6, rank=3)
    Z, _, labels = wb.sample_mixture(key=random, U=U, sizes=[2, 2], noise=noise)
    alpha = 3 / (4 * eps**2)
    parts = [u @ (u.T @ Z) @ np.linalg.inv(np.eye(4) + alpha * (u.T @ Z).T @ (u.T @ Z)) for u in U]
    step = np.sum(parts, axis=0)
    own = np.stack([U[k] @ U[k].T @ z for k, z in zip(labels, Z.T, strict=True)], axis=1)
    cosines = [cosine(-g, p - z) for g, p, z in zip(step.T, own.T, Z.T, strict=True)]
    assert found.cosine == pytest.approx(np.mean(cosines), abs=1e-8)
    assert found.relative_error == pytest.approx(np.linalg.norm(own - Z - -step) / np.linalg.norm(own - Z), rel=1e-6)
    before = ratio(U, labels, Z)
    assert found.step_gain == pytest.approx(ratio(U, labels, Z - step) / before, rel=1e-6)
    assert found.best_gain >= 1 - 1e-12
    assert found.neumann_ratio == pytest.approx(alpha * max(np.linalg.norm(u.T @ Z, 2) for u in U) ** 2)
    logs = np.array([[-0.5 * z @ np.linalg.solve(u @ u.T + noise**2 * np.eye(6), z) for z in Z.T] for u in U])
    printed = np.array([[np.sum((u.T @ z) ** 2) / (2 * noise**2) for z in Z.T] for u in U])
    exact, printed = (np.exp(own - own.max(axis=0)) / np.exp(own - own.max(axis=0)).sum(axis=0) for own in (logs, printed))
    assert found.assignment_error == pytest.approx(np.abs(exact - printed).max(), abs=1e-6)


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def ratio(U, labels, Z):
    own = np.stack([U[k] @ U[k].T @ z for k, z in zip(labels, Z.T, strict=True)], axis=1)
    return np.linalg.norm(own) / np.linalg.norm(Z - own)


def test_the_law_and_where_it_fails():
    """Within the window the cosine is √(1 − n/p); at a fixed precision it falls with the noise; nothing is left for n ≥ p."""
    half = {noise: denoising(rank=16, size=8, noise=noise, exponent=4 / 3, seed=0) for noise in (1e-6, 0.3)}
    assert half[1e-6].cosine == pytest.approx(half[1e-6].predicted_cosine, abs=0.05)
    assert half[1e-6].relative_error == pytest.approx(half[1e-6].predicted_error, abs=0.05)
    assert half[1e-6].step_gain == pytest.approx(half[1e-6].predicted_gain, rel=0.05)
    assert abs(half[0.3].cosine - half[0.3].predicted_cosine) > 0.05, "a check that can fail"
    fixed = [denoising(rank=16, size=8, noise=noise, epsilon=0.1, exponent=0, seed=0).cosine for noise in (1e-5, 1e-6)]
    assert fixed[1] == pytest.approx(fixed[0] / 10, rel=0.05)
    many = denoising(rank=16, size=32, noise=1e-6, exponent=4 / 3, seed=0)
    assert (many.predicted_cosine, many.predicted_error, many.predicted_gain) == (0, 1, 1)
    assert abs(many.cosine) < 0.01
    assert many.shrinkage_cosine > 0.5
    assert many.posterior_gain > 1e6 > many.best_gain


# -- signal over noise --------------------------------------------------------------------------------------------------------


@given(seeds(), st.sampled_from([0.02, 0.3, 1.0]), st.sampled_from(["none", "normalized", "temperature"]))
def test_snr_by_an_oracle(seed, noise, control):
    """Layers in the ambient space, head by head and token by token."""
    found = snr(rank=4, heads=2, num_tokens=6, noise=noise, layers=2, control=control, seed=seed)
    random, labels = np.random.default_rng(seed), np.repeat([0, 1], 3)
    U = wb.random_bases(key=random, heads=2, dim=8, rank=4)
    V = random.standard_normal((2, 4, 6))
    for k in range(2):
        V[k][:, labels != k] *= noise
    Z = np.sum(U @ V, axis=0)
    assert found.start_snr == pytest.approx(ratio(U, labels, Z))
    assert found.growth == 1.375
    for place in range(2):
        if control == "normalized":
            Z = 2 * Z / np.linalg.norm(Z, axis=0)
        temperature = 1.375 ** (2 * place) if control == "temperature" else 1.0
        out = Z.copy()
        crossed, kept = set(), set()
        for k, u in enumerate(U):
            v = u.T @ Z
            for token in range(6):
                weights = np.exp(v.T @ v[:, token] / temperature - (v.T @ v[:, token] / temperature).max())
                weights /= weights.sum()
                for other in np.flatnonzero(weights > 0.75):
                    out[:, token] += 0.5 * 0.75 * u @ v[:, other]
                    if labels[token] != k == labels[other]:
                        crossed.add(token)
                    if labels[token] == k and other == token:
                        kept.add(token)
        ratios = [class_ratio(U, labels, out, k) / class_ratio(U, labels, Z, k) / 1.375 for k in range(2)]
        assert found.snr[place] == pytest.approx(ratio(U, labels, out), rel=1e-9)
        assert found.ratio_least[place] == pytest.approx(min(ratios), rel=1e-9)
        assert found.ratio_largest[place] == pytest.approx(max(ratios), rel=1e-9)
        assert found.ratio[place] == pytest.approx(np.mean(ratios), rel=1e-9)
        assert found.attending[place] == pytest.approx(len(crossed) / 6)
        assert found.idle[place] == pytest.approx(1 - len(kept) / 6)
        Z = out


def class_ratio(U, labels, Z, k):
    own = U[k].T @ Z[:, labels == k]
    return math.sqrt(np.sum(own**2) / (np.sum(Z[:, labels == k] ** 2) - np.sum(own**2)))


def test_layers_break_and_controls_do_not():
    found = {control: snr(rank=32, heads=2, num_tokens=8, noise=0.1, layers=8, control=control, seed=0)
             for control in ("none", "normalized", "temperature")}  # fmt: skip
    assert found["none"].breaks is not None
    assert found["none"].kept == found["none"].breaks - 1 > 0
    for place in range(8):
        off = max(abs(own[place] - 1) for own in (found["none"].ratio_least, found["none"].ratio_largest))
        assert place >= found["none"].kept or off < 1e-6
        assert place != found["none"].kept or off > 1e-6
    for control in ("normalized", "temperature"):
        assert (found[control].breaks, found[control].kept) == (None, 8)
        assert found[control].snr[-1] == pytest.approx(found[control].start_snr * 1.375**8, rel=0.2)


@pytest.mark.parametrize(
    ("task", "changes", "says"),
    [
        (denoising, {"rank": 0, "size": 1}, "rank: found 0"),
        (denoising, {"rank": 2, "size": 1, "heads": 1}, "heads: found 1"),
        (denoising, {"rank": 2, "size": 1, "noise": 0.0}, "noise: found 0"),
        (denoising, {"rank": 2, "size": 1, "exponent": 1e4}, "exponent: found 10000, which makes eps = 0"),
        (snr, {"num_tokens": 9}, "num_tokens: found 9; pass a multiple of the number of heads, 4"),
        (snr, {"threshold": 1.0}, "threshold: found 1"),
        (snr, {"control": "warm"}, "control: found 'warm'"),
    ],
)
def test_bad_numbers(task, changes, says):
    with pytest.raises(InputError, match=says):
        task(**changes, seed=0)
