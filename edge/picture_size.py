"""How large a picture is, from its first bytes: nothing is decoded, so that a small file cannot ask for much memory.

Layouts: JPEG (ITU-T T.81 annex B), PNG (https://www.w3.org/TR/png-3/), BMP, PBM/PGM/PPM (https://netpbm.sourceforge.net/doc/), classic
TIFF (revision 6.0) and WebP (https://developers.google.com/speed/webp/docs/riff_container). Every other one is refused, also those
that OpenCV could read: what is not measured is not decoded.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

from edge.errors import DataError

MAX_MEGAPIXELS = 64
"""What is decoded unless the site says otherwise: more than a shelf camera's sensor has; 192 MB as RGB."""
MAX_PIXELS = MAX_MEGAPIXELS * 1_000_000

MAX_JPEG_SCANS = 100
"""A progressive JPEG that a program writes has about 10 scans, and each of them costs a pass over the whole picture."""

_MAX_JPEG_MARKERS = 4096  # before the frame header: an ICC profile takes up to 255, extended XMP some hundred
_MAX_PNG_CHUNKS = 1 << 16
_MAX_TIFF_ENTRIES = 1024

_JPEG_MARKER = re.compile(
    rb"\xff([\x01-\xfe])"
)  # of fill bytes (0xff, any number) the last; a "+" would make a run of them quadratic
_JPEG_ALONE = {0x01, *range(0xD0, 0xD8)}  # TEM and RST: no length follows
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive, all with Huffman codes
_JPEG_OTHER_FRAMES = set(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NETPBM = re.compile(rb"P[1-6](?:[ \t-\r]|#[^\r\n]*[\r\n])+(\d{1,9})[ \t-\r](?:[ \t-\r]|#[^\r\n]*[\r\n])*(\d{1,9})(?!\d)")
"""A comment right behind the width is refused: OpenCV swallows its ``#`` and takes the number in it for the height."""
_PNG_KEPT = frozenset(
    (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf", b"gAMA", b"sRGB", b"cHRM", b"pHYs", b"sBIT", b"tIME")
)
_PNG = b"\x89PNG\r\n\x1a\n"


def picture_size_hw_px(content: bytes, name: str) -> tuple[int, int]:
    """(height, width) in pixels as the file states them, before a turn by its EXIF orientation, each at least 1.

    Args:
        content: the whole encoded picture.
        name: what errors call it.

    Raises:
        DataError: none of the layouts above, cut short, or made to cost more than its size lets one expect (hundreds of scans in a
            JPEG, an animation, TIFF tiles larger than the picture).
    """
    for begins, measure in _LAYOUTS:
        if begins.match(content):
            try:
                height, width = measure(content)
            except (struct.error, IndexError) as error:
                raise DataError(f"{name}: cut short") from error
            except ValueError as error:
                raise DataError(f"{name}: cannot be decoded as a picture: {error}") from error
            if height < 1 or width < 1:
                raise DataError(f"{name}: cannot be decoded as a picture: it says {width}×{height} pixels")
            return height, width
    raise DataError(f"{name}: cannot be decoded as a picture", fix="JPEG, PNG, BMP, PPM, TIFF and WebP can be read")


def refuse_large(size_hw_px: tuple[int, int], name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Raises DataError for a picture or frame of more than ``max_pixels``."""
    height, width = size_hw_px
    if height * width > max_pixels:
        raise DataError(
            f"{name}: {width:,}×{height:,} pixels are too many: at most {max_pixels / 1e6:g} megapixels are decoded",
            fix="make it smaller, or raise max_megapixels under [camera] for a camera's own pictures",
        )


def without_extras(content: bytes) -> bytes:
    """``content`` without what the pixels do not need and a decoder may inflate: a PNG's texts, profiles and animation frames.

    A PNG may hold a thousand chunks of text that libpng inflates to 8 MB each. Other layouts come back as they are.
    ``picture_size_hw_px`` has found it whole.
    """
    if not content.startswith(_PNG):
        return content
    chunks = list(_png_chunks(content))
    if all(kind in _PNG_KEPT for kind, _, _ in chunks) and chunks[-1][2] == len(content):
        return content
    view = memoryview(content)
    return b"".join((_PNG, *(view[start:end] for kind, start, end in chunks if kind in _PNG_KEPT)))


def _jpeg(content: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_MAX_JPEG_MARKERS):
        found = _JPEG_MARKER.search(content, at)
        if found is None:
            raise IndexError
        at, marker = found.end(), found[1][0]
        if marker in _JPEG_ALONE:
            continue
        if marker in _JPEG_OTHER_FRAMES or marker in (0xD8, 0xD9, 0xDA):
            raise ValueError(f"a JPEG of an unknown kind (marker {marker:#x} before the frame header)")
        (length,) = struct.unpack_from(">H", content, at)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 3)
            _refuse_many_scans(content, at + length)
            return height, width
        at += max(2, length)
    raise ValueError(f"more than {_MAX_JPEG_MARKERS:,} markers before the frame header")


def _refuse_many_scans(content: bytes, at: int) -> None:
    if (
        content.count(b"\xff\xda", at) <= MAX_JPEG_SCANS
    ):  # an upper bound, and quick: the code is in entropy-coded data only as a marker
        return
    scans = sum(found[1][0] == 0xDA for found in _JPEG_MARKER.finditer(content, at))
    if scans > MAX_JPEG_SCANS:
        raise ValueError(f"a JPEG of {scans:,} scans; at most {MAX_JPEG_SCANS} are decoded")


def _png(content: bytes) -> tuple[int, int]:
    length, kind, width, height = struct.unpack_from(">I4sII", content, len(_PNG))
    if kind != b"IHDR" or length != 13:
        raise ValueError("a PNG that does not begin with its header")
    kinds = {kind for kind, _, _ in _png_chunks(content)}
    if b"IDAT" not in kinds:
        raise ValueError("a PNG without a picture")
    return height, width


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of each chunk up to IEND. All of them are there: OpenCV asks for as much memory as a chunk says it has, and
    takes its time over one that ends early."""
    at = len(_PNG)
    for _ in range(_MAX_PNG_CHUNKS):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content):
            raise IndexError
        if kind == b"IHDR" and at != len(_PNG):
            raise ValueError("a PNG with two headers")
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end
    raise ValueError(f"a PNG of more than {_MAX_PNG_CHUNKS:,} chunks")


def _bmp(content: bytes) -> tuple[int, int]:
    (header_bytes,) = struct.unpack_from("<I", content, 14)
    if header_bytes == 12:
        width, height = struct.unpack_from("<HH", content, 18)
    elif 36 <= header_bytes <= 256:
        width, height = struct.unpack_from("<ii", content, 18)
    else:
        raise ValueError(f"a BMP with a header of {header_bytes:,} bytes")
    return abs(height), width


def _netpbm(content: bytes) -> tuple[int, int]:
    found = _NETPBM.match(content[:4096])
    if found is None:
        raise ValueError("no width and height in the first 4,096 bytes")
    return int(found[2]), int(found[1])


def _webp(content: bytes) -> tuple[int, int]:
    kind = content[12:16]
    if kind == b"VP8X":
        if content[20] & 0x02:
            raise ValueError("an animation, not a picture")
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        if len(content) < 30:
            raise IndexError
        return height, width
    if kind == b"VP8 ":
        code, width, height = struct.unpack_from("<3sHH", content, 23)
        if code != b"\x9d\x01\x2a":
            raise ValueError("a WebP whose first frame is no key frame")
        return height & 0x3FFF, width & 0x3FFF
    if kind == b"VP8L":
        code, bits = struct.unpack_from("<BI", content, 20)
        if code != 0x2F:
            raise ValueError("a WebP without its lossless signature")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    raise ValueError("a WebP of an unknown kind")


_TIFF_TAGS = {
    256: "ImageWidth",
    257: "ImageLength",
    258: "BitsPerSample",
    277: "SamplesPerPixel",
    322: "TileWidth",
    323: "TileLength",
}


def _tiff(content: bytes) -> tuple[int, int]:
    """Of the first page, the one that is decoded. A strip or tile is decoded as a whole, so it may not be larger than the picture."""
    values = _tiff_values(content)
    if "ImageWidth" not in values or "ImageLength" not in values:
        raise ValueError("a TIFF without its size")
    width, height = values["ImageWidth"], values["ImageLength"]
    samples, bits = values.get("SamplesPerPixel", 1), values.get("BitsPerSample", 1)
    if samples > 4 or bits > 16:
        raise ValueError(f"a TIFF of {samples} samples of {bits} bits a pixel; at most 4 of 16 are decoded")
    tile_px = values.get("TileWidth", 0) * values.get("TileLength", 0)
    if tile_px > max(width * height, 512 * 512):
        raise ValueError("a TIFF whose tiles are larger than the picture")
    return height, width


def _tiff_values(content: bytes) -> dict[str, int]:
    order = "<" if content.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(f"{order}I", content, 4)
    (entries,) = struct.unpack_from(f"{order}H", content, directory)
    if entries > _MAX_TIFF_ENTRIES:
        raise ValueError(f"a TIFF directory of {entries:,} entries")
    values: dict[str, int] = {}
    for at in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", content, at)
        if tag not in _TIFF_TAGS:
            continue
        name, code = _TIFF_TAGS[tag], {3: "H", 4: "I"}.get(kind)
        if code is None or not 1 <= count <= 4 or name in values:
            raise ValueError(f"a TIFF whose {name} is written in an unknown way")
        inline = count * struct.calcsize(f"<{code}") <= 4
        place = at + 8 if inline else struct.unpack_from(f"{order}I", content, at + 8)[0]
        values[name] = max(struct.unpack_from(f"{order}{count}{code}", content, place))
    return values


_LAYOUTS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], tuple[int, int]]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(re.escape(_PNG)), _png),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"P[1-6][\s#]"), _netpbm),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"II\*\0|MM\0\*"), _tiff),
)
