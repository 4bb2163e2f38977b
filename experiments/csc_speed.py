"""How fast convolutional sparse coding is on one core: `python -m mcr2_landscape.experiments.csc_speed [OUT.json]`.

CPU seconds of this process, one thread, in turns, for images of 64 × 64 pixels and 32 random atoms:

- `csc.solve` to a duality gap of 1e-10, its program compiled before and compilation included, in less than five seconds; and
  which part of that its arithmetic alone would take at the measured rate of matrix products: convolutions of the first-order
  steps and factorizations of the second-order ones;
- the same for 1, 8 and 16 images together, per image;
- beside other libraries with the same program: scikit-learn's and celer's coordinate descent, which get D as a sparse matrix,
  made before, and sporco's ADMM with Fourier transforms.

Gated: codes count if a duality gap that NumPy computes from the matrix, with a dual point of its own, is at most 1e-10 of
½‖x‖², and other libraries' if their objective is within 1e-6 of ours. The exit status is 1 if a result of ours is wrong or a
goal missed, 2 if all is well but a library is not there to compare with.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

if __name__ == "__main__":  # before NumPy and JAX are imported: threads that wait for work would be counted as work
    os.environ |= {"NPROC": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    os.environ |= {"JAX_PLATFORMS": "cpu"}

import jax
import numpy as np
import scipy.linalg
import scipy.sparse

from mcr2_landscape import csc
from mcr2_landscape.bench.timing import Quartiles, in_turns, ratios
from mcr2_landscape.data.pictures import picture_patches

from .measured_rows import Row, all_rows, row, run_table

SIZE, ATOMS, GAP, GOAL = 64, 32, 1e-10, 5.0
SAME = 1e-6  # of an objective
KINDS = {"picture": 0.1, "noise": 0.02}  # and the part of λ_max that λ is
_SECONDS = 0.02

Call = Callable[[], np.ndarray]


def example(kernel: int, kind: str, padding: int, count: int = 1, size: int = SIZE) -> tuple[Any, np.ndarray, float]:
    """A dictionary, images (count, 1, size, size) and λ."""
    dictionary = csc.ConvDictionary.random(ATOMS, kernel, padding=padding, key=0)
    if kind == "noise":
        images = np.random.default_rng(0).standard_normal((count, 1, size, size))
    else:
        # Those with most to see: the sky is the same all over.
        crops = np.asarray(picture_patches(size, names=["camera"], channels=1).images, np.float64)
        images = crops[np.argsort(-crops.var(axis=(1, 2, 3)), kind="stable")[:count]]
        images = images - images.mean(axis=(1, 2, 3), keepdims=True)
    return dictionary, images, KINDS[kind] * float(csc.lambda_max(dictionary, images).min())


def explicit(dictionary: csc.ConvDictionary, size: tuple[int, int]) -> Any:
    """D for one channel and stride one as a sparse matrix, (pixels, codes), row by row of the image and of each code."""
    atoms, pad = np.asarray(dictionary.atoms, np.float64)[:, 0], dictionary.geometry.padding
    (count, *kernel), (height, width) = atoms.shape, size
    h, w = dictionary.geometry.code_shape(size)
    places = np.arange(count * h * w).reshape(count, h, w)
    k, i, j, a, b = np.ix_(*map(np.arange, (count, h, w, *kernel)))
    y, x = i + a - pad[0], j + b - pad[1]
    seen = np.broadcast_to((y >= 0) & (y < height) & (x >= 0) & (x < width), (count, h, w, *kernel))
    # With 32-bit indices, which other libraries ask for.
    rows, columns = (y * width + x).astype(np.int32), places[k, i, j].astype(np.int32)
    values, rows, columns = (np.broadcast_to(part, seen.shape)[seen] for part in (atoms[k, a, b], rows, columns))
    return scipy.sparse.csc_array((values, (rows, columns)), shape=(height * width, places.size))


def certified(matrix: Any, image: np.ndarray, codes: np.ndarray, sparsity: float) -> tuple[float, float]:
    """The objective of one image's codes, and a bound of how far it is from the least one, relative to ½‖x‖²."""
    x, z = image.ravel(), codes.ravel()
    r = x - matrix @ z
    value = sparsity * np.abs(z).sum() + 0.5 * (r @ r)
    dual = r * min(1.0, sparsity / np.abs(matrix.T @ r).max())
    bound = 0.5 * (x @ x) - 0.5 * np.sum((x - dual) ** 2)
    return float(value), float((value - bound) / (0.5 * (x @ x)))


def cpu_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Of one call, and its result."""
    began = time.process_time()
    found = call()
    return time.process_time() - began, found


def arithmetic(call: Callable[[], csc.Solution], kernel: int, positions: int) -> tuple[float, csc.Solution]:
    """Flops of the convolutions of the first-order steps that a solve makes and of the banded factorizations of its
    second-order steps; its products of sparse matrices, line searches and gaps are not counted."""
    flops, own = 0.0, scipy.linalg.cholesky_banded

    def counted(band: np.ndarray, *args: Any, **options: Any) -> Any:
        nonlocal flops
        flops += band.shape[1] * band.shape[0] ** 2
        return own(band, *args, **options)

    with mock.patch.object(scipy.linalg, "cholesky_banded", counted):
        found = call()
    return flops + 4.0 * ATOMS * kernel**2 * positions * float(found.steps.sum()), found


def product_rate(size: int = 1024) -> Callable[[], np.ndarray]:
    """A product of two square float64 matrices, to be timed: 2 size³ flops."""
    first, second = np.random.default_rng(0).standard_normal((2, size, size))
    return lambda: first @ second


def solve_rows(rounds: int, kernels: tuple[int, ...] = (5, 7), size: int = SIZE) -> list[Row]:
    """One image to the gap, with compilation, without, and beside its arithmetic."""
    rows = []
    product = product_rate(1024 if size == SIZE else 64)
    for kernel in kernels:
        for kind, part in KINDS.items():
            dictionary, images, sparsity = example(kernel, kind, kernel // 2, size=size)

            def solved(d: Any = dictionary, x: Any = images, s: float = sparsity) -> csc.Solution:
                return csc.solve(d, x, sparsity=s, gap=GAP)

            jax.clear_caches()
            clock = time.perf_counter()
            first, found = cpu_seconds(solved)
            clock = time.perf_counter() - clock
            _, gap = certified(explicit(dictionary, (size, size)), images[0], found.codes, sparsity)
            right = bool(found.converged.all() and gap <= GAP)
            flops, _ = arithmetic(solved, kernel, size * size)
            times = in_turns({"ours": solved, "product": product}, rounds, _SECONDS, time.process_time)
            rates = [2 * (1024 if size == SIZE else 64) ** 3 / own for own in times["product"]]
            shares = [flops / rate / own for rate, own in zip(rates, times["ours"], strict=True)]
            what = f"{kind}, {kernel} × {kernel}, {part:g} λ_max"
            note = f"gap {gap:.1e}; {int(found.steps[0])} steps and {int(found.newton_steps[0])} Newton steps"
            rows.append(row(what, Quartiles.of(times["ours"]), unit="s", most=GOAL, right=right, note=note))
            note = f"by the clock {clock:.2f} s"
            rows.append(row(f"{what}, compiled anew", first, unit="s", most=GOAL, right=right, note=note))
            note = f"{flops / 1e9:.3g} Gflop; products at {np.median(rates) / 1e9:.3g} Gflop/s"
            rows.append(row(f"{what}, of the limit", Quartiles.of(shares), note=note))
    return rows


def batch_rows(rounds: int, counts: tuple[int, ...] = (1, 8, 16), kernel: int = 7, size: int = SIZE) -> list[Row]:
    """Seconds an image, several images together."""
    calls, rights, notes = {}, {}, {}
    dictionary, images, _ = example(kernel, "picture", kernel // 2, max(counts), size)
    # Each image has a λ of its own, so that none is harder because another is brighter.
    sparsity = KINDS["picture"] * csc.lambda_max(dictionary, images)
    matrix = explicit(dictionary, (size, size))
    for count in counts:

        def solved(n: int = count) -> csc.Solution:
            return csc.solve(dictionary, images[:n], sparsity=sparsity[:n], gap=GAP)

        found, name = solved(), f"picture, {kernel} × {kernel}, {count} images together"
        gaps = [certified(matrix, *own)[1] for own in zip(images[:count], found.codes, sparsity, strict=False)]
        calls[name], rights[name] = solved, bool(found.converged.all() and max(gaps) <= GAP)
        notes[name] = f"gap {max(gaps):.1e}; {found.newton_steps.mean():.1f} Newton steps an image"
    times = in_turns(calls, rounds, 0.0, time.process_time)
    each = {name: [own / count for own in times[name]] for name, count in zip(calls, counts, strict=True)}
    return [row(f"{n}, each", Quartiles.of(each[n]), unit="s", most=GOAL, right=rights[n], note=notes[n]) for n in calls]


def lasso(matrix: Any, image: np.ndarray, sparsity: float, dictionary: Any) -> Call:
    """scikit-learn's coordinate descent, for some ten seconds at 64 × 64 pixels: it comes near, and the objective decides."""
    from sklearn.linear_model import Lasso

    model = Lasso(sparsity / image.size, fit_intercept=False, tol=GAP / 2, max_iter=3000)
    return lambda: model.fit(matrix, image.ravel()).coef_


def celer(matrix: Any, image: np.ndarray, sparsity: float, dictionary: Any) -> Call:
    """celer's coordinate descent with working sets and extrapolated dual points."""
    from celer import Lasso  # pyright: ignore[reportMissingImports]

    model = Lasso(sparsity / image.size, fit_intercept=False, tol=GAP / 2, max_iter=1000, max_epochs=100_000)
    return lambda: model.fit(matrix, image.ravel()).coef_


def sporco(matrix: Any, image: np.ndarray, sparsity: float, dictionary: Any) -> Call:
    """sporco's ADMM. Its convolutions are cyclic: codes whose atoms would wrap around are kept at zero by a large weight."""
    import sporco.fft  # pyright: ignore[reportMissingImports]
    from sporco.admm import cbpdn  # pyright: ignore[reportMissingImports]

    sporco.fft.pyfftw_threads = 1
    atoms = np.asarray(dictionary.atoms, np.float64)[:, 0]
    (h, w), (height, width) = dictionary.geometry.code_shape(image.shape[1:]), image.shape[1:]
    weights = np.full((height, width, 1, 1, len(atoms)), 1e4)
    weights[:h, :w] = 1.0
    settings = {"Verbose": False, "MaxMainIter": 1000, "RelStopTol": 1e-4, "L1Weight": weights}

    def call() -> np.ndarray:
        options = cbpdn.ConvBPDN.Options({**settings, "AutoRho": {"Enabled": True}})
        solver = cbpdn.ConvBPDN(atoms.transpose(1, 2, 0), image[0], sparsity, options, dimK=0)
        solver.solve()
        return solver.var_y().reshape(height, width, -1)[:h, :w].transpose(2, 0, 1).ravel()

    return call


PEERS: dict[str, tuple[str, str, Callable[..., Call]]] = {
    "scikit-learn": ("sklearn", 'pip install "mcr2_landscape[data]"', lasso),
    "celer": ("celer", "pip install celer", celer),
    "sporco": ("sporco", "pip install sporco", sporco),
}


def peer_rows(rounds: int, kernel: int = 5, kind: str = "picture", size: int = SIZE) -> list[Row]:
    """How many times as long as ours other libraries take; nothing of theirs that is off is timed. Without padding, so that
    cyclic convolutions have the same solution."""
    dictionary, images, sparsity = example(kernel, kind, 0, size=size)
    matrix = explicit(dictionary, (size, size))

    def solved() -> csc.Solution:
        return csc.solve(dictionary, images, sparsity=sparsity, gap=GAP)

    least, gap = certified(matrix, images[0], solved().codes, sparsity)
    calls: dict[str, Callable[[], object]] = {"ours": solved}
    offs: dict[str, float] = {}
    for name, (module, _, prepared) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs, of what they did not reach: the objective decides
            call = prepared(matrix, images[0], sparsity, dictionary)
            offs[name] = certified(matrix, images[0], np.asarray(call()), sparsity)[0] / least - 1
        if abs(offs[name]) <= SAME:
            calls[name] = call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = in_turns(calls, rounds, _SECONDS, time.process_time)
    compared, what = ratios(times, "ours"), f"{kind}, {kernel} × {kernel} unpadded, {KINDS[kind]:g} λ_max"
    rows = [row(what, Quartiles.of(times["ours"]), unit="s", right=gap <= GAP, note=f"gap {gap:.1e}")]
    for name, (_, install, _) in PEERS.items():
        note = f"objective off by {offs[name]:.1e}" if name in offs else f"{name} is not installed: {install}"
        if name in offs and name not in calls:
            note += ", not timed"
        rows.append(row(f"{what}, {name}", compared.get(name), unit="times ours", note=note))
    return rows


def measure(rounds: int) -> list[Row]:
    """All figures."""
    parts = [
        lambda kernel=kernel, kind=kind: peer_rows(min(rounds, 3), kernel, kind)
        for kernel, kind in ((5, "picture"), (7, "noise"))
    ]
    return all_rows((lambda: solve_rows(rounds), lambda: batch_rows(min(rounds, 3)), *parts))


def peer_versions() -> dict[str, str]:
    """Of the libraries that are installed."""
    names = {name: module for name, (module, _, _) in PEERS.items() if importlib.util.find_spec(module) is not None}
    return {name: importlib.metadata.version(name) for name in names}


def main(arguments: list[str] | None = None) -> int:
    """Print the table; write it as JSON where a path is given."""
    return run_table("csc_speed", arguments, measure=lambda rounds: measure(rounds), rounds=5, peers=peer_versions)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
