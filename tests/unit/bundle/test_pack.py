"""A zip is unpacked only if it is exactly what its manifest says."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")

from edge.bundle.pack import pack, unpack
from edge.bundle.reader import open_bundle
from edge.errors import BundleError, InputMissingError, SinkError


@pytest.fixture(scope="module")
def packed_path(colour_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pack") / "b.zip"
    pack(open_bundle(colour_bundle), path)
    return path


@pytest.fixture
def packed(packed_path: Path) -> bytes:
    return packed_path.read_bytes()


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(entries: list[tuple[str | zipfile.ZipInfo, bytes]], path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def test_there_and_back(packed: bytes, colour_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(packed)
    opened = unpack(tmp_path / "b.zip", tmp_path / "out")
    opened.verify()
    assert opened.sha256 == open_bundle(colour_bundle).sha256
    pack(opened, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed, "the same bundle gives the same bytes"


def test_unpacking_keeps_the_manifest_to_the_byte(packed: bytes, tmp_path: Path) -> None:
    """Its hash names the bundle in every event, whoever formatted it."""
    inside = members(packed)
    inside["manifest.json"] = json.dumps(json.loads(inside["manifest.json"]), separators=(",", ":")).encode()
    opened = unpack(zipped(list(inside.items()), tmp_path / "b.zip"), tmp_path / "out")
    assert opened.sha256 == hashlib.sha256(inside["manifest.json"]).hexdigest()


def test_packing_does_not_overwrite(packed: bytes, colour_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(b"mine")
    with pytest.raises(SinkError, match="already exists"):
        pack(open_bundle(colour_bundle), tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "golden/../../evil.txt", "..\\evil.txt"])
def test_a_zip_that_climbs_out_is_refused(packed: bytes, tmp_path: Path, name: str) -> None:
    path = zipped([*members(packed).items(), (name, b"evil")], tmp_path / "b.zip")
    with pytest.raises(BundleError, match="climbs out") as caught:
        unpack(path, tmp_path / "in" / "out")
    assert name.replace("\\", "\\\\") in str(caught.value)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["b.zip"]


def test_an_unlisted_file_a_link_and_a_double_are_refused(packed: bytes, tmp_path: Path) -> None:
    inside = members(packed)
    with pytest.raises(BundleError, match=r"'more\.bin' is not named"):
        unpack(zipped([*inside.items(), ("more.bin", b"")], tmp_path / "1.zip"), tmp_path / "out")
    link = zipfile.ZipInfo("labels.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    entries = [(link if n == "labels.txt" else n, c) for n, c in inside.items()]
    with pytest.raises(BundleError, match=r"'labels\.txt' is a link"):
        unpack(zipped(entries, tmp_path / "2.zip"), tmp_path / "out")
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped([*inside.items(), ("labels.txt", b"")], tmp_path / "3.zip")
    with pytest.raises(BundleError, match="stands twice"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_more_bytes_than_declared_are_refused(packed: bytes, tmp_path: Path) -> None:
    inside = members(packed)
    inside["labels.txt"] = b"x" * 50_000_000
    with pytest.raises(BundleError, match=r"'labels\.txt' holds 50,000,000 bytes, but the manifest says 15"):
        unpack(zipped(list(inside.items()), tmp_path / "b.zip"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_whose_directory_lies_about_the_size_is_refused(packed: bytes, tmp_path: Path) -> None:
    """The central directory declares 15 bytes, but the data would inflate to fifty million."""
    inside = members(packed)
    true_size = len(inside["labels.txt"])
    inside["labels.txt"] = b"x" * 50_000_000
    raw = bytearray(zipped(list(inside.items()), tmp_path / "b.zip").read_bytes())
    at = raw.rindex(b"labels.txt") - 46  # a central directory header is 46 bytes before its name; uncompressed size at +24
    assert raw[at : at + 4] == b"PK\x01\x02"
    raw[at + 24 : at + 28] = struct.pack("<I", true_size)
    (tmp_path / "b.zip").write_bytes(raw)
    with pytest.raises(BundleError, match=r"b\.zip|labels\.txt"):
        unpack(tmp_path / "b.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_without_a_manifest_or_no_zip(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no manifest\.json"):
        unpack(zipped([("labels.txt", b"a")], tmp_path / "b.zip"), tmp_path / "out")
    (tmp_path / "c.zip").write_bytes(b"not a zip")
    with pytest.raises(BundleError, match="not a readable zip"):
        unpack(tmp_path / "c.zip", tmp_path / "out")
    with pytest.raises(InputMissingError):
        unpack(tmp_path / "none.zip", tmp_path / "out")


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_zip_is_refused_or_gives_the_same_bundle(
    packed_path: Path, tmp_path_factory: pytest.TempPathFactory, data
) -> None:
    tmp_path = tmp_path_factory.mktemp("damage")
    raw = bytearray(packed_path.read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= data.draw(st.integers(1, 255))
    (tmp_path / "b.zip").write_bytes(raw)
    try:
        unpack(tmp_path / "b.zip", tmp_path / "out").verify()
    except BundleError:
        assert not (tmp_path / "out").exists()
