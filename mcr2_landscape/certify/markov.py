"""Four-cycles of Markov games: exact refutations of "is a Markov potential game".

A certificate holds the game's tables as rationals, policies of all players, deviations of two of them, and the bounds between
which the four-cycle of their values lies. If it is not zero, the game has no potential (Monderer and Shapley 1996, corollary
2.9, for the game of stationary policies from the given initial state, or from the given distribution of it). The checker adds
up rewards and transitions profile by profile and solves for the expected discounted visits, (I − δP_π)ᵀx = start, over the
rationals. With a temperature τ > 0 the game is the perturbed one, whose players are paid τH(π_i(s)) in addition: the entropies
are enclosed by balls.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb, ctx, fmpq, fmpz, fmpz_mat

from mcr2_landscape.certify.balls import ball
from mcr2_landscape.certify.certificate import Statement
from mcr2_landscape.certify.critical import PRECISIONS
from mcr2_landscape.certify.exact import (
    CertificateError,
    Disproved,
    Undecided,
    fields,
    integer,
    items,
    number_text,
    rational,
    shown,
)

KIND = "markov cycle"
MOST_STATES, MOST_PLAYERS, MOST_ENTRIES = 64, 16, 1 << 18
_LONGEST = 1328  # binary digits of a numerator or denominator that surely has at most 400 decimal ones (see `exact.rational`)
# Binary digits of the common denominators of a state's rows, all states and the policies' together: what exact elimination
# costs grows with them.
_MOST_BITS = 1 << 17
_NAMES = (
    "shape",
    "transition",
    "reward",
    "discount",
    "temperature",
    "initial",
    "players",
    "state",
    "policies",
    "deviations",
    "cycle",
)


@dataclass(frozen=True)
class _Rows:
    """Rows of rationals over one common denominator each."""

    numerators: tuple[tuple[int, ...], ...]
    denominators: tuple[int, ...]

    @property
    def bits(self) -> int:
        return sum(number.bit_length() for number in self.denominators)


def cycle_statement(
    shape: Sequence[int],
    transition: Sequence[Fraction],
    reward: Sequence[Fraction],
    discount: Fraction,
    players: tuple[int, int],
    state: int | None,
    initial: Sequence[Fraction] | None,
    policies: Sequence[Sequence[Fraction]],
    deviations: Sequence[Sequence[Fraction]],
    cycle: Fraction | tuple[Fraction, Fraction],
    temperature: Fraction = Fraction(0),
) -> Statement:
    """The statement that a four-cycle is not zero.

    **Arguments:** `shape` (S, A_1, …, A_N); `transition` of (S, A_1, …, A_N, S) and `reward` of (N, S, A_1, …, A_N), flat in C
    order; `state`, the initial one, or else `initial`, its distribution; `policies`, one (S, A_k) for each player, flat, and
    `deviations` of the two `players`, counted from 0; `cycle`, the sum around it, or bounds on it. Where its exact value has
    more digits than a certificate holds, bounds with 40 digits are stated. `temperature` τ of the perturbed game.
    """
    low, high = (cycle, cycle) if isinstance(cycle, Fraction) else cycle
    if low == high and max(low.numerator.bit_length(), low.denominator.bit_length()) > _LONGEST:
        low, high = _bounds(low)
    assertion = {
        "shape": [int(count) for count in shape],
        "transition": [str(x) for x in transition],
        "reward": [str(x) for x in reward],
        "discount": str(discount),
        "temperature": str(temperature),
        "initial": None if initial is None else [str(x) for x in initial],
        "players": [int(player) for player in players],
        "state": None if state is None else int(state),
        "policies": [[str(x) for x in own] for own in policies],
        "deviations": [[str(x) for x in own] for own in deviations],
        "cycle": {"at_least": str(low), "at_most": str(high)},
    }
    return Statement(KIND, None, None, assertion)


def check_cycle(statement: Statement, witness: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Verify a four-cycle; a sentence, and figures.

    **Raises:** `CertificateError` for what is not well formed, for tables, policies, a discount or a temperature that are none,
    and for games too large to check; `Disproved` where the four-cycle is zero or out of its bounds; `Undecided` where balls
    about it and the bounds overlap at all precisions.
    """
    fields("witness", witness, ())
    if statement.problem is not None or statement.subject is not None:
        raise CertificateError("problem, subject: a Markov game has none; its tables are in the assertion")
    given = fields("assertion", statement.assertion, _NAMES)
    shape = [integer("shape", n, 1) for n in items("shape", given["shape"], minimum=3, maximum=MOST_PLAYERS + 1)]
    S, actions = shape[0], shape[1:]
    N, profiles = len(actions), math.prod(actions)
    if S > MOST_STATES or S * profiles * (S + N) > MOST_ENTRIES:
        raise CertificateError(
            f"shape: found {shown(shape)}; at most {MOST_STATES} states and {MOST_ENTRIES} entries are checked"
        )
    discount = _rational("discount", given["discount"])
    if not 0 < discount < 1:
        raise CertificateError(f"discount: found {number_text(discount)}; it is between zero and one")
    temperature = _rational("temperature", given["temperature"])
    if temperature < 0:
        raise CertificateError(f"temperature: found {number_text(temperature)}; it is zero, or above for the perturbed game")
    transition = _probabilities("transition", given["transition"], S * profiles, S, group=profiles)
    first, second = (integer("players", i, 0, N - 1) for i in items("players", given["players"], minimum=2, maximum=2))
    if first >= second:
        raise CertificateError(f"players: found {first} and {second}; expected two, in ascending order")
    reward = _numbers("reward", given["reward"], N * S * profiles)
    pair = [[reward[(i * S + s) * profiles : (i * S + s + 1) * profiles] for s in range(S)] for i in (first, second)]
    difference = _common([[a - b for a, b in zip(*rows, strict=True)] for rows in zip(*pair, strict=True)], "reward")
    start = _start(given["initial"], given["state"], S)
    listed = items("policies", given["policies"], minimum=N, maximum=N)
    policies = [_probabilities(f"policies[{k}]", own, S, actions[k]) for k, own in enumerate(listed)]
    both = items("deviations", given["deviations"], minimum=2, maximum=2)
    changed = [_probabilities(f"deviations[{at}]", both[at], S, actions[i]) for at, i in enumerate((first, second))]
    low, high = _asserted(given["cycle"])
    bits = sum(rows.bits for rows in (transition, difference, *policies, *changed)) + S * discount.denominator.bit_length()
    if bits > _MOST_BITS:
        raise CertificateError(f"assertion: common denominators of {bits} binary digits; at most {_MOST_BITS} are checked")
    corners = []
    for sign, turns in ((1, (0,)), (-1, ()), (-1, (0, 1)), (1, (1,))):
        played = list(policies)
        for turn in turns:
            played[(first, second)[turn]] = changed[turn]
        corners.append((sign, played, _visits(transition, discount, played, start)))
    paid = sum((sign * _paid(difference, played, visits) for sign, played, visits in corners), fmpq(0))
    if temperature == 0:
        found = Fraction(int(paid.p), int(paid.q))
        if found == 0:
            raise Disproved("cycle: the four-cycle is zero")
        if not low <= found <= high:
            raise Disproved(f"cycle: found {_words(found)}; the bounds say otherwise")
        value, words, figures = float(found), _words(found), {}
    else:
        middle, precision = _within(paid, temperature, corners, (first, second), low, high)
        value, words, figures = middle, f"about {middle:.8g}", {"precision": precision}
    where = f"state {given['state']}" if given["state"] is not None else "the given distribution of the initial state"
    perturbed = "" if temperature == 0 else f", perturbed by entropies at temperature {number_text(temperature)},"
    sentence = (
        f"The Markov game with {N} players, {S} state{'s' if S > 1 else ''}, {profiles} action profiles and discount "
        f"{number_text(discount)}{perturbed} is no Markov potential game: from {where}, the four-cycle of players {first} and "
        f"{second} at the given policies is {words}."
    )
    return sentence, {"cycle": value, "binary_digits": bits, **figures}


def _visits(transition: _Rows, discount: Fraction, policies: Sequence[_Rows], start: Sequence[Fraction]) -> list[fmpq]:
    """Expected discounted visits of each state, start · (I − δP_π)⁻¹, by the rational solution of an integer system."""
    S, profiles = len(start), len(transition.numerators) // len(start)
    u, v = discount.numerator, discount.denominator
    system, scales = [], []  # row s of I − δP_π, times scales[s]
    for s in range(S):
        weights = _weights(policies, s)
        scale = transition.denominators[s] * math.prod(own.denominators[s] for own in policies)
        rows = transition.numerators[s * profiles : (s + 1) * profiles]
        step = [sum((w * row[t] for w, row in zip(weights, rows, strict=True)), fmpz(0)) for t in range(S)]
        system.append([v * scale * int(t == s) - u * step[t] for t in range(S)])
        scales.append(v * scale)
    common = math.lcm(*(mu.denominator for mu in start))
    first = [int(mu * common) for mu in start]
    try:
        solved = fmpz_mat(S, S, [row[t] for t in range(S) for row in system]).solve(fmpz_mat(S, 1, first)).entries()
    except ZeroDivisionError:  # rows of P sum to one, so that I − δP is strictly diagonally dominant
        raise CertificateError("transition: I − δP is singular, which probabilities exclude") from None
    return [x * scale / common for x, scale in zip(solved, scales, strict=True)]


def _weights(policies: Sequence[_Rows], state: int) -> list[fmpz]:
    """The probabilities of all profiles, times the policies' denominators."""
    weights = [fmpz(1)]
    for own in policies:
        weights = [w * x for w in weights for x in own.numerators[state]]
    return weights


def _paid(reward: _Rows, policies: Sequence[_Rows], visits: Sequence[fmpq]) -> fmpq:
    """Σ_s visits(s) r_π(s)."""
    total = fmpq(0)
    for s, visit in enumerate(visits):
        average = sum((w * x for w, x in zip(_weights(policies, s), reward.numerators[s], strict=True)), fmpz(0))
        total += visit * fmpq(average, reward.denominators[s] * math.prod(own.denominators[s] for own in policies))
    return total


_Corners = Sequence[tuple[int, Sequence[_Rows], Sequence[fmpq]]]


def _within(
    paid: fmpq, temperature: Fraction, corners: _Corners, players: tuple[int, int], low: Fraction, high: Fraction
) -> tuple[float, int]:
    """A number in the ball about the perturbed four-cycle, which is shown to lie within the bounds, and the precision."""
    i, j = players
    for bits in PRECISIONS:
        with ctx.workprec(bits):
            bonus = arb(0)
            for sign, played, visits in corners:
                for s, visit in enumerate(visits):
                    bonus += sign * arb(visit) * (_entropy(played[i], s) - _entropy(played[j], s))
            found = arb(paid) + ball(temperature) * bonus
            if ball(low) <= found and found <= ball(high):
                return float(found.mid()), bits
            if found < ball(low) or found > ball(high):
                raise Disproved(f"cycle: found about {float(found.mid()):.8g}; the bounds say otherwise")
    raise Undecided(f"cycle: at {PRECISIONS[-1]} bits the ball about it still holds one of the bounds; state wider ones")


def _entropy(own: _Rows, state: int) -> arb:
    """−Σ p log p."""
    total = arb(0)
    for numerator in own.numerators[state]:
        if numerator:
            chance = arb(fmpq(numerator, own.denominators[state]))
            total -= chance * chance.log()
    return total


def _rational(name: str, value: Any) -> Fraction:
    """Text alone: what a file holds, and what is bounded in length."""
    if not isinstance(value, str):
        raise CertificateError(f"{name}: found {shown(value)}; expected a rational number as text, for instance '3/5'")
    return rational(name, value)


def _numbers(name: str, value: Any, count: int) -> list[Fraction]:
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value) != count:
        raise CertificateError(f"{name}: found {len(value)} numbers; the shape says {count}")
    return [_rational(name, x) for x in items(name, value, minimum=count, maximum=count)]


def _probabilities(name: str, value: Any, rows: int, width: int, group: int = 1) -> _Rows:
    """Flat rows of probabilities; `group` rows in turn share a common denominator."""
    numbers = _numbers(name, value, rows * width)
    for at in range(rows):
        row = numbers[at * width : (at + 1) * width]
        if min(row) < 0:
            raise CertificateError(f"{name}: row {at} has a negative probability")
    grouped = _common([numbers[at * width * group : (at + 1) * width * group] for at in range(rows // group)], name)
    flat = [x for numerators in grouped.numerators for x in numerators]
    found = tuple(tuple(flat[at * width : (at + 1) * width]) for at in range(rows))
    for at, row in enumerate(found):
        if sum(row) != grouped.denominators[at // group]:
            raise CertificateError(f"{name}: row {at} does not sum to one")
    return _Rows(found, grouped.denominators)


def _common(rows: Sequence[Sequence[Fraction]], name: str) -> _Rows:
    numerators, denominators = [], []
    for row in rows:
        common = 1
        for number in row:
            common = math.lcm(common, number.denominator)
            if common.bit_length() > _MOST_BITS // 8:
                raise CertificateError(
                    f"{name}: found rows whose common denominator has more than {_MOST_BITS // 8} binary digits"
                )
        denominators.append(common)
        numerators.append(tuple(number.numerator * (common // number.denominator) for number in row))
    return _Rows(tuple(numerators), tuple(denominators))


def _start(initial: Any, state: Any, num_states: int) -> list[Fraction]:
    if (initial is None) == (state is None):
        raise CertificateError("state, initial: expected a state, or a distribution of it, and null for the other")
    if initial is None:
        chosen = integer("state", state, 0, num_states - 1)
        return [Fraction(int(s == chosen)) for s in range(num_states)]
    rows = _probabilities("initial", initial, 1, num_states)
    return [Fraction(x, rows.denominators[0]) for x in rows.numerators[0]]


def _asserted(value: Any) -> tuple[Fraction, Fraction]:
    entry = fields("cycle", value, ("at_least", "at_most"))
    low, high = (_rational("cycle", entry[name]) for name in ("at_least", "at_most"))
    if low > high or low <= 0 <= high:
        raise CertificateError("cycle: expected bounds of one sign, the first the smaller one")
    return low, high


def _bounds(number: Fraction) -> tuple[Fraction, Fraction]:
    """Bounds on a rational, not zero, that agree in 40 digits."""
    places = 40
    while abs(number) * 10**places < 10**40:
        places += 40
    below = math.floor(number * 10**places)
    return Fraction(below, 10**places), Fraction(below + 1, 10**places)


def _words(number: Fraction) -> str:
    """As `number_text`, for numbers with more digits than Python writes, too."""
    if max(number.numerator.bit_length(), number.denominator.bit_length()) <= 8 * _LONGEST:
        return number_text(number)
    context = decimal.Context(prec=8)
    return f"about {context.divide(decimal.Decimal(number.numerator), decimal.Decimal(number.denominator))}"
