"""Small trainings that the tests share: the same functions, so that each is compiled once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from mcr2_landscape.training.leaves import is_key

NUM_SAMPLES, NUM_STEPS = 10, 23


class Net(eqx.Module):
    """Two layers, and a part that is not trained."""

    inner: jax.Array
    outer: jax.Array
    offset: jax.Array

    def __init__(self, seed=0):
        random = np.random.default_rng(seed)
        self.inner = jnp.asarray(random.standard_normal((4, 3)), dtype=jnp.float32)
        self.outer = jnp.asarray(random.standard_normal((2, 4)), dtype=jnp.float32)
        self.offset = jnp.arange(4, dtype=jnp.int32)

    def __call__(self, x):
        return self.outer @ jnp.tanh(self.inner @ x + 0.1 * self.offset.astype(x.dtype))


class Scaled(eqx.Module):
    """A loss with an array in it, which is an argument of the compiled program."""

    scale: np.ndarray

    def __call__(self, model, batch, key):
        value, metrics = loss(model, batch, key)
        return value * self.scale.astype(value.dtype), metrics


def loss(model, batch, key):
    """Least squares with noise on the inputs, so that the key matters; the metric tells which samples were in the batch."""
    noise = 0.01 * jax.random.normal(key, batch["x"].shape, dtype=batch["x"].dtype)
    error = jax.vmap(model)(batch["x"] + noise) - batch["y"]
    return jnp.mean(error**2), {"drawn": jnp.sum(2.0 ** batch["id"].astype(jnp.float32))}


def data(seed=1):
    random = np.random.default_rng(seed)
    return {
        "x": random.standard_normal((NUM_SAMPLES, 3)),
        "y": random.standard_normal((NUM_SAMPLES, 2)),
        "id": np.arange(NUM_SAMPLES),
    }


ADAM = optax.adam(1e-2)
OPTIONS = {"optimizer": ADAM, "num_steps": NUM_STEPS, "key": 5, "batch_size": 4, "record_every": 3}


def bits(training):
    """What has to be the same: every leaf of model and optimizer, and the history but for its times."""
    leaves = jax.tree.leaves((training.model, training.optimizer_state))
    state = [np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf).tobytes() for leaf in leaves]
    return training.step, state, {name: c.tobytes() for name, c in training.history.items() if name != "seconds"}
