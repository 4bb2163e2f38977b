"""Benchmarks of the Hessian's products and of the inertia, against the products' own limit and against other libraries.

A contestant's product is compared with a host oracle before it is timed. What is timed runs on one pinned core in a process of
its own, in turns with the others. Guide: docs/benchmarks.md.
"""

from mcr2_landscape.bench.launch import benchmark as benchmark
from mcr2_landscape.bench.plan import POINTS as POINTS
from mcr2_landscape.bench.plan import SIZES as SIZES
from mcr2_landscape.bench.plan import Plan as Plan
