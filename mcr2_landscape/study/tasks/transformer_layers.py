"""What the layers of a network do, before and after its training, as columns of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mcr2_landscape.study.tasks.problems import finite

Numbers = tuple[tuple[float | None, ...], ...]
Counts = tuple[tuple[tuple[int, ...], ...], ...]

_METRICS = {"derived": "as derived", "sphere": "sphere", "hooked": "as hooked"}
_RATES = ("before", "after", "change", "common")
_OTHERS = ("alignment", "ratio", "nonzero", "nonzero_codes", "objective", "objective_after", "objective_change")
_EPSILON = 0.5


@dataclass(frozen=True, kw_only=True)
class LayerColumns:
    """Measures of `layerwise` on test images. Each column has two entries, for the initial and for the trained network, of one
    number a layer: the mean over images, and under the name with `_error` its standard error; missing where a network has no
    such thing.

    **Fields:** R_c by each metric: `derived_…` (of the tokens as they are), `sphere_…` (each token at length √d), `hooked_…`
    (the published figures'); of each, `…_before` and `…_after` the layer's attention half, `…_change` between the two image by
    image, and `…_common`, of the layer's tokens against the last layer's bases. `alignment`: the cosine between what the
    attention half adds and −∇R_c. `ratio`: alpha max_k ‖U_kᵀZ‖², below one where the Neumann series converges. `nonzero`,
    `nonzero_codes`: fractions of the layer's output, and of its codes, that are not zero. `objective`, `objective_after`,
    `objective_change`: of the sparsification half, at the feasible point nearest to its start, at its codes, and between; a
    token's. `step_bound`: η‖D‖²; between zero and two, a step from a feasible start (ODL's, not ISTA's) cannot raise that
    objective (no error: it depends on no image).
    """

    derived_before: Numbers
    derived_before_error: Numbers
    derived_after: Numbers
    derived_after_error: Numbers
    derived_change: Numbers
    derived_change_error: Numbers
    derived_common: Numbers
    derived_common_error: Numbers
    sphere_before: Numbers
    sphere_before_error: Numbers
    sphere_after: Numbers
    sphere_after_error: Numbers
    sphere_change: Numbers
    sphere_change_error: Numbers
    sphere_common: Numbers
    sphere_common_error: Numbers
    hooked_before: Numbers
    hooked_before_error: Numbers
    hooked_after: Numbers
    hooked_after_error: Numbers
    hooked_change: Numbers
    hooked_change_error: Numbers
    hooked_common: Numbers
    hooked_common_error: Numbers
    alignment: Numbers
    alignment_error: Numbers
    ratio: Numbers
    ratio_error: Numbers
    nonzero: Numbers
    nonzero_error: Numbers
    nonzero_codes: Numbers
    nonzero_codes_error: Numbers
    objective: Numbers
    objective_error: Numbers
    objective_after: Numbers
    objective_after_error: Numbers
    objective_change: Numbers
    objective_change_error: Numbers
    step_bound: Numbers


@dataclass(frozen=True, kw_only=True)
class LandscapeColumns:
    """Where the tokens of a few test images are in the landscape of f = R − R_c(·|U_l) of their layer, epsilon ½, tokens as
    they are. Each column has two entries, for the initial and for the trained network, of one entry a layer; missing without
    subspaces.

    **Fields:** `landscape_images`, how many. `relative_gradient`: ‖∇R − ∇R_c‖ / (‖∇R‖ + ‖∇R_c‖) at the layer's tokens, 0 at a
    critical point, 1 where nothing cancels; `relative_gradient_attended`, after the attention half; `relative_gradient_after`,
    at the layer's output, all in the landscape of the same layer. `value`: f at the layer's tokens; `value_change_attended`
    and `value_change`: of f over the attention half, and over the layer, image by image. All with the standard error of the
    mean over images (`…_error`). `inertia_positive`, `inertia_zero`, `inertia_negative`, `inertia_undecided`: eigenvalues of
    the Hessian of f at the layer's tokens by sign, a list of one count an image; empty where d·min(d, N) is above 1,200.
    `inertia_dimension`: d·N, what the counts add up to.
    """

    landscape_images: int
    relative_gradient: Numbers
    relative_gradient_error: Numbers
    relative_gradient_attended: Numbers
    relative_gradient_attended_error: Numbers
    relative_gradient_after: Numbers
    relative_gradient_after_error: Numbers
    value: Numbers
    value_error: Numbers
    value_change_attended: Numbers
    value_change_attended_error: Numbers
    value_change: Numbers
    value_change_error: Numbers
    inertia_positive: Counts
    inertia_zero: Counts
    inertia_negative: Counts
    inertia_undecided: Counts
    inertia_dimension: int


def layer_columns(networks: tuple[Any, Any], inputs: np.ndarray) -> dict[str, Any]:
    """The columns of `LayerColumns` of the initial and the trained network."""
    from mcr2_landscape.training.image_layers import STATES, layer_rows

    both = [layer_rows(state, model, inputs, _EPSILON) for state, model in zip(reversed(STATES), networks, strict=True)]

    def two(metric: str, name: str) -> Numbers:
        # Without subspaces there are rows by one metric alone, which has no rates either.
        own = [metric if any(row.metric == metric for row in rows) else rows[0].metric for rows in both]
        values = [[getattr(r, name) for r in rows if r.metric == known] for rows, known in zip(both, own, strict=True)]
        return tuple(finite(np.array(each)) for each in values)

    names = [(f"{prefix}_{name}", metric, name) for prefix, metric in _METRICS.items() for name in _RATES]
    # The others know nothing of the metric, but for epsilon.
    names += [(name, _METRICS["derived"], name) for name in (*_OTHERS, "step_bound")]
    columns: dict[str, Any] = {}
    for column, metric, name in names:
        columns[column] = two(metric, name)
        if name != "step_bound":
            columns[f"{column}_error"] = two(metric, f"{name}_error")
    return columns


def landscape_columns(networks: tuple[Any, Any], inputs: np.ndarray) -> dict[str, Any]:
    """The columns of `LandscapeColumns` of the initial and the trained network, on a few images."""
    from mcr2_landscape.whitebox.halves import SubspaceAttention
    from mcr2_landscape.whitebox.positions import positions_of

    views = [_places(model, inputs) for model in networks]
    depth, few, num_tokens, dim = views[0][0].shape
    names = ("relative_gradient", "relative_gradient_attended", "relative_gradient_after", "value")
    signs = {"positive": "ascending", "zero": "flat", "negative": "descending", "undecided": "undecided"}
    both = []
    for model, view in zip(networks, views, strict=True):
        attention = model.layers.attention
        known = isinstance(attention, SubspaceAttention)
        both.append(positions_of(attention, view, _EPSILON) if known else None)
    unknown = np.full((depth, few), np.nan)
    columns: dict[str, Any] = {"landscape_images": few, "inertia_dimension": dim * num_tokens}
    for name in names:
        columns |= _two(name, [unknown if one is None else getattr(one, name) for one in both])
    for name, end in (("value_change_attended", "after_attention"), ("value_change", "after_layer")):
        columns |= _two(name, [unknown if one is None else getattr(one, end) - one.value for one in both])
    for sign, name in signs.items():
        columns[f"inertia_{sign}"] = tuple(
            ((),) * depth if one is None else tuple(_counted(row) for row in getattr(one, name)) for one in both
        )
    return columns


def _counted(counts: np.ndarray) -> tuple[int, ...]:
    """One count an image; none where nothing was counted."""
    return () if (counts < 0).any() else tuple(counts.tolist())


def _two(name: str, both: list[np.ndarray]) -> dict[str, Numbers]:
    """Means over images and their standard errors, (layers, images) each, of two networks."""
    means = tuple(finite(values.mean(axis=1)) for values in both)
    spread = (values.std(axis=1, ddof=1) / np.sqrt(values.shape[1]) for values in both)
    return {name: means, f"{name}_error": tuple(finite(values) for values in spread)}


def _places(model: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens before a layer, after its attention half and after the layer, each (layers, images, N, d)."""
    import equinox as eqx

    before, attended, after = (np.asarray(part) for part in eqx.filter_jit(_traced)(model, images))
    return before, attended, after


def _traced(model: Any, images: Any) -> Any:
    found = model.trace(images)
    return found.tokens, found.attended, found.outputs
