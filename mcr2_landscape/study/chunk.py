"""A few units of a study, computed in a worker process on this or another machine."""

from __future__ import annotations

import datetime
import functools
import json
import os
import pickle
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mcr2_landscape.processes.worker import SETTINGS
from mcr2_landscape.study.arrow import pa
from mcr2_landscape.study.columns import failure_schema, plain_result, row_schema, table_of, writable
from mcr2_landscape.study.space import Study, Unit


class StudyStopped(Exception):
    """A study cannot go on. What is done is kept."""


class Mismatch(StudyStopped):
    """A worker's code means something else by the study than that of the process that asks."""


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk: rows, failures (`None` where there are none), the contents of new array files by hash, and the
    seconds spent on its units."""

    rows: pa.Table | None
    failures: pa.Table | None
    arrays: dict[str, bytes] = field(repr=False)
    seconds: float


def compute_chunk(description: bytes, digest: str, numbers: Sequence[int]) -> ChunkResult:
    """Compute the units with these numbers. What a unit raises is recorded as its failure.

    **Arguments:** `description`: a pickled `Description`. `digest`: what `Study.digest` is where the study was asked for.

    **Raises:** `Mismatch` where the study's digest is another one here: the versions of the code differ.
    """
    _prepare_process()
    study = _study(digest, description)
    identify = study.identifier()
    rows: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    arrays: dict[str, bytes] = {}
    began = time.perf_counter()
    for number in numbers:
        unit = study.unit(number)
        _compute(study, unit, identify(unit).hex(), rows, failures, arrays)
    seconds = time.perf_counter() - began
    shared = circumstances(study)
    for row in (*rows, *failures):
        row.update(shared)
    return ChunkResult(
        table_of(rows, row_schema(study.signature)) if rows else None,
        table_of(failures, failure_schema(study.signature)) if failures else None,
        arrays,
        seconds,
    )


def failure_row(study: Study, unit: Unit, identity: str, kind: str, error: str, details: str, seconds: float) -> dict[str, Any]:
    """The row of a unit that has no result, without the circumstances."""
    now = datetime.datetime.now(datetime.UTC)
    return _head(study, unit, identity) | {
        "kind": kind,
        "error": writable(error),
        "traceback": writable(details),
        "seconds": seconds,
        "finished": now,
    }


def circumstances(study: Study) -> dict[str, Any]:
    """Who computes here, with what."""
    from mcr2_landscape.provenance import describe_device

    return {
        "code": study.signature.code,
        "dtype": study.task.dtype,
        "device": describe_device(),
        "versions": _versions(),
        "worker": f"{platform.node()}:{os.getpid()}",
    }


def _compute(
    study: Study,
    unit: Unit,
    identity: str,
    rows: list[dict[str, Any]],
    failures: list[dict[str, Any]],
    arrays: dict[str, bytes],
) -> None:
    seed = {} if unit.seed is None else {"seed": unit.seed}
    own: dict[str, bytes] = {}
    began = time.perf_counter()
    try:
        result = plain_result(study.signature.call(**unit.parameters, **seed), study.signature, own)
    except (Exception, SystemExit) as error:  # a task that ends its process would take others with it
        seconds = time.perf_counter() - began
        failures.append(failure_row(study, unit, identity, "raised", _words(error), traceback.format_exc(), seconds))
        return
    seconds = time.perf_counter() - began
    arrays.update(own)
    now = datetime.datetime.now(datetime.UTC)
    rows.append(_head(study, unit, identity) | result | {"seconds": seconds, "finished": now})


def _words(error: BaseException) -> str:
    """An error in one line."""
    try:
        words = str(error)
    except Exception:
        words = "(an error that cannot say what it is)"
    return f"{type(error).__name__}: {words}".splitlines()[0]


def _head(study: Study, unit: Unit, identity: str) -> dict[str, Any]:
    head = {"unit": identity} | unit.parameters
    return head | {"seed": unit.seed} if study.signature.seeded else head


def _prepare_process() -> None:
    """One thread, and 64-bit numbers, where JAX has not been loaded yet: a worker of another engine may not have been told."""
    if "jax" not in sys.modules:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)


_studies: dict[str, Study] = {}


def _study(digest: str, description: bytes) -> Study:
    """The study, made once in this process."""
    if digest not in _studies:
        study = Study.of(pickle.loads(description))
        if study.digest != digest:
            raise Mismatch(
                f"the worker {platform.node()}:{os.getpid()} has {study.signature.code} with {_versions()}, and means other "
                "units by this study: the code was changed during the run, or workers have other versions of the package or of "
                "NumPy; install the same ones everywhere"
            )
        _studies.clear()
        _studies[digest] = study
    return _studies[digest]


@functools.cache
def _versions() -> str:
    """Versions as JSON, with a digest of the package's own source."""
    from mcr2_landscape.provenance import source_digest, versions

    return json.dumps(versions() | {"source": source_digest()}, sort_keys=True)
