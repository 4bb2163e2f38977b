"""What encoders and decoders make of samples, as columns of a study: spectra, |cos| between samples, distances to subspaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

STAGES = ("x", "f", "gf", "fgf")
_BINS = 50


@dataclass(frozen=True, kw_only=True)
class SamplePictures:
    """What samples of all classes look like on their way.

    **Fields:** `spectrum_x`, `spectrum_f`, `spectrum_gf`, `spectrum_fgf`: singular values of X, f(X), gf(X), fgf(X).
    `cosines_…`: |cos| between samples in class order, thinned out to a picture; `cosine_classes`, the class of each row.
    `residuals_…_own`: histograms, for each class, of the distance of x and gf(x) to S_j, and of f(x) and fgf(x) to f(S_j),
    relative to the norm; `residual_edges` of the bins; `largest_residual_…`. Bases are of singular vectors, which see the rank.
    """

    spectrum_x: tuple[float, ...]
    spectrum_f: tuple[float, ...]
    spectrum_gf: tuple[float, ...]
    spectrum_fgf: tuple[float, ...]
    cosine_classes: tuple[int, ...]
    cosines_x: np.ndarray
    cosines_f: np.ndarray
    cosines_gf: np.ndarray
    cosines_fgf: np.ndarray
    residual_edges: tuple[float, ...]
    residuals_x_own: tuple[tuple[int, ...], ...]
    residuals_gf_own: tuple[tuple[int, ...], ...]
    residuals_f_own: tuple[tuple[int, ...], ...]
    residuals_fgf_own: tuple[tuple[int, ...], ...]
    largest_residual_x: float | None
    largest_residual_f: float | None
    largest_residual_gf: float | None
    largest_residual_fgf: float | None


@dataclass(frozen=True, kw_only=True)
class ClassPictures(SamplePictures):
    """The same with what needs several classes.

    **Fields:** `class_spectra_…`: singular values of each class at each stage. `residuals_…_other`: as `residuals_…_own`, to
    the nearest of the other classes' subspaces.
    """

    class_spectra_x: tuple[tuple[float, ...], ...]
    class_spectra_f: tuple[tuple[float, ...], ...]
    class_spectra_gf: tuple[tuple[float, ...], ...]
    class_spectra_fgf: tuple[tuple[float, ...], ...]
    residuals_x_other: tuple[tuple[int, ...], ...]
    residuals_gf_other: tuple[tuple[int, ...], ...]
    residuals_f_other: tuple[tuple[int, ...], ...]
    residuals_fgf_other: tuple[tuple[int, ...], ...]


def pictures(
    stages: Mapping[str, np.ndarray], bases: Mapping[str, Sequence[np.ndarray]], labels: Any, shown: int
) -> dict[str, Any]:
    """The columns of `ClassPictures`.

    **Arguments:** `stages`: the samples of each of `STAGES`, one a row, in one order; `bases` of the stages "x" and "f":
    orthonormal columns for each class, in the order of the sorted labels; `shown`: samples in a picture of cosines.
    """
    from mcr2_landscape.ctrl import images
    from mcr2_landscape.mcr2.features import encode_labels

    codes, names = encode_labels(labels)
    order = np.argsort(codes, kind="stable")
    owners = codes[order]
    sizes = tuple(np.bincount(owners, minlength=len(names)).tolist())
    rows = {stage: stages[stage][order] for stage in STAGES}
    few = images.thinned(sizes, shown)
    columns: dict[str, Any] = {"cosine_classes": tuple(owners[few].tolist())}
    for stage, samples in rows.items():
        columns[f"spectrum_{stage}"] = _tuple(images.singular_values(samples))
        parts = np.split(samples, np.cumsum(sizes)[:-1])
        columns[f"class_spectra_{stage}"] = tuple(_tuple(images.singular_values(part)) for part in parts)
    for stage in STAGES:
        columns[f"cosines_{stage}"] = images.cosines_of(rows[stage][few]).astype(np.float32)
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    columns["residual_edges"] = _tuple(edges)
    for stage, space in (("x", "x"), ("gf", "x"), ("f", "f"), ("fgf", "f")):
        own, other = images.residuals_of(rows[stage], owners, bases[space])
        columns[f"residuals_{stage}_own"] = _histograms(own, owners, len(names), edges)
        columns[f"residuals_{stage}_other"] = _histograms(other, owners, len(names), edges)
        columns[f"largest_residual_{stage}"] = float(np.nanmax(own)) if np.isfinite(own).any() else None
    return columns


def _tuple(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.tolist())


def _histograms(values: np.ndarray, owners: np.ndarray, count: int, edges: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Counts of each class; samples whose image is zero are in no bin."""
    return tuple(
        tuple(np.histogram(np.minimum(own[np.isfinite(own)], 1.0), edges)[0].tolist())
        for own in (values[owners == k] for k in range(count))
    )
