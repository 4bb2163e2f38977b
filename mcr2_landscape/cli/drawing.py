"""What `mcr2-landscape figures` does and says."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mcr2_landscape.cli.output import Output
from mcr2_landscape.cli.studying import carry_out
from mcr2_landscape.errors import InputError
from mcr2_landscape.gallery.drawing import check_folder, draw_figure
from mcr2_landscape.gallery.pages import INDEX, write_gallery
from mcr2_landscape.gallery.reading import Stores, needed
from mcr2_landscape.study.opening import open_study
from mcr2_landscape.study.store import Store

# By its name: in a checkout the folder lies beside the package, where type checkers do not find it.
load = importlib.import_module("mcr2_landscape.figures").load
_CLAIMS = "claims"  # the study whose rows are verdicts


def show_figures(names: Sequence[str]) -> int:
    """Which figures there are."""
    from mcr2_landscape.report.tables import Table

    rows = [(one.name, one.group, ", ".join(one.studies), one.title) for one in load(names)]
    Output(None, None).table(Table.of("Figures", ("figure", "page", "studies", "title"), rows, left=(0, 1, 2, 3)))
    return 0


def draw_them(
    names: Sequence[str],
    source: str,
    out: str,
    form: str,
    size: str | None,
    jobs: int | None,
    dpi: int,
    font: str | None,
) -> int:
    """Run what is asked for, draw, and write the pages."""
    from mcr2_landscape.claims import load as load_claims
    from mcr2_landscape.provenance import versions
    from mcr2_landscape.report.style import check_font

    figures, folder = load(names), Path(out)
    if font is not None:
        check_font(font)
    if not 30 <= dpi <= 1200:
        raise InputError(f"--dpi: found {dpi}; give 30 to 1200")
    if size is None and not Path(source).exists():
        raise InputError(f"--from {source}: is not there; --run quick computes what the figures need, into this folder")
    check_folder(folder)
    if size is not None:
        # All claims take longer than a single figure's study: they belong to the whole gallery.
        studies = needed(figures) if names else (*needed(figures), _CLAIMS)
        status = _run(studies, Path(source), size, jobs)
        if status:
            return status
    drawn, missing = [], []
    with Stores(Path(source)) as stores:
        for one in figures:
            try:
                drawn.append(draw_figure(one, stores.tables(one), folder, form=form, font=font, dpi=dpi))
            except InputError as error:
                missing.append(str(error))
                continue
            print(f"drew {folder / drawn[-1].picture}", file=sys.stderr)
        verdicts = _verdicts(stores, missing)
    for words in missing:
        print(f"error: {words}", file=sys.stderr)
    if not drawn:
        return 2
    write_gallery(drawn, folder, claims=load_claims().claims, verdicts=verdicts, provenance={**versions(), "stores": source})
    print(f"{len(drawn)} of {len(figures)} figures in {folder}; look at {folder / INDEX}")
    return 1 if missing else 0


def _run(studies: Sequence[str], source: Path, size: str, jobs: int | None) -> int:
    """Compute what the studies lack: 0, or the status of the one that did not end well."""
    if Store.exists(source):
        raise InputError(f"--run, --from {source}: is a single store; give the folder that is to hold the stores")
    for number, study in enumerate(studies, start=1):
        print(f"study {number} of {len(studies)}: {study}", file=sys.stderr)
        status = carry_out(open_study(study, size, source / study), jobs, None, False)
        if status:
            return status
    return 0


def _verdicts(stores: Stores, missing: list[str]) -> Mapping[str, Mapping[str, Any]]:
    """What the store of the claims has, by id; why it cannot be read is added to what is missing."""
    if not stores.has(_CLAIMS):
        return {}
    try:
        names, rows = stores.rows(_CLAIMS, "SELECT claim, verdict, evidence, as_expected FROM ordered_rows")
    except InputError as error:
        missing.append(f"verdicts of the claims: {error}")
        return {}
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in rows}
