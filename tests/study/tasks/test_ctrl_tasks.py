"""The tasks on closed-loop transcription: what a row says is what theory and the library's own functions say."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcr2_landscape.training
from mcr2_landscape import InputError
from mcr2_landscape.ctrl import SubspaceGame, full_rank_threshold
from mcr2_landscape.data import subspace_mixture
from mcr2_landscape.study.tasks import ctrl_data, ctrl_game, ctrl_network, ctrl_single
from mcr2_landscape.study.tasks.ctrl_game import Played
from mcr2_landscape.testing import seeds
from mcr2_landscape.training import Stopped

# Dynamics compile, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)

MIXTURE: dict[str, Any] = {"sizes": (14, 16, 20), "ambient_dim": 12, "subspace_ranks": (1, 2, 3), "dim": 8, "shown": 12}


def play(**changes) -> Played:
    return ctrl_game.ctrl_game(**{**MIXTURE, **changes})


def check_pictures(found: Any, sizes: tuple[int, ...]) -> None:
    """What holds of every row with pictures."""
    for stage in ("x", "f", "gf", "fgf"):
        whole, parts = getattr(found, f"spectrum_{stage}"), getattr(found, f"class_spectra_{stage}")
        assert sum(s**2 for s in whole) == pytest.approx(sum(s**2 for part in parts for s in part))
        assert list(whole) == sorted(whole, reverse=True)
        cosines = getattr(found, f"cosines_{stage}")
        assert cosines.shape == (len(found.cosine_classes),) * 2
        assert cosines.min() >= 0
        assert cosines.max() <= 1
        np.testing.assert_array_equal(cosines, cosines.T)
        for other in ("own", "other"):
            counts = getattr(found, f"residuals_{stage}_{other}")
            assert tuple(map(sum, counts)) == sizes
            assert {len(row) for row in counts} == {len(found.residual_edges) - 1}
    assert list(found.cosine_classes) == sorted(found.cosine_classes)
    assert len(found.hypothesis_names) == len(found.hypothesis_verdicts) == len(found.hypothesis_margins) == 5


# -- several subspaces --------------------------------------------------------------------------------------------------------


@given(seeds(), st.floats(0.3, 1.5))
def test_the_exact_equilibrium_is_what_theory_says(seed, epsilon):
    found = play(seed=seed % 10**6, epsilon=epsilon)
    assert found.optimum is not None
    assert abs(found.gap) <= 1e-9
    assert abs(found.distance) <= 1e-9
    assert abs(found.bound_gap) <= 1e-9
    assert found.stackelberg == "holds"
    assert max(found.feasibility) <= 1 + 1e-9
    assert found.kept == found.optimal_multiplicities
    for stage in ("f", "fgf"):
        spectra = getattr(found, f"class_spectra_{stage}")
        for own, m, level, size in zip(spectra, found.kept, found.optimal_singular_values, MIXTURE["sizes"], strict=True):
            np.testing.assert_allclose(own[:m], level, rtol=1e-7)
            assert level == pytest.approx(np.sqrt(size / m))
            assert max(own[m:], default=0.0) < 1e-6
    assert found.largest_residual_fgf < 1e-7
    # gf(X_j) is in S_j where nothing of any class is lost: F⁺ answers in the orthogonal complement of the kernel
    if found.kept == found.ranks:
        assert found.largest_residual_gf < 1e-7
    check_pictures(found, MIXTURE["sizes"])
    blocks = [np.flatnonzero(np.array(found.cosine_classes) == k) for k in range(3)]
    assert max(found.cosines_f[np.ix_(blocks[i], blocks[j])].max() for i in range(3) for j in range(i)) < 1e-6
    lossy = [r > 1 and 8 / epsilon**2 * np.sqrt(n / 50) / r < full_rank_threshold(r, n / 50) for r, n in ((2, 16), (3, 20))]
    verdicts = dict(zip(found.hypothesis_names, found.hypothesis_verdicts, strict=True))
    assert verdicts["precision, exact"] == ("refuted" if any(lossy) else "holds")
    assert (found.curve_step, found.curve_value) == ((), ())


def test_planted_ends_are_seen_through():
    data = subspace_mixture(key=0, sizes=(14, 16, 20), ambient_dim=12, ranks=(1, 2, 3))
    game = SubspaceGame(data.features, data.labels, dim=8, epsilon=0.7)
    found = game.solve(key=0)

    def row(F: np.ndarray, G: np.ndarray) -> dict[str, Any]:
        return ctrl_game._end(game, ctrl_game._End(F, G, "", {}))

    assert row(found.F, found.G)["stackelberg"] == "holds"
    too_large = row(1.1 * found.F, found.G / 1.1)
    assert too_large["stackelberg"] == "refuted"
    assert max(too_large["feasibility"]) == pytest.approx(1.21)
    assert too_large["gap"] < -1e-3
    assert too_large["feasible_value"] == pytest.approx(float(game.expressiveness(jnp.asarray(game.project(1.1 * found.F)))))
    assert too_large["feasible_gap"] > 0
    too_small = row(0.9 * found.F, found.G / 0.9)
    assert (too_small["stackelberg"], too_small["feasible_value"]) == ("refuted", too_small["value"])
    assert too_small["gap"] > 1e-3
    no_answer = row(found.F, -2 * found.G)
    assert no_answer["stackelberg"] == "refuted"
    assert no_answer["distance"] > 1e-3
    assert no_answer["response_error"] > 1e-3
    assert row(found.F, -found.G)["stackelberg"] == "holds"  # another best response


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 1e-1])
def test_noise_is_told_from_what_is_there(noise):
    found = play(seed=3, noise=noise, sizes=(100, 100, 100), ambient_dim=30)
    assert found.ranks == (1, 2, 3)
    assert "count as noise" in found.preparation
    assert abs(found.gap) <= 1e-9
    quiet = play(seed=3, sizes=(100, 100, 100), ambient_dim=30)
    assert found.value == pytest.approx(quiet.value, abs=1e-9)
    # of the noisy samples neither the value nor the constraint is what it is of the game
    assert found.sample_violation > 1e-3 * noise
    assert found.sample_value != pytest.approx(found.value, abs=1e-4 * noise)
    assert found.largest_residual_x > 1e-4 > quiet.largest_residual_x
    assert len([s for s in found.spectrum_x if s > 1e-9]) == 30


@pytest.mark.slow
def test_dynamics_climb_to_the_optimum():
    found = play(seed=0, method="gdmax", num_steps=150, num_recorded=10)
    assert len(found.curve_step) == len(found.curve_value) == 10
    assert (found.curve_step[0], found.curve_step[-1]) == (0, 150)
    assert np.all(np.diff(found.curve_value) > -1e-9)
    assert found.curve_value[-1] == pytest.approx(found.value, abs=1e-9)
    assert abs(found.distance) < 1e-9
    assert -1e-9 < found.gap < 0.2
    check_pictures(found, MIXTURE["sizes"])
    both = play(seed=0, method="simultaneous", num_steps=300)
    assert both.curve_distance[-1] == pytest.approx(both.distance, abs=1e-9)
    assert both.distance < 0.1 * both.curve_distance[0]
    assert both.gap > -1e-9
    assert both.curve_value[-1] == pytest.approx(both.value, abs=1e-9)


def test_the_reference_leaves_the_set_of_all_data():
    found = play(seed=1, method="reference", decoder_steps=20, num_epochs=4, batch_size=25)
    assert found.curve_step == tuple(range(1, 9))
    assert found.curve_value[-1] == pytest.approx(found.value, abs=1e-9)
    assert found.curve_violation[-1] == pytest.approx(max(found.feasibility) - 1, abs=1e-9) or max(found.feasibility) < 1
    assert found.feasible_gap >= -1e-9
    assert found.stackelberg == "refuted"


# -- images -------------------------------------------------------------------------------------------------------------------


def test_digits_violate_the_hypotheses_and_their_leading_directions_do_not():
    found = play(data="digits", method="gdmax", num_samples=60, num_steps=5, seed=0)
    verdicts = dict(zip(found.hypothesis_names, found.hypothesis_verdicts, strict=True))
    assert verdicts["independence"] == verdicts["dimension, as recalled"] == "refuted"
    assert (found.independence, found.optimum, found.gap, found.optimal_multiplicities) == (0.0, None, None, None)
    assert (found.class_sizes, found.ranks) == ((6,) * 10, (6,) * 10)
    # steps were taken on other data, of which these are the image under an invertible map
    assert found.curve_value[-1] == pytest.approx(found.value, rel=1e-7)
    assert max(found.feasibility) <= 1 + 1e-7
    assert found.value < found.upper_bound
    assert found.value > found.curve_value[0]
    check_pictures(found, (6,) * 10)
    few = play(data="digits", components=1, dim=20, num_samples=60, seed=0)
    assert few.ranks == (1,) * 10
    assert set(few.hypothesis_verdicts) == {"holds"}
    assert abs(few.gap) <= 1e-9
    assert "projected on its first 1 principal directions" in few.preparation
    with pytest.raises(InputError, match="components: found 7; class 0 has 6"):
        play(data="digits", components=7, num_samples=60, seed=0)
    with pytest.raises(InputError, match="dependent"):
        play(data="digits", method="simultaneous", num_samples=60, seed=0)


@given(seeds(), st.integers(1, 4))
def test_projected_classes_are_as_near_as_can_be(seed, components):
    prepared = ctrl_data.images("digits", components, 100)
    whole = ctrl_data.images("digits", 0, 100)
    own = np.asarray(whole.data.labels) == seed % 10
    off = np.linalg.norm(prepared.data.features[own] - whole.data.features[own])
    s = np.linalg.svd(whole.data.features[own], compute_uv=False)
    assert off == pytest.approx(np.linalg.norm(s[components:]))


def test_faces_are_independent_and_do_not_fit():
    pytest.importorskip("skimage")
    found = play(data="faces", dim=20, seed=0)
    verdicts = dict(zip(found.hypothesis_names, found.hypothesis_verdicts, strict=True))
    assert verdicts["independence"] == "holds"
    assert verdicts["dimension, as recalled"] == verdicts["precision, exact"] == "refuted"
    assert found.ranks == (100, 100)
    assert abs(found.gap) <= 1e-9
    assert found.kept == found.optimal_multiplicities
    assert sum(found.kept) <= 20


# -- one subspace -------------------------------------------------------------------------------------------------------------

SINGLE: dict[str, Any] = {"size": 30, "ambient_dim": 7, "subspace_rank": 3, "shown": 10}


@given(seeds(), st.sampled_from([2, 5, 9]))
def test_one_subspace_is_recovered(seed, dim):
    found = ctrl_single.ctrl_single(**SINGLE, dim=dim, seed=seed % 10**6)
    assert abs(found.gap) <= 1e-9
    assert abs(found.distance) <= 1e-9
    assert found.stackelberg == "holds"
    assert (found.kept, found.lost) == ((2, 1) if dim == 2 else (3, 0))
    np.testing.assert_allclose(found.spectrum_f[: found.kept], found.optimal_singular_values, rtol=1e-7)
    np.testing.assert_allclose(found.optimal_singular_values, found.spectrum_x[: found.kept], rtol=1e-7)
    assert found.response_error < 1e-9
    assert found.local_nash is found.nash_reason is None
    assert found.largest_residual_fgf < 1e-7
    assert found.largest_residual_gf < 1e-7  # gf(X) lies in S also where S is not kept
    assert sum(found.residuals_gf_own[0]) == 30
    assert found.curve_step == ()
    verdicts = dict(zip(found.hypothesis_names, found.hypothesis_verdicts, strict=True))
    assert verdicts["dimension"] == ("refuted" if dim == 2 else "holds")


def test_ascent_of_one_subspace():
    found = ctrl_single.ctrl_single(**SINGLE, dim=5, method="gdmax", num_steps=400, num_recorded=9, seed=1)
    assert len(found.curve_step) == 9
    assert np.all(np.diff(found.curve_value) > -1e-9)
    assert np.abs(found.curve_distance).max() < 1e-9
    assert -1e-9 < found.gap < 0.05
    assert found.curve_value[-1] == found.value
    both = ctrl_single.ctrl_single(**SINGLE, dim=5, method="simultaneous", num_steps=60, seed=1)
    assert both.curve_distance[0] > 1e-3
    assert both.stackelberg == "refuted"
    asked = ctrl_single.ctrl_single(**SINGLE, dim=5, nash=True, seed=1)
    assert (asked.stackelberg, asked.local_nash) == ("holds", "refuted")
    assert asked.nash_reason


def test_noise_on_one_subspace_and_mistakes():
    found = ctrl_single.ctrl_single(**{**SINGLE, "size": 200}, dim=5, noise=1e-3, seed=2)
    assert found.rank == 3
    assert found.tolerance > 0
    assert found.largest_residual_x > 1e-3
    assert abs(found.gap) <= 1e-9
    for changes, says in (
        ({"subspace_rank": 8}, "subspace_rank: found 8; pass at most 7"),
        ({"noise": -1.0}, "noise: found -1"),
        ({"dim": 0}, "dim: found 0"),
        ({"num_recorded": 1}, "num_recorded: found 1"),
        ({"method": "gdmax", "relative_rate": 0.0}, "relative_rate: found 0"),
    ):
        with pytest.raises(InputError, match=says):
            ctrl_single.ctrl_single(**{**SINGLE, "dim": 5, "seed": 0, **changes})


# -- networks -----------------------------------------------------------------------------------------------------------------

NETWORK: dict[str, Any] = {
    "sizes": (12, 16, 20),
    "ambient_dim": 10,
    "subspace_ranks": (1, 2, 2),
    "noise": 0.01,
    "dim": 8,
    "width": 16,
    "num_steps": 300,
    "num_recorded": 8,
    "shown": 12,
    "seed": 1,
}


@pytest.mark.slow
def test_a_row_of_networks_is_the_training(monkeypatch):
    found = ctrl_network.ctrl_network(**NETWORK)
    data = subspace_mixture(key=1, sizes=(12, 16, 20), ambient_dim=10, ranks=(1, 2, 2), noise=0.01)
    expected = mcr2_landscape.training.train_transcription(data, dim=8, width=16, num_steps=300, key=1, record_every=300 // 16)
    assert found.value == expected.expressiveness
    assert found.distance == pytest.approx(expected.distances.sum())
    assert found.bound_gap == pytest.approx(found.upper_bound - found.value)
    assert found.bound_gap > 0
    assert found.linear_optimum is not None
    assert found.linear_optimum <= found.upper_bound
    assert len(found.curve_step) == len(found.curve_value) == len(found.curve_distance) == 8
    assert found.curve_step[-1] == 300
    assert (found.curve_reconstruction, found.negative_elbo, found.elbo_gap) == (None, None, None)
    check_pictures(found, NETWORK["sizes"])
    for own, size in zip(found.class_spectra_f, NETWORK["sizes"], strict=True):
        assert sum(s**2 for s in own) == pytest.approx(size)  # length one each
    spectra = [np.array(own) for own in found.class_spectra_f]
    assert found.kept == tuple(int((s > 0.1 * s[0]).sum()) for s in spectra)

    # A training that was cut short is a failure of its unit, not a result.
    ended = dataclasses.replace(expected.training, stopped=Stopped.DIVERGED, reason="the loss is not finite")
    cut = dataclasses.replace(expected, training=ended)
    monkeypatch.setattr(mcr2_landscape.training, "train_transcription", lambda *_, **__: cut)
    with pytest.raises(RuntimeError, match="the loss is not finite"):
        ctrl_network.ctrl_network(**NETWORK)


@pytest.mark.slow
def test_a_row_of_the_autoencoder():
    found = ctrl_network.ctrl_network(**{**NETWORK, "network": "vae", "encoder_rate": 1e-2, "num_steps": 2000})
    assert found.elbo_gap is not None
    assert 0 < found.elbo_gap < 5
    assert (found.curve_value, found.curve_distance) == (None, None)
    assert found.curve_reconstruction[-1] < found.curve_reconstruction[0]
    assert found.curve_loss[-1] == pytest.approx(found.negative_elbo, abs=0.1)
    check_pictures(found, NETWORK["sizes"])
