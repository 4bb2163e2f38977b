"""One problem on the devices of two processes: `python -m mcr2_landscape.experiments.two_processes`.

The script starts two processes on this machine, each with two simulated CPU devices. They find each other through
`jax.distributed`, make the samples of their own devices and no others, and compute value, gradient and a Hessian product
together. The script then computes the same in one process on one device, and prints by how much the two differ.

The same on two hosts, each with its own devices: start `--process 0` on the first and `--process 1` on the second, with one
address of the first that both reach:

    host-a$ python -m mcr2_landscape.experiments.two_processes --process 0 --of 2 --coordinator host-a:4321 --out run
    host-b$ python -m mcr2_landscape.experiments.two_processes --process 1 --of 2 --coordinator host-a:4321 --out run

Under Slurm (and Open MPI) JAX finds all of that itself, and a program begins with `jax.distributed.initialize()` alone:

    srun --nodes 2 --ntasks-per-node 1 python -m mcr2_landscape.experiments.two_processes --slurm --out run

Every process writes its own columns of the results to `process-<number>.npz` in the folder of `--out`.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from mcr2_landscape.errors import InputError

DIM, SIZES, EPSILON, REGULARIZATION = 6, (13, 7, 1, 2, 30), 0.5, 0.1
PROCESSES, DEVICES = 2, 2
SECONDS = 100  # that the processes may take together


def samples(columns: np.ndarray, seed: int) -> np.ndarray:
    """The given columns of a matrix of random numbers, (DIM, columns), each from a seed of its own: a process makes what it
    needs. In earnest it would read the files of its own samples here."""
    drawn = [np.random.default_rng((seed, int(column))).standard_normal(DIM) for column in columns]
    return np.array(drawn).reshape(-1, DIM).T


def process(arguments: argparse.Namespace) -> None:
    """What each of the processes does; the same program in all of them."""
    import jax

    jax.config.update("jax_enable_x64", True)
    if arguments.slurm:
        jax.distributed.initialize()
    else:
        jax.distributed.initialize(arguments.coordinator, arguments.of, arguments.process, initialization_timeout=60)

    from mcr2_landscape.curvature.sharded import ShardedMCR2
    from mcr2_landscape.mcr2 import MCR2

    mesh = jax.make_mesh((jax.device_count(),), ("samples",))  # the devices of all processes
    sharded = ShardedMCR2(MCR2(DIM, SIZES, EPSILON, REGULARIZATION), mesh)
    columns = sharded.local_columns
    Z = sharded.place_local(samples(columns, seed=0))
    D = sharded.place_local(samples(columns, seed=1))
    H = sharded.hessian(Z)
    np.savez(
        Path(arguments.out) / f"process-{jax.process_index()}.npz",
        columns=columns,
        value=float(sharded.value(Z)),
        gradient=sharded.gather_local(sharded.gradient(Z)),
        product=sharded.gather_local(H.mv(D)),
    )
    print(
        f"process {jax.process_index()} of {jax.process_count()}: {jax.local_device_count()} of {jax.device_count()} devices, "
        f"{columns.size} of {sum(SIZES)} samples; {H.form}"
    )


def together(folder: Path) -> list[dict[str, Any]]:
    """Run both processes to their end and read what they wrote.

    **Raises:** `RuntimeError` with what they printed if one of them fails, or takes too long; the other is ended.
    """
    environment = os.environ | {"NPROC": "1", "JAX_PLATFORMS": "cpu"}
    environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"
    with socket.socket() as probe:  # a port that is free now
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "mcr2_landscape.experiments.two_processes", "--coordinator", address, "--out", str(folder)]
    command += ["--of", str(PROCESSES)]
    logs = [folder / f"process-{number}.log" for number in range(PROCESSES)]
    children = []
    try:
        for number, log in enumerate(logs):
            with log.open("wb") as out:
                children.append(
                    subprocess.Popen(
                        [*command, "--process", str(number)], env=environment, stdout=out, stderr=subprocess.STDOUT
                    )
                )
        end = time.monotonic() + SECONDS
        # One that fails leaves the other waiting for it, so that the first failure counts, not the first in order.
        while any(child.poll() is None for child in children) and time.monotonic() < end:
            if any(child.poll() for child in children):
                break
            time.sleep(0.05)
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
            child.wait()
    said = "".join(log.read_text(errors="replace") for log in logs)
    if any(child.returncode for child in children):
        raise RuntimeError(f"the processes ended with {[child.returncode for child in children]}:\n{said}")
    print(said, end="")
    found = []
    for number in range(PROCESSES):
        with np.load(folder / f"process-{number}.npz") as arrays:
            found.append(dict(arrays))
    return found


def compare(found: list[dict[str, Any]]) -> dict[str, float]:
    """Relative differences between what the processes found and what one process finds."""
    import jax

    from mcr2_landscape.mcr2 import MCR2

    every = np.arange(sum(SIZES))
    Z, D = samples(every, seed=0), samples(every, seed=1)
    with jax.enable_x64(True):
        problem = MCR2(DIM, SIZES, EPSILON, REGULARIZATION)
        value, gradient, scale = problem.evaluate(Z)
        product = np.asarray(problem.hessian(Z).mv(D))
    joined = {name: np.zeros_like(Z) for name in ("gradient", "product")}
    for part in found:
        for name, matrix in joined.items():
            matrix[:, part["columns"]] = part[name]
    assert sorted(np.concatenate([part["columns"] for part in found])) == list(every)
    return {
        "value": max(abs(float(part["value"]) - value) for part in found) / abs(value),
        "gradient": float(np.linalg.norm(joined["gradient"] - gradient)) / scale,
        "Hessian product": float(np.linalg.norm(joined["product"] - product) / np.linalg.norm(product)),
    }


def main(words: list[str]) -> int:
    """Start the processes and compare; as one of the processes, do its part. 1 if they disagree by more than 1e-12."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--process", type=int, help="the number of this process, from 0")
    parser.add_argument("--of", type=int, default=PROCESSES, help="how many processes there are")
    parser.add_argument("--coordinator", help="host:port on the host of process 0 that all processes reach")
    parser.add_argument("--slurm", action="store_true", help="let JAX find the other processes, under Slurm or Open MPI")
    parser.add_argument("--out", default=".", help="folder for the results of each process")
    arguments = parser.parse_args(words)
    if arguments.slurm or arguments.process is not None:
        if not arguments.slurm and arguments.coordinator is None:
            raise InputError("--coordinator: missing; pass host:port of process 0")
        Path(arguments.out).mkdir(parents=True, exist_ok=True)
        process(arguments)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        differences = compare(together(Path(folder)))
    for name, difference in differences.items():
        print(f"{name:16} differs from one process by {difference:.1e}, relative")
    agree = max(differences.values()) <= 1e-12
    print("The two processes and the one agree." if agree else "They DISAGREE.")
    return 0 if agree else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
