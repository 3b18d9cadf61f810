"""The zoo's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measure.alternation import timed_record
from benchmarks.measure.peak import peak_records
from benchmarks.record.schema import Missing, Report
from benchmarks.zoo.show import show_timings
from tests.fakes.timings import CALM, outcome


def test_the_table_shows_times_and_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = timed_record("zoo", outcome(tmp_path, "net", "onnx-fp32", 300_000_000, 3.0), thermal={})
    peaks = peak_records([outcome(tmp_path, "peak_3x3", "onnx-fp32", 1_000_000_000, 2.5)], {})
    missing = (Missing(name="vgg19", reason="over budget: 143.67 MB of 8-bit weights"),)
    show_timings(Report(
        bench="zoo", quick=True, records=(*peaks, record), ratios=(), checks=(), conditions=CALM, missing=missing
    ))  # fmt: skip
    shown = capsys.readouterr().out
    assert "25%" in shown
    assert "32×48" in shown
    assert "143.67 MB" in shown
    assert "quick" in shown
