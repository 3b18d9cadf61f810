"""A bundle as one .zip, and back without trusting the zip."""

from __future__ import annotations

import io
import lzma
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from edge.bundle.manifest import MANIFEST_NAME, FileRef
from edge.bundle.reader import Bundle, open_bundle, parse_manifest
from edge.bundle.writer import BundleWriter
from edge.errors import BundleError, InputMissingError, SinkError
from edge.files import write_atomic

MANIFEST_MAX_BYTES = 4_000_000
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # one bundle, one .zip: no time of packing inside


# What the standard library raises for a damaged, encrypted or exotic zip; its zipfile module has no root of its own for them.
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    MemoryError,
    struct.error,
)


def pack(bundle: Bundle, out: Path, *, replace: bool = False) -> None:
    """Verify ``bundle`` and write it as a .zip; the same bundle always gives the same bytes.

    Raises:
        BundleError: the bundle is not intact.
        SinkError: ``out`` exists (without ``replace``) or cannot be written.
    """
    if out.exists() and not replace:
        raise SinkError(f"{out}: already exists", fix="give another name, or --force to replace it")
    bundle.verify()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (MANIFEST_NAME, *sorted(bundle.manifest.files())):
            info = zipfile.ZipInfo(name, _ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, (bundle.directory / name).read_bytes())
    write_atomic(out, buffer.getvalue())


def unpack(archive_path: Path, out: Path, *, replace: bool = False) -> Bundle:
    """Unpack into ``out``, verified. Only files that the manifest names are written, and only as many bytes as it declares.

    Raises:
        InputMissingError: no such file.
        BundleError: no zip, no bundle, or one that tries to climb out of its directory, to smuggle a file in or to inflate.
        SinkError: ``out`` exists (without ``replace``) or cannot be written.
    """
    if not archive_path.is_file():
        raise InputMissingError(f"{archive_path}: no such file")
    try:
        with zipfile.ZipFile(archive_path) as archive:
            content = _read_manifest(archive, archive_path)
            files = parse_manifest(content, archive_path / MANIFEST_NAME).files()
            _refuse_unlisted(archive, files, archive_path)
            with BundleWriter(out, replace=replace) as writer:
                for name, ref in files.items():
                    writer.add(name, _read_member(archive, name, ref, archive_path))
                writer.finish(content)
    except _ZIP_FAULTS as error:
        raise BundleError(f"{archive_path}: not a readable zip: {error}") from error
    return open_bundle(out)


def _read_manifest(archive: zipfile.ZipFile, path: Path) -> bytes:
    try:
        with archive.open(MANIFEST_NAME) as member:
            content = member.read(MANIFEST_MAX_BYTES + 1)
    except KeyError as error:
        raise BundleError(f"{path}: not a bundle: no {MANIFEST_NAME} in it") from error
    if len(content) > MANIFEST_MAX_BYTES:
        raise BundleError(f"{path}: {MANIFEST_NAME} is larger than {MANIFEST_MAX_BYTES:,} bytes")
    return content


def _refuse_unlisted(archive: zipfile.ZipFile, files: dict[str, FileRef], path: Path) -> None:
    names = archive.namelist()
    for info in archive.infolist():
        if info.filename != MANIFEST_NAME and info.filename not in files:
            climbs = info.filename.startswith(("/", "\\")) or ".." in info.filename.replace("\\", "/").split("/")
            what = "climbs out of its directory" if climbs else "is not named in the manifest"
            raise BundleError(f"{path}: {info.filename!r} {what}")
        if names.count(info.filename) > 1:
            raise BundleError(f"{path}: {info.filename!r} stands twice in the zip")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BundleError(f"{path}: {info.filename!r} is a link")


def _read_member(archive: zipfile.ZipFile, name: str, ref: FileRef, path: Path) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise BundleError(f"{path}: {name!r} is missing") from error
    if info.file_size != ref.bytes:
        raise BundleError(f"{path}: {name!r} holds {info.file_size:,} bytes, but the manifest says {ref.bytes:,}")
    with archive.open(info) as member:
        content = member.read(ref.bytes + 1)  # the directory's size may lie: never inflate more than declared
    if len(content) != ref.bytes:
        raise BundleError(f"{path}: {name!r} inflates beyond its declared {ref.bytes:,} bytes")
    return content
