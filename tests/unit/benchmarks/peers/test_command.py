"""``shelfcam bench compare`` end to end on a tiny bundle with the real runtimes that are here: its structure, never its speed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cyclopts import App

from benchmarks.cli import register
from benchmarks.peers.command import make_settings
from benchmarks.record.spec import Report, read_report, record_id
from benchmarks.shelf.speed_ratios import VS_MEDIAPIPE, VS_PLAIN, speed_ratios
from edge.bundle.reader import Bundle, open_bundle
from edge.errors import UsageError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TINY = ["--quick", "--rounds", "2", "--seconds-per-round", "0.01", "--starts", "1"]


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from tests.fakes.fronted import write_fronted_bundle

    return write_fronted_bundle(tmp_path_factory.mktemp("bundles") / "fronted")


def call(*arguments: str) -> object:
    app = App(name="shelfcam", result_action="return_value")
    register(app)
    return app(["bench", "compare", *arguments], exit_on_error=False, print_error=False)


def run_json(capfd: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str) -> Report:
    call(*arguments, "--json")
    path = tmp_path / "report.json"
    path.write_text(capfd.readouterr().out, encoding="utf-8")
    return read_report(path)


def test_the_runtimes_that_are_here_and_those_that_are_not(
    fronted: Bundle, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = run_json(capfd, tmp_path, *TINY, "--bundle", str(fronted.directory), "--envs", str(tmp_path / "envs"))
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
    call(*TINY, *where, "--peers", "onnxruntime,openvino", "--candidates", "onnx-a")
    said = capfd.readouterr()
    for words in ("Loops, ms", "Bare runtimes, ms", "bare, onnx-a: shelfcam ÷ onnxruntime", "not there: openvino: absent"):
        assert words in said.out, words
    assert "starting onnxruntime, bare, onnx-a" in said.err


def test_what_a_peer_cannot_read_is_a_reason(colour_bundle: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = run_json(capfd, tmp_path, *TINY, "--bundle", str(colour_bundle), "--envs", str(tmp_path), "--peers", "opencv-dnn")
    assert [(one.name, one.reason.partition(":")[0]) for one in report.missing] == [
        ("opencv-dnn, onnx-a", "the file does not begin with raw pixels that are transposed and dequantized")
    ]


def test_wrong_words_are_refused(fronted: Bundle, tmp_path: Path) -> None:
    where = ["--bundle", str(fronted.directory), "--envs", str(tmp_path)]
    with pytest.raises(UsageError, match="unknown peer"):
        call(*where, "--peers", "nobody")
    with pytest.raises(UsageError, match="may use"):
        call(*where, "--threads", "4096")
    with pytest.raises(UsageError, match="--candidates: unknown: 'onnx-z'"):
        call(*where, "--candidates", "onnx-z")


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
