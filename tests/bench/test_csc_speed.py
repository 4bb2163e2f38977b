"""The script that times convolutional sparse coding gates its figures, and says what is not there to compare with."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import csc_speed as speed
from experiments.measured_rows import kept, line, status
from mcr2_landscape import csc

SIZE = 12


@pytest.fixture(autouse=True)
def few_atoms(monkeypatch):
    monkeypatch.setattr(speed, "ATOMS", 3)
    monkeypatch.setattr(speed, "KINDS", {"picture": 0.5, "noise": 0.5})
    # What the suite does without: the pictures come with scikit-image.
    pixels = np.random.default_rng(3).random((8, 1, SIZE, SIZE))
    monkeypatch.setattr(speed, "picture_patches", lambda size, *, names, channels: SimpleNamespace(images=pixels))


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (4, 0), (5, 2)])
def test_the_matrix_is_the_dictionary(kernel, padding):
    dictionary, images, sparsity = speed.example(kernel, "noise", padding, size=SIZE)
    matrix = speed.explicit(dictionary, (SIZE, SIZE))
    codes = np.random.default_rng(1).standard_normal((1, *dictionary.code_shape((SIZE, SIZE))))
    np.testing.assert_allclose(matrix @ codes.ravel(), np.ravel(dictionary.synthesize(codes, (SIZE, SIZE))), atol=1e-12)
    found = csc.duality_gap(dictionary, images, codes, sparsity=sparsity)
    value, gap = speed.certified(matrix, images[0], codes, sparsity)
    assert value == pytest.approx(found.objective[0])
    assert gap > 0.1, "which these codes are from a solution"


def test_solutions_are_gated_on_a_gap_by_numpy(monkeypatch):
    monkeypatch.setattr(speed.jax, "clear_caches", lambda: None)
    time, anew, limit, *_ = speed.solve_rows(1, (3,), SIZE)
    assert kept(time)
    assert kept(anew)
    assert limit["found"].median > 0
    real = csc.solve

    def off(*arguments, **options):
        found = real(*arguments, **options)
        return dataclasses.replace(found, codes=1.01 * found.codes)

    monkeypatch.setattr(speed.csc, "solve", off)
    rows = speed.solve_rows(1, (3,), SIZE) + speed.batch_rows(1, (1,), 3, SIZE)
    assert all("WRONG" in line(row) for row in rows if row["most"] is not None)
    assert status(rows) == 1


def test_flops_are_those_of_steps_and_factorizations():
    dictionary, images, sparsity = speed.example(3, "noise", 1, size=SIZE)
    flops, found = speed.arithmetic(lambda: csc.solve(dictionary, images, sparsity=sparsity, max_newton_steps=0), 3, SIZE**2)
    assert flops == 4 * 3 * 9 * SIZE**2 * found.steps[0]
    more, _ = speed.arithmetic(lambda: csc.solve(dictionary, images, sparsity=sparsity, max_steps=0), 3, SIZE**2)
    assert more > 0


def test_batches_are_counted_by_image():
    rows = speed.batch_rows(1, (1, 2), 3, SIZE)
    assert all(map(kept, rows))


def test_other_libraries_count_with_the_same_objective_alone(monkeypatch):
    def prepared(matrix, image, sparsity, dictionary, *, part=1.0):
        codes = csc.solve(dictionary, image[None], sparsity=sparsity, gap=speed.GAP).codes.ravel()
        return lambda: part * codes

    peers = {
        "same": ("numpy", "", prepared),
        "off": ("numpy", "", lambda *arguments: prepared(*arguments, part=1.1)),
        "absent": ("no_such_module", "pip install it", prepared),
        "scikit-learn": speed.PEERS["scikit-learn"],
    }
    monkeypatch.setattr(speed, "PEERS", peers)
    ours, same, off, absent, lasso = speed.peer_rows(1, 3, "noise", SIZE)
    assert ours["right"]
    assert same["found"].median > 0
    assert lasso["found"].median > 0, "scikit-learn's coordinate descent is an oracle"
    assert off["found"] is None
    assert "not timed" in off["note"]
    assert absent["found"] is None
    assert "pip install it" in line(absent)
    assert status([ours, absent]) == 2


@pytest.mark.filterwarnings("ignore")  # other libraries'
@pytest.mark.parametrize(("name", "within"), [("celer", speed.SAME), ("sporco", 1e-3)])
def test_they_are_called_as_they_want(name, within):
    module, _, prepared = speed.PEERS[name]
    pytest.importorskip(module)
    dictionary, images, sparsity = speed.example(3, "noise", 0, size=SIZE)
    matrix = speed.explicit(dictionary, (SIZE, SIZE))
    value, _ = speed.certified(matrix, images[0], prepared(matrix, images[0], sparsity, dictionary)(), sparsity)
    least = csc.solve(dictionary, images, sparsity=sparsity).objective[0]
    assert value == pytest.approx(least, rel=within)
