"""Iterations against a NumPy rendering, their bounds, and how far an encoder is from the solution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape import InputError, csc, memory
from mcr2_landscape.csc.iterations import METHODS
from mcr2_landscape.testing import seeds

from . import problems

STEPS = 40


def rendered(D, x, sparsity, ridge, nonnegative, method, step, steps):
    """The iterations as their papers and the public layer write them, for one image."""
    c = previous = np.zeros(D.shape[1])
    t, path = 1.0, []
    a = c
    for _ in range(steps):
        at = {"ista": c, "fista": a, "public layer": c}[method]
        base = c if method == "ista" else a
        v = (base + step * D.T @ (x - D @ at)) / (1 + ridge * step)
        threshold = sparsity * step / (1 + ridge * step)
        c = np.sign(v) * np.maximum(np.abs(v) - threshold, 0)
        c = np.maximum(c, 0) if nonnegative else c
        later = (1 + np.sqrt(1 + 4 * t * t)) / 2
        a, previous, t = c + (t - 1) / later * (c - previous), c, later
        path.append(c)
    return path


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("ridge", "nonnegative"), [(0.0, False), (0.3, True)])
def test_iterates_are_those_of_the_formulas(method, ridge, nonnegative):
    dictionary, x, D = problems.small(1)
    found = csc.iterate(dictionary, x, STEPS, sparsity=0.2, ridge=ridge, nonnegative=nonnegative, method=method)
    assert found.step == 1 / dictionary.lipschitz_bound()
    for n in range(3):
        path = rendered(D, x[n].ravel(), 0.2, ridge, nonnegative, method, found.step, STEPS)
        np.testing.assert_allclose(found.codes[n].ravel(), path[-1], atol=1e-12)
        values = [problems.value(D, x[n], z, 0.2, ridge) for z in (0 * path[0], *path)]
        np.testing.assert_allclose(found.objective[:, n], values, rtol=1e-12)


@settings(max_examples=6)
@given(seed=seeds(), fraction=st.floats(-3, -0.3).map(lambda e: 10**e))
def test_bounds_of_ista_and_fista(seed, fraction):
    dictionary, x, _ = problems.small(seed)
    lam = fraction * csc.lambda_max(dictionary, x)
    best = csc.solve(dictionary, x, sparsity=lam, max_steps=20)
    square = np.sum(best.codes**2, axis=(1, 2, 3))
    k = np.arange(1, STEPS + 1)[:, None]
    missing = {}
    for method in ("ista", "fista"):
        found = csc.iterate(dictionary, x, STEPS, sparsity=lam, method=method)
        missing[method] = found.objective[1:] - best.objective
        bound = square / found.step * ({"ista": 1 / (2 * k), "fista": 2 / (k + 1) ** 2}[method])
        assert (missing[method] <= bound + best.duality_gap).all()
        if method == "ista":
            assert (np.diff(found.objective, axis=0) <= 1e-13 * found.objective[0]).all()
    # steps of ten times the length would not keep the bound
    far = csc.iterate(dictionary, x, STEPS, sparsity=lam, method="ista", step=10 * found.step)
    assert (far.objective[1:] - best.objective > square / (20 * found.step * k)).any()


def test_the_public_layer_is_fista_for_two_steps_and_not_after():
    dictionary, x, _ = problems.small(4)
    codes = {
        (method, steps): np.asarray(csc.unrolled(dictionary, x, steps, sparsity=0.1, method=method))
        for method in METHODS
        for steps in (2, 3)
    }
    for method in ("ista", "public layer"):
        np.testing.assert_array_equal(codes["fista", 2], codes[method, 2])
        assert np.abs(codes["fista", 3] - codes[method, 3]).max() > 1e-3
    whole = csc.iterate(dictionary, x, 3, sparsity=0.1, method="public layer")
    np.testing.assert_allclose(whole.codes, codes["public layer", 3], atol=1e-14)


def test_an_unrolled_encoder_takes_a_sparsity_for_each_image():
    dictionary, x, D = problems.small(5)
    each = np.array([0.1, 0.3, 0.5])
    step = 1 / dictionary.lipschitz_bound()
    found = csc.unrolled(dictionary, x, 3, sparsity=each)
    for n, lam in enumerate(each):
        path = rendered(D, x[n].ravel(), lam, 0.0, False, "fista", step, 3)
        np.testing.assert_allclose(found[n].ravel(), path[-1], atol=1e-12)
    traced = jax.jit(lambda lam: csc.unrolled(dictionary, x, 3, sparsity=lam))(each)
    np.testing.assert_allclose(traced, found, atol=1e-14)
    with pytest.raises(InputError, match=r"sparsity: found shape \(2,\)"):
        jax.jit(lambda lam: csc.unrolled(dictionary, x, 3, sparsity=lam))(each[:2])


def test_an_unrolled_encoder_is_differentiable_and_keeps_float32():
    dictionary, x, _ = problems.small(5)
    step = 1 / dictionary.lipschitz_bound()

    @jax.jit
    def total(atoms, lam):
        own = csc.ConvDictionary.normalized(atoms, 1, 1)
        return jnp.sum(csc.unrolled(own, x, 3, sparsity=lam, step=step) ** 2)

    gradient = jax.grad(total, argnums=(0, 1))(dictionary.atoms, 0.3)
    move = np.random.default_rng(0).standard_normal(dictionary.atoms.shape)
    t = 1e-6
    slope = (total(dictionary.atoms + t * move, 0.3 + t) - total(dictionary.atoms - t * move, 0.3 - t)) / (2 * t)
    assert float(slope) == pytest.approx(float(np.sum(gradient[0] * move) + gradient[1]), rel=1e-5)
    narrow = csc.ConvDictionary.normalized(np.asarray(dictionary.atoms, np.float32), 1, 1)
    assert csc.unrolled(narrow, x.astype(np.float32), 2, sparsity=0.1).dtype == np.float32
    with pytest.raises(InputError, match="step: found None while the atoms are traced"):
        jax.jit(lambda a: csc.unrolled(csc.ConvDictionary.normalized(a), x, 2, sparsity=0.1))(dictionary.atoms)


def test_the_encoder_is_not_the_solution_until_it_is_deep():
    dictionary, x, D = problems.small(6)
    found = csc.encoder_gap(dictionary, x, (1, 2, 3, 30, 400), sparsity=0.1)
    assert found.gap.shape == found.distance.shape == (3, 5, 3)
    assert found.solution.converged.all()
    assert (found.gap >= -found.uncertainty).all()
    # two steps are the same for all, and far from the optimum; that gap shrinks with depth
    np.testing.assert_allclose(found.gap[:, 1], np.broadcast_to(found.gap[0, 1], (3, 3)), rtol=1e-12)
    assert (found.relative[:, 1] > 0.05).all()
    assert (np.diff(found.gap[0], axis=0) < 0).all()  # ISTA descends
    assert (found.gap[1, -1] < 1e-3 * found.gap[1, 1]).all()
    assert (found.gap[1, -1] < found.gap[0, -1]).all()  # FISTA is ahead of ISTA
    path = rendered(D, x[0].ravel(), 0.1, 0.0, False, "public layer", found.step, 30)
    value = problems.value(D, x[0], path[-1], 0.1)
    assert found.gap[2, 3, 0] == pytest.approx(value - found.solution.objective[0], rel=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "admm"}, "method: found 'admm'; pass one of 'ista', 'fista', 'public layer'"),
        ({"steps": 0}, "steps: found 0"),
        ({"step": -1.0}, "step: found -1"),
        ({"sparsity": -1.0}, "sparsity: found -1"),
        ({"sparsity": [0.1, 0.2]}, r"sparsity: found shape \(2,\); pass one number, or one for each of the 3 images"),
        ({"ridge": -1.0}, "ridge: found -1"),
        ({"nonnegative": "no"}, "nonnegative: found 'no'; pass True or False"),
        ({"images": [[[[1.0, 2.0], [3.0]]]]}, "images: cannot be read as an array"),
    ],
)
def test_bad_input_is_named(changes, message):
    dictionary, x, _ = problems.small(0)
    for call in (csc.iterate, csc.unrolled):
        given = {"images": x, "steps": 2, "sparsity": 0.1} | changes
        with pytest.raises(InputError, match=message):
            call(dictionary, given.pop("images"), given.pop("steps"), **given)


def test_iterations_that_do_not_fit_into_memory_are_not_begun(monkeypatch):
    dictionary, x, _ = problems.small(0)
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    with pytest.raises(InputError, match=r"images: needs .* make fewer steps"):
        csc.iterate(dictionary, x, 10_000, sparsity=0.1)


def test_bad_depths_are_named():
    dictionary, x, _ = problems.small(0)
    with pytest.raises(InputError, match=r"depths: found \(3, 2\)"):
        csc.encoder_gap(dictionary, x, (3, 2), sparsity=0.1)
    for wrong in (10, "12", 3.0):
        with pytest.raises(InputError, match=f"depths: found {wrong!r}; pass a sequence"):
            csc.encoder_gap(dictionary, x, wrong, sparsity=0.1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="methods: found 'fista'; pass a sequence"):
        csc.encoder_gap(dictionary, x, (3,), sparsity=0.1, methods="fista")
    with pytest.raises(InputError, match="methods: found none"):
        csc.encoder_gap(dictionary, x, (3,), sparsity=0.1, methods=())
