"""Pictures that strangers made: their size is known before anything is decoded."""

from __future__ import annotations

import os
import re
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import DataError, InputMissingError
from edge.images import MAX_FILE_BYTES, decode_rgb, picture_size_hw_px, read_rgb
from edge.picture_size import MAX_PIXELS, without_extras
from tests.fakes.limited import python_limited, shelfcam_limited
from tests.fakes.patience import slowness

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def encoded(suffix: str, pixels: np.ndarray = PIXELS, options: tuple[int, ...] = ()) -> bytes:
    done, buffer = cv2.imencode(suffix, pixels, options)
    assert done
    return buffer.tobytes()


BITS = (PIXELS[..., 0] > 128).astype(np.uint8) * 255
ALPHA = np.dstack([PIXELS, PIXELS[..., 0]])
GOOD = {
    "baseline.jpg": encoded(".jpg"),
    "progressive.jpg": encoded(".jpg", options=(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "restarts.jpg": encoded(".jpg", options=(cv2.IMWRITE_JPEG_RST_INTERVAL, 1)),
    "grey.jpg": encoded(".jpg", PIXELS[..., 0]),
    "rgb.png": encoded(".png"),
    "alpha.png": encoded(".png", ALPHA),
    "deep.png": encoded(".png", PIXELS.astype(np.uint16) * 257),
    "rgb.bmp": encoded(".bmp"),
    "rgb.ppm": encoded(".ppm"),
    "text.ppm": encoded(".ppm", options=(cv2.IMWRITE_PXM_BINARY, 0)),
    "grey.pgm": encoded(".pgm", PIXELS[..., 0]),
    "bits.pbm": encoded(".pbm", BITS),
    "rgb.tif": encoded(".tif"),
    "deep.tif": encoded(".tif", PIXELS.astype(np.uint16) * 257),
    "alpha.tif": encoded(".tif", ALPHA),
    "lossy.webp": encoded(".webp", options=(cv2.IMWRITE_WEBP_QUALITY, 80)),
    "lossless.webp": encoded(".webp", options=(cv2.IMWRITE_WEBP_QUALITY, 101)),
    "alpha.webp": encoded(".webp", ALPHA, options=(cv2.IMWRITE_WEBP_QUALITY, 80)),
}


@pytest.mark.parametrize("name", GOOD)
def test_size_is_read_from_the_header_and_the_picture_decodes_as_before(name: str) -> None:
    content = GOOD[name]
    assert picture_size_hw_px(content, name) == (24, 40)
    plain = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decode_rgb(content, name), plain[..., ::-1])


def test_comments_of_netpbm_and_turned_jpegs_are_read() -> None:
    assert picture_size_hw_px(b"P6 # made by\n#\n40 # wide\r24\n255\n", "x.ppm") == (24, 40)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6: a quarter turn
    turned = GOOD["baseline.jpg"]
    turned = turned[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + turned[2:]
    assert picture_size_hw_px(turned, "x.jpg") == (24, 40)
    assert decode_rgb(turned, "x.jpg").shape == (40, 24, 3)


# --- pictures that say they are huge ---


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *extra: bytes, rows: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def resized_jpeg(width: int, height: int, source: str = "baseline.jpg") -> bytes:
    content = bytearray(GOOD[source])
    at = re.search(rb"\xff[\xc0-\xc2]\0[\x0b\x11]\x08", content).start()  # type: ignore[union-attr]
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def tiff(*entries: tuple[int, int, int, int], order: str = "<") -> bytes:
    """Each entry: tag, type, count, value."""
    body = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries)) + body + b"\0" * 4


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


SIDE = 30_000
HUGE = {
    "baseline.jpg": resized_jpeg(SIDE, SIDE),
    "progressive.jpg": resized_jpeg(SIDE, SIDE, "progressive.jpg"),
    "grey.jpg": resized_jpeg(65_500, 65_500, "grey.jpg"),
    "filled.jpg": b"\xff\xd8\xff\xff\xff\xfe\0\x04hi" + resized_jpeg(SIDE, SIDE)[2:],
    "rubbish.jpg": b"\xff\xd8\xff\xfe\0\x04hirubbish\xff\0" + resized_jpeg(SIDE, SIDE)[2:],
    "plain.png": png(SIDE, SIDE),
    "wide.png": png(2**31 - 1, 1),
    "bottom-up.bmp": b"BM" + bytes(8) + struct.pack("<IIiiHHIIiiII", 54, 40, SIDE, SIDE, 1, 8, 1, 0, 0, 0, 0, 0),
    "top-down.bmp": b"BM" + bytes(8) + struct.pack("<IIiiHHIIiiII", 54, 40, SIDE, -SIDE, 1, 24, 0, 0, 0, 0, 0, 0),
    "os2.bmp": b"BM" + bytes(8) + struct.pack("<IIHHHH", 26, 12, SIDE, SIDE, 1, 24),
    "raw.ppm": b"P6\n30000 30000\n255\n",
    "bits.pbm": b"P4#x\n30000\t30000\n",
    "little.tif": tiff((256, 4, 1, SIDE), (257, 4, 1, SIDE)),
    "big.tif": tiff((257, 4, 1, SIDE), (256, 4, 1, SIDE), order=">"),
    "canvas.webp": webp(b"VP8X", struct.pack("<I", 0) + (SIDE - 1).to_bytes(3, "little") * 2),
    "lossy.webp": webp(b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383)),
    "lossless.webp": webp(b"VP8L", b"\x2f" + b"\xff\xff\xff\x0f"),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_picture_is_refused_by_its_header(name: str) -> None:
    with pytest.raises(DataError, match=rf"{re.escape(name)}: .* at most 64 megapixels"):
        decode_rgb(HUGE[name], name)


def test_no_huge_picture_costs_memory(tmp_path: Path) -> None:
    """All of them in one child that could not hold a single one decoded (the smallest has 200 MB)."""
    for name, content in HUGE.items():
        (tmp_path / name).write_bytes(content)
    texts = [chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(7_900_000), 9)) for _ in range(100)]
    (tmp_path / "texts.png").write_bytes(png(1, 1, *texts, rows=b"\0abc"))
    program = """
import sys
from pathlib import Path
from edge.errors import DataError
from edge.images import read_rgb
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        print(path.name, read_rgb(path).shape)
    except DataError:
        print(path.name, "refused")
"""
    done = python_limited(["-c", program, str(tmp_path)], 300)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == {*(f"{name} refused" for name in HUGE), "texts.png (1, 1, 3)"}


def test_the_command_ends_with_65_and_names_the_file(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.jpg"
    bomb.write_bytes(HUGE["baseline.jpg"])
    state = tmp_path / "state"
    site = tmp_path / "site.toml"
    site.write_text(f'config_version = 1\n[camera]\nsource = "{bomb}"\n[state]\ndir = "{state}"\n[model]\nprovider = "cpu"\n')
    done = shelfcam_limited(["run", "--config", str(site)], 900)
    assert (done.returncode, "bomb.jpg: 30,000×30,000 pixels are too many" in done.stderr) == (65, True), done.stderr


REFUSED = {
    "scans.jpg": GOOD["progressive.jpg"][:-2] + GOOD["progressive.jpg"][GOOD["progressive.jpg"].rindex(b"\xff\xda") : -2] * 100,
    "arithmetic.jpg": GOOD["baseline.jpg"].replace(b"\xff\xc0", b"\xff\xc9", 1),
    "lossless.jpg": GOOD["baseline.jpg"].replace(b"\xff\xc0", b"\xff\xc3", 1),
    "empty.jpg": b"\xff\xd8\xff\xd9",
    "no-frame.jpg": b"\xff\xd8\xff\xda\0\x02",
    "two-headers.png": png(4, 4, chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))),
    "late-header.png": b"\x89PNG\r\n\x1a\n" + chunk(b"gAMA", b"abcd") + png(4, 4)[8:],
    "cut.png": GOOD["rgb.png"][:-1],
    "no-end.png": GOOD["rgb.png"][:-12],
    "header-only.png": png(4, 4)[:33],
    "no-picture.png": png(4, 4)[:33] + chunk(b"IEND", b""),
    "long-chunk.png": png(4, 4)[:33] + struct.pack(">I", 80_000_000) + b"IDAT" + GOOD["rgb.png"][41:],
    "long-text.png": png(4, 4)[:33] + struct.pack(">I", 2**31 - 1) + b"tEXt" + GOOD["rgb.png"][33:],
    "chunks.png": png(4, 4, chunk(b"tEXt", b"") * (1 << 16)),
    "tiles.tif": tiff((256, 4, 1, 10), (257, 4, 1, 10), (322, 4, 1, 16_384), (323, 4, 1, 16_384)),
    "samples.tif": tiff((256, 4, 1, 10), (257, 4, 1, 10), (277, 3, 1, 60_000)),
    "twice.tif": tiff((256, 4, 1, 10), (257, 4, 1, 10), (256, 4, 1, SIDE)),
    "strange-type.tif": tiff((256, 12, 1, 10), (257, 4, 1, 10)),
    "bigtiff.tif": b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0",
    "animation.webp": webp(b"VP8X", b"\x02" + bytes(9)),
    "inter-frame.webp": webp(b"VP8 ", b"\x11\0\0\0\0\0\0\0\0\0\0"),
    "picture.gif": b"GIF89a\x10\0\x10\0\0\0\0",
    "picture.hdr": b"#?RADIANCE\n\n-Y 30000 +X 30000\n",
    "picture.pam": b"P7\nWIDTH 30000\nHEIGHT 30000\nDEPTH 3\nMAXVAL 255\nENDHDR\n",
    "picture.ras": b"\x59\xa6\x6a\x95" + struct.pack(">IIIIIII", SIDE, SIDE, 24, 0, 1, 0, 0),
    "picture.jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "picture.avif": b"\0\0\0\x20ftypavif",
    "nothing.bmp": b"BM" + bytes(8) + struct.pack("<IIii", 54, 40, 0, 0),
    "negative.bmp": b"BM" + bytes(8) + struct.pack("<IIii", 54, 40, -5, 5),
    "ten-digits.ppm": b"P6 4000000000 4000000000 255\n",
    "empty": b"",
    "text": b"hello",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_measured_is_not_decoded(name: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(name)}: "):
        decode_rgb(REFUSED[name], name)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_picture_is_a_data_error_or_no_larger_than_allowed(data: st.DataObject) -> None:
    content = bytearray(GOOD[data.draw(st.sampled_from(sorted(GOOD)))])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, min(len(content), 400) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    try:
        pixels = decode_rgb(bytes(content), "x", max_pixels=5_000)
    except DataError:
        return
    assert pixels.shape[0] * pixels.shape[1] <= 5_000


@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"P6 ", b"RIFF\0\0\0\0WEBPVP8X", b"II*\0", b"MM\0*"]),
    st.binary(max_size=200),
)
def test_any_bytes_have_a_size_or_are_refused(begins: bytes, rest: bytes) -> None:
    try:
        height, width = picture_size_hw_px(begins + rest, "x")
    except DataError:
        return
    assert height >= 1
    assert width >= 1


def test_extras_of_a_png_do_not_reach_the_decoder() -> None:
    rows = b"\0" + bytes(12)
    texts = (
        chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b")),
        chunk(b"iCCP", b"p\0\0"),
        chunk(b"acTL", bytes(8)),
        chunk(b"abCd", b"e"),
    )
    assert without_extras(png(4, 1, *texts, rows=rows)) == png(4, 1, rows=rows)
    assert without_extras(GOOD["rgb.png"]) == GOOD["rgb.png"]


# --- files ---


@pytest.mark.parametrize(
    "content",
    [b"\xff\xd8" + b"\xff" * 16_000_000, resized_jpeg(64, 48) + b"\xff\xda" * 200 + b"\xff" * 16_000_000],
    ids=["before the frame header", "behind it"],
)
def test_a_run_of_fill_bytes_costs_no_more_than_its_length(content: bytes) -> None:
    begun_s = time.process_time()
    with pytest.raises(DataError):
        picture_size_hw_px(content, "x")
    assert time.process_time() - begun_s < 5 * slowness()


def test_fill_bytes_before_a_marker_are_passed_over() -> None:
    whole = resized_jpeg(64, 48)
    assert picture_size_hw_px(whole[:2] + b"\xff" * 1_000 + whole[2:], "x") == (48, 64)


def test_a_file_is_looked_at_before_it_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.write(GOOD["rgb.png"])
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(DataError, match=r"large\.png.*at most 256,000,000 are read"):
        read_rgb(large)


def test_a_pipe_or_device_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(DataError, match="not a regular file"):
            read_rgb(path)
    with pytest.raises((DataError, InputMissingError)):
        read_rgb(tmp_path)
    with pytest.raises(InputMissingError):
        read_rgb(tmp_path / "none.png")
    (tmp_path / "good.png").write_bytes(GOOD["rgb.png"])
    (tmp_path / "link.png").symlink_to(tmp_path / "good.png")
    assert read_rgb(tmp_path / "link.png").shape == (24, 40, 3)


def test_a_site_may_set_the_limit() -> None:
    assert MAX_PIXELS == 64_000_000
    with pytest.raises(DataError, match=r"40×24 pixels are too many: at most 0\.0009 megapixels"):
        decode_rgb(GOOD["rgb.png"], "x.png", max_pixels=900)


def test_opencv_has_a_wall_of_its_own() -> None:
    done = python_limited(
        ["-c", "import edge, cv2, numpy, sys; cv2.imdecode(numpy.frombuffer(sys.stdin.buffer.read(), numpy.uint8), 1)"],
        900,
        input=HUGE["raw.ppm"].decode("latin-1"),
    )
    assert "CV_IO_MAX_IMAGE_PIXELS" in done.stderr


def test_a_number_in_a_comment_is_no_height() -> None:
    """OpenCV takes 8000 for the height where a comment follows the width at once."""
    content = b"P5 8000#8000\n1 255\n" + bytes(8000 * 8000)
    with pytest.raises(DataError, match="no width and height"):
        picture_size_hw_px(content, "x.pgm")
    assert picture_size_hw_px(b"P5 8000 #8000\n1 255\n", "x.pgm") == (1, 8000)
