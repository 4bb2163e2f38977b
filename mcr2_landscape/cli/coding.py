"""Sparse codes from the command line: what lies in the folder, and what is said."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcr2_landscape.cli.coding_images import Images, Wanted, read_images
from mcr2_landscape.cli.fitted_folder import FittedFolder, npz
from mcr2_landscape.cli.fitted_words import named_as_options, say_fitted
from mcr2_landscape.cli.output import Output
from mcr2_landscape.errors import InputError
from mcr2_landscape.processes import termination_as_interruption

if TYPE_CHECKING:
    import numpy as np

    from mcr2_landscape.csc import ConvDictionary, LearnedDictionary
    from mcr2_landscape.csc.examination import SparseExamination

RESULTS = ("dictionary.safetensors", "codes.npz", "report.html", "csc.json")
CHECKPOINT = "learning.checkpoint"
_INTERRUPTED = 130
_RELATIVE = 0.1
_OPTIONS = {
    "num_atoms": "--atoms",
    "atoms": "--atoms",
    "kernel": "--kernel",
    "stride": "--stride",
    "padding": "--padding",
    "sparsity": "--sparsity",
    "ridge": "--ridge",
    "gap": "--gap",
    "max_alternations": "--steps",
    "max_seconds": "--max-seconds",
    "test_fraction": "--test-fraction",
    "size": "--size",
    "key": "--seed",
}
_READ = "images", "split", "train", "test"
_LESS = "fewer --images or --atoms and a smaller --kernel take less"


@dataclass(frozen=True)
class _Program:
    """λ, μ and the sign of the codes."""

    sparsity: float
    ridge: float
    nonnegative: bool


def run(
    data: str, out: str, dictionary: str | None, wanted: Wanted, *, max_seconds: float | None, resume: bool, json: str | None
) -> int:
    """Learn or read, solve, write, say what was found, and return the exit status."""
    folder = FittedFolder.of(out, CHECKPOINT, RESULTS, resume=resume)
    output = Output(json, None)
    with named_as_options(data, folder, _OPTIONS, _READ):
        given = None if dictionary is None else _read_dictionary(dictionary)
        images = read_images(data, wanted, learned=given is None)
        if given is not None:
            _check_fit(str(dictionary), given[0], images.test, data)
        atoms = _first_atoms(images, wanted) if given is None else given[0]
        program = _program(atoms, images, wanted, {} if given is None else given[1])
        with termination_as_interruption(), folder.held("learning"):
            try:
                learned = None
                if given is None:
                    learned = _learned(images, program, folder, wanted, max_seconds, output)
                found = _examined(atoms, learned, images, program, wanted, output)
                plain = _write(
                    found, atoms if learned is None else learned.dictionary, images, folder, data, dictionary, wanted
                )
            except KeyboardInterrupt:
                if not folder.checkpoint.exists():
                    raise  # the program says that nothing was kept
                output.note(f"interrupted: what {folder.checkpoint} holds was kept; --resume goes on from there")
                return _INTERRUPTED
    _say(found, plain, folder, output)
    return 0


def _read_dictionary(path: str) -> tuple[ConvDictionary, dict[str, Any]]:
    from mcr2_landscape.csc import dictionary_metadata, load_dictionary

    try:
        return load_dictionary(path), dictionary_metadata(path)
    except InputError as error:
        raise InputError(f"--dictionary: {error}") from None


def _check_fit(path: str, dictionary: ConvDictionary, images: np.ndarray, data: str) -> None:
    if dictionary.channels != images.shape[1]:
        raise InputError(
            f"--dictionary: {path} has atoms of {dictionary.channels} channels, and {data} has images of {images.shape[1]}; "
            "give images like those that it was learned from"
        )


def _first_atoms(images: Images, wanted: Wanted) -> ConvDictionary:
    import numpy as np

    from mcr2_landscape.csc import ConvDictionary

    return ConvDictionary.random(
        wanted.atoms,
        wanted.kernel,
        channels=images.train.shape[1],
        stride=wanted.stride,
        padding=wanted.padding,
        key=wanted.seed,
        dtype=np.float64,
    )


def _program(atoms: ConvDictionary, images: Images, wanted: Wanted, stored: dict[str, Any]) -> _Program:
    """The program of the options, and of the dictionary's file where they leave it open."""
    from mcr2_landscape.csc.examination import typical_limit

    kept = stored.get("program", {})
    ridge = wanted.ridge if wanted.ridge is not None else float(kept.get("ridge", 0.0))
    nonnegative = wanted.nonnegative if wanted.nonnegative is not None else bool(kept.get("nonnegative", False))
    atoms.code_shape(images.test.shape[2:])
    sparsity = wanted.sparsity
    if sparsity is None and wanted.relative_sparsity is None and "sparsity" in kept:
        sparsity = float(kept["sparsity"])
    if sparsity is None:
        pixels = images.train if len(images.train) else images.test
        sparsity = (wanted.relative_sparsity or _RELATIVE) * typical_limit(atoms, pixels, nonnegative=nonnegative)
    return _Program(sparsity, ridge, nonnegative)


def _learned(
    images: Images,
    program: _Program,
    folder: FittedFolder,
    wanted: Wanted,
    max_seconds: float | None,
    output: Output,
) -> LearnedDictionary:
    from mcr2_landscape.cli.timed_line import TimedLine
    from mcr2_landscape.csc import learn_dictionary

    count, channels, height, width = images.train.shape
    atom = "atom" if wanted.atoms == 1 else "atoms"
    output.note(f"learning {wanted.atoms} {atom} from {count} images of {channels} × {height} × {width}: {images.source}")
    units = {"dictionary": "alternations of codes and atoms"}
    learned = learn_dictionary(
        images.train,
        wanted.atoms,
        wanted.kernel,
        **dataclasses.asdict(program),
        stride=wanted.stride,
        padding=wanted.padding,
        max_alternations=wanted.steps,
        max_seconds=max_seconds,
        checkpoint=folder.checkpoint,
        key=wanted.seed,
        progress=TimedLine(units, output.note, f"{_LESS}; --max-seconds ends it, and --resume goes on"),
    )
    if learned.stopped == "interrupted":
        raise KeyboardInterrupt
    return learned


def _examined(
    atoms: ConvDictionary,
    learned: LearnedDictionary | None,
    images: Images,
    program: _Program,
    wanted: Wanted,
    output: Output,
) -> SparseExamination:
    from mcr2_landscape.cli.timed_line import TimedLine
    from mcr2_landscape.csc.examination import examine

    units = {"sparse coding": "images solved", "depths": "methods taken step by step"}
    return examine(
        atoms if learned is None else learned.dictionary,
        images.test,
        **dataclasses.asdict(program),
        gap=wanted.gap,
        learned=learned,
        begun=None if learned is None else atoms,
        num_train=len(images.train),
        rows=images.rows,
        source=images.source,
        notes=images.notes,
        announce=output.note,
        progress=TimedLine(units, output.note, f"{_LESS}, as does a larger --gap"),
    )


def _write(
    found: SparseExamination,
    dictionary: ConvDictionary,
    images: Images,
    folder: FittedFolder,
    data: str,
    given: str | None,
    wanted: Wanted,
) -> dict[str, Any]:
    """All results; the content of csc.json, which is written last, is returned."""
    from mcr2_landscape.csc import save_dictionary
    from mcr2_landscape.files import to_json
    from mcr2_landscape.provenance import configuration_hash
    from mcr2_landscape.report.documents import document
    from mcr2_landscape.report.page import render
    from mcr2_landscape.report.sparse_page import sparse_page

    configuration = {
        "data": configuration_hash({"train": images.train, "test": images.test}),
        "source": data,
        "dictionary": given,
        **dataclasses.asdict(wanted),
    }
    plain = document("csc", found, configuration=configuration, key=wanted.seed)
    solution = found.solution
    arrays: dict[str, Any] = {
        "codes": solution.codes,
        "errors": found.errors,
        "rows": images.rows,
        "objective": solution.objective,
        "duality_gap": solution.duality_gap,
        "sparsity": solution.sparsity,
    }
    if images.labels is not None:
        arrays["labels"] = images.labels
    page = render(sparse_page(found, plain["provenance"]))
    with folder.all_or_none(RESULTS):
        if given is None:
            program = {"sparsity": float(solution.sparsity[0]), "ridge": solution.ridge, "nonnegative": solution.nonnegative}
            metadata = {"source": images.source, "program": program, "configuration": configuration}
            save_dictionary(folder.path / "dictionary.safetensors", dictionary, metadata=metadata)
        folder.write({"codes.npz": npz(arrays), "report.html": page, "csc.json": to_json(plain)})
    return plain


def _say(found: SparseExamination, plain: dict[str, Any], folder: FittedFolder, output: Output) -> None:
    from mcr2_landscape.report import sparse_tables

    count, _, height, width = found.atom_shape
    atom = "atom" if count == 1 else "atoms"
    heading = f"{found.source}: {count} {atom} of {height} × {width}, λ = {found.solution.sparsity[0]:.4g}"
    learned, further = found.learned, None
    if learned is not None:
        further = {"max_alternations": "with more --steps and", "max_seconds": "with"}.get(learned.stopped)
    tables = sparse_tables.curve(found), sparse_tables.depths(found)
    say_fitted(output, plain, folder, heading, found, tables, results=RESULTS, fitted=learned is not None, further=further)
