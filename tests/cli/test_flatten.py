"""`mcr2-landscape flatten`: what it writes and says, networks read again, resumption, and mistakes."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from mcr2_landscape import flatnet
from mcr2_landscape.cli import main, pointing, rows
from mcr2_landscape.report import flat_pictures
from mcr2_landscape.report.style import draw

from . import fitted

FILES = {"network.safetensors", "codes.npz", "report.html", "flatten.json", "build.checkpoint"}
QUICK = ["arc", "--samples", "30", "--layers", "40", "--angle", "120"]


class Ran(fitted.Ran):
    command = "flatten"


@pytest.fixture(scope="module", autouse=True)
def undrawn():
    """Pages whose pictures are not looked at: all of them are one small figure. tests/report looks at real ones."""
    figure = draw((1.0, 1.0), lambda figure: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat_pictures, "draw", lambda size, paint: figure)
        yield


@pytest.fixture(scope="module")
def flattened(tmp_path_factory):
    return Ran(tmp_path_factory.mktemp("flatten") / "out", *QUICK)


def test_every_file_is_written_and_they_agree(flattened):
    assert flattened.status == 0
    assert flattened.files == FILES
    plain, arrays = flattened.plain, flattened.arrays
    assert plain["schema"] == "mcr2_landscape/flatten"
    report = plain["result"]["report"]
    assert (report["dimension"], report["iterations"], report["stop"]) == (1, 40, "iterations")
    assert plain["result"]["fitted"] is True
    assert len(plain["result"]["radii"]) == report["num_layers"] == len(report["tails"]) - 1
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes == {
        "codes": (30, 1), "errors": (30,), "rows": (30,), "held_out_codes": (6, 1), "held_out_errors": (6,),
        "held_out_rows": (6,), "coordinates": (30, 1),
    }  # fmt: skip
    assert arrays["errors"].mean() == pytest.approx(report["error"])
    network = flatnet.load_network(flattened.folder / "network.safetensors")
    angles = np.linspace(0, np.radians(120), 30)
    np.testing.assert_allclose(arrays["coordinates"][:, 0], angles)
    np.testing.assert_array_equal(network.encode_rows(np.column_stack([np.cos(angles), np.sin(angles)])), arrays["codes"])
    about = flatnet.network_metadata(flattened.folder / "network.safetensors")
    assert about["verdict"] == report["verdict"]
    assert about["configuration"] == plain["configuration"]
    page = (flattened.folder / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "The build is not complete: it ended at its number of layers tried." in page


def test_a_network_that_was_saved_transforms_a_file(flattened, tmp_path, capsys):
    angles = np.linspace(0.1, 2.0, 20)
    table = "x,y,label\n" + "".join(
        f"{x!r},{y!r},a\n" for x, y in zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True)
    )
    (tmp_path / "x.csv").write_text(table)
    weights = str(flattened.folder / "network.safetensors")
    ran = Ran(tmp_path / "out", str(tmp_path / "x.csv"), "--network", weights, "--json", "-")
    said = capsys.readouterr()
    assert ran.status == 0
    assert ran.files == FILES - {"network.safetensors", "build.checkpoint"}
    assert json.loads(said.out) == ran.plain
    result, arrays = ran.plain["result"], ran.arrays
    assert (result["fitted"], result["num_held_out"], result["report"]["data"]["samples"]) == (False, 0, 20)
    assert "the column of labels was left out" in result["notes"]
    assert set(arrays) == {"codes", "errors", "rows"}
    network = flatnet.load_network(weights)
    np.testing.assert_array_equal(arrays["codes"], network.encode_rows(np.column_stack([np.cos(angles), np.sin(angles)])))
    assert any("The dimension, 1, is the network's" in sentence for sentence in result["summary"])


def test_a_code_of_as_many_dimensions_as_features_flattens_nothing(tmp_path, capsys):
    ran = Ran(tmp_path / "out", "sine", "--samples", "20", "--components", "2")
    assert (ran.status, ran.plain["result"]["report"]["num_layers"]) == (0, 0)
    page = (tmp_path / "out" / "report.html").read_text()
    said = capsys.readouterr().out
    for text in (page, said):
        assert "Nothing was flattened: the points have 2 features" in text
        assert "Flattened" not in text
    assert "<title>Nothing to flatten: the code has as many dimensions as the space" in page


def test_interrupted_and_gone_on_ends_in_the_same_bits(flattened, tmp_path, capsys, monkeypatch):
    part = tmp_path / "part"
    with monkeypatch.context() as patch:
        patch.setattr(rows.StatusLine, "show", lambda line, words: signal.raise_signal(signal.SIGINT))
        ran = Ran(part, *QUICK)
    assert ran.status == 130
    assert "--resume goes on from there" in capsys.readouterr().err
    assert ran.files == {"build.checkpoint"}
    assert Ran(part, *QUICK).status == 2
    assert "go on with it (--resume), or give another folder" in capsys.readouterr().err
    assert Ran(part, *QUICK, "--seed", "1", "--resume").status == 2
    assert "is of other points, options or another seed; give the same ones, or another --out" in capsys.readouterr().err
    assert Ran(part, *QUICK, "--resume").status == 0
    for name, array in flattened.arrays.items():
        np.testing.assert_array_equal(ran.arrays[name], array)
    one, other = (flatnet.load_network(folder / "network.safetensors") for folder in (part, flattened.folder))
    for stack in ("layers", "decoder"):
        for mine, yours in zip(getattr(one, stack).stacked, getattr(other, stack).stacked, strict=True):
            np.testing.assert_array_equal(mine, yours)
    changing = {"processor_seconds"}
    mine, yours = (
        {name: value for name, value in folder.plain["result"]["report"].items() if name not in changing}
        for folder in (ran, flattened)
    )
    assert mine == yours


def test_nothing_is_left_of_results_that_could_not_all_be_written(tmp_path, capsys, monkeypatch):
    from mcr2_landscape.cli.fitted_folder import FittedFolder

    monkeypatch.setattr(FittedFolder, "write", lambda folder, contents: signal.raise_signal(signal.SIGINT))
    ran = Ran(tmp_path / "out", *QUICK[:3], "--layers", "1")
    assert ran.status == 130
    assert ran.files == {"build.checkpoint"}


def test_pictures_are_told_from_points(tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", random.integers(0, 256, (12, 4, 5), np.uint8))
    np.savez(tmp_path / "y.npz", X=random.random((12, 16)), labels=np.arange(12))
    np.savez(tmp_path / "z.npz", only=random.standard_normal((12, 16)))
    for name, size in (("x.npy", (1, 4, 5)), ("y.npz", (1, 4, 4)), ("z.npz", None)):
        found = pointing.read_points(str(tmp_path / name), {}, 0.25, 3, None, None)
        assert found.image_size == size
        assert sorted([*found.used.rows, *found.held_out.rows]) == list(range(12))
        assert len(found.held_out.points) == 3
    np.save(tmp_path / "copies.npy", np.repeat(random.standard_normal((6, 3)), [1, 4, 2, 3, 1, 5], axis=0))
    for seed in range(5):  # of a point that was fitted no copy was held out
        found = pointing.read_points(str(tmp_path / "copies.npy"), {}, 0.5, seed, None, None)
        assert not {*map(tuple, found.used.points)} & {*map(tuple, found.held_out.points)}
        assert sorted([*found.used.rows, *found.held_out.rows]) == list(range(16))
    assert len({*map(tuple, pointing.read_points(str(tmp_path / "copies.npy"), {}, 0.99, 0, None, None).used.points)}) == 2
    assert pointing.read_points("digit", {"--label": 5}, 0.0, 0, None, None).held_out is None
    assert pointing.read_points("Swiss Roll", {"--samples": 10}, 0.5, 0, None, None).held_out.points.shape == (5, 3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sine", "--out"),
        ("sinus --out x", "did you mean sine?"),
        ("nowhere.npz --out x", "nowhere.npz: no such file"),
        ("w.pt --out x", "found the ending .pt"),
        ("w.npz --out x", "w.npz: is no NumPy archive"),
        ("two.npz --out x", "has no array 'features'; it holds a (3, 2) float64, b (3, 2) float64"),
        ("nan.npy --out x", "nan.npy: found NaN"),
        ("same.npy --out x", "same.npy: found the same point 9 times"),
        ("one.npy --out x", "one.npy: found a single point"),
        ("line.npy --out x", "line.npy: found shape (9,)"),
        ("same.npy --out x --samples 3", "--samples: only a manifold by its name takes it, one of sine"),
        ("cap --out x --noise 0.1", "--noise: cap takes --samples, --angle"),
        ("faces --out x --samples 9", "--samples: faces takes none of these options"),
        ("sine --out x --noise -1", "--noise: found -1"),
        ("sine --out x --samples 1", "--samples: found 1"),
        ("arc --out x --angle 400", "--angle: found 400 degrees; give more than 0 and less than 360"),
        ("digit --out x --label 11", "--label: found 11"),
        ("sine --out x --labels-name y", "--labels-name: sine is made here, from no file"),
        ("plain.csv --out x --labels-name y", "--labels-name: plain.csv has no column 'y'"),
        ("sine --out x --components 3", "--components: found 3 for points of 2 features"),
        ("sine --out x --components 0", "--components: found 0"),
        ("sine --out x --tolerance 0", "--tolerance: found 0"),
        ("sine --out x --held-out 1", "--held-out: found 1"),
        ("sine --out x --no-refit --ridge 1", "--ridge: is of the refit"),
        ("sine --out x --max-seconds 0", "--max-seconds: found 0"),
        ("sine --out x --network y --components 1 --no-refit", "--components, --no-refit: nothing is fitted with --network"),
        ("sine --out x --network y.safetensors", "--network: y.safetensors: no such file"),
        ("sine --out x --network w.npz", "--network: w.npz: is no safetensors file"),
        ("cap --out x --network NETWORK", "takes points of 2 features, and cap has 3"),
        ("sine --out w.npz", "is a file; give a folder"),
        ("sine --out done", "holds codes.npz but no build.checkpoint: nothing to resume; give another folder"),
    ],
)
def test_a_mistake_gets_one_message_and_status_2(flattened, tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    np.savez("two.npz", a=np.ones((3, 2)), b=np.ones((3, 2)))
    np.save("nan.npy", np.full((9, 2), np.nan))
    np.save("same.npy", np.ones((9, 2)))
    np.save("line.npy", np.ones(9))
    np.save("one.npy", np.ones((1, 2)))
    Path("plain.csv").write_text("a,b\n1,2\n3,4\n")
    for name in ("w.npz", "w.pt"):
        Path(name).write_bytes(b"no archive")
    Path("done").mkdir()
    Path("done/codes.npz").touch()
    network = str(flattened.folder / "network.safetensors")
    capsys.readouterr()
    assert main(["flatten", *(network if word == "NETWORK" else word for word in words.split())]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert sum(line.startswith("error: ") for line in said.err.splitlines()) == 1
    assert "Traceback" not in said.err
    assert not Path("x").exists()
