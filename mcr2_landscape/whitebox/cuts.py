"""Normalized cuts of the graph whose nodes are an image's patches and whose edges join patches of similar features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg
import scipy.ndimage

from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, real
from mcr2_landscape.whitebox.masks import checked_grid

#: The weight of an edge between patches that are not similar, of the published algorithms: it keeps the graph connected.
WEAK_EDGE = 1e-5

# Tokens shorter than this part of the longest are zero: what is left of equal tokens after subtracting their mean in float32.
_ZERO = 1e-6
# Eigenvalues closer than this are one, and entries of an eigenvector closer than this part of the largest.
_SAME = 1e-9


@dataclass(frozen=True)
class NormalizedCut(Record):
    """Images cut in two.

    **Fields:** `masks`, (…, patches) bool, true on the foreground; `vectors`, (…, patches), the generalized eigenvectors,
    positive on the seed of the foreground; `eigenvalues`, (…, 2), the second and third smallest, NaN where there are fewer
    patches: the second is small where the cut is cheap, and equal to the third where another cut is as good; `found`, (…) bool:
    whether the graph has two parts. Where it has not, everything is foreground, and the vector is zero.
    """

    masks: np.ndarray = field(repr=False, metadata={"json": False})
    vectors: np.ndarray = field(repr=False, metadata={"json": False})
    eigenvalues: np.ndarray = field(repr=False)
    found: np.ndarray = field(repr=False)


def normalized_cut(
    features: Any, *, tau: float = 0.2, grid: tuple[int, int] | None = None, center: bool = False, connected: bool = True
) -> NormalizedCut:
    """The patches of each image in two parts, foreground and background, by the normalized cut.

    Patches whose features have a cosine above `tau` are joined by an edge of weight one, others by one of 1e-5. The eigenvector
    of the second smallest eigenvalue of (D − A) v = λ D v, with A the weights and D their row sums, relaxes the cut of least
    normalized weight; patches above its mean are one part. The seed is the patch of the largest absolute entry, and the part
    that holds it the foreground, unless it holds three or four of the image's corners: then the other part is, and its largest
    entry the seed. Of the foreground the piece that is connected to its seed is kept.

    An eigenvector has no sign; here it is positive on the first seed (the published code tests the corners under the sign that
    comes out of the solver, and its answer depends on it). Ties are broken by the patches' order: the first of the largest
    entries; and where the eigenvalue is multiple, the vector of its eigenspace with the largest entry. A patch of zero features
    is similar to none, itself included. The graph has no two parts, and everything is foreground, where all weights are equal:
    all patches are similar, or none, or there is one.

    **Arguments:** `features`: (…, patches, d), the patches row by row, without the class token. `tau`: from −1 to below 1.
    `grid`: rows and columns of patches; left out, as many of both. `center`: subtract each image's mean over its patches first,
    for features that lie to one side of the origin, such as colors. `connected`: false keeps all pieces of the foreground.

    **Returns:** `NormalizedCut`.

    **Raises:** `InputError` for other shapes, NaN or infinity, or numbers out of range.

    Source: J. Shi and J. Malik, *Normalized Cuts and Image Segmentation* (IEEE TPAMI 22, 2000), whose eigenvalue problem this
    is; Y. Wang et al., *Self-Supervised Transformers for Unsupervised Object Discovery using Normalized Cut* (TokenCut, CVPR
    2022), whose graph and seed these are; X. Wang, R. Girdhar, S. Yu and I. Misra, *Cut and Learn for Unsupervised Object
    Detection and Instance Segmentation* (CutLER, CVPR 2023), whose rule of the corners it is.
    """
    array, shape = _checked(features, tau, grid)
    cuts = [_cut(_directions(one, center), tau, shape, connected) for one in array.reshape(-1, *array.shape[-2:])]
    batch, patches = array.shape[:-2], array.shape[-2]
    return NormalizedCut(
        np.array([cut[0] for cut in cuts], bool).reshape(*batch, patches),
        np.array([cut[1] for cut in cuts], np.float64).reshape(*batch, patches),
        np.array([cut[2] for cut in cuts], np.float64).reshape(*batch, 2),
        np.array([cut[3] for cut in cuts], bool).reshape(batch),
    )


def mask_cut(
    features: Any, num_masks: int = 3, *, tau: float = 0.15, grid: tuple[int, int] | None = None, center: bool = False
) -> np.ndarray:
    """Several objects of an image: the foreground of a normalized cut, then that of the cut without those patches, and so on.

    The features of patches that are taken are set to zero. After the first mask, one that is no object ends the search, and the
    rest is empty: one that covers at most one hundredth of the patches, has an intersection over union above 1/2 with the mask
    before, or belongs to no cut (see `normalized_cut`). The published algorithm goes on after such a mask with the same
    features, where the same cut comes again. Masks do not overlap: patches belong to the first.

    **Arguments:** as of `normalized_cut`; `num_masks`: at least 1.

    **Returns:** bool, (…, num_masks, patches).

    **Raises:** as `normalized_cut`.

    Source: X. Wang, R. Girdhar, S. Yu and I. Misra (CutLER, CVPR 2023), whose MaskCut has tau = 0.15 and three masks.
    """
    array, shape = _checked(features, tau, grid)
    count = positive_integer("num_masks", num_masks)
    flat = array.reshape(-1, *array.shape[-2:])
    masks = np.zeros((len(flat), count, array.shape[-2]), bool)
    for number, one in enumerate(flat):
        tokens, taken = _directions(one, center), np.zeros(array.shape[-2], bool)
        previous = taken
        for stage in range(count):
            mask, _, _, found = _cut(tokens, tau, shape, True)
            if stage and (not found or mask.mean() <= 0.01 or (mask & previous).sum() > 0.5 * (mask | previous).sum()):
                break
            masks[number, stage] = mask & ~taken
            taken, previous = taken | mask, mask
            tokens = np.where(taken[:, None], 0, tokens)
    return masks.reshape(*array.shape[:-2], count, array.shape[-2])


def _checked(features: Any, tau: Any, grid: Any) -> tuple[np.ndarray, tuple[int, int]]:
    array = float64_matrix("features", features, refuse_float32=False)
    if array.ndim < 2 or 0 in array.shape[-2:]:
        raise InputError(f"features: found shape {array.shape}; pass (…, patches, d)")
    if not -1 <= real("tau", tau) < 1:
        raise InputError(f"tau: found {tau:g}; it is the least cosine of similar patches: pass a number from -1 to below 1")
    return array, checked_grid(array.shape[-2], grid)


def _directions(tokens: np.ndarray, center: bool) -> np.ndarray:
    """Tokens of length one, or zero. They are scaled first, so that no length overflows or vanishes."""
    scale = np.abs(tokens).max()
    if scale == 0:
        return tokens
    tokens = tokens / scale
    longest = np.linalg.norm(tokens, axis=1).max()
    if center:
        tokens = tokens - tokens.mean(axis=0)
    lengths = np.linalg.norm(tokens, axis=1, keepdims=True)
    zero = lengths <= _ZERO * longest
    return np.where(zero, 0, tokens / np.where(zero, 1, lengths))


def _cut(
    tokens: np.ndarray, tau: float, grid: tuple[int, int], connected: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Mask, vector, two eigenvalues, and whether there is a cut, for tokens of length one or zero."""
    patches = len(tokens)
    similar = tokens @ tokens.T > tau
    similar[~tokens.any(axis=1)] = False
    similar[:, ~tokens.any(axis=1)] = False
    weights = np.where(similar | similar.T, 1.0, WEAK_EDGE)
    pair = np.full(2, np.nan)
    whole = np.ones(patches, bool), np.zeros(patches), pair, False
    # Any two weights that differ make two eigenvalues of the weights positive, and so λ < 1: there is a cut.
    if np.all(weights == weights[0, 0]):
        pair[: patches - 1] = 1.0
        return whole
    degrees = np.diag(weights.sum(axis=1))
    values, vectors = scipy.linalg.eigh(degrees - weights, degrees, subset_by_index=(1, min(2, patches - 1)))
    pair[: len(values)] = values
    vector = vectors[:, 0]
    if len(values) == 2 and values[1] - values[0] <= _SAME:
        vector = _canonical(degrees - weights, degrees, values[0])
    size = np.abs(vector)
    seed = int(np.flatnonzero(size >= (1 - _SAME) * size.max())[0])
    vector = vector if vector[seed] > 0 else -vector
    mask = np.asarray(vector - vector.mean() > _SAME * size.max())
    if mask.reshape(grid)[[0, 0, -1, -1], [0, -1, 0, -1]].sum() >= 3:
        mask, vector = ~mask, -vector
        seed = int(np.flatnonzero(vector >= vector.max() - _SAME * size.max())[0])
    if connected:
        pieces = np.empty(grid, np.int32)
        scipy.ndimage.label(mask.reshape(grid), output=pieces)
        pieces = pieces.ravel()
        mask = pieces == pieces[seed]
    return mask, vector, pair, True


def _canonical(laplacian: np.ndarray, degrees: np.ndarray, value: float) -> np.ndarray:
    """The vector of a multiple eigenvalue's space with vᵀDv = 1 and the largest entry √d_i v_i, whatever the solver."""
    values, vectors = scipy.linalg.eigh(laplacian, degrees)
    space = vectors[:, 1:][:, np.abs(values[1:] - value) <= 10 * _SAME]
    scaled = np.sqrt(np.diag(degrees))[:, None] * space  # orthonormal columns
    shares = np.sum(scaled**2, axis=1)
    first = int(np.flatnonzero(shares >= shares.max() - 1e-6)[0])
    return space @ scaled[first] / np.sqrt(shares[first])
