"""What encoders and decoders make of samples, as columns of a study: spectra, |cos| between samples, distances to subspaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

STAGES = ("x", "f", "gf", "fgf")
_COSINES = ("x", "f", "gf", "fgf")
_BINS = 50


def pictures(
    stages: Mapping[str, np.ndarray], bases: Mapping[str, Sequence[np.ndarray]], labels: Any, shown: int
) -> dict[str, Any]:
    """The columns.

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
    for stage in _COSINES:
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
