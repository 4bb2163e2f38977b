"""What `mcr2-landscape game` reads and writes."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcr2_landscape.errors import InputError

if TYPE_CHECKING:
    from mcr2_landscape.markov import Game, History
    from mcr2_landscape.markov.examination import GameExamination

_SLOPES, _INTERCEPTS = (2, 4), (9, 16)
_DEFAULTS = {"num_players": 4, "num_routes": 2, "threshold": 2, "common_interest": True, "action_independent": False}


def game_of(name: str, routing: dict[str, Any], *, unsafe_costs_more: bool) -> tuple[Game, str]:
    """The game that a word or a file names, and what it is in words.

    **Raises:** `InputError` for what is neither, and for numbers out of range.
    """
    from mcr2_landscape.markov import EXAMPLES, load_game, routing_game

    if name == "routing":
        routes = max(2, routing["num_routes"])
        game = routing_game(
            **routing,
            slopes=list(itertools.islice(itertools.cycle(_SLOPES), routes)),
            intercepts=list(itertools.islice(itertools.cycle(_INTERCEPTS), routes)),
            cost_factors=(1, 2) if unsafe_costs_more else (2, 1),
        )
        interest = "common interest" if routing["common_interest"] else "own rewards"
        moved = ", transitions averaged over actions" if routing["action_independent"] else ""
        return game, f"routing game on {routing['num_routes']} routes, {interest}{moved}"
    if routing != _DEFAULTS or unsafe_costs_more:
        raise InputError(
            f"game: found {name!r} with options of the routing game (--players, --routes, --threshold, --own-rewards, "
            "--action-independent, --unsafe-costs-more); leave them out, or pass the word routing"
        )
    if name in EXAMPLES:
        return EXAMPLES[name].make(), f"example {name}"
    if not Path(name).suffix and not Path(name).exists():
        raise InputError(f"game: found {name!r}; pass a .json or .npz file, routing, or one of {', '.join(EXAMPLES)}")
    return load_game(name), name


def policy_of(path: str, game: Game) -> Any:
    """A policy from a JSON file.

    **Raises:** `InputError` for a file that cannot be read, or no policy of this game.
    """
    try:
        tables = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no complete JSON text ({error})") from None
    if not isinstance(tables, list):
        raise InputError(
            f"{path}: found {type(tables).__name__}; expected a list with a table (states, actions) for each player"
        )
    try:
        return game.policy(tables)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def write_certificate(result: GameExamination, path: str) -> tuple[bool, str]:
    """Write the refutation of the game, or else of the perturbed one, and say so; or say why there is none.

    **Raises:** `InputError` where the file cannot be written.
    """
    from mcr2_landscape.certify import CertificateError, write

    found = [test for test in (result.potential, result.perturbed) if test is not None and test.cycle is not None]
    if not found:
        return False, f"{path}: not written: there is no four-cycle that refutes"
    try:
        certificate = found[0].certificate()
    except CertificateError as error:
        return False, f"{path}: not written: the game is too large for the checker ({error})"
    except InputError:
        return False, f"{path}: not written: the refutation is in floating point; give the game in fractions"
    write(certificate, path)
    return True, f"wrote {path}: mcr2-landscape check {path} verifies it"


# What the library calls arguments, and the options that they come from.
_OPTIONS = {
    "num_players:": "--players:",
    "num_routes:": "--routes:",
    "threshold:": "--threshold:",
    "num_steps:": "--learn:",
    "num_seeds:": "--seeds:",
    "record_every:": "--record-every:",
    "temperature:": "--temperature:",
    "exploration:": "--exploration:",
    "checkpoint:": "--checkpoint:",
    "pass exact=False for the test in floating point": "leave --arithmetic exact out",
    "pass resume=True": "add --resume",
    '; for the deviation without smoothing pass deviation="greedy"': "",
    '; pass deviation="greedy"': "; leave one of them out",
}


@contextlib.contextmanager
def named_as_options() -> Iterator[None]:
    """Errors name options of the command instead of the library's arguments."""
    try:
        yield
    except InputError as error:
        words = str(error)
        for name, option in _OPTIONS.items():
            words = words.replace(name, option)
        raise InputError(words) from None


def step_of(option: str, exponent: float) -> Any:
    """Step sizes n^-exponent.

    **Raises:** `InputError` for an exponent that is none, with the option's name.
    """
    from mcr2_landscape.markov import power_step

    try:
        return power_step(exponent)
    except InputError as error:
        raise InputError(f"{option}: {str(error).removeprefix('exponent: ')}") from None


def check_learning(**given: Any) -> None:
    """Options of learning say something only where there is learning.

    **Raises:** `InputError` that names those that were given.
    """
    if any(given.values()):
        names = ", ".join(f"--{name.replace('_', '-')}" for name, value in given.items() if value)
        raise InputError(f"{names}: nothing is learned; give the number of steps with --learn, or leave them out")


def records(num_steps: int, every: int | None) -> tuple[int, int]:
    """The number of steps, rounded up to a multiple of those between two records, and these: by default a hundredth."""
    every = every or -(-num_steps // 100)
    return -(-num_steps // every) * every, every


def learned_words(history: History) -> tuple[str, ...]:
    """What was learned, in sentences."""
    if len(history.steps) < 2:
        return (f"Nothing was recorded after the start in the {history.num_steps:,} steps that were made: record more often.",)
    low, middle, high = history.quantiles("nash_gap", (0.05, 0.5, 0.95))[:, -1]
    q = history.quantiles("q_error", (0.5,))[0, -1]
    untried = float((history.least_visited[:, -1] == 0).mean())
    zeros = float((history.zero_probabilities[:, -1] > 0).mean())
    words = [
        f"After {int(history.steps[-1]):,} steps the Nash gap is {middle:.3g} in the median of {history.num_seeds:,} seeds "
        f"({low:.3g} to {high:.3g} in nine tenths of them), and learned values are off by {q:.3g} in the median."
    ]
    if untried:
        words.append(f"In {untried:.1%} of the seeds some player never tried some action in some state.")
    if zeros:
        words.append(
            f"In {zeros:.1%} of the seeds a probability has become zero in floating point: its action is not tried as long as "
            "the deviation gives it zero too."
        )
    return tuple(words)
