"""A golden set is allocated only when the zip's sizes and both headers agree."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle.golden import decode_golden, encode_golden
from edge.errors import BundleError
from tests.fakes.limited import python_limited

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 4, 5, 3), dtype=np.uint8)
EXPECTED = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)


def npy(header: str, data: bytes, *, version: bytes = b"\x01\x00", pad: bool = True) -> bytes:
    padded = (header.ljust(117) + "\n" if pad else header).encode("latin-1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(padded)) + padded + data


def header(descr: object = "|u1", order: object = False, shape: object = (64, 4, 5, 3), **more: object) -> str:
    return repr({"descr": descr, "fortran_order": order, "shape": shape, **more})


GOOD_IMAGES, GOOD_EXPECTED = npy(header(), IMAGES.tobytes()), npy(header("<f4", False, (64, 3)), EXPECTED.tobytes())


def npz(images: bytes = GOOD_IMAGES, expected: bytes = GOOD_EXPECTED, **more: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"images": images, "expected": expected, **more}.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def test_there_and_back_and_numpys_own_writers() -> None:
    for content in (
        encode_golden(IMAGES, {"expected": EXPECTED}),
        encode_golden(np.asfortranarray(IMAGES), {"expected": EXPECTED}),
        npz(),
    ):
        golden = decode_golden(content, "g.npz")["expected"]
        np.testing.assert_array_equal(golden.images, IMAGES)
        np.testing.assert_array_equal(golden.expected, EXPECTED)
    buffer = io.BytesIO()
    np.savez(buffer, images=IMAGES, expected=EXPECTED)
    np.testing.assert_array_equal(decode_golden(buffer.getvalue(), "g.npz")["expected"].images, IMAGES)


BAD_IMAGES = {
    "empty": b"",
    "no magic": b"PK" * 40,
    "cut in the header": GOOD_IMAGES[:40],
    "cut in the data": GOOD_IMAGES[:-1],
    "more data": GOOD_IMAGES + b"x",
    "version 2": npy(header(), IMAGES.tobytes(), version=b"\x02\x00"),
    "header longer than the file": GOOD_IMAGES[:8] + b"\xff\xff" + GOOD_IMAGES[10:],
    "header of a megabyte": npy(header() + " " * 60_000, IMAGES.tobytes(), pad=False),
    "nested": npy("(" * 900, IMAGES.tobytes()),
    "nested braces": npy("{" * 900, IMAGES.tobytes()),
    "unclosed": npy(header()[:-1], IMAGES.tobytes()),
    "control character": npy(header() + "\x1b[2J", IMAGES.tobytes()),
    "a dict as a key": npy("{{}: 1}", IMAGES.tobytes()),
    "a dict in a set": npy("{({},)}", IMAGES.tobytes()),
    "null": npy(header() + "\0", IMAGES.tobytes()),
    "call": npy("__import__('os').system('id')", IMAGES.tobytes()),
    "comprehension": npy("{'descr': '|u1', 'fortran_order': False, 'shape': [9 for i in range(9)]}", IMAGES.tobytes()),
    "list": npy("['descr', 'fortran_order', 'shape']", IMAGES.tobytes()),
    "set": npy("{'descr', 'fortran_order', 'shape'}", IMAGES.tobytes()),
    "missing key": npy("{'descr': '|u1', 'shape': (64, 4, 5, 3)}", IMAGES.tobytes()),
    "another key": npy(header(more=1), IMAGES.tobytes()),
    "object": npy(header("|O"), b"cos\nsystem\n(S'id'\ntR."),
    "fields": npy(header([("a", "|u1")]), IMAGES.tobytes()),
    "float pictures": npy(header("<f4", shape=(16, 4, 5, 3)), IMAGES.tobytes()),
    "signed": npy(header("|i1"), IMAGES.tobytes()),
    "columns": npy(header(order=True), IMAGES.tobytes()),
    "order as a number": npy(header(order=0), IMAGES.tobytes()),
    "negative": npy(header(shape=(-64, -4, 5, 3)), IMAGES.tobytes()),
    "zero": npy(header(shape=(0, 4, 5, 3)), b""),
    "truth as a length": npy(header(shape=(True, 4, 5, 3)), bytes(60)),
    "float length": npy(header(shape=(64.0, 4, 5, 3)), IMAGES.tobytes()),
    "huge": npy(header(shape=(10**30, 4, 5, 3)), IMAGES.tobytes()),
    "number without end": npy(header(shape=(10**300, 1, 1, 3)), IMAGES.tobytes()),
    "terabytes": npy(header(shape=(10**6, 1000, 1000, 3)), IMAGES.tobytes()),
    "three axes": npy(header(shape=(64, 20, 3)), IMAGES.tobytes()),
    "no colour": npy(header(shape=(64, 4, 15, 1)), IMAGES.tobytes()),
    "shape as a list": npy(header(shape=[64, 4, 5, 3]), IMAGES.tobytes()),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_header_is_refused_by_name(name: str) -> None:
    with pytest.raises(BundleError, match=r"^g\.npz: "):
        decode_golden(npz(images=BAD_IMAGES[name]), "g.npz")


@pytest.mark.parametrize(
    "expected",
    [
        npy(header("<f4", shape=(63, 3)), EXPECTED[:63].tobytes()),
        npy(header("<f8", shape=(64, 3)), EXPECTED.astype(np.float64).tobytes()),
        npy(header(">f4", shape=(64, 3)), EXPECTED.tobytes()),
        npy(header("<f4", shape=(192,)), EXPECTED.tobytes()),
        npy(header("<f4", shape=(64, 3, 1, 1, 1, 1)), EXPECTED.tobytes()),
        npy(header("<f4", shape=(64, 3)), np.full((64, 3), np.nan, np.float32).tobytes()),
    ],
)
def test_bad_answers_are_refused_by_name(expected: bytes) -> None:
    with pytest.raises(BundleError, match=r"^g\.npz: .*expected"):
        decode_golden(npz(expected=expected), "g.npz")


def test_answers_share_their_pictures() -> None:
    boxes = np.arange(64 * 2 * 5, dtype=np.float32).reshape(64, 2, 5)
    found = decode_golden(encode_golden(IMAGES, {"expected": EXPECTED, "boxes": boxes}), "g.npz", ["boxes", "expected"])
    np.testing.assert_array_equal(found["boxes"].expected, boxes)
    np.testing.assert_array_equal(found["expected"].expected, EXPECTED)
    assert found["boxes"].images is found["expected"].images


def test_members_are_those_that_are_named() -> None:
    with pytest.raises(BundleError, match="3 entries"):
        decode_golden(npz(more=GOOD_IMAGES), "g.npz")
    buffer = io.BytesIO()
    np.savez(buffer, pictures=IMAGES, expected=EXPECTED)
    with pytest.raises(BundleError, match=r"must hold images\.npy and expected\.npy"):
        decode_golden(buffer.getvalue(), "g.npz")


def test_a_set_larger_than_allowed_is_refused_before_it_is_inflated() -> None:
    with pytest.raises(BundleError, match="at most 4,000 are read"):
        decode_golden(npz(), "g.npz", max_bytes=4_000)


def test_a_bomb_costs_nothing() -> None:
    """128 KB that would be 130 MB of pictures, and 400 KB that would be 400 MB, in a child that has room for neither."""
    program = """
import io, zipfile
from edge.bundle.golden import decode_golden
from edge.errors import BundleError
for megabytes in (130, 400):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("images.npy", "expected.npy"):
            with archive.open(name, "w") as member:
                for _ in range(megabytes if name == "images.npy" else 1):
                    member.write(bytes(1_000_000))
    try:
        decode_golden(buffer.getvalue(), "g.npz")
    except BundleError as error:
        print(error)
"""
    done = python_limited(["-c", program], 150)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("it would inflate to") == 2


@settings(max_examples=300)
@given(st.data())
def test_a_changed_set_is_refused_or_a_golden_set(data: st.DataObject) -> None:
    images = bytearray(GOOD_IMAGES)
    for _ in range(data.draw(st.integers(1, 4))):
        images[data.draw(st.integers(0, 127))] = data.draw(st.integers(0, 255))
    try:
        golden = decode_golden(npz(images=bytes(images)), "g.npz")["expected"]
    except BundleError:
        return
    assert golden.images.shape[0] == 64
