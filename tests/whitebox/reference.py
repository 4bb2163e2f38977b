"""White-box transformers in NumPy from their definitions, token by token and head by head: what the networks are compared with.

Everything is read from a state dict by the names of the published code, so that the mapping of names is checked as well. Tokens
are columns here, as in the papers.
"""

from __future__ import annotations

import math

import numpy as np


def agrees(found, expected, tolerance=1e-12):
    """Whether two arrays are equal up to rounding, relative to the largest entry."""
    found, expected = np.asarray(found), np.asarray(expected)
    scale = max(1.0, np.abs(expected).max())
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= tolerance * scale)


def layer_norm(x, scale, shift, epsilon):
    deviation = x - x.mean()
    return deviation / math.sqrt((deviation**2).mean() + epsilon) * scale + shift


def normalized(Z, state, name, kind, epsilon):
    if kind == "none":
        return Z
    columns = []
    for z in Z.T:
        if kind == "layer":
            columns.append(layer_norm(z, state[f"{name}.weight"], state[f"{name}.bias"], epsilon))
        else:
            columns.append(z / math.sqrt((z**2).mean() + epsilon) * state[f"{name}.weight"])
    return np.stack(columns, axis=1)


def attention_of_head(queries, keys, values, temperature):
    """One head: each token's mixture of values, and the weights, one row a token."""
    count = queries.shape[1]
    weights = np.zeros((count, count))
    for i in range(count):
        logits = [float(queries[:, i] @ keys[:, j]) / temperature for j in range(count)]
        largest = max(logits)
        powers = [math.exp(logit - largest) for logit in logits]
        weights[i] = np.array(powers) / sum(powers)
    return np.stack([sum(weights[i, j] * values[:, j] for j in range(count)) for i in range(count)], axis=1), weights


def attention(Z, a, state, name, heads):
    """The output, what the heads see (K, N, p), and the class token's weights on patches (K, N - 1)."""
    p = a.head_dim if (heads == a.heads) else Z.shape[0] // heads
    temperature = math.sqrt(p) if a.temperature is None else a.temperature
    full = f"{name}.qkv.weight" in state and state[f"{name}.qkv.weight"].shape[0] == 3 * heads * p
    out = next((known for known in (f"{name}.to_out.0", f"{name}.proj") if f"{known}.weight" in state), None)
    total, seen, rows = np.zeros_like(Z), [], []
    for k in range(heads):

        def project(part, k=k):
            rows = slice(part * heads * p + k * p, part * heads * p + (k + 1) * p)
            bias = state[f"{name}.qkv.bias"][rows, None] if f"{name}.qkv.bias" in state else 0.0
            return state[f"{name}.qkv.weight"][rows] @ Z + bias

        queries, keys, values = (project(0), project(1), project(2)) if full else (project(0),) * 3
        head, weights = attention_of_head(queries, keys, values, temperature)
        back = (
            state[f"{name}.qkv.weight"][k * p : (k + 1) * p].T
            if out is None
            else state[f"{out}.weight"][:, k * p : (k + 1) * p]
        )
        total += back @ head
        seen.append(keys.T)
        rows.append(weights[0, 1:])
    for bias in (f"{name}.to_out.0.bias", f"{name}.proj.bias"):
        if bias in state:
            total += state[bias][:, None]
    return a.output_scale * total, np.stack(seen), np.stack(rows)


def shrink(x, threshold, kind):
    if kind == "soft":
        return np.where(x > threshold, x - threshold, np.where(x < -threshold, x + threshold, 0.0))
    return np.maximum(x - threshold, 0.0)


def ista(x, D, step, sparsity, kind="nonnegative"):
    return shrink(x + step * D.T @ x - step * D.T @ D @ x, step * sparsity, kind)


def odl(x, D, step, sparsity, iterations, kind="nonnegative"):
    code = np.zeros(D.shape[1])
    for _ in range(iterations):
        code = shrink(code - step * D.T @ (D @ code - x), step * sparsity, kind)
    return code


def gelu(x):
    return np.array([0.5 * value * (1 + math.erf(value / math.sqrt(2))) for value in x])


def second_half(half, a, state, norm, name, step, sparsity):
    """The layer's output and the codes."""
    if a.sparsification == "none":
        return half, None
    outputs, codes = [], []
    for z, x in zip(half.T, normalized(half, state, norm, a.normalization, a.norm_epsilon).T, strict=True):
        if a.sparsification == "ista":
            code = ista(x, state[f"{name}.weight"], step, sparsity, a.threshold)
            out = code
        elif a.sparsification == "odl":
            code = odl(x, state[f"{name}.D"], step, sparsity, a.iterations, a.threshold)
            out = state[f"{name}.D1" if a.decoupled else f"{name}.D"] @ code + (z if a.residual else 0.0)
        else:
            code = gelu(state[f"{name}.fc1.weight"] @ x + state[f"{name}.fc1.bias"])
            out = state[f"{name}.fc2.weight"] @ code + state[f"{name}.fc2.bias"] + z
        outputs.append(out)
        codes.append(code)
    return np.stack(outputs, axis=1), np.stack(codes)


def layer(Z, a, state, place, heads, own, stack="layers"):
    """One layer of the encoder, or of a transformer's decoder. `place`: names of the norms and halves."""
    first_norm, first, second_norm, second = place
    given = (a.compression_step, a.sparsification_step, a.sparsity)
    step, eta, sparsity = (float(state.get(f"{stack}.{own}.steps.{i}", number)) for i, number in enumerate(given))
    half, seen, rows = Z, None, None
    if a.attention != "none":
        moved, seen, rows = attention(normalized(Z, state, first_norm, a.normalization, a.norm_epsilon), a, state, first, heads)
        half = (1 - step if a.first_order else 1) * Z + step * moved
    out, codes = second_half(half, a, state, second_norm, second, eta, sparsity)
    return out, {
        "tokens": Z.T,
        "attended": half.T,
        "outputs": out.T,
        "projections": seen,
        "class_attention": rows,
        "codes": codes,
    }


def white(prefix):
    return f"{prefix}.0.norm", f"{prefix}.0.fn", f"{prefix}.1.norm", f"{prefix}.1.fn"


def vit(prefix):
    return f"{prefix}.norm1", f"{prefix}.attn", f"{prefix}.norm2", f"{prefix}.mlp"


def is_vit(a):
    return a.attention == "mhsa" and a.sparsification == "mlp"


def layers(Z, a, state):
    traces = []
    for number in range(a.depth):
        if is_vit(a):
            place = vit(f"blocks.{number}")
        else:
            place = white(f"blocks.{number}.layers.0" if a.is_autoencoder else f"transformer.layers.{number}")
        Z, trace = layer(Z, a, state, place, a.heads, number)
        traces.append(trace)
    stacked = {name: None if traces[0][name] is None else np.stack([trace[name] for trace in traces]) for name in traces[0]}
    return Z, stacked


def cut(image, patch):
    """Patches (channels, patch, patch), row by row."""
    _, height, width = image.shape
    return [
        image[:, top : top + patch, left : left + patch] for top in range(0, height, patch) for left in range(0, width, patch)
    ]


def flat(patch):
    """The numbers of a patch: rows, then columns, then channels."""
    return np.array(
        [patch[c, i, j] for i in range(patch.shape[1]) for j in range(patch.shape[2]) for c in range(patch.shape[0])]
    )


def embedded(image, a, state):
    """One token a patch, as a list of vectors."""
    tokens = []
    for patch in cut(image, a.patch):
        if a.embedding == "normalized":
            name = "to_patch_embedding"
            x = layer_norm(flat(patch), state[f"{name}.1.weight"], state[f"{name}.1.bias"], a.norm_epsilon)
            x = state[f"{name}.2.weight"] @ x + state[f"{name}.2.bias"]
            tokens.append(layer_norm(x, state[f"{name}.3.weight"], state[f"{name}.3.bias"], a.norm_epsilon))
            continue
        name = next((known for known in ("conv1", "patch_embed.proj") if f"{known}.weight" in state), "to_patch_embedding.2")
        weight = state[f"{name}.weight"]
        product = (weight * patch).sum(axis=(1, 2, 3)) if weight.ndim == 4 else weight @ flat(patch)
        tokens.append(product + state[f"{name}.bias"])
    return tokens


def classify(image, a, state):
    """The logits of one image and the trace of all layers."""
    tokens = [state["cls_token"][0, 0], *embedded(image, a, state)]
    positions = state["pos_embed" if is_vit(a) else "pos_embedding"][0]
    Z, trace = layers(np.stack([x + e for x, e in zip(tokens, positions, strict=True)], axis=1), a, state)
    norm, head = ("norm", "head") if is_vit(a) else ("mlp_head.0", "mlp_head.1")
    x = layer_norm(Z[:, 0], state[f"{norm}.weight"], state[f"{norm}.bias"], a.final_norm_epsilon)
    return state[f"{head}.weight"] @ x + state[f"{head}.bias"], trace


def decoder(Z, a, state):
    for number in range(a.decoder_depth):
        if a.decoder == "transformer":
            plain = a.replace(attention="mhsa", sparsification="mlp", output="free", output_scale=1.0, first_order=False)
            plain = plain.replace(compression_step=1.0)
            Z, _ = layer(Z, plain, state, vit(f"decoder_blocks.{number}"), a.decoder_heads, number, "decoder")
            continue
        name = f"decoder_blocks.{number}.layers.0"
        first, second = (f"{name}.0.fn.weight", f"{name}.1.fn")
        step = float(state.get(f"decoder_layers.{number}.step", a.compression_step))
        if a.decoder == "tied":
            partner = a.depth - 1 - number
            first, second = (f"blocks.{partner}.layers.0.1.fn.weight", f"blocks.{partner}.layers.0.0.fn")
            step = float(state.get(f"layers.{partner}.steps.0", a.compression_step))
        Y = state[first] @ normalized(Z, state, f"{name}.0.norm", a.normalization, a.norm_epsilon)
        moved, _, _ = attention(
            normalized(Y, state, f"{name}.1.norm", a.normalization, a.norm_epsilon), a, state, second, a.decoder_heads
        )
        Z = (1 + step if a.first_order else 1) * Y - step * moved
    return Z


def complete(image, noise, a, state):
    """The predicted patches, one row each, the mask (1: hidden) and the loss of one image."""
    tokens, count = embedded(image, a, state), len(noise)
    order = sorted(range(count), key=lambda i: noise[i])
    keep = order[: int(count * (1 - a.mask_ratio))]
    mask = np.array([0.0 if i in keep else 1.0 for i in range(count)])
    cls, hidden = state["cls_token"][0, 0], state["mask_token"][0, 0]
    far = state["decoder_pos_embed"][0]

    def norm(Z, name):
        return normalized(Z, state, name, "layer", a.final_norm_epsilon)

    if a.mask_tokens == "encoder":
        seen = [tokens[i] if i in keep else hidden for i in range(count)]
        Z = np.stack([x + e for x, e in zip([cls, *seen], far, strict=True)], axis=1)
        Z = norm(layers(Z, a, state)[0], "norm")
    else:
        near = state["pos_embed"][0]
        Z = np.stack([cls + near[0], *(tokens[i] + near[i + 1] for i in keep)], axis=1)
        Z = norm(layers(Z, a, state)[0], "norm")
        Z = state["decoder_embed.weight"] @ Z + state["decoder_embed.bias"][:, None]
        places = [Z[:, 1 + keep.index(i)] if i in keep else hidden for i in range(count)]
        Z = np.stack([x + e for x, e in zip([Z[:, 0], *places], far, strict=True)], axis=1)
    Z = norm(decoder(Z, a, state), "decoder_norm")
    predicted = (state["decoder_pred.weight"] @ Z + state["decoder_pred.bias"][:, None]).T[1:]
    targets = np.stack([flat(patch) for patch in cut(image, a.patch)])
    if a.normalized_targets:
        targets = np.stack([(t - t.mean()) / math.sqrt(t.var(ddof=1) + 1e-6) for t in targets])
    errors = ((predicted - targets) ** 2).mean(axis=1)
    return predicted, mask, float(errors[mask == 1].mean())
