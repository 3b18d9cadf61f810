"""Timings of a candidate that no process ran, for tests of what is made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.latency.measure import LatencyPlan
from benchmarks.measure.alternation import Outcome, Schedule, timed_record
from benchmarks.measure.single_stream import RunLength
from benchmarks.measure.timing import Timing
from benchmarks.record.facts import Subject
from benchmarks.record.schema import Conditions, Missing
from benchmarks.zoo.export_table import ExportPlan
from benchmarks.zoo.timings import TimingPlan, Unit
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import Bundle, parse_manifest

MB = 1_000_000
CALM = Conditions(load_before=0.0, load_after=0.0, others_share=0.0, steal_share=0.0)


def timing(times_ms: Iterable[float]) -> Timing:
    """A round of these times."""
    times = tuple(times_ms)
    return Timing(
        times_ms=times,
        seconds=sum(times) / 1e3,
        load_ms=20.0,
        first_ms=300.0,
        resident_before=50 * MB,
        resident=60 * MB,
        peak=70 * MB,
    )


def subject(
    directory: Path, name: str = "net", candidate: str = "onnx-fp32", threads: int = 1, macs: int = 1_000_000
) -> Subject:
    """A candidate of a bundle that has a manifest and nothing else."""
    bundle = manifest_bundle(directory, name, (candidate,), macs=macs)
    (model,) = bundle.manifest.models
    return Subject(bundle, model, model.candidates[0], threads, network=name)


def manifest_bundle(
    directory: Path, name: str, candidates: Iterable[str], *, macs: int = 1_000_000, bytes_: int = 4000
) -> Bundle:
    """Written to ``directory/manifest.json``; the files that it names are not there."""
    manifest = {
        "schema": 1,
        "name": name,
        "models": [
            {
                "name": name, "weights": "random",
                "answers": [{"name": "embed", "task": "embed", "labels": None, "golden": None, "gate": None}],
                "candidates": [_candidate(one, macs, bytes_) for one in candidates],
            }
        ],
        "provenance": {"created_utc": "2026-01-01T00:00:00Z", "command": "test", "tools": {}},
    }  # fmt: skip
    directory.mkdir(parents=True, exist_ok=True)
    content = json.dumps(manifest).encode()
    (directory / "manifest.json").write_bytes(content)
    return Bundle(directory, parse_manifest(content, directory / "manifest.json", WORKSTATION), "ab" * 32, WORKSTATION)


def _candidate(name: str, macs: int, bytes_: int) -> dict[str, object]:
    kind, _, precision = name.partition("-")
    eight = precision.startswith("int8")
    return {
        "name": name,
        "model_file": {"file": f"{name}.{kind}", "bytes": bytes_, "sha256": "0" * 64},
        "format": kind,
        "precision": "int8" if eight else "fp32",
        "int8_mac_share": 1.0 if eight else 0.0,
        "weights": {"tensors_8bit": int(eight), "tensors": 1, "elements_8bit": 1000 * eight, "elements": 1000},
        "macs": macs,
        "input": {
            "name": "image", "batch": 1, "height_px": 32, "width_px": 48, "layout": "NHWC", "dtype": "uint8", "colour": "RGB",
            "resize": {"fit": "stretch"}, "normalise": "folded",
        },
        "outputs": [{"name": "embedding", "shape": [4], "dtype": "float32", "meaning": "embedding"}],
        "requires": {"runtime": "onnxruntime" if kind == "onnx" else "tflite"},
    }  # fmt: skip


def outcome(out: Path, name: str, candidate: str, macs: int, time_ms: float, threads: int = 1) -> Outcome:
    """Of three queries."""
    return Outcome(subject(out / name / candidate, name, candidate, threads, macs), (timing([time_ms] * 3),))


def timing_plan(out: Path, *keys: str, **change: Any) -> TimingPlan:
    """Two rounds of two ONNX candidates of each key."""
    export = ExportPlan(
        networks=(), out=out, candidates="onnx-fp32", budget_bytes=20_000_000, calibration_count=16, timeout_s=60.0
    )
    given = {
        "candidates": ("onnx-fp32", "onnx-int8"), "threads": (1,), "schedule": Schedule(2, RunLength(3, 0.0), 60.0), "bundles": (),
        "export": export, "quick": False,
    }  # fmt: skip
    return TimingPlan(keys=keys, **(given | change))


def unit(out: Path, key: str, *, reason: str = "") -> Unit:
    """One record, or the reason why there is none."""
    records = () if reason else (timed_record("zoo", Outcome(subject(out / key, key), (timing([1.0]),)), thermal={}),)
    missing = (Missing(name=key, reason=reason),) if reason else ()
    return Unit(key=key, records=records, ratios=(), missing=missing, seconds=10.0, conditions=CALM)


class Silent:
    """Progress that keeps which units began, with how many processes."""

    def __init__(self) -> None:
        self.units: list[str] = []

    def unit(self, key: str, processes: int) -> None:
        self.units.append(f"{key} {processes}")

    def step(self, what: str) -> None:
        pass

    def done(self, unit: Unit) -> None:
        pass


def latency_plan(tmp_path: Path, *candidates: str, **change: Any) -> LatencyPlan:
    """Two rounds of each candidate, with one and two threads."""
    subjects = tuple(subject(tmp_path / f"{name}{t}", candidate=name, threads=t) for name in candidates for t in (1, 2))
    given = {
        "subjects": subjects,
        "schedule": Schedule(2, RunLength(10, 1.0), 60),
        "fps": 0.0,
        "sustained_s": 0.0,
        "peaks": None,
    }
    return LatencyPlan(**(given | {"quick": False} | change))
