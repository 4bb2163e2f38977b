"""Wang, Lu, Yu, Pai, Qu, Ma, *Attention-Only Transformers via Unrolled Subspace Denoising* (2025)."""
