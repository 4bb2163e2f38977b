"""What sets the published families of networks, and the derived one, apart from CRATE: fields of `Architecture`."""

from __future__ import annotations

from typing import Any

_MAE: dict[str, Any] = {
    **{"sparsity": 0.5, "embedding": "linear", "positions": "sincos", "initialization": "xavier", "final_norm_epsilon": 1e-6},
    **{"decoder": "crate"},
}
_VIT: dict[str, Any] = {
    **{"attention": "mhsa", "sparsification": "mlp", "embedding": "linear", "initialization": "normal"},
    **{"norm_epsilon": 1e-6, "final_norm_epsilon": 1e-6},
}
#: What each published family sets. CRATE-α's norm before the head is that of its PyTorch code; its JAX code has 1e-6.
FAMILIES: dict[str, dict[str, Any]] = {
    "crate": {},
    "crate-alpha": {
        **{"sparsification": "odl", "output_bias": False, "embedding": "linear", "initialization": "normal"},
        **{"norm_epsilon": 1e-6},
    },
    "crate-mae": _MAE,
    "vit": _VIT,
    "vit-mae": {**_MAE, **_VIT, "sparsity": 0.1, "initialization": "xavier", "qkv_bias": False, "norm_epsilon": 1e-5}
    | {"decoder": "transformer", "mask_tokens": "decoder"},
}
DERIVED: dict[str, Any] = {
    **{"output": "tied", "output_bias": False, "first_order": True, "compression_step": 0.5, "temperature": 1.0},
    **{"sparsification_step": 1.0, "normalization": "none"},
    **{"orthonormal_subspaces": True, "orthonormal_dictionary": True, "unused_parameters": False},
}
