"""What the loop hands over is stored beside it; the disk costs a picture, never the loop."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.clock import Clock
from edge.errors import SinkError
from edge.pictures.keeper import PictureKeeper, PictureLimits
from edge.pictures.ring import Ring
from tests.fakes.patience import wait_until

LIMITS = PictureLimits(max_side_px=64, quality=90)
RED = np.full((40, 60, 3), (220, 30, 10), dtype=np.uint8)
BLUE = np.full((200, 100, 3), (10, 30, 220), dtype=np.uint8)


class Held(Ring):
    """A ring whose disk answers when ``gate`` is set; with ``broken`` set it raises that."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "cam", max_bytes=10**6, max_age_s=10**6, clock=Clock())
        self.gate, self.broken = threading.Event(), None

    def add(self, name: str, content: bytes) -> None:
        self.gate.wait()
        if self.broken is not None:
            raise self.broken
        super().add(name, content)


@pytest.fixture
def ring(tmp_path: Path) -> Held:
    return Held(tmp_path)


def test_both_pictures_are_stored_in_their_colours_and_small_enough(ring: Held, tmp_path: Path) -> None:
    ring.gate.set()
    with closing(PictureKeeper(ring, LIMITS, live=True)) as keeper:
        assert keeper.keep("cam-000000000007", keeper.shrink(RED), keeper.shrink(BLUE)) == ("picture=before", "picture=after")
    before = cv2.imread(str(tmp_path / "cam-000000000007-before.jpg"))[..., ::-1]
    after = cv2.imread(str(tmp_path / "cam-000000000007-after.jpg"))[..., ::-1]
    assert (before.shape, after.shape) == ((40, 60, 3), (64, 32, 3))
    assert np.abs(before.astype(int) - RED[0, 0]).max() < 6
    assert np.abs(after.astype(int) - BLUE[0, 0]).max() < 6


def test_what_is_handed_over_is_a_copy(ring: Held) -> None:
    keeper = PictureKeeper(ring, LIMITS, live=True)
    frame = np.zeros((100, 100, 3), dtype=np.uint8)
    for crop in (frame[:20, :20], frame):
        assert not np.shares_memory(keeper.shrink(crop), frame)
    ring.gate.set()
    keeper.close()


def test_only_what_there_is_is_stored_and_flagged(ring: Held) -> None:
    ring.gate.set()
    with closing(PictureKeeper(ring, LIMITS, live=True)) as keeper:
        assert keeper.keep("cam-000000000001", None, RED) == ("picture=after",)
        assert keeper.keep("cam-000000000002", None, None) == ()
    assert ring.names == ("cam-000000000001-after.jpg",)


def test_a_disk_that_hangs_costs_a_camera_pictures_and_one_warning(ring: Held, caplog: pytest.LogCaptureFixture) -> None:
    keeper = PictureKeeper(ring, PictureLimits(64, 90, memory_bytes=3 * RED.nbytes), live=True)
    flags = [keeper.keep(f"cam-{number:012d}", None, RED) for number in range(1, 21)]
    taken = sum(map(len, flags))
    assert 3 <= taken <= 4, "three wait, and one may be under way"
    assert flags[:3] == [("picture=after",)] * 3
    assert caplog.text.count("pictures are lost: the disk is too slow") == 1
    ring.gate.set()
    keeper.close()
    assert len(ring.names) == taken


def test_a_file_run_waits_for_its_disk(ring: Held) -> None:
    keeper = PictureKeeper(ring, PictureLimits(64, 90, memory_bytes=2 * RED.nbytes), live=False)
    threading.Timer(0.05, ring.gate.set).start()
    for number in range(1, 21):
        assert keeper.keep(f"cam-{number:012d}", None, RED) == ("picture=after",)
    keeper.close()
    assert len(ring.names) == 20


def test_a_disk_that_refuses_costs_the_pictures_and_heals(ring: Held, caplog: pytest.LogCaptureFixture) -> None:
    ring.gate.set()
    ring.broken = SinkError("no room")
    with closing(PictureKeeper(ring, LIMITS, live=True)) as keeper:
        for number in range(1, 6):
            keeper.keep(f"cam-{number:012d}", RED, RED)
        wait_until(lambda: not keeper._jobs)
        wait_until(lambda: keeper._lost == 9, "all but the first are counted for the next warning")
        ring.broken = None
        keeper.keep("cam-000000000006", None, RED)
    assert ring.names == ("cam-000000000006-after.jpg",)
    assert caplog.text.count("no room") == 1


@pytest.mark.parametrize("live", [True, False])
def test_any_other_error_ends_the_loop_and_not_in_silence(ring: Held, live: bool) -> None:
    ring.gate.set()
    ring.broken = ZeroDivisionError("a fault of ours")
    keeper = PictureKeeper(ring, LIMITS, live=live)
    keeper.keep("cam-000000000001", None, RED)
    wait_until(lambda: not keeper._thread.is_alive())
    with pytest.raises(ZeroDivisionError):
        keeper.keep("cam-000000000002", None, RED)
    with pytest.raises(ZeroDivisionError):
        keeper.close()


def test_a_disk_that_never_answers_does_not_hold_the_end_up(ring: Held, caplog: pytest.LogCaptureFixture) -> None:
    keeper = PictureKeeper(ring, PictureLimits(64, 90, drain_s=0.05), live=True)
    keeper.keep("cam-000000000001", RED, RED)
    keeper.close()
    assert "the disk does not answer" in caplog.text
    ring.gate.set()
