"""What goes on the page of a convolutional dictionary and its codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.report import sparse_pictures, sparse_tables
from mcr2_landscape.report.page import Page, Picture, Section, flat
from mcr2_landscape.report.style import embed
from mcr2_landscape.report.tables import text
from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcr2_landscape.csc.examination import SparseExamination

_LONGEST = 100
_TITLES = {
    Verdict.HOLDS: "Sparse codes, certified",
    Verdict.UNDECIDED: "Sparse codes, not all certified",
    Verdict.REFUTED: "Sparse codes of atoms whose learning raised its objective",
}
_CERTIFICATES = (
    "Each code comes with a feasible point of the dual program. Its value is a lower bound of the optimum, and what is between "
    "the two, with an allowance for rounding, is the most by which the code can miss it, whatever made the code."
)
_LEARNING = (
    "Codes and atoms are improved in turn, and a move that would raise the objective is not taken. The objective is that of "
    "all training images together, and of atoms of norm one."
)
_DEPTH = (
    "An unrolled encoder makes so many steps from zero, which a network can learn through; a solution is what they tend to. "
    "The public layer takes its gradient at another point than FISTA does, which shows from the third step on. Lines are "
    "medians over images, bands reach from the least to the greatest."
)
_CURVE = "Atoms stay as they are; only λ changes. A smaller λ buys less error with more codes that are not zero."
_USAGE = "An atom is used where its code is not zero anywhere. Weights say more: a code may be small."


def sparse_page(found: SparseExamination, provenance: Mapping[str, Any]) -> Page:
    """The report of `csc`."""
    solution, learned = found.solution, found.learned
    count, channels, height, width = found.atom_shape
    facts = [
        ("verdict", found.verdict.value),
        ("largest gap, of ½‖x‖²", text(float(solution.relative_gap.max()), 2)),
        ("median error", f"{np.median(found.errors):.1%}"),
        ("codes not zero", f"{np.median(found.active):.1%}"),
        ("λ", text(float(solution.sparsity[0]), 4)),
        ("atoms", f"{count} of {channels} × {height} × {width}"),
        ("ridge, sign", f"{solution.ridge:g}, {'z ≥ 0' if solution.nonnegative else 'any'}"),
        ("bound of ‖D‖²", text(found.lipschitz, 4)),
    ]
    learned_from = f"{found.num_train:,} to learn from, " if learned is not None else ""
    sections = [
        _certificates(found),
        _atoms(found),
        *_learning(found),
        _reconstructions(found),
        _curve(found),
        _depth(found),
        _usage(found),
    ]
    return Page(
        title=_TITLES[found.verdict],
        subtitle=f"{found.source}: {learned_from}{found.num_test:,} solved for",
        facts=tuple(facts),
        findings=found.summary,
        notes=found.notes,
        warning="The learning is not complete: its time was over."
        if learned is not None and learned.stopped == "max_seconds"
        else "",
        sections=tuple(sections),
        provenance=flat(provenance),
    )


def _picture(figure: Figure, caption: str, alternative: str, form: str = "svg") -> Picture:
    return Picture(embed(figure, form=form), caption, alternative, round(96 * figure.get_figwidth()))


def _certificates(found: SparseExamination) -> Section:
    picture = _picture(sparse_pictures.certificates(found), "A point is a test image.", "Duality gaps of the test images")
    return Section("Certificates", _CERTIFICATES, (picture,), (sparse_tables.certificates(found).first(_LONGEST),))


def _atoms(found: SparseExamination) -> Section:
    count, shown = found.atom_shape[0], sparse_pictures.shown_atoms(found)
    caption = "Atoms with their number and share of Σ|z|, by that share; gray is zero, and each has a scale of its own."
    if shown < count:
        caption += f" {shown} of {count} are shown."
    words = "" if found.learned is not None else "The atoms were read from a file."
    return Section("Atoms", words, (_picture(sparse_pictures.atoms(found), caption, "The atoms as tiles", form="png"),))


def _learning(found: SparseExamination) -> tuple[Section, ...]:
    if found.learned is None or found.learned.alternations < 1:
        return ()
    caption = "The objective after each alternation, and the part by which each lowered it (nothing where it stayed)."
    return (Section("Learning", _LEARNING, (_picture(sparse_pictures.objective(found), caption, "Objective of learning"),)),)


def _reconstructions(found: SparseExamination) -> Section:
    caption = (
        "Test images with their indices in the data, from 0 on, what their codes give, and the difference on a scale of its "
        "own, gray being zero; below, the relative error."
    )
    picture = _picture(sparse_pictures.reconstructions(found), caption, "Images beside reconstructions", form="png")
    return Section("Reconstructions", pictures=(picture,))


def _curve(found: SparseExamination) -> Section:
    caption = f"Medians over the first {found.num_studied} test images."
    picture = _picture(sparse_pictures.curve(found), caption, "Error and share of codes that are not zero against sparsity")
    return Section("Sparsity and error", _CURVE, (picture,), (sparse_tables.curve(found),))


def _depth(found: SparseExamination) -> Section:
    caption = f"P(z_n) − min P over min P, for the first {found.num_studied} test images."
    picture = _picture(sparse_pictures.depth(found), caption, "Gap of unrolled encoders by depth")
    return Section("Encoders of so many steps", _DEPTH, (picture,), (sparse_tables.depths(found),))


def _usage(found: SparseExamination) -> Section:
    picture = _picture(sparse_pictures.usage(found), "Over all test images.", "How often each atom is used")
    return Section("Use of the atoms", _USAGE, (picture,))
