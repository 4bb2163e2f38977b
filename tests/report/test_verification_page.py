"""The page of a verification: complete, safe, and in need of nothing else."""

import base64
import copy
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mcr2_landscape.claims import Profile, Registry
from mcr2_landscape.claims.runner import Checked
from mcr2_landscape.claims.verification import document, entry
from mcr2_landscape.claims.worker import perform
from mcr2_landscape.report.page import render
from mcr2_landscape.report.plots import draw_plot
from mcr2_landscape.report.verification import verification_page


class Parsed(HTMLParser):
    """Tags with attributes, and the text of each element with an id."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.articles = [], None, {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "article":
            self.open = dict(attrs)["id"]
            self.articles[self.open] = ""

    def handle_endtag(self, tag):
        if tag == "article":
            self.open = None

    def handle_data(self, data):
        if self.open is not None:
            self.articles[self.open] += data


@pytest.fixture
def plain(outside, tmp_path):
    outside("outside_claims")
    from outside_claims.statements import CLAIMS, TROUBLE, UNEXPECTED

    claims = (*CLAIMS, TROUBLE[0], UNEXPECTED[0])
    registry = Registry(claims, ())
    entries = []
    for claim in claims:
        reply = perform(claim, Profile.QUICK, {})
        paths = [tmp_path / "c d" / claim.id / f"{certificate.case}.json" for certificate in reply.certificates]
        entries.append(entry(Checked(claim, reply), registry, Profile.QUICK, paths, tmp_path))
    return document(entries, registry, profile=Profile.QUICK, patterns=(), complete=True)


def page(plain, base):
    (base / "reports").mkdir(exist_ok=True)
    return render(verification_page(plain, base, base / "reports"))


@pytest.fixture
def text(plain, tmp_path):
    return page(plain, tmp_path)


@pytest.fixture
def parsed(text):
    return Parsed(text)


def test_every_claim_has_its_section_and_its_row(plain, parsed):
    ids = {f"claim-{item['id']}" for item in plain["claims"]}
    assert set(parsed.articles) == ids
    links = [attrs["href"] for tag, attrs in parsed.tags if tag == "a"]
    assert {f"#{anchor}" for anchor in ids} <= set(links)
    assert {link[1:] for link in links if link.startswith("#")} <= ids


def test_a_section_says_what_is_claimed_and_what_was_found(plain, parsed):
    for item in plain["claims"]:
        shown = " ".join(parsed.articles[f"claim-{item['id']}"].split())
        for words in (item["title"], item["source"], item["statement"], item["formula"], *item["hypotheses"]):
            assert words in shown
        for part in item["parts"]:
            assert part["name"] in shown
            assert part["summary"] in shown
        assert (item["counter_example"] or "") in shown
        assert ("What refutes it" in shown) == (item["counter_example"] is not None)
    assert "What went wrong" in parsed.articles["claim-trouble.raises"]
    assert "RuntimeError: no luck" in parsed.articles["claim-trouble.raises"]


def test_a_verdict_is_a_word_and_not_only_a_color(plain, parsed):
    for item in plain["claims"]:
        word = item["verdict"] if item["error"] is None else "error"
        assert re.search(rf"[✓✗?!] {word}\b", parsed.articles[f"claim-{item['id']}"])


def test_what_is_not_as_expected_stands_out(parsed, text):
    assert "Expected: holds." in parsed.articles["claim-unexpected.refuted"]
    assert "Expected:" not in parsed.articles["claim-outside.refuted"]
    assert text.count("not as expected</span>") == 2
    assert "Not as expected: trouble.raises, unexpected.refuted." in text


def test_the_corrected_claim_and_the_printed_one_lead_to_each_other(text):
    assert '<a href="#claim-outside.corrected">outside.corrected</a>' in text
    assert '<a href="#claim-outside.refuted">outside.refuted</a>' in text


def test_a_claim_that_is_not_on_the_page_is_named_without_a_link(plain, tmp_path):
    plain["claims"] = [item for item in plain["claims"] if item["id"] != "outside.corrected"]
    text = page(plain, tmp_path)
    assert "Corrected by outside.corrected" in text
    assert "#claim-outside.corrected" not in text


def test_statements_and_findings_are_text(text, parsed):
    assert "<script" not in text
    assert "<b>" not in text
    assert "For <script>alert(1)</script> & all a, b." in parsed.articles["claim-outside.refuted"]
    assert "x = 1 was <b>seen</b>." in parsed.articles["claim-outside.corrected"]
    alternatives = [attrs["alt"] for tag, attrs in parsed.tags if tag == "img"]
    assert alternatives == ["What is <to> be seen"]


def test_the_page_loads_nothing_from_elsewhere(text, parsed):
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed"}
    sources = [attrs["src"] for _, attrs in parsed.tags if "src" in attrs]
    assert sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    for source in sources:
        assert not re.search(rb"(?:href|src)=\"(?!#|data:)", base64.b64decode(source.partition("base64,")[2]))
    rest = re.sub(r"data:image/[^\"]*", "", text)
    assert not re.search(r"https?://|@import|url\(", rest)


def test_certificates_are_linked_from_where_the_page_lies(parsed):
    links = [attrs["href"] for tag, attrs in parsed.tags if tag == "a" and not attrs["href"].startswith("#")]
    assert links == [
        "../c%20d/outside.square/square.json",
        "../c%20d/outside.square/cube.json",
        "../c%20d/outside.refuted/cube.json",
    ]
    assert "mcr2-landscape verify outside.square --recheck '../c d'" in parsed.articles["claim-outside.square"]


def test_figures_of_a_part_are_told_and_long_lists_cut(parsed):
    shown = " ".join(parsed.articles["claim-outside.corrected"].split())
    assert "tolerance: 1e-09" in shown
    assert "seeds: (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … 40 in all)" in shown


def test_what_stands_among_the_parts_is_not_said_twice(plain, tmp_path, parsed):
    summary = plain["claims"][0]["parts"][0]["summary"]
    assert parsed.articles["claim-outside.square"].count(summary) == 1
    other = copy.deepcopy(plain)
    other["claims"][0]["summary"] = "Words of its own."
    assert "Words of its own." in page(other, tmp_path)


def test_an_interrupted_run_and_a_failed_provider_are_told(plain, tmp_path):
    assert "interrupted" not in page(plain, tmp_path)
    error = {"provider": "x", "words": "x (y:Z): RuntimeError: broken", "details": ""}
    text = page(plain | {"complete": False, "provider_errors": [error]}, tmp_path)
    assert "The run was interrupted" in text
    assert "A provider of claims failed: x (y:Z): RuntimeError: broken" in text


def test_the_same_document_gives_the_same_bytes(plain, tmp_path, text):
    assert page(copy.deepcopy(plain), tmp_path) == text


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_a_picture_has_what_it_was_given(log):
    series = [
        {"name": f"s{number}", "x": [1.0, 2.0, None], "y": [0.0, 2.0, 3.0], "style": style}
        for number, style in enumerate(["line", "points"] * 5)
    ]
    plot = {"caption": "c", "alternative": "a", "x_label": "across", "y_label": "up", "series": series, "log": log}
    (axes,) = draw_plot(plot | {"diagonal": True}).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("across", "up")
    assert axes.get_xscale() == ("log" if "x" in log else "linear")
    assert axes.get_yscale() == ("log" if "y" in log else "linear")
    assert len(axes.collections) == 5
    assert len(axes.lines) == 6  # five series and the diagonal
    assert len(draw_plot(plot).axes[0].lines) == 5


def test_a_picture_without_numbers_is_drawn():
    plot = {"caption": "c", "alternative": "a", "x_label": "x", "y_label": "y", "series": [], "log": "xy", "diagonal": True}
    assert draw_plot(plot).axes


def test_an_old_document_becomes_a_page(tmp_path):
    """What version 1 promises is not enough for a page; taking it over fills in the claim (see claims.reading)."""
    from mcr2_landscape.claims.reading import read_verification

    old = read_verification(Path(__file__).parent.parent / "claims" / "verification_v1.json")
    stated = {"title": "t", "statement": "s", "formula": "", "hypotheses": [], "as_expected": True}
    number = {"claims": 2, "holds": 0, "refuted": 1, "undecided": 1, "errors": 0}
    whole = old | {
        "claims": [stated | item for item in old["claims"]],
        "counts": number,
        "complete": True,
        "provider_errors": [],
    }
    assert "claim-mcr2.unit-columns" in page(whole, tmp_path)
