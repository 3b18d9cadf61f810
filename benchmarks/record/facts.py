"""What a record says about what was run, from the manifest and the installed runtime."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.record.host import describe_host
from benchmarks.record.schema import MeasuredModel, MeasuredRuntime, Percentiles, Record, Round, Series
from benchmarks.record.stats import median
from edge.backends import runtime_of
from edge.bundle.reader import Bundle
from edge.choice.keys import runtime_versions
from edge.manifest import Candidate, Model

_FAMILIES = {
    "alexnet": "AlexNet",
    "densenet": "DenseNet",
    "efficientnet_lite": "EfficientNet-Lite",
    "googlenet": "Inception",
    "inception": "Inception",
    "inceptionresnet": "Inception-ResNet",
    "lenet": "LeNet",
    "mnasnet": "MnasNet",
    "mobilenet_": "MobileNetV1",
    "mobilenetv2": "MobileNetV2",
    "mobilenetv3": "MobileNetV3",
    "nasnet": "NASNet",
    "overfeat": "OverFeat",
    "resnet": "ResNet",
    "resnext": "ResNeXt",
    "se_inception": "Inception",
    "senet": "SENet",
    "shufflenet": "ShuffleNetV1",
    "shufflenetv2": "ShuffleNetV2",
    "squeezenet": "SqueezeNet",
    "squeezenext": "SqueezeNext",
    "vgg": "VGG",
    "xception": "Xception",
    "zfnet": "ZFNet",
}
"""How names in the zoo begin → their family: networks that differ in little but their width, depth or cells. Within a family the curve says
more than across them. The longest that fits counts."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A candidate and where it is."""

    bundle: Bundle
    model: Model
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Subject:
    """What a record is about; ``network``: its name in the zoo, and ``activation_bytes`` as ``benchmarks.measure.activations`` counts them,
    where they are known."""

    bundle: Bundle
    model: Model
    candidate: Candidate
    threads: int
    network: str | None = None
    activation_bytes: int | None = None


def record_of(
    bench: str,
    subject: Subject,
    rounds: Sequence[Round],
    *,
    whole: Percentiles | None = None,
    stages: dict[str, Percentiles] | None = None,
    memory: dict[str, int] | None = None,
    thermal: dict[str, float] | None = None,
    energy_j: dict[str, float] | None = None,
    max_ms: float | None = None,
    notes: tuple[str, ...] = (),
) -> Record:
    """A record of this machine, now. ``whole``: percentiles of single queries, where they were timed, and ``max_ms`` their worst."""
    return Record(
        bench=bench,
        host=describe_host(),
        runtime=describe_runtime(subject),
        model=describe_model(subject),
        rounds=tuple(rounds),
        queries=sum(item.queries for item in rounds),
        p50_ms=whole.p50_ms if whole else None,
        p90_ms=whole.p90_ms if whole else None,
        p99_ms=whole.p99_ms if whole else None,
        max_ms=max_ms,
        throughput=median([item.queries / item.seconds for item in rounds]),
        stages=stages or {},
        memory=memory or {},
        thermal=thermal or {},
        energy_j=energy_j or {},
        notes=notes,
    )


def series_record(
    bench: str,
    subject: Subject,
    series: Series,
    *,
    stages: dict[str, Percentiles] | None = None,
    thermal: dict[str, float] | None = None,
    notes: tuple[str, ...] = (),
) -> Record:
    """The record of one side of an alternation."""
    return record_of(bench, subject, series.rounds, whole=series.all, stages=stages, thermal=thermal, notes=notes)


def describe_model(subject: Subject) -> MeasuredModel:
    """From the manifest."""
    candidate, spec = subject.candidate, subject.candidate.input
    pixels = f"{spec.height_px}×{spec.width_px}"
    shape = f"3×{pixels}" if spec.layout == "NCHW" else f"{pixels}×3"
    return MeasuredModel(
        bundle=f"{subject.bundle.manifest.name}@{subject.bundle.sha256[:12]}",
        model=subject.model.name,
        candidate=candidate.name,
        bytes=candidate.model_file.bytes,
        macs=candidate.macs,
        params=candidate.weights.elements,
        input=f"1×{shape} {spec.dtype} {spec.colour} {spec.layout}",
        network=subject.network,
        family=family_of(subject.network) if subject.network is not None else None,
        precision=candidate.precision,
        activation_bytes=subject.activation_bytes,
        accuracy=next((quality.accuracy for quality in candidate.quality if quality.accuracy is not None), None),
    )


def describe_runtime(subject: Subject) -> MeasuredRuntime:
    """The installed distribution that runs the candidate, and the candidate's own options."""
    installed = runtime_versions()
    names = list(runtime_of(subject.candidate).distributions)
    name = next((n for n in names if n in installed), names[0])
    options = dict(subject.candidate.runtime_options)
    return MeasuredRuntime(name=name, version=installed.get(name, "unknown"), options=options, threads=subject.threads)


def family_of(network: str) -> str:
    """The family of a network of the zoo; its own name where it is the only one of its kind."""
    fitting = [prefix for prefix in _FAMILIES if network.startswith(prefix)]
    return _FAMILIES[max(fitting, key=len)] if fitting else network


def picture_sides(described: str) -> tuple[int, ...]:
    """Height and width from an input as ``describe_model`` has it, "1×3×224×224 float32 RGB NCHW" or "1×224×224×3 uint8 RGB NHWC"; other
    lengths for what is no picture."""
    shape, _, rest = described.partition(" ")
    numbers = tuple(int(side) for side in re.findall(r"\d+", shape))
    if len(numbers) != 4:
        return ()
    return numbers[2:] if rest.endswith("NCHW") else numbers[1:3]
