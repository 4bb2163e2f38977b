"""Pai, Buchanan, Wu, Yu, Ma, *Masked Completion via Structured Diffusion with White-Box Transformers* (ICLR 2024)."""

from __future__ import annotations

from mcr2_landscape.claims import Claim

CLAIMS: tuple[Claim, ...] = ()
