"""The page of a dictionary and its codes: complete, in need of nothing else, and true to the record, which is made up here."""

import dataclasses
import html
import re

import numpy as np
import pytest

from mcr2_landscape.csc import ConvDictionary, EncoderGap, LearnedDictionary, Solution
from mcr2_landscape.csc.examination import DEPTHS, SparseExamination, SparsityPoint
from mcr2_landscape.report import sparse_pictures, sparse_tables
from mcr2_landscape.report.page import render
from mcr2_landscape.report.sparse_page import sparse_page
from mcr2_landscape.report.style import draw
from mcr2_landscape.verdict import Verdict

IMAGES, ATOMS = 6, 5
ROWS = np.array([0, 41, 97, 200, 1234, 1796])  # of the images in the data


def solution(**changes):
    codes = np.zeros((IMAGES, ATOMS, 4, 4))
    codes[:, :3, 1, 1] = 1.0
    objective, gap = np.linspace(1.0, 2.0, IMAGES), np.full(IMAGES, 2e-12)
    fields = {
        "codes": codes, "objective": objective, "duality_gap": gap, "relative_gap": gap / 4, "rounding": gap / 8,
        "converged": np.ones(IMAGES, bool), "zero_is_optimal": np.zeros(IMAGES, bool), "lambda_max": np.full(IMAGES, 2.0),
        "steps": np.full(IMAGES, 200), "newton_steps": np.full(IMAGES, 3), "sparsity": np.full(IMAGES, 0.25), "ridge": 0.0,
        "nonnegative": False, "gap": 1e-10, "interrupted": False, "advice": "",
    }  # fmt: skip
    return Solution(**{**fields, **changes})


def made_up(**changes):
    random = np.random.default_rng(0)
    dictionary = ConvDictionary.random(ATOMS, 3, padding=1, key=0, dtype=np.float64)
    objective = np.array([9.0, 4.0, 3.0, 3.0])
    learned = LearnedDictionary(dictionary, np.zeros((1, ATOMS, 4, 4)), objective, 0.2, 0.1, (4,), 1, "max_alternations", None)
    gaps = np.geomspace(2.0, 1e-3, len(DEPTHS))[None, :, None] * random.uniform(0.5, 2, (3, 1, IMAGES))
    encoder = EncoderGap(("ista", "fista", "public layer"), DEPTHS, gaps, gaps, 0.1, solution())
    curve = tuple(SparsityPoint(lam, 0.1 * lam, 0.02 / lam, 0, 1e-12) for lam in (1.0, 0.5, 0.25))
    images = random.random((3, 1, 4, 4))
    fields = {
        "source": "<script>alert(1)</script>", "num_train": 1, "num_test": IMAGES, "num_studied": IMAGES, "rows": ROWS,
        "learned": learned,
        "atom_shape": (ATOMS, 1, 3, 3), "stride": (1, 1), "padding": (1, 1), "lipschitz": 7.5, "solution": solution(),
        "errors": np.full(IMAGES, 0.125), "active": np.full(IMAGES, 3 / 80), "usage": np.array([1, 1, 1, 0, 0.0]),
        "weight": np.array([0.5, 0.25, 0.25, 0, 0]), "random_objective": np.full(IMAGES, 1.9), "curve": curve,
        "encoder": encoder, "notes": ("a & b",), "atoms": np.asarray(dictionary.atoms), "images": images,
        "reconstructions": images / 2, "shown": np.array([0, 2, 5]),
    }  # fmt: skip
    return SparseExamination(**{**fields, **changes})


@pytest.fixture(scope="module")
def found():
    return made_up()


@pytest.fixture(scope="module")
def drawn(found):
    """The page, and its figures by name."""
    figures = {}

    def keep(name, make):
        def made(found):
            return figures.setdefault(name, make(found))

        return made

    with pytest.MonkeyPatch.context() as patch:
        for name in ("certificates", "atoms", "objective", "reconstructions", "curve", "depth", "usage"):
            patch.setattr(sparse_pictures, name, keep(name, getattr(sparse_pictures, name)))
        return render(sparse_page(found, {"configuration_hash": "abc"})), figures


@pytest.fixture(scope="module")
def page(drawn):
    return drawn[0]


@pytest.fixture(scope="module")
def figures(drawn):
    return drawn[1]


@pytest.fixture
def undrawn(monkeypatch):
    figure = draw((1.0, 1.0), lambda figure: None)
    monkeypatch.setattr(sparse_pictures, "draw", lambda size, paint: figure)


def test_a_page_loads_nothing_from_elsewhere(page):
    loaded = re.findall(r'(?:src|href|data|srcset|action)="([^"]*)', page)
    assert len(loaded) == 7  # certificates, atoms, objective, reconstructions, curve, depth, usage
    assert all(address.startswith("data:image/") for address in loaded)
    bare = re.sub(r'data:image/[^"]*', "", page)
    for word in ("<script", "<link", "<iframe", "@import", "url(", "http://", "https://"):
        assert word not in bare
    assert all(re.search(r'alt="[^"]+"', image) for image in re.findall(r"<img [^>]*>", bare))
    assert "&lt;script&gt;" in page


def test_it_says_what_the_record_says(page, found):
    text = html.unescape(page)
    for sentence in (*found.summary, *found.notes):
        assert sentence in text
    for name, value in (("verdict", "holds"), ("median error", "12.5%"), ("λ", "0.25")):
        assert re.search(rf"<dt>{name}</dt><dd>{value}</dd>", page)
    assert "configuration hash" in text


class TestSentences:
    def told(self, **changes):
        return " ".join(made_up(**changes).summary)

    def test_certificates_make_the_verdict(self, undrawn):
        assert made_up().verdict is Verdict.HOLDS
        assert "Certified: the codes of all 6 test images are solutions to within 1e-10; the largest duality gap is 2e-12" in (
            self.told()
        )
        some = np.arange(IMAGES) < 4
        lacking = made_up(solution=solution(converged=some))
        assert lacking.verdict is Verdict.UNDECIDED
        assert lacking.summary[0].startswith("Undecided: the codes of 4 of 6 test images are proved solutions")
        assert lacking.summary[0].endswith("Of the others, 2 of them take a larger λ, a small ridge, or a larger gap.")
        hidden = made_up(solution=solution(converged=some, rounding=np.full(IMAGES, 1e-9)))
        assert hidden.summary[0].endswith("Of the others, rounding hides so small a gap for 2 of them.")
        assert sparse_page(lacking, {}).title == "Sparse codes, not all certified"

    def test_an_objective_that_rose_refutes(self, found):
        learned = dataclasses.replace(found.learned, objective=np.array([9.0, 4.0, 4.5]))
        rose = made_up(learned=learned)
        assert rose.verdict is Verdict.REFUTED
        assert "Refuted: learning raised its objective in alternation 2" in rose.summary[0]
        assert "it ROSE in alternation 2" in rose.summary[1]
        assert "it never rose" in self.told()

    def test_atoms_and_images_without_codes_are_counted(self):
        told = self.told()
        assert "3 of 5 atoms are used by some test image; atom 1 has most of Σ|z|, 50.0%" in told
        assert "1 atom is used by no training image. New directions given to atoms that no image used: 1." in told
        assert "for 5 of 6 test images: 9 against 11.4 in all" in told
        assert "For 2 of them λ is at least λ_max" in self.told(solution=solution(zero_is_optimal=np.arange(IMAGES) < 2))

    def test_where_all_codes_are_zero_there_is_no_more_to_say(self, found):
        zero = solution(zero_is_optimal=np.ones(IMAGES, bool))
        encoder = dataclasses.replace(found.encoder, solution=zero)
        told = self.told(solution=zero, usage=np.zeros(ATOMS), weight=np.zeros(ATOMS), encoder=encoder)
        assert "No atom is used by any test image." in told
        assert "unrolled" not in told
        assert "Every code is zero, since no image has a λ_max above λ: the greatest is" in told

    def test_what_learning_did_not_do_is_not_said(self, found):
        stood = dataclasses.replace(found.learned, objective=np.array([9.0, 9.0]))
        assert "Learning left its objective at 9 in 1 alternation (" in self.told(learned=stood)
        told = self.told(learned=dataclasses.replace(stood, objective=np.array([9.0])))
        assert "No alternation was made (" in told
        assert "used by no training image" not in told
        assert "Learned atoms" not in told
        assert "for 0 of 6 test images" in self.told(random_objective=found.solution.objective * (1 + 1e-12))

    def test_steps_that_solve_the_program_are_said_to(self, found):
        solved = dataclasses.replace(found.encoder, gap=np.zeros_like(found.encoder.gap))
        assert "An unrolled encoder comes to the solution in time" in self.told(encoder=solved)
        assert "An unrolled encoder is not the solution" in self.told()

    def test_depth_is_that_of_fista(self, found):
        median = np.median(found.encoder.relative, axis=2)[1]
        told = ", ".join(f"{median[DEPTHS.index(depth)]:.2g} after {depth}" for depth in (2, 10, 100))
        assert f"by {told} steps of FISTA" in self.told()

    def test_atoms_that_were_given_were_not_learned(self, undrawn):
        given = made_up(learned=None, random_objective=None)
        assert "Learn" not in " ".join(given.summary)
        page = sparse_page(given, {})
        assert "Learning" not in [section.title for section in page.sections]
        assert "read from a file" in page.sections[1].text


class TestPictures:
    def test_atoms_are_tiled_by_weight(self, found, figures):
        panels = [axes for axes in figures["atoms"].axes if axes.get_visible()]
        assert [axes.get_title(loc="center") for axes in panels] == ["1: 50.0%", "2: 25.0%", "3: 25.0%", "4: 0.0%", "5: 0.0%"]
        np.testing.assert_allclose(np.asarray(panels[1].images[0].get_array()), found.atoms[1, 0])

    def test_colors_are_about_gray(self, found):
        random = np.random.default_rng(1).standard_normal((ATOMS, 3, 3, 3))
        colored = made_up(atoms=random, atom_shape=(ATOMS, 3, 3, 3))
        shown = np.asarray(sparse_pictures.atoms(colored).axes[0].images[0].get_array())
        np.testing.assert_allclose(shown, 0.5 + np.moveaxis(random[0], 0, -1) / (2 * np.abs(random[0]).max()))

    def test_reconstructions_stand_below_their_images(self, found, figures):
        shown = [np.asarray(axes.images[0].get_array()) for axes in figures["reconstructions"].axes]
        top = found.images.max()
        np.testing.assert_allclose(shown[3], found.images[0, 0] / 2 / top)
        left = found.images - found.reconstructions
        np.testing.assert_allclose(shown[8], (left[2, 0] / np.abs(left).max() + 1) / 2)
        assert [axes.get_title(loc="center") for axes in figures["reconstructions"].axes[:3]] == ["0", "97", "1796"]

    def test_a_drop_of_nothing_is_a_gap(self, figures):
        lowered = np.asarray(figures["objective"].axes[1].lines[0].get_ydata())
        np.testing.assert_allclose(lowered[:2], [5 / 9, 1 / 4])
        assert np.isnan(lowered[2])


def test_one_row_an_image_a_depth_and_a_sparsity(found):
    table = sparse_tables.certificates(found)
    assert [row[0] for row in table.rows] == [str(row) for row in ROWS]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert [row[0] for row in sparse_tables.depths(found).rows] == [str(depth) for depth in DEPTHS]
    assert sparse_tables.depths(found).columns == ("steps", "ISTA", "FISTA", "public layer")
    assert [row[0] for row in sparse_tables.curve(found).rows] == ["1", "0.5", "0.25"]
