"""The speed that the library sets itself as a goal. Figures are compared with it and never refused for it."""

from __future__ import annotations

from mcr2_landscape.bench.plan import BY_SHAPE, LIMIT, SIZES

# How many times as long as ours, at points of full rank.
_PEERS = {
    "PyHessian": 2.3,
    "jax.linearize of grad": 2.0,
    "jvp of grad (JAX)": 2.8,
    "hessian-eigenthings": 3.7,
    "curvlinops": 4.7,
}
_LIMITS = {"mid-rank": 1 / 1.25, "low-rank": 1 / 1.3}
_LOW_RANK_PYHESSIAN, _LOW_RANK_FUSED = 20.0, 10.0
MEMORY = 4.0  # copies of Z, in a product and in the inertia
_INERTIA = {(256, 4096, 8): 0.6, (512, 16384, 10): 6.0}  # seconds, at points of low rank


def ratio_goal(name: str, shape: tuple[int, int, int], kind: str, form: str) -> float | None:
    """The least ratio of a contestant's time to ours that is aimed at, `None` where there is no goal. Of the limit, it says how
    near ours comes to it. Goals are for the sizes of `SIZES` alone: tiny products take as long as it takes to start them."""
    if tuple(shape) not in SIZES.values():
        return None
    if name == LIMIT:
        if form == "fused":
            return 0.92 if shape[0] >= 256 else 0.85
        return _LIMITS.get(form)
    if form == "low-rank":
        if name == "PyHessian":
            return _LOW_RANK_PYHESSIAN
        return _LOW_RANK_FUSED if name == BY_SHAPE and shape == (512, 16384, 10) else None
    return _PEERS.get(name) if kind in ("generic", "perturbed") else None


def inertia_goal(shape: tuple[int, int, int]) -> float | None:
    """The most seconds for the complete inertia that are aimed at."""
    return _INERTIA.get(shape)
