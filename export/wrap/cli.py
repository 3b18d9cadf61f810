"""``shelfcam bundle wrap``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edge import console
from edge.commands import options
from edge.manifest import InputSpec
from export.tasks import DEFAULT_TASK
from export.wrap.bundle import wrap
from export.wrap.manifest_entry import OutputMeaning

InputOption = Annotated[
    str | None,
    Parameter(
        name="--input",
        help="How pixels 0…255 become the model's input, where its file does not say: imagenet, tf (−1…1), unit (0…1) "
        "or raw; or mean=… scale=…, one number or three; also colour=RGB|BGR, fit=centre_crop|stretch|letterbox, "
        "layout=NHWC|NCHW, size=224.",
    ),
]


def wrap_command(
    model: Annotated[Path, Parameter(help="ONNX or TFLite file.")],
    /,
    *,
    labels: Annotated[Path, Parameter(help="Class names, one a line, in the order of the model's output.")],
    out: Annotated[Path, Parameter(help="Bundle directory to make.")],
    input: InputOption = None,
    task: Annotated[str, Parameter(help="What the model does; only a classifier can be wrapped.")] = DEFAULT_TASK,
    output: Annotated[OutputMeaning | None, Parameter(help="What the scores are; read from the file by default.")] = None,
    name: Annotated[str | None, Parameter(help="Name of bundle and model; the file's name by default.")] = None,
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Make a bundle of a model that somebody else made, quantized or float. It has no gate: nothing to compare it with.

    Exit code 65, and nothing written, if the file is no model, was cut, or does not fit its labels.

    **Examples**

        shelfcam bundle wrap mobilenet_quant.tflite --labels labels.txt --out mobilenet
        shelfcam bundle wrap resnet.onnx --labels labels.txt --input imagenet --out resnet
        shelfcam bundle wrap net.onnx --labels labels.txt --input "mean=127.5 scale=127.5 fit=stretch" --output logits --out net
    """
    manifest = wrap(model, labels, out, task=task, input_text=input, output=output, name=name, replace=force)
    if json:
        console.print_json(manifest)
        return
    candidate = manifest.models[0].candidates[0]
    size, share = f"{candidate.model_file.bytes:,} bytes", f"{candidate.int8_mac_share:.0%} of {candidate.macs:,} MACs 8-bit"
    console.print_line(f"{out}: {candidate.name}, {size}, {share}")
    console.print_line(f"  input: {_describe(candidate.input)}")
    console.print_line(f"  output: {candidate.outputs[0].width} classes, {candidate.outputs[0].meaning}")


def _describe(spec: InputSpec) -> str:
    feed = "raw pixels"
    if spec.normalise != "folded":
        feed = f"mean {_plain(spec.normalise.mean)} scale {_plain(spec.normalise.scale)}"
    if spec.quantization is not None:
        feed += f", then quantized by {spec.quantization.scale:.6g} around {spec.quantization.zero_point}"
    return f"{spec.height_px}×{spec.width_px} {spec.colour} {spec.layout} {spec.dtype}, {spec.resize.fit}: {feed}"


def _plain(numbers: tuple[float, ...]) -> str:
    return ",".join(f"{number:g}" for number in (numbers[:1] if len(set(numbers)) == 1 else numbers))
