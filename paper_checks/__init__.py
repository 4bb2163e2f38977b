"""Published theorems as checkable claims: one folder for each paper."""
