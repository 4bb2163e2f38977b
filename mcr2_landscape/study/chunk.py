"""A few units of a study, computed in a worker process on this or another machine."""

from __future__ import annotations

import datetime
import functools
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from mcr2_landscape.processes.worker import SETTINGS
from mcr2_landscape.study.columns import failure_schema, plain_result, row_schema, table_of
from mcr2_landscape.study.description import Description
from mcr2_landscape.study.space import Study, Unit


class Mismatch(Exception):
    """A worker's installation means something else by the study than the one that asks."""


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk: rows, failures (`None` where there are none), the contents of new array files by hash, and the
    seconds spent on its units."""

    rows: pa.Table | None
    failures: pa.Table | None
    arrays: dict[str, bytes] = field(repr=False)
    seconds: float


def compute_chunk(description: Description, digest: str, numbers: Sequence[int]) -> ChunkResult:
    """Compute the units with these numbers. What a unit raises is recorded as its failure.

    **Raises:** `Mismatch` where the study's digest is another one here: the versions of the code differ.
    """
    _prepare_process()
    study = _study(description, digest)
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
        "error": error,
        "traceback": details,
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
    except Exception as error:
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        seconds = time.perf_counter() - began
        failures.append(failure_row(study, unit, identity, "raised", words, traceback.format_exc(), seconds))
        return
    seconds = time.perf_counter() - began
    arrays.update(own)
    now = datetime.datetime.now(datetime.UTC)
    rows.append(_head(study, unit, identity) | result | {"seconds": seconds, "finished": now})


def _head(study: Study, unit: Unit, identity: str) -> dict[str, Any]:
    head = {"unit": identity} | unit.parameters
    return head | {"seed": unit.seed} if study.signature.seeded else head


def _prepare_process() -> None:
    """One thread, and 64-bit numbers, where JAX has not been loaded yet: a worker of another engine may not have been told."""
    if "jax" not in sys.modules:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)


@functools.lru_cache(maxsize=8)
def _cached(text: bytes, digest: str) -> Study:
    import pickle

    study = Study.of(pickle.loads(text))
    if study.digest != digest:
        raise Mismatch(
            f"the worker {platform.node()}:{os.getpid()} has {study.signature.code} ({_versions()}), and means other units by "
            "this study; install the same versions of mcr2_landscape and NumPy everywhere"
        )
    return study


def _study(description: Description, digest: str) -> Study:
    import pickle

    return _cached(pickle.dumps(description), digest)


@functools.cache
def _versions() -> str:
    """Versions as JSON, with a digest of the package's own source."""
    from mcr2_landscape.provenance import source_digest, versions

    return json.dumps(versions() | {"source": source_digest()}, sort_keys=True)
