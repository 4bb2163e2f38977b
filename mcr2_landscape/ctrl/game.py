"""The game of multiple-subspace pursuit between a linear encoder and a linear decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mcr2_landscape.closed_form import check_epsilon
from mcr2_landscape.ctrl import utilities
from mcr2_landscape.ctrl.encoders import EncoderLandscape, encoder_landscape
from mcr2_landscape.ctrl.equilibrium import EquilibriumReport, verify
from mcr2_landscape.ctrl.hypotheses import Hypothesis, hypotheses_of
from mcr2_landscape.ctrl.optimum import Optimum, optimum_of
from mcr2_landscape.ctrl.players import check_range, finite_slopes, host_matrix, traced_matrix
from mcr2_landscape.ctrl.projection import Projected, project
from mcr2_landscape.ctrl.responses import BestResponses, check_tolerance, response_error, responses_to
from mcr2_landscape.ctrl.solve import NUM_STARTS, Equilibrium, check_memory, solve
from mcr2_landscape.ctrl.spans import Spans, spans_of
from mcr2_landscape.mcr2 import ConstrainedMCR2
from mcr2_landscape.validation import InputError, float64_matrix, positive_integer, positive_real

_PROJECTED = 1e-6  # of ‖F X_j‖²/n_j: a projection that misses by more is none


class Gradients(NamedTuple):
    """Each player's gradient of its own utility: `encoder` (d_z, d_x), `decoder` (d_x, d_z)."""

    encoder: Any
    decoder: Any


class SubspaceGame:
    """The sequential game for data on several linear subspaces.

    The encoder moves first: F (d_z, d_x) with ‖F X_j‖_F² ≤ n_j for every class, utility ΔR(FX) + Σ_j ΔR(FX_j, FGFX_j). The
    decoder, any G (d_x, d_z), has the utility −Σ_j ΔR(FX_j, FGFX_j). Values and derivatives are traced and can be transformed
    by JAX; everything else runs on the host in float64.

    **Arguments:** `X` (num_samples, d_x), real; `labels`, one of any hashable kind a sample, in any order; `dim`: d_z;
    `epsilon`: the coding precision; `rank_tolerance`: singular values of a class up to this count as zero (by default the
    rounding of X's entries).

    **Raises:** `InputError` for NaN, lengths that differ, one class, a class of zeros, a rank that is not plain, or numbers out
    of range.

    Source: Pai, Psenka, Chiu, Wu, Dobriban, Ma (arXiv 2206.09120), multiple-subspace pursuit.
    """

    def __init__(self, X: Any, labels: Any, *, dim: int, epsilon: float, rank_tolerance: float | None = None):
        self._set(spans_of(X, labels, rank_tolerance), dim, epsilon)

    @classmethod
    def from_spans(cls, spans: Spans, *, dim: int, epsilon: float) -> SubspaceGame:
        """The game on data that are factored already. Errors as the class."""
        game = cls.__new__(cls)
        game._set(spans, dim, epsilon)
        return game

    def _set(self, spans: Spans, dim: int, epsilon: float) -> None:
        self.spans = spans
        self.dim, self.epsilon = positive_integer("dim", dim), positive_real("epsilon", epsilon)
        check_epsilon(self.dim, spans.sizes, self.epsilon)
        self._by_dtype: dict[Any, utilities.Data] = {}
        self._landscape: EncoderLandscape | None = None

    def __repr__(self) -> str:
        return (
            f"SubspaceGame(sizes={self.sizes}, ranks={self.ranks}, d_x={self.ambient_dim}, dim={self.dim}, "
            f"epsilon={self.epsilon:g})"
        )

    @property
    def ambient_dim(self) -> int:
        """d_x."""
        return self.spans.ambient_dim

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_j."""
        return self.spans.sizes

    @property
    def ranks(self) -> tuple[int, ...]:
        """r_j."""
        return self.spans.ranks

    # -- traced -------------------------------------------------------------------------------------------------------------

    def data(self, dtype: Any) -> utilities.Data:
        """What the traced utilities are evaluated on, in that dtype."""
        dtype = np.dtype(dtype)
        if dtype not in self._by_dtype:
            found = utilities.numbers(utilities.stacked(self.spans.factors), self.sizes, self.dim, self.epsilon)
            with jax.ensure_compile_time_eval():  # kept beyond the trace that may be under way
                self._by_dtype[dtype] = utilities.Data(*(jnp.asarray(number.astype(dtype)) for number in found))
        return self._by_dtype[dtype]

    def _both(self, F: Any, G: Any) -> tuple[utilities.Data, jax.Array, jax.Array]:
        F = traced_matrix("F", F, (self.dim, self.ambient_dim))
        G = traced_matrix("G", G, (self.ambient_dim, self.dim))
        if F.dtype != G.dtype:
            raise InputError(f"G: found {G.dtype}, but F is {F.dtype}; pass both in one dtype")
        return self.data(F.dtype), F, G

    def expressiveness(self, F: Any) -> Float[Array, ""]:
        """Q(F) = ΔR(FX), the encoder's utility less what the decoder answers.

        **Raises:** `InputError` for a wrong shape or dtype, or NaN; so do the others.
        """
        F = traced_matrix("F", F, (self.dim, self.ambient_dim))
        return utilities.finite(_expressiveness(self.data(F.dtype), F))

    def distances(self, F: Any, G: Any) -> Float[Array, " k"]:
        """ΔR(f(X_j), fgf(X_j)) ≥ 0 of each class."""
        return utilities.finite(_distances(*self._both(F, G)))

    def encoder_utility(self, F: Any, G: Any) -> Float[Array, ""]:
        """ΔR(FX) + Σ_j ΔR(FX_j, FGFX_j)."""
        return utilities.finite(_encoder_utility(*self._both(F, G)))

    def decoder_utility(self, F: Any, G: Any) -> Float[Array, ""]:
        """−Σ_j ΔR(FX_j, FGFX_j)."""
        return utilities.finite(_decoder_utility(*self._both(F, G)))

    def gradient(self, F: Any, G: Any) -> Gradients:
        """Each player's gradient of its own utility, in closed form, before any constraint. Errors as `expressiveness`, and for
        images so large that rounding leaves nothing of it; `hvp` likewise."""
        return Gradients(*finite_slopes(_gradients(*self._both(F, G))))

    def hvp(self, F: Any, G: Any, V: Any, W: Any) -> Gradients:
        """The derivative of `gradient` along (V, W), in closed form: for each player its own Hessian times its own direction
        plus the mixed one times the other's.
        """
        data, F, G = self._both(F, G)
        V, W = traced_matrix("V", V, F.shape), traced_matrix("W", W, G.shape)
        return Gradients(*finite_slopes(_hvp(data, F, G, V.astype(F.dtype), W.astype(F.dtype))))

    # -- host ---------------------------------------------------------------------------------------------------------------

    def encoder(self, F: Any) -> np.ndarray:
        """F as float64 NumPy, checked.

        **Raises:** `InputError` for a wrong shape, float32 or NaN.
        """
        return host_matrix("F", F, (self.dim, self.ambient_dim))

    def decoder(self, G: Any) -> np.ndarray:
        """G as float64 NumPy, checked. Errors as `encoder`."""
        return host_matrix("G", G, (self.ambient_dim, self.dim))

    def feasibility(self, F: Any) -> np.ndarray:
        """‖F X_j‖_F²/n_j of each class, shape (K,): at most one for a feasible encoder."""
        F = self.encoder(F)
        return np.array([np.sum((F @ C) ** 2) / size for C, size in zip(self.spans.factors, self.sizes, strict=True)])

    def project(self, F: Any, *, atol: float = 1e-12) -> np.ndarray:
        """The nearest feasible encoder: F (I + Σ mu_j X_jX_jᵀ)⁻¹ with mu ≥ 0, by Newton's method on the dual.

        **Arguments:** `F` (d_z, d_x), float64; `atol`: how far ‖F X_j‖²/n_j may be from what the optimality conditions ask for,
        which is reached as far as rounding of F's entries lets it: what F does beyond Col X stays, and where that is large, its
        rounding is not small to X. `projection` measures what is left.

        **Raises:** `InputError` as `encoder`, and where more than 1e-6 is left.
        """
        found = self.projection(F, atol=atol)
        if not found.violation <= _PROJECTED:
            raise InputError(
                f"F: found entries of up to {np.abs(np.asarray(F)).max():.3g}, so large that rounding leaves the projection "
                f"{float(found.violation):.2g} off its conditions; scale F down, or leave out what it does beyond Col X"
            )
        return found.F

    def projection(self, F: Any, *, atol: float = 1e-12) -> Projected:
        """`project` with the multipliers (in units in which every constraint is ‖F X_j‖²/n_j ≤ 1), steps and violation, as F
        has it after rounding.

        **Raises:** `InputError` as `encoder`, and for entries at which f(X) leaves the range of float64.
        """
        F, atol = self.encoder(F), positive_real("atol", atol)
        check_range(F, None, self.spans.factors)
        with jax.enable_x64(True):
            data = self.data(np.float64)
            sizes = jnp.asarray(np.array(self.sizes, dtype=np.float64))
            found = _project(jnp.asarray(F), data.factors, sizes, jnp.asarray(self.spans.span), jnp.asarray(atol / 2))
        found = Projected(*(np.asarray(part) for part in found))
        over = self.feasibility(found.F) - 1
        off = np.where(found.multipliers > 0, np.abs(over), np.maximum(over, 0))
        return found._replace(violation=np.maximum(found.violation, off.max()))

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The hypotheses of the theorem on equilibria, as recalled of the paper and as they must be, each with its margin."""
        return hypotheses_of(self.spans, self.dim, self.epsilon)

    def optimum(self) -> Optimum:
        """The value of the game to the encoder, in closed form.

        **Raises:** `InputError` for dependent classes, which are named.
        """
        self.spans.require_independent()
        return optimum_of(self.sizes, self.ranks, self.dim, self.epsilon)

    def best_response(self, F: Any) -> BestResponses:
        """All decoders that are best responses to F: F⁺, the set's dimension, random members. Errors as `response_error`."""
        F = self.encoder(F)
        check_range(F, None, self.spans.factors)
        return responses_to(F, self.spans.factors)

    def is_best_response(self, F: Any, G: Any, *, rtol: float = 1e-8) -> bool:
        """Whether `response_error` is at most rtol. Errors as there."""
        check_tolerance(positive_real("rtol", rtol))
        return self.response_error(F, G) <= rtol

    def response_error(self, F: Any, G: Any) -> float:
        """max_j ‖M P_j Mᵀ − P_j‖/‖P_j‖ for M = FG, in norms in which small directions count (see `responses`): zero exactly at
        best responses, and linear in how far G is from being one, as the distance itself is not.

        **Raises:** `InputError` as `encoder`, and for entries so large that f(X) or fgf(X) leaves the range of float64.
        """
        scales = self.dim / (np.array(self.sizes) * self.epsilon**2)
        F, G = self.encoder(F), self.decoder(G)
        check_range(F, G, self.spans.factors)
        return response_error(F, G, self.spans.factors, scales)

    def reduced(self, constraint: str = "balls") -> ConstrainedMCR2:
        """The encoder's problem without decoder and data: ΔR over A = [F C_1 … F C_K], ‖A_j‖² ≤ n_j, a landscape of the
        library.

        **Raises:** `InputError` for dependent classes, or a constraint other than "balls" and "spheres".
        """
        self.spans.require_independent()
        return ConstrainedMCR2(self.dim, self.sizes, self.epsilon, constraint).with_ranks(self.ranks)

    def landscape(self) -> EncoderLandscape:
        """The encoder's problem without decoder for classes in any position, dependent ones too: a landscape of the library on
        a product of ellipsoids, with how its points and encoders belong together.
        """
        if self._landscape is None:
            self._landscape = encoder_landscape(self.spans, self.dim, self.epsilon)
        return self._landscape

    def solve(
        self, *, key: Any, num_starts: int = NUM_STARTS, progress: bool | Callable[[int, int, int], None] = False
    ) -> Equilibrium:
        """An equilibrium: the best encoder that is known, and a decoder that answers it.

        In closed form where the classes are independent and their best dimensions fit into d_z, or an orthogonal encoder
        attains the upper bound anyway; otherwise the best end of ascents, which counts as optimal where it attains the bound.

        **Arguments:** `key`: a JAX key or integer seed, for the frames or the starts; `num_starts`: random starts of a search,
        which adds some of its own, with collapsed classes; `progress`: a bar, or a function of (done, total, done).

        **Raises:** `InputError` for a bad key or number of starts, or a d_z whose matrices do not fit into memory.
        """
        check_memory(self.dim, self.ambient_dim)
        return solve(self, key=key, num_starts=num_starts, progress=progress)

    def verify_equilibrium(self, F: Any, G: Any, *, attainable: float | None = None) -> EquilibriumReport:
        """Which conditions of an equilibrium (F, G) meets, each with its evidence: feasible, best response, Stackelberg, what F
        is as a point of the reduced problem, injective, local Nash, and from which ratio of rates on simultaneous gradient
        ascent is stable there.

        **Arguments:** `F` (d_z, d_x), `G` (d_x, d_z), float64; `attainable`: a utility that some encoder is known to reach, for
        instance the value of `solve`; the closed form of `optimum` is used anyway.

        **Raises:** `InputError` for wrong shapes, float32, NaN, or entries so large that f(X) or fgf(X) leaves the range of
        float64.
        """
        F, G = self.encoder(F), self.decoder(G)
        check_range(F, G, self.spans.factors)
        return verify(self, F, G, attainable)

    def coefficients(self, F: Any) -> np.ndarray:
        """A = F [C_1 … C_K], shape (d_z, Σ r_j): the encoder as a point of `reduced`. Errors as `encoder`."""
        return self.encoder(F) @ self.spans.joined

    def encoder_of(self, A: Any) -> np.ndarray:
        """The encoder of least norm with these coefficients.

        **Raises:** `InputError` for a wrong shape, NaN, or dependent classes.
        """
        self.spans.require_independent()
        A = float64_matrix("A", A, (self.dim, sum(self.ranks)))
        return np.linalg.lstsq(self.spans.joined.T, A.T, rcond=None)[0].T

    def whitened(self) -> SubspaceGame:
        """The same game in coefficient coordinates: data C_j = columns of the identity, F = A, G = [C_1 … C_K]⁺ times the
        decoder. Utilities agree, the metric is the one in which the constraint sets are balls.

        **Raises:** `InputError` for dependent classes.
        """
        self.spans.require_independent()
        columns = np.split(np.eye(sum(self.ranks)), np.cumsum(self.ranks)[:-1], axis=1)
        values = tuple(np.ones(rank) for rank in self.ranks)
        old = self.spans
        spans = Spans(old.names, old.sizes, tuple(columns), values, old.order, old.tolerance, old.cut)
        return SubspaceGame.from_spans(spans, dim=self.dim, epsilon=self.epsilon)


_expressiveness = jax.jit(utilities.expressiveness)
_distances = jax.jit(utilities.distances)
_encoder_utility = jax.jit(utilities.encoder_utility)
_decoder_utility = jax.jit(utilities.decoder_utility)
_project = jax.jit(project)


@jax.jit
def _gradients(data: utilities.Data, F: jax.Array, G: jax.Array) -> tuple[jax.Array, jax.Array]:
    return utilities.gradients(data, utilities.point_at(data, F, G))


@jax.jit
def _hvp(data: utilities.Data, F: jax.Array, G: jax.Array, V: jax.Array, W: jax.Array) -> tuple[jax.Array, jax.Array]:
    return utilities.hvp(data, utilities.point_at(data, F, G), V, W)
