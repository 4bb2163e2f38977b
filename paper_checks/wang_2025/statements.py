"""Wang, Lu, Yu, Pai, Qu, Ma, *Attention-Only Transformers via Unrolled Subspace Denoising* (2025)."""

from __future__ import annotations

from mcr2_landscape.claims import Claim

CLAIMS: tuple[Claim, ...] = ()
