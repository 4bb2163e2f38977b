"""How long learning and solving are said to go on, by a clock that is set by hand."""

from __future__ import annotations

import types

import pytest

from mcr2_landscape.csc import time_left
from mcr2_landscape.landscape.progress import Progress
from mcr2_landscape.pace import Pace


class Bar(Progress):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__(0)
        self.told = []

    def expect(self, seconds, doing="", *, whole=True):
        self.told.append((seconds, doing) if whole else (seconds, doing, "alone"))


@pytest.fixture
def clock(monkeypatch):
    now = types.SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(time_left, "time", types.SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def pace(rate):
    """As after two chunks: the first one compiles, and says nothing."""
    found = Pace()
    assert found.seconds_for(1) is None
    found.done(1, 50.0)
    assert found.seconds_for(1) is None
    found.done(1, 1 / rate)
    return found


def test_alternations_take_as_long_as_the_last_one(clock):
    bar = Bar()
    left = time_left.LearningTime(bar, 3, None)
    clock.seconds += 4
    left.steps(Pace(), 20)
    assert bar.told == [], "nobody knows yet"
    left.steps(pace(0.5), 8)  # 4 s are over and 16 s left of half an alternation: 40 s each, of the first one 36
    assert bar.told.pop() == (pytest.approx(36 + 2 * 40), "")
    clock.seconds += 26
    left.end()
    assert bar.told.pop() == (pytest.approx(2 * 30), "")
    clock.seconds += 10
    left.steps(pace(1000.0), 1)
    assert bar.told.pop() == (pytest.approx(20 + 30), "")
    clock.seconds += 50  # longer than was thought
    left.steps(pace(1000.0), 1)
    assert bar.told.pop() == (pytest.approx(30), "")
    left.end()
    clock.seconds += 1
    left.end()
    assert bar.told.pop() == (0.0, "")


def test_a_limit_ends_with_the_alternation_at_work(clock):
    bar = Bar()
    left = time_left.LearningTime(bar, 1000, 25.0)
    clock.seconds += 10
    left.end()
    assert bar.told.pop() == (pytest.approx(15 + 10), "")
    clock.seconds += 20
    left.steps(Pace(), 1)
    assert bar.told.pop() == (pytest.approx(10), "")


def test_images_one_by_one_take_as_long_as_those_before(clock):
    bar = Bar()
    left = time_left.SolvingTime(bar, 2)
    left.group()
    clock.seconds += 5
    left.steps(Pace(), 190)
    assert bar.told == [], "nobody knows yet"
    left.steps(pace(2.0), 100)  # 5 s and 50 s of this group, and as much of the next
    assert bar.told.pop() == (pytest.approx(50 + 55), "first-order steps", "alone")
    left.opened(3)
    left.newton(1)
    assert bar.told.pop() == (None, "1 Newton step of an image")
    clock.seconds += 8
    left.closed()
    assert bar.told.pop() == (pytest.approx(2 * 8 + 55 + 3 * 8), "")
    clock.seconds += 2
    left.newton(2)
    assert bar.told.pop() == (pytest.approx(2 * 8 - 2 + 55 + 3 * 8), "2 Newton steps of an image")
    clock.seconds += 2
    left.closed()
    left.closed()
    left.group()
    left.steps(pace(2.0), 10)
    assert bar.told.pop() == (pytest.approx(5), "first-order steps")
