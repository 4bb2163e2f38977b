"""Maheshwari, Wu, Pai, Sastry, *Independent and Decentralized Learning in Markov Potential Games* (arXiv 2205.14590): what its
argument rests on, as recalled, and what is really needed.

The paper's own text was not to hand: theorem numbers and exact assumptions are not quoted. A game (I, S, (A_i), (u_i), P, δ);
V_i(s, π) the discounted value, Q_i(s, a_i) of one action against the others' policies; with a temperature τ entropies are paid,
Ṽ_i = V_i + τD_i. A Markov potential game has Φ(s, π) with V_i(s, π_i', π_−i) − V_i(s, π) = Φ(s, π_i', π_−i) − Φ(s, π).
"""

from __future__ import annotations

from mcr2_landscape.claims import Case, Claim, Form, Role
from mcr2_landscape.verdict import Verdict
from paper_checks.maheshwari_2022 import cases

PAPER = "Maheshwari, Wu, Pai, Sastry (arXiv 2205.14590)"
_VALUES = "paper_checks.maheshwari_2022.value_checks"
_GAMES = "paper_checks.maheshwari_2022.game_checks"
_LEARNING = "paper_checks.maheshwari_2022.learning_checks"

_GAME = (
    " V_i(s, π) is player i's discounted value of stationary policies π, Q_i(s, a_i) that of one action a_i against the "
    "others' policies; with a temperature τ player i is paid τH(π_i(s)) in each state, and values have a tilde."
)
_POTENTIAL = (
    " A Markov potential game has a function Φ(s, π) with V_i(s, π_i', π_−i) − V_i(s, π) = Φ(s, π_i', π_−i) − Φ(s, π) for all "
    "players, states and stationary policies."
)

CLAIMS = (
    Claim(
        id="mpg.contraction",
        title="The update of q is a contraction",
        source=f"{PAPER}, the fast timescale",
        form=Form.PRINTED,
        statement=(
            "With policies fixed, q_i ↦ E[u_i + τH_i + δ⟨π_i(s'), q_i(s')⟩] over the others' actions is a contraction in the "
            "largest absolute entry with factor δ, and its fixed point is Q̃_i." + _GAME
        ),
        expected=Verdict.HOLDS,
        check=f"{_VALUES}:contraction",
        group="mpg",
    ),
    Claim(
        id="mpg.performance-difference",
        title="Performance difference, with entropies too",
        source=f"{PAPER}, as recalled",
        form=Form.PRINTED,
        statement=(
            "V_i(π_i', π_−i) − V_i(π) = (I − δP_π')⁻¹ Σ_a (π_i' − π_i)Q_i with π' = (π_i', π_−i); with entropies the bracket "
            "is ⟨π_i' − π_i, Q̃_i⟩ + τ(H(π_i') − H(π_i))." + _GAME
        ),
        expected=Verdict.HOLDS,
        check=f"{_VALUES}:performance",
        group="mpg",
    ),
    Claim(
        id="mpg.own-rate",
        title="A player's own value rises towards its smoothed one-stage deviation",
        source=f"{PAPER}, the slow timescale",
        form=Form.PRINTED,
        statement=(
            "Along γ(br − π_i), br = softmax(Q̃_i/τ), player i's own Ṽ_i has the derivative (I − δP_π)⁻¹ γτ[KL(br‖π_i) + "
            "KL(π_i‖br)] ≥ 0, for every positive γ(s)." + _GAME
        ),
        expected=Verdict.HOLDS,
        check=f"{_VALUES}:own_rate",
        group="mpg",
    ),
    Claim(
        id="mpg.potential-rate",
        title="The potential rises along best responses",
        source=f"{PAPER}, the later form",
        form=Form.PRINTED,
        statement=(
            "In a Markov potential game, along γ_i(s)(br_i − π_i) with best one-stage deviations br_i of all players, dΦ/dt = "
            "(I − δP_π)⁻¹ Σ_i γ_i [max_a Q_i − V_i] ≥ 0." + _GAME + _POTENTIAL
        ),
        hypotheses=("a Markov potential game", "τ = 0"),
        expected=Verdict.HOLDS,
        check=f"{_VALUES}:potential_rate",
        group="mpg",
    ),
    Claim(
        id="mpg.perturbed-equilibria",
        title="Perturbed equilibria, and how far they are from equilibria",
        source=f"{PAPER}, as recalled",
        form=Form.PRINTED,
        statement=(
            "Fixed points of the smoothed one-stage deviation are the equilibria of the perturbed game; such a policy is a τ "
            "log max |A_i|/(1 − δ)-equilibrium: no player gains more than τD_i, D_i the discounted entropies." + _GAME
        ),
        expected=Verdict.HOLDS,
        check=f"{_VALUES}:perturbation",
        group="mpg",
    ),
    Claim(
        id="mpg.perturbed-equilibria.tight",
        title="The distance of perturbed equilibria cannot be bounded by less",
        source=f"{PAPER}, beside it",
        form=Form.OWN,
        statement=(
            "There are games whose perturbed equilibrium's gap over τ log max |A_i|/(1 − δ) tends to one as δ → 1: a player "
            "prefers a state with two equal actions, where entropy is all that is paid, to one that pays almost as much."
            + _GAME
        ),
        expected=Verdict.HOLDS,
        check=f"{_VALUES}:tightness",
        group="mpg",
    ),
    Claim(
        id="mpg.stage-potentials",
        title="A potential in every stage is enough",
        source="a reading of the definition",
        form=Form.OWN,
        statement="A Markov game with a potential game at every state is a Markov potential game." + _POTENTIAL,
        hypotheses=("a potential game at every state",),
        expected=Verdict.REFUTED,
        check=f"{_GAMES}:stage_potentials",
        cases=(
            Case(
                "opposed-interests",
                cases.OPPOSED,
                Role.COUNTER_EXAMPLE,
                "Nothing is paid in state 0, (1, −1) in state 1, reached where both play 1: each stage game is constant.",
            ),
        ),
        group="mpg",
    ),
    Claim(
        id="mpg.stage-potentials.corrected",
        title="A potential in every stage, and actions that move nothing, are enough",
        source=f"{PAPER}, as recalled",
        form=Form.CORRECTED,
        statement=(
            "Games with identical interest, and games with a potential game at every state whose transitions do not depend on "
            "actions, are Markov potential games." + _POTENTIAL
        ),
        hypotheses=("identical interest", "or stage potentials and action-independent transitions"),
        expected=Verdict.HOLDS,
        corrects="mpg.stage-potentials",
        check=f"{_GAMES}:sufficient",
        group="mpg",
    ),
    Claim(
        id="mpg.random-games",
        title="Random games are no Markov potential games",
        source="docs/markov.md",
        form=Form.OWN,
        statement=(
            "Random games with two players or more, and random stage potentials with random transitions, are no Markov "
            "potential games." + _POTENTIAL
        ),
        expected=Verdict.HOLDS,
        check=f"{_GAMES}:random_games",
        group="mpg",
    ),
    Claim(
        id="mpg.deterministic-cycles",
        title="Four-cycles of deterministic policies decide",
        source="a reading of Monderer and Shapley (1996)",
        form=Form.OWN,
        statement="If all four-cycles of deterministic stationary policies vanish, the game is a Markov potential game."
        + _POTENTIAL,
        expected=Verdict.REFUTED,
        check=f"{_GAMES}:pure_cycles",
        cases=(
            Case(
                "mixed",
                cases.MIXED,
                Role.COUNTER_EXAMPLE,
                "State 0 is absorbing and pays nothing; state 1 stays where both play 1, and there the first player receives 1 "
                "at (1, 0) and ½ at (1, 1): a four-cycle of mixed policies is 1/6.",
            ),
        ),
        group="mpg",
    ),
    Claim(
        id="mpg.deterministic-cycles.corrected",
        title="Four-cycles of all stationary policies decide",
        source="Monderer and Shapley (1996), corollary 2.9, for the game of stationary policies",
        form=Form.CORRECTED,
        statement=(
            "If all four-cycles of stationary policies vanish, mixed ones included, the game is a Markov potential game: Φ, "
            "the sum of what V_i gains as one player after the other goes from a fixed policy to π, has the differences of "
            "every V_i." + _POTENTIAL
        ),
        expected=Verdict.HOLDS,
        corrects="mpg.deterministic-cycles",
        check=f"{_GAMES}:recovered_potential",
        group="mpg",
    ),
    Claim(
        id="mpg.perturbed-potential.printed",
        title="Φ + τΣD_i is a potential of the perturbed game",
        source=f"{PAPER}, the early form's argument as recalled; its own lemma was not read",
        form=Form.PRINTED,
        statement="In a Markov potential game the perturbed game has a potential as well." + _GAME + _POTENTIAL,
        hypotheses=("a Markov potential game",),
        expected=Verdict.REFUTED,
        check=f"{_GAMES}:perturbed_potential",
        cases=(
            Case(
                "entropies",
                cases.ENTROPIES,
                Role.COUNTER_EXAMPLE,
                "Nothing is paid; the state goes from 0 to 1 where both play 1, and back; in state 1 the first player is "
                "uniform and the second pure. Who leads to state 1 decides on the first player's entropies: a four-cycle is "
                "−(2/3)τ log 2.",
            ),
        ),
        group="mpg",
    ),
    Claim(
        id="mpg.perturbed-potential.corrected",
        title="The perturbed game has a potential where actions move nothing",
        source="docs/markov.md",
        form=Form.CORRECTED,
        statement=(
            "In a Markov potential game with action-independent transitions the perturbed game has a potential as well: a "
            "player's entropies then do not depend on the others." + _GAME + _POTENTIAL
        ),
        hypotheses=("a Markov potential game", "action-independent transitions"),
        expected=Verdict.HOLDS,
        corrects="mpg.perturbed-potential.printed",
        check=f"{_GAMES}:perturbed_independent",
        group="mpg",
    ),
    Claim(
        id="mpg.step-sizes.printed",
        title="The experiments' step sizes meet the conditions of two timescales",
        source=f"{PAPER}, the experiments as its public code has them",
        form=Form.PRINTED,
        statement=(
            "α = n^-½ for values and β = 1/n for policies, n counting visits, meet Σα = Σβ = ∞, Σα² and Σβ² finite, and "
            "β/α → 0."
        ),
        expected=Verdict.REFUTED,
        check=f"{_LEARNING}:step_sizes",
        group="mpg-learning",
    ),
    Claim(
        id="mpg.step-sizes.corrected",
        title="Power laws that meet the conditions of two timescales",
        source="docs/markov.md",
        form=Form.CORRECTED,
        statement="α = n^-a and β = n^-b meet Σα = Σβ = ∞, Σα² and Σβ² finite, and β/α → 0 for ½ < a < b ≤ 1.",
        hypotheses=("½ < a < b ≤ 1",),
        expected=Verdict.HOLDS,
        corrects="mpg.step-sizes.printed",
        check=f"{_LEARNING}:corrected_step_sizes",
        group="mpg-learning",
    ),
    Claim(
        id="mpg.visits.printed",
        title="Every action is tried often enough in the experiments",
        source=f"{PAPER}, an assumption of two-timescale arguments, in the setting of the first experiment",
        form=Form.PRINTED,
        statement=(
            "In the first experiment (τ = 1e-6, α = n^-½, β = 1/n) every pair of a state and an own action is tried with a "
            "frequency that is bounded below."
        ),
        expected=Verdict.REFUTED,
        check=f"{_LEARNING}:visits",
        group="mpg-learning",
    ),
    Claim(
        id="mpg.visits.corrected",
        title="With exploration every action is tried often enough",
        source=f"{PAPER}, the later form",
        form=Form.CORRECTED,
        statement=(
            "In the first experiment with the best action and exploration ε = 0.1 in place of the smoothed deviation every "
            "action is tried in a share of at least ε/|A_i| of the visits of each state, up to sampling."
        ),
        hypotheses=("exploration",),
        expected=Verdict.HOLDS,
        corrects="mpg.visits.printed",
        check=f"{_LEARNING}:explored_visits",
        group="mpg-learning",
    ),
    Claim(
        id="mpg.convergence",
        title="Step sizes that meet the conditions are enough for convergence in practice",
        source=f"{PAPER}, the abstract's convergence, in floating point at the experiments' temperature",
        form=Form.OWN,
        statement=(
            "In the game of the first experiment, at τ = 1e-6 and with α = n^-11/20 and β = n^-3/4, which meet every condition "
            "on step sizes, the policies come to a Nash equilibrium in floating point."
        ),
        hypotheses=("Σα = Σβ = ∞, Σα² and Σβ² finite, β/α → 0",),
        expected=Verdict.REFUTED,
        check=f"{_LEARNING}:locked_in",
        group="mpg-learning",
    ),
    Claim(
        id="mpg.convergence.corrected",
        title="Where every action is tried, learned values and policies come near theirs",
        source="docs/markov.md",
        form=Form.CORRECTED,
        statement=(
            "With α = n^-3/5 and β = 1/n, for smoothed deviations at τ = 1 in the fifth experiment's game (own rewards, "
            "actions that move nothing) and for exploration ε = 0.1 in the first one's, all quantiles of the largest |q − Q̃| "
            "fall as the number of steps grows ten times, and the Nash gaps end below τ log 2/(1 − δ), or 1.5 ε/(1 − δ) times "
            "what an action at random is worth less than the best one."
        ),
        hypotheses=("½ < a < b ≤ 1", "a temperature at which the softmax does not underflow, or exploration"),
        expected=Verdict.HOLDS,
        corrects="mpg.convergence",
        check=f"{_LEARNING}:convergence",
        group="mpg-learning",
    ),
    Claim(
        id="mpg.learned-values",
        title="Policies come near an equilibrium in the experiments, and learned values do not come near theirs",
        source="docs/markov.md",
        form=Form.OWN,
        statement=(
            "At the end of the first experiment the median of the largest |q − Q̃| exceeds 1, values being 24 to 48, although "
            "the median Nash gap is below ½."
        ),
        expected=Verdict.HOLDS,
        check=f"{_LEARNING}:learned_values",
        group="mpg-learning",
    ),
)
