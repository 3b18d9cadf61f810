"""The files that peers get are the same network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from benchmarks.peers.files import batches, float_batches, pictures, write_float_model
from benchmarks.record.facts import Placed
from edge.bundle.reader import Bundle, open_bundle
from edge.errors import BackendError
from tests.fakes.fronted import write_fronted_bundle
from tests.fakes.tiny import SIZE


def placed_in(bundle: Bundle) -> Placed:
    model = bundle.manifest.models[0]
    return Placed(bundle, model, model.candidates[0])


@pytest.mark.parametrize("int8", [False, True])
def test_the_float_model_answers_like_the_original(tmp_path: Path, int8: bool) -> None:
    ort = pytest.importorskip("onnxruntime")
    placed = placed_in(write_fronted_bundle(tmp_path / "bundle", int8=int8))
    _, judged = pictures(placed)
    assert len(judged) == 64
    exchanged = write_float_model(placed, tmp_path)
    assert (exchanged.zero_point, exchanged.scale) == (127.0, 1 / 128)
    original = ort.InferenceSession(placed.bundle.path(placed.candidate.model_file))
    other = ort.InferenceSession(exchanged.path)
    assert [(i.name, i.type, i.shape) for i in other.get_inputs()] == [("pixels", "tensor(float)", [1, 3, SIZE, SIZE])]
    for ours, theirs in zip(batches(judged, placed), float_batches(judged, placed, exchanged), strict=True):
        expected, seen = original.run(None, {"image": ours})[0], other.run(None, {"pixels": theirs})[0]
        np.testing.assert_allclose(seen, expected, atol=1e-6)


def test_frames_are_as_large_as_a_camera_gives_them(colour_bundle: Path) -> None:
    timed, judged = pictures(placed_in(open_bundle(colour_bundle)))
    assert {frame.shape for frame in timed} == {(480, 640, 3)}
    assert {image.shape for image in judged} == {(SIZE, SIZE, 3)}


def test_a_file_that_begins_otherwise_is_left_out(colour_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="does not begin with raw pixels"):
        write_float_model(placed_in(open_bundle(colour_bundle)), tmp_path)
