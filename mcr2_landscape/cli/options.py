"""What the commands' options have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, get_args

from cyclopts import CoercionError, Parameter, Token, convert

# A lone hyphen is a value: standard output.
File = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


def whole_numbers(type_: Any, tokens: Sequence[Token]) -> Any:
    """What cyclopts makes of an option's words, for `App.default_parameter`; but an integer is not rounded.

    **Raises:** `CoercionError` for a fraction where an integer is asked for.
    """
    if _holds_integers(type_):
        for token in tokens:
            if "." in token.value:
                raise CoercionError(
                    msg=f'Invalid value "{token.value}" for "{token.keyword}": pass an integer, without a point.'
                )
    return convert(type_, tokens)


def _holds_integers(type_: Any) -> bool:
    """Whether a word of it can only be an integer: int, int | None, tuple[int, ...]."""
    own = [part for part in get_args(type_) if part not in (type(None), Ellipsis)]
    return type_ is int or (bool(own) and all(map(_holds_integers, own)))


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
