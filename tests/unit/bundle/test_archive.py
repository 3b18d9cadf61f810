"""A zip that a stranger made: what its directory says is checked before anything is inflated."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle.archive import Archive
from edge.errors import BundleError

PARTS = {"manifest.json": b"{}" * 40, "golden/a.bin": bytes(range(256)) * 20, "empty": b""}


def zipped(parts: dict[str, bytes] | None = None, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in (PARTS if parts is None else parts).items():
            archive.writestr(name, content)
    return buffer.getvalue()


def opened(content: bytes, max_members: int = 10) -> Archive:
    return Archive(io.BytesIO(content), "x.zip", max_members=max_members)


def read_all(content: bytes) -> dict[str, bytes]:
    archive = opened(content)
    return {name: bytes(archive.read(member)) for name, member in archive.members.items()}


def entry(content: bytes, name: str) -> int:
    """Where the directory's entry of ``name`` begins."""
    at = content.rindex(name.encode()) - 46
    assert content[at : at + 4] == b"PK\x01\x02"
    return at


def patched(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


@given(st.dictionaries(st.from_regex(r"[a-z0-9./]{0,29}[a-z0-9]", fullmatch=True), st.binary(max_size=2_000), max_size=8))
def test_what_zipfile_writes_is_read(parts: dict[str, bytes]) -> None:
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        assert read_all(zipped(parts, method)) == parts


def test_a_zip_written_to_a_pipe_is_read() -> None:
    """Its sizes follow the data; the directory has them all the same."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.got = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.got += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in PARTS.items():
            archive.writestr(name, content)
    assert read_all(bytes(pipe.got)) == PARTS


def special(name: str, kind: int) -> bytes:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, b"/etc/passwd")
    return buffer.getvalue()


def overlapping() -> bytes:
    """One compressed kernel that every entry of the directory names, as in David Fifield's bombs."""
    content = zipped({"aaaa": bytes(100_000), "bbbb": b"x"})
    first, second = entry(content, "aaaa"), entry(content, "bbbb")
    copy = content[first : first + 46]
    return patched(content, second + 10, copy[10:28] + content[second + 28 : second + 42] + copy[42:46])


def nested() -> bytes:
    """The second entry lies inside the data of the first."""
    inner = zipped({"inner": b"hello"}, zipfile.ZIP_STORED)
    content = zipped({"outer": inner, "inner": b"hello"}, zipfile.ZIP_STORED)
    at = content.rindex(b"inner") - 46
    return patched(content, at + 42, struct.pack("<I", content.index(inner)))


GOOD = zipped()
BAD = {
    "empty": b"",
    "text": b"not a zip at all, but long enough to have an end record",
    "cut": GOOD[:-1],
    "no start": GOOD[10:],
    "prefix": b"#!/bin/sh\n" + GOOD,
    "comment": GOOD[:-2] + b"\x03\0abc",
    "trailing": GOOD + b"x",
    "parts": patched(GOOD, len(GOOD) - 18, b"\x01\0"),
    "counts": patched(GOOD, len(GOOD) - 12, b"\xff\xff"),
    "both counts": patched(GOOD, len(GOOD) - 14, b"\xff\xff\xff\xff"),
    "directory elsewhere": patched(GOOD, len(GOOD) - 6, b"\0\0\0\0"),
    "directory too large": patched(GOOD, len(GOOD) - 10, b"\xff\xff\xff\x7f"),
    "encrypted": patched(GOOD, entry(GOOD, "manifest.json") + 8, b"\x01\0"),
    "strongly encrypted": patched(GOOD, entry(GOOD, "manifest.json") + 8, b"\x40\0"),
    "encrypted in the local header": patched(GOOD, 6, b"\x01\0"),
    "another method": patched(GOOD, entry(GOOD, "manifest.json") + 10, b"\x09\0"),
    "another method in the local header": patched(GOOD, 8, b"\0\0"),
    "bzip2": zipped(method=zipfile.ZIP_BZIP2),
    "lzma": zipped(method=zipfile.ZIP_LZMA),
    "zip64 size": patched(GOOD, entry(GOOD, "manifest.json") + 24, b"\xff\xff\xff\xff"),
    "zip64 offset": patched(GOOD, entry(GOOD, "manifest.json") + 42, b"\xff\xff\xff\xff"),
    "offset behind": patched(GOOD, entry(GOOD, "manifest.json") + 42, struct.pack("<I", len(GOOD) - 30)),
    "larger": patched(GOOD, entry(GOOD, "manifest.json") + 24, struct.pack("<I", 81)),
    "smaller": patched(GOOD, entry(GOOD, "manifest.json") + 24, struct.pack("<I", 79)),
    "crc": patched(GOOD, entry(GOOD, "manifest.json") + 16, b"\0\0\0\0"),
    "packed too long": patched(GOOD, entry(GOOD, "golden/a.bin") + 20, struct.pack("<I", 1 << 20)),
    "link": special("a", stat.S_IFLNK),
    "pipe": special("a", stat.S_IFIFO),
    "device": special("a", stat.S_IFCHR),
    "folder": special("a", stat.S_IFDIR),
    "overlapping": overlapping(),
    "nested": nested(),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_plain_is_refused_by_name(name: str) -> None:
    with pytest.raises(BundleError, match=r"^x\.zip: "):
        read_all(BAD[name])


def test_a_name_that_stands_twice_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(BundleError, match="'a' stands twice"):
        opened(buffer.getvalue())


def test_too_many_entries_are_refused_before_the_directory_is_read() -> None:
    content = zipped({f"{i:04}": b"" for i in range(3_000)})
    with pytest.raises(BundleError, match="3,000 entries"):
        opened(content, max_members=2_999)
    assert len(opened(content, max_members=3_000).members) == 3_000


def test_a_stream_of_empty_blocks_is_refused() -> None:
    """Megabytes that inflate to one byte cost time and nothing else."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(b"x") + deflate.flush(zlib.Z_FULL_FLUSH) + b"\0\0\0\xff\xff" * 1_000 + deflate.flush()
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, zlib.crc32(b"x"), len(packed), 1, 1, 0) + b"a" + packed
    directory = (
        struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, zlib.crc32(b"x"), len(packed), 1, 1, 0, 0, 0, 0, 0, 0)
        + b"a"
    )
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), len(local), 0)
    with pytest.raises(BundleError, match=r"5,0\d\d bytes for 1 inflated"):
        opened(local + directory + end)


def test_no_more_is_inflated_than_was_said() -> None:
    content = zipped({"a": bytes(50_000_000)})
    archive = opened(patched(content, entry(content, "a") + 24, struct.pack("<I", 1_000_000)))
    got: list[int] = []
    with pytest.raises(BundleError, match="inflates beyond its declared 1,000,000"):
        got.extend(len(piece) for piece in archive.chunks(archive.members["a"]))
    assert sum(got) <= 1_000_000


@settings(max_examples=300)
@given(st.data())
def test_a_changed_zip_is_refused_or_gives_what_it_says(data: st.DataObject) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        archive = opened(bytes(content))
        for member in archive.members.values():
            assert len(archive.read(member)) == member.size
    except BundleError:
        return
