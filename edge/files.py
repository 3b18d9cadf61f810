"""Writing to disk so that a power cut or a full disk leaves the old content or the new, never half of it."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge.errors import SinkError

_CHUNK_BYTES = 1 << 20
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # renameat2(2)
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's content. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def read_regular(path: Path, max_bytes: int, *, below: Path | None = None) -> bytes:
    """The content of a regular file of at most ``max_bytes``, whose size is looked at before anything is read.

    A pipe or a device in its place is refused and cannot make the caller wait. ``below``: a directory in which ``path`` lies; then no
    link is followed on the way from there.

    Raises:
        OSError: it cannot be opened or read; ELOOP or ENOTDIR for a link that is not followed.
        ValueError: no file can have that name, it is no regular file, it is larger, or it changed its size while it was read.
    """
    handle = os.open(path, _READ) if below is None else _open_below(below, path.relative_to(below).parts)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        if found.st_size > max_bytes:
            raise ValueError(f"it has {found.st_size:,} bytes, at most {max_bytes:,} are read")
        content = file.read(found.st_size + 1)
        if len(content) != found.st_size:
            raise ValueError("its size changed while it was read")
        return content


def _open_below(root: Path, parts: tuple[str, ...]) -> int:
    folder = os.open(root, _READ | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _READ | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(parts[-1], _READ | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)


def write_atomic(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, synced to disk, creating its directory.

    Raises:
        SinkError: it cannot be written; what was there before is still there.
    """
    with atomic_file(path) as file:
        file.write(content)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when the block ends well, synced to disk, and vanishes when it does not.

    Raises:
        SinkError: it cannot be written; what was there before is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        Path(name).unlink(missing_ok=True)
    sync_directory(path.parent)


def refuse_unwritable(path: Path) -> None:
    """For long work whose result goes to ``path``: raises SinkError now if it could not be written, and creates its directory."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error
    if path.is_dir():
        raise SinkError(f"{path}: is a directory, not a file")


def refuse_occupied(target: Path, *, mark: str, replace: bool) -> None:
    """Raises SinkError if something is at ``target`` that must stay: a file; a directory with content, unless ``replace``; and in any
    case one without a file ``mark``, which is somebody's own and not an earlier result."""
    if target.exists() and not target.is_dir():
        raise SinkError(f"{target}: is a file, not a directory")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not replace:
        raise SinkError(f"{target}: already exists and is not empty", fix="give another directory, or --force to replace it")
    if not (target / mark).is_file():
        raise SinkError(f"{target}: holds no {mark}, so it is not replaced", fix="give another directory, or empty this one")


@contextmanager
def staged_directory(target: Path, *, mark: str, replace: bool) -> Iterator[Path]:
    """A new empty directory beside ``target`` that takes its place when the block ends well and vanishes when it does not.

    Args:
        target: where the content shall appear, at once and whole.
        mark: the file that every directory of this kind has.
        replace: whether an earlier one at ``target`` may be replaced; it stays untouched until the swap.

    Raises:
        SinkError: the target is occupied (see ``refuse_occupied``), or cannot be written.
    """
    refuse_occupied(target, mark=mark, replace=replace)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise SinkError(f"{target}: cannot be written: {error.strerror or error}") from error
    try:
        yield stage
        stage.chmod(0o755)  # mkdtemp makes it 0700, and another user's service must be able to read it
        _swap(stage, target)
    except OSError as error:
        raise SinkError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def sync_directory(directory: Path) -> None:
    """Make a rename inside ``directory`` survive a power cut, where the file system can."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # not every file system lets a directory be opened; the rename itself has happened
    try:
        os.fsync(handle)
    except OSError:
        pass  # nor synced
    finally:
        os.close(handle)


def _swap(stage: Path, target: Path) -> None:
    """Put ``stage`` where ``target`` is: a plain rename if nothing is there, else both names exchanged in one step."""
    _sync_tree(stage)
    try:
        stage.rename(target)  # also replaces an empty directory
    except OSError:
        if not target.is_dir():
            raise
        _exchange(stage, target)
    sync_directory(target.parent)


def _exchange(one: Path, other: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return
    old = one.with_name(one.name + ".old")  # a file system without exchange: two renames, undone if the second fails
    other.rename(old)
    try:
        one.rename(other)
    except OSError:
        old.rename(other)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync_tree(root: Path) -> None:
    for path in root.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_directory(path)
    sync_directory(root)
