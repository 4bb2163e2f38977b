"""Value against Morse index of the critical points that a survey found, over the levels that the catalog lists.

mcr2-landscape survey --dim 4 --sizes 2,2,2 --epsilon 0.5 --json survey.json
python -m mcr2_landscape.figures.value_against_index survey.json value_against_index.pdf
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mcr2_landscape.files import check_writable
from mcr2_landscape.report.scatter import value_against_index
from mcr2_landscape.report.style import save
from mcr2_landscape.validation import InputError


def draw(survey: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw a survey's JSON form (or a catalog's) to a .pdf, .svg or .png file.

    **Raises:** `InputError` for another ending, a path that cannot be written, or what is no survey.
    """
    path = check_writable(path, "figure")
    form = path.suffix.lower().lstrip(".")
    if form not in ("pdf", "svg", "png"):
        raise InputError(f"figure {path}: found the ending {path.suffix or 'none'!r}; use .pdf, .svg or .png")
    result = survey.get("result", survey)
    if not isinstance(result, Mapping) or "listed" not in result or "maximum" not in result:
        raise InputError("survey: lists no critical points; pass the JSON file of `mcr2-landscape survey --json`")
    save(value_against_index(result), path, form=form)


def main(arguments: Sequence[str]) -> int:
    """Two arguments: the survey's JSON file and the picture to write. 0 on success, 2 for a user's mistake."""
    if len(arguments) != 2:
        print("usage: python -m mcr2_landscape.figures.value_against_index survey.json out.pdf", file=sys.stderr)
        return 2
    try:
        draw(json.loads(Path(arguments[0]).read_text(encoding="utf-8")), arguments[1])
    except (InputError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
