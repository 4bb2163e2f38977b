"""Which units of a study are done, which failed, and which are still to be computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcr2_landscape.study.arrow import pa, pc
from mcr2_landscape.study.space import DIGEST_BYTES, Study
from mcr2_landscape.study.store import FAILURES, ROWS, Store, read_part


@dataclass(frozen=True)
class Pending:
    """The units of a study against what a store has.

    **Fields:** `total`, units, each counted once; `repeated`, how many more the description means that are the same as others
    (random choices can repeat themselves); `done`; `raised`, how many raised an error, and `died`, whose process died, and were
    not computed since; `others`, rows in the store that are none of the study's: of earlier descriptions or versions;
    `numbers`, the units to compute.
    """

    total: int
    repeated: int
    done: int
    raised: int
    died: int
    others: int
    numbers: np.ndarray

    @staticmethod
    def of(store: Store | None, study: Study, *, retry_failed: bool = False) -> Pending:
        """Compare a study with a store, or with nothing.

        **Raises:** `InputError` for a part that cannot be read.
        """
        if store is None:
            first = first_of_each(study.identities()) if study.may_repeat else np.ones(len(study), dtype=bool)
            total = int(first.sum())
            return Pending(total, len(study) - total, 0, 0, 0, 0, np.flatnonzero(first))
        identities = store.identities(study)
        first = first_of_each(identities) if study.may_repeat else np.ones(len(identities), dtype=bool)
        recorded = store.recorded(ROWS)
        done = _is_in(identities, recorded)
        raised, died = _failures(store)
        has_raised = _is_in(identities, raised) & ~done
        has_died = _is_in(identities, died) & ~done & ~has_raised
        open_units = first & ~done if retry_failed else first & ~done & ~has_raised
        total, num_done = int(first.sum()), int((done & first).sum())
        return Pending(
            total,
            len(identities) - total,
            num_done,
            int((has_raised & first).sum()),
            int((has_died & first).sum()),
            len(recorded) - num_done,  # each unit has one row
            np.flatnonzero(open_units),
        )


def first_of_each(identities: np.ndarray) -> np.ndarray:
    """Whether a unit is the first with its identity."""
    codes = _fixed(identities).dictionary_encode().indices.to_numpy()
    # A new code is one more than all before it.
    return np.concatenate([[True], codes[1:] > np.maximum.accumulate(codes)[:-1]])


def _failures(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """The identities of units that raised, and of those whose process died, by their last attempt."""
    last: dict[str, str] = {}
    for path in store.parts(FAILURES):
        table = read_part(path, ["unit", "kind"])
        last.update(zip(table.column("unit").to_pylist(), table.column("kind").to_pylist(), strict=True))
    raised, died = ([unit for unit, kind in last.items() if kind == wanted] for wanted in ("raised", "died"))
    return _from_hex(raised), _from_hex(died)


def _from_hex(units: list[str]) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(units)), np.uint8).reshape(-1, DIGEST_BYTES)


def _fixed(identities: np.ndarray) -> pa.FixedSizeBinaryArray:
    """Identities as an Arrow array, without a copy."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(identities))]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(DIGEST_BYTES), len(identities), buffers)  # pyright: ignore[reportArgumentType]


def _is_in(identities: np.ndarray, known: np.ndarray) -> np.ndarray:
    if not len(known) or not len(identities):
        return np.zeros(len(identities), dtype=bool)
    return pc.is_in(_fixed(identities), value_set=_fixed(known)).to_numpy(zero_copy_only=False)  # pyright: ignore[reportAttributeAccessIssue]
