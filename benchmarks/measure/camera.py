"""A camera for measurements: frames that are there whenever the loop asks, or at a fixed rate.

At a fixed rate a latency counts from the moment at which the frame was due, not from when the loop came to fetch it: else a loop that
stalls would stop the clock of the frames that it makes wait (coordinated omission). As live sources do, the camera hands out the newest
frame; one that was passed over is seen only with the next, so that one's answer is its answer too, and it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from benchmarks.measure.single_stream import NowNs, RunLength
from edge.data import Tick

SleepNs = Callable[[int], None]


@dataclass(slots=True)
class PacedCamera:
    """Ticks for ``edge.loop.run``. When the loop asks for the next one, it is done with the last: events written, heartbeat beaten.

    ``fps`` 0: as fast as the loop asks. Afterwards ``times_ms`` holds the latency of every frame that was due, ``dropped`` how many
    of them were passed over. It ends when it had as many answered frames and as many seconds as ``length`` says; where the last of
    these kept others waiting, one more frame answers them: a stall at the end counts like one before it.
    """

    frames: Iterable[Tick]
    fps: float
    length: RunLength
    now_ns: NowNs
    sleep_ns: SleepNs
    times_ms: list[float] = field(default_factory=list)
    dropped: int = 0

    def ticks(self) -> Iterator[Tick]:
        """Until it was as long as it should be, or the frames end."""
        start = now = self.now_ns()
        until = start + round(self.length.seconds * 1e9)
        waiting = 0  # the first frame that nothing has answered yet
        for frame in self.frames:
            over = len(self.times_ms) - self.dropped >= self.length.queries and now >= until
            if over and (not self.fps or self._due_ns(start, waiting) > now):
                return
            if self.fps:
                newest = self._wait_for(start, waiting)
                due = [self._due_ns(start, number) for number in range(waiting, newest + 1)]
                waiting = newest + 1
            else:
                due = [self.now_ns()]
            yield frame
            now = self.now_ns()
            self.times_ms += [(now - moment) / 1e6 for moment in due]
            self.dropped += len(due) - 1
            if over:
                return  # a loop that is always behind would never find nobody waiting

    def _wait_for(self, start: int, number: int) -> int:
        """The newest frame that is there, once frame ``number`` is."""
        while (early := self._due_ns(start, number) - self.now_ns()) > 0:
            self.sleep_ns(early)
        newest, now = number, self.now_ns()
        while self._due_ns(start, newest + 1) <= now:
            newest += 1
        return newest

    def _due_ns(self, start: int, number: int) -> int:
        return start + round(number * 1e9 / self.fps)
