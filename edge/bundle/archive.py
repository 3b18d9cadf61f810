"""A zip that a stranger made, read without trusting it: what its directory says is checked before a byte is inflated, and never more is
inflated than it said.

Python's ``zipfile`` makes an object of each directory entry and follows sizes and offsets wherever they lead; here an archive has few
members, no two of which overlap (so that a small file cannot be listed a thousand times), stored or deflated, not encrypted, not in
several parts, and nothing before, between or behind what belongs to it that matters. Layout: APPNOTE.TXT 6.3.10 of PKWARE.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from edge.errors import BundleError

_END = struct.Struct("<4s4H2IH")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_ENTRY_MAX_BYTES = 1_000  # of a directory entry with its name and extra fields
_CHUNK_BYTES = 1 << 18
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1 | 0x40 | 0x2000


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of the directory; ``size``: inflated; ``at``: where its local header begins."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    at: int


class Archive:
    """The zip in ``file``, which is seekable and stays open. ``members`` by name, in the order of the directory.

    Args:
        file: what to read.
        name: what errors call it.
        max_members: more are refused.

    Raises:
        BundleError: no zip, or one that is not plain; names the member.
        OSError: it cannot be read.
    """

    def __init__(self, file: BinaryIO, name: str, *, max_members: int) -> None:
        self._file, self._name = file, name
        start, entries = self._end(max_members)
        self.members: dict[str, Member] = {}
        for member in self._directory(start, entries):
            if member.name in self.members:
                raise self._refused(f"{member.name!r} stands twice in the zip")
            self.members[member.name] = member
        self._starts = self._refuse_overlaps(start)

    def chunks(self, member: Member) -> Iterator[bytes]:
        """The content in pieces of at most 256 KB, together exactly ``size`` bytes with the checksum that the directory gives.

        Raises:
            BundleError: it is damaged, or inflates to more or less.
        """
        crc, left = 0, member.size
        for piece in self._packed(member) if member.method == _STORED else self._inflated(member):
            left -= len(piece)
            if left < 0:
                raise self._refused(f"{member.name!r} inflates beyond its declared {member.size:,} bytes")
            crc = zlib.crc32(piece, crc)
            yield piece
        if left or crc != member.crc:
            raise self._refused(f"{member.name!r} is damaged: its length or checksum is wrong")

    def read(self, member: Member) -> bytearray:
        """The whole content; the caller has looked at ``size``. Raises BundleError."""
        content = bytearray()
        for piece in self.chunks(member):
            content += piece
        return content

    def _packed(self, member: Member) -> Iterator[bytes]:
        self._file.seek(self._starts[member.name])
        left = member.packed
        while left:
            packed = self._file.read(min(left, _CHUNK_BYTES))
            if not packed:
                raise self._refused("not a readable zip: cut short")
            left -= len(packed)
            yield packed

    def _inflated(self, member: Member) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for packed in self._packed(member):
                while packed and not inflate.eof:
                    yield inflate.decompress(packed, _CHUNK_BYTES)
                    packed = inflate.unconsumed_tail
            while not inflate.eof and (rest := inflate.decompress(b"", _CHUNK_BYTES)):
                yield rest
        except zlib.error as error:
            raise self._refused(f"{member.name!r} is damaged: {error}") from error
        if not inflate.eof:
            raise self._refused(f"{member.name!r} is damaged: it does not end")

    def _end(self, max_members: int) -> tuple[int, int]:
        """(Where the directory starts, its entries). The end record is where it belongs, at the end: no comment, no zip64."""
        size = self._file.seek(0, 2)
        at = size - _END.size
        if at < 0:
            raise self._refused("not a readable zip")
        signature, disk, first, here, entries, directory_bytes, start, comment = _END.unpack(self._read(at, _END.size))
        if signature != b"PK\x05\x06":
            raise self._refused("not a readable zip: it does not end like one")
        if disk or first or here != entries or comment:
            raise self._refused("not a readable zip: in several parts, or with a comment")
        if entries > max_members:
            raise self._refused(f"{entries:,} entries in the zip, at most {max_members:,} belong there")
        if directory_bytes > entries * _ENTRY_MAX_BYTES or start + directory_bytes != at:
            raise self._refused("the zip's directory is not where and as large as it says")
        return start, entries

    def _directory(self, at: int, entries: int) -> Iterator[Member]:
        for _ in range(entries):
            fields = _ENTRY.unpack(self._read(at, _ENTRY.size))
            signature, _, _, flags, method, _, _, crc, packed, size, name_bytes, extra, comment, disk, _, mode, start = fields
            raw = self._read(at + _ENTRY.size, name_bytes)
            at += _ENTRY.size + name_bytes + extra + comment
            name = raw.decode("utf-8" if flags & 0x800 else "cp437", errors="replace")
            if signature != b"PK\x01\x02" or disk:
                raise self._refused("not a readable zip: its directory is damaged")
            if flags & _ENCRYPTED:
                raise self._refused(f"{name!r} is encrypted")
            if method not in (_STORED, _DEFLATED):
                raise self._refused(f"{name!r} is packed by method {method}; stored and deflated can be read")
            if packed > size + size // 100 + 1_000:  # deflate adds 5 bytes a block at most; more is there to cost time
                raise self._refused(f"{name!r} has {packed:,} bytes for {size:,} inflated ones")
            if (method == _STORED and packed != size) or 0xFFFFFFFF in (packed, size, start):
                raise self._refused(f"{name!r} has sizes that contradict each other, or of zip64")
            if stat.S_IFMT(mode >> 16) not in (0, stat.S_IFREG):
                raise self._refused(f"{name!r} is {'a link' if stat.S_ISLNK(mode >> 16) else 'no file'}")
            yield Member(name, method, crc, packed, size, start)

    def _refuse_overlaps(self, end: int) -> dict[str, int]:
        """Where the content of each member begins. Raises BundleError where two share bytes, or one leaves the file."""
        starts, free = {}, 0
        for member in sorted(self.members.values(), key=lambda member: member.at):
            if member.at < free or member.at + _LOCAL.size > end:
                raise self._refused(f"{member.name!r} overlaps another entry of the zip")
            signature, _, flags, method, _, _, _, _, _, name_bytes, extra = _LOCAL.unpack(self._read(member.at, _LOCAL.size))
            if signature != b"PK\x03\x04" or method != member.method or flags & _ENCRYPTED:
                raise self._refused(f"{member.name!r} is not what the zip's directory says")
            starts[member.name] = member.at + _LOCAL.size + name_bytes + extra
            free = starts[member.name] + member.packed
            if free > end:
                raise self._refused(f"{member.name!r} overlaps the zip's directory")
        return starts

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        content = self._file.read(size)
        if len(content) != size:
            raise self._refused("not a readable zip: cut short")
        return content

    def _refused(self, what: str) -> BundleError:
        return BundleError(f"{self._name}: {what}")
