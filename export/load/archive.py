"""PyTorch's files are ZIP archives; their sizes are checked before anything of them is read."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

from edge.errors import DataError

_EXTRA_BYTES = 64_000_000  # beyond the file's own size: PyTorch compresses code and never weights
_RECORDS_MAX = 100_000
_DAMAGED = "copy it again from where it came"


def is_archive(content: bytes) -> bool:
    """Whether it is a ZIP archive at all."""
    return zipfile.is_zipfile(io.BytesIO(content))


def read_records(path: Path, content: bytes) -> dict[str, bytes]:
    """Every record by its name below the archive's one root directory.

    Raises:
        DataError: damaged, encrypted, with two records of one name, or unpacked much larger than it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _check_sizes(path, infos, len(content))
            records = {info.filename.partition("/")[2]: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError) as error:
        raise DataError(f"{path}: damaged: {error}", fix=_DAMAGED) from error
    if len({info.filename.partition("/")[0] for info in infos}) > 1 or len(records) != len(infos):
        raise DataError(f"{path}: refused: its archive has records of the same name, or more than one root", fix=_DAMAGED)
    return records


def _check_sizes(path: Path, infos: list[zipfile.ZipInfo], file_bytes: int) -> None:
    """What the archive declares, before anything is unpacked: ``zipfile`` never inflates a record further than that."""
    if len(infos) > _RECORDS_MAX:
        raise DataError(f"{path}: refused: {len(infos):,} records; at most {_RECORDS_MAX:,}")
    total = sum(info.file_size for info in infos)
    if total > file_bytes + _EXTRA_BYTES:
        raise DataError(
            f"{path}: refused: {file_bytes:,} bytes would become {total:,}; PyTorch's own files are not compressed like that",
            fix="save it again with PyTorch, where you trust it",
        )
