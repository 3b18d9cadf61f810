"""What must hold of the rows of an outbox of the newest schema: types, which SQLite leaves to the writer, and numbers that the next event
can still be counted by. Each rule is (what is wrong, a statement that gives a row if it is); see ``edge.sinks.database``.
"""

from __future__ import annotations

from edge.events import LAST_NUMBER

ROW_LONGEST_BYTES, SNAPSHOT_LONGEST_BYTES = 4_000_000, 100_000_000
"""Of an event and of the shelf's state; both are far larger than any that this program makes."""

_MOST = 2**53
_LAST = "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence)"


def _outside(column: str, low: int, high: int | str, *, null: bool = False) -> str:
    allowed = "typeof({0}) NOT IN ('integer', 'null')" if null else "typeof({0}) IS NOT 'integer'"
    return f"({allowed.format(column)} OR {column} NOT BETWEEN {low} AND {high})"


def _no(column: str, type_: str, longest: int) -> str:
    return f"(typeof({column}) IS NOT '{type_}' OR length({column}) > {longest})"


_EVENT = " OR ".join(
    (
        _outside("position", 1, LAST_NUMBER),
        _outside("number", 1, LAST_NUMBER),
        _no("kind", "text", 32),
        _outside("kept_utc_s", 0, _MOST, null=True),
        f"typeof(body) NOT IN ('blob', 'text') OR length(body) > {ROW_LONGEST_BYTES}",  # a text is no event, and does not stop others
    )
)
_SINK = " OR ".join(
    (
        _no("key", "text", 10_000),
        _outside("acknowledged", 0, _LAST),
        _outside("absent_since", 0, _LAST, null=True),
        _outside("gap_from", 0, _LAST),
        _outside("gap_to", 0, _LAST),
    )
)
_COUNTERS = (
    f"EXISTS (SELECT 1 FROM fact WHERE {_outside('value', -_MOST, _MOST)})",  # noqa: S608
    "(SELECT count(*) FROM fact) <> 3 OR (SELECT count(*) FROM fact WHERE key IN ('next', 'bytes', 'lost')) <> 3",
    f"EXISTS (SELECT 1 FROM fact WHERE key = 'next' AND {_outside('value', 1, LAST_NUMBER)})",  # noqa: S608
    "(SELECT value FROM fact WHERE key = 'next') <= (SELECT coalesce(max(number), 0) FROM event)",
    "(SELECT value FROM fact WHERE key = 'lost') < 0",
)
_ORDER = (
    f"EXISTS (SELECT 1 FROM sqlite_sequence WHERE name IS NOT 'event' OR {_outside('seq', 0, LAST_NUMBER)})",  # noqa: S608
    "(SELECT count(*) FROM sqlite_sequence) > 1",
    f"(SELECT coalesce(max(position), 0) FROM event) > {_LAST}",  # noqa: S608
)

RULES: tuple[tuple[str, str], ...] = (
    ("an event is not of the shape that this program writes", f"SELECT 1 FROM event WHERE {_EVENT} LIMIT 1"),  # noqa: S608
    ("its order of events is not believable", f"SELECT 1 WHERE {' OR '.join(_ORDER)}"),
    ("its counters are not believable", f"SELECT 1 WHERE {' OR '.join(_COUNTERS)}"),
    ("what it knows of a sink is not believable", f"SELECT 1 FROM sink WHERE {_SINK} LIMIT 1"),  # noqa: S608
    (
        "its state of the shelf is not of the shape that this program writes",
        f"SELECT 1 FROM snapshot WHERE one IS NOT 1 OR {_no('bundle', 'text', 1_000)} "  # noqa: S608
        f"OR {_no('body', 'blob', SNAPSHOT_LONGEST_BYTES)} LIMIT 1",
    ),
)
