"""Models that somebody else made, wrapped and run as a user would: the cat is a cat and the macaw a macaw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("ai_edge_litert")

from tests.fakes.command import observations, shelfcam


@pytest.mark.parametrize("model", ["mobilenet_v2_1.0_224_quant", "mobilenet_v1_0.25_128_quant"])
def test_wrapped_models_see_what_is_there(third_party: Path, tmp_path: Path, model: str) -> None:
    labels = third_party / "imagenet_labels.txt"
    wrapped = [
        "bundle",
        "wrap",
        third_party / f"{model}.tflite",
        "--labels",
        labels,
        "--task",
        "classify",
        "--out",
        tmp_path / "b",
    ]
    manifest = json.loads(shelfcam(*wrapped, "--json").stdout)
    candidate = manifest["models"][0]["candidates"][0]
    assert (candidate["precision"], candidate["input"]["dtype"], candidate["input"]["normalise"]) == ("int8", "uint8", "folded")
    for picture, animal in (("cat.bmp", "cat"), ("parrot.jpg", "macaw")):
        seen = observations(shelfcam("run", "--bundle", tmp_path / "b", "--source", third_party / picture).stdout)
        assert animal in seen[0]["top"][0]["label"]


@pytest.mark.parametrize("bytes_kept", [0, 7, 1000, 3_000_000])
def test_a_truncated_model_is_refused_and_nothing_is_written(third_party: Path, tmp_path: Path, bytes_kept: int) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes((third_party / "mobilenet_v2_1.0_224_quant.tflite").read_bytes()[:bytes_kept])
    labels = third_party / "imagenet_labels.txt"
    done = shelfcam("bundle", "wrap", cut, "--labels", labels, "--out", tmp_path / "b", expect=65)
    assert "cut.tflite" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.tflite"]
