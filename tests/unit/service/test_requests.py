"""Requests to root: files of a unit's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.service.requests import REBOOT, ask_restart


def test_a_request_is_a_file(tmp_path: Path) -> None:
    assert ask_restart("nvargus-daemon", tmp_path)
    assert ask_restart("nvargus-daemon", tmp_path)
    assert ask_restart(REBOOT, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nvargus-daemon", "reboot"]


def test_where_nobody_serves_requests_the_reason_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not ask_restart("nvargus-daemon", tmp_path / "missing")
    assert "shelfcam install" in caplog.text
