"""One line of the doctor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from edge.errors import ExitCode, ShelfcamError
from edge.text import safe_text

Status = Literal["ok", "warn", "fail"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one area. ``fail``: the camera cannot do its work; ``warn``: it can, but somebody should look.

    ``exit_code`` is that of the family which fails (``edge.errors``), 0 for the others; no credential is ever in a line.
    """

    area: str
    status: Status
    found: str
    fix: str | None = None
    exit_code: int = int(ExitCode.OK)


def ok(area: str, found: str) -> Line:
    """All is well."""
    return Line(area=area, status="ok", found=safe_text(found))


def warn(area: str, found: str, fix: str) -> Line:
    """It works, but."""
    return Line(area=area, status="warn", found=safe_text(found), fix=safe_text(fix))


def fail(area: str, found: str, fix: str | None, code: ExitCode) -> Line:
    """It does not work."""
    return Line(
        area=area, status="fail", found=safe_text(found), fix=None if fix is None else safe_text(fix), exit_code=int(code)
    )


def failed(area: str, error: ShelfcamError) -> Line:
    """What an error says."""
    return fail(area, str(error), error.fix, error.exit_code)


def exit_code(lines: Sequence[Line]) -> int:
    """That of the first line that fails; 0 if none does."""
    return next((line.exit_code for line in lines if line.status == "fail"), int(ExitCode.OK))
