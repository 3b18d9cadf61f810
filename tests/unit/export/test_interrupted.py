"""An export that is stopped, by SIGTERM at several steps of a real process, leaves nothing behind and the earlier bundle whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.errors import ExitCode
from tests.fakes.patience import patience_s
from tests.fakes.tiny_net import pictures

CHILD = """
import sys, time
from edge import cli
from export import recipe
from pathlib import Path
import pytest
from tests.fakes.conversions import keep_conversions
from tests.fakes.tiny_net import tiny_model

step, folder, *words = sys.argv[1:]
recipe.load_model = lambda _: tiny_model()
keep_conversions(Path(folder), pytest.MonkeyPatch())

def halt(*_):
    print("halted", flush=True)
    time.sleep(3600)

if step == "writing":
    from edge.bundle import writer
    real = writer.open_bundle
    writer.open_bundle = lambda stage, *limits: (halt(), real(stage, *limits))[1]
else:
    from edge import console
    call = console.Bars.__call__
    console.Bars.__call__ = lambda self, description, total: (description.startswith(step) and halt(), call(self, description, total))[1]
raise SystemExit(cli.main(words))
"""


def left_in(scratch: Path) -> list[str]:
    """What lies there, but for what PyTorch and ONNX Runtime put there when they are imported: no work in progress."""
    return sorted(path.name for path in scratch.iterdir() if not path.name.startswith(("torchinductor", ".ses")))


@pytest.mark.parametrize("step", ["layer statistics", "calibrating ONNX", "judging onnx-int8", "writing"])
def test_sigterm_leaves_nothing_half_done(tmp_path: Path, conversions: Path, step: str) -> None:
    photos, scratch, out = tmp_path / "photos", tmp_path / "scratch", tmp_path / "out" / "bundle"
    for folder in (photos, scratch, out):
        folder.mkdir(parents=True)
    (out / "manifest.json").write_text("the earlier one")
    for number, image in enumerate(pictures(90, seed=9)):
        cv2.imwrite(str(photos / f"{number:03}.png"), image)
    words = ["export", "tiny", "--calibration", str(photos), "--out", str(out), "--force", "--golden", "rendered"]
    words += ["--candidates", "onnx-int8", "--min-cosine", "0.5", "--min-agreement", "0.2", "--calibration-count", "16"]
    environment = os.environ | {"TMPDIR": str(scratch)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, step, str(conversions), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        said = child.stdout.readline()
        assert said == "halted\n", child.stderr.read()
        assert left_in(scratch), "there is something to tidy up"
        child.send_signal(signal.SIGTERM)
        error = child.stderr.read()
        assert child.wait(timeout=patience_s()) == ExitCode.INTERRUPTED, error
    assert "Traceback" not in error
    assert left_in(scratch) == []
    assert [path.name for path in out.parent.iterdir()] == ["bundle"]
    assert [path.name for path in out.iterdir()] == ["manifest.json"]
    assert (out / "manifest.json").read_text() == "the earlier one"
