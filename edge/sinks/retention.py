"""What leaves a full outbox, in which order, and what of it is a loss."""

from __future__ import annotations

from collections.abc import Sequence

from edge.sinks.store import Store

_DELIVERED = "position <= ?"
_MINOR = "position > ? AND kind != 'event'"
_REST = "position > ?"
_ORDER = (_DELIVERED, _MINOR, _REST)
"""Delivered ones first, then observations and status, then events; in each the oldest first."""

_SLACK = 100  # a hundredth of the limit more is freed, so that a full outbox is not trimmed at every commit


def make_room(store: Store, max_bytes: int) -> int:
    """Delete until at most ``max_bytes`` are kept; within a transaction of the caller's.

    Returns:
        How many undelivered events were deleted; they are added to the store's ``lost``.
    """
    excess = store.fact("bytes") - max_bytes
    if excess <= 0:
        return 0
    excess += max_bytes // _SLACK
    delivered_to, lost = store.delivered_to(), 0
    for where in _ORDER:
        while excess > 0 and (rows := store.oldest(where, delivered_to)):
            count, freed = _until([size for _, size, _ in rows], excess)
            store.remove([position for position, _, _ in rows[:count]], freed)
            excess -= freed
            lost += 0 if where is _DELIVERED else count
    return _counted(store, lost)


def expire(store: Store, oldest_utc_s: int) -> int:
    """Delete events kept before ``oldest_utc_s``, some thousand at most; within a transaction of the caller's.

    An event without a believable time is as old as the first one behind it that has one.

    Returns:
        How many undelivered events were deleted; they are added to the store's ``lost``.
    """
    rows = store.oldest(_REST, 0)
    old = 0
    for index, (_, _, kept_utc_s) in enumerate(rows):
        if kept_utc_s is not None:
            if kept_utc_s >= oldest_utc_s:
                break
            old = index + 1
    if not old:
        return 0
    delivered_to = store.delivered_to()
    store.remove([position for position, _, _ in rows[:old]], sum(size for _, size, _ in rows[:old]))
    return _counted(store, sum(position > delivered_to for position, _, _ in rows[:old]))


def _counted(store: Store, lost: int) -> int:
    if lost:
        store.set_fact("lost", store.fact("lost") + lost)
    return lost


def _until(sizes: Sequence[int], excess: int) -> tuple[int, int]:
    """(how many of the first, their sum) so that the sum reaches ``excess``, or all."""
    total = 0
    for count, size in enumerate(sizes, start=1):
        total += size
        if total >= excess:
            return count, total
    return len(sizes), total
