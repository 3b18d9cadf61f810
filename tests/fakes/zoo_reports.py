"""Reports of a zoo that nobody measured: 32 networks in families, two precisions and runtimes, with a latency of known cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from benchmarks.record.schema import Conditions, Host, MeasuredModel, MeasuredRuntime, Missing, Record, Report, Round
from benchmarks.report.points import Point, points_of

Law = Callable[["Net", str], float]
"""Milliseconds of a network in a precision, before noise."""


@dataclass(frozen=True)
class Net:
    """``name`` and ``family`` as the zoo calls them; millions of weights and multiply-accumulates and of activation elements."""

    name: str
    family: str | None
    params_m: float
    macs_m: float
    elements_m: float
    accuracy: float | None = None
    side_px: int = 224


# weights and multiply-accumulates as published for the networks, activations made up in their order of magnitude
NETS = (
    Net("lenet", None, 0.06, 0.42, 0.006, side_px=32),
    Net("alexnet", None, 61.1, 714, 1.0),
    Net("zfnet", None, 62.3, 1170, 2.3),
    Net("vgg19", None, 143.7, 19600, 15.0),
    Net("googlenet", "inception", 6.6, 1550, 6.3),
    Net("inceptionv2", "inception", 11.3, 2040, 8.0),
    Net("inceptionv3", "inception", 23.8, 5730, 12.0, side_px=299),
    Net("inceptionv4", "inception", 42.7, 12300, 20.0, side_px=299),
    Net("resnet50", "resnet", 25.5, 4110, 11.1),
    Net("resnet152", "resnet", 60.1, 11500, 22.6),
    Net("resnext50_32x4d", "resnet", 25.0, 4240, 14.4),
    Net("densenet121", "densenet", 8.0, 2830, 14.0),
    Net("densenet201", "densenet", 20.0, 4300, 22.0),
    Net("se_inception", None, 11.9, 2050, 8.1),
    Net("squeezenet", "squeezenet", 1.25, 823, 4.9),
    Net("squeezenet_v1_1", "squeezenet", 1.24, 352, 3.2),
    Net("squeezenext", "squeezenet", 0.72, 282, 4.3),
    Net("nasnet_mobile", None, 5.3, 584, 11.0),
    *(Net(f"mobilenet_{w}", "mobilenetv1", p, m, e) for w, p, m, e in (
        ("w1", 4.2, 574, 5.0), ("w3d4", 2.6, 331, 3.8), ("wd2", 1.3, 152, 2.5), ("wd4", 0.47, 42, 1.3))),
    *(Net(f"mobilenetv2_{w}", "mobilenetv2", p, m, e) for w, p, m, e in (
        ("w1", 3.5, 301, 6.7), ("w3d4", 2.6, 209, 5.2), ("wd2", 2.0, 97, 3.7), ("wd4", 1.5, 37, 2.0))),
    *(Net(f"shufflenetv2_{w}", "shufflenetv2", p, m, e) for w, p, m, e in (
        ("wd2", 1.4, 42, 1.1), ("w1", 2.3, 146, 2.1), ("w3d2", 4.4, 320, 3.1), ("w2", 7.4, 595, 4.2))),
    Net("efficientnet_lite0", "efficientnet_lite", 4.6, 386, 6.6, 0.753),
    Net("efficientnet_lite2", "efficientnet_lite", 6.1, 860, 12.0, 0.775, side_px=260),
)  # fmt: skip

BYTES_EACH = {"fp32": 4, "int8": 1}
ENGINES = {"onnx": ("onnxruntime", "1.32.0", 1.0), "tflite": ("ai-edge-litert", "2.1.0", 1.2)}  # name, version, slowness
CONDITIONS = Conditions(load_before=0.1, load_after=1.0, others_share=0.01, steal_share=0.0)


def mac_driven(net: Net, precision: str) -> float:
    """50 multiply-accumulates a nanosecond in float, thrice that in 8 bits."""
    return net.macs_m / (50 if precision == "fp32" else 150)


def weight_driven(net: Net, precision: str) -> float:
    """As if every weight were fetched from memory, and nothing else cost anything."""
    return net.params_m * BYTES_EACH[precision] * 0.5


def random_law(seed: int = 0) -> Law:
    """Latencies that have no cause, over two orders of magnitude."""
    generator = np.random.default_rng(seed)
    drawn = {(net.name, p): float(10 ** generator.uniform(0, 2)) for net in NETS for p in BYTES_EACH}
    return lambda net, precision: drawn[net.name, precision]


def board(name: str = "Raspberry Pi 5 Model B Rev 1.0", cpu: str = "Cortex-A76") -> Host:
    """A machine."""
    return Host(board=name, cpu=cpu, features=("asimd", "asimddp"), kernel="Linux 6.6 aarch64", governor="performance")


def make_record(net: Net, candidate: str, ms: float, *, host: Host, threads: int = 1, bench: str = "zoo", noise: float = 0.01,
                rounds: int = 5, seed: int = 0) -> Record:  # fmt: skip
    """``ms``: its median; the rounds' medians scatter around it by ``noise``, a share."""
    runtime, precision = candidate.split("-")
    name, version, _ = ENGINES[runtime]
    generator = np.random.default_rng([seed, *f"{net.name}{candidate}{threads}".encode()])
    medians = [ms * float(np.exp(generator.normal(0, noise))) for _ in range(rounds)]
    shape = (
        f"1×3×{net.side_px}×{net.side_px} uint8 RGB NCHW"
        if runtime == "onnx"
        else f"1×{net.side_px}×{net.side_px}×3 uint8 RGB NHWC"
    )
    facts = MeasuredModel(
        bundle=f"{net.name}@0123456789ab",
        model=net.name,
        candidate=candidate,
        bytes=round(net.params_m * 1e6 * BYTES_EACH[precision] * 1.02 + 20_000),
        macs=round(net.macs_m * 1e6),
        params=round(net.params_m * 1e6),
        input=shape,
        network=net.name,
        family=net.family,
        precision=precision,
        activation_bytes=round(net.elements_m * 1e6 * BYTES_EACH[precision]),
        accuracy=net.accuracy,
    )
    return Record(
        bench=bench,
        host=host,
        runtime=MeasuredRuntime(name=name, version=version, options={}, threads=threads),
        model=facts,
        rounds=tuple(Round(queries=50, seconds=m * 50 / 1000, p50_ms=m) for m in medians),
        queries=50 * rounds,
        p50_ms=float(np.median(medians)),
        p90_ms=float(np.median(medians)) * 1.06,
        p99_ms=float(np.median(medians)) * 1.4,
        max_ms=float(np.median(medians)) * 2,
        throughput=1000 / ms,
        memory={"peak": 90_000_000 + round(net.params_m * 1e6 * BYTES_EACH[precision])},
    )


def zoo_report(law: Law = mac_driven, *, candidates: Sequence[str] = ("onnx-fp32", "onnx-int8", "tflite-fp32", "tflite-int8"),
               scatter: float = 0.15, host: Host | None = None, threads: Sequence[int] = (1,), speed: float = 1.0,
               nets: Sequence[Net] = NETS, seed: int = 0, noise: float = 0.01) -> Report:  # fmt: skip
    """``scatter``: how far networks stray from the law, as the deviation of a logarithm; ``speed``: of the machine."""
    host = host or board()
    generator = np.random.default_rng(seed)
    stray = {net.name: float(np.exp(generator.normal(0, scatter))) for net in nets}
    records = []
    for count in threads:
        for net in nets:
            for candidate in candidates:
                runtime, precision = candidate.split("-")
                ms = law(net, precision) * stray[net.name] * ENGINES[runtime][2] / speed / count**0.8
                records.append(make_record(net, candidate, ms, host=host, threads=count, seed=seed, noise=noise))
        for candidate in candidates:
            records.append(peak_record(candidate, host=host, threads=count, speed=speed))
    missing = (Missing(name="senet154/onnx-fp32", reason="needs 2,310 MB of memory, 1,800 are free <b>"),)
    return Report(
        bench="zoo", quick=False, records=tuple(records), ratios=(), checks=(), conditions=CONDITIONS, missing=missing
    )


def peak_record(candidate: str, *, host: Host, threads: int = 1, speed: float = 1.0) -> Record:
    """The large convolution: twice as fast a multiply-accumulate as ``mac_driven``."""
    runtime, precision = candidate.split("-")
    net = Net("peak", None, 9.4, 1850, 1.0)
    like = make_record(
        net, candidate, mac_driven(net, precision) / 2 / speed, host=host, threads=threads, bench="peak", noise=0.0
    )
    return msgspec.structs.replace(
        like, model=msgspec.structs.replace(like.model, model=f"peak-{runtime}", candidate=precision)
    )


def googlenet_points() -> list[Point]:
    """Of GoogLeNet in 8 bits, with either runtime."""
    return points_of(zoo_report(candidates=("onnx-int8", "tflite-int8"), nets=NETS[4:5]), name="x")[0]
