import json
import os
import stat

import numpy as np
import pytest

from mcr2_landscape import InputError, files
from mcr2_landscape.files import check_writable, write_json
from mcr2_landscape.report import document


def test_a_document_says_what_it_is_and_where_it_comes_from(tmp_path):
    plain = document("survey", {"value": np.float64(1.5), "gone": float("nan")}, configuration={"starts": 3}, key=4)
    write_json(tmp_path / "x.json", plain)
    read = json.loads((tmp_path / "x.json").read_text())
    assert read["schema"] == "mcr2_landscape/survey"
    assert read["schema_version"] == 1
    assert read["provenance"]["seed"] == 4
    assert len(read["provenance"]["configuration_hash"]) == 64
    assert read["configuration"] == {"starts": 3}
    assert read["result"] == {"value": 1.5, "gone": None}


def test_what_is_not_finite_never_gets_into_a_file(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"value": float("inf")})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("old")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="No space left on device"):
        write_json(path, {})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_permissions_of_any_other(tmp_path):
    mask = os.umask(0o027)
    try:
        write_json(tmp_path / "x.json", {})
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o640
    (tmp_path / "x.json").chmod(0o600)
    write_json(tmp_path / "x.json", {})
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o600


def test_a_long_name_and_a_relative_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json("x.json", {})
    write_json("y" * 240 + ".json", {})
    assert len(list(tmp_path.iterdir())) == 2


def test_places_that_cannot_be_written_are_found_before(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("kept")
    assert check_writable(tmp_path / "new.html") == tmp_path / "new.html"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(InputError, match="is a directory"):
        check_writable(tmp_path)
    with pytest.raises(InputError, match="does not exist; make it first"):
        check_writable(tmp_path / "nowhere" / "x.html")
    with pytest.raises(InputError, match="is no folder"):
        check_writable(tmp_path / "file" / "x.html")

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(InputError, match=r"--report .*cannot be written \(Permission denied\)"):
        check_writable(tmp_path / "new.html", "--report")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_device_is_written_in_place():
    write_json("/dev/null", {"value": 1})
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_leftovers_of_one_file_are_told_from_those_of_others(tmp_path, monkeypatch):
    """What a killed writer leaves is found by the name that it was for, brackets and stars in it included."""

    def killed(*_):
        raise KeyboardInterrupt

    from mcr2_landscape import files

    for name in ("a[1].json", "a1.json", "x" * 150):
        with monkeypatch.context() as patched:
            patched.setattr(files.os, "replace", killed)
            patched.setattr(files, "_remove", lambda _: None)
            with pytest.raises(KeyboardInterrupt):
                files.place(tmp_path / name, b"content")
    assert len(list(tmp_path.iterdir())) == 3
    files.remove_leftovers(tmp_path, "a[1].json")
    assert len(list(files.leftovers(tmp_path))) == 2
    files.remove_leftovers(tmp_path, "x" * 150)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a1.json.")
    files.remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())
