"""How single queries are timed. Clocks and queries are arguments: nothing in here knows what is measured.

``single_stream`` follows MLPerf Inference's SingleStream scenario: the next query is sent when the last one is answered
(https://github.com/mlcommons/inference_policies/blob/master/inference_rules.adoc, scenarios).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

NowNs = Callable[[], int]
Query = Callable[[int], object]
"""Called with the query's number, from 0; answers when the query is done."""

CLOCK_READINGS = 2
"""Per query, and nothing else of ours stands between them: what measuring costs."""


@dataclass(frozen=True, slots=True)
class RunLength:
    """A stream ends when it has had both: so many queries, and so many seconds. The same holds for the warm-up before it, whose
    queries are not counted."""

    queries: int
    seconds: float
    warm_up_queries: int = 3
    warm_up_s: float = 0.3


def in_turn(items: Sequence[T], number: int) -> Iterable[T]:
    """The order of round ``number``: forth, then back, so that what drifts hits all alike."""
    return items if number % 2 == 0 else reversed(items)


def warm_up(query: Query, length: RunLength, now_ns: NowNs) -> int:
    """Run until caches, clocks and lazily made buffers are as they stay; returns how many queries that took."""
    until, count = now_ns() + round(length.warm_up_s * 1e9), 0
    while count < length.warm_up_queries or now_ns() < until:
        query(count)
        count += 1
    return count


def single_stream(query: Query, length: RunLength, now_ns: NowNs) -> list[float]:
    """Milliseconds of every query, in order."""
    times: list[int] = []
    keep = times.append
    least, now, index = length.queries, now_ns(), 0
    until = now + round(length.seconds * 1e9)
    while index < least or now < until:
        start = now_ns()
        query(index)
        now = now_ns()
        keep(now - start)
        index += 1
    return [taken / 1e6 for taken in times]
