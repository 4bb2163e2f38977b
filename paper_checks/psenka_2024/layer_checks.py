"""How the claims on single layers are checked.

A keyword argument of a check is what it puts to the test; a wrong one must change the verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mcr2_landscape.claims import Outcome, Part, Run
from mcr2_landscape.flatnet import Layer, kernels, local_fit
from paper_checks.psenka_2024.common import bent, fits, flattened, half_mean_square, normal, seeds, weight
from paper_checks.yu_2023.common import some_of, together

_DIM = 6
_THRESHOLD = 4e-6  # of the mean square, as the claim says
_STEP = 1e-40  # of derivatives by a complex step, exact to rounding


def random_layer(random: np.random.Generator, alpha: float | None = None, d: int | None = None, dim: int = _DIM) -> Layer:
    """A layer whose coefficients have nothing to do with any points."""
    d = int(random.integers(1, dim)) if d is None else d
    alpha = float(random.choice([0.15, 0.5, 0.9])) if alpha is None else alpha
    basis = np.linalg.qr(random.standard_normal((dim, d)))[0]
    mean, center, shift = 0.3 * random.standard_normal((3, dim))
    coefficients = random.standard_normal((dim, kernels.num_features(d)))
    gamma, scale = random.uniform(0.2, 3, 2)
    return Layer(mean, center, basis, coefficients, gamma, alpha, shift, scale, np.int32(d))


def layer(run: Run, *, projected: bool = True) -> Outcome:
    """The library's layer against its definition, and what it does to tangential coordinates and normal part; not `projected`,
    points move towards the mean instead."""
    random, definition, tangent, across = np.random.default_rng(run.seed), [], [], []
    for _ in range(run.choose(200, 1000, 10_000)):
        own = random_layer(random)
        x = random.choice([0.1, 1.0, 3.0]) * random.standard_normal((20, _DIM))
        z = kernels.flatten(own, x)
        definition.append(np.abs(z - flattened(own, x)).max())
        y = z * own.scale + own.shift if projected else x - weight(own, x) * (x - own.mean)
        tangent.append(np.abs((y - x) @ own.basis).max())
        across.append(np.abs(normal(own, y) - (1 - weight(own, x)) * normal(own, x)).max())
    return together(
        run.certify(),
        Part.measured("definition", definition, 1e-12, "the library's layer less its definition", seeds=run.seed),
        Part.measured("tangential", tangent, 1e-12, "change of the tangential coordinates", seeds=run.seed),
        Part.measured("normal", across, 1e-12, "normal part less (1 − κ) times what it was", seeds=run.seed),
    )


def diffeomorphism(run: Run, *, strength: float | None = None, sign: float = -1.0) -> Outcome:
    """Jacobians by complex steps: determinants against the formula, with the `sign` of κ(1 − 2γt) in it, and singular values;
    and the inverse. `strength` is α for all layers."""
    random, determinants, library, flipped, few, inverses = np.random.default_rng(run.seed), [], [], [], [], []
    count, directions = run.choose(150, 1000, 10_000), 1j * _STEP * np.eye(_DIM)
    for _ in range(count):
        own = random_layer(random, strength)
        # Near the mean, where κ is large, as well as far off.
        x = own.mean + random.choice([0.1, 0.5, 1.5]) * random.standard_normal(_DIM)
        jacobian = (np.imag(flattened(own, x + directions)) / _STEP).T * own.scale
        (kappa,), squared = weight(own, x[None])[0], np.sum(normal(own, x[None]) ** 2)
        found = np.linalg.det(jacobian)
        expected = (1 - kappa) ** (_DIM - own.rank - 1) * (1 + sign * kappa * (1 - 2 * own.gamma * squared))
        determinants.append(abs(found - expected) / abs(expected))
        if found <= 0:
            flipped.append(f"{found:.3g} at α = {own.alpha:g}")
        least = np.linalg.norm(jacobian @ normal(own, x[None])[0]) / np.sqrt(squared)
        if least < (1 - own.alpha) * (1 - 1e-12):
            few.append(f"{least:.3g} at α = {own.alpha:g}")
        if own.alpha < 1:
            library.append(abs(found / (np.exp(kernels.log_abs_det(own, x[None])[0]) * own.scale**_DIM) - 1))
            # The derivative of the inverse is at most 1/(1 − α), and so is what rounding becomes.
            back = kernels.invert(own, flattened(own, x[None]))
            inverses.append(np.abs(back - x).max() * (1 - own.alpha) / max(1.0, own.scale))
    return together(
        run.certify(),
        Part.measured("determinant", determinants, 1e-11, "det Df against the formula, relative", seeds=run.seed),
        Part.measured("library", library, 1e-11, "det Df against the library's, relative", seeds=run.seed),
        Part.counted("sign", count, flipped, "positive determinants", seeds=run.seed),
        Part.counted("radial derivative", count, few, "derivatives along the normal part of at least 1 − α", seeds=run.seed),
        Part.measured("inverse", inverses, 1e-13, "f⁻¹(f(x)) − x, times 1 − α", seeds=run.seed),
    )


class Graph(NamedTuple):
    """h(c) = Σ_m a_m (sin(w_mᵀc + φ_m) − sin φ_m − cos φ_m w_mᵀc), flat at the origin: amplitudes (M, D − d), frequencies
    (M, d) and phases (M,)."""

    amplitudes: np.ndarray
    frequencies: np.ndarray
    phases: np.ndarray

    def height(self, c: np.ndarray) -> np.ndarray:
        """h(c), (N, D − d)."""
        angle = c @ self.frequencies.T
        # sin(φ + a) − sin φ − a cos φ, in terms that keep their digits for small a.
        far = np.sin(self.phases) * -2 * np.sin(angle / 2) ** 2 + np.cos(self.phases) * (np.sin(angle) - angle)
        return far @ self.amplitudes

    def second(self, c: np.ndarray) -> np.ndarray:
        """½ II(c, c)."""
        return (-np.sin(self.phases) / 2 * (c @ self.frequencies.T) ** 2) @ self.amplitudes

    def bound(self, power: int) -> float:
        """Σ ‖a_m‖‖w_m‖^p/p!, of the remainder before the p-th derivative."""
        sizes = np.linalg.norm(self.amplitudes, axis=1) * np.linalg.norm(self.frequencies, axis=1) ** power
        return float(sizes.sum()) / {2: 2, 3: 6}[power]


def local_error(run: Run, *, curvature: float = 1.0, least: float = 2.9) -> Outcome:
    """Random graphs: remainders against Taylor's bounds, with `curvature` times the second fundamental form; how fast they
    fall; and the residuals of the library's fits at radii that are halved, by a power of `least` at the least."""
    random, above, slow, powers = np.random.default_rng(run.seed), [], [], []
    count, sizes = run.choose(100, 1000, 10_000), np.geomspace(1e-4, 1e-2, 7)
    for _ in range(count):
        graph = Graph(random.standard_normal((3, 2)), random.standard_normal((3, 2)), random.uniform(0, 2 * np.pi, 3))
        c = sizes[:, None] * (u := random.standard_normal(2)) / np.linalg.norm(u)
        for power, rest in ((2, graph.height(c)), (3, graph.height(c) - curvature * graph.second(c))):
            over = np.linalg.norm(rest, axis=1) / (graph.bound(power) * sizes**power)
            if over.max() > 1 + 1e-6:
                above.append(f"{over.max():.3g} of the bound of order {power}")
            slope = np.polyfit(np.log(sizes), np.log(np.linalg.norm(rest, axis=1)), 1)[0]
            if power == 3 and slope < least:
                slow.append(f"{slope:.3f}")
    for _ in range(run.choose(5, 20, 100)):
        graph = Graph(random.standard_normal((3, 2)), random.standard_normal((3, 1)), random.uniform(0, 2 * np.pi, 3))
        losses = []
        for radius in (0.01, 0.02):
            c = np.linspace(-5 * radius, 5 * radius, 201)[:, None]
            losses.append(local_fit(np.hstack([c, graph.height(c)]), np.zeros(3), radius, 1, ridge=1e-15).loss)
        powers.append(0.5 * np.log2(losses[1] / losses[0]))
    small = [f"{power:.2f}" for power in powers if power < least]
    return together(
        run.certify(),
        Part.counted("Taylor", 2 * count, above, "remainders within the bounds of order two and three", seeds=run.seed),
        Part.counted("order three", count, slow, f"remainders that fall with a power of {least:g} at least", seeds=run.seed),
        Part.counted("library", len(powers), small, "residuals of fits that do, by their radius", seeds=run.seed),
    )


def round_trip(run: Run, *, share: float = 1.0, of_mean: bool = False) -> Outcome:
    """Random layers, and every layer of fits: errors of the library's round trips against the formula (with coordinates from
    the mean if `of_mean`), and their sizes against `share` of the threshold."""
    random, errors, sizes, large, identities, count = np.random.default_rng(run.seed), [], [], [], [], 0

    def deviation(own: Layer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        error = kernels.reconstruct(own, kernels.flatten(own, x)) - x
        return error, weight(own, x) * (bent(own, x, own.mean if of_mean else None) - normal(own, x))

    for _ in range(run.choose(100, 1000, 10_000)):
        error, expected = deviation(own := random_layer(random), random.standard_normal((20, _DIM)))
        # What κ was found from lost digits by 1/(1 − α).
        identities.append(np.abs(error - expected).max() * (1 - own.alpha))
    for entry in fits(run):
        x = entry.points
        for own, loss in zip(entry.layers, entry.fit.built.losses, strict=True):
            error, expected = deviation(own, x)
            errors.append(np.abs(error - expected).max())
            size, goal = half_mean_square(error), share * _THRESHOLD * np.mean(x * x)
            # Where nothing but rounding is left, it has no relative accuracy.
            sizes.append(abs(size - own.alpha**2 * loss) / max(size, 1e-18))
            count += 1
            if size > goal * (1 + 1e-9):
                large.append(f"{size:.3g}, where {goal:.3g} is allowed ({entry.words})")
            x = flattened(own, x)
    return together(
        run.certify(),
        Part.measured("any layer", identities, 1e-12, "round trips less the formula, times 1 − α", seeds=run.seed),
        Part.measured("fitted layers", errors, 1e-12, "round trips less the formula", seeds=seeds(run)),
        Part.measured("loss", sizes, 1e-7, "half mean squares less α² times the loss, relative", seeds=seeds(run)),
        Part.counted("threshold", count, large, "layers within the threshold", seeds=seeds(run)),
    )


def _graph(random: np.random.Generator, cubic: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a random graph over a random plane of R⁴, the first at the origin; the plane; and the coefficients."""
    frame = np.linalg.qr(random.standard_normal((4, 4)))[0]
    c = random.uniform(-1, 1, (80, 2))
    c[0] = 0
    bend = random.uniform(-0.4, 0.4, (2, 3))
    heights = kernels.features(c)[:, 3:] @ bend.T + cubic * c[:, :1] ** 3
    return c @ frame[:, :2].T + heights @ frame[:, 2:].T, frame[:, :2], frame[:, 2:] @ bend


def quadratic(run: Run, *, cubic: float = 0.0, graph: Callable[..., tuple[np.ndarray, ...]] = _graph) -> Outcome:
    """Round trips of points on random graphs, with a `cubic` term, by layers with the true tangent plane and quadratic, and by
    fitted ones; and beside it of points on spheres, by layers with theirs."""
    random, true, own_fit, spheres = np.random.default_rng(run.seed), [], [], []

    def trip(own: Layer, x: np.ndarray) -> float:
        return float(np.abs(kernels.reconstruct(own, kernels.flatten(own, x)) - x).max())

    def exact(x: np.ndarray, basis: np.ndarray, second: np.ndarray, alpha: float) -> Layer:
        mean = x.mean(axis=0)
        across = np.eye(x.shape[1]) - basis @ basis.T
        linear = np.zeros_like(basis)
        coefficients = np.column_stack([across @ (x[0] - mean), linear, second])
        numbers = (np.log(2), alpha, np.zeros_like(mean), 1.0, np.int32(basis.shape[1]))
        return Layer(mean, x[0], basis, coefficients, *numbers)

    for number in range(run.choose(60, 400, 4000)):
        points, basis, second = graph(random, cubic)
        alpha = float(random.choice([0.15, 0.5, 0.9]))
        true.append(trip(exact(points, basis, second, alpha), points) * (1 - alpha))
        if number < run.choose(5, 40, 200):
            model = local_fit(points, points[0], float(random.uniform(0.4, 1)), 2, refinements=200, ridge=1e-15)
            own_fit.append(trip(model.layer(alpha), points))
        polar = random.uniform(-0.5, 0.5, (50, 2))
        polar[0] = 0
        sphere = np.column_stack([polar, 1 - np.sqrt(1 - np.sum(polar**2, axis=1))])
        half = np.array([[0, 0, 0], [0, 0, 0], [0.5, 0, 0.5]])
        error = trip(exact(sphere, np.eye(3)[:, :2], half, 0.5), sphere)
        if error > 1e-4:
            spheres.append(f"{error:.2g}")
    return together(
        run.certify(),
        Part.measured("true quadratic", true, 1e-13, "round trips less the points, times 1 − α", seeds=run.seed),
        Part.measured("fitted quadratic", own_fit, 1e-9, "the same of fitted layers", seeds=run.seed),
        some_of("spheres", len(true), spheres, "layers with the tangent plane and curvature of a sphere do not", run.seed),
    )
