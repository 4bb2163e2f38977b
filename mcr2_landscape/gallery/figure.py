"""What a figure is made of: questions to the rows of studies, and how the answers are drawn. Nothing is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# The pages of the gallery: what they are called, and how the ids of the claims begin whose verdicts stand there.
GROUPS: dict[str, tuple[str, str | tuple[str, ...]]] = {
    "mcr2": ("The landscape of the maximal coding rate reduction", "mcr2."),
    "ctrl": ("Closed-loop transcription of linear subspaces", "ctrl."),
    "markov": ("Independent learning in Markov potential games", "mpg."),
    "whitebox": ("White-box transformers", ("crate", "aot.", "book.")),
    "flatnet": ("Manifold flattening", "flatnet."),
    "csc": ("Convolutional sparse coding in a closed loop", "csc."),
    "scale": ("Scale", ""),
}


@dataclass(frozen=True)
class Select:
    """One table behind a figure: a question to the rows of a study.

    **Fields:** `study`, a name; `sql`, a SELECT from `rows` or `ordered_rows` (the study's order), whose columns are all that
    is drawn. Its first column is `unit`, the identity of the row that the numbers come from, or `units`, how many rows they sum
    up. `least`: how many rows of the answer the figure needs. `arrays`: columns that hold arrays of the store, which are
    read, those of one column with equally many axes.
    """

    study: str
    sql: str
    least: int = 1
    arrays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """The answer to a `Select`.

    **Fields:** `columns`: lists of equal length by name, missing values `None`, arrays as `numpy.ndarray`; `origin`: where the
    rows are from, as plain values.
    """

    columns: Mapping[str, list[Any]]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, name: str) -> np.ndarray:
        """A column: float64 with NaN for what is missing, or objects where it holds anything but numbers."""
        values = self.columns[name]
        if all(value is None or isinstance(value, (int, float)) for value in values):
            return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        out = np.empty(len(values), dtype=object)
        out[:] = values
        return out

    def where(self, **values: Any) -> Table:
        """The rows with these values."""
        kept = [k for k in range(len(self)) if all(self.columns[name][k] == value for name, value in values.items())]
        return Table({name: [column[k] for k in kept] for name, column in self.columns.items()}, self.origin)

    def groups(self, *names: str) -> Iterator[tuple[tuple[Any, ...], Table]]:
        """The rows by the values of some columns, in the order in which they first appear. Lists count as tuples."""
        found: dict[tuple[Any, ...], list[int]] = {}
        for k in range(len(self)):
            found.setdefault(tuple(_hashable(self.columns[name][k]) for name in names), []).append(k)
        for key, rows in found.items():
            yield key, Table({name: [column[k] for k in rows] for name, column in self.columns.items()}, self.origin)


@dataclass(frozen=True)
class Figure:
    """A figure.

    **Fields:** `name`, that of its module; `group`, one of `GROUPS`; `title`; `caption`: two sentences that say what to see;
    `size` in inches; `tables` by name; `paint`, which draws the tables on an empty canvas; `claims`: ids of the claims that it
    shows.
    """

    name: str
    group: str
    title: str
    caption: str
    size: tuple[float, float]
    tables: Mapping[str, Select]
    paint: Callable[[Canvas, Mapping[str, Table]], None]
    claims: tuple[str, ...] = ()

    @property
    def studies(self) -> tuple[str, ...]:
        """The studies that it needs."""
        return tuple(dict.fromkeys(select.study for select in self.tables.values()))


def _hashable(value: Any) -> Any:
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value
