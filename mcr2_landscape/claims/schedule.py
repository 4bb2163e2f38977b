"""Which claim a free worker takes: claims of one group share work, so they stay with one worker while others have work left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcr2_landscape.claims.claim import Claim


def groups_of(claims: Sequence[Claim]) -> dict[str, list[Claim]]:
    """Claims by group, in their order. A claim without a group is one of its own."""
    groups: dict[str, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(_group(claim), []).append(claim)
    return groups


class Schedule:
    """The claims that wait.

    **Arguments:** `seconds`: how long claims took before, by id. Where it is known for any, groups that took longest begin;
    without it they keep their order.
    """

    def __init__(self, claims: Sequence[Claim], seconds: Mapping[str, float] | None = None):
        seconds = seconds or {}
        self._waiting = groups_of(claims)
        if seconds:
            # sorted() is stable: groups that are new or took equally long keep their order.
            lengths = {name: sum(seconds.get(claim.id, 0.0) for claim in group) for name, group in self._waiting.items()}
            self._waiting = {name: self._waiting[name] for name in sorted(lengths, key=lambda name: -lengths[name])}
        self._owners: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, worker: int) -> Claim | None:
        """The next claim for a worker: of a group of its own, else of a group that nobody has begun, else the last one of the
        group with most left. `None` where nothing waits."""
        own = [name for name in self._waiting if self._owners.get(name) == worker]
        fresh = [name for name in self._waiting if name not in self._owners]
        if own or fresh:
            name = (own or fresh)[0]
            self._owners[name] = worker
            return self._pop(name, 0)
        if not self._waiting:
            return None
        return self._pop(max(self._waiting, key=lambda name: len(self._waiting[name])), -1)

    def release(self, worker: int) -> None:
        """The worker is gone, and with it the work that its groups shared."""
        self._owners = {name: owner for name, owner in self._owners.items() if owner != worker}

    def _pop(self, name: str, position: int) -> Claim:
        claim = self._waiting[name].pop(position)
        if not self._waiting[name]:
            del self._waiting[name]
        return claim


def _group(claim: Claim) -> str:
    # The colon keeps a claim without a group apart from a group that has its id as a name.
    return claim.group or f":{claim.id}"
