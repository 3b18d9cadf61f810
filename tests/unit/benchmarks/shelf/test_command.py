"""``shelfcam bench shelf``: its structure and its verdicts, never its speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.record.schema import record_id
from benchmarks.shelf.parts import ShelfReport
from edge.errors import UsageError
from tests.fakes.bench import bench_report, call_bench


def test_a_report_with_its_scripts_is_read_again(
    capfd: pytest.CaptureFixture[str], colour_bundle: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    words = ["--only", "scripts,idle,busy", "--scripts", "faults", "--seeds", "3", "--minutes", "0.5"]
    report = bench_report(capfd, tmp_path, ShelfReport, "shelf", *words, "--quick", "--bundle", str(colour_bundle))
    assert [record.bench for record in report.records] == ["shelf-idle", "shelf-every-slot", "shelf-busy", "shelf-bare"]
    assert [ratio.numerator for ratio in report.ratios] == [record_id(report.records[0]), record_id(report.records[2])]
    assert [(one.script, one.seed) for one in report.played] == [("faults", 3)]
    assert [check.name for check in report.checks][-2:] == [ratio.name for ratio in report.ratios]
    assert all(one.cpu_s is not None for record in report.records[:2] for one in record.rounds)


def test_memory_is_read_from_a_service_that_watches_slots(
    capfd: pytest.CaptureFixture[str], colour_bundle: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    words = ["--only", "memory", "--frames", "600", "--bundle", str(colour_bundle)]
    report = bench_report(capfd, tmp_path, ShelfReport, "shelf", *words)
    (record,), (check,) = report.records, report.checks
    assert check.name == "memory growth with slots, frame 60 to 600"
    first, last = record.memory["resident_at_60"], record.memory["resident_at_600"]
    assert check.value == pytest.approx(last / first - 1)
    assert check.holds is (check.value <= check.limit)
    assert record.memory["peak"] >= max(first, last) > 10_000_000


@pytest.mark.parametrize(
    ("arguments", "message"), [(["--only", "weight"], "unknown: 'weight'"), (["--seeds", "x"], "whole numbers")]
)
def test_bad_arguments(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call_bench("shelf", *arguments)
