"""`mcr2-landscape csc`: what it writes and says, dictionaries read again, resumption, and mistakes."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from mcr2_landscape import csc, data
from mcr2_landscape.cli import coding_images, main, rows
from mcr2_landscape.report import sparse_pictures
from mcr2_landscape.report.style import draw

FILES = {"dictionary.safetensors", "codes.npz", "report.html", "csc.json", "learning.checkpoint"}
LOCK = {"lock", "holder.json"}
QUICK = ["--atoms", "3", "--kernel", "3", "--steps", "2", "--images", "16", "--test-fraction", "0.25", "--sparsity", "0.2"]


class Ran:
    """A command that ran: its folder and exit status."""

    def __init__(self, folder, *words):
        self.folder = Path(folder)
        self.status = main(["csc", *words, "--out", str(folder)])

    @property
    def files(self):
        return {file.name for file in self.folder.iterdir()} - LOCK

    @property
    def plain(self):
        return json.loads((self.folder / "csc.json").read_text())

    @property
    def arrays(self):
        with np.load(self.folder / "codes.npz") as stored:
            return dict(stored)


@pytest.fixture(scope="module", autouse=True)
def undrawn():
    """Pages whose pictures are not looked at: all of them are one small figure. tests/report looks at real ones."""
    figure = draw((1.0, 1.0), lambda figure: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_pictures, "draw", lambda size, paint: figure)
        yield


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    return Ran(tmp_path_factory.mktemp("csc") / "out", "digits", *QUICK)


def test_every_file_is_written_and_they_agree(learned):
    assert learned.status == 0
    assert learned.files == FILES
    plain, arrays = learned.plain, learned.arrays
    assert plain["schema"] == "mcr2_landscape/csc"
    result = plain["result"]
    assert (result["num_train"], result["num_test"], result["atom_shape"]) == (12, 4, [3, 1, 3, 3])
    assert (result["verdict"], result["learned"]["stopped"]) == ("holds", "max_alternations")
    objective = result["learned"]["objective"]
    assert len(objective) == 3
    assert objective == sorted(objective, reverse=True)
    assert result["learned"]["first_increase"] is None
    assert max(result["solution"]["relative_gap"]) <= 1e-10
    shapes = {name: array.shape for name, array in arrays.items()}
    each = dict.fromkeys(("rows", "errors", "objective", "duality_gap", "sparsity", "labels"), (4,))
    assert shapes == {"codes": (4, 3, 8, 8), **each}
    assert arrays["errors"].tolist() == result["errors"]
    dictionary = csc.load_dictionary(learned.folder / "dictionary.safetensors")
    images = data.digits().features[arrays["rows"]].reshape(-1, 1, 8, 8) / 16
    gaps = csc.duality_gap(dictionary, images, arrays["codes"], sparsity=0.2)
    np.testing.assert_allclose(gaps.objective, arrays["objective"], rtol=1e-12)
    assert dictionary.padding == (1, 1)
    about = csc.dictionary_metadata(learned.folder / "dictionary.safetensors")
    assert about["program"] == {"sparsity": 0.2, "ridge": 0.0, "nonnegative": False}
    assert about["configuration"] == plain["configuration"]
    assert "16 of the 1797 images were drawn" in result["notes"]
    assert (learned.folder / "report.html").read_text().startswith("<!doctype html>")


def test_a_dictionary_that_was_saved_is_used_as_it_is(learned, tmp_path, capsys):
    """With the λ that it was learned at: the same images have the same codes."""
    found = csc.load_dictionary(learned.folder / "dictionary.safetensors")
    pixels = np.random.default_rng(0).random((4, 8, 8))
    np.savez(tmp_path / "x.npz", images=pixels)
    ran = Ran(
        tmp_path / "out",
        str(tmp_path / "x.npz"),
        "--dictionary",
        str(learned.folder / "dictionary.safetensors"),
        "--json",
        "-",
    )
    said = capsys.readouterr()
    assert ran.status == 0
    assert ran.files == FILES - {"dictionary.safetensors", "learning.checkpoint"}
    assert json.loads(said.out) == ran.plain
    result, arrays = ran.plain["result"], ran.arrays
    assert (result["learned"], result["random_objective"], result["num_test"]) == (None, None, 4)
    assert arrays["sparsity"].tolist() == [0.2] * 4
    images = pixels[:, None].astype(np.float32)
    gaps = csc.duality_gap(found, images, arrays["codes"], sparsity=0.2)
    np.testing.assert_allclose(gaps.objective, arrays["objective"], rtol=1e-12)
    assert (gaps.duality_gap <= 1e-10 * 0.5 * np.sum(images.astype(float) ** 2, axis=(1, 2, 3))).all()


def test_interrupted_and_gone_on_ends_in_the_same_bits(learned, tmp_path, capsys, monkeypatch):
    part = tmp_path / "part"
    with monkeypatch.context() as patch:
        patch.setattr(rows.StatusLine, "show", lambda line, words: signal.raise_signal(signal.SIGINT))
        ran = Ran(part, "digits", *QUICK)
    assert ran.status == 130
    assert "--resume goes on from there" in capsys.readouterr().err
    assert ran.files == {"learning.checkpoint"}
    assert csc.load_state(part / "learning.checkpoint").alternations == 1
    assert Ran(part, "digits", *QUICK).status == 2
    assert "go on with it (--resume), or give another folder" in capsys.readouterr().err
    assert Ran(part, "digits", *QUICK, "--ridge", "0.5", "--resume").status == 2
    assert "is of other images, atoms or options; give the same ones, or another --out" in capsys.readouterr().err
    assert Ran(part, "digits", *QUICK, "--resume").status == 0
    for name, array in learned.arrays.items():
        np.testing.assert_array_equal(ran.arrays[name], array)
    one, other = (csc.load_dictionary(folder / "dictionary.safetensors") for folder in (part, learned.folder))
    np.testing.assert_array_equal(one.atoms, other.atoms)
    assert ran.plain == learned.plain


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("digits", "--out"),
        ("digit --out x", "nor one of digits, mnist, faces, shapes, pictures; did you mean digits?"),
        ("nowhere.npz --out x", "nowhere.npz: no such file"),
        ("x.csv --out x", "found the ending .csv; give an .npz file"),
        ("one.npz --out x", "one.npz: found a single image; give at least two"),
        ("black.npz --out x", "black.npz: for half of them or more zero is the only code at any sparsity"),
        ("digits --out x --images 1800", "--images: found 1800; digits has 1797"),
        ("digits --out x --images 0", "--images: found 0"),
        ("digits --out x --size 8", "--size: is of the crops of pictures"),
        ("digits --out x --test-fraction 1", "--test-fraction: found 1"),
        (
            "digits --out x --kernel 9 --padding 0",
            "digits: found 8 × 8 pixels, 8 × 8 with padding, which kernels of 9 × 9 do not",
        ),
        ("digits --out x --padding -1", "--padding: found -1"),
        ("digits --out x --sparsity 0", "--sparsity: found 0"),
        ("digits --out x --sparsity 1 --relative-sparsity 1", "--sparsity, --relative-sparsity: both say what λ is"),
        ("digits --out x --ridge -1", "--ridge: found -1"),
        ("digits --out x --gap 0", "--gap: found 0"),
        ("digits --out x --dictionary y --atoms 3 --resume", "--atoms, --resume: nothing is learned with --dictionary"),
        ("digits --out x --dictionary y.safetensors", "--dictionary: y.safetensors: no such file"),
        ("digits --out x --dictionary one.npz", "--dictionary: one.npz: "),
        ("shapes --out x --dictionary DICTIONARY", "has atoms of 1 channels, and shapes has images of 3"),
        ("digits --out one.npz", "is a file; give a folder"),
        ("digits --out done", "holds codes.npz but no learning.checkpoint: nothing to resume; give another folder"),
    ],
)
def test_a_mistake_gets_one_message_and_status_2(learned, tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    np.savez("one.npz", images=np.full((1, 8, 8), 0.5))
    np.savez("black.npz", images=np.zeros((8, 8, 8)))
    Path("done").mkdir()
    Path("done/codes.npz").touch()
    dictionary = str(learned.folder / "dictionary.safetensors")
    capsys.readouterr()
    assert main(["csc", *(dictionary if word == "DICTIONARY" else word for word in words.split())]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert sum(line.startswith("error: ") for line in said.err.splitlines()) == 1
    assert "Traceback" not in said.err
    assert not Path("x").exists()


def test_images_are_told_from_their_copies_and_from_channels_that_come_last(tmp_path):
    random = np.random.default_rng(0)
    wanted = coding_images.Wanted(None, 16, 0.5, False, 2, 3, 1, 1, 0.1, None, None, None, 1e-10, 1, 0)
    pixels = random.random((8, 5, 4, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", images=pixels)
    found = coding_images.read_images(str(tmp_path / "x.npz"), wanted, learned=True)
    np.testing.assert_array_equal(found.test, pixels[found.rows])
    assert "of 5 channels; if they come last" in found.notes[-1]
    np.savez(tmp_path / "x.npz", images=np.repeat(pixels[:2, :1], 4, axis=0))
    found = coding_images.read_images(str(tmp_path / "x.npz"), wanted, learned=True)
    assert "copies of 4 of the 4 test images took part in the learning" in found.notes
