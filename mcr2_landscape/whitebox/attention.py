"""Attention over tokens as rows: what the operators and the networks share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def attention_weights(
    queries: Float[Array, "*b n p"], keys: Float[Array, "*b m p"], temperature: Any
) -> Float[Array, "*b n m"]:
    """softmax(queries keysᵀ / temperature), each row a probability vector over the keys."""
    logits = jnp.matmul(queries, jnp.swapaxes(keys, -1, -2))
    return jax.nn.softmax(logits / temperature, axis=-1)


def attend(
    queries: Float[Array, "*b n p"], keys: Float[Array, "*b m p"], values: Float[Array, "*b m p"], temperature: Any
) -> Float[Array, "*b n p"]:
    """softmax(queries keysᵀ / temperature) values.

    With queries, keys and values all equal to V this is V softmax(VᵀV / temperature) of tokens as columns, since the Gram
    matrix is symmetric: the subspace self-attention of one head.
    """
    return jnp.matmul(attention_weights(queries, keys, temperature), values)
