"""An outbox that somebody damaged or tampered with: it is kept, said, and begun anew, and no event id is used twice."""

from __future__ import annotations

import os
import random
import socket
import sqlite3
import stat
import struct
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edge.doctor.access import damaged_outboxes
from edge.errors import SinkError
from edge.events import LAST_NUMBER, EventFactory, NumberReserve, number_by_time, number_of
from edge.sinks import database
from edge.sinks.committer import OutboxLimits
from edge.sinks.database import DamagedError, examine, kept_aside
from edge.sinks.delivery import Backoff
from edge.sinks.outbox import StoredOutbox
from edge.sinks.rules import RULES
from edge.sinks.store import MIGRATIONS, Store, StoredEvent
from tests.fakes.events import UTC, RecordingSink
from tests.fakes.patience import patience_s, wait_until

LIMITS = OutboxLimits(window_s=0.02, drain_s=5.0)
QUICK = Backoff(first_s=0.01, longest_s=0.05)
SQL = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM event; END",
    "a trigger without an end": "CREATE TRIGGER t AFTER UPDATE ON fact BEGIN "
    "INSERT INTO sink (key, acknowledged) SELECT hex(randomblob(9)), 1 FROM event a, event b, event c; END",
    "a view": "CREATE VIEW v AS SELECT * FROM event",
    "a view in a table's place": "DROP TABLE snapshot; CREATE VIEW snapshot AS SELECT 1 AS one, 'b' AS bundle, x'00' AS body",
    "an endless view in a table's place": "DROP TABLE fact; CREATE VIEW fact AS WITH RECURSIVE n(i) AS "
    "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 'next' AS key, i AS value FROM n WHERE i < 0",
    "a generated column": "ALTER TABLE event ADD COLUMN more TEXT GENERATED ALWAYS AS (hex(zeroblob(1000000000)))",
    "a column more": "ALTER TABLE sink ADD COLUMN more TEXT",
    "a table more": "CREATE TABLE more (a)",
    "a virtual table": "CREATE VIRTUAL TABLE more USING fts5(a)",
    "an index more": "CREATE INDEX more ON event (abs(number))",
    "an index of another table's name": 'CREATE INDEX "event more" ON event (kind)',
    "a table less": "DROP TABLE sink",
    "a table of other columns": "DROP TABLE fact; CREATE TABLE fact (key TEXT, value)",
    "a check that never ends": "DROP TABLE fact; CREATE TABLE fact (key TEXT PRIMARY KEY, value INTEGER NOT NULL "
    "CHECK (length(hex(zeroblob(100000000))) > value))",
    "statistics": "ANALYZE",
    "no version": "PRAGMA user_version = 0",
    "a version before the first": "PRAGMA user_version = -1",
    "an absurd version below": "PRAGMA user_version = -2147483648",
    "the highest position": "UPDATE sqlite_sequence SET seq = 9223372036854775807",
    "a position that is too high": f"UPDATE sqlite_sequence SET seq = {LAST_NUMBER + 1}",
    "a negative position": "UPDATE sqlite_sequence SET seq = -1",
    "a position behind the events": "UPDATE sqlite_sequence SET seq = 1",
    "a position of text": "UPDATE sqlite_sequence SET seq = 'many'",
    "no position": "UPDATE sqlite_sequence SET seq = NULL",
    "a position that is a number and more": "UPDATE sqlite_sequence SET seq = 1e300",
    "positions of another table": "INSERT INTO sqlite_sequence VALUES ('sink', 5)",
    "positions twice": "INSERT INTO sqlite_sequence VALUES ('event', 5)",
    "positions lost": "DELETE FROM sqlite_sequence",
    "the highest counter": "UPDATE fact SET value = 9223372036854775807 WHERE key = 'next'",
    "a counter that is too high": f"UPDATE fact SET value = {LAST_NUMBER + 1} WHERE key = 'next'",
    "a negative counter": "UPDATE fact SET value = -5 WHERE key = 'next'",
    "a counter of nothing": "UPDATE fact SET value = 0 WHERE key = 'next'",
    "a counter that runs backwards": "UPDATE fact SET value = 2 WHERE key = 'next'",
    "a counter of text": "UPDATE fact SET value = 'x' WHERE key = 'next'",
    "a counter of bytes": "UPDATE fact SET value = x'ff' WHERE key = 'next'",
    "a counter with a point": "UPDATE fact SET value = 4.5 WHERE key = 'next'",
    "no counter": "DELETE FROM fact WHERE key = 'next'",
    "a counter more": "INSERT INTO fact VALUES ('more', 1)",
    "a size of text": "UPDATE fact SET value = 'x' WHERE key = 'bytes'",
    "the largest size": "UPDATE fact SET value = 9223372036854775807 WHERE key = 'bytes'",
    "a negative loss": "UPDATE fact SET value = -1 WHERE key = 'lost'",
    "a number of text": "UPDATE event SET number = 'two' WHERE number = 2",
    "a number of bytes": "UPDATE event SET number = x'00ff' WHERE number = 2",
    "a number that is negative": "UPDATE event SET number = -2 WHERE number = 2",
    "the highest number": "UPDATE event SET number = 9223372036854775807 WHERE number = 2",
    "a kind of bytes": "UPDATE event SET kind = x'00' WHERE number = 2",
    "a long kind": "UPDATE event SET kind = hex(zeroblob(100)) WHERE number = 2",
    "a time of text": "UPDATE event SET kept_utc_s = 'noon' WHERE number = 2",
    "the last time": "UPDATE event SET kept_utc_s = 9223372036854775807 WHERE number = 2",
    "a body that is a number": "UPDATE event SET body = 5 WHERE number = 2",
    "a huge body": "UPDATE event SET body = zeroblob(5000000) WHERE number = 2",
    "a sink without a position": "UPDATE sink SET acknowledged = 'x'",
    "a sink that is ahead": "UPDATE sink SET acknowledged = 99",
    "a sink at the end": "UPDATE sink SET acknowledged = 9223372036854775807",
    "a sink behind the beginning": "UPDATE sink SET acknowledged = -1",
    "a gap of text": "UPDATE sink SET gap_to = 'x'",
    "an absence of text": "UPDATE sink SET absent_since = 'x'",
    "a sink without a name": "INSERT INTO sink (key, acknowledged) VALUES (NULL, 0)",
    "a sink of bytes": "INSERT INTO sink (key, acknowledged) VALUES (x'ff', 0)",
    "a state of text": "UPDATE snapshot SET body = 'x'",
    "a bundle of bytes": "UPDATE snapshot SET bundle = x'ff'",
}


def build(directory: Path, sink: RecordingSink | None = None) -> StoredOutbox:
    outbox = StoredOutbox(directory, {"s": sink or RecordingSink()}, bundle="hash", live=True, limits=LIMITS, backoff=QUICK)
    factory = EventFactory("cam", "b@1", "m/c", outbox.counter)
    outbox.tell_by(lambda type_, flags: factory.status(type_, UTC, flags, simulated=False))
    outbox.make = lambda: factory.status("changed", UTC, (), simulated=False)  # type: ignore[attr-defined]
    return outbox


def commit(outbox: StoredOutbox, count: int) -> list[str]:
    ids = []
    for _ in range(count):
        event = outbox.make()
        outbox.commit([event], b"state")
        ids.append(event.id)
    return ids


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """Of the events in ``tmp_path``/outbox.db, which is closed."""
    with closing(build(tmp_path)) as outbox:
        return commit(outbox, 3)


def begins_anew(directory: Path, before: list[str], reason: str = "") -> Path:
    """What was set aside; after a run over the damage, and one more that finds nothing wrong any more."""
    sink = RecordingSink()
    events = []
    with closing(build(directory, sink)) as outbox:
        sink.write = lambda batch: (events.extend(batch), len(batch))[1]
        after = commit(outbox, 3)
        wait_until(lambda: any(event.type == "outbox_damaged" for event in events), "it is told")
        wait_until(lambda: {event.id for event in events} >= set(after), "what comes is delivered")
        told = next(event for event in events if event.type == "outbox_damaged")
    (kept,) = kept_aside(directory / "outbox.db")
    assert told.flags[0] == f"kept={kept.name}"
    assert reason in told.flags[1]
    numbers = [number_of(event.id) for event in events]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) > max(map(number_of, before), default=0), "no id is used twice"
    assert max(numbers) < LAST_NUMBER // 2, "and there is room for more"
    with closing(build(directory)) as outbox:
        assert number_of(outbox.make().id) == max(numbers) + 1, "from there on it counts as ever"
    assert kept_aside(directory / "outbox.db") == [kept]
    return kept


@pytest.mark.parametrize("what", SQL)
def test_a_tampered_file_is_set_aside_and_begun_anew(tmp_path: Path, ids: list[str], what: str, caplog) -> None:
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        db.executescript(SQL[what])
    content = (tmp_path / "outbox.db").read_bytes()
    kept = begins_anew(tmp_path, ids)
    assert kept.read_bytes() == content, "nothing of it is lost"
    assert f"{kept} .recover" in caplog.text


def writable(statement: str) -> Callable[[Path], None]:
    def tamper(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.executescript(f"PRAGMA writable_schema = ON; {statement}")

    return tamper


def overwrite(offset: int, content: bytes) -> Callable[[Path], None]:
    def tamper(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(content)

    return tamper


def foreign_log(path: Path) -> None:
    """The log of another database, which has pages of the same size."""
    other = path.with_name("other.db")
    db = sqlite3.connect(other, isolation_level=None)
    db.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(9000))"
    )
    path.with_name("outbox.db-wal").write_bytes(Path(f"{other}-wal").read_bytes())
    db.close()
    for left in path.parent.glob("other.db*"):
        left.unlink()


FILES: dict[str, Callable[[Path], object]] = {
    "two tables in one place": writable(
        "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'sink') WHERE name = 'fact'"
    ),
    "a table nowhere": writable("UPDATE sqlite_master SET rootpage = 0 WHERE name = 'event'"),
    "a table behind the end": writable("UPDATE sqlite_master SET rootpage = 4000000 WHERE name = 'event'"),
    "a statement that is none": writable("UPDATE sqlite_master SET sql = 'CREATE TABLE event (\x1b[31m' WHERE name = 'event'"),
    "a schema without its text": writable("UPDATE sqlite_master SET sql = NULL WHERE name = 'fact'"),
    "a wrong page": overwrite(4096, random.Random(1).randbytes(4096)),
    "zeros": overwrite(4096, bytes(4096)),
    "a wrong first page": overwrite(100, b"\xff" * 3000),
    "no database": lambda path: path.write_bytes(b"no database at all, but long enough to be taken for one" * 100),
    "a word": lambda path: path.write_bytes(b"SQLite"),
    "a header alone": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "a truncated page": lambda path: os.truncate(path, 5000),
    "a truncated end": lambda path: os.truncate(path, path.stat().st_size - 4096),
    "a header of nonsense": overwrite(16, b"\xff" * 84),
    "a page size of nonsense": overwrite(16, struct.pack(">H", 3)),
    "a version that may only be read": overwrite(18, b"\x03\x01"),
    "a format of the future": overwrite(44, struct.pack(">I", 99)),
    "another encoding": overwrite(56, struct.pack(">I", 2)),
    "a free list of nonsense": overwrite(32, struct.pack(">II", 2, 7)),
    "a directory": lambda path: (path.unlink(), path.mkdir(), (path / "in it").write_text("x")),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a socket": lambda path: (path.unlink(), _socket(path)),
    "a link to nowhere": lambda path: (path.unlink(), path.symlink_to("/nonexistent/outbox.db")),
    "a link to itself": lambda path: (path.unlink(), path.symlink_to(path)),
    "a log of another database": foreign_log,
    "a log that is a directory": lambda path: path.with_name("outbox.db-wal").mkdir(),
    "a log that is a pipe": lambda path: os.mkfifo(path.with_name("outbox.db-wal")),
    "an index of the log that is a link": lambda path: path.with_name("outbox.db-shm").symlink_to(path.parent / "victim"),
    "a rollback journal": lambda path: path.with_name("outbox.db-journal").write_bytes(
        b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" * 600
    ),
    "a rollback journal that is a pipe": lambda path: os.mkfifo(path.with_name("outbox.db-journal")),
    "a log without its database": lambda path: (path.unlink(), path.with_name("outbox.db-wal").write_bytes(b"x" * 5000)),
}


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("what", FILES)
def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, ids: list[str], what: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"somebody's own")
    FILES[what](tmp_path / "outbox.db")
    kept = begins_anew(tmp_path, ids)
    assert "\x1b" not in kept.name
    assert victim.read_bytes() == b"somebody's own"


def test_a_link_is_neither_followed_nor_written_through(tmp_path: Path, ids: list[str]) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    (tmp_path / "outbox.db").rename(elsewhere)
    (tmp_path / "outbox.db").symlink_to(elsewhere)
    content = elsewhere.read_bytes()
    kept = begins_anew(tmp_path, ids, "is no file")
    assert kept.is_symlink()
    assert elsewhere.read_bytes() == content
    assert stat.S_ISREG((tmp_path / "outbox.db").lstat().st_mode)


def test_random_damage_ends_in_a_start_of_some_kind(tmp_path: Path) -> None:
    """What the check does not find does no harm: the run goes on, or ends by name and is begun anew."""
    (tmp_path / "whole").mkdir()
    with closing(build(tmp_path / "whole")) as outbox:
        commit(outbox, 40)
    whole = (tmp_path / "whole" / "outbox.db").read_bytes()
    chance = random.Random(12)
    for number in range(60):
        place = tmp_path / str(number)
        place.mkdir()
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30, 300))):
            at = chance.randrange(len(damaged))
            if 60 <= at < 64:  # another version is another matter
                continue
            damaged[at] = chance.randrange(256)
        (place / "outbox.db").write_bytes(damaged)
        last = ""
        for _ in range(2):  # at the second start at the latest
            try:
                with closing(build(place)) as outbox:
                    commit(outbox, 3)
            except SinkError as error:
                last = str(error)
                assert "outbox.db" in last
            else:
                break
        else:
            raise AssertionError(f"case {number} does not start again: {last}")


def test_an_empty_or_missing_file_goes_on_above_what_was_used(tmp_path: Path, ids: list[str]) -> None:
    for lose in (lambda: os.truncate(tmp_path / "outbox.db", 0), (tmp_path / "outbox.db").unlink):
        lose()
        with closing(build(tmp_path)) as outbox:
            more = commit(outbox, 2)
        assert min(map(number_of, more)) > max(map(number_of, ids))
        ids += more
    assert kept_aside(tmp_path / "outbox.db") == []


@pytest.mark.parametrize("reserve", [None, "garbage", "-5", str(2**63), "9" * 100, "directory", "pipe"])
def test_without_a_reserve_numbers_go_on_by_the_time(tmp_path: Path, ids: list[str], reserve: str | None) -> None:
    path = tmp_path / "event_numbers"
    path.unlink()
    if reserve == "directory":
        path.mkdir()
    elif reserve == "pipe":
        os.mkfifo(path)
    elif reserve is not None:
        path.write_text(reserve)
    (tmp_path / "outbox.db").write_bytes(b"nonsense")
    begins_anew(tmp_path, ids)
    assert number_of(ids[0]) == 1
    with closing(build(tmp_path)) as outbox:
        assert outbox.first_number > number_by_time(datetime(2025, 1, 1, tzinfo=timezone.utc).timestamp())


def test_a_reserve_is_always_ahead_and_seldom_written(tmp_path: Path) -> None:
    reserve = NumberReserve(tmp_path)
    written = set()
    for number in range(1, 1_000_000, 997):
        reserve.cover(number)
        again = NumberReserve(tmp_path)
        assert again.known is not None
        assert again.known > number
        written.add(again.known)
    assert len(written) < 25
    NumberReserve(tmp_path).cover(LAST_NUMBER)
    assert NumberReserve(tmp_path).known == LAST_NUMBER


def test_numbers_by_time_are_above_those_of_an_earlier_loss_and_keep_twelve_digits() -> None:
    first = number_by_time(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp())
    later = number_by_time(datetime(2026, 1, 2, tzinfo=timezone.utc).timestamp())
    assert later - first == 86_400 * 100
    assert len(str(number_by_time(datetime(2100, 1, 1, tzinfo=timezone.utc).timestamp()))) <= 12
    assert number_by_time(-5.0) == 1
    assert number_by_time(1e15) < LAST_NUMBER


def test_damage_that_is_met_while_running_is_set_aside_at_the_next_start(tmp_path: Path, ids: list[str]) -> None:
    outbox = build(tmp_path)
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        db.execute("DROP TABLE event")

    def fails() -> None:
        wait_until(lambda: commit(outbox, 1) is None, "an error")

    with pytest.raises(SinkError, match=r"outbox\.db: is damaged: no such table") as caught:
        fails()
    assert "next start" in (caught.value.fix or "")
    with pytest.raises(SinkError, match=r"outbox\.db"):
        outbox.close()
    begins_anew(tmp_path, ids)


def test_damage_that_no_check_finds_does_not_end_every_start(tmp_path: Path, ids: list[str]) -> None:
    database.damaged(tmp_path / "outbox.db", sqlite3.DatabaseError("database disk image is malformed"))
    begins_anew(tmp_path, ids, "an earlier run found: database disk image is malformed")


@pytest.mark.parametrize("kind", ["directory", "pipe", "link", "large file"])
def test_what_is_no_note_of_damage_neither_ends_every_start_nor_costs_events(
    tmp_path: Path, ids: list[str], kind: str, caplog
) -> None:
    note = tmp_path / "outbox.db.suspect"
    {
        "directory": note.mkdir,
        "pipe": lambda: os.mkfifo(note),
        "link": lambda: note.symlink_to(tmp_path),
        "large file": lambda: note.write_bytes(b"x" * 2_000_000),
    }[kind]()
    with closing(build(tmp_path)) as outbox:
        assert min(map(number_of, commit(outbox, 1))) == max(map(number_of, ids)) + 1
    assert kept_aside(tmp_path / "outbox.db") == []
    assert "outbox.db.suspect: " in caplog.text
    (tmp_path / "outbox.db").write_bytes(b"x" * 200)
    with closing(build(tmp_path)) as outbox:
        commit(outbox, 1)
    assert len(kept_aside(tmp_path / "outbox.db")) == 1


def test_a_newer_file_is_refused_and_never_set_aside(tmp_path: Path, ids: list[str]) -> None:
    for version in (len(MIGRATIONS) + 1, 2**31 - 1):
        with closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
            db.executescript(f"CREATE TABLE IF NOT EXISTS more (a); PRAGMA user_version = {version}")
        with pytest.raises(SinkError, match="newer version of shelfcam"):
            build(tmp_path)
        assert kept_aside(tmp_path / "outbox.db") == []


def test_a_file_that_another_process_holds_is_not_set_aside(tmp_path: Path, ids: list[str], monkeypatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as other:
        other.executescript("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE fact SET value = value")
        with pytest.raises(SinkError, match="locked"):
            build(tmp_path)
        other.execute("ROLLBACK")
    assert kept_aside(tmp_path / "outbox.db") == []
    with closing(build(tmp_path)) as outbox:
        assert outbox.first_number == number_of(ids[-1]) + 1


def test_what_cannot_be_checked_in_time_is_believed_unless_it_is_larger_than_it_can_be(
    tmp_path: Path, ids, monkeypatch, caplog
) -> None:
    hold = threading.Event()
    find = database._find
    monkeypatch.setattr(database, "_find", lambda *args: (hold.wait(patience_s()), find(*args))[1])
    look = {"migrations": MIGRATIONS, "rules": RULES, "check_s": 0.05}
    examine(tmp_path / "outbox.db", **look, largest_bytes=10**9)
    assert "could not be checked" in caplog.text
    with pytest.raises(DamagedError, match="cannot be checked within"):
        examine(tmp_path / "outbox.db", **look, largest_bytes=1_000)
    hold.set()


def test_five_damaged_ones_are_kept_and_the_rest_is_said(tmp_path: Path, caplog) -> None:
    path = tmp_path / "outbox.db"
    for number in range(7):
        path.write_bytes(b"nonsense %d" % number)
        database.set_aside(path, "test")
    kept = kept_aside(path)
    assert len(kept) == 5
    assert {one.read_bytes() for one in kept} <= {b"nonsense %d" % number for number in range(7)}
    assert caplog.text.count("deleted: 5 damaged ones are kept") == 2


def test_a_wrong_sum_deletes_nothing(tmp_path: Path) -> None:
    sink = RecordingSink()
    sink.broken = OSError("down")
    with closing(Store(tmp_path / "outbox.db", durable=True)) as store, store.transaction():
        store.register({"s": True})
        store.add([StoredEvent(number, "event", None, b"x" * 100) for number in range(1, 50)])
        store.set_fact("bytes", 2**50)
    with closing(build(tmp_path)) as outbox:
        commit(outbox, 1)
        assert outbox.status().lost == 0
        assert outbox.status().bytes < 100_000


def test_large_events_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "outbox.db", durable=False)) as store:
        with store.transaction():
            store.register({"s": True})
            store.add([StoredEvent(number, "event", None, bytes(3_900_000)) for number in range(1, 6)])
        assert len(store.undelivered("s", 0, 500)) == 3
        assert len(store.undelivered("s", 3, 500)) == 2


def test_the_doctor_shows_what_is_kept(tmp_path: Path) -> None:
    assert list(damaged_outboxes(tmp_path)) == []
    assert list(damaged_outboxes(tmp_path / "none")) == []
    (tmp_path / "outbox.db").write_bytes(b"nonsense")
    kept = database.set_aside(tmp_path / "outbox.db", "test")
    (line,) = damaged_outboxes(tmp_path)
    assert (line.area, line.status) == ("outbox", "warn")
    assert kept.name in line.found
    assert ".recover" in (line.fix or "")


def test_a_full_disk_or_another_process_is_no_damage() -> None:
    """As Python before 3.11 tells them: by words alone."""
    for words in ("database or disk is full", "database is locked", "disk I/O error", "unable to open database file: x"):
        assert not database.is_damage(sqlite3.OperationalError(words))
    for words in (
        "no such table: event",
        "Could not decode to UTF-8 column",
        "malformed database schema",
        "cannot modify v because it is a view",
    ):
        assert database.is_damage(sqlite3.OperationalError(words))
    assert database.is_damage(sqlite3.DatabaseError("database disk image is malformed"))
    assert database.is_damage(sqlite3.IntegrityError("CHECK constraint failed"))
    assert not database.is_damage(sqlite3.ProgrammingError("Cannot operate on a closed database."))


def test_the_schema_is_not_trusted_on_any_connection(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "outbox.db", durable=True)) as store:
        assert store._db.execute("PRAGMA trusted_schema").fetchone() == (0,)
        assert store._db.execute("PRAGMA cell_size_check").fetchone() == (1,)
        if hasattr(store._db, "getconfig"):
            assert store._db.getconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE)
            assert not store._db.getconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER)
