"""Pai, Psenka, Chiu, Wu, Dobriban, Ma, *Pursuit of a Discriminative Representation for Multiple Subspaces via Sequential Games*
(arXiv 2206.09120)."""
