"""Yu, Chan, You, Song, Ma, *Learning Diverse and Discriminative Representations via the Principle of Maximal Coding Rate
Reduction* (NeurIPS 2020)."""
