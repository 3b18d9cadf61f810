"""``shelfcam bench loop`` end to end on a tiny bundle: its structure, never its speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measure.frame_cost import FLOORS
from benchmarks.record.schema import Report, record_id
from edge.bundle.reader import open_bundle
from edge.errors import UsageError
from edge.manifest import Candidate
from tests.fakes.bench import bench_report, call_bench

TINY = ["--quick", "--rounds", "2", "--seconds-per-round", "0.01", "--starts", "1", "--frames", "12"]


def test_every_part_on_a_tiny_bundle(colour_bundle: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    report = bench_report(capfd, tmp_path, Report, "loop", *TINY, "--bundle", str(colour_bundle), "--threads", "1")
    assert report.quick
    ids = [record_id(record) for record in report.records]
    assert len(set(ids)) == len(ids)
    assert ids[:4] == [f"{bench}/colour/onnx-a/1×8×8×3/onnxruntime/1t" for bench in ("bare", "loop", "preprocess", "inference")]
    assert [record.bench for record in report.records[4:]] == ["frame", "start", "memory"]
    assert {ratio.numerator for ratio in report.ratios} | {ratio.denominator for ratio in report.ratios} == set(ids[:5])
    assert all(ratio.low <= ratio.value <= ratio.high for ratio in report.ratios)
    loop, frame, start, memory = report.records[1], *report.records[4:]
    assert set(frame.stages) == {f"{part}{end}" for part in FLOORS for end in ("", ": floor")}
    assert set(loop.stages) == {"capture", "preprocess", "inference", "decode", "sink"}
    assert [len(record.rounds) for record in (loop, start, memory)] == [2, 1, 1]
    assert start.rounds[0].cpu_s is not None
    assert {"resident_at_6", "resident_at_12", "peak"} <= set(memory.memory)
    assert loop.model.bundle == f"colours@{open_bundle(colour_bundle).sha256[:12]}"
    assert [check.name for check in report.checks if check.holds is None] == ["int8 ONNX", "int8 ÷ fp32 speed, 1 thread"]
    assert all(check.value is not None for check in report.checks if check.holds is not None)


def int8_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The colour bundle with a second candidate that calls itself int8."""
    from tests.fakes import tiny

    def candidate(**facts: object) -> Candidate:
        eight_bit = {"precision": "int8", "int8_mac_share": 1.0} if facts["name"] == "onnx-int8" else {}
        return Candidate(**(facts | eight_bit))

    monkeypatch.setattr(tiny, "Candidate", candidate)
    return tiny.write_colour_bundle(tmp_path / "b", {"onnx-fp32": (0, 1, 2), "onnx-int8": (0, 1, 2)}).directory


def test_int8_beside_fp32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    bundle = int8_bundle(tmp_path, monkeypatch)
    report = bench_report(capfd, tmp_path, Report, "loop", *TINY, "--bundle", str(bundle), "--only", "size")
    assert [record_id(record) for record in report.records] == [
        f"inference-alone/colour/onnx-{kind}/1×8×8×3/onnxruntime/1t" for kind in ("fp32", "int8")
    ]
    assert (report.ratios[0].numerator, report.ratios[0].denominator) == tuple(map(record_id, report.records))[::-1]
    assert [check.name for check in report.checks] == [
        "int8 ONNX",
        "top-1 agreement with fp32: onnx-int8",
        "int8 ÷ fp32 speed, 1 thread: onnx-int8",
    ]
    agreement = report.checks[1]
    assert agreement.value is not None
    assert 0 <= agreement.value <= 1
    assert "100 crops" in agreement.note
    assert report.checks[0].holds is True


def test_people_get_tables(colour_bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    call_bench("loop", *TINY, "--bundle", str(colour_bundle), "--only", "size")
    shown = capfd.readouterr().out
    assert "Checks (quick" in shown
    assert "not measured" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "speed"], "unknown: 'speed'"),
        (["--threads", "one"], "whole numbers"),
        (["--threads", "-1"], "not below 1"),
    ],
)
def test_bad_arguments(colour_bundle: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call_bench("loop", "--bundle", str(colour_bundle), *arguments)
