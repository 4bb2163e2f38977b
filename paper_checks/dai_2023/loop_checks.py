"""How the claim on the closed loop's inner problem, the decoder's answer to an encoder that stands still, is checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np

from mcr2_landscape import csc
from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.training.transcription import ClosedLoopLoss
from paper_checks.dai_2023.common import rate_distance
from paper_checks.yu_2023.common import together

_IMAGE, _DIM, _CHANNELS, _SAMPLES, _EPSILON = (1, 8, 8), 4, (6,), 24, 0.5**0.5
_HALVINGS = 40  # of a step, before it counts as none
_STEPS = 10


def decoder_steps(run: Run, *, sign: float = 1.0, moving: str = "decoder", missing: int = 0) -> Outcome:
    """The slope of the rate distance in a random direction of `moving`, beside the gradient, of which so many parts are left
    out; and steps against it, `sign` times as long."""
    slopes, falls, count = [], [], run.choose(2, 8, 40)
    random = np.random.default_rng(run.seed)
    with jax.enable_x64(True):
        for number in range(count):
            key = jax.random.key(run.seed + number)
            model = csc.ConvTranscriber(_IMAGE, _DIM, channels=_CHANNELS, key=key, dtype=np.float64)
            images = random.standard_normal((_SAMPLES, *_IMAGE))
            batch = {"inputs": images, "labels": np.zeros(_SAMPLES, np.int32)}
            distances = [_distance(model, images)]
            for step in range(_STEPS):
                slope = _gradient(model, batch)
                own, squared = partial(_moved, model, slope, moving), _product(slope, slope, moving)
                if step == 0:
                    direction = _drawn(random, slope)
                    there = partial(_moved, model, direction, moving)
                    norm = np.sqrt(_product(direction, direction, moving))
                    change = (_distance(there(1e-6 / norm), images) - _distance(there(-1e-6 / norm), images)) / 2e-6
                    known = _product(slope, direction, moving, missing) / norm
                    slopes.append((change - known) / np.sqrt(squared))
                length, later = 1.0, model
                for _ in range(_HALVINGS):
                    later = own(-sign * length)
                    if _distance(later, images) <= distances[-1] - 0.1 * length * squared:
                        break
                    length /= 2
                model = later
                distances.append(_distance(model, images))
            if not (np.diff(distances) < 0).all():
                falls.append(f"{distances[0]:.4g} to {distances[-1]:.4g}, not falling at every step")
    return together(
        run.certify(),
        # near a kink, of a threshold, the difference quotient has its own error; none of the draws is that near
        Part.measured(
            "slope", slopes, 1e-5, "the derivative in a random direction less the gradient's, over its norm", seeds=run.seed
        ),
        Part.counted("descent", count, falls, f"encoders for which {_STEPS} steps lower the rate distance", seeds=run.seed),
    )


@eqx.filter_jit
@eqx.filter_grad
def _gradient(model: Any, batch: Any) -> Any:
    """Of what both players play for, by the parameters of each."""
    return ClosedLoopLoss(1, _EPSILON)(model, batch)[0]


def _moved(model: Any, gradient: Any, moving: str, length: float) -> Any:
    """The model a length along the gradient of one player."""
    player = jax.tree.map(
        lambda leaf, slope: leaf if slope is None else leaf + length * slope,
        getattr(model, moving),
        getattr(gradient, moving),
        is_leaf=lambda leaf: leaf is None,
    )
    return eqx.tree_at(lambda both: getattr(both, moving), model, player)


def _drawn(random: np.random.Generator, gradient: Any) -> Any:
    """A random direction of the parameters that a gradient has."""
    return jax.tree.map(lambda leaf: random.standard_normal(leaf.shape), gradient)


def _product(first: Any, second: Any, moving: str, missing: int = 0) -> float:
    """Of two directions of a player, without the first parts."""
    pairs = zip(*(jax.tree.leaves(getattr(one, moving)) for one in (first, second)), strict=True)
    return sum(float(np.sum(np.asarray(one) * np.asarray(other))) for one, other in list(pairs)[missing:])


def _distance(model: Any, images: np.ndarray) -> float:
    """ΔR(f(X), fgf(X)) in NumPy."""
    features, image = (np.asarray(found).T for found in _loop(model, images))
    return rate_distance(features, image, _EPSILON)


@eqx.filter_jit
def _loop(model: Any, images: Any) -> tuple[Any, Any]:
    features = model.encode(images)
    return features, model.encode(model.decode(features))
