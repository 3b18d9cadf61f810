"""The zoo's table: resumable, complete, and a network that does not fit is a row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch")

from benchmarks.measure import agreement, alternation
from benchmarks.measure.exports import ExportRun
from benchmarks.zoo import command, export_table
from benchmarks.zoo.export_table import ExportPlan, ExportTable, NetworkExport, export_all, export_network
from edge.errors import DataError, ExitCode, SinkError
from edge.models import DEFAULT_BUNDLE, bundle_directory


def plan(out: Path, *names: str, **change) -> ExportPlan:
    given = {"candidates": "onnx-int8", "budget_bytes": 20_000_000, "calibration_count": 16, "timeout_s": 600.0}
    return ExportPlan(networks=names, out=out, **(given | change))


def row(name: str) -> NetworkExport:
    return NetworkExport(
        name=name, network=None, seed_mb=None, parameters=1, weights_mb=0, int8_mb=0, trained=False, status="exported"
    )


def test_a_network_over_the_budget_is_refused_with_its_size_before_anything_heavy(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(export_table, "run_export", lambda *_, **__: pytest.fail("needs no export"))
    refused = export_network("vgg19", plan(tmp_path, "vgg19"))
    assert refused.status == "over budget"
    assert refused.parameters == 143_667_240  # https://pytorch.org/vision/stable/models/vgg.html
    assert refused.seed_mb == 549
    assert "143.67 MB of 8-bit weights, budget 20 MB" in refused.reason


def test_every_network_of_the_seed_table_has_a_name() -> None:
    from export.load.zoo import ZOO

    named = {entry.seed_name for entry in ZOO.values()}
    assert [name for name in export_table.seed_networks() if name not in named] == []
    assert len(export_table.seed_networks()) == 26


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, monkeypatch) -> None:
    tried = []

    def export_or_stop(name: str, _plan: ExportPlan) -> NetworkExport:
        tried.append(name)
        if len(tried) == 2:
            raise KeyboardInterrupt
        return row(name)

    monkeypatch.setattr(export_table, "export_network", export_or_stop)
    asked = plan(tmp_path, "a", "b", "c")
    with pytest.raises(KeyboardInterrupt):
        export_all(asked, ExportTable(asked=asked.asked()), lambda _: None, lambda _: None)
    table = export_all(asked, export_table.read_table(asked), lambda _: None, lambda _: None)
    assert tried == ["a", "b", "b", "c"]
    assert [row.name for row in table.rows] == ["a", "b", "c"]
    assert msgspec.json.decode((tmp_path / "table.json").read_bytes(), type=ExportTable) == table
    with pytest.raises(SinkError, match="budget was '20000000', now '1'"):
        export_table.read_table(plan(tmp_path, "a", budget_bytes=1))
    (tmp_path / "table.json").write_text("{")
    with pytest.raises(DataError, match=r"table\.json"):
        export_table.read_table(asked)


@pytest.mark.parametrize(
    ("exported", "status", "reason"),
    [
        (
            ExportRun(ExitCode.DATA, 1, 1, 1, "shelfcam: a.onnx: 9 bytes, 1 over the budget of 8\n  fix: x"),
            "over budget",
            "a.onnx: 9",
        ),
        (
            ExportRun(
                ExitCode.DATA,
                1,
                1,
                1,
                "noise\nshelfcam: no candidate answers like the float network:\n  x over the budget\n  fix: y",
            ),
            "refused",
            "no candidate answers",
        ),
        (ExportRun(ExitCode.UNAVAILABLE, 1, 1, 1, "shelfcam: exporting needs x"), "failed", "exporting needs x"),
        (ExportRun(-9, 1, 1, 1, ""), "failed", "killed, perhaps because memory ran out"),
    ],
)
def test_a_failed_export_is_a_row_with_its_reason(tmp_path: Path, monkeypatch, exported, status, reason) -> None:
    monkeypatch.setattr(export_table, "run_export", lambda *_, **__: exported)
    found = export_network("squeezenet", plan(tmp_path, "squeezenet"))
    assert (found.status, found.reason[: len(reason)]) == (status, reason)


def test_an_export_that_left_no_bundle_is_a_row(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(export_table, "run_export", lambda *_, **__: ExportRun(ExitCode.OK, 1, 1, 1, ""))
    asked = plan(tmp_path, "squeezenet", "lenet")
    table = export_all(asked, ExportTable(asked=asked.asked()), lambda _: None, lambda _: None)
    assert [(row.name, row.status) for row in table.rows] == [("squeezenet", "failed"), ("lenet", "failed")]
    assert "no such bundle directory" in table.rows[0].reason
    (tmp_path / "squeezenet").mkdir()
    (tmp_path / "squeezenet" / "manifest.json").write_text("{}")
    assert "schema" in export_network("squeezenet", asked).reason


@pytest.fixture
def exports_the_shipped_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for: an export of seconds."""

    def export(arguments: list[str], **_: object) -> ExportRun:
        shutil.copytree(bundle_directory(DEFAULT_BUNDLE), arguments[arguments.index("--out") + 1])
        return ExportRun(ExitCode.OK, 1, 1, 1, "")

    monkeypatch.setattr(export_table, "run_export", export)


def test_both_runtimes_are_compared_in_a_process_of_its_own(tmp_path: Path, exports_the_shipped_bundle: None) -> None:
    """A real child process."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("ai_edge_litert")
    found = export_network("squeezenet", plan(tmp_path, "squeezenet"))
    assert (found.status, found.reason) == ("exported", "")
    assert found.runtimes_cosine > 0.98


def test_runtimes_that_do_not_fit_into_memory_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exports_the_shipped_bundle: None
) -> None:
    monkeypatch.setattr(alternation, "memory_left", lambda: 100_000_000)
    monkeypatch.setattr(agreement, "run_child", lambda *_, **__: pytest.fail("was begun"))
    found = export_network("squeezenet", plan(tmp_path, "squeezenet"))
    assert (found.status, found.runtimes_cosine) == ("exported", None)
    assert "100 MB are free" in found.reason
    assert {"onnx-int8", "tflite-int8"} <= {exported.candidate for exported in found.candidates}


def test_a_model_that_breaks_its_runtime_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exports_the_shipped_bundle: None
) -> None:
    """A real child process, on a file that is not the one of the manifest."""
    export = export_table.run_export

    def cut_short(arguments: list[str], **more: object) -> ExportRun:
        ran = export(arguments, **more)
        (tmp_path / "squeezenet" / "tflite-int8.tflite").write_bytes(b"cut")
        return ran

    monkeypatch.setattr(export_table, "run_export", cut_short)
    found = export_network("squeezenet", plan(tmp_path, "squeezenet"))
    assert (found.status, found.runtimes_cosine) == ("exported", None)
    assert "tflite-int8.tflite: altered" in found.reason


def test_an_export_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    found = export_network("squeezenet", plan(tmp_path, "squeezenet", timeout_s=0.05))
    assert found.status == "failed"
    assert "longer than" in found.reason


def test_a_quick_export_says_so_in_its_table_and_on_its_command_line(tmp_path: Path) -> None:
    quick = plan(tmp_path, strategy="fast", held_out_count=16)
    assert quick.asked() == plan(tmp_path).asked() | {"strategy": "fast", "held out": "16"}
    words = export_table._arguments("mobilenet_w1@160", quick, trained=False)
    assert words[:4] == ["mobilenet_w1", "--random-weights", "--strategy", "fast"]
    assert words[words.index("--input-size") + 1] == "160"
    assert words[words.index("--held-out-count") + 1] == "16"
    assert words[words.index("--out") + 1].endswith("mobilenet_w1@160")


def test_another_size_is_refused_where_dense_layers_hold_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(export_table, "run_export", lambda *_, **__: pytest.fail("needs no export"))
    found = export_network("lenet@96", plan(tmp_path))
    assert (found.name, found.status, found.reason) == ("lenet@96", "refused", "its dense layers take 32×32 pixels only")


@pytest.mark.slow
def test_a_small_network_for_both_runtimes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("litert_torch", "onnxruntime", "skimage", "pytorchcv"):
        pytest.importorskip(package)
    words = {"out": tmp_path, "export_only": True, "networks": "shufflenetv2_wd2,vgg19", "calibration_count": 16}
    command.zoo_command(**words, json=True)
    small, large = json.loads(capsys.readouterr().out)["rows"]
    assert small["status"] == "exported", small["reason"]
    assert {exported["candidate"] for exported in small["candidates"]} == {"onnx-int8", "tflite-int8"}
    assert small["runtimes_cosine"] > 0.98
    assert large["status"] == "over budget"
