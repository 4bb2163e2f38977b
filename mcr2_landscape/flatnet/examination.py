"""What a report shows of a network and points: spectra by layer, errors point by point, a line in the flat space. NumPy."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mcr2_landscape.flatnet import kernels
from mcr2_landscape.flatnet.build import spectral_tail
from mcr2_landscape.flatnet.findings import DataNotes, FlatReport, examine
from mcr2_landscape.flatnet.fitting import SPAN, FlatFit
from mcr2_landscape.flatnet.folding import connected_pieces, distinct
from mcr2_landscape.flatnet.network import FlatNetwork
from mcr2_landscape.flatnet.refitting import relative_error
from mcr2_landscape.flatnet.scaling import exponent
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError

_DEPTHS = 60  # layers after which the spectrum is taken, at most
_DIRECTIONS = 8  # of the spectrum, and of the projections, at least
_STEPS = 41  # along the line
_FARTHEST = 1e100  # of the extent of the points fitted: squares of more do not fit in float64
_NEAREST = 1e-14  # of that extent: rounding hides points that are closer together


@dataclass(frozen=True)
class FlatLine(Record):
    """A straight line in the flat space, between the codes that lie farthest apart along their first coordinate, decoded; and
    the straight line in space between the same two decoded points.

    **Fields:** `decoded` and `straight`, (steps, D); `distance` and `straight_distance`, the farthest that either gets from the
    nearest of the points; `spacing`, the median distance of a point from its nearest neighbor; all three in units of the root
    mean square distance of the points from their mean. Where points are sparse even a good line is some `spacing` away.
    """

    decoded: np.ndarray = field(repr=False, metadata={"json": False})
    straight: np.ndarray = field(repr=False, metadata={"json": False})
    distance: float
    straight_distance: float
    spacing: float


class Rows(NamedTuple):
    """Points and where they come from: `points` (N, D), `rows` (N,), their numbers in the data, and `positions` (N,), where
    each lies along its curve, if that is known."""

    points: np.ndarray
    rows: np.ndarray
    positions: np.ndarray | None = None


@dataclass(frozen=True)
class FlatExamination(Record):
    """A network and what it does with points.

    **Fields:** `source`: the points in words. `fitted`: whether the network was fitted to them; if not, `report` is on points
    that took no part, and its `certified` is about the layers' identity alone, since thresholds are those of the points fitted.
    `notes`. `depths`: numbers of layers, and `spectra`, (depths, k): the share of the variance in each of the first principal
    directions after so many. `radii`, `alphas`, `moves`, (L,): of the layers' build, empty where nothing was fitted. `line`.

    `rows`, `codes` (N, d) and `errors` (N,) of the points, and the same of those held out: an error is ‖x − x̂‖² over the mean
    of ‖x − x̄‖², with x̄ the mean of `points`, so that their mean is the relative error of the report. `before`, (N, k), along
    the principal directions `directions`, (D, k), from `center`, (D,); `after`, along those of the flattened points.
    `image_size`: channels, height and width where points are pictures. `points` and `decoded`, (N, D).
    """

    source: str
    fitted: bool
    report: FlatReport
    num_held_out: int
    notes: tuple[str, ...]
    depths: np.ndarray = field(repr=False)
    spectra: np.ndarray = field(repr=False)
    radii: np.ndarray = field(repr=False)
    alphas: np.ndarray = field(repr=False)
    moves: np.ndarray = field(repr=False)
    line: FlatLine
    image_size: tuple[int, int, int] | None
    rows: np.ndarray = field(repr=False, metadata={"json": False})
    codes: np.ndarray = field(repr=False, metadata={"json": False})
    errors: np.ndarray = field(repr=False, metadata={"json": False})
    held_out_rows: np.ndarray = field(repr=False, metadata={"json": False})
    held_out_codes: np.ndarray = field(repr=False, metadata={"json": False})
    held_out_errors: np.ndarray = field(repr=False, metadata={"json": False})
    before: np.ndarray = field(repr=False, metadata={"json": False})
    after: np.ndarray = field(repr=False, metadata={"json": False})
    center: np.ndarray = field(repr=False, metadata={"json": False})
    directions: np.ndarray = field(repr=False, metadata={"json": False})
    points: np.ndarray = field(repr=False, metadata={"json": False})
    decoded: np.ndarray = field(repr=False, metadata={"json": False})

    _derived = ("summary",)

    @property
    def summary(self) -> tuple[str, ...]:
        """What was found, in sentences, the verdict first."""
        from mcr2_landscape.flatnet.sentences import summary

        return summary(self)


def examine_fit(
    fit: FlatFit,
    used: Rows,
    held_out: Rows | None,
    *,
    source: str = "",
    notes: tuple[str, ...] = (),
    image_size: tuple[int, int, int] | None = None,
) -> FlatExamination:
    """What a fit to the points `used` comes to; `held_out` are those that `fit_network` was given."""
    built = fit.built
    columns = built.radii, built.alphas, built.moves
    return _examined(fit.network, fit.report, used, held_out, source, True, notes, image_size, columns)


def examine_network(
    network: FlatNetwork,
    used: Rows,
    *,
    flatness: float = 1e-6,
    tolerance: float = 0.01,
    source: str = "",
    notes: tuple[str, ...] = (),
    image_size: tuple[int, int, int] | None = None,
) -> FlatExamination:
    """What a network does with points that it was not fitted to.

    **Raises:** `InputError` for points of another width, fewer than two different ones, and points so far away or so near
    together that float64 does not hold their codes.
    """
    began = time.process_time()
    points = used.points
    if points.shape[1] != network.num_features:
        raise InputError(f"network: takes points of {network.num_features} features, and these have {points.shape[1]}")
    first = distinct(points)
    if len(first) < 2:
        raise InputError(f"points: found the same point {len(points)} times; pass points that differ")
    layers, d = network.layers.single(), network.num_components
    far = np.abs(points / network.extent - network.offset / network.extent).max()
    if not far < _FARTHEST:
        raise InputError(
            f"points: lie {far:.2g} times as far away as those that the network was fitted to; pass points like those"
        )
    apart = np.ptp(points / network.extent, axis=0).max()
    if apart < _NEAREST:
        raise InputError(
            f"points: lie within {apart:.2g} of the extent of those that the network was fitted to, so that it cannot tell "
            "them apart; pass points like those"
        )
    z = (points - network.offset) @ network.frame / network.extent
    start, tails = z, [spectral_tail(z, d)]
    for layer in layers:
        z = kernels.flatten(layer, z)
        tails.append(spectral_tail(z, d))
    codes = (z - network.code_mean) @ network.code_basis
    local = network.code_mean + codes @ network.code_basis.T
    for layer in reversed(layers):
        local = kernels.reconstruct(layer, local)
    report = examine(
        network,
        None,
        np.array(tails),
        points,
        codes,
        network.decode_rows(codes),
        relative_error(start, local),
        data=_notes_on(points, first),
        estimate=None,
        flatness=flatness,
        tolerance=tolerance,
        refitted=None,
        held_out=points,
        positions=used.positions,
        began=began,
    )
    none = np.zeros(0)
    return _examined(network, report, used, None, source, False, notes, image_size, (none, none, none))


def _notes_on(points: np.ndarray, first: np.ndarray) -> DataNotes:
    centered = points - points.mean(axis=0)
    values = np.linalg.svd(centered, compute_uv=False)
    span = max(1, int(np.sum(values > SPAN * values[0])))
    constant = int(np.sum(np.ptp(points, axis=0) == 0))
    near = np.ldexp(centered, -exponent(centered))
    pieces = connected_pieces(near[first] / np.sqrt(np.sum(near * near, axis=1).max()))
    return DataNotes(len(points), points.shape[1], span, len(points) - len(first), constant, pieces)


def _examined(
    network: FlatNetwork,
    report: FlatReport,
    used: Rows,
    held_out: Rows | None,
    source: str,
    fitted: bool,
    notes: tuple[str, ...],
    image_size: tuple[int, int, int] | None,
    columns: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> FlatExamination:
    points = used.points
    center = points.mean(axis=0)
    codes = network.encode_rows(points)
    decoded = network.decode_rows(codes)
    later = np.zeros((0, points.shape[1])) if held_out is None else held_out.points
    later_codes = network.encode_rows(later)
    depths, spectra, flat = _spectra(network, points)
    wanted = max(_DIRECTIONS, network.num_components + 1)
    directions = _principal(points - center, wanted)
    flattened = flat - flat.mean(axis=0)
    return FlatExamination(
        source=source,
        fitted=fitted,
        report=report,
        num_held_out=len(later),
        notes=notes,
        depths=depths,
        spectra=spectra,
        radii=columns[0],
        alphas=columns[1],
        moves=columns[2],
        line=_line(network, points, codes, center),
        image_size=image_size,
        rows=used.rows,
        codes=codes,
        errors=_errors(points, decoded, center),
        held_out_rows=np.zeros(0, np.int64) if held_out is None else held_out.rows,
        held_out_codes=later_codes,
        held_out_errors=_errors(later, network.decode_rows(later_codes), center),
        before=(points - center) @ directions,
        after=flattened @ _principal(flattened, wanted),
        center=center,
        directions=directions,
        points=points,
        decoded=decoded,
    )


def _errors(points: np.ndarray, decoded: np.ndarray, center: np.ndarray) -> np.ndarray:
    """‖x − x̂‖² over the mean of ‖x − center‖², (N,); zero where that is, as for `relative_error`."""
    centered, missed = points - center, points - decoded
    power = exponent(centered)
    missed = np.sum(np.ldexp(missed, -power) ** 2, axis=1)
    spread = np.sum(np.ldexp(centered, -power) ** 2) / max(1, len(points))
    return missed / spread if spread > 0 else np.zeros(len(points))


def _spectra(network: FlatNetwork, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depths, the shares of the variance after each, and the flattened points."""
    layers, d = network.layers.single(), network.num_components
    z = (points - network.offset) @ network.frame / network.extent
    depths = np.unique(np.round(np.linspace(0, len(layers), min(len(layers) + 1, _DEPTHS))).astype(int))
    kept = min(z.shape[1], len(z), max(_DIRECTIONS, d + 2))
    shares = []
    for depth in range(len(layers) + 1):
        if depth:
            z = kernels.flatten(layers[depth - 1], z)
        if depth in depths:
            centered = z - z.mean(axis=0)
            gram = centered.T @ centered if z.shape[1] <= len(z) else centered @ centered.T
            values = np.maximum(np.linalg.eigvalsh(gram)[::-1], 0)
            shares.append(values[:kept] / (values.sum() or 1.0))
    return depths, np.array(shares), z


def _principal(centered: np.ndarray, count: int) -> np.ndarray:
    """The first principal directions, (D, k), each with its greatest entry positive."""
    rows = np.linalg.svd(centered, full_matrices=False)[2][:count]
    signs = np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])
    return (rows * signs[:, None]).T


def _line(network: FlatNetwork, points: np.ndarray, codes: np.ndarray, center: np.ndarray) -> FlatLine:
    from scipy.spatial import KDTree

    along = np.linspace(0, 1, _STEPS)[:, None]
    ends = codes[codes[:, 0].argmin()], codes[codes[:, 0].argmax()]
    decoded = network.decode_rows((1 - along) * ends[0] + along * ends[1])
    straight = (1 - along) * decoded[0] + along * decoded[-1]
    power = exponent(points - center)
    near, bent, chord = (np.ldexp(part - center, -power) for part in (np.unique(points, axis=0), decoded, straight))
    tree = KDTree(near)
    unit = float(np.sqrt(np.mean(np.sum(np.ldexp(points - center, -power) ** 2, axis=1))))
    spacing = float(np.median(tree.query(tree.data, k=2)[0][:, 1]))
    near, far = (float(tree.query(part)[0].max()) / unit for part in (bent, chord))
    return FlatLine(decoded, straight, near, far, spacing / unit)
