"""The real peers on the embedded bundle: each gives the answers of our backend. Those without an environment skip, with the pip line.

``SHELFCAM_PEERS`` names the folder that ``shelfcam bench compare --install --envs FOLDER`` filled, where it is not the default one.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.peers.command import compare, make_settings
from benchmarks.peers.contestants import PEERS, Peer
from benchmarks.peers.entries import Entry, Maker
from benchmarks.peers.envs import default_folder, find_environment, how_to_install
from benchmarks.peers.judge import AGREE_MIN, find, speed_ratio
from benchmarks.record.facts import Placed
from edge.bundle.reader import open_bundle
from edge.models import bundle_directory
from tests.fakes.runtimes import need_tflite

CLASSIC_ENGINE = 1
"""cv2.dnn.ENGINE_CLASSIC of OpenCV 5."""
CANDIDATES = {"onnx": "onnx-int8", "tflite": "tflite-int8"}


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_it_is_the_same_network(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV is told which of its engines to take: the one that OpenCV 5.0.0 prefers computes this file wrongly on some CPUs (44 % of the
    best classes on an EPYC with AVX-VNNI, where the classic one has 100 %), and such a row gets no ratio, with that reason."""
    monkeypatch.setenv("OPENCV_FORCE_DNN_ENGINE", str(CLASSIC_ENGINE))
    folder = Path(os.environ.get("SHELFCAM_PEERS") or default_folder())
    environment = find_environment(folder, peer)
    if environment is None:
        pytest.skip(how_to_install(folder, peer))
    if peer.format == "tflite":
        need_tflite()
    else:
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
    bundle = open_bundle(bundle_directory("builtin:imagenet"))
    model = bundle.manifest.models[0]
    placed = Placed(bundle, model, model.candidate(CANDIDATES[peer.format]))

    def enter(maker: Maker) -> list[Entry]:
        return [entry for entry in (maker.ours(placed, peer.kind), maker.peer(placed, peer)) if entry is not None]

    settings = make_settings(1, 1, 0.01, 1, quick=True)
    done = compare(enter, settings, {peer.name: environment}, lambda text: None)
    if peer.feed == "ncnn":
        (missing,) = done.missing
        assert "layers of onnx-int8 that ncnn does not have" in missing.reason
        return
    assert not done.missing
    ours = find(done.judged, "shelfcam", peer.kind, placed.candidate.name)
    its = find(done.judged, peer.name, peer.kind, placed.candidate.name)
    assert ours is not None
    assert its is not None
    assert its.agreement >= AGREE_MIN
    assert len(its.result.judged_top) == 64
    assert len(set(its.result.judged_top)) >= 10, "pictures of many classes"
    assert its.record.memory["disk_runtime"] > 1_000_000
    assert speed_ratio(ours, its).value > 0
