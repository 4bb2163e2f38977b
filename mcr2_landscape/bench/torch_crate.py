"""CRATE, CRATE-α and CRATE-MAE in plain PyTorch, from their definitions: what our networks are timed and compared with.

Parameters have the names of the published code, so that `whitebox.torch_state(model)` loads with `strict=True`. Nothing is
made slower than it has to be: a step of ISTA takes two products of matrices, Dx and Dᵀ(x − Dx), not three as in the published
code, and attention is PyTorch's fused one where asked for.
"""

from __future__ import annotations

import math
from typing import Any

import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox import Architecture


class Attention(nn.Module):
    """MSSA of tokens (B, N, d): in each of K heads softmax attention whose queries, keys and values are V = U_kᵀz."""

    def __init__(self, a: Architecture, *, fused: bool):
        super().__init__()
        self.heads, self.fused = a.heads, fused
        self.scale = 1 / (math.sqrt(a.inner // a.heads) if a.temperature is None else a.temperature)
        self.qkv = nn.Linear(a.dim, a.inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(a.inner, a.dim, bias=a.output_bias))

    def forward(self, tokens: Any) -> Any:
        """MSSA of normalized tokens."""
        V = self.qkv(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        if self.fused:
            heads = F.scaled_dot_product_attention(V, V, V, scale=self.scale)
        else:
            heads = torch.softmax(V @ V.transpose(-1, -2) * self.scale, dim=-1) @ V
        return self.to_out(heads.transpose(1, 2).flatten(-2))


class Ista(nn.Module):
    """One step of proximal gradient descent from x, in a complete dictionary, with nonnegative codes."""

    def __init__(self, a: Architecture):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(a.dim, a.dim))
        self.step, self.threshold = a.sparsification_step, a.sparsification_step * a.sparsity

    def forward(self, x: Any) -> Any:
        """relu(x + η Dᵀ(x − D x) − ηλ)."""
        residual = x - F.linear(x, self.weight)
        return F.relu(x + self.step * F.linear(residual, self.weight.T) - self.threshold)


class Odl(nn.Module):
    """Steps of proximal gradient descent from zero in an overcomplete dictionary, mapped back by another one."""

    def __init__(self, a: Architecture):
        super().__init__()
        self.D, self.D1 = (nn.Parameter(torch.empty(a.dim, a.ratio * a.dim)) for _ in range(2))
        self.iterations, self.step, self.threshold = a.iterations, a.sparsification_step, a.sparsification_step * a.sparsity

    def forward(self, x: Any) -> Any:
        """D1 A_T, with A_0 = 0."""
        codes = F.relu(self.step * (x @ self.D) - self.threshold)
        for _ in range(self.iterations - 1):
            codes = F.relu(codes + self.step * ((x - codes @ self.D.T) @ self.D) - self.threshold)
        return codes @ self.D1.T


class Normed(nn.Module):
    """`fn` of the layer norm of tokens."""

    def __init__(self, a: Architecture, fn: nn.Module):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(a.dim, eps=a.norm_epsilon), fn

    def forward(self, tokens: Any) -> Any:
        """`fn` of normalized tokens."""
        return self.fn(self.norm(tokens))


def _halves(a: Architecture, fused: bool) -> nn.ModuleList:
    second = Odl(a) if a.sparsification == "odl" else Ista(a)
    return nn.ModuleList([Normed(a, Attention(a, fused=fused)), Normed(a, second)])


def _layer(tokens: Any, halves: Any, residual: bool) -> Any:
    tokens = tokens + halves[0](tokens)
    return tokens + halves[1](tokens) if residual else halves[1](tokens)


def _patches(images: Any, size: int) -> Any:
    """(B, N, P²C), row by row; in a patch the channel runs fastest, then the column."""
    batch, channels, height, width = images.shape
    split = images.reshape(batch, channels, height // size, size, width // size, size)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, size * size * channels)


class _Cut(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, images: Any) -> Any:
        return _patches(images, self.size)


class TorchCrate(nn.Module):
    """A classifier: CRATE, or CRATE-α (`sparsification` "odl", the linear embedding).

    **Arguments:** `architecture`; `fused`: attention by `scaled_dot_product_attention`.

    **Raises:** `InputError` for switches that the published code does not have.
    """

    def __init__(self, architecture: Architecture, *, fused: bool = True):
        super().__init__()
        a = _checked(architecture, decoder="none")
        self.residual, linear = a.sparsification == "odl", a.embedding == "linear"
        if linear:
            self.conv1 = nn.Conv2d(a.channels, a.dim, a.patch, a.patch)
        else:
            norms = (nn.LayerNorm(size, eps=a.norm_epsilon) for size in (a.patch_dim, a.dim))
            self.to_patch_embedding = nn.Sequential(_Cut(a.patch), next(norms), nn.Linear(a.patch_dim, a.dim), next(norms))
        self.cls_token = nn.Parameter(torch.empty(1, 1, a.dim))
        self.pos_embedding = nn.Parameter(torch.empty(1, a.num_patches + 1, a.dim))
        self.transformer = nn.Module()
        self.transformer.layers = nn.ModuleList(_halves(a, fused) for _ in range(a.depth))
        self.mlp_head = nn.Sequential(nn.LayerNorm(a.dim, eps=a.final_norm_epsilon), nn.Linear(a.dim, a.num_classes))

    def forward(self, images: Any) -> Any:
        """The logits of images (B, C, H, W)."""
        linear = hasattr(self, "conv1")
        tokens = self.conv1(images).flatten(2).transpose(1, 2) if linear else self.to_patch_embedding(images)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), tokens], dim=1) + self.pos_embedding
        for halves in self.transformer.layers:
            tokens = _layer(tokens, halves, self.residual)
        return self.mlp_head(tokens[:, 0])


class TorchMaskedCrate(nn.Module):
    """CRATE-MAE: mask tokens enter the encoder, and decoder layers are Y = E norm(Z), then Y − MSSA(norm(Y)).

    Arguments and errors as `TorchCrate`; parameters that the published code holds and never uses are kept.
    """

    def __init__(self, architecture: Architecture, *, fused: bool = True):
        super().__init__()
        a = _checked(architecture, decoder="crate")
        if not a.unused_parameters or (a.decoder_dim, a.decoder_heads) != (a.dim, a.heads):
            raise InputError("architecture: found another decoder than the published one; pass Architecture.published's")
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(a.channels, a.dim, a.patch, a.patch)
        count = a.num_patches + 1
        self.cls_token, self.mask_token = (nn.Parameter(torch.empty(1, 1, a.dim)) for _ in range(2))
        self.pos_embed, self.decoder_pos_embed = (nn.Parameter(torch.empty(1, count, a.dim)) for _ in range(2))
        self.blocks, self.decoder_blocks = nn.ModuleList(), nn.ModuleList()
        for blocks, depth in ((self.blocks, a.depth), (self.decoder_blocks, a.decoder_depth or 0)):
            for _ in range(depth):
                block = nn.Module()
                halves = _halves(a, fused)
                if blocks is self.decoder_blocks:
                    halves = nn.ModuleList([Normed(a, _Dictionary(a)), halves[0]])
                block.layers = nn.ModuleList([halves])
                blocks.append(block)
        self.norm, self.decoder_norm = (nn.LayerNorm(a.dim, eps=a.final_norm_epsilon) for _ in range(2))
        self.decoder_embed, self.decoder_pred = nn.Linear(a.dim, a.dim), nn.Linear(a.dim, a.patch_dim)

    def forward(self, images: Any, masked: Any) -> Any:
        """The predicted patches (B, N, P²C); `masked` of shape (B, N) says which ones the encoder does not see."""
        tokens = self.patch_embed.proj(images).flatten(2).transpose(1, 2)
        tokens = torch.where(masked[..., None], self.mask_token, tokens)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), tokens], dim=1) + self.decoder_pos_embed
        for block in self.blocks:
            tokens = _layer(tokens, block.layers[0], False)
        tokens = self.norm(tokens)
        for block in self.decoder_blocks:
            decoded = block.layers[0][0](tokens)
            tokens = decoded - block.layers[0][1](decoded)
        return self.decoder_pred(self.decoder_norm(tokens)[:, 1:])


class _Dictionary(nn.Module):
    def __init__(self, a: Architecture):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(a.dim, a.dim))

    def forward(self, tokens: Any) -> Any:
        return F.linear(tokens, self.weight)


def of_state(architecture: Architecture, state: Any, *, fused: bool = True, dtype: Any = None) -> Any:
    """The network of an architecture with the weights of a state of NumPy arrays, all of which are used, in evaluation mode.

    **Raises:** `InputError` as `TorchCrate`; PyTorch's own error where names or shapes do not fit.
    """
    make = TorchMaskedCrate if architecture.is_autoencoder else TorchCrate
    model = make(architecture, fused=fused).to(dtype or torch.float32)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=True)
    return model.eval()


def _checked(a: Architecture, *, decoder: str) -> Architecture:
    """What is not a switch of the modules above has to be as published."""
    wanted = {"attention": "mssa", "output": "free", "normalization": "layer", "steps": "fixed", "threshold": "nonnegative"}
    wanted |= {"output_scale": 1, "compression_step": 1, "first_order": False, "decoder": decoder, "mask_tokens": "encoder"}
    if a.sparsification == "odl" and decoder == "none":
        wanted |= {"sparsification": "odl", "decoupled": True, "residual": True, "embedding": "linear"}
    else:
        wanted |= {"sparsification": "ista", "embedding": "normalized" if decoder == "none" else "linear"}
    for name, value in wanted.items():
        if getattr(a, name) != value:
            raise InputError(f"{name}: found {getattr(a, name)!r}; the plain PyTorch networks have {value!r}")
    return a
