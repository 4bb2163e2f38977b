"""Operators of nearby shapes on arrays of one shape, so that they share what is compiled."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mcr2_landscape.operators import Restricted


class Padded(Restricted):
    """The part of an operator on the entries at `places`, which are numbers along each axis of its arrays. The parent maps
    arrays that are zero elsewhere to such arrays, exactly.

    A space that is looked at (`mcr2_landscape.curvature.space`) holds the parent's wide arrays, whose shape many points share,
    projected on those that are zero elsewhere: no eigenvalue is added. Directions that come in and go out have the operator's
    own shape.
    """

    places: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many places there are along each axis."""
        return tuple(len(own) for own in self.places)

    @property
    def mask(self) -> np.ndarray:
        """Which entries of the wide arrays are the operator's own."""
        mask = np.zeros(self.parent.shape, dtype=bool)
        mask[np.ix_(*self.places)] = True
        return mask

    def widen(self, D: jax.Array) -> jax.Array:
        """D with zeros around it, traced."""
        return jnp.zeros(self.parent.shape, D.dtype).at[np.ix_(*self.places)].set(D, unique_indices=True)

    def narrow(self, D: Any) -> Any:
        """The operator's own entries of a wide array."""
        return D[np.ix_(*self.places)]

    def product(self, D: jax.Array) -> jax.Array:
        """See `SymmetricOperator.product`."""
        return self.narrow(self.parent.product(self.widen(D)))


class Widened(eqx.Module):
    """What is removed from directions of a padded operator, removed from its wide arrays."""

    padded: Padded
    removal: Any

    def remove(self, D: jax.Array) -> jax.Array:
        """D less what is removed from its own entries, traced; zero elsewhere."""
        own = self.padded.narrow(D)
        return self.padded.widen(self.removal.remove(own) if hasattr(self.removal, "remove") else self.removal(own))
