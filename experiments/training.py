"""How fast the training loop is on the device here: `python -m mcr2_landscape.experiments.training [OUT.json]`.

The peer is the loop that everyone writes by hand: a jitted step of equinox and optax, called from Python. Both train the same
network from the same parameters with the same batches in the same precision, in turns, and a figure counts only if they end at
the same parameters (to the rounding of the device). The hardware's limit is the rate at which the same device multiplies large
square matrices in the same precision; the figure beside it is what the network's own products, forward and backward, come to.
Small networks are bound by the dispatch of each operation and stay far below it.

On a GPU, bfloat16 is measured beside float32. On a processor without bfloat16 units it is slower, and is not measured.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # a program's setting, before JAX is imported
    os.environ.setdefault("NPROC", "1")

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from mcr2_landscape.data import digits
from mcr2_landscape.provenance import describe_device, versions
from mcr2_landscape.training import Encoder, cross_entropy, fit

ROUNDS = 5
OPTIMIZER = optax.sgd(0.05, momentum=0.9)  # one object: another one is another program to both
STEPS = 200
# inputs, width, hidden layers, outputs, samples
SHAPES = ((64, 128, 2, 20, 1797), (64, 32, 1, 10, 256))
LARGE = (256, 1024, 3, 64, 8192)  # minutes on a processor


class Loss(eqx.Module):
    """Cross-entropy of what the encoder says."""

    def __call__(self, model: Any, batch: Any, key: jax.Array) -> jax.Array:
        return cross_entropy(jax.vmap(model)(batch["x"]).astype(jnp.float32), batch["y"])


def problem(shape: tuple[int, ...]) -> tuple[Any, dict[str, np.ndarray]]:
    """A network, and data: the digits where they fit, else Gaussian noise."""
    inputs, width, depth, outputs, samples = shape
    model = Encoder(inputs, outputs, width=width, depth=depth, key=jax.random.key(0))
    if inputs == 64:
        data = digits()
        x, y = data.features[:samples] / 16, data.labels[:samples]
    else:
        random = np.random.default_rng(0)
        x, y = random.standard_normal((samples, inputs)), random.integers(0, outputs, samples)
    return model, {"x": x.astype(np.float32), "y": np.asarray(y, dtype=np.int32)}


def ours(model: Any, data: Any, precision: str) -> Callable[[], Any]:
    """A training with the library's loop."""

    def run() -> Any:
        return fit(
            model,
            Loss(),
            data,
            optimizer=OPTIMIZER,
            num_steps=STEPS,
            key=0,
            precision=precision,
            record_every=STEPS,
        ).model

    return run


def by_hand(model: Any, data: Any, precision: str) -> Callable[[], Any]:
    """The same training with a jitted step in a Python loop. In bfloat16 the loss gets parameters and batch cast to it, while
    the parameters themselves, the gradient and the optimizer stay in float32."""
    loss = Loss()

    def cast(leaf: Any) -> Any:
        lower = precision == "bfloat16" and eqx.is_inexact_array(leaf)
        return leaf.astype(jnp.bfloat16) if lower else leaf

    @eqx.filter_jit
    def step(model: Any, state: Any, batch: Any) -> Any:
        def value(m: Any) -> jax.Array:
            return loss(jax.tree.map(cast, m), jax.tree.map(cast, batch), jax.random.key(0))

        gradient = eqx.filter_grad(value)(model)
        updates, state = OPTIMIZER.update(gradient, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state

    def run() -> Any:
        current, state = model, OPTIMIZER.init(eqx.filter(model, eqx.is_inexact_array))
        batch = jax.tree.map(jnp.asarray, data)
        for _ in range(STEPS):
            current, state = step(current, state, batch)
        return jax.block_until_ready(current)

    return run


def seconds(run: Callable[[], Any]) -> float:
    """Wall seconds of a call."""
    began = time.perf_counter()
    jax.block_until_ready(eqx.filter(run(), eqx.is_array))
    return time.perf_counter() - began


def apart(first: Any, second: Any) -> float:
    """The largest difference of two models' parameters, relative to the largest parameter."""
    pairs = zip(*(jax.tree.leaves(eqx.filter(m, eqx.is_inexact_array)) for m in (first, second)), strict=True)
    leaves = [(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in pairs]
    return max(float(np.abs(a - b).max()) for a, b in leaves) / max(float(np.abs(a).max()) for a, _ in leaves)


def limit(dtype: Any) -> float:
    """Operations a second of large products on this device: the best of a few."""
    size = 4096 if jax.default_backend() != "cpu" else 1024
    matrix = jnp.ones((size, size), dtype)
    product = jax.jit(lambda a: a @ a)
    product(matrix).block_until_ready()
    best = min(seconds(lambda: product(matrix)) for _ in range(5))
    return 2 * size**3 / best


def operations(shape: tuple[int, ...]) -> float:
    """Of the network's products in one step: each forward product has two backward, the first layer's one."""
    inputs, width, depth, outputs, samples = shape
    return samples * (4 * inputs * width + 6 * ((depth - 1) * width**2 + width * outputs))


def measure() -> list[dict[str, Any]]:
    """A row for each network and precision."""
    rows = []
    fast = jax.default_backend() != "cpu"
    for shape in (*SHAPES, LARGE) if fast else SHAPES:
        model, data = problem(shape)
        for precision in ("float32", "bfloat16") if fast else ("float32",):
            a, b = ours(model, data, precision), by_hand(model, data, precision)
            difference = apart(a(), b())  # compiles too
            turns = [(seconds(a), seconds(b)) for _ in range(ROUNDS)]
            own, peer = (statistics.median(column) for column in zip(*turns, strict=True))
            # float32 sums in another order, 200 steps long; bfloat16 has 8 bits.
            right = difference < (1e-3 if precision == "float32" else 0.2)
            rows.append(
                {
                    "network": " × ".join(map(str, shape)),
                    "precision": precision,
                    "steps_per_second": STEPS / own,
                    "by_hand": STEPS / peer,
                    "ratio": peer / own,
                    "of_limit": operations(shape)
                    * STEPS
                    / own
                    / limit(jnp.float32 if precision == "float32" else jnp.bfloat16),
                    "difference": difference,
                    "right": right,
                }
            )
    return rows


def main(arguments: list[str]) -> int:
    """Print the table; write it as JSON where a path is given. 1 if a result is wrong."""
    rows = measure()
    print("inputs × width × hidden layers × outputs × samples")
    for r in rows:
        print(
            f"{r['network']:28} {r['precision']:9} {r['steps_per_second']:9.1f} steps/s   by hand {r['by_hand']:9.1f}"
            f"   ratio {r['ratio']:5.2f}   {100 * r['of_limit']:5.1f} % of the limit   apart {r['difference']:.1e}   "
            f"{'ok' if r['right'] else 'WRONG'}"
        )
    print(f"{describe_device()}; " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    if arguments:
        Path(arguments[0]).write_text(json.dumps({"figures": rows, "versions": versions()}, indent=1) + "\n")
    return 0 if all(r["right"] for r in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
