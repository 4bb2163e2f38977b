"""Learning of many seeds on a CUDA device beside one core: `python -m mcr2_landscape.experiments.markov_gpu --out DIR`.

It writes DIR/markov_gpu.json and DIR/markov_gpu.md: device, driver, versions, date, and for 1,024, 16,384 and 131,072 seeds of
the routing game of the paper's first figure (N = 4 players, M = 2 routes)

- seed-steps a second of the whole function `markov.learn`, the first and the last record included, wall time after compilation,
  on the device and on one core of the processor;
- how far the device's program, fed with recorded numbers, is from a plain loop of the definition, relative: at most 1e-12;
- whether device and processor, with the same key, learn the same bits, or in how many seeds to 1e-12: at least 99.9 %. Not all,
  because the softmax at the temperature 1e-6 makes of rounding in two nearly equal values what is no rounding any more;
- bytes a seed: on the device as the compiler foresees them, arguments, results and what is needed in between, and as the device
  counts them; and on the host for each record.

The exit status is 1 if a result is wrong, 2 without a CUDA device. `--dry-run` runs the same on whatever device there is, with
a few seeds: nothing is then measured.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

if __name__ == "__main__":  # a program's settings, before JAX is imported
    os.environ.setdefault("NPROC", "1")
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    # What the device counts is then what learning takes, and not most of the device at once.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape import markov
from mcr2_landscape.markov import runs, scan
from mcr2_landscape.record import to_plain
from mcr2_landscape.report.tables import Table

from .device_scripts import conditions, heading, run_on_device
from .gpu import markdown_table
from .markov_speed import distance

TOLERANCE, SHARE = 1e-12, 0.999


class Size(NamedTuple):
    """How many seeds, the steps to be timed on the device and on the processor, and those that are compared with others."""

    seeds: int
    device_steps: int
    processor_steps: int
    checked: int


SIZES = (Size(1024, 20_000, 4_000, 400), Size(16_384, 5_000, 500, 400), Size(131_072, 2_000, 100, 100))
TINY = (Size(3, 40, 40, 20), Size(8, 20, 20, 20))
_ROUNDS = 3


def rate(game: markov.CongestionGame, device: Any, num_seeds: int, num_steps: int) -> tuple[float, float, markov.History]:
    """Seed-steps a second on a device, the median of some runs; the seconds of the first run, which compiles; what it made."""
    seconds, history = [], None
    with jax.default_device(device):
        for key in range(_ROUNDS + 1):
            began = time.perf_counter()
            history = markov.learn(game, key=key, num_seeds=num_seeds, num_steps=num_steps, record_every=num_steps)
            seconds.append(time.perf_counter() - began)
    assert history is not None
    return num_seeds * num_steps / statistics.median(seconds[1:]), seconds[0], history


def apart(game: markov.CongestionGame, devices: tuple[Any, Any], size: Size) -> tuple[bool, float]:
    """Whether two devices learn the same bits with the same key, and the share of seeds in which policies and values are within
    the tolerance, relative to the largest."""
    found = []
    for device in devices:
        with jax.default_device(device):
            history = markov.learn(
                game, key=0, num_seeds=size.seeds, num_steps=size.checked, record_every=size.checked, temperature=1e-6
            )
        found.append(history.recorded)
    same = all(np.array_equal(own, other) for own, other in zip(*found, strict=True))
    off = np.zeros(size.seeds)
    for name in ("policy", "q"):
        own, other = (getattr(one, name)[-1] for one in found)
        off = np.maximum(off, np.abs(own - other).max(axis=(0, 1, 2)) / max(1.0, float(np.abs(other).max())))
    return same, float(np.mean(off <= TOLERANCE))


def foreseen(game: markov.CongestionGame, num_seeds: int, every: int, row_bytes: int) -> float:
    """Bytes a seed that the program of `learn` needs on the device, by its compiler."""
    plan = runs.Plan.of(game, num_seeds, every, row_bytes)
    model, shared = runs.model_of(game)
    steps = markov.power_step(0.5), markov.power_step(1)
    form = scan.Form(game.num_actions, shared, True, False, *steps, plan.block // every + 2)

    def shape(*sizes: int, dtype: Any = jnp.float64) -> Any:
        return jax.ShapeDtypeStruct(sizes, dtype)

    table = (game.num_players, game.num_states, max(game.num_actions), plan.size)
    state = scan.State(
        shape(*table),
        shape(*table),
        shape(*table, dtype=jnp.int32),
        shape(plan.size, dtype=jnp.int32),
        shape(game.num_players, plan.size, dtype=jnp.int32),
    )
    model = jax.tree.map(lambda own: shape(*own.shape), model)
    draws, count = shape(plan.block, game.num_players + 1, plan.size), shape(dtype=jnp.int32)
    numbers = scan.Numbers(shape(), shape(), shape())
    found: Any = scan.advance.lower(model, numbers, state, draws, count, count, count, form=form).compile().memory_analysis()
    total = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return total / plan.size


def learning(size: Size) -> dict[str, Any]:
    """A row of the table: one number of seeds."""
    game, device, processor = markov.routing_game(), jax.devices()[0], jax.devices("cpu")[0]
    there, first, history = rate(game, device, size.seeds, size.device_steps)
    # Before anything else of this size: what the device counts is the largest amount so far.
    peak = (device.memory_stats() or {}).get("peak_bytes_in_use")
    here = rate(game, processor, size.seeds, size.processor_steps)[0]
    row_bytes = sum(own.nbytes for own in history.recorded) // (size.seeds * len(history.steps))
    plain = distance(game, size.seeds, size.checked)
    same, share = apart(game, (device, processor), size)
    return {
        "seeds": size.seeds,
        "device_rate": there,
        "processor_rate": here,
        "ratio": there / here,
        "first_run_seconds": first,
        "off_plain_loop": plain,
        "same_bits": same,
        "share_of_seeds": share,
        "foreseen_bytes": foreseen(game, size.seeds, size.device_steps, row_bytes),
        "counted_bytes": None if peak is None else peak / size.seeds,
        "record_bytes": row_bytes,
        "right": plain <= TOLERANCE and share >= SHARE,
    }


def measure_all(*, dry: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything, as plain data."""
    rows = []
    for size in TINY if dry else SIZES:
        say(f"{size.seeds} seeds")
        rows.append(learning(size))
    return to_plain(
        {
            **conditions(dry=dry),
            "learning": rows,
        }
    )


def markdown(found: dict[str, Any]) -> str:
    """The figures for people."""
    head = heading("Learning on a device", found)
    columns = ("seeds", "device, /s", "one core, /s", "ratio", "first run, s", "right")
    rates = [
        (r["seeds"], *(f"{r[n]:.3g}" for n in ("device_rate", "processor_rate", "ratio", "first_run_seconds")), r["right"])
        for r in found["learning"]
    ]
    tables = [Table.of("Seed-steps a second", columns, rates)]
    columns = ("seeds", f"off the plain loop, at most {TOLERANCE:g}", "same bits", f"of the seeds, at least {100 * SHARE:g} %")
    results = [
        (r["seeds"], f"{r['off_plain_loop']:.1e}", r["same_bits"], f"{100 * r['share_of_seeds']:.3f} %")
        for r in found["learning"]
    ]
    tables.append(Table.of("The device's program, the plain loop and the processor", columns, results))
    columns = ("seeds", "foreseen on the device", "counted by it", "on the host for a record")
    memory = [
        (
            r["seeds"],
            f"{r['foreseen_bytes']:.0f}",
            None if r["counted_bytes"] is None else f"{r['counted_bytes']:.0f}",
            r["record_bytes"],
        )
        for r in found["learning"]
    ]
    tables.append(Table.of("Bytes a seed", columns, memory))
    return "\n".join([*head, "", *(line for table in tables for line in markdown_table(table))])


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write both files."""
    return run_on_device(
        "markov_gpu",
        "Learning of many seeds on a device and on one core.",
        arguments,
        measure=lambda dry, say: measure_all(dry=dry, say=say),
        markdown=lambda found: markdown(found),
        right=lambda found: all(row["right"] for row in found["learning"]),
        double=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
