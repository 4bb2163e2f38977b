"""Certificates: statements about critical points that anyone can check again without trusting this library.

Importing this package loads the checker only, which needs python-flint and the standard library; the functions that make
certificates (`certify_point`, `certify_approximate_saddle`, `certify_statement`) load NumPy when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mcr2_landscape.certify.certificate import Certificate as Certificate
from mcr2_landscape.certify.certificate import Point as Point
from mcr2_landscape.certify.certificate import Statement as Statement
from mcr2_landscape.certify.certificate import read as read
from mcr2_landscape.certify.certificate import write as write
from mcr2_landscape.certify.check import KINDS as KINDS
from mcr2_landscape.certify.check import Proof as Proof
from mcr2_landscape.certify.check import check as check
from mcr2_landscape.certify.exact import Block as Block
from mcr2_landscape.certify.exact import CertificateError as CertificateError
from mcr2_landscape.certify.exact import Disproved as Disproved
from mcr2_landscape.certify.exact import ExactFamily as ExactFamily
from mcr2_landscape.certify.exact import ExactProblem as ExactProblem
from mcr2_landscape.certify.exact import Threshold as Threshold
from mcr2_landscape.certify.exact import Undecided as Undecided
from mcr2_landscape.certify.exact import orthogonal as orthogonal
from mcr2_landscape.certify.markov import cycle_statement as cycle_statement

if TYPE_CHECKING:
    from mcr2_landscape.certify.make import Made as Made
    from mcr2_landscape.certify.make import certify_approximate_saddle as certify_approximate_saddle
    from mcr2_landscape.certify.make import certify_point as certify_point
    from mcr2_landscape.certify.make import certify_statement as certify_statement
    from mcr2_landscape.certify.make import exact_problem as exact_problem
    from mcr2_landscape.certify.make import float_parameters as float_parameters

_MAKERS = ("Made", "certify_approximate_saddle", "certify_point", "certify_statement", "exact_problem", "float_parameters")


def __getattr__(name: str) -> Any:
    if name not in _MAKERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.make"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MAKERS})
