"""The game of multiple-subspace pursuit, played in one of several ways: what comes out, and what it looks like."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from mcr2_landscape.study.tasks import ctrl_data
from mcr2_landscape.study.tasks.ctrl_pictures import ClassPictures, pictures
from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.validation import positive_integer

if TYPE_CHECKING:
    from mcr2_landscape.ctrl.game import SubspaceGame

_FEASIBLE = 1e-9
_SPAN = 1e-10  # of the largest singular value of the data: what is rounding


@dataclass(frozen=True, kw_only=True)
class Played(ctrl_data.Hypotheses, ClassPictures):
    """One game, played once.

    **Fields:** the data: `preparation` in words; `class_sizes` n_j; `ranks` r_j; `tolerance`: singular values up to it count as
    zero; `independence`: the smallest singular value of the classes' bases side by side, 0 for dependent classes.

    The end of the game, (F, G): `value` Q(F), `distance` Σ D_j, `class_distances` D_j; `optimum` in closed form (missing where
    none decides) and `gap`, the optimum less the value; `upper_bound` for any encoder and `bound_gap`. An encoder that is not
    feasible may exceed them: `feasibility`, ‖F X_j‖²/n_j, and `feasible_value`, Q of the nearest feasible encoder, with
    `feasible_gap` (missing as `gap`). `response_error`: max_j ‖M P_j Mᵀ − P_j‖/‖P_j‖. `stackelberg`:
    "holds" for a feasible encoder that attains the optimum to within rounding with a best response, "refuted" where one of the
    three fails beyond it, else "undecided", by values alone. `kept`: dimensions of each class; `optimal_multiplicities` and
    `optimal_singular_values`: those of the optimum (missing for dependent classes). `reason`: how it was found, in words.

    All of this is of the data without what the tolerance leaves out. Of the data as they are: `sample_value`,
    `sample_distance`, `sample_violation` (by how much ‖F X_j‖²/n_j exceeds one at most), and the pictures.

    `curve_step`, `curve_value`, `curve_distance`, `curve_violation`: of encoder steps on the way (empty for the exact
    equilibrium); the reference's are of all data, after the step.
    """

    preparation: str
    class_sizes: tuple[int, ...]
    ranks: tuple[int, ...]
    tolerance: float
    independence: float
    value: float
    distance: float
    class_distances: tuple[float, ...]
    optimum: float | None
    gap: float | None
    upper_bound: float
    bound_gap: float
    feasibility: tuple[float, ...]
    feasible_value: float
    feasible_gap: float | None
    response_error: float
    stackelberg: str
    kept: tuple[int, ...]
    optimal_multiplicities: tuple[int, ...] | None
    optimal_singular_values: tuple[float, ...] | None
    reason: str
    sample_value: float
    sample_distance: float
    sample_violation: float
    curve_step: tuple[int, ...]
    curve_value: tuple[float, ...]
    curve_distance: tuple[float, ...]
    curve_violation: tuple[float, ...]


class _End(NamedTuple):
    F: np.ndarray
    G: np.ndarray
    reason: str
    curves: dict[str, np.ndarray]


def ctrl_game(
    *,
    data: Literal["mixture", "digits", "faces"] = "mixture",
    method: Literal["exact", "gdmax", "simultaneous", "reference"] = "exact",
    dim: int = 40,
    epsilon: float = 1.0,
    sizes: tuple[int, ...] = (500, 500, 500),
    ambient_dim: int = 50,
    subspace_ranks: tuple[int, ...] = (3, 4, 5),
    correlation: float = 0.1,
    noise: float = 0.0,
    components: int = 0,
    num_samples: int = 0,
    num_starts: int = 4,
    num_steps: int = 400,
    decoder_steps: int = 1000,
    num_epochs: int = 2,
    batch_size: int = 50,
    shown: int = 90,
    num_recorded: int = 100,
    seed: int,
) -> Played:
    """Play the game of linear subspaces.

    **Arguments:** `data`: a "mixture" of leaning subspaces, of `sizes`, `ambient_dim`, `subspace_ranks`, `correlation`, and
    `noise` (under which singular values count down to the middle of the widest gap that no class has one in); or images, not
    centered, of which the first `num_samples` (evenly of each class), each class projected on its own first `components`
    principal directions (0: all of them, as they are). What belongs to other data or methods is ignored.

    `method`: "exact" (the closed form where it decides, otherwise the best end of searches from `num_starts` random starts and
    some others); gradient dynamics for `num_steps` from a random start, in coordinates in which the classes (where they are
    dependent, all data together) are white, "gdmax" (the decoder answers exactly) or "simultaneous"; or the "reference"
    schedule of the paper's code: for each of `num_epochs` and each batch of `batch_size`, `decoder_steps` Adam steps of the
    decoder and one of the encoder. `shown`: samples in pictures of cosines. `num_recorded`: points of the curves.

    **Raises:** `InputError` for numbers out of range, or simultaneous steps on dependent classes.
    """
    from mcr2_landscape.ctrl import SubspaceGame

    num_recorded = positive_integer("num_recorded", num_recorded, minimum=2)
    shown = positive_integer("shown", shown)
    prepared = ctrl_data.prepared(data, sizes, ambient_dim, subspace_ranks, correlation, noise, components, num_samples, seed)
    X, labels = prepared.data.features, prepared.data.labels
    game = SubspaceGame(X, labels, dim=dim, epsilon=epsilon, rank_tolerance=prepared.tolerance)
    if method == "exact":
        end = _exact(game, seed, num_starts)
    elif method == "reference":
        settings = {"decoder_steps": decoder_steps, "num_epochs": num_epochs, "batch_size": batch_size}
        end = _reference(X, labels, game, prepared.tolerance, seed, settings)
    else:
        end = _dynamics(game, method, seed, num_steps)
    return Played(
        preparation=prepared.words,
        class_sizes=game.sizes,
        ranks=game.ranks,
        tolerance=game.spans.tolerance,
        independence=game.spans.independence if game.spans.independent else 0.0,
        **ctrl_data.hypotheses(game),
        **_end(game, end),
        **_samples(game, X, end),
        **pictures(
            {"x": X, "f": X @ end.F.T, "gf": X @ end.F.T @ end.G.T, "fgf": X @ end.F.T @ end.G.T @ end.F.T},
            {"x": game.spans.bases, "f": _bases(game, end.F)},
            labels,
            shown,
        ),
        **_curves(end.curves, num_recorded),
    )


def _exact(game: SubspaceGame, seed: int, num_starts: int) -> _End:
    found = game.solve(key=seed, num_starts=num_starts)
    if found.interrupted:
        raise KeyboardInterrupt
    return _End(found.F, found.G, found.reason, {})


def _dynamics(game: SubspaceGame, method: str, seed: int, num_steps: int) -> _End:
    from mcr2_landscape.ctrl.dynamics import play

    options: dict[str, Any] = {}
    if method == "simultaneous":
        game.spans.require_independent()  # elsewhere the decoder's steps are too short to follow
    if not game.spans.independent:
        # Coefficients are no coordinates then. An invertible map of the data leaves the game what it is: with XXᵀ = I on Col X
        # steps in features are as good.
        where, forth, back = _isotropic(game)
        options["coordinates"] = "features"
    else:
        where, forth, back = game, np.eye(game.ambient_dim), np.eye(game.ambient_dim)
    found = play(where, key=seed, method=method, num_seeds=1, num_steps=num_steps, **options)
    if found.interrupted:
        raise KeyboardInterrupt
    curves = {"step": found.steps, "value": found.expressiveness[0]}
    curves |= {"distance": found.distance[0], "violation": found.violation[0]}
    return _End(found.encoders[0] @ forth, back @ found.decoders[0], found.reason, curves)


def _isotropic(game: SubspaceGame) -> tuple[SubspaceGame, np.ndarray, np.ndarray]:
    """The game with T C_j for C_j, where T [C_1 … C_K] has orthonormal rows, and T with its inverse on Col X."""
    from mcr2_landscape.ctrl import SubspaceGame

    U, s, _ = np.linalg.svd(game.spans.joined, full_matrices=False)
    kept = s > _SPAN * s[0]
    forth, back = U[:, kept].T / s[kept, None], U[:, kept] * s[kept]
    factors = []
    for C in game.spans.factors:
        left, values, _ = np.linalg.svd(forth @ C, full_matrices=False)
        factors.append((left * values, values))
    spans = dataclasses.replace(game.spans, factors=tuple(C for C, _ in factors), values=tuple(own for _, own in factors))
    return SubspaceGame.from_spans(spans, dim=game.dim, epsilon=game.epsilon), forth, back


def _reference(
    X: np.ndarray, labels: Any, game: SubspaceGame, tolerance: float | None, seed: int, settings: dict[str, Any]
) -> _End:
    from mcr2_landscape.ctrl.reference import reference_run

    found = reference_run(X, labels, dim=game.dim, epsilon=game.epsilon, key=seed, rank_tolerance=tolerance, **settings)
    if found.interrupted:
        raise KeyboardInterrupt
    steps = np.arange(1, len(found.expressiveness) + 1)
    curves = {"step": steps, "value": found.expressiveness, "distance": found.distance, "violation": found.violation}
    words = f"{len(steps)} encoder steps, {settings['decoder_steps']} decoder steps each"
    return _End(found.encoder, found.decoder, words, curves)


def _end(game: SubspaceGame, end: _End) -> dict[str, Any]:
    from mcr2_landscape.ctrl.equilibrium import stackelberg_verdict
    from mcr2_landscape.ctrl.optimum import upper_bound
    from mcr2_landscape.ctrl.solve import kept_dimensions, value_of_encoder

    best = game.optimum() if game.spans.independent else None
    value, distances = value_of_encoder(game, end.F), _distances(game.spans.factors, game, end)
    bound = upper_bound(game.sizes, game.ranks, game.dim, game.epsilon)
    feasibility = game.feasibility(end.F)
    infeasible = float(feasibility.max()) > 1 + _FEASIBLE
    inside = value_of_encoder(game, game.project(end.F)) if infeasible else value
    known = best.value if best is not None and best.decided else None
    return {
        "value": value,
        "distance": float(sum(distances)),
        "class_distances": distances,
        "optimum": known,
        "gap": None if known is None else known - value,
        "upper_bound": bound,
        "bound_gap": bound - value,
        "feasibility": tuple(feasibility.tolist()),
        "feasible_value": inside,
        "feasible_gap": None if known is None else known - inside,
        "response_error": game.response_error(end.F, end.G),
        "stackelberg": str(stackelberg_verdict(game, end.F, end.G)),
        "kept": kept_dimensions(game, end.F),
        "optimal_multiplicities": None if best is None else best.multiplicities,
        "optimal_singular_values": None if best is None else tuple(best.singular_values.tolist()),
        "reason": end.reason,
    }


def _samples(game: SubspaceGame, X: np.ndarray, end: _End) -> dict[str, Any]:
    """Of the data as they are."""
    from mcr2_landscape.ctrl import values

    blocks = np.split(X[game.spans.order].T, np.cumsum(game.sizes)[:-1], axis=1)
    used = max(float(np.sum((end.F @ block) ** 2)) / size for block, size in zip(blocks, game.sizes, strict=True))
    return {
        "sample_value": values.expressiveness(blocks, game.sizes, game.dim, game.epsilon, end.F),
        "sample_distance": float(sum(_distances(blocks, game, end))),
        "sample_violation": max(0.0, used - 1),
    }


def _distances(blocks: Any, game: SubspaceGame, end: _End) -> tuple[float, ...]:
    from mcr2_landscape.ctrl import values

    return tuple(values.distances(blocks, game.sizes, game.dim, game.epsilon, end.F, end.G).tolist())


def _bases(game: SubspaceGame, F: np.ndarray) -> list[np.ndarray]:
    from mcr2_landscape.ctrl.images import column_bases

    return column_bases([F @ C for C in game.spans.factors])


def _curves(curves: dict[str, np.ndarray], count: int) -> dict[str, Any]:
    names = ("step", "value", "distance", "violation")
    if not curves:
        return {f"curve_{name}": () for name in names}
    places = thinned(len(curves["step"]), count)
    return {f"curve_{name}": tuple(curves[name][places].tolist()) for name in names}
