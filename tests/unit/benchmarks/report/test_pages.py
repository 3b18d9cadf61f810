"""Making a page anew beside its measurement, as under benchmarks/reports, never loses the measurement."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the plots")

from benchmarks.report.pages import PAGE, staged_page
from tests.fakes.pages import measured_directory


def test_links_and_what_lies_elsewhere(tmp_path: Path) -> None:
    (zoo,) = measured_directory(tmp_path / "kept", "zoo.json")
    (tmp_path / "kept" / "latest.json").symlink_to("zoo.json")
    (outside,) = measured_directory(tmp_path / "other", "pi.json")
    content = zoo.read_bytes()
    with staged_page(tmp_path / "kept", [tmp_path / "kept" / "latest.json", outside], replace=True) as stage:
        (stage / PAGE).write_text("new")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {PAGE, "zoo.json", "latest.json"}
    assert zoo.read_bytes() == (tmp_path / "kept" / "latest.json").read_bytes() == content
    assert outside.is_file()
