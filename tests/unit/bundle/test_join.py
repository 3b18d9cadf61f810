"""Two bundles joined into one pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge.bundle.join import join
from edge.bundle.reader import open_bundle
from edge.cli import main
from edge.errors import BundleError, ExitCode, UsageError
from edge.manifest import Step
from tests.fakes.several import write_pipeline_bundle
from tests.fakes.tiny import COLOURS, write_colour_bundle, write_embed_bundle


@pytest.fixture
def finder(tmp_path: Path) -> Path:
    """The first model of a pipeline, by itself."""
    whole = write_pipeline_bundle(tmp_path / "whole")
    data = json.loads((whole.directory / "manifest.json").read_text())
    data["models"], data["pipeline"] = data["models"][:1], []
    kept = {"manifest.json", "finder.onnx", "things.txt", "golden/finder.npz"}
    for path in list(whole.directory.rglob("*")):
        if path.is_file() and path.relative_to(whole.directory).as_posix() not in kept:
            path.unlink()
    (whole.directory / "manifest.json").write_text(json.dumps(data))
    open_bundle(whole.directory).verify()
    return whole.directory


def test_what_one_finds_the_other_names_on_a_camera(finder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c").mkdir()
    colours = write_colour_bundle(tmp_path / "c" / "colours").directory
    out = tmp_path / "both"
    assert main(["bundle", "join", str(finder), str(colours), "--crop", "things", "--padding", "0.1", "--out", str(out)]) == 0
    assert "finder → colour (crops things + 10%)" in capsys.readouterr().out
    joined = open_bundle(out)
    assert joined.manifest.pipeline == (Step(model="finder"), Step(model="colour", crop="things", padding=0.1))
    assert any("was made" in note for note in joined.manifest.provenance.notes)
    pixels = np.full((96, 96, 3), 20, np.uint8)
    pixels[30:60, 8:38], pixels[20:70, 60:88] = COLOURS["blue"], COLOURS["green"]
    cv2.imwrite(str(tmp_path / "shelf.png"), pixels[:, :, ::-1])
    events = tmp_path / "e.jsonl"
    args = ["run", "--bundle", str(out), "--source", str(tmp_path / "shelf.png"), "--events", str(events)]
    assert main(args) == 0
    told = [json.loads(line) for line in events.read_text().splitlines()]
    seen = [event for event in told if event["kind"] == "observation"]
    assert [event["top"][0]["label"] for event in seen] == ["blue", "green"]
    assert {event["model"] for event in seen} == {"finder/finder-onnx + colour/onnx-a"}


def test_files_of_the_same_name_stand_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    classifier, embedder = write_colour_bundle(tmp_path / "a" / "x"), write_embed_bundle(tmp_path / "b" / "y")
    data = json.loads((embedder.directory / "manifest.json").read_text())
    data["models"][0]["name"] = "looks"
    (embedder.directory / "manifest.json").write_text(json.dumps(data))
    joined = join(classifier, open_bundle(embedder.directory), tmp_path / "out", name="both")
    joined.verify()
    assert joined.manifest.pipeline == (Step(model="colour"), Step(model="looks"))
    assert set(joined.manifest.files()) >= {"golden/golden.npz", "looks/golden/golden.npz", "onnx-a.onnx", "labels.txt"}
    assert "looks/onnx-a.onnx" not in joined.manifest.files(), "the same file is there once"


def test_what_cannot_be_joined_is_refused(finder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c").mkdir()
    colours = write_colour_bundle(tmp_path / "c" / "colours")
    with pytest.raises(BundleError, match="'colour' stands twice"):
        join(colours, colours, tmp_path / "out", name="x")
    with pytest.raises(BundleError, match="crops 'thing', but no model before it"):
        join(open_bundle(finder), colours, tmp_path / "out", crop="thing", name="x")
    with pytest.raises(UsageError, match="padding is around what is cropped"):
        join(open_bundle(finder), colours, tmp_path / "out", padding=0.1, name="x")
    loose = write_pipeline_bundle(tmp_path / "loose", pipeline=False)
    with pytest.raises(UsageError, match="several models and no pipeline"):
        join(loose, colours, tmp_path / "out", name="x")
    assert not (tmp_path / "out").exists()
    args = [
        "bundle",
        "join",
        str(finder),
        str(colours.directory),
        "--crop",
        "things",
        "--padding",
        "9",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(args) == ExitCode.USAGE
