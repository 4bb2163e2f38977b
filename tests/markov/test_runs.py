"""Every method can be stopped and gone on with, to the same bits, and takes no checkpoint but its own."""

import json
import shutil
import signal

import numpy as np
import pytest

from mcr2_landscape import files, markov
from mcr2_landscape.markov import runs
from mcr2_landscape.validation import InputError

STEPS, EVERY, BLOCK = 60, 10, 7
GAME, OTHER = markov.routing_game(), markov.routing_game(slopes=(2, 5))


def q_learning(game=GAME, steps=STEPS, **settings):
    settings = {"key": 3, "num_seeds": 5, "record_every": EVERY, **settings}
    return markov.independent_q_learning(game, num_steps=steps, **settings)


def learn(game=GAME, steps=STEPS, **settings):
    settings = {"key": 3, "num_seeds": 5, "record_every": EVERY, **settings}
    return markov.learn(game, num_steps=steps, **settings)


def gradient(game=GAME, steps=STEPS, **settings):
    settings = {"step_size": 0.01, "record_every": EVERY, "key": 1, **settings}
    return markov.independent_policy_gradient(game, steps, **settings)


def projected(game=GAME, steps=STEPS, **settings):
    return gradient(game, steps, kind="projected", **settings)


def play(game=GAME, steps=STEPS, **settings):
    return markov.fictitious_play(game, steps, **{"record_every": EVERY, **settings})


def believed(game=GAME, steps=STEPS, **settings):
    return play(game, steps, values="believed", **settings)


SEEDS, PATHS = (q_learning, learn), (gradient, projected, play, believed)


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch):
    monkeypatch.setattr(runs, "_PROCESSOR", runs.Room(512, BLOCK * 5 * 5, BLOCK * 5 * 5))


def arrays(found):
    """All that was recorded."""
    if isinstance(found, markov.QLearning):
        return (*found.q, *found.visits, found.steps)
    return (*found.policies, found.steps, *(found.recorded if isinstance(found, markov.History) else (found.nash_gap,)))


def same(one, other):
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


WHOLE = {}


def whole(run):
    """The run that nothing interrupts."""
    if run not in WHOLE:
        WHOLE[run] = run()
    return WHOLE[run]


def at(step, act):
    """A progress function that acts once, when so many steps are done or more."""
    once = []

    def progress(done, total, good):
        assert total == STEPS
        if done >= step and not once:
            once.append(done)
            act()

    return progress


def stop():
    signal.raise_signal(signal.SIGINT)


def fail():
    raise ZeroDivisionError


def twice():
    stop()
    stop()


@pytest.mark.parametrize("run", [*SEEDS, *PATHS])
def test_same_bits_interrupted_at_several_points(run, tmp_path):
    for step in (1, 10, 33, 54):
        found = run(checkpoint=tmp_path / str(step), progress=at(step, stop))
        reached = -(-step // BLOCK) * BLOCK if run in SEEDS else step
        assert found.interrupted
        assert found.num_steps == reached
        assert found.steps.tolist() == list(range(0, reached + 1, EVERY))
        for own, expected in zip(found.policies, whole(run).policies, strict=True):
            count = len(found.steps)
            assert np.array_equal(own, expected[:, :count] if run in SEEDS else expected[:count])
        resumed = run(checkpoint=tmp_path / str(step), resume=True)
        assert not resumed.interrupted
        assert same(resumed, whole(run))
    # interrupted again and again, by all that can
    calls, folder = [], tmp_path / "often"
    assert run(checkpoint=folder, progress=at(5, stop)).interrupted
    with pytest.raises(ZeroDivisionError):
        run(checkpoint=folder, resume=True, progress=at(20, fail))
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=folder, resume=True, progress=at(40, twice))
    assert same(run(checkpoint=folder, resume=True, progress=lambda done, *_: calls.append(done)), whole(run))
    assert calls[0] > 40, "it went on from where the others ended"
    assert calls[-1] == STEPS
    assert same(run(checkpoint=folder, resume=True), whole(run)), "and is not run again"
    assert sorted(path.name for path in folder.iterdir()) == ["holder.json", "learning.npz", "lock"]


@pytest.mark.parametrize("run", [q_learning, play])
def test_same_bits_after_a_kill_at_any_time(run, tmp_path):
    """The file as it is at some moment is all that a killed process leaves."""
    copies = []

    def copy(done, *_):
        if (tmp_path / "learning.npz").exists():
            copies.append(tmp_path / f"copy-{done}")
            copies[-1].mkdir()
            shutil.copy(tmp_path / "learning.npz", copies[-1])

    run(checkpoint=tmp_path, checkpoint_seconds=1e-9, progress=copy)
    assert len(copies) == (STEPS if run is play else -(-STEPS // BLOCK))
    for folder in copies[:: 1 if run is q_learning else 7]:
        assert same(run(checkpoint=folder, resume=True), whole(run))


@pytest.mark.parametrize("run", [q_learning, believed])
def test_more_steps_than_were_asked_for(run, tmp_path):
    run(checkpoint=tmp_path)
    more = run(steps=2 * STEPS, checkpoint=tmp_path, resume=True)
    assert same(more, run(steps=2 * STEPS))


@pytest.mark.parametrize(
    ("run", "arguments", "says"),
    [
        (q_learning, {}, "holds a run already; pass resume=True to go on with it, or another folder"),
        (q_learning, {"resume": True, "game": OTHER}, "what differs is game; pass what it was made with, or learn in another"),
        (q_learning, {"resume": True, "key": 4}, "what differs is key; pass"),
        (q_learning, {"resume": True, "num_seeds": 4}, r"what differs is num_seeds \(found 5, not 4\), key; pass"),
        (q_learning, {"resume": True, "exploration": 0.2}, r"differs is exploration \(found 0.1, not 0.2\); pass"),
        (q_learning, {"resume": True, "q_step": markov.power_step(1)}, "differs is q_step; pass"),
        (q_learning, {"resume": True, "record_every": 20}, r"differs is record_every \(found 10, not 20\); pass"),
        (q_learning, {"resume": True, "steps": 50}, r"num_steps: found 50, but .* holds 60 steps; pass at least as many"),
        (learn, {"resume": True}, "holds a run of independent_q_learning, not of learn; give another folder"),
        (play, {"resume": True}, "holds a run of independent_q_learning, not of fictitious_play; give another folder"),
        (gradient, {}, "holds a run already"),
        (gradient, {"resume": True, "game": OTHER}, "what differs is game; pass"),
        (gradient, {"resume": True, "step_size": 0.02}, r"differs is step_size \(found 0.01, not 0.02\); pass"),
        (projected, {"resume": True}, r"differs is kind \(found natural, not projected\); pass"),
        (gradient, {"resume": True, "key": 2}, "differs is start; pass"),
        (play, {"resume": True, "policy_step": markov.power_step(1)}, "differs is policy_step; pass"),
        (believed, {"resume": True}, r"differs is values \(found exact, not believed\), policy_step, value_step; pass"),
        (q_learning, {"resume": True, "checkpoint": None}, "resume: there is nothing to go on from; pass checkpoint="),
        (play, {"checkpoint": ""}, "checkpoint: found an empty name"),
        (gradient, {"checkpoint_seconds": 0}, "checkpoint_seconds: found 0"),
    ],
)
def test_what_is_refused(run, arguments, says, tmp_path):
    earlier = {gradient: gradient, projected: gradient, believed: play}
    made = play if "policy_step" in arguments else earlier.get(run, q_learning)
    made(checkpoint=tmp_path)
    before = (tmp_path / "learning.npz").read_bytes()
    with pytest.raises(InputError, match=says):
        run(**{"checkpoint": tmp_path, **arguments})
    assert (tmp_path / "learning.npz").read_bytes() == before


@pytest.mark.parametrize("run", [q_learning, gradient])
def test_a_damaged_checkpoint_is_refused(run, tmp_path):
    run(checkpoint=tmp_path, progress=at(33, stop))
    path = tmp_path / "learning.npz"
    good = path.read_bytes()

    def refused(content, says="damaged or is none .*; learn again in another folder, or restore the file"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=says):
            run(checkpoint=tmp_path, resume=True)
        assert path.read_bytes() == content

    for length in (0, 1, 100, len(good) // 2, len(good) - 1):
        refused(good[:length])
    refused(b"no archive at all")
    draw, found = np.random.default_rng(0), 0
    for place in (*draw.integers(len(good), size=12), *range(len(good) - 22, len(good), 4)):
        content = bytearray(good)
        content[place] ^= 1 << draw.integers(8)
        path.write_bytes(content)
        try:  # not every byte of an archive means something
            resumed, words = run(checkpoint=tmp_path, resume=True), ""
        except InputError as error:
            resumed, words = None, str(error)
        assert "damaged or is none" in words if resumed is None else same(resumed, whole(run))
        found += resumed is None
    assert found >= 10

    path.write_bytes(good)
    with np.load(path) as file:
        held = dict(file)
    header = json.loads(bytes(held["header"]))

    def planted(says="damaged or is none .*; learn again", words=None, **arrays):
        own = {**held, **arrays, "header": np.frombuffer(json.dumps({**header, **(words or {})}).encode(), dtype=np.uint8)}
        np.savez(path, **{name: array for name, array in own.items() if array is not None})
        refused(path.read_bytes(), says)

    name = next(name for name in held if name.startswith("present."))
    planted(**{name: None}, says=f"damaged or is none \\(no '{name}'\\)")
    planted(**{name: held[name].astype(np.float32)}, says=f"{name} is float32 of shape")
    planted(**{name: held[name][:1]}, says=rf"{name} is float64 of shape \(1, .*\), not float64 of shape")
    planted(**{name: np.array(0.0)})
    planted(words={"done": 43})
    planted(words={"done": -1})
    planted(words={"done": None})
    planted(words={"identity": []})
    planted(words={"format": 2}, says="has the format 2, newer than 1; update mcr2_landscape")
    np.save(tmp_path / "table.npy", np.zeros(3))
    refused((tmp_path / "table.npy").read_bytes())


@pytest.mark.parametrize("run", [q_learning, gradient])
def test_nothing_is_half_written(run, tmp_path, monkeypatch):
    run(checkpoint=tmp_path, progress=at(20, stop))
    before = (tmp_path / "learning.npz").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", lambda old, new: None if new.name == "holder.json" else full())
        with pytest.raises(InputError, match="No space left on device"):
            run(checkpoint=tmp_path, resume=True)
    assert (tmp_path / "learning.npz").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["holder.json", "learning.npz", "lock"]
    assert same(run(checkpoint=tmp_path, resume=True), whole(run))


def test_one_writer(tmp_path):
    def other():
        with pytest.raises(InputError, match="another run writes to it"):
            gradient(checkpoint=tmp_path, resume=True)

    assert not q_learning(checkpoint=tmp_path, progress=at(20, other)).interrupted


def test_an_interrupted_run_says_so():
    for run in (q_learning, gradient, play):
        found = run(progress=at(20, stop))
        assert found.reason.startswith(f"interrupted after {found.num_steps} steps; ")
        assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["interrupted"] is True
        assert "fixed point" not in found.reason
    found = q_learning(progress=at(1, stop))
    assert found.steps.tolist() == [0]
    assert found.nash_gap.shape == (5, 1)


def test_without_records_in_between(tmp_path):
    expected = q_learning(record_every=None)
    assert q_learning(record_every=None, checkpoint=tmp_path, progress=at(20, stop)).steps.tolist() == [0]
    assert same(q_learning(record_every=None, checkpoint=tmp_path, resume=True), expected)
    assert expected.steps.tolist() == [0, STEPS]


def test_seeds_go_on_in_other_groups(tmp_path, monkeypatch):
    q_learning(checkpoint=tmp_path, progress=at(20, stop))
    monkeypatch.setattr(runs, "_PROCESSOR", runs.Room(2, BLOCK * 5 * 6, BLOCK * 5 * 6))
    found = q_learning(checkpoint=tmp_path, resume=True)
    for own, expected in zip(arrays(found), arrays(whole(q_learning)), strict=True):
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-12)


def test_functions_that_differ_late_are_other_step_sizes():
    import jax.numpy as jnp

    plain = runs.step_identity("q_step", lambda n: 1 / n)
    assert plain == runs.step_identity("q_step", lambda n: 1.0 / n)
    for late in (5_000, 1_000_000):
        assert plain != runs.step_identity("q_step", lambda n, late=late: jnp.where(n > late, 1e-6, 1 / n))
