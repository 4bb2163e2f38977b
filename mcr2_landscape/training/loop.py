"""The library's one training loop."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mcr2_landscape.extras import missing_extra
from mcr2_landscape.locking import FolderLock
from mcr2_landscape.processes import Interruption
from mcr2_landscape.training import inputs as incoming
from mcr2_landscape.training.fingerprint import OWN
from mcr2_landscape.training.keeper import Keeper
from mcr2_landscape.training.program import Inputs, Program, shared
from mcr2_landscape.training.results import Status, Stopped, Training
from mcr2_landscape.training.session import Session
from mcr2_landscape.training.watching import Watcher
from mcr2_landscape.validation import InputError, positive_integer, positive_real


def fit(
    model: Any,
    loss: Callable[..., Any],
    data: Any = None,
    *,
    optimizer: Any,
    num_steps: int,
    key: Any,
    batch_size: int | None = None,
    precision: str = "float32",
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_every: int | None = None,
    checkpoint_seconds: float = 30.0,
    record_every: int = 10,
    max_seconds: float | None = None,
    progress: bool | Callable[[Status], Any] = False,
    stop: Callable[[Status], bool] | None = None,
    configuration: Mapping[str, Any] | None = None,
    trainable: Any = None,
    lock: FolderLock | None = None,
) -> Training:
    """Minimize a loss over the parameters of a model.

    **Arguments:**

    * `model`: any pytree; its floating-point arrays are trained (see `trainable`), everything else stays as it is.
    * `loss`: a function (model, batch, key) → number, or → (number, {name: number}) with metrics. It is traced, and as under
      `jax.jit` a value that it closes over is read once: a second `fit` of the same function object goes on with the old one.
      A number that changes belongs into a loss that is an `equinox.Module`, as an array: such arrays are arguments of the
      compiled program, and other values need no new compilation.
    * `data`: a pytree of arrays whose first axis is the sample's; or a function (key, step) → batch, which is traced; or
      `None`.
    * `optimizer`: an `optax.GradientTransformation`. Its update may take the loss, its gradient and a function of the
      parameters for it by optax's names `value`, `grad` and `value_fn`. Two kinds do not fit: `contrib.sam`, which takes none
      of these or wants the gradient as a function, and `lookahead`, which wants parameters of a form of its own.
    * `num_steps`: the steps in all, those of earlier sessions included.
    * `key`: a JAX key or an integer seed.
    * `batch_size`: by default all samples in the order given. Otherwise each epoch has its own random order, and the samples
      that are left over when it is cut into batches sit this epoch out: every batch is whole.
    * `precision`: "float32", "float64", or "bfloat16": parameters, optimizer and sums in float32, while the loss gets the
      model and the batch in bfloat16. What the process has set for 64-bit mode makes no difference.
    * `checkpoint`: a folder. Its file `training.checkpoint` is replaced at every `checkpoint_every`-th step, after
      `checkpoint_seconds`, and at the end, whatever ends the training.
    * `resume`: go on from the checkpoint in that folder if there is one. Without it a folder that holds one is refused.
    * `record_every`: of how many steps one goes into the history.
    * `max_seconds`: stop after so much time in this call (compilation counts), after one step at least.
    * `progress`: a bar on standard error, or a function of `Status`, about once a second.
    * `stop`: a function of `Status`, asked about once a second; true ends the training.
    * `configuration`: plain values by name that have to be the same to resume, beside what is compared anyway; a message that
      refuses a checkpoint calls them by these names.
    * `trainable`: which of the model's floating-point arrays are trained, as `equinox.partition` takes it: a function of an
      array, or a pytree of true and false in the model's form; by default all are. The others keep their bits.
    * `lock`: the folder's lock, for a caller who writes into the folder too: it is taken, unless it is held, and stays held.
      Without it the folder is locked during the call.

    **Returns:** `Training`. Ctrl-C ends it at the next pause, within about a second, and what was reached is returned and in
    the checkpoint; a second Ctrl-C raises `KeyboardInterrupt`. A loss, gradient or parameter that is not finite ends it too, in
    the state before that step.

    On one machine's processor a training that was interrupted and resumed, however often and wherever, ends in the same bits as
    one that was not: parameters, optimizer state and history, times apart. On a GPU that is so as far as its kernels are
    deterministic.

    An exception from `progress` or `stop` ends it as it is, once the checkpoint is written.

    **Raises:** `InputError` for what cannot be trained, numbers out of range, a folder that another process trains in, or a
    checkpoint that is damaged, newer, or of another training (what differs is said).
    """
    try:
        import optax  # noqa: F401
    except ImportError:
        raise missing_extra("training", "optax", "solvers") from None
    precision = incoming.check_precision(precision)
    num_steps = positive_integer("num_steps", num_steps)
    if num_steps >= 2**31:
        raise InputError(f"num_steps: found {num_steps}; pass at most 2³¹ − 1")
    record_every = positive_integer("record_every", record_every)
    limit = None if max_seconds is None else positive_real("max_seconds", max_seconds)
    # Not what the process has set for 64-bit mode: one training, one program, wherever it runs.
    keeper = Keeper.of(checkpoint, resume, checkpoint_every, checkpoint_seconds, lock)
    with Interruption() as interruption, jax.enable_x64(precision == "float64"), keeper:
        parameters, buffers, static = incoming.split_model(model, precision, trainable)
        arrays, loss_static = incoming.split_loss(loss)
        samples, num_samples, size = incoming.check_data(data, batch_size, precision)
        batches = data if callable(data) else None
        given = Inputs(buffers, arrays, samples, incoming.check_key(key), jnp.asarray(record_every, dtype=jnp.int32))
        program = Program(static, loss_static, optimizer, batches, num_samples, size, precision)
        names = incoming.check_names(_metrics(program, parameters, given))
        program = shared(dataclasses.replace(program, metrics=names))
        state = program.initial(parameters)
        session = Session(program, given, state, num_steps, record_every, limit)
        del state, parameters
        keeper.begin(session, dict(zip(OWN, (size, record_every, precision), strict=True)), configuration)
        with Watcher.of(progress, "training") as watcher:
            stopped, reason = _train(session, keeper, interruption, watcher, stop)
            keeper.end(session)
        return session.result(stopped, reason, keeper.fingerprint, keeper.notes)


def _metrics(program: Program, parameters: Any, given: Inputs) -> Mapping[str, Any]:
    """The metrics that the loss returns, found by tracing it once."""

    def first(parameters: Any, given: Inputs) -> Any:
        step = jnp.asarray(0, dtype=jnp.int32)
        batch = program.batch(given, step, program.order(given.key, step))
        return program.objective(parameters, given, batch, given.key)[1]

    return jax.eval_shape(first, parameters, given)


def _train(
    session: Session,
    keeper: Keeper,
    interruption: Interruption,
    watcher: Watcher,
    stop: Callable[[Status], bool] | None,
) -> tuple[Stopped, str]:
    while session.step < session.num_steps:
        failure = session.advance(keeper.next_step(session.step))
        if failure:
            return Stopped.DIVERGED, failure
        keeper.keep_if_due(session)
        try:
            status = session.status()
            watcher.update(status)
            requested = stop is not None and bool(stop(status))
        except KeyboardInterrupt:
            if interruption.requested:  # the second one
                raise
            interruption.requested, requested = True, False
        except BaseException:  # the callback's own: what was reached is kept
            keeper.end(session)
            raise
        if session.step >= session.num_steps:
            break
        if interruption.requested:
            return Stopped.INTERRUPTED, f"interrupted after {session.step} of {session.num_steps} steps"
        if requested:
            return Stopped.REQUESTED, f"stopped on request after {session.step} of {session.num_steps} steps"
        if session.limit is not None and session.elapsed() >= session.limit:
            return Stopped.TIME, f"the time of {session.limit:g} s was over after {session.step} of {session.num_steps} steps"
    return Stopped.FINISHED, f"all {session.num_steps} steps done"
