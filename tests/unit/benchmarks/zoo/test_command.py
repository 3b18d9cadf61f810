"""``shelfcam bench zoo`` as a command: what it refuses, and what it says where nothing could be measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("export.load.zoo")


import pytest

from benchmarks.measure.peak import peak_records
from benchmarks.record.facts import family_of
from benchmarks.record.schema import PEAK, read_report
from benchmarks.zoo import command, export_table, timings
from benchmarks.zoo.export_table import ExportPlan
from benchmarks.zoo.timings import Unit
from edge.cli import main
from edge.errors import BackendError, ExitCode, SinkError, UsageError
from tests.fakes.timings import outcome, unit


@pytest.mark.parametrize("json", [False, True])
def test_nothing_measured_is_an_error_after_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], json: bool
) -> None:
    peaks = peak_records([outcome(tmp_path, "peak_3x3", "onnx-fp32", 1_000_000_000, 2.5)], {})
    peak = msgspec.structs.replace(unit(tmp_path, PEAK, reason="no room"), records=tuple(peaks))
    found = {PEAK: peak}
    monkeypatch.setattr(timings, "time_unit", lambda key, *_: found.get(key) or unit(tmp_path, key, reason="no torch"))
    with pytest.raises(BackendError, match="nothing could be measured: lenet: no torch") as caught:
        command.zoo_command(out=tmp_path / "out", networks="lenet", json=json)
    assert caught.value.exit_code == 69
    assert "no torch" in capsys.readouterr().out
    assert len(read_report(tmp_path / "out" / "report.json").records) == 1


def test_a_table_of_other_options_is_one_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = []

    def time_one(key: str, *_: object) -> Unit:
        timed.append(key)
        return unit(tmp_path, key)

    monkeypatch.setattr(timings, "time_unit", time_one)
    exported = ExportPlan(
        networks=(), out=tmp_path, candidates="onnx-int8", budget_bytes=1, calibration_count=16, timeout_s=60.0
    )
    export_table.write_table(exported, export_table.ExportTable(asked=exported.asked()))
    with pytest.raises(SinkError, match=r"table\.json: candidates was"):
        command.zoo_command(out=tmp_path, networks="lenet,squeezenet")
    assert timed == []
    command.zoo_command(out=tmp_path, networks="lenet,squeezenet", restart=True)
    assert timed == ["peak", "lenet", "squeezenet"]
    command.zoo_command(out=tmp_path, networks="lenet,squeezenet")


def test_names_of_units() -> None:
    assert command.keys_of(("mobilenet_w1", "lenet"), "") == ("mobilenet_w1", "lenet")
    keys = command.keys_of(("mobilenet_w1", "inceptionv3"), "96,224")
    assert keys == ("mobilenet_w1@96", "mobilenet_w1", "inceptionv3@96", "inceptionv3@224")
    with pytest.raises(UsageError, match="not below 32"):
        command.keys_of(("lenet",), "16")


def test_quick_has_a_network_of_every_mobile_family() -> None:
    from export.load.zoo import ZOO

    assert set(command.QUICK) <= set(ZOO)
    assert {family_of(name) for name in command.QUICK} == {
        "MobileNetV1", "MobileNetV2", "MobileNetV3", "ShuffleNetV1", "ShuffleNetV2", "SqueezeNet", "SqueezeNext", "MnasNet",
        "EfficientNet-Lite",
    }  # fmt: skip


def test_wrong_requests(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        command.zoo_command(out=tmp_path, networks="lenet", bundles=str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="squeezenett") as caught:
        command.zoo_command(out=tmp_path, export_only=True, networks="squeezenett")
    assert "squeezenet" in caught.value.fix


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"candidates": "onnx-int9"}, "onnx-int9"),
        ({"export_only": True, "sizes": "96"}, "--sizes"),
        ({"export_only": True, "rounds": 3}, "--rounds"),
        ({"export_only": True, "bundles": "nowhere"}, "--bundles"),
    ],
)
def test_a_zoo_that_makes_no_sense_is_refused_before_anything_is_exported(tmp_path: Path, words, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        command.zoo_command(out=tmp_path / "out", networks="lenet", **words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", ["--budget-mb nan", "--budget-mb inf", "--timeout-minutes 0", "--calibration-count 0"])
def test_numbers_that_are_none_are_refused(tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["bench", "zoo", "--networks", "lenet", "--out", str(tmp_path / "out"), *words.split()])
    assert code == ExitCode.USAGE
    assert words.split(maxsplit=1)[0] in capsys.readouterr().err
