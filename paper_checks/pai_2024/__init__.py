"""Pai, Buchanan, Wu, Yu, Ma, *Masked Completion via Structured Diffusion with White-Box Transformers* (ICLR 2024)."""
