import functools
import io
import signal
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import rich.console

from mcr2_landscape.errors import InputError
from mcr2_landscape.training import Status, Stopped, fit

from .problems import NUM_SAMPLES, NUM_STEPS, OPTIONS, Net, Scaled, bits, data, loss


def squares(model, batch, key):
    return jnp.sum(model["w"] ** 2)


START = {"w": jnp.asarray([3.0, -4.0], dtype=jnp.float32)}


class TestResult:
    def test_gradient_descent_by_hand(self):
        result = fit(START, squares, optimizer=optax.sgd(0.25), num_steps=3, key=0, record_every=1)
        assert result.model["w"].tolist() == [3 / 8, -4 / 8]  # each step halves
        assert result.history["loss"].tolist() == [25, 25 / 4, 25 / 16]
        assert result.history["gradient_norm"].tolist() == [10, 5, 2.5]
        assert (result.loss, result.gradient_norm, result.step) == (25 / 16, 2.5, 3)
        assert START["w"].tolist() == [3, -4], "the caller's model is its own"

    def test_history_and_plain_form(self):
        result = fit(Net(), loss, data(), **OPTIONS)
        assert result.stopped is Stopped.FINISHED
        assert result.history["step"].tolist() == [1, 3, 6, 9, 12, 15, 18, 21, 23]
        assert (np.diff(result.history["seconds"]) >= 0).all()
        assert result.history["seconds"][-1] <= result.seconds
        assert result.history["loss"][-1] == result.loss
        assert result.metrics == {"drawn": result.history["drawn"][-1]}
        plain = result.to_dict()
        assert plain["stopped"] == "finished"
        assert "model" not in plain
        assert plain["fingerprint"] == {}  # nothing was to be kept

    def test_what_is_not_floating_point_stays(self):
        result = fit(Net(), loss, data(), **OPTIONS)
        assert result.model.offset.tolist() == [0, 1, 2, 3]
        assert result.model.offset.dtype == jnp.int32
        assert not np.array_equal(result.model.inner, Net().inner)

    def test_long_histories_of_short_steps(self):
        result = fit(START, squares, optimizer=optax.sgd(1e-3), num_steps=1100, key=0, record_every=1)
        assert result.history["step"].tolist() == list(range(1, 1101))
        assert np.allclose(result.history["loss"], 25 * (1 - 2e-3) ** (2 * np.arange(1100.0)), rtol=1e-3)


class TestBatches:
    def drawn(self, num_steps, batch_size):
        result = fit(Net(), loss, data(), **{**OPTIONS, "num_steps": num_steps, "batch_size": batch_size, "record_every": 1})
        return [
            [i for i in range(NUM_SAMPLES) if int(code) >> i & 1] for code in result.history["drawn"].astype(np.int64).tolist()
        ]

    def test_an_epoch_sees_a_sample_at_most_once_and_the_next_has_another_order(self):
        batches = self.drawn(12, 4)  # two whole batches an epoch; two samples sit it out
        assert all(len(batch) == 4 for batch in batches)
        epochs = [batches[i] + batches[i + 1] for i in range(0, 12, 2)]
        assert all(len(set(epoch)) == 8 for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 1
        assert len({frozenset(range(NUM_SAMPLES)) - frozenset(epoch) for epoch in epochs}) > 1

    def test_all_samples_at_once(self):
        for size in (None, NUM_SAMPLES):
            assert self.drawn(2, size) == [list(range(NUM_SAMPLES))] * 2

    def test_batches_from_a_function_and_no_data(self, tmp_path):
        def make(key, step):
            return {"x": jax.random.normal(key, (5, 3)), "y": jnp.full((5, 2), 1.0), "id": jnp.arange(5) + step}

        options = {**OPTIONS, "batch_size": None}
        whole = fit(Net(), loss, make, **options)
        assert whole.history["drawn"][0] == 31
        assert len(set(whole.history["drawn"])) == len(whole.history["drawn"])
        fit(Net(), loss, make, **{**options, "num_steps": 5}, checkpoint=tmp_path)
        assert bits(fit(Net(), loss, make, **options, checkpoint=tmp_path, resume=True)) == bits(whole)


class TestOneCompilation:
    def test_chunks_and_later_trainings_compile_nothing(self):
        traced = []

        def counted(model, batch, key):
            traced.append(None)
            return loss(model, batch, key)

        first = fit(Net(), counted, data(), **OPTIONS)
        once = len(traced)
        assert once == 2  # for the names of the metrics, and for the program
        fit(Net(3), counted, data(7), **{**OPTIONS, "num_steps": 300, "key": 8})
        assert len(traced) == once + 1
        assert first.step == NUM_STEPS


class TestStopping:
    def test_time(self, tmp_path):
        result = fit(Net(), loss, data(), **OPTIONS, max_seconds=1e-9, checkpoint=tmp_path)
        assert (result.stopped, result.step) == (Stopped.TIME, 1)
        assert "the time of 1e-09 s was over after 1 of 23 steps" in result.reason
        seconds = result.seconds
        result = fit(Net(), loss, data(), **OPTIONS, max_seconds=600, checkpoint=tmp_path, resume=True)
        assert result.stopped is Stopped.FINISHED
        assert result.seconds == pytest.approx(seconds + result.session_seconds, abs=0.2)
        assert bits(result) == bits(fit(Net(), loss, data(), **OPTIONS))

    def test_time_that_runs_out_on_the_way(self):
        result = fit(START, squares, optimizer=optax.sgd(1e-9), num_steps=10**9, key=0, max_seconds=0.5, record_every=10**6)
        assert result.stopped is Stopped.TIME
        assert 100 < result.step < 10**9
        assert result.session_seconds < 5

    def test_progress_and_stop_see_the_same(self):
        seen: list[Status] = []

        def stop(status):
            assert status == seen[-1]
            return status.step >= 2

        result = fit(Net(), loss, data(), **OPTIONS, progress=seen.append, stop=stop)
        assert (result.stopped, result.step) == (Stopped.REQUESTED, seen[-1].step)
        assert seen[-1].loss == result.loss
        assert seen[-1].num_steps == NUM_STEPS
        assert seen[-1].seconds_left is not None
        assert seen[-1].steps_per_second > 0

    def test_ctrl_c(self, tmp_path):
        handler = signal.getsignal(signal.SIGINT)
        result = fit(
            Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, progress=lambda status: signal.raise_signal(signal.SIGINT)
        )
        assert (result.stopped, result.step) == (Stopped.INTERRUPTED, 1)
        assert signal.getsignal(signal.SIGINT) is handler
        result = fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, resume=True)
        assert bits(result) == bits(fit(Net(), loss, data(), **OPTIONS))

    def test_a_second_ctrl_c_is_heard_at_once(self, tmp_path):
        def twice(status):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, checkpoint_every=1, progress=twice)
        assert signal.getsignal(signal.SIGINT) is handler
        result = fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, resume=True)
        assert result.resumed_from == 1

    def test_a_callback_that_raises_it(self):
        def press(status):
            raise KeyboardInterrupt

        assert fit(Net(), loss, data(), **OPTIONS, progress=press).stopped is Stopped.INTERRUPTED

    def test_another_thread_and_another_handler(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(fit(Net(), loss, data(), **OPTIONS).stopped))
        thread.start()
        thread.join()
        assert found == [Stopped.FINISHED]
        own = []
        earlier = signal.signal(signal.SIGINT, lambda *_: own.append(1))
        try:
            fit(Net(), loss, data(), **OPTIONS, progress=lambda status: signal.raise_signal(signal.SIGINT))
        finally:
            signal.signal(signal.SIGINT, earlier)
        assert own

    def test_the_bar(self, monkeypatch):
        shown = io.StringIO()
        terminal = functools.partial(rich.console.Console, force_terminal=True, width=120, file=shown)
        monkeypatch.setattr(rich.console, "Console", lambda **_: terminal())
        assert fit(Net(), loss, data(), **OPTIONS, progress=True).stopped is Stopped.FINISHED
        assert f"step {NUM_STEPS} of {NUM_STEPS}, loss" in shown.getvalue()

    @pytest.mark.parametrize("which", ["progress", "stop"])
    def test_a_callback_that_raises(self, tmp_path, which):
        def fail(status):
            raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, **{which: fail})
        result = fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, resume=True)
        assert result.resumed_from == 1
        assert bits(result) == bits(fit(Net(), loss, data(), **OPTIONS))


class TestDivergence:
    @staticmethod
    def log(model, batch, key):
        return jnp.sum(jnp.log(model["w"]))

    @pytest.mark.parametrize(
        ("objective", "start", "rate", "says", "steps"),
        [
            (log, [3.5, 1.0], 1.0, "the loss was -inf in step 2", 1),  # from 1 the first step leads to 0
            (lambda m, b, k: jnp.sum(jnp.sqrt(jnp.abs(m["w"]))), [0.0, 1.0], 0.1, "the gradient's norm was not finite", 0),
            (lambda m, b, k: jnp.sum(1e3 * m["w"]), [1.0, 2.0], 1e36, "the parameters became infinite", 0),
        ],
    )
    def test_it_stops_in_the_state_before(self, tmp_path, objective, start, rate, says, steps):
        model = {"w": jnp.asarray(start, dtype=jnp.float32)}
        for resume in (False, True):  # it goes wrong again, in the same place
            result = fit(
                model, objective, optimizer=optax.sgd(rate), num_steps=50, key=0, checkpoint=tmp_path, resume=resume
            )  # fmt: skip
            assert (result.stopped, result.step) == (Stopped.DIVERGED, steps)
            assert says in result.reason
            assert np.isfinite(np.asarray(result.model["w"])).all()
            assert np.isfinite(result.history["loss"]).all()
            assert (tmp_path / "training.checkpoint").exists()
        assert result.resumed_from == steps

    def test_squares_that_leave_the_range(self):
        """The gradient is finite, and Adam's second moment is not: it would divide every step by infinity, and "finish"."""
        model = {"w": jnp.asarray([1.0, 2.0], dtype=jnp.float32)}
        result = fit(
            model, lambda m, b, k: 1e25 * jnp.sum(m["w"] ** 2), optimizer=optax.adam(0.1), num_steps=50, key=0
        )  # fmt: skip
        assert (result.stopped, result.step) == (Stopped.DIVERGED, 0)
        assert "the gradient's norm was not finite" in result.reason


DECAYING = {**OPTIONS, "optimizer": optax.adamw(1e-2, weight_decay=0.1)}


class TestTrainable:
    @pytest.mark.parametrize(
        "trainable",
        [
            lambda leaf: leaf.shape == (2, 4),
            eqx.tree_at(lambda net: (net.inner, net.outer, net.offset), Net(), (False, True, False)),
        ],
        ids=["function", "pytree"],
    )
    def test_what_is_fixed_keeps_its_bits(self, tmp_path, trainable):
        result = fit(Net(), loss, data(), **DECAYING, trainable=trainable)
        assert np.asarray(result.model.inner).tobytes() == np.asarray(Net().inner).tobytes()
        assert not np.array_equal(result.model.outer, Net().outer)
        assert {leaf.shape for leaf in jax.tree.leaves(result.optimizer_state)} == {(), (2, 4)}
        fit(Net(), loss, data(), **{**DECAYING, "num_steps": 4}, trainable=trainable, checkpoint=tmp_path)
        again = fit(Net(), loss, data(), **DECAYING, trainable=trainable, checkpoint=tmp_path, resume=True)
        assert bits(again) == bits(result)
        with pytest.raises(InputError, match="what differs is the model"):
            fit(Net(), loss, data(), **DECAYING, checkpoint=tmp_path, resume=True)

    @pytest.mark.parametrize("precision", ["float64", "bfloat16"])
    def test_what_is_fixed_is_computed_in_the_same_precision(self, precision):
        seen = set()

        def watch(model, batch, key):
            seen.update({model.inner.dtype, model.outer.dtype})
            return loss(model, batch, key)

        fit(Net(), watch, data(), **DECAYING, trainable=lambda leaf: leaf.shape == (2, 4), precision=precision)
        assert seen == {jnp.dtype(precision)}

    @pytest.mark.parametrize(
        ("trainable", "says"),
        [
            (lambda leaf: False, "trainable: chooses no"),
            ({"w": True}, "trainable: does not fit"),
            (3, "trainable: does not fit"),
        ],
    )
    def test_mistakes(self, trainable, says):
        with pytest.raises(InputError, match=says):
            fit(Net(), loss, data(), **DECAYING, trainable=trainable)


def test_what_a_loss_closes_over_is_read_once():
    """As under jax.jit. A number that is to change belongs into a module."""
    weight = [1.0]

    def weighted(model, batch, key):
        return weight[0] * squares(model, batch, key)

    class Weighted(eqx.Module):
        weight: np.ndarray

        def __call__(self, model, batch, key):
            return self.weight * squares(model, batch, key)

    options = {"optimizer": optax.sgd(0.25), "num_steps": 2, "key": 0}
    first = fit(START, weighted, **options)
    weight[0] = 0.5
    assert bits(fit(START, weighted, **options)) == bits(first)
    ends = [fit(START, Weighted(np.float32(w)), **options).model["w"].tolist() for w in (1.0, 0.5)]
    assert ends == [[3 / 4, -1.0], [27 / 16, -9 / 4]]


class TestPrecision:
    def test_bfloat16_is_for_the_loss_alone(self):
        seen = {}

        def watch(model, batch, key):
            seen.update(model=model.inner.dtype, batch=batch["x"].dtype, labels=batch["id"].dtype)
            return loss(model, batch, key)

        options = {**OPTIONS, "num_steps": 100}
        result = fit(Net(), watch, data(), **options, precision="bfloat16")
        assert seen == {"model": jnp.bfloat16, "batch": jnp.bfloat16, "labels": jnp.int32}
        leaves = jax.tree.leaves((eqx.filter(result.model, eqx.is_inexact_array), result.optimizer_state))
        assert {leaf.dtype for leaf in leaves} == {np.dtype("float32"), np.dtype("int32")}
        exact = fit(Net(), loss, data(), **options)
        assert result.loss == pytest.approx(exact.loss, rel=0.1)
        assert bits(result) != bits(exact)
        # What bfloat16 itself cannot hold is held: the steps are smaller than its spacing.
        tiny = fit(START, squares, optimizer=optax.sgd(1e-4), num_steps=10, key=0, precision="bfloat16")
        assert START["w"][0] - tiny.model["w"][0] == pytest.approx(10 * 6e-4, rel=0.02)

    def test_float64(self):
        with jax.enable_x64(False):
            result = fit(Net(), loss, data(), **OPTIONS, precision="float64")
        assert result.model.inner.dtype == np.float64
        single = fit(Net(), loss, data(), **OPTIONS)
        assert single.model.inner.dtype == np.float32

    def test_the_same_key_in_each_form(self):
        forms = [5, np.int64(5), jax.random.key(5), jax.random.PRNGKey(5)]
        results = [bits(fit(Net(), loss, data(), **{**OPTIONS, "key": key})) for key in forms]
        assert results == [results[0]] * 4
        assert bits(fit(Net(), loss, data(), **{**OPTIONS, "key": 6})) != results[0]


def _bad_data(**changes):
    return {**data(), **changes}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": {"n": jnp.arange(3)}}, "model: found no floating-point array"),
        ({"model": {"w": jnp.asarray([jnp.nan])}}, r"model\['w'\]: found NaN"),
        ({"model": {"w": jnp.asarray([1j])}}, r"model\['w'\]: found complex"),
        ({"model": {"w": jnp.ones(2), "n": np.array([2**40])}}, r"model\['n'\]: found integers beyond 32 bits"),
        ({"loss": Scaled(np.array(2**40))}, r"loss\.scale: found integers beyond 32 bits"),
        ({"loss": 3}, "loss: found int; pass a function"),
        ({"loss": lambda m, b, k: None}, "loss: returned NoneType; return one number"),
        ({"loss": lambda m, b, k: "x"}, "loss: returned str; return one number"),
        ({"loss": lambda m, b, k: jax.lax.complex(jnp.sum(m.inner), 1.0)}, "loss: returned complex64"),
        ({"loss": lambda m, b, k: (jnp.sum(m.inner), {"a": None})}, "the metric 'a': returned NoneType; return one number"),
        ({"loss": lambda m, b, k: (jnp.sum(m.inner), {"a": "x"})}, "the metric 'a': returned str; return one number"),
        ({"loss": lambda m, b, k: (jnp.sum(m.inner), {"a": 1j})}, "the metric 'a': returned complex"),
        ({"loss": lambda m, b, k: m.inner}, r"loss: found shape \(4, 3\); return one number"),
        ({"loss": lambda m, b, k: jnp.asarray(3)}, "loss: returned int"),
        ({"loss": lambda m, b, k: (jnp.sum(m.inner), 3)}, "second part is no dictionary"),
        ({"loss": lambda m, b, k: (jnp.sum(m.inner), {"a": m.inner})}, "the metric 'a': found shape"),
        ({"loss": lambda m, b, k: (jnp.sum(m.inner), {"step": jnp.sum(m.inner)})}, "the metric 'step' has the name"),
        ({"data": _bad_data(x=np.full((NUM_SAMPLES, 3), np.inf))}, r"data\['x'\]: found infinity"),
        ({"data": _bad_data(x=np.full((NUM_SAMPLES, 3), 1e300))}, r"data\['x'\] as float32: found infinity"),
        ({"data": _bad_data(x=np.ones((3, 3)))}, "differ in their numbers of samples"),
        ({"data": _bad_data(x=np.float64(3))}, "found one number"),
        ({"data": _bad_data(x=np.array(["a"] * NUM_SAMPLES))}, "pass real numbers"),
        ({"data": _bad_data(id=np.arange(NUM_SAMPLES) + 2**40)}, "beyond 32 bits"),
        ({"data": {}}, "found no array in it"),
        ({"data": {"x": np.ones((0, 3))}}, "found no samples"),
        ({"data": None}, "there are no data"),
        ({"data": lambda key, step: {}}, "made by a function"),
        ({"batch_size": NUM_SAMPLES + 1}, "batch_size: found 11 for 10 samples"),
        ({"batch_size": 0}, "batch_size: found 0"),
        ({"optimizer": 3e-4}, "optimizer: found float; pass an optax optimizer"),
        ({"optimizer": optax.lookahead(optax.sgd(0.1), 5, 0.5)}, "optimizer: its update failed .*fast"),
        ({"optimizer": optax.GradientTransformation(lambda p: p["fast"], None)}, "optimizer: found GradientTransformation"),
        ({"optimizer": optax.GradientTransformation(lambda p: p["fast"], lambda *_: 0)}, "optimizer: its init failed"),
        ({"optimizer": optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.1))}, "optimizer: its update failed .*argument"),
        ({"num_steps": 0}, "num_steps: found 0"),
        ({"num_steps": 2**31}, "num_steps: found 2147483648"),
        ({"key": "a"}, "key: found str"),
        ({"key": -1}, "key: found the seed -1"),
        ({"precision": "float16"}, "precision: found 'float16'"),
        ({"record_every": 0}, "record_every: found 0"),
        ({"max_seconds": 0}, "max_seconds: found 0"),
        ({"checkpoint_every": 0}, "checkpoint_every: found 0"),
        ({"checkpoint_seconds": 0}, "checkpoint_seconds: found 0"),
    ],
)
def test_mistakes(changes, says):
    given = {"model": Net(), "loss": loss, "data": data(), **OPTIONS, **changes}
    with pytest.raises(InputError, match=says):
        fit(given.pop("model"), given.pop("loss"), given.pop("data"), **given)


@pytest.mark.parametrize(
    ("configuration", "says"),
    [({"key": 3}, "'key' is compared anyway"), ({"precision": 3}, "'precision' is compared anyway"), (3, "pass a dictionary")],
)
def test_mistakes_in_the_configuration(tmp_path, configuration, says):
    with pytest.raises(InputError, match=says):
        fit(Net(), loss, data(), **OPTIONS, checkpoint=tmp_path, configuration=configuration)
