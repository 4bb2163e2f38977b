"""What a claim is: a theorem's statement as pure data. The standard library only, so that a certificate is compared with its
claim without NumPy or JAX."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field

from mcr2_landscape.certify import Statement
from mcr2_landscape.errors import InputError
from mcr2_landscape.record import Record
from mcr2_landscape.verdict import Verdict

_ID = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


class Form(enum.StrEnum):
    """How a claim relates to its source: as printed there, printed with corrected hypotheses, or proved in this project."""

    PRINTED = "printed"
    CORRECTED = "corrected"
    OWN = "own"


class Role(enum.StrEnum):
    """What a case is to its claim. An *instance* is a setting in which the claim says that the case is true: were it disproved,
    the claim would be refuted. A *counter-example* refutes it when it is proved. A *lemma* is a step of a proof, or a fact
    beside it: without it the claim is undecided."""

    INSTANCE = "instance"
    COUNTER_EXAMPLE = "counter-example"
    LEMMA = "lemma"


@dataclass(frozen=True)
class Case(Record):
    """An exact statement that belongs to a claim; a certificate proves it.

    **Fields:** `name`, unique within the claim (letters, digits, hyphens); `statement`; `role`; `words`: what the case shows,
    for the reader of a report.
    """

    name: str
    statement: Statement = field(metadata={"json": False})
    role: Role = Role.INSTANCE
    words: str = ""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.name):
            raise InputError(f"case: found the name {self.name!r}; use lower-case letters, digits and hyphens")
        object.__setattr__(self, "role", Role(self.role))


@dataclass(frozen=True)
class Claim(Record):
    """A statement to check.

    **Fields:** `id`, such as ``mcr2.local-maximizers.printed``; `title`; `source` (paper, theorem, equation); `form`;
    `statement` in words; `formula`; `hypotheses`; `check`, the function that decides, as ``package.module:function`` (imported
    only when it runs); `expected`, the verdict if it is known; `corrects`, the id of the printed claim whose hypotheses this
    one corrects; `cases`, exact instances that certificates prove; `group`: claims of one group share work and run in one
    process.

    **Raises:** `InputError` for an id that is not lower-case words between dots and hyphens, or cases of one name.
    """

    id: str
    title: str
    source: str
    form: Form
    statement: str
    check: str
    formula: str = ""
    hypotheses: tuple[str, ...] = ()
    expected: Verdict | None = None
    corrects: str | None = None
    cases: tuple[Case, ...] = ()
    group: str = ""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InputError(
                f"id: found {self.id!r}; use lower-case words between dots and hyphens, as in mcr2.local-maximizers"
            )
        if ":" not in self.check:
            raise InputError(f"check: found {self.check!r} for {self.id}; give package.module:function")
        object.__setattr__(self, "form", Form(self.form))
        object.__setattr__(self, "expected", None if self.expected is None else Verdict(self.expected))
        names = [case.name for case in self.cases]
        if len(set(names)) != len(names):
            raise InputError(f"cases: {self.id} has two of one name")

    def case(self, name: str) -> Case:
        """The case of this name.

        **Raises:** `InputError` where there is none.
        """
        for case in self.cases:
            if case.name == name:
                return case
        raise InputError(f"case: {self.id} has no case {name!r}; it has " + (", ".join(c.name for c in self.cases) or "none"))
