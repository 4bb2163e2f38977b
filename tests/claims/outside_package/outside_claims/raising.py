"""A provider that cannot be imported."""

raise RuntimeError("this provider is broken")
