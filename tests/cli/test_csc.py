"""`mcr2-landscape csc`: what it writes and says, dictionaries read again, resumption, and mistakes."""

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest

from mcr2_landscape import InputError, csc, data
from mcr2_landscape.cli import coding_images, fitted_folder, fitted_words, main, rows, timed_line
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.report import sparse_pictures
from mcr2_landscape.report.style import draw

from . import fitted

FILES = {"dictionary.safetensors", "codes.npz", "report.html", "csc.json", "learning.checkpoint"}
QUICK = ["--atoms", "3", "--kernel", "3", "--steps", "2", "--images", "16", "--test-fraction", "0.25", "--sparsity", "0.2"]


class Ran(fitted.Ran):
    command = "csc"


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
    assert arrays["rows"].tolist() == result["rows"]
    page = (learned.folder / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    for row in result["rows"]:  # of the 1,797 digits, not of the four images that are shown
        assert re.search(rf"<td[^>]*>{row}</td>", page)
    dictionary = csc.load_dictionary(learned.folder / "dictionary.safetensors")
    images = data.digits().features[arrays["rows"]].reshape(-1, 1, 8, 8) / 16
    gaps = csc.duality_gap(dictionary, images, arrays["codes"], sparsity=0.2)
    np.testing.assert_allclose(gaps.objective, arrays["objective"], rtol=1e-12)
    assert dictionary.padding == (1, 1)
    about = csc.dictionary_metadata(learned.folder / "dictionary.safetensors")
    assert about["program"] == {"sparsity": 0.2, "ridge": 0.0, "nonnegative": False}
    assert about["configuration"] == plain["configuration"]
    assert "16 of the 1797 images were drawn" in result["notes"]


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


def _interrupt(line, words):
    if words.startswith("1 of 2 alternations"):
        signal.raise_signal(signal.SIGINT)


def test_interrupted_and_gone_on_ends_in_the_same_bits(learned, tmp_path, capsys, monkeypatch):
    part = tmp_path / "part"
    with monkeypatch.context() as patch:
        patch.setattr(rows.StatusLine, "show", _interrupt)
        ran = Ran(part, "digits", *QUICK)
    assert ran.status == 130
    assert "--resume goes on from there" in capsys.readouterr().err
    assert ran.files == {"learning.checkpoint"}
    assert csc.load_state(part / "learning.checkpoint").alternations == 1
    assert Ran(part, "digits", *QUICK).status == 2
    assert "go on with it (--resume), or give another folder" in capsys.readouterr().err
    assert Ran(part, "digits", *QUICK, "--ridge", "0.5", "--resume").status == 2
    assert "is of other images, another program or other steps; give the same ones, or another --out" in capsys.readouterr().err
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
        ("x.csv --out x", "found the ending .csv; give an .npz file with an array images, or an .npy file"),
        ("text.npy --out x", "text.npy: is no NumPy array; write it with numpy.save"),
        ("one.npz --out x", "one.npz: found a single image; give at least two"),
        ("two.npz --out x", "two.npz: found the arrays x, y; give one by the name images"),
        ("rows.npy --out x", "(6, 64); give images (n, H, W), (n, C, H, W) or (n, H, W, C); x.reshape(-1, H, W) makes"),
        ("picture.npy --out x", "found shape (9, 8, 3), which may be one picture with its channels last: give x[None]"),
        ("standardized.npy --out x", "standardized.npy: found values from -1 to 1.5; scale them to [0, 1]"),
        ("black.npz --out x --channels last", "--channels: black.npz has no axis of channels, its shape is (8, 8, 8)"),
        ("digits --out x --channels last", "--channels: is of images in a file, and digits has none"),
        ("pictures --out x --channels last", "--channels: is of images in a file, and pictures has none"),
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
    np.savez("two.npz", x=np.zeros((8, 8, 8)), y=np.zeros((8, 8, 8)))
    np.save("rows.npy", np.zeros((6, 64)))
    np.save("picture.npy", np.zeros((9, 8, 3)))
    np.save("standardized.npy", np.linspace(-1, 1.5, 64).reshape(1, 8, 8))
    Path("text.npy").write_text("no array")
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


def read(path, learned=True, **changes):
    """Images of a file, all of them but half to be learned from."""
    options = {"images": None, "channels": None, "size": 16, "test_fraction": 0.5, "center": False, "atoms": 2, "kernel": 3}
    program = {"sparsity": 0.1, "relative_sparsity": None, "ridge": None, "nonnegative": None, "gap": 1e-10}
    wanted = coding_images.Wanted(**{**options, "stride": 1, "padding": 1, **program, "steps": 1, "seed": 0, **changes})
    return coding_images.read_images(str(path), wanted, learned=learned)


def test_images_are_told_from_their_copies(tmp_path):
    pixels = np.random.default_rng(0).random((2, 1, 5, 4))
    np.savez(tmp_path / "x.npz", images=np.repeat(pixels[:, :1], 4, axis=0))
    assert "copies of 4 of the 4 test images took part in the learning" in read(tmp_path / "x.npz").notes


BYTES = "The bytes of the images, 0 … 255, were divided by 255"


@pytest.mark.parametrize(
    ("shape", "channels", "axes", "notes"),
    [
        ((8, 6, 5), None, None, ()),
        ((8, 3, 6, 5), None, None, ()),
        ((8, 6, 5, 3), None, (0, 3, 1, 2), ("Images of shape (8, 6, 5, 3) were taken as (n, H, W, C), of 3 channels",)),
        ((8, 6, 5, 1), None, (0, 3, 1, 2), ("Images of shape (8, 6, 5, 1) were taken as (n, H, W, C), of 1 channel",)),
        ((8, 6, 5, 3), "first", None, ()),
        ((8, 3, 6, 4), None, None, ("Images of shape (8, 3, 6, 4) were taken as (n, C, H, W), of 3 channels",)),
        ((8, 3, 6, 4), "last", (0, 3, 1, 2), ()),
        ((8, 6, 5, 7), None, None, ("Images of shape (8, 6, 5, 7) were taken as (n, C, H, W), of 6 channels",)),
    ],
)
def test_a_file_may_have_its_channels_on_either_side_and_be_bytes(tmp_path, shape, channels, axes, notes):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    np.savez(tmp_path / "x.npz", pixels / 255.0)  # the only array, by NumPy's own name
    wanted = pixels[:, None] if pixels.ndim == 3 else pixels if axes is None else pixels.transpose(axes)
    for name, told in (("x.npy", (BYTES, *notes)), ("x.npz", notes)):
        found = read(tmp_path / name, learned=False, channels=channels)
        np.testing.assert_allclose(found.test, wanted / 255.0, atol=1e-7)
        assert found.notes == told


def test_a_checkpoint_in_a_folder_with_a_colon_is_named(tmp_path):
    folder = fitted_folder.FittedFolder(tmp_path / "run:1", "learning.checkpoint", resume=True)
    words = f"checkpoint {folder.checkpoint}: is of other steps; give the same ones, or another file"
    with pytest.raises(InputError) as caught, fitted_words.named_as_options("x.npz", folder, {}):
        raise InputError(words)
    assert str(caught.value) == f"--resume: {folder.checkpoint}: is of other steps; give the same ones, or another --out"


def test_minutes_are_said_again_where_they_are_many_more_and_the_time_that_is_left_on_the_line(monkeypatch):
    shown, notes = [], []
    monkeypatch.setattr(rows.StatusLine, "show", lambda line, words: shown.append(words))
    line = timed_line.TimedLine({"work": "pieces done", "more": "images"}, notes.append, "take fewer")
    with Progress.of(line, 5, "work") as bar:
        bar.expect(100.0)
        bar.expect(3725.0, "first steps")
        bar.update(1, 0)
        bar.expect(3000.0)
    with Progress.of(line, 7, "more") as bar:
        bar.update(2, 0)
        bar.expect(None, "a step")
        bar.expect(20000.0, "first steps", whole=False)
    assert notes == [
        "this takes about 1 h 2 min from now on; take fewer",
        "first steps take about 5 h 33 min from now on; take fewer",
    ]
    assert shown == [
        "0 of 5 pieces done, about 1 min 40 s left",
        "0 of 5 pieces done, first steps, about 1 h 2 min left",
        "1 of 5 pieces done, about 1 h 2 min left",
        "1 of 5 pieces done, about 50 min 0 s left",
        "2 of 7 images",
        "2 of 7 images, a step",
        "2 of 7 images, first steps, about 5 h 33 min left",
    ]
