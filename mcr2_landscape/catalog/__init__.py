"""Every critical point that theory knows: thresholds, families, the global maximum, enumeration and recognition.

NumPy, rationals and the standard library only, so that a result of the JAX side can be checked without JAX. The statements
that it rests on are written out in docs/theory.md.
"""

from mcr2_landscape.catalog.blocks import Block
from mcr2_landscape.catalog.enumeration import catalog, count_orthogonal_families
from mcr2_landscape.catalog.families import Eigenspace, Family, orthogonal_family
from mcr2_landscape.catalog.frames import fusion_frame
from mcr2_landscape.catalog.maximum import GlobalMaximum, global_maximum
from mcr2_landscape.catalog.recognition import Recognition, recognize
from mcr2_landscape.catalog.scalar import (
    EigenspaceRoots,
    Sign,
    Thresholds,
    eigenspace_roots,
    regularization_limit,
    roots,
    thresholds,
)
from mcr2_landscape.catalog.spectra import Spectrum

__all__ = [
    "Block",
    "Eigenspace",
    "EigenspaceRoots",
    "Family",
    "GlobalMaximum",
    "Recognition",
    "Sign",
    "Spectrum",
    "Thresholds",
    "catalog",
    "count_orthogonal_families",
    "eigenspace_roots",
    "fusion_frame",
    "global_maximum",
    "orthogonal_family",
    "recognize",
    "regularization_limit",
    "roots",
    "thresholds",
]
