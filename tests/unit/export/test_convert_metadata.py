"""What a converted file says of itself; that MediaPipe reads it is checked with mediapipe itself (``make mediapipe``)."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("flatbuffers")

import onnxruntime
from ai_edge_litert.tools import flatbuffer_utils
from flatbuffers import number_types
from flatbuffers.table import Table

from edge.errors import BundleError
from export.candidates import PLANS
from export.convert import onnx_metadata, tflite_metadata, to_onnx
from export.convert.tflite_graph import add_camera_io, run_tflite
from tests.fakes.runtimes import need
from tests.fakes.tiny_net import CLASSES, IMAGENET, SIZE, pictures, tiny_model

PLAN = {plan.name: plan for plan in PLANS}


class Field:
    """Follows field positions through a flatbuffer."""

    def __init__(self, content: bytes, start: int) -> None:
        self.table = Table(bytearray(content), start)

    @classmethod
    def root(cls, content: bytes) -> Field:
        return cls(content, int.from_bytes(content[:4], "little"))

    def at(self, position: int) -> int:
        return self.table.Pos + self.table.Offset(4 + 2 * position)

    def text(self, position: int) -> str:
        return self.table.String(self.at(position)).decode()

    def child(self, position: int) -> Field:
        return Field(self.table.Bytes, self.table.Indirect(self.at(position)))

    def first(self, position: int) -> Field:
        return Field(self.table.Bytes, self.table.Indirect(self.table.Vector(self.at(position) - self.table.Pos)))

    def byte(self, position: int) -> int:
        return int(self.table.Get(number_types.Int8Flags, self.at(position)))

    def floats(self, position: int) -> list[float]:
        offset = self.at(position) - self.table.Pos
        start, count = self.table.Vector(offset), self.table.VectorLen(offset)
        return np.frombuffer(self.table.Bytes, np.float32, count, start).tolist()


@pytest.fixture(scope="module")
def tflite_core() -> bytes:
    need("litert_torch")
    from export.convert.to_tflite import core_to_tflite

    return core_to_tflite(tiny_model())


def metadata_of(content: bytes) -> bytes:
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    return bytes(model.buffers[entry.buffer].data)


@pytest.mark.parametrize(("name", "limits"), [("tflite-fp32", ([0.0], [255.0])), ("tflite-float-in", ([-127 / 128], [1.0]))])
def test_tflite_metadata_describes_input_and_output(tflite_core: bytes, name: str, limits) -> None:
    plan = PLAN[name]
    bare = add_camera_io(tflite_core, plan.input_dtype)
    content = tflite_metadata.add(bare, tiny_model(), plan)
    buffer = metadata_of(content)
    assert buffer[4:8] == b"M001"
    model = Field.root(buffer)
    assert (model.text(0), model.text(5)) == ("tiny", "Apache-2.0")
    fed, given = model.first(3).first(2), model.first(3).first(3)
    assert (fed.text(0), given.text(0)) == ("image", "probabilities")
    normalise = fed.first(4).child(1)
    assert (normalise.floats(0), normalise.floats(1)) == ([127.0], [128.0])
    assert (fed.child(5).floats(1), fed.child(5).floats(0)) == limits
    assert fed.child(3).child(1).byte(0) == 1, "RGB"
    assert (given.first(6).text(0), given.first(6).byte(2)) == ("labels.txt", 2)


def test_labels_lie_behind_the_model_uncompressed_and_it_still_computes(tflite_core: bytes) -> None:
    bare = add_camera_io(tflite_core)
    content = tflite_metadata.add(bare, tiny_model(), PLAN["tflite-fp32"])
    with zipfile.ZipFile(BytesIO(content)) as archive:
        (entry,) = archive.infolist()
        assert archive.read(entry).decode().splitlines() == list(CLASSES)
        assert entry.compress_type == zipfile.ZIP_STORED
    np.testing.assert_array_equal(run_tflite(content, pictures(4, 2)), run_tflite(bare, pictures(4, 2)))
    assert content == tflite_metadata.add(bare, tiny_model(), PLAN["tflite-fp32"]), "the same model gives the same bytes"


@pytest.mark.parametrize(("left", "message"), [(None, "lacks data"), (bytes(16 * 27 * 4), "answers otherwise")])
def test_weights_that_get_lost_on_the_way_are_an_error(tflite_core: bytes, monkeypatch, left, message: str) -> None:
    bare = add_camera_io(tflite_core)
    whole = flatbuffer_utils.convert_object_to_bytearray

    def without_weights(model):
        for buffer in model.buffers:
            if buffer.data is not None and len(buffer.data) == 16 * 27 * 4:
                buffer.data = None if left is None else np.frombuffer(left, np.uint8)
        return whole(model)

    monkeypatch.setattr(flatbuffer_utils, "convert_object_to_bytearray", without_weights)
    with pytest.raises(BundleError, match=message):
        tflite_metadata.add(bare, tiny_model(), PLAN["tflite-fp32"])


def test_an_embedder_has_no_labels(tflite_core: bytes) -> None:
    model = replace(tiny_model(), task="embed", labels=())
    content = tflite_metadata.add(add_camera_io(tflite_core, task="embed"), model, PLAN["tflite-fp32"])
    assert not zipfile.is_zipfile(BytesIO(content))
    assert Field.root(metadata_of(content)).first(3).first(3).text(0) == "embedding"


def test_onnx_says_the_same_in_its_properties() -> None:
    model = tiny_model(IMAGENET)
    proto = to_onnx.add_camera_io(to_onnx.core_to_onnx(model))
    onnx_metadata.add(proto, model)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    meta = session.get_modelmeta()
    props = meta.custom_metadata_map
    assert json.loads(props["labels"]) == list(CLASSES)
    assert json.loads(props["size"]) == [SIZE, SIZE]
    assert (json.loads(props["mean"]), json.loads(props["scale"])) == (list(IMAGENET.mean), list(IMAGENET.scale))
    assert (props["normalisation"], props["colour"], props["Image.BitmapPixelFormat"]) == ("folded", "RGB", "Rgb8")
    assert props["model_license"] == "Apache-2.0"
    assert meta.graph_name == "tiny"


def test_random_weights_are_said(tmp_path) -> None:
    assert "random" in onnx_metadata.describe(replace(tiny_model(), weights="random"))
    assert "random" not in onnx_metadata.describe(tiny_model())
