"""Curvature: exact spectra by reduction; from products alone eigenpairs, counts by sign, multiplicities, density, trace and
diagonal; and products on many devices."""

from mcr2_landscape.curvature.clusters import Cluster as Cluster
from mcr2_landscape.curvature.clusters import Clusters as Clusters
from mcr2_landscape.curvature.clusters import eigenvalue_clusters as eigenvalue_clusters
from mcr2_landscape.curvature.density import SpectralDensity as SpectralDensity
from mcr2_landscape.curvature.density import spectral_density as spectral_density
from mcr2_landscape.curvature.estimates import DiagonalEstimate as DiagonalEstimate
from mcr2_landscape.curvature.estimates import TraceEstimate as TraceEstimate
from mcr2_landscape.curvature.estimates import diagonal as diagonal
from mcr2_landscape.curvature.estimates import trace as trace
from mcr2_landscape.curvature.exact import PointSpectrum as PointSpectrum
from mcr2_landscape.curvature.exact import spectrum as spectrum
from mcr2_landscape.curvature.orbit import OrthogonalOrbit as OrthogonalOrbit
from mcr2_landscape.curvature.orbit import orbit_at as orbit_at
from mcr2_landscape.curvature.pairs import Eigenpairs as Eigenpairs
from mcr2_landscape.curvature.pairs import eigenpairs as eigenpairs
from mcr2_landscape.curvature.scaling import predict as predict
from mcr2_landscape.curvature.sharded import ShardedMCR2 as ShardedMCR2
from mcr2_landscape.curvature.signs import SignBracket as SignBracket
from mcr2_landscape.curvature.signs import sign_bracket as sign_bracket
