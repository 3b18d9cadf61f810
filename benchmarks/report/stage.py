"""The directory of a page, replaced whole; the measurements that it was made from stay where they were."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import SinkError
from edge.files import staged_directory

PAGE = "index.html"


@contextmanager
def staged_page(out: Path, inputs: Iterable[Path], *, replace: bool) -> Iterator[Path]:
    """As ``staged_directory``: a new directory that takes the place of ``out``. Files of ``inputs`` that lie inside ``out`` go along.

    Raises:
        SinkError: as there; or a file that was written is called like one of ``inputs``, which then stays.
    """
    with staged_directory(out, mark=PAGE, replace=replace) as stage:
        yield stage
        for path in inputs:
            for inside in _inside(path, out):
                kept = stage / inside
                if kept.exists():
                    raise SinkError(
                        f"{out / inside}: is measured data, and the page has a file of that name",
                        fix="rename it, or another --out",
                    )
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, kept)


def _inside(path: Path, out: Path) -> set[Path]:
    """Where in ``out`` the file lies, if it does: under its own name, and, of a link, under that of the file it leads to."""
    root = out.resolve()
    return {
        place.relative_to(root)
        for place in (path.parent.resolve() / path.name, path.resolve())
        if path.is_file() and place.is_relative_to(root)
    }
