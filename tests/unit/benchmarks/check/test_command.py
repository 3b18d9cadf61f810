"""bench check, report and merge as commands: exit codes, what they refuse, and what they leave on disk."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.check.baseline import Baselines
from benchmarks.record.schema import Report, read_struct
from edge.cli import main
from edge.errors import ExitCode
from tests.fakes.zoo_reports import NETS, board, mac_driven, zoo_report

FEW = {"candidates": ("onnx-int8",), "nets": NETS[4:10]}


def write(path: Path, report: Report) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(report))
    return path


def keep(path: Path, report: Report) -> Path:
    path.write_bytes(msgspec.json.encode(Baselines(zoo=report)))
    return path


def run(capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    return keep(tmp_path / "baseline.json", zoo_report(**FEW))


def test_the_same_machine_passes(tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture) -> None:
    again = write(tmp_path / "again.json", zoo_report(**FEW, seed=0))
    code, out, _ = run(capsys, "bench", "check", again, "--baseline", baseline, "--json")
    assert code == ExitCode.OK
    found = json.loads(out)
    assert found["passes"] is True
    assert {row["verdict"] for row in found["rows"]} == {"same"}


def test_a_slower_machine_ends_with_65_and_names_what(tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture) -> None:
    slow = write(tmp_path / "slow.json", zoo_report(lambda net, p: 1.3 * mac_driven(net, p), **FEW))
    code, out, err = run(capsys, "bench", "check", slow, "--baseline", baseline)
    assert code == ExitCode.DATA
    assert "all together" in err
    assert "--write" in err
    assert "slower" in out


def test_a_faster_one_passes_and_says_so(tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture) -> None:
    fast = write(tmp_path / "fast.json", zoo_report(lambda net, p: 0.7 * mac_driven(net, p), **FEW))
    code, out, _ = run(capsys, "bench", "check", fast, "--baseline", baseline)
    assert code == ExitCode.OK
    assert "6 faster, 1 same" in out  # the peak is as it was


def test_without_a_baseline_it_says_how_to_make_one_and_that_works(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    result, kept = write(tmp_path / "result.json", zoo_report(**FEW)), tmp_path / "kept" / "pi.json"
    code, _, err = run(capsys, "bench", "check", result, "--baseline", kept)
    assert code == ExitCode.NO_INPUT
    assert f"shelfcam bench check {result} --baseline {kept} --write" in " ".join(err.split())
    assert run(capsys, "bench", "check", result, "--baseline", kept, "--write")[0] == ExitCode.OK
    assert read_struct(kept, Baselines) == Baselines(zoo=zoo_report(**FEW))
    assert run(capsys, "bench", "check", result, "--baseline", kept)[0] == ExitCode.OK


def other_major(report: Report) -> Report:
    records = [msgspec.structs.replace(r, runtime=msgspec.structs.replace(r.runtime, version="2.0.1")) for r in report.records]
    return msgspec.structs.replace(report, records=tuple(records))


def other_runtime(report: Report) -> Report:
    """The same, thrice as slow, with another runtime."""
    records = []
    for r in report.records:
        rounds = tuple(msgspec.structs.replace(one, p50_ms=3 * one.p50_ms) for one in r.rounds)
        records.append(msgspec.structs.replace(r, rounds=rounds, runtime=msgspec.structs.replace(r.runtime, name="tvm")))
    return msgspec.structs.replace(report, records=tuple(records))


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (zoo_report(**FEW, host=board("Raspberry Pi 4")), "board Raspberry Pi 4 here"),
        (zoo_report(**FEW, host=board(cpu="Cortex-A53")), "CPU Cortex-A53 here"),
        (zoo_report(**FEW, threads=(4,)), "thread count of "),
        (other_major(zoo_report(**FEW)), "major version of onnxruntime 2 here, 1 there"),
        (other_runtime(zoo_report(**FEW)), "runtime of zoo/googlenet/onnx-int8/1×3×224×224/1t tvm here, onnxruntime there"),
        (msgspec.structs.replace(zoo_report(**FEW), bench="compare"), "is a report of bench compare"),
    ],
)
def test_what_cannot_be_compared_ends_with_64(
    report: Report, words: str, tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture
) -> None:
    result = write(tmp_path / "result.json", report)
    code, out, err = run(capsys, "bench", "check", result, "--baseline", baseline)
    assert code == ExitCode.USAGE
    assert words in " ".join(err.split())
    assert out == ""


def test_a_minor_version_is_compared_and_told(tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture) -> None:
    report = zoo_report(**FEW)
    records = tuple(
        msgspec.structs.replace(r, runtime=msgspec.structs.replace(r.runtime, version="1.33")) for r in report.records
    )
    result = write(tmp_path / "result.json", msgspec.structs.replace(report, records=records))
    code, out, _ = run(capsys, "bench", "check", result, "--baseline", baseline)
    assert code == ExitCode.OK
    assert "onnxruntime 1.32.0 then, 1.33 now" in out


def test_each_bench_keeps_its_own_baseline(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    report, kept = zoo_report(**FEW), tmp_path / "pi.json"
    zoo = write(tmp_path / "zoo.json", report)
    latency = write(tmp_path / "latency.json", msgspec.structs.replace(report, bench="latency"))
    assert run(capsys, "bench", "check", zoo, "--baseline", kept, "--write")[0] == ExitCode.OK
    code, _, err = run(capsys, "bench", "check", latency, "--baseline", kept)
    assert code == ExitCode.NO_INPUT
    assert "no baseline of bench latency" in " ".join(err.split())
    code, out, _ = run(capsys, "bench", "check", latency, "--baseline", kept, "--write", "--json")
    assert code == ExitCode.OK
    assert json.loads(out) == {"schema": 1, "bench": "latency", "baseline": str(kept), "quick": False}
    for result in (zoo, latency):
        assert run(capsys, "bench", "check", result, "--baseline", kept)[0] == ExitCode.OK
    before = kept.read_bytes()
    for other in (msgspec.structs.replace(report, bench="shelf"), zoo_report(**FEW, host=board("Raspberry Pi 4"))):
        refused = write(tmp_path / "refused.json", other)
        assert run(capsys, "bench", "check", refused, "--baseline", kept, "--write")[0] == ExitCode.USAGE
    assert kept.read_bytes() == before


def test_rounds_that_could_show_nothing_do_not_pass(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    loud = {**FEW, "noise": 0.8}
    nets = [r for r in zoo_report(**loud).records if r.bench == "zoo"]
    kept = keep(tmp_path / "kept.json", msgspec.structs.replace(zoo_report(**loud), records=tuple(nets)))
    nets = [r for r in zoo_report(**loud, seed=7).records if r.bench == "zoo"]
    again = write(tmp_path / "again.json", msgspec.structs.replace(zoo_report(**loud), records=tuple(nets), quick=True))
    code, out, err = run(capsys, "bench", "check", again, "--baseline", kept, "--json")
    assert code == ExitCode.DATA
    found = json.loads(out)
    assert (found["passes"], found["quick"], len(found["blind"])) == (False, True, 6)
    assert "BLIND: 6 of 6 records could be 25% slower" in err
    assert "QUICK" in err


def test_strangers_are_refused_by_name(tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture) -> None:
    baseline = write(tmp_path / "zoo.json", zoo_report(**FEW))
    newer = tmp_path / "newer.json"
    newer.write_bytes(baseline.read_bytes().replace(b'"schema":1', b'"schema":2', 1))
    code, _, err = run(capsys, "bench", "merge", baseline, newer, "--out", tmp_path / "fleet")
    assert code == ExitCode.DATA
    assert "newer.json: schema 2 is unknown" in " ".join(err.split())
    assert not (tmp_path / "fleet").exists()
    assert run(capsys, "bench", "merge", baseline, baseline, "--out", tmp_path / "fleet")[0] == ExitCode.USAGE


def test_report_and_merge_leave_their_files(tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("matplotlib", reason="the plots")
    baseline = write(tmp_path / "zoo.json", zoo_report(**FEW))
    code, out, _ = run(capsys, "bench", "report", baseline, "--out", tmp_path / "page")
    assert code == ExitCode.OK
    assert "number of weights" in out
    assert {"index.html", "records.csv", "findings.json", "weight-1t.png"} < {
        path.name for path in (tmp_path / "page").iterdir()
    }
    other = write(tmp_path / "other.json", zoo_report(**FEW, host=board("Jetson Orin Nano", "Cortex-A78AE"), speed=2))
    code, out, _ = run(capsys, "bench", "merge", baseline, other, "--out", tmp_path / "fleet", "--json")
    assert code == ExitCode.OK
    assert set(json.loads(out)["points"]) == {"Raspberry Pi 5 Model B Rev 1.0", "Jetson Orin Nano"}
    assert {path.name for path in (tmp_path / "fleet").iterdir()} == {"index.html", "records.csv", "ship.csv", "fleet.json"}
    assert run(capsys, "bench", "report", baseline, "--out", tmp_path / "page")[0] == ExitCode.OUTPUT


@pytest.mark.parametrize("command", ["report", "merge", "check"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture) -> None:
    code, out, _ = run(capsys, "bench", command, "--help")
    assert code == ExitCode.OK
    assert f"shelfcam bench {command} " in out.partition("Examples")[2]
