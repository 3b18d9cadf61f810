"""The outbox with recording sinks: order, patience, faults of a sink, faults of the disk, and what it says about them."""

from __future__ import annotations

import gc
import logging
import sqlite3
import threading
import weakref
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edge.data import ShelfEvent
from edge.errors import SinkError
from edge.events import EventFactory
from edge.sinks.base import GoneError, RefusedError, Snapshot
from edge.sinks.committer import OutboxLimits
from edge.sinks.delivery import Backoff
from edge.sinks.outbox import StoredOutbox
from edge.sinks.store import Store
from tests.fakes.events import UTC, RecordingSink, down, make_event
from tests.fakes.patience import patience_s, wait_until

QUICK = Backoff(first_s=0.01, longest_s=0.05, refused_longest_s=0.05)
LIMITS = OutboxLimits(window_s=0.02, snapshot_s=0.02, disk_retry_s=0.02, drain_s=60.0)
IMPATIENT = replace(LIMITS, drain_s=0.5)


@pytest.fixture
def build(tmp_path: Path):
    def make(*sinks: RecordingSink, live: bool = True, limits: OutboxLimits = LIMITS, **more) -> StoredOutbox:
        named = {f"{sink.label}:{index}": sink for index, sink in enumerate(sinks)}
        outbox = StoredOutbox(tmp_path, named, bundle="hash", live=live, limits=limits, backoff=QUICK, **more)
        factory = EventFactory("cam", "b@1", "m/c", outbox.counter)
        outbox.tell_by(lambda type_, flags: factory.status(type_, UTC, flags, simulated=False))
        outbox.make = lambda kind="event", **about: replace_id(make_event(0, kind, **about), outbox)
        return outbox

    return make


def replace_id(event: ShelfEvent, outbox: StoredOutbox) -> ShelfEvent:
    import msgspec

    return msgspec.structs.replace(event, id=f"cam-{outbox.counter.take():012d}")


def commit(outbox: StoredOutbox, count: int, kind: str = "event", **about) -> list[str]:
    events = [outbox.make(kind, **about) for _ in range(count)]
    for event in events:
        outbox.commit([event], None)
    return [event.id for event in events]


def stored_ids(tmp_path: Path) -> list[str]:
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        return [f"cam-{number:012d}" for (number,) in db.execute("SELECT number FROM event ORDER BY position")]


def test_every_sink_gets_everything_once_in_order(build) -> None:
    one, two = RecordingSink("one"), RecordingSink("two")
    with closing(build(one, two)) as outbox:
        ids = commit(outbox, 20) + commit(outbox, 20, "observation") + commit(outbox, 3, "status")
    assert one.ids == two.ids == ids
    assert one.closed
    assert two.closed


def test_an_event_is_stored_when_commit_returns_and_an_observation_soon(build, tmp_path: Path) -> None:
    with closing(build(limits=replace(LIMITS, window_s=3_600.0))) as outbox:
        observed = commit(outbox, 2, "observation")
        assert stored_ids(tmp_path) == []
        changed = commit(outbox, 1)
        assert stored_ids(tmp_path) == observed + changed, "one transaction, in order"
        told = commit(outbox, 1, "status")
        assert stored_ids(tmp_path) == observed + changed + told
    with closing(build()) as outbox:
        last = commit(outbox, 1, "observation")
        wait_until(lambda: stored_ids(tmp_path)[-1:] == last)


def test_observations_that_fill_half_of_the_memory_are_stored_at_once(build, tmp_path: Path) -> None:
    with closing(build(limits=replace(LIMITS, window_s=3_600.0, memory=20))) as outbox:
        observed = commit(outbox, 10, "observation")
        assert (stored_ids(tmp_path), outbox.status().in_memory) == ([], 10)
        observed += commit(outbox, 1, "observation")
        assert (stored_ids(tmp_path), outbox.status().in_memory) == (observed, 0)


def test_the_snapshot_is_stored_with_its_events_and_can_be_read_back(build, tmp_path: Path) -> None:
    with closing(build(limits=replace(LIMITS, window_s=3_600.0))) as outbox:
        assert outbox.last_snapshot() is None
        outbox.commit([outbox.make()], b'{"a":1}')
        outbox.commit([outbox.make("status")], None)
        assert outbox.last_snapshot() == Snapshot("hash", b'{"a":1}')
        outbox.commit([], b'{"a":2}')
    with closing(build()) as outbox:
        assert outbox.last_snapshot() == Snapshot("hash", b'{"a":2}')
        outbox.commit([], b'{"a":3}')
        wait_until(lambda: outbox.last_snapshot() == Snapshot("hash", b'{"a":3}'))


def test_numbers_go_on_after_any_end_and_skip_nothing(build, tmp_path: Path) -> None:
    ids: list[str] = []
    for life in range(4):
        outbox = build(limits=replace(LIMITS, window_s=3_600.0))
        ids += commit(outbox, 3)
        if life % 2:
            outbox.close()
        else:
            outbox.make("observation")  # taken, never committed: nobody has seen it
            outbox._stopping.set()  # as dead as a thread can be: no flush, no farewell
            outbox._keeper.join()
    assert ids == [f"cam-{number:012d}" for number in range(1, 13)]


def test_the_counter_of_an_earlier_version_is_taken_over_once(build, tmp_path: Path) -> None:
    (tmp_path / "next_event").write_text("10001\n")
    with closing(build()) as outbox:
        assert outbox.counter.take() == 10_001
        assert not (tmp_path / "next_event").exists()
    (tmp_path / "next_event").write_text("5\n")
    with closing(build()) as outbox:
        assert outbox.counter.take() == 10_001, "it never runs backwards"
    (tmp_path / "next_event").write_text("garbage")
    with pytest.raises(SinkError, match="next_event"):
        build()


def test_a_sink_that_blocks_for_ever_stops_neither_the_loop_nor_the_others_nor_the_end(build, caplog) -> None:
    stuck, other = RecordingSink("stuck"), RecordingSink("other")
    stuck.gate.clear()
    with closing(build(stuck, other, limits=IMPATIENT)) as outbox:
        ids = commit(outbox, 50)
        wait_until(lambda: other.ids == ids)
        status = {sink.label: sink for sink in outbox.status().sinks}
        assert (status["stuck"].waiting, status["other"].waiting) == (50, 0)
    assert "50 events stay for the next start: stuck: does not answer" in caplog.text
    stuck.gate.set()


def test_a_thread_that_stays_behind_keeps_nothing_of_the_site_alive(build) -> None:
    class Site:
        def status(self, type_: str, flags: tuple[str, ...]) -> ShelfEvent:
            raise AssertionError("nothing is told here")

    stuck, site = RecordingSink("stuck"), Site()
    stuck.gate.clear()
    with closing(build(stuck, limits=IMPATIENT)) as outbox:
        outbox.tell_by(site.status)
        commit(outbox, 1)
        wait_until(lambda: stuck.tries, "it is blocked")
    alive = weakref.ref(site)
    del site, outbox
    gc.collect()
    assert alive() is None
    stuck.gate.set()


def test_a_sink_that_fails_is_tried_again_and_the_reason_is_said_once(build, caplog) -> None:
    sink = RecordingSink()
    sink.broken = down()
    with closing(build(sink)) as outbox:
        ids = commit(outbox, 5)
        wait_until(lambda: sink.tries > 4)
        assert outbox.status().sinks[0].failing == "recorder: it is down"
        sink.broken = None
        wait_until(lambda: sink.ids == ids)
        wait_until(lambda: outbox.status().sinks[0].failing is None)
        assert outbox.status().sinks[0].delivered == 5
    assert [record.message for record in caplog.records].count("recorder: it is down (events are kept and tried again)") == 1


def test_without_a_word_about_pauses_they_are_a_cameras(tmp_path: Path) -> None:
    sink = RecordingSink()
    sink.broken = down()
    with closing(StoredOutbox(tmp_path, {"s": sink}, bundle="b", live=True, limits=LIMITS)) as outbox:
        outbox.commit([replace_id(make_event(0), outbox)], None)
        wait_until(lambda: sink.tries > 1)
        sink.broken = None


def test_what_is_not_delivered_at_the_end_comes_after_the_next_start(build) -> None:
    sink = RecordingSink()
    sink.broken = down()
    with closing(build(sink)) as outbox:
        ids = commit(outbox, 7)
    again = RecordingSink()
    with closing(build(again)) as outbox:
        ids += commit(outbox, 2)
    assert again.ids == ids


def test_a_file_run_ends_with_an_error_unless_all_is_delivered(build) -> None:
    sink = RecordingSink()
    sink.broken = down()
    outbox = build(sink, live=False, limits=IMPATIENT)
    commit(outbox, 3, "observation")
    with pytest.raises(SinkError, match="3 events are not delivered: recorder: it is down"):
        outbox.close()


def test_a_file_run_waits_for_a_sink_that_is_slow_and_gets_on(build) -> None:
    class Slow(RecordingSink):
        def write(self, events) -> int:
            super().write(events[:1])
            threading.Event().wait(0.02)
            return 1

    sink = Slow()
    outbox = build(sink, live=False)
    ids = commit(outbox, 60, "observation")
    outbox.close()
    assert sink.ids == ids


def test_a_file_run_waits_rather_than_lose_events(build) -> None:
    sink = RecordingSink()
    sink.gate.clear()
    outbox = build(sink, live=False, limits=replace(LIMITS, max_bytes=20_000, drain_s=60.0))
    ids: list[str] = []
    feeder = threading.Thread(target=lambda: ids.extend(commit(outbox, 200)))
    feeder.start()
    wait_until(lambda: outbox.status().sinks[0].waiting > 20, "the sink is behind")
    feeder.join(0.2)
    assert feeder.is_alive(), "the file run waits"
    assert outbox.status().sinks[0].waiting == 21, "one more than 20,000 bytes hold, at a thousand an event"
    sink.gate.set()
    feeder.join(patience_s())
    outbox.close()
    assert sink.ids == ids
    assert len(ids) == 200


def test_a_file_run_waits_for_a_reader_that_takes_its_time(build) -> None:
    sink = RecordingSink()
    sink.gate.clear()
    outbox = build(sink, live=False, limits=replace(LIMITS, drain_s=0.05))
    ids = commit(outbox, 5)
    closer = threading.Thread(target=outbox.close)
    closer.start()
    closer.join(1.0)
    assert closer.is_alive()
    sink.gate.set()
    closer.join(patience_s())
    assert not closer.is_alive()
    assert sink.ids == ids


def test_a_row_that_is_no_event_does_not_stop_those_behind_it(build, tmp_path: Path) -> None:
    sink = RecordingSink()
    sink.broken = down()
    with closing(build(sink)) as outbox:
        ids = commit(outbox, 3)
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as db, db:
        db.execute("UPDATE event SET body = 'nonsense' WHERE number = 2")
    sink.broken = None
    with closing(build(sink)) as outbox:
        wait_until(lambda: outbox.status().sinks[0].refused == 1)
    assert sink.ids == [ids[0], ids[2]]


def test_the_log_is_folded_into_the_file_while_it_runs(build, tmp_path: Path) -> None:
    with closing(build(RecordingSink())) as outbox:
        commit(outbox, 300)

        def folded() -> bool:
            commit(outbox, 10, "observation")
            return (tmp_path / "outbox.db").stat().st_size > 50_000

        wait_until(folded)
        assert (tmp_path / "outbox.db-wal").stat().st_size < 20_000_000


def test_the_log_is_folded_every_128_commits(build, monkeypatch) -> None:
    folds: list[int] = []
    monkeypatch.setattr(Store, "checkpoint", lambda store: folds.append(len(ids)))
    turns: list[None] = []
    keep = StoredOutbox._fold

    def fold(outbox: StoredOutbox, store: Store) -> None:
        keep(outbox, store)
        turns.append(None)

    monkeypatch.setattr(StoredOutbox, "_fold", fold)

    def a_turn_of_the_keeper() -> None:
        before = len(turns)
        wait_until(lambda: len(turns) > before + 1)

    ids: list[str] = []
    with closing(build()) as outbox:
        for count in (127, 1, 127, 1):
            ids += commit(outbox, count)
            a_turn_of_the_keeper()
    assert folds == [128, 256]


def test_a_log_that_cannot_be_folded_is_folded_later(build, monkeypatch, caplog) -> None:
    tries: list[None] = []

    def busy(store: Store) -> None:
        tries.append(None)
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(Store, "checkpoint", busy)
    with closing(build()) as outbox:
        commit(outbox, 128)
        wait_until(lambda: len(tries) > 3, "it is tried again and again")
        commit(outbox, 1)
    assert caplog.text == ""


def without_keeper(build, monkeypatch, fault: Exception) -> StoredOutbox:
    """Its thread has met ``fault`` and ended."""

    def broken(store: Store) -> None:
        raise fault

    monkeypatch.setattr(Store, "checkpoint", broken)
    outbox = build()
    commit(outbox, 128)
    wait_until(lambda: not outbox._keeper.is_alive())
    return outbox


@pytest.mark.parametrize(
    ("fault", "raised"),
    [(sqlite3.DatabaseError("database disk image is malformed"), SinkError), (ZeroDivisionError("a bug"), ZeroDivisionError)],
)
def test_what_ends_the_keeper_surfaces_in_the_loop_once(build, monkeypatch, fault: Exception, raised: type) -> None:
    outbox = without_keeper(build, monkeypatch, fault)
    with pytest.raises(raised):
        commit(outbox, 1)
    ids = commit(outbox, 1)
    assert ids
    outbox.close()


def test_what_ended_the_keeper_surfaces_at_the_end_if_nothing_is_committed_before(build, monkeypatch) -> None:
    outbox = without_keeper(build, monkeypatch, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        outbox.close()


def test_the_end_waits_for_the_keeper(build, monkeypatch) -> None:
    entered, gate = threading.Event(), threading.Event()

    def slow(store: Store) -> None:
        entered.set()
        gate.wait()

    monkeypatch.setattr(Store, "checkpoint", slow)
    outbox = build()
    commit(outbox, 128)
    wait_until(entered.is_set)
    closer = threading.Thread(target=outbox.close)
    closer.start()
    closer.join(0.3)
    assert closer.is_alive()
    gate.set()
    closer.join(patience_s())
    assert not closer.is_alive()


@pytest.mark.parametrize(
    ("method", "meets"),
    [
        ("snapshot", lambda outbox: outbox.last_snapshot()),
        ("add", lambda outbox: commit(outbox, 1)),
        ("waiting", lambda outbox: outbox.close()),
    ],
)
def test_damage_is_told_wherever_it_is_met(build, monkeypatch, tmp_path: Path, method: str, meets: Callable) -> None:
    outbox = build(RecordingSink(), limits=replace(LIMITS, window_s=3_600.0))
    commit(outbox, 1)

    def broken(*args: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with monkeypatch.context() as patched:
        patched.setattr(Store, method, broken)
        with pytest.raises(SinkError, match="is damaged: database disk image is malformed"):
            meets(outbox)
    if method != "waiting":
        outbox.close()


def test_a_snapshot_without_events_waits_for_its_time(build) -> None:
    with closing(build(limits=replace(LIMITS, snapshot_s=3_600.0))) as outbox:
        outbox.commit([], b'{"a":1}')
        wait_until(lambda: outbox.last_snapshot() == Snapshot("hash", b'{"a":1}'), "the first one is due at once")
        outbox.commit([], b'{"a":2}')
        outbox._keeper.join(0.2)
        assert outbox.last_snapshot() == Snapshot("hash", b'{"a":1}')
        commit(outbox, 1, "observation")
        wait_until(lambda: outbox.last_snapshot() == Snapshot("hash", b'{"a":2}'), "with the next observation at the latest")


def test_a_store_that_was_set_aside_is_told(build, tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1_000)
    sink = RecordingSink()
    with closing(build(sink)) as outbox:
        wait_until(lambda: sink.ids, "the keeper tells it by itself")
        told = body_of(outbox, sink.ids[0])
    assert "outbox_damaged" in told
    assert "kept=" in told


def test_news_that_nobody_has_told_yet_are_told_at_the_end(build, tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1_000)
    sink = RecordingSink()
    build(sink, limits=replace(LIMITS, window_s=3_600.0)).close()
    assert len(sink.ids) == 1


def test_news_wait_until_they_can_be_told_and_come_in_their_order(tmp_path: Path) -> None:
    class Picky(RecordingSink):
        def write(self, events) -> int:
            if events[0].slot == "bad":
                raise RefusedError("picky: 400", count=1)
            return super().write(events[:1])

    (tmp_path / "outbox.db").write_bytes(b"no database" * 1_000)
    sink = Picky()
    with closing(StoredOutbox(tmp_path, {"s": sink}, bundle="b", live=True, limits=LIMITS, backoff=QUICK)) as outbox:
        outbox.commit([replace_id(make_event(0, slot="bad"), outbox)], None)
        wait_until(lambda: outbox.status().sinks[0].refused == 1)
        assert sink.ids == []
        factory = EventFactory("cam", "b@1", "m/c", outbox.counter)
        outbox.tell_by(lambda type_, flags: factory.status(type_, UTC, flags, simulated=False))
        wait_until(lambda: len(sink.ids) == 2)
        told = [body_of(outbox, one) for one in sink.ids]
    assert ["outbox_damaged" in told[0], "events_refused" in told[1]] == [True, True]


def test_another_bundle_stores_its_own_hash(build) -> None:
    with closing(build()) as outbox:
        outbox.commit([outbox.make()], b"{}")
        outbox.use_bundle("other")
        outbox.commit([outbox.make()], b"{}")
        assert outbox.last_snapshot() == Snapshot("other", b"{}")


def test_standard_output_has_another_reader_each_time(tmp_path: Path) -> None:
    def run(count: int) -> tuple[list[str], list[str], list[str]]:
        pipe, file = RecordingSink("pipe"), RecordingSink("file")
        outbox = StoredOutbox(
            tmp_path, {"jsonl:-": pipe, "jsonl:file": file}, bundle="b", live=True, limits=LIMITS, backoff=QUICK
        )
        outbox.make = lambda kind="event", **about: replace_id(make_event(0, kind, **about), outbox)
        if not count:
            pipe.broken = file.broken = down()
        ids = commit(outbox, count or 3)
        outbox.close()
        return ids, pipe.ids, file.ids

    before, *_ = run(0)
    now, of_pipe, of_file = run(2)
    assert (of_pipe, of_file) == (now, before + now)


def test_what_could_not_be_stored_at_the_end_is_said(build, monkeypatch, caplog) -> None:
    disk = FullDisk(monkeypatch)
    with closing(build(RecordingSink())) as outbox:
        disk.full = True
        commit(outbox, 3)
    assert "events are lost, for they could not be stored: database or disk is full" in caplog.text


def test_on_a_full_disk_the_log_is_folded_whatever_its_length(build, monkeypatch) -> None:
    disk, folds = FullDisk(monkeypatch), []
    monkeypatch.setattr(Store, "checkpoint", lambda store: folds.append(None))
    with closing(build()) as outbox:
        commit(outbox, 1)
        disk.full = True
        commit(outbox, 1)
        wait_until(lambda: folds)
        disk.full = False


def test_a_reader_that_has_gone_ends_the_run(build) -> None:
    sink = RecordingSink()
    sink.broken = GoneError("standard output: broken pipe")
    outbox = build(sink)

    def go_on() -> bool:
        commit(outbox, 1)
        return False

    with pytest.raises(GoneError):
        wait_until(go_on)
    outbox.close()


def test_a_programming_error_of_a_sink_surfaces_in_the_loop(build) -> None:
    sink = RecordingSink()
    sink.broken = KeyError("a bug")
    outbox = build(sink)
    commit(outbox, 1)
    wait_until(lambda: sink.closed)
    with pytest.raises(KeyError):
        commit(outbox, 1)
    outbox.close()


def test_simulated_events_go_only_where_they_may(build) -> None:
    local, remote = RecordingSink("local"), RecordingSink("remote", takes_simulated=False)
    with closing(build(local, remote)) as outbox:
        real = commit(outbox, 2)
        drawn = commit(outbox, 600, simulated=True)
        last = commit(outbox, 1)
        wait_until(lambda: remote.ids == real + last)
        assert outbox.status().sinks[1].waiting == 0
    assert local.ids == real + drawn + last


def test_what_is_refused_again_and_again_is_set_aside_and_told(build, caplog) -> None:
    class Picky(RecordingSink):
        def write(self, events) -> int:
            self.tries += 1
            if events[0].slot == "bad":
                raise RefusedError("picky: 400", count=1)
            self.ids.append(events[0].id)
            return 1

    sink = Picky()
    with closing(build(sink)) as outbox:
        ids = commit(outbox, 2)
        (bad,) = commit(outbox, 1, slot="bad")
        ids += commit(outbox, 2)
        wait_until(lambda: len(sink.ids) >= 5, "the four, and the news of the fifth")
        assert outbox.status().sinks[0].refused == 1
    assert sink.ids[:4] == ids
    assert bad not in sink.ids
    assert sink.tries >= 4 + 5
    assert "events_refused" in body_of(outbox, sink.ids[4])


def body_of(outbox: StoredOutbox, event_id: str) -> str:
    with closing(sqlite3.connect(outbox._path)) as db:
        return db.execute("SELECT body FROM event WHERE number = ?", (int(event_id[-12:]),)).fetchone()[0].decode()


def test_the_loss_on_overflow_is_counted_and_told(build, tmp_path: Path, caplog) -> None:
    sink = RecordingSink()
    sink.broken = down()
    with closing(build(sink, limits=replace(LIMITS, max_bytes=20_000))) as outbox:
        ids = commit(outbox, 10) + commit(outbox, 100)
        status = outbox.status()
        assert status.lost > 0
        assert status.bytes <= 20_000 + 1_000, "the news of a loss come on top"
        sink.broken = None
        wait_until(lambda: outbox.status().sinks[0].waiting == 0)
        told = [text for text in (body_of(outbox, event_id) for event_id in stored_ids(tmp_path)) if "events_lost" in text]
        assert any("the outbox is full" in text for text in told)
    delivered = [event_id for event_id in sink.ids if event_id in ids]
    assert delivered == ids[-len(delivered) :], "the oldest went"
    assert "undelivered events are lost: the outbox is full" in caplog.text


class FixedClock:
    def __init__(self, year: int, *, is_synced: bool) -> None:
        self._year, self._synced = year, is_synced

    def mono_ns(self) -> int:
        return 0

    def utc(self) -> datetime:
        return datetime(self._year, 1, 1, tzinfo=timezone.utc)

    def synced(self) -> bool:
        return self._synced


def test_a_clock_that_cannot_be_believed_makes_nothing_old(build, tmp_path: Path) -> None:
    sink = RecordingSink()
    sink.broken = down()
    with closing(build(sink, clock=FixedClock(2020, is_synced=True))) as outbox:
        ids = commit(outbox, 3)
    with closing(build(sink, clock=FixedClock(2026, is_synced=False))) as outbox:
        ids += commit(outbox, 1)
        assert stored_ids(tmp_path) == ids
    with closing(build(sink, clock=FixedClock(2026, is_synced=True))) as outbox:
        commit(outbox, 1)
        assert outbox.status().lost == 3
        assert not set(ids[:3]) & set(stored_ids(tmp_path))


class FullDisk:
    """Lets commits of the outbox fail as SQLite does on a full disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full, self.tries = False, 0
        add: Callable = Store.add

        def fails(store: Store, rows) -> None:
            if self.full and rows:
                self.tries += 1
                raise sqlite3.OperationalError("database or disk is full")
            add(store, rows)

        monkeypatch.setattr(Store, "add", fails)


def test_on_a_full_disk_the_loop_goes_on_and_it_recovers(build, monkeypatch, caplog, tmp_path: Path) -> None:
    disk, sink = FullDisk(monkeypatch), RecordingSink()
    with closing(build(sink, limits=replace(LIMITS, memory=20))) as outbox:
        ids = commit(outbox, 2)
        disk.full = True
        during = commit(outbox, 10) + commit(outbox, 20)
        wait_until(lambda: outbox.status().trouble == "database or disk is full")
        assert outbox.status().in_memory == 20
        disk.full = False
        wait_until(lambda: outbox.status().trouble is None)
        ids += during[-18:] + commit(outbox, 2)
        wait_until(lambda: any("outbox_writable" in body_of(outbox, one) for one in sink.ids))
        lost = outbox.status().lost
    kept = [one for one in sink.ids if one in set(ids)]
    assert kept[:2] + kept[-2:] == ids[:2] + ids[-2:]
    assert kept == sorted(kept)
    assert 10 <= lost <= 13
    assert len(set(sink.ids)) == len(sink.ids)
    told = "".join(body_of(outbox, one) for one in sink.ids)
    for word in ("outbox_writable", "events_lost", "the disk was full"):
        assert word in told
    assert caplog.text.count("events wait in memory: database or disk is full") == 1
    assert "events are stored again" in caplog.text


def test_a_full_disk_is_told_with_the_reason_when_it_has_room_again(build, monkeypatch) -> None:
    disk, sink = FullDisk(monkeypatch), RecordingSink()
    with closing(build(sink)) as outbox:
        disk.full = True
        (during,) = commit(outbox, 1)
        disk.full = False
        wait_until(lambda: len(sink.ids) == 3)
        told = [body_of(outbox, one) for one in sink.ids if one != during]
    assert "outbox_unwritable" in told[0]
    assert "reason=database or disk is full" in told[0]
    assert "outbox_writable" in told[1]


def test_while_the_disk_is_full_the_loop_does_not_try_it(build, monkeypatch) -> None:
    disk = FullDisk(monkeypatch)
    with closing(build(limits=replace(LIMITS, window_s=3_600.0, disk_retry_s=3_600.0))) as outbox:
        disk.full = True
        commit(outbox, 10)
        assert (disk.tries, outbox.status().in_memory) == (1, 10)
        disk.full = False


def test_a_loss_is_counted_however_often_the_disk_is_tried(build, monkeypatch) -> None:
    disk = FullDisk(monkeypatch)
    with closing(build(limits=replace(LIMITS, memory=5))) as outbox:
        disk.full = True
        commit(outbox, 11)
        tried = disk.tries
        wait_until(lambda: disk.tries > tried + 2)
        disk.full = False
        wait_until(lambda: outbox.status().trouble is None)
        assert outbox.status().lost >= 6


def test_a_watcher_sees_what_was_stored(build, tmp_path: Path) -> None:
    seen: list[str] = []

    def watch(event: ShelfEvent) -> None:
        assert event.id in stored_ids(tmp_path)
        seen.append(event.id)

    with closing(build(watch=watch)) as outbox:
        ids = commit(outbox, 3) + commit(outbox, 3, "observation")
    assert seen == ids


def test_pauses_grow_to_a_limit_and_are_spread() -> None:
    backoff = Backoff(first_s=1.0, longest_s=60.0, refused_longest_s=300.0)
    assert [backoff.pause_s(n, refused=False, chance=0.0) for n in (1, 2, 3, 7, 5_000)] == [1, 2, 4, 60, 60]
    assert backoff.pause_s(3, refused=False, chance=0.5) == 3.0
    assert backoff.pause_s(50, refused=True, chance=0.0) == 300


def test_a_run_without_trouble_logs_nothing(build, caplog) -> None:
    caplog.set_level(logging.INFO)
    with closing(build(RecordingSink())) as outbox:
        commit(outbox, 3)
    assert caplog.text == ""
