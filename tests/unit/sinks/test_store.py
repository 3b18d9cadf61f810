"""The SQLite file: one row an event, all or nothing, old schemas migrated and newer ones refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import SinkError
from edge.sinks import store as store_module
from edge.sinks.base import Snapshot
from edge.sinks.store import MIGRATIONS, Store, StoredEvent


def rows(*numbers: int) -> list[StoredEvent]:
    return [StoredEvent(number, "event", None, b"%d" % number) for number in numbers]


def opened(tmp_path: Path) -> Store:
    return Store(tmp_path / "outbox.db", durable=True)


def test_events_and_snapshot_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        with store.transaction():
            store.register({"s": True})
            store.add(rows(1, 2))
            store.set_snapshot(Snapshot("hash", b"one"))

        def fails() -> None:
            with store.transaction():
                store.add(rows(3))
                store.set_snapshot(Snapshot("hash", b"two"))
                raise KeyError

        with pytest.raises(KeyError):
            fails()
    with closing(opened(tmp_path)) as store:
        assert [body for _, body in store.undelivered("s", 0, 10)] == [b"1", b"2"]
        assert store.snapshot() == Snapshot("hash", b"one")
        assert store.fact("next") == 3


def test_an_event_that_comes_twice_is_one_row(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        with store.transaction():
            store.register({"s": True})
            store.add(rows(1, 2))
        before = store.fact("bytes")
        with store.transaction():
            store.add(rows(2))
        assert [body for _, body in store.undelivered("s", 0, 10)] == [b"1", b"2"]
        assert store.fact("bytes") == before


def test_an_event_committed_after_one_with_a_higher_number_is_delivered(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        with store.transaction():
            store.register({"s": True})
            store.add(rows(2))
        store.acknowledge("s", store.undelivered("s", 0, 1)[0][0])
        with store.transaction():
            store.add(rows(1))
        assert [body for _, body in store.undelivered("s", store.acknowledged("s"), 10)] == [b"1"]
        assert store.fact("next") == 3


def test_acknowledgements_never_move_back_and_positions_are_never_used_again(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        with store.transaction():
            store.register({"s": True})
            store.add(rows(1, 2, 3))
        store.acknowledge("s", 3)
        store.acknowledge("s", 1)
        assert store.acknowledged("s") == store.delivered_to() == 3
        with store.transaction():
            store.remove([1, 2, 3], 0)
            store.add(rows(4))
        assert [position for position, _ in store.undelivered("s", 3, 10)] == [4]


def test_a_sink_that_was_away_gets_its_backlog_and_not_what_came_meanwhile(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        for sinks, number in (
            ({"a": True, "b": True}, 1),
            ({"b": True}, 2),
            ({"a": True, "b": True, "c": True, "x:-": False}, 3),
        ):
            with store.transaction():
                store.register(sinks)
                store.add(rows(number))
        got = {key: [body for _, body in store.undelivered(key, 0, 10)] for key in ("a", "b")}
        assert got == {"a": [b"1", b"3"], "b": [b"1", b"2", b"3"]}
        new = [body for _, body in store.undelivered("c", store.acknowledged("c"), 10)]
        assert new == [b"3"], "a new sink begins now"
        assert store.waiting("a", 0) == 2
        with store.transaction():
            store.register({"x:-": False})
        assert store.undelivered("x:-", store.acknowledged("x:-"), 10) == [], "another reader, no backlog"
        assert store.delivered_to() == store.last_position(), "sinks that are away hold nothing up"


def test_a_newer_schema_is_refused_by_name_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    content = path.read_bytes()
    with pytest.raises(SinkError, match=r"outbox\.db: its schema 99 is of a newer version") as caught:
        Store(path, durable=True)
    assert "install that version" in (caught.value.fix or "")
    assert path.read_bytes() == content


def test_an_older_schema_is_migrated_with_its_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opened(tmp_path)) as store, store.transaction():
        store.register({"s": True})
        store.add(rows(1, 2))
    added = (*MIGRATIONS, ("ALTER TABLE event ADD COLUMN note TEXT", "UPDATE event SET note = 'old'"))
    monkeypatch.setattr(store_module, "MIGRATIONS", added)
    with closing(opened(tmp_path)) as store:
        assert [body for _, body in store.undelivered("s", 0, 10)] == [b"1", b"2"]
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
        assert db.execute("SELECT note FROM event").fetchall() == [("old",), ("old",)]


def test_a_migration_that_fails_halfway_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opened(tmp_path)) as store, store.transaction():
        store.register({"s": True})
        store.add(rows(1))
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "MIGRATIONS", (*MIGRATIONS, ("ALTER TABLE event ADD COLUMN note TEXT", "nonsense")))
        with pytest.raises(SinkError, match="nonsense"):
            opened(tmp_path)
    with closing(opened(tmp_path)) as store:
        assert [body for _, body in store.undelivered("s", 0, 10)] == [b"1"]


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be taken for one" * 20, b"SQLite format 3\0" + b"\xff" * 900]
)
def test_a_file_that_is_no_database_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "outbox.db").write_bytes(content)
    with pytest.raises(SinkError, match=r"outbox\.db"):
        opened(tmp_path)


def test_a_schema_whose_names_are_no_text_is_said(tmp_path: Path) -> None:
    opened(tmp_path).close()
    path = tmp_path / "outbox.db"
    path.write_bytes(path.read_bytes().replace(b"tablesinksink", b"tablesi\x80ksi\x80k"))
    with pytest.raises(SinkError, match=r"outbox\.db: cannot be opened: malformed database schema"):
        opened(tmp_path)


def test_what_is_committed_is_synced_to_the_disk_where_asked_for(tmp_path: Path) -> None:
    for durable, mode in ((True, 2), (False, 1)):
        with closing(Store(tmp_path / "outbox.db", durable=durable)) as store:
            assert store._db.execute("PRAGMA synchronous").fetchone() == (mode,)
            assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
