"""`mcr2-landscape catalog`."""

from __future__ import annotations

from mcr2_landscape.cli.options import File, check_count


def catalog(
    *,
    dim: int,
    sizes: str,
    epsilon: float,
    regularization: float | None = None,
    top: int = 20,
    fusion: bool = True,
    json: File = None,
    report: File = None,
) -> int:
    """List the families of critical points that theory knows, with exact value, index and nullity.

    Parameters
    ----------
    dim
        The number of features d.
    sizes
        The samples of each class between commas, for instance 2,2,3.
    epsilon
        Coding precision.
    regularization
        The weight lambda of the penalty; by default half of the limit.
    top
        How many families to list, by decreasing value.
    fusion
        Also list the families in which classes are not orthogonal.
    json
        Write everything to this JSON file; - is standard output.
    report
        Write an HTML report with a picture to this file.
    """
    from mcr2_landscape.cli.output import Output

    check_count("--top", top)
    output = Output(json, report)
    from mcr2_landscape.analysis import list_catalog
    from mcr2_landscape.cli.problems import problem_of
    from mcr2_landscape.report import contents, tables
    from mcr2_landscape.report.documents import document

    problem, defaulted = problem_of(dim, sizes, epsilon, regularization)
    listing = list_catalog(problem, top=top, fusion=fusion)
    configuration = {"parameters": listing.parameters, "top": top, "fusion": fusion}
    plain = document("catalog", listing, configuration=configuration)
    output.files(plain, lambda: contents.catalog_page(listing, plain["result"], plain["provenance"]))
    if defaulted:
        output.note(f"lambda = {problem.regularization:.6g}, half of the limit (--regularization sets it)")
    output.sentences(contents.describe(listing.parameters), contents.catalog_findings(listing))
    output.table(tables.class_thresholds(listing), limit=40)
    output.table(tables.listed(listing))
    return 0
