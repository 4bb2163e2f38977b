"""The tables of a convolutional dictionary and its codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.report.tables import Table, text

if TYPE_CHECKING:
    from mcr2_landscape.csc.examination import SparseExamination


def certificates(found: SparseExamination) -> Table:
    """One row a test image, by its index in the data."""
    s = found.solution
    columns = (
        *("image", "objective", "duality gap", "of ½‖x‖²", "rounding's part", "λ/λ_max", "error", "codes not zero"),
        *("steps", "Newton steps", "reached"),
    )
    rows = [
        (
            str(int(found.rows[place])),
            text(float(s.objective[place]), 6),
            *(text(float(numbers[place]), 3) for numbers in (s.duality_gap, s.relative_gap, s.rounding)),
            text(float(s.sparsity[place] / s.lambda_max[place]), 3) if s.lambda_max[place] > 0 else "–",
            f"{found.errors[place]:.1%}",
            f"{found.active[place]:.1%}",
            str(int(s.steps[place])),
            str(int(s.newton_steps[place])),
            "yes" if s.converged[place] else "no",
        )
        for place in range(found.num_test)
    ]
    caption = (
        f"Certificates of the test images, by their indices in the data from 0 on; a gap of {s.gap:g} of ½‖x‖² was asked for"
    )
    return Table.of(caption, columns, rows)


def curve(found: SparseExamination) -> Table:
    """One row a sparsity."""
    rows = [
        (text(one.sparsity, 4), f"{one.error:.1%}", f"{one.active:.1%}", one.zero, text(one.relative_gap, 2))
        for one in found.curve
    ]
    columns = ("λ", "median error", "codes not zero", "images of code zero", "largest gap of ½‖x‖²")
    return Table.of(f"Sparsity and error, the first {found.num_studied} test images", columns, rows, left=())


def depths(found: SparseExamination) -> Table:
    """One row a depth, one column a method."""
    encoder = found.encoder
    median = np.median(encoder.relative, axis=2)
    columns = ("steps", *(label(method) for method in encoder.methods))
    rows = [
        (str(depth), *(text(float(number), 3) for number in median[:, place])) for place, depth in enumerate(encoder.depths)
    ]
    caption = "Unrolled encoders: by how much the objective exceeds the optimum, in units of it, median over images"
    return Table.of(caption, columns, rows)


def label(method: str) -> str:
    """A method as it is written."""
    return {"ista": "ISTA", "fista": "FISTA"}.get(method, method)
