"""Policies of several players: a tuple with an array (states, own actions) of probabilities for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcr2_landscape.randomness import generator
from mcr2_landscape.validation import InputError, check_finite, check_shape

Policy = tuple[np.ndarray, ...]
_SUM = 1e-9


def checked(name: str, policy: Any, num_states: int, num_actions: Sequence[int]) -> Policy:
    """A policy as float64 arrays.

    **Raises:** `InputError` for another number of players, a wrong shape, NaN, negative probabilities, or rows that do not sum
    to one.
    """
    if not isinstance(policy, (tuple, list)) and np.ndim(policy) != 3:
        raise InputError(
            f"{name}: found {type(policy).__name__}; pass a tuple with an array (states, actions) for each of "
            f"{len(num_actions)} players"
        )
    if len(policy) != len(num_actions):
        raise InputError(f"{name}: found policies of {len(policy)} players, but the game has {len(num_actions)}")
    return tuple(
        distribution(f"{name}[{i}]", own, (num_states, count))
        for i, (own, count) in enumerate(zip(policy, num_actions, strict=True))
    )


def distribution(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Rows of probabilities as a float64 array of that shape.

    **Raises:** `InputError` for a wrong shape, NaN, negative numbers, or rows that do not sum to one.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: cannot be read as an array ({error}); pass probabilities") from None
    check_shape(name, array.shape, shape)
    check_finite(name, array)
    sums = array.sum(axis=-1)
    if array.min() < 0 or np.abs(sums - 1).max() > _SUM:
        row = int(np.argmax((array.min(axis=-1) < 0) | (np.abs(sums - 1) > _SUM))) if array.ndim > 1 else 0
        found = array.reshape(-1, shape[-1])[row]
        raise InputError(
            f"{name}: row {row} is {np.array2string(found, precision=6, threshold=8)}, of sum {found.sum():.12g}; pass "
            "probabilities: at least zero, of sum one"
        )
    return array


def uniform(num_states: int, num_actions: Sequence[int]) -> Policy:
    """All actions alike."""
    return tuple(np.full((num_states, count), 1 / count) for count in num_actions)


def random(num_states: int, num_actions: Sequence[int], key: Any) -> Policy:
    """Each row uniform on the simplex.

    **Raises:** `InputError` for a bad key.
    """
    draw = generator(key)
    return tuple(draw.dirichlet(np.ones(count), size=num_states) for count in num_actions)


def deterministic(actions: Any, num_states: int, num_actions: Sequence[int]) -> Policy:
    """The policy that plays `actions[player][state]`.

    **Raises:** `InputError` for a wrong shape, or actions that are none.
    """
    found = np.asarray(actions)
    check_shape("actions", found.shape, (len(num_actions), num_states))
    for i, (own, count) in enumerate(zip(found, num_actions, strict=True)):
        if found.dtype.kind not in "iu" or own.min() < 0 or own.max() >= count:
            raise InputError(f"actions[{i}]: found {own.tolist()}; pass action numbers from 0 to {count - 1}")
    return tuple(np.eye(count)[own] for own, count in zip(found, num_actions, strict=True))


def entropy(policy: np.ndarray) -> np.ndarray:
    """−Σ π log π over the last axis, with 0 log 0 = 0."""
    return -np.sum(policy * np.log(np.where(policy > 0, policy, 1.0)), axis=-1)


def softmax(scores: np.ndarray, temperature: float) -> np.ndarray:
    """exp(scores/temperature), normalized, over the last axis."""
    raised = np.exp((scores - scores.max(axis=-1, keepdims=True)) / temperature)
    return raised / raised.sum(axis=-1, keepdims=True)
