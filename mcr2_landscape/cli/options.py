"""What the commands' options have in common."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

# A lone hyphen is a value: standard output.
File = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


def check_seed(seed: int) -> int:
    """`seed`, if it is zero or more.

    **Raises:** `InputError` otherwise.
    """
    from mcr2_landscape.validation import positive_integer

    return positive_integer("--seed", seed, minimum=0)


def check_count(option: str, count: int) -> int:
    """`count`, if it is one or more.

    **Raises:** `InputError` otherwise.
    """
    from mcr2_landscape.validation import positive_integer

    return positive_integer(option, count)
