"""Psenka, Pai, Raman, Sastry, Ma, *Representation Learning via Manifold Flattening and Reconstruction* (JMLR 2024)."""
