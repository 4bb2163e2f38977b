"""A game that was saved is the same game, number for number; a file that is none is refused with its name."""

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from mcr2_landscape.markov import CongestionGame, load_game, random_game, routing_game, save_game
from mcr2_landscape.testing import seeds
from mcr2_landscape.validation import InputError

from . import games


def same(game, other):
    a, b = game.to_tables().exact, other.to_tables().exact
    return (
        all((x == y).all() for x, y in ((a.transition, b.transition), (a.reward, b.reward), (a.initial, b.initial)))
        and a.discount == b.discount
        and a.rounded == b.rounded
    )


@given(seed=seeds())
def test_exact_games_stay_exact(seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("games") / "game.json"
    game = random_game(2, (2, 3), key=seed, discount="1/3")
    assert same(game, load_game(save_game(game, path)))
    assert not load_game(path).exact.rounded


@pytest.mark.parametrize("ending", ["json", "npz"])
@given(seed=seeds())
def test_floats_stay_what_they_are(ending, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("games") / f"game.{ending}"
    game = games.random_game(seed)
    again = load_game(save_game(game, path))
    assert same(game, again)
    assert again.exact.rounded


@pytest.mark.parametrize("options", [{}, {"common_interest": False, "action_independent": True}, {"discount": "1/3"}])
def test_congestion_games(options, tmp_path):
    game = routing_game(**options)
    again = load_game(save_game(game, tmp_path / "game.json"))
    assert isinstance(again, CongestionGame)
    assert same(game, again)


def test_decimals_are_what_they_say(tmp_path):
    path = tmp_path / "game.json"
    document = {
        "schema": "mcr2_landscape/markov-game",
        "schema_version": 1,
        "kind": "tables",
        "transition": [[[0.8, 0.2], ["1/3", "2/3"]]] * 2,
        "reward": [[[1, 0.1], [0, -2.5e-1]]],
        "discount": 0.9,
    }
    path.write_text(json.dumps(document))
    game = load_game(path)
    assert not game.exact.rounded
    assert game.exact.discount == Fraction(9, 10)
    assert list(game.exact.transition[0, 0]) == [Fraction(4, 5), Fraction(1, 5)]
    assert list(game.exact.reward[0].ravel()) == [1, Fraction(1, 10), 0, Fraction(-1, 4)]
    document["reward"][0][0][1] = 0.1 + 0.2  # seventeen digits
    path.write_text(json.dumps(document))
    assert load_game(path).exact.rounded


def test_what_is_no_game(tmp_path):
    good = tmp_path / "good.json"
    save_game(games.random_game(0), good)
    text, document = good.read_text(), json.loads(good.read_text())

    number = itertools.count()

    def wrong(content, ending="json"):
        path = tmp_path / f"{next(number)}.{ending}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    save_game(games.random_game(0), tmp_path / "good.npz")
    packed = (tmp_path / "good.npz").read_bytes()
    np.savez(tmp_path / "other.npz", features=np.eye(2))
    for path, says in (
        (tmp_path / "missing.json", "missing.json: there is no such file"),
        (tmp_path, "found the ending ''"),
        (wrong("x", "txt"), r"found the ending '.txt'; a game is a .json or an .npz file"),
        (wrong(text[:-20]), "is no complete JSON text"),
        (wrong(b"\xff\xfe"), "is no complete JSON text"),
        (wrong("[" * 100_000), "is no complete JSON text"),
        (wrong("{}"), 'is no game: expected an object with "schema"'),
        (wrong(json.dumps(document | {"schema_version": 2})), "schema_version: found 2"),
        (wrong(json.dumps(document | {"kind": "x"})), "kind: found 'x'; expected one of tables, congestion"),
        (wrong(json.dumps(document | {"extra": 1})), "has extra; a game of kind 'tables' has transition"),
        (wrong(json.dumps({k: v for k, v in document.items() if k != "reward"})), "lacks reward"),
        (wrong(json.dumps(document | {"discount": 2})), "json: discount: found 2"),
        (wrong(json.dumps(document | {"reward": [[1], [1, 2]]})), "json: reward: cannot be read"),
        (wrong(packed[:-30], "npz"), "is no complete .npz file"),
        (tmp_path / "other.npz", "lacks transition, reward, discount"),
    ):
        with pytest.raises(InputError, match=says):
            load_game(path)


def test_what_cannot_be_written(tmp_path):
    game = games.random_game(0)
    for what, path, says in (
        (game, tmp_path / "game.txt", "found the ending '.txt'"),
        (routing_game(), tmp_path / "game.npz", "holds tables alone"),
        (game, tmp_path / "missing" / "game.json", "missing"),
    ):
        with pytest.raises(InputError, match=says):
            save_game(what, path)
    assert not list(tmp_path.iterdir())
