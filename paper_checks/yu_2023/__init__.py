"""Yu, Buchanan, Pai, Chu, Wu, Tong, Haeffele, Ma, *White-Box Transformers via Sparse Rate Reduction* (NeurIPS 2023)."""
