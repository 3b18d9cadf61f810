"""The tables of ``shelfcam bench latency``."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.latency import measure
from benchmarks.latency.show import show_latency
from tests.fakes.timings import latency_plan


def test_the_tables(tmp_path: Path, fake_processes: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    show_latency(measure.measure(latency_plan(tmp_path, "onnx-int8", sustained_s=60.0, quick=True), lambda _: None))
    shown = capsys.readouterr().out
    for words in ("quick", "latency-sustained", "inference", "temperature_c_max", "last one's median is 1.000", "empty query"):
        assert words in shown
