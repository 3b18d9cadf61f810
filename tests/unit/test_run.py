"""What a run says of ticks without a frame."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pytest

from edge.data import Frame, NoFrame, NoFrameReason, Tick
from edge.run import first_frames

TIMEOUT, CORRUPT, FROZEN = NoFrameReason.TIMEOUT, NoFrameReason.CORRUPT, NoFrameReason.FROZEN


def frame(seq: int) -> Frame:
    return Frame(np.zeros((8, 8, 3), np.uint8), seq, 0, datetime.now(timezone.utc), clock_synced=True)


def nothing(reason: NoFrameReason, at_s: float) -> NoFrame:
    return NoFrame(reason, f"at {at_s:g}", int(at_s * 1e9))


def said(caplog: pytest.LogCaptureFixture, *ticks: Tick) -> list[str]:
    assert list(first_frames(ticks, None)) == list(ticks)
    return [record.message.rpartition("at ")[2] for record in caplog.records]


def test_a_camera_that_stays_away_is_told_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    away = [nothing(TIMEOUT, second) for second in range(1, 130)]
    assert said(caplog, *away) == ["1", "61", "121"]


def test_it_is_told_of_anew_after_a_frame_and_with_another_reason(caplog: pytest.LogCaptureFixture) -> None:
    ticks = (nothing(TIMEOUT, 1), nothing(TIMEOUT, 2), frame(0), nothing(TIMEOUT, 3), nothing(FROZEN, 4), nothing(FROZEN, 5))
    assert said(caplog, *ticks) == ["1", "3", "4"]


def test_every_unreadable_file_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    assert said(caplog, *(nothing(CORRUPT, second) for second in (1, 2, 3))) == ["1", "2", "3"]


def test_it_ends_with_the_last_frame_asked_for() -> None:
    ticks = [nothing(TIMEOUT, 1), frame(0), nothing(TIMEOUT, 2), frame(1), frame(2)]
    assert list(first_frames(ticks, 2)) == ticks[:4]
