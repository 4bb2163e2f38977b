"""`mcr2-landscape ctrl`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Literal

from cyclopts import Parameter

from mcr2_landscape.cli.options import File, check_count, check_seed

# Numbers, beyond which a user waits long enough to be told what for.
_LARGE = 500_000
# What a user of the library would change, and what a user of the command does.
_OPTIONS = {"dim": "--dim", "epsilon": "--epsilon", "rank_tolerance": "--rank-tolerance", "num_starts": "--starts"}
_WORDS = (("pass rank_tolerance", "pass --rank-tolerance"), ("normalize='classes'", "--normalize classes"))


def ctrl(
    data: str,
    /,
    *,
    dim: int,
    epsilon: float,
    labels: str | None = None,
    rank_tolerance: float | None = None,
    normalize: Literal["none", "samples", "classes"] = "none",
    center: Annotated[bool, Parameter(negative="")] = False,
    starts: int | None = None,
    features_name: str | None = None,
    labels_name: Annotated[str | None, Parameter(name=["--labels-name", "--label-column"], allow_leading_hyphen=True)] = None,
    seed: int = 0,
    json: File = None,
    report: File = None,
) -> int:
    """Play the game of a linear encoder and a linear decoder on labeled data, and say what is kept of each class.

    Parameters
    ----------
    data
        A file (.npz, .npy, .csv, .tsv, .parquet, .safetensors) of one row a sample, or the word digits for the handwritten
        digits that come with the package.
    dim
        The dimension d_z of the code.
    epsilon
        Coding precision.
    labels
        A second file with the labels, where the first holds none.
    rank_tolerance
        Singular values of a class up to this count as zero: for noisy data. By default the rounding of the data's own type.
    normalize
        Bring each sample to length 1, or each class to ‖X_j‖² = n_j.
    center
        Subtract the mean of all samples first. It adds the direction of the common mean to classes that do not hold it, which
        may make independent ones dependent.
    starts
        Random starts of the search for an equilibrium, where no closed form gives one: by default 24, or fewer where each
        takes long.
    features_name
        The name of the features in an .npz, .safetensors or .parquet file.
    labels_name
        The name of the labels there, or the label column of a table (its name, or its number from 0).
    seed
        Seed of the starts. The same seed gives the same result.
    json
        Write everything to this JSON file; - is standard output.
    report
        Write an HTML report with pictures to this file.
    """
    from mcr2_landscape.cli.output import Output, show_progress
    from mcr2_landscape.validation import positive_integer, positive_real

    check_seed(seed)
    positive_integer("--dim", dim)
    positive_real("--epsilon", epsilon)
    if rank_tolerance is not None:
        positive_real("--rank-tolerance", rank_tolerance)
    if starts is not None:
        check_count("--starts", starts)
    output = Output(json, report)
    from mcr2_landscape.cli.inputs import read_features

    read = read_features(data, labels, features_name, labels_name)
    from mcr2_landscape.ctrl.examination import examine
    from mcr2_landscape.report.documents import document

    if read.features.size > _LARGE:
        count, width = read.shape
        output.note(f"{count} samples of {width} features: factoring each class, then looking for an equilibrium")
    with _in_terms_of_the_command(data, labels or data):
        result = examine(
            read.features,
            read.labels,
            dim=dim,
            epsilon=epsilon,
            key=seed,
            rank_tolerance=rank_tolerance,
            normalize=normalize,
            center=center,
            num_starts=starts,
            dtype=read.dtype,
            source=read.source,
            notes=read.notes,
            progress=show_progress(),
            announce=output.note,
        )
    from mcr2_landscape.provenance import configuration_hash
    from mcr2_landscape.report import ctrl_page, ctrl_tables

    configuration = {
        "data": configuration_hash({"features": read.features, "labels": read.labels}),
        "dim": dim,
        "epsilon": epsilon,
        "rank_tolerance": rank_tolerance,
        "normalize": normalize,
        "center": center,
        "starts": starts,
    }
    plain = document("ctrl", result, configuration=configuration, key=seed)
    output.files(plain, lambda: ctrl_page.ctrl_page(result, plain["provenance"]))
    output.heading(
        f"{result.source}: {result.num_samples} samples of {result.ambient_dim} features, {len(result.classes)} classes"
    )
    output.sentences("What was found", result.summary)
    output.sentences("What to change", result.advice or ("Nothing: every class is kept whole.",))
    output.sentences("Notes", result.notes)
    output.table(ctrl_tables.hypotheses(result))
    output.table(ctrl_tables.values(result))
    output.table(ctrl_tables.classes(result), limit=40)
    if result.interrupted:
        output.note(
            "interrupted: the search stopped early; the best that it had found was kept"
            + (" and written" if json or report else "")
        )
        return 130
    return 0


@contextlib.contextmanager
def _in_terms_of_the_command(data: str, labels: str) -> Iterator[None]:
    """Let messages name options and files in place of arguments."""
    from mcr2_landscape.validation import InputError

    try:
        yield
    except InputError as error:
        name, _, rest = str(error).partition(": ")
        begin = {"X": data, "labels": f"{labels}: labels", **_OPTIONS}.get(name, name)
        for found, meant in _WORDS:
            rest = rest.replace(found, meant)
        raise InputError(f"{begin}: {rest}") from None
