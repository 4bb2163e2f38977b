"""What the game on labeled data says, and what to change, in sentences."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mcr2_landscape.verdict import Verdict

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.examination import ClassExamination, Examination

_NAMED = 6  # classes in a sentence
_CLEARLY = 1.1  # of ‖f(X_j)‖²/n_j on the samples: more is no matter of a little noise
_WIDE_GAP = 3.0  # a gap by more is worth a look, but may be chance where it is not plain (see `RankGap`)


def summarize(result: Examination) -> tuple[str, ...]:
    """What the rank tolerance left out, the data, the optimum, the equilibrium, what is kept and what is lost."""
    parts = (_tolerance(result), _data(result), _optimum(result), _equilibrium(result), _kept(result))
    return tuple(itertools.chain(*parts))


def advise(result: Examination) -> tuple[str, ...]:
    """What to change, the most consequential first. Empty if nothing is wrong."""
    begin = _beyond(result)
    if centered := _centering(result):
        return (*begin, *centered)  # without it everything else is another matter
    noise = _noise(result)
    if noise and not result.independent and result.gap is not None and result.gap.plain:
        return (*begin, *noise)  # with other ranks likewise
    return tuple(itertools.chain(begin, noise, _dependence(result), _dimension(result), _precision(result), _ties(result)))


def _named(names: Sequence[str]) -> str:
    shown = list(names[:_NAMED])
    if len(names) > _NAMED:
        return f"classes {', '.join(shown)} and {len(names) - _NAMED} more"
    return f"class {shown[0]}" if len(shown) == 1 else f"classes {', '.join(shown[:-1])} and {shown[-1]}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _range(low: float, high: float) -> str:
    """Two shares as one or two percentages; a small one is not rounded to nothing."""
    words = [f"{share:.2g}" if share < 0.001 else f"{share:.1%}" for share in (low, high)]
    return words[0] if words[0] == words[1] else f"{words[0]} to {words[1]}"


def _tolerance(result: Examination) -> list[str]:
    own = result.on_samples
    if own is None:
        return []
    shares = [c.left_out for c in result.classes]
    what = f"the rank tolerance {result.rank_tolerance:g}" if result.rank_tolerance is not None else "rounding"
    return [
        f"Ranks, value, optimality and what is kept hold for what {what} leaves of the data; it left out "
        f"{_range(min(shares), max(shares))} of the classes' squared norms. On the samples as they are ‖f(X_j)‖²/n_j is up to "
        f"{own.feasibility.max():.4g}, where at most 1 is allowed, and ΔR is {own.value:.6g}."
    ]


def _beyond(result: Examination) -> list[str]:
    own = result.on_samples
    if own is None or own.feasibility.max() <= _CLEARLY:
        return []
    over = float(np.sqrt(own.feasibility.max()))
    return [
        "What the rank tolerance left out is not small to this encoder, which is not feasible on the samples as they are. "
        f"Lower rank_tolerance (--rank-tolerance), or divide the encoder by {over:.4g}, which makes it feasible there, with ΔR "
        f"{own.feasible_value:.6g}."
    ]


def _centering(result: Examination) -> list[str]:
    if not result.independent_before:
        return []
    return [
        "Subtracting the mean made independent classes dependent: it adds the direction of the common mean to classes that do "
        "not hold it. Leave center=True (--center) out."
    ]


def _data(result: Examination) -> list[str]:
    ranks = ", ".join(str(c.rank) for c in result.classes[:12]) + (", …" if len(result.classes) > 12 else "")
    words = f"The classes span subspaces of {ranks} dimensions, {result.rank} of {result.ambient_dim} together"
    if result.independent:
        nearest = min(result.classes, key=lambda c: c.angle)
        return [
            f"{words}: they are independent, the smallest principal angle being {nearest.angle:.3g}°, between classes "
            f"{nearest.name} and {nearest.closest}."
        ]
    return [f"{words}: they are dependent, and the theorem on equilibria says nothing of them. {_overlaps(result)}"]


def _overlaps(result: Examination) -> str:
    words = result.game.spans.describe_overlap()
    return f"{words[0].upper()}{words[1:]}."


def _optimum(result: Examination) -> list[str]:
    best = result.optimum
    if best is None:
        return [f"No encoder reaches more than {result.upper_bound:.6g} (an upper bound; no closed form is known here)."]
    if not best.decided:
        return [
            f"The optimum lies between {best.value:.6g}, the best with orthogonal classes, and {best.upper_bound:.6g}: "
            f"{best.reason}."
        ]
    return [f"The optimum is {best.value:.6g}: classes orthogonal, each with equal singular values; {best.reason}."]


def _equilibrium(result: Examination) -> list[str]:
    found, report = result.equilibrium, result.equilibrium_report
    words = f"The equilibrium found has the value {found.value:.6g}, "
    if not found.converged:
        steep = "" if found.gradient is None else f" (relative gradient {found.gradient:.1e})"
        words = f"The best encoder found has the value {found.value:.6g}; its ascent has not converged{steep}. It is "
    words += (
        f"which is optimal (gap {max(found.gap, 0.0):.1e})."
        if found.verdict is Verdict.HOLDS and found.converged
        else f"optimal (gap {max(found.gap, 0.0):.1e})."
        if found.verdict is Verdict.HOLDS
        else f"{found.gap:.3g} below the upper bound: whether it is optimal is undecided."
    )
    stackelberg = {
        Verdict.HOLDS: "It is a Stackelberg equilibrium",
        Verdict.REFUTED: f"It is no Stackelberg equilibrium ({report.reason})",
        Verdict.UNDECIDED: "Whether it is a Stackelberg equilibrium is undecided",
    }[report.stackelberg]
    nash = {
        Verdict.HOLDS: "it is a local Nash equilibrium",
        Verdict.REFUTED: "it is no Nash equilibrium, for the encoder would move if the decoder stayed",
        Verdict.UNDECIDED: "whether it is a Nash equilibrium is undecided",
    }[report.nash]
    if not found.converged and report.stackelberg is not Verdict.HOLDS:
        return [words]  # what the conditions say of a point on the way is no news
    return [words, f"{stackelberg}; {nash}.{_stability(report.stability_ratio)}"]


def _stability(ratio: float | None) -> str:
    if ratio is None:
        return ""
    if ratio == 0:
        return " Simultaneous gradient ascent stays there at every ratio of the players' rates that was tried."
    if np.isinf(ratio):
        return " Simultaneous gradient ascent does not stay there at the fastest decoder's rate that was tried."
    return f" Simultaneous gradient ascent stays there where the decoder's rate is more than {ratio:.3g} times the encoder's."


def _kept(result: Examination) -> list[str]:
    lossy = [c for c in result.classes if c.kept < c.rank]
    if not lossy:
        return ["The encoder keeps every direction of every class: it is injective on each of them."]
    words = []
    whole = [c.name for c in result.classes if c.kept == c.rank]
    if whole:
        words.append(f"The encoder keeps all of {_named(whole)}.")
    gone = [c.name for c in lossy if c.kept == 0]
    if gone:
        words.append(f"It maps {_named(gone)} to zero.")
    partly = [c for c in lossy if c.kept]
    if partly:
        parts = [f"{c.kept} of {_counted(c.rank, 'dimension')} of class {c.name} ({_variance(c)})" for c in partly[:_NAMED]]
        more = "" if len(partly) <= _NAMED else f" and {len(partly) - _NAMED} more classes in part"
        words.append(f"It keeps {', '.join(parts)}{more}.")
        if any(c.determined is Verdict.REFUTED for c in partly):
            words.append(
                "Which dimensions of a class are lost is not determined: any others are lost at an equilibrium as good, with "
                "other shares of the variance (the table has their range)."
            )
    return words


def _variance(c: ClassExamination) -> str:
    low, high = c.variance_range
    return f"{c.variance:.1%} of its variance, {low:.1%} to {high:.1%} being possible"


def _dependence(result: Examination) -> list[str]:
    if result.independent:
        return []
    return [
        "An encoder cannot make the images of dependent classes orthogonal without mapping what they share to zero. Merge the "
        "classes that overlap, drop the directions that they share, or describe each class by fewer directions."
    ]


def _noise(result: Examination) -> list[str]:
    """Full numerical rank is what noise looks like; the ranks of data without it end far above rounding."""
    full = [c.name for c in result.classes if c.rank == min(c.size, result.rank)]
    gap = result.gap
    if gap is None or gap.ranks == tuple(c.rank for c in result.classes):
        return []
    if result.independent and (not full or result.rank_tolerance is not None or not gap.plain):
        return []
    if not full and result.total_rank <= result.ambient_dim:
        return []
    begin = ""
    if full:
        who = f"{_named(full)} {'has' if len(full) == 1 else 'have'}"
        begin = f"{'Every class has' if len(full) == len(result.classes) else who} full numerical rank, as noise makes it. "
    ranks = ", ".join(map(str, gap.ranks[:12])) + (", …" if len(gap.ranks) > 12 else "")
    if gap.plain:
        return [
            f"{begin}Set rank_tolerance={gap.tolerance:.3g} (--rank-tolerance {gap.tolerance:.3g}), in the middle of the "
            f"widest gap that no class has a singular value in, a factor of {gap.ratio:.3g}; it leaves the ranks {ranks}."
        ]
    widest = f"the widest that all classes share is a factor of {gap.ratio:.3g}, at {gap.tolerance:.3g}, with the ranks {ranks}"
    if gap.ratio >= _WIDE_GAP:
        return [
            f"{begin}No gap among the singular values is plain ({widest}, which may be chance). If what lies below is noise, "
            f"set rank_tolerance={gap.tolerance:.3g} (--rank-tolerance {gap.tolerance:.3g}); otherwise it would cut real "
            "directions."
        ]
    return [
        f"{begin}No gap among the singular values is wide ({widest}): these classes lie near no subspaces of lower rank. A "
        "rank_tolerance (--rank-tolerance) would cut real directions; it says how much of each class to look at."
    ]


def _dimension(result: Examination) -> list[str]:
    if not result.independent or result.dim >= result.total_rank:
        return []
    words = f"d_z = {result.dim} has no room for all classes side by side: {result.total_rank} dimensions are needed"
    if result.injectivity_dim == result.total_rank:
        return [f"{words}, which keep every class whole at this epsilon."]
    return [f"{words}, and {result.injectivity_dim} to keep every class whole at this epsilon."]


def _precision(result: Examination) -> list[str]:
    lossy = [c for c in result.classes if c.optimal < c.rank]
    if not lossy or result.injectivity_epsilon is None:
        return []
    size = f"d_z of at least {result.injectivity_dim}"
    if not result.independent:
        return [f"Were the classes independent, {size} would keep every one whole at this epsilon."]
    parts = ", ".join(f"class {c.name} {c.optimal} of {c.rank}" for c in lossy[:_NAMED])
    more = "" if len(lossy) <= _NAMED else f", and {len(lossy) - _NAMED} more"
    words = f"epsilon = {result.epsilon:g} is too coarse to keep every direction (alone, the best is for {parts}{more}). "
    fine = f"epsilon below {_below(result.injectivity_epsilon)}"
    if result.dim >= result.total_rank:
        return [f"{words}With {fine}, or {size}, every class is kept whole."]
    return [f"{words}With {size} every class is kept whole at this epsilon; {fine} alone does not make room."]


def _below(value: float) -> str:
    """Five digits, rounded down: what is printed must be on the right side."""
    scale = 10.0 ** (4 - int(np.floor(np.log10(value))))
    return f"{np.floor(value * scale) / scale:.5g}"


def _ties(result: Examination) -> list[str]:
    tied = [c for c in result.classes if c.tied is not None]
    if not tied:
        return []
    parts = ", ".join(f"class {c.name} ({c.optimal} and {c.tied} directions)" for c in tied[:_NAMED])
    return [f"Two numbers of directions are equally good for {parts}: a slightly smaller epsilon decides for the larger one."]
