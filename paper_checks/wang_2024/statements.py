"""The theorems of Wang, Liu, Pai, Yu, Zhu, Qu, Ma, *A Global Geometric Analysis of Maximal Coding Rate Reduction* (ICML 2024,
arXiv 2406.01909), in the form in which the authors' textbook *Learning Deep Representations of Data Distributions* (2025,
chapter 3, "Regularized MCR²") repeats them, and their corrected forms.

Notation as in `paper_checks.landscape_theory.statements`. x_k⁻ ≤ x_k⁺ are the squared singular values that class k can have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from mcr2_landscape.certify import Block, ExactFamily, ExactProblem, Statement, orthogonal
from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.landscape_theory.statements import inertia_of, problem

BOOK = "Wang et al. (ICML 2024), as stated in Learning Deep Representations of Data Distributions (2025), chapter 3"
_CHECKS = "paper_checks.wang_2024.checks"
_RADIUS = {"radius": "1/1000000000"}
_RANGE = "0 < λ ≤ λ_max = α(√(m/m_max) − 1)/(√(m/m_max) + 1)"


def printed_ranks(where: ExactProblem) -> Iterator[tuple[int, ...]]:
    """The rank vectors of the printed global maximizers: Σ r_k = min(m, d), r_k ≤ min(m_k, d), and a class that is used has
    every strictly smaller class full."""
    capacities = [min(size, where.dim) for size in where.sizes]

    def vectors(k: int, left: int) -> Iterator[tuple[int, ...]]:
        if k == len(capacities):
            if left == 0:
                yield ()
            return
        for rank in range(min(capacities[k], left) + 1):
            yield from ((rank, *rest) for rest in vectors(k + 1, left - rank))

    for ranks in vectors(0, min(where.num_samples, where.dim)):
        used = [where.sizes[k] for k, rank in enumerate(ranks) if rank]
        if all(ranks[k] == capacities[k] for k, size in enumerate(where.sizes) if used and size < max(used)):
            yield ranks


def _maximizer(where: ExactProblem, ranks: Sequence[int]) -> Statement:
    family = orthogonal(ranks)
    return Statement("local maximizer", where, family, _RADIUS | {"zero": inertia_of(where, family)["zero"]})


def _saddle(where: ExactProblem, family: ExactFamily) -> Statement:
    return Statement("strict saddle", where, family, _RADIUS)


def _degenerate(where: ExactProblem, ranks: Sequence[int]) -> Statement:
    """At lambda = lambda_k, ranks of classes of that size only: the excess nullity is Σ r_k(r_k+1)/2."""
    used = next(k for k, rank in enumerate(ranks) if rank) + 1
    excess = sum(rank * (rank + 1) // 2 for rank in ranks)
    return Statement("degenerate", where, orthogonal(ranks), {"of_class": used, "excess_nullity": excess})


def _ascending(where: ExactProblem, *quantities: str | Sequence[int]) -> Statement:
    """A chain of numbers, and of ranks whose F is meant."""
    chain = [q if isinstance(q, str) else {"value_at": orthogonal(q).to_plain()} for q in quantities]
    return Statement("inequality", where, None, {"ascending": chain})


# (name, problem, ranks of a better point). At each of them the printed points have lower values: one certificate for each of
# their rank vectors up to the order of equal classes.
GLOBAL_FAILURES: tuple[tuple[str, ExactProblem, tuple[int, ...]], ...] = (
    ("equal-classes", problem(7, (4, 4, 4), "2/5", "9/10"), (0, 0, 0)),
    ("one-large-class", problem(4, (1, 1, 8), "1/2", "19/20"), (1, 1, 0)),
    ("three-sizes", problem(6, (2, 3, 9), "1/2", "9/10"), (2, 3, 0)),
    ("at-the-end", problem(5, (3, 3), "1/2", "99/100"), (0, 0)),
)
# The printed theorem is right here up to the end of its range: small classes fill all dimensions, or lambda is below every
# λ_k°.
GLOBAL_SUCCESSES: tuple[tuple[str, ExactProblem, tuple[tuple[int, ...], ...]], ...] = (
    ("small-classes-suffice", problem(4, (5, 5, 6), "1/2", "99/100"), ((0, 0, 4), (2, 0, 2), (3, 0, 1), (4, 0, 0))),
    ("below-the-value-threshold", problem(7, (4, 4, 4), "2/5", "43/50"), ((0, 0, 0), (4, 0, 0), (4, 2, 0), (4, 3, 0))),
    ("small-lambda", problem(4, (1, 1, 8), "1/2", "1/2"), ((1, 1, 0), (1, 1, 1), (1, 1, 2))),
)


def _global_failures() -> Iterator[Case]:
    for name, where, better in GLOBAL_FAILURES:
        seen = set()
        for ranks in printed_ranks(where):
            key = tuple(sorted(zip(where.sizes, ranks, strict=True)))
            if key in seen:
                continue
            seen.add(key)
            statement = _ascending(where, ranks, better)
            words = f"The printed global maximizers with ranks {ranks} lie below the point with ranks {better}."
            yield Case(f"{name}-{'-'.join(map(str, ranks))}", statement, Role.COUNTER_EXAMPLE, words)


DEGENERATE: tuple[tuple[str, ExactProblem, tuple[int, ...]], ...] = (
    ("two-equal-classes", problem(4, (3, 3), "3/5", "1"), (2, 2)),
    ("one-direction", problem(4, (3, 3), "3/5", "1"), (0, 1)),
    ("rational-limit", problem(3, (4, 3, 2), "1/2", "1"), (2, 0, 0)),
    ("largest-class", problem(4, (1, 1, 8), "1/2", "1"), (0, 0, 2)),
    ("three-equal-classes", problem(7, (4, 4, 4), "2/5", "1"), (3, 2, 2)),
)
_LINE = ExactFamily((Block("+", (1, 2)),))
_TRIANGLE = ExactFamily((Block("+", (1, 2, 3), 1, "triangle"),))

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="mcr2.critical-equation",
        title="Left singular vectors of the blocks are eigenvectors of ZZᵀ",
        source=f"{BOOK}; critical equation",
        form=Form.PRINTED,
        statement=(
            "Z is critical exactly if αA Z_k − αA_k Z_k = λZ_k for every class. Then the left singular vectors of each block "
            "with non-zero singular value can be taken as eigenvectors of ZZᵀ."
        ),
        formula="α(I + αZZᵀ)⁻¹Z_k − α(I + α_k Z_k Z_kᵀ)⁻¹Z_k − λZ_k = 0,   k = 1 … K",
        hypotheses=("λ > 0",),
        expected=Verdict.HOLDS,
        check=f"{_CHECKS}:critical_equation",
        group="search",
    ),
    Claim(
        id="mcr2.local-maximizers.printed",
        title="Local maximizers, as printed",
        source=f"{BOOK}; theorem on local and global maximizers, (i)",
        form=Form.PRINTED,
        statement=(
            "Z is a local maximizer exactly if its blocks are mutually orthogonal, Z_k = √x_k⁺ U_k V_kᵀ with orthonormal "
            "columns, and their ranks satisfy r_k ∈ [0, min{m_k, d}) and Σ r_k ≤ min{m, d}."
        ),
        formula="Z_k = ((η_k + √(η_k² − 4λ²m/m_k))/(2λα_k))^{1/2} U_k V_kᵀ,   η_k = (α_k − α) − λ(m/m_k + 1)",
        hypotheses=(_RANGE, "r_k < min{m_k, d}"),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:local_maximizers_printed",
        cases=(
            Case(
                "full-class",
                _maximizer(problem(4, (1, 1, 8), "1/2", "2/5"), (1, 0, 2)),
                Role.COUNTER_EXAMPLE,
                "A local maximizer with r_1 = min{m_1, d}, which the printed range of ranks leaves out.",
            ),
            Case(
                "full-block",
                _maximizer(problem(4, (3, 3), "1/2", "1/2"), (3, 1)),
                Role.COUNTER_EXAMPLE,
                "A local maximizer with r_1 = m_1 = 3.",
            ),
            Case(
                "all-dimensions",
                _maximizer(problem(2, (3, 3), "1/2", "1/2"), (2, 0)),
                Role.COUNTER_EXAMPLE,
                "A local maximizer with r_1 = d = 2.",
            ),
            Case(
                "end-of-the-range",
                _degenerate(problem(4, (3, 3), "3/5", "1"), (2, 2)),
                Role.COUNTER_EXAMPLE,
                "At λ = λ_max, a point of the printed form with ranks within the printed range that is no local maximizer.",
            ),
        ),
    ),
    Claim(
        id="mcr2.local-maximizers.corrected",
        title="Local maximizers, corrected",
        source=f"{BOOK}; (i) with corrected ranges; docs/theory.md, inertia theorem",
        form=Form.CORRECTED,
        statement=(
            "Z is a local maximizer exactly if its blocks are mutually orthogonal, Z_k = √x_k⁺ U_k V_kᵀ with orthonormal "
            "columns, and their ranks satisfy r_k ≤ min{m_k, d} and Σ r_k ≤ d."
        ),
        hypotheses=("0 < λ < λ_max (open)", "r_k ≤ min{m_k, d}"),
        expected=Verdict.HOLDS,
        corrects="mcr2.local-maximizers.printed",
        check=f"{_CHECKS}:local_maximizers_corrected",
        cases=(
            Case("none", _maximizer(problem(3, (2, 2, 2), "1/2", "2/5"), (0, 0, 0))),
            Case("one-direction", _maximizer(problem(3, (2, 2, 2), "1/2", "2/5"), (1, 0, 0))),
            Case("full-class", _maximizer(problem(4, (1, 1, 8), "1/2", "2/5"), (1, 1, 2))),
            Case("full-block", _maximizer(problem(4, (3, 3), "1/2", "1/2"), (3, 1))),
            Case("near-the-limit", _maximizer(problem(4, (3, 3), "3/5", "999999/1000000"), (2, 2))),
            Case("tiny-lambda", _maximizer(problem(4, (3, 3), "3/5", "1/1000000"), (2, 2))),
            Case("small-root", _saddle(problem(4, (3, 3), "1/2", "1/2"), orthogonal((2, 1), (0, 1)))),
            Case("near-limit-small-root", _saddle(problem(4, (3, 3), "1/2", "9999/10000"), orthogonal((2, 1), (0, 1)))),
            Case("shared-line", _saddle(problem(4, (3, 4, 5), "1/2", "2/5"), _LINE)),
            Case("triangle", _saddle(problem(4, (2, 2, 2), "1/2", "2/5"), _TRIANGLE)),
        ),
        group="search",
    ),
    Claim(
        id="mcr2.global-maximizers.printed",
        title="Global maximizers, as printed",
        source=f"{BOOK}; theorem on local and global maximizers, (ii)",
        form=Form.PRINTED,
        statement=(
            "Z is a global maximizer exactly if it is a local maximizer of the form in (i), Σ r_k = min{m, d}, and r_k = "
            "min{m_k, d} for every class k that is smaller than some class l with r_l > 0."
        ),
        formula="Σ_k r_k = min{m, d};   m_k < m_l and r_l > 0  ⟹  r_k = min{m_k, d}",
        hypotheses=(_RANGE, "(i) read with r_k ≤ min{m_k, d}, which (ii) needs"),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:global_maximizers_printed",
        cases=(
            *_global_failures(),
            *(Case(name, _ascending(where, *chain)) for name, where, chain in GLOBAL_SUCCESSES),
            Case(
                "value-at-equal-classes",
                _ascending(
                    problem(7, (4, 4, 4), "2/5", "9/10"),
                    "-33214473572/1000000000000",
                    (4, 3, 0),
                    "-33214473571/1000000000000",
                    (),
                ),
                role=Role.LEMMA,
                words="The value of the printed maximizers: F(0) = 0 is larger.",
            ),
            Case(
                "crossing-at-rho-3",
                Statement("inequality", None, None, {"ascending": ["8704/10000", {"value_threshold": "3"}, "8705/10000"]}),
                role=Role.LEMMA,
                words="Three equal classes: the printed points fall below Z = 0 where λ/λ_max passes this value.",
            ),
            Case(
                "crossing-at-rho-5-4",
                Statement("inequality", None, None, {"ascending": ["8650/10000", {"value_threshold": "5/4"}, "8655/10000"]}),
                role=Role.LEMMA,
                words="Sizes 1, 1, 8: leaving the large class out is better beyond this value.",
            ),
        ),
    ),
    Claim(
        id="mcr2.global-maximizers.corrected",
        title="Global maximizers, corrected",
        source=f"{BOOK}; (ii) with corrected hypotheses; docs/theory.md, global maximum",
        form=Form.CORRECTED,
        statement=(
            "The global maximizers are orthogonal with large roots, and fill the classes with h_k(x_k⁺) > 0, that is λ < "
            "λ_k°, in increasing size, each to its capacity min{m_k, d}, until d dimensions are used; ties in any way, and at "
            "h_k(x_k⁺) = 0 optional. At every λ > 0, beyond λ_max too."
        ),
        formula="max F = max { Σ_k r_k h_k(x_k⁺) : r_k ≤ min{m_k, d}, Σ r_k ≤ d }",
        hypotheses=("λ > 0",),
        expected=Verdict.HOLDS,
        corrects="mcr2.global-maximizers.printed",
        check=f"{_CHECKS}:global_maximizers_corrected",
        cases=(
            Case(
                "share-slope",
                Statement("identity", None, None, {"left": "1/(1 + y) - 1/(1 + y)**2", "right": "y/(1 + y)**2", "where": []}),
                role=Role.LEMMA,
                words=(
                    "With y = s/t: ∂/∂t [t log(1 + s/t)] = log(1+y) − y/(1+y), zero at y = 0 with slope y/(1+y)² > 0. So the "
                    "value at fixed s decreases in the share t = 1/ρ."
                ),
            ),
            Case(
                "share-convexity",
                Statement(
                    "identity",
                    None,
                    None,
                    {"left": "(1/(1 + s/t) - 1/(1 + s/t)**2)*(-s/t**2)", "right": "-s**2/t**3/(1 + s/t)**2", "where": []},
                ),
                role=Role.LEMMA,
                words=(
                    "∂²/∂t² [t log(1 + s/t)] = −(s²/t³)/(1 + s/t)² < 0: at fixed s the value is convex in t, and so is its "
                    "maximum over s. Moving a frame's share to the classes of smallest share never lowers F."
                ),
            ),
            *(
                Case(f"better-{name}", _ascending(where, next(printed_ranks(where)), better))
                for name, where, better in GLOBAL_FAILURES
            ),
            *(Case(name, _ascending(where, *chain)) for name, where, chain in GLOBAL_SUCCESSES),
        ),
        group="ascend",
    ),
    Claim(
        id="mcr2.benign-landscape.printed",
        title="Benign landscape, as printed",
        source=f"{BOOK}; theorem on the landscape",
        form=Form.PRINTED,
        statement="Every critical point is a local maximizer or a strict saddle.",
        hypotheses=(f"{_RANGE}, the end included",),
        expected=Verdict.REFUTED,
        check=f"{_CHECKS}:benign_landscape_printed",
        cases=tuple(
            Case(name, _degenerate(where, ranks), Role.COUNTER_EXAMPLE, "At λ = λ_max:") for name, where, ranks in DEGENERATE
        ),
    ),
    Claim(
        id="mcr2.benign-landscape.corrected",
        title="Benign landscape, corrected",
        source=f"{BOOK}; theorem on the landscape with corrected hypotheses; docs/theory.md, benign landscape",
        form=Form.CORRECTED,
        statement=(
            "Every critical point is a local maximizer (orthogonal with large roots) or a strict saddle. At every λ > 0 those "
            "that are not orthogonal are strict saddles."
        ),
        hypotheses=("λ > 0, λ ∉ {λ_1, …, λ_K}",),
        expected=Verdict.HOLDS,
        corrects="mcr2.benign-landscape.printed",
        check=f"{_CHECKS}:benign_landscape_corrected",
        cases=(
            Case("line-at-the-limit", _saddle(problem(4, (3, 4, 5), "1/2", "2/5"), _LINE)),
            Case(
                "beyond-the-limit",
                _maximizer(
                    ExactProblem(4, (1, 1, 8), Fraction(1, 2), problem(4, (1, 1, 8), "1/2", "1/2", 1).regularization), (1, 1, 0)
                ),
                words="Beyond λ_max, where the printed theorem is silent.",
            ),
            Case("just-below", _maximizer(problem(4, (3, 3), "3/5", "9999999/10000000"), (2, 2))),
            Case("just-below-small", _saddle(problem(4, (3, 3), "3/5", "9999999/10000000"), orthogonal((2, 1), (0, 1)))),
        ),
        group="search",
    ),
)
