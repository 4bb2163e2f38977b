"""In which metric a step is steepest: the landscape's own, or a multiple of the identity."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax


class Multiple(eqx.Module):
    """The identity divided by `unit`, so that the steepest direction is `unit` times the gradient."""

    unit: jax.Array

    def solve(self, G: jax.Array) -> jax.Array:
        """The direction of which G is the metric's image, traced."""
        return self.unit * G


def has_own_metric(landscape: Any) -> bool:
    """Whether the landscape's metric is more than a multiple of the identity."""
    return hasattr(landscape, "metric")


def metric_at(landscape: Any, Z: jax.Array, unit: jax.Array) -> Any:
    """The metric of a landscape at Z, traced: an object with `solve`; its own, or the identity divided by `unit`."""
    return landscape.metric(Z) if has_own_metric(landscape) else Multiple(unit)
