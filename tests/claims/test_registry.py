"""Providers of claims: what they give is found, and one that gives something else becomes an error beside the rest."""

import importlib.metadata
import types

import pytest

from mcr2_landscape.claims import Claim, Form, load
from mcr2_landscape.errors import InputError


def claim(name, **rest):
    return Claim(id=name, title=name, source="s", form=Form.OWN, statement=name, check="m:f", **rest)


class Entry:
    def __init__(self, name, found, dist=None):
        self.name, self.value, self._found = name, f"{name}:CLAIMS", found
        self.dist = None if dist is None else types.SimpleNamespace(name=dist)

    def load(self):
        if isinstance(self._found, BaseException):
            raise self._found
        return self._found


@pytest.fixture
def provide(monkeypatch):
    def give(**providers):
        entries = [Entry(name, found) for name, found in providers.items()]
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)
        return load()

    return give


GOOD = (claim("b.one"), claim("b.two", corrects="b.one"))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (ImportError("no module"), "ImportError: no module"),
        (SystemExit(0), "SystemExit: 0"),
        (3, "TypeError"),
        ((claim("c.one"), "text"), "holds a str"),
        ((claim("c.one"), claim("c.one")), "repeats the ids c.one"),
        ((claim("c.one"), claim("c.one", corrects="b.one")), "repeats the ids c.one"),
        ((claim("c.one"), claim("b.two")), "repeats the ids b.two"),
    ],
)
def test_a_bad_provider_is_an_error_and_the_rest_is_kept(provide, bad, words):
    registry = provide(b=GOOD, c=bad)
    assert registry.claims == GOOD
    [error] = registry.errors
    assert error.provider == "c"
    assert words in error.words


def test_the_order_is_that_of_names(provide):
    assert [c.id for c in provide(z=(claim("a"),), b=GOOD).claims] == ["b.one", "b.two", "a"]


def test_nobody_takes_the_ids_of_this_project(monkeypatch):
    entries = [Entry("a", (claim("b.one"), claim("a.one")), "another"), Entry("b", GOOD, "mcr2-landscape")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)
    assert load().claims == GOOD
    assert [error.provider for error in load().errors] == ["a"]


def test_selection(provide):
    registry = provide(b=GOOD)
    assert registry.select(()) == registry.select(("b",)) == registry.select(("b.*",)) == GOOD
    assert registry.select(("*.two",)) == registry.select(("b.two", "b.two")) == GOOD[1:]
    assert registry.corrected_by("b.one") == "b.two"
    assert registry.corrected_by("b.two") is None
    with pytest.raises(InputError, match=r"b\.tow.*nearest: b\.two"):
        registry.select(("b.one", "b.tow"))
    with pytest.raises(InputError, match="nearest"):
        registry.find("b.on")
