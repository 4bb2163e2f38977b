"""Which worker takes which claim."""

from hypothesis import given
from hypothesis import strategies as st

from mcr2_landscape.claims import Claim, Form
from mcr2_landscape.claims.runner import default_jobs
from mcr2_landscape.claims.schedule import Schedule, groups_of


def claim(name, group=""):
    return Claim(id=name, title=name, source="s", form=Form.OWN, statement=name, check="m:f", group=group)


def ids(claims):
    return [claim.id for claim in claims]


def drain(schedule, *workers):
    taken = {worker: [] for worker in workers}
    while schedule:
        for worker in workers:
            following = schedule.take(worker)
            if following is not None:
                taken[worker].append(following.id)
    return taken


def test_a_group_stays_with_the_worker_that_began_it():
    claims = [claim("a1", "a"), claim("b1", "b"), claim("a2", "a"), claim("b2", "b"), claim("a3", "a"), claim("b3", "b")]
    assert drain(Schedule(claims), 0, 1) == {0: ["a1", "a2", "a3"], 1: ["b1", "b2", "b3"]}


def test_who_has_nothing_else_helps_where_most_is_left():
    claims = [claim("a1", "a"), claim("a2", "a"), claim("a3", "a"), claim("b1", "b"), claim("b2", "b")]
    schedule = Schedule(claims)
    assert schedule.take(0).id == "a1"
    assert schedule.take(1).id == "b1"
    assert schedule.take(2).id == "a3"  # the last one: its owner comes to it last
    assert drain(schedule, 0, 1) == {0: ["a2"], 1: ["b2"]}


def test_claims_without_a_group_are_groups_of_their_own():
    claims = [claim("a"), claim("b"), claim("c", group="a")]
    assert [ids(group) for group in groups_of(claims).values()] == [["a"], ["b"], ["c"]]
    assert default_jobs(claims[:1]) == 1
    assert 1 <= default_jobs(claims) <= 3


def test_what_took_longest_begins_and_the_rest_keeps_its_order():
    claims = [claim("a"), claim("b1", "b"), claim("new"), claim("c"), claim("b2", "b"), claim("newer")]
    schedule = Schedule(claims, {"a": 1.0, "b1": 2.0, "b2": 2.0, "c": 3.0})
    assert drain(schedule, 0)[0] == ["b1", "b2", "c", "a", "new", "newer"]
    assert drain(Schedule(claims), 0)[0] == ["a", "b1", "b2", "new", "c", "newer"]


def test_a_worker_that_is_gone_leaves_its_groups_to_others():
    schedule = Schedule([claim("a1", "a"), claim("a2", "a"), claim("b1", "b")])
    assert schedule.take(0).id == "a1"
    schedule.release(0)
    assert schedule.take(1).id == "a2"


@given(st.lists(st.sampled_from(["", "x", "y", "z"]), max_size=12), st.integers(1, 4))
def test_every_claim_is_taken_once(groups, workers):
    claims = [claim(f"c{number}", group) for number, group in enumerate(groups)]
    taken = drain(Schedule(claims), *range(workers))
    assert sorted(name for names in taken.values() for name in names) == sorted(ids(claims))
