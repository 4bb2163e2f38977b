"""What an encoder and a decoder make of the data: spectra, cosines between samples, distances to the classes' subspaces.

Of many samples a few thousand are looked at, evenly chosen from each class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mcr2_landscape.ctrl.spans import Spans

SAMPLES = 2000  # looked at
_SHOWN = 240  # in a picture of cosines
_RANK = 1e-6  # of the largest singular value of all f(X_j): what a search has not brought to zero exactly


@dataclass(frozen=True)
class Images:
    """What becomes of the data on their way through encoder and decoder. Stages are "X", "f(X)", "gf(X)" and "fgf(X)".

    **Fields:** `spectra`: for each stage the singular values of all classes together, descending; `class_spectra`: for each
    stage a tuple of those of each class; both without what the rank tolerance cuts off. `cosines`: |cos| between the samples
    of the stages "X", "f(X)" and "fgf(X)", sorted by class, and `cosine_classes` the class number of each row. `own` and
    `other`: for the stages "gf(X)" and "fgf(X)" the distance of each sample's image to its class's subspace (S_j, and f(S_j))
    and to the nearest of the other classes', relative to the image's norm; NaN where the image is zero. `sample_classes`: the
    class number of each sample; `thinned`: whether there are more.
    """

    spectra: dict[str, np.ndarray]
    class_spectra: dict[str, tuple[np.ndarray, ...]]
    cosines: dict[str, np.ndarray]
    cosine_classes: np.ndarray
    own: dict[str, np.ndarray]
    other: dict[str, np.ndarray]
    sample_classes: np.ndarray
    thinned: bool


def images_of(samples: Callable[[np.ndarray], np.ndarray], spans: Spans, F: np.ndarray, G: np.ndarray) -> Images:
    """Look at what F (d_z, d_x) and G (d_x, d_z) make of the data.

    **Arguments:** `samples`: from sample numbers to rows (count, d_x) of the data; `spans`: of the same data.
    """
    places = thinned(spans.sizes, SAMPLES)
    owners = np.repeat(np.arange(len(spans.sizes)), spans.sizes)[places]
    x = samples(spans.order[places])
    code = x @ F.T
    decoded = code @ G.T
    again = decoded @ F.T
    factors = {"X": spans.factors, "f(X)": tuple(F @ C for C in spans.factors)}
    factors["gf(X)"] = tuple(G @ A for A in factors["f(X)"])
    factors["fgf(X)"] = tuple(F @ B for B in factors["gf(X)"])
    few = thinned(tuple(np.bincount(owners, minlength=len(spans.sizes)).tolist()), _SHOWN)
    residuals = {
        "gf(X)": residuals_of(decoded, owners, spans.bases),
        "fgf(X)": residuals_of(again, owners, column_bases(factors["f(X)"])),
    }
    return Images(
        spectra={stage: singular_values(np.concatenate(parts, axis=1)) for stage, parts in factors.items()},
        class_spectra={stage: tuple(singular_values(part) for part in parts) for stage, parts in factors.items()},
        cosines={stage: cosines_of(rows[few]) for stage, rows in (("X", x), ("f(X)", code), ("fgf(X)", again))},
        cosine_classes=owners[few],
        own={stage: own for stage, (own, _) in residuals.items()},
        other={stage: other for stage, (_, other) in residuals.items()},
        sample_classes=owners,
        thinned=len(places) < sum(spans.sizes),
    )


def thinned(sizes: Sequence[int], most: int) -> np.ndarray:
    """Places in class order of at most about `most` samples: evenly from each class, in proportion to its size, one at
    least."""
    n, start, chosen = sum(sizes), 0, []
    for size in sizes:
        kept = size if n <= most else min(size, max(1, round(size * most / n)))
        chosen.append(start + np.linspace(0, size - 1, kept).round().astype(np.int64))
        start += size
    return np.concatenate(chosen)


def singular_values(B: np.ndarray) -> np.ndarray:
    """Descending, as many as the smaller side."""
    return np.linalg.svd(B, compute_uv=False)


def column_bases(blocks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Orthonormal columns that span those of each block, by a decomposition that sees the rank (a QR without pivoting does
    not). What is small beside the largest singular value of all blocks counts as zero."""
    found = [np.linalg.svd(B, full_matrices=False)[:2] for B in blocks]
    largest = max(float(s.max(initial=0.0)) for _, s in found)
    return [U[:, s > _RANK * largest] for U, s in found]


def cosines_of(rows: np.ndarray) -> np.ndarray:
    """|cos| between rows; 0 for rows that are zero."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(norms > 0, norms, 1.0)
    return np.minimum(np.abs(unit @ unit.T), 1.0)


def residuals_of(rows: np.ndarray, owners: np.ndarray, bases: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The distance of each row to its class's subspace and to the nearest of the others', relative to the row's norm; NaN for
    rows that are zero."""
    norms = np.linalg.norm(rows, axis=1)
    unit = rows / np.where(norms > 0, norms, np.nan)[:, None]
    own, other = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for number, U in enumerate(bases):
        # a class that fills the space is at no distance from anything
        found = np.linalg.norm(unit - (unit @ U) @ U.T, axis=1) if U.shape[1] < U.shape[0] else np.zeros(len(rows))
        mine = owners == number
        own[mine] = found[mine]
        other[~mine] = np.fmin(other[~mine], found[~mine])
    return np.where(norms > 0, own, np.nan), np.where(norms > 0, other, np.nan)
