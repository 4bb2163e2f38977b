"""For tests of your own landscapes and theorems: hypothesis strategies, a dense oracle, and a zoo of problems with known
answers.

Needs the extra `test` (hypothesis).
"""

from mcr2_landscape.testing.oracle import dense_inertia as dense_inertia
from mcr2_landscape.testing.strategies import parameters as parameters
from mcr2_landscape.testing.strategies import points as points
from mcr2_landscape.testing.strategies import seeds as seeds
from mcr2_landscape.testing.strategies import spectra as spectra
from mcr2_landscape.testing.strategies import symmetric_matrix as symmetric_matrix
from mcr2_landscape.testing.zoo import ZOO as ZOO
from mcr2_landscape.testing.zoo import KnownPoint as KnownPoint
from mcr2_landscape.testing.zoo import Specimen as Specimen
