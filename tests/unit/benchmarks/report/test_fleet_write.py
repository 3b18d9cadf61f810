"""The directory that bench merge writes: every board, and what to ship to which."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("matplotlib", reason="the plots")

from benchmarks.report import fleet_write
from benchmarks.report.fleet_write import write_fleet
from benchmarks.report.plots import Axis, Plot
from benchmarks.report.points import Point
from edge.errors import DataError
from tests.fakes.pages import read_page
from tests.fakes.zoo_reports import NETS, board, zoo_report


def test_the_fleet_has_every_board_and_says_what_to_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[str]] = []

    def draw(panels: Mapping[str, Sequence[Point]], axis: Axis, *, columns: int = 1) -> Plot:
        """The pictures themselves, of which each takes seconds, are another test's."""
        drawn.append(list(panels))
        return Plot(b"", 0)

    monkeypatch.setattr(fleet_write, "latency_plot", draw)
    pi4 = board("Raspberry Pi 4 Model B", "Cortex-A72")
    reports = {
        "a/pi5.json": zoo_report(nets=NETS[1:12]),
        "a/pi4.json": zoo_report(host=pi4, speed=0.4, nets=NETS[1:12]),
        "b/pi4-again.json": zoo_report(host=pi4, speed=0.4, seed=3, nets=NETS[4:12]),
    }
    made = write_fleet(reports, tmp_path / "fleet")
    names = ["Raspberry Pi 5 Model B Rev 1.0", "Raspberry Pi 4 Model B (pi4)", "Raspberry Pi 4 Model B (pi4-again)"]
    assert list(made.boards.values()) == names
    page = read_page(tmp_path / "fleet")
    assert all(name in page.shown for name in names)
    assert len(page.addresses) == 6  # three quantities, two runtimes
    assert drawn == [names] * 6
    with (tmp_path / "fleet" / "ship.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(NETS[1:12]) + len(NETS[4:12])
    by = {(row["network"], row["board"]): row for row in rows}
    assert by["alexnet", names[0]]["candidate"] == ""  # 62 MB in 8 bits
    assert by["googlenet", names[1]]["candidate"] == by["googlenet", names[1]]["everywhere"] == "onnx-int8"
    assert json.loads((tmp_path / "fleet" / "fleet.json").read_bytes())["boards"]["a/pi4.json"] == names[1]
    with pytest.raises(DataError, match=r"shelf\.json: is a report of bench shelf"):
        write_fleet({"shelf.json": msgspec.structs.replace(reports["a/pi5.json"], bench="shelf")}, tmp_path / "other")
