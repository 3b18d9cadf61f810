"""The loop's speed beside its peers, held against the targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.command import make_settings
from benchmarks.shelf.speed_ratios import VS_MEDIAPIPE, VS_PLAIN, speed_ratios
from edge.bundle.reader import Bundle, open_bundle

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_the_speed_ratios_of_a_shelf(fronted: Bundle, tmp_path: Path) -> None:
    model = open_bundle(fronted.directory).manifest.models[0]
    settings = make_settings(1, 2, 0.01, 1, quick=True)
    records, ratios, checks = speed_ratios(fronted, model, settings, tmp_path, lambda text: None)
    assert {(r.bench, r.runtime.name) for r in records} == {("loop", "shelfcam"), ("loop", "opencv-onnxruntime")}
    mediapipe, plain = checks
    assert (mediapipe.name, mediapipe.limit, mediapipe.value) == (VS_MEDIAPIPE, 1.3, None)
    assert mediapipe.note == "the model has no candidate that this peer reads"
    assert (plain.name, plain.limit, plain.value) == (VS_PLAIN, 1.1, ratios[0].value)
    assert plain.holds is (ratios[0].value >= 1.1)
    assert "same best class on 100% of the pictures" in plain.note
    assert "CPU ms a frame" in plain.note
