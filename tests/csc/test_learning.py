"""Dictionary learning: the objective never rises, runs go on as if they had not stopped, dead atoms."""

from __future__ import annotations

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape import InputError, csc
from mcr2_landscape.csc import atom_moves
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.testing import seeds

from . import problems


def images(seed, count=3):
    random = np.random.default_rng(seed)
    atoms = problems.unit_atoms(random, 4, 1, 3, 3)
    z = random.standard_normal((count, 4 * 9 * 8)) * (random.random((count, 4 * 9 * 8)) < 0.05)
    return (z @ problems.dense(atoms, 1, 1, (9, 8)).T).reshape(count, 1, 9, 8)


def total(x, found, sparsity, ridge):
    D = problems.dense(np.asarray(found.dictionary.atoms), 1, 1, (9, 8))
    return sum(problems.value(D, image, z, sparsity, ridge) for image, z in zip(x, found.codes, strict=True))


def learned(x, **changes):
    given = {"sparsity": 0.05, "padding": 1, "key": 1, "max_alternations": 6, "tolerance": 0.0, "code_steps": 5} | changes
    return csc.learn_dictionary(x, 4, 3, **given)


@settings(max_examples=5)
@given(
    seed=seeds(),
    sparsity=st.floats(-3, 1).map(lambda e: 10**e),
    program=st.sampled_from([(0.0, False), (0.5, True)]),
    scale=st.floats(-4, 4),
)
def test_the_objective_never_rises(seed, sparsity, program, scale):
    ridge, nonnegative = program
    x = 10**scale * images(seed)
    found = learned(x, sparsity=sparsity * 10**scale, ridge=ridge, nonnegative=nonnegative)
    assert found.first_increase is None
    assert len(found.objective) == 7
    assert found.objective[0] == pytest.approx(0.5 * np.sum(x**2))
    assert found.objective[-1] == pytest.approx(total(x, found, sparsity * 10**scale, ridge), rel=1e-10)
    np.testing.assert_allclose(np.sum(np.asarray(found.dictionary.atoms) ** 2, axis=(1, 2, 3)), 1, rtol=1e-13)


def test_it_learns():
    x = images(0, 3)
    found = learned(x, max_alternations=30)
    assert found.objective[-1] < 0.6 * found.objective[1]
    assert found.reconstruction < 0.2
    assert 0 < found.active < 0.3
    assert found.stopped == "max_alternations"
    short = learned(x, tolerance=0.05, max_alternations=40)
    assert short.stopped == "tolerance"
    assert short.alternations < 40
    assert learned(x, max_seconds=1e-9, max_alternations=40).stopped == "max_seconds"


def test_a_step_that_is_too_long_raises_the_objective_and_is_caught():
    found = learned(images(2), max_alternations=3)
    x, codes, atoms = images(2), found.codes, found.state.atoms
    dictionary = csc.ConvDictionary(atoms, 1, 1)
    # D z is linear in the atoms: its matrix, column by column
    size = atoms.size
    moves = np.eye(size).reshape(size, *atoms.shape)
    columns = [np.concatenate([problems.dense(move, 1, 1, (9, 8)) @ z for z in codes.reshape(3, -1)]) for move in moves]
    curvature = np.linalg.norm(np.stack(columns), 2) ** 2
    gradient = np.asarray(
        atom_moves.atom_gradient(jnp.asarray(atoms), jnp.asarray(codes), jnp.asarray(x), dictionary.geometry, True)
    )
    np.testing.assert_allclose(
        gradient.ravel(), np.stack(columns) @ (np.stack(columns).T @ atoms.ravel() - x.ravel()), atol=1e-10
    )

    def history(step, start):
        w, z, values = start, codes, []
        for _ in range(4):
            own = csc.ConvDictionary.normalized(w, 1, 1)
            values.append(csc.objective(own, x, z, sparsity=0.05).sum())
            slope = np.asarray(atom_moves.atom_gradient(jnp.asarray(w), jnp.asarray(z), jnp.asarray(x), own.geometry, True))
            w, z = atom_moves.to_sphere(atom_moves.into_ball(w - step * slope), w, z)
        return values

    disturbed = problems.unit_atoms(np.random.default_rng(3), *atoms.shape)
    assert csc.first_increase(history(1 / curvature, disturbed)) is None
    assert csc.first_increase(history(10 / curvature, disturbed)) is not None
    assert csc.first_increase([3.0, 2.0, float("nan")]) == 2
    assert csc.first_increase([3.0, 3.0, 2.0, 2.5]) == 3


def test_a_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    x, path = images(4), tmp_path / "learning.npz"
    whole = learned(x)
    first = learned(x, max_alternations=2, checkpoint=path)
    assert first.alternations == 2
    for rest in (learned(x, state=first.state, key=None), learned(x, checkpoint=path, key=None)):
        np.testing.assert_array_equal(rest.objective, whole.objective)
        np.testing.assert_array_equal(rest.codes, whole.codes)
        np.testing.assert_array_equal(rest.dictionary.atoms, whole.dictionary.atoms)
    stored = csc.load_state(path)
    assert stored is not None
    assert stored.alternations == 6
    with pytest.raises(InputError, match="state: is of other images"):
        learned(x, state=first.state, sparsity=0.06)
    with pytest.raises(InputError, match=r"learning\.npz: is of other images"):
        learned(x, checkpoint=path, sparsity=0.06)
    # The key is known, whatever form it has, and so are atoms that a run began with; without one it is gone on from.
    for other in (2, jax.random.key(1), np.random.default_rng(2)):
        with pytest.raises(InputError, match=r"^key: found another one than checkpoint .*learning\.npz began with; give that"):
            learned(x, checkpoint=path, key=other)
    with pytest.raises(InputError, match=r"^key: found another one than state began with"):
        learned(x, state=first.state, key=2)
    atoms = csc.ConvDictionary.random(4, 3, padding=1, key=1)
    with pytest.raises(InputError, match=r"^start: found another one than state began with"):
        learned(x, state=first.state, start=atoms, key=None)
    begun = learned(x, start=atoms, key=None, max_alternations=0)
    assert learned(x, start=atoms, key=None, state=begun.state, max_alternations=1).alternations == 1
    assert learned(x, checkpoint=path, key=np.random.default_rng(1)).alternations == 6
    # A state beside the file of its own run: the one further on counts. Beside that of another run, nothing is written.
    assert learned(x, state=first.state, checkpoint=path, max_alternations=3).alternations == 6
    kept, other = path.read_bytes(), learned(x, key=2, max_alternations=2)
    with pytest.raises(InputError, match=r"learning\.npz: holds another run than state"):
        learned(x, state=other.state, checkpoint=path, key=None)
    assert path.read_bytes() == kept
    for call in (lambda: csc.save_state(stored, 3), lambda: csc.load_state(3)):  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"path: found int; pass the path of an \.npz file"):
            call()
    for content in (kept[:200], kept[: len(kept) // 2], b"", _npy(codes=stored.codes), _npz(stored, codes=stored.codes[0])):
        path.write_bytes(content)
        with pytest.raises(
            InputError, match=r"checkpoint .*learning.npz: is no complete state of dictionary learning .* remove"
        ):
            learned(x, checkpoint=path)
        assert path.read_bytes() == content


def _npy(codes):
    content = io.BytesIO()
    np.save(content, codes)
    return content.getvalue()


def _npz(state, **changes):
    content = io.BytesIO()
    np.savez(content, **{**vars(state), **changes})
    return content.getvalue()


def test_a_file_that_cannot_be_written_is_noticed_before_the_work(tmp_path):
    def never(*call):
        raise AssertionError("an alternation was made")

    for path, message in ((tmp_path, "is a directory"), (tmp_path / "no" / "a.npz", "does not exist"), (3, "found int; pass")):
        with pytest.raises(InputError, match=f"checkpoint.*{message}"):
            learned(images(0), checkpoint=path, progress=never)


def test_the_time_that_is_left_is_told_before_an_alternation_is_made():
    told = []

    class Told(Progress):
        def update(self, done, good):
            told.append(done)

        def expect(self, seconds, doing="", *, whole=True):
            told.append(seconds)

    learned(images(7), max_alternations=2, progress=Told(0), code_steps=20)
    assert told.index(1) > 0
    assert all(seconds > 0 for seconds in told[: told.index(1)])
    assert told[-2:] == [2, 0.0]


def test_an_interruption_keeps_what_was_reached():
    def stop(done, *_):
        if done == 2:
            raise KeyboardInterrupt

    found = learned(images(5), progress=stop)
    assert found.stopped == "interrupted"
    assert found.alternations == 2


def _longest(x):
    """The largest ‖w‖² of windows w of 3 × 3 pixels, with padding 1."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return max(np.sum(padded[:, :, i : i + 3, j : j + 3] ** 2, axis=(1, 2, 3)).max() for i in range(9) for j in range(8))


def test_dead_atoms_are_named_and_replaced_at_no_cost(tmp_path):
    x = images(6)
    # nonnegative codes of atoms that never point along what is left: dead from the start
    start = csc.ConvDictionary.normalized(-np.abs(np.random.default_rng(0).standard_normal((4, 1, 3, 3))), 1, 1)
    dark = {"nonnegative": True, "start": start, "key": None}
    kept = learned(np.abs(x), replace_dead=False, **dark)
    assert kept.dead == (0, 1, 2, 3)
    assert np.ptp(kept.objective) == 0
    found = learned(np.abs(x), **dark)
    assert found.replaced >= 4
    assert found.first_increase is None
    assert found.objective[1] == found.objective[0]  # replacing costs nothing
    assert found.objective[-1] < 0.9 * found.objective[0]
    # They lower the objective in the next alternation only, before which no tolerance ends it, a run that is resumed included.
    begun = learned(np.abs(x), **dark, max_alternations=1, checkpoint=tmp_path / "begun.npz").state
    for rest in (None, begun, csc.load_state(tmp_path / "begun.npz")):
        ended = learned(np.abs(x), **dark, tolerance=0.3, state=rest)
        assert (ended.stopped, ended.alternations) == ("tolerance", 3)
        np.testing.assert_array_equal(ended.objective, found.objective[:4])
    # Where no window is longer than λ, no direction brings an atom to life, and none is given.
    beyond = learned(x, sparsity=1.01 * np.sqrt(_longest(x)), tolerance=1e-4)
    assert (beyond.stopped, beyond.alternations, beyond.replaced) == ("tolerance", 1, 0)
    within = learned(x, sparsity=0.99 * np.sqrt(_longest(x)), tolerance=1e-4)
    assert within.replaced
    assert len(within.dead) < 4
    # an atom that has gone to zero keeps its direction, without its code
    atoms, codes = atom_moves.to_sphere(0 * kept.state.atoms, kept.state.atoms, np.ones((1, 4, 9, 8)))
    np.testing.assert_allclose(atoms, kept.state.atoms, atol=1e-15)
    assert not codes.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": None}, "key: found None"),
        ({"sparsity": 0}, "sparsity: found 0"),
        ({"tolerance": -1}, "tolerance: found -1"),
        ({"code_steps": 0}, "code_steps: found 0"),
        ({"max_seconds": 0}, "max_seconds: found 0"),
        ({"replace_dead": 2}, "replace_dead: found 2"),
        ({"state": 3}, "state: found int"),
        ({"start": np.ones(3)}, "start: found ndarray"),
        ({"start": csc.ConvDictionary.random(4, 3, padding=1, key=0)}, "key: found one beside start, where it draws nothing"),
        ({"start": csc.ConvDictionary.random(3, 3, key=0)}, r"start: found atoms of shape \(3, 1, 3, 3\)"),
        ({"padding": -1}, "padding: found -1"),
        ({"x": [[[[1.0, 2.0], [3.0]]]]}, "images: cannot be read as an array"),
        ({"checkpoint": "/nowhere/at/all.npz", "max_alternations": 0}, "checkpoint /nowhere/at/all.npz: the folder"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        learned(**({"x": images(0)} | changes))
