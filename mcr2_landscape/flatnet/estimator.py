"""FlatNet by scikit-learn's conventions."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mcr2_landscape.extras import missing_extra
from mcr2_landscape.flatnet.build import BuildOptions
from mcr2_landscape.flatnet.fitting import fit_network
from mcr2_landscape.validation import InputError

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise missing_extra("the estimator FlatNet", "scikit-learn", "data") from None

if TYPE_CHECKING:
    from mcr2_landscape.landscape.progress import Progress

#: Parameters of `fit_network` and `BuildOptions` whose names differ here.
_OWN_NAMES = {"points": "X", "num_components": "n_components", "most_alpha": "max_alpha", "max_iterations": "max_iter"}


class FlatNet(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Flatten a manifold to a plane of its dimension, layer by layer, with a decoder and a verdict.

    **Parameters:** `n_components`: d, found from the data if left out; `threshold`: the greatest half mean square error of a
    layer's round trip, relative to the mean square of the entries; `max_alpha`: the strongest flattening of a layer, below one;
    `flatness`: the part of the variance that may stay outside the d dimensions; `tolerance`: the relative error of decoding
    that the verdict allows; `validation_fraction`: the part of the points (rounded down) that is held back at random from
    layers, decoder and every choice, and on which the verdict rests; `max_iter`: layers tried; `candidates`: centers tried for
    every other layer; `refit`: whether the decoder is refitted in closed form, and `ridge` (`None`: chosen); `time_limit` of
    the build, in seconds (the dimension, the refit and the report come on top); `checkpoint`: a file, to go on from if it is
    there, which takes an integer `random_state`; `random_state`; `verbose`: whether a bar on a terminal's standard error shows
    how many of `max_iter` layers were tried.

    **Attributes:** `n_components_`; `network_`, a `FlatNetwork`; `report_`, a `FlatReport` whose `verdict` says whether the
    data are flattenable at this tolerance, and why not; `embedding_`, the codes of all points; `validation_`, the rows held
    back; `n_iter_`.

    `transform` gives codes (N, d), `inverse_transform` points (N, D), both in float64 on the host. `network_.encode` and
    `network_.decode` do the same in JAX.

    **Raises:** by `fit`, `ValueError` for NaN, numbers out of range, no more than d distinct points, points that are all the
    same, or a `checkpoint` without an integer `random_state`.

    >>> import numpy as np
    >>> angles = np.linspace(0, 2, 60)
    >>> circle = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> flat = FlatNet(random_state=0).fit(circle)
    >>> flat.n_components_, str(flat.report_.verdict)
    (1, 'holds')
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        threshold: float = 4e-6,
        max_alpha: float = 0.15,
        flatness: float = 1e-6,
        tolerance: float = 0.01,
        validation_fraction: float = 0.1,
        max_iter: int = 500,
        candidates: int = 2,
        refit: bool = True,
        ridge: float | None = None,
        time_limit: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ):
        self.n_components = n_components
        self.threshold = threshold
        self.max_alpha = max_alpha
        self.flatness = flatness
        self.tolerance = tolerance
        self.validation_fraction = validation_fraction
        self.max_iter = max_iter
        self.candidates = candidates
        self.refit = refit
        self.ridge = ridge
        self.time_limit = time_limit
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> FlatNet:
        """Fit to the rows of X, (N, D)."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        if self.checkpoint is not None and not isinstance(self.random_state, (int, np.integer)):
            raise InputError(
                f"random_state: found {self.random_state!r}, by which no later fit goes on from the checkpoint; pass an integer"
            )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        options = BuildOptions(
            threshold=self.threshold,
            most_alpha=self.max_alpha,
            flatness=self.flatness,
            max_iterations=self.max_iter,
            candidates=self.candidates,
        )
        try:
            with self._bar(options.checked()) as bar:
                found = fit_network(
                    X,
                    self.n_components,
                    key=seed,
                    options=options,
                    refit=self.refit,
                    ridge=self.ridge,
                    flatness=self.flatness,
                    tolerance=self.tolerance,
                    validation_fraction=self.validation_fraction,
                    checkpoint=self.checkpoint,
                    time_limit=self.time_limit,
                    watch=None if bar is None else lambda made: bar.update(made.iterations, 0),
                )
        except InputError as error:  # by the names that the caller knows
            name, colon, rest = str(error).partition(":")
            raise InputError(_OWN_NAMES.get(name, name) + colon + rest) from None
        self.network_, self.report_, self.embedding_ = found.network, found.report, found.codes
        self.validation_ = found.validation
        self.n_components_, self.n_iter_ = found.report.dimension, max(1, found.built.iterations)
        self._n_features_out = self.n_components_
        return self

    def _bar(self, options: BuildOptions) -> contextlib.AbstractContextManager[Progress | None]:
        if not self.verbose:
            return contextlib.nullcontext()
        from mcr2_landscape.landscape.progress import Progress  # whose package takes most of a second to load

        return Progress.of(True, options.max_iterations, "flattening")

    def transform(self, X: Any) -> np.ndarray:
        """Codes (N, d) of the rows of X, (N, D)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.network_.encode_rows(X)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Points (N, D) of codes (N, d)."""
        check_is_fitted(self)
        codes = np.asarray(X, np.float64)
        if codes.ndim != 2 or codes.shape[1] != self.n_components_:
            raise InputError(f"X: found shape {codes.shape}; pass codes of shape (any, {self.n_components_})")
        return self.network_.decode_rows(codes)
