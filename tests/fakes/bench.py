"""``shelfcam bench`` called in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest
from cyclopts import App

from benchmarks.cli import register
from benchmarks.record.schema import Report, read_struct

R = TypeVar("R", bound=Report)


def call_bench(*words: str) -> None:
    """``shelfcam bench WORDS``; its errors come as they are."""
    app = App(name="shelfcam", result_action="return_value")
    register(app)
    app(["bench", *words], exit_on_error=False, print_error=False)


def bench_report(capfd: pytest.CaptureFixture[str], tmp_path: Path, kind: type[R], *words: str) -> R:
    """The report that ``shelfcam bench WORDS --json`` prints, read again."""
    call_bench(*words, "--json")
    path = tmp_path / "report.json"
    path.write_text(capfd.readouterr().out, encoding="utf-8")
    return read_struct(path, kind)
