"""A minute of everything that goes wrong, with the real service, a real broker and real streams."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("prometheus_client")

from benchmarks.record.schema import read_struct
from benchmarks.soak.command import SoakReport
from tests.conftest import ROOT
from tests.fakes.patience import patience_s


@pytest.mark.slow
def test_a_minute_loses_nothing_and_invents_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge.cli", "bench", "soak", "--minutes", "1", "--seed", "2", "--json"]
    with (tmp_path / "report.json").open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, cwd=ROOT, timeout=2 * patience_s(), check=False)
    said = done.stderr.decode(errors="replace")
    report = read_struct(tmp_path / "report.json", SoakReport)
    assert [check.name for check in report.checks if check.holds is False] == [], said
    assert done.returncode == 0, said
    assert len(report.faults) >= 2
    assert report.truth.due > 0
    assert all(delivery.events > 0 for delivery in report.deliveries)
    assert {delivery.sink for delivery in report.deliveries} >= {"jsonl", "webhook"}
