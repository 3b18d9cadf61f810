"""What every live camera does around its device; the device is a fake that blocks, fails and hangs on command."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from edge.data import Frame, NoFrame, NoFrameReason
from edge.errors import SourceError
from edge.sources.base import SourceLimits
from edge.sources.live import LiveSource, Shot
from tests.fakes.patience import patience_s

FOREVER_MS = 600_000


def picture(shade: int = 0, size_hw: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.full((*size_hw, 3), shade, np.uint8)


class Scripted(LiveSource):
    """``read`` is called with the number of the read."""

    def __init__(
        self, read: Callable[[int], Shot | None], *, opening: Callable[[], None] = lambda: None, **limits: int
    ) -> None:
        size_hw_px = limits.pop("size_hw_px", None)
        super().__init__("camera 1", limits=SourceLimits(**{"frozen_ms": 0, **limits}), size_hw_px=size_hw_px)
        self.reads = 0
        self.closed = threading.Event()
        self._script, self._opening = read, opening

    def _open(self) -> None:
        self._opening()

    def _read(self, wait_s: float) -> Shot | None:
        self.reads += 1
        return self._script(self.reads - 1)

    def _close(self) -> None:
        self.closed.set()


def paced(pixels: Callable[[int], np.ndarray]) -> Callable[[int], Shot]:
    def read(number: int) -> Shot:
        time.sleep(0.002)
        return Shot(pixels(number))

    return read


def test_a_device_that_hangs_in_a_read_stops_neither_the_ticks_nor_stop():
    hang = threading.Event()

    def read(number: int) -> Shot | None:
        if number:
            hang.wait()
        return Shot(picture())

    with Scripted(read, timeout_ms=10) as source:
        ticks = iter(source)
        assert isinstance(next(ticks), Frame)
        for _ in range(3):
            silent = next(ticks)
            assert isinstance(silent, NoFrame)
            assert silent.reason is NoFrameReason.TIMEOUT
        source.stop()
        assert list(ticks) == []
        hang.set()
    assert source.closed.wait(patience_s())


def test_leaving_gives_up_on_a_device_that_hangs_and_the_device_is_closed_when_it_returns(monkeypatch, caplog):
    monkeypatch.setattr("edge.sources.live._CLOSE_S", 0.05)
    hang = threading.Event()
    with Scripted(lambda _: hang.wait() and None, timeout_ms=10) as source:
        next(iter(source))
    assert "camera 1: the device still blocks" in caplog.text
    assert not source.closed.is_set()
    hang.set()
    assert source.closed.wait(patience_s())


def test_a_device_that_does_not_open_in_time_is_given_up_and_closed_when_it_does():
    hang = threading.Event()
    source = Scripted(lambda _: None, opening=hang.wait, open_timeout_ms=30)
    with pytest.raises(SourceError, match="camera 1: did not open within 30 ms"):
        source.__enter__()
    hang.set()
    assert source.closed.wait(patience_s())
    assert source.reads == 0


def test_stop_ends_the_wait_for_a_device_that_does_not_open():
    hang = threading.Event()
    source = Scripted(lambda _: None, opening=hang.wait, open_timeout_ms=FOREVER_MS)
    threading.Timer(0.05, source.stop).start()
    source.__enter__()
    assert list(source) == []
    hang.set()
    assert source.closed.wait(patience_s())


def test_what_opening_raises_comes_out_of_the_with_statement():
    def fail() -> None:
        raise SourceError("no such device", fix="plug it in")

    source = Scripted(lambda _: None, opening=fail)
    with pytest.raises(SourceError, match="no such device") as caught:
        source.__enter__()
    assert caught.value.fix == "plug it in"
    assert source.closed.wait(patience_s())


def test_what_reading_raises_comes_out_of_the_loop_after_the_last_frame():
    def read(number: int) -> Shot:
        if number == 1:
            raise SourceError("the cable is out")
        return Shot(picture())

    with Scripted(read, timeout_ms=FOREVER_MS) as source:
        ticks = iter(source)
        assert isinstance(next(ticks), Frame)
        with pytest.raises(SourceError, match="the cable is out"):
            next(ticks)


@pytest.mark.parametrize("error", [RuntimeError("failed to find buffer"), OSError(5, "Input/output error")])
def test_what_a_library_raises_for_its_device_is_a_source_error(error):
    def fail(number: int) -> Shot:
        raise error

    with (
        Scripted(fail, timeout_ms=FOREVER_MS) as source,
        pytest.raises(SourceError, match=f"camera 1: {re.escape(str(error))}") as caught,
    ):
        list(source)
    assert caught.value.__cause__ is error


def test_the_loop_hears_of_a_failure_before_the_device_that_hangs_is_closed(monkeypatch):
    monkeypatch.setattr("edge.sources.live._CLOSE_S", 0.05)
    hang = threading.Event()

    class Hanging(Scripted):
        def _close(self) -> None:
            hang.wait()
            super()._close()

    def fail(number: int) -> Shot:
        raise SourceError("the cable is out")

    with Hanging(fail, timeout_ms=FOREVER_MS) as source, pytest.raises(SourceError, match="the cable is out"):
        list(source)
    hang.set()
    assert source.closed.wait(patience_s())


def test_a_device_that_cannot_be_closed_is_said_and_hides_no_error(caplog):
    class Stuck(Scripted):
        def _close(self) -> None:
            super()._close()
            raise RuntimeError("cannot release")

    def fail() -> None:
        raise SourceError("no such size")

    with pytest.raises(SourceError, match="no such size"):
        Stuck(lambda _: None, opening=fail).__enter__()
    assert "camera 1: cannot be closed: cannot release" in caplog.text


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((24, 32), np.uint8), "24×32 uint8 instead of height×width×3 uint8"),
        (np.zeros((24, 32, 4), np.uint8), "24×32×4 uint8"),
        (np.zeros((24, 32, 3), np.uint16), "24×32×3 uint16"),
        (np.zeros((0, 32, 3), np.uint8), "0×32×3 uint8"),
        (np.zeros((), np.uint8), "a number uint8"),
        (None, "NoneType instead of a picture"),
    ],
)
def test_a_frame_of_a_wrong_shape_or_type_is_an_error_in_words(pixels, words):
    with Scripted(lambda _: Shot(pixels), timeout_ms=FOREVER_MS) as source, pytest.raises(SourceError) as caught:
        list(source)
    assert "camera 1: delivers" in str(caught.value)
    assert words in str(caught.value)


def test_a_camera_that_changes_its_size_in_between_is_an_error():
    def read(number: int) -> Shot:
        return Shot(picture(size_hw=(24, 32) if number < 3 else (48, 64)))

    with Scripted(read, timeout_ms=FOREVER_MS) as source, pytest.raises(SourceError, match="64×48 pixels instead of 32×24"):
        list(source)


def test_a_camera_that_has_not_the_size_that_was_asked_for_is_an_error():
    source = Scripted(lambda _: Shot(picture()), timeout_ms=FOREVER_MS, size_hw_px=(720, 1280))
    with source, pytest.raises(SourceError, match="32×24 pixels instead of 1280×720"):
        list(source)


def test_the_same_picture_for_frozen_ms_is_no_frame_until_it_changes_again():
    alive = threading.Event()
    source = Scripted(paced(lambda n: picture(8 + n % 200 if alive.is_set() else 7)), timeout_ms=20, frozen_ms=200)
    seen: list[Frame | NoFrame] = []
    with source:
        for tick in source:
            seen.append(tick)
            if isinstance(tick, NoFrame) and tick.reason is NoFrameReason.FROZEN:
                if not alive.is_set():
                    frozen_at = len(seen)
                alive.set()
            elif alive.is_set():
                break
    assert isinstance(seen[0], Frame)
    frozen = seen[frozen_at - 1]
    assert isinstance(frozen, NoFrame)
    assert "200 ms" in frozen.detail
    assert frozen.mono_ns - seen[0].captured_mono_ns >= 200_000_000
    assert isinstance(seen[-1], Frame)
    assert seen[-1].pixels[0, 0, 0] != 7


def test_a_frozen_camera_makes_one_tick_each_timeout_not_one_each_frame():
    source = Scripted(paced(lambda _: picture(7)), timeout_ms=60, frozen_ms=1)
    frozen: list[NoFrame] = []
    with source:
        for tick in source:
            if isinstance(tick, NoFrame) and tick.reason is NoFrameReason.FROZEN:
                frozen.append(tick)
            if len(frozen) == 3:
                break
    assert frozen[1].mono_ns - frozen[0].mono_ns >= 60_000_000
    assert frozen[2].mono_ns - frozen[1].mono_ns >= 60_000_000


def test_noise_in_one_sampled_pixel_is_a_living_sensor():
    def noisy(number: int) -> np.ndarray:
        pixels = picture(100)
        pixels[8, 16, 1] += number % 100
        return pixels

    with Scripted(paced(noisy), timeout_ms=FOREVER_MS, frozen_ms=50) as source:
        for tick in source:
            assert isinstance(tick, Frame) or tick.reason is not NoFrameReason.FROZEN
            if isinstance(tick, Frame) and tick.seq > 100:
                break


def test_frozen_ms_0_takes_still_pictures_for_frames():
    with Scripted(paced(lambda _: picture(7)), timeout_ms=FOREVER_MS, frozen_ms=0) as source:
        for tick in source:
            assert isinstance(tick, Frame)
            if tick.seq >= 50:
                break


def test_the_devices_own_time_dates_the_frame_but_never_into_the_future():
    taken_ns = time.monotonic_ns() - 5_000_000_000

    taken = threading.Event()

    def read(number: int) -> Shot:
        if number:
            taken.wait()
        return Shot(picture(number), time.monotonic_ns() + 10**12 if number else taken_ns)

    with Scripted(read, timeout_ms=FOREVER_MS) as source:
        ticks = iter(source)
        first = next(ticks)
        taken.set()
        second = next(ticks)
    assert isinstance(first, Frame)
    assert first.captured_mono_ns == taken_ns
    assert isinstance(second, Frame)
    assert taken_ns < second.captured_mono_ns <= time.monotonic_ns()


def test_a_process_ends_with_its_own_code_while_a_camera_still_opens():
    code = """
import socket, sys
from edge.errors import SourceError
from edge.sources import open_source
from edge.sources.base import SourceLimits
silent = socket.create_server(("127.0.0.1", 0))
for scheme in ("rtsp", "http"):
    url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/"
    try:
        open_source(url, timeout_ms=10, limits=SourceLimits(open_timeout_ms=10)).__enter__()
    except SourceError:
        pass
sys.exit(69)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 69, done.stderr
