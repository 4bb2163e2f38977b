"""The program: its commands, and what happens to errors, interruptions and closed pipes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App

_USER, _INTERRUPTED, _PIPE = 2, 130, 141
# Said here too, so that the list of commands imports none of them; a test compares these with the commands' own words.
_COMMANDS = {
    "verify": "Check what the papers state, claim by claim, and keep the evidence.",
    "check": "Check certificates again, and say what each of them proves.",
    "analyze": "Say where labeled features sit in the landscape, and what to change.",
    "catalog": "List the families of critical points that theory knows, with exact value, index and nullity.",
    "survey": "Search for critical points of every index, and match what is found with the catalog.",
    "ctrl": "Play the game of a linear encoder and a linear decoder on labeled data, and say what is kept of each class.",
    "game": "Say whether a Markov game is a potential game, what its equilibria are, and what players learn.",
    "study": "Sweep a task over a space of parameters: plan, run, resume, status, export, diff.",
    "figures": "Draw the figures of the papers from the results of studies, with the numbers behind them and a gallery.",
    "train": "Train features on labeled data, and say how close to a maximizer they came.",
    "crate": "Train a white-box transformer on images, or read one, and say what each of its layers does.",
    "flatten": "Flatten points to a plane of their dimension and decode them again, and say whether that can be done.",
    "csc": "Learn a convolutional dictionary of images, or read one, and solve for sparse codes with certificates.",
    "bench": "Time Hessian products and the inertia against their own limit and against other libraries, on one core.",
    "info": "Show versions, devices, and which optional parts are installed.",
}

# Commands that are groups of others, each with its function in the group's module.
_GROUPS = {
    "study": {
        "run": "run",
        "resume": "resume",
        "status": "status",
        "plan": "plan",
        "export": "export",
        "diff": "diff",
        "list": "list_them",
    }
}

# Process-wide settings are the program's to make, before NumPy and JAX are imported; a user's own settings have precedence.
# NPROC: on two cores several threads of one process can wait for each other for ever inside JAX. OPENBLAS_NUM_THREADS: a thread
# that waits spins, and with other work on the machine takes the core of one that works: ten times slower was seen.
_SETTINGS = {
    "NPROC": "1",
    "OPENBLAS_NUM_THREADS": str(max(1, min(4, (os.cpu_count() or 1) // 2))),
    "JAX_ENABLE_X64": "1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    **Arguments:** the words after the program's name, by default those of the process.

    **Returns:** the exit status: 0, or 2 after a user's mistake (one message on standard error, no traceback), 130 after
    Ctrl-C, 141 where the reader of standard output has gone. A defect keeps its traceback.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter shows another
    try:
        status = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("interrupted: nothing was kept", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output once more at exit, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE


def _run(words: list[str]) -> int:
    from cyclopts import CycloptsError

    try:
        status = app()(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _complain(str(error).strip(), hint=True)
    except ValueError as error:
        from mcr2_landscape.errors import InputError

        if not isinstance(error, InputError):
            raise
        return _complain(str(error))
    return status if isinstance(status, int) else 0


def _complain(message: str, *, hint: bool = False) -> int:
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print("Run mcr2-landscape --help, or a command with --help, to see what it takes.", file=sys.stderr)
    return _USER


def app() -> App:
    """The application. A command's module is imported when the command runs, or its help is shown."""
    from cyclopts import App, Parameter

    import mcr2_landscape
    from mcr2_landscape.cli.options import whole_numbers

    program = App(
        name="mcr2-landscape",
        help="See where features sit in the landscape of the maximal coding rate reduction, and what theory knows of it.",
        version=mcr2_landscape.__version__,
        version_flags=["--version"],
        help_flags=["--help", "-h"],
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(converter=whole_numbers),
    )
    for name, words in _COMMANDS.items():
        if name in _GROUPS:
            group = App(name=name, help=words, help_flags=["--help", "-h"], version_flags=[])
            for part, function in _GROUPS[name].items():
                group.command(f"mcr2_landscape.cli.{name}:{function}", name=part)
            program.command(group)
        else:
            program.command(f"mcr2_landscape.cli.{name}:{name}", name=name, help=words)
    return program
