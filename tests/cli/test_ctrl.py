"""`mcr2-landscape ctrl`: what it prints and writes, and what it says of mistakes."""

import json

import numpy as np
import pytest

from mcr2_landscape.cli import main
from mcr2_landscape.data import subspace_mixture
from tests.ctrl.stand_ins import stand_in

GAME = ["--dim", "8", "--epsilon", "0.5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clean and noisy data of three classes, in several formats."""
    place = tmp_path_factory.mktemp("ctrl")
    shape = {"sizes": (20, 25, 30), "ambient_dim": 12, "ranks": (1, 2, 3), "correlation": 0.5}
    clean, noisy = subspace_mixture(key=1, **shape), subspace_mixture(key=1, noise=1e-3, **shape)
    names = np.array(["ash", "birch", "cedar"])[clean.labels]
    np.savez(place / "clean.npz", features=clean.features, labels=names)
    np.savez(place / "single.npz", features=clean.features.astype(np.float32), labels=names)
    np.savez(place / "noisy.npz", features=noisy.features, labels=names)
    np.savez(place / "one.npz", features=clean.features, labels=["ash"] * 75)
    np.savez(place / "zero.npz", features=np.where(names[:, None] == "ash", 0, clean.features), labels=names)
    np.savez(place / "huge.npz", features=1e200 * clean.features, labels=names)
    (place / "head.csv").write_text("a,b,label\n")
    np.savez(place / "holes.npz", features=np.where(np.arange(12) == 5, np.nan, clean.features), labels=names)
    faint = clean.features.copy()
    faint[:20] += 1e-14 * np.outer(np.arange(20), np.ones(12))  # a second direction, hardly above rounding
    np.savez(place / "ambiguous.npz", features=faint, labels=names)
    np.save(place / "x.npy", clean.features)
    (place / "y.txt").write_text("".join(f"{name}\n" for name in names))
    return place


@pytest.fixture
def light(monkeypatch):
    stand_in(monkeypatch)


def test_it_says_what_was_found_and_writes_what_was_asked(folder, tmp_path, capsys):
    report, file = tmp_path / "x.html", tmp_path / "x.json"
    assert main(["ctrl", str(folder / "clean.npz"), *GAME, "--json", str(file), "--report", str(report)]) == 0
    said = capsys.readouterr()
    for words in ("75 samples of 12 features, 3 classes", "What was found", "Nothing: every class is kept whole."):
        assert words in said.out
    for words in ("precision, as recalled", "precision, exact", "Stackelberg", "upper bound", "birch"):
        assert words in said.out
    assert report.read_text().startswith("<!doctype html>")
    plain = json.loads(file.read_text())
    assert plain["schema"] == "mcr2_landscape/ctrl"
    assert set(plain) == {"schema", "schema_version", "provenance", "configuration", "result"}
    assert plain["provenance"]["seed"] == 0
    result = plain["result"]
    assert result["optimum"]["multiplicities"] == [c["kept"] for c in result["classes"]] == [1, 2, 3]
    assert abs(result["equilibrium"]["gap"]) < 1e-9
    assert [h["verdict"] for h in result["hypotheses"]] == ["holds"] * 5
    assert len(file.read_text()) < 20_000


def test_the_mean_is_subtracted_where_asked_for(folder, light, capsys):
    assert main(["ctrl", str(folder / "clean.npz"), *GAME, "--center", "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["centered"]
    assert result["notes"] == ["the mean of all samples was subtracted"]
    assert [c["rank"] for c in result["classes"]] != [1, 2, 3]  # classes through zero no longer are
    assert result["independent_before"] in (None, True)


def test_options_reach_the_game(folder, light, capsys):
    words = ["--rank-tolerance", "0.3", "--normalize", "classes", "--seed", "3", "--starts", "2", "--json", "-"]
    assert main(["ctrl", str(folder / "noisy.npz"), *GAME, *words]) == 0
    plain = json.loads(capsys.readouterr().out)
    result = plain["result"]
    assert [c["rank"] for c in result["classes"]] == [1, 2, 3]
    assert (result["rank_tolerance"], result["normalization"], result["dim"], result["epsilon"]) == (0.3, "classes", 8, 0.5)
    assert result["notes"] == ["each class was scaled to ‖X_j‖² = n_j"]
    assert not result["centered"]
    assert plain["provenance"]["seed"] == 3
    for c in result["classes"]:
        assert sum(s * s for s in c["singular_values"]) == pytest.approx(c["size"], rel=1e-3)


def test_noisy_data_get_advice_that_can_be_followed(folder, light, capsys):
    words = ["ctrl", str(folder / "noisy.npz"), *GAME, "--starts", "2"]
    assert main(words) == 0
    both = capsys.readouterr()
    assert "dependent: looking for an equilibrium, which can take minutes" in both.err
    said = both.out
    assert "full numerical rank, as noise makes it" in said
    tolerance = said.split("(--rank-tolerance ")[1].split(")")[0]
    assert main([*words, "--rank-tolerance", tolerance]) == 0
    assert "Nothing: every class is kept whole." in capsys.readouterr().out


def test_labels_of_a_second_file_and_single_precision(folder, light, capsys):
    found = []
    for words in (["clean.npz"], ["x.npy", "--labels", str(folder / "y.txt")], ["single.npz"]):
        assert main(["ctrl", str(folder / words[0]), *words[1:], *GAME, "--json", "-"]) == 0
        result = json.loads(capsys.readouterr().out)["result"]
        found.append([(c["name"], c["rank"], c["kept"]) for c in result["classes"]])
    assert found == [[("ash", 1, 1), ("birch", 2, 2), ("cedar", 3, 3)]] * 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "DATA"),
        (["clean.npz", "--dim", "8"], "--epsilon"),
        (["clean.npz", "--epsilon", "1"], "--dim"),
        (["clean.npz", "--dim", "0", "--epsilon", "1"], "--dim: found 0"),
        (["clean.npz", "--dim", "eight", "--epsilon", "1"], "--dim"),
        (["clean.npz", "--dim", "8", "--epsilon", "0"], "--epsilon: found 0"),
        (["clean.npz", "--dim", "8", "--epsilon", "-1"], "--epsilon"),
        (["clean.npz", "--dim", "8", "--epsilon", "nan"], "--epsilon"),
        (["clean.npz", *GAME, "--rank-tolerance", "0"], "--rank-tolerance: found 0"),
        (["clean.npz", *GAME, "--rank-tolerance", "1e9"], "--rank-tolerance: found 1e+09, above every singular value of class"),
        (["clean.npz", "--dim", "8", "--epsilon", "1e-90"], "--epsilon: found 1e-90, at which"),
        (["clean.npz", "--dim", "1000000000", "--epsilon", "1"], "--dim: needs "),
        (["zero.npz", *GAME], "zero.npz: all samples of class 'ash' are zero; drop the class"),
        (["zero.npz", *GAME, "--normalize", "samples"], "or normalize by class (--normalize classes)"),
        (["huge.npz", *GAME], "huge.npz: the largest entry of class 'ash' is"),
        (["head.csv", *GAME], "head.csv: holds a header line and no data rows"),
        (["clean.npz", *GAME, "--normalize", "rows"], "--normalize"),
        (["clean.npz", *GAME, "--starts", "0"], "--starts"),
        (["clean.npz", *GAME, "--seed", "-1"], "--seed"),
        (["clean.npz", *GAME, "--json", "nowhere/x.json"], "nowhere does not exist"),
        (["clean.npz", *GAME, "--report", "-"], "--report"),
        (["nowhere.npz", *GAME], "nowhere.npz: no such file"),
        (["x.npy", *GAME], "holds no labels"),
        (["holes.npz", *GAME], "found NaN"),
        (["one.npz", *GAME], "one.npz: labels: found the single class 'ash'"),
        (["ambiguous.npz", *GAME], "ambiguous.npz: the rank of class 'ash' is ambiguous"),
        (["digits", *GAME, "--labels", "y.txt"], "the digits have their labels"),
    ],
)
def test_a_mistake_gets_one_message_and_status_2(folder, tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    data = [str(folder / word) if (folder / word).exists() else word for word in words[:1]]
    assert main(["ctrl", *data, *words[1:]]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert sum(line.startswith("error: ") for line in said.err.splitlines()) == 1
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_found_before_the_work(folder, monkeypatch, tmp_path):
    import mcr2_landscape.cli.inputs

    def work(*arguments, **options):
        raise AssertionError("the work began")

    monkeypatch.setattr(mcr2_landscape.cli.inputs, "read_features", work)
    for option in ("--json", "--report"):
        assert main(["ctrl", str(folder / "clean.npz"), *GAME, option, str(tmp_path / "nowhere" / "x")]) == 2
    with pytest.raises(AssertionError, match="the work began"):  # the check sees what it should
        main(["ctrl", str(folder / "clean.npz"), *GAME])


def test_an_interrupted_search_keeps_what_it_had_found(folder, light, monkeypatch, capsys, tmp_path):
    import mcr2_landscape.ctrl.solve as solving

    found = solving._searched_dependent
    monkeypatch.setattr(solving, "_searched_dependent", lambda *arguments: found(*arguments)._replace(interrupted=True))
    file = tmp_path / "x.json"
    assert main(["ctrl", str(folder / "noisy.npz"), *GAME, "--json", str(file)]) == 130
    said = capsys.readouterr()
    assert "interrupted: the search stopped early; the best that it had found was kept and written" in said.err
    assert "Optimum and equilibrium" in said.out
    assert json.loads(file.read_text())["result"]["equilibrium"]["interrupted"] is True


def test_an_earlier_report_survives_a_failure(folder, monkeypatch, tmp_path):
    from mcr2_landscape.ctrl import examination

    report = tmp_path / "x.html"
    report.write_text("earlier")

    def work(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(examination, "examine", work)
    assert main(["ctrl", str(folder / "clean.npz"), *GAME, "--report", str(report)]) == 130
    assert report.read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]
