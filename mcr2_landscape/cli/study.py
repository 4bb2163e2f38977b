"""`mcr2-landscape study`: run, resume, status, plan, export, diff, list."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from mcr2_landscape.cli.options import File

Size = Literal["quick", "full"]


def run(
    study: str,
    /,
    *,
    size: Size | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    store: str | None = None,
    retry_failed: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compute every unit of a study that its store does not have yet.

    The exit status is 0 if every unit has a result, 1 if some have failed, and 130 after Ctrl-C; then resume goes on.

    Parameters
    ----------
    study
        A study's file (.toml), the name of one that comes with the package, or a store.
    size
        Which size of the study; by default the quick one, where the file has sizes.
    jobs
        Processes on this machine; by default one a core, as far as memory allows.
    scheduler
        Compute on the Dask cluster whose scheduler has this address, such as tcp://host:8786.
    store
        The folder of the results; by default studies/ with the study's name.
    retry_failed
        Compute units again that raised an error before.
    """
    from mcr2_landscape.cli.studying import carry_out
    from mcr2_landscape.study.opening import open_study

    return carry_out(open_study(study, size, store), jobs, scheduler, retry_failed)


def resume(
    study: str,
    /,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    store: str | None = None,
    retry_failed: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Go on with a study where its last run ended, whatever ended it.

    Parameters
    ----------
    study
        The store, or the study's file or name.
    jobs
        Processes on this machine; by default one a core, as far as memory allows.
    scheduler
        Compute on the Dask cluster whose scheduler has this address.
    store
        The folder of the results; by default studies/ with the study's name.
    retry_failed
        Compute units again that raised an error before.
    """
    from mcr2_landscape.cli.studying import carry_out, last_run

    opened = last_run(study, None, store)
    opened.store()  # there has to be one
    return carry_out(opened, jobs, scheduler, retry_failed)


def status(study: str | None = None, /, *, size: Size | None = None, store: str | None = None, json: File = None) -> int:
    """Say how far a study is. It may be running meanwhile.

    Parameters
    ----------
    study
        The store, or the study's file or name; by default every store in the folder studies/.
    size
        Which size of the study; by default the one that was last run.
    store
        The folder of the results; by default studies/ with the study's name.
    json
        Write it to this JSON file; - is standard output.
    """
    from mcr2_landscape.cli.studying import show_status

    return show_status(study, size, store, json)


def plan(
    study: str,
    /,
    *,
    size: Size | None = None,
    jobs: int | None = None,
    store: str | None = None,
    units: int = 8,
    seconds: float = 60.0,
    json: File = None,
) -> int:
    """Say how many units a study has, and about how long they will take and how many bytes, from a timed sample of them.

    Nothing is stored.

    Parameters
    ----------
    study
        A study's file (.toml), the name of one that comes with the package, or a store.
    size
        Which size of the study; by default the quick one, where the file has sizes.
    jobs
        Processes to plan for; by default one a core, as far as memory allows.
    store
        Where results may already be; by default studies/ with the study's name.
    units
        How many units to time.
    seconds
        Stop timing after so many seconds, with fewer units then.
    json
        Write it to this JSON file; - is standard output.
    """
    from mcr2_landscape.cli.studying import show_plan

    return show_plan(study, size, jobs, store, units, seconds, json)


def export(
    study: str,
    /,
    *,
    sql: str | None = None,
    out: File = None,
    size: Size | None = None,
    store: str | None = None,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
) -> int:
    """Write a study's rows as one table, or what a query makes of them.

    Failed units go to a table of their own, beside the first: NAME.failures.csv.

    Parameters
    ----------
    study
        The store, or the study's file or name.
    sql
        A query for DuckDB. Its tables are rows and failures; without a file to write, the answer is shown.
    out
        The file: .csv, .parquet, .json (a list) or .jsonl (a row a line).
    size
        Which size of the study; by default the one that was last run.
    store
        The folder of the results; by default studies/ with the study's name.
    everything
        Rows of earlier descriptions and versions too, not only those that the study means now.
    """
    from mcr2_landscape.cli.studying import export_rows

    return export_rows(study, sql, out, size, store, everything=everything)


def diff(first: str, second: str, /, *, rtol: float = 0.0, atol: float = 0.0, json: File = None) -> int:
    """Compare the results of two stores, unit by unit: same parameters, same seed.

    Timings and versions do not count. The exit status is 0 if nothing differs and 1 otherwise.

    Parameters
    ----------
    first
        A store, or a study's file or name.
    second
        Another one.
    rtol
        Relative difference of floating-point numbers that still counts as the same.
    atol
        Absolute difference that does, for what is zero but for rounding.
    json
        Write it to this JSON file; - is standard output.
    """
    from mcr2_landscape.cli.studying import show_difference

    return show_difference(first, second, rtol, atol, json)


def list_them() -> int:
    """Show the studies that come with the package, and the tasks that a study can name."""
    from mcr2_landscape.cli.studying import show_list

    return show_list()
