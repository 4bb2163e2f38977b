"""`mcr2-landscape crate`: what it writes and says, weights read again, resumption, and mistakes."""

import csv
import json
import shlex
import signal
from pathlib import Path

import numpy as np
import pytest

from mcr2_landscape import whitebox as wb
from mcr2_landscape.cli import imaging, main, rows
from mcr2_landscape.data import shapes
from mcr2_landscape.training.image_layers import STATES
from mcr2_landscape.whitebox.layer_measures import METRICS

QUICK = ["--dim", "8", "--depth", "2", "--heads", "2", "--patch", "4", "--batch", "16", "--steps", "3"]
FILES = {"crate.json", "features.npz", "history.csv", "layers.csv", "network.safetensors", "training.checkpoint"}
LOCK = {"lock", "holder.json"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Shapes in a file, as bytes, with labels by name and masks of zeros and ones."""
    found = shapes(key=0, num_images=60, size=16, num_classes=2, channels=1)
    path = tmp_path_factory.mktemp("data") / "x.npz"
    pixels = np.round(255 * found.images[:, 0]).astype(np.uint8)
    np.savez(path, images=pixels, labels=np.array(["disc", "square"])[found.labels], masks=found.masks.astype(np.uint8))
    return str(path)


class Ran:
    """A command that ran: its folder, exit status, and what it said."""

    def __init__(self, folder, *words):
        self.folder, self.words = Path(folder), words
        self.status = main(["crate", *words, "--out", str(folder)])


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crate") / "trained"
    return Ran(folder, data, *QUICK, "--report", str(folder.parent / "report.html"))


def result_of(folder):
    return json.loads((folder / "crate.json").read_text())["result"]


def test_every_file_is_written_and_they_agree(trained):
    assert trained.status == 0
    assert {file.name for file in trained.folder.iterdir()} - LOCK == FILES
    plain = json.loads((trained.folder / "crate.json").read_text())
    result = plain["result"]
    assert plain["schema"] == "mcr2_landscape/crate"
    assert plain["configuration"]["num_steps"] == 3
    assert (result["num_train"], result["num_test"], result["num_classes"]) == (48, 12, 2)
    model = wb.load(trained.folder / "network.safetensors")
    assert model.architecture.image_size == (16, 16)
    assert result["parameters"] == wb.count_parameters(model)
    steps = [row["step"] for row in csv.DictReader((trained.folder / "history.csv").read_text().splitlines())]
    assert steps == ["1", "3"]
    table = list(csv.DictReader((trained.folder / "layers.csv").read_text().splitlines()))
    places = [(row["state"], row["metric"], int(row["layer"])) for row in table]
    assert places == [(state, metric, layer) for state in STATES for metric in METRICS for layer in (1, 2)]
    assert [float(row["change"]) for row in table] == [row["change"] for row in result["layers"]]
    with np.load(trained.folder / "features.npz") as stored:
        assert stored["features"].shape == (12, 8)
        assert np.bincount(stored["labels"]).tolist() == [6, 6]
    assert result["segmentation"]["evaluation_images"] == 6
    assert set(result["positions"]) == set(STATES)
    assert result["test_accuracy"] == pytest.approx(result["training"]["test_accuracy"])
    assert result["test_loss"] == pytest.approx(result["training"]["test_loss"], rel=1e-5)
    assert any("disc, square were numbered" in note for note in result["notes"])
    assert (trained.folder.parent / "report.html").read_text().startswith("<!doctype html>")


def test_weights_are_measured_again_and_analyze_reads_the_features(trained, data, tmp_path, capsys):
    weights = trained.folder / "network.safetensors"
    again = Ran(tmp_path / "again", data, "--weights", str(weights))
    said = capsys.readouterr()
    assert again.status == 0
    assert {file.name for file in again.folder.iterdir()} == FILES - {
        "history.csv",
        "network.safetensors",
        "training.checkpoint",
    }
    old, new = result_of(trained.folder), result_of(again.folder)
    assert new["training"] is None
    for name in ("test_accuracy", "center", "spread", "layers", "segmentation", "positions"):
        assert new[name] == old[name], name  # the random network too: it follows from the seed
    assert any("it may have seen these test images" in note for note in new["notes"])
    assert "What was found" in said.out
    line = next(line for line in said.out.splitlines() if "mcr2-landscape analyze" in line)
    assert main([*shlex.split(line.strip().removeprefix("- "))[1:], "--no-ascent", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "mcr2_landscape/analysis"
    # Without the training's record beside it, images are standardized by themselves, and that is said.
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(weights.read_bytes())
    assert Ran(tmp_path / "alone", data, "--weights", str(alone)).status == 0
    assert any("by their own moments" in note for note in result_of(tmp_path / "alone")["notes"])


def test_time_over_and_gone_on_ends_in_the_same_bits(trained, data, tmp_path, capsys):
    part = tmp_path / "part"
    assert Ran(part, data, *QUICK, "--max-seconds", "1e-6").status == 0
    assert "The same command with --resume goes on." in capsys.readouterr().out
    assert result_of(part)["training"]["training"]["step"] == 1
    assert Ran(part, data, *QUICK).status == 2
    assert "go on with that training (--resume), or give another folder" in capsys.readouterr().err
    assert Ran(part, data, *QUICK, "--set", "output=tied", "--resume").status == 2
    assert "--set output (free, now tied)" in capsys.readouterr().err
    assert Ran(part, data, *QUICK, "--resume").status == 0
    for name in ("features.npz", "layers.csv"):
        assert (part / name).read_bytes() == (trained.folder / name).read_bytes(), name
    # Not the bytes: the library that writes the file has no order among its remarks.
    one, other = (wb.torch_state(wb.load(folder / "network.safetensors")) for folder in (part, trained.folder))
    assert all(np.array_equal(array, other[name]) for name, array in one.items())


def test_a_training_that_diverges_is_not_measured(data, tmp_path, capsys):
    ran = Ran(tmp_path / "out", data, *QUICK, "--learning-rate", "1e30")
    said = capsys.readouterr().out
    assert ran.status == 1
    assert "Nothing was measured." in said
    assert {file.name for file in ran.folder.iterdir()} - LOCK == FILES - {"features.npz", "layers.csv"}
    assert result_of(ran.folder)["training"]["training"]["stopped"] == "diverged"


def test_ctrl_c_keeps_what_was_reached(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rows.StatusLine, "show", lambda line, words: signal.raise_signal(signal.SIGINT))
    ran = Ran(tmp_path / "out", data, *QUICK)
    assert ran.status == 130
    assert "Nothing was measured. The same command with --resume goes on." in capsys.readouterr().out
    assert result_of(ran.folder)["training"]["training"]["stopped"] == "interrupted"
    assert {file.name for file in ran.folder.iterdir()} - LOCK == FILES - {"features.npz", "layers.csv"}


def test_the_mean_of_patches_is_what_completions_are_compared_with(tmp_path):
    """Of images without labels, and with an object in no mask."""
    random = np.random.default_rng(0)
    path = tmp_path / "plain.npz"
    np.savez(path, images=random.random((20, 1, 8, 8)), masks=np.zeros((20, 8, 8), bool))
    words = ["--network", "vit-mae", "--dim", "8", "--depth", "1", "--heads", "2", "--patch", "4", "--steps", "1"]
    ran = Ran(tmp_path / "out", str(path), *words, "--json", str(tmp_path / "all.json"))
    assert ran.status == 0
    result = result_of(ran.folder)
    assert json.loads((tmp_path / "all.json").read_text())["result"] == result
    found = result["completion"]
    assert result["test_loss"] == found["loss"]["mean"]
    # Independent numbers of one distribution: their mean leaves the variance, which is one after standardization.
    assert found["baselines"]["mean-patch"]["mean"] == pytest.approx(1, abs=0.15)
    # The first step's rate is zero: what is called random is the network that the training starts from.
    assert found["differences"]["random-initialization"] == {"mean": 0, "low": 0, "high": 0}
    first, second = ([{**row, "state": ""} for row in result["layers"] if row["state"] == state] for state in STATES)
    assert first == second
    assert found["verdict"] == "refuted"  # worse than the mean
    assert {row["metric"] for row in result["layers"]} == {"as derived"}  # without subspaces there is no rate to measure
    assert result["positions"] == {}
    assert result["segmentation"] is None
    assert any("a segmentation needs 4" in note for note in result["notes"])
    with np.load(ran.folder / "features.npz") as stored:
        assert stored.files == ["features"]


def test_switches():
    assert imaging.parse_switches(
        ["output=tied", "output_scale=-1", "first-order=true", "temperature=none", "iterations=3"]
    ) == {
        "output": "tied",
        "output_scale": -1.0,
        "first_order": True,
        "temperature": None,
        "iterations": 3,
    }


@pytest.mark.parametrize(
    ("size", "patch"), [((8, 8), 2), ((28, 28), 4), ((32, 32), 4), ((24, 24), 3), ((7, 7), 7), ((1, 1), 1)]
)
def test_the_default_patch_makes_at_most_64(size, patch):
    assert imaging.default_patch(*size) == patch


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("digits", "--out"),
        ("digits --out x --network craet", "--network: found 'craet'; did you mean crate?"),
        ("digits --out x --network CRATE-Q/16", "--network: found 'CRATE-Q/16'; did you mean CRATE-"),
        (
            "digits --out x --network CRATE-T/16",
            "--network: found patches of 16 × 16 pixels, which do not divide images of 8 × 8",
        ),
        ("digits --out x --network CRATE-T/4 --dim 8", "--dim: CRATE-T/4 has sizes of its own"),
        (
            "digits --out x --patch 3",
            "--patch: found patches of 3 × 3 pixels, which do not divide images of 8 × 8; 1, 2, 4, 8 do",
        ),
        ("digits --out x --heads 5", "--heads: found 5, which do not divide the dimension 48"),
        ("digits --out x --dim 0", "--dim: found 0"),
        ("digits --out x --task completion", "--task: found completion with --network crate; give --network mae"),
        ("digits --out x --network mae --task features", "it completes images"),
        (
            "digits --out x --set outptu=tied --set depth=3 --set ratio=x",
            "--set: outptu is unknown (did you mean output?); depth",
        ),
        ("digits --out x --set ratio=x", "ratio=x is no whole number. Switches are head_dim, attention"),
        ("digits --out x --set output=loose", "--set output: found 'loose'; pass one of 'free', 'tied'"),
        (
            "digits --out x --network vit --frozen dictionary",
            "--frozen: found 'dictionary', which this architecture does not have",
        ),
        ("digits --out x --images 1800", "--images: found 1800; digits has 1797"),
        ("digits --out x --test-fraction 1", "--test-fraction: found 1"),
        ("digits --out x --learning-rate 0", "--learning-rate: found 0"),
        ("digits --out x --weights y --dim 3 --resume", "--dim, --resume: nothing is trained with --weights"),
        ("digits --out x --weights y.safetensors", "--weights: y.safetensors: no such file"),
        ("digits --out x --weights w.pt", "whitebox.load_torch_state"),
        ("digits --out x --weights WEIGHTS", "takes images of 1 × 16 × 16 (channels, height, width), and digits has 1 × 8 × 8"),
        ("digit --out x", "did you mean digits?"),
        ("nowhere.npz --out x", "nowhere.npz: no such file"),
        ("x.csv --out x", "x.csv: found the ending .csv; give an .npz file"),
        ("w.npz --out x", "w.npz: is no NumPy archive, or one that is cut off"),
        ("names.npz --out x", "names.npz: found the arrays x, y; give one by the name images"),
        ("unlabeled.npz --out x", "unlabeled.npz: holds no labels, which classification needs"),
        ("one.npz --out x", "one.npz: found the single class 0; classification needs at least two"),
        ("rare.npz --out x", "rare.npz: found a single image of class 1"),
        ("bright.npz --out x", "bright.npz: found values from"),
        ("masks.npz --out x", "masks.npz: found masks of int64 with other values than 0 and 1"),
        ("digits --out w.npz", "is a file; give a folder"),
    ],
)
def test_a_mistake_gets_one_message_and_status_2(trained, tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).random((6, 8, 8))
    files = {
        "names": {"x": pixels, "y": pixels},
        "unlabeled": {"images": pixels},
        "one": {"images": pixels, "labels": np.zeros(6, int)},
        "rare": {"images": pixels, "labels": np.array([0, 0, 0, 0, 0, 1])},
        "bright": {"images": 9 * pixels, "labels": np.arange(6) % 2},
        "masks": {"images": pixels, "masks": np.full((6, 8, 8), 7)},
    }
    for name, arrays in files.items():
        np.savez(f"{name}.npz", **arrays)
    for name in ("w.npz", "w.pt"):
        Path(name).write_bytes(b"no archive")
    weights = str(trained.folder / "network.safetensors")
    capsys.readouterr()
    assert main(["crate", *(weights if word == "WEIGHTS" else word for word in words.split())]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert sum(line.startswith("error: ") for line in said.err.splitlines()) == 1
    assert "Traceback" not in said.err
    assert not Path("x/crate.json").exists()
