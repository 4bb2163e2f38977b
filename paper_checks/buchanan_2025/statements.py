"""Buchanan, Pai, Wang, Ma, *Learning Deep Representations of Data Distributions* (2025)."""

from __future__ import annotations

from mcr2_landscape.claims import Claim

CLAIMS: tuple[Claim, ...] = ()
