"""``shelfcam bundle wrap`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the model is made with onnx")
pytest.importorskip("onnxruntime", reason="wrapping runs the model once")

from cyclopts import App

from edge.bundle.reader import open_bundle
from export.wrap.cli import wrap_command
from tests.fakes import onnx_models


def run(*words: str | Path) -> None:
    app = App(default_parameter=None)
    app.command(wrap_command, name="wrap")
    app(["wrap", *map(str, words)], exit_on_error=False, print_error=False, result_action="return_value")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    model, labels = tmp_path / "My net (v1).onnx", tmp_path / "labels.txt"
    model.write_bytes(onnx_models.brightest(final=None))
    labels.write_text("red\ngreen\nblue\n")
    return model, labels


def test_says_what_it_understood(files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, labels = files
    run(model, "--labels", labels, "--input", "mean=127.5 scale=127.5, fit=stretch", "--out", tmp_path / "b")
    shown = capsys.readouterr().out
    assert "onnx-fp32" in shown
    assert "8×8 RGB NCHW float32, stretch: mean 127.5 scale 127.5" in shown
    assert "3 classes, logits" in shown
    manifest = open_bundle(tmp_path / "b").manifest
    assert manifest.name == "My-net-v1"
    assert manifest.provenance.checkpoint == "My net (v1).onnx"
    assert "--input 'mean=127.5 scale=127.5, fit=stretch'" in manifest.provenance.command


def test_json_is_the_manifest(files: tuple[Path, Path], tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    model, labels = files
    out = tmp_path / "b"
    run(model, "--labels", labels, "--input", "tf", "--output", "logits", "--name", "net", "--out", out, "--json")
    assert json.loads(capfdbinary.readouterr().out) == json.loads((out / "manifest.json").read_bytes())
