"""All families by decreasing value, one at a time: best-first search with exact bounds.

A family is a multiset of blocks. The search chooses the blocks that are no lines of one class first (an *outer* node), and
completes them by lines of single classes (`_completions`). The best completion of an outer node is known in closed form,
because lines cost one dimension each: classes in increasing size, as in the theorem on the global maximum. By that theorem no
block is worth more than the lines that it displaces, so values can only fall as blocks are added, and the heap gives the
families in order without ever looking at the rest.

Values are compared as integers (float64 values of single directions, scaled by a power of two), so that families tie exactly
when they should. Families of equal value come in an order that depends on the problem alone.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from mcr2_landscape.catalog.blocks import Block, is_admissible, line
from mcr2_landscape.catalog.families import Family, block_height
from mcr2_landscape.catalog.frames import irreducible_frame_found
from mcr2_landscape.catalog.scalar import Sign, class_ratio, normalized_regularization, normalized_roots
from mcr2_landscape.closed_form import Parameters
from mcr2_landscape.validation import positive_integer

_SCALE = 1 << 1100  # A multiple of every float64's denominator.

Choices = tuple["Choices", int] | None


def catalog(p: Parameters, *, fusion: bool = True, max_frame_dimension: int = 2) -> Iterator[Family]:
    """Every family of critical points, Z = 0 included, by decreasing value; a lazy iterator.

    With `fusion=False` only the orthogonal families (classes mutually orthogonal). Otherwise blocks of dimension up to
    `max_frame_dimension` take part: one stands for lines that classes share, two adds polygons of lines in a plane, which is
    all there is for three classes. Blocks of larger dimension exist for four classes and more; whether one with given ranks
    exists is then found by a numerical construction. Blocks that are not rigid are listed as the generic point sees them:
    copies pairwise not isomorphic. Complex and quaternionic blocks (dimension four and more) are recognized, but not listed.

    **Raises:** `InputError` for a `max_frame_dimension` below one.
    """
    positive_integer("max_frame_dimension", max_frame_dimension)
    if not fusion or p.num_classes == 2:
        max_frame_dimension = 0
    return _search(p, [_BlockList(p, n) for n in range(1, max_frame_dimension + 1)])


def count_orthogonal_families(p: Parameters) -> int:
    """The number of orthogonal families, Z = 0 included: pairs (r_k⁺, r_k⁻) with r_k⁺ + r_k⁻ ≤ m_k and Σ (r_k⁺ + r_k⁻) ≤ d.

    A class above its threshold has only (0, 0); one at it, where both roots are the same, is counted by r_k alone.
    """
    ell = normalized_regularization(p)
    totals = [1] + [0] * p.dim
    for k, width in enumerate(p.widths):
        found = normalized_roots(class_ratio(p, k), ell)
        if found is None:
            continue
        ways = [1 if found.double else r + 1 for r in range(min(width, p.dim) + 1)]
        totals = [sum(ways[r] * totals[used - r] for r in range(min(used, len(ways) - 1) + 1)) for used in range(p.dim + 1)]
    return sum(totals)


@dataclass(frozen=True)
class _Outer:
    """A multiset of blocks that are no lines of one class, with what is left for the others."""

    blocks: tuple[tuple[int, int], ...]  # (dimension, place in the list of that dimension), never descending
    value: int
    dim: int
    capacities: tuple[int, ...]


def _search(p: Parameters, lists: list[_BlockList]) -> Iterator[Family]:
    lines = _Lines(p)
    ticket = itertools.count()
    heap: list[tuple[int, int, str, tuple]] = []

    def push(bound: int, what: str, *data: object) -> None:
        heapq.heappush(heap, (-bound, next(ticket), what, data))

    def push_chain(node: _Outer, n: int, place: int) -> None:
        """The children of `node` by the blocks of dimension n from `place` on, under a bound that falls along the list."""
        entry = lists[n - 1].get(place) if node.dim >= n else None
        if entry is not None:
            push(node.value + entry[0] + lines.best(node.dim - n, node.capacities), "chain", node, n, place)

    root = _Outer((), 0, p.dim, p.widths)
    push(lines.best(p.dim, p.widths), "node", root)
    while heap:
        _, _, what, data = heapq.heappop(heap)
        if what == "chain":
            node, n, place = data
            push_chain(node, n, place + 1)
            value, block = lists[n - 1].entry(place)
            capacities = tuple(c - rank for c, rank in zip(node.capacities, block.ranks, strict=True))
            if min(capacities) >= 0:
                child = _Outer((*node.blocks, (n, place)), node.value + value, node.dim - n, capacities)
                push(child.value + lines.best(child.dim, capacities), "node", child)
            continue
        if what == "node":
            (node,) = data
            stream = lines.completions(node.dim, node.capacities)
            n_last, last = node.blocks[-1] if node.blocks else (1, 0)
            for n in range(n_last, len(lists) + 1):
                push_chain(node, n, last if n == n_last else 0)
        else:
            node, stream, family = data
            yield family
        following = next(stream, None)
        if following is not None:
            value, own = following
            chosen = [(lists[n - 1].entry(place)[1], 1) for n, place in node.blocks]
            push(node.value + value, "family", node, stream, Family(p, tuple(chosen + own)))


class _Lines:
    """Lines of single classes: the best use of the dimensions left, and all uses by decreasing value."""

    def __init__(self, p: Parameters):
        self.num_classes = p.num_classes
        ell = normalized_regularization(p)
        self.classes: list[tuple[int, int, int | None]] = []  # position, value at the large root, value at the small one
        for k in range(p.num_classes):
            found = normalized_roots(class_ratio(p, k), ell)
            if found is not None:
                values = [_scaled(block_height(p, line(p.num_classes, k, sign))) for sign in (Sign.LARGE, Sign.SMALL)]
                self.classes.append((k, values[0], None if found.double else values[1]))
        self.classes.sort(key=lambda entry: (-entry[1], entry[0]))
        self.lines = {sign: [line(p.num_classes, k, sign) for k in range(p.num_classes)] for sign in Sign}

    def best(self, dim: int, capacities: tuple[int, ...]) -> int:
        """The largest value that lines of single classes can add."""
        total = 0
        for k, value, _ in self.classes:
            if dim == 0 or value <= 0:
                break
            used = min(capacities[k], dim)
            total += used * value
            dim -= used
        return total

    def completions(self, dim: int, capacities: tuple[int, ...]) -> Iterator[tuple[int, list[tuple[Block, int]]]]:
        """All multisets of lines within `dim` and `capacities`, with their values, by decreasing value.

        Classes decide in turn: first how many large roots (from the most down where they are worth something, from none up
        where not), then how many small ones. What the classes before have left, the later ones fill greedily: so the bound of a
        choice is the value of a real completion, and it falls from each choice to the next.
        """
        caps = [capacities[k] for k, _, _ in self.classes]
        values = [value for _, value, _ in self.classes]
        places, worth = [0], [0]
        for cap, value in zip(caps, values, strict=True):
            places.append(places[-1] + (cap if value > 0 else 0))
            worth.append(worth[-1] + (cap * value if value > 0 else 0))

        def greedy(i: int, left: int) -> int:
            """The value of classes i, i + 1, … with `left` dimensions."""
            target = min(places[i] + left, places[-1])
            j = bisect.bisect_right(places, target) - 1
            partial = (target - places[j]) * values[j] if target > places[j] else 0
            return worth[j] - worth[i] + partial

        def first(stage: int, left: int) -> int:
            i = stage // 2
            return min(caps[i], left) if stage % 2 == 0 and values[i] > 0 else 0

        ticket = itertools.count()
        heap: list[tuple[int, int, int, int, int, int, Choices]] = []

        def offer(stage: int, count: int, left: int, value: int, earlier: Choices) -> None:
            """Queue the choice `count` at `stage` (class stage // 2, large or small), if it is one."""
            i, is_small = divmod(stage, 2)
            limit = min(caps[i] - (earlier[1] if is_small and earlier else 0), left)
            each = self.classes[i][2] if is_small else values[i]
            if not 0 <= count <= limit or (each is None and count):
                return
            bound = value + count * (each or 0) + greedy(i + 1, left - count)
            heapq.heappush(heap, (-bound, next(ticket), stage, count, left, value, earlier))

        stages = 2 * len(self.classes)
        if not stages:
            yield 0, []
            return
        offer(0, first(0, dim), dim, 0, None)
        while heap:
            _, _, stage, count, left, value, chosen = heapq.heappop(heap)
            while True:
                i, is_small = divmod(stage, 2)
                step = -1 if not is_small and values[i] > 0 else 1
                offer(stage, count + step, left, value, chosen)
                value += count * ((self.classes[i][2] if is_small else values[i]) or 0)
                left -= count
                chosen = (chosen, count)
                stage += 1
                if stage == stages:
                    break
                count = first(stage, left)
            yield value, self._named(chosen)

    def _named(self, choices: Choices) -> list[tuple[Block, int]]:
        counts: list[int] = []
        while choices is not None:
            choices, count = choices
            counts.append(count)
        counts.reverse()
        return [
            (self.lines[Sign.SMALL if stage % 2 else Sign.LARGE][self.classes[stage // 2][0]], count)
            for stage, count in enumerate(counts)
            if count
        ]


class _BlockList:
    """The blocks of one dimension other than lines of one class, by decreasing value, found as far as they are asked for."""

    def __init__(self, p: Parameters, dimension: int):
        self._found: list[tuple[int, Block]] = []
        streams = [_blocks(p, dimension, sign) for sign in Sign]
        self._rest = heapq.merge(*streams, key=lambda entry: -entry[0])

    def get(self, place: int) -> tuple[int, Block] | None:
        while len(self._found) <= place:
            entry = next(self._rest, None)
            if entry is None:
                return None
            self._found.append(entry)
        return self._found[place]

    def entry(self, place: int) -> tuple[int, Block]:
        entry = self.get(place)
        assert entry is not None
        return entry


def _blocks(p: Parameters, dimension: int, sign: Sign) -> Iterator[tuple[int, Block]]:
    """The blocks of one dimension and sign. Their value falls as Σ p_k m_k grows, at either root, until no root is left."""
    ell = normalized_regularization(p)
    for weight, ranks in _ranks_by_weight(p.sizes, dimension):
        if weight >= dimension * p.num_samples:
            return
        found = normalized_roots(Fraction(dimension * p.num_samples, weight), ell)
        if found is None:
            return
        if (found.double and sign is Sign.SMALL) or not _exists(p.sizes, dimension, ranks):
            continue
        block = Block(dimension, ranks, sign)
        yield dimension * _scaled(block_height(p, block)), block


@lru_cache(maxsize=65536)
def _exists(sizes: tuple[int, ...], dimension: int, ranks: tuple[int, ...]) -> bool:
    if dimension == 1:
        return 1 < sum(ranks) < len(sizes)
    return is_admissible(sizes, dimension, ranks) and (dimension == 2 or irreducible_frame_found(sizes, dimension, ranks))


def _ranks_by_weight(sizes: tuple[int, ...], dimension: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """All non-zero (p_1 … p_K) with p_k ≤ min(dimension, m_k) by increasing Σ p_k m_k.

    Each is reached once: from its last non-zero place, in order of size, grow there, or go on to the next place, taking a
    single one along or leaving it.
    """
    order = sorted(range(len(sizes)), key=lambda k: (sizes[k], k))
    heap: list[tuple[int, tuple[tuple[int, int], ...]]] = [(sizes[order[0]], ((0, 1),))]
    while heap:
        weight, digits = heapq.heappop(heap)
        ranks = [0] * len(sizes)
        for place, digit in digits:
            ranks[order[place]] = digit
        yield weight, tuple(ranks)
        place, digit = digits[-1]
        here = sizes[order[place]]
        if digit < min(dimension, here):
            heapq.heappush(heap, (weight + here, (*digits[:-1], (place, digit + 1))))
        if place + 1 < len(order):
            there = sizes[order[place + 1]]
            heapq.heappush(heap, (weight + there, (*digits, (place + 1, 1))))
            if digit == 1:
                heapq.heappush(heap, (weight + there - here, (*digits[:-1], (place + 1, 1))))


def _scaled(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (_SCALE // denominator)
