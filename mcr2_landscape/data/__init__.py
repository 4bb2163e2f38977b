"""Labeled features: files of several formats, the digits that come with the package, synthetic mixtures of subspaces."""

from mcr2_landscape.data.builtin import digits as digits
from mcr2_landscape.data.faces import faces as faces
from mcr2_landscape.data.files import load_features as load_features
from mcr2_landscape.data.labeled import LabeledFeatures as LabeledFeatures
from mcr2_landscape.data.synthetic import gaussian_subspaces as gaussian_subspaces
from mcr2_landscape.data.synthetic import subspace_mixture as subspace_mixture
