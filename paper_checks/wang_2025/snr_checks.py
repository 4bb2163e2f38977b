"""How the claims on signal over noise in the attention-only transformer are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.claims import Outcome, Part, Run
from paper_checks.pai_2024.common import counter_examples, fact, relative
from paper_checks.wang_2025.common import (
    Setting,
    class_ratios,
    draw,
    labels_of,
    layer,
    library_layer,
    logits_of,
    margins,
    ratios,
)

_STEP, _THRESHOLD = 0.5, 0.75
GROWTH = 1 + _STEP * _THRESHOLD
_PRINTED = Setting(64, 4, 256, 0.1)
_NOISIER = (Setting(64, 4, 256, 0.2), Setting(128, 4, 256, 0.2))
_SETTINGS = (Setting(32, 2, 32, 0.02), Setting(32, 2, 32, 0.002), Setting(32, 4, 64, 0.01), Setting(64, 4, 128, 0.03))
_EXACT = 1e-10


def _example() -> tuple[list[float], float]:
    """Ratio over ratio of each of six layers, of the certified example by the library, and how far off 1 + eta tau the first
    five are."""
    V, labels = np.array([[[3.0, 0.1]], [[0.1, 3.0]]]), np.array([0, 1])
    U = np.eye(2)[:, :, None]
    found = []
    for _ in range(6):
        following = library_layer(V, U, _STEP, _THRESHOLD)
        found.append(float((ratios(following, labels) / ratios(V, labels)).max()))
        V = following
    return found, max(abs(ratio / GROWTH - 1) for ratio in found[:5])


def _breaks(random: np.random.Generator, setting: Setting, layers: int) -> int | None:
    """The first layer, from one, at which the ratio of some class is off 1 + eta tau by more than a thousandth."""
    V, labels = draw(random, setting), labels_of(setting)
    before = class_ratios(V, labels)
    for number in range(1, layers + 1):
        V = layer(V, logits_of(V), _STEP, _THRESHOLD)
        after = class_ratios(V, labels)
        if np.abs(after / before / GROWTH - 1).max() > 1e-3:
            return number
        before = after
    return None


def _counted(places: Sequence[int | None]) -> str:
    """How many draws break at which layer."""
    counts = Counter(places)
    words = [f"layer {place} in {counts[place]}" for place in sorted(p for p in counts if p is not None)]
    return ", ".join([*words, *([f"none in {counts[None]}"] if None in counts else [])])


def printed(run: Run, *, layers: int = 8) -> Outcome:
    """The certified example by the library, and the layer at which random draws break."""
    random = np.random.default_rng(run.seed)
    found, error = _example()
    places = {}
    for setting, count in ((_PRINTED, run.choose(6, 40, 400)), *((s, run.choose(2, 10, 50)) for s in _NOISIER)):
        places[setting] = [_breaks(random, setting, layers) for _ in range(count)]
    kept = sum(place is None for place in places[_PRINTED])
    shown = "; ".join(f"p = {s.rank}, N = {s.tokens}, delta = {s.noise:g}: {_counted(own)}" for s, own in places.items())
    five = (
        f"The library's layers multiply the example's ratios by 1 + eta tau to {error:.1g} five times, then by {found[5]:.2g}."
    )
    return counter_examples(
        run,
        [
            fact("example", error < 1e-12 and found[5] < 1, five),
            fact(
                "random tokens",
                kept == 0,
                f"The first layer at which a class's ratio is not 1.375 times the last, K = 4: {shown}.",
            ),
        ],
    )


def corrected(run: Run, *, loosened: float = 1.0, growth: float = GROWTH) -> Outcome:
    """At every layer whose logits meet the conditions, of which `loosened` multiplies the bound on spreads, each token's ratio
    over ratio; the number of layers that the first one's logits promise when ranges grow by `growth`; and the library."""
    random, errors, exceptions, promised, few = np.random.default_rng(run.seed), [], [], 0, []
    draws = run.choose(12, 60, 600)
    for number in range(draws):
        setting = _SETTINGS[number % len(_SETTINGS)]
        V, labels = draw(random, setting), labels_of(setting)
        first = margins(logits_of(V), labels, _THRESHOLD)
        promise = 0
        if first.gap > 1 and first.range <= 1:
            promise = 1 + (int(-math.log(first.range) / math.log(growth)) if growth > 1 else 100)
        exact = True
        for place in range(1, 21):
            logits = logits_of(V)
            margin = margins(logits, labels, _THRESHOLD)
            following = layer(V, logits, _STEP, _THRESHOLD)
            error = float(np.abs(ratios(following, labels) / ratios(V, labels) / GROWTH - 1).max())
            met = margin.gap > 1 and margin.spread <= loosened
            exact = exact and error < _EXACT
            if met:
                errors.append(error)
                if error > _EXACT:
                    exceptions.append(f"layer {place} of {setting}: off by {error:.2g}")
            if place <= promise:
                promised += 1
                if not exact:
                    few.append(f"layer {place} of {promise} of {setting}")
            if not exact:
                break
            V = following
    setting = _SETTINGS[0]
    V = draw(random, setting)
    U = wb.random_bases(key=random, heads=setting.heads, dim=setting.heads * setting.rank, rank=setting.rank)
    library = relative(library_layer(V, U, _STEP, _THRESHOLD), layer(V, logits_of(V), _STEP, _THRESHOLD))
    words = (
        f"layers that meet the conditions, ratio over ratio less 1 + eta tau below 1e-10 (worst {max(errors, default=0):.2g})"
    )
    return Outcome.of(
        [
            run.certify_proof("two tokens"),
            Part.counted("conditions", len(errors), exceptions, words, seeds=run.seed),
            Part.counted(
                "promised", promised, few, "layers that the first one's logits promise, and exact ones", seeds=run.seed
            ),
            Part.measured("library", [library], 1e-12, "the library's layer, relative", seeds=run.seed),
        ]
    )


def rescaled(run: Run, *, exponent: float = 2.0, normalized: bool = True) -> Outcome:
    """Forty layers with the temperature (1 + eta tau)^(`exponent` l), and with tokens of norm √p before each layer if
    `normalized`, of draws whose first layer meets the conditions."""
    random, layers = np.random.default_rng(run.seed), 40
    found: dict[str, list[str]] = {"temperature": [], "normalization": []}
    counts = dict.fromkeys(found, 0)
    for number in range(run.choose(9, 60, 600)):
        setting = _SETTINGS[number % len(_SETTINGS)]
        start, labels = draw(random, setting), labels_of(setting)
        for name in found:
            V = _normalized(start) if name == "normalization" else start
            if not margins(logits_of(V), labels, _THRESHOLD).met:
                continue
            for place in range(layers):
                scale = GROWTH ** (exponent * place) if name == "temperature" else 1.0
                following = layer(V, logits_of(V, scale), _STEP, _THRESHOLD)
                error = float(np.abs(ratios(following, labels) / ratios(V, labels) / GROWTH - 1).max())
                counts[name] += 1
                if error > _EXACT:
                    found[name].append(f"layer {place + 1} of {setting}: off by {error:.2g}")
                    break
                V = _normalized(following) if name == "normalization" and normalized else following
    what = {
        "temperature": "layers at a temperature that grows with the squared signal",
        "normalization": "layers on normalized tokens",
    }
    return Outcome.of(Part.counted(name, counts[name], found[name], what[name], seeds=run.seed) for name in found)


def _normalized(V: np.ndarray) -> np.ndarray:
    """Tokens of norm √p."""
    return V * math.sqrt(V.shape[1]) / np.sqrt(np.sum(V**2, axis=(0, 1)))
