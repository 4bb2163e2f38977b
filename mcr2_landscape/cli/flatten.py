"""`mcr2-landscape flatten`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from mcr2_landscape.cli.options import File, check_count, check_seed


def flatten(
    data: str,
    /,
    *,
    out: str,
    network: str | None = None,
    samples: int | None = None,
    dim: int | None = None,
    ambient: int | None = None,
    noise: float | None = None,
    angle: float | None = None,
    label: int | None = None,
    features_name: str | None = None,
    labels_name: Annotated[str | None, Parameter(name=["--labels-name", "--label-column"], allow_leading_hyphen=True)] = None,
    held_out: float | None = None,
    components: int | None = None,
    tolerance: float = 0.01,
    flatness: float = 1e-6,
    threshold: float | None = None,
    layers: int | None = None,
    refit: bool = True,
    ridge: float | None = None,
    seed: int = 0,
    max_seconds: float | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    json: File = None,
) -> int:
    """Flatten points to a plane of their dimension and decode them again, and say whether that can be done.

    Layers are built one by one until the points are flat, each with a certificate for its round trip; then the decoder is
    fitted in closed form. Killed at any moment and begun again with --resume, it ends with the same network. The exit status is
    0 whatever the verdict, 130 after Ctrl-C.

    Parameters
    ----------
    data
        A file of one row a point (.npz, .npy, .csv, .tsv, .txt) or of pictures (n, H, W), or the name of a manifold: sine, arc,
        cap, swiss-roll, gaussian-process, random, squares (a square moved about in pictures), digit (handwritten digits of one
        class), faces.
    out
        The folder for report.html, flatten.json, codes.npz, network.safetensors, and the checkpoint of the build.
    network
        Transform the points with the network in this file (network.safetensors of an earlier run, or what flatnet.save_network
        wrote) instead of fitting one.
    samples
        Points of a manifold.
    dim
        Dimension of gaussian-process or random: 2 by default.
    ambient
        Features of gaussian-process or random.
    noise
        Standard deviation of what is added to each entry, for sine and arc.
    angle
        Of arc (180 by default) or cap (60), in degrees.
    label
        The class of digit: 3 by default.
    features_name
        The name of the points in an .npz file.
    labels_name
        The column of a table that is no feature (its name, or its number from 0); by default the one named labels or label.
    held_out
        The part of a file's points that are only looked at, or as many more points of a manifold: 0.2 by default, 0 for none.
    components
        The dimension to flatten to; by default it is found from the points.
    tolerance
        The relative error of decoding that the verdict allows.
    flatness
        The part of the variance outside the plane that the verdict allows.
    threshold
        The greatest half mean square error of a layer's round trip, relative to the mean square of the entries: 4e-6 by
        default. Less makes weaker layers, and more of them.
    layers
        Layers to try: 500 by default.
    refit
        Fit the decoder again in closed form once all layers are there.
    ridge
        Of the refit; by default it is chosen.
    seed
        Seed of the points, the split and the layers. The same seed gives the same network.
    max_seconds
        Stop the build after so much time; --resume goes on.
    resume
        Go on with the build in the folder, or begin if there is none.
    json
        Write everything to this JSON file too; - is standard output.
    """
    from mcr2_landscape.validation import InputError, positive_real, real

    check_seed(seed)
    counts = {"--samples": samples, "--dim": dim, "--ambient": ambient, "--components": components, "--layers": layers}
    for option, count in counts.items():
        if count is not None:
            check_count(option, count)
    positive = {"--tolerance": tolerance, "--flatness": flatness, "--threshold": threshold, "--angle": angle}
    for option, number in {**positive, "--ridge": ridge, "--max-seconds": max_seconds}.items():
        if number is not None:
            positive_real(option, number)
    if held_out is not None and not 0 <= real("--held-out", held_out) < 1:
        raise InputError(f"--held-out: found {held_out:g}; give a part from 0 to less than 1, such as 0.2")
    if ridge is not None and not refit:
        raise InputError("--ridge: is of the refit, which --no-refit leaves out; leave one of them out")
    fitting = {
        "--held-out": held_out,
        "--components": components,
        "--threshold": threshold,
        "--layers": layers,
        "--no-refit": None if refit else True,
        "--ridge": ridge,
        "--max-seconds": max_seconds,
        "--resume": resume or None,
    }
    given = [option for option, value in fitting.items() if value is not None]
    if network is not None and given:
        raise InputError(f"{', '.join(given)}: nothing is fitted with --network; leave it out")
    from mcr2_landscape.cli.flattening import Wanted, run

    wanted = Wanted(
        points={
            "--samples": samples,
            "--dim": dim,
            "--ambient": ambient,
            "--noise": noise,
            "--angle": angle,
            "--label": label,
        },
        names=(features_name, labels_name),
        held_out=0.0 if network is not None else 0.2 if held_out is None else held_out,
        components=components,
        flatness=flatness,
        tolerance=tolerance,
        threshold=threshold or 4e-6,
        layers=layers or 500,
        refit=refit,
        ridge=ridge,
        seed=seed,
    )
    return run(data, out, network, wanted, max_seconds=max_seconds, resume=resume, json=json)
