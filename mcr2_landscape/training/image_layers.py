"""The measures of `layerwise` as rows: means over images, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.record import Record
from mcr2_landscape.whitebox import layerwise
from mcr2_landscape.whitebox.halves import SubspaceAttention
from mcr2_landscape.whitebox.layer_measures import METRICS

#: Which network a row is of.
STATES = ("trained", "random")

_HOOKED = "as hooked"  # its epsilon is that of the published figures


@dataclass(frozen=True)
class LayerRow(Record):
    """What one layer does, in the mean over images; `…_error` are standard errors, NaN what the network does not have.

    **Fields:** `state`, "trained" or "random"; `metric` of the rates, see `layerwise`; `layer` from 1; `images`, how many;
    `epsilon`. `before`, `after`: R_c before and after the attention half, `change` between them image by image; `common`: of
    the layer's tokens against the last layer's bases. `alignment`, `ratio`, `nonzero`, `nonzero_codes`, `objective`,
    `objective_after`, `step_bound`: as in `Layerwise`, the same for all metrics but for `epsilon`; `objective_change` image by
    image.
    """

    state: str
    metric: str
    layer: int
    images: int
    epsilon: float
    before: float
    before_error: float
    after: float
    after_error: float
    change: float
    change_error: float
    common: float
    common_error: float
    alignment: float
    alignment_error: float
    ratio: float
    ratio_error: float
    nonzero: float
    nonzero_error: float
    nonzero_codes: float
    nonzero_codes_error: float
    objective: float
    objective_error: float
    objective_after: float
    objective_after_error: float
    objective_change: float
    objective_change_error: float
    step_bound: float


def layer_rows(state: str, model: Any, inputs: np.ndarray, epsilon: float) -> list[LayerRow]:
    """A row for each metric and layer. Without subspaces there is no rate to measure, and one metric says all the rest."""
    metrics = METRICS if isinstance(model.layers.attention, SubspaceAttention) else METRICS[:1]
    rows = []
    for metric in metrics:
        found = layerwise(model, inputs, metric=metric, epsilon=None if metric == _HOOKED else epsilon)
        measured = {name: getattr(found, name) for name in ("before", "after", "common", "alignment", "ratio")}
        measured |= {name: getattr(found, name) for name in ("nonzero", "nonzero_codes", "objective", "objective_after")}
        measured |= {"change": found.after - found.before, "objective_change": found.objective_after - found.objective}
        count = inputs.shape[0]
        for layer in range(len(found.before)):
            numbers = {name: float(values[layer].mean()) for name, values in measured.items()}
            if count > 1:
                errors = {name: float(values[layer].std(ddof=1) / count**0.5) for name, values in measured.items()}
            else:
                errors = dict.fromkeys(measured, float("nan"))
            numbers |= {f"{name}_error": error for name, error in errors.items()}
            numbers["step_bound"] = float(found.step_bound[layer])
            rows.append(LayerRow(state=state, metric=metric, layer=layer + 1, images=count, epsilon=found.epsilon, **numbers))
    return rows
