"""Manifest entries for the tiny ONNX models and the third-party TFLite models, written by hand: not by the code under test."""

from __future__ import annotations

from edge.bundle.manifest import (
    Candidate,
    FileRef,
    InputSpec,
    Normalisation,
    OutputSpec,
    Quantization,
    Requires,
    Resize,
    WeightTensors,
)

TF = Normalisation(mean=(127.5, 127.5, 127.5), scale=(127.5, 127.5, 127.5))
_ANY_FILE = FileRef(file="model.bin", bytes=0, sha256="0" * 64)
_NOT_COUNTED = WeightTensors(tensors_8bit=0, tensors=0, elements_8bit=0, elements=0)


def onnx_candidate(batch: int | str = "dynamic") -> Candidate:
    """For ``onnx_models.brightest(batch=…)``."""
    return Candidate(
        name="onnx-fp32",
        model_file=_ANY_FILE,
        format="onnx",
        precision="fp32",
        int8_mac_share=0.0,
        weights=_NOT_COUNTED,
        macs=0,
        input=InputSpec(
            name="image",
            batch=batch,
            height_px=8,
            width_px=8,
            layout="NCHW",
            dtype="float32",
            colour="RGB",
            resize=Resize(fit="stretch"),
            normalise=TF,
        ),
        outputs=(OutputSpec(name="scores", width=3, dtype="float32", activation="softmax"),),
        requires=Requires(runtime="onnxruntime", opset=18),
    )


def vww_candidate() -> Candidate:
    """For ``vww_96_int8.tflite``: a person in the picture, or none."""
    return Candidate(
        name="tflite-int8",
        model_file=_ANY_FILE,
        format="tflite",
        precision="int8",
        int8_mac_share=1.0,
        weights=_NOT_COUNTED,
        macs=0,
        input=InputSpec(
            name="input_1_int8",
            batch=1,
            height_px=96,
            width_px=96,
            layout="NHWC",
            dtype="int8",
            colour="RGB",
            resize=Resize(fit="stretch"),
            normalise=Normalisation(mean=(0.0, 0.0, 0.0), scale=(255.0, 255.0, 255.0)),
            quantization=Quantization(scale=1 / 255, zero_point=-128),
        ),
        outputs=(
            OutputSpec(
                name="Identity_int8",
                width=2,
                dtype="int8",
                activation="softmax",
                quantization=Quantization(scale=1 / 256, zero_point=-128),
            ),
        ),
        requires=Requires(runtime="tflite"),
    )
