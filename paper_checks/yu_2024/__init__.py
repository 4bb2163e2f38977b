"""Yu, Chu, Tong, Wu, Pai, Buchanan, Ma, *Emergence of Segmentation with Minimalistic White-Box Transformers* (CPAL 2024)."""
