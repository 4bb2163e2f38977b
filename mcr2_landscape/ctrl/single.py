"""The game of single-subspace pursuit, its encoder and decoder on Stiefel manifolds.

With Σ = XXᵀ = C Cᵀ of eigenvalues σ_1² ≥ … ≥ σ_r² > 0 on S = Col X, b = d_z/(n ε²), P = FΣFᵀ and M = FG, the encoder's utility
is R + D, the decoder's −D:

    R = ½ logdet(I + bP),   D = ½ logdet(I + (b/2)(P + MPMᵀ)) − ¼ logdet(I + bP) − ¼ logdet(I + bMPMᵀ).

F (d_z, d_x) and G (d_x, d_z) have orthonormal rows or columns, whichever they have fewer of: for d_z ≤ d_x F Fᵀ = I and GᵀG =
I, for d_z ≥ d_x FᵀF = I and G Gᵀ = I.

**The decoder** answers with D = 0: M = F Fᵀ is the identity on the image of F. D = 0 iff MPMᵀ = P, that is M P^½ = P^½ Q with Q
orthogonal on f(S). There M is similar to Q, hence of determinant ±1; being a product of contractions it is a contraction, so
that all its singular values are one: M is orthogonal on f(S) and commutes with P, an orthogonal block for each eigenvalue of P.
Since ‖FGw‖ = ‖w‖ for w in f(S), Gw lies where F is isometric, and G = FᵀM on f(S). On the orthogonal complement of f(S) G is
any isometry (or its transpose is) to the complement of Fᵀf(S). With m = rank P, eigenvalues of multiplicities mu_i, p ≥ q the
larger and the smaller of d_x − m and d_z − m, the best responses are a manifold of dimension

    Σ mu_i (mu_i − 1)/2 + pq − q(q + 1)/2.

**The encoder** is left with R. For d_z ≥ d_x P has the nonzero eigenvalues of Σ, and every F is optimal. For d_z ≤ d_x Cauchy's
interlacing gives λ_i(P) ≤ σ_i², so R ≤ ½ Σ_{i ≤ k} log(1 + bσ_i²), k = min(d_z, r). Equality asks for tr P = Σ_{i ≤ k} σ_i².
Where d_z ≥ r this says tr((I − FᵀF)Σ) = 0: the rows of F span all of S, on which F is an isometry. Where d_z < r it is Ky Fan's
maximum, attained by the spans of d_z principal directions alone (one span, if σ_k > σ_{k+1}).

At an equilibrium gf is orthogonal on what is kept of S and commutes with Σ there: ±1 along each principal direction of simple
σ_i. S is recovered, a single x need not be. An equilibrium is not Nash unless P is a multiple of the identity: for skew Ω that
does not commute with P, e^{tΩ}F leaves R as it is, and D grows with t². Source: docs/ctrl.md; Pai, Psenka, Chiu, Wu, Dobriban,
Ma (arXiv 2206.09120).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.closed_form import check_epsilon
from mcr2_landscape.ctrl import single_equilibrium, stiefel, stiefel_derivatives, utilities, values
from mcr2_landscape.ctrl.game import Gradients
from mcr2_landscape.ctrl.hypotheses import Hypothesis
from mcr2_landscape.ctrl.players import finite_slopes, host_matrix, traced_matrix
from mcr2_landscape.ctrl.responses import check_tolerance, response_error
from mcr2_landscape.ctrl.single_equilibrium import SingleVerification
from mcr2_landscape.ctrl.solve import check_memory
from mcr2_landscape.ctrl.spans import span_of
from mcr2_landscape.ctrl.stiefel_responses import PLAIN, ZERO, StiefelResponses, stiefel_responses
from mcr2_landscape.randomness import generator
from mcr2_landscape.record import Record
from mcr2_landscape.validation import InputError, positive_integer, positive_real
from mcr2_landscape.verdict import Verdict


@dataclass(frozen=True)
class SingleOptimum(Record):
    """The encoder's best utility, its decoder answering.

    **Fields:** `value`; `singular_values` of f(X), descending, shape (k,); `kept` and `lost`: dimensions of S that the encoder
    keeps, k = min(d_z, d_S), and maps to zero; `unique`: whether what is kept of S is one subspace, for all optimal encoders;
    `reason`: in words.
    """

    value: float
    singular_values: np.ndarray = field(repr=False)
    kept: int
    lost: int
    unique: Verdict
    reason: str


@dataclass(frozen=True)
class SingleSolution(Record):
    """An equilibrium.

    **Fields:** `encoder` F, `decoder` G; `value`, the encoder's utility R(FX) there; `upper_bound` by interlacing; `gap`, their
    difference.
    """

    encoder: np.ndarray = field(repr=False, metadata={"json": False})
    decoder: np.ndarray = field(repr=False, metadata={"json": False})
    value: float
    upper_bound: float
    gap: float


class SingleSubspaceGame:
    """The sequential game for data on one linear subspace.

    The encoder moves first. F (d_z, d_x) has orthonormal rows for d_z ≤ d_x, orthonormal columns for d_z ≥ d_x; G (d_x, d_z)
    orthonormal columns for d_z ≤ d_x, orthonormal rows for d_z ≥ d_x. The encoder's utility is R(FX) + ΔR(FX, FGFX), the
    decoder's −ΔR(FX, FGFX). Values and derivatives are traced, take any matrices and can be transformed by JAX; everything else
    runs on the host in float64 and refuses matrices off the manifolds.

    **Arguments:** `X` (num_samples, d_x), real; `dim`: d_z; `epsilon`: the coding precision; `rank_tolerance`: singular values
    of X up to this count as zero (by default the rounding of X's entries).

    **Raises:** `InputError` for NaN, samples that are all zero, a rank that is not plain, or numbers out of range.

    Source: Pai, Psenka, Chiu, Wu, Dobriban, Ma (arXiv 2206.09120), single-subspace pursuit.
    """

    def __init__(self, X: Any, *, dim: int, epsilon: float, rank_tolerance: float | None = None):
        self.dim, self.epsilon = positive_integer("dim", dim), positive_real("epsilon", epsilon)
        self.factor, self.values = span_of(X, rank_tolerance)
        self.num_samples = int(np.shape(X)[0])
        check_epsilon(self.dim, (self.num_samples,), self.epsilon)
        self._by_dtype: dict[Any, utilities.Data] = {}

    def __repr__(self) -> str:
        return (
            f"SingleSubspaceGame(num_samples={self.num_samples}, rank={self.rank}, d_x={self.ambient_dim}, dim={self.dim}, "
            f"epsilon={self.epsilon:g})"
        )

    @property
    def ambient_dim(self) -> int:
        """d_x."""
        return self.factor.shape[0]

    @property
    def rank(self) -> int:
        """d_S."""
        return self.values.size

    @property
    def b(self) -> float:
        """d_z/(n ε²)."""
        return self.dim / (self.num_samples * self.epsilon**2)

    # -- traced -------------------------------------------------------------------------------------------------------------

    def data(self, dtype: Any) -> utilities.Data:
        """What the traced utilities are evaluated on, in that dtype."""
        dtype = np.dtype(dtype)
        if dtype not in self._by_dtype:
            numbers = (self.factor[None], np.array(self.b), np.array([self.b]), np.zeros(1))
            with jax.ensure_compile_time_eval():  # what is kept must not belong to the trace that asked first
                self._by_dtype[dtype] = utilities.Data(*(jnp.asarray(number.astype(dtype)) for number in numbers))
        return self._by_dtype[dtype]

    def _both(self, F: Any, G: Any) -> tuple[utilities.Data, jax.Array, jax.Array]:
        F = traced_matrix("F", F, (self.dim, self.ambient_dim))
        G = traced_matrix("G", G, (self.ambient_dim, self.dim))
        if F.dtype != G.dtype:
            raise InputError(f"G: found {G.dtype}, but F is {F.dtype}; pass both in one dtype")
        return self.data(F.dtype), F, G

    def _directions(self, F: jax.Array, V: Any, W: Any) -> tuple[jax.Array, jax.Array]:
        V, W = traced_matrix("V", V, F.shape), traced_matrix("W", W, F.shape[::-1])
        return V.astype(F.dtype), W.astype(F.dtype)

    def expressiveness(self, F: Any) -> Float[Array, ""]:
        """R(FX), the encoder's utility less what the decoder answers.

        **Raises:** `InputError` for a wrong shape or dtype, NaN, or images too large for the dtype's precision; the others
        likewise.
        """
        F = traced_matrix("F", F, (self.dim, self.ambient_dim))
        return utilities.finite(stiefel_derivatives.expressiveness(self.data(F.dtype), F))

    def distance(self, F: Any, G: Any) -> Float[Array, ""]:
        """ΔR(f(X), fgf(X)) ≥ 0."""
        return utilities.finite(stiefel_derivatives.distance(*self._both(F, G)))

    def encoder_utility(self, F: Any, G: Any) -> Float[Array, ""]:
        """R(FX) + ΔR(FX, FGFX)."""
        return utilities.finite(stiefel_derivatives.encoder_utility(*self._both(F, G)))

    def decoder_utility(self, F: Any, G: Any) -> Float[Array, ""]:
        """−ΔR(FX, FGFX)."""
        return -self.distance(F, G)

    def gradient(self, F: Any, G: Any) -> Gradients:
        """Each player's gradient of its own utility, in closed form, in the space of all matrices."""
        return Gradients(*finite_slopes(stiefel_derivatives.gradients(*self._both(F, G))))

    def riemannian_gradient(self, F: Any, G: Any) -> Gradients:
        """`gradient` projected on the tangent spaces of the Stiefel manifolds at F and G."""
        return Gradients(*finite_slopes(stiefel_derivatives.riemannian_gradients(*self._both(F, G))))

    def hvp(self, F: Any, G: Any, V: Any, W: Any) -> Gradients:
        """The derivative of `gradient` along (V, W), in closed form."""
        data, F, G = self._both(F, G)
        return Gradients(*finite_slopes(stiefel_derivatives.hvp(data, F, G, *self._directions(F, V, W))))

    def riemannian_hvp(self, F: Any, G: Any, V: Any, W: Any) -> Gradients:
        """The covariant derivative of `riemannian_gradient` along tangent (V, W): for each player its own Riemannian Hessian
        times its own direction plus the mixed one times the other's."""
        data, F, G = self._both(F, G)
        return Gradients(*finite_slopes(stiefel_derivatives.riemannian_hvp(data, F, G, *self._directions(F, V, W))))

    # -- host ---------------------------------------------------------------------------------------------------------------

    def encoder(self, F: Any) -> np.ndarray:
        """F as float64 NumPy, checked.

        **Raises:** `InputError` for a wrong shape, float32, NaN, or rows (columns) that are not orthonormal.
        """
        return stiefel.checked("F", host_matrix("F", F, (self.dim, self.ambient_dim)), "project(F)")

    def decoder(self, G: Any) -> np.ndarray:
        """G as float64 NumPy, checked. Errors as `encoder`."""
        return stiefel.checked("G", host_matrix("G", G, (self.ambient_dim, self.dim)), "project_decoder(G)")

    def project(self, F: Any) -> np.ndarray:
        """The nearest encoder on the Stiefel manifold: the orthonormal polar factor of F.

        **Raises:** `InputError` for a wrong shape, float32, NaN, or a matrix without full rank, which has several.
        """
        return stiefel.polar("F", host_matrix("F", F, (self.dim, self.ambient_dim)))

    def project_decoder(self, G: Any) -> np.ndarray:
        """The nearest decoder on the Stiefel manifold. Errors as `project`."""
        return stiefel.polar("G", host_matrix("G", G, (self.ambient_dim, self.dim)))

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """What the theorem assumes: d_z ≥ d_S, for all of S to be kept; what is kept is one subspace; and, for gf to be ±1
        along each principal direction, different σ_i."""
        optimum, k = self.optimum(), min(self.dim, self.rank)
        margin = self.dim - self.rank
        fits = Verdict.HOLDS if margin >= 0 else Verdict.REFUTED
        words = f"d_S = {self.rank}, d_z = {self.dim}"
        cut = float(1 - self.values[k] / self.values[k - 1]) if k < self.rank else np.inf
        gaps = -np.diff(self.values[:k]) / self.values[0]
        simple = float(gaps.min(initial=np.inf))
        spread = "no two singular values are equal" if gaps.size else "one singular value alone"
        if gaps.size and simple < PLAIN:
            at = int(gaps.argmin())
            spread = f"singular values {at + 1} and {at + 2} differ by {simple:.3g} of the largest"
        verdict = _differs(simple)
        return (
            Hypothesis("dimension", "d_z ≥ d_S (difference)", fits, float(margin), None, words),
            Hypothesis("one kept subspace", "d_z ≥ d_S, or 1 − σ_{k+1}/σ_k > 0", optimum.unique, cut, None, optimum.reason),
            Hypothesis("simple spectrum", "min (σ_i − σ_{i+1})/σ_1 > 0 for i < k", verdict, simple, None, spread),
        )

    def optimum(self) -> SingleOptimum:
        """The value of the game to the encoder, in closed form (the module's text proves it)."""
        k = min(self.dim, self.rank)
        kept = self.values[:k]
        value = 0.5 * float(np.log1p(self.b * kept**2).sum())
        if k == self.rank:
            words = f"d_z = {self.dim} holds all {k} dimensions of S"
            return SingleOptimum(value, kept.copy(), k, 0, Verdict.HOLDS, words)
        unique = _differs(float((self.values[k - 1] - self.values[k]) / self.values[0]))
        words = f"d_z = {self.dim} holds the first {k} of {self.rank} principal directions, σ_k = {self.values[k - 1]:.6g}"
        words += f" and σ_(k+1) = {self.values[k]:.6g}"
        return SingleOptimum(value, kept.copy(), k, self.rank - k, unique, words)

    def best_response(self, F: Any) -> StiefelResponses:
        """All decoders that are best responses to F: Fᵀ, the set's dimension, random members. Errors as `encoder`."""
        return stiefel_responses(self.encoder(F), self.factor, float(self.values[0]))

    def is_best_response(self, F: Any, G: Any, *, rtol: float = 1e-8) -> bool:
        """Whether ‖E^½(MPMᵀ − P)E^½‖ ≤ rtol ‖E^½PE^½‖ for M = FG and E = (I + bP)⁻¹, in which the distance is quadratic.
        Errors as `encoder`."""
        check_tolerance(positive_real("rtol", rtol))
        return self.response_error(F, G) <= rtol

    def response_error(self, F: Any, G: Any) -> float:
        """‖E^½(MPMᵀ − P)E^½‖/‖E^½PE^½‖, zero at best responses. Errors as `encoder`."""
        F, G = self.encoder(F), self.decoder(G)
        if np.linalg.norm(F @ self.factor) <= ZERO * self.values[0]:
            return 0.0  # every decoder answers an encoder that sees nothing
        return response_error(F, G, (self.factor,), np.array([self.b]))

    def solve(self, *, key: Any) -> SingleSolution:
        """A random equilibrium: an optimal encoder and a best response, the free parts of both by Haar's measure.

        **Raises:** `InputError` for a bad key, or a d_z whose matrices do not fit into memory.
        """
        check_memory(self.dim, self.ambient_dim)
        random = generator(key)
        if self.dim >= self.ambient_dim:
            F = stiefel.haar(random, self.dim, self.ambient_dim)
        else:
            k = min(self.dim, self.rank)
            kept = self.factor[:, :k] / self.values[:k]
            span = np.concatenate([kept, stiefel.haar(random, self.ambient_dim, self.dim - k, kept)], axis=1)
            F = stiefel.haar(random, self.dim, self.dim) @ span.T
        G = self.best_response(F).sample(random)
        value, bound = self.rate(F), self.optimum().value
        return SingleSolution(F, G, value, bound, bound - value)

    def rate(self, F: Any) -> float:
        """R(FX), on the host. Errors as `encoder`."""
        F = self.encoder(F)
        return values.rate(np.sqrt(self.b) * F @ self.factor)

    def verify_equilibrium(self, F: Any, G: Any) -> SingleVerification:
        """Whether (F, G) is a Stackelberg equilibrium, and a local Nash equilibrium. Errors as `encoder`."""
        return single_equilibrium.verify(self, self.encoder(F), self.decoder(G))

    def stackelberg_verdict(self, F: Any, G: Any) -> Verdict:
        """Whether (F, G) is a Stackelberg equilibrium, as `verify_equilibrium` says it, without second derivatives. Errors as
        `encoder`."""
        return single_equilibrium.stackelberg_verdict(self, self.encoder(F), self.decoder(G))


def _differs(gap: float) -> Verdict:
    """Whether singular values with that relative gap are different."""
    if gap <= ZERO:
        return Verdict.REFUTED
    return Verdict.HOLDS if gap >= PLAIN else Verdict.UNDECIDED
