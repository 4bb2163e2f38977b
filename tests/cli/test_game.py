"""`mcr2-landscape game`: what it prints and writes, and what it refuses."""

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
    assert "864 of 65,536 deterministic stationary policies are equilibria, all of them strict." in out
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
        (["routing", "--checkpoint", "kept"], "--checkpoint, --resume: nothing is learned"),
        (["missing.json"], "missing.json: there is no such file"),
        (["routing", "--players", "0"], "num_players: found 0"),
        (["routing", "--routes", "1"], "num_routes: found 1"),
        (["routing", "--learn", "0"], "--learn: found 0"),
        (["routing", "--seeds", "0"], "--seeds: found 0"),
        (["routing", "--learn", "100", "--record-every", "0"], "--record-every: found 0"),
        (["routing", "--learn", "100", "--record-every", "7"], "record_every: found 7"),
        (["routing", "--learn", "100", "--q-exponent", "-1"], "exponent: found -1"),
        (["routing", "--certificate", "c.json"], "certificate: the verdict is 'holds'"),
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
