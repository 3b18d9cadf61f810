"""The newest-frame slot."""

from __future__ import annotations

import signal
import threading
from datetime import datetime, timezone

import numpy as np
import pytest

from edge.clock import Clock
from edge.data import Frame, NoFrame, NoFrameReason
from edge.sources.newest import NewestFrame, live_ticks

FOREVER_S = 60.0  # a wait that must be ended by something else than the clock


def frame(seq: int) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), seq, seq, datetime.now(timezone.utc), clock_synced=False)


def test_only_the_newest_is_kept_and_the_rest_is_counted():
    slot = NewestFrame()
    for seq in range(5):
        slot.put(frame(seq))
    taken = slot.get(0)
    assert taken is not None
    assert taken.seq == 4
    assert slot.dropped == 4
    assert slot.get(0) is None
    assert not slot.ended


def test_a_waiting_consumer_is_woken_by_a_frame():
    slot = NewestFrame()
    threading.Timer(0.02, slot.put, [frame(7)]).start()
    taken = slot.get(FOREVER_S)
    assert taken is not None
    assert taken.seq == 7


def test_the_last_frame_is_delivered_then_the_producers_error_is_raised():
    slot = NewestFrame()
    slot.put(frame(0))
    slot.finish(OSError("the cable is out"))
    assert not slot.ended
    assert slot.get(0) is not None
    for _ in range(2):
        with pytest.raises(OSError, match="the cable is out"):
            slot.get(0)


def test_an_error_that_comes_while_the_loop_is_busy_is_raised_when_it_returns():
    slot = NewestFrame()
    slot.put(frame(0))
    ticks = live_ticks(slot, 60_000, Clock())
    assert isinstance(next(ticks), Frame)
    slot.finish(OSError("the cable is out"))
    with pytest.raises(OSError, match="the cable is out"):
        next(ticks)


def test_after_finish_the_last_frame_is_delivered_then_it_has_ended():
    slot = NewestFrame()
    slot.put(frame(0))
    slot.finish()
    assert slot.get(FOREVER_S) is not None
    assert slot.ended
    assert slot.get(FOREVER_S) is None


def test_close_wakes_the_consumer_and_the_producer():
    slot = NewestFrame()
    threading.Timer(0.02, slot.close).start()
    assert slot.get(FOREVER_S) is None
    assert slot.ended
    assert slot.wait_closed(FOREVER_S)


def test_a_producer_may_go_on_after_close_and_its_error_is_forgotten():
    slot = NewestFrame()
    slot.close()
    slot.put(frame(0))
    slot.finish(OSError("late"))
    assert slot.ended
    assert list(live_ticks(slot, 10, Clock())) == []


def test_the_producers_sleep_ends_when_the_next_frame_is_due():
    assert not NewestFrame().wait_closed(0.001)


def test_close_in_a_signal_handler_ends_the_wait_of_the_thread_that_it_interrupts():
    slot = NewestFrame()
    before = signal.signal(signal.SIGALRM, lambda *_: slot.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert slot.get(FOREVER_S) is None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert slot.ended


def test_a_silent_camera_makes_ticks_without_a_frame():
    slot = NewestFrame()
    ticks = live_ticks(slot, 1, Clock())
    silent = next(ticks)
    assert isinstance(silent, NoFrame)
    assert silent.reason is NoFrameReason.TIMEOUT
    assert "1 ms" in silent.detail
    slot.put(frame(3))
    assert isinstance(next(ticks), Frame)
    slot.finish()
    assert list(ticks) == []


def test_every_frame_is_delivered_or_counted_whatever_the_threads_do():
    slot = NewestFrame()

    def produce() -> None:
        for seq in range(2000):
            slot.put(frame(seq))
        slot.finish()

    producer = threading.Thread(target=produce)
    producer.start()
    seen = [tick.seq for tick in live_ticks(slot, 60_000, Clock()) if isinstance(tick, Frame)]
    producer.join()
    assert seen == sorted(set(seen))
    assert seen[-1] == 1999
    assert len(seen) + slot.dropped == 2000
