"""The bundle inside the package: intact, small, and right about photographs that a PyPI package ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from edge.app import DEFAULT_BUNDLE, bundle_directory
from edge.bundle.reader import open_bundle
from export.photos import DEMO_PHOTOS, photo_path
from tests.integration.test_cli import observations, shelfcam

CANDIDATES = {"onnx-int8", "onnx-int8-fast", "tflite-int8"}


def test_it_is_intact_and_holds_int8_candidates_only() -> None:
    bundle = open_bundle(bundle_directory(DEFAULT_BUNDLE))
    bundle.verify()
    (model,) = bundle.manifest.models
    assert {c.name for c in model.candidates} == CANDIDATES
    for candidate in model.candidates:
        assert candidate.precision == "int8"
        assert candidate.weights.tensors_8bit == candidate.weights.tensors > 0
        assert candidate.model_file.bytes <= 5_500_000
        assert {q.source for q in candidate.quality} == {"rendered", "held_out"}
    assert model.golden is not None
    assert model.golden.source == "rendered", "no photo is passed on"
    assert "/" not in bundle.manifest.provenance.command.replace("shelfcam export", "")


def test_its_labels_are_the_ones_of_the_export() -> None:
    bundle = open_bundle(bundle_directory(DEFAULT_BUNDLE))
    kept = Path(__file__).parents[2] / "export" / "labels" / "imagenet1k.txt"
    assert bundle.labels(bundle.manifest.models[0]) == tuple(kept.read_text().splitlines())


@pytest.mark.parametrize("candidate", sorted(CANDIDATES))
def test_every_candidate_knows_the_coffee_and_the_cat(candidate: str) -> None:
    pytest.importorskip("skimage")
    if candidate.startswith("tflite"):
        pytest.importorskip("ai_edge_litert")
    for name, labels in (("coffee.png", {"espresso"}), ("chelsea.png", {"Egyptian cat", "tiger cat", "tabby, tabby cat"})):
        seen = observations(shelfcam("run", "--source", photo_path(name), "--candidate", candidate).stdout)
        assert seen[0]["top"][0]["label"] in labels
        assert [score["score"] for score in seen[0]["top"]] == sorted((s["score"] for s in seen[0]["top"]), reverse=True)


def test_this_machine_finds_one_that_passes_its_gate() -> None:
    choice = json.loads(shelfcam("choose", "--json").stdout)
    rows = {row["candidate"]: row for row in choice["rows"]}
    assert rows.keys() == CANDIDATES
    assert rows[choice["candidate"]]["passes"]
    assert rows["onnx-int8"]["logit_cosine"] > 0.98
    assert "ms" in choice["reason"]


def test_the_demo_photos_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage")
    from export import photos

    monkeypatch.setattr(photos, "DEMO_CROPS", 5)
    monkeypatch.setattr("sys.argv", ["photos", "--out", str(tmp_path)])
    photos.main()
    assert sorted(p.name for p in (tmp_path / "whole").iterdir()) == sorted(DEMO_PHOTOS)
    assert len(list((tmp_path / "crops").iterdir())) == 5
