"""Manifest entries for the tiny ONNX models and the third-party TFLite models, written by hand: not by the code under test."""

from __future__ import annotations

from edge.manifest import (
    Answer,
    Candidate,
    FileRef,
    InputSpec,
    Labels,
    Normalisation,
    OutputSpec,
    Quantization,
    Requires,
    Resize,
    TaskName,
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
        outputs=(OutputSpec(name="scores", shape=(3,), dtype="float32", meaning="softmax"),),
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
                shape=(2,),
                dtype="int8",
                meaning="softmax",
                quantization=Quantization(scale=1 / 256, zero_point=-128),
            ),
        ),
        requires=Requires(runtime="tflite"),
    )


def answer_of(task: TaskName, name: str | None = None, *, labels: int | None = None, outputs: tuple[int, ...] = (0,)) -> Answer:
    """Without a golden set; ``labels``: how many there are, in a file that is nowhere."""
    text = None if labels is None else Labels(text=FileRef(file="labels.txt", bytes=1, sha256="0" * 64), count=labels)
    return Answer(name=name or task, task=task, outputs=outputs, labels=text, golden=None, gate=None)
