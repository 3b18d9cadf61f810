"""Is a TFLite file whole? tflite-runtime 2.14 follows offsets out of a cut file and dies of it; LiteRT checks them itself.

Only bounds are checked, of everything reachable: tables, their vectors and strings. Layout:
https://flatbuffers.dev/internals/ and tensorflow/lite/schema/schema.fbs (field numbers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What stands behind a table's field: the bytes of one element of a vector, a table, or [a vector of tables]. Scalars lie in the
# table itself and are not named.
_Layout = Mapping[int, Any]

_STRING = 1
_BYTES, _INTS, _FLOATS, _LONGS = 1, 4, 4, 8
_QUANTIZATION: _Layout = {0: _FLOATS, 1: _FLOATS, 2: _FLOATS, 3: _LONGS}
_TENSOR: _Layout = {0: _INTS, 3: _STRING, 4: _QUANTIZATION, 7: _INTS}
_OPERATOR: _Layout = {1: _INTS, 2: _INTS, 4: {}, 5: _BYTES}
_SUBGRAPH: _Layout = {0: [_TENSOR], 1: _INTS, 2: _INTS, 3: [_OPERATOR], 4: _STRING}
_MAP: _Layout = {0: _STRING}
_MODEL: _Layout = {
    1: [{1: _STRING}],  # operator codes
    2: [_SUBGRAPH],
    3: _STRING,
    4: [{0: _BYTES}],  # buffers
    5: _INTS,
    6: [{0: _STRING}],  # metadata
    7: [{0: [_MAP], 1: [_MAP], 2: _STRING}],  # signatures
}


def check_whole(content: bytes) -> None:
    """Raises ValueError if anything reachable from the model lies outside of ``content``."""
    _Walker(content).table(0, _MODEL)


class _Walker:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def table(self, pointer: int, layout: _Layout) -> None:
        """The table that the offset stored at ``pointer`` leads to."""
        start = pointer + self._uint(pointer, 4)
        vtable = start - int.from_bytes(self._bytes(start, 4), "little", signed=True)
        fields = (self._uint(vtable, 2) - 4) // 2
        self._bytes(start, self._uint(vtable + 2, 2))
        for field, behind in layout.items():
            offset = self._uint(vtable + 4 + 2 * field, 2) if field < fields else 0
            if offset == 0:  # not written
                continue
            if isinstance(behind, Mapping):
                self.table(start + offset, behind)
            else:
                self.vector(start + offset, behind)

    def vector(self, pointer: int, element: int | list[_Layout]) -> None:
        """The vector that the offset stored at ``pointer`` leads to."""
        start = pointer + self._uint(pointer, 4)
        count = self._uint(start, 4)
        self._bytes(start + 4, count * (element if isinstance(element, int) else 4))
        if not isinstance(element, int):
            for index in range(count):
                self.table(start + 4 + 4 * index, element[0])

    def _uint(self, at: int, size: int) -> int:
        return int.from_bytes(self._bytes(at, size), "little")

    def _bytes(self, at: int, size: int) -> memoryview:
        if at < 0 or at + size > len(self._content):
            raise ValueError(f"cut: bytes {at} to {at + size} of a file of {len(self._content)}")
        return memoryview(self._content)[at : at + size]
