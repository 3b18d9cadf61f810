"""A camera at a fixed rate on a clock that only the loop moves: who waits is counted from when their frame was due."""

from __future__ import annotations

import pytest

from benchmarks.measure.camera import PacedCamera
from benchmarks.measure.single_stream import RunLength
from benchmarks.record.stats import percentile

MS = 1_000_000


class World:
    """A clock that sleeping and work move."""

    def __init__(self) -> None:
        self.ns = 5 * MS
        self.slept: list[int] = []

    def now(self) -> int:
        return self.ns

    def sleep(self, nanoseconds: int) -> None:
        self.slept.append(nanoseconds)
        self.ns += nanoseconds


def watch(world: World, fps: float, length: RunLength, work_ms: list[int]) -> PacedCamera:
    """A loop whose frame k takes ``work_ms[k]``, the last value for all that come after."""
    camera = PacedCamera(iter(range(100_000)), fps, length, world.now, world.sleep)
    for number, _ in enumerate(camera.ticks()):
        world.ns += work_ms[min(number, len(work_ms) - 1)] * MS
    return camera


def test_a_loop_that_keeps_up_is_as_fast_as_it_works() -> None:
    camera = watch(World(), 100.0, RunLength(50, 0.0), [4])
    assert camera.times_ms == [4.0] * 50
    assert camera.dropped == 0


def test_a_stall_counts_for_every_frame_that_it_kept_waiting() -> None:
    """Frames every 10 ms, 4 ms of work, and the sixth takes 100 ms: nine frames are passed over, and each of them waited."""
    work = [4, 4, 4, 4, 4, 100, 4]
    camera = watch(World(), 100.0, RunLength(21, 0.0), work)
    # frame 5 is due at 50 and done at 150; then frames 6 … 15 (due at 60 … 150) are answered together at 154
    assert camera.times_ms[:17] == [4.0] * 5 + [100.0] + [94.0, 84.0, 74.0, 64.0, 54.0, 44.0, 34.0, 24.0, 14.0, 4.0] + [4.0]
    assert camera.dropped == 9
    honest = percentile(camera.times_ms, 0.9)
    served = percentile([float(ms) for ms in work] + [4.0] * 14, 0.9)
    assert served == 4.0, "what a stopwatch around the work alone would say"
    assert honest > 70


def test_a_loop_that_is_too_slow_passes_frames_over_and_is_never_far_behind() -> None:
    world = World()
    camera = watch(world, 100.0, RunLength(1000, 0.0), [25])
    assert max(camera.times_ms) < 25 + 25 + 10
    assert len(camera.times_ms) - camera.dropped == 1001, "the limit is of answers; the last of them kept others waiting"
    assert camera.dropped == pytest.approx(1500, abs=10)  # four in ten are seen
    assert world.ns == pytest.approx(1001 * 25 * MS, abs=100 * MS)


@pytest.mark.parametrize("stalled", [97, 98, 99])
def test_a_stall_at_the_end_counts_as_one_before_it(stalled: int) -> None:
    """Frames every 10 ms, a hundred of them, 4 ms of work, and 1 s for one of the last."""
    camera = watch(World(), 100.0, RunLength(100, 0.0), [4] * stalled + [1000, 4])
    # frame k is due at 10 k and done at 10 k + 1000; frames k + 1 … k + 100 are answered together 4 ms later
    waits = [1000.0] + [994.0 - 10 * number for number in range(100)]
    assert camera.times_ms[stalled : stalled + 101] == waits
    assert set(camera.times_ms[:stalled] + camera.times_ms[stalled + 101 :]) <= {4.0}
    assert camera.dropped == 99
    assert len(camera.times_ms) - camera.dropped == max(100, stalled + 2)


def test_without_a_rate_nobody_waits() -> None:
    world = World()
    camera = watch(world, 0.0, RunLength(10, 0.3), [7])
    assert camera.times_ms == [7.0] * 43  # 301 ms: both length
    assert world.slept == []
    assert camera.dropped == 0


def test_it_lasts_as_long_as_both_limits_say() -> None:
    assert len(watch(World(), 100.0, RunLength(1, 1.0), [1]).times_ms) in (100, 101)
    assert len(watch(World(), 100.0, RunLength(300, 1.0), [1]).times_ms) == 300
