"""Paths inside the file system of another machine: no symbolic link in it leads out of it, whoever made the image.

As ``RESOLVE_IN_ROOT`` of openat2(2) has it, but on every kernel, and making the directories that are missing.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.errors import SinkError
from edge.files import read_regular, replacing

_MOST_LINKS = 40  # as path_resolution(7)
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Image:
    """The file system below ``root``; all paths are relative to it. ``root`` itself is the caller's word and may be a link."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def _directory(self, path: str, *, make: bool) -> Iterator[int]:
        """A descriptor of the directory that ``path`` leads to inside the root. Raises OSError."""
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        trail = [os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        left = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        links = 0
        try:
            while left:
                part = left.pop()
                if part == "..":
                    if len(trail) > 1:
                        os.close(trail.pop())
                    continue
                target = _link_in(trail[-1], part)
                if target is None:
                    trail.append(_enter(trail[-1], part, make=make))
                    continue
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), part)
                if target.startswith("/"):
                    while len(trail) > 1:
                        os.close(trail.pop())
                left += [word for word in reversed(target.split("/")) if word not in ("", ".")]
            yield trail[-1]
        finally:
            for handle in trail:
                os.close(handle)

    def read(self, path: str) -> bytes | None:
        """The content of a file; None where there is none, or something that is no regular file. Raises SinkError."""
        folder, _, name = path.rpartition("/")
        try:
            with self._directory(folder, make=False) as directory:
                return read_regular(name, directory=directory)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EFBIG, errno.ELOOP):
                return None
            raise SinkError(f"{self.root / path}: cannot be read: {error.strerror or error}") from error

    def is_there(self, path: str) -> bool:
        """Whether something has that name, a link that leads nowhere included. Raises SinkError."""
        folder, _, name = path.rpartition("/")
        try:
            with self._directory(folder, make=False) as directory:
                os.stat(name, dir_fd=directory, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise SinkError(f"{self.root / path}: cannot be looked at: {error.strerror or error}") from error
        return True

    def write(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Put a file there, making its directories; a link in its place is replaced, not followed. Raises SinkError."""
        folder, _, name = path.rpartition("/")
        try:
            with self._directory(folder, make=True) as directory, replacing(directory, name, mode) as file:
                file.write(content)
        except OSError as error:
            raise SinkError(f"{self.root / path}: cannot be written: {error.strerror or error}") from error

    def remove(self, path: str) -> None:
        """Delete what has that name; of a link the link. Raises SinkError."""
        folder, _, name = path.rpartition("/")
        try:
            with self._directory(folder, make=False) as directory:
                os.unlink(name, dir_fd=directory)
        except OSError as error:
            raise SinkError(f"{self.root / path}: cannot be deleted: {error.strerror or error}") from error

    def odd_part(self, path: str) -> str | None:
        """The first part of ``path`` that is neither a directory nor, at its end, a regular file of one name; None if all are, or are not
        there. For programs that follow links out of the image. Raises SinkError."""
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            here = "/".join(parts[:count])
            try:
                found = os.lstat(self.root / here)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise SinkError(f"{self.root / here}: cannot be looked at: {error.strerror or error}") from error
            regular = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and count == len(parts)
            if not (regular or (stat.S_ISDIR(found.st_mode) and count < len(parts))):
                return here
        return None


def _link_in(directory: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # it is no link
            return None
        raise


def _enter(directory: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # another made it just now; if it is a link, it is not followed
        os.mkdir(name, 0o755, dir_fd=directory)
    return os.open(name, _OPEN, dir_fd=directory)
