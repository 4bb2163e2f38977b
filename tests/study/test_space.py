import hashlib
import itertools
import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mcr2_landscape.errors import InputError
from mcr2_landscape.study import Description, Study
from mcr2_landscape.study.axes import sample_of, seeds_of
from mcr2_landscape.study.description import parse_description
from mcr2_landscape.study.space import Unit

pytestmark = [pytest.mark.usefixtures("tasks"), pytest.mark.smoke]
shared_tasks = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

floats = st.floats(-1e6, 1e6, allow_nan=False)
xs = st.lists(floats, min_size=1, max_size=4, unique_by=repr)
ns = st.lists(st.integers(-5, 50), min_size=1, max_size=4, unique=True)
tags = st.lists(st.integers(0, 9), max_size=3)
some_seeds = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3, unique=True)


def sums(**changes) -> Study:
    return Study.of(Description("s", "outside.sum", **({"grid": {"x": [0.5], "n": [1]}, "seeds": [0]} | changes)))


@shared_tasks
@given(xs, ns, some_seeds)
def test_units_are_the_product_in_order_with_seeds_slowest(xs, ns, seeds):
    study = sums(grid={"x": xs, "n": ns}, seeds=seeds)
    expected = [(seed, x, n) for seed, x, n in itertools.product(seeds, xs, ns)]
    assert len(study) == len(expected)
    assert [(u.seed, u.parameters["x"], u.parameters["n"]) for u in study.units()] == expected
    assert [study.unit(i) for i in range(len(study))] == list(study.units())
    for unit in study.units():
        assert set(unit.parameters) == {"x", "n", "tags", "mode"}
        assert unit.parameters["tags"] == (1, 2)
    with pytest.raises(IndexError):
        study.unit(len(study))


@shared_tasks
@given(xs, ns, some_seeds)
def test_identities_tell_units_apart_and_nothing_else(xs, ns, seeds):
    study = sums(grid={"x": xs, "n": ns}, seeds=seeds)
    identities = study.identities()
    assert identities.shape == (len(study), 16)
    assert len({row.tobytes() for row in identities}) == len(study)
    for number, unit in enumerate(study.units()):
        assert study.identify(unit) == identities[number].tobytes()


@shared_tasks
@given(floats, st.integers(-5, 50), tags, st.integers(0, 2**63 - 1))
def test_an_identity_does_not_depend_on_where_a_parameter_is_written(x, n, tags, seed):
    grid = sums(grid={"n": [n], "x": [x]}, parameters={"tags": tags}, seeds=[seed])
    fixed = sums(grid={}, parameters={"x": x, "n": n, "tags": tags, "mode": "plain"}, seeds=[seed])
    cases = sums(grid={"tags": [tags]}, cases=({"n": n, "x": x},), seeds={"start": seed, "count": 1})
    reordered = sums(grid={"x": [x], "n": [n]}, parameters={"mode": "plain", "tags": tags}, seeds=[seed])
    found = {s.identities()[0].tobytes() for s in (grid, fixed, cases, reordered)}
    assert len(found) == 1
    other = sums(grid={"n": [n], "x": [x]}, parameters={"tags": tags, "mode": "double"}, seeds=[seed])
    assert other.identities()[0].tobytes() not in found


# Quarters are written alike by every encoder.
@shared_tasks
@given(st.integers(-4000, 4000).map(lambda k: k / 4), st.integers(-5, 50), tags, st.integers(0, 2**63 - 1))
def test_an_identity_is_the_digest_of_canonical_json(x, n, tags, seed):
    study = sums(grid={"n": [n], "x": [x]}, parameters={"tags": tags}, seeds=[seed])
    assert study.unit(0) == Unit({"x": x, "n": n, "tags": tuple(tags), "mode": "plain"}, seed)

    def words(plain):
        return json.dumps(plain, separators=(",", ":"), sort_keys=True)

    task = ["outside.sum", study.signature.code, "float64"]
    text = words(task) + words([{"mode": "plain", "n": n, "tags": tags, "x": x}, seed])
    assert study.identify(study.unit(0)) == hashlib.sha256(text.encode()).digest()[:16]


def test_integers_where_floats_are_wanted_are_the_same_numbers():
    assert (sums(grid={"x": [1], "n": [2]}).identities() == sums(grid={"x": [1.0], "n": [2]}).identities()).all()


def test_task_code_and_precision_enter_the_identity():
    import dataclasses

    study = sums()
    code = dataclasses.replace(study, signature=dataclasses.replace(study.signature, code="other"))
    task = dataclasses.replace(study, task=dataclasses.replace(study.task, name="other"))
    dtype = dataclasses.replace(study, task=dataclasses.replace(study.task, dtype="float32"))
    assert len({s.identities().tobytes() for s in (study, code, task, dtype)}) == 4
    assert len({s.digest for s in (study, code, task, dtype)}) == 4


@given(st.integers(0, 10), st.integers(1, 20), st.integers(0, 20))
def test_a_larger_sample_begins_with_the_smaller_one_and_parameters_are_drawn_apart(seed, count, more):
    kinds = {"x": float, "n": int, "word": str}
    table = {"seed": seed, "x": {"loguniform": [0.1, 10]}, "n": {"integers": [-3, 3]}, "word": {"choice": ["a", "b", "c"]}}
    small = sample_of({"count": count} | table, kinds, "s")
    large = sample_of({"count": count + more} | table, kinds, "s")
    alone = sample_of({"count": count, "seed": seed, "n": table["n"]}, kinds, "s")
    assert [large[i] for i in range(count)] == [small[i] for i in range(count)]
    assert [small[i]["n"] for i in range(count)] == [alone[i]["n"] for i in range(count)]
    for i in range(count):
        assert 0.1 <= small[i]["x"] <= 10
        assert -3 <= small[i]["n"] <= 3
        assert isinstance(small[i]["n"], int)


@shared_tasks
@given(st.integers(0, 5), st.integers(1, 4), st.lists(st.integers(0, 8), min_size=1, max_size=3, unique=True))
def test_studies_with_one_digest_have_the_same_units(start, count, listed):
    forms = [{"start": start, "count": count}, list(range(start, start + count)), count, listed, [start, start + count]]
    studies = [sums(seeds=seeds) for seeds in forms]
    for first, second in itertools.combinations(studies, 2):
        if first.digest == second.digest:
            assert first.identities().tobytes() == second.identities().tobytes()


def test_defaults_are_what_a_file_would_give(monkeypatch):
    from mcr2_landscape.study import task

    monkeypatch.setattr(task, "_load", task._load.__wrapped__)
    import outside_tasks.work as work

    monkeypatch.setattr(work, "add", work.add_with_an_integer_default)
    study = sums(grid={"n": [1]})
    given_one = sums(grid={"n": [1]}, parameters={"x": 2.0})
    assert isinstance(study.unit(0).parameters["x"], float)
    assert study.identities().tobytes() == given_one.identities().tobytes()


def test_integers_drawn_for_an_optional_float_are_floats():
    sample = sample_of({"count": 3, "x": {"integers": [1, 1]}}, {"x": float | None}, "s")
    assert [repr(sample[i]["x"]) for i in range(3)] == ["1.0"] * 3


def test_draws_have_the_distributions_that_they_are_named_after():
    kinds = {"x": float, "y": float, "n": int}
    table = {"x": {"uniform": [2, 4]}, "y": {"loguniform": [1e-4, 1.0]}, "n": {"integers": [1, 3]}}
    sample = sample_of({"count": 20_000} | table, kinds, "s")
    drawn = {name: np.array([sample[i][name] for i in range(len(sample))]) for name in kinds}
    # Means of 20,000 draws: five standard errors.
    assert abs(drawn["x"].mean() - 3) < 5 * (2 / 12**0.5) / 20_000**0.5
    assert abs(np.log(drawn["y"]).mean() - np.log(1e-2)) < 5 * (np.log(1e4) / 12**0.5) / 20_000**0.5
    counts = np.bincount(drawn["n"], minlength=4)[1:]
    assert (abs(counts - 20_000 / 3) < 5 * (20_000 * 2 / 9) ** 0.5).all()


def test_repeated_draws_count_once():
    from mcr2_landscape.study.pending import first_of_each

    study = sums(grid={}, parameters={"x": 0.0}, sample={"count": 30, "n": {"integers": [0, 4]}})
    first = first_of_each(study.identities())
    assert study.may_repeat
    assert first.sum() == len({u.parameters["n"] for u in study.units()}) == 5
    seen = set()
    for keep, unit in zip(first, study.units(), strict=True):
        assert keep == (unit.parameters["n"] not in seen)
        seen.add(unit.parameters["n"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, [0, 1, 2]), ([5, 7], [5, 7]), ({"start": 10, "count": 2}, [10, 11]), ({"count": 1}, [0])],
)
def test_ways_to_write_seeds(value, expected):
    assert list(seeds_of(value, "seeds")) == expected


GOOD = """
name = "s"
task = "outside.sum"
seeds = 2
[parameters]
x = 1.5
[grid]
n = [1, 2]
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seeds = 2", "seedz = 2", "unknown key 'seedz'; the nearest is 'seeds'"),
        ("seeds = 2", "seeds = 0", "found no seeds"),
        ("seeds = 2", "seeds = -1", "found no seeds"),
        ("seeds = 2", "seeds = [3, -1]", "seeds are zero or more"),
        ("seeds = 2", "seeds = [3, 3]", "comes twice"),
        ("seeds = 2", 'seeds = "many"', "found 'many'"),
        ("seeds = 2", "seeds = true", "found True"),
        ("seeds = 2", "", "seeds are missing"),
        ("seeds = 2", "seeds = 90_000_000", "a study has at most 20,000,000"),
        ("seeds = 2", "seeds = 99999999999999999999", "a study has at most 20,000,000"),
        ("seeds = 2", "seeds = {start = 1, count = 10000000000}", "a study has at most 20,000,000"),
        ("seeds = 2", "seeds = 15_000_000", "found 30,000,000 units"),
        ("n = [1, 2]", "n = {range = [0, 1000000000000000]}", "a study has at most 20,000,000"),
        ("n = [1, 2]", "n = {range = [0, 99999999999999999999]}", "a study has at most 20,000,000"),
        ("n = [1, 2]", "n = {linspace = [0, 1, 1000000000000]}", "a study has at most 20,000,000"),
        ("[grid]\nn = [1, 2]", "[sample]\ncount = 1000000000000\nn = {integers = [1, 2]}", "a study has at most 20,000,000"),
        ("seeds = 2", "seeds = 2\nchunk = 0", "chunk: found 0"),
        ("seeds = 2", "seeds = 2\n[quick]\ngrid.m = [1]", "unknown parameter 'm'"),
        ("seeds = 2", "seeds = 2\n[quick]\nname = 'x'", "[quick]: found the unknown key 'name'"),
        ("outside.sum", "outside.sun", "the nearest is 'outside.sum'"),
        ('task = "outside.sum"', "", "task is missing"),
        ('name = "s"', 'name = "a/b"', "name: found 'a/b'"),
        ('name = "s"', "name = 3", "name: found 3"),
        ("x = 1.5", "", "x of task outside.sum is missing"),
        ("x = 1.5", "y = 1.5\nx = 1.5", "unknown parameter 'y'"),
        ("x = 1.5", 'x = "big"', "parameters.x: found 'big'; the task takes float"),
        ("x = 1.5", "x = nan", "found nan; write a finite number"),
        ("x = 1.5", "x = 1.5\nmode = 'triple'", "parameters.mode: found 'triple'"),
        ("x = 1.5", "x = 1.5\ntags = 3", "parameters.tags: found 3"),
        ("x = 1.5", "x = 1.5\nn = 2", "n is given under parameters and under grid"),
        ("x = 1.5", "x = 1.5\nseed = 2", "seeds have a line of their own"),
        ("n = [1, 2]", "n = []", "grid.n: found no values"),
        ("n = [1, 2]", "n = [1, 1]", "comes twice"),
        ("n = [1, 2]", "n = [1, 2.5]", "grid.n[1]: found 2.5; the task takes int"),
        ("n = [1, 2]", "n = 1", "write a list of values"),
        ("n = [1, 2]", "n = {linspce = [0, 1, 2]}", "the nearest is 'linspace'"),
        ("n = [1, 2]", "n = {range = [0, 5, 0]}", "range = [first, end]"),
        ("n = [1, 2]", "n = {range = [5, 0]}", "found no values"),
        ("n = [1, 2]", "n = {linspace = [0, 1]}", "linspace = [first, last, how many]"),
        ("n = [1, 2]", "n = {geomspace = [0, 1, 3]}", "above zero"),
        ("n = [1, 2]", "n = [99999999999999999999]", "grid.n[0]"),
        ("[grid]\nn = [1, 2]", "[sample]\nn = {integers = [1, 2]}", "sample.count: found None"),
        ("[grid]\nn = [1, 2]", "[sample]\ncount = 3", "draws no parameter"),
        ("[grid]\nn = [1, 2]", "[sample]\ncount = 3\nn = {uniform = [0, 1]}", "the task takes int"),
        ("[grid]\nn = [1, 2]", "[sample]\ncount = 3\nn = {integers = [3, 1]}", "the ends go upwards"),
        ("[grid]\nn = [1, 2]", "[sample]\ncount = 3\nn = {normal = [3, 1]}", "unknown key 'normal'"),
        ("[grid]\nn = [1, 2]", "[sample]\ncount = 3\nm = {integers = [1, 3]}", "unknown parameter 'm'"),
        ("[grid]\nn = [1, 2]", "[[cases]]\nn = 1\n[[cases]]\nn = 1", "comes twice"),
        ("[grid]\nn = [1, 2]", "[[cases]]\nn = 1\n[[cases]]\ntags = [1]", "names other parameters"),
        ("[grid]\nn = [1, 2]", "[cases]\nn = 1", "write [[cases]]"),
        ("[grid]", "[grid", "is no TOML"),
    ],
)
def test_mistakes_in_a_description_are_named(old, new, words):
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        Study.of(parse_description(GOOD.replace(old, new), "file.toml"), "file.toml")
    assert words in str(caught.value)
    assert "file.toml" in str(caught.value) or "task" in str(caught.value)


def test_the_description_that_the_mistakes_are_made_in_is_right():
    assert len(Study.of(parse_description(GOOD, "file.toml"))) == 4


def test_seeds_for_a_task_without_randomness_are_refused():
    with pytest.raises(InputError, match="draws no random numbers"):
        Study.of(Description("s", "outside.nap", grid={"n": [1]}, parameters={"length": 0.0}, seeds=3))


SIZES = GOOD + "[quick]\nseeds = 1\ngrid.n = [7]\n[full]\nparameters.tags = [5]\n"


def test_sizes_go_over_the_rest_key_by_key():
    quick, full = (parse_description(SIZES, "f", size) for size in ("quick", "full"))
    assert parse_description(SIZES, "f") == quick
    assert (quick.seeds, quick.grid, quick.parameters) == (1, {"n": [7]}, {"x": 1.5})
    assert (full.seeds, full.grid, full.parameters) == (2, {"n": [1, 2]}, {"x": 1.5, "tags": [5]})
    with pytest.raises(InputError, match="this study has no sizes"):
        parse_description(GOOD, "f", "full")
