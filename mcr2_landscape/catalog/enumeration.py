"""All families by decreasing value, one at a time: best-first search with exact bounds.

A family is a multiset of blocks. The search chooses the blocks that are no lines of one class first, each built up class by
class, and completes them by lines of single classes. The best completion is known in closed form, because lines cost one
dimension each: classes in increasing size, as in the theorem on the global maximum. By that theorem no block is worth more
than the lines that it displaces, and a block is worth less the more samples its classes have. So bounds can only fall from a
choice to those that extend it, and the heap gives the families in order without ever looking at the rest.

Values are compared as integers (float64 values of single directions, scaled by a power of two), so that families tie exactly
when they should. Families of equal value come in an order that depends on the problem alone.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from mcr2_landscape.catalog.blocks import Block, is_admissible, line
from mcr2_landscape.catalog.families import Family, block_height
from mcr2_landscape.catalog.frames import irreducible_frame_found
from mcr2_landscape.catalog.scalar import Sign, class_ratio, height, normalized_regularization, normalized_roots
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
    return _search(p, max_frame_dimension)


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
class _Chosen:
    """A multiset of blocks that are no lines of one class, with what is left for the others."""

    blocks: tuple[Block, ...]
    last: tuple[int, str, tuple[int, ...]]  # dimension, sign and ranks (by size of class) of the last block; none comes before
    value: int
    dim: int
    capacities: tuple[int, ...]


@dataclass(frozen=True)
class _Partial:
    """All ways to add one more block of a dimension and sign that begins with the given ranks, classes taken by increasing
    size, and has at least one class more."""

    chosen: _Chosen
    dimension: int
    sign: Sign
    ranks: tuple[int, ...]
    weight: int


def _search(p: Parameters, max_dimension: int) -> Iterator[Family]:
    lines = _Lines(p)
    order = sorted(range(p.num_classes), key=lambda k: (p.sizes[k], k))
    ell = normalized_regularization(p)
    ticket = itertools.count()
    heap: list[tuple[int, int, _Chosen | _Partial | _Completed]] = []

    def push(bound: int, item: _Chosen | _Partial | _Completed) -> None:
        heapq.heappush(heap, (-bound, next(ticket), item))

    @lru_cache(maxsize=65536)
    def block_value(dimension: int, weight: int, sign: Sign) -> int | None:
        """What a block with Σ p_k m_k = weight adds; it falls as the weight grows, at either root, until no root is left."""
        if weight >= dimension * p.num_samples:
            return None
        ratio = Fraction(dimension * p.num_samples, weight)
        found = normalized_roots(ratio, ell)
        if found is None or (found.double and sign is Sign.SMALL):
            return None
        return dimension * _scaled(height(ratio, ell, found.at(sign)))

    def left(chosen: _Chosen, ranks: tuple[int, ...]) -> tuple[int, ...] | None:
        capacities = list(chosen.capacities)
        for k, rank in zip(order, ranks, strict=False):
            capacities[k] -= rank
        return None if min(capacities) < 0 else tuple(capacities)

    def push_partial(limit: int, part: _Partial) -> None:
        """Queue `part` under an upper bound for all blocks in it: no more than `limit`, the bound of what it extends, and no
        more than the value at the least weight that is possible, with only the given ranks taken from the classes."""
        n, place = part.dimension, len(part.ranks)
        capacities = left(part.chosen, part.ranks)
        if place == len(order) or part.chosen.dim < n or capacities is None:
            return
        if (n, part.sign.value) == part.chosen.last[:2] and part.ranks > part.chosen.last[2][:place]:
            return
        size = p.sizes[order[place]]
        proper = sum(0 < rank < n or n == 1 for rank in part.ranks if rank)
        missing = max(1, (2 if n == 1 else 3) - proper)
        # Each class present has n m_k ≤ Σ p_k m_k.
        value = block_value(n, max(part.weight + missing * size, n * size), part.sign)
        if value is not None:
            push(min(limit, part.chosen.value + value + lines.best(part.chosen.dim - n, capacities)), part)

    def push_block(limit: int, part: _Partial, ranks: tuple[int, ...], weight: int) -> None:
        """Queue the choice of the block with exactly these ranks, if there is one."""
        chosen, n = part.chosen, part.dimension
        full = ranks + (0,) * (len(order) - len(ranks))
        capacities, value = left(chosen, full), block_value(n, weight, part.sign)
        if capacities is None or value is None:
            return
        if (n, part.sign.value) == chosen.last[:2] and full > chosen.last[2]:
            return
        named = [0] * len(order)
        for k, rank in zip(order, full, strict=True):
            named[k] = rank
        if not _exists(p.sizes, n, tuple(named)):
            return
        blocks = (*chosen.blocks, Block(n, tuple(named), part.sign))
        child = _Chosen(blocks, (n, part.sign.value, full), chosen.value + value, chosen.dim - n, capacities)
        push(min(limit, child.value + lines.best(child.dim, capacities)), child)

    def push_family(chosen: _Chosen, completions: Iterator[tuple[int, list[tuple[Block, int]]]]) -> None:
        following = next(completions, None)
        if following is not None:
            value, own = following
            family = Family(p, (*((block, 1) for block in chosen.blocks), *own))
            push(chosen.value + value, _Completed(family, chosen, completions))

    root = _Chosen((), (0, "", ()), 0, p.dim, p.widths)
    push(lines.best(p.dim, p.widths), root)
    while heap:
        negative, _, item = heapq.heappop(heap)
        bound = -negative
        if isinstance(item, _Completed):
            yield item.family
            push_family(item.chosen, item.completions)
        elif isinstance(item, _Chosen):
            push_family(item, lines.completions(item.dim, item.capacities))
            for n in range(1, max_dimension + 1):
                for sign in Sign:
                    if (n, sign.value) >= item.last[:2]:
                        push_partial(bound, _Partial(item, n, sign, (), 0))
        else:
            push_partial(bound, replace(item, ranks=(*item.ranks, 0)))
            size = p.sizes[order[len(item.ranks)]]
            for rank in range(1, min(item.dimension, size) + 1):
                ranks, weight = (*item.ranks, rank), item.weight + rank * size
                push_block(bound, item, ranks, weight)
                push_partial(bound, replace(item, ranks=ranks, weight=weight))


@dataclass(frozen=True)
class _Completed:
    """The next family with the chosen blocks."""

    family: Family
    chosen: _Chosen
    completions: Iterator[tuple[int, list[tuple[Block, int]]]]


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


@lru_cache(maxsize=65536)
def _exists(sizes: tuple[int, ...], dimension: int, ranks: tuple[int, ...]) -> bool:
    if dimension == 1:
        return 1 < sum(ranks) < len(sizes)
    return is_admissible(sizes, dimension, ranks) and (dimension == 2 or irreducible_frame_found(sizes, dimension, ranks))


def _scaled(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (_SCALE // denominator)
