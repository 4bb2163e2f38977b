"""Search, classify, ascend and check: for any objective that follows `SmoothLandscape`."""

from mcr2_landscape.constraints import Balls as Balls
from mcr2_landscape.constraints import Sphere as Sphere
from mcr2_landscape.constraints import Spheres as Spheres
from mcr2_landscape.constraints import UnitColumns as UnitColumns
from mcr2_landscape.landscape.ascend import Ascent as Ascent
from mcr2_landscape.landscape.ascend import ascend as ascend
from mcr2_landscape.landscape.classify import CriticalPoint as CriticalPoint
from mcr2_landscape.landscape.classify import classify as classify
from mcr2_landscape.landscape.counting import inertia as inertia
from mcr2_landscape.landscape.counts import InertiaCount as InertiaCount
from mcr2_landscape.landscape.derivatives import DerivativeCheck as DerivativeCheck
from mcr2_landscape.landscape.derivatives import check_derivatives as check_derivatives
from mcr2_landscape.landscape.escape import Departure as Departure
from mcr2_landscape.landscape.escape import Escape as Escape
from mcr2_landscape.landscape.escape import escape as escape
from mcr2_landscape.landscape.escape import leave as leave
from mcr2_landscape.landscape.function import Landscape as Landscape
from mcr2_landscape.landscape.protocol import SmoothLandscape as SmoothLandscape
from mcr2_landscape.landscape.search import SearchResult as SearchResult
from mcr2_landscape.landscape.search import find_critical_points as find_critical_points
