"""Whether a code tells points apart that are far from each other: order, neighborhoods, connected pieces. NumPy, float64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcr2_landscape.flatnet.scaling import scaled
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, check_shape, float64_matrix, positive_integer

NEIGHBORS = 5
_MOST = 2500  # points whose mutual distances are looked at; of more, as many are drawn
_CONNECTED = 8  # neighbors by which points hang together


@dataclass(frozen=True)
class Neighborhoods(Record):
    """How well neighborhoods survive, 1 where they all do.

    **Fields:** `trustworthiness`: less where points come near each other in the code that were not before, as in a fold;
    `continuity`: less where neighbors are torn apart; `neighbors`, how many count; `sampled`, of how many points.

    Source: Venna and Kaski (2001).
    """

    trustworthiness: float
    continuity: float
    neighbors: int
    sampled: int


@dataclass(frozen=True)
class Order(Record):
    """The order of points along a curve, before and in a code of one dimension.

    **Fields:** `inversions`: steps from one point of the curve to the next that go against the code's prevailing direction;
    `steps`, how many there are; `known`: whether the order along the curve was given, or found as the distance from one end
    along nearest neighbors; `places`, (inversions,): the rows of the points at which the steps begin; `ties`: steps between
    different points that have the same code.
    """

    inversions: int
    steps: int
    known: bool
    places: np.ndarray = field(repr=False)
    ties: int = 0


def neighborhoods(points: np.ndarray, codes: np.ndarray, neighbors: int = NEIGHBORS) -> Neighborhoods:
    """Trustworthiness and continuity of `codes`, (N, d), for `points`, (N, D); of 2,500 evenly taken rows where there are more.
    Of rows that repeat a point the first one counts.

    **Raises:** `InputError` for NaN, numbers of rows that differ, or fewer than four different points.
    """
    points, codes = (
        float64_matrix(name, value, (None, None), refuse_float32=False)
        for name, value in (("points", points), ("codes", codes))
    )
    check_shape("codes", codes.shape, (len(points), None))
    neighbors, rows = positive_integer("neighbors", neighbors), distinct(points)
    points, codes = points[rows], codes[rows]
    if len(points) < 4:
        raise InputError(f"points: found {len(points)} different ones; neighborhoods take at least four")
    if len(points) > _MOST:
        rows = np.linspace(0, len(points) - 1, _MOST).astype(int)
        points, codes = points[rows], codes[rows]
    count = len(points)
    neighbors = min(neighbors, (count - 1) // 2)
    before, after = _distances(points), _distances(codes)
    return Neighborhoods(_trust(before, after, neighbors), _trust(after, before, neighbors), neighbors, count)


def order_along(points: np.ndarray, codes: np.ndarray, positions: np.ndarray | None = None) -> Order:
    """Compare a one-dimensional code, (N,), with the order of the points along their curve.

    **Arguments:** `positions`, (N,) or (N, 1): where each point lies along the curve; left out, the distance along neighbors
    from the point that is farthest from the first one by the same distance; of several pieces, the first point's. Of rows that
    repeat a point the first one counts.

    **Raises:** `InputError` for NaN, and numbers of rows that differ.
    """
    points = float64_matrix("points", points, (None, None), refuse_float32=False)
    codes = float64_matrix("codes", codes, refuse_float32=False).reshape(-1)
    check_shape("codes", codes.shape, points.shape[:1])
    first, known = distinct(points), positions is not None
    along = places_along(positions, len(points))[first] if known else _along(points[first])
    rows = np.argsort(along, kind="stable")
    rows = first[rows[np.isfinite(along[rows])]]
    steps = np.diff(codes[rows])
    up, down = int(np.sum(steps > 0)), int(np.sum(steps < 0))
    against = steps < 0 if up >= down else steps > 0
    return Order(min(up, down), len(steps), known, rows[:-1][against], len(steps) - up - down)


def places_along(positions: Any, count: int) -> np.ndarray:
    """Positions along a curve, (N,), given as that or as a column (N, 1), as manifolds have coordinates.

    **Raises:** `InputError` for NaN and other shapes.
    """
    positions = float64_matrix("positions", positions, refuse_float32=False)
    if positions.ndim == 2 and positions.shape[1] == 1:
        positions = positions[:, 0]
    if positions.shape != (count,):
        raise InputError(f"positions: found shape {positions.shape}; pass a number for each point, ({count},) or ({count}, 1)")
    return positions


def connected_pieces(points: np.ndarray, neighbors: int = _CONNECTED) -> int:
    """Into how many pieces the graph falls in which two points hang together where either is among the other's `neighbors`
    nearest. Repeated points count once.

    **Raises:** `InputError` for NaN, no points, and a number of neighbors below one.
    """
    from scipy.sparse.csgraph import connected_components

    points = float64_matrix("points", points, (None, None), refuse_float32=False)
    if not len(points):
        raise InputError("points: found none; pass at least one")
    neighbors = positive_integer("neighbors", neighbors)
    return int(connected_components(_graph(points[distinct(points)], neighbors), directed=False)[0])


def distinct(points: np.ndarray) -> np.ndarray:
    """The rows that repeat no earlier one, in order."""
    return np.sort(np.unique(points, axis=0, return_index=True)[1])


def _along(points: np.ndarray) -> np.ndarray:
    from scipy.sparse.csgraph import dijkstra

    # As few neighbors as connect the curve: more of them bridge the gap where it comes near itself.
    graph, far = _graph(points, 1), np.full(len(points), np.inf)
    for neighbors in range(2, _CONNECTED + 1):
        if np.isfinite(far).all():
            break
        graph = _graph(points, neighbors)
        far = dijkstra(graph, directed=False, indices=0)
    end = int(np.argmax(np.where(np.isfinite(far), far, -1)))
    return dijkstra(graph, directed=False, indices=end)


def _graph(points: np.ndarray, neighbors: int):
    from scipy.sparse import coo_matrix
    from scipy.spatial import KDTree

    count, points = len(points), scaled(points)
    neighbors = min(neighbors, count - 1)
    distances, places = KDTree(points).query(points, k=neighbors + 1)
    rows = np.repeat(np.arange(count), neighbors + 1)
    # An edge of length zero is none for the graph's algorithms, and so near may points be.
    lengths = np.maximum(distances.reshape(-1), 1e-300)
    return coo_matrix((lengths, (rows, places.reshape(-1))), shape=(count, count)).tocsr()


def _distances(points: np.ndarray) -> np.ndarray:
    """Squared, the diagonal infinite."""
    points = scaled(points)
    points = scaled(points - points.mean(axis=0))
    squares = np.sum(points * points, axis=1)
    squared = squares[:, None] + squares[None, :] - 2 * points @ points.T
    np.fill_diagonal(squared, np.inf)
    return squared


def _trust(before: np.ndarray, after: np.ndarray, neighbors: int) -> float:
    """1 less the ranks before, beyond `neighbors`, of the neighbors after, scaled so that 0 is the worst."""
    count = len(before)
    near = np.argpartition(after, neighbors - 1, axis=1)[:, :neighbors]
    ranks = np.empty((count, count), np.int32)
    np.put_along_axis(
        ranks, np.argsort(before, axis=1, kind="stable"), np.arange(1, count + 1, dtype=np.int32)[None, :], axis=1
    )
    excess = np.maximum(np.take_along_axis(ranks, near, axis=1) - neighbors, 0).sum(dtype=np.int64)
    return float(1 - 2 * excess / (count * neighbors * (2 * count - 3 * neighbors - 1)))
