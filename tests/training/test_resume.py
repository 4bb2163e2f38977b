"""A training that is interrupted and resumed ends in the same bits as one that is not."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.errors import InputError
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.pace import Pace
from mcr2_landscape.training import Stopped, checkpoint, fingerprint, fit

from .problems import NUM_STEPS, OPTIONS, Net, Scaled, bits, data, loss

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def chunks(lengths):
    """Chunks of these lengths, over and over, instead of those that the clock decides."""
    lengths, state = list(lengths), {"call": 0}

    def chunk(pace, seconds_left):
        state["call"] += 1
        return lengths[state["call"] % len(lengths)]

    with mock.patch.object(Pace, "chunk", chunk):
        yield


@pytest.fixture(scope="module")
def undisturbed():
    return bits(fit(Net(), loss, data(), **OPTIONS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    fit(Net(), loss, data(), **{**OPTIONS, "num_steps": 4}, checkpoint=folder, configuration={"width": 4})
    return folder


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    fit(Net(), loss, data(), **{**OPTIONS, "num_steps": 4}, checkpoint=folder)
    return (folder / checkpoint.NAME).read_bytes()


def stopping_at(steps, folder, **changes):
    """Train to each of the steps and stop there, each time as a new session."""
    result = None
    for step in steps:
        wanted = {"stop": lambda status, step=step: status.step >= step}
        result = fit(Net(), loss, data(), **{**OPTIONS, **changes}, checkpoint=folder, resume=True, **wanted)
        assert result.stopped is (Stopped.REQUESTED if step < NUM_STEPS else Stopped.FINISHED)
    return result


class TestSameBits:
    @settings(max_examples=15)
    @given(
        st.sets(st.integers(1, NUM_STEPS - 1), max_size=4),
        st.lists(st.integers(1, 9), min_size=1, max_size=5),
        st.integers(1, 9),
    )
    def test_wherever_it_was_stopped_and_however_it_was_cut_into_chunks(self, undisturbed, steps, lengths, every):
        with tempfile.TemporaryDirectory() as folder, chunks([1]):
            stopping_at(sorted(steps), folder)
            with chunks(lengths):
                result = fit(Net(), loss, data(), **OPTIONS, checkpoint=folder, resume=True, checkpoint_every=every)
        assert result.resumed_from == (max(steps) if steps else None)
        assert bits(result) == undisturbed

    def test_one_chunk_or_many(self, undisturbed):
        for lengths in ([1], [NUM_STEPS], [2, 7]):
            with chunks(lengths):
                assert bits(fit(Net(), loss, data(), **OPTIONS)) == undisturbed

    def test_more_steps_later_are_the_steps_that_would_have_come(self, undisturbed, tmp_path):
        first = fit(Net(), loss, data(), **{**OPTIONS, "num_steps": 10}, checkpoint=tmp_path)
        assert first.history["step"].tolist() == [1, 3, 6, 9, 10]
        result = fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, resume=True)
        assert result.history["step"].tolist() == [1, 3, 6, 9, 12, 15, 18, 21, 23]
        assert bits(result) == undisturbed
        again = fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, resume=True)
        assert (again.resumed_from, again.stopped) == (NUM_STEPS, Stopped.FINISHED)
        assert bits(again) == undisturbed

    def test_whatever_the_process_has_set_for_64_bit_mode(self, undisturbed):
        for mode in (False, True):
            with jax.enable_x64(mode):
                result = fit(Net(), loss, data(), **OPTIONS)
                assert {leaf.dtype for leaf in jax.tree.leaves(result.optimizer_state)} == {
                    np.dtype("float32"),
                    np.dtype("int32"),
                }
                assert bits(result) == undisturbed

    @pytest.mark.parametrize(
        "optimizer",
        [
            optax.chain(optax.add_noise(0.1, 0.5, 3), optax.sgd(1e-2, momentum=0.9)),  # holds a random key
            optax.chain(optax.adamw(optax.cosine_decay_schedule(1e-2, 30)), optax.contrib.reduce_on_plateau(patience=2)),
        ],
        ids=["noise", "plateau"],
    )
    def test_other_optimizers(self, optimizer, tmp_path):
        whole = fit(Net(), loss, data(), **{**OPTIONS, "optimizer": optimizer})
        with chunks([4]):
            assert bits(stopping_at([4, NUM_STEPS], tmp_path, optimizer=optimizer)) == bits(whole)

    def test_an_optimizer_that_evaluates_the_loss_itself(self):
        result = fit(Net(), loss, data(), **{**OPTIONS, "optimizer": optax.lbfgs(), "batch_size": None, "num_steps": 12})
        assert result.loss < 0.5 * result.history["loss"][0]

    @pytest.mark.parametrize("what", ["parameters", "optimizer", "step"])
    def test_what_is_lost_is_seen(self, undisturbed, tmp_path, what):
        """The planted violation: a part of the state comes back as it was at the beginning."""
        fit(Net(), loss, data(), **{**OPTIONS, "num_steps": 10}, checkpoint=tmp_path)
        restore = checkpoint.restore

        def forgetful(found, template):
            return restore(found, template)._replace(**{what: getattr(template, what)})

        with mock.patch.object(checkpoint, "restore", forgetful):
            assert bits(fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, resume=True)) != undisturbed


KILLED = """
import sys
from tests.training.problems import OPTIONS, Net, bits, data, loss
from mcr2_landscape.training import fit

def say(status):
    print(status.step, flush=True)

options = {**OPTIONS, "num_steps": int(sys.argv[2])}
fit(Net(), loss, data(), **options, checkpoint=sys.argv[1], resume=True, checkpoint_every=1, progress=say)
"""


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=[pytest.mark.slow, pytest.mark.timeout(120)])])
def test_killed_at_random_times(user_environment, tmp_path, kills):
    """A process that writes a checkpoint at every step and gets SIGKILL somewhere, often in the middle of writing one."""
    steps, wait = 100 + 150 * kills, random.Random(7)
    words = [sys.executable, "-c", KILLED, str(tmp_path), str(steps)]
    environment = {**user_environment, "PYTHONPATH": str(ROOT)}
    reached = []
    while True:
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            first = process.stdout.readline()
            reached.append(int(first) if first else steps)
            if len(reached) > kills:
                process.communicate()
                break
            time.sleep(wait.uniform(0.0, 0.2))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert process.returncode == 0
    assert reached == sorted(set(reached)), "every session went on from where an earlier one was"
    assert reached[-1] > 4
    result = fit(Net(), loss, data(), **{**OPTIONS, "num_steps": steps}, checkpoint=tmp_path, resume=True)
    assert result.resumed_from == steps
    assert bits(result) == bits(fit(Net(), loss, data(), **{**OPTIONS, "num_steps": steps}))
    assert not list(tmp_path.glob(".*")), "what the killed ones left was removed"


class TestOneWriter:
    """Two trainings in one folder."""

    def test_another_process_is_refused_until_it_is_gone(self, user_environment, tmp_path):
        left = tmp_path / f".{checkpoint.NAME}.other.part"
        words = [sys.executable, "-c", KILLED, str(tmp_path), "100000000"]
        environment = {**user_environment, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout.readline()
            left.write_text("may be on its way")
            for resume in (False, True):
                with pytest.raises(InputError, match=f"another run writes to it .process {process.pid} on "):
                    fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, resume=resume)
            assert left.exists()
            process.kill()
            process.communicate()
        with pytest.raises(InputError, match="holds a training already"):
            fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path)
        assert not left.exists()

    def test_a_checkpoint_that_came_meanwhile_is_seen(self, content, tmp_path):
        acquire = FolderLock.acquire

        def late(lock):
            (tmp_path / checkpoint.NAME).write_bytes(content)
            acquire(lock)

        with mock.patch.object(FolderLock, "acquire", late), pytest.raises(InputError, match="holds a training already"):
            fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path)
        assert (tmp_path / checkpoint.NAME).read_bytes() == content
        assert FolderLock(tmp_path, "training", "solvers").holder() is None

    def test_it_is_let_go_of_unless_it_is_the_caller_s(self, tmp_path):
        mine = FolderLock(tmp_path, "training", "solvers")
        few = {**OPTIONS, "num_steps": 4}
        fit(Net(), loss, data(), **few, checkpoint=tmp_path, lock=mine)
        assert mine.held
        with pytest.raises(InputError, match="another run writes"):
            fit(Net(), loss, data(), **few, checkpoint=tmp_path, resume=True)
        fit(Net(), loss, data(), **few, checkpoint=tmp_path, resume=True, lock=mine)
        mine.release()
        for _ in range(2):
            fit(Net(), loss, data(), **few, checkpoint=tmp_path, resume=True)


class TestRefused:
    """Every difference that would lead to other bits is found, and said."""

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"optimizer": optax.adam(2e-2)}, "what is computed"),
            ({"optimizer": optax.sgd(1e-2)}, "the kind of optimizer"),
            ({"key": 6}, "the key"),
            ({"batch_size": 5}, r"batch_size \(4, now 5\)"),
            ({"batch_size": None}, r"batch_size \(4, now None\)"),
            ({"record_every": 4}, r"record_every \(3, now 4\)"),
            ({"precision": "float64"}, r"precision \(float32, now float64\)"),
            ({"configuration": {"width": 5}}, r"width \(4, now 5\)"),
            ({"configuration": None}, r"width \(4, now None\)"),
            ({"num_steps": 3}, "holds 4 steps"),
            ({"resume": False}, "holds a training already"),
        ],
    )
    def test_options(self, folder, changes, says):
        given = {**OPTIONS, "num_steps": 4, "configuration": {"width": 4}, "resume": True, **changes}
        with pytest.raises(InputError, match=says):
            fit(Net(), loss, data(), **given, checkpoint=folder)

    def test_another_loss_data_or_model(self, folder):
        given = {**OPTIONS, "num_steps": 4, "configuration": {"width": 4}, "resume": True, "checkpoint": folder}

        def other(model, batch, key):
            value, metrics = loss(model, batch, key)
            return 1.5 * value, metrics

        with pytest.raises(InputError, match="the loss"):
            fit(Net(), other, data(), **given)
        with pytest.raises(InputError, match="what differs is the data"):
            fit(Net(), loss, data(2), **given)
        wider = eqx.tree_at(lambda net: net.offset, Net(), jnp.arange(1, 5, dtype=jnp.int32))
        with pytest.raises(InputError, match="what differs is the model's shape or its fixed arrays;"):
            fit(wider, loss, data(), **given)

    def test_other_initial_parameters(self, folder):
        given = {**OPTIONS, "num_steps": 4, "configuration": {"width": 4}, "resume": True, "checkpoint": folder}
        with pytest.raises(InputError, match="what differs is the initial parameters;"):
            fit(Net(1), loss, data(), **given)

    def test_another_number_in_a_loss_of_the_same_name(self, tmp_path):
        def weighted(weight):
            return lambda model, batch, key: weight * loss(model, batch, key)[0]

        for make, says in ((weighted, "what is computed"), (lambda w: Scaled(np.asarray(w)), "the loss")):
            folder = tmp_path / says
            fit(Net(), make(1.0), data(), **{**OPTIONS, "num_steps": 2}, checkpoint=folder)
            fit(Net(), make(1.0), data(), **{**OPTIONS, "num_steps": 2}, checkpoint=folder, resume=True)
            with pytest.raises(InputError, match=says):
                fit(Net(), make(2.0), data(), **{**OPTIONS, "num_steps": 2}, checkpoint=folder, resume=True)

    def test_other_versions_or_devices_are_noted(self, tmp_path):
        with mock.patch.object(fingerprint, "versions", return_value={"jax": "0.0.1"}):
            fit(Net(), loss, data(), **{**OPTIONS, "num_steps": 4}, checkpoint=tmp_path)
        result = fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, resume=True)
        assert result.step == NUM_STEPS
        assert "jax 0.0.1, now" in result.notes[0]
        assert "the same bits are not promised" in result.notes[0]
        again = fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, resume=True)
        assert again.notes == result.notes

    def test_resume_needs_a_folder_and_begins_where_there_is_nothing(self, tmp_path):
        with pytest.raises(InputError, match="nothing to go on from"):
            fit(Net(), loss, data(), **OPTIONS, resume=True)
        result = fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path / "new" / "folder", resume=True)
        assert result.resumed_from is None
        with pytest.raises(InputError, match="give a folder"):
            fit(Net(), loss, data(), **OPTIONS, checkpoint="")
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be made"):
            fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path / "file")


class TestDamage:
    def refused(self, content, says="."):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / checkpoint.NAME
            path.write_bytes(content)
            with pytest.raises(InputError, match=says) as found:
                checkpoint.read(path)
            assert str(path) in str(found.value)

    @given(st.data())
    def test_one_changed_byte(self, content, drawn):
        place = drawn.draw(st.one_of(st.integers(0, 120), st.integers(0, len(content) - 1)))
        value = drawn.draw(st.integers(0, 255).filter(lambda value: value != content[place]))
        self.refused(content[:place] + bytes([value]) + content[place + 1 :])

    @given(st.data())
    def test_cut_off(self, content, drawn):
        self.refused(content[: drawn.draw(st.integers(0, len(content) - 1))])

    def test_what_is_said(self, content, tmp_path):
        self.refused(content[:-1], "damaged or cut off")
        self.refused(content[:20], "cut off")
        self.refused(b"", "is no checkpoint")
        self.refused(b"PK\x03\x04 something else", "is no checkpoint")
        self.refused(content.replace(b"\n1\n", b"\n2\n", 1), "has the format 2")
        with pytest.raises(InputError, match="cannot be read"):
            checkpoint.read(tmp_path / "nowhere")
        path = tmp_path / checkpoint.NAME
        path.write_bytes(content)
        with pytest.raises(InputError, match="another shape"):
            checkpoint.restore(checkpoint.read(path), (jnp.zeros(3),))

    def test_types_that_numpy_lacks_come_back(self, tmp_path):
        state = (jnp.arange(3, dtype=jnp.bfloat16), jax.random.key(3), jnp.asarray(7, dtype=jnp.int32), jnp.zeros((0, 2)))
        checkpoint.write(tmp_path / checkpoint.NAME, state, {"step": np.arange(2)}, {"step": 2})
        found = checkpoint.read(tmp_path / checkpoint.NAME)
        back = checkpoint.restore(found, state)
        assert back[0].dtype == jnp.bfloat16
        assert (jax.random.key_data(back[1]) == jax.random.key_data(state[1])).all()
        assert [leaf.shape for leaf in back] == [leaf.shape for leaf in state]
        assert found.history["step"].tolist() == [0, 1]

    def test_the_earlier_checkpoint_stays_where_the_new_one_cannot_be_written(self, content, tmp_path):
        path = tmp_path / checkpoint.NAME
        path.write_bytes(content)
        with (
            mock.patch.object(os, "replace", side_effect=OSError("no space left")),
            pytest.raises(InputError, match="no space"),
        ):
            checkpoint.write(path, (jnp.zeros(3),), {}, {})
        assert path.read_bytes() == content
        assert [file.name for file in tmp_path.iterdir()] == [checkpoint.NAME]
