"""`mcr2-landscape survey`."""

from __future__ import annotations

from mcr2_landscape.cli.options import File, check_count, check_seed


def survey(
    *,
    dim: int,
    sizes: str,
    epsilon: float,
    regularization: float | None = None,
    starts: int = 500,
    seed: int = 0,
    json: File = None,
    report: File = None,
) -> int:
    """Search for critical points of every index, and match what is found with the catalog.

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
    starts
        Random starts of the search.
    seed
        Seed of the starts. The same seed gives the same result.
    json
        Write everything to this JSON file; - is standard output.
    report
        Write an HTML report with a picture to this file.
    """
    from mcr2_landscape.cli.output import Output, show_progress

    check_seed(seed)
    check_count("--starts", starts)
    output = Output(json, report)
    from mcr2_landscape.analysis import survey as run_survey
    from mcr2_landscape.cli.problems import problem_of
    from mcr2_landscape.report import contents, tables
    from mcr2_landscape.report.documents import document

    problem, defaulted = problem_of(dim, sizes, epsilon, regularization)
    if defaulted:
        output.note(f"lambda = {problem.regularization:.6g}, half of the limit (--regularization sets it)")
    result = run_survey(problem, key=seed, num_starts=starts, progress=show_progress())
    configuration = {"parameters": result.parameters, "starts": starts}
    plain = document("survey", result, configuration=configuration, key=seed)
    output.files(plain, lambda: contents.survey_page(result, plain["result"], plain["provenance"]))
    output.sentences(contents.describe(result.parameters), contents.survey_findings(result))
    output.table(tables.found(result), limit=60)
    if result.interrupted:
        output.note(
            "interrupted: the search stopped early; what it had found was kept" + (" and written" if json or report else "")
        )
        return 130
    return 0
