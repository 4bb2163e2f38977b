"""The studies behind the figures, each a small declarative file, and the benchmark scripts."""
