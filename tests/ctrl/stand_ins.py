"""What takes the place of searches in tests of what is made of their results."""

from __future__ import annotations

import numpy as np


def stand_in(patch):
    """Ascents and the verification for stand-ins: both take seconds to compile for every shape, and are tested where they live.
    A feasible encoder is found in their place, and reported for what its value says."""
    import mcr2_landscape.ctrl.game as games
    import mcr2_landscape.ctrl.solve as solving
    from mcr2_landscape.ctrl.equilibrium import EquilibriumReport
    from mcr2_landscape.verdict import Kind, Verdict

    def guess(game, random):
        F = random.standard_normal((game.dim, game.ambient_dim))
        return solving._End(F / np.sqrt(game.feasibility(F).max()), 1, True, False)

    def report(game, F, G, attainable):
        best = solving.upper_bound(game.sizes, game.ranks, game.dim, game.epsilon)
        optimal = Verdict.HOLDS if best - attainable < 1e-9 else Verdict.UNDECIDED
        kept, zeros = solving.kept_dimensions(game, F), np.zeros(len(game.sizes))
        lost = tuple(rank - count for rank, count in zip(game.ranks, kept, strict=True))
        first = (
            Verdict.HOLDS,
            zeros,
            Verdict.HOLDS,
            0.0,
            zeros,
            optimal,
            attainable,
            attainable,
            best,
            best - attainable,
            "said",
        )
        rest = (Kind.UNDECIDED, "said", Verdict.UNDECIDED, kept, lost, Verdict.REFUTED, 0.1, "said", 0.7, "said")
        return EquilibriumReport(*first, *rest)

    patch.setattr(solving, "_searched", lambda game, allocated, random, num_starts, progress: guess(game, random))
    patch.setattr(solving, "_searched_dependent", lambda game, random, num_starts, progress: guess(game, random))
    patch.setattr(games, "verify", report)
