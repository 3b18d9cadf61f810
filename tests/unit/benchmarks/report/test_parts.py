"""Making a page anew beside its measurement, as under benchmarks/reports, never loses the measurement."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("matplotlib", reason="the plots")

from benchmarks.report.command import merge_command, report_command
from benchmarks.report.parts import PAGE, staged_page
from edge.errors import SinkError
from tests.fakes.zoo_reports import NETS, board, zoo_report


def kept(directory: Path, *names: str) -> list[Path]:
    """A directory with an old page and measurements of one board each."""
    directory.mkdir(parents=True)
    (directory / PAGE).write_text("old")
    for name in names:
        (directory / name).parent.mkdir(exist_ok=True)
        report = zoo_report(candidates=("onnx-int8",), nets=NETS[4:6], host=board(name))
        (directory / name).write_bytes(msgspec.json.encode(report))
    return [directory / name for name in names]


def test_a_page_is_refreshed_beside_its_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (zoo,) = kept(tmp_path / "kept", "zoo.json")
    content = zoo.read_bytes()
    monkeypatch.chdir(tmp_path)
    for out in (Path("kept"), tmp_path / "kept"):
        report_command(Path("kept/zoo.json"), out=out, force=True)
        assert zoo.read_bytes() == content
        assert "googlenet" in (tmp_path / "kept" / PAGE).read_text()


def test_a_merge_keeps_all_that_it_reads(tmp_path: Path) -> None:
    inside = kept(tmp_path / "kept", "pi.json", "more/orin.json")
    contents = [path.read_bytes() for path in inside]
    merge_command(inside, out=tmp_path / "kept", force=True)
    assert [path.read_bytes() for path in inside] == contents
    assert (tmp_path / "kept" / "ship.csv").is_file()


def test_a_measurement_called_like_a_file_of_the_page_is_not_overwritten(tmp_path: Path) -> None:
    (clash,) = kept(tmp_path / "kept", "findings.json")
    content = clash.read_bytes()
    with pytest.raises(SinkError, match=r"findings\.json: is measured data"):
        report_command(clash, out=tmp_path / "kept", force=True)
    assert clash.read_bytes() == content
    assert (tmp_path / "kept" / PAGE).read_text() == "old"


def test_links_and_what_lies_elsewhere(tmp_path: Path) -> None:
    (zoo,) = kept(tmp_path / "kept", "zoo.json")
    (tmp_path / "kept" / "latest.json").symlink_to("zoo.json")
    (outside,) = kept(tmp_path / "other", "pi.json")
    content = zoo.read_bytes()
    with staged_page(tmp_path / "kept", [tmp_path / "kept" / "latest.json", outside], replace=True) as stage:
        (stage / PAGE).write_text("new")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {PAGE, "zoo.json", "latest.json"}
    assert zoo.read_bytes() == (tmp_path / "kept" / "latest.json").read_bytes() == content
    assert outside.is_file()
