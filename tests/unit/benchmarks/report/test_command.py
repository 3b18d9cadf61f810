"""``shelfcam bench report`` and ``merge`` as commands: what they leave on disk, which is never less than was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the plots")

from benchmarks.report.command import merge_command, report_command
from benchmarks.report.pages import PAGE
from edge.errors import SinkError
from tests.fakes.pages import measured_directory


def test_a_page_is_refreshed_beside_its_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (zoo,) = measured_directory(tmp_path / "kept", "zoo.json")
    content = zoo.read_bytes()
    monkeypatch.chdir(tmp_path)
    for out in (Path("kept"), tmp_path / "kept"):
        report_command(Path("kept/zoo.json"), out=out, force=True)
        assert zoo.read_bytes() == content
        assert "googlenet" in (tmp_path / "kept" / PAGE).read_text()


def test_a_merge_keeps_all_that_it_reads(tmp_path: Path) -> None:
    inside = measured_directory(tmp_path / "kept", "pi.json", "more/orin.json")
    contents = [path.read_bytes() for path in inside]
    merge_command(inside, out=tmp_path / "kept", force=True)
    assert [path.read_bytes() for path in inside] == contents
    assert (tmp_path / "kept" / "ship.csv").is_file()


def test_a_measurement_called_like_a_file_of_the_page_is_not_overwritten(tmp_path: Path) -> None:
    (clash,) = measured_directory(tmp_path / "kept", "findings.json")
    content = clash.read_bytes()
    with pytest.raises(SinkError, match=r"findings\.json: is measured data"):
        report_command(clash, out=tmp_path / "kept", force=True)
    assert clash.read_bytes() == content
    assert (tmp_path / "kept" / PAGE).read_text() == "old"
