"""White-box transformers on a CUDA device: `python -m mcr2_landscape.experiments.whitebox_gpu --out DIR`.

It writes DIR/whitebox_gpu.json and DIR/whitebox_gpu.md: device, driver, versions, date, and

- 50,000 generated shapes of 64 × 64 pixels, patch 8, 12 layers of d = 192: CRATE, CRATE-α, the vision transformer and MSSA
  with a perceptron, five seeds each, in bfloat16: accuracies on images left out, steps a second (of all seeds but the first,
  which compiles), and how well the class token's attention and normalized cuts find the figures, trained beside random;
- how far the forward pass in float32 is on the device from the processor's: at most 1e-4;
- that a step on R_c takes away noise as √(1 − n/p) says, d = 768, up to 10,000 tokens: cos² within 0.02;
- images a second through CRATE-B/16, in float32 and in bfloat16.

Every training is bounded so that all of it ends within ten minutes; one that the clock ends says so. The exit status is 1 if a
check is wrong or a training did not take all its steps, 2 without a CUDA device. `--dry-run` runs the same at tiny sizes on
whatever device there is: nothing is then measured.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

if __name__ == "__main__":  # a program's settings, before JAX is imported
    os.environ.setdefault("NPROC", "1")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import t as student

from mcr2_landscape import whitebox as wb
from mcr2_landscape.bench.oracle import difference
from mcr2_landscape.data import LabeledImages, shapes
from mcr2_landscape.record import to_plain
from mcr2_landscape.report.tables import Table
from mcr2_landscape.training.images import ImageTraining, initial_network, train_images
from mcr2_landscape.training.results import Stopped

from .device_scripts import conditions, heading, run_on_device
from .gpu import markdown_table, seconds_in_a_row

PARITY, LAW, HALF = 1e-4, 0.02, 0.05
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "CRATE": {"family": "crate"},
    "CRATE-α": {"family": "crate-alpha"},
    "ViT": {"family": "vit"},
    "MSSA + MLP": {"family": "crate", "sparsification": "mlp"},
}


class Plan(NamedTuple):
    """Sizes of everything; `seconds`, for all trainings together; `tokens` of a subspace, for the law."""

    images: int = 50_000
    size: int = 64
    patch: int = 8
    dim: int = 192
    depth: int = 12
    heads: int = 6
    seeds: int = 5
    num_steps: int = 1500
    batch: int = 256
    seconds: float = 420.0
    segmented: int = 128
    network: str = "CRATE-B/16"
    image_size: int = 224
    forwarded: int = 256
    compared: int = 8
    law_heads: int = 12
    rank: int = 64
    tokens: tuple[int, ...] = (8, 16, 32, 48, 833)


# The law is of mean squares, so that it holds at small sizes too, up to the spread of what is drawn.
TINY = Plan(60, 16, 8, 8, 2, 2, 2, 3, 16, 600.0, 8, "CRATE-T/16", 32, 2, 2, 12, 16, (4, 8, 40))


def interval(values: Sequence[float]) -> dict[str, float | None]:
    """The mean over seeds and the ends of its 95 % interval (Student's t); no ends from a single seed."""
    mean, low, high = statistics.fmean(values), None, None
    if len(values) > 1:
        half = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
        low, high = mean - half, mean + half
    return {"mean": mean, "low": low, "high": high}


def trainings(plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """All seeds of all architectures, seed by seed, so that what the clock leaves out is left out of all."""
    images = shapes(key=0, num_images=plan.images, size=plan.size, label="texture", channels=1)
    train, test = images.split(0.1, key=0)
    sizes = {"image_size": plan.size, "patch": plan.patch, "channels": 1, "num_classes": 3}
    began, left, beside, rows = time.perf_counter(), plan.seeds * len(ARCHITECTURES), [], []
    for seed in range(plan.seeds):
        for name, switches in ARCHITECTURES.items():
            # What is beside the training itself, standardizing and testing, takes as long as it took without compiling.
            allowed = (plan.seconds - (time.perf_counter() - began)) / left - min(beside, default=0.0)
            left -= 1
            if allowed < 1:
                rows.append({"name": name, "seed": seed, "stopped": "not run: no time left", "right": False})
                continue
            say(f"{name}, seed {seed}")
            started = time.perf_counter()
            architecture = wb.Architecture.published(plan.dim, plan.depth, plan.heads, **sizes, **switches)
            found = train_images(
                architecture,
                train,
                test,
                num_steps=plan.num_steps,
                batch_size=plan.batch,
                key=seed,
                precision="bfloat16",
                max_seconds=allowed,
            )
            rows.append({"name": name, "seed": seed, **described(found), **segmented(found, test, plan.segmented, seed)})
            beside.append(time.perf_counter() - started - found.training.session_seconds)
    return {"test_images": len(test.images), "rows": rows, "summaries": [summary(name, rows) for name in ARCHITECTURES]}


def described(found: ImageTraining) -> dict[str, Any]:
    """What is kept of a training; it is wrong unless it took all its steps."""
    training = found.training
    return {
        "parameters": found.parameters,
        "steps": training.step,
        "stopped": str(training.stopped),
        "steps_per_second": training.step / training.session_seconds,
        "test_accuracy": found.test_accuracy,
        "train_accuracy": found.train_accuracy,
        "right": training.stopped is Stopped.FINISHED and found.test_accuracy is not None,
    }


def segmented(found: ImageTraining, test: LabeledImages, count: int, seed: int) -> dict[str, Any]:
    """Intersection over union of a training's masks, at the place chosen on half of the images, beside those of the network
    before training; cuts are of the last layer's tokens."""
    some = test.subset(slice(0, count))
    inputs = found.prepare(some.images)
    initial = initial_network(found.architecture, key=seed)
    networks = (found.model, initial)
    maps = [wb.attention_maps(network, inputs) for network in networks]
    features = [wb.token_features(network, inputs)[-1:] for network in networks]
    if not all(np.isfinite(part).all() for part in (*maps, *features)):
        return {}
    result = wb.evaluate_segmentation(maps[0], maps[1], features[0], features[1], some.masks, some.images, key=seed)
    parts = {"attention": result.attention, "cuts": result.cuts}
    ious = {name: (probe.fixed_iou.mean, probe.random_fixed_iou.mean, str(probe.verdict)) for name, probe in parts.items()}
    baselines = {name: own.mean for name, own in result.baselines.items()}
    return {"ious": ious, "baselines": baselines, "ceiling": result.ceiling.mean}


def summary(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One architecture over its seeds."""
    own = [r for r in rows if r["name"] == name and r.get("test_accuracy") is not None]
    found: dict[str, Any] = {"name": name, "seeds": len(own), "complete": sum(r["stopped"] == Stopped.FINISHED for r in own)}
    if not own:
        return found
    found["test_accuracy"] = interval([r["test_accuracy"] for r in own])
    # The first training of an architecture compiles its program, which the others find ready.
    found["steps_per_second"] = interval([r["steps_per_second"] for r in own[1:] or own])
    for probe in ("attention", "cuts"):
        ious = [r["ious"][probe] for r in own if "ious" in r]
        if ious:
            gains = interval([trained - random for trained, random, _ in ious])
            found[probe] = {"trained": interval([x[0] for x in ious]), "random": interval([x[1] for x in ious]), "gain": gains}
    return found


def forward(plan: Plan) -> dict[str, Any]:
    """The forward pass: how far the device is from the processor, and images a second."""
    model = wb.Crate.from_name(plan.network, image_size=plan.image_size, key=jax.random.key(0), dtype=jnp.float32)
    shape = (plan.forwarded, 3, plan.image_size, plan.image_size)
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    program = eqx.filter_jit(lambda network, batch: network(batch))
    logits = []
    for device in (jax.devices()[0], jax.devices("cpu")[0]):
        with jax.default_matmul_precision("highest"):
            logits.append(np.asarray(program(jax.device_put(model, device), jax.device_put(images[: plan.compared], device))))
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if eqx.is_inexact_array(x) else x, model)
    rates, outputs = {}, {}
    for name, network, dtype in (("float32", model, jnp.float32), ("bfloat16", half, jnp.bfloat16)):
        batch = jnp.asarray(images).astype(dtype)
        # Float32 all through, not in the coarser products that a device takes for it by default.
        with jax.default_matmul_precision("highest"):
            outputs[name] = np.asarray(program(network, batch), dtype=np.float64)
            rates[name] = plan.forwarded / min(seconds_in_a_row(lambda n=network, b=batch: program(n, b), 5) for _ in range(3))
    off, coarse = difference(*logits), difference(outputs["bfloat16"], outputs["float32"])
    found = {"network": plan.network, "batch": plan.forwarded, "images_per_second": rates, "device_off_processor": off}
    return found | {"bfloat16_off_float32": coarse, "right": off <= PARITY and coarse <= HALF}


def law(plan: Plan) -> list[dict[str, Any]]:
    """−∇R_c beside the way to each token's own subspace: E cos² = 1 − n/p for n < p tokens of each of d/p subspaces, else 0."""
    # Noise so small beside eps, and eps² beside the noise, that what is left of the signal is nothing beside the noise.
    rows, noise, epsilon = [], 1e-6, 1e-4
    for size in plan.tokens:
        random = np.random.default_rng(size)
        U = wb.random_bases(key=random, heads=plan.law_heads, dim=plan.law_heads * plan.rank, rank=plan.rank)
        Z, clean, labels = wb.sample_mixture(key=random, U=U, sizes=[size] * plan.law_heads, noise=noise)
        with jax.enable_x64(True):
            step = -np.asarray(wb.coding_rate_given_gradient(Z, U, epsilon))
        own = np.concatenate([basis @ (basis.T @ Z[:, labels == k]) for k, basis in enumerate(U)], axis=1)
        way = own - Z
        cosines = np.sum(step * way, axis=0) / (np.linalg.norm(step, axis=0) * np.linalg.norm(way, axis=0))
        found, predicted = float(np.mean(cosines**2)), max(1 - size / plan.rank, 0.0)
        about = {"dim": len(Z), "tokens": clean.shape[1], "share": size / plan.rank, "cosine": float(cosines.mean())}
        rows.append({**about, "square": found, "predicted": predicted, "right": abs(found - predicted) <= LAW})
    return rows


def measure_all(plan: Plan, *, dry: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything, as plain data."""
    began = time.perf_counter()
    found = {
        **conditions(dry=dry),
        "plan": plan._asdict(),
    }
    for name, part in (("forward", forward), ("law", law)):
        say(name)
        found[name] = part(plan)
    found["trainings"] = trainings(plan, say)
    return to_plain({**found, "seconds": time.perf_counter() - began})


def right(found: dict[str, Any]) -> bool:
    """Whether every check is."""
    return all(part["right"] for part in (found["forward"], *found["law"], *found["trainings"]["rows"]))


def _shown(one: dict[str, Any] | None, digits: int = 3) -> str | None:
    if one is None:
        return None
    ends = "" if one["low"] is None else f" ({one['low']:.{digits}f} to {one['high']:.{digits}f})"
    return f"{one['mean']:.{digits}f}{ends}"


def markdown(found: dict[str, Any]) -> str:
    """The figures for people."""
    head = heading("White-box transformers on a device", found)
    head.append(f"- {found['seconds']:.0f} s in all; {found['plan']['images']} images, {found['plan']['num_steps']} steps")
    rows, gains = [], []
    for one in found["trainings"]["summaries"]:
        rates = _shown(one.get("steps_per_second"), 1)
        rows.append((one["name"], one["seeds"], one["complete"], _shown(one.get("test_accuracy")), rates))
        for probe in ("attention", "cuts"):
            if probe in one:
                gains.append((one["name"], probe, *(_shown(one[probe][part]) for part in ("trained", "random", "gain"))))
    columns = ("network", "seeds", "all steps done", "test accuracy", "steps/s")
    tables = [Table.of("Trainings, means over seeds with 95 % intervals", columns, rows)]
    columns = ("network", "masks from", "trained", "random", "gain, paired")
    tables.append(Table.of("Intersection over union at a place chosen on other images", columns, gains, left=(0, 1)))
    columns = ("d", "tokens", "n/p", "cosine", "cos²", "predicted", f"within {LAW:g}")
    values = [
        (r["dim"], r["tokens"], *(f"{r[n]:.3f}" for n in ("share", "cosine", "square", "predicted"))) for r in found["law"]
    ]
    laws = [(*own, r["right"]) for own, r in zip(values, found["law"], strict=True)]
    tables.append(Table.of("A step on R_c beside denoising", columns, laws))
    own = found["forward"]
    words = [(f"images/s, {name}", f"{rate:.4g}") for name, rate in own["images_per_second"].items()]
    words.append((f"device off the processor, at most {PARITY:g}", f"{own['device_off_processor']:.1e}"))
    words.append((f"bfloat16 off float32, at most {HALF:g}", f"{own['bfloat16_off_float32']:.1e}"))
    tables.append(Table.of(f"Forward pass of {own['network']}, {own['batch']} images", ("what", "value"), words))
    return "\n".join([*head, "", *(line for table in tables for line in markdown_table(table))])


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write both files."""
    return run_on_device(
        "whitebox_gpu",
        "White-box transformers on a device.",
        arguments,
        measure=lambda dry, say: measure_all(TINY if dry else Plan(), dry=dry, say=say),
        markdown=lambda found: markdown(found),
        right=lambda found: right(found),
    )


if __name__ == "__main__":
    raise SystemExit(main())
