from mcr2_landscape.analysis import analyze_features as analyze_features
from mcr2_landscape.analysis import survey as survey
from mcr2_landscape.constraints import Balls as Balls
from mcr2_landscape.constraints import Sphere as Sphere
from mcr2_landscape.constraints import Spheres as Spheres
from mcr2_landscape.constraints import UnitColumns as UnitColumns
from mcr2_landscape.landscape import Landscape as Landscape
from mcr2_landscape.landscape import ascend as ascend
from mcr2_landscape.landscape import check_derivatives as check_derivatives
from mcr2_landscape.landscape import classify as classify
from mcr2_landscape.landscape import find_critical_points as find_critical_points
from mcr2_landscape.mcr2 import MCR2 as MCR2
from mcr2_landscape.mcr2 import ConstrainedMCR2 as ConstrainedMCR2
from mcr2_landscape.rates import class_coding_rate as class_coding_rate
from mcr2_landscape.rates import coding_rate as coding_rate
from mcr2_landscape.rates import rate_reduction as rate_reduction
from mcr2_landscape.rates import rate_reduction_between as rate_reduction_between
from mcr2_landscape.training import fit as fit
from mcr2_landscape.training import train_features as train_features
from mcr2_landscape.validation import InputError as InputError
from mcr2_landscape.verdict import Evidence as Evidence
from mcr2_landscape.verdict import Inertia as Inertia
from mcr2_landscape.verdict import Kind as Kind
from mcr2_landscape.verdict import Verdict as Verdict

__version__: str
