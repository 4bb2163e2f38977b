"""Yu, Chu, Tong, Wu, Pai, Buchanan, Ma, *Emergence of Segmentation with Minimalistic White-Box Transformers* (CPAL 2024)."""

from __future__ import annotations

from mcr2_landscape.claims import Claim

CLAIMS: tuple[Claim, ...] = ()
