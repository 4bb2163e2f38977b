"""The features as a point of the landscape: curvature, and what kind of point they are."""

from __future__ import annotations

import numpy as np

from mcr2_landscape import catalog
from mcr2_landscape.analysis.results import Curvature, Position
from mcr2_landscape.closed_form import resolvent
from mcr2_landscape.curvature import extreme_eigenpair, spectral_density
from mcr2_landscape.landscape import classify
from mcr2_landscape.mcr2 import MCR2
from mcr2_landscape.verdict import Kind

CRITICAL = 1e-8
# Up to this many unknowns all signs of the Hessian are counted, which takes a second.
_COUNTED = 1000
# Hessian products to spend, and the work and memory that they may take where a product is expensive: twenty seconds of one
# core, and 1.2 GB for the Lanczos basis.
_MOST_PRODUCTS, _FEWEST_PRODUCTS = 320, 48
_WORK, _BASIS = 1.5e11, 150_000_000
_NEAR = 0.01


def curvature_at(problem: MCR2, small: MCR2, z: np.ndarray, random: np.random.Generator) -> tuple[Curvature, np.ndarray | None]:
    """The curvature at the compressed point z, all columns of the full problem counted, and the steepest direction at z
    (`None` where it lies in the columns that the compression leaves out)."""
    products = _affordable_products(small, z)
    pair = extreme_eigenpair(small, z, which="largest", max_steps=3 * products // 8, rtol=1e-6, key=random)
    # In many dimensions one probe sees as much as four in few.
    probes = 4 if products == _MOST_PRODUCTS else 1
    density = spectral_density(small, z, num_probes=probes, steps=min(50, 5 * products // (8 * probes)), key=random)
    values, counts = _left_out(problem, small, z)
    top, residual, direction = pair.value, pair.residual, pair.vector
    if values.size and values.max() > top:
        top, residual, direction = float(values.max()), 0.0, None
    total = z.size + int(counts.sum())
    nodes = np.concatenate([density.nodes, values])
    weights = np.concatenate([density.weights * (z.size / total), counts / total])
    order = np.argsort(nodes, kind="stable")
    p = problem.parameters
    noise = 1e-10 * problem.curvature_scale()
    escapes = top > max(residual, noise)
    return Curvature(top, residual, escapes, 9 / 8 * p.alpha - p.regularization, nodes[order], weights[order]), direction


def _left_out(problem: MCR2, small: MCR2, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues, with multiplicities, on the columns that the compression leaves out: those of alpha (A − A_k) − lambda,
    m_k − d times each (as `MCR2.complement_spectrum`, from the compressed point alone)."""
    p, d = problem.parameters, problem.dim
    values, counts = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    U, s, _ = np.linalg.svd(z, full_matrices=False)
    whole = resolvent(U * s, p.alpha)
    for size, alpha, block in zip(p.widths, p.alphas, small.parameters.blocks(z), strict=True):
        if size > d:
            values.append(p.alpha * np.linalg.eigvalsh(whole - resolvent(block, float(alpha))) - p.regularization)
            counts.append(np.full(d, size - d, dtype=np.int64))
    return np.concatenate(values), np.concatenate(counts)


def _affordable_products(small: MCR2, z: np.ndarray) -> int:
    d, columns = z.shape
    work = 6 * d**2 * columns + 4 * (len(small.sizes) + 1) * d**3
    affordable = min(_WORK / work, 8 / 3 * _BASIS / z.size)
    return int(np.clip(affordable, _FEWEST_PRODUCTS, _MOST_PRODUCTS))


def position_at(problem: MCR2, small: MCR2, Z: np.ndarray, z: np.ndarray, curvature: Curvature) -> Position:
    """What kind of point Z is. Signs are all counted for small problems; at a point that theory recognizes its index is exact;
    elsewhere the gradient or the largest eigenvalue decides, or nothing does."""
    _, gradient, scale = small.evaluate(z)
    norm = float(np.linalg.norm(gradient))
    relative = norm / scale if scale > 0 else 0.0
    near = catalog.recognize(small.parameters, z, rtol=_NEAR)
    family, kind = (None, None) if near is None else (near.family.label, near.family.kind)
    distance = None if near is None else near.residual
    if z.size <= _COUNTED:
        point = classify(problem, Z, rtol=CRITICAL)
        label = point.family or family
        return Position(norm, relative, point.kind, point.reason, label, kind, distance, point.inertia)
    own, reason = _kind(relative, near, curvature)
    return Position(norm, relative, own, reason, family, kind, distance, None)


def _kind(relative: float, near: catalog.Recognition | None, curvature: Curvature) -> tuple[Kind, str]:
    if relative > CRITICAL:
        return Kind.NOT_CRITICAL, f"relative gradient norm {relative:.2e} exceeds {CRITICAL:.0e}"
    top = f"largest eigenvalue {curvature.top_eigenvalue:.6g} with residual {curvature.residual:.1e}"
    if near is not None and near.residual <= 1e-6:
        exact = near.family
        if (exact.index > 0) == curvature.escapes:
            return exact.kind, f"exact index {exact.index} and nullity {exact.nullity} of {exact.label}; {top} agrees"
        return (
            Kind.UNDECIDED,
            f"recognized as {exact.label} of exact index {exact.index}, but {top}; more precise features may decide",
        )
    if curvature.escapes:
        return Kind.STRICT_SADDLE, f"{top} leads up"
    return Kind.UNDECIDED, f"too many unknowns to count all signs, and the {top} alone does not decide"
