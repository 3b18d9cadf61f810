"""The frame as one slot."""

from __future__ import annotations

import numpy as np

from edge.data import Classes, NoFrame, NoFrameReason, Region, Score, ViewState
from edge.events import EventCounter, EventFactory
from edge.shelf.whole_frame import SLOT, Unchecked, WholeFrame
from tests.fakes.events import frame

SILENCE = NoFrame(NoFrameReason.TIMEOUT, "nothing came", 0)
TOP = (Score("tea", 0, 0.9),)


def shelf() -> WholeFrame:
    return WholeFrame(EventFactory("cam", "b", "m", EventCounter()))


def test_every_frame_is_asked_about_whole_and_silence_is_not() -> None:
    tick = frame()
    (region,) = shelf().changed(tick, ViewState.UNCHECKED)
    assert (region.slot, region.pixels is tick.pixels) == (SLOT, True)
    assert shelf().changed(SILENCE, ViewState.UNCHECKED) == []


def test_all_that_is_seen_is_an_observation() -> None:
    seen = [Region(SLOT, np.zeros((1, 1, 3), np.uint8), answers=(Classes("kind", TOP),))] * 2
    told = shelf().update(frame(), seen, ViewState.UNCHECKED)
    assert [(event.kind, event.slot, event.top) for event in told] == [("observation", SLOT, TOP)] * 2
    assert shelf().update(SILENCE, seen, ViewState.UNCHECKED) == []


def test_it_remembers_nothing_and_judges_no_view() -> None:
    one = shelf()
    one.relearn()
    assert one.snapshot() == b"{}"
    assert Unchecked().check(frame()) is ViewState.UNCHECKED
