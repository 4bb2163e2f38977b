"""`mcr2-landscape train`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from mcr2_landscape.cli.options import check_count, check_seed


def train(
    data: str,
    /,
    *,
    out: str,
    loss: Literal["regularized", "mcr2", "cross-entropy"] = "regularized",
    labels: str | None = None,
    features_name: str | None = None,
    labels_name: Annotated[str | None, Parameter(name=["--labels-name", "--label-column"], allow_leading_hyphen=True)] = None,
    dim: int = 20,
    width: int = 128,
    depth: int = 2,
    epsilon: float = 0.5,
    regularization: float | None = None,
    steps: int = 1000,
    batch: int | None = None,
    learning_rate: float = 3e-3,
    precision: Literal["float32", "float64", "bfloat16"] = "float32",
    seed: int = 0,
    max_seconds: float | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train features on labeled data, and say how close to a maximizer they came.

    A small network maps the data, centered and divided by one number, to features; Adam trains it. Killed at any moment and
    begun again with --resume, it ends with the same features. The exit status is 0, 1 where a number was not finite, 130 after
    Ctrl-C.

    Parameters
    ----------
    data
        A file (.npz, .npy, .csv, .tsv, .parquet, .safetensors) of one row a sample, or the word digits for the handwritten
        digits that come with the package.
    out
        The folder for features.npz, history.csv, training.json and the checkpoint.
    loss
        The regularized rate reduction (of Wang et al.), that on unit spheres (of Yu et al.), or cross-entropy.
    labels
        A second file with the labels, where the first holds none.
    features_name
        The name of the features in an .npz, .safetensors or .parquet file.
    labels_name
        The name of the labels there, or the label column of a table (its name, or its number from 0).
    dim
        The number of features to train.
    width
        Units of a hidden layer.
    depth
        Hidden layers.
    epsilon
        Coding precision.
    regularization
        The weight lambda of the penalty; by default a tenth of the limit up to which every class has critical directions.
    steps
        Steps of the optimizer.
    batch
        Samples of a step; by default all up to 5000 samples, else 1000.
    learning_rate
        Where Adam's rate begins; it falls to zero.
    precision
        bfloat16 computes the network in it, and everything else in float32.
    seed
        Seed of the network and of the order of the samples. The same seed gives the same features.
    max_seconds
        Stop after so much time; --resume goes on.
    resume
        Go on with the training in the folder, or begin if there is none.
    """
    check_seed(seed)
    check_count("--dim", dim)
    check_count("--width", width)
    check_count("--steps", steps)
    if batch is not None:
        check_count("--batch", batch)
    from mcr2_landscape.cli.training import Folder, run

    folder = Folder.of(out, resume=resume)
    from mcr2_landscape.cli.inputs import read_features

    options = {
        "loss": loss,
        "dim": dim,
        "width": width,
        "depth": depth,
        "epsilon": epsilon,
        "regularization": regularization,
        "num_steps": steps,
        "batch_size": batch,
        "learning_rate": learning_rate,
        "precision": precision,
    }
    return run(read_features(data, labels, features_name, labels_name), folder, options, seed, max_seconds)
