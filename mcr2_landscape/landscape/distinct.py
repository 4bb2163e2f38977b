"""Merging critical points modulo symmetry, by what the symmetry leaves alone."""

from __future__ import annotations

import numpy as np

RELATIVE, ABSOLUTE = 1e-5, 1e-10


def same_orbit(invariants: np.ndarray, others: np.ndarray, largest: float) -> np.ndarray:
    """Which rows of `others` (c, q) agree with `invariants` (q,). Entry by entry, relative to the entry itself (a small
    singular value beside large ones is told from zero) and to the largest there is."""
    scale = np.maximum(np.abs(invariants), np.abs(others))
    return np.all(np.abs(invariants - others) <= RELATIVE * scale + ABSOLUTE * largest, axis=1)


def group(invariants: list[np.ndarray], values: list[float]) -> list[list[int]]:
    """Partition points into groups of equal invariants and value, in order of first appearance."""
    groups: list[list[int]] = []
    leaders = np.zeros((0, invariants[0].size if invariants else 0))
    leader_values = np.zeros(0)
    largest = max((float(np.abs(row).max(initial=0.0)) for row in invariants), default=0.0)
    for number, (row, value) in enumerate(zip(invariants, values, strict=True)):
        scale = np.maximum(1e-3, np.maximum(np.abs(value), np.abs(leader_values)))
        matches = np.flatnonzero(same_orbit(row, leaders, largest) & (np.abs(value - leader_values) <= 1e-7 * scale))
        if matches.size:
            groups[matches[0]].append(number)
        else:
            groups.append([number])
            leaders = np.vstack([leaders, row])
            leader_values = np.append(leader_values, value)
    return groups
