"""Yang, Li, Pai, Zhou, Ma, Yu, Xie, *Scaling White-Box Transformers for Vision* (NeurIPS 2024)."""
