"""Points of a report, what is missing, and the front that nothing beats."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.report.points import accurate_front, front, points_of
from edge.errors import DataError
from tests.fakes.zoo_reports import NETS, board, make_record, zoo_report


def test_points_have_their_share_of_the_peak_and_name_what_they_lack() -> None:
    report = zoo_report(scatter=0.0, noise=0.0, candidates=("onnx-fp32", "tflite-int8"))
    untimed = msgspec.structs.replace(report.records[0], p50_ms=None)
    other = msgspec.structs.replace(report.records[0], bench="latency-sustained")
    twice = msgspec.structs.replace(report, records=(*report.records[1:], untimed, report.records[1], other))
    points, missing = points_of(twice, name="test")
    assert {round(p.peak_share, 3) for p in points if p.runtime == "onnxruntime"} == {0.5}
    assert {round(p.peak_share, 3) for p in points if p.runtime != "onnxruntime"} == {round(0.5 / 1.2, 3)}
    assert [m.reason for m in missing[1:]] == [
        "its single queries were not timed",
        "measured twice; the first is shown",
    ]
    lite2 = next(p for p in points if p.network == "efficientnet_lite2")
    assert (lite2.height_px, lite2.width_px) == (260, 260)


def test_other_reports_are_refused_by_name() -> None:
    report = zoo_report(candidates=("onnx-int8",))
    with pytest.raises(DataError, match=r"here\.json: is a report of bench loop"):
        points_of(msgspec.structs.replace(report, bench="loop"), name="here.json")
    other = make_record(NETS[0], "onnx-int8", 1.0, host=board("Jetson"))
    with pytest.raises(DataError, match="several machines"):
        points_of(msgspec.structs.replace(report, records=(*report.records, other)), name="here.json")


def test_the_front_is_what_nothing_beats() -> None:
    points, _ = points_of(zoo_report(candidates=("onnx-fp32", "onnx-int8")), name="test")
    best = front(points)
    assert [p.bytes for p in best] == sorted(p.bytes for p in best)
    for p in points:
        beaten = any(o.bytes <= p.bytes and o.p50_ms <= p.p50_ms and (o.bytes, o.p50_ms) != (p.bytes, p.p50_ms) for o in points)
        assert beaten is (p not in best)
    known = accurate_front(points)
    assert {p.network for p in known} == {"efficientnet_lite0", "efficientnet_lite2"}  # the slower is the more accurate
    assert {p.precision for p in known} == {"int8"}
