"""The learning dynamics against the recorded reference run and a plain loop of the definition."""

import bisect
import itertools
import json
import random
import signal
from pathlib import Path

import jax
import numpy as np
import pytest

from mcr2_landscape import markov
from mcr2_landscape.markov import batched, runs
from mcr2_landscape.validation import InputError

from . import games

REFERENCE = json.loads((Path(__file__).parent / "data" / "routing_reference.json").read_text())


def pick(row, draw):
    running = list(itertools.accumulate(row))
    return bisect.bisect_right(running, draw * running[-1], 0, len(running) - 1)


def plain(game, stream, num_steps, alpha, beta, deviate, temperature, planted=""):
    """The definition, step by step: policies, q, visits, states and actions after each step. `planted`: one mistake."""
    game, draws = game.to_tables(), iter(stream)
    policy = [own.copy() for own in game.uniform_policy()]
    q, visits = [np.zeros_like(own) for own in policy], [np.zeros(own.shape, dtype=int) for own in policy]
    state = pick(game.initial, next(draws))
    records = [([p.copy() for p in policy], [v.copy() for v in q], [n.copy() for n in visits], state, None)]
    for _ in range(num_steps):
        actions = [pick(own[state], next(draws)) for own in policy]
        following = pick(game.transition[(state, *actions)], next(draws))
        late = 1 if planted == "counts after the update" else 0
        paid = game.reward[(slice(None), state, *actions)]
        old = [own.copy() for own in policy], [own.copy() for own in q]
        for i, action in enumerate(actions):
            visits[i][state, action] += 1
            row, values = old[0][i][state], old[1][i][state]
            target = policy[i][state] if planted == "deviation from the new values" else None
            bonus = 0 if planted == "no bonus" else -temperature * sum(p * np.log(p) for p in row if p > 0)
            ahead = old[0][i][following] @ old[1][i][following]
            rate = alpha(max(visits[i][state, action] - late, 1))
            q[i][state, action] += rate * (paid[i] + bonus + game.discount * ahead - values[action])
            seen = q[i][state] if target is not None else values
            rate = beta(max(visits[i][state].sum() - late, 1))
            policy[i][state] = row + rate * (deviate(seen) - row)
        if planted == "two draws too many":
            next(draws), next(draws)
        state = following
        records.append(([p.copy() for p in policy], [v.copy() for v in q], [n.copy() for n in visits], state, actions))
    return records


def distance(history, seed, records):
    """The largest difference between a history and the plain loop's records, at the steps of the history."""
    found = 0.0
    for at, step in enumerate(history.steps):
        policy, q, visits, state, actions = records[step]
        for i in range(history.game.num_players):
            for own, plainly in ((history.policies, policy), (history.q, q), (history.visits, visits)):
                found = max(found, np.abs(own[i][seed, at] - plainly[i]).max())
        found = max(found, abs(history.states[seed, at] - state))
        found = max(found, 0 if actions is None else np.abs(history.actions[seed, at] - actions).max())
    return found


def softmax(values):
    raised = np.exp((values - values.max()) / 0.5)
    return raised / raised.sum()


def greedy(values):
    return 0.9 * np.eye(len(values))[np.argmax(values)] + 0.1 / len(values)


def slowly(count):
    return 1 / (1 + count) ** 0.6


FORMS = {
    "smoothed": (softmax, {"temperature": 0.5}, markov.power_step(0.6, 0.9, 1), markov.power_step(0.9)),
    "greedy": (greedy, {"exploration": 0.1, "temperature": 0.25}, slowly, lambda count: 0.5 / count),
}


@pytest.fixture(scope="module")
def reference():
    random.seed(1)
    stream = [random.random() for _ in range(1 + 5 * REFERENCE["num_steps"])]
    game = markov.routing_game()
    history = markov.learn(game, uniforms=stream, num_steps=REFERENCE["num_steps"], record_every=1)
    return game, history


def test_the_reference_run(reference):
    _, history = reference
    run = REFERENCE["run"]
    # the reference's last record is from before its last update
    np.testing.assert_allclose(np.stack([own[0, -2] for own in history.policies]), run["pi_last"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.stack([own[0, -2] for own in history.q]), run["q_last"], rtol=0, atol=1e-12)
    assert history.state_visits[0, -1].tolist() == run["visits"]
    assert history.states[0, :20].tolist() == run["first20_states"]
    assert history.actions[0, 1:21].tolist() == run["first20_actions"]
    assert np.abs(history.policies[0][0, -1] - run["pi_last"][0]).max() > 1e-12, "the last update is one more"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(3, (2, 3)), (40, (2, 1)), (1, (3,))])
def test_the_definition(form, shape):
    deviate, settings, q_step, policy_step = FORMS[form]
    game, count = games.random_game(5, shape), 120
    stream = np.random.default_rng(0).random((3, 1 + (count + count) * 3))
    steps = {"q_step": q_step, "policy_step": policy_step}
    history = markov.learn(game, uniforms=stream, num_steps=count, record_every=4, **steps, **settings)
    assert history.deviation == form
    arguments = (count, q_step, policy_step, deviate, settings["temperature"])
    for seed in range(3):
        assert distance(history, seed, plain(game, stream[seed], *arguments)) <= 1e-12
    if shape[0] == 3:
        for planted in ("counts after the update", "deviation from the new values", "two draws too many", "no bonus"):
            assert distance(history, 0, plain(game, stream[0], *arguments, planted)) > 1e-3, planted


@pytest.mark.parametrize("settings", [{"common_interest": False}, {"common_interest": False, "action_independent": True}])
def test_loads_and_tables_agree(settings):
    game = markov.routing_game(num_players=3, num_routes=3, slopes=(2, 4, 3), intercepts=(9, 16, 12), **settings)
    stream = np.random.default_rng(1).random((2, 1 + 100 * 4))
    deviate, options, q_step, policy_step = FORMS["smoothed"]
    history = markov.learn(
        game, uniforms=stream, num_steps=100, record_every=100, q_step=q_step, policy_step=policy_step, **options
    )
    for seed in range(2):
        assert distance(history, seed, plain(game, stream[seed], 100, q_step, policy_step, deviate, 0.5)) <= 1e-12


def test_many_players_need_no_table():
    game = markov.routing_game(num_players=64, threshold=32, slopes=(1, 2), intercepts=(70, 130), common_interest=False)
    history = markov.learn(game, key=0, num_seeds=2, num_steps=200, record_every=200, exploration=0.1)
    assert history.state_visits[:, -1].sum(axis=1).tolist() == [200, 200]
    assert history.nash_gap.shape == (2, 2)
    gap = game.nash_gap(history.policy(1)).maximum
    assert abs(history.nash_gap[1, 1] - gap) <= 1e-10 * gap


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.recorded, other.recorded, strict=True))


SETTING = {"num_seeds": 5, "num_steps": 400, "record_every": 20}


@pytest.fixture(scope="module")
def whole():
    return markov.learn(markov.routing_game(), key=3, **SETTING)


@pytest.mark.parametrize("block", [7, 100])
def test_same_bits_however_it_is_cut(whole, monkeypatch, block):
    monkeypatch.setattr(runs, "_PROCESSOR", runs.Room(512, 5 * 5 * block, 5 * 5 * block))
    calls = []
    found = markov.learn(markov.routing_game(), key=3, **SETTING, progress=lambda done, total, _: calls.append((done, total)))
    assert same(found, whole)
    assert calls[0] == (block, 400)
    assert calls[-1] == (400, 400)


def test_same_bits_interrupted_and_resumed(whole, monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "_PROCESSOR", runs.Room(512, 5 * 5 * 7, 5 * 5 * 7))
    game = markov.routing_game()

    def interrupt(done, total, good):
        if done == 91:
            signal.raise_signal(signal.SIGINT)

    found = markov.learn(game, key=3, **SETTING, checkpoint=tmp_path, progress=interrupt)
    assert found.interrupted
    assert (found.num_steps, found.steps[-1]) == (91, 80)
    with pytest.raises(InputError, match="holds a run already; pass resume=True"):
        markov.learn(game, key=3, **SETTING, checkpoint=tmp_path)
    with pytest.raises(InputError, match=r"what differs is temperature \(found 1e-06, not 0.001\), key; pass what it was"):
        markov.learn(game, key=4, **SETTING, temperature=1e-3, checkpoint=tmp_path, resume=True)

    def fail(done, total, good):
        if done > 200:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        markov.learn(game, key=3, **SETTING, checkpoint=tmp_path, resume=True, progress=fail)
    calls = []
    resumed = markov.learn(
        game, key=3, **SETTING, checkpoint=tmp_path, resume=True, progress=lambda done, *_: calls.append(done)
    )
    assert calls[0] == 210, "it went on from where the other ended"
    assert same(resumed, whole)
    assert not resumed.interrupted
    with pytest.raises(InputError, match=r"num_steps: found 380, but .* holds 400 steps"):
        markov.learn(game, key=3, **{**SETTING, "num_steps": 380}, checkpoint=tmp_path, resume=True)
    more = markov.learn(game, key=3, **{**SETTING, "num_steps": 440}, checkpoint=tmp_path, resume=True)
    assert np.array_equal(more.recorded.q[:21], whole.recorded.q)
    assert more.state_visits[:, -1].sum(axis=1).tolist() == [440] * 5

    file = tmp_path / "learning.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        markov.learn(game, key=3, **SETTING, checkpoint=tmp_path, resume=True)


def test_seeds_in_groups(whole, monkeypatch, tmp_path):
    game, half = markov.routing_game(), {**SETTING, "num_steps": 200}
    stream = np.random.default_rng(2).random((3, 1 + 200 * 5))
    recorded = markov.learn(game, uniforms=stream, num_steps=200, record_every=20)
    monkeypatch.setattr(runs, "_PROCESSOR", runs.Room(2, 1 << 21, 1 << 21))
    markov.learn(game, key=3, **half, checkpoint=tmp_path)
    for found in (
        markov.learn(game, key=3, **SETTING),
        markov.learn(game, key=3, **SETTING, checkpoint=tmp_path, resume=True),
    ):
        assert found.recorded.policy.shape[-1] == 5, "of three groups of two the last has one that nobody asked for"
        for own, expected in zip(found.recorded, whole.recorded, strict=True):
            np.testing.assert_allclose(own, expected, rtol=0, atol=1e-12)
    found = markov.learn(game, uniforms=stream, num_steps=200, record_every=20)
    for own, expected in zip(found.recorded, recorded.recorded, strict=True):
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-12)


def test_seeds_are_reproducible_and_independent(whole):
    game = markov.routing_game()
    assert same(markov.learn(game, key=3, **SETTING), whole)
    other = markov.learn(game, key=4, **SETTING)
    assert not np.array_equal(other.states, whole.states)
    assert len({tuple(own) for own in whole.states.tolist()}) == 5
    fewer = markov.learn(game, key=3, **{**SETTING, "num_seeds": 2})
    assert np.array_equal(fewer.states, whole.states[:2]), "a run depends on its own number, not on how many there are"


def test_random_numbers_are_uniform_and_a_function_of_their_number():
    stream = runs.Stream.of(games.random_game(0), 0, None, 8, 1)
    with jax.enable_x64(True):
        found = np.asarray(stream.draws(slice(0, 8), 0, 10_000, 3))
        assert np.array_equal(np.asarray(stream.draws(slice(3, 5), 30, 40, 3)), found[10:50, :, 3:5])
    sample = found.reshape(-1)
    assert 0 <= sample.min() < 1e-4
    assert 1 > sample.max() > 1 - 1e-4
    counts = np.histogram(sample, bins=100, range=(0, 1))[0]
    assert np.sum((counts - 2400) ** 2) / 2400 < 99 + 5 * np.sqrt(2 * 99)
    flat = found.reshape(-1, 8)
    pairs = np.corrcoef(np.concatenate([flat[1:], flat[:-1]], axis=1), rowvar=False)
    assert np.abs(pairs - np.eye(16))[~np.eye(16, k=8, dtype=bool) & ~np.eye(16, k=-8, dtype=bool)].max() < 5 / np.sqrt(30_000)


def test_thinned_records_are_those_of_all_steps(reference):
    game, history = reference
    random.seed(1)
    stream = [random.random() for _ in range(1 + 5 * 2000)]
    thinned = markov.learn(game, uniforms=stream, num_steps=2000, record_every=250)
    for own, every in zip(thinned.recorded, history.recorded, strict=True):
        assert np.array_equal(own, every[::250])
    assert thinned.recorded.policy.nbytes * 2 + sum(own.nbytes for own in thinned.recorded[2:]) <= 1000 * len(thinned.steps)


@pytest.mark.parametrize("name", ["routing", "tables"])
def test_diagnostics(name, reference, monkeypatch):
    if name == "routing":
        game, history = reference
        temperature, records = 1e-6, (0, 1, 7, 200, 1999, 2000)
    else:
        game, temperature, records = games.random_game(2), 0.5, range(4)
        options = {"temperature": 0.5, "q_step": FORMS["smoothed"][2], "policy_step": FORMS["smoothed"][3]}
        history = markov.learn(game, key=1, num_seeds=3, num_steps=120, record_every=40, **options)
        monkeypatch.setattr(batched, "_LARGEST", 1000)  # several slices
    last = history.policy(0)
    for at in records:
        policy = history.policy(0, at)
        assert abs(history.nash_gap[0, at] - game.nash_gap(policy).maximum) <= 1e-12 * max(1, history.nash_gap[0, at])
        exact = game.q_value(policy, temperature=temperature)
        error = max(np.abs(a[0, at] - b).max() for a, b in zip(history.q, exact, strict=True))
        assert abs(history.q_error[0, at] - error) <= 1e-12 * max(1, error)
        frozen = []
        for i in range(game.num_players):
            mixed = (*last[:i], policy[i], *last[i + 1 :])
            frozen.append(game.best_response(mixed, i).gain.max())
        assert abs(history.frozen_gap[0, at] - max(frozen)) <= 1e-12 * max(1, *frozen)
        assert history.least_visited[0, at] == min(own[0, at].min() for own in history.visits)
        assert history.smallest_probability[0, at] == min(own.min() for own in policy)
        assert history.zero_probabilities[0, at] == sum((own == 0).sum() for own in policy)
        raised = [np.exp((own[0, at] - own[0, at].max(axis=1, keepdims=True)) / temperature) for own in history.q]
        assert history.zero_deviations[0, at] == sum((own == 0).sum() for own in raised)
        if name == "routing":
            assert abs(history.potential[0, at] - game.initial @ game.value(policy)[2]) <= 1e-12 * 50
    assert abs(history.frozen_gap[0, -1] - history.nash_gap[0, -1]) <= 1e-12, "at the last record the two are one"
    assert abs(history.frozen_gap[0, 1] - history.nash_gap[0, 1]) > 1e-3, "and before they are not"
    if name == "tables":
        cold = max(np.abs(a[0, -1] - b).max() for a, b in zip(history.q, game.q_value(last), strict=True))
        assert abs(history.q_error[0, -1] - cold) > 1e-3, "the bonus counts"
    quantiles = history.quantiles("nash_gap", (0, 0.5, 1))
    assert np.array_equal(quantiles, np.quantile(history.nash_gap, (0, 0.5, 1), axis=0))
    plainly = json.loads(json.dumps(history.to_dict(), allow_nan=False))
    assert plainly["series"]["q_error"]["0.5"] == history.quantiles("q_error", [0.5])[0].tolist()
    if name == "routing":
        assert history.zero_deviations[0, -1] == 16, "at this temperature the floor of the softmax is zero"
        assert history.zero_probabilities[0, -1] == 0
    else:
        assert history.potential is None
        with pytest.raises(InputError, match="name: found 'potential'; pass one of 'nash_gap'"):
            history.quantiles("potential")
        with pytest.raises(InputError, match="probabilities: found 2"):
            history.quantiles("q_error", 2)


GOOD = {"key": 0, "num_seeds": 2, "num_steps": 20, "record_every": 10}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"exploration": 1.5}, "exploration: found 1.5; pass a number from zero to one"),
        ({"exploration": -0.1}, "exploration: found -0.1"),
        ({"exploration": 0.1, "deviation": "smoothed"}, "exploration: found 0.1, but the smoothed deviation has none"),
        ({"deviation": "softmax"}, "deviation: found 'softmax'; pass one of 'smoothed', 'greedy'"),
        ({"temperature": 0}, 'temperature: found 0; .* pass deviation="greedy"'),
        ({"temperature": -1, "deviation": "greedy"}, "temperature: found -1; pass zero"),
        ({"record_every": 7}, "record_every: found 7, which does not divide num_steps = 20"),
        ({"record_every": 0}, "record_every: found 0"),
        ({"num_steps": 0}, "num_steps: found 0"),
        ({"num_steps": 2**31, "record_every": 2**31}, "num_steps: found 2147483648; pass at most"),
        ({"num_steps": 2**30, "record_every": 1}, "record_every: found 1, with which the history takes .* GiB"),
        ({"num_seeds": 0}, "num_seeds: found 0"),
        ({"key": None}, "key: found neither key and uniforms"),
        ({"uniforms": [0.5]}, "key: found both key and uniforms"),
        ({"key": None, "num_seeds": None, "uniforms": [0.5] * 100}, r"uniforms: found shape \(100,\); pass at least 101"),
        ({"key": None, "num_seeds": None, "uniforms": [1.0] * 101}, r"uniforms: found 1 to 1; pass numbers in \[0, 1\)"),
        ({"key": None, "num_seeds": None, "uniforms": [np.nan] * 101}, "uniforms: found NaN"),
        ({"key": None, "num_seeds": None, "uniforms": "x"}, "uniforms: cannot be read"),
        ({"key": None, "num_seeds": 3, "uniforms": [0.5] * 101}, "num_seeds: found 3 beside uniforms for 1"),
        ({"q_step": 0.5}, "q_step: found float"),
        ({"policy_step": lambda n: 2 / n}, "policy_step: found 2 at the count 1"),
        ({"initial_policy": (np.full((4, 2), 0.5),)}, "initial_policy: found policies of 1 players"),
        ({"resume": True}, "resume: there is nothing to go on from"),
        ({"checkpoint": ""}, "checkpoint: found an empty name"),
        ({"checkpoint_seconds": 0}, "checkpoint_seconds: found 0"),
    ],
)
def test_bad_input(arguments, says):
    with pytest.raises(InputError, match=says):
        markov.learn(markov.routing_game(), **{**GOOD, **arguments})
