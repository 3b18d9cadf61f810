"""The alternation, on a clock that only the work moves: what is planted is what is found."""

from __future__ import annotations

import pytest

from benchmarks.measure.share import ShareBench, alternate, measure
from benchmarks.record.stats import paired_ratio
from edge import loop
from edge.choice.loader import FixedModel
from edge.clock import Clock
from edge.manifest import InputSpec, Resize
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.shelf.whole_frame import Unchecked
from edge.stages.base import ActiveModel
from edge.stages.model import ModelStage

np = pytest.importorskip("numpy")

BACKEND_NS, REST_NS = 9_000_000, 1_000_000


class FakeClock:
    def __init__(self) -> None:
        self.ns = 0

    def now(self) -> int:
        return self.ns


class FakeBackend:
    """Takes 9 ms a batch."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.info = None

    def run(self, batch):
        self.clock.ns += BACKEND_NS
        return (batch,)

    def close(self) -> None:
        pass


class FakeTask:
    def decode(self, raw, crops):
        return list(crops)


class SlowShelf:
    """Takes 1 ms a frame: the loop's whole cost on this clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    def changed(self, tick, view):
        from edge.data import Region

        return [Region("frame", tick.pixels)]

    def update(self, tick, seen, view):
        self.clock.ns += REST_NS
        return []

    def snapshot(self) -> bytes:
        return b"{}"


class NoOutbox:
    def commit(self, events, snapshot) -> None:
        pass


def make_bench(clock: FakeClock) -> ShareBench:
    spec = InputSpec(
        name="image", batch="dynamic", height_px=8, width_px=8, layout="NHWC", dtype="uint8", colour="RGB",
        resize=Resize(fit="stretch"), normalise="folded",
    )  # fmt: skip
    active = ActiveModel("fake", spec, FakeBackend(clock), FakeTask())
    stopwatch = Stopwatch(every_lap=True)
    stage = ModelStage(FixedModel(active), stopwatch.lap)
    parts = loop.Parts(Unchecked(), SlowShelf(clock), stage, NoOutbox(), Heartbeat(Clock()), stopwatch)
    frame = np.zeros((12, 16, 3), np.uint8)
    return ShareBench(parts, active, [frame], [frame[None]], clock.now)


def test_a_loop_that_costs_a_tenth_keeps_nine_tenths() -> None:
    result = measure(make_bench(FakeClock()), rounds=4, seconds=0.09)
    assert [r.queries for r in result.bare.rounds] == [10] * 4
    assert [r.queries for r in result.loop.rounds] == [10] * 4
    rates = [[r.queries / r.seconds for r in side.rounds] for side in (result.loop, result.bare)]
    assert paired_ratio(*rates) == pytest.approx((0.9, 0.9, 0.9))
    assert (result.bare.all.p50_ms, result.loop.all.p50_ms) == pytest.approx((9.0, 10.0))
    assert (result.preprocess.all.p50_ms, result.inference.all.p50_ms) == pytest.approx((0.0, 9.0))
    assert result.stages["inference"].laps == 40, "the stages are the rounds' alone, without the warm-up"


def test_rounds_alternate_and_turn_so_that_drift_hits_both() -> None:
    clock, called = FakeClock(), []

    def work(name: str, cost_ns: int):
        def run() -> list[float]:
            called.append(name)
            clock.ns += cost_ns * (10 + len(called))  # the machine gets slower all the time
            return [cost_ns / 1e6]

        return run

    first, second = alternate([work("a", 9_000), work("b", 10_000)], 8, clock.now)
    assert "".join(called[:8]) == "abbaabba"
    value, low, high = paired_ratio([1 / r.seconds for r in second.rounds], [1 / r.seconds for r in first.rounds])
    assert low < 0.9 < high, "drift alone does not move it"
    assert value == pytest.approx(0.9, abs=0.02)
