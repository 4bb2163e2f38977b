"""What is missing or wrong is named, with what makes it; the pages show every figure with the verdicts of its claims."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from mcr2_landscape.cli import main
from mcr2_landscape.errors import InputError
from mcr2_landscape.figures import NAMES, load
from mcr2_landscape.gallery.drawing import check_folder, draw_figure
from mcr2_landscape.gallery.figure import Select, Table
from mcr2_landscape.gallery.reading import Stores
from mcr2_landscape.report import style
from mcr2_landscape.study.description import parse_description
from mcr2_landscape.study.space import Study
from mcr2_landscape.study.store import Store

from .conftest import TINY, make_store

pytestmark = pytest.mark.timeout(120)
(FIGURE,) = load(["value_against_index"])


@pytest.fixture
def survey(store_folder):
    return make_store(store_folder, "survey")


def test_names():
    assert [figure.name for figure in load(reversed(NAMES))] == list(NAMES), "in the order of the gallery"
    with pytest.raises(InputError, match=r"figure: found 'value_agains_index', which is none; .*value_against_index"):
        load(["value_agains_index"])


def test_a_missing_store_is_named_with_the_study_that_makes_it(tmp_path):
    with Stores(tmp_path) as stores, pytest.raises(InputError, match=r"no store of the study survey in .* study run survey"):
        stores.tables(FIGURE)


def test_a_missing_column_is_named(survey):
    asked = dataclasses.replace(FIGURE, tables={"x": Select("survey", "SELECT unit, found_valeu FROM rows")})
    with Stores(survey.parent) as stores, pytest.raises(InputError, match=r"lacks the column found_valeu; .* study run survey"):
        stores.tables(asked)


def test_too_few_rows_are_counted(tmp_path, survey):
    asked = dataclasses.replace(FIGURE, tables={"x": Select("survey", "SELECT unit FROM rows", least=3)})
    with Stores(survey.parent) as stores, pytest.raises(InputError, match=r"2 rows for 'x' in .*, and it needs 3 at least; "):
        stores.tables(asked)
    text = (TINY / "survey.toml").read_text(encoding="utf-8")
    study = Study.of(parse_description(text.replace("num_starts = 25", "num_starts = 26"), "survey.toml"))
    other = Store.create(tmp_path / "survey", study)
    other.remember(text.replace("num_starts = 25", "num_starts = 26"), None)
    for part in Store(survey).parts("rows"):
        (tmp_path / "survey" / "rows").mkdir(exist_ok=True)
        (tmp_path / "survey" / "rows" / part.name).write_bytes(part.read_bytes())
    with Stores(tmp_path) as stores, pytest.raises(InputError, match=r"0 rows .* 2 rows are of earlier code or descriptions"):
        stores.tables(FIGURE)


def test_a_single_store_is_enough_for_its_figures(survey):
    with Stores(survey) as stores:
        assert stores.has("survey")
        assert not stores.has("claims")
        assert len(stores.tables(FIGURE)["problems"]) == 2


def test_places_that_are_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--from .*: is no folder"):
        Stores(tmp_path / "file")
    with pytest.raises(InputError, match=r"--out .*: is no folder"):
        check_folder(tmp_path / "file")
    with pytest.raises(InputError, match=r"--out .*: cannot be made"):
        check_folder(tmp_path / "file" / "below")


def test_fonts():
    assert style.check_font("DejaVu Serif") == "DejaVu Serif"
    with pytest.raises(InputError, match="font: found 'DejaVu Seriff', which is not installed here; there is DejaVu Serif"):
        style.check_font("DejaVu Seriff")


def test_tables():
    table = Table({"unit": ["a", "b", "a"], "sizes": [[1, 2], [3], [1, 2]], "x": [1, None, 2.5]})
    assert table["x"].tolist()[::2] == [1.0, 2.5]
    assert table["x"][1] != table["x"][1]
    assert [(key, len(rows)) for key, rows in table.groups("sizes")] == [(((1, 2),), 2), (((3,),), 1)]
    assert table.where(unit="a").columns["x"] == [1, 2.5]
    assert len(table.where(unit="c")) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none_such"], "figure: found 'none_such', which is none"),
        (["--from", "nowhere"], "--from nowhere: is not there; --run quick computes what the figures need"),
        (["--font", "No Such Font"], "font: found 'No Such Font'"),
        (["--out", "file", "--from", "."], "--out file: is no folder"),
        (["--format", "gif"], "gif"),
        (["--dpi", "5"], "--dpi: found 5; give 30 to 1200"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["figures", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} <= {"file", "gallery"}
    assert not any(tmp_path.glob("gallery/*.html")), "nothing is half-written"


def test_the_list(capsys):
    assert main(["figures", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in NAMES)


def test_the_gallery(tmp_path, store_folder, capsys):
    """From stores that hold one study and the claims: what can be drawn is, what is missing is said, and pages show both."""
    for name in ("survey", "claims"):
        make_store(store_folder, name)
    folder = tmp_path / "stores"
    folder.mkdir()
    for name in ("survey", "claims"):
        (folder / name).symlink_to(store_folder / name)
    names = ["value_against_index"]
    status = main(["figures", *names, "--from", str(folder), "--out", str(tmp_path / "out"), "--format", "pdf"])
    assert status == 0
    assert (tmp_path / "out" / "value_against_index.pdf").read_bytes().startswith(b"%PDF")
    index = (tmp_path / "out" / "index.html").read_text()
    assert FIGURE.title in index
    assert "mcr2-landscape figures value_against_index" in index
    markdown = (tmp_path / "out" / "README.md").read_text()
    assert "[value_against_index.pdf](value_against_index.pdf)" in markdown
    assert FIGURE.caption in markdown
    page = (tmp_path / "out" / "mcr2.html").read_text()
    assert "survey: 2 rows" in page
    assert 'href="value_against_index.points.csv"' in page
    checked = re.search(r'<tr id="mcr2.scalar-equation">.*?</tr>', page)
    assert checked is not None
    assert "holds" in checked.group()
    assert "not checked" in re.search(r'<tr id="mcr2.index-formula">.*?</tr>', page).group()
    assert not (tmp_path / "out" / "ctrl.html").exists()


def test_what_cannot_be_drawn_does_not_stop_the_rest(tmp_path, survey, capsys):
    assert main(["figures", "--from", str(survey), "--out", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "drew" in said.err
    assert "error: figure" in said.err
    assert f"of {len(NAMES)} figures" in said.out
    assert (tmp_path / "index.html").exists()


def test_a_study_that_was_stopped_early_is_said_where_a_figure_cannot_be_painted(tmp_path, survey):
    def paint(canvas, tables):
        raise ValueError("zero-size array")

    asked = dataclasses.replace(FIGURE, paint=paint)
    with Stores(survey.parent) as stores:
        tables = stores.tables(asked)
    assert all(table.origin["complete"] for table in tables.values())
    with pytest.raises(ValueError, match="zero-size"):  # a mistake of the figure's
        draw_figure(asked, tables, tmp_path, form="svg")
    early = {name: Table(table.columns, {**table.origin, "complete": False}) for name, table in tables.items()}
    with pytest.raises(InputError, match=r"figure value_against_index: cannot be drawn .*; the study survey is not complete"):
        draw_figure(asked, early, tmp_path, form="svg")


def test_verdicts_that_cannot_be_read_do_not_stop_the_pages(tmp_path, survey, capsys):
    folder = tmp_path / "stores"
    folder.mkdir()
    (folder / "survey").symlink_to(survey)
    (folder / "claims").mkdir()
    (folder / "claims" / "store.json").write_text("{")
    assert main(["figures", "value_against_index", "--from", str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "error: verdicts of the claims: " in capsys.readouterr().err
    assert "not checked" in (tmp_path / "out" / "mcr2.html").read_text()


def test_a_single_store_cannot_be_run_into(tmp_path, survey, capsys):
    assert main(["figures", "--run", "quick", "--from", str(survey), "--out", str(tmp_path)]) == 2
    assert "is a single store; give the folder" in capsys.readouterr().err


def test_the_committed_gallery_is_of_these_figures():
    folder = Path(__file__).parents[2] / "docs" / "gallery"
    text = (folder / "README.md").read_text(encoding="utf-8")
    for figure in load():
        assert f"![{figure.title}]({figure.name}.png)" in text
        assert figure.caption in text, (
            "draw it again: mcr2-landscape figures --run quick --out docs/gallery --format png --dpi 110"
        )
        assert (folder / f"{figure.name}.png").stat().st_size > 5_000
    assert {path.stem for path in folder.glob("*.png")} == set(NAMES)
