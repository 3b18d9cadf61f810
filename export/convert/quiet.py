"""Keep the converters' chatter off the terminal, where progress bars and JSON go."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from edge.errors import ShelfcamError

_SHOWN_ON_FAILURE = 4000  # bytes


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send what is written to standard output and standard error, by Python or by native code, to a scratch file; if the block
    fails, its end is shown on standard error; but not for an error of our own, which says itself what is wrong."""
    with tempfile.TemporaryFile() as scratch:
        sys.stdout.flush()
        sys.stderr.flush()
        saved = [os.dup(1), os.dup(2)]
        try:
            for number in (1, 2):
                os.dup2(scratch.fileno(), number)
            with (
                open(os.devnull, "w", encoding="utf-8") as void,  # noqa: PTH123 - os.devnull is no file
                contextlib.redirect_stdout(void),
                contextlib.redirect_stderr(void),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore")
                yield
        except ShelfcamError:
            raise
        except BaseException:
            _restore(saved)
            saved = []
            scratch.seek(max(0, scratch.seek(0, os.SEEK_END) - _SHOWN_ON_FAILURE))
            sys.stderr.write(scratch.read().decode(errors="replace"))
            raise
        finally:
            _restore(saved)


def _restore(saved: list[int]) -> None:
    for number, copy in zip((1, 2), saved, strict=False):
        os.dup2(copy, number)
        os.close(copy)
