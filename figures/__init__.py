"""One module for each figure, and a few with what several share. A figure asks for rows of a study and draws them; it never
computes.

A module's `FIGURE` says what it needs and how it is drawn. The order here is that of the gallery.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from mcr2_landscape.errors import InputError
from mcr2_landscape.gallery.figure import Figure
from mcr2_landscape.study.task import nearest

NAMES = (
    "value_against_index",
    "exact_spectrum",
    "phase_diagram",
    "direction_profile",
    "ascent_paths",
    "gram_matrices",
    "basins",
    "basin_statistics",
    "rates",
    "constrained_regularized",
    "trained_features",
    "trained_landscape",
    "ctrl_spectra",
    "ctrl_cosines",
    "ctrl_residuals",
    "ctrl_noise_sweep",
    "ctrl_dimension_sweep",
    "ctrl_single",
    "ctrl_images",
    "ctrl_networks",
    "ctrl_threshold",
    "ctrl_degeneracy",
    "ctrl_stability",
    "ctrl_random_starts",
    "markov_figure_1",
    "markov_figure_2",
    "markov_figure_3",
    "markov_figure_4",
    "markov_figure_5",
    "markov_potential",
    "markov_q_error",
    "markov_exploration",
    "markov_distance",
    "denoising_alignment",
    "snr_layers",
    "transformer_layers",
    "transformer_sparsity",
    "transformer_landscape",
    "transformer_accuracy",
    "completions",
    "attention_maps",
    "emergence",
    "flattening_flow",
    "flat_distances",
    "flat_interpolations",
    "flat_dimension",
    "csc_atoms",
    "csc_reconstructions",
    "csc_sparsity_error",
    "csc_convergence",
    "csc_loop_curves",
    "scale_products",
    "scale_inertia",
    "scale_games",
)


def load(names: Iterable[str] = ()) -> list[Figure]:
    """The figures of these names, or all of them, in the order of the gallery.

    **Raises:** `InputError` for an unknown name, with the nearest one.
    """
    asked = list(names)
    for name in asked:
        if name not in NAMES:
            raise InputError(f"figure: found {name!r}, which is none; {nearest(name, NAMES)}")
    chosen = [name for name in NAMES if name in asked] if asked else NAMES
    return [importlib.import_module(f"mcr2_landscape.figures.{name}").FIGURE for name in chosen]
