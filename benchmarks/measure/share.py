"""How much of the bare backend's speed the loop keeps.

Run as ``python -m benchmarks.measure.share BUNDLE MODEL CANDIDATE THREADS ROUNDS SECONDS``.

One process a thread count, because sessions that share a process disturb each other's threads. In it one loaded backend is
used by everything, and the rounds alternate, so that drift hits both sides alike:

- ``bare``: ``backend.run`` on batches that are ready;
- ``loop``: ``edge.loop.run`` with the parts of ``edge.site`` over the same frames: whole-frame shelf, events as JSON lines to a
  file through the outbox of a file run, heartbeat, stopwatch;
- ``steps``: preprocessing and inference of single frames in turn, each timed.

The result is one JSON object (``ShareResult``) on standard output.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import msgspec

from benchmarks.measure.single_stream import NowNs, in_turn
from benchmarks.record.schema import Percentiles, Round, Series, percentiles_of
from benchmarks.record.stats import median
from edge import loop
from edge.bundle.reader import open_bundle
from edge.choice.loader import FixedModel, ModelLoader
from edge.clock import Clock
from edge.data import Region, Tensor, Tick, U8Image
from edge.events import EventFactory
from edge.manifest import Candidate
from edge.models import find_candidate, find_model
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.preprocess import preprocess
from edge.shelf.whole_frame import Unchecked, WholeFrame
from edge.sink_config import JsonLinesConfig
from edge.sinks.base import SinkSite
from edge.sinks.jsonl import JsonLines
from edge.sinks.outbox import StoredOutbox
from edge.sources.arrays import ArrayFrames
from edge.stages.base import ActiveModel
from edge.stages.model import ModelStage

FRAME_HW_PX = (480, 640)
_FRAMES = 16  # distinct pictures, 15 MB: more than a small CPU's cache holds, as a camera's frames are
_STRIDE = 7  # of the scene's frames, so that hands and goods differ between them
WARM_UP = 20
LEAST = 5  # queries a round

Work = Callable[[], list[float]]
"""One round of queries; returns each one's milliseconds."""


class ShareResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one process measured; ``stages``: the loop's own stopwatch."""

    bare: Series
    loop: Series
    preprocess: Series
    inference: Series
    stages: dict[str, Percentiles]


@dataclass(frozen=True, slots=True)
class ShareBench:
    """What the rounds use: the parts of a loop, its model, the frames, and the frames as batches (index by index the same)."""

    parts: loop.Parts
    model: ActiveModel
    frames: Sequence[U8Image]
    batches: Sequence[Tensor]
    now_ns: NowNs = time.perf_counter_ns

    def bare(self, count: int) -> list[float]:
        """``count`` inferences of ready batches."""
        run, batches, now = self.model.backend.run, self.batches, self.now_ns
        times = [0.0] * count
        for index in range(count):
            start = now()
            run(batches[index % len(batches)])
            times[index] = (now() - start) / 1e6
        return times

    def looped(self, count: int) -> list[float]:
        """``count`` frames through the spine; a time runs from one tick to the next."""
        marks: list[int] = []
        with ArrayFrames(self.frames, count) as source:
            loop.run(_marked(source, marks, self.now_ns), self.parts)
        return [(after - before) / 1e6 for before, after in pairwise(marks)]

    def steps(self, count: int) -> tuple[list[float], list[float]]:
        """Preprocessing and inference of ``count`` frames, in turn, each timed."""
        model, now = self.model, self.now_ns
        prepared, inferred = [0.0] * count, [0.0] * count
        for index in range(count):
            crops = [Region("frame", self.frames[index % len(self.frames)])]
            start = now()
            batch = preprocess(crops, model.input)
            between = now()
            model.backend.run(batch)
            prepared[index], inferred[index] = (between - start) / 1e6, (now() - between) / 1e6
        return prepared, inferred


def alternate(works: Sequence[Work], rounds: int, now_ns: NowNs) -> list[Series]:
    """Run every work once a round, in an order that turns from round to round; a series for each."""
    kept: list[list[Round]] = [[] for _ in works]
    times: list[list[float]] = [[] for _ in works]
    order = range(len(works))
    for number in range(rounds):
        for index in in_turn(order, number):
            start = now_ns()
            one = works[index]()
            seconds = (now_ns() - start) / 1e9
            kept[index].append(Round(queries=len(one), seconds=seconds, p50_ms=median(one)))
            times[index] += one
    return [Series(rounds=tuple(r), all=percentiles_of(t)) for r, t in zip(kept, times, strict=True)]


def measure(bench: ShareBench, rounds: int, seconds: float) -> ShareResult:
    """Warm up, find out how many queries fill ``seconds``, then the rounds."""
    bench.bare(WARM_UP)
    bench.looped(WARM_UP)
    count = max(LEAST, round(seconds * 1000 / median(bench.bare(WARM_UP))))
    bench.parts.stopwatch.clear()  # of the laps of the warm-up
    bare, looped = alternate([lambda: bench.bare(count), lambda: bench.looped(count)], rounds, bench.now_ns)
    prepared, inferred = zip(*(bench.steps(max(LEAST, count // 2)) for _ in range(rounds)), strict=True)
    return ShareResult(
        bare=bare,
        loop=looped,
        preprocess=_series_of(prepared),
        inference=_series_of(inferred),
        stages=stages_of(bench.parts.stopwatch),
    )


def stages_of(stopwatch: Stopwatch) -> dict[str, Percentiles]:
    """What a stopwatch that keeps every lap says."""
    laps = stopwatch.report().items()
    return {name: Percentiles(p50_ms=s.p50_ms, p90_ms=s.p90_ms, p99_ms=s.p99_ms, laps=s.laps) for name, s in laps}


def frames() -> list[U8Image]:
    """480×640×3 uint8 RGB pictures of a drawn shelf, always the same."""
    from edge.scene.shelf import ShelfScene  # no start that is timed shall wait for it

    scene = ShelfScene(1, FRAME_HW_PX)
    return [scene.render(index * _STRIDE) for index in range(_FRAMES)]


def _series_of(rounds: Iterable[list[float]]) -> Series:
    """Times that were taken in turn with others: a round's seconds are the sum of its own."""
    kept = [Round(queries=len(one), seconds=sum(one) / 1e3, p50_ms=median(one)) for one in rounds]
    return Series(rounds=tuple(kept), all=percentiles_of([time for one in rounds for time in one]))


def _marked(source: Iterable[Tick], marks: list[int], now_ns: NowNs) -> Iterator[Tick]:
    """The ticks, with the moment of each and of the end: in the place of the frame limit of ``edge.site``."""
    for tick in source:
        marks.append(now_ns())
        yield tick
    marks.append(now_ns())


@contextmanager
def open_parts(loader: ModelLoader, candidate: Candidate, place: Path) -> Iterator[tuple[loop.Parts, ActiveModel]]:
    """The parts of a whole-frame file run with one candidate, and that; its outbox and its events are in ``place``. Raises
    ShelfcamError."""
    active = loader.load(candidate)
    with open_loaded(loader, active, place) as parts:
        yield parts, active


@contextmanager
def open_loaded(loader: ModelLoader, active: ActiveModel, place: Path) -> Iterator[loop.Parts]:
    """The parts with a candidate that ``loader`` has loaded; it is closed at the end. Their stopwatch keeps every lap."""
    bundle, model = loader.bundle, loader.model
    with ExitStack() as stack:
        models = stack.enter_context(closing(FixedModel(active)))
        sink = JsonLines(JsonLinesConfig(path=str(place / "events.jsonl")), SinkSite("bench", durable=False))
        outbox = stack.enter_context(closing(StoredOutbox(place, {"jsonl": sink}, bundle=bundle.sha256, live=False)))
        name = f"{bundle.manifest.name}@{bundle.sha256[:12]}"
        events = EventFactory("bench", name, f"{model.name}/{active.candidate}", outbox.counter)
        stopwatch = Stopwatch(every_lap=True)
        yield loop.Parts(
            Unchecked(), WholeFrame(events), ModelStage(models, stopwatch.lap), outbox, Heartbeat(Clock()), stopwatch
        )


def find_loader(directory: Path, model_name: str, candidate_name: str, threads: int) -> tuple[ModelLoader, Candidate]:
    """A bundle's candidate, and who loads it; OpenCV works with one thread from now on. Raises ShelfcamError."""
    cv2.setNumThreads(1)  # as edge.run does
    bundle = open_bundle(directory)
    model = find_model(bundle, model_name)
    return ModelLoader(bundle, model, threads=threads, top_k=5), find_candidate(model, candidate_name)


def main(argv: list[str]) -> int:
    """Entry point of the child process."""
    directory, model_name, candidate_name, threads, rounds, seconds = argv
    loader, candidate = find_loader(Path(directory), model_name, candidate_name, int(threads))
    with (
        tempfile.TemporaryDirectory(prefix="shelfcam-bench-") as place,
        open_parts(loader, candidate, Path(place)) as (parts, active),
    ):
        pictures = frames()
        batches = [preprocess([Region("frame", pixels)], active.input) for pixels in pictures]
        result = measure(ShareBench(parts, active, pictures, batches), int(rounds), float(seconds))
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
