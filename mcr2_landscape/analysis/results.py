"""What `analyze_features` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mcr2_landscape.landscape import Ascent
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.record import Record
from mcr2_landscape.verdict import Inertia, Kind


@dataclass(frozen=True)
class Rates(Record):
    """The objective and its parts at the features, in nats: F = ΔR − penalty, ΔR = R − R_c, penalty = (lambda/2)‖Z‖²."""

    coding_rate: float
    class_coding_rate: float
    rate_reduction: float
    penalty: float
    value: float


@dataclass(frozen=True)
class Target(Record):
    """The global maximum, in closed form, and how far below it the features are (`gap` ≥ 0).

    `ranks`: the directions that each class has there. `unique`: whether all global maximizers are rotations of each other.
    `norm`: their ‖Z‖. `even_value`: the value of the local maximizers that share the dimensions among the classes as evenly as
    possible (`None` where lambda is above some class's threshold).
    """

    value: float
    gap: float
    family: str
    ranks: tuple[int, ...]
    unique: bool
    norm: float
    even_value: float | None


@dataclass(frozen=True)
class ClassSummary(Record):
    """One class of the features.

    **Fields:** `name`, `size`; `singular_values` of Z_k, descending, and `ideal_singular_value`, √x_k⁺, which the non-zero
    ones have at a local maximizer (`None` above the class's threshold); `ideal_rank`, how many the global maximizer gives the
    class; `effective_rank`, the exponential of the entropy of the squared singular values' shares; `participation`, the
    inverse of the sum of their squared shares; `coherence`, the largest cosine of a principal angle between the class's
    leading subspace (as many directions as the effective rank, rounded up) and another class's, `most_coherent_with` that
    class; `mean_coherence`, the root mean square of those cosines over all other classes; `existence_threshold`, the lambda
    above which the class is zero at every critical point; `value_threshold`, that above which the global maximizer leaves it
    out.
    """

    name: str
    size: int
    singular_values: np.ndarray = field(repr=False)
    ideal_singular_value: float | None
    ideal_rank: int
    effective_rank: float
    participation: float
    coherence: float
    most_coherent_with: str
    mean_coherence: float
    existence_threshold: float
    value_threshold: float


@dataclass(frozen=True)
class Position(Record):
    """What kind of point the features are.

    `relative_gradient_norm` is relative to the terms that cancel in the gradient. `family` is the theory's family of critical
    points that they belong to, or are near (within 1%); `family_distance` the distance to it relative to its norm. `inertia`
    holds the signs that are known, the others as undecided; `positive`, `zero` and `negative` are (at least, at most) of each.
    """

    gradient_norm: float
    relative_gradient_norm: float
    kind: Kind
    reason: str
    family: str | None
    family_kind: Kind | None
    family_distance: float | None
    inertia: Inertia
    positive: tuple[int, int]
    zero: tuple[int, int]
    negative: tuple[int, int]


@dataclass(frozen=True)
class Curvature(Record):
    """The Hessian at the features.

    `top_eigenvalue` is the largest eigenvalue: a Rayleigh quotient proves that one at least that large exists, and one lies
    within `residual` of it. `escapes`: it is positive, so that a straight step along its eigenvector gains to second order.
    `bound`: no Hessian of this problem has a larger eigenvalue anywhere. `nodes` and `weights`: the spectral density over all
    dim × samples directions, weights adding up to one.
    """

    top_eigenvalue: float
    residual: float
    escapes: bool
    bound: float
    nodes: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Endpoint(Record):
    """Where ascent from the features ends.

    **Fields:** `value`; `gap`, what is then missing to the global maximum, and `gap_closed`, the share of the features' gap
    that the ascent closed; `family` with `recognized` true if theory recognizes the point, else the nearest description by
    ranks; `ranks`, the directions of each class; `distance` ‖Z∞ − Z‖ and `relative_distance`, over ‖Z‖ (‖Z∞‖ if Z = 0);
    `converged`, `reason`, `num_gradients` and `history` of the ascent; `interrupted`.
    """

    value: float
    gap: float
    gap_closed: float
    family: str
    recognized: bool
    ranks: tuple[int, ...]
    distance: float
    relative_distance: float
    relative_gradient_norm: float
    converged: bool
    reason: str
    num_gradients: int
    history: dict[str, np.ndarray] = field(repr=False)
    interrupted: bool


@dataclass(frozen=True)
class FeatureAnalysis(Record):
    """Where labeled features sit in the landscape of the regularized rate reduction.

    `summary` and `advice` are sentences: what was found, and what to change. `notes` say what was done to the features.
    `scale`: the factor by which to multiply the features so that they have the size at which critical points live: that at
    which F is largest, or, where F is positive at none (`pays_at_some_scale` is false), the global maximizers' norm. `rank`:
    the dimensions that the features span. `capacity`: Σ min(m_k, d), the directions that the classes could fill.
    `common_mean`: the share of the features' squared norm that is their mean, if that is a direction which the classes share
    (zero otherwise).

    `problem` and `point` are the problem and the features as a point of it, `ascent` the full record of the ascent;
    `similarity` is |cos| between samples in class order, thinned out to a picture, and `similarity_classes` the class number
    of each of its rows. They are not part of the JSON form.
    """

    source: str
    dim: int
    num_samples: int
    epsilon: float
    regularization: float
    regularization_defaulted: bool
    regularization_limit: float
    normalization: str
    centered: bool
    rates: Rates
    target: Target
    position: Position
    curvature: Curvature
    endpoint: Endpoint | None
    classes: tuple[ClassSummary, ...]
    rank: int
    capacity: int
    scale: float
    pays_at_some_scale: bool
    common_mean: float
    summary: tuple[str, ...]
    advice: tuple[str, ...]
    notes: tuple[str, ...]
    problem: MCR2 = field(repr=False, metadata={"json": False})
    point: np.ndarray = field(repr=False, metadata={"json": False})
    ascent: Ascent | None = field(repr=False, metadata={"json": False})
    similarity: np.ndarray = field(repr=False, metadata={"json": False})
    similarity_classes: np.ndarray = field(repr=False, metadata={"json": False})

    @property
    def gap(self) -> float:
        """What the features miss to the global maximum."""
        return self.target.gap

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C cut the ascent short."""
        return self.endpoint is not None and self.endpoint.interrupted
