"""The tasks that check claims and train networks."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import mcr2_landscape.claims
import mcr2_landscape.training
from mcr2_landscape import InputError, Verdict
from mcr2_landscape.certify import CertificateError
from mcr2_landscape.claims import load
from mcr2_landscape.claims.registry import Registry
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


SMALL: dict[str, Any] = {"dim": 6, "width": 16, "depth": 1, "num_steps": 60, "num_samples": 120, "seed": 0}


def test_training_ends_below_the_maximum_of_its_problem(monkeypatch):
    found = train(**SMALL, loss="regularized")
    assert found.stopped == "finished"
    assert sum(found.class_sizes) == 120
    assert found.factor == pytest.approx(1.0)
    assert found.gap == pytest.approx(found.maximum - found.objective)
    assert found.scaled_gap == pytest.approx(found.gap)
    assert 0 <= found.end_gap <= found.gap
    assert found.history_step[-1] == 60
    assert found.history_loss[-1] < found.history_loss[0]
    assert found.similarity.shape == found.similarity_inputs.shape == (120, 120) == (len(found.similarity_classes),) * 2
    assert np.sum(found.density_weights) == pytest.approx(1.0)
    squares = sum(float(np.sum(np.square(own))) for own in found.singular_values)
    assert found.objective == pytest.approx(found.rate_reduction - 0.5 * found.regularization * squares)
    assert len(found.ideal_singular_values) == len(found.coherences) == len(found.end_ranks) == 10
    again = train(**SMALL, loss="regularized")
    assert (again.objective, again.history_loss) == (found.objective, found.history_loss)

    # A training that was cut short is a failure of its unit, not a result.
    right = mcr2_landscape.training.train_features

    def diverging(*arguments, **settings):
        result = right(*arguments, **settings)
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
