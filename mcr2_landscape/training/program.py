"""The compiled program of a training: any number of steps in one call, and always the same program.

The number of steps is an argument of it, not a part: a training in one call and one in a thousand run the same instructions on
the same numbers. Randomness comes from the key and the number of the step alone, and the order of the samples from the key and
the number of the epoch, so that (parameters, optimizer state, step) is all that a training has to remember.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.training.leaves import is_floating, is_key
from mcr2_landscape.validation import InputError

# Rows of history that one call can return.
ROWS = 256
_ORDER, _BATCH, _LOSS = range(3)
FAILURES = (
    "",
    "the loss was {loss}",
    "the gradient's norm was not finite (the loss was {loss})",
    "the parameters became infinite",
)


class State(NamedTuple):
    """What a training remembers. `measured`: loss, gradient norm and metrics of the last step."""

    parameters: Any
    optimizer: Any
    step: jax.Array
    measured: jax.Array


class Inputs(NamedTuple):
    """What stays the same: the model's arrays that are not trained, the loss's arrays, the data, the key, and every how many
    steps a row of history is kept."""

    buffers: Any
    loss: Any
    data: Any
    key: jax.Array
    every: jax.Array


class Chunk(NamedTuple):
    """What one call returns: the state, rows of history, and where it stopped early the failure's number (of `FAILURES`) with
    the measured numbers of the step that failed."""

    state: State
    rows: jax.Array
    failure: jax.Array
    failed: jax.Array


class _Carry(NamedTuple):
    state: State
    rows: jax.Array
    kept: jax.Array
    order: jax.Array
    failure: jax.Array
    failed: jax.Array


class Static(NamedTuple):
    """The part of a pytree that is no array, as something that can be compared."""

    leaves: tuple[Any, ...]
    structure: Any

    @staticmethod
    def of(tree: Any) -> Static:
        """Flatten what `equinox.partition` left."""
        leaves, structure = jax.tree.flatten(tree)
        return Static(tuple(leaves), structure)

    def tree(self) -> Any:
        """The inverse."""
        return jax.tree.unflatten(self.structure, self.leaves)


@dataclass(frozen=True)
class Program:
    """What is compiled: the static parts of model and loss, the optimizer, and how batches are made.

    **Fields:** `batches`: a function (key, step) → batch, or `None` where the data are arrays (or nothing). `num_samples` and
    `batch_size`: `None` for the data as a whole. `metrics`: the names of the loss's metrics, in order.
    """

    model: Static
    loss: Static
    optimizer: Any
    batches: Callable[..., Any] | None
    num_samples: int | None
    batch_size: int | None
    precision: str
    metrics: tuple[str, ...] = ()

    @property
    def real(self) -> Any:
        """The dtype of the parameters and of everything that is measured."""
        return jnp.float64 if self.precision == "float64" else jnp.float32

    @functools.cached_property
    def advance(self) -> Any:
        """(state, step to stop at, inputs) → `Chunk`, compiled once. The state's memory is taken over."""
        return jax.jit(self._advance, donate_argnums=0)

    def initial(self, parameters: Any) -> State:
        """The state before the first step.

        **Raises:** `InputError` where the optimizer has no `init` and `update`, or does not take the parameters.
        """
        if not (callable(getattr(self.optimizer, "init", None)) and callable(getattr(self.optimizer, "update", None))):
            raise InputError(
                f"optimizer: found {type(self.optimizer).__name__}; pass an optax optimizer, for instance optax.adam(1e-3)"
            )
        with _blamed("init"), jax.numpy_dtype_promotion("standard"):  # optax counts on it
            optimizer = self.optimizer.init(parameters)
        # A copy of every leaf, of a definite type: some optimizers hold the parameters themselves, whose memory is given away.
        copies = jax.tree.map(lambda leaf: leaf.copy() if is_key(leaf) else jnp.array(np.asarray(leaf)), optimizer)
        measured = jnp.full(2 + len(self.metrics), jnp.nan, dtype=self.real)
        return State(jax.tree.map(jnp.array, parameters), copies, jnp.asarray(0, dtype=jnp.int32), measured)

    def objective(self, parameters: Any, inputs: Inputs, batch: Any, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss at the compute precision, and its metrics, both as `real`.

        **Raises:** `InputError` for a loss that is no number.
        """
        if self.precision == "bfloat16":
            parameters, buffers, batch = (jax.tree.map(_to_bfloat16, tree) for tree in (parameters, inputs.buffers, batch))
        else:
            buffers = inputs.buffers
        model = eqx.combine(parameters, buffers, self.model.tree())
        loss = eqx.combine(inputs.loss, self.loss.tree())
        result = loss(model, batch, key)
        value, metrics = result if isinstance(result, tuple) and len(result) == 2 else (result, {})
        value = _number("loss", value)
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise InputError(f"loss: returned {value.dtype}; it has to be a real floating-point number, to have a gradient")
        if not isinstance(metrics, dict) or not all(isinstance(name, str) for name in metrics):
            raise InputError("loss: returned a pair whose second part is no dictionary; return (loss, {name: number})")
        found = {name: _number(f"loss: the metric {name!r}", metrics[name]) for name in sorted(metrics)}
        for name, number in found.items():
            if jnp.issubdtype(number.dtype, jnp.complexfloating):
                raise InputError(f"loss: the metric {name!r}: returned {number.dtype}; return one real number")
        return value.astype(self.real), {name: number.astype(self.real) for name, number in found.items()}

    def batch(self, inputs: Inputs, step: jax.Array, order: jax.Array) -> Any:
        """The batch of a step."""
        if self.batches is not None:
            return self.batches(_key(inputs.key, _BATCH, step), step)
        if self.batch_size is None:
            return inputs.data
        position = jax.lax.rem(step, jnp.asarray(self._per_epoch, dtype=step.dtype)) * self.batch_size
        chosen = jax.lax.dynamic_slice(order, (position,), (self.batch_size,))
        return jax.tree.map(lambda leaf: leaf[chosen], inputs.data)

    @property
    def _per_epoch(self) -> int:
        return (self.num_samples or 1) // (self.batch_size or 1)

    def order(self, key: jax.Array, step: jax.Array) -> jax.Array:
        """The order of the samples in the epoch that a step belongs to; empty where there are no minibatches."""
        if self.batch_size is None or self.num_samples is None:
            return jnp.zeros(0, dtype=jnp.int32)
        epoch = jax.lax.div(step, jnp.asarray(self._per_epoch, dtype=step.dtype))
        return jax.random.permutation(_key(key, _ORDER, epoch), self.num_samples).astype(jnp.int32)

    def _advance(self, state: State, stop: jax.Array, inputs: Inputs) -> Chunk:
        rows = jnp.zeros((ROWS, 2 + len(self.metrics)), dtype=self.real)
        zero = jnp.zeros_like(state.step)
        begin = _Carry(state, rows, zero, self.order(inputs.key, state.step), zero, state.measured)
        end = jax.lax.while_loop(
            lambda carry: (carry.state.step < stop) & (carry.failure == 0), lambda carry: self._step(carry, inputs), begin
        )
        return Chunk(end.state, end.rows, end.failure, end.failed)

    def _step(self, carry: _Carry, inputs: Inputs) -> _Carry:
        import optax

        state, order = carry.state, carry.order
        if self.batch_size is not None:
            first = jax.lax.rem(state.step, jnp.asarray(self._per_epoch, dtype=state.step.dtype)) == 0
            order = jax.lax.cond(first, lambda: self.order(inputs.key, state.step), lambda: order)
        batch = self.batch(inputs, state.step, order)
        objective = functools.partial(
            self.objective, inputs=inputs, batch=batch, key=_key(inputs.key, _LOSS, state.step)
        )  # fmt: skip
        (value, metrics), gradient = jax.value_and_grad(objective, has_aux=True)(state.parameters)
        norm = jnp.sqrt(sum((jnp.sum(leaf * leaf) for leaf in jax.tree.leaves(gradient)), start=jnp.zeros((), self.real)))
        measured = jnp.stack([value, norm, *metrics.values()])
        with _blamed("update"), jax.numpy_dtype_promotion("standard"):
            update = optax.with_extra_args_support(self.optimizer).update
            changes, optimizer = update(
                gradient,
                state.optimizer,
                state.parameters,
                value=value,
                grad=gradient,
                value_fn=lambda parameters: objective(parameters)[0],
            )
            parameters = optax.apply_updates(state.parameters, changes)
            optimizer = jax.tree.map(_like, optimizer, state.optimizer)
            parameters = jax.tree.map(_like, parameters, state.parameters)
        failure = jnp.where(_finite(parameters), 0, 3)
        # The norm's squares leave the range before the gradient does, and so do an optimizer's second moments.
        failure = jnp.where(jnp.isfinite(norm), failure, 2)
        failure = jnp.where(jnp.isfinite(value), failure, 1).astype(state.step.dtype)
        good = failure == 0
        step = state.step + 1
        kept = good & ((step == 1) | (jax.lax.rem(step, inputs.every) == 0))
        rows = carry.rows.at[jnp.where(kept, carry.kept, ROWS)].set(measured, mode="drop")
        # A step that failed is not made: the state stays as it was before it, and finite.
        new = jax.tree.map(
            lambda after, before: jax.lax.select(good, after, before),
            State(parameters, optimizer, step, measured),
            state,
        )
        return _Carry(new, rows, carry.kept + kept.astype(carry.kept.dtype), order, failure, measured)


@functools.lru_cache(maxsize=16)
def _shared(program: Program) -> Program:
    return program


def shared(program: Program) -> Program:
    """An equal program that has been used before, so that nothing is compiled twice; else this one."""
    try:
        return _shared(program)
    except TypeError:  # a part of it has no hash after all
        return program


def _key(key: jax.Array, use: int, number: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(key, use), number)


@contextlib.contextmanager
def _blamed(part: str) -> Iterator[None]:
    """While an optimizer is traced: its errors are told as what they are."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise InputError(
            f"optimizer: its {part} failed ({type(error).__name__}: {said}); pass one whose init takes the model's parameters "
            "and whose update takes (gradient, state, parameters) and optax's own further arguments, such as optax.adam(1e-3)"
        ) from error


def _number(name: str, value: Any) -> jax.Array:
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise InputError(f"{name}: returned {type(value).__name__}; return one number") from None
    if array.shape != ():
        raise InputError(f"{name}: found shape {array.shape}; return one number, for instance its mean")
    return array


def _to_bfloat16(leaf: Any) -> Any:
    return leaf.astype(jnp.bfloat16) if is_floating(leaf) else leaf


def _like(after: Any, before: jax.Array) -> Any:
    """`after` in the type of `before`: under 64-bit mode an optimizer's own numbers may come out wider."""
    return after if is_key(before) else jax.lax.convert_element_type(after, before.dtype)


def _finite(tree: Any) -> jax.Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
