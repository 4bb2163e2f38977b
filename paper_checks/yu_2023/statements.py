"""Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele, Ma, *White-Box Transformers via Sparse Rate Reduction* (NeurIPS 2023)."""

from __future__ import annotations

from mcr2_landscape.claims import Claim

CLAIMS: tuple[Claim, ...] = ()
