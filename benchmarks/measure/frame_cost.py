"""What a frame costs beside inference, each part beside its floor: what nobody could do without.

Run as ``python -m benchmarks.measure.frame_cost BUNDLE MODEL CANDIDATE ROUNDS SECONDS``. One thread, one frame at a time, and an
inference before each part, so that it finds the caches as in the loop. The result is one JSON object (``FrameCost``) on standard
output.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from benchmarks.measure.share import LEAST, WARM_UP, Work, alternate, find_loader, frames
from benchmarks.measure.single_stream import NowNs
from benchmarks.record.schema import Series
from benchmarks.record.stats import median
from edge.clock import Clock
from edge.data import Frame, Region, ShelfEvent, U8Image, ViewState
from edge.events import EventCounter, EventFactory, number_of
from edge.preprocess import preprocess
from edge.shelf.whole_frame import WholeFrame
from edge.sinks.committer import Committer, OutboxLimits
from edge.sinks.database import connect
from edge.stages.base import ActiveModel

FLOORS = {
    "cold read": "preprocessing a picture that was read just before",
    "resize": "one cv2.resize into a buffer that is kept",
    "decode": "softmax of the row and its best class",
    "event": "its JSON alone",
    "SQLite": "the JSON, and one INSERT into a plain file of the same settings",
}
"""Part → what it is held against. "cold read" and "resize" both are ``preprocess`` of a picture that is in no cache; "event" is making one
and its JSON; "SQLite" is a commit of one event by a file run's outbox, which in a run takes those of a quarter of a second together."""


class FrameCost(msgspec.Struct, frozen=True, kw_only=True):
    """Part → (what it takes, its floor), timed in turn."""

    parts: dict[str, tuple[Series, Series]]


@dataclass(frozen=True, slots=True)
class Step:
    """``do`` is timed, on what ``prepare`` makes of the frame's number; ``twice``: the second time only."""

    prepare: Callable[[int], Any]
    do: Callable[[Any], object]
    twice: bool = False


def steps_of(
    model: ActiveModel, pictures: Sequence[U8Image], committer: Committer, plain: sqlite3.Connection
) -> dict[str, tuple[Step, Step]]:
    """Each part of the loop beside its floor. ``pictures``: H×W×3 uint8; ``plain``: a database without tables."""
    height, width = model.input.size_hw_px
    kept = np.empty((height, width, 3), dtype=np.uint8)
    encoder = msgspec.json.Encoder()
    shelf = WholeFrame(EventFactory("bench", "bench", model.candidate, EventCounter(committer.first)))
    raw = model.backend.run(preprocess([Region("frame", pictures[0])], model.input))
    seen = model.decoder.decode(raw, [Region("frame", pictures[0])])
    plain.execute("CREATE TABLE event (number INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def region(index: int) -> list[Region]:
        return [Region("frame", pictures[index % len(pictures)])]

    def tick(index: int) -> Frame:
        picture = pictures[index % len(pictures)]
        return Frame(picture, index, time.monotonic_ns(), datetime.now(timezone.utc), clock_synced=True)

    def event(tick: Frame) -> ShelfEvent:
        (one,) = shelf.update(tick, seen, ViewState.UNCHECKED)
        return one

    def best_class(_: object) -> int:
        row = raw[0][0].astype(np.float32)
        row = np.exp(row - row.max())
        return int((row / row.sum()).argmax())

    def insert(one: ShelfEvent) -> None:
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("INSERT INTO event VALUES (?, ?)", (number_of(one.id), encoder.encode(one)))
        plain.execute("COMMIT")

    whole = Step(region, lambda regions: preprocess(regions, model.input))
    return {
        "cold read": (whole, Step(whole.prepare, whole.do, twice=True)),
        "resize": (
            whole,
            Step(region, lambda one: cv2.resize(one[0].pixels, (width, height), dst=kept, interpolation=cv2.INTER_LINEAR)),
        ),
        "decode": (Step(region, partial(model.decoder.decode, raw)), Step(region, best_class)),
        "event": (
            Step(tick, lambda one: encoder.encode(event(one))),
            Step(lambda index: event(tick(index)), encoder.encode),
        ),
        "SQLite": (
            Step(lambda index: event(tick(index)), lambda one: committer.commit([one], b"{}", 0)),
            Step(lambda index: event(tick(index)), insert),
        ),
    }


def measure(
    steps: dict[str, tuple[Step, Step]], infer: Callable[[], object], rounds: int, seconds: float, now_ns: NowNs
) -> FrameCost:
    """All parts and floors in turn, each for about ``seconds`` a round; ``infer`` stands before each."""

    def work(step: Step, count: int) -> list[float]:
        times = []
        for index in range(count):
            given = step.prepare(index)
            infer()
            if step.twice:
                step.do(given)
            start = now_ns()
            step.do(given)
            times.append((now_ns() - start) / 1e6)
        return times

    flat = [step for pair in steps.values() for step in pair]
    took = []
    for step in flat:
        start = now_ns()
        work(step, WARM_UP)
        took.append((now_ns() - start) / 1e9 / WARM_UP)
    count = max(LEAST, round(seconds / median(took)))
    works: list[Work] = [partial(work, step, count) for step in flat]
    series = alternate(works, rounds, now_ns)
    return FrameCost(parts=dict(zip(steps, zip(series[::2], series[1::2], strict=True), strict=True)))


def main(argv: list[str]) -> int:
    """Entry point of the child process."""
    directory, model_name, candidate_name, rounds, seconds = argv
    loader, candidate = find_loader(Path(directory), model_name, candidate_name, 1)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shelfcam-bench-")))
        model = loader.load(candidate)
        stack.callback(model.backend.close)
        committer = Committer(place, "bench", durable=False, goes_on={"bench": True}, limits=OutboxLimits(), clock=Clock())
        stack.enter_context(closing(committer.store))
        plain = stack.enter_context(closing(connect(place / "plain.db")))
        plain.execute("PRAGMA journal_mode = WAL")
        plain.execute("PRAGMA synchronous = NORMAL")
        plain.execute("PRAGMA wal_autocheckpoint = 0")
        pictures = frames()
        batch = preprocess([Region("frame", pictures[0])], model.input)
        steps = steps_of(model, pictures, committer, plain)
        cost = measure(steps, lambda: model.backend.run(batch), int(rounds), float(seconds), time.perf_counter_ns)
    sys.stdout.buffer.write(msgspec.json.encode(cost))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
