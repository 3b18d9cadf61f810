"""A real, tiny bundle: an ONNX classifier that says which of red, green and blue a picture has most of."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.bundle.golden import GoldenSet, encode_golden
from edge.bundle.reader import Bundle, open_bundle
from edge.bundle.writer import BundleWriter
from edge.manifest import (
    Answer,
    Candidate,
    Gate,
    Golden,
    InputSpec,
    Labels,
    Manifest,
    Model,
    OutputSpec,
    Provenance,
    Quality,
    Requires,
    Resize,
    WeightTensors,
)

LABELS = ("red", "green", "blue")
SIZE = 8
COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}


def picture(colour: str, height: int = 12, width: int = 16) -> np.ndarray:
    """H×W×3 uint8 RGB, all of one colour."""
    return np.full((height, width, 3), COLOURS[colour], dtype=np.uint8)


FRAGILE_ABOVE = 215
"""Mean of all pixels, of 255, from which a fragile model fails; no golden picture is so bright, so it passes its trial."""


def colour_onnx(order: tuple[int, int, int] = (0, 1, 2), *, fragile: bool = False) -> bytes:
    """uint8 N×8×8×3 → softmax of the channels' means; ``order`` permutes the answers, so that a model can be wrong. ``fragile``: the
    runtime fails on pictures that are nearly white, where an index made of their brightness lies outside its table."""
    scale = numpy_helper.from_array(np.eye(3, dtype=np.float32)[:, list(order)] / 50, "scale")
    axes = numpy_helper.from_array(np.array([1, 2], dtype=np.int64), "axes")
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "scale"], ["plain" if fragile else "logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = [scale, axes]
    if fragile:
        constants.append(numpy_helper.from_array(np.zeros(1, dtype=np.float32), "table"))
        constants.append(numpy_helper.from_array(np.float32(FRAGILE_ABOVE), "too_bright"))
        constants.append(numpy_helper.from_array(np.array([1, 2, 3], dtype=np.int64), "picture"))
        nodes[3:3] = [
            helper.make_node("ReduceMean", ["real", "picture"], ["each"], keepdims=0),
            helper.make_node("ReduceMax", ["each"], ["brightness"], keepdims=0),
            helper.make_node("Div", ["brightness", "too_bright"], ["share"]),
            helper.make_node("Cast", ["share"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "index"], ["nothing"]),
            helper.make_node("Add", ["plain", "nothing"], ["logits"]),
        ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE, SIZE, 3])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph(nodes, "colour", [image], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def golden_set(count: int = 64) -> GoldenSet:
    """Coloured noise with the logits that ``colour_onnx`` computes."""
    rng = np.random.default_rng(7)
    tint = rng.integers(0, 200, (count, 1, 1, 3))
    images = (tint + rng.integers(0, 55, (count, SIZE, SIZE, 3))).astype(np.uint8)
    return GoldenSet(images, (images.astype(np.float32).mean(axis=(1, 2)) / 50).astype(np.float32))


def provenance() -> Provenance:
    return Provenance(created_utc="2026-01-01T00:00:00Z", command="tests", tools={"onnx": onnx.__version__})


def write_colour_bundle(
    out: Path,
    orders: dict[str, tuple[int, int, int]] | None = None,
    cosine_min: float = 0.9,
    *,
    fragile: bool = False,
    files: dict[str, bytes] | None = None,
    replace: bool = False,
    judged: bool = True,
) -> Bundle:
    """A bundle with one candidate per entry of ``orders`` (name → answer order); by default one right one, "onnx-a".

    ``files``: other ONNX models for some of the candidates; ``replace``: what is at ``out``; ``judged``: with a golden set.
    """
    orders = orders or {"onnx-a": (0, 1, 2)}
    golden = golden_set()
    files = files or {}
    with BundleWriter(out, replace=replace) as writer:
        candidates = []
        for rank, (name, order) in enumerate(orders.items()):
            candidates.append(
                Candidate(
                    name=name,
                    model_file=writer.add(f"{name}.onnx", files.get(name) or colour_onnx(order, fragile=fragile)),
                    format="onnx",
                    precision="fp32",
                    int8_mac_share=0.0,
                    weights=WeightTensors(tensors_8bit=0, tensors=1, elements_8bit=0, elements=9),
                    macs=9,
                    input=InputSpec(
                        name="image",
                        batch="dynamic",
                        height_px=SIZE,
                        width_px=SIZE,
                        layout="NHWC",
                        dtype="uint8",
                        colour="RGB",
                        resize=Resize(fit="centre_crop"),
                        normalise="folded",
                    ),
                    outputs=(OutputSpec(name="probabilities", shape=(3,), dtype="float32", meaning="softmax"),),
                    requires=Requires(runtime="onnxruntime", opset=18),
                    quality=(
                        Quality(
                            answer="classify",
                            images=64,
                            source="rendered",
                            logit_cosine=1.0 - rank * 0.01,
                            top1_agreement=1.0,
                            runtime="onnxruntime",
                            arithmetic="plain",
                        ),
                    ),
                )
            )
        archive = (
            writer.add("golden/golden.npz", encode_golden(golden.images, {"expected": golden.expected})) if judged else None
        )
        answer = Answer(
            name="classify",
            task="classify",
            labels=Labels(text=writer.add("labels.txt", "\n".join(LABELS).encode() + b"\n"), count=3),
            golden=None if archive is None else Golden(archive=archive, images=64, source="rendered"),
            gate=Gate(logit_cosine_min=cosine_min, top1_agreement_min=0.8) if judged else None,
        )
        model = Model(name="colour", weights="trained", answers=(answer,), candidates=tuple(candidates))
        writer.finish(Manifest(schema=1, name="colours", models=(model,), provenance=provenance()))
    return open_bundle(out)


def manifest_dict(bundle: Bundle) -> dict:
    """The manifest as plain data, to be broken by a test."""
    return msgspec.json.decode((bundle.directory / "manifest.json").read_bytes())


def write_embed_bundle(out: Path) -> Bundle:
    """The network of ``write_colour_bundle`` as an embedder: its three numbers are the vector."""
    bundle = write_colour_bundle(out)
    manifest = manifest_dict(bundle)
    (model,) = manifest["models"]
    model["answers"][0].update(name="embed", task="embed", labels=None)
    model["candidates"][0]["quality"][0]["answer"] = "embed"
    model["candidates"][0]["outputs"][0]["meaning"] = "embedding"
    expected = np.exp(golden_set().expected)
    answers = expected / expected.sum(axis=1, keepdims=True)
    content = encode_golden(golden_set().images, {"expected": answers.astype(np.float32)})
    (out / "labels.txt").unlink()
    (out / "golden/golden.npz").write_bytes(content)
    model["answers"][0]["golden"]["archive"].update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (out / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return open_bundle(out)
