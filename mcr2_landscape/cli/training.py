"""Features trained from the command line: what lies in the folder, and what is said meanwhile."""

from __future__ import annotations

import csv
import io
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcr2_landscape.errors import InputError
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.processes import termination_as_interruption

if TYPE_CHECKING:
    from mcr2_landscape.cli.output import Output
    from mcr2_landscape.data import LabeledFeatures
    from mcr2_landscape.training import FeatureTraining, Training

_RESULTS = ("features.npz", "history.csv", "training.json")
_DIVERGED, _INTERRUPTED = 1, 130
_TOLD = 10.0  # shares beyond it are of a maximum that is next to nothing
_OPTIONS = {
    "objective": "--loss",
    "loss": "--loss",
    "batch_size": "--batch",
    "num_steps": "--steps",
    "learning_rate": "--learning-rate",
    "max_seconds": "--max-seconds",
    "key": "--seed",
    **{name: f"--{name}" for name in ("dim", "width", "depth", "epsilon", "regularization", "precision")},
}


@dataclass(frozen=True)
class Folder:
    """Where a training lies: its checkpoint, and its results once it has stopped."""

    path: Path
    resume: bool

    def holds_checkpoint(self) -> bool:
        """Whether there is anything to go on from."""
        from mcr2_landscape.training.checkpoint import NAME

        return (self.path / NAME).exists()

    @staticmethod
    def of(name: str, *, resume: bool, results: Sequence[str] = _RESULTS) -> Folder:
        """Look at the folder, which need not exist yet; `results` are the files of a finished training.

        **Raises:** `InputError` for one that holds a training, unless it is gone on with.
        """
        if not name:
            raise InputError("--out: found an empty name; give a folder, . for this one")
        path = Path(name)
        if path.exists() and not path.is_dir():
            raise InputError(f"--out {path}: is a file; give a folder")
        from mcr2_landscape.training.checkpoint import NAME

        found = [file for file in (NAME, *results) if (path / file).exists()]
        if found and NAME not in found:
            raise InputError(f"--out {path}: holds {found[0]} but no {NAME}: nothing to resume; give another folder")
        if found and not resume:
            raise InputError(f"--out {path}: holds {found[0]}; go on with that training (--resume), or give another folder")
        return Folder(path, resume)


def run(data: LabeledFeatures, folder: Folder, options: Mapping[str, Any], seed: int, max_seconds: float | None) -> int:
    """Train, write, say how it ended, and return the exit status."""
    from mcr2_landscape.cli.output import Output
    from mcr2_landscape.cli.rows import StatusLine
    from mcr2_landscape.training import train_features
    from mcr2_landscape.training.watching import describe

    output = Output(None, None)
    line = StatusLine(sys.stderr)
    lock = FolderLock(folder.path, "training", "solvers")  # `train_features` takes it, once the folder is there
    count, width = data.shape
    output.note(f"training on {count} samples of {width} numbers: {data.source}")
    try:
        with termination_as_interruption():
            result = train_features(
                data,
                **options,
                key=seed,
                checkpoint=folder.path,
                resume=folder.resume,
                max_seconds=max_seconds,
                progress=lambda status: line.show(describe(status)),
                lock=lock,
            )
            line.clear()
            _write(result, data, folder.path, options, seed)
    except InputError as error:
        raise InputError(in_options(str(error), folder.path)) from None
    except KeyboardInterrupt:
        line.clear()
        if not folder.holds_checkpoint():
            raise  # the program says that nothing was kept
        output.note(f"interrupted: what the last checkpoint in {folder.path} holds was kept; --resume goes on from there")
        return _INTERRUPTED
    finally:
        line.clear()
        lock.release()
    _say(output, result, data.source, folder.path)
    return {"diverged": _DIVERGED, "interrupted": _INTERRUPTED}.get(result.training.stopped.value, 0)


def in_options(message: str, folder: Path, options: Mapping[str, str] = _OPTIONS) -> str:
    """A message of the library with the options' names for its arguments. The folder's name stays as it is."""

    def translate(words: str) -> str:
        words = words.replace("resume=True", "--resume").replace("pass --resume", "give --resume")
        words = re.sub(r"(?<![\w./-])(?:batch_size|num_steps|learning_rate|max_seconds)\b", lambda m: options[m[0]], words)
        # Short words are arguments only where one is named: before its value, now and then.
        return re.sub(r"(?<![\w./-])(\w+)(?= \([^()]*, now )", lambda m: options.get(m[1], m[1]), words)

    name, colon, rest = message.partition(":")
    if colon and name in options:
        message = f"{options[name]}:{rest}"
    return str(folder).join(translate(words) for words in message.split(str(folder)))


def _write(result: FeatureTraining, data: LabeledFeatures, folder: Path, options: Mapping[str, Any], seed: int) -> None:
    import numpy as np

    from mcr2_landscape.files import remove_leftovers, write_bytes, write_json, write_text
    from mcr2_landscape.provenance import configuration_hash
    from mcr2_landscape.report.documents import document

    for name in _RESULTS:
        remove_leftovers(folder, name)
    if result.features is not None:
        content = io.BytesIO()
        features = result.features.features.astype(result.features.dtype)
        # epsilon and regularization: what `analyze` takes from it
        arrays: dict[str, Any] = {"features": features, "labels": np.asarray(data.labels)}
        arrays |= {"epsilon": result.epsilon, "regularization": result.regularization}
        np.savez(content, **arrays)
        write_bytes(folder / "features.npz", content.getvalue(), "--out")
    write_text(folder / "history.csv", history_table(result.training), "--out")
    configuration = {
        "data": configuration_hash({"features": data.features, "labels": data.labels}),
        "source": data.source,
        **options,
        "regularization": result.regularization,
    }
    write_json(folder / "training.json", document("training", result, configuration=configuration, key=seed), "--out")


def history_table(training: Training) -> str:
    """The history as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(training.history)
    writer.writerows(zip(*(column.tolist() for column in training.history.values()), strict=True))
    return text.getvalue()


def _say(output: Output, result: FeatureTraining, source: str, folder: Path) -> None:
    training = result.training
    output.heading(f"{result.loss} on {source}: {training.reason}")
    output.sentences("How it ended", _ending(result, folder))
    output.sentences("Notes", training.notes)
    if result.features is None:
        return
    words = ["mcr2-landscape", "analyze", str(folder / "features.npz")]
    if result.loss != "regularized":  # their length is arbitrary there
        words += ["--normalize", "scale"]
    output.sentences("Next", [shlex.join(words)])


def _ending(result: FeatureTraining, folder: Path) -> list[str]:
    training = result.training
    spent = f"{training.seconds:.1f} s"
    if training.resumed_from is not None:
        spent += f", {training.session_seconds:.1f} s of them now"
    said = [
        f"The loss is {training.loss:.6g}, its gradient's norm {training.gradient_norm:.3g}, after {training.step} steps "
        f"({spent})."
    ]
    if "accuracy" in training.metrics:
        said.append(f"Of the last batch {training.metrics['accuracy']:.1%} were classified right.")
    if result.features is None:
        said.append("The network's features are not finite: there is no features.npz, and nothing to measure.")
    else:
        said.extend(_measured(result))
    said.append(f"Everything is in {os.fspath(folder)}: the checkpoint and {', '.join(_results(result))}.")
    if training.stopped.value == "diverged":
        said.append("A lower --learning-rate, in another folder, is what usually helps.")
    elif training.stopped.value != "finished":
        said.append("The same command with --resume goes on.")
    return said


def _results(result: FeatureTraining) -> tuple[str, ...]:
    return _RESULTS if result.features is not None else _RESULTS[1:]


def _measured(result: FeatureTraining) -> list[str]:
    said = [
        f"The features have the rate reduction {result.rate_reduction:.6g}, and F = {result.objective:.6g} at lambda = "
        f"{result.regularization:.6g} (the limit is {result.regularization_limit:.6g}); the global maximum is "
        f"{result.maximum:.6g}."
    ]
    if result.loss == "regularized":
        said.append(_gap(result))
    elif result.scale is not None:
        said.append(
            f"Multiplied by {result.scale:.4g}, where F is largest, they have F = {result.scaled_objective:.6g}: "
            f"{_missing(result.scaled_gap, 'the global maximum')}."
        )
    if result.family_gap is not None and result.family_value is not None:
        said.append(
            f"The classes have {','.join(map(str, result.ranks))} directions; the local maximizers with as many have F = "
            f"{result.family_value:.6g}, {abs(result.family_gap):.3g} {'less' if result.family_gap < 0 else 'more'}."
        )
    return said


def _gap(result: FeatureTraining) -> str:
    """What is missing, with its share of the maximum where that says anything."""
    words = _missing(result.gap, "it")
    told = result.maximum > 0 and 0 <= result.relative_gap < _TOLD
    return f"{words}, {result.relative_gap:.2%}." if told else f"{words}."


def _missing(gap: float, target: str) -> str:
    return f"{gap:.4g} is missing to {target}" if gap >= 0 else f"that is {-gap:.4g} above {target}, which cannot be"
