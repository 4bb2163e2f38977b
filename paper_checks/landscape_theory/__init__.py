"""The theorems on every critical point of regularized MCR² that are proved in docs/theory.md."""
