"""Wang, Liu, Pai, Yu, Zhu, Qu, Ma, *A Global Geometric Analysis of Maximal Coding Rate Reduction* (ICML 2024)."""
