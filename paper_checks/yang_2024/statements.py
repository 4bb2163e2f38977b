"""Yang, Li, Pai, Zhou, Ma, Yu, Xie, *Scaling White-Box Transformers for Vision* (NeurIPS 2024)."""

from __future__ import annotations

from mcr2_landscape.claims import Claim

CLAIMS: tuple[Claim, ...] = ()
