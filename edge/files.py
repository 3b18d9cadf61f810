"""Writing to disk so that a power cut or a full disk leaves the old content or the new, never half of it."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edge.errors import SinkError

STATE_BYTES = 1 << 20
"""Of a small file in a state directory; what is larger is none that we wrote."""

_CHUNK_BYTES = 1 << 20
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # renameat2(2)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's content. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class UnusableError(OSError, ValueError):
    """What is there may not be used: it is no regular file, or has another size than it may have. ``strerror`` says which."""

    def __str__(self) -> str:
        return str(self.strerror)


def open_regular(
    path: Path | str, flags: int = os.O_RDONLY, mode: int = 0o600, *, directory: int | None = None, follow: bool = False
) -> int:
    """A descriptor of a regular file in a place where somebody else may have put something: a pipe, device or directory is neither
    waited for nor used, and a symbolic link is not followed. Every file of a state directory is opened by this rule.

    Args:
        path: the file; only its last name must not be a link, so that the site may choose where its directories are.
        flags: of open(2).
        mode: of a file that is made.
        directory: a descriptor that ``path`` is relative to.
        follow: for files that people name themselves, which may be links.

    Raises:
        OSError: as open(2) says; UnusableError where it is no regular file.
    """
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags, mode, dir_fd=directory)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise
        raise _unusable(path, "a symbolic link" if error.errno == errno.ELOOP else "not a regular file") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _unusable(path, "not a regular file")
    return handle


def _unusable(path: Path | str, what: str) -> UnusableError:
    return UnusableError(errno.EINVAL, f"is {what}, so it is not used", str(path))


def read_regular(
    path: Path | str,
    max_bytes: int = STATE_BYTES,
    *,
    directory: int | None = None,
    below: Path | None = None,
    follow: bool = False,
) -> bytes:
    """The content of a regular file (see ``open_regular``), whose size is looked at before anything is read. ``below``: a directory in
    which ``path`` lies; then no link is followed on the way from there either.

    Raises:
        OSError: it cannot be opened or read; ENOTDIR also for a link on the way from ``below``. UnusableError: it is no regular file,
            has more than ``max_bytes``, or changed its size while it was read.
        ValueError: no file can have that name.
    """
    if below is None:
        handle = open_regular(path, directory=directory, follow=follow)
    else:
        handle = _open_below(below, Path(path).relative_to(below).parts)
    with os.fdopen(handle, "rb") as file:
        size = os.fstat(handle).st_size
        if size > max_bytes:
            raise UnusableError(errno.EFBIG, f"has {size:,} bytes, at most {max_bytes:,} are read", str(path))
        content = file.read(size + 1)
    if len(content) != size:
        raise UnusableError(errno.EINVAL, "changed its size while it was read", str(path))
    return content


def _open_below(root: Path, parts: tuple[str, ...]) -> int:
    folder = open_directory(root)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return open_regular(parts[-1], directory=folder)
    finally:
        os.close(folder)


def open_directory(path: Path | str, *, follow: bool = True) -> int:
    """A descriptor of a directory. Raises OSError; unless ``follow``, also where ``path`` itself is a symbolic link."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    except NotADirectoryError as error:
        if Path(path).is_symlink():
            raise _unusable(path, "a symbolic link") from error
        raise


def write_atomic(path: Path, content: bytes, *, follow: bool = True) -> None:
    """Replace ``path`` by ``content``, synced to disk, creating its directory. A symbolic link at ``path`` is replaced, not followed.

    Args:
        path: the file.
        content: all of it.
        follow: whether the directory may be a symbolic link: where people name it, yes; where a camera keeps its state, no.

    Raises:
        SinkError: it cannot be written; what was there before is still there.
    """
    with atomic_file(path, follow=follow) as file:
        file.write(content)


@contextmanager
def atomic_file(path: Path, *, follow: bool = True) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when the block ends well, synced to disk, and vanishes when it does not.

    Raises:
        SinkError: it cannot be written; what was there before is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        directory = open_directory(path.parent, follow=follow)
        try:
            with replacing(directory, path.name) as file:
                yield file
        finally:
            os.close(directory)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def replacing(directory: int, name: str, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A new file that takes the place of whatever file or link has that name in an open directory when the block ends well, synced to
    disk. Raises OSError."""
    stage = f".{name}.{secrets.token_hex(4)}"
    handle = os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            yield file
            file.flush()
            os.fsync(handle)
        os.replace(stage, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(stage, dir_fd=directory)
        raise
    with suppress(OSError):  # not every file system lets a directory be synced; the rename itself has happened
        os.fsync(directory)


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
