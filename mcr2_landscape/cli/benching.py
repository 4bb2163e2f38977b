"""What the words of `mcr2-landscape bench` ask for."""

from __future__ import annotations

from mcr2_landscape.bench.plan import POINTS, SIZES, Plan
from mcr2_landscape.errors import InputError


def plan_of(sizes: str | None, points: str | None, *, quick: bool, peers: bool, inertia: bool, seed: int) -> Plan:
    """The plan. Without `peers`, JAX's own ways to differentiate still take part: they need nothing.

    **Raises:** `InputError` for a word that is no size or no kind of point.
    """
    names = list(SIZES)[:2] if quick and sizes is None else _words("--sizes", sizes, list(SIZES))
    kinds = _words("--points", points, list(POINTS))
    for kind in kinds:
        if kind not in POINTS:
            raise InputError(f"--points: found {kind!r}; pass some of {', '.join(POINTS)} between commas")
    without = ("jvp of grad (JAX)", "jvp of the closed-form gradient (JAX)", "jax.linearize of grad")
    plan = Plan(
        sizes={name: _size(name) for name in names},
        points=tuple(kinds),
        contestants=None if peers else without,
        inertia=inertia,
        key=seed,
    )
    return plan.quick if quick else plan


def _words(option: str, text: str | None, default: list[str]) -> list[str]:
    if text is None:
        return default
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise InputError(f"{option}: found {text!r}; pass at least one word, several between commas")
    return list(dict.fromkeys(words))


def _size(name: str) -> tuple[int, int, int]:
    if name in SIZES:
        return SIZES[name]
    parts = name.split(":")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise InputError(f"--sizes: found {name!r}; pass some of {', '.join(SIZES)} between commas, or d:m:K as in 64:512:4")
    dim, samples, classes = map(int, parts)
    return dim, samples, classes
