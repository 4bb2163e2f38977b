import json

import numpy as np
import pytest

jnp = pytest.importorskip("jax.numpy")

from mcr2_landscape import closed_form  # noqa: E402
from mcr2_landscape.bench import contestants, goals, limits, measure, timing  # noqa: E402
from mcr2_landscape.bench.contestants import Contestant, Multiplier  # noqa: E402
from mcr2_landscape.bench.oracle import Oracle, difference  # noqa: E402
from mcr2_landscape.bench.peak import peak_bytes  # noqa: E402
from mcr2_landscape.bench.plan import BY_SHAPE, LIMIT, OURS, POINTS, SIZES, TOLERANCE, Plan, class_rank, class_sizes  # noqa: E402
from mcr2_landscape.bench.points import make_point, make_problem  # noqa: E402
from mcr2_landscape.validation import InputError  # noqa: E402

SHAPE = (6, 21, 2)
PLAN = Plan(sizes={"tiny": SHAPE}, points=("generic",), rounds=2, seconds=0.0, contestants=())


@pytest.fixture(scope="module")
def problem():
    return make_problem(*SHAPE)


@pytest.mark.parametrize("kind", POINTS)
def test_points_are_what_they_are_called(problem, kind):
    Z = make_point(problem, kind, 3)
    np.testing.assert_array_equal(Z, make_point(problem, kind, 3))
    ranks = [np.linalg.matrix_rank(block) for block in problem.parameters.blocks(Z)]
    low = class_rank(SHAPE[0], SHAPE[2])
    assert ranks == {"generic": [6, 6], "low-rank": [low] * 2, "mid-rank": [3, 3], "critical": [low] * 2}.get(kind, [6, 6])
    _, gradient, scale = problem.evaluate(Z)
    assert (np.linalg.norm(gradient) <= 1e-12 * scale) == (kind == "critical")


def test_the_low_ranks_are_those_of_the_benchmark():
    totals = {name: K * class_rank(d, K) for name, (d, _, K) in SIZES.items()}
    assert totals["medium"] == 32
    assert totals["large"] == 50
    assert class_sizes(16384, 10) == (1639,) * 4 + (1638,) * 6


@pytest.mark.parametrize("shape", [SHAPE, (6, 5, 2), (6, 9, 2)])
@pytest.mark.parametrize("kind", ["generic", "low-rank"])
def test_the_oracle_agrees_with_the_dense_hessian(shape, kind):
    problem = make_problem(*shape)
    Z = make_point(problem, kind, 0)
    D = np.random.default_rng(0).standard_normal(Z.shape)
    dense = closed_form.hessian_matrix(problem.parameters, Z)
    oracle = Oracle(problem, Z)
    assert difference(oracle.product(D), (dense @ D.ravel()).reshape(D.shape)) < 1e-13
    assert oracle.trace() == pytest.approx(np.trace(dense), rel=1e-11)


def test_a_difference_is_infinite_where_a_result_is_no_result():
    exact = np.ones((2, 3))
    assert difference(np.ones((3, 2)), exact) == np.inf
    assert difference(np.full((2, 3), np.nan), exact) == np.inf
    assert difference(exact * (1 + 1e-3), exact) == pytest.approx(1e-3)


class TestTheGate:
    def wrong(self, off):
        def prepare(problem, Z):
            H = problem.hessian(jnp.asarray(Z))
            return Multiplier(jnp.asarray, lambda D: H.mv(D) * (1 + off), np.asarray, "planted")

        return Contestant(f"planted {off:g}", prepare)

    def test_a_planted_wrong_contestant_is_listed_and_not_timed(self):
        planted = (contestants.chosen(())[0], self.wrong(1e-9), self.wrong(1e-12))
        (point,) = measure.measure(PLAN, lambda words: None, planted)["points"]
        entries = {entry.name: entry for entry in point.entries}
        assert entries["planted 1e-09"].state == "wrong"
        assert entries["planted 1e-09"].milliseconds is None
        assert "off by 1.0e-09" in entries["planted 1e-09"].reason
        assert entries["planted 1e-12"].state == "timed"
        assert entries["planted 1e-12"].ratio is not None
        assert entries[OURS].difference < 1e-13 < TOLERANCE
        assert entries[LIMIT].state == "timed"
        assert entries[LIMIT].about == point.form == "fused"

    def test_another_library_that_fails_stops_nobody(self):
        def prepare(problem, Z):
            raise OSError("no such thing")

        planted = Contestant("breaks", prepare, module="json", install="json")
        (point,) = measure.measure(PLAN, lambda words: None, (contestants.chosen(())[0], planted))["points"]
        states = {entry.name: (entry.state, entry.reason) for entry in point.entries}
        assert states["breaks"] == ("failed", "OSError: no such thing")
        assert states[OURS][0] == "timed"

    def test_a_missing_library_is_named_with_the_command_that_installs_it(self):
        planted = Contestant("absent", lambda problem, Z: pytest.fail("prepared"), module="no_such_module", install="absent>=2")
        (point,) = measure.measure(PLAN, lambda words: None, (contestants.chosen(())[0], planted))["points"]
        entry = next(entry for entry in point.entries if entry.name == "absent")
        assert entry.state == "not installed"
        assert entry.reason == "pip install absent>=2"

    def test_a_defect_of_ours_is_not_swallowed(self, problem):
        def prepare(problem, Z):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            measure.measure(PLAN, lambda words: None, (Contestant(OURS, prepare),))


@pytest.mark.parametrize("contestant", contestants.CONTESTANTS, ids=lambda c: c.name)
@pytest.mark.filterwarnings("ignore")  # other libraries'
def test_every_contestant_that_is_installed_is_right(problem, contestant):
    if contestant.missing:
        pytest.skip(contestant.missing)
    Z = make_point(problem, "generic", 0)
    D = np.random.default_rng(0).standard_normal(Z.shape)
    try:
        made = contestant.prepare(problem, Z)
    except ImportError as error:
        pytest.skip(str(error))
    found = made.take(made.multiply(made.give(D)))
    assert difference(found, Oracle(problem, Z).product(D)) < 1e-12


def test_turns_are_interleaved_and_repeat_for_long_enough():
    order, now = [], [0.0]

    def call(name, seconds):
        def run():
            order.append(name)
            now[0] += seconds

        return run

    times = timing.in_turns({"A": call("A", 1.0), "B": call("B", 0.25)}, 3, 0.5, lambda: now[0])
    assert order == ["A", "B", *["A", "B", "B"] * 3]
    assert times == {"A": [1.0] * 3, "B": [0.25] * 3}
    assert timing.ratios(times, "B")["A"] == timing.Quartiles(4.0, 4.0, 4.0)


def test_ratios_are_taken_round_by_round():
    times = {"ours": [1.0, 10.0, 2.0], "other": [2.0, 20.0, 4.0]}  # a machine that was busy in the second round
    assert timing.ratios(times, "ours")["other"] == timing.Quartiles(2.0, 2.0, 2.0)
    assert timing.Quartiles.of([1.0, 2.0, 3.0, 4.0, 5.0]) == timing.Quartiles(2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("shape", "kind", "form"),
    [
        (SHAPE, "generic", "by shape"),
        ((6, 5, 2), "generic", "by shape"),
        ((6, 9, 2), "generic", "by shape"),
        (SHAPE, "mid-rank", "mid-rank"),
        ((12, 40, 2), "low-rank", "mid-rank"),
        ((12, 40, 2), "low-rank", "low-rank"),
    ],
)
def test_a_limit_has_the_flops_that_its_form_counts(shape, kind, form):
    problem = make_problem(*shape)
    H = problem.hessian(jnp.asarray(make_point(problem, kind, 0)), form=form)
    limit = measure.limit_of(H, problem)
    assert limit.flops == H.flops
    assert len(limit.run()) > 3


def test_an_unknown_form_has_no_limit():
    with pytest.raises(InputError, match="form: found 'sparse'"):
        limits.products_of("sparse", 3, (4, 4), 1, (1, 1))


@pytest.mark.parametrize("kind", ["low-rank", "critical"])
def test_the_inertia_is_complete_and_right(problem, kind):
    found = measure.measure_inertia(problem, "tiny", SHAPE, kind, PLAN)
    assert found.right
    assert found.undecided == 0
    assert found.goal is None
    values = np.linalg.eigvalsh(problem.hessian_matrix(make_point(problem, kind, 0)))
    assert (found.positive, found.negative) == ((values > 1e-9).sum(), (values < -1e-9).sum())


def test_goals_are_for_the_named_sizes():
    large = SIZES["large"]
    assert goals.ratio_goal(LIMIT, large, "generic", "fused") == 0.92
    assert goals.ratio_goal(LIMIT, SIZES["small"], "generic", "fused") == 0.85
    assert goals.ratio_goal(LIMIT, large, "mid-rank", "mid-rank") == pytest.approx(0.8)
    assert goals.ratio_goal(BY_SHAPE, large, "low-rank", "low-rank") == 10
    assert goals.ratio_goal("PyHessian", large, "critical", "low-rank") == 20
    assert goals.ratio_goal("PyHessian", large, "generic", "fused") == 2.3
    assert goals.ratio_goal("PyHessian", SHAPE, "generic", "fused") is None
    assert goals.inertia_goal(large) == 6
    assert goals.inertia_goal(SHAPE) is None


def test_memory_is_what_a_call_adds_at_most():
    found, grown = peak_bytes(lambda: float(np.ones(4_000_000).sum()))
    assert found == 4_000_000
    assert grown is None or 30e6 < grown < 60e6


class TestThePlan:
    def test_it_survives_json(self):
        plan = Plan(sizes={"tiny": SHAPE}, points=("critical",), contestants=("PyHessian",), rounds=4)
        assert Plan(**json.loads(json.dumps(plan.to_dict()))) == plan

    def test_quick_is_shorter(self):
        assert Plan().quick.points == ("generic", "low-rank")
        assert Plan().quick.rounds == 3
        assert Plan(points=("critical",)).quick.points == ("critical",)

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"points": ("nowhere",)}, "points: found 'nowhere'"),
            ({"points": ()}, "found none"),
            ({"sizes": {"odd": (4, 2, 3)}}, "sizes: found odd"),
            ({"clock": "sun"}, "clock: found 'sun'"),
            ({"rounds": 0}, "rounds, seconds: found 0"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, fields, says):
        with pytest.raises(InputError, match=says):
            Plan(**fields)

    def test_an_unknown_contestant_is_refused(self):
        with pytest.raises(InputError, match="contestants: found 'nobody'"):
            contestants.chosen(("nobody",))
