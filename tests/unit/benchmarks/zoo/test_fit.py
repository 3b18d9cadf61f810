"""The zoo's table: resumable, complete, and a network that does not fit is a row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch")

from benchmarks.measure import alternation, between_runtimes
from benchmarks.measure.exports import Exported
from benchmarks.zoo import command as zoo_cli
from benchmarks.zoo import fit as zoo
from benchmarks.zoo.fit import Plan, Row, Table, fit, fit_all
from edge.errors import DataError, ExitCode, SinkError, UsageError
from edge.models import DEFAULT_BUNDLE, bundle_directory


def plan(out: Path, *names: str, **change) -> Plan:
    given = {"candidates": "onnx-int8", "budget_bytes": 20_000_000, "calibration_count": 16, "timeout_s": 600.0}
    return Plan(networks=names, out=out, **(given | change))


def row(name: str) -> Row:
    return Row(name=name, network=None, seed_mb=None, parameters=1, weights_mb=0, int8_mb=0, trained=False, verdict="exported")


def test_a_network_over_the_budget_is_refused_with_its_size_before_anything_heavy(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(zoo, "run_export", lambda *_, **__: pytest.fail("needs no export"))
    refused = fit("vgg19", plan(tmp_path, "vgg19"))
    assert refused.verdict == "over budget"
    assert refused.parameters == 143_667_240  # https://pytorch.org/vision/stable/models/vgg.html
    assert refused.seed_mb == 549
    assert "143.67 MB of 8-bit weights, budget 20 MB" in refused.reason


def test_every_network_of_the_seed_table_has_a_name() -> None:
    from export.load.zoo import ZOO

    named = {entry.seed_name for entry in ZOO.values()}
    assert [name for name in zoo.seed_networks() if name not in named] == []
    assert len(zoo.seed_networks()) == 26


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, monkeypatch) -> None:
    tried = []

    def fit_or_stop(name: str, _plan: Plan) -> Row:
        tried.append(name)
        if len(tried) == 2:
            raise KeyboardInterrupt
        return row(name)

    monkeypatch.setattr(zoo, "fit", fit_or_stop)
    asked = plan(tmp_path, "a", "b", "c")
    with pytest.raises(KeyboardInterrupt):
        fit_all(asked, Table(asked=asked.asked()), lambda _: None, lambda _: None)
    table = fit_all(asked, zoo.read_table(asked), lambda _: None, lambda _: None)
    assert tried == ["a", "b", "b", "c"]
    assert [row.name for row in table.rows] == ["a", "b", "c"]
    assert msgspec.json.decode((tmp_path / "table.json").read_bytes(), type=Table) == table
    with pytest.raises(SinkError, match="other options"):
        zoo.read_table(plan(tmp_path, "a", budget_bytes=1))
    (tmp_path / "table.json").write_text("{")
    with pytest.raises(DataError, match=r"table\.json"):
        zoo.read_table(asked)


@pytest.mark.parametrize(
    ("exported", "verdict", "reason"),
    [
        (
            Exported(ExitCode.DATA, 1, 1, 1, "shelfcam: a.onnx: 9 bytes, 1 over the budget of 8\n  fix: x"),
            "over budget",
            "a.onnx: 9",
        ),
        (
            Exported(
                ExitCode.DATA,
                1,
                1,
                1,
                "noise\nshelfcam: no candidate answers like the float network:\n  x over the budget\n  fix: y",
            ),
            "refused",
            "no candidate answers",
        ),
        (Exported(ExitCode.UNAVAILABLE, 1, 1, 1, "shelfcam: exporting needs x"), "failed", "exporting needs x"),
        (Exported(-9, 1, 1, 1, ""), "failed", "killed, perhaps because memory ran out"),
    ],
)
def test_a_failed_export_is_a_row_with_its_reason(tmp_path: Path, monkeypatch, exported, verdict, reason) -> None:
    monkeypatch.setattr(zoo, "run_export", lambda *_, **__: exported)
    found = fit("squeezenet", plan(tmp_path, "squeezenet"))
    assert (found.verdict, found.reason[: len(reason)]) == (verdict, reason)


def test_an_export_that_left_no_bundle_is_a_row(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(zoo, "run_export", lambda *_, **__: Exported(ExitCode.OK, 1, 1, 1, ""))
    asked = plan(tmp_path, "squeezenet", "lenet")
    table = fit_all(asked, Table(asked=asked.asked()), lambda _: None, lambda _: None)
    assert [(row.name, row.verdict) for row in table.rows] == [("squeezenet", "failed"), ("lenet", "failed")]
    assert "no such bundle directory" in table.rows[0].reason
    (tmp_path / "squeezenet").mkdir()
    (tmp_path / "squeezenet" / "manifest.json").write_text("{}")
    assert "schema" in fit("squeezenet", asked).reason


@pytest.fixture
def exports_the_shipped_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for: an export of seconds."""

    def export(arguments: list[str], **_: object) -> Exported:
        shutil.copytree(bundle_directory(DEFAULT_BUNDLE), arguments[arguments.index("--out") + 1])
        return Exported(ExitCode.OK, 1, 1, 1, "")

    monkeypatch.setattr(zoo, "run_export", export)


def test_both_runtimes_are_compared_in_a_process_of_its_own(tmp_path: Path, exports_the_shipped_bundle: None) -> None:
    """A real child process."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("ai_edge_litert")
    found = fit("squeezenet", plan(tmp_path, "squeezenet"))
    assert (found.verdict, found.reason) == ("exported", "")
    assert found.runtimes_cosine > 0.98


def test_runtimes_that_do_not_fit_into_memory_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exports_the_shipped_bundle: None
) -> None:
    monkeypatch.setattr(alternation, "memory_left", lambda: 100_000_000)
    monkeypatch.setattr(between_runtimes, "run_child", lambda *_, **__: pytest.fail("was begun"))
    found = fit("squeezenet", plan(tmp_path, "squeezenet"))
    assert (found.verdict, found.runtimes_cosine) == ("exported", None)
    assert "100 MB are free" in found.reason
    assert {"onnx-int8", "tflite-int8"} <= {fitted.candidate for fitted in found.candidates}


def test_a_model_that_breaks_its_runtime_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exports_the_shipped_bundle: None
) -> None:
    """A real child process, on a file that is not the one of the manifest."""
    export = zoo.run_export

    def cut_short(arguments: list[str], **more: object) -> Exported:
        ran = export(arguments, **more)
        (tmp_path / "squeezenet" / "tflite-int8.tflite").write_bytes(b"cut")
        return ran

    monkeypatch.setattr(zoo, "run_export", cut_short)
    found = fit("squeezenet", plan(tmp_path, "squeezenet"))
    assert (found.verdict, found.runtimes_cosine) == ("exported", None)
    assert "tflite-int8.tflite: altered" in found.reason


def test_an_export_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    found = fit("squeezenet", plan(tmp_path, "squeezenet", timeout_s=0.05))
    assert found.verdict == "failed"
    assert "longer than" in found.reason


def test_wrong_requests(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        zoo_cli.zoo_command(out=tmp_path, networks="lenet", bundles=str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="squeezenett") as caught:
        zoo_cli.zoo_command(out=tmp_path, export_only=True, networks="squeezenett")
    assert "squeezenet" in caught.value.fix


def test_a_quick_export_says_so_in_its_table_and_on_its_command_line(tmp_path: Path) -> None:
    quick = plan(tmp_path, strategy="fast", held_out_count=16)
    assert quick.asked() == plan(tmp_path).asked() | {"strategy": "fast", "held out": "16"}
    words = zoo._arguments("mobilenet_w1@160", quick, trained=False)
    assert words[:4] == ["mobilenet_w1", "--random-weights", "--strategy", "fast"]
    assert words[words.index("--input-size") + 1] == "160"
    assert words[words.index("--held-out-count") + 1] == "16"
    assert words[words.index("--out") + 1].endswith("mobilenet_w1@160")


def test_another_size_is_refused_where_dense_layers_hold_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(zoo, "run_export", lambda *_, **__: pytest.fail("needs no export"))
    found = fit("lenet@96", plan(tmp_path))
    assert (found.name, found.verdict, found.reason) == ("lenet@96", "refused", "its dense layers take 32×32 pixels only")


@pytest.mark.slow
def test_a_small_network_for_both_runtimes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("litert_torch", "onnxruntime", "skimage", "pytorchcv"):
        pytest.importorskip(package)
    words = {"out": tmp_path, "export_only": True, "networks": "shufflenetv2_wd2,vgg19", "calibration_count": 16}
    zoo_cli.zoo_command(**words, json=True)
    small, large = json.loads(capsys.readouterr().out)["rows"]
    assert small["verdict"] == "exported", small["reason"]
    assert {fitted["candidate"] for fitted in small["candidates"]} == {"onnx-int8", "tflite-int8"}
    assert small["runtimes_cosine"] > 0.98
    assert large["verdict"] == "over budget"
