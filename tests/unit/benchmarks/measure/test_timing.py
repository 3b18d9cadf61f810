"""What a start is made of, on a clock that only the model and the bench's own set-up move."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from benchmarks.measure import loop_timing, timing
from benchmarks.measure.loop_timing import LoopTiming, LoopTimingRequest, time_loop
from benchmarks.measure.timing import Timing, TimingRequest, answer, time_candidate
from edge.backends.base import Backend
from edge.bundle.model_file import ModelFile
from edge.choice.loader import ModelLoader
from edge.errors import BackendError
from edge.stages.base import ActiveModel
from tests.fakes.timings import manifest_bundle

LOAD_MS, RUN_MS, PICTURES_MS = 20.0, 5.0, 270.0
FRAME = np.full((480, 640, 3), 7, np.uint8)
BATCH = np.full((32, 48, 3), 7, np.uint8)


class Bench:
    """The clock, and everything that moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self.ns = 1_000_000_000
        self.asked: list[int] = []  # the brightest pixel of each query
        self.info = None
        bundle = manifest_bundle(directory, "net", ["onnx-fp32"])
        clock = SimpleNamespace(perf_counter_ns=self.now, monotonic_ns=self.now, sleep=self.sleep)
        monkeypatch.setattr(timing, "time", clock)
        monkeypatch.setattr(loop_timing, "time", clock)
        monkeypatch.setattr(type(bundle), "model_file", lambda _, candidate: ModelFile(candidate.name, b""))
        monkeypatch.setattr(timing, "load_backend", self.load)
        monkeypatch.setattr(timing, "pictures", lambda *_: self.draw(BATCH))
        monkeypatch.setattr(loop_timing, "frames", lambda: self.draw(FRAME))
        monkeypatch.setattr(ModelLoader, "load", self.activate)
        self.ask = {
            "bundle": str(directory), "model": "net", "candidate": "onnx-fp32", "threads": 1, "queries": 10, "seconds": 0.0,
            "warm_up_queries": 2, "warm_up_s": 0.0, "started_ns": self.ns,
        }  # fmt: skip

    def now(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)

    def load(self, *_: object) -> Backend:
        self.sleep(LOAD_MS / 1e3)
        return self

    def activate(self, candidate, *_: object) -> ActiveModel:
        return ActiveModel(candidate.name, candidate.input, self.load(), self)

    def draw(self, picture: np.ndarray) -> list[np.ndarray]:
        self.sleep(PICTURES_MS / 1e3)
        return [picture]

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        self.sleep(RUN_MS / 1e3)
        self.asked.append(int(batch.max()))
        return (np.zeros((1, 4), np.float32),)

    def decode(self, raw, crops) -> list:
        return list(crops)

    def close(self) -> None:
        pass


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    return Bench(monkeypatch, tmp_path / "bundle")


@pytest.mark.parametrize(("once", "kind"), [(time_candidate, TimingRequest), (time_loop, LoopTimingRequest)])
def test_a_start_holds_nothing_of_the_bench(bench: Bench, once, kind: type[TimingRequest]) -> None:
    found = once(kind(**bench.ask))
    assert (found.load_ms, found.first_ms) == pytest.approx((LOAD_MS, LOAD_MS + RUN_MS)), (
        "the pictures take 270 ms, and come later"
    )
    assert found.times_ms == pytest.approx([RUN_MS] * 10)
    assert bench.asked == [0] + [7] * 12, "a blank one, two to warm up, ten that count"
    assert (found.answered, found.seconds) == (10, pytest.approx(0.05))


def test_frames_that_were_passed_over_are_no_queries(bench: Bench) -> None:
    """The camera is ten times as fast as the loop: 500 frames a second, 20 ms a frame."""
    bench.run = lambda batch: bench.sleep(0.02) or (np.zeros((1, 4), np.float32),)
    found = time_loop(LoopTimingRequest(**bench.ask | {"seconds": 12.0}, fps=500.0))
    assert found.answered / found.seconds == pytest.approx(50, rel=0.01)
    assert len(found.times_ms) == pytest.approx(6_000, rel=0.01)
    assert len(found.times_ms) - found.dropped == found.answered == found.stages["inference"].laps


def test_a_failure_is_an_answer_of_either_kind(bench: Bench, monkeypatch: pytest.MonkeyPatch, capfdbinary) -> None:
    def cannot(*_: object) -> Backend:
        raise BackendError("no such runtime")

    monkeypatch.setattr(timing, "expendable", lambda: None)
    monkeypatch.setattr(timing, "load_backend", cannot)
    assert answer([msgspec.json.encode(TimingRequest(**bench.ask)).decode()], TimingRequest, time_candidate) == 0
    sys.stdout.flush()
    said = capfdbinary.readouterr().out
    assert json.loads(said)["failure"] == "no such runtime"
    for result in (Timing, LoopTiming):
        assert msgspec.json.decode(said, type=result).failure == "no such runtime"
