"""A SQLite file that somebody else may have written: how it is opened, what is wrong with it, and where a damaged one goes.

Nothing of a foreign schema is ever run: it is compared, row by row, with the one that our own statements make. Sources:
https://www.sqlite.org/security.html ("Untrusted SQLite Database Files"), https://www.sqlite.org/fileformat2.html (the header).
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from edge.errors import SinkError
from edge.files import UnusableError, read_regular, sync_directory, write_atomic
from edge.text import safe_text

_LOG = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 10.0
CHECK_S = 10.0
"""So long may the check of a file take; 64 MB take less than a second, from a slow card some."""

_LOGS = ("-wal", "-shm", "-journal")
_MAGIC, _HEADER_BYTES, _VERSIONS = b"SQLite format 3\0", 100, slice(18, 20)
_LONGEST_VALUE = 128_000_000
_ELSEWHERE = frozenset({3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 21, 22, 23})
"""SQLITE_PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR FULL CANTOPEN PROTOCOL MISUSE NOLFS AUTH; their words follow."""
_ELSEWHERE_WORDS = (
    "access permission denied", "query aborted", "database is locked", "database table is locked", "database schema is locked",
    "out of memory", "attempt to write a readonly database", "interrupted", "disk I/O error", "database or disk is full",
    "unable to open database", "locking protocol", "bad parameter", "large file support", "authorization denied", "not authorized",
)  # fmt: skip
_ASIDE = ".damaged-"
_SUSPECT = ".suspect"
_KEEP = 5

Migrations = Sequence[Sequence[str]]
Rule = tuple[str, str]
"""(What is wrong, a statement that gives a row if it is)."""


class DamagedError(Exception):
    """The file is not what this program writes; the message says why."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that runs no function, trigger or view of the file's own and believes no page's sizes. Raises sqlite3.Error."""
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "cache_size = -2000"):
            db.execute(f"PRAGMA {pragma}").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        db.close()
        if isinstance(error, sqlite3.Error):
            raise
        raise sqlite3.DatabaseError("malformed database schema") from error  # SQLite quotes it, and it is no text
    if sys.version_info >= (3, 11):
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    if sys.version_info >= (3, 12):
        db.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        for off in (sqlite3.SQLITE_DBCONFIG_TRUSTED_SCHEMA, sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER):
            db.setconfig(off, False)
        db.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_VIEW, False)
    return db


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error is about the file's content, rather than a full disk, another process or a missing permission."""
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
        return False
    code = getattr(
        error, "sqlite_errorcode", None
    )  # Python 3.11; never of an error that Python itself found, of a text for example
    return code & 0xFF not in _ELSEWHERE if code is not None else not str(error).startswith(_ELSEWHERE_WORDS)


def examine(path: Path, migrations: Migrations, rules: Sequence[Rule], *, largest_bytes: int, check_s: float = CHECK_S) -> None:
    """Look at the file, in which nobody writes meanwhile. One that is not there, or empty, is in order.

    Args:
        path: the database; its logs stand beside it.
        migrations: step k leads from ``user_version`` k to k + 1.
        rules: about the rows, for a file of the last version.
        largest_bytes: a larger file that cannot be looked at in time is taken for damaged; a smaller one is believed.
        check_s: how long looking may take.

    Raises:
        DamagedError: it is not sound, not ours, or was found damaged by an earlier run.
        sqlite3.Error: it cannot be opened now (see ``is_damage``).
        OSError: nor looked at.
    """
    noted = _noted(path)
    if noted is not None:
        raise DamagedError(f"an earlier run found: {noted}")
    if not _header_is_sound(path):
        return
    opened: list[sqlite3.Connection] = []
    answer: list[Exception | None] = []
    worker = threading.Thread(target=lambda: answer.append(_fault(path, migrations, rules, opened.append)), daemon=True)
    worker.start()
    worker.join(check_s)
    if answer:
        if answer[0] is not None:
            raise answer[0]
        return
    for db in opened:
        db.interrupt()  # SQLite before 3.41 does not heed it here, and reads on beside us to the file's end
    size = sum(os.lstat(f"{path}{log}").st_size for log in ("", "-wal") if os.path.lexists(f"{path}{log}"))
    if size > largest_bytes:
        raise DamagedError(f"its {size:,} bytes cannot be checked within {check_s:g} s")
    _LOG.warning("%s: its %s bytes could not be checked within %g s", path, f"{size:,}", check_s)


def set_aside(path: Path, reason: str) -> Path:
    """Move a damaged database away, with its logs: nothing of it is lost, and a new one can begin. Says so, and how many are kept.

    Raises:
        OSError: it cannot be moved.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (f"{path.name}{_ASIDE}{stamp}{more}" for more in ("", *(f".{n}" for n in range(1, 1000))))
    target = next(path.with_name(name) for name in names if not os.path.lexists(path.with_name(name)))
    for log in ("", *_LOGS):
        with suppress(FileNotFoundError):
            Path(f"{path}{log}").rename(f"{target}{log}")
    sync_directory(path.parent)
    with suppress(OSError):
        _suspect(path).unlink()
    _LOG.warning(
        "%s: %s; it is kept as %s, and a new one begins. fix: sqlite3 %s .recover shows what is in it; then delete it",
        path, reason, target.name, target,
    )  # fmt: skip
    for old in kept_aside(path)[:-_KEEP]:
        _LOG.warning("%s: deleted: %d damaged ones are kept", old, _KEEP)
        _remove(old)
    return target


def kept_aside(path: Path) -> list[Path]:
    """What ``set_aside`` moved away from there, the oldest first; of one only a log may be there. Raises OSError."""
    prefix = path.name + _ASIDE
    if not path.parent.is_dir():
        return []
    names = {found.name for found in path.parent.iterdir() if found.name.startswith(prefix)}
    return sorted({path.with_name(re.sub(f"({'|'.join(_LOGS)})$", "", name)) for name in names})


def damaged(path: Path, error: sqlite3.Error) -> SinkError:
    """The error that ends a run in which the file turned out to be damaged, or could not be used. Damage is noted, so that the next start
    sets the file aside even if it looks sound to it, and does not end the same way again."""
    if not is_damage(error):
        return SinkError(f"{path}: {_shown(str(error))}")
    with suppress(SinkError):
        write_atomic(_suspect(path), _shown(str(error)).encode(), follow=False)
    return SinkError(f"{path}: is damaged: {_shown(str(error))}", fix="the next start sets it aside and begins a new one")


def _suspect(path: Path) -> Path:
    return path.with_name(path.name + _SUSPECT)


def _noted(path: Path) -> str | None:
    """What ``damaged`` wrote down; None: nothing, or what is there is no note of ours, which says nothing about the database."""
    try:
        return _shown(read_regular(_suspect(path)).decode(errors="replace"))
    except FileNotFoundError:
        return None
    except UnusableError as error:
        _LOG.warning("%s: %s; fix: delete it", _suspect(path), error)
        return None


def _remove(old: Path) -> None:
    for part in (old, *(Path(f"{old}{log}") for log in _LOGS)):
        with suppress(OSError):
            shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()


def _header_is_sound(path: Path) -> bool:
    """Whether there is something to look at. Raises DamagedError, OSError."""
    kinds = {log: os.lstat(f"{path}{log}") for log in ("", *_LOGS) if os.path.lexists(f"{path}{log}")}
    odd = [log for log, found in kinds.items() if not stat.S_ISREG(found.st_mode)]
    if odd:
        raise DamagedError(f"{path.name}{odd[0]} is no file")
    if "-journal" in kinds:  # ours is written ahead: such a log may be of any file, and its rollback would overwrite this one
        raise DamagedError("beside it is a rollback journal, which this program does not write")
    if "" not in kinds or kinds[""].st_size == 0:
        if "-wal" in kinds and kinds["-wal"].st_size:
            raise DamagedError("the log is there without its database")
        return False
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC) or header[_VERSIONS] not in (b"\1\1", b"\2\2"):
        raise DamagedError("it is no SQLite database of this kind")
    return True


def _fault(
    path: Path, migrations: Migrations, rules: Sequence[Rule], opened: Callable[[sqlite3.Connection], None]
) -> Exception | None:
    """What is wrong with it; None: nothing. ``opened`` is told of the connection."""
    try:
        with closing(connect(path)) as db:
            opened(db)
            return _find(db, migrations, rules)
    except sqlite3.Error as error:
        return DamagedError(_shown(str(error))) if is_damage(error) else error
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:  # of a value that Python cannot take
        return DamagedError(_shown(f"{type(error).__name__}: {error}"))


def _find(db: sqlite3.Connection, migrations: Migrations, rules: Sequence[Rule]) -> DamagedError | None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        return None  # a newer program's; whoever opens it refuses it
    found = _schema(db)
    if version < 0 or found != _schema_of(migrations[:version]):
        return DamagedError("its schema is not the one that this program makes")
    roots = [root for (root,) in db.execute("SELECT rootpage FROM sqlite_master")]
    if len(set(roots)) != len(roots) or any(type(root) is not int or root < 2 for root in roots):
        return DamagedError("two of its tables are in one place")
    (answer,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        return DamagedError(_shown(str(answer)))
    if version == len(migrations):
        broken = (what for what, statement in rules if db.execute(statement).fetchone() is not None)
        what = next(broken, None)
        return None if what is None else DamagedError(what)
    return None


def _schema(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return sorted(tuple(map(repr, row)) for row in rows)


def _schema_of(migrations: Migrations) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for step in migrations:
            for statement in step:
                db.execute(statement)
        return _schema(db)


def _shown(text: str) -> str:
    """SQLite's words, in which names from the file may stand, as one line."""
    return safe_text(" ".join(text.split()), limit=200)
