"""``shelfcam bench compare`` end to end on a tiny bundle with the real runtimes that are here: its structure, never its speed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.record.schema import Report, record_id
from edge.bundle.reader import Bundle
from edge.errors import UsageError
from tests.fakes.bench import bench_report, call_bench

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TINY = ["--quick", "--rounds", "2", "--seconds-per-round", "0.01", "--starts", "1"]


def test_the_runtimes_that_are_here_and_those_that_are_not(
    fronted: Bundle, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = bench_report(
        capfd, tmp_path, Report, "compare", *TINY, "--bundle", str(fronted.directory), "--envs", str(tmp_path / "envs")
    )
    assert (report.bench, report.quick) == ("compare", True)
    ids = [record_id(record) for record in report.records]
    assert len(set(ids)) == len(ids)
    ran = [(record.bench, record.runtime.name) for record in report.records]
    bare = [("bare", name) for name in ("shelfcam", "onnxruntime", "opencv-dnn")]
    assert set(ran) == {("loop", "shelfcam"), ("loop", "opencv-onnxruntime"), *bare}
    assert {r.runtime.options["cores"] for r in report.records} == {str(max(os.sched_getaffinity(0)))}
    for record in report.records:
        assert len(record.rounds) == 2
        assert record.memory["peak"] >= record.memory["resident"] > 0
        assert record.memory["disk_runtime"] > 1_000_000
        if record.runtime.name != "shelfcam":
            assert "same best class as shelfcam with the same candidate: 100.0% of 64 pictures" in record.notes[0]
    assert {(r.numerator, r.denominator) for r in report.ratios} == {
        (record_id(ours), record_id(theirs))
        for ours in report.records
        for theirs in report.records
        if ours.bench == theirs.bench and ours.runtime.name == "shelfcam" != theirs.runtime.name
    }
    absent = {one.name: one.reason for one in report.missing}
    assert {"mediapipe", "openvino", "ncnn"} <= set(absent)
    assert "-m pip install mediapipe==" in absent["mediapipe"]


def test_the_table(fronted: Bundle, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    where = ["--bundle", str(fronted.directory), "--envs", str(tmp_path)]
    call_bench("compare", *TINY, *where, "--peers", "onnxruntime,openvino", "--candidates", "onnx-a")
    said = capfd.readouterr()
    for words in (
        "Loops, ms",
        "Bare runtimes, ms",
        "bare, onnx-a: shelfcam ÷ onnxruntime",
        "openvino",
        "absent: shelfcam bench compare --install",
    ):
        assert words in said.out, words
    assert "starting onnxruntime, bare, onnx-a" in said.err


def test_what_a_peer_cannot_read_is_a_reason(colour_bundle: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = bench_report(
        capfd,
        tmp_path,
        Report,
        "compare",
        *TINY,
        "--bundle",
        str(colour_bundle),
        "--envs",
        str(tmp_path),
        "--peers",
        "opencv-dnn",
    )
    assert [(one.name, one.reason.partition(":")[0]) for one in report.missing] == [
        ("opencv-dnn, onnx-a", "the file does not begin with raw pixels that are transposed and dequantized")
    ]


def test_wrong_words_are_refused(fronted: Bundle, tmp_path: Path) -> None:
    where = ["--bundle", str(fronted.directory), "--envs", str(tmp_path)]
    with pytest.raises(UsageError, match="unknown peer"):
        call_bench("compare", *where, "--peers", "nobody")
    with pytest.raises(UsageError, match="may use"):
        call_bench("compare", *where, "--threads", "4096")
    with pytest.raises(UsageError, match="--candidates: unknown: 'onnx-z'"):
        call_bench("compare", *where, "--candidates", "onnx-z")
