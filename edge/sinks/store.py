"""The SQLite file behind the outbox: its schema, and every statement that reads or writes it.

Events are numbered twice: ``number`` is the counter in their id, ``position`` the order in which they were committed. Sinks
follow positions, so an event whose id was taken early and committed late is not passed over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.errors import SinkError
from edge.sinks.base import Snapshot
from edge.sinks.database import connect

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE event (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            number INTEGER NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            kept_utc_s INTEGER,
            body BLOB NOT NULL)""",
        """CREATE TABLE sink (
            key TEXT PRIMARY KEY,
            acknowledged INTEGER NOT NULL,
            absent_since INTEGER,
            gap_from INTEGER NOT NULL DEFAULT 0,
            gap_to INTEGER NOT NULL DEFAULT 0)""",
        "CREATE TABLE snapshot (one INTEGER PRIMARY KEY CHECK (one = 1), bundle TEXT NOT NULL, body BLOB NOT NULL)",
        "CREATE TABLE fact (key TEXT PRIMARY KEY, value INTEGER NOT NULL)",
        "INSERT INTO fact VALUES ('next', 1), ('bytes', 0), ('lost', 0)",
    ),
)
"""Step k leads from schema k (PRAGMA user_version) to k + 1; an empty file has schema 0."""

ROW_BYTES = 100
"""What a row takes beside its body: keys, kind, time, its share of the index and what pages leave free. Measured with SQLite 3.40,
4 KiB pages: 57, 70, 99 and 134 for bodies of about 300, 400, 500 and 700 bytes."""

_CHUNK = 1_000
_BATCH_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event to be stored. ``kept_utc_s``: Unix time, or None where the clock could not be believed."""

    number: int
    kind: str
    kept_utc_s: int | None
    body: bytes

    @property
    def bytes(self) -> int:
        """What it counts against the limit."""
        return len(self.body) + ROW_BYTES


class Store:
    """One connection. Not thread-safe: each thread opens its own, or they take turns.

    Args:
        path: the file; made with its tables if it is not there.
        durable: a commit is on the disk before it returns (synchronous=FULL); otherwise a power cut may take the last commits
            with it, and leaves the file consistent all the same (WAL with synchronous=NORMAL).

    Raises:
        SinkError: it cannot be opened or written, is no database, or was written by a newer version.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path = path
        try:
            self._db = connect(path)
        except sqlite3.Error as error:
            raise SinkError(f"{path}: cannot be opened: {error}") from error
        try:
            self._check_schema()
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._db.execute(
                "PRAGMA wal_autocheckpoint = 0"
            )  # a checkpoint syncs twice: the outbox's keeper does it beside the loop
            self._db.execute("PRAGMA journal_size_limit = 4194304")
            self._migrate()
        except sqlite3.OperationalError as error:
            self._db.close()
            raise SinkError(f"{path}: cannot be written: {error}") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise SinkError(
                f"{path}: {error}", fix="move it away; its undelivered events and the event counter are lost"
            ) from error
        except SinkError:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the connection; the last one folds the write-ahead log into the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Raises sqlite3.OperationalError when it cannot be written; then nothing was."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, without making a writer wait."""
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def fact(self, key: str) -> int:
        """``next``: the first unused event number; ``bytes``: of all events; ``lost``: events that no sink will get."""
        return self._number("SELECT value FROM fact WHERE key = ?", key)

    def set_fact(self, key: str, value: int) -> None:
        """Within a transaction of the caller's."""
        self._db.execute("UPDATE fact SET value = ? WHERE key = ?", (value, key))

    def add(self, rows: Sequence[StoredEvent]) -> None:
        """Append events, of which one that is already there stays as it is; the counter moves past them."""
        if not rows:
            return
        added = self._db.executemany(
            "INSERT OR IGNORE INTO event (number, kind, kept_utc_s, body) VALUES (?, ?, ?, ?)",
            [(row.number, row.kind, row.kept_utc_s, row.body) for row in rows],
        )
        size = self.fact("bytes") + sum(row.bytes for row in rows)
        if added.rowcount != len(rows):  # a commit that was reported as failed, and had not: its events come again
            size = self._count_bytes()
        self.set_fact("bytes", size)
        self.set_fact("next", max(self.fact("next"), *(row.number + 1 for row in rows)))

    def recount(self) -> None:
        """Set ``bytes`` to what is there; within a transaction of the caller's."""
        self.set_fact("bytes", self._count_bytes())

    def snapshot(self) -> Snapshot | None:
        """The last one; None before the first."""
        row = self._db.execute("SELECT bundle, body FROM snapshot").fetchone()
        return Snapshot(*row) if row else None

    def set_snapshot(self, snapshot: Snapshot) -> None:
        """Replace it."""
        self._db.execute("REPLACE INTO snapshot VALUES (1, ?, ?)", (snapshot.bundle, snapshot.body))

    def register(self, sinks: Mapping[str, bool]) -> None:
        """The sinks of this run: key → whether it goes on where it was (False: it gets what comes from now on).

        A sink that left the config keeps its backlog: when it returns it gets what it had not got then, and what comes now, but
        not what was committed meanwhile.
        """
        last = self.last_position()
        known = {
            key: row for key, *row in self._db.execute("SELECT key, acknowledged, absent_since, gap_from, gap_to FROM sink")
        }
        for key, goes_on in sinks.items():
            if key not in known or not goes_on:
                self._db.execute("REPLACE INTO sink (key, acknowledged) VALUES (?, ?)", (key, last))
            elif known[key][1] is not None:
                self._db.execute(
                    "UPDATE sink SET absent_since = NULL, gap_from = absent_since, gap_to = ? WHERE key = ?", (last, key)
                )
        gone = [(last, key) for key, row in known.items() if key not in sinks and row[1] is None]
        self._db.executemany("UPDATE sink SET absent_since = ? WHERE key = ?", gone)

    def last_position(self) -> int:
        """Of the event committed last, whether or not it is still there; 0 before the first."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
        return int(row[0]) if row else 0

    def acknowledged(self, key: str) -> int:
        """The position up to which this sink has everything."""
        return self._number("SELECT acknowledged FROM sink WHERE key = ?", key)

    def acknowledge(self, key: str, position: int) -> None:
        """This sink has everything up to there; never moves back."""
        self._db.execute("UPDATE sink SET acknowledged = max(acknowledged, ?) WHERE key = ?", (position, key))

    def undelivered(self, key: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """(position, body) of the next events for this sink behind position ``after``; fewer where they are large, at least one."""
        rows = self._db.execute(
            "SELECT position, body FROM event, (SELECT gap_from, gap_to FROM sink WHERE key = ?) "
            "WHERE position > ? AND NOT (position > gap_from AND position <= gap_to) ORDER BY position LIMIT ?",
            (key, after, limit),
        )
        taken: list[tuple[int, bytes]] = []
        size = 0
        for position, body in rows:
            taken.append((position, body))
            size += len(body)
            if size > _BATCH_BYTES:
                break
        rows.close()
        return taken

    def waiting(self, key: str, after: int) -> int:
        """How many events ``undelivered`` would give without a limit."""
        return self._number(
            "SELECT count(*) FROM event, (SELECT gap_from, gap_to FROM sink WHERE key = ?) "
            "WHERE position > ? AND NOT (position > gap_from AND position <= gap_to)",
            key,
            after,
        )

    def delivered_to(self) -> int:
        """The position up to which every sink of this run has everything."""
        (position,) = self._db.execute("SELECT min(acknowledged) FROM sink WHERE absent_since IS NULL").fetchone()
        return self.last_position() if position is None else int(position)

    def oldest(self, where: str, position: int, limit: int = _CHUNK) -> list[tuple[int, int, int | None]]:
        """(position, bytes, kept_utc_s) of the oldest events; ``where`` is one of the clauses of ``edge.sinks.retention``."""
        return self._db.execute(
            f"SELECT position, length(body) + {ROW_BYTES}, kept_utc_s FROM event WHERE {where} ORDER BY position LIMIT ?",  # noqa: S608
            (position, limit),
        ).fetchall()

    def remove(self, positions: Sequence[int], freed_bytes: int) -> None:
        """Delete these events, which take ``freed_bytes``."""
        self._db.executemany("DELETE FROM event WHERE position = ?", [(position,) for position in positions])
        self.set_fact("bytes", self.fact("bytes") - freed_bytes)

    def _count_bytes(self) -> int:
        return self._number(f"SELECT CAST(total(length(body) + {ROW_BYTES}) AS INTEGER) FROM event")  # noqa: S608

    def _number(self, statement: str, *values: object) -> int:
        """Of a row that is always there. Raises sqlite3.DatabaseError where somebody took it away."""
        row = self._db.execute(statement, values).fetchone()
        if row is None or not isinstance(row[0], int):
            raise sqlite3.DatabaseError("a row that was written is not there any more")
        return row[0]

    def _check_schema(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise SinkError(
                f"{self.path}: its schema {version} is of a newer version of shelfcam; this one knows {len(MIGRATIONS)}",
                fix="install that version again, or move the file away (undelivered events are in it)",
            )
        return int(version)

    def _migrate(self) -> None:
        if self._check_schema() == len(MIGRATIONS):
            return
        with self.transaction():  # another connection may have done it meanwhile: look again, now that nobody else can write
            for step in range(self._check_schema(), len(MIGRATIONS)):
                for statement in MIGRATIONS[step]:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {step + 1}")
