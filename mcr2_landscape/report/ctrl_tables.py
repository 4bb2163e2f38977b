"""The tables of an examined game."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcr2_landscape.report.tables import NONE, Table, text

_MENTIONED = 1e-9  # of a class's squared norm: less left out is not worth a word

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.equilibrium import EquilibriumReport
    from mcr2_landscape.ctrl.examination import Examination


def hypotheses(result: Examination) -> Table:
    """What the theorem assumes, and by how much it is so."""
    rows = [(h.name, h.verdict.value, text(h.margin, 4), h.statement, h.detail) for h in result.hypotheses]
    columns = ("hypothesis", "verdict", "margin", "statement (what the margin is)", "found")
    return Table.of(
        "Hypotheses of the theorem on equilibria, as recalled of the paper and exact", columns, rows, left=(0, 1, 3, 4)
    )


def values(result: Examination) -> Table:
    """The optimum and the equilibrium that was found."""
    best, found, report = result.optimum, result.equilibrium, result.equilibrium_report
    rows = [
        ("optimum with orthogonal classes, closed form", None if best is None else best.value),
        ("upper bound for every encoder", result.upper_bound),
        ("value at the equilibrium found" if found.converged else "value of the best encoder found", found.value),
        ("gap to the upper bound", text(max(found.gap, 0.0), 3)),
        ("largest ‖f(X_j)‖²/n_j (at most 1 allowed)", text(float(max(found.feasibility)), 10)),
        *_on_samples(result),
        ("error of the decoder's response", text(found.response_error, 3)),
        ("optimal", found.verdict.value),
        ("Stackelberg equilibrium", report.stackelberg.value),
        ("the encoder, its decoder answering", report.kind.value),
        ("local Nash equilibrium", report.nash.value),
        ("least stable ratio of rates, decoder over encoder", _stable(report)),
    ]
    title = "Optimum and equilibrium"
    if result.on_samples is not None:
        title += ", of what the rank tolerance leaves unless said otherwise"
    return Table.of(title, ("quantity", "value"), rows)


def _on_samples(result: Examination) -> list[tuple[str, str]]:
    own = result.on_samples
    if own is None:
        return []
    return [
        ("the same on the samples as they are", text(float(own.feasibility.max()), 6)),
        ("value (ΔR) on the samples as they are", text(own.value, 6)),
        ("the same after scaling the encoder until it is feasible", text(own.feasible_value, 6)),
    ]


def _stable(report: EquilibriumReport) -> str:
    ratio = report.stability_ratio
    return f"not known: {report.stability_reason}" if ratio is None else text(ratio, 4)


def classes(result: Examination) -> Table:
    """What is kept of each class, and what it takes to keep all."""
    columns = (
        *(
            "class",
            "samples",
            "rank",
            "left out",
            "kept",
            "best alone",
            "tied",
            "level √(n_j/kept)",
            "variance kept",
            "possible",
        ),
        *("N_j/r_j", "needed", "epsilon below", "smallest angle", "with", "shared"),
    )
    rows = [
        (
            *(c.name, c.size, c.rank, _share(c.left_out), c.kept, c.optimal, c.tied),
            *(text(c.level, 5) if c.kept else NONE, f"{c.variance:.1%}"),
            f"{c.variance_range[0]:.1%} … {c.variance_range[1]:.1%}" if 0 < c.kept < c.rank else NONE,
            *(text(c.capacity, 4), text(c.threshold, 4) if c.rank > 1 else NONE, text(c.epsilon_needed, 4)),
            *(f"{c.angle:.3g}°", c.closest, c.shared or NONE),
        )
        for c in result.classes
    ]
    return Table.of("Classes: what the encoder keeps of them", columns, rows, left=(0, 14))


def _share(value: float) -> str:
    if value <= _MENTIONED:
        return NONE
    return f"{value:.1%}" if value >= 0.001 else f"{value:.1e}"


def directions(result: Examination) -> Table | None:
    """The principal directions of the classes that are not kept whole; `None` where all are."""
    rows = [
        (c.name, number + 1, text(float(s), 5), f"{share:.1%}")
        for c in result.classes
        if c.kept < c.rank
        for number, (s, share) in enumerate(zip(c.singular_values, c.directions, strict=True))
    ]
    if not rows:
        return None
    columns = ("class", "principal direction", "singular value of X_j", "share kept")
    return Table.of("Principal directions of the classes that are not kept whole", columns, rows)
