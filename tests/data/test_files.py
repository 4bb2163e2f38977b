"""Every format read back, and everything that can be wrong with a file."""

import contextlib
import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from mcr2_landscape import InputError
from mcr2_landscape.data import load_features

X = np.random.default_rng(0).standard_normal((12, 3))
NUMBERS = np.arange(12) % 3
WORDS = np.array(["cat", "dog, small", 'the "other"'])[NUMBERS]


def write_csv(path, X, labels, header=None, delimiter=","):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        if header:
            writer.writerow(header)
        for row, label in zip(X.tolist(), labels.tolist(), strict=True):
            writer.writerow([*row, label])


def write(path, X, labels):
    """Features and labels in the format of the path's ending."""
    if path.suffix == ".npz":
        np.savez(path, features=X, labels=labels)
    elif path.suffix in (".csv", ".tsv"):
        write_csv(path, X, labels, delimiter="\t" if path.suffix == ".tsv" else ",")
    elif path.suffix == ".parquet":
        columns = {f"f{k}": X[:, k] for k in range(X.shape[1])}
        pyarrow.parquet.write_table(pyarrow.table({**columns, "label": labels}), path)
    elif path.suffix == ".safetensors":
        save_file({"features": X, "labels": labels}, path)
    return path


TABLES = [".npz", ".csv", ".tsv", ".parquet"]


@pytest.mark.parametrize("ending", TABLES)
@pytest.mark.parametrize("labels", [NUMBERS, WORDS], ids=["numbers", "words"])
def test_features_and_labels_are_read_back(tmp_path, ending, labels):
    data = load_features(write(tmp_path / f"x{ending}", X, labels))
    np.testing.assert_array_equal(data.features, X)
    np.testing.assert_array_equal(data.labels, labels)
    assert data.features.dtype == np.float64
    assert data.shape == (12, 3)
    assert data.notes == ()


def test_safetensors_are_read_back(tmp_path):
    data = load_features(write(tmp_path / "x.safetensors", X, NUMBERS))
    np.testing.assert_array_equal(data.features, X)
    np.testing.assert_array_equal(data.labels, NUMBERS)


@given(
    rows=st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2), min_size=2, max_size=6)
)
def test_numbers_survive_text(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    write_csv(path, np.array(rows), np.arange(len(rows)), header=["a", "b", "label"])
    np.testing.assert_array_equal(load_features(path).features, rows)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv", ".parquet", ".safetensors", ".txt"])
def test_labels_come_from_a_second_file(tmp_path, ending):
    np.save(tmp_path / "x.npy", X)
    path = tmp_path / f"y{ending}"
    if ending == ".npy":
        np.save(path, NUMBERS)
    elif ending == ".npz":
        np.savez(path, anything=NUMBERS)
    elif ending == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table({"anything": NUMBERS}), path)
    elif ending == ".safetensors":
        save_file({"labels": NUMBERS, "other": X}, path)
    else:
        path.write_text(("label\n" if ending == ".csv" else "") + "".join(f"{label}\n" for label in NUMBERS))
    data = load_features(tmp_path / "x.npy", path)
    np.testing.assert_array_equal(data.labels, NUMBERS)
    assert str(path) in data.source


def test_labels_one_a_line_may_hold_spaces_and_commas_do_not_split_features(tmp_path):
    np.save(tmp_path / "x.npy", X[:3])
    (tmp_path / "y.txt").write_text("black cat\nwhite cat\nblack cat\n\n")
    assert load_features(tmp_path / "x.npy", tmp_path / "y.txt").labels.tolist() == ["black cat", "white cat", "black cat"]


class TestTables:
    def test_a_header_names_features_and_the_label_column(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("height,kind,width\n1,cat,2\n3,dog,4\n")
        data = load_features(path, labels_name="kind")
        assert data.feature_names == ("height", "width")
        assert data.labels.tolist() == ["cat", "dog"]
        np.testing.assert_array_equal(data.features, [[1, 2], [3, 4]])

    def test_a_column_called_label_is_found_anywhere(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("label,a,b\n0,1,2\n1,3,4\n")
        np.testing.assert_array_equal(load_features(path).features, [[1, 2], [3, 4]])

    def test_without_a_header_columns_have_numbers(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("7,1.5,2\n8,2.5,3\n7,3.5,5\n")
        data = load_features(path, labels_name="0")
        assert data.labels.tolist() == [7, 8, 7]
        assert load_features(path, labels_name="-1").labels.tolist() == [2, 3, 5]
        assert data.feature_names == ()

    def test_column_numbers_as_a_header_are_no_sample(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("0,1,label\n1.5,2.5,cat\n3.5,4.5,dog\n")
        assert load_features(path).shape == (2, 2)

    def test_a_nameless_column_that_counts_rows_is_left_out_and_said(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text(",a,b,label\n0,1,2,x\n1,3,4,y\n")
        data = load_features(path)
        np.testing.assert_array_equal(data.features, [[1, 2], [3, 4]])
        assert "left out" in data.notes[0]

    def test_semicolons_spaces_blank_lines_and_a_byte_order_mark(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_bytes("\ufeffa;b;label\r\n1;2;x\r\n\r\n3;4;y\r\n".encode())
        np.testing.assert_array_equal(load_features(path).features, [[1, 2], [3, 4]])
        text = tmp_path / "x.txt"
        text.write_text("1 2 0\n3 4 1\n")
        np.testing.assert_array_equal(load_features(text).features, [[1, 2], [3, 4]])

    def test_parquet_lists_are_features(self, tmp_path):
        path = tmp_path / "x.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"embedding": list(X.astype(np.float32)), "label": WORDS}), path)
        data = load_features(path, features_name="embedding")
        np.testing.assert_array_equal(data.features, X.astype(np.float32))
        assert data.dtype == "float32"


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_low_precision_is_accepted_and_said(tmp_path, kind):
    data = load_features(write(tmp_path / "x.npz", X.astype(kind), NUMBERS))
    assert data.features.dtype == np.float64
    assert np.dtype(kind).name in data.notes[0]


def test_bfloat16_tensors_are_numbers(tmp_path):
    import ml_dtypes

    path = write(tmp_path / "x.safetensors", X.astype(ml_dtypes.bfloat16), NUMBERS)
    np.testing.assert_allclose(load_features(path).features, X, rtol=0.01)


def test_whole_numbers_stored_as_floats_are_classes(tmp_path):
    labels = load_features(write(tmp_path / "x.npz", X, NUMBERS.astype(np.float32))).labels
    assert labels.dtype == np.int64


NAN = X.copy()
NAN[[2, 5], 1] = np.nan


@pytest.mark.parametrize(
    ("stored", "says"),
    [
        ({"x": X, "labels": NUMBERS}, r"no array 'features'; it holds x \(12, 3\) float64, labels"),
        ({"features": X, "y": NUMBERS}, r"no array 'labels'.*--labels-name"),
        ({"features": NAN, "labels": NUMBERS}, r"NaN in 2 of 12 rows \(row 2, 5\)"),
        ({"features": X.astype(object), "labels": NUMBERS}, "Python objects.*could run any code"),
        ({"features": X, "labels": WORDS.astype(object)}, "Python objects"),
        ({"features": X, "labels": NUMBERS[:-1]}, "11 labels for 12 samples"),
        ({"features": X.T, "labels": NUMBERS}, "12 labels for 3 samples.*transposed"),
        ({"features": X, "labels": np.eye(3)[NUMBERS]}, "argmax"),
        ({"features": X.reshape(12, 3, 1), "labels": NUMBERS}, r"shape \(12, 3, 1\).*reshape"),
        ({"features": X[0], "labels": NUMBERS}, "matrix"),
        ({"features": X[:0], "labels": NUMBERS[:0]}, "shape"),
        ({"features": X + 1j, "labels": NUMBERS}, "complex128; they have to be real"),
        ({"features": X.astype(str), "labels": NUMBERS}, "real numbers"),
        ({"features": X, "labels": X[:, 0]}, "look like a feature.*--labels-name"),
        ({"features": X, "labels": np.where(NUMBERS == 1, np.nan, NUMBERS)}, "no label for 4 samples"),
        ({"features": X, "labels": np.where(NUMBERS == 1, "", WORDS)}, "no label for 4 samples"),
    ],
)
def test_what_is_wrong_in_an_archive_is_said(tmp_path, stored, says):
    np.savez(tmp_path / "x.npz", **stored)
    with pytest.raises(InputError, match=says) as caught:
        load_features(tmp_path / "x.npz")
    assert str(tmp_path / "x.npz") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", "", "empty"),
        ("x.csv", "\n\n", "blank lines"),
        ("x.csv", "a,b,label\n1,2,x\n3,,y\n", "line 3, column 'b': found an empty cell"),
        ("x.csv", "1,2,0\n3,four,1\n", "line 2, column number 1: found 'four'"),
        ("x.csv", "1,2,0\n3,4\n", "line 2 has 2 columns, the first has 3"),
        ("x.csv", "a,label\n1,x\nnan,y\n", r"NaN in 1 of 2 rows \(row 1\)"),
        ("x.csv", "label\nx\ny\n", "label column only"),
        ("x.csv", "1,2,0\n3,4,1\n", "no label column 'kind'; it has 3 columns without names"),
        ("x.csv", "a,b,label\n1,2,x\n3,4,y\n", "no label column 'kind'; it has the columns a, b, label"),
        ("x.npz", "no archive", "no NumPy archive"),
        ("x.npy", "no array", "no NumPy array"),
        ("x.parquet", "no table", "no parquet file"),
        ("x.safetensors", "no tensors", "damaged or cut off"),
        ("x.pt", "anything", r"'.pt'; convert to one of .npz"),
        ("x", "anything", "ending 'none'"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=says):
        load_features(tmp_path / name, labels_name="kind" if "kind" in says else None)


def test_text_that_is_no_text(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"1,2\xff\xfe\x00\n")
    with pytest.raises(InputError, match="UTF-8"):
        load_features(tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["x.npz", "x.csv", "x.npy"])
def test_a_path_that_is_no_file(tmp_path, name):
    with pytest.raises(InputError, match="no such file"):
        load_features(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="is a directory"):
        load_features(tmp_path / name)


@pytest.mark.parametrize("name", ["x.npz", "x.csv", "x.parquet", "x.npy"])
def test_a_file_that_may_not_be_read(tmp_path, monkeypatch, name):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", name)

    write(tmp_path / name, X, NUMBERS)
    (tmp_path / name).touch()
    monkeypatch.setattr(Path, "open", refuse)  # the superuser may read everything
    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(InputError, match=r"cannot be read .*Permission denied"):
        load_features(tmp_path / name)


def test_features_without_labels(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(InputError, match="holds no labels; give a second file"):
        load_features(tmp_path / "x.npy")
    with pytest.raises(InputError, match="no such file"):
        load_features(tmp_path / "x.npy", tmp_path / "y.npy")
    with pytest.raises(InputError, match="leave features_name"):
        load_features(tmp_path / "x.npy", tmp_path / "y.npy", features_name="features")


def test_parquet_columns_that_are_no_features(tmp_path):
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"f": X[:, 0], "name": WORDS, "label": NUMBERS}), path)
    with pytest.raises(InputError, match="the columns name are no numbers"):
        load_features(path)
    pyarrow.parquet.write_table(pyarrow.table({"f": [1.0, None], "label": [0, 1]}), path)
    with pytest.raises(InputError, match=r"NaN in 1 of 2 rows \(row 1\)"):
        load_features(path)
    pyarrow.parquet.write_table(pyarrow.table({"f": [1.0, 2.0], "label": ["a", None]}), path)
    with pytest.raises(InputError, match=r"no label for 1 samples \(row 1\)"):
        load_features(path)
    pyarrow.parquet.write_table(pyarrow.table({"f": [[1.0, 2.0], [3.0]], "label": ["a", "b"]}), path)
    with pytest.raises(InputError, match="different lengths"):
        load_features(path)


class Harmful:
    """Unpickling it prints; nothing may."""

    def __reduce__(self):
        return print, ("harm done",)


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", features=np.array([Harmful(), Harmful()]), labels=np.array([0, 1]))
    np.save(tmp_path / "x.npy", np.array([Harmful()]), allow_pickle=True)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for name in ("x.npz", "x.npy"):
            with pytest.raises(InputError, match="Python objects"):
                load_features(tmp_path / name)
    assert said.getvalue() == ""


def test_an_archive_that_holds_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("features", "text")
    with pytest.raises(InputError, match="no array"):
        load_features(tmp_path / "x.npz")


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intact")
    endings = [*TABLES, ".safetensors"]
    return {ending: write(folder / f"x{ending}", X, NUMBERS).read_bytes() for ending in endings}


@pytest.mark.parametrize("ending", [*TABLES, ".safetensors"])
@given(data=st.data())
def test_a_damaged_file_is_an_input_error_or_is_read(tmp_path_factory, intact, ending, data):
    """Cut off anywhere, or with any bytes changed."""
    content = bytearray(intact[ending])
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), label="length")]
    else:
        for _ in range(data.draw(st.integers(1, 4), label="changes")):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / f"x{ending}"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert np.isfinite(load_features(path).features).all()


@pytest.mark.parametrize(("library", "name"), [("pyarrow", "x.parquet"), ("safetensors", "x.safetensors")])
def test_a_missing_library_names_the_command_that_installs_it(tmp_path, monkeypatch, library, name):
    import sys

    (tmp_path / name).write_text("anything")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=r'pip install "mcr2_landscape\[data\]"'):
        load_features(tmp_path / name)
