"""A bundle as one .zip, and back without trusting the zip."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from typing import BinaryIO

from edge.bundle.archive import Archive, Member
from edge.bundle.limits import CAMERA, MANIFEST_MAX_BYTES, MAX_FILES, BundleLimits
from edge.bundle.parse import parse_manifest
from edge.bundle.reader import Bundle, open_bundle
from edge.bundle.writer import BundleWriter
from edge.errors import BundleError, InputMissingError, SinkError
from edge.files import atomic_file
from edge.manifest import MANIFEST_NAME, FileRef

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # one bundle, one .zip: no time of packing inside


def pack(bundle: Bundle, out: Path, *, replace: bool = False) -> None:
    """Verify ``bundle`` and write it as a .zip; the same bundle always gives the same bytes.

    Raises:
        BundleError: the bundle is not intact.
        SinkError: ``out`` exists (without ``replace``) or cannot be written.
    """
    if out.exists() and not replace:
        raise SinkError(f"{out}: already exists", fix="give another name, or --force to replace it")
    bundle.verify()
    files = bundle.manifest.files()
    with atomic_file(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        _store(archive, MANIFEST_NAME, bundle.read_manifest())
        for name in sorted(files):
            _store(archive, name, bundle.read(files[name]))


def _store(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _ZIP_EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    archive.writestr(info, content)


def unpack(archive_path: Path, out: Path, *, replace: bool = False, limits: BundleLimits = CAMERA) -> Bundle:
    """Make the directory ``out`` from a .zip, file by file, and open it.

    The zip is refused before anything is inflated where its directory says more than its manifest, or more than ``limits``; no more is
    ever inflated than was said, to disk and in pieces. Nothing of a refused zip stays.

    Raises:
        InputMissingError: there is no such file.
        BundleError: it is no zip, or one that is not exactly what its manifest says: by what it holds, tries to climb out of its
            directory, to smuggle a file in or to inflate.
        SinkError: ``out`` exists (without ``replace``) or cannot be written.
    """
    if not archive_path.is_file():
        raise InputMissingError(f"{archive_path}: no such file")
    try:
        handle = os.open(archive_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InputMissingError(f"{archive_path}: {error.strerror or error}") from error
    with os.fdopen(handle, "rb") as file:
        return _unpack(file, archive_path, out, replace=replace, limits=limits)


def _unpack(file: BinaryIO, path: Path, out: Path, *, replace: bool, limits: BundleLimits) -> Bundle:
    archive = Archive(file, str(path), max_members=MAX_FILES + 1)
    manifest = archive.members.get(MANIFEST_NAME)
    if manifest is None:
        raise BundleError(f"{path}: not a bundle: no {MANIFEST_NAME} in it")
    if manifest.size > MANIFEST_MAX_BYTES:
        raise BundleError(f"{path}: {MANIFEST_NAME} is larger than {MANIFEST_MAX_BYTES:,} bytes")
    content = bytes(archive.read(manifest))
    files = parse_manifest(content, path / MANIFEST_NAME, limits).files()
    _refuse_unlisted(archive, files, path)
    members = {name: _member(archive, name, ref, path) for name, ref in files.items()}
    with BundleWriter(out, replace=replace, limits=limits) as writer:
        for name, member in members.items():
            writer.add(name, archive.chunks(member))
        writer.finish(content)
    return open_bundle(out, limits)


def _refuse_unlisted(archive: Archive, files: dict[str, FileRef], path: Path) -> None:
    for name in archive.members:
        if name != MANIFEST_NAME and name not in files:
            climbs = name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/")
            what = "climbs out of its directory" if climbs else "is not named in the manifest"
            raise BundleError(f"{path}: {name!r} {what}")


def _member(archive: Archive, name: str, ref: FileRef, path: Path) -> Member:
    member = archive.members.get(name)
    if member is None:
        raise BundleError(f"{path}: {name!r} is missing")
    if member.size != ref.bytes:
        raise BundleError(f"{path}: {name!r} holds {member.size:,} bytes, but the manifest says {ref.bytes:,}")
    return member
