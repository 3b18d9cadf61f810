"""What the plots name, and that they are the same for the same records."""

from __future__ import annotations

import msgspec
import pytest

pytest.importorskip("matplotlib", reason="the plots")

import dataclasses

from benchmarks.report.pages import sizes_words
from benchmarks.report.plots import _front_name, steps
from benchmarks.report.points import points_of
from benchmarks.report.write import _drawn
from tests.fakes.zoo_reports import NETS, board, googlenet_points, mac_driven, make_record, zoo_report


def test_plots_are_the_same_for_the_same_records() -> None:
    from benchmarks.report.plots import AXES, latency_plot
    from benchmarks.report.points import points_of

    points, _ = points_of(zoo_report(mac_driven, candidates=("onnx-int8",), nets=NETS[4:12]), name="x")
    one, other = (latency_plot({"onnxruntime": points}, AXES["weight"]) for _ in range(2))
    assert one.png == other.png
    assert one.unnamed == 0


def test_smaller_inputs_are_on_the_front_by_name_and_their_absence_elsewhere_is_said() -> None:
    report = zoo_report(candidates=("onnx-int8",), nets=NETS[4:6])
    small = make_record(dataclasses.replace(NETS[4], side_px=96), "onnx-int8", 0.1, host=board())
    points, _ = points_of(msgspec.structs.replace(report, records=(*report.records, small)), name="x")
    drawn = _drawn(points, 1)
    assert [p.height_px for p in drawn] == [224, 224, 96]
    assert [_front_name(p, drawn) for p in drawn] == [
        "googlenet@224 onnx-int8",
        "inceptionv2 onnx-int8",
        "googlenet@96 onnx-int8",
    ]
    assert "at its largest input" in sizes_words(drawn)
    assert sizes_words(drawn[:2]) == ""


def test_runtimes_of_one_network_are_told_apart_on_the_front() -> None:
    points = googlenet_points()
    assert [_front_name(p, points) for p in points] == ["googlenet onnx-int8", "googlenet tflite-int8"]


def test_a_fronts_steps_are_level_then_upright() -> None:
    one, other = (
        dataclasses.replace(p, bytes=b, p50_ms=ms)
        for p, b, ms in zip(googlenet_points(), (10**6, 2 * 10**6), (5.0, 3.0), strict=True)
    )
    assert steps([one, other]) == [((1.0, 5.0), (2.0, 5.0)), ((2.0, 5.0), (2.0, 3.0))]
    assert steps([one]) == []
