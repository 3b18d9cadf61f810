"""``shelfcam export`` as a command: quick to ask, clear when refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge import cli as edge_cli
from edge.errors import ExitCode
from export import cli

HELP = """
import sys
from cyclopts import App
from export.cli import register
app = App(name="shelfcam", result_action="return_value")
app.command(App(name="bundle"))
register(app)
app(["export", "--help"])
heavy = {"torch", "onnx", "onnxruntime", "litert_torch", "skimage"} & set(sys.modules)
assert not heavy, heavy
"""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--budget-mb" in done.stdout


@pytest.fixture
def shelfcam(monkeypatch: pytest.MonkeyPatch):
    """The command with exactly this package's additions, installed or not."""
    monkeypatch.setattr(edge_cli.metadata, "entry_points", lambda group: [])
    build = edge_cli.build_app

    def with_export():
        app = build()
        cli.register(app)
        return app

    monkeypatch.setattr(edge_cli, "build_app", with_export)
    return edge_cli.main


def test_errors_have_their_exit_codes(shelfcam, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    out = ["--calibration", str(tmp_path), "--out", str(tmp_path / "b")]
    assert shelfcam(["export", "efficientnet_lite9", "--pretrained", *out]) == ExitCode.USAGE
    assert "efficientnet_lite0" in capsys.readouterr().err
    assert shelfcam(["export", "efficientnet_lite0", *out]) == ExitCode.USAGE
    assert "--pretrained" in capsys.readouterr().err
    assert shelfcam(["export", "efficientnet_lite0", "--pretrained", "--min-cosine", "2", *out]) == ExitCode.USAGE
    assert "--min-cosine" in capsys.readouterr().err


def test_an_export_prints_a_table_or_json(
    shelfcam, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("torch", "onnx", "onnxruntime", "skimage"):
        pytest.importorskip(package)
    from export import recipe
    from tests.fakes.tiny_net import tiny_model

    monkeypatch.setattr(recipe, "load_model", lambda _: tiny_model())
    words = ["export", "tiny", "--pretrained", "--calibration", "skimage", "--golden", "rendered", "--calibration-count", "16"]
    words += ["--candidates", "onnx-fp32,onnx-int8", "--min-cosine", "0.5", "--min-agreement", "0.2"]
    assert shelfcam([*words, "--out", str(tmp_path / "a")]) == ExitCode.OK
    shown = capsys.readouterr()
    assert "onnx-int8" in shown.out
    assert "4/4" in shown.out
    assert shelfcam([*words, "--out", str(tmp_path / "b"), "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert [row["candidate"] for row in told["tried"]] == ["onnx-fp32", "onnx-int8"]
    assert told["tried"][1]["weights"]["tensors_8bit"] == 4
    assert os.fspath(tmp_path) not in json.dumps(told)
