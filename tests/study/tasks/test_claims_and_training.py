"""The tasks that check claims and train networks."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mcr2_landscape.claims
import mcr2_landscape.training
from mcr2_landscape import MCR2, InputError, Verdict, closed_form
from mcr2_landscape.certify import CertificateError
from mcr2_landscape.claims import load
from mcr2_landscape.claims.registry import Registry
from mcr2_landscape.data import LabeledFeatures, digits
from mcr2_landscape.study.tasks import train as training_task
from mcr2_landscape.study.tasks.spheres import best_orthogonal
from mcr2_landscape.study.tasks.train import train
from mcr2_landscape.study.tasks.verify import verify
from mcr2_landscape.training import Stopped

# Training compiles, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(120)

PRINTED = "mcr2.local-maximizers.printed"


def test_a_refuted_claim_with_its_certificates():
    found = verify(claim=PRINTED)
    assert (found.verdict, found.evidence, found.expected, found.as_expected) == ("refuted", "certified", "refuted", True)
    assert found.num_cases == found.num_certificates == found.num_proved == 4
    assert len(found.part_name) == len(found.part_verdict) == len(found.part_summary) == 4
    assert found.counter_example
    assert found.form == "printed"
    with pytest.raises(InputError, match=r"mcr2\.local-maximizers\.printed"):
        verify(claim="mcr2.local-maximizer.printed")


def planted(monkeypatch, **changes):
    claim = dataclasses.replace(load().find(PRINTED), **changes)
    monkeypatch.setattr(mcr2_landscape.claims, "load", lambda: Registry((claim,), ()))


def test_planted_claims_are_seen_through(monkeypatch):
    planted(monkeypatch, expected=Verdict.HOLDS)
    assert verify(claim=PRINTED).as_expected is False
    planted(monkeypatch, expected=None)
    assert verify(claim=PRINTED).as_expected is None
    planted(monkeypatch, check="paper_checks.wang_2024.checks:no_such_check")
    with pytest.raises(RuntimeError, match="no_such_check"):
        verify(claim=PRINTED)


def test_a_certificate_of_something_else_proves_nothing(monkeypatch):
    from mcr2_landscape.claims import worker

    reply = worker.perform(load().find(PRINTED), "quick", {})  # pyright: ignore[reportArgumentType]
    swapped = dataclasses.replace(reply.certificates[0], case=reply.certificates[1].case)
    monkeypatch.setattr(worker, "perform", lambda *_: dataclasses.replace(reply, certificates=(swapped,)))
    with pytest.raises(CertificateError):
        verify(claim=PRINTED)


SMALL: dict[str, Any] = {
    "dim": 20,
    "width": 16,
    "depth": 1,
    "relative_regularization": 0.35,
    "num_steps": 60,
    "num_samples": 120,
    "seed": 0,
}


# Columns that mean what they mean in the results of a training.
SHARED = (
    "rate_reduction",
    "objective",
    "maximum",
    "gap",
    "relative_gap",
    "scale",
    "scaled_objective",
    "scaled_gap",
    "ranks",
    "family_value",
    "family_gap",
)


def training(**changes) -> dict[str, Any]:
    """The arguments of `train_features` for the task's."""
    settings = {"epsilon": 0.5, "learning_rate": 3e-3, "record_every": 1} | SMALL | changes
    count, seed = settings.pop("num_samples"), settings.pop("seed")
    data = digits()
    data = dataclasses.replace(data, features=data.features[:count], labels=data.labels[:count])
    return {"data": data, "key": seed} | settings


def counted(found: Any) -> tuple[int, ...]:
    """Directions by the singular values of the row, which are those at its factor."""
    p = MCR2(SMALL["dim"], found.class_sizes, 0.5, found.regularization).parameters
    middles = 1 / np.sqrt(p.alpha * p.alphas)
    pairs = zip(found.singular_values, middles, strict=True)
    return tuple(int((np.square(own) > middle).sum()) for own, middle in pairs)


def test_training_ends_below_the_maximum_of_its_problem(monkeypatch):
    found = train(**SMALL, loss="regularized")
    assert found.reason
    assert sum(found.class_sizes) == 120
    assert found.factor == pytest.approx(1.0)
    assert found.gap == pytest.approx(found.maximum - found.objective)
    assert 0 <= found.end_gap <= found.gap
    assert found.history_step[-1] == 60
    assert found.history_loss[-1] < found.history_loss[0]
    assert found.ranks == counted(found)
    # With a loss that sees the features' length, nothing is scaled but what says so.
    assert found.family_value is not None
    assert found.family_gap == pytest.approx(found.family_value - found.objective)
    assert found.scaled_gap < found.gap - 1e-4
    assert found.similarity.shape == found.similarity_inputs.shape == (120, 120) == (len(found.similarity_classes),) * 2
    assert np.sum(found.density_weights) == pytest.approx(1.0)
    squares = sum(float(np.sum(np.square(own))) for own in found.singular_values)
    assert found.objective == pytest.approx(found.rate_reduction - 0.5 * found.regularization * squares)
    assert len(found.ideal_singular_values) == len(found.coherences) == len(found.end_ranks) == 10
    # The same training gives the same result, under the same names.
    right = mcr2_landscape.training.train_features
    again = right(**training(loss="regularized"))
    assert tuple(again.training.history["loss"].tolist()) == found.history_loss
    for name in SHARED:
        assert getattr(again, name) == getattr(found, name), name

    # A training that was cut short is a failure of its unit, not a result.
    def diverging(*_, **__):
        result = again
        ended = dataclasses.replace(result.training, stopped=Stopped.DIVERGED, reason="the loss is not finite")
        return dataclasses.replace(result, training=ended)

    monkeypatch.setattr(mcr2_landscape.training, "train_features", diverging)
    with pytest.raises(RuntimeError, match="the loss is not finite"):
        train(**SMALL, loss="regularized")


def test_features_on_spheres_are_compared_where_the_objective_is_largest():
    found = train(**SMALL, loss="mcr2")
    assert found.factor != pytest.approx(1.0)
    assert found.scaled_gap < found.gap
    squares = sum(float(np.sum(np.square(own))) for own in found.singular_values)
    assert squares == pytest.approx(120 * found.factor**2, rel=1e-5)
    assert found.scale == pytest.approx(found.factor)
    assert found.ranks == counted(found)
    # Features of length one are on the spheres.
    assert found.rate_reduction_on_spheres == pytest.approx(found.rate_reduction, rel=1e-6)
    assert found.sphere_maximum is not None
    assert found.sphere_gap == pytest.approx(found.sphere_maximum - found.rate_reduction, rel=1e-6)
    assert found.sphere_maximum > found.rate_reduction
    result = mcr2_landscape.training.train_features(**training(loss="mcr2"))
    for name in SHARED:
        assert getattr(result, name) == getattr(found, name), name


@pytest.mark.parametrize(("dim", "sizes", "proved"), [(12, (4, 5, 6), False), (15, (4, 5, 6), True), (4, (1, 1, 8), False)])
def test_the_gap_on_spheres_is_to_the_best_orthogonal_classes(dim, sizes, proved):
    where = MCR2(dim, sizes, 0.5, 1.0)
    best = best_orthogonal(where.parameters)
    assert best is not None
    assert (sum(best.ranks) <= dim, best.proved) == (True, proved)
    # Columns of length one attain it: rotations of any orthogonal rows mix them until their columns are equally long.
    random, used = np.random.default_rng(0), 0
    Z = np.zeros(where.shape)
    for block, size, rank in zip(where.parameters.blocks(Z), sizes, best.ranks, strict=True):
        rows = np.linalg.qr(random.standard_normal((size, rank)))[0].T
        block[used : used + rank] = _equalized(rows) * np.sqrt(size / rank)
        used += rank
    np.testing.assert_allclose(np.linalg.norm(Z, axis=0), 1.0, atol=1e-9)
    assert closed_form.value(where.parameters, Z, regularized=False) == pytest.approx(best.value, abs=1e-9)

    def columns(Z):
        features = LabeledFeatures(Z.T, np.repeat(np.arange(len(sizes)), sizes), (), "planted", "float64")
        return training_task._spheres(SimpleNamespace(dim=len(Z), sizes=sizes, epsilon=0.5, regularization=1.0), features)

    assert columns(3 * Z)["sphere_gap"] == pytest.approx(0.0, abs=1e-9)
    assert columns(Z)["sphere_maximum_proved"] is proved
    Z[:, : sizes[0]] = 0
    assert (columns(Z)["rate_reduction_on_spheres"], columns(Z)["sphere_gap"]) == (None, None)
    few = columns(np.ones((2, sum(sizes))))
    assert (few["sphere_maximum"], few["sphere_maximum_proved"], few["sphere_gap"]) == (None, False, None)
    assert few["rate_reduction_on_spheres"] == pytest.approx(0.0, abs=1e-12)


def _equalized(rows: np.ndarray) -> np.ndarray:
    """Orthonormal rows of the same span as seen by other samples, in which all columns are equally long: pairs of columns, one
    too long and one too short, are rotated until one of them is right."""
    rows, goal = rows.copy(), rows.shape[0] / rows.shape[1]
    for _ in range(rows.shape[1]):
        lengths = np.sum(rows**2, axis=0)
        i, j = int(np.argmin(lengths)), int(np.argmax(lengths))
        if lengths[j] - lengths[i] < 1e-13:
            break
        a, b, c = lengths[i] - goal, float(rows[:, i] @ rows[:, j]), lengths[j] - goal
        tangent = (-b + np.sqrt(b * b - a * c)) / c  # a + 2bt + ct² = 0
        cosine, sine = 1 / np.hypot(1, tangent), tangent / np.hypot(1, tangent)
        rows[:, [i, j]] = rows[:, [i, j]] @ np.array([[cosine, -sine], [sine, cosine]])
    return rows
