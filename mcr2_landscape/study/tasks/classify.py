"""A random member of an orthogonal family: its index and nullity as measured, against those that theory gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcr2_landscape.study.tasks.problems import problem


@dataclass(frozen=True)
class Classified:
    """What was measured at one point, and what theory says of its family.

    **Fields:** `regularization`; `family`, the label; `value` in closed form, and `value_error`, the difference of F at the
    point. `residual`: the relative gradient norm there. Of theory: `theory_kind`, `theory_index`, `theory_nullity`,
    `orbit_dimension`. Measured, by the signs of all eigenvalues with no help from theory: `measured_positive`,
    `measured_negative`, and `measured_zero`, those within `eigenvalue_tolerance` of zero; `measured_kind`, what `classify`
    makes of it. `spectrum_error`: the largest difference between an eigenvalue measured and the closed form, over (9/8)α + λ.
    `recognized`: the family that the point's structure shows (`None` for none).

    `agreement`: "yes" where the counts are theory's; "undecided" where they are not, and some eigenvalue of the closed form is
    too small to be told from zero; "no" otherwise. `higher_order`: what third and fourth derivatives say at a degenerate point.

    `eigenvalues` of the family's Hessians in closed form, ascending, with `multiplicities`; `density_nodes`, ascending, and
    `density_weights` (sum 1): the spectral density at the same point by Lanczos, which knows nothing of them. An eigenvalue's
    weight is there about its multiplicity over the number of unknowns; how close, is a matter of the number of probes.
    """

    regularization: float
    family: str
    value: float
    value_error: float
    residual: float
    theory_kind: str
    theory_index: int
    theory_nullity: int
    orbit_dimension: int
    measured_positive: int
    measured_zero: int
    measured_negative: int
    measured_kind: str
    eigenvalue_tolerance: float
    spectrum_error: float
    recognized: str | None
    agreement: str
    higher_order: str | None
    eigenvalues: tuple[float, ...]
    multiplicities: tuple[int, ...]
    density_nodes: tuple[float, ...]
    density_weights: tuple[float, ...]


def classify(
    *,
    dim: int,
    sizes: tuple[int, ...],
    epsilon: float = 0.5,
    relative_regularization: float,
    large: tuple[int, ...],
    small: tuple[int, ...] = (),
    num_probes: int = 4,
    num_products: int = 30,
    seed: int,
) -> Classified:
    """Measure a random member of the family in which class k has `large[k]` large and `small[k]` small singular values (none
    by default).

    **Arguments:** `num_probes`: random vectors that the spectral density comes from; `num_products`: Hessian products that each
    may take (fewer suffice where the spectrum has few distinct eigenvalues).

    **Raises:** `InputError` for numbers out of range, ranks that do not fit, or more than 4,096 unknowns.
    """
    import jax
    import jax.numpy as jnp

    from mcr2_landscape.curvature import spectral_density, spectrum
    from mcr2_landscape.landscape import classify as classify_point
    from mcr2_landscape.landscape.classify import DENSE_LIMIT
    from mcr2_landscape.validation import InputError

    where = problem(dim, sizes, epsilon, relative_regularization)
    unknowns = int(np.prod(where.narrowed().shape))
    if unknowns > DENSE_LIMIT:
        raise InputError(
            f"dim, sizes: found {unknowns} unknowns; pass a problem of at most {DENSE_LIMIT}: signs are all counted"
        )
    family = where.orthogonal_family(large, small or None)
    Z = family.point(key=seed)
    point = classify_point(where, Z)
    exact, measured = family.spectrum(), spectrum(where, Z, theory=False)
    theory = np.repeat(exact.eigenvalues, exact.multiplicities)
    numbers = np.repeat(measured.eigenvalues, measured.multiplicities)
    # Other random numbers than the point's.
    with jax.enable_x64(True):
        H = where.hessian(jnp.asarray(Z))
    density = spectral_density(H, num_probes=num_probes, steps=num_products, key=np.random.default_rng([seed, 1]))
    tolerance = point.eigenvalue_tolerance or 0.0
    band = point.inertia.zero + point.inertia.undecided
    same = (point.inertia.positive, band) == (family.index, family.nullity)
    blurred = bool(np.any((theory != 0) & (np.abs(theory) <= tolerance)))
    return Classified(
        regularization=where.parameters.regularization,
        family=family.label,
        value=family.value,
        value_error=abs(point.value - family.value),
        residual=point.relative_gradient_norm,
        theory_kind=str(family.kind),
        theory_index=family.index,
        theory_nullity=family.nullity,
        orbit_dimension=family.orbit_dimension,
        measured_positive=point.inertia.positive,
        measured_zero=band,
        measured_negative=point.inertia.negative,
        measured_kind=str(point.kind),
        eigenvalue_tolerance=tolerance,
        spectrum_error=float(np.abs(np.sort(theory) - numbers).max()) / where.curvature_scale(),
        recognized=point.family,
        agreement="yes" if same else "undecided" if blurred else "no",
        higher_order=point.higher_order,
        eigenvalues=tuple(exact.eigenvalues.tolist()),
        multiplicities=tuple(exact.multiplicities.tolist()),
        density_nodes=tuple(density.nodes.tolist()),
        density_weights=tuple(density.weights.tolist()),
    )
