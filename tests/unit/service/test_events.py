"""Event numbers never run backwards, whatever happens to the process."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.data import Frame, Score
from edge.errors import BusyError, SinkError
from edge.service.events import BLOCK, EventCounter, EventFactory

UTC = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def frame(*, synced: bool = True, simulated: bool = False) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), 7, 1, UTC, synced, simulated)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=8))
def test_numbers_rise_across_clean_stops_and_crashes(
    tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("counter") / "next_event"
    seen: list[int] = []
    for count, clean in lives:
        counter = EventCounter(path)
        seen += [counter.take() for _ in range(count)]
        if clean:
            counter.close()
        del counter  # a crash: nothing is written any more, and the system frees the lock
    assert seen == sorted(set(seen))
    if all(clean for _, clean in lives):
        assert seen == list(range(1, len(seen) + 1)), "a clean restart skips nothing"


def test_a_long_life_reserves_again(tmp_path: Path) -> None:
    counter = EventCounter(tmp_path / "next_event")
    assert [counter.take() for _ in range(BLOCK + 5)][-1] == BLOCK + 5
    del counter
    assert EventCounter(tmp_path / "next_event").take() == 2 * BLOCK + 1


def test_two_processes_never_count_the_same_camera(tmp_path: Path) -> None:
    first = EventCounter(tmp_path / "next_event")
    with pytest.raises(BusyError, match="another process runs this camera"):
        EventCounter(tmp_path / "next_event")
    first.take()
    first.close()
    assert EventCounter(tmp_path / "next_event").take() == 2


def test_a_damaged_counter_is_not_restarted_silently(tmp_path: Path) -> None:
    (tmp_path / "next_event").write_text("garbage")
    with pytest.raises(SinkError, match="next_event"):
        EventCounter(tmp_path / "next_event")


def test_an_observation_carries_the_frame(tmp_path: Path) -> None:
    factory = EventFactory("cam", "b@1", "m/c", EventCounter(tmp_path / "n"))
    event = factory.observation(frame(synced=False, simulated=True), "frame", (Score("cat", 3, 0.5),))
    data = msgspec.json.decode(msgspec.json.encode(event))
    assert list(data) == [
        "schema", "kind", "id", "camera", "slot", "seq", "captured_utc", "type", "before", "after", "top", "flags", "bundle", "model",
        "simulated",
    ]  # fmt: skip
    assert data["id"] == "cam-000000000001"
    assert (data["seq"], data["captured_utc"], data["simulated"]) == (7, "2026-01-02T03:04:05Z", True)
    assert data["top"] == [{"label": "cat", "index": 3, "score": 0.5}]
    assert data["flags"] == ["clock_unsynced"]
    assert factory.observation(frame(), "frame", ()).id > event.id
