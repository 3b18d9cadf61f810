"""What a full outbox drops: delivered ones first, then observations and status, then events, the oldest first."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.sinks.retention import expire, make_room
from edge.sinks.store import ROW_BYTES, Store, StoredEvent

BODY = 100
ONE = BODY + ROW_BYTES


def row(number: int, kind: str = "event", kept_utc_s: int | None = None) -> StoredEvent:
    return StoredEvent(number, kind, kept_utc_s, b"x" * BODY)


@pytest.fixture
def store(tmp_path: Path):
    with closing(Store(tmp_path / "outbox.db", durable=False)) as opened:
        with opened.transaction():
            opened.register({"s": True})
        yield opened


def kept(store: Store) -> list[int]:
    return [position for position, _, _ in store.oldest("position > ?", 0, 10_000)]


def test_order_on_overflow(store: Store) -> None:
    kinds = ["event", "event", "observation", "event", "status", "event", "observation", "event"]
    with store.transaction():
        store.add([row(index + 1, kind) for index, kind in enumerate(kinds)])
    store.acknowledge("s", 2)
    there, gone, lost = list(range(1, 9)), [], 0
    for limit in (7, 6, 5, 4, 3, 2, 1, 0):
        with store.transaction():
            lost += make_room(store, limit * ONE + (ONE // 2 if limit else 0))  # so that the slack does not take a second one
        left = kept(store)
        gone += sorted(set(there) - set(left))
        there = left
    assert gone == [1, 2, 3, 5, 7, 4, 6, 8]
    assert lost == store.fact("lost") == 6, "delivered ones are no loss"
    assert store.fact("bytes") == 0


HOUR_S, DAY_S = 3_600, 86_400


@given(st.lists(st.sampled_from([-HOUR_S, 0, HOUR_S]), min_size=1, max_size=44), st.sampled_from([-HOUR_S, 0, HOUR_S]))
def test_a_clock_that_jumps_by_an_hour_makes_nothing_too_old_that_is_two_hours_from_it(jumps: list[int], last: int) -> None:
    """An event each half hour, each dated as the clock said just then; a day's events are asked for."""
    with tempfile.TemporaryDirectory() as folder, closing(Store(Path(folder) / "outbox.db", durable=False)) as store:
        now_s = 10 * DAY_S
        with store.transaction():
            store.register({"s": True})
            for number, jump in enumerate(jumps, start=1):
                now_s += HOUR_S // 2
                store.add([row(number, kept_utc_s=now_s + jump)])
        with store.transaction():
            assert expire(store, now_s + last - DAY_S) == 0
        assert kept(store) == list(range(1, len(jumps) + 1))
        with store.transaction():
            expire(store, now_s + 2 * HOUR_S + 1)
        assert kept(store) == [], "and at last all of them are"


def test_age_goes_by_believable_times_and_in_order(store: Store) -> None:
    with store.transaction():
        store.add([row(1), row(2, kept_utc_s=100), row(3), row(4, kept_utc_s=200), row(5), row(6, kept_utc_s=50)])
    store.acknowledge("s", 1)
    with store.transaction():
        assert expire(store, 99) == 0, "nothing is older than the oldest believable time"
        assert expire(store, 150) == 1, "of two, one was delivered"
    assert kept(store) == [3, 4, 5, 6]
    with store.transaction():
        assert expire(store, 1_000) == 4
    assert store.fact("lost") == 5
    assert store.fact("bytes") == 0


class Outbox(RuleBasedStateMachine):
    """Commits, acknowledgements, trims and crashes in any order, against a model in plain Python."""

    @initialize()
    def start(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.path = Path(self.place.name) / "outbox.db"
        self.store = Store(self.path, durable=False)
        with self.store.transaction():
            self.store.register({"a": True, "b": True})
        self.rows: dict[int, str] = {}
        self.acknowledged = {"a": 0, "b": 0}
        self.next = 1
        self.lost = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.place.cleanup()

    @rule(kinds=st.lists(st.sampled_from(["event", "observation", "status"]), max_size=6))
    def commit(self, kinds: list[str]) -> None:
        with self.store.transaction():
            self.store.add([row(self.next + index, kind) for index, kind in enumerate(kinds)])
        for kind in kinds:
            self.rows[self.next] = kind
            self.next += 1

    @rule(kinds=st.lists(st.sampled_from(["event", "observation"]), min_size=1, max_size=3))
    def crash_in_a_commit(self, kinds: list[str]) -> None:
        self.store._db.execute("BEGIN IMMEDIATE")
        self.store.add([row(self.next + index, kind) for index, kind in enumerate(kinds)])
        self.store.close()  # without COMMIT
        self.store = Store(self.path, durable=False)

    @rule(key=st.sampled_from(["a", "b"]), count=st.integers(1, 5))
    def deliver(self, key: str, count: int) -> None:
        got = self.store.undelivered(key, self.store.acknowledged(key), count)
        wanted = [number for number in sorted(self.rows) if number > self.acknowledged[key]][:count]
        assert [position for position, _ in got] == wanted, "in order, nothing twice, nothing left out"
        if got:
            self.store.acknowledge(key, got[-1][0])
            self.acknowledged[key] = got[-1][0]

    @rule(limit=st.integers(0, 12))
    def trim(self, limit: int) -> None:
        with self.store.transaction():
            lost = make_room(self.store, limit * ONE)
        left = set(kept(self.store))
        dropped = set(self.rows) - left
        everywhere = min(self.acknowledged.values())
        undelivered = {number for number in dropped if number > everywhere}
        assert lost == len(undelivered)
        if undelivered:
            assert not any(number <= everywhere for number in left), "delivered ones go first"
            events = [number for number in undelivered if self.rows[number] == "event"]
            if events:
                assert all(self.rows[number] == "event" for number in left), "then observations and status"
                assert not events or not left or max(events) < min(left), "the oldest events first"
        self.lost += lost
        self.rows = {number: self.rows[number] for number in left}
        assert len(self.rows) <= limit

    @invariant()
    def every_event_is_one_row(self) -> None:
        if hasattr(self, "store"):
            assert kept(self.store) == sorted(self.rows)
            assert self.store.fact("bytes") == ONE * len(self.rows)
            assert self.store.fact("next") == self.next
            assert self.store.fact("lost") == self.lost
            assert {key: self.store.acknowledged(key) for key in ("a", "b")} == self.acknowledged


TestOutbox = Outbox.TestCase
TestOutbox.settings = settings(max_examples=40, stateful_step_count=30)
