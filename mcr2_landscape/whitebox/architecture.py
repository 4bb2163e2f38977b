"""What a white-box transformer is made of: one value holds every switch between the network as derived and as published."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import Any

from mcr2_landscape.validation import InputError, positive_integer, positive_real, real
from mcr2_landscape.whitebox.families import DERIVED, FAMILIES

_CHOICES = {
    "attention": ("mssa", "mhsa", "none"),
    "sparsification": ("ista", "odl", "mlp", "none"),
    "output": ("free", "tied"),
    "normalization": ("layer", "rms", "none"),
    "steps": ("fixed", "learned"),
    "threshold": ("nonnegative", "soft"),
    "embedding": ("normalized", "linear"),
    "positions": ("learned", "sincos"),
    "initialization": ("uniform", "normal", "xavier"),
    "decoder": ("none", "crate", "tied", "transformer"),
    "mask_tokens": ("encoder", "decoder"),
}
_SWITCHES = (
    *("output_bias", "qkv_bias", "first_order", "residual", "decoupled"),
    *("orthonormal_subspaces", "orthonormal_dictionary", "normalized_targets", "unused_parameters"),
)


@dataclass(frozen=True)
class Architecture:
    """The shape of a network and every switch of its layers. The defaults are CRATE's published code (Yu et al., 2023).

    **Sizes:** `dim` d of tokens; `depth`, layers; `heads` K; `head_dim` p (`None`: d / K); `image_size`, (height, width) or one
    number; `patch`, side of the square patches; `channels`; `num_classes`, of a classifier (`decoder` "none").

    **Attention half**, Z ↦ Z + s·A(norm(Z)):

    * `attention`: "mssa", softmax attention within each of K subspaces; "mhsa", with queries, keys and values of their own;
      "none".
    * `output`, the map from heads back to tokens: "free", a matrix; "tied", [U_1, …, U_K] as derived. `output_bias`;
      `qkv_bias` (of "mhsa"). `output_scale` multiplies the map: α of the derivation, or −1 to flip the sign.
    * `compression_step` s: κα of the derivation, 1 in the code. With `first_order` the layer keeps the first-order term of the
      gradient, (1 − s)·Z + s·A(norm(Z)).
    * `temperature`, which divides the logits: 1 as derived, `None` for √p as in the code.

    **Sparsification half**, on X, the normalized tokens:

    * `sparsification`: "ista", one proximal-gradient step from X in a complete dictionary; "odl", `iterations` steps from zero
      in a dictionary of `ratio`·d atoms, mapped back by a second dictionary (the same one unless `decoupled`), added to the
      tokens if `residual` (CRATE-α); "mlp", a perceptron of `ratio`·d hidden units, added to the tokens; "none".
    * `sparsification_step` η, `sparsity` λ; `threshold`: "nonnegative", ReLU(· − ηλ), or "soft", with either sign.
    * `steps`: "learned" makes s, η and λ parameters of each layer, which start at the numbers given.

    **Norms:** `normalization` of both halves, "layer", "rms" or "none", with `norm_epsilon`; the norm before the head is
    always a layer norm, with `final_norm_epsilon`.

    **Input:** `embedding`: "normalized", layer norms before and after the linear map of patches; "linear", the map alone.
    `positions`: "learned", or fixed sines and cosines.

    **Start:** `initialization`: "uniform" (PyTorch's defaults), "normal" (standard deviation 0.02) or "xavier", of all linear
    maps; `orthonormal_subspaces` and `orthonormal_dictionary` override it.

    **Masked autoencoders:** `decoder`: "crate", layers of their own; "tied", the inverse step with the encoder's subspaces and
    dictionaries in reverse order, as derived; "transformer"; with `decoder_depth`, `decoder_dim`, `decoder_heads` (`None`: the
    encoder's). `mask_tokens` enter the "encoder" (CRATE-MAE) or the "decoder" (MAE). `mask_ratio` of the patches are masked.
    `normalized_targets`: each patch to mean 0 and variance 1. `unused_parameters`: the map and the positions that CRATE-MAE's
    code holds and never uses are kept, as in published counts.

    **Raises:** `InputError` for sizes that do not fit one another and for unknown values.
    """

    dim: int
    depth: int
    heads: int
    head_dim: int | None = None
    image_size: Any = 224
    patch: int = 16
    channels: int = 3
    num_classes: int = 1000
    attention: str = "mssa"
    output: str = "free"
    output_bias: bool = True
    output_scale: float = 1.0
    qkv_bias: bool = True
    first_order: bool = False
    compression_step: float = 1.0
    temperature: float | None = None
    sparsification: str = "ista"
    sparsification_step: float = 0.1
    sparsity: float = 0.1
    threshold: str = "nonnegative"
    ratio: int = 4
    iterations: int = 2
    decoupled: bool = True
    residual: bool = True
    steps: str = "fixed"
    normalization: str = "layer"
    norm_epsilon: float = 1e-5
    final_norm_epsilon: float = 1e-5
    embedding: str = "normalized"
    positions: str = "learned"
    initialization: str = "uniform"
    orthonormal_subspaces: bool = False
    orthonormal_dictionary: bool = False
    decoder: str = "none"
    decoder_depth: int | None = None
    decoder_dim: int | None = None
    decoder_heads: int | None = None
    mask_tokens: str = "encoder"
    mask_ratio: float = 0.75
    normalized_targets: bool = False
    unused_parameters: bool = True

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            _check_choice(name, getattr(self, name), allowed)
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name}: found {getattr(self, name)!r}; pass True or False")
        for name in ("dim", "depth", "heads", "patch", "channels", "num_classes", "ratio", "iterations"):
            self._set(name, positive_integer(name, getattr(self, name)))
        self._set("head_dim", _head_dim(("dim", "heads"), self.head_dim, self.dim, self.heads))
        self._set("image_size", _image_size(self.image_size, self.patch))
        for name in ("sparsification_step", "norm_epsilon", "final_norm_epsilon"):
            self._set(name, positive_real(name, getattr(self, name)))
        for name in ("compression_step", "output_scale", "sparsity"):
            self._set(name, real(name, getattr(self, name)))
        if self.temperature is not None:
            self._set("temperature", positive_real("temperature", self.temperature))
        if self.attention != "mssa" and self.output == "tied":
            raise InputError(
                f'output: found "tied" with attention "{self.attention}", which has no subspaces to tie it to; pass '
                'output="free"'
            )
        self._check_decoder()
        if self.positions == "sincos" and any(dim % 4 for dim in (self.dim, self.decoder_dim or self.dim)):
            raise InputError(
                f'dim: found {self.dim}; sines and cosines of two coordinates need a multiple of 4, or pass positions="learned"'
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Patches in a column, and in a row."""
        return self.image_size[0] // self.patch, self.image_size[1] // self.patch

    @property
    def num_patches(self) -> int:
        """Patches of an image; the class token is one token more."""
        return self.grid[0] * self.grid[1]

    @property
    def patch_dim(self) -> int:
        """Numbers in a patch."""
        return self.channels * self.patch**2

    @property
    def inner(self) -> int:
        """Dimension of all heads together."""
        return self.heads * (self.head_dim or 0)

    @property
    def is_autoencoder(self) -> bool:
        """Whether there is a decoder."""
        return self.decoder != "none"

    @property
    def num_visible(self) -> int:
        """Patches that masking keeps."""
        return int(self.num_patches * (1 - self.mask_ratio))

    def replace(self, **switches: Any) -> Architecture:
        """The same with some fields changed. What followed from them follows again unless it is given: the width of heads that
        make up the tokens' width, and the sizes of a decoder that are the encoder's.

        **Raises:** `InputError` for unknown fields, and as the constructor does.
        """
        _check_known(switches)
        if self.inner == self.dim:
            switches.setdefault("head_dim", None)
        for name in ("depth", "dim", "heads"):
            if switches.get("decoder") == "none" or getattr(self, f"decoder_{name}") == getattr(self, name):
                switches.setdefault(f"decoder_{name}", None)
        return dataclasses.replace(self, **switches)

    @classmethod
    def published(cls, dim: int, depth: int, heads: int, *, family: str = "crate", **switches: Any) -> Architecture:
        """The network as trained in practice: `family` "crate", "crate-alpha", "crate-mae", "vit" or "vit-mae".

        **Raises:** `InputError`.
        """
        _check_choice("family", family, tuple(FAMILIES))
        _check_known(switches)
        return cls(dim, depth, heads, **{**FAMILIES[family], **switches})

    @classmethod
    def derived(cls, dim: int, depth: int, heads: int, **switches: Any) -> Architecture:
        """The network as derived: each layer is a step on the rate in orthonormal subspaces, with the first-order term, the
        temperature 1, the output map [U_1, …, U_K] and no norm, then a step of ISTA in an orthonormal dictionary, in which the
        step size 1 is the largest that is certain to descend. The step κα, left open by the derivation, is 1/2 unless
        `compression_step` is given; `decoder="tied"` makes the autoencoder.

        **Raises:** `InputError`.
        """
        _check_known(switches)
        return cls(dim, depth, heads, **{**DERIVED, **switches})

    def _check_decoder(self) -> None:
        if not self.is_autoencoder:
            given = [name for name in ("decoder_depth", "decoder_dim", "decoder_heads") if getattr(self, name) is not None]
            if given:
                raise InputError(f'{given[0]}: given without a decoder; pass decoder="crate", "tied" or "transformer" too')
            return
        for name, default in (("decoder_depth", self.depth), ("decoder_dim", self.dim), ("decoder_heads", self.heads)):
            value = getattr(self, name)
            self._set(name, default if value is None else positive_integer(name, value))
        assert self.decoder_dim is not None
        assert self.decoder_heads is not None
        if self.decoder == "tied":
            if self.attention != "mssa" or self.sparsification != "ista":
                raise InputError(
                    'decoder: "tied" inverts layers of attention "mssa" and sparsification "ista"; found '
                    f'"{self.attention}" and "{self.sparsification}"'
                )
            if (self.decoder_depth, self.decoder_dim, self.decoder_heads) != (self.depth, self.dim, self.heads):
                raise InputError(
                    f'decoder: "tied" needs the depth {self.depth}, dim {self.dim} and heads {self.heads} of the encoder; '
                    f"found {self.decoder_depth}, {self.decoder_dim} and {self.decoder_heads}"
                )
        elif (self.decoder_dim, self.decoder_heads) != (self.dim, self.heads):
            _head_dim(("decoder_dim", "decoder_heads"), None, self.decoder_dim, self.decoder_heads)
        if self.mask_tokens == "encoder" and self.decoder_dim != self.dim:
            raise InputError(
                f"decoder_dim: found {self.decoder_dim}; where mask tokens enter the encoder no map lies between encoder and "
                f'decoder: pass {self.dim}, or mask_tokens="decoder"'
            )
        ratio = positive_real("mask_ratio", self.mask_ratio)
        self._set("mask_ratio", ratio)
        if ratio >= 1 or not 0 < self.num_visible < self.num_patches:
            left = self.num_visible if ratio < 1 else 0
            raise InputError(
                f"mask_ratio: found {ratio:g}, which leaves {left} of {self.num_patches} patches; some have to be visible and "
                "some masked"
            )

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def _check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name}: found {value!r}; pass one of {', '.join(map(repr, allowed))}")


def _check_known(switches: dict[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(Architecture)]
    for name in switches:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise InputError(f"{name}: no field of an architecture" + (f"; did you mean {near[0]}?" if near else ""))


def _head_dim(names: tuple[str, str], value: Any, dim: int, heads: int) -> int:
    if value is not None:
        found = positive_integer("head_dim", value)
        if found > dim:
            raise InputError(f"head_dim: found {found}, more than the dimension {dim} ({names[0]}) that heads project from")
        return found
    if dim % heads:
        cure = "pass a divisor, or head_dim too" if names[1] == "heads" else "pass a divisor"
        raise InputError(f"{names[1]}: found {heads}, which do not divide the dimension {dim} ({names[0]}); {cure}")
    return dim // heads


def _image_size(value: Any, patch: int) -> tuple[int, int]:
    sides = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(sides) != 2:
        raise InputError(f"image_size: found {value!r}; pass (height, width), or one number for a square")
    height, width = (positive_integer("image_size", side) for side in sides)
    if height % patch or width % patch:
        near = tuple(max(round(side / patch), 1) * patch for side in (height, width))
        raise InputError(
            f"image_size: found {height} × {width}, which patches of {patch} × {patch} do not divide; pass a multiple such as "
            f"{near[0]} × {near[1]}, or another patch"
        )
    return height, width
