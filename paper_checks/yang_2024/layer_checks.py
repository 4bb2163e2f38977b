"""How the claim on trained CRATE-α networks is checked, layer by layer.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections.abc import Callable

from mcr2_landscape.claims import Outcome, Part, Run
from paper_checks.yu_2023.layer_checks import Network, measured, sign_of, trained


def networks(run: Run) -> list[Network]:
    """CRATE-α networks of several seeds, trained once for all claims of a process."""
    return run.shared("trained CRATE-α", lambda: trained(run, family="crate-alpha"))


def compression(run: Run, *, which: Callable[[Run], list[Network]] = networks) -> Outcome:
    """The change of R_c across attention halves, of unit projections, summed over layers; one that clearly rises refutes."""
    found = which(run)
    rises, words, open_ones = [], [], 0
    for seed, own in enumerate(measured(run, lambda _: found, "trained", "as hooked")):
        changes = own.after - own.before
        total = changes.sum(axis=0)
        layers = sum(sign_of(each) > 0 for each in changes)
        words.append(f"seed {seed}: {total.mean():+.3g}, it rises in {layers} of {len(changes)} layers")
        if sign_of(total) == 0:
            open_ones += 1
        elif sign_of(total) > 0:
            rises.append(f"seed {seed}: it changes by {total.mean():+.3g}")
    what = "R_c of unit projections falls, summed over layers"
    part = Part.counted("trained", len(found) - open_ones, rises, what, seeds=len(found), undecided=open_ones)
    accuracies = ", ".join(f"{each.accuracy:.3f}" for each in found)
    return Outcome.of([part], f"{part.summary} {'; '.join(words)}. Test accuracies of the networks: {accuracies}.")
