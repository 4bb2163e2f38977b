"""Synthesis and analysis against dense matrices, and the certified bound of their norm."""

from __future__ import annotations

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape import InputError, csc
from mcr2_landscape.csc import patches, symbol
from mcr2_landscape.csc.support import Columns
from mcr2_landscape.testing import seeds

from . import problems


@pytest.mark.parametrize("geometry", problems.GEOMETRIES)
def test_synthesis_and_analysis_are_the_dense_matrix_and_its_transpose(geometry, monkeypatch):
    K, C, kernel, stride, padding, size = geometry
    random = np.random.default_rng(5)
    atoms = problems.unit_atoms(random, K, C, *kernel)
    dictionary = csc.ConvDictionary(atoms, stride, padding)
    D = problems.dense(atoms, stride, padding, size)
    x, z = random.standard_normal((2, C, *size)), random.standard_normal((2, *dictionary.code_shape(size)))

    @jax.jit  # one program a geometry
    def everything(x, z):
        transposed = jax.linear_transpose(dictionary.analyze, x)(z)[0]
        products = []
        for areas in (0, 100):  # by windows, and by the matrix of small images
            monkeypatch.setattr(patches, "_AREAS", areas)
            products.append(patches.synthesis(z, jnp.asarray(atoms), dictionary.geometry, size, True))
            products.append(patches.analysis(x, jnp.asarray(atoms), dictionary.geometry, True))
        return dictionary.synthesize(z, size), dictionary.analyze(x), transposed, *products

    found = everything(jnp.asarray(x), jnp.asarray(z))
    synthesized, analyzed, transposed, *products = (np.asarray(array) for array in found)
    np.testing.assert_allclose(synthesized.reshape(2, -1), z.reshape(2, -1) @ D.T, atol=1e-13)
    np.testing.assert_allclose(analyzed.reshape(2, -1), x.reshape(2, -1) @ D, atol=1e-13)
    assert abs(np.sum(analyzed * z) - np.sum(x * synthesized)) <= 1e-13 * np.linalg.norm(analyzed) * np.linalg.norm(z)
    np.testing.assert_allclose(synthesized, transposed, atol=1e-14)
    # the products of matrices that the iterations use, and the columns that the second-order method uses
    for synthesis, analysis in (products[:2], products[2:]):
        np.testing.assert_allclose(synthesis, synthesized, atol=1e-13)
        np.testing.assert_allclose(analysis, analyzed, atol=1e-13)
    columns = Columns(atoms, dictionary.geometry, size)
    flat = columns.flatten(x[0])
    np.testing.assert_allclose(columns.unflatten(columns.analyze(flat)), analyzed[0], atol=1e-13)
    support = np.arange(0, columns.num_codes, 3)
    np.testing.assert_allclose(columns.at(support).T @ flat, columns.analyze(flat)[support], atol=1e-13)


@given(
    seed=seeds(),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.integers(0, 3),
    rest=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    kind=st.sampled_from(["random", "smooth", "wave", "equal"]),
)
def test_the_bound_is_never_below_the_dense_norm(seed, kernel, stride, padding, rest, kind):
    random = np.random.default_rng(seed)
    K, C = int(random.integers(1, 5)), int(random.integers(1, 3))
    atoms = problems.unit_atoms(random, K, C, *kernel)
    if kind == "smooth":  # coherent atoms, whose norm is largest at frequency zero
        atoms = np.abs(atoms)
    elif kind == "wave":  # a peak between the points of every coarse grid
        waves = np.cos(
            random.uniform(0, np.pi) * np.arange(kernel[0])[:, None] + random.uniform(0, np.pi) * np.arange(kernel[1])
        )
        atoms = np.broadcast_to(waves + 1e-3, atoms.shape).copy()
    elif kind == "equal":
        atoms[:] = atoms[0]
    atoms /= np.sqrt(np.sum(atoms**2, axis=(1, 2, 3), keepdims=True))
    size = tuple(max(1, k - 2 * padding) + more for k, more in zip(kernel, rest, strict=True))
    true = np.linalg.norm(problems.dense(atoms, stride, padding, size), 2) ** 2
    lower, upper = symbol.squared_norm_bound(atoms, stride)
    assert true <= upper
    assert lower <= upper <= 1.0011 * lower


def test_the_bound_is_approached_by_large_images():
    random = np.random.default_rng(0)
    for kernel, stride in (((3, 3), 1), ((3, 2), 2)):
        atoms = problems.unit_atoms(random, 2, 1, *kernel)
        bound = csc.ConvDictionary(atoms, stride).lipschitz_bound()
        small, large = (np.linalg.norm(problems.dense(atoms, stride, 1, (n, n)), 2) ** 2 for n in (5, 28))
        assert small < large <= bound <= 1.03 * large
    # a bound that forgot what stride folds together would fall below
    coherent = np.full((1, 1, 4, 4), 0.25)
    assert csc.ConvDictionary(coherent, 4).lipschitz_bound() == pytest.approx(1, rel=1e-12)
    assert csc.ConvDictionary(coherent, 1).lipschitz_bound() == pytest.approx(16, rel=1e-3)


def test_it_is_traced_and_its_atoms_are_leaves():
    dictionary, x, _ = problems.small(1)

    @eqx.filter_jit
    def energy(d, images):
        return jnp.sum(d.analyze(images) ** 2) / 2

    gradient = eqx.filter_grad(energy)(dictionary, jnp.asarray(x)).atoms
    t, move = 1e-6, np.random.default_rng(2).standard_normal(dictionary.atoms.shape)
    ends = [
        energy(eqx.tree_at(lambda d: d.atoms, dictionary, dictionary.atoms + s * t * move), jnp.asarray(x)) for s in (1, -1)
    ]
    assert float(ends[0] - ends[1]) / (2 * t) == pytest.approx(float(np.sum(gradient * move)), rel=1e-6)
    mapped = jax.vmap(lambda image: dictionary.analyze(image[None])[0])(jnp.asarray(x))
    np.testing.assert_allclose(mapped, dictionary.analyze(x), atol=1e-13)
    normal = jax.jit(lambda a: csc.ConvDictionary.normalized(3 * a).atoms)(dictionary.atoms)
    np.testing.assert_allclose(normal, dictionary.atoms, atol=1e-14)


def test_sizes_that_a_stride_leaves_open():
    dictionary = csc.ConvDictionary.random(2, 3, stride=2, padding=1, key=0)
    sizes = [n for n in range(1, 12) if dictionary.code_shape((n, n))[1] == 4]
    assert sizes == [7, 8]
    codes = np.random.default_rng(0).standard_normal((1, 2, 4, 4))
    small, large = dictionary.synthesize(codes), dictionary.synthesize(codes, (8, 8))
    assert small.shape == (1, 1, 7, 7)
    np.testing.assert_array_equal(small, large[..., :7, :7])
    with pytest.raises(InputError, match=r"size: found \(9, 9\).*pass a height from 7 to 8"):
        dictionary.synthesize(codes, (9, 9))


def test_random_atoms_are_the_key_s():
    first, second = (csc.ConvDictionary.random(3, (2, 3), channels=2, key=jax.random.key(4)) for _ in range(2))
    assert first.atoms.shape == (3, 2, 2, 3)
    np.testing.assert_array_equal(first.atoms, second.atoms)
    assert not np.array_equal(first.atoms, csc.ConvDictionary.random(3, (2, 3), channels=2, key=5).atoms)
    np.testing.assert_allclose(np.sum(np.asarray(first.atoms) ** 2, axis=(1, 2, 3)), 1, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_dictionary_is_saved_and_loaded_bit_for_bit(tmp_path, dtype):
    path = tmp_path / "atoms.safetensors"
    saved = csc.ConvDictionary.random(3, (2, 3), channels=2, stride=(2, 1), padding=1, key=0, dtype=dtype)
    csc.save_dictionary(path, saved, metadata={"sparsity": np.float64(0.1), "objective": np.arange(2.0), "source": "br\udce9"})
    for wide in (True, False):
        with jax.enable_x64(wide):
            found = csc.load_dictionary(path)
        assert found.atoms.dtype == dtype
        np.testing.assert_array_equal(found.atoms, saved.atoms)
        assert (found.stride, found.padding) == ((2, 1), (1, 1))
    assert csc.dictionary_metadata(path) == {"sparsity": 0.1, "objective": [0.0, 1.0], "source": "br\udce9"}
    csc.save_dictionary(path, saved)
    assert csc.dictionary_metadata(path) == {}
    content = path.read_bytes()
    for call, message in (
        (lambda: csc.save_dictionary(tmp_path, saved), "dictionary .*: is a directory"),
        (lambda: csc.save_dictionary(3, saved), "path: found int; pass the path of a .safetensors file"),  # type: ignore
        (lambda: csc.load_dictionary(3), "path: found int; pass the path of a .safetensors file"),  # type: ignore[arg-type]
        (lambda: csc.dictionary_metadata(None), "path: found NoneType"),  # type: ignore[arg-type]
        (lambda: csc.save_dictionary(path, saved.atoms), "dictionary: found .*; pass a ConvDictionary"),
        (lambda: csc.save_dictionary(path, saved, metadata={"a": object()}), "metadata: object has no plain"),
        (lambda: csc.save_dictionary(path, saved, metadata=3), "metadata: found int"),  # type: ignore[arg-type]
        (lambda: csc.load_dictionary(tmp_path), "is no file"),
        (lambda: csc.load_dictionary(tmp_path / "other"), "other: no such file"),
        (lambda: jax.jit(lambda own: csc.save_dictionary(path, own))(saved), "dictionary: traced here"),
    ):
        with pytest.raises(InputError, match=message):
            call()
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def _stored(atoms=None, **changes):
    about = {"kind": "convolutional dictionary", "format": "1", "stride": "[1, 1]", "padding": "[0, 0]", "metadata": "{}"}
    atoms = UNIT if atoms is None else atoms
    return safetensors.numpy.save({"atoms": np.ascontiguousarray(atoms)}, {**about, **changes})


def test_files_of_something_else_are_refused(tmp_path):
    path = tmp_path / "atoms.safetensors"
    path.write_bytes(_stored())
    assert csc.load_dictionary(path).padding == (0, 0)
    for content, message in (
        (_stored()[:-8], "damaged or cut off"),
        (b"", "damaged or cut off"),
        (json.dumps({}).encode(), "damaged or cut off"),
        (_stored(kind="white-box transformer"), "holds no dictionary of this library"),
        (_stored(format="2"), "has the format '2'"),
        (_stored(stride="[0, 1]"), "is no complete dictionary .stride: found 0"),
        (_stored(padding="x"), "is no complete dictionary"),
        (_stored(2 * UNIT), "is no complete dictionary .atoms: found norm 2"),
        (_stored(UNIT.astype(np.float16)), "is no complete dictionary"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{path.name}: .*{message}"):
            csc.load_dictionary(path)
    for metadata in ("{", "[]", "[[1, 2]]", "3"):
        path.write_bytes(_stored(metadata=metadata))
        with pytest.raises(InputError, match="its metadata cannot be read"):
            csc.dictionary_metadata(path)


UNIT = np.zeros((2, 1, 3, 3)) + np.eye(3) / np.sqrt(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: csc.ConvDictionary(UNIT * [[[[0]]], [[[1]]]]), "atoms: found norm zero of atom 0"),
        (lambda: csc.ConvDictionary.normalized(0 * UNIT), "atoms: found norm zero of atom 0, 1"),
        (lambda: csc.ConvDictionary(2 * UNIT), r"atoms: found norm 2 of atom 0; ConvDictionary.normalized"),
        (lambda: csc.ConvDictionary(np.where(UNIT > 0, np.nan, 0)), "atoms: found NaN"),
        (lambda: csc.ConvDictionary(UNIT[:, 0]), r"atoms: found shape \(2, 3, 3\).*atoms\[:, None\]"),
        (lambda: csc.ConvDictionary(UNIT, 0), "stride: found 0"),
        (lambda: csc.ConvDictionary(UNIT, (1, 2, 3)), r"stride: found \(1, 2, 3\)"),
        (lambda: csc.ConvDictionary(UNIT, 1, -1), "padding: found -1"),
        (lambda: csc.ConvDictionary(UNIT).analyze(np.zeros((1, 1, 2, 9))), "images: found 2 × 9 pixels.*larger images"),
        (lambda: csc.ConvDictionary(UNIT).analyze(np.zeros((1, 9, 9, 1))), "of 9 channels.*1; channels come first"),
        (lambda: csc.ConvDictionary(UNIT).analyze(np.zeros((1, 9, 9))), r"images: found shape \(1, 9, 9\).*x\[None\]"),
        (lambda: csc.ConvDictionary(UNIT).synthesize(np.zeros((1, 3, 4, 4))), "codes: found shape .*dictionary has 2"),
        (lambda: csc.ConvDictionary(UNIT, 1, 3).synthesize(np.zeros((1, 2, 2, 2))), "codes: found 2 × 2, which no image has"),
        (lambda: csc.ConvDictionary(UNIT).code_shape("a"), "size: found 'a'"),
        (lambda: csc.ConvDictionary.random(2, 3, key=None), "key: found NoneType"),
        (lambda: csc.ConvDictionary.random(0, 3, key=1), "num_atoms: found 0"),
        (lambda: jax.jit(lambda a: csc.ConvDictionary(a).lipschitz_bound())(UNIT), "atoms: traced here"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_float64_atoms_without_64_bit_mode():
    with jax.enable_x64(False):
        dictionary = csc.ConvDictionary(UNIT)
        assert dictionary.lipschitz_bound() > 1
        with pytest.raises(InputError, match="64-bit mode is off"):
            dictionary.analyze(np.zeros((1, 1, 5, 5), np.float32))
        narrow = csc.ConvDictionary(UNIT.astype(np.float32))
        assert narrow.analyze(np.ones((1, 1, 5, 5), np.float32)).dtype == np.float32
