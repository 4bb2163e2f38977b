"""Flattening and convolutional sparse coding on a CUDA device: `python -m mcr2_landscape.experiments.flatnet_csc_gpu --out
DIR`.

It writes DIR/flatnet_csc_gpu.json and DIR/flatnet_csc_gpu.md: device, driver, versions, date, and, in float64 and float32,

- points a second through encoder and decoder of a network that was fitted on the host (a Gaussian-process manifold, N = 2000,
  D = 100, d = 5), 1,000 to 256,000 points at once, and how far results are from NumPy's;
- steps of FISTA a second and image, 100 steps unrolled, 64 × 64 pixels, 32 atoms of 7 × 7, 1 to 256 images at once, beside the
  device's measured rate of matrix products, and how far codes are from a plain loop in NumPy with D as a sparse matrix;
- seconds of `csc.solve` to a gap of 1e-10 for 16 images, whose first-order steps run on the device, and whether NumPy finds the
  same gap.

Results have to agree to 1e-10 of their norm in float64 and to 1e-4 in float32. The exit status is 1 if one does not, 2 without
a CUDA device. `--dry-run` runs the same at tiny sizes on whatever device there is: nothing is then measured.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

if __name__ == "__main__":  # a program's settings, before JAX is imported
    os.environ.setdefault("NPROC", "1")
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape import csc, flatnet
from mcr2_landscape.bench.oracle import difference
from mcr2_landscape.data.manifolds import gaussian_process_manifold
from mcr2_landscape.record import to_plain
from mcr2_landscape.report.tables import Table

from .csc_speed import GAP, certified, explicit
from .device_scripts import conditions, heading, run_on_device
from .gpu import markdown_table, seconds_in_a_row

TOLERANCES = {"float64": 1e-10, "float32": 1e-4}


class Plan(NamedTuple):
    """Sizes of everything. `compared`, points and images, are those that NumPy computes too."""

    manifold: tuple[int, int, int] = (5, 100, 2000)  # d, D, N
    batches: tuple[int, ...] = (1_000, 16_000, 256_000)
    size: int = 64
    atoms: int = 32
    kernel: int = 7
    images: tuple[int, ...] = (1, 16, 256)
    steps: int = 100
    part: float = 0.1  # of λ_max, that λ is
    solved: int = 16
    square: int = 8192  # rows of the matrices by which the device's rate is measured
    compared: tuple[int, int] = (1000, 2)
    repeats: int = 5


TINY = Plan((1, 3, 40), (60,), 8, 3, 3, (2,), 4, 0.3, 2, 32, (20, 2), 1)


def flattening(plan: Plan) -> list[dict[str, Any]]:
    """Encoder and decoder, for each number of points and dtype."""
    manifold = gaussian_process_manifold(*plan.manifold, key=0)
    network = flatnet.fit_network(manifold.points, plan.manifold[0], key=0).network
    encode, decode = eqx.filter_jit(lambda own, x: own.encode(x)), eqx.filter_jit(lambda own, z: own.decode(z))
    random, rows = np.random.default_rng(0), []
    for count in plan.batches:
        points = manifold.points[random.integers(len(manifold.points), size=count)]
        few = points[: plan.compared[0]]
        codes = network.encode_rows(few)
        expected = codes, network.decode_rows(codes)
        for name, tolerance in TOLERANCES.items():
            x = jnp.asarray(points, name)
            with jax.default_matmul_precision("highest"):
                z = encode(network, x)
                found = z, decode(network, z)
                offs = [
                    difference(np.asarray(own[: len(few)], np.float64), other)
                    for own, other in zip(found, expected, strict=True)
                ]
                rates = [
                    count / min(seconds_in_a_row(call, plan.repeats) for _ in range(3))
                    for call in (lambda x=x: encode(network, x), lambda z=z: decode(network, z))
                ]
            about = {"points": count, "dtype": name, "layers": len(network.layers), "off": max(offs)}
            rows.append({**about, "encoded": rates[0], "decoded": rates[1], "right": max(offs) <= tolerance})
    return rows


def product_rate(size: int, dtype: str) -> float:
    """Flops a second of products of square matrices, the best of some."""
    matrix = jax.random.normal(jax.random.key(0), (size, size), jnp.dtype(dtype))
    product = jax.jit(lambda a: jnp.matmul(a, a, precision=jax.lax.Precision.HIGHEST))
    return 2 * size**3 / min(seconds_in_a_row(lambda: product(matrix), 3) for _ in range(3))


def plain_fista(matrix: Any, image: np.ndarray, steps: int, sparsity: float, step: float) -> np.ndarray:
    """The code of one image after so many steps of the definition, as a vector."""
    code = ahead = np.zeros(matrix.shape[1])
    momentum = 1.0
    for _ in range(steps):
        v = ahead + step * (matrix.T @ (image.ravel() - matrix @ ahead))
        new = np.sign(v) * np.maximum(np.abs(v) - step * sparsity, 0)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        code, ahead, momentum = new, new + (momentum - 1) / following * (new - code), following
    return code


def example(plan: Plan, count: int) -> tuple[csc.ConvDictionary, np.ndarray, float]:
    """A dictionary, images of noise and λ, which is that of the first images whatever their count."""
    random = np.random.default_rng(0)
    atoms = random.standard_normal((plan.atoms, 1, plan.kernel, plan.kernel))
    dictionary = csc.ConvDictionary.normalized(atoms, padding=plan.kernel // 2)
    images = random.standard_normal((count, 1, plan.size, plan.size))
    return dictionary, images, plan.part * float(csc.lambda_max(dictionary, images[: plan.compared[1]]).min())


def coding(plan: Plan) -> list[dict[str, Any]]:
    """Unrolled FISTA, for each number of images and dtype."""
    dictionary, images, sparsity = example(plan, max(plan.images))
    matrix, size = explicit(dictionary, (plan.size, plan.size)), 1 / dictionary.lipschitz_bound()
    compared = images[: plan.compared[1]]
    plain = np.stack([plain_fista(matrix, own, plan.steps, sparsity, size) for own in compared])
    measured, rows = {name: product_rate(plan.square, name) for name in TOLERANCES}, []
    for count in plan.images:
        for name, tolerance in TOLERANCES.items():
            own = eqx.tree_at(lambda d: d.atoms, dictionary, jnp.asarray(dictionary.atoms, name))
            x, about = jnp.asarray(images[:count], name), {"sparsity": sparsity, "step": size}
            encode = jax.jit(lambda x, d=own, about=about: csc.unrolled(d, x, plan.steps, **about))
            some = min(count, len(plain))
            off = difference(np.asarray(encode(x)[:some], np.float64).reshape(some, -1), plain[:some])
            rate = count * plan.steps / min(seconds_in_a_row(lambda x=x, f=encode: f(x), plan.repeats) for _ in range(3))
            share = rate * 4 * plan.atoms * plan.kernel**2 * plan.size**2 / measured[name]
            found = {"images": count, "dtype": name, "steps_per_second": rate, "share_of_rate": share, "off": off}
            rows.append({**found, "product_rate": measured[name], "right": off <= tolerance})
    return rows


def solving(plan: Plan) -> dict[str, Any]:
    """Solutions with certificates, the first-order steps on the device."""
    dictionary, images, _ = example(plan, plan.solved)
    matrix, sparsity = explicit(dictionary, (plan.size, plan.size)), plan.part * csc.lambda_max(dictionary, images)
    seconds, found = [], None
    for _ in range(2):  # the first compiles
        began = time.perf_counter()
        found = csc.solve(dictionary, images, sparsity=sparsity, gap=GAP)
        seconds.append(time.perf_counter() - began)
    assert found is not None
    gap = max(certified(matrix, *own)[1] for own in zip(images, found.codes, sparsity, strict=True))
    about = {"images": plan.solved, "first_seconds": seconds[0], "seconds": seconds[1], "gap": gap}
    return {**about, "newton_steps": float(found.newton_steps.mean()), "right": bool(found.converged.all() and gap <= GAP)}


def measure_all(plan: Plan, *, dry: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything, as plain data."""
    found = {**conditions(dry=dry), "plan": plan._asdict()}
    for name, part in (("flattening", flattening), ("coding", coding), ("solving", solving)):
        say(name)
        found[name] = part(plan)
    return to_plain(found)


def right(found: dict[str, Any]) -> bool:
    """Whether every result is."""
    return all(part["right"] for part in (*found["flattening"], *found["coding"], found["solving"]))


def markdown(found: dict[str, Any]) -> str:
    """The figures for people."""
    plan, wanted = found["plan"], ", ".join(f"{own:g} in {name}" for name, own in TOLERANCES.items())
    d, dim, _ = plan["manifold"]
    columns = ("points", "dtype", "layers", "encoded, /s", "decoded, /s", f"off NumPy (at most {wanted})", "right")
    numbers = [(f"{r['encoded']:.4g}", f"{r['decoded']:.4g}", f"{r['off']:.1e}") for r in found["flattening"]]
    about = [(r["points"], r["dtype"], r["layers"]) for r in found["flattening"]]
    rows = [(*a, *n, r["right"]) for a, n, r in zip(about, numbers, found["flattening"], strict=True)]
    tables = [Table.of(f"Flattening, D = {dim}, d = {d}", columns, rows)]
    columns = ("images", "dtype", "steps/s", "of the rate", f"off NumPy (at most {wanted})", "right")
    numbers = [
        (f"{r['steps_per_second']:.4g}", f"{100 * r['share_of_rate']:.0f} %", f"{r['off']:.1e}") for r in found["coding"]
    ]
    rows = [(r["images"], r["dtype"], *n, r["right"]) for n, r in zip(numbers, found["coding"], strict=True)]
    title = f"FISTA, {plan['size']} × {plan['size']} pixels, {plan['atoms']} atoms of {plan['kernel']} × {plan['kernel']}"
    tables.append(Table.of(f"{title}: steps a second, times images", columns, rows))
    own = found["solving"]
    columns = ("images", "first run, s", "second run, s", "Newton steps an image", f"gap (at most {GAP:g})", "right")
    words = [f"{own[name]:.3g}" for name in ("first_seconds", "seconds", "newton_steps")]
    rows = [(own["images"], *words, f"{own['gap']:.1e}", own["right"])]
    tables.append(Table.of("Solutions with certificates", columns, rows))
    head = heading("Flattening and sparse coding on a device", found)
    return "\n".join([*head, "", *(line for table in tables for line in markdown_table(table))])


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write both files."""
    return run_on_device(
        "flatnet_csc_gpu",
        "Flattening and convolutional sparse coding on a device.",
        arguments,
        measure=lambda dry, say: measure_all(TINY if dry else Plan(), dry=dry, say=say),
        markdown=lambda found: markdown(found),
        right=lambda found: right(found),
        double=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
