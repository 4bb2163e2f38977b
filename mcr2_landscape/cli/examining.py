"""Networks for images trained and measured from the command line: what lies in the folder, and what is said."""

from __future__ import annotations

import csv
import io
import json as json_format
import math
import os
import shlex
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcr2_landscape.cli.imaging import architecture_of, named_as_options, read_images
from mcr2_landscape.cli.output import Output
from mcr2_landscape.cli.training import Folder, history_table
from mcr2_landscape.errors import InputError
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.processes import termination_as_interruption

if TYPE_CHECKING:
    from mcr2_landscape.data import LabeledImages
    from mcr2_landscape.training import ImageExamination, ImageTraining
    from mcr2_landscape.whitebox import Architecture

RESULTS = ("network.safetensors", "history.csv", "layers.csv", "features.npz", "crate.json")
_DIVERGED, _INTERRUPTED = 1, 130


@dataclass(frozen=True)
class Wanted:
    """What the options ask for: the network, its training (arguments of `train_images`), and the images."""

    network: str
    sizes: dict[str, int | None]
    switches: tuple[str, ...]
    task: str | None
    training: dict[str, Any]
    test_fraction: float
    images: int | None
    seed: int


@dataclass(frozen=True)
class Begun:
    """Images that are split, and where everything goes."""

    data: str
    train: LabeledImages
    test: LabeledImages
    notes: tuple[str, ...]
    folder: Folder
    output: Output


def run(
    data: str,
    out: str,
    weights: str | None,
    wanted: Wanted,
    *,
    max_seconds: float | None,
    resume: bool,
    json: str | None,
    report: str | None,
) -> int:
    """Train or read, measure, write, say what was found, and return the exit status."""
    folder = Folder.of(out, resume=resume, results=RESULTS)
    with named_as_options(data, folder.path):
        model = None if weights is None else _read_network(weights)
        read, notes = read_images(data, wanted.images, wanted.seed, _patch(model, wanted))
        architecture = _architecture(wanted, read, data) if model is None else model.architecture
        if model is not None:
            _check_fit(str(weights), model, read, data)
        train, test = read.split(wanted.test_fraction, key=wanted.seed)
        _make(folder.path)
        begun = Begun(data, train, test, notes, folder, Output(json, report))
        if model is not None:
            return _measured(begun, wanted, model, None, weights)
        return _trained(begun, wanted, architecture, max_seconds)


def _patch(model: Any, wanted: Wanted) -> int | None:
    return wanted.sizes["patch"] if model is None else model.architecture.patch


def _architecture(wanted: Wanted, images: LabeledImages, data: str) -> Architecture:
    """The architecture, after what the task needs of the images has been looked at."""
    import numpy as np

    classes = 1 if images.labels is None else int(images.labels.max()) + 1
    found = architecture_of(wanted.network, wanted.sizes, wanted.switches, images, classes)
    task = wanted.task or ("completion" if found.is_autoencoder else "classification")
    if (task == "completion") != found.is_autoencoder:
        cure = "give --network mae or vit-mae" if task == "completion" else "it completes images: leave --task out"
        raise InputError(f"--task: found {task} with --network {wanted.network}; {cure}")
    if task != "completion":
        if images.labels is None:
            raise InputError(f"{data}: holds no labels, which {task} needs; add an array labels, or give --network mae")
        if np.unique(images.labels).size < 2:
            raise InputError(f"{data}: found the single class {int(images.labels[0])}; {task} needs at least two")
    return found


def _read_network(path: str) -> Any:
    from mcr2_landscape.whitebox import load

    try:
        return load(path)
    except InputError as error:
        words = str(error)
        if "load_torch_state" in words or path.endswith((".pt", ".pth", ".bin")):
            words = (
                f"{path}: is no network that this package saved; weights of the published code come in with "
                "whitebox.load_torch_state, and whitebox.save writes what --weights takes"
            )
        raise InputError(f"--weights: {words}") from None


def _check_fit(weights: str, model: Any, images: LabeledImages, data: str) -> None:
    a, found = model.architecture, images.shape[1:]
    expected = (a.channels, *a.image_size)
    if found != expected:
        shapes = [" × ".join(map(str, shape)) for shape in (expected, found)]
        raise InputError(
            f"--weights: {weights} takes images of {shapes[0]} (channels, height, width), and {data} has {shapes[1]}; "
            "give images of that size"
        )
    if not a.is_autoencoder and images.labels is not None and int(images.labels.max()) >= a.num_classes:
        raise InputError(
            f"--weights: {weights} knows {a.num_classes} classes, and the labels of {data} go up to "
            f"{int(images.labels.max())}; give the images that it was trained for"
        )


def _make(folder: Path) -> None:
    from mcr2_landscape.files import make_folder

    try:
        make_folder(folder)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be made ({error.strerror or error}); give another folder") from None


def _trained(begun: Begun, wanted: Wanted, architecture: Architecture, max_seconds: float | None) -> int:
    from mcr2_landscape.cli.rows import StatusLine
    from mcr2_landscape.training import train_images
    from mcr2_landscape.training.watching import describe

    output, folder = begun.output, begun.folder
    line = StatusLine(sys.stderr)
    lock = FolderLock(folder.path, "training", "solvers")  # `train_images` takes it
    count, channels, height, width = begun.train.shape
    output.note(f"training on {count} images of {channels} × {height} × {width}: {begun.train.source}")
    try:
        with termination_as_interruption():
            result = train_images(
                architecture,
                begun.train,
                begun.test,
                task=wanted.task,
                **wanted.training,
                key=wanted.seed,
                checkpoint=folder.path,
                resume=folder.resume,
                max_seconds=max_seconds,
                progress=lambda status: line.show(describe(status)),
                lock=lock,
            )
            line.clear()
            stopped = result.training.stopped.value
            if stopped in ("interrupted", "diverged"):
                _write_training(result, begun, wanted)
                _say_ending(output, result, folder.path, measured=False)
                return _INTERRUPTED if stopped == "interrupted" else _DIVERGED
            return _measured(begun, wanted, result.model, result, None)
    except KeyboardInterrupt:
        line.clear()
        if not folder.holds_checkpoint():
            raise  # the program says that nothing was kept
        output.note(f"interrupted: what the last checkpoint in {folder.path} holds was kept; --resume goes on from there")
        return _INTERRUPTED
    finally:
        line.clear()
        lock.release()


def _measured(begun: Begun, wanted: Wanted, model: Any, result: ImageTraining | None, weights: str | None) -> int:
    from mcr2_landscape.report import crate_page, crate_tables
    from mcr2_landscape.training import examine_images

    task, notes = "completion" if model.architecture.is_autoencoder else "classification", begun.notes
    if result is None:
        center, spread, told, task = _preparation(str(weights), model, begun.train, task)
        notes += told
    else:
        center, spread, task = result.center, result.spread, result.task
        notes += result.training.notes
    found = examine_images(
        model,
        begun.train,
        begun.test,
        task=task,
        center=center,
        spread=spread,
        training=result,
        key=wanted.seed,
        epsilon=wanted.training["epsilon"],
        notes=notes,
        announce=begun.output.note,
    )
    if result is not None:
        _write_network(result, begun)
    plain = _write_measures(found, begun, wanted, weights)
    output = begun.output
    output.files(plain, lambda: crate_page.crate_page(found, plain["provenance"]))
    output.heading(f"{begun.train.source}: {found.parameters:,} parameters, {found.architecture.depth} layers, {found.task}")
    output.sentences("What was found", found.summary)
    output.sentences("Notes", found.notes)
    output.table(crate_tables.layers(found), limit=48)
    for table in (crate_tables.completion(found), crate_tables.segmentation(found)):
        if table is not None:
            output.table(table)
    if result is not None:
        _say_ending(output, result, begun.folder.path, measured=True)
    elif weights is not None:
        output.sentences("Where it is", [f"Everything is in {begun.folder.path}: {', '.join(_written(None))}."])
    if found.labels is not None:
        words = ["mcr2-landscape", "analyze", str(begun.folder.path / "features.npz"), "--normalize", "scale"]
        output.sentences("Next", [shlex.join(words)])
    return 0


def _preparation(weights: str, model: Any, train: LabeledImages, task: str) -> tuple[Any, Any, tuple[str, ...], str]:
    """What images are centered and scaled by: as the run that wrote the weights did, if it is known, else as these images
    ask for; and the task."""
    import numpy as np

    from mcr2_landscape.record import to_plain

    told = ("Unless seed, --images and --test-fraction are those of the training, it may have seen these test images.",)
    with_it = Path(weights).parent / "crate.json"
    try:
        plain = json_format.loads(with_it.read_text(encoding="utf-8"))
        kept = plain["result"]
        if plain["schema"] == "mcr2_landscape/crate" and kept["architecture"] == to_plain(model.architecture):
            center, spread = (np.array(kept[name], dtype=np.float64) for name in ("center", "spread"))
            if center.shape == spread.shape == (model.architecture.channels,) and (spread > 0).all():
                return center, spread, told, str(kept["task"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none, or of something else
    pixels = train.images.astype(np.float64)
    center, spread = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
    told += (
        f"There is no {with_it.name} of this network beside {weights}: images were centered and scaled by their own moments.",
    )
    return center, np.where(spread > 0, spread, 1.0), told, task


def _write_network(result: ImageTraining, begun: Begun) -> None:
    from mcr2_landscape.files import remove_leftovers, write_text
    from mcr2_landscape.whitebox import save

    for name in RESULTS:
        remove_leftovers(begun.folder.path, name)
    save(result.model, begun.folder.path / "network.safetensors")
    write_text(begun.folder.path / "history.csv", history_table(result.training), "--out")


def _write_training(result: ImageTraining, begun: Begun, wanted: Wanted) -> None:
    """What there is of a training that is not measured."""
    from mcr2_landscape.files import write_json
    from mcr2_landscape.report.documents import document

    _write_network(result, begun)
    shown = {"architecture": result.architecture, "training": result, "center": result.center, "spread": result.spread}
    plain = document(
        "crate", {**shown, "task": result.task}, configuration=_configuration(begun, wanted, None), key=wanted.seed
    )
    write_json(begun.folder.path / "crate.json", plain, "--out")


def _write_measures(found: ImageExamination, begun: Begun, wanted: Wanted, weights: str | None) -> dict[str, Any]:
    import numpy as np

    from mcr2_landscape.files import write_bytes, write_json, write_text
    from mcr2_landscape.report.documents import document

    folder = begun.folder.path
    write_text(folder / "layers.csv", layer_table(found), "--out")
    content = io.BytesIO()
    arrays: dict[str, Any] = {"features": found.class_tokens}
    if found.labels is not None:
        arrays["labels"] = found.labels
    if found.task == "features":
        arrays["epsilon"] = np.asarray(wanted.training["epsilon"])  # what `analyze` takes from it
    np.savez(content, **arrays)
    write_bytes(folder / "features.npz", content.getvalue(), "--out")
    plain = document("crate", found, configuration=_configuration(begun, wanted, weights), key=wanted.seed)
    write_json(folder / "crate.json", plain, "--out")
    return plain


def _configuration(begun: Begun, wanted: Wanted, weights: str | None) -> dict[str, Any]:
    from mcr2_landscape.provenance import configuration_hash

    arrays = {f"{part}_{name}": getattr(data, name) for part, data in (("train", begun.train), ("test", begun.test))
              for name in ("images", "labels", "masks")}  # fmt: skip
    asked = {"network": wanted.network, "sizes": wanted.sizes, "switches": wanted.switches, **wanted.training}
    return {
        "data": configuration_hash(arrays),
        "source": begun.train.source,
        "test_fraction": wanted.test_fraction,
        "weights": weights,
        **(asked if weights is None else {"epsilon": wanted.training["epsilon"]}),
    }


def layer_table(found: ImageExamination) -> str:
    """`layers.csv`: one row a state, metric and layer; nothing where a network has no such number."""
    from mcr2_landscape.training.image_layers import LayerRow

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(LayerRow)]
    writer.writerow(names)
    for row in found.layers:
        values = [getattr(row, name) for name in names]
        writer.writerow(["" if isinstance(value, float) and math.isnan(value) else value for value in values])
    return text.getvalue()


def _say_ending(output: Output, result: ImageTraining, folder: Path, *, measured: bool) -> None:
    training = result.training
    spent = f"{training.seconds:.1f} s"
    if training.resumed_from is not None:
        spent += f", {training.session_seconds:.1f} s of them now"
    said = [f"{training.reason[0].upper()}{training.reason[1:]}; the last loss is {training.loss:.6g} ({spent})."]
    written = _written(result) if measured else ("network.safetensors", "history.csv", "crate.json")
    said.append(f"Everything is in {os.fspath(folder)}: the checkpoint and {', '.join(written)}.")
    stopped = training.stopped.value
    if stopped == "diverged":
        said.append("Nothing was measured. A lower --learning-rate, in another folder, is what usually helps.")
    elif stopped != "finished":
        said.append(f"{'' if measured else 'Nothing was measured. '}The same command with --resume goes on.")
    output.sentences("How it ended", said)


def _written(result: ImageTraining | None) -> tuple[str, ...]:
    return RESULTS if result is not None else RESULTS[2:]
