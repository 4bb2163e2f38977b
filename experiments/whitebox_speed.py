"""How fast white-box transformers are on two cores: `python -m mcr2_landscape.experiments.whitebox_speed [OUT.json]`.

Wall time in turns, A B C A B C …, ratios within a round, medians and quartiles over rounds, each gated on its result:

- the forward pass of CRATE-B/16, 8 images, float32, beside its own matrix products alone (the limit) and beside plain PyTorch
  with the same weights, whose attention is fused or as written. Logits have to agree to 1e-4 of their norm, and small networks
  of every kind (CRATE, CRATE-α, CRATE-MAE) to 1e-12 in float64.
- R_c and its gradient at d = 768, N = 4096, K = 12, p = 64, float32, beside their products, and the bytes that the compiler
  lays out for what is in between, which have to be less than one N × N array. They have to agree to 1e-4 with a NumPy oracle in
  float64.
- steps a second of one training of the digits (d = 48, 6 layers, 440 steps), beside the products of its steps.

The exit status is 1 if a result is wrong or a goal missed, 2 if all is well but PyTorch is not there to compare with.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

if __name__ == "__main__":
    # Two cores for all, before NumPy, JAX and PyTorch are imported and count them.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-2:])
    os.environ |= {"NPROC": "2", "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    os.environ |= {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "0"}

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape import whitebox as wb
from mcr2_landscape.bench.oracle import difference
from mcr2_landscape.bench.timing import Quartiles, in_turns, ratios
from mcr2_landscape.bench.transformer_limits import forward_products, rate_products
from mcr2_landscape.data import digit_images
from mcr2_landscape.training.images import train_images
from mcr2_landscape.whitebox.parameters import parameters, with_parameters

from .measured_rows import Row, all_rows, row, run_table

LIMIT_GOAL, TORCH_GOAL = 0.8, 0.9
SINGLE, DOUBLE = 1e-4, 1e-12
EPSILON, ACCURACY = 0.5, 0.85
INSTALL = 'pip install "mcr2_landscape[peers]"'
_SECONDS = 0.02
_SMALL = {"dim": 8, "depth": 2, "heads": 2, "image_size": (8, 12), "patch": 4, "channels": 2, "num_classes": 3}
FAMILIES = ("crate", "crate-alpha", "crate-mae")


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def torch_call(model: Any, images: np.ndarray, *, fused: bool, masked: Any = None) -> Callable[[], np.ndarray]:
    """The same network in PyTorch, as a call that returns its output."""
    import torch  # pyright: ignore[reportMissingImports]

    from mcr2_landscape.bench.torch_crate import of_state

    dtype = torch.float64 if images.dtype == np.float64 else torch.float32
    network = of_state(model.architecture, wb.torch_state(model), fused=fused, dtype=dtype)
    inputs = [torch.from_numpy(np.array(value)) for value in (images, masked) if value is not None]

    def call() -> np.ndarray:
        with torch.inference_mode():
            return network(*inputs).numpy()

    return call


def double_rows(families: tuple[str, ...] = FAMILIES) -> list[Row]:
    """How far small networks in float64 are from PyTorch's, all parameters random."""
    rows = []
    for family in families:
        what = f"{family}, small, float64, off PyTorch"
        if not has_torch():
            rows.append(row(what, None, note=f"PyTorch is not installed: {INSTALL}"))
            continue
        random, architecture = np.random.default_rng(0), wb.Architecture.published(**_SMALL, family=family)
        with jax.enable_x64(True):
            model = eqx.filter_eval_shape(lambda a=architecture: wb.build(a, key=jax.random.key(0), dtype=jnp.float64))
            own = {name: random.normal(0.5 if "scale" in name else 0, 0.5, x.shape) for name, x in parameters(model).items()}
            model = with_parameters(model, {name: jnp.asarray(value) for name, value in own.items()})
            images, masked = random.standard_normal((2, 2, 8, 12)), None
            if architecture.is_autoencoder:
                masking = model.mask(jax.random.key(1), (2,))
                found, masked = model.complete(images, masking=masking).patches, np.asarray(masking.masked)
            else:
                found = model(images)
            calls = [torch_call(model, images, fused=fused, masked=masked) for fused in (True, False)]
            off = max(difference(call(), np.asarray(found)) for call in calls)
        rows.append(row(what, off, most=DOUBLE, right=off < DOUBLE))
    return rows


def forward_rows(model: Any, images: np.ndarray, rounds: int, name: str) -> list[Row]:
    """The forward pass beside its products alone and beside PyTorch; nothing of PyTorch that is off is timed."""
    limit = forward_products(model.architecture, len(images))
    program, inputs = eqx.filter_jit(lambda network, batch: network(batch)), jnp.asarray(images)
    logits = np.asarray(program(model, inputs), dtype=np.float64)
    limit.run()
    calls: dict[str, Callable[[], object]] = {"ours": lambda: jax.block_until_ready(program(model, inputs)), "limit": limit.run}
    others, offs = {"torch, fused attention": True, "torch, attention as written": False}, {}
    if has_torch():
        import torch  # pyright: ignore[reportMissingImports]

        if "OMP_NUM_THREADS" in os.environ:
            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        for other, fused in others.items():
            call = torch_call(model, images, fused=fused)
            offs[other] = difference(call(), logits)
            if offs[other] <= SINGLE:
                calls[other] = call
    times = in_turns(calls, rounds, _SECONDS, time.perf_counter)
    compared = ratios(times, "ours")
    rows = [row(f"{name}, forward", Quartiles.of([1e3 * t for t in times["ours"]]), unit="ms")]
    rate = Quartiles.of([limit.flops / t / 1e9 for t in times["limit"]])
    note = f"{limit.flops / 1e9:.4g} Gflop, the products alone at {rate.median:.3g} Gflop/s"
    rows.append(row(f"{name}, of the limit", compared["limit"], least=LIMIT_GOAL, note=note))
    for other in others:
        what = f"{name}, times as fast as {other}"
        if other not in offs:
            rows.append(row(what, None, least=TORCH_GOAL, note=f"PyTorch is not installed: {INSTALL}"))
            continue
        note = f"logits differ by {offs[other]:.1e}"
        rows.append(row(what, compared.get(other), least=TORCH_GOAL, right=other in calls, note=note))
    return rows


def rate_oracle(Z: np.ndarray, U: np.ndarray, epsilon: float) -> tuple[float, np.ndarray]:
    """R_c and its gradient in float64 from log-determinants and inverses p × p, head by head."""
    Z, U = Z.astype(np.float64), U.astype(np.float64)
    alpha, value, gradient = U.shape[2] / (Z.shape[1] * epsilon**2), 0.0, np.zeros_like(Z)
    for basis in U:
        V = basis.T @ Z
        inside = np.eye(len(V)) + alpha * V @ V.T
        value += 0.5 * np.linalg.slogdet(inside)[1]
        gradient += alpha * basis @ np.linalg.solve(inside, V)
    return float(value), gradient


def rate_and_gradient(Z: Any, U: Any) -> tuple[Any, Any]:
    """What is measured."""
    return wb.coding_rate_given(Z, U, EPSILON), wb.coding_rate_given_gradient(Z, U, EPSILON)


def rate_rows(
    dim: int, num_tokens: int, heads: int, head_dim: int, rounds: int, function: Callable[..., Any] = rate_and_gradient
) -> list[Row]:
    """R_c and its gradient: time beside the products, and the memory of what is in between."""
    random = np.random.default_rng(0)
    U = wb.random_bases(key=random, heads=heads, dim=dim, rank=head_dim).astype(np.float32)
    Z = random.standard_normal((dim, num_tokens), np.float32)
    compiled = jax.jit(function).lower(Z, U).compile()
    operands = jnp.asarray(Z), jnp.asarray(U)
    found, expected = [np.asarray(part) for part in compiled(*operands)], rate_oracle(Z, U, EPSILON)
    off = max(difference(own, np.asarray(other)) for own, other in zip(found, expected, strict=True))
    limit = rate_products(dim, num_tokens, heads, head_dim)
    limit.run()
    calls = {"ours": lambda: jax.block_until_ready(compiled(*operands)), "limit": limit.run}
    times = in_turns(calls, rounds, _SECONDS, time.perf_counter)
    what, note = f"R_c and gradient, d = {dim}, N = {num_tokens}", f"off the oracle by {off:.1e}"
    memory: Any = compiled.memory_analysis()
    in_between, array = memory.temp_size_in_bytes, 4 * num_tokens**2
    about = f"{heads} heads of {head_dim}; {in_between / array:.2g} of an N × N array, in between"
    return [
        row(what, Quartiles.of([1e3 * t for t in times["ours"]]), unit="ms", right=off <= SINGLE, note=note),
        row(f"{what}, of the limit", ratios(times, "ours")["limit"], note=f"{limit.flops / 1e9:.3g} Gflop"),
        row(f"{what}, memory", in_between / 1e6, unit="MB", most=array / 1e6, note=about),
    ]


def training_rows(num_steps: int, rounds: int, sizes: Mapping[str, Any], accuracy: float = ACCURACY) -> list[Row]:
    """Steps a second of a training of the digits, its program compiled before, beside the products of its steps."""
    train, test = digit_images().split(0.2, key=0)
    architecture = wb.Architecture.published(**sizes, image_size=8, patch=2, channels=1, num_classes=10)
    batch = min(128, len(train.images))
    settings: dict[str, Any] = {"num_steps": num_steps, "batch_size": batch, "key": 0}
    train_images(architecture, train, test, **settings)
    found = train_images(architecture, train, test, **settings)
    rate = found.training.step / found.training.session_seconds
    limit = forward_products(architecture, batch)
    limit.run()
    seconds = Quartiles.of(in_turns({"limit": limit.run}, rounds, _SECONDS, time.perf_counter)["limit"]).median
    reached = found.test_accuracy or 0.0
    what, note = f"training of the digits, {num_steps} steps", f"test accuracy {reached:.3f}, {found.parameters:,} parameters"
    note_of_limit = f"{1 / (3 * seconds):.4g} steps/s: each product forward has two backward"
    return [
        row(what, rate, unit="steps/s", right=found.training.step == num_steps and reached >= accuracy, note=note),
        row(f"{what}, of the limit", 3 * seconds * rate, note=note_of_limit),
    ]


def measure(rounds: int) -> list[Row]:
    """All figures, each said as it is found."""
    model = wb.Crate.from_name("CRATE-B/16", key=jax.random.key(0))
    images = np.random.default_rng(0).standard_normal((8, 3, 224, 224), np.float32)
    return all_rows(
        (
            double_rows,
            lambda: forward_rows(model, images, rounds, "CRATE-B/16, 8 images"),
            lambda: rate_rows(768, 4096, 12, 64, rounds),
            lambda: training_rows(440, rounds, {"dim": 48, "depth": 6, "heads": 4}),
        )
    )


def peer_versions() -> dict[str, str]:
    """PyTorch's version, where it is installed."""
    if not has_torch():
        return {}
    import torch  # pyright: ignore[reportMissingImports]

    return {"torch": str(torch.__version__)}


def main(arguments: list[str] | None = None) -> int:
    """Print the table; write it as JSON where a path is given."""
    return run_table("whitebox_speed", arguments, measure=lambda rounds: measure(rounds), rounds=11, peers=peer_versions)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
