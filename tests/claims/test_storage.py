"""Where certificates are put."""

import pytest

from mcr2_landscape.certify import Certificate, Statement, read
from mcr2_landscape.claims.storage import check_folder, relative, safe_name, store
from mcr2_landscape.errors import InputError

SQUARE = Statement("identity", assertion={"left": "(a + b)**2", "right": "a**2 + 2*a*b + b**2", "where": []})


def certificate(case):
    return Certificate(SQUARE, {"cofactors": []}, "some.claim", case)


def test_certificates_are_named_by_their_cases_or_numbers(tmp_path):
    paths = store([certificate("square"), certificate(None), certificate("square")], tmp_path, "some.claim")
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "some.claim/square.json",
        "some.claim/2.json",
        "some.claim/square-3.json",
    ]
    assert all(read(path).statement == SQUARE for path in paths)


def test_a_name_leads_nowhere_else(tmp_path):
    (path,) = store([certificate("../../evil /x")], tmp_path / "c", "some.claim")
    assert path.parent == tmp_path / "c" / "some.claim"
    assert safe_name("..") == safe_name("") == "certificate"
    assert len(safe_name("x" * 1000)) == 100


def test_what_an_earlier_run_left_and_this_one_did_not_make_goes(tmp_path):
    store([certificate("old"), certificate("kept")], tmp_path, "some.claim")
    place = tmp_path / "some.claim"
    (place / "old.point.f64").write_bytes(b"12345678")
    (place / "notes.json").write_text('{"mine": true}')
    (place / "notes.txt").write_text("mine")
    store([certificate("kept")], tmp_path, "some.claim")
    assert sorted(path.name for path in place.iterdir()) == ["kept.json", "notes.json", "notes.txt"]


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^--certificates .*file/x: cannot be made"):
        check_folder(tmp_path / "file" / "x")
    with pytest.raises(InputError, match=r"^--certificates .*file: cannot be made"):
        check_folder(tmp_path / "file")
    assert check_folder(tmp_path / "a" / "b").is_dir()


def test_paths_are_relative_to_where_the_file_really_is(tmp_path):
    (tmp_path / "there" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "there" / "deep")
    assert relative(tmp_path / "c" / "x.json", tmp_path / "link") == "../../c/x.json"
    assert relative(tmp_path / "link" / "x.json", tmp_path) == "there/deep/x.json"
