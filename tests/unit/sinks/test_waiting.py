"""The bounded queue in memory: what goes first when it is full, and that every loss is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.waiting import Waiting
from tests.fakes.events import make_event


def numbers(events) -> list[int]:
    return [event.seq for event in events]


def test_the_oldest_observation_or_status_goes_first_then_the_oldest_event() -> None:
    waiting = Waiting(3)
    waiting.add([make_event(1), make_event(2, "status"), make_event(3), make_event(4, "observation")], b"s")
    waiting.add([make_event(5)], None)
    waiting.add([make_event(6)], None)
    assert waiting.take_lost() == 3
    events, snapshot = waiting.take()
    assert numbers(events) == [3, 5, 6]
    assert snapshot == b"s"
    assert waiting.take() == ([], b"s")


def test_what_is_put_back_comes_before_what_came_meanwhile() -> None:
    waiting = Waiting(10)
    waiting.add([make_event(1), make_event(2)], b"1")
    taken, _ = waiting.take()
    waiting.add([make_event(3)], b"2")
    waiting.put_back(taken)
    assert numbers(waiting.take()[0]) == [1, 2, 3]


@given(st.lists(st.lists(st.sampled_from(["event", "observation", "status"]), max_size=5), max_size=12), st.integers(1, 8))
def test_all_is_kept_or_counted_and_the_order_stays(ticks: list[list[str]], limit: int) -> None:
    waiting, number = Waiting(limit), 0
    for kinds in ticks:
        waiting.add([make_event(number := number + 1, kind) for kind in kinds], None)
    events, _ = waiting.take()
    assert len(events) <= limit
    assert len(events) + waiting.take_lost() == number
    assert numbers(events) == sorted(numbers(events))
