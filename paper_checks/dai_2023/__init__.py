"""Dai et al., *Closed-Loop Transcription via Convolutional Sparse Coding* (2023)."""
