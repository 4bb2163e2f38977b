"""`mcr2-landscape train`: what it writes, how it ends, and that it can be killed and gone on with."""

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import typing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mcr2_landscape.cli import main, rows
from mcr2_landscape.cli import train as command_module
from mcr2_landscape.cli import training as training_module
from mcr2_landscape.data import gaussian_subspaces
from mcr2_landscape.training.inputs import PRECISIONS
from mcr2_landscape.training.losses import LOSSES

QUICK = ["--dim", "6", "--width", "24", "--depth", "1"]
FILES = ["features.npz", "history.csv", "training.checkpoint", "training.json"]
LOCK = {"lock", "holder.json"}


def command(*words):
    return [sys.executable, "-m", "mcr2_landscape.cli", *words]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    found = gaussian_subspaces(key=3, dim=8, sizes=(16, 12, 20), ranks=(2, 2, 2), noise=0.05)
    path = tmp_path_factory.mktemp("data") / "x.npz"
    np.savez(path, features=found.features, labels=np.array(["a", "b", "c"])[found.labels])
    return str(path)


def train(data, out, *words, steps=200):
    return main(["train", data, "--out", str(out), *QUICK, "--steps", str(steps), *words])


def test_the_names_of_losses_and_precisions_are_the_library_s():
    hints = typing.get_type_hints(command_module.train)
    assert typing.get_args(hints["loss"]) == LOSSES
    assert typing.get_args(hints["precision"]) == PRECISIONS


@pytest.mark.parametrize(
    ("loss", "changes"),
    [("regularized", "--dim 10 --learning-rate 1e-5 --steps 1"), ("cross-entropy", "--dim 6 --learning-rate 1e-2 --steps 40")],
)
def test_what_it_says_is_a_sum_that_comes_out(data, tmp_path, capsys, loss, changes):
    """An under-trained network: "… more" is the difference to the F that was told last before it."""
    words = ["--loss", loss, *changes.split(), "--width", "24", "--depth", "1"]
    assert main(["train", data, "--out", str(tmp_path / "out"), *words]) == 0
    said = capsys.readouterr().out
    told = [float(word) for word in re.findall(r"F =\s+(-?[0-9.e+-]+[0-9])", said)]
    more = float(re.search(r", ([0-9.e+-]+) more\.", said)[1])
    assert len(told) == (2 if loss == "regularized" else 3)
    assert more == pytest.approx(told[-1] - told[-2], rel=0.005)


@pytest.mark.parametrize(
    ("maximum", "gap", "relative", "says"),
    [
        (2.0, 0.5, 0.25, "0.5 is missing to it, 25.00%."),
        (0.0, 0.5, float("nan"), "0.5 is missing to it."),
        (1e-24, 3.0, 3e24, "3 is missing to it."),
        (2.0, -0.5, -0.25, "that is 0.5 above it, which cannot be."),
    ],
)
def test_the_gap_in_words(maximum, gap, relative, says):
    assert training_module._gap(SimpleNamespace(maximum=maximum, gap=gap, relative_gap=relative)) == says


def test_what_it_writes_and_says_and_what_analyze_makes_of_it(data, tmp_path, capsys):
    out, loss = tmp_path / "a folder", "mcr2"
    assert train(data, out, "--loss", loss, "--seed", "3") == 0
    said = capsys.readouterr()
    assert sorted({file.name for file in out.iterdir()} - LOCK) == FILES
    for words in ("How it ended", "all 200 steps done", "the global maximum is", "Next"):
        assert words in said.out
    assert "\r" not in said.err, "nothing moves where no terminal is"
    with np.load(out / "features.npz") as stored:
        assert stored["features"].shape == (48, 6)
        assert stored["features"].dtype == np.float32
        assert set(stored["labels"]) == {"a", "b", "c"}
    plain = json.loads((out / "training.json").read_text())
    assert plain["schema"] == "mcr2_landscape/training"
    assert plain["provenance"]["seed"] == 3
    assert plain["configuration"]["loss"] == loss
    assert plain["configuration"]["num_steps"] == 200
    result = plain["result"]
    assert result["training"]["stopped"] == "finished"
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == result["training"]["history"]["step"]
    assert float(rows[-1]["loss"]) == result["training"]["loss"]
    # The command that it names is one that runs, and finds the same numbers.
    line = next(line for line in said.out.splitlines() if "mcr2-landscape analyze" in line)
    words = shlex.split(line.strip().removeprefix("- "))[1:]
    assert main([*words, "--no-ascent", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)["result"]
    assert found["rates"]["value"] == pytest.approx(result["scaled_objective"], abs=1e-6)
    assert found["target"]["value"] == pytest.approx(result["maximum"], abs=1e-9)


def test_a_folder_that_holds_a_training_is_not_overwritten(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert train(data, out) == 0
    before = {name: (out / name).read_bytes() for name in FILES}
    assert train(data, out) == 2
    assert "go on with that training (--resume), or give another folder" in capsys.readouterr().err
    assert train(data, out, "--resume", "--seed", "4") == 2
    assert "what differs is the key" in capsys.readouterr().err
    assert train(data, out, "--resume", steps=201) == 2
    assert "--steps (200, now 201)" in capsys.readouterr().err
    assert train(data, out, "--resume", "--batch", "16", "--epsilon", "0.6", "--regularization", "0.01") == 2
    assert "what differs is --batch (None, now 16), --epsilon (0.5, now 0.6), --regularization (" in capsys.readouterr().err
    assert {name: (out / name).read_bytes() for name in FILES} == before
    assert train(data, out, "--resume") == 0  # it is finished: the same comes out
    for name in ("features.npz", "training.checkpoint"):
        assert (out / name).read_bytes() == before[name]
    (out / "training.checkpoint").unlink()
    for words in ([], ["--resume"]):  # someone else's, perhaps
        assert train(data, out, *words) == 2
        assert "nothing to resume; give another folder" in capsys.readouterr().err


def test_messages_name_options_and_leave_the_folder_s_name_alone():
    folder = Path("x/num_steps")
    assert training_module.in_options(f"num_steps: found 3, but {folder} holds 4 steps; pass more", folder) == (
        f"--steps: found 3, but {folder} holds 4 steps; pass more"
    )
    said = training_module.in_options(f"{folder}: holds a training already; pass resume=True to go on with it", folder)
    assert said == f"{folder}: holds a training already; give --resume to go on with it"


def test_a_folder_that_another_process_trains_in(data, tmp_path, user_environment, capsys):
    out = tmp_path / "out"
    words = command("train", data, "--out", str(out), *QUICK, "--steps", "2000000")
    with subprocess.Popen(words, env=user_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (out / "holder.json").exists():
            time.sleep(0.05)
        for more in ([], ["--resume"]):
            assert train(data, out, *more) == 2
            complaint = capsys.readouterr().err
            assert f"error: training {out}: another run writes to it (process {process.pid} on " in complaint
        process.kill()
        process.communicate()
    assert train(data, out, "--resume", "--max-seconds", "1e-6", steps=2000000) == 0


def test_a_single_class_in_a_file(tmp_path, capsys):
    path = tmp_path / "one.npz"
    np.savez(path, features=np.eye(3), labels=np.zeros(3, dtype=np.int64))
    assert train(str(path), tmp_path / "out") == 2
    assert f"{path}): found the single class 0" in capsys.readouterr().err


def test_time_over_and_gone_on(data, tmp_path, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(data, whole) == 0
    assert train(data, parts, "--max-seconds", "1e-6") == 0
    said = capsys.readouterr().out
    assert "was over after 1 of 200 steps" in said
    assert "The same command with --resume goes on." in said
    assert train(data, parts, "--resume") == 0
    assert (parts / "features.npz").read_bytes() == (whole / "features.npz").read_bytes()


@pytest.mark.parametrize("loss", ["regularized", "mcr2"])
def test_a_training_that_diverges(data, tmp_path, capsys, loss):
    assert train(data, tmp_path / "out", "--loss", loss, "--learning-rate", "1e30") == 1  # and not 2
    said = capsys.readouterr().out
    for words in ("in step 2 of 200; the state before it was kept", "lower --learning-rate", "there is no features.npz"):
        assert words in said
    assert sorted({file.name for file in (tmp_path / "out").iterdir()} - LOCK) == FILES[1:]


def test_ctrl_c(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rows.StatusLine, "show", lambda line, words: signal.raise_signal(signal.SIGINT))
    assert train(data, tmp_path / "out") == 130
    said = capsys.readouterr().out
    assert "interrupted after 1 of 200 steps" in said
    assert "The same command with --resume goes on." in said

    def twice(line, words):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(rows.StatusLine, "show", twice)
    assert train(data, tmp_path / "out", "--resume") == 130
    assert "what the last checkpoint in" in capsys.readouterr().err
    monkeypatch.undo()
    assert train(data, tmp_path / "out", "--resume") == 0
    assert train(data, tmp_path / "whole") == 0
    assert (tmp_path / "out" / "features.npz").read_bytes() == (tmp_path / "whole" / "features.npz").read_bytes()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_a_terminal_shows_where_it_is_and_a_batch_system_s_signal_is_heard(data, tmp_path, user_environment):
    out = tmp_path / "out"
    read, write = os.openpty()
    words = command("train", data, "--out", str(out), *QUICK, "--steps", "2000000")
    environment = {**user_environment, "TERM": "xterm"}
    shown = b""
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=write, text=True) as process:
        os.close(write)
        asked = False
        try:
            while chunk := os.read(read, 65536):
                shown += chunk
                if not asked and b"steps/s" in shown:
                    process.send_signal(signal.SIGTERM)
                    asked = True
        except OSError:
            pass  # Linux says so when the other end is closed
        os.close(read)
        said, _ = process.communicate()
    assert process.returncode == 130, shown.decode()
    assert "of 2000000, loss" in shown.decode()
    assert "Traceback" not in shown.decode()
    assert "interrupted after" in said
    assert sorted({file.name for file in out.iterdir()} - LOCK) == FILES
    plain = json.loads((out / "training.json").read_text())["result"]["training"]
    assert plain["stopped"] == "interrupted"
    assert 0 < plain["step"] < 2000000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["digits"], "--out"),
        ([], "DATA"),
        (["digits", "--out", "x", "--loss", "hinge"], "--loss"),
        (["digits", "--out", "x", "--precision", "half"], "--precision"),
        (["digits", "--out", "x", "--steps", "0"], "--steps: found 0"),
        (["digits", "--out", "x", "--dim", "0"], "--dim: found 0"),
        (["digits", "--out", "x", "--batch", "0"], "--batch: found 0"),
        (["digits", "--out", "x", "--batch", "5000"], "--batch: found 5000 for 1797"),
        (["digits", "--out", "x", "--seed", "-1"], "--seed: found -1"),
        (["digits", "--out", "x", "--epsilon", "0"], "--epsilon: found 0"),
        (["digits", "--out", "x", "--width", "1000000000000"], "--width: found 1000000000000"),
        (["digits", "--out", "x", "--regularization", "-1"], "--regularization: found -1"),
        (["digits", "--out", "x", "--max-seconds", "0"], "--max-seconds: found 0"),
        (["digits", "--out", "x", "--labels", "y.npy"], "the digits have their labels"),
        (["digits", "--out", ""], "found an empty name"),
        (["nowhere.npz", "--out", "x"], "nowhere.npz: no such file"),
        (["digits", "--out", "file"], "is a file; give a folder"),
    ],
)
def test_a_mistake_gets_one_message_and_status_2(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["train", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert sum(line.startswith("error: ") for line in said.err.splitlines()) == 1
    assert "Traceback" not in said.err
    assert not (tmp_path / "x" / "training.json").exists()
