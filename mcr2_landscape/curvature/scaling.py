"""What a Hessian product on many devices computes, moves and keeps, and how long that should take: a model, not a measurement.

The counts (multiplications, the shape of what is summed over devices, the memory of arguments and results) are those of the
compiled program; the tests compare them. The times follow from them and from a machine's published numbers: each of the two
loops of a product, over columns and over classes, takes the longer of its arithmetic and its memory traffic; communication
comes on top, nothing overlaps, and a sum over devices goes around a ring.

Three ways to divide the work are compared. `ShardedMCR2` does the first:

* "ranges": each device has one range of the columns sorted by class, and computes for the few classes in it. Summed over
  devices are the matrices of the classes that a cut divides, and one for all others.
* "spread": every class is spread over all devices. All K matrices are summed, and every device computes for all K classes.
* "spread, classes divided": the same, but each device computes for K/P classes. The sum is a reduce-scatter, and an
  all-gather brings the results back; each moves as much as half of the all-reduce.

"ranges" is never worse by more than one matrix in the sum, and better in all else: it keeps and computes least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mcr2_landscape.curvature.device_layout import DeviceLayout
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, class_sizes, positive_integer

SCHEMES = ("ranges", "spread", "spread, classes divided")
_FLOAT64 = 8  # bytes of a number
_BLOCK = 4096  # columns of a block, for the schemes that are only modeled


@dataclass(frozen=True)
class Machine(Record):
    """Devices and what joins them. Rates in units a second; `network` is one host's, into it and out of it, in bytes. Of each
    published rate, programs are assumed to reach the part `attained`."""

    name: str
    flops: float
    memory: float
    memory_bandwidth: float
    link_bandwidth: float
    devices_per_host: int
    network: float
    latency: float
    attained: float = 0.8


_LINKS = {"link_bandwidth": 450e9, "devices_per_host": 8, "network": 400e9, "latency": 5e-6}
# The vendor's data sheets: float64 matrix products, HBM, NVLink in one direction; eight 400 Gb/s adapters a host, as in its own
# hosts. The latency of a step of the ring is assumed.
H100 = Machine("H100 SXM", flops=67e12, memory=80e9, memory_bandwidth=3.35e12, **_LINKS)
H200 = Machine("H200 SXM", flops=67e12, memory=141e9, memory_bandwidth=4.8e12, **_LINKS)


@dataclass(frozen=True)
class Collective(Record):
    """One operation between all devices: its kind, the shape of its operand on each, and the bytes that go over each link of a
    ring."""

    kind: str
    shape: tuple[int, ...]
    link_bytes: float


@dataclass(frozen=True)
class Prediction(Record):
    """One Hessian product on `devices` devices. Everything but `efficiency` is of one device: `flops` in matrix products,
    `traffic` (bytes read and written), `memory` (bytes of the point, its factors, a direction, the product and the work).

    `efficiency`: the time on one device, with memory for everything, over `devices` times the time here.
    """

    scheme: str
    machine: str
    devices: int
    columns: int
    flops: int
    traffic: float
    memory: float
    fits: bool
    collectives: tuple[Collective, ...] = field(repr=False)
    column_seconds: float
    class_seconds: float
    communication_seconds: float
    efficiency: float

    _derived = ("link_bytes", "seconds")

    @property
    def link_bytes(self) -> float:
        """Bytes over each link."""
        return sum(collective.link_bytes for collective in self.collectives)

    @property
    def seconds(self) -> float:
        """Of one product."""
        return self.column_seconds + self.class_seconds + self.communication_seconds


@dataclass(frozen=True)
class _Work:
    """What one device does: columns and blocks of its loop; classes that it computes for and those that it keeps A_k of, both
    beside the whole; classes that it keeps S_k, B_k and C_k of; and what it has summed."""

    columns: int
    blocks: int
    classes: int
    kept: int
    collectives: tuple[Collective, ...]


def all_reduce(layout: DeviceLayout, itemsize: int = _FLOAT64) -> tuple[Collective, ...]:
    """The sum over devices in a Hessian product of `ShardedMCR2`, and in the factorization of a point: one all-reduce, or none
    on a single device."""
    if layout.devices == 1:
        return ()
    return (_collective("all-reduce", (layout.num_places, *layout.packed), layout.devices, itemsize),)


def predict(dim: int, sizes: Sequence[int], devices: int, machine: Machine = H100, *, scheme: str = "ranges") -> Prediction:
    """The model for `sizes` samples of each class in `dim` dimensions, in float64.

    **Raises:** `InputError` for numbers out of range, more devices than samples, or an unknown scheme.
    """
    dim, sizes, devices = positive_integer("dim", dim), class_sizes("sizes", sizes), positive_integer("devices", devices)
    if devices > sum(sizes):
        raise InputError(f"devices: found {devices} for {sum(sizes)} samples; pass at most one device a sample")
    if scheme not in SCHEMES:
        raise InputError(f"scheme: found {scheme!r}; pass one of " + ", ".join(map(repr, SCHEMES)))
    work = _work(dim, sizes, devices, scheme)
    loops = _loops(dim, work)
    alone = _seconds(_loops(dim, _work(dim, sizes, 1, "ranges")), machine)
    column_seconds, class_seconds = _seconds(loops, machine)
    communication = sum(_ring_seconds(collective, devices, machine) for collective in work.collectives)
    needed = _memory(dim, work)
    return Prediction(
        scheme=scheme,
        machine=machine.name,
        devices=devices,
        columns=work.columns,
        flops=sum(flops for flops, _ in loops),
        traffic=float(sum(traffic for _, traffic in loops)),
        memory=needed,
        fits=needed <= machine.memory,
        collectives=work.collectives,
        column_seconds=column_seconds,
        class_seconds=class_seconds,
        communication_seconds=communication,
        efficiency=sum(alone) / (devices * (column_seconds + class_seconds + communication)),
    )


def table(
    dim: int = 4096, num_samples: int = 10**7, classes: Sequence[int] = (10, 100), devices: Sequence[int] = (8, 64)
) -> str:
    """The predictions for classes of equal sizes as a Markdown table, all schemes on both machines' memory."""
    lines = [
        "| K | devices | scheme | Tflop | GB over a link | GB kept | of the columns, s | of the classes, s | "
        "communication, s | product, s | efficiency | fits H100, H200 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for number in classes:
        sizes = [num_samples // number + (k < num_samples % number) for k in range(number)]
        for count in devices:
            for scheme in SCHEMES:
                p, more = (predict(dim, sizes, count, machine, scheme=scheme) for machine in (H100, H200))
                times = (p.column_seconds, p.class_seconds, p.communication_seconds, p.seconds)
                cells = [str(number), str(count), scheme, f"{p.flops / 1e12:.1f}", f"{p.link_bytes / 1e9:.2f}"]
                cells += [f"{p.memory / 1e9:.0f}", *(f"{seconds:.3f}" for seconds in times), f"{100 * p.efficiency:.0f} %"]
                cells += [", ".join("yes" if found.fits else "no" for found in (p, more))]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _work(dim: int, sizes: tuple[int, ...], devices: int, scheme: str) -> _Work:
    if scheme == "ranges":
        layout = DeviceLayout(dim, sizes, devices)
        return _Work(layout.blocks * layout.width, layout.blocks, layout.slots, layout.slots, all_reduce(layout))
    shares = [-(-size // devices) for size in sizes]
    columns, blocks = sum(shares), sum(-(-share // _BLOCK) for share in shares)
    half = -(-dim // 2)
    if scheme == "spread":
        summed = _collective("all-reduce", (len(sizes), half, 2 * half + 1), devices, _FLOAT64)
        return _Work(columns, blocks, len(sizes), len(sizes), (summed,))
    own = -(-len(sizes) // devices)
    padded = (own * devices, half, 2 * half + 1)
    both = (
        _collective("reduce-scatter", padded, devices, _FLOAT64),
        _collective("all-gather", (own, half, 2 * half + 1), devices, _FLOAT64),
    )
    return _Work(columns, blocks, own, len(sizes), both)


def _collective(kind: str, shape: tuple[int, ...], devices: int, itemsize: int) -> Collective:
    """Bytes over each link of a ring: P − 1 steps of a P-th of the array, twice in an all-reduce; of an all-gather the operand
    is that P-th."""
    operand = float(math.prod(shape) * itemsize)
    share = operand if kind == "all-gather" else operand / devices
    return Collective(kind, shape, (2 if kind == "all-reduce" else 1) * (devices - 1) * share)


def _ring_seconds(collective: Collective, devices: int, machine: Machine) -> float:
    """Between hosts as many rings as a host has network adapters share its network: each link of the one ring of the model then
    has the host's whole bandwidth, if the links inside are as fast."""
    rate = machine.link_bandwidth if devices <= machine.devices_per_host else min(machine.link_bandwidth, machine.network)
    steps = (2 if collective.kind == "all-reduce" else 1) * (devices - 1)
    return collective.link_bytes / (machine.attained * rate) + steps * machine.latency


def _loops(dim: int, work: _Work) -> tuple[tuple[int, int], tuple[int, int]]:
    """Flops and bytes of the loops over columns and over classes.

    Columns: D and Z are read for S_k, and again for the product, which is written; every block reads and writes its S_k, and
    reads B_k and C_k. Classes: two products of d × d matrices each for A_k T_k A_k and A T A, three matrices each; S + Sᵀ,
    packing and unpacking read and write about eight more.
    """
    columns = 6 * dim**2 * work.columns, _FLOAT64 * (5 * dim * work.columns + 4 * dim**2 * work.blocks)
    classes = 4 * dim**3 * (work.classes + 1), _FLOAT64 * 14 * dim**2 * (work.classes + 1)
    return columns, classes


def _seconds(loops: Sequence[tuple[int, int]], machine: Machine) -> tuple[float, float]:
    columns, classes = (
        max(flops / machine.flops, traffic / machine.memory_bandwidth) / machine.attained for flops, traffic in loops
    )
    return columns, classes


def _memory(dim: int, work: _Work) -> float:
    """Bytes of Z, D and H[D]; A, A_k of the classes computed for, B_k of those kept; and the work of a product."""
    arrays = 3 * dim * work.columns
    factors = (1 + work.classes + work.kept) * dim**2
    exchanged = sum(math.prod(collective.shape) for collective in work.collectives if collective.kind != "all-gather")
    width = min(_BLOCK, -(-work.columns // max(1, work.blocks)))
    return float(_FLOAT64 * (arrays + factors + (2 * work.kept + 4) * dim**2 + 2 * exchanged + 3 * dim * width))
