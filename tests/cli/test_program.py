"""The command line: most of it in this process, what concerns the process itself in others."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mcr2_landscape.cli import main
from mcr2_landscape.data import gaussian_subspaces

PROBLEM = ["--dim", "3", "--sizes", "2,2,2", "--epsilon", "0.5"]


def command(*words):
    return [sys.executable, "-m", "mcr2_landscape.cli", *words]


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    data = gaussian_subspaces(key=3, dim=6, sizes=(5, 4, 4), ranks=(2, 1, 2), noise=0.2)
    path = tmp_path_factory.mktemp("features") / "x.npz"
    np.savez(path, features=data.features, labels=np.array(["a", "b", "c"])[data.labels])
    return str(path)


class TestAnalyze:
    def test_it_says_what_was_found_and_writes_what_was_asked(self, features, tmp_path, capsys):
        report, file = tmp_path / "x.html", tmp_path / "x.json"
        assert main(["analyze", features, "--json", str(file), "--report", str(report)]) == 0
        said = capsys.readouterr()
        for words in ("What was found", "What to change", "global maximum", "λ_k°", "13 samples of 6 features, 3 classes"):
            assert words in said.out
        assert "half of the limit" in said.err
        assert report.read_text().startswith("<!doctype html>")
        plain = json.loads(file.read_text())
        assert plain["schema"] == "mcr2_landscape/analysis"
        result = plain["result"]
        assert result["rates"]["value"] == pytest.approx(
            result["rates"]["rate_reduction"] - result["rates"]["penalty"], abs=1e-12
        )
        assert [c["name"] for c in result["classes"]] == ["a", "b", "c"]
        assert result["endpoint"]["recognized"] is True
        assert len(file.read_text()) < 100_000  # the features themselves are not in it

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ((), (0.7, 0.3)),
            (("--regularization", "0.2"), (0.7, 0.2)),
            (("--epsilon", "0.6"), (0.6, None)),
            (("--epsilon", "0.6", "--regularization", "0.2"), (0.6, 0.2)),
        ],
    )
    def test_what_a_file_says_of_its_training_is_the_default(self, features, tmp_path, capsys, words, expected):
        with np.load(features) as stored:
            arrays = dict(stored)
        path = tmp_path / "trained.npz"
        np.savez(path, **arrays, epsilon=0.7, regularization=0.3)
        assert main(["analyze", str(path), "--no-ascent", "--json", "-", *words]) == 0
        result = json.loads(capsys.readouterr().out)["result"]
        epsilon, regularization = expected
        assert result["epsilon"] == epsilon
        assert result["regularization_defaulted"] is (regularization is None)
        assert regularization is None or result["regularization"] == regularization
        assert any("so the file says" in note for note in result["notes"]) is ("--epsilon" not in words)

    def test_options_reach_the_analysis(self, features, capsys):
        words = [
            "--normalize",
            "classes",
            "--center",
            "--no-ascent",
            "--regularization",
            "0.3",
            "--epsilon",
            "0.7",
            "--json",
            "-",
        ]
        assert main(["analyze", features, *words]) == 0
        said = capsys.readouterr()
        result = json.loads(said.out)["result"]
        assert (result["normalization"], result["centered"], result["endpoint"]) == ("classes", True, None)
        assert (result["regularization"], result["epsilon"], result["regularization_defaulted"]) == (0.3, 0.7, False)
        assert "half of the limit" not in said.err

    def test_labels_from_a_second_file_and_by_column(self, tmp_path, capsys):
        data = gaussian_subspaces(key=3, dim=6, sizes=(5, 4, 4), ranks=(2, 1, 2), noise=0.2)
        np.save(tmp_path / "x.npy", data.features)
        (tmp_path / "y.txt").write_text("".join(f"{label}\n" for label in data.labels))
        rows = [",".join(map(str, [label, *row])) for row, label in zip(data.features, data.labels, strict=True)]
        (tmp_path / "x.csv").write_text("\n".join(rows))
        values = []
        for words in (["x.npy", "--labels", "y.txt"], ["x.csv", "--label-column", "0"], ["x.csv", "--labels-name", "-7"]):
            place = [str(tmp_path / word) if word.startswith(("x.", "y.")) else word for word in words]
            assert main(["analyze", *place, "--no-ascent", "--json", "-"]) == 0
            values.append(json.loads(capsys.readouterr().out)["result"]["rates"]["value"])
        assert values == pytest.approx([values[0]] * 3)

    def test_the_same_data_has_the_same_hash_wherever_it_lies(self, features, tmp_path, capsys):
        copy = tmp_path / "copy.npz"
        copy.write_bytes(Path(features).read_bytes())
        hashes = []
        for path in (features, str(copy)):
            main(["analyze", path, "--no-ascent", "--json", "-"])
            hashes.append(json.loads(capsys.readouterr().out)["provenance"]["configuration_hash"])
        assert hashes[0] == hashes[1]


def test_catalog(tmp_path, capsys):
    report, file = tmp_path / "x.html", tmp_path / "x.json"
    assert main(["catalog", *PROBLEM, "--top", "5", "--json", str(file), "--report", str(report)]) == 0
    said = capsys.readouterr()
    assert "Families that theory lists" in said.out
    result = json.loads(file.read_text())["result"]
    assert len(result["listed"]) == 5
    assert result["listed"][0]["value"] == result["maximum"]
    assert result["parameters"]["regularization"] == pytest.approx(0.5 * result["regularization_limit"])
    assert "<img" in report.read_text()
    assert main(["catalog", *PROBLEM, "--top", "500", "--no-fusion", "--json", "-"]) == 0
    assert all(family["is_orthogonal"] for family in json.loads(capsys.readouterr().out)["result"]["listed"])


def test_survey(tmp_path, capsys):
    report, file = tmp_path / "x.html", tmp_path / "x.json"
    words = ["survey", *PROBLEM, "--starts", "40", "--seed", "3"]
    assert main([*words, "--json", str(file), "--report", str(report)]) == 0
    said = capsys.readouterr()
    assert "Theory recognizes every one of them." in said.out
    assert "large (1,1,1)" in said.out
    first = json.loads(file.read_text())
    assert first["provenance"]["seed"] == 3
    assert first["result"]["num_starts"] == 40
    assert main([*words, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == first  # the same seed, the same bytes


def test_info(capsys):
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    for words in ("mcr2_landscape", "jax", "NPROC", "solvers"):
        assert words in said
    assert main(["info", "--json", "-"]) == 0
    assert "versions" in json.loads(capsys.readouterr().out)["result"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nonsense"], "nonsense"),
        (["analyze"], "FEATURES"),
        (["analyze", "digits", "--bogus", "1"], "--bogus"),
        (["analyze", "digits", "--epsilon", "small"], "--epsilon"),
        (["analyze", "digits", "--epsilon", "0"], "epsilon: found 0"),
        (["analyze", "digits", "--epsilon", "nan"], "epsilon"),
        (["analyze", "digits", "--normalize", "rows"], "--normalize"),
        (["analyze", "digits", "--seed", "-1"], "--seed: found -1"),
        (["analyze", "digits", "--max-steps", "0"], "--max-steps"),
        (["analyze", "digits", "--labels", "y.npy"], "the digits have their labels"),
        (["analyze", "nowhere.npz"], "nowhere.npz: no such file"),
        (["analyze", "."], "is a directory"),
        (["analyze", "digits", "--json", "nowhere/x.json"], "nowhere does not exist"),
        (["analyze", "digits", "--report", "nowhere/x.html"], "nowhere does not exist"),
        (["analyze", "digits", "--report", "-"], "--report"),
        (["analyze", "digits", "--report", "same", "--json", "same"], "give two files"),
        (["catalog", "--dim", "3", "--sizes", "2,two", "--epsilon", "1"], "--sizes: found '2,two'"),
        (["catalog", "--dim", "3", "--sizes", "2", "--epsilon", "1"], "at least two"),
        (["catalog", "--dim", "0", "--sizes", "2,2", "--epsilon", "1"], "dim: found 0"),
        (["catalog", "--dim", "3", "--sizes", "2,2"], "--epsilon"),
        (["catalog", *PROBLEM, "--top", "0"], "--top"),
        (["catalog", *PROBLEM, "--regularization", "-1"], "regularization"),
        (["survey", *PROBLEM, "--starts", "0"], "--starts"),
        (["survey", "--dim", "50", "--sizes", "40,40", "--epsilon", "1"], "unknowns"),
        *(
            (words, f'Invalid value "2.5" for "{words[-2]}": pass an integer')
            for words in (
                ["analyze", "digits", "--max-steps", "2.5"],
                ["analyze", "digits", "--seed", "2.5"],
                ["catalog", "--sizes", "2,2", "--epsilon", "1", "--dim", "2.5"],
                ["catalog", *PROBLEM, "--top", "2.5"],
                ["survey", *PROBLEM, "--starts", "2.5"],
                ["survey", *PROBLEM, "--seed", "2.5"],
                ["ctrl", "digits", "--epsilon", "1", "--dim", "2.5"],
                ["ctrl", "digits", "--epsilon", "1", "--dim", "2", "--starts", "2.5"],
                ["ctrl", "digits", "--epsilon", "1", "--dim", "2", "--seed", "2.5"],
                ["train", "digits", "--out", "x", "--width", "2.5"],
                ["train", "digits", "--out", "x", "--batch", "2.5"],
                ["study", "run", "ctrl_noise", "--jobs", "2.5"],
                ["study", "plan", "ctrl_noise", "--units", "2.5"],
                ["verify", "--jobs", "2.5"],
                ["bench", "--rounds", "2.5"],
            )
        ),
        (["ctrl", "digits", "--epsilon", "1", "--dim", "2.0"], 'Invalid value "2.0" for "--dim"'),
        (["catalog", "--dim", "3", "--sizes", "2,2.5", "--epsilon", "1"], "--sizes: found '2,2.5'"),
    ],
)
def test_a_mistake_gets_one_message_and_status_2(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert sum(line.startswith("error: ") for line in said.err.splitlines()) == 1
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_found_before_the_work(monkeypatch, tmp_path):
    import mcr2_landscape.analysis

    def work(*arguments, **options):
        raise AssertionError("the work began")

    monkeypatch.setattr(mcr2_landscape.analysis, "survey", work)
    monkeypatch.setattr(mcr2_landscape.analysis, "analyze_features", work)
    for words in (["survey", *PROBLEM], ["analyze", "digits"]):
        for option in ("--json", "--report"):
            assert main([*words, option, str(tmp_path / "nowhere" / "x")]) == 2


def test_a_defect_keeps_its_traceback(monkeypatch):
    import mcr2_landscape.analysis

    def work(*arguments, **options):
        raise ValueError("a defect, not the user's mistake")

    monkeypatch.setattr(mcr2_landscape.analysis, "survey", work)
    with pytest.raises(ValueError, match="a defect"):
        main(["survey", *PROBLEM])


def test_help_and_version_come_without_heavy_modules():
    """NumPy and what is built on it load when a command runs; help needs none of them."""
    code = """
import sys
from mcr2_landscape.cli import main
for words in (["--help"], ["--version"], *([name, "--help"] for name in sys.argv[1:])):
    assert main(words) == 0
heavy = {"jax", "numpy", "scipy", "matplotlib", "jinja2", "pyarrow", "mcr2_landscape.analysis", "mcr2_landscape.data"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    from mcr2_landscape.cli.program import _COMMANDS

    result = subprocess.run([sys.executable, "-c", code, *_COMMANDS], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for words in ("--recheck", "--claim", "analyze", "What to", "--normalize", "--sizes", "--starts"):
        assert words.lower() in result.stdout.lower()


def test_the_list_of_commands_says_what_their_help_says(capsys):
    import importlib

    from mcr2_landscape.cli import program

    assert set(program._GROUPS) < set(program._COMMANDS)
    for name, words in program._COMMANDS.items():
        module = importlib.import_module(f"mcr2_landscape.cli.{name}")
        if name in program._GROUPS:
            assert all(getattr(module, function).__doc__ for function in program._GROUPS[name].values())
            assert set(program._GROUPS[name]) == set(re.search(": (.*)", module.__doc__).group(1).strip(".").split(", "))
        else:
            assert getattr(module, name).__doc__.split("\n")[0] == words


def test_settings_are_made_before_jax_is_loaded(user_environment):
    """The program sets what a user would have to, and leaves what a user has set."""
    environment = {key: value for key, value in user_environment.items() if key not in ("NPROC", "OPENBLAS_NUM_THREADS")}
    for given, expected in (({}, "1"), ({"NPROC": "3"}, "3")):
        result = subprocess.run(command("info", "--json", "-"), env={**environment, **given}, capture_output=True, text=True)
        settings = json.loads(result.stdout)["result"]["settings"]
        assert (settings["NPROC"], settings["JAX_ENABLE_X64"]) == (expected, "1")


def test_a_reader_that_goes_away_is_no_error(user_environment, tmp_path):
    """As in `mcr2-landscape catalog … | head -1`; the files are written all the same."""
    file = tmp_path / "x.json"
    words = command("catalog", *PROBLEM, "--top", "2000", "--json", str(file))
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=user_environment, stdout=pipe, stderr=pipe, text=True) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 141
    assert "Traceback" not in said
    assert "Broken" not in said
    assert json.loads(file.read_text())


INTERRUPTED = """
import os, signal, sys
from mcr2_landscape.cli import main, output

def press_ctrl_c(done, total, good):
    if good >= 10:
        os.kill(os.getpid(), signal.SIGINT)

output.show_progress = lambda: press_ctrl_c
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupted_survey_writes_what_it_found(user_environment, tmp_path):
    """A signal as the terminal sends it, once ten starts have converged."""
    file = tmp_path / "x.json"
    words = [sys.executable, "-c", INTERRUPTED, "survey", *PROBLEM, "--starts", "600", "--json", str(file)]
    result = subprocess.run(words, env=user_environment, capture_output=True, text=True)
    assert result.returncode == 130, result.stderr
    assert "interrupted: the search stopped early; what it had found was kept and written" in result.stderr
    assert "Traceback" not in result.stderr
    plain = json.loads(file.read_text())["result"]
    assert plain["interrupted"] is True
    assert 10 <= plain["num_converged"] < 600
    assert "Critical points found" in result.stdout


def test_an_interruption_before_there_is_anything_to_keep(monkeypatch, capsys):
    import mcr2_landscape.analysis

    def work(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(mcr2_landscape.analysis, "survey", work)
    assert main(["survey", *PROBLEM]) == 130
    assert "nothing was kept" in capsys.readouterr().err


def test_an_interrupted_analysis_keeps_what_was_reached(features, monkeypatch, capsys):
    from mcr2_landscape.cli import output

    def press_ctrl_c(done, total, good):
        raise KeyboardInterrupt

    monkeypatch.setattr(output, "show_progress", lambda: press_ctrl_c)
    assert main(["analyze", features, "--regularization", "1e-3"]) == 130
    said = capsys.readouterr()
    assert "was interrupted at" in said.out
    assert "everything above was kept" in said.err


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_in_a_terminal_tables_fit_its_width(user_environment, features, capsys):
    """At 80 columns long labels wrap, columns without a place go below, and no number is cut off."""
    import pty

    read, write = pty.openpty()
    environment = {**user_environment, "COLUMNS": "80", "TERM": "xterm"}
    words = ("analyze", features, "--no-ascent")
    process = subprocess.Popen(command(*words), env=environment, stdout=write, stderr=write)
    os.close(write)
    chunks = []
    try:
        while chunk := os.read(read, 65536):
            chunks.append(chunk)
    except OSError:
        pass  # Linux says so when the other end is closed
    assert process.wait() == 0
    os.close(read)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(chunks).decode()).splitlines()
    tables = lines[lines.index("Rates, in nats") :]
    assert max(len(line.rstrip()) for line in tables) <= 80
    assert main(["analyze", features, "--no-ascent"]) == 0
    plain = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(plain) if line == "Classes") + 2
    shown = {cell for line in tables for cell in line.split()}
    assert {cell for line in plain[start : start + 3] for cell in line.split()} <= shown
