"""Parts and floors on a clock that only the work moves; and that each step does what it is named after."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measure.frame_cost import FLOORS, FrameCost, Step, measure, steps_of
from benchmarks.measure.share import find_loader
from edge.clock import Clock
from edge.sinks.committer import Committer, OutboxLimits


class FakeClock:
    def __init__(self) -> None:
        self.ns = 0

    def now(self) -> int:
        return self.ns

    def costs(self, *milliseconds: float) -> Callable[[object], None]:
        """Work that takes the first of these after an inference, and the second when done again at once."""

        def work(_: object) -> None:
            self.ns += round(milliseconds[min(self.again, len(milliseconds) - 1)] * 1e6)
            self.again += 1

        return work

    again = 0

    def infer(self) -> None:
        self.again = 0
        self.ns += 9_000_000


def median_ms(cost: FrameCost) -> dict[str, tuple[float, float]]:
    return {name: (spent.all.p50_ms, floor.all.p50_ms) for name, (spent, floor) in cost.parts.items()}


def test_what_is_planted_is_found_without_the_inference_before_it() -> None:
    clock = FakeClock()
    read = clock.costs(0.4, 0.3)
    steps = {
        "cold read": (Step(int, read), Step(int, read, twice=True)),
        "resize": (Step(int, clock.costs(0.4)), Step(int, clock.costs(0.1))),
    }
    cost = measure(steps, clock.infer, rounds=3, seconds=0.1, now_ns=clock.now)
    assert median_ms(cost) == {"cold read": pytest.approx((0.4, 0.3)), "resize": pytest.approx((0.4, 0.1))}
    assert {len(series.rounds) for pair in cost.parts.values() for series in pair} == {3}


def test_each_step_does_what_the_loop_does(colour_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    loader, candidate = find_loader(colour_bundle, "colour", "onnx-a", 1)
    model = loader.load(candidate)
    committer = Committer(tmp_path, "bench", durable=False, goes_on={"bench": True}, limits=OutboxLimits(), clock=Clock())
    red, blue = np.zeros((2, 12, 16, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 255
    with closing(model.backend), closing(committer.store), closing(sqlite3.connect(":memory:", isolation_level=None)) as plain:
        steps = steps_of(model, [red, blue], committer, plain)
        assert set(steps) == set(FLOORS)

        def done(part: str, which: int, index: int) -> object:
            step = steps[part][which]
            return step.do(step.prepare(index))

        assert np.array_equal(done("cold read", 0, 1), np.broadcast_to(blue[:8, :8], (1, 8, 8, 3)))
        assert np.array_equal(done("resize", 0, 1)[0], done("resize", 1, 1))
        assert done("decode", 0, 0)[0].top[0].index == done("decode", 1, 0)
        assert b'"observation"' in done("event", 0, 0)
        assert b'"observation"' in done("event", 1, 0)
        for index in range(3):
            done("SQLite", 0, index)
            done("SQLite", 1, index)
        assert committer.store.last_position() == 3
        assert plain.execute("SELECT count(*) FROM event").fetchone() == (3,)
