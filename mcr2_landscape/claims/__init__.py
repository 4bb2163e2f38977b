"""Claims: theorems as data, found through entry points, checked one by one. See docs/claims.md.

What states claims (`Claim`, `Case`, `Form`, `Role`) and finds them (`load`) needs the standard library and python-flint alone.
"""

from mcr2_landscape.claims.claim import Case as Case
from mcr2_landscape.claims.claim import Claim as Claim
from mcr2_landscape.claims.claim import Form as Form
from mcr2_landscape.claims.claim import Role as Role
from mcr2_landscape.claims.outcome import Outcome as Outcome
from mcr2_landscape.claims.outcome import Part as Part
from mcr2_landscape.claims.outcome import Plot as Plot
from mcr2_landscape.claims.outcome import Series as Series
from mcr2_landscape.claims.registry import Registry as Registry
from mcr2_landscape.claims.registry import load as load
from mcr2_landscape.claims.run import Profile as Profile
from mcr2_landscape.claims.run import Run as Run
