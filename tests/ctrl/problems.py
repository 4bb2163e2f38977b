"""Games of random data, and the utilities from their definitions: sample by sample, in plain NumPy."""

from __future__ import annotations

import numpy as np


def subspace_data(seed, sizes, ranks, ambient, *, shared=0.0):
    """X (n, d_x) and labels, the classes in blocks; `shared` mixes a common direction into every class."""
    random = np.random.default_rng(seed)
    common = random.standard_normal((1, ambient))
    blocks = []
    for size, rank in zip(sizes, ranks, strict=True):
        basis = random.standard_normal((rank, ambient)) + shared * common
        blocks.append(random.standard_normal((size, rank)) @ basis)
    return np.concatenate(blocks), np.repeat(np.arange(len(sizes)), sizes)


def rate(Z, d, epsilon):
    """R(Z) of features (d, samples)."""
    sign, value = np.linalg.slogdet(np.eye(Z.shape[0]) + d / (Z.shape[1] * epsilon**2) * Z @ Z.T)
    assert sign > 0
    return 0.5 * value


def pair_reduction(Z, Y, d, epsilon):
    """ΔR(Z, Y) of two sets of as many features."""
    return rate(np.concatenate([Z, Y], axis=1), d, epsilon) - 0.5 * rate(Z, d, epsilon) - 0.5 * rate(Y, d, epsilon)


def class_reduction(Z, labels, d, epsilon):
    """ΔR(Z) of labeled features."""
    total = rate(Z, d, epsilon)
    for name in np.unique(labels):
        mask = labels == name
        total -= mask.mean() * rate(Z[:, mask], d, epsilon)
    return total


def utilities(X, labels, F, G, epsilon):
    """Q, and the D_j in the order of the sorted labels."""
    d = F.shape[0]
    Z = F @ X.T
    again = F @ G @ Z
    distances = [pair_reduction(Z[:, labels == name], again[:, labels == name], d, epsilon) for name in np.unique(labels)]
    return class_reduction(Z, labels, d, epsilon), np.array(distances)


def _rate_along(curve, scale):
    """First and second derivative of ½ logdet(I + scale ZZᵀ) on a curve with this point and these derivatives."""
    Z, dZ, ddZ = curve
    E = np.linalg.inv(np.eye(Z.shape[0]) + scale * Z @ Z.T)
    dP = scale * (dZ @ Z.T + Z @ dZ.T)
    ddP = scale * (ddZ @ Z.T + 2 * dZ @ dZ.T + Z @ ddZ.T)
    return 0.5 * np.trace(E @ dP), 0.5 * (np.trace(E @ ddP) - np.trace(E @ dP @ E @ dP))


def encoder_utility_along(X, labels, F, G, V, W, epsilon, *, separate=True):
    """First and second derivative of Q + Σ D_j at (F + tV, G + tW), from the traces of log-determinants. With `separate` false
    the coding rate takes the place of Q."""
    d = F.shape[0]
    Z, dZ = F @ X.T, V @ X.T
    M, dM, ddM = F @ G, V @ G + F @ W, 2 * V @ W
    Y, dY, ddY = M @ Z, dM @ Z + M @ dZ, ddM @ Z + 2 * dM @ dZ
    zero = np.zeros_like(Z)
    found = np.array(_rate_along((Z, dZ, zero), d / (Z.shape[1] * epsilon**2)))
    for name in np.unique(labels):
        own = labels == name
        b = d / (own.sum() * epsilon**2)
        curve = (Z[:, own], dZ[:, own], zero[:, own])
        answer = (Y[:, own], dY[:, own], ddY[:, own])
        both = tuple(np.concatenate(pair, axis=1) for pair in zip(curve, answer, strict=True))
        if separate:
            found -= own.mean() * np.array(_rate_along(curve, b))
        found += _rate_along(both, b / 2)
        found -= 0.5 * (np.array(_rate_along(curve, b)) + _rate_along(answer, b))
    return found


def orthonormal(seed, rows, columns):
    """A random matrix with orthonormal rows or columns, whichever it has fewer of."""
    side = max(rows, columns)
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((side, side)))[0][:rows, :columns]


def pursue(value_and_gradient, project, start, *, steps=400, first=1.0):
    """Projected ascent with halving steps: the best value that it sees. Knows nothing of the theory."""
    point, length = project(start), first
    value, gradient = value_and_gradient(point)
    for _ in range(steps):
        while length > 1e-12:
            tried = project(point + length * gradient)
            new, slope = value_and_gradient(tried)
            if new > value:
                break
            length /= 2
        else:
            break
        point, value, gradient, length = tried, new, slope, 2 * length
    return value
