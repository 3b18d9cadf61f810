"""The synthetic camera."""

from __future__ import annotations

import itertools
import threading
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from edge.clock import Clock
from edge.data import Frame, NoFrame, NoFrameReason
from edge.scene import ShelfScene
from edge.sources.synthetic import SyntheticCamera

SIZE_HW = (96, 128)


class JumpingClock(Clock):
    """Real time, except that reading it for the ``after``-th time finds that the machine has slept."""

    def __init__(self, after: int, sleep_s: float) -> None:
        super().__init__()
        self._reads = itertools.count()
        self._after, self._sleep_ns = after, int(sleep_s * 1e9)

    def mono_ns(self) -> int:
        return super().mono_ns() + (self._sleep_ns if next(self._reads) >= self._after else 0)


def test_pixels_are_the_scenes_at_the_frames_number_live_or_not():
    scene = ShelfScene(3, SIZE_HW)
    for fps, scene_fps in ((50.0, 50.0), (0, 10.0)):
        with SyntheticCamera(3, fps, SIZE_HW, frames=4) as camera:
            frames = [tick for tick in camera if isinstance(tick, Frame)]
        assert frames
        for frame in frames:
            np.testing.assert_array_equal(frame.pixels, scene.render(frame.seq, scene_fps))
            assert frame.simulated


def captured_by(camera: SyntheticCamera, monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """Every frame that the camera's thread makes, also those that the loop is too slow for."""
    made: list[Frame] = []
    put = camera._slot.put

    def spy(frame: Frame) -> None:
        made.append(frame)
        put(frame)

    monkeypatch.setattr(camera._slot, "put", spy)
    with camera:
        list(camera)
    return made


def test_frames_are_stamped_on_the_fixed_schedule(monkeypatch):
    frames = captured_by(SyntheticCamera(0, 100.0, SIZE_HW, frames=10), monkeypatch)
    assert [frame.seq for frame in frames] == list(range(10))
    steps = np.diff([frame.captured_mono_ns for frame in frames])
    assert steps.min() >= 10_000_000  # on a busy machine later, never sooner


def test_both_stamps_mean_the_moment_when_the_frame_was_due(monkeypatch):
    clock = JumpingClock(after=2, sleep_s=30)  # the thread reads it when it starts, before it draws, and when it draws
    (frame,) = captured_by(SyntheticCamera(0, 50.0, SIZE_HW, frames=1, clock=clock), monkeypatch)
    assert 29 < (clock.mono_ns() - frame.captured_mono_ns) / 1e9 < 50
    assert timedelta(seconds=29) < datetime.now(timezone.utc) - frame.captured_utc < timedelta(seconds=50)


def test_a_machine_that_slept_gets_no_burst_of_late_frames(monkeypatch):
    clock = JumpingClock(after=6, sleep_s=30)
    frames = captured_by(SyntheticCamera(0, 100.0, SIZE_HW, frames=8, clock=clock), monkeypatch)
    gaps_s = np.diff([frame.captured_mono_ns for frame in frames]) / 1e9
    assert gaps_s.min() > 0.0099
    assert (gaps_s > 20).sum() == 1


def test_a_slow_camera_makes_ticks_without_a_frame_between():
    with SyntheticCamera(0, 0.01, SIZE_HW, timeout_ms=5) as camera:
        ticks = list(itertools.islice(camera, 4))
    silent = [tick for tick in ticks if isinstance(tick, NoFrame)]
    assert len(silent) >= 3  # the first frame is due at once, the second after 100 s
    assert all(tick.reason is NoFrameReason.TIMEOUT for tick in silent)


def test_a_failure_of_the_cameras_thread_surfaces_in_the_loop(monkeypatch):
    with SyntheticCamera(0, 100.0, SIZE_HW) as camera:
        monkeypatch.setattr(camera.scene, "render", lambda index, fps: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(camera)


def test_its_thread_ends_with_the_block():
    with SyntheticCamera(0, 0.01, SIZE_HW):
        assert any(thread.name == "synthetic-camera" for thread in threading.enumerate())
    assert not any(thread.name == "synthetic-camera" for thread in threading.enumerate())


@pytest.mark.parametrize("fps", [-1.0, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(fps):
    with pytest.raises(ValueError, match="fps"):
        SyntheticCamera(0, fps)


@pytest.mark.parametrize("count", [0, 2])
def test_a_camera_that_hangs_gives_silence_and_still_stops(count: int) -> None:
    with SyntheticCamera(0, 100.0, SIZE_HW, silent_after=count, timeout_ms=10) as camera:
        ticks = iter(camera)
        silences = 0
        frames: list[Frame] = []
        while silences < 5:
            tick = next(ticks)
            if isinstance(tick, Frame):
                assert silences == 0 or not frames, "nothing more after the silence began"
                frames.append(tick)
            elif len(frames) + camera.dropped >= count:
                silences += 1
        assert len(frames) + camera.dropped == count
        camera.stop()
        assert next(ticks, None) is None


def test_the_drawn_shelf_is_told_only_where_it_is_asked_for():
    assert SyntheticCamera(3, 10.0, SIZE_HW).known_shelf() is None
    known = SyntheticCamera(3, 10.0, SIZE_HW, slots=True).known_shelf()
    assert known is not None
    scene = ShelfScene(3, SIZE_HW)
    assert known.boxes_xyxy_px == {slot.name: slot.box_xyxy_px for slot in scene.slots}
    assert known.empty.shape == (*SIZE_HW, 3)
    full = scene.render(0)
    for x0, y0, x1, y1 in known.boxes_xyxy_px.values():
        apart = np.abs(full[y0:y1, x0:x1].astype(int) - known.empty[y0:y1, x0:x1]).max(axis=2)
        assert (apart > 20).mean() > 0.2, "goods stand there"
    assert np.abs(full.astype(int) - known.empty)[:3].mean() < 20, "and the wall is the same"


def test_slots_need_a_rate():
    with pytest.raises(ValueError, match="need a rate"):
        SyntheticCamera(0, 0, SIZE_HW, slots=True)


def test_frames_on_demand_are_ordered_by_the_scenes_time() -> None:
    with SyntheticCamera(fps=0, size_hw_px=(96, 128), frames=5) as camera:
        frames = [tick for tick in camera if isinstance(tick, Frame)]
    assert np.diff([frame.captured_mono_ns for frame in frames]).tolist() == [100_000_000] * 4
