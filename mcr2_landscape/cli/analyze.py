"""`mcr2-landscape analyze`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from mcr2_landscape.cli.options import File, check_count, check_seed

_EPSILON = 0.5
# Numbers, beyond which a user waits long enough to be told what for.
_LARGE = 500_000


def analyze(
    features: str,
    /,
    *,
    labels: str | None = None,
    epsilon: float | None = None,
    regularization: float | None = None,
    normalize: Literal["none", "samples", "classes", "scale"] = "none",
    center: Annotated[bool, Parameter(negative="")] = False,
    features_name: str | None = None,
    labels_name: Annotated[str | None, Parameter(name=["--labels-name", "--label-column"], allow_leading_hyphen=True)] = None,
    ascent: bool = True,
    max_steps: int | None = None,
    seed: int = 0,
    json: File = None,
    report: File = None,
) -> int:
    """Say where labeled features sit in the landscape, and what to change.

    Parameters
    ----------
    features
        A file (.npz, .npy, .csv, .tsv, .parquet, .safetensors) of one row a sample, or the word digits for the handwritten
        digits that come with the package.
    labels
        A second file with the labels, where the first holds none.
    epsilon
        Coding precision; by default the one that the file says the features were trained with, else 0.5.
    regularization
        The weight lambda of the penalty; by default the one that the file says, else half of the limit up to which every class
        has critical directions.
    normalize
        Bring each sample to length 1, each class to ‖Z_k‖² = m_k, or all features by one factor to the scale at which F is
        largest.
    center
        Subtract the mean of all samples first.
    features_name
        The name of the features in an .npz, .safetensors or .parquet file.
    labels_name
        The name of the labels there, or the label column of a table (its name, or its number from 0).
    ascent
        Climb from the features and say where that ends.
    max_steps
        Gradients to spend on the climb: by default 3,000, or fewer where they would take longer than some minutes.
    seed
        Seed of the random vectors in the eigenvalue computations.
    json
        Write everything to this JSON file; - is standard output.
    report
        Write an HTML report with pictures to this file.
    """
    from mcr2_landscape.cli.output import Output, show_progress

    check_seed(seed)
    if max_steps is not None:
        check_count("--max-steps", max_steps)
    output = Output(json, report)
    from mcr2_landscape.cli.inputs import read_features

    data = read_features(features, labels, features_name, labels_name)
    notes = data.notes
    if epsilon is None and data.settings:
        # Together: a lambda means something for one epsilon.
        found = {name: value for name, value in data.settings.items() if name == "epsilon" or regularization is None}
        epsilon, regularization = found.get("epsilon"), found.get("regularization", regularization)
        words = ", ".join(f"{name} = {value:.6g}" for name, value in found.items())
        notes = (*notes, f"{words}: so the file says (--epsilon and --regularization have precedence)") if found else notes
    epsilon = _EPSILON if epsilon is None else epsilon
    from mcr2_landscape.analysis import analyze_features
    from mcr2_landscape.report.documents import document

    if data.features.size > _LARGE:
        count, dim = data.shape
        output.note(f"{count} samples of {dim} features: measuring them, then climbing (Ctrl-C keeps what is reached then)")
    result = analyze_features(
        data.features,
        data.labels,
        epsilon=epsilon,
        regularization=regularization,
        normalize=normalize,
        center=center,
        key=seed,
        ascent=ascent,
        max_steps=max_steps,
        source=data.source,
        notes=notes,
        progress=show_progress(),
    )
    from mcr2_landscape.provenance import configuration_hash
    from mcr2_landscape.report import contents, tables

    configuration = {
        "data": configuration_hash({"features": data.features, "labels": data.labels}),
        "epsilon": epsilon,
        "regularization": result.regularization,
        "normalize": normalize,
        "center": center,
        "ascent": ascent,
        "max_steps": max_steps,
    }
    plain = document("analysis", result, configuration=configuration, key=seed)
    output.files(plain, lambda: contents.analysis_page(result, plain["provenance"]))
    if result.regularization_defaulted:
        output.note(
            f"lambda = {result.regularization:.6g}, half of the limit {result.regularization_limit:.6g} (--regularization "
            "sets it)"
        )
    output.heading(f"{result.source}: {result.num_samples} samples of {result.dim} features, {len(result.classes)} classes")
    output.sentences("What was found", result.summary)
    output.sentences("What to change", result.advice or ("Nothing: the parameters suit these features.",))
    output.sentences("Notes", result.notes)
    output.table(tables.rates(result))
    output.table(tables.classes(result), limit=40)
    if result.interrupted:
        output.note(
            "interrupted: the ascent stopped early; everything above was kept" + (" and written" if json or report else "")
        )
        return 130
    return 0
