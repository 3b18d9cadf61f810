"""The real loop with a scripted source, a fake model and a recording outbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edge import loop
from edge.clock import Clock
from edge.data import NoFrame, NoFrameReason, Tick
from edge.errors import BackendError, SinkError
from edge.events import EventCounter, EventFactory
from edge.manifest import InputSpec, OutputSpec, Resize
from edge.monitor import stopwatch as stopwatch_module
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.shelf.whole_frame import Unchecked, WholeFrame
from edge.stages.base import ActiveModel
from edge.stages.model import ModelStage
from edge.tasks import classify
from tests.fakes.candidates import answer_of, onnx_candidate
from tests.fakes.events import frame

SPEC = InputSpec(
    name="image",
    batch=1,
    height_px=2,
    width_px=2,
    layout="NHWC",
    dtype="uint8",
    colour="RGB",
    resize=Resize(fit="stretch"),
    normalise="folded",
)
CANDIDATE = msgspec.structs.replace(
    onnx_candidate(), outputs=(OutputSpec(name="p", shape=(3,), dtype="float32", meaning="softmax"),)
)
SILENCE = NoFrame(NoFrameReason.TIMEOUT, "nothing came", 0)


class FakeBackend:
    def __init__(self, fail_on: int | None = None) -> None:
        self.batches: list[np.ndarray] = []
        self._fail_on = fail_on

    def run(self, batch):
        self.batches.append(batch)
        if len(self.batches) == self._fail_on:
            raise BackendError("the runtime died")
        return (np.array([[0.2, 0.7, 0.1]] * len(batch), np.float32),)

    def close(self) -> None:
        pass


class RecordingOutbox:
    def __init__(self, fail: bool = False) -> None:
        self.commits: list[tuple] = []
        self._fail = fail

    def commit(self, events, snapshot) -> None:
        if self._fail:
            raise SinkError("disk full")
        self.commits.append((list(events), snapshot))

    def close(self) -> None:
        pass


@pytest.fixture
def build(tmp_path):
    def make(backend: FakeBackend, outbox: RecordingOutbox) -> loop.Parts:
        task = classify.Decoder(answer_of("classify"), CANDIDATE, ["a", "b", "c"], 2)
        active = ActiveModel("x", SPEC, backend, task)

        class Fixed:
            def current(self):
                return active

        events = EventFactory("cam", "b", "m/x", EventCounter())
        stopwatch = Stopwatch()
        stage = ModelStage(Fixed(), stopwatch.lap)
        return loop.Parts(Unchecked(), WholeFrame(events), stage, outbox, Heartbeat(Clock()), stopwatch)

    return make


def test_each_frame_becomes_one_committed_observation_in_order(build) -> None:
    outbox, backend = RecordingOutbox(), FakeBackend()
    parts = build(backend, outbox)
    loop.run([frame(), SILENCE, frame()], parts)
    assert [len(events) for events, _ in outbox.commits] == [1, 0, 1], "every tick is committed, silence without events"
    first = outbox.commits[0][0][0]
    assert [(s.label, s.index) for s in first.top] == [("b", 1), ("a", 0)]
    assert (first.seq, first.model) == (7, "m/x")
    assert len(backend.batches) == 2, "silence is not inferred"
    assert parts.heartbeat.frames == 2
    report = parts.stopwatch.report()
    assert report["inference"].laps == 2
    assert {stats.laps for stats in report.values()} == {2}, "silence is in no stage"


class Resting(WholeFrame):
    """A shelf on which nothing changes: no model is asked."""

    def changed(self, tick, view):
        return []


def test_a_shelf_at_rest_feeds_the_watchdog_and_its_state_is_committed(build) -> None:
    outbox, backend = RecordingOutbox(), FakeBackend()
    parts = build(backend, outbox)
    loop.run([frame(), frame(), SILENCE, frame()], replace(parts, shelf=Resting(EventFactory("cam", "b", "m", EventCounter()))))
    assert backend.batches == []
    assert parts.heartbeat.frames == 3, "a frame that was seen through is a beat, whether or not anything changed"
    assert outbox.commits == [([], b"{}")] * 4
    assert parts.stopwatch.report() == {}, "ticks without a model are in no stage"


def test_the_wait_for_a_frame_is_capture_and_the_commit_is_sink(build, monkeypatch) -> None:
    now_ns = [0]
    monkeypatch.setattr(stopwatch_module.time, "perf_counter_ns", lambda: now_ns[0])

    class Slow(RecordingOutbox):
        def commit(self, events, snapshot) -> None:
            now_ns[0] += 3_000_000

    def ticks() -> Iterator[Tick]:
        for tick in (frame(), SILENCE, frame()):
            now_ns[0] += 20_000_000
            yield tick

    parts = build(FakeBackend(), Slow())
    now_ns[0] += 10**10  # between building and running
    loop.run(ticks(), parts)
    took_s = {stage: (sum(found.counts), found.sum_s) for stage, found in parts.stopwatch.histograms().items()}
    assert (took_s["capture"], took_s["sink"]) == ((2, 0.04), (2, 0.006)), "neither the silence nor what was before"
    assert took_s["inference"] == (2, 0.0)


@pytest.mark.parametrize(
    ("backend", "outbox", "error"),
    [(FakeBackend(fail_on=2), RecordingOutbox(), BackendError), (FakeBackend(), RecordingOutbox(fail=True), SinkError)],
)
def test_an_error_of_a_part_ends_the_loop_and_starves_the_watchdog(build, backend, outbox, error) -> None:
    parts = build(backend, outbox)
    with pytest.raises(error):
        loop.run([frame(), frame(), frame()], parts)
    assert parts.heartbeat.frames == len(outbox.commits)


def test_an_error_of_the_source_surfaces(build) -> None:
    def broken() -> Iterator[Tick]:
        yield frame()
        raise RuntimeError("camera thread died")

    outbox = RecordingOutbox()
    with pytest.raises(RuntimeError, match="camera thread died"):
        loop.run(broken(), build(FakeBackend(), outbox))
    assert len(outbox.commits) == 1


def test_the_model_changes_between_frames_with_its_own_input_and_decoder(build) -> None:
    wide = SPEC.__class__(**{**{f: getattr(SPEC, f) for f in SPEC.__struct_fields__}, "width_px": 6})
    one, two = FakeBackend(), FakeBackend()
    task = classify.Decoder(answer_of("classify"), CANDIDATE, ["a", "b", "c"], 1)
    actives = iter([ActiveModel("1", SPEC, one, task), ActiveModel("2", wide, two, task)])

    class Moving:
        def current(self):
            return next(actives)

    parts = build(FakeBackend(), RecordingOutbox())
    loop.run([frame(), frame()], replace(parts, recogniser=ModelStage(Moving(), parts.stopwatch.lap)))
    assert one.batches[0].shape == (1, 2, 2, 3)
    assert two.batches[0].shape == (1, 2, 6, 3)
