"""Records survive the way to disk and back, and nothing unknown passes the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.record.schema import (
    Check,
    Conditions,
    Host,
    MeasuredModel,
    MeasuredRuntime,
    Percentiles,
    Ratio,
    Record,
    Report,
    Round,
    percentiles_of,
    ratio_of,
    read_record,
    read_report,
    record_id,
)
from edge.errors import DataError, InputMissingError


def record(bench: str = "loop", threads: int = 2) -> Record:
    return Record(
        bench=bench,
        host=Host(board="board", cpu="cpu", features=("asimddp",), kernel="Linux 6", governor="performance"),
        runtime=MeasuredRuntime(name="onnxruntime", version="1", options={"session.x64quantprecision": "1"}, threads=threads),
        model=MeasuredModel(bundle="b@1", model="m", candidate="c", bytes=5, macs=6, params=7, input="1×8×8×3 uint8 RGB NHWC"),
        rounds=(Round(queries=4, seconds=0.5, p50_ms=2.0), Round(queries=1, seconds=1.5, cpu_s=1.0)),
        queries=5,
        p50_ms=2.0,
        p90_ms=None,
        p99_ms=None,
        throughput=8.0,
        stages={"sink": Percentiles(p50_ms=1.0, p90_ms=2.0, p99_ms=3.0, laps=4)},
        memory={"peak": 1},
        thermal={"temperature_c_before": 40.0},
        simulated_device="emulator",
        notes=("a note",),
    )


def report() -> Report:
    ratio = Ratio(name="r", numerator="loop/c/2t", denominator="bare/c/2t", value=0.9, low=0.8, high=1.0)
    unmeasured = Check(name="x", value=None, sense="≥", limit=1.0, unit="×", holds=None, note="why")
    conditions = Conditions(load_before=0.0, load_after=1.0, others_share=0.1, steal_share=0.0)
    return Report(bench="loop", quick=True, records=(record(),), ratios=(ratio,), checks=(unmeasured,), conditions=conditions)


def write(path: Path, data: Any) -> Path:
    path.write_bytes(msgspec.json.encode(data))
    return path


def plain(struct: msgspec.Struct) -> dict[str, Any]:
    return msgspec.json.decode(msgspec.json.encode(struct))


def test_round_trip(tmp_path: Path) -> None:
    assert read_record(write(tmp_path / "record.json", record())) == record()
    assert read_report(write(tmp_path / "report.json", report())) == report()


def test_a_record_has_the_fields_of_the_contract() -> None:
    assert list(plain(record())) == [
        "schema", "bench", "host", "runtime", "model", "rounds", "queries", "p50_ms", "p90_ms", "p99_ms", "max_ms", "throughput", "stages",
        "memory", "thermal", "energy_j", "simulated_device", "notes",
    ]  # fmt: skip
    assert list(plain(record())["host"]) == ["board", "cpu", "features", "kernel", "governor"]
    assert list(plain(record())["runtime"]) == ["name", "version", "options", "threads"]
    assert list(plain(record())["model"]) == [
        "bundle", "model", "candidate", "bytes", "macs", "params", "input", "network", "family", "precision",
        "activation_bytes", "accuracy",
    ]  # fmt: skip


@pytest.mark.parametrize("where", [(), ("host",), ("runtime",), ("model",), ("rounds", 0), ("stages", "sink")])
def test_an_unknown_key_is_refused_by_name(tmp_path: Path, where: tuple[Any, ...]) -> None:
    data = plain(record())
    part = data
    for step in where:
        part = part[step]
    part["surprise"] = 1
    with pytest.raises(DataError, match=r"record\.json: .*surprise"):
        read_record(write(tmp_path / "record.json", data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2 is unknown"),
        ({"schema": 0}, "schema 0 is unknown"),
        ({"schema": "1"}, "schema: missing"),
        ({"schema": True}, "schema: missing"),
        ({"throughput": "8"}, "throughput"),
        ({"queries": 1.5}, "queries"),
    ],
)
def test_another_schema_or_type_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_record(write(tmp_path / "record.json", plain(record()) | change))


def test_a_newer_schema_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_report(write(tmp_path / "report.json", plain(report()) | {"schema": 2}))
    assert error.value.fix == "update shelfcam"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DataError, match=r"r\.json"):
        read_record(tmp_path / "r.json")
    with pytest.raises(InputMissingError, match=r"gone\.json"):
        read_record(tmp_path / "gone.json")


def test_a_ratio_names_both_records() -> None:
    ratio = ratio_of("share", record("loop"), record("bare"), ([9.0, 9.0], [10.0, 10.0]))
    assert (
        (ratio.numerator, ratio.denominator)
        == (record_id(record("loop")), record_id(record("bare")))
        == ("loop/m/c/1×8×8×3/onnxruntime/2t", "bare/m/c/1×8×8×3/onnxruntime/2t")
    )
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.9, 0.9, 0.9))


def test_stage_percentiles() -> None:
    stage = percentiles_of([float(value) for value in range(101)])
    assert (stage.p50_ms, stage.p90_ms, stage.p99_ms, stage.laps) == (50.0, 90.0, 99.0, 101)
