"""Write a bundle whole or not at all: temporary directory → verify → atomic rename."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import msgspec

from edge.bundle.limits import CAMERA, BundleLimits
from edge.bundle.reader import open_bundle
from edge.errors import SinkError
from edge.files import sha256_of, staged_directory
from edge.manifest import MANIFEST_NAME, FileRef, Manifest


class BundleWriter:
    """A context manager that collects files and puts the bundle in place when ``finish`` was called.

    Leaving the block without ``finish``, by an error or not, removes everything that was written; a bundle that stood at
    ``out`` before is untouched until the new one is complete and verified. ``limits``: what the bundle may have; more than a camera
    takes only for a workstation's own.
    """

    def __init__(self, out: Path, *, replace: bool = False, limits: BundleLimits = CAMERA) -> None:
        self._limits = limits
        self._stage_in = staged_directory(out, mark=MANIFEST_NAME, replace=replace)
        self._stack = ExitStack()
        self._finished = False

    def __enter__(self) -> BundleWriter:
        self._stage = self._stack.enter_context(self._stage_in)
        return self

    def add(self, relative: str, content: bytes | Path | Iterable[bytes]) -> FileRef:
        """Store ``content`` (bytes, a file to copy, or pieces as they come) as ``relative``; returns the reference for the manifest.

        Raises:
            SinkError: it cannot be written.
        """
        path = self._stage / relative
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif isinstance(content, Path):
                shutil.copyfile(content, path)
            else:
                with path.open("wb") as file:
                    file.writelines(content)
            return FileRef(file=relative, bytes=path.stat().st_size, sha256=sha256_of(path))
        except OSError as error:
            raise SinkError(f"{relative}: cannot be written into the bundle: {error.strerror or error}") from error

    def finish(self, manifest: Manifest | bytes) -> None:
        """Write the manifest and verify the whole as a reader would; bytes (of a bundle that moves) are kept as they are, because
        their hash names the bundle. Raises BundleError or SinkError."""
        content = (
            manifest if isinstance(manifest, bytes) else msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        )
        self.add(MANIFEST_NAME, content)
        open_bundle(self._stage, self._limits).verify()
        self._finished = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and not self._finished:
            unfinished = SinkError("a bundle was left unfinished")
            self._stack.__exit__(SinkError, unfinished, None)
            raise unfinished
        self._stack.__exit__(kind, error, trace)
