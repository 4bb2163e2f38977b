"""Textures that differ in pattern and not in color: every one takes each value between two colors equally often."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Each texture maps the coordinates along and across its direction, in periods, (images, height, width), and an (images, draws)
# array of uniform numbers to values whose distribution over the phase is uniform on [0, 1]: histograms tell none from another.
_WAVES = 6
_RISE = np.float32(0.85)

#: How many uniform numbers a texture draws: two phases, and an angle, a period and a phase for each wave of the noise.
DRAWS = 2 + 3 * _WAVES


def _stripes(along: np.ndarray, across: np.ndarray, draws: np.ndarray) -> np.ndarray:
    return _triangle_wave(along + draws[:, 0, None, None])


def _gradient(along: np.ndarray, across: np.ndarray, draws: np.ndarray) -> np.ndarray:
    # Twice as long as the other periods, with a short fall: the ramp is what is seen, and where it starts again is no jump.
    phase = (along / 2 + draws[:, 0, None, None]) % 1
    return np.minimum(phase / _RISE, (1 - phase) / (1 - _RISE))


def _checks(along: np.ndarray, across: np.ndarray, draws: np.ndarray) -> np.ndarray:
    signs = (2 * _triangle_wave(phase + draws[:, k, None, None]) - 1 for k, phase in enumerate((along, across)))
    product = next(signs) * next(signs)
    # The distribution function of a product of two numbers that are uniform on [-1, 1].
    return 0.5 + product / 2 * (1 - np.log(np.maximum(np.abs(product), np.float32(1e-12))))


def _noise(along: np.ndarray, across: np.ndarray, draws: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr  # a fifth of a second to load, for those who draw

    turns, lengths, phases = draws[:, 2:].reshape(-1, 3, _WAVES).transpose(1, 2, 0)[..., None, None]
    total = np.zeros_like(along)
    for turn, length, phase in zip(turns, lengths, phases, strict=True):
        angle = (turn - 0.5) * np.float32(np.pi / 4)  # within 22.5° of the texture's direction
        frequency = np.float32(0.6) + np.float32(0.8) * length
        total += np.cos(2 * np.float32(np.pi) * (frequency * (np.cos(angle) * along + np.sin(angle) * across) + phase))
    return ndtr(total * np.float32(np.sqrt(2 / _WAVES)))


def _triangle_wave(phase: np.ndarray) -> np.ndarray:
    return np.abs(2 * (phase % 1) - 1)


#: The textures by name.
TEXTURES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "stripes": _stripes,
    "checks": _checks,
    "noise": _noise,
    "gradient": _gradient,
}
