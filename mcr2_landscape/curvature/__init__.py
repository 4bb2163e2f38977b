"""Curvature without dense matrices: one extreme eigenpair, and the spectral density."""

from mcr2_landscape.curvature.lanczos import ExtremePair as ExtremePair
from mcr2_landscape.curvature.lanczos import SpectralDensity as SpectralDensity
from mcr2_landscape.curvature.lanczos import extreme_eigenpair as extreme_eigenpair
from mcr2_landscape.curvature.lanczos import spectral_density as spectral_density
