"""Buchanan, Pai, Wang, Ma, *Learning Deep Representations of Data Distributions* (2025)."""
