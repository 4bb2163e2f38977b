"""Points flattened from the command line: what lies in the folder, and what is said."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcr2_landscape.cli.fitted_folder import FittedFolder, npz
from mcr2_landscape.cli.fitted_words import named_as_options, say_fitted
from mcr2_landscape.cli.output import Output
from mcr2_landscape.cli.pointing import Points, read_points
from mcr2_landscape.errors import InputError
from mcr2_landscape.processes import termination_as_interruption

if TYPE_CHECKING:
    from mcr2_landscape.flatnet import FlatNetwork
    from mcr2_landscape.flatnet.examination import FlatExamination

RESULTS = ("network.safetensors", "codes.npz", "report.html", "flatten.json")
CHECKPOINT = "build.checkpoint"
_INTERRUPTED = 130
_OPTIONS = {
    "num_components": "--components",
    "num_directions": "--components",
    "flatness": "--flatness",
    "tolerance": "--tolerance",
    "threshold": "--threshold",
    "max_iterations": "--layers",
    "ridge": "--ridge",
    "time_limit": "--max-seconds",
    "key": "--seed",
}
_READ = "points", "held_out", "positions"


@dataclass(frozen=True)
class Wanted:
    """What the options ask for: the points, and the fit."""

    points: dict[str, Any]
    names: tuple[str | None, str | None]
    held_out: float
    components: int | None
    flatness: float
    tolerance: float
    threshold: float
    layers: int
    refit: bool
    ridge: float | None
    seed: int


def run(
    data: str, out: str, network: str | None, wanted: Wanted, *, max_seconds: float | None, resume: bool, json: str | None
) -> int:
    """Fit or read, examine, write, say what was found, and return the exit status."""
    folder = FittedFolder.of(out, CHECKPOINT, RESULTS, resume=resume)
    output = Output(json, None)
    with named_as_options(data, folder, _OPTIONS, _READ):
        model = None if network is None else _read_network(network)
        points = read_points(data, wanted.points, wanted.held_out, wanted.seed, *wanted.names)
        if model is not None and model.num_features != points.used.points.shape[1]:
            raise InputError(
                f"--network: {network} takes points of {model.num_features} features, and {data} has "
                f"{points.used.points.shape[1]}; give points like those that it was fitted to"
            )
        with termination_as_interruption(), folder.held("flattening"):
            try:
                if model is None:
                    found, model = _fitted(points, folder, wanted, max_seconds, output)
                else:
                    found = _transformed(model, points, wanted)
                plain = _write(found, model, points, folder, data, network, wanted)
            except KeyboardInterrupt:
                if not folder.checkpoint.exists():
                    raise  # the program says that nothing was kept
                output.note(f"interrupted: what {folder.checkpoint} holds was kept; --resume goes on from there")
                return _INTERRUPTED
    _say(found, plain, folder, output)
    return 0


def _read_network(path: str) -> FlatNetwork:
    from mcr2_landscape.flatnet import load_network

    try:
        return load_network(path)
    except InputError as error:
        raise InputError(f"--network: {error}") from None


def _fitted(
    points: Points, folder: FittedFolder, wanted: Wanted, max_seconds: float | None, output: Output
) -> tuple[FlatExamination, FlatNetwork]:
    from mcr2_landscape.cli.rows import StatusLine
    from mcr2_landscape.flatnet import BuildOptions, Progressed, fit_network
    from mcr2_landscape.flatnet.examination import examine_fit
    from mcr2_landscape.flatnet.sentences import plural

    line = StatusLine(sys.stderr)
    used, held_out = points.used, points.held_out
    count, width = used.points.shape
    output.note(f"flattening {count:,} points of {plural(width, 'feature')}: {points.source}")

    def watch(made: Progressed) -> None:
        line.show(f"{made.iterations} of {wanted.layers} tried, {made.layers} layers, {made.tail:.3g} outside the plane")

    try:
        fit = fit_network(
            used.points,
            wanted.components,
            key=wanted.seed,
            options=BuildOptions(threshold=wanted.threshold, max_iterations=wanted.layers),
            refit=wanted.refit,
            ridge=wanted.ridge,
            flatness=wanted.flatness,
            tolerance=wanted.tolerance,
            held_out=None if held_out is None else held_out.points,
            positions=used.positions,
            checkpoint=folder.checkpoint,
            time_limit=max_seconds,
            watch=watch,
        )
    finally:
        line.clear()
    found = examine_fit(
        fit, used, held_out, source=points.source, notes=_notes(points, fit.report.data), image_size=points.image_size
    )
    return found, fit.network


def _transformed(model: FlatNetwork, points: Points, wanted: Wanted) -> FlatExamination:
    from mcr2_landscape.flatnet.examination import examine_network

    found = examine_network(
        model,
        points.used,
        flatness=wanted.flatness,
        tolerance=wanted.tolerance,
        source=points.source,
        image_size=points.image_size,
    )
    return dataclasses.replace(found, notes=_notes(points, found.report.data))


def _notes(points: Points, data: Any) -> tuple[str, ...]:
    """What was done to the points, and what is to be said of them."""
    from mcr2_landscape.flatnet.sentences import plural

    notes = list(points.notes)
    if data.duplicates:
        verb = "repeats" if data.duplicates == 1 else "repeat"
        notes.append(f"{plural(data.duplicates, 'point')} of {data.samples} {verb} an earlier one")
    if data.constant:
        verb = "changes" if data.constant == 1 else "change"
        notes.append(f"{plural(data.constant, 'feature')} of {data.features} never {verb}")
    if data.span < data.features:
        notes.append(f"the points reach {data.span} of {data.features} dimensions; layers work in those")
    if data.pieces > 1:
        notes.append(f"the points fall into {data.pieces} pieces that no neighbors connect: each should be fitted on its own")
    return tuple(notes)


def _write(
    found: FlatExamination,
    model: FlatNetwork,
    points: Points,
    folder: FittedFolder,
    data: str,
    network: str | None,
    wanted: Wanted,
) -> dict[str, Any]:
    """All results; the content of flatten.json, which is written last, is returned."""
    from mcr2_landscape.files import to_json
    from mcr2_landscape.flatnet import save_network
    from mcr2_landscape.provenance import configuration_hash
    from mcr2_landscape.report.documents import document
    from mcr2_landscape.report.flat_page import flat_page
    from mcr2_landscape.report.page import render

    held_out = None if points.held_out is None else points.held_out.points
    asked = dataclasses.asdict(wanted)
    if network is not None:
        asked = {name: asked[name] for name in ("points", "names", "flatness", "tolerance", "seed")}
    configuration = {
        "data": configuration_hash({"points": points.used.points, "held_out": held_out}),
        "source": data,
        "network": network,
        **asked,
    }
    plain = document("flatten", found, configuration=configuration, key=wanted.seed)
    arrays: dict[str, Any] = {"codes": found.codes, "errors": found.errors, "rows": found.rows}
    if held_out is not None:
        arrays |= {
            "held_out_codes": found.held_out_codes,
            "held_out_errors": found.held_out_errors,
            "held_out_rows": found.held_out_rows,
        }
    if points.coordinates is not None:
        arrays["coordinates"] = points.coordinates
    page = render(flat_page(found, plain["provenance"]))
    with folder.all_or_none(RESULTS):
        if network is None:
            metadata = {"source": points.source, "verdict": found.report.verdict, "configuration": configuration}
            save_network(folder.path / "network.safetensors", model, metadata=metadata)
        folder.write({"codes.npz": npz(arrays), "report.html": page, "flatten.json": to_json(plain)})
    return plain


def _say(found: FlatExamination, plain: dict[str, Any], folder: FittedFolder, output: Output) -> None:
    from mcr2_landscape.flatnet.sentences import plural
    from mcr2_landscape.report import flat_tables

    report = found.report
    features, layers = plural(report.data.features, "feature"), plural(report.num_layers, "layer")
    heading = f"{found.source}: {features} to {report.dimension}, {layers}"
    further = {"iterations": "with more --layers and", "time": "with"}.get(report.stop or "")
    tables = (flat_tables.verdicts(found),)
    say_fitted(output, plain, folder, heading, found, tables, results=RESULTS, fitted=found.fitted, further=further)
