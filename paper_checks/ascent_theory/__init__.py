"""Theorems of docs/theory.md on gradient ascent: how far the curvature goes, where ascents end, and how fast."""
