"""A network that was saved and loaded is the same to the last bit, and no other file is taken for one."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, cast

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mcr2_landscape.data import manifolds
from mcr2_landscape.flatnet import (
    BuildOptions,
    FlatNetwork,
    Layer,
    Layers,
    fit_network,
    load_network,
    network_metadata,
    save_network,
)
from mcr2_landscape.validation import InputError

CAP = manifolds.sphere_cap(1.0, 60, key=0, num_held_out=9)
ABOUT = {"kind": "flattening network", "format": "1", "metadata": "{}"}


@pytest.fixture(scope="module")
def network() -> FlatNetwork:
    # Of points in a plane of five dimensions, so that the frame is no identity.
    turned = np.hstack([CAP.points, np.zeros((60, 2))]) @ np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    return fit_network(turned, 2, key=0, options=BuildOptions(max_iterations=6)).network


def _columns(layers: Layers) -> Layer:
    return Layer(*(np.asfortranarray(part) if np.ndim(part) > 1 else part for part in layers.stacked))


def test_what_is_loaded_encodes_and_decodes_to_the_same_bits(network, tmp_path):
    path, points = tmp_path / "net.safetensors", np.random.default_rng(1).standard_normal((9, 5))
    assert len(network.layers) > 2
    # As a caller may have made it: in the other order in memory.
    other = dataclasses.replace(
        network, frame=np.asfortranarray(network.frame), code_basis=network.code_basis[:, ::-1][:, ::-1]
    )
    for given in (network, other):
        save_network(path, given, {"seed": 3, "tails": np.ones(2), "name": "\udce9"})  # as the system gives odd file names
        loaded = load_network(path)
        assert jax.tree.structure(loaded) == jax.tree.structure(network)
        for one, two in zip(jax.tree.leaves(given), jax.tree.leaves(loaded), strict=True):
            assert (one.dtype, one.shape) == (two.dtype, two.shape)
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(loaded.encode_rows(points), given.encode_rows(points))
        np.testing.assert_array_equal(loaded.decode_rows(points[:, :2]), given.decode_rows(points[:, :2]))
        assert network_metadata(path) == {"seed": 3, "tails": [1, 1], "name": "\udce9"}
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_network_without_layers_and_one_in_float32_are_kept(network, tmp_path):
    path = tmp_path / "net.safetensors"
    none = dataclasses.replace(network, layers=Layers.of([], 3), decoder=Layers.of([], 3))
    narrow = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), network)
    for given in (none, narrow):
        save_network(path, given)
        for one, two in zip(jax.tree.leaves(given), jax.tree.leaves(load_network(path)), strict=True):
            assert (one.dtype, one.shape) == (two.dtype, two.shape)
            np.testing.assert_array_equal(one, two)
    assert network_metadata(path) == {}


@pytest.mark.parametrize("place", [0, 7, 200, -1, -100])
def test_a_file_that_was_cut_off_is_refused(network, tmp_path, place):
    path = tmp_path / "net.safetensors"
    save_network(path, network)
    path.write_bytes(path.read_bytes()[:place])
    with pytest.raises(InputError, match=r"net\.safetensors: is no safetensors file, or one that is damaged or cut off"):
        load_network(path)


def _without(name):
    return lambda arrays: {key: array for key, array in arrays.items() if key != name}


def _shorter(arrays):
    """One layer less in the decoder."""
    return {name: np.ascontiguousarray(array[1:]) if name.startswith("decoder.") else array for name, array in arrays.items()}


def _with(name, change):
    return lambda arrays: {**arrays, name: np.ascontiguousarray(change(arrays[name])).reshape(np.shape(change(arrays[name])))}


@pytest.mark.parametrize(
    ("change", "about", "says"),
    [
        (_without("frame"), ABOUT, "frame is missing"),
        (lambda arrays: {**arrays, "other": np.ones(2)}, ABOUT, "other is not known"),
        (_with("offset", lambda x: x[:-1]), ABOUT, r"offset: found shape \(4,\), expected \(5,\)"),
        (_with("decoder.coefficients", lambda x: x[..., :-1]), ABOUT, "decoder.coefficients: found shape"),
        (_with("layers.mean", lambda x: x * np.nan), ABOUT, "layers.mean: found NaN"),
        (_with("layers.alpha", lambda x: x + 1), ABOUT, "layers.alpha: found"),
        (_with("layers.scale", lambda x: -x), ABOUT, "layers.scale: found -"),
        (_with("extent", lambda x: 0 * x), ABOUT, "extent: found 0"),
        (_with("code_basis", lambda x: x.astype(int)), ABOUT, "code_basis: found int64"),
        (_with("code_basis", lambda x: x[0]), ABOUT, "code_basis: found shape"),
        (_with("code_basis", lambda x: x[:, :0]), ABOUT, "code_basis: found no column"),
        (_with("code_basis", lambda x: 1.001 * x), ABOUT, "code_basis: its columns are off orthonormal ones by 0.002"),
        (_with("frame", lambda x: 3 * x), ABOUT, "frame: its columns are off orthonormal ones by 8"),
        (_with("layers.basis", lambda x: x[..., ::-1] + x), ABOUT, "layers.basis: its columns are off orthonormal ones"),
        (_with("layers.rank", lambda x: x - 1), ABOUT, "layers.basis: its columns are off orthonormal ones by 1"),
        (_with("layers.rank", lambda x: x + 1), ABOUT, "layers.rank: found 3 for bases of 2 columns"),
        (_with("decoder.gamma", lambda x: x[::-1]), ABOUT, "decoder.gamma: is not that of layers"),
        (_shorter, ABOUT, "is not that of layers, from which a decoder differs by its coefficients alone"),
        (dict, {**ABOUT, "kind": "another"}, "holds no flattening network"),
        (dict, {**ABOUT, "format": "9"}, "has the format '9', and '1' is known here"),
    ],
)
def test_other_contents_are_refused(network, tmp_path, change, about, says):
    path = tmp_path / "net.safetensors"
    save_network(path, network)
    save_file(change(load_file(path)), path, about)
    with pytest.raises(InputError, match=says):
        load_network(path)


def test_what_cannot_be_saved_or_read_is_said(network, tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    for work, says in (
        (lambda: load_network(path), "no such file"),
        (lambda: load_network(tmp_path), "is no file"),
        (lambda: save_network(tmp_path, network), "is a directory"),
        (lambda: save_network(tmp_path / "none" / "net", network), "does not exist"),
        (lambda: save_network(path, network.layers), "network: found Layers; pass a FlatNetwork"),
        (lambda: save_network(path, network, {"a": object()}), "metadata: object has no plain JSON form"),
        (lambda: save_network(path, network, cast(Any, [1])), "metadata: found list"),
    ):
        with pytest.raises(InputError, match=says):
            work()
    assert not list(tmp_path.iterdir())
    save_network(path, network)
    save_file(load_file(path), path, {**ABOUT, "metadata": "{"})
    with pytest.raises(InputError, match="its metadata cannot be read"):
        network_metadata(path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for work in (lambda: load_network(path), lambda: save_network(path, network)):
        with pytest.raises(InputError, match=r"network needs safetensors.*mcr2_landscape\[data\]"):
            work()
