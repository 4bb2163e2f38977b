"""`mcr2-landscape figures`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def figures(
    *names: str,
    source: Annotated[str, Parameter(name="--from")] = "studies",
    out: str = "gallery",
    format: Literal["svg", "pdf", "png"] = "svg",
    run: Literal["quick", "full"] | None = None,
    jobs: int | None = None,
    dpi: int = 300,
    font: str | None = None,
    list: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Draw the figures of the papers from the results of studies, with the numbers behind them and a gallery.

    The exit status is 0 if every figure was drawn, 1 if some lack results and the others were drawn.

    Parameters
    ----------
    names
        Which figures; all of them by default.
    source
        The folder that holds the stores of the studies by name, or a single store.
    out
        The folder for the pictures, a CSV file with what each shows, a JSON file with where it is from, and pages.
    format
        The form of the pictures.
    run
        Compute what the studies behind the figures lack, at this size, and then draw.
    jobs
        Processes for --run; by default one a core, as far as memory allows.
    dpi
        Dots an inch of PNG pictures, and of what is no line in the other forms.
    font
        The name of a font family for the pictures.
    list
        Show which figures there are, and the studies that they are made of.
    """
    from mcr2_landscape.cli.drawing import draw_them, show_figures

    return show_figures(names) if list else draw_them(names, source, out, format, run, jobs, dpi, font)
