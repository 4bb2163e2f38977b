"""What was found of a dictionary, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from mcr2_landscape.csc.examination import SparseExamination


def summary(found: SparseExamination) -> tuple[str, ...]:
    """The certificates' verdict, learning, the reconstructions, and what depth and sparsity change."""
    said = [_headline(found)]
    if found.learned is not None:
        said.append(_learned(found))
    said.append(_reconstructed(found))
    if found.random_objective is not None and (found.learned is None or found.learned.alternations):
        said.append(_beside_random(found))
    said.append(_used(found))
    if not found.encoder.solution.zero_is_optimal.all():  # else the first step is there
        said.append(_depth(found))
    ends = found.curve[0], found.curve[-1]
    said.append(
        f"From λ = {ends[0].sparsity:.3g} to {ends[1].sparsity:.3g} the median error goes from {ends[0].error:.1%} to "
        f"{ends[1].error:.1%}, and the share of codes that are not zero from {ends[0].active:.1%} to {ends[1].active:.1%}."
    )
    return tuple(said)


def _headline(found: SparseExamination) -> str:
    solution = found.solution
    largest = f"the largest duality gap is {solution.duality_gap.max():.2g}, {solution.relative_gap.max():.2g} of ½‖x‖²"
    if found.verdict is Verdict.REFUTED and found.learned is not None:
        return f"Refuted: learning raised its objective in alternation {found.learned.first_increase}; {largest}."
    if found.verdict is Verdict.HOLDS:
        return (
            f"Certified: the codes of all {found.num_test} test images are solutions to within {solution.gap:g}; {largest}, "
            "rounding included."
        )
    lacking = ~solution.converged
    hidden = int(np.sum(lacking & (solution.rounding > solution.gap * _energy(found))))
    why = [f"rounding hides so small a gap for {hidden} of them"] if hidden else []
    if lacking.sum() > hidden:
        why.append(f"{int(lacking.sum()) - hidden} of them take a larger λ, a small ridge, or a larger gap")
    return (
        f"Undecided: the codes of {int(solution.converged.sum())} of {found.num_test} test images are proved solutions to "
        f"within {solution.gap:g}; {largest}. Of the others, {', and '.join(why)}."
    )


def _energy(found: SparseExamination) -> np.ndarray:
    """½‖x‖² of each test image, and one where no gap tells."""
    solution = found.solution
    return np.divide(solution.duality_gap, solution.relative_gap, out=np.ones(found.num_test), where=solution.relative_gap > 0)


def _learned(found: SparseExamination) -> str:
    learned = found.learned
    assert learned is not None
    ended = {
        "tolerance": "after which it hardly fell",
        "max_alternations": "all that were asked for",
        "max_seconds": "when the time was over",
        "interrupted": "when it was interrupted",
    }[learned.stopped]
    if not learned.alternations:
        return f"No alternation was made ({ended}): the atoms are the random ones that learning begins with."
    rose = "it never rose" if learned.first_increase is None else f"it ROSE in alternation {learned.first_increase}"
    dead = f" {_are(len(learned.dead), 'atom')} used by no training image." if learned.dead else ""
    replaced = f" New directions given to atoms that no image used: {learned.replaced}." if learned.replaced else ""
    turns = f"{learned.alternations} alternation{'' if learned.alternations == 1 else 's'}"
    before, after = learned.objective[0], learned.objective[-1]
    changed = f"{'lowered' if after < before else 'raised'} its objective from {before:.5g} to {after:.5g}"
    if after == before:
        changed = f"left its objective at {after:.5g}"
    return f"Learning {changed} in {turns} ({ended}); {rose}.{dead}{replaced}"


def _reconstructed(found: SparseExamination) -> str:
    zero = int(found.solution.zero_is_optimal.sum())
    none = f" For {zero} of them λ is at least λ_max, and the code is zero." if zero else ""
    if zero == found.num_test:
        greatest = found.solution.lambda_max.max()
        none = f" Every code is zero, since no image has a λ_max above λ: the greatest is {greatest:.3g}. Take a smaller λ."
    return (
        f"Test images are reconstructed with a relative error ‖x − Dz‖/‖x‖ of {np.median(found.errors):.1%} (median; "
        f"{found.errors.max():.1%} at most) from {np.median(found.active):.1%} of the codes.{none}"
    )


def _beside_random(found: SparseExamination) -> str:
    from mcr2_landscape.csc.examination import CURVE_GAP

    assert found.random_objective is not None
    own, random = found.solution.objective, found.random_objective
    less = int(np.sum(own < random - CURVE_GAP * _energy(found)))  # by more than the random atoms' codes can miss their optimum
    return (
        f"Learned atoms have a lower optimum than the random ones that learning began with for {less} of {found.num_test} test "
        f"images: {own.sum():.4g} against {random.sum():.4g} in all."
    )


def _used(found: SparseExamination) -> str:
    count = len(found.usage)
    idle = int(np.sum(found.usage == 0))
    if idle == count:
        return "No atom is used by any test image."
    most = int(found.weight.argmax())
    words = f"{count - idle} of {count} atoms {'is' if count - idle == 1 else 'are'}" if idle else "Every atom is"
    return f"{words} used by some test image; atom {most + 1} has most of Σ|z|, {found.weight[most]:.1%}."


def _are(count: int, word: str) -> str:
    return f"{count} {word} is" if count == 1 else f"{count} {word}s are"


def _depth(found: SparseExamination) -> str:
    encoder = found.encoder
    names = encoder.methods
    row = names.index("fista") if "fista" in names else 0
    median = np.median(encoder.relative, axis=2)[row]
    places = [place for place, depth in enumerate(encoder.depths) if depth in (2, 10, 100)]
    told = ", ".join(f"{max(median[place], 0):.2g} after {encoder.depths[place]}" for place in places)
    # Small programs are solved step by step as well.
    solved = median[-1] <= found.solution.gap
    word = "comes to the solution in time" if solved else "is not the solution"
    images = f"{found.num_studied} image{'' if found.num_studied == 1 else 's'}"
    return (
        f"An unrolled encoder {word}: its objective exceeds the optimum, in units of it, by {told} steps of "
        f"{'FISTA' if names[row] == 'fista' else names[row]} (median of {images})."
    )
