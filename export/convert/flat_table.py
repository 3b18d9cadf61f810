"""Write a flatbuffer from nested dictionaries: field position → value. Enough for metadata; the layout of
https://flatbuffers.dev/internals/ is left to the ``flatbuffers`` package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Table = dict[int, "Value"]


@dataclass(frozen=True, slots=True)
class Byte:
    """A field of one byte: an enum, or the kind of a union."""

    value: int


@dataclass(frozen=True, slots=True)
class Uint:
    """A field of 32 bits, unsigned."""

    value: int


@dataclass(frozen=True, slots=True)
class Float32s:
    """A vector of float32."""

    values: Sequence[float]


Value = str | Byte | Uint | Float32s | Table | Sequence[Table]
"""What a field may hold: a string, a number, a vector of floats, a table, a vector of tables."""


def finish(root: Table, identifier: bytes) -> bytes:
    """The flatbuffer whose root table is ``root``; ``identifier`` is the four bytes behind the root's offset."""
    import flatbuffers

    builder = flatbuffers.Builder()
    builder.Finish(_table(builder, root), file_identifier=identifier)
    return bytes(builder.Output())


def _table(builder: Any, table: Table) -> int:
    """Write what ``table`` points to, then the table; returns its offset. Nothing may be written while a table is open."""
    offsets = {field: _outside(builder, value) for field, value in table.items() if not isinstance(value, (Byte, Uint))}
    builder.StartObject(max(table, default=-1) + 1)
    for field, value in table.items():
        if isinstance(value, Byte):
            builder.PrependByteSlot(field, value.value, 0)
        elif isinstance(value, Uint):
            builder.PrependUint32Slot(field, value.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, offsets[field], 0)
    return int(builder.EndObject())


def _outside(builder: Any, value: Any) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, dict):
        return _table(builder, value)
    if isinstance(value, Float32s):
        builder.StartVector(4, len(value.values), 4)
        for number in reversed(value.values):
            builder.PrependFloat32(number)
        return int(builder.EndVector())
    tables = [_table(builder, item) for item in value]
    builder.StartVector(4, len(tables), 4)
    for offset in reversed(tables):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
