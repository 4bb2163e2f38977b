"""Whatever order results come in, whichever workers die, whenever the coordinator is killed: the rows are the same."""

from __future__ import annotations

import contextlib
import errno
import pickle
from concurrent.futures import Executor, Future
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from mcr2_landscape.errors import InputError
from mcr2_landscape.processes import WorkerDied
from mcr2_landscape.study import Store, chunk, coordinator, journal
from mcr2_landscape.study.chunk import ChunkResult
from mcr2_landscape.study.coordinator import Unavailable, run_units
from mcr2_landscape.study.pending import Pending

from .conftest import rows_of

TEXT = """
name = "s"
task = "outside.sum"
seeds = 3
chunk = 2
[grid]
x = [0.5, 2]
n = [1, 2, 3]
"""
UNITS = 18


def compute_chunk(study, numbers) -> ChunkResult:
    return chunk.compute_chunk(pickle.dumps(study.description), study.digest, numbers)


class Killed(BaseException):
    """The coordinator's process ends here: nothing that comes later happens."""


class Scripted(Executor):
    """Calls that come back in a random order, some of whose processes die first."""

    def __init__(self, random, *, deaths=0):
        self._random, self._deaths = random, deaths
        self._waiting = []

    def submit(self, fn, /, *args, **kwargs):
        assert fn is chunk.compute_chunk
        future: Future = Future()
        self._waiting.append((future, args))
        return future

    def advance(self, *_):
        for _ in range(self._random.randint(0, len(self._waiting))):
            future, args = self._waiting.pop(self._random.randrange(len(self._waiting)))
            if future.cancelled():
                continue
            if self._deaths and self._random.random() < 0.5:
                self._deaths -= 1
                future.set_exception(WorkerDied("was ended by SIGKILL"))
            else:
                future.set_result(chunk.compute_chunk(*args))


@pytest.fixture
def opened(study):
    return study(TEXT)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(coordinator, "_TICK", 0.0)
    monkeypatch.setattr(journal, "LONGEST", 0.0)  # a part for each chunk, as many places to be killed at as can be


def direct(opened, place):
    """The rows of a run without a coordinator."""
    result = compute_chunk(opened.study, range(len(opened.study)))
    store = Store.create(place, opened.study)
    store.acquire()
    store.write_part(store.new_part("rows"), result.rows)
    store.release()
    return rows_of(place)


def attempt(opened, place, executor, **options):
    store = Store.create(place, opened.study)
    store.acquire()
    try:
        return run_units(store, opened.study, executor, width=lambda: 2, watch=executor.advance, **options)
    finally:
        store.release()


same_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@same_fixtures
@given(st.integers(0, 2**32).map(Random))
def test_any_order_and_any_deaths_give_the_same_rows(opened, tmp_path_factory, random):
    folder = tmp_path_factory.mktemp("run")
    executor = Scripted(random, deaths=random.randint(0, 4))
    state = attempt(opened, folder / "a", executor)
    assert (state.done, state.failed, state.left) == (UNITS, 0, 0)
    assert rows_of(folder / "a") == direct(opened, folder / "b")


@same_fixtures
@given(st.integers(0, 2**32).map(Random))
def test_killed_again_and_again_it_ends_with_the_same_rows(opened, tmp_path_factory, monkeypatch, random):
    from mcr2_landscape.study import store as stores

    folder = tmp_path_factory.mktemp("run")
    original = stores.place
    dead = False

    def place(path, content):
        nonlocal dead
        if dead:
            raise Killed
        kind = random.choice(["", "", "", "before", "after", "half"])
        if kind in ("before", "half"):
            if kind == "half":
                path.with_name(f".{path.name}.x.part").write_bytes(bytes(content)[:10])
            dead = True
            raise Killed
        original(path, content)
        if kind == "after":
            dead = True
            raise Killed

    kills = 0
    with monkeypatch.context() as patched:
        patched.setattr(stores, "place", place)
        while kills < 6:
            dead = False
            try:
                attempt(opened, folder / "a", Scripted(random, deaths=1))
                break
            except Killed:
                kills += 1
    attempt(opened, folder / "a", Scripted(random))
    expected = direct(opened, folder / "b")
    assert rows_of(folder / "a") == expected
    assert len(expected) == UNITS
    assert not list((folder / "a").rglob("*.part"))
    assert {p.name for p in (folder / "a" / "arrays").rglob("*.npy")} == {f"{row['draws']}.npy" for row in expected}


@same_fixtures
@given(st.integers(0, 2**32).map(Random))
def test_a_disk_that_fills_up_loses_nothing_and_doubles_nothing(opened, tmp_path_factory, monkeypatch, random):
    from mcr2_landscape.study import store as stores

    folder = tmp_path_factory.mktemp("run")
    original = stores.place

    def place(path, content):
        kind = random.choice(["", "", "before", "after"])
        if kind == "after":  # the file is there, and only the folder could not be brought to the disk
            original(path, content)
        if kind:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(stores, "place", place)
        for _ in range(3):
            with contextlib.suppress(OSError):
                attempt(opened, folder / "a", Scripted(random))
    attempt(opened, folder / "a", Scripted(random))
    assert rows_of(folder / "a") == direct(opened, folder / "b")


def test_the_comparison_catches_a_lost_row_and_a_double_one(opened, tmp_path):
    expected = direct(opened, tmp_path / "b")
    store = Store.create(tmp_path / "a", opened.study)
    store.acquire()
    half = compute_chunk(opened.study, range(UNITS - 1)).rows
    store.write_part(store.new_part("rows"), half)
    assert rows_of(tmp_path / "a") != expected
    rest = compute_chunk(opened.study, range(UNITS - 2, UNITS)).rows
    store.write_part(store.new_part("rows"), rest)
    assert rows_of(tmp_path / "a") != expected
    store.release()


class Deadly(Executor):
    """Every process dies that gets a unit with one of these numbers."""

    def __init__(self, *numbers, unusable=False):
        self._numbers, self.unusable = set(numbers), unusable

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        if self.unusable or (len(args) == 3 and self._numbers & set(args[2])):
            future.set_exception(WorkerDied("was ended by SIGKILL; out of memory is a frequent reason"))
        else:
            future.set_result(fn(*args))
        return future

    def advance(self, *_):
        pass


def test_a_unit_that_kills_its_process_fails_alone_and_is_tried_again_by_the_next_run(opened, tmp_path):
    state = attempt(opened, tmp_path / "a", Deadly(4))
    assert (state.done, state.failed) == (UNITS - 1, 1)
    (failure,) = rows_of(tmp_path / "a", "failures")
    assert failure["kind"] == "died"
    assert "SIGKILL; out of memory is a frequent reason (3 times)" in failure["error"]
    unit = opened.study.unit(4)
    assert (failure["x"], failure["n"], failure["seed"]) == (unit.parameters["x"], unit.parameters["n"], unit.seed)
    pending = Pending.of(Store(tmp_path / "a"), opened.study)
    assert (pending.done, pending.raised, pending.died, pending.numbers.tolist()) == (UNITS - 1, 0, 1, [4])
    attempt(opened, tmp_path / "a", Deadly())
    assert rows_of(tmp_path / "a") == direct(opened, tmp_path / "b")


def test_where_no_process_can_compute_anything_the_run_stops(opened, tmp_path):
    with pytest.raises(Unavailable, match="processes died one after the other, and then one with nothing to do"):
        attempt(opened, tmp_path / "a", Deadly(unusable=True))


def test_a_block_of_deadly_units_does_not_keep_the_others_from_being_computed(study, tmp_path):
    opened = study(TEXT.replace("seeds = 3", "seeds = 20"))
    count = len(opened.study)
    state = attempt(opened, tmp_path / "a", Deadly(*range(80)))
    assert (state.done, state.failed) == (count - 80, 80)
    assert {row["kind"] for row in rows_of(tmp_path / "a", "failures")} == {"died"}
    attempt(opened, tmp_path / "a", Deadly())
    assert len(rows_of(tmp_path / "a")) == count


def test_an_executor_that_has_lost_its_cluster_stops_the_run_and_what_is_done_is_kept(opened, tmp_path):
    executor = Deadly()
    answers = iter([True, False])
    with pytest.raises(Unavailable, match="lost its connection"):
        attempt(opened, tmp_path / "a", executor, alive=lambda: next(answers))
    assert 0 < len(rows_of(tmp_path / "a")) <= UNITS
    attempt(opened, tmp_path / "a", executor)
    assert rows_of(tmp_path / "a") == direct(opened, tmp_path / "b")


def test_rows_wait_for_company_but_not_for_long(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "LONGEST", 5.0)
    monkeypatch.setattr(journal, "MOST_ROWS", 7)
    attempt(opened, tmp_path / "a", Deadly())
    sizes = [len(rows_of_part) for rows_of_part in parts_of(tmp_path / "a")]
    assert sum(sizes) == UNITS
    assert sizes[0] == 7
    clock = [0.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: clock[0])
    store = Store.create(tmp_path / "c", opened.study)
    store.acquire()
    writer = journal.Journal(store)
    writer.add(compute_chunk(opened.study, [0]))
    clock[0] = 4.9
    writer.flush_if_due()
    assert (writer.waiting, store.parts("rows")) == (1, [])
    clock[0] = 5.0
    writer.flush_if_due()
    assert (writer.waiting, len(store.parts("rows"))) == (0, 1)
    store.release()


def parts_of(place):
    from mcr2_landscape.study.store import read_part

    return [read_part(path).to_pylist() for path in Store(place).parts("rows")]


def test_workers_with_other_code_are_refused(opened, tmp_path):
    with pytest.raises(Exception, match="install the same ones") as caught:
        chunk.compute_chunk(pickle.dumps(opened.study.description), "another digest", [0])
    assert type(caught.value).__name__ == "Mismatch"


def test_only_one_writes_to_a_store(opened, tmp_path):
    first = Store.create(tmp_path / "a", opened.study)
    second = Store.create(tmp_path / "a", opened.study)
    first.acquire()
    with pytest.raises(InputError, match=r"another run writes to it \(process \d+ on "):
        second.acquire()
    assert second.writer() is not None
    first.release()
    second.acquire()
    second.release()
    assert second.writer() is None


def test_the_index_of_parts_says_what_the_parts_say(opened, tmp_path, monkeypatch):
    import numpy as np

    from mcr2_landscape.study import index
    from mcr2_landscape.study import store as stores

    monkeypatch.setattr(index, "_WORTHWHILE", 2)
    store = Store.create(tmp_path / "a", opened.study)
    store.acquire()

    def write(numbers):
        rows = compute_chunk(opened.study, numbers).rows
        store.write_part(store.new_part("rows"), rows)

    def directly():
        return np.concatenate([stores._identities(stores.read_part(p, ["unit"]).column("unit")) for p in store.parts("rows")])

    for start in range(0, 8, 2):
        write(range(start, start + 2))
    place = tmp_path / "a" / "plans" / "rows.npz"
    np.testing.assert_array_equal(store.recorded("rows"), directly())
    assert place.exists()
    opened_parts = []
    original = stores.read_part
    monkeypatch.setattr(stores, "read_part", lambda path, columns=None: opened_parts.append(path) or original(path, columns))
    write([8])
    found = store.recorded("rows")
    assert opened_parts == store.parts("rows")[-1:]
    np.testing.assert_array_equal(found, directly())
    store.parts("rows")[1].unlink()  # a part that is gone is not there, whatever the index says
    np.testing.assert_array_equal(store.recorded("rows"), directly())
    place.write_bytes(place.read_bytes()[:-40])
    np.testing.assert_array_equal(store.recorded("rows"), directly())
    store.release()
