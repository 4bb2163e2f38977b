from __future__ import annotations

import sys
from typing import Any, cast

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcr2_landscape.validation import InputError
from mcr2_landscape.whitebox.network import Crate
from mcr2_landscape.whitebox.parameters import parameters
from mcr2_landscape.whitebox.weights import flax_state, load, load_flax_state, load_torch_state, save, torch_state

from .models import derived, published, random_model
from .test_autoencoder import AUTOENCODERS
from .test_networks import CLASSIFIERS

ALL = CLASSIFIERS | AUTOENCODERS


def same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)  # the architecture is part of it
    pairs = list(zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))
    return bool(pairs) and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


class Tensor:
    """What the loader takes a tensor of PyTorch by."""

    def __init__(self, array):
        self._array = array

    def detach(self):
        return self

    def cpu(self):
        return self._array


@pytest.mark.parametrize("name", ALL)
def test_weights_go_to_pytorch_and_back(name):
    model, other = (random_model(ALL[name], seed, np.float32) for seed in (0, 1))
    state = torch_state(model)
    assert sum(array.size for array in state.values()) == sum(leaf.size for leaf in parameters(model).values())
    assert not same(other, model)
    assert same(load_torch_state(other, {f"module.{key}": Tensor(value) for key, value in state.items()}), model)
    again = torch_state(load_torch_state(other, state))
    assert list(again) == list(state)
    assert all(np.array_equal(again[key], state[key]) and again[key].flags.c_contiguous for key in state)


# Names and shapes of the published code: of outermost tensors and of one layer.
@pytest.mark.parametrize(
    ("family", "shapes"),
    [
        (
            "crate",
            {
                **{
                    "to_patch_embedding.1.weight": (32,),
                    "to_patch_embedding.2.weight": (8, 32),
                    "to_patch_embedding.3.bias": (8,),
                },
                **{"cls_token": (1, 1, 8), "pos_embedding": (1, 7, 8), "mlp_head.0.weight": (8,), "mlp_head.1.weight": (3, 8)},
                **{"transformer.layers.1.0.norm.weight": (8,), "transformer.layers.1.0.fn.qkv.weight": (8, 8)},
                **{"transformer.layers.1.0.fn.to_out.0.bias": (8,), "transformer.layers.1.1.fn.weight": (8, 8)},
            },
        ),
        (
            "crate-alpha",
            {"conv1.weight": (8, 2, 4, 4), "transformer.layers.0.1.fn.D": (8, 32), "transformer.layers.0.1.fn.D1": (8, 32)},
        ),
        (
            "crate-mae",
            {
                **{"patch_embed.proj.weight": (8, 2, 4, 4), "pos_embed": (1, 7, 8), "decoder_embed.weight": (8, 8)},
                **{"mask_token": (1, 1, 8), "blocks.1.layers.0.1.fn.weight": (8, 8), "norm.weight": (8,)},
                **{"decoder_blocks.0.layers.0.0.fn.weight": (8, 8), "decoder_blocks.0.layers.0.1.fn.qkv.weight": (8, 8)},
                **{"decoder_norm.bias": (8,), "decoder_pred.weight": (32, 8), "decoder_pos_embed": (1, 7, 8)},
            },
        ),
        (
            "vit",
            {"blocks.0.attn.qkv.bias": (24,), "blocks.0.mlp.fc1.weight": (32, 8), "norm.bias": (8,), "head.weight": (3, 8)},
        ),
    ],
)
def test_tensors_have_their_published_names(family, shapes):
    state = torch_state(random_model(published(family)))
    assert shapes.items() <= {name: array.shape for name, array in state.items()}.items()


def test_weights_go_to_the_names_of_flax_and_back():
    model, other = (random_model(published("crate-alpha"), seed) for seed in (0, 1))
    flat, nested = flax_state(model), {}
    for name, value in flat.items():
        *path, last = name.split("/")
        inner = nested
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    assert same(load_flax_state(other, nested), model)
    assert same(load_flax_state(other, flat), model)
    # One number on its way to both: of a convolution's kernel, of a head's projection and of its output.
    torch, layer = torch_state(model), "Transformer/encoderblock_1/MultiHeadDotProductSubspaceAttention_0"
    assert flat["embedding/kernel"][1, 2, 0, 5] == torch["conv1.weight"][5, 0, 1, 2]
    assert flat[f"{layer}/proj/kernel"][3, 1, 2] == torch["transformer.layers.1.0.fn.qkv.weight"][1 * 4 + 2, 3]
    assert flat[f"{layer}/out/kernel"][1, 2, 3] == torch["transformer.layers.1.0.fn.to_out.0.weight"][3, 1 * 4 + 2]
    del nested["encoder_norm"]["scale"]
    with pytest.raises(
        InputError, match=r"params: 1 tensor does not fit:\n  encoder_norm/scale: missing, expected shape \(8,\)"
    ):
        load_flax_state(other, nested)
    with pytest.raises(InputError, match='only the family "crate-alpha"'):
        flax_state(random_model(published("crate")))
    with pytest.raises(InputError, match="params: found list"):
        load_flax_state(model, cast(Any, []))


def test_parameters_that_pytorch_has_no_name_for_keep_their_place():
    state = torch_state(random_model(CLASSIFIERS["learned steps"]))
    assert {f"layers.{layer}.steps.{number}" for layer in (0, 1) for number in (0, 1, 2)} <= set(state)
    tied = torch_state(random_model(derived()))
    assert not [name for name in tied if "to_out" in name]


def test_all_faults_of_a_state_dict_are_listed_at_once():
    model = random_model(published("crate"))
    state = torch_state(model)
    del state["transformer.layers.1.1.fn.weight"]
    state |= {
        "cls_token": np.zeros((1, 8)),
        "mlp_head.1.bias": np.array(["a", "b", "c"]),
        "transformer.layers.2.1.fn.weight": 1.0,
    }
    with pytest.raises(InputError) as caught:
        load_torch_state(model, state)
    lines = str(caught.value).split("\n  ")
    assert lines[0] == "state_dict: 4 tensors do not fit:"
    assert set(lines[1:]) == {
        "transformer.layers.1.1.fn.weight: missing, expected shape (8, 8)",
        "cls_token: found shape (1, 8), expected (1, 1, 8)",
        "mlp_head.1.bias: holds no numbers (ndarray)",
        "transformer.layers.2.1.fn.weight: extra, the model has no such parameter",
    }
    with pytest.raises(InputError, match="state_dict: found list"):
        load_torch_state(model, cast(Any, []))
    both = torch_state(model) | {"module.cls_token": np.zeros((1, 1, 8))}
    with pytest.raises(InputError, match=r"cls_token: given with and without \"module\.\""):
        load_torch_state(model, both)


@given(st.sampled_from(sorted(ALL)), st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=10)
def test_files_keep_every_bit(tmp_path_factory, name, seed, dtype):
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    model = random_model(ALL[name], seed, dtype, unroll=2)
    save(model, path)
    assert same(load(path), model)


def test_bfloat16_is_kept(tmp_path):
    model = jax.tree.map(lambda leaf: leaf.astype("bfloat16"), random_model(published("crate")))
    save(model, tmp_path / "model.safetensors")
    assert same(load(tmp_path / "model.safetensors"), model)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "model.safetensors"
    save(random_model(published("crate")), path)
    return path


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.999])
def test_a_file_that_is_cut_off_is_refused(stored, tmp_path, part):
    content = stored.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(InputError, match=r"cut\.safetensors: is no safetensors file, or one that is damaged or cut off"):
        load(path)


def test_foreign_files_are_refused(tmp_path, stored):
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(InputError, match="holds no white-box transformer"):
        load(path)
    arrays = load_file(stored)
    about = {"kind": "white-box transformer", "format": "1", "unroll": "1"}
    save_file(arrays, path, about | {"architecture": '{"dim": 8}'})
    with pytest.raises(InputError, match="its architecture cannot be read"):
        load(path)
    save_file(arrays, path, about | {"format": "9"})
    with pytest.raises(InputError, match="has the format '9'"):
        load(path)
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is no file"):
        load(tmp_path)
    with pytest.raises(InputError, match="is a directory"):
        save(random_model(published("crate")), tmp_path)


def test_tensors_of_a_file_are_compared_with_its_architecture(tmp_path, stored):
    import safetensors
    from safetensors.numpy import load_file, save_file

    with safetensors.safe_open(stored, framework="numpy") as file:
        about = file.metadata()
    arrays = load_file(stored)
    arrays["head"] = arrays["head"].T.copy()
    arrays["tail"] = arrays.pop("head_bias")
    save_file(arrays, tmp_path / "model", about)
    with pytest.raises(
        InputError, match=r"3 tensors do not fit:\n  head_bias: missing\n  tail: extra\n  head: found shape \(3, 8\)"
    ):
        load(tmp_path / "model")


def test_float64_files_are_not_rounded_without_a_word(stored):
    with jax.enable_x64(False), pytest.raises(InputError, match=r"holds float64 .* while JAX's 64-bit mode is off"):
        load(stored)


def test_a_missing_library_is_named(stored, monkeypatch):
    for module in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r'reading weights needs safetensors.*pip install "mcr2_landscape\[data\]"'):
        load(stored)
    with pytest.raises(InputError, match="writing weights needs safetensors"):
        save(random_model(published("crate")), stored)


def test_the_right_class_comes_back(stored):
    assert type(load(stored)) is Crate
