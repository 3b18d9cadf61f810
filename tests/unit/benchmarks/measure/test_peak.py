"""The machine's peak, and a network's share of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.measure.alternation import Outcome, timed_record
from benchmarks.measure.peak import macs_per_s, peak_records, share_of_peak
from tests.fakes.timings import outcome, subject


def test_the_peak_is_the_best_shape_of_each_runtime_precision_and_thread_count(tmp_path: Path) -> None:
    found = peak_records(
        [
            outcome(tmp_path, "peak_3x3", "onnx-fp32", 2_000_000_000, 20.0),  # 100 GMAC/s
            outcome(tmp_path, "peak_1x1", "onnx-fp32", 1_000_000_000, 8.0),  # 125
            outcome(tmp_path, "peak_3x3", "onnx-int8", 2_000_000_000, 5.0),  # 400
            outcome(tmp_path, "peak_1x1", "onnx-int8", 1_000_000_000, 4.0),  # 250
            outcome(tmp_path, "peak_3x3", "onnx-fp32", 2_000_000_000, 10.0, threads=2),
            Outcome(subject(tmp_path / "none", "peak_3x3", "tflite-fp32"), (), "no runtime"),
        ],
        {},
    )
    reached = [(r.bench, r.model.candidate, r.runtime.threads, r.model.model, macs_per_s(r) / 1e9) for r in found]
    assert reached == [
        ("peak", "fp32", 1, "peak_1x1", pytest.approx(125)),
        ("peak", "int8", 1, "peak_3x3", pytest.approx(400)),
        ("peak", "fp32", 2, "peak_3x3", pytest.approx(200)),
    ]
    network = timed_record("zoo", outcome(tmp_path, "net", "onnx-int8", 300_000_000, 3.0), thermal={})
    assert share_of_peak(network, found) == pytest.approx(0.25)  # 100 of 400
    mixed = msgspec.structs.replace(network, model=msgspec.structs.replace(network.model, precision="mixed"))
    assert share_of_peak(mixed, found) == pytest.approx(0.25)
    other = timed_record("zoo", outcome(tmp_path, "net", "tflite-int8", 300_000_000, 3.0), thermal={})
    assert share_of_peak(other, found) is None
