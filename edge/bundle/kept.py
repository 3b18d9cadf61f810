"""Bundles that have run here, kept in the camera's state directory: what runs when the configured one cannot.

A bundle's directory may be replaced in place by a bad one, and then nothing else would be left. So a bundle that answered the camera is
copied here, at most once, beside the loop. Two are kept at most: the newest, and the newest that has run well for a while; so one that
passes its trial and then dies on the camera's pictures does not push out the one before it. Bundles of the package are remembered by
name and not copied.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge import strict
from edge.bundle.limits import CAMERA
from edge.bundle.reader import Bundle, open_bundle
from edge.bundle.writer import BundleWriter
from edge.errors import BundleError, DataError, InputMissingError, SinkError
from edge.files import read_regular, write_atomic
from edge.manifest import Sha256
from edge.strict import Name, Strict

SPARE_BYTES = 64_000_000
"""Left free on the disk for events."""

_INDEX = "kept.json"
_INDEX_MAX_BYTES = 100_000
_LOG = logging.getLogger(__name__)


class KeptBundle(Strict, frozen=True, kw_only=True):
    """One bundle. ``builtin``: its name, for one of the package; ``model``: which of its models ran, None: its pipeline, or its only one;
    ``proven``: it has run well."""

    sha256: Sha256
    model: Name | None
    builtin: Annotated[str, msgspec.Meta(pattern=r"^builtin:[a-z0-9-]+\Z")] | None = None
    proven: bool = False


class _Index(Strict, frozen=True, kw_only=True):
    schema: Literal[1]
    kept: tuple[KeptBundle, ...]


class KeptBundles:
    """The directory ``root``. What cannot be read there is forgotten, never fatal."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def all(self) -> tuple[KeptBundle, ...]:
        """What is kept, the newest first."""
        path = self._root / _INDEX
        try:
            return strict.convert(strict.load_json(path, self._read), _Index, path, DataError).kept
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, DataError) as error:
            _LOG.warning("which bundles ran here before cannot be read: %s", error)
            return ()

    def open(self, sha256: str) -> Bundle:
        """A copy, every file of it checked. Raises BundleError or InputMissingError if it is not what was kept."""
        if self._root.is_symlink() or (self._root / sha256).is_symlink():
            raise BundleError(f"{self._root / sha256}: no plain folder in a plain folder", fix="remove the link")
        bundle = open_bundle(self._root / sha256)
        if bundle.sha256 != sha256:
            raise BundleError(f"{bundle.directory}: not the bundle that was kept there")
        bundle.verify()
        return bundle

    def keep(
        self, bundle: Bundle, model: str | None, *, builtin: str | None = None, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Make it the newest. ``stopped`` is asked between two files; then nothing has changed (SinkError).

        Raises:
            BundleError: its files are no longer those of its manifest.
            SinkError: it is too large, or cannot be written.
        """
        before = [kept for kept in self.all() if kept.sha256 != bundle.sha256]
        known = next((kept for kept in self.all() if kept.sha256 == bundle.sha256), None)
        if builtin is None and not self._is_whole(bundle.sha256):
            self._copy(bundle, stopped)
        newest = KeptBundle(sha256=bundle.sha256, model=model, builtin=builtin, proven=known is not None and known.proven)
        proven = [kept for kept in before if kept.proven][:1]
        self._write((newest, *(proven or before[:1])))

    def prove(self, bundle: Bundle) -> None:
        """It has run well. Raises SinkError."""
        kept = self.all()
        if any(one.sha256 == bundle.sha256 and not one.proven for one in kept):
            changed = (msgspec.structs.replace(one, proven=one.proven or one.sha256 == bundle.sha256) for one in kept)
            self._write(tuple(changed))

    def _read(self, path: Path) -> bytes:
        return read_regular(path, _INDEX_MAX_BYTES, below=self._root)

    def _is_whole(self, sha256: str) -> bool:
        try:
            self.open(sha256)
        except (BundleError, InputMissingError):
            return False
        return True

    def _copy(self, bundle: Bundle, stopped: Callable[[], bool]) -> None:
        files = bundle.manifest.files()
        size = sum(ref.bytes for ref in files.values())
        if size > CAMERA.total:
            raise SinkError(
                f"{bundle.directory}: its {size:,} bytes are more than the {CAMERA.total:,} that are kept of a bundle"
            )
        manifest = bundle.read_manifest()
        self._refuse_link()
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self._root).free < size + SPARE_BYTES:
                raise SinkError(f"{self._root}: too little space on the disk for another {size:,} bytes")
        except OSError as error:
            raise SinkError(f"{self._root}: cannot be written: {error.strerror or error}") from error
        target = self._root / bundle.sha256
        if bundle.directory.resolve() == target.resolve():
            raise BundleError(f"{target}: altered while it ran")
        shutil.rmtree(target, ignore_errors=True)  # if there is one, it was found altered
        with BundleWriter(target) as writer:
            for name, ref in files.items():
                if stopped():
                    raise SinkError("stopped before the bundle was copied")
                writer.add(name, bundle.read(ref))
            writer.finish(manifest)

    def _write(self, kept: tuple[KeptBundle, ...]) -> None:
        """The index, and then no copy that it does not name. Raises SinkError."""
        content = msgspec.json.format(msgspec.json.encode(_Index(schema=1, kept=kept)), indent=2)
        self._refuse_link()
        write_atomic(self._root / _INDEX, content + b"\n", follow=False)
        names = {_INDEX, *(one.sha256 for one in kept)}
        for path in self._root.iterdir():
            if path.name not in names:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def _refuse_link(self) -> None:
        """Raises SinkError where the directory is a link: everything that is not ours is removed from it."""
        if self._root.is_symlink():
            raise SinkError(f"{self._root}: is a symbolic link, so it is not used", fix="remove it")
