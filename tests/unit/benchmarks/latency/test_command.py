"""``shelfcam bench latency`` as a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.latency import command, measure
from edge.errors import BackendError, SinkError, UsageError
from edge.models import DEFAULT_BUNDLE, bundle_directory


def test_where_the_result_cannot_be_written_nothing_is_measured(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(command, "measure", lambda *_: pytest.fail("ten minutes for nothing"))
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "report.json", tmp_path):
        with pytest.raises(SinkError, match=str(out)):
            command.latency_command(candidates="onnx-int8", out=out)


def test_wrong_requests() -> None:
    with pytest.raises(UsageError, match="--threads"):
        command.latency_command(bundle=bundle_directory(DEFAULT_BUNDLE), threads="one")


def test_nothing_measured_is_an_error_after_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise BackendError("needs about 1,350 MB of memory")

    monkeypatch.setattr(measure, "time_in_process", no_memory)
    monkeypatch.setattr(measure, "time_in_child", no_memory)
    with pytest.raises(BackendError, match="nothing could be measured: latency/onnx-int8/1t: needs about") as caught:
        command.latency_command(candidates="onnx-int8", quick=True, out=tmp_path / "report.json")
    assert caught.value.exit_code == 69
    assert "1,350 MB" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "report.json").read_text())["missing"]) == 2


def test_the_command_on_the_bundle_that_ships(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real processes, real loop; a look, so few queries that it ends soon."""
    pytest.importorskip("onnxruntime")
    command._QUICK_QUERIES, kept = 6, command._QUICK_QUERIES
    command._QUICK_SECONDS, kept_s = 0.0, command._QUICK_SECONDS
    try:
        command.latency_command(candidates="onnx-int8", quick=True, rounds=2, fps=50.0, out=tmp_path / "report.json", json=True)
    finally:
        command._QUICK_QUERIES, command._QUICK_SECONDS = kept, kept_s
    report = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    bare, camera = report["records"]
    assert (bare["bench"], bare["queries"], len(bare["rounds"])) == ("latency", 6, 2)
    assert 0 < bare["p50_ms"] <= bare["p90_ms"] <= bare["p99_ms"] <= bare["max_ms"]
    assert bare["stages"]["cold_start"]["p50_ms"] > bare["stages"]["load"]["p50_ms"] > 0
    assert bare["memory"]["peak"] >= bare["memory"]["resident"] > bare["memory"]["resident_before"] > 10_000_000
    assert camera["queries"] >= 6
    assert set(camera["stages"]) == {"capture", "preprocess", "inference", "decode", "sink", "cold_start", "load"}
    assert report["quick"] is True
