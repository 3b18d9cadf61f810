"""The bundles inside the package: intact, small, and right about photographs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from edge.bundle.reader import Bundle, open_bundle
from edge.errors import ExitCode
from edge.files import sha256_of
from edge.models import BUILTIN_BUNDLES, bundle_directory
from export.grocery import lists
from export.skimage_photos import DEMO_PHOTOS, photo_path
from tests.fakes.command import observations, shelfcam

CANDIDATES = {"onnx-int8", "onnx-int8-fast", "tflite-int8"}
BYTES_MAX = {"grocery": 6_000_000, "imagenet": 5_500_000}


def builtin(name: str) -> Bundle:
    return open_bundle(bundle_directory(f"builtin:{name}"))


@pytest.mark.parametrize("name", BUILTIN_BUNDLES)
def test_it_is_intact_and_holds_int8_candidates_only(name: str) -> None:
    bundle = builtin(name)
    bundle.verify()
    (model,) = bundle.manifest.models
    assert {c.name for c in model.candidates} == CANDIDATES
    for candidate in model.candidates:
        assert candidate.precision == "int8"
        assert candidate.weights.tensors_8bit == candidate.weights.tensors > 0
        assert candidate.model_file.bytes <= BYTES_MAX[name]
        assert {q.source for q in candidate.quality} == {"rendered", "held_out"}
    assert model.first.golden is not None
    assert model.first.golden.source == "rendered", "no photo is passed on"
    assert "/" not in bundle.manifest.provenance.command.replace("shelfcam export", "")


def test_labels_of_imagenet_are_the_ones_of_the_export() -> None:
    bundle = builtin("imagenet")
    kept = Path(__file__).parents[2] / "export" / "labels" / "imagenet1k.txt"
    assert bundle.labels(bundle.manifest.models[0].first) == tuple(kept.read_text().splitlines())


def test_an_unknown_bundle_of_the_package_is_refused_with_those_there_are() -> None:
    done = shelfcam("run", "--bundle", "builtin:grocer", "--source", "x", expect=ExitCode.CONFIG)
    assert "builtin:grocery or builtin:imagenet" in done.stderr


def test_the_grocery_model_knows_photos_of_the_shelves_it_was_made_for(shared_data: Path, tmp_path: Path) -> None:
    """It was trained on them: so this proves the files and the preprocessing, not the accuracy in another shop."""
    pytest.importorskip("ai_edge_litert")
    lists.write_lists(shared_data / "grocery", tmp_path)
    rows = (tmp_path / "holdout.csv").read_text().splitlines()
    (tmp_path / "some.csv").write_text("\n".join([rows[0], *rows[1::10]]) + "\n")
    done = shelfcam("evaluate", "--images", shared_data / "grocery", "--list", tmp_path / "some.csv", "--json")
    told = json.loads(done.stdout)
    assert {c["candidate"] for c in told["candidates"]} == CANDIDATES
    assert all(c["scores"]["top1"] >= 0.9 for c in told["candidates"])
    assert min(told["agreement"].values()) >= 0.95


def test_its_kept_checkpoint_is_the_network_of_the_bundle() -> None:
    pytest.importorskip("safetensors")
    from export.load.checkpoint import read_facts

    checkpoint = Path(__file__).parents[2] / "export" / "grocery" / "efficientnet_lite2.safetensors"
    bundle = builtin("grocery")
    (model,) = bundle.manifest.models
    facts = read_facts(checkpoint)
    assert facts is not None
    assert bundle.labels(model.first) == facts.labels
    assert len(facts.labels) == 81
    assert all(c.input.size_hw_px == facts.size_hw_px for c in model.candidates)
    assert bundle.manifest.provenance.checkpoint_sha256 == sha256_of(checkpoint)


@pytest.mark.parametrize("candidate", sorted(CANDIDATES))
def test_every_candidate_knows_the_coffee_and_the_cat(candidate: str) -> None:
    pytest.importorskip("skimage")
    if candidate.startswith("tflite"):
        pytest.importorskip("ai_edge_litert")
    for name, labels in (("coffee.png", {"espresso"}), ("chelsea.png", {"Egyptian cat", "tiger cat", "tabby, tabby cat"})):
        seen = observations(
            shelfcam("run", "--bundle", "builtin:imagenet", "--source", photo_path(name), "--candidate", candidate).stdout
        )
        assert seen[0]["top"][0]["label"] in labels
        assert [score["score"] for score in seen[0]["top"]] == sorted((s["score"] for s in seen[0]["top"]), reverse=True)


FEW_RUNS = (
    "import sys; from edge.choice.measure import Prober; Prober.measure.__kwdefaults__['runs'] = 4; "
    "from edge.cli import main; sys.exit(main())"
)
"""The command, for which a few runs of each candidate in each round will do: which one is the fastest is not asked."""


def test_this_machine_finds_one_that_passes_its_gate() -> None:
    done = subprocess.run([sys.executable, "-c", FEW_RUNS, "choose", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    choice = json.loads(done.stdout)
    rows = {row["candidate"]: row for row in choice["rows"]}
    assert rows.keys() == CANDIDATES
    assert rows[choice["candidate"]]["passes"]
    assert rows["onnx-int8"]["logit_cosine"] > 0.98
    assert "ms" in choice["reason"]


def test_the_demo_photos_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage")
    from export import skimage_photos

    monkeypatch.setattr(skimage_photos, "DEMO_CROPS", 5)
    monkeypatch.setattr("sys.argv", ["skimage_photos", "--out", str(tmp_path)])
    skimage_photos.main()
    assert sorted(p.name for p in (tmp_path / "whole").iterdir()) == sorted(DEMO_PHOTOS)
    assert len(list((tmp_path / "crops").iterdir())) == 5
