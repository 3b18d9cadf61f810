"""Rows of the page's tables."""

from __future__ import annotations

import dataclasses

from benchmarks.report.tables import SEED_COLUMNS, seed_cells, seed_note, seed_rows
from tests.fakes.zoo_reports import googlenet_points


def test_size_and_time_of_the_seeds_table_are_of_one_file() -> None:
    onnx, tflite = googlenet_points()
    fast = dataclasses.replace(tflite, bytes=onnx.bytes * 2, p50_ms=onnx.p50_ms / 2)
    rows = seed_rows([onnx, fast], [("GoogLeNet", None)], {"googlenet": "GoogLeNet"})
    (row,) = rows
    assert (row.int8_mb, row.int8_p50_ms, row.int8_runtime) == (fast.mb, fast.p50_ms, "ai-edge-litert")
    assert (row.fp32_mb, row.fp32_runtime) == (None, None)
    (cells,) = seed_cells(rows)
    assert len(cells) == len(SEED_COLUMNS)
    assert cells[-1] == "ai-edge-litert"
    assert "1 thread." in seed_note(rows)
