"""Tiny bundles of more than a classifier: a finder of bright things whose finds a classifier names, and a network with two heads."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge.bundle.golden import encode_golden
from edge.bundle.reader import Bundle, open_bundle
from edge.bundle.writer import BundleWriter
from edge.manifest import Answer, Candidate, Detection, Gate, Golden, Labels, Manifest, Model, OutputSpec, Quality, Step
from tests.fakes.tiny import LABELS, SIZE, golden_set, provenance, write_colour_bundle

SIDE = 32
"""Of the finder's input, in pixels."""

HALVES = 2
GATE = Gate(logit_cosine_min=0.9, top1_agreement_min=0.8)


def finder_onnx() -> bytes:
    """N×32×32×3 uint8 → the box of what is bright in the left and in the right half, N×2×4, and whether there is any, N×2×1."""
    half = SIDE // HALVES
    constants = {
        "colour": np.array([3], np.int64),
        "halved": np.array([0, SIDE, HALVES, half], np.int64),
        "bright": np.array(128, np.float32),
        "in_width": np.array([3], np.int64),
        "in_height": np.array([2], np.int64),
        "in_both": np.array([2, 3], np.int64),
        "one": np.array(1, np.int64),
        "start": np.array([0, half], np.int64),
        "last": np.array([2], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        node("ReduceMax", ["real", "colour"], ["grey"], keepdims=0),
        node("Reshape", ["grey", "halved"], ["halves"]),
        node("Transpose", ["halves"], ["each"], perm=[0, 2, 1, 3]),
        node("Greater", ["each", "bright"], ["lit"]),
        node("Cast", ["lit"], ["mask"], to=TensorProto.FLOAT),
        node("ReduceMax", ["mask", "in_width"], ["rows"], keepdims=0),
        node("ReduceMax", ["mask", "in_height"], ["columns"], keepdims=0),
        node("ReduceMax", ["mask", "in_both"], ["any"], keepdims=0),
        node("ArgMax", ["columns"], ["left_in_half"], axis=2, keepdims=0),
        node("ArgMax", ["rows"], ["top"], axis=2, keepdims=0),
        node("ArgMax", ["columns"], ["last_column"], axis=2, keepdims=0, select_last_index=1),
        node("ArgMax", ["rows"], ["last_row"], axis=2, keepdims=0, select_last_index=1),
        node("Add", ["left_in_half", "start"], ["left"]),
        node("Add", ["last_column", "start"], ["last_x"]),
        node("Add", ["last_x", "one"], ["right"]),
        node("Add", ["last_row", "one"], ["bottom"]),
        *(node("Unsqueeze", [edge, "last"], [f"{edge}_1"]) for edge in ("left", "top", "right", "bottom")),
        node("Concat", ["left_1", "top_1", "right_1", "bottom_1"], ["corners"], axis=2),
        node("Cast", ["corners"], ["boxes"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["any", "last"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "finder",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", HALVES, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", HALVES, 1]),
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def finder_golden(count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """N×32×32×3 uint8 with a white rectangle in one half or both, and N×2×5: each one's box and 1, or the whole half and 0."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 60, (count, SIDE, SIDE, 3), dtype=np.uint8)
    expected = np.zeros((count, HALVES, 5), np.float32)
    half = SIDE // HALVES
    for number in range(count):
        for side in range(HALVES):
            expected[number, side] = (side * half, 0, (side + 1) * half, SIDE, 0)
            if side == number % HALVES or number % 3 == 0:
                x, y = side * half + rng.integers(0, 6), rng.integers(0, 16)
                images[number, y : y + 9, x : x + 8] = 250
                expected[number, side] = (x, y, x + 8, y + 9, 1)
    return images, expected


def write_pipeline_bundle(out: Path, *, pipeline: bool = True, crop: bool = True) -> Bundle:
    """The finder, then the classifier of ``write_colour_bundle`` for each thing that it found; without ``crop`` for the same regions."""
    colours = write_colour_bundle(out.with_name(f"{out.name}-colours"))
    (colour,) = colours.manifest.models
    like = colour.candidates[0]
    images, expected = finder_golden()
    with BundleWriter(out) as writer:
        for ref in colours.manifest.files().values():
            writer.add(ref.file, colours.read(ref))
        candidate = msgspec.structs.replace(
            like,
            name="finder-onnx",
            model_file=writer.add("finder.onnx", finder_onnx()),
            input=msgspec.structs.replace(like.input, height_px=SIDE, width_px=SIDE),
            outputs=(
                OutputSpec(name="boxes", shape=(HALVES, 4), dtype="float32", meaning="boxes"),
                OutputSpec(name="scores", shape=(HALVES, 1), dtype="float32", meaning="scores"),
            ),
            quality=(),
        )
        archive = writer.add("golden/finder.npz", encode_golden(images, {"expected": expected}))
        things = Answer(
            name="things",
            task="detect",
            outputs=(0, 1),
            labels=Labels(text=writer.add("things.txt", b"thing\n"), count=1),
            golden=Golden(archive=archive, images=len(images), source="rendered"),
            gate=GATE,
            detection=Detection(),
        )
        finder = Model(name="finder", weights="trained", answers=(things,), candidates=(candidate,))
        steps = (Step(model="finder"), Step(model="colour", crop="things" if crop else None)) if pipeline else ()
        writer.finish(Manifest(schema=1, name="things", models=(finder, colour), pipeline=steps, provenance=provenance()))
    return open_bundle(out)


def two_headed_onnx() -> bytes:
    """uint8 N×8×8×3 → softmax of the channels' means, and the means themselves, in units of 50, as an embedding."""
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axes"], ["means"], keepdims=0),
        helper.make_node("Div", ["means", "unit"], ["embedding"]),
        helper.make_node("Softmax", ["embedding"], ["probabilities"], axis=1),
    ]
    names = ("embedding", "probabilities")
    graph = helper.make_graph(
        nodes,
        "two heads",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in names],
        [numpy_helper.from_array(np.array([1, 2], np.int64), "axes"), numpy_helper.from_array(np.float32(50), "unit")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def write_two_headed_bundle(out: Path, *, embed_min: float = 0.9, wrong_embedding: bool = False) -> Bundle:
    """One network, two answers: "classify" from its second output, "look" from its first; both golden sets stand in one archive.
    ``wrong_embedding``: the float model is said to embed otherwise."""
    (model,) = write_colour_bundle(out.with_name(f"{out.name}-like")).manifest.models
    golden = golden_set()
    vectors = golden.expected[:, ::-1] if wrong_embedding else golden.expected
    with BundleWriter(out) as writer:
        arrays = {"classes": golden.expected, "vectors": np.ascontiguousarray(vectors)}
        archive = writer.add("golden/golden.npz", encode_golden(golden.images, arrays))
        labels = Labels(text=writer.add("labels.txt", "".join(f"{label}\n" for label in LABELS).encode()), count=3)

        def judged(array: str) -> Golden:
            return Golden(archive=archive, images=64, source="rendered", expected=array)

        answers = (
            Answer(name="classify", task="classify", outputs=(1,), labels=labels, golden=judged("classes"), gate=GATE),
            Answer(
                name="look",
                task="embed",
                labels=None,
                golden=judged("vectors"),
                gate=msgspec.structs.replace(GATE, logit_cosine_min=embed_min),
            ),
        )
        candidate: Candidate = msgspec.structs.replace(
            model.candidates[0],
            model_file=writer.add("heads.onnx", two_headed_onnx()),
            outputs=(
                OutputSpec(name="embedding", shape=(3,), dtype="float32", meaning="embedding"),
                OutputSpec(name="probabilities", shape=(3,), dtype="float32", meaning="softmax"),
            ),
            quality=tuple(
                Quality(
                    answer=answer.name,
                    images=64,
                    source="rendered",
                    logit_cosine=1.0,
                    top1_agreement=1.0,
                    runtime="onnxruntime",
                    arithmetic="float",
                )
                for answer in answers
            ),
        )
        entry = Model(name="heads", weights="trained", answers=answers, candidates=(candidate,))
        writer.finish(Manifest(schema=1, name="heads", models=(entry,), provenance=provenance()))
    return open_bundle(out)
