"""Networks for images trained and measured from the command line: what lies in the folder, and what is said."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcr2_landscape.cli.examination_files import (
    RESULTS,
    Begun,
    Wanted,
    preparation,
    write_measures,
    write_network,
    write_training,
)
from mcr2_landscape.cli.imaging import architecture_of, named_as_options, read_images
from mcr2_landscape.cli.output import Output
from mcr2_landscape.cli.training import Folder
from mcr2_landscape.errors import InputError
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.processes import termination_as_interruption

if TYPE_CHECKING:
    from mcr2_landscape.data import LabeledImages
    from mcr2_landscape.training import ImageTraining
    from mcr2_landscape.whitebox import Architecture

_DIVERGED, _INTERRUPTED = 1, 130


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
                write_training(result, begun, wanted)
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
        center, spread, told, task = preparation(str(weights), model, begun.train, task)
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
        write_network(result, begun)
    plain = write_measures(found, begun, wanted, weights)
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
