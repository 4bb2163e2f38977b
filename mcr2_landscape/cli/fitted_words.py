"""What a command says that fits, or takes what was fitted before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mcr2_landscape.errors import InputError

if TYPE_CHECKING:
    from mcr2_landscape.cli.fitted_folder import FittedFolder
    from mcr2_landscape.cli.output import Output
    from mcr2_landscape.report.tables import Table


@contextlib.contextmanager
def named_as_options(data: str, folder: FittedFolder, options: Mapping[str, str], read: Collection[str] = ()) -> Iterator[None]:
    """Errors name options and the data instead of the library's arguments.

    **Arguments:** `data`: what the user calls it; `options`: by arguments; `read`: arguments that are the data.
    """
    try:
        yield
    except InputError as error:
        words = str(error)
        checkpoint = f"checkpoint {folder.checkpoint}:"
        if words.startswith(checkpoint):
            rest = words.removeprefix(checkpoint).replace("or another file", "or another --out")
            raise InputError(f"--resume: {folder.checkpoint}:{rest}") from None
        name, colon, rest = words.partition(":")
        if not colon:
            raise
        rest = rest.replace("give that one, or none to go on with it", "give that one")  # an option left out is its default
        raise InputError(f"{data if name in read else options.get(name, name)}:{rest}") from None


def say_fitted(
    output: Output,
    plain: Mapping[str, Any],
    folder: FittedFolder,
    heading: str,
    found: Any,
    tables: Sequence[Table],
    *,
    results: Sequence[str],
    fitted: bool,
    further: str | None,
) -> None:
    """Say what was found, and where it is.

    **Arguments:** `found`: an examination, with its `summary` and `notes`; `results`: the files of a fit, of which one that was
    not `fitted` here has all but the first; `further`: with what the same command goes on, where it does.
    """
    output.files(plain, None)
    output.heading(heading)
    output.sentences("What was found", found.summary)
    output.sentences("Notes", found.notes)
    for table in tables:
        output.table(table)
    written = ", ".join(results if fitted else results[1:]) + (" and the checkpoint" if fitted else "")
    said = [f"Everything is in {os.fspath(folder.path)}: {written}."]
    if further is not None:
        said.append(f"The same command {further} --resume goes on.")
    output.sentences("Where it is", said)
