"""The data of the games of closed-loop transcription: mixtures of subspaces, and images, what of them counts as a subspace, and
which hypotheses of the theorem that leaves."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mcr2_landscape.validation import InputError, positive_integer

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.game import SubspaceGame
    from mcr2_landscape.ctrl.single import SingleSubspaceGame
    from mcr2_landscape.data import LabeledFeatures


@dataclass(frozen=True, kw_only=True)
class Hypotheses:
    """What the theorem assumes of the data: of each hypothesis name, statement, verdict, margin (missing where it is infinite)
    and details in words."""

    hypothesis_names: tuple[str, ...]
    hypothesis_statements: tuple[str, ...]
    hypothesis_verdicts: tuple[str, ...]
    hypothesis_margins: tuple[float | None, ...]
    hypothesis_details: tuple[str, ...]


class Prepared(NamedTuple):
    """`data`; `tolerance`: the rank tolerance for the game, `None` for that of rounding; `words` on what was done."""

    data: LabeledFeatures
    tolerance: float | None
    words: str


def mixture(
    sizes: tuple[int, ...], ambient_dim: int, subspace_ranks: tuple[int, ...], correlation: float, noise: float, seed: int
) -> Prepared:
    """A mixture of leaning subspaces. Noise gives every class full rank: singular values count down to the middle of the widest
    gap that no class has one in.

    **Raises:** `InputError` for numbers out of range.
    """
    from mcr2_landscape.ctrl import common_gap
    from mcr2_landscape.ctrl.spans import spans_of
    from mcr2_landscape.data import subspace_mixture

    shape: dict[str, Any] = {"sizes": sizes, "ambient_dim": ambient_dim, "ranks": subspace_ranks, "correlation": correlation}
    data = subspace_mixture(key=seed, **shape, noise=noise)
    if noise == 0:
        return Prepared(data, None, "ranks to rounding")
    gap = common_gap(spans_of(data.features, data.labels))
    if gap is None:
        return Prepared(data, None, "no gap among the singular values: ranks to rounding")
    words = (
        f"singular values up to {gap.tolerance:.4g} count as noise, in the widest gap that all classes have ({gap.ratio:.3g})"
    )
    return Prepared(data, gap.tolerance, words)


def prepared(
    data: str,
    sizes: tuple[int, ...],
    ambient_dim: int,
    subspace_ranks: tuple[int, ...],
    correlation: float,
    noise: float,
    components: int,
    num_samples: int,
    seed: int,
) -> Prepared:
    """A mixture, or images by their name; what belongs to the other kind is ignored.

    **Raises:** `InputError` for numbers out of range.
    """
    if data == "mixture":
        return mixture(sizes, ambient_dim, subspace_ranks, correlation, noise, seed)
    return images(data, components, num_samples)


def images(name: str, components: int, num_samples: int) -> Prepared:
    """Digits or faces, not centered: subspaces contain the origin. Classes of images have full rank and share directions; with
    `components` each class is replaced by its projection on its own so many leading principal directions. 0 stands for all.

    **Raises:** `InputError` for another name or numbers out of range.
    """
    from mcr2_landscape.data import digits, faces

    data = {"digits": digits, "faces": faces}[name]()
    if num_samples != 0:
        labels = np.asarray(data.labels)
        each = max(1, positive_integer("num_samples", num_samples) // np.unique(labels).size)
        places = np.sort(np.concatenate([np.flatnonzero(labels == k)[:each] for k in np.unique(labels)]))
        data = dataclasses.replace(data, features=data.features[places], labels=labels[places])
    if components == 0:
        return Prepared(data, None, "all of every class, ranks to rounding")
    count = positive_integer("components", components)
    kept, shares = data.features.copy(), []
    for k in np.unique(data.labels):
        own = np.asarray(data.labels) == k
        _, s, Vt = np.linalg.svd(kept[own], full_matrices=False)
        if count > s.size:
            raise InputError(f"components: found {count}; class {k} has {s.size} at most")
        kept[own] = kept[own] @ Vt[:count].T @ Vt[:count]
        shares.append(float(np.sum(s[:count] ** 2) / np.sum(s**2)))
    words = f"each class projected on its first {count} principal directions, {min(shares):.1%} of its squares at least"
    return Prepared(dataclasses.replace(data, features=kept), None, words)


def hypotheses(game: SubspaceGame | SingleSubspaceGame) -> dict[str, Any]:
    """The columns of `Hypotheses`."""
    found = game.hypotheses()
    return {
        "hypothesis_names": tuple(own.name for own in found),
        "hypothesis_statements": tuple(own.statement for own in found),
        "hypothesis_verdicts": tuple(str(own.verdict) for own in found),
        "hypothesis_margins": tuple(float(own.margin) if np.isfinite(own.margin) else None for own in found),
        "hypothesis_details": tuple(own.detail for own in found),
    }
