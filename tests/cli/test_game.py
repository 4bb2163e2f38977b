"""`mcr2-landscape game`: what it prints and writes, and what it refuses."""

import dataclasses
import json

import pytest

from mcr2_landscape.cli import main
from mcr2_landscape.markov import random_game, routing_game, save_game


def test_the_first_experiment(tmp_path, capsys):
    file, report = tmp_path / "game.json", tmp_path / "game.html"
    words = ["routing", "--learn", "400", "--seeds", "3", "--json", str(file), "--report", str(report)]
    assert main(["game", *words]) == 0
    out = capsys.readouterr().out
    assert "It is a Markov potential game (exact): identical interest" in out
    assert "864 of 65,536 deterministic stationary policies are equilibria, all of them strict; differences" in out
    assert "At the uniform policy the Nash gap is 11.9964" in out
    assert "After 400 steps the Nash gap is" in out
    document = json.loads(file.read_text())
    assert document["schema"] == "mcr2_landscape/game"
    assert document["result"]["game"]["potential"]["verdict"] == "holds"
    assert document["result"]["game"]["gap"]["maximum"] == pytest.approx(170349 / 14200)
    learned = document["result"]["learning"]
    assert learned["num_steps"] == 400
    assert document["configuration"]["game"]["kind"] == "congestion"
    page = report.read_text()
    assert page.count("<img") == 2
    assert "Conditions of two-timescale stochastic approximation" in page


def test_a_refutation_and_its_certificate(tmp_path, capsys):
    certificate = tmp_path / "cycle.json"
    assert main(["game", "opposed-interests", "--certificate", str(certificate)]) == 0
    out = capsys.readouterr().out
    assert "It is no Markov potential game (exact)" in out
    assert "As a Markov α-potential game it has an α of at least 0.333333." in out
    assert main(["check", str(certificate)]) == 0
    assert "is no Markov potential game" in capsys.readouterr().out
    plain = json.loads(certificate.read_text())
    plain["assertion"]["discount"] = "1/3"
    certificate.write_text(json.dumps(plain))
    assert main(["check", str(certificate)]) == 2
    assert "sha256: does not fit the contents" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["routing"], "not written: there is no four-cycle that refutes"),
        (["opposed-interests", "--arithmetic", "float"], "not written: the refutation is in floating point"),
        (["large.json"], "not written: the game is too large for the checker"),
    ],
)
def test_where_there_is_no_certificate_the_rest_is_kept(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mcr2_landscape.markov.examination.alpha_lower_bound", lambda *_, **__: None)  # long for 65 states
    save_game(random_game(65, (2, 2), key=0), tmp_path / "large.json")
    file, certificate = tmp_path / "game.json", tmp_path / "c.json"
    assert main(["game", *words, "--certificate", str(certificate), "--json", str(file)]) == 1
    assert says in capsys.readouterr().err
    assert json.loads(file.read_text())["schema"] == "mcr2_landscape/game"
    assert not certificate.exists()


def test_the_perturbed_game(tmp_path, capsys):
    certificate = tmp_path / "c.json"
    assert main(["game", "entropy-moves", "--perturbed", "0.1", "--certificate", str(certificate)]) == 0
    out = capsys.readouterr().out
    assert "It is a Markov potential game (exact)" in out
    assert "The game perturbed by entropies at temperature 0.1 is none (exact)" in out
    assert main(["check", str(certificate)]) == 0
    assert "perturbed by entropies at temperature 0.1, is no Markov potential game" in capsys.readouterr().out


def test_a_prime_number_of_steps(tmp_path, capsys):
    report = tmp_path / "game.html"
    assert main(["game", "routing", "--learn", "211", "--seeds", "2", "--report", str(report)]) == 0
    said = capsys.readouterr()
    assert "--learn: 211 steps are rounded up to 213, a multiple of the 3 between records" in said.err
    assert "After 213 steps the Nash gap is" in said.out


def test_interrupted_before_the_first_record(tmp_path, monkeypatch, capsys):
    """What is shown is of the last record, and of none where there is none but the start."""
    from mcr2_landscape.markov import learning

    real = learning.learn

    def stopped(game, **options):
        if options["num_steps"] == 1:
            return real(game, **options)
        found = real(game, **{**options, "num_steps": 20, "record_every": 20})
        start = type(found.recorded)(*(own[:1] for own in found.recorded))
        return dataclasses.replace(found, num_steps=13, steps=found.steps[:1], recorded=start, interrupted=True)

    monkeypatch.setattr(learning, "learn", stopped)
    report = tmp_path / "game.html"
    assert main(["game", "routing", "--learn", "5000", "--seeds", "2", "--report", str(report)]) == 130
    out = capsys.readouterr().out
    assert "Nothing was recorded after the start in the 13 steps" in out
    assert "After" not in out
    page = report.read_text()
    assert "<img" not in page
    assert "Nothing was recorded after the start" in page


@pytest.mark.parametrize("ending", ["json", "npz"])
def test_a_file_and_a_policy(ending, tmp_path, capsys):
    game = random_game(2, (2, 3), key=0)
    path = save_game(game, tmp_path / f"own.{ending}")
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps([own.tolist() for own in game.random_policy(key=1)]))
    assert main(["game", str(path), "--policy", str(policy), "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)["result"]["game"]
    assert found["policy_name"] == str(policy)
    assert found["gap"]["maximum"] == pytest.approx(game.nash_gap(game.random_policy(key=1)).maximum)
    # floats that stand for other numbers are not decided exactly
    assert found["potential"]["evidence"] == ("exact" if ending == "json" else "numerical")


def test_many_players(capsys):
    assert main(["game", "routing", "--players", "40"]) == 0
    out = capsys.readouterr().out
    assert "It is a Markov potential game (exact)" in out
    assert "too large for tables" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing"], "game: found 'nothing'; pass a .json or .npz file, routing, or one of opposed-interests"),
        (["opposed-interests", "--players", "5"], "game: found 'opposed-interests' with options of the routing game"),
        (["routing", "--checkpoint", "kept"], "--checkpoint: nothing is learned"),
        (["routing", "--temperature", "0", "--seeds", "3"], "--seeds, --temperature: nothing is learned; give the number"),
        (["routing", "--perturbed", "0"], "--perturbed: found 0"),
        (["routing", "--players", "30", "--own-rewards", "--arithmetic", "exact"], "leave --arithmetic exact out"),
        (["routing", "--learn", "10", "--exploration", "2"], "--exploration: found 2"),
        (["routing", "--learn", "10", "--exploration", "0.1", "--temperature", "-1"], "--temperature: found -1"),
        (["routing", "--certificate", "nowhere/c.json"], "--certificate"),
        (["missing.json"], "missing.json: there is no such file"),
        (["routing", "--players", "0"], "--players: found 0"),
        (["routing", "--routes", "1"], "--routes: found 1"),
        (["routing", "--learn", "0"], "--learn: found 0"),
        (["routing", "--seeds", "0"], "--seeds: found 0"),
        (["routing", "--learn", "100", "--record-every", "0"], "--record-every: found 0"),
        (["routing", "--learn", "100", "--q-exponent", "-1"], "--q-exponent: found -1"),
        (["routing", "--policy", "missing.json"], "missing.json: cannot be read"),
        (["routing", "--seed", "-1"], "--seed: found -1"),
        (["routing", "--report", "nowhere/g.html"], "--report"),
    ],
)
def test_mistakes(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["game", *words]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "is no complete JSON text"), ("{}", "found dict; expected a list"), ("[[[1, 0]]]", "policies of 1 players")],
)
def test_policies_that_are_none(content, says, tmp_path, capsys):
    policy = tmp_path / "policy.json"
    policy.write_text(content)
    assert main(["game", "routing", "--policy", str(policy)]) == 2
    assert says in capsys.readouterr().err


def test_what_was_learned_can_be_continued(tmp_path, capsys):
    words = [
        "game",
        str(save_game(routing_game(num_players=2), tmp_path / "two.json")),
        "--seeds",
        "2",
        "--record-every",
        "100",
    ]
    words += ["--checkpoint", str(tmp_path / "kept"), "--json", "-"]
    assert main([*words, "--learn", "200"]) == 0
    capsys.readouterr()
    assert main([*words, "--learn", "400", "--resume"]) == 0
    continued = json.loads(capsys.readouterr().out)["result"]["learning"]
    assert main([*words[:-4], "--json", "-", "--learn", "400"]) == 0
    at_once = json.loads(capsys.readouterr().out)["result"]["learning"]
    assert continued == at_once
    assert main([*words, "--learn", "400"]) == 2
    assert "resume" in capsys.readouterr().err
