"""Is a TFLite file whole, and nothing but a graph with its weights? Looked at before any runtime sees it.

tflite-runtime 2.14 follows offsets out of a cut file and dies of it. A file may also name weights in other files, data at any offset of
its own, and operators that are no TensorFlow Lite: those of a delegate or of a library. Only bounds are checked, of everything reachable
(tables, their vectors and strings), and those names. Layout: https://flatbuffers.dev/internals/ and tensorflow/lite/schema/schema.fbs
(field numbers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_TABLES = 500_000
"""A file may lead to one table along many ways; this many are looked at."""

CUSTOM_OPERATORS = frozenset({"TFLite_Detection_PostProcess"})
"""Those that the runtimes carry themselves and a shelf needs."""

# What stands behind a table's field: the bytes of one element of a vector, a table, or [a vector of tables]. Scalars lie in the
# table itself and are not named.
_Layout = Mapping[int, Any]

_STRING = 1
_BYTES, _INTS, _FLOATS, _LONGS = 1, 4, 4, 8
_QUANTIZATION: _Layout = {0: _FLOATS, 1: _FLOATS, 2: _FLOATS, 3: _LONGS}
_TENSOR: _Layout = {0: _INTS, 3: _STRING, 4: _QUANTIZATION, 7: _INTS}
_OPERATOR: _Layout = {1: _INTS, 2: _INTS, 4: {}, 5: _BYTES}
_SUBGRAPH: _Layout = {0: [_TENSOR], 1: _INTS, 2: _INTS, 3: [_OPERATOR], 4: _STRING}
_OPERATOR_CODE: _Layout = {1: _STRING}
_BUFFER: _Layout = {0: _BYTES}
_MAP: _Layout = {0: _STRING}
_MODEL: _Layout = {
    1: [_OPERATOR_CODE],
    2: [_SUBGRAPH],
    3: _STRING,
    4: [_BUFFER],
    5: _INTS,
    6: [{0: _STRING}],  # metadata
    7: [{0: [_MAP], 1: [_MAP], 2: _STRING}],  # signatures
}
_EXTERNAL_BUFFERS = (8, 9)  # of a model: vectors of groups and of buffers
_EXTERNAL_BUFFER = 10  # of a tensor: its number
_RANGES = {
    id(_BUFFER): (1, 2),
    id(_OPERATOR): (9, 10),
}  # offset and size, in bytes of the file, of data that lies behind the tables


def check_tflite(content: bytes) -> None:
    """Raises ValueError, saying what was found, if anything reachable from the model lies outside of ``content``, or if it names an
    operator that is neither built in nor one of ``CUSTOM_OPERATORS``."""
    _Walker(content).table(0, _MODEL)


class _Walker:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._tables = 0

    def table(self, pointer: int, layout: _Layout) -> None:
        """The table that the offset stored at ``pointer`` leads to."""
        self._tables += 1
        if self._tables > MAX_TABLES:
            raise ValueError(f"it leads to more than {MAX_TABLES:,} tables")
        start = pointer + self._uint(pointer, 4)
        vtable = start - int.from_bytes(self._bytes(start, 4), "little", signed=True)
        fields = (self._uint(vtable, 2) - 4) // 2
        self._bytes(start, self._uint(vtable + 2, 2))
        places = {
            field: start + offset for field in range(min(fields, 32)) if (offset := self._uint(vtable + 4 + 2 * field, 2))
        }
        for field, behind in layout.items():
            if field not in places:  # not written
                continue
            if isinstance(behind, Mapping):
                self.table(places[field], behind)
            else:
                self.vector(places[field], behind)
        self._refuse_outside(places, layout)
        if layout is _OPERATOR_CODE and 1 in places:
            self._refuse_custom(places[1])

    def vector(self, pointer: int, element: int | list[_Layout]) -> None:
        """The vector that the offset stored at ``pointer`` leads to."""
        start = pointer + self._uint(pointer, 4)
        count = self._uint(start, 4)
        self._bytes(start + 4, count * (element if isinstance(element, int) else 4))
        if not isinstance(element, int):
            for index in range(count):
                self.table(start + 4 + 4 * index, element[0])

    def _refuse_outside(self, places: Mapping[int, int], layout: _Layout) -> None:
        external = layout is _TENSOR and _EXTERNAL_BUFFER in places and self._uint(places[_EXTERNAL_BUFFER], 4)
        if layout is _MODEL:
            external = any(self._count(places[field]) for field in _EXTERNAL_BUFFERS if field in places)
        if external:
            raise ValueError("its weights lie in another file (external buffers)")
        offset, size = (
            self._uint(places[field], 8) if field in places else 0 for field in _RANGES.get(id(layout), ()) or (-1, -1)
        )
        if offset > 1 and offset + size > len(self._content):  # 0 and 1 mean: none
            raise ValueError(f"data at bytes {offset} to {offset + size} of a file of {len(self._content)}")

    def _count(self, pointer: int) -> int:
        return self._uint(pointer + self._uint(pointer, 4), 4)

    def _refuse_custom(self, pointer: int) -> None:
        start = pointer + self._uint(pointer, 4)
        raw = bytes(self._bytes(start + 4, self._uint(start, 4)))
        if raw and raw.decode("utf-8", errors="backslashreplace") not in CUSTOM_OPERATORS:
            raise ValueError(f"the custom operator {raw[:80]!r} is not one that is run")

    def _uint(self, at: int, size: int) -> int:
        return int.from_bytes(self._bytes(at, size), "little")

    def _bytes(self, at: int, size: int) -> memoryview:
        if at < 0 or at + size > len(self._content):
            raise ValueError(f"cut: bytes {at} to {at + size} of a file of {len(self._content)}")
        return memoryview(self._content)[at : at + size]
