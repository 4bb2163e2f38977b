"""An encoder and a decoder that are networks, trained with the utilities of closed-loop transcription, and a linear variational
autoencoder as the generative baseline: what comes out, and what it looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mcr2_landscape.study.tasks import ctrl_data
from mcr2_landscape.study.tasks.ctrl_pictures import ClassPictures, pictures
from mcr2_landscape.study.tasks.problems import thinned
from mcr2_landscape.validation import positive_integer

_KEPT = 0.1


@dataclass(frozen=True, kw_only=True)
class Transcribed(ctrl_data.Hypotheses, ClassPictures):
    """One training.

    **Fields:** the data: `preparation`, `class_sizes`, `ranks`, `tolerance` as in `ctrl_game`; the theorem whose hypotheses are
    there is on linear maps and says nothing of networks. `linear_optimum`: of the linear game on these data, in closed form
    (missing where none decides). A linear encoder with ‖F X_j‖² ≤ n_j reaches it; here each feature has length one instead.

    `value` ΔR(f(X)) and `distance` Σ_j ΔR(f(X_j), fgf(X_j)), `class_distances`, of features of length one, whatever the
    network. `upper_bound`: no encoder of any kind exceeds it, and `bound_gap`, what is missing. `reconstruction_error`:
    ‖gf(X) − X‖/‖X‖.
    For the variational autoencoder `negative_elbo`, in nats a sample, and `elbo_gap`, how much it is above the least possible
    (missing for the others, and where it is unbounded).

    `kept`: singular values of f(X_j) above a tenth of the class's largest; f(S_j) in the histograms is what those directions
    span.

    `curve_step`, `curve_loss`, `curve_value`, `curve_distance`: along the training, of the batch before the step; for the
    autoencoder the last two are missing, and `curve_reconstruction`, a mean squared error, is there instead. `reason`: why the
    training ended.
    """

    preparation: str
    class_sizes: tuple[int, ...]
    ranks: tuple[int, ...]
    tolerance: float
    linear_optimum: float | None
    value: float
    distance: float
    class_distances: tuple[float, ...]
    upper_bound: float
    bound_gap: float
    reconstruction_error: float
    negative_elbo: float | None
    elbo_gap: float | None
    kept: tuple[int, ...]
    reason: str
    curve_step: tuple[int, ...]
    curve_loss: tuple[float, ...]
    curve_value: tuple[float, ...] | None
    curve_distance: tuple[float, ...] | None
    curve_reconstruction: tuple[float, ...] | None


def ctrl_network(
    *,
    data: Literal["mixture", "digits", "faces"] = "mixture",
    network: Literal["linear", "two-layer", "vae"] = "two-layer",
    dim: int = 40,
    epsilon: float = 1.0,
    sizes: tuple[int, ...] = (500, 500, 500),
    ambient_dim: int = 50,
    subspace_ranks: tuple[int, ...] = (3, 4, 5),
    correlation: float = 0.1,
    noise: float = 0.0,
    components: int = 0,
    num_samples: int = 0,
    width: int = 128,
    num_steps: int = 2000,
    encoder_rate: float = 1e-4,
    decoder_rate: float = 1e-2,
    batch_size: int | None = None,
    precision: Literal["float32", "float64"] = "float32",
    shown: int = 90,
    num_recorded: int = 100,
    seed: int,
) -> Transcribed:
    """Train an encoder and a decoder on the data of `ctrl_game`.

    **Arguments:** of the data as for `ctrl_game`; `network` and all others as for `train_transcription`.

    **Raises:** `InputError` for numbers out of range; `RuntimeError` where the training ended before its last step.
    """
    from mcr2_landscape.ctrl import SubspaceGame
    from mcr2_landscape.ctrl.images import column_bases
    from mcr2_landscape.training import Stopped, train_transcription

    num_recorded = positive_integer("num_recorded", num_recorded, minimum=2)
    shown = positive_integer("shown", shown)
    prepared = ctrl_data.prepared(data, sizes, ambient_dim, subspace_ranks, correlation, noise, components, num_samples, seed)
    X, labels = prepared.data.features, prepared.data.labels
    game = SubspaceGame(X, labels, dim=dim, epsilon=epsilon, rank_tolerance=prepared.tolerance)
    best = game.optimum() if game.spans.independent else None
    found = train_transcription(
        prepared.data,
        network=network,
        dim=dim,
        epsilon=epsilon,
        width=width,
        num_steps=num_steps,
        encoder_rate=encoder_rate,
        decoder_rate=decoder_rate,
        batch_size=batch_size,
        precision=precision,
        key=seed,
        record_every=max(1, num_steps // (2 * num_recorded)),
    )
    if found.training.stopped is not Stopped.FINISHED or not np.isfinite(found.expressiveness):
        raise RuntimeError(f"the training ended at step {found.training.step} of {num_steps}: {found.training.reason}")
    blocks = np.split(found.features[game.spans.order].T, np.cumsum(game.sizes)[:-1], axis=1)
    kept = tuple(int((s > _KEPT * s[0]).sum()) for s in (np.linalg.svd(block, compute_uv=False) for block in blocks))
    bases = [U[:, :count] for U, count in zip(column_bases(blocks), kept, strict=True)]
    bound = found.best_negative_elbo
    return Transcribed(
        preparation=prepared.words,
        class_sizes=game.sizes,
        ranks=game.ranks,
        tolerance=game.spans.tolerance,
        **ctrl_data.hypotheses(game),
        linear_optimum=best.value if best is not None and best.decided else None,
        value=found.expressiveness,
        distance=float(found.distances.sum()),
        class_distances=tuple(found.distances.tolist()),
        upper_bound=found.upper_bound,
        bound_gap=found.gap,
        reconstruction_error=found.reconstruction_error,
        negative_elbo=found.negative_elbo,
        elbo_gap=None if found.negative_elbo is None or bound is None else found.negative_elbo - bound,
        kept=kept,
        reason=found.training.reason,
        **pictures(
            {"x": X, "f": found.features, "gf": found.decoded, "fgf": found.again},
            {"x": game.spans.bases, "f": bases},
            labels,
            shown,
        ),
        **_curves(found.training.history, num_recorded),
    )


def _curves(history: Any, count: int) -> dict[str, Any]:
    places = thinned(len(history["step"]), count)
    names = {"value": "expressiveness", "distance": "distance", "reconstruction": "reconstruction"}
    columns: dict[str, Any] = {f"curve_{name}": tuple(history[name][places].tolist()) for name in ("step", "loss")}
    for column, metric in names.items():
        columns[f"curve_{column}"] = tuple(history[metric][places].tolist()) if metric in history else None
    return columns
