"""Event numbers never run backwards, whatever happens to the process."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from edge.data import Score
from edge.errors import BusyError, SinkError
from edge.events import EventCounter, EventFactory, camera_lock, earlier_counter, number_of
from tests.fakes.events import frame


def test_numbers_rise_from_the_first_in_every_thread() -> None:
    counter = EventCounter(7)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: counter.take(), range(1_000)))
    assert sorted(taken) == list(range(7, 1_007))


def test_two_processes_never_run_the_same_camera(tmp_path: Path) -> None:
    with camera_lock(tmp_path):
        with pytest.raises(BusyError, match="another process runs this camera"), camera_lock(tmp_path):
            pass
        code = "import sys; from pathlib import Path; from edge.events import camera_lock\n"
        code += "with camera_lock(Path(sys.argv[1])): pass"
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
        assert "BusyError" in done.stderr
    with camera_lock(tmp_path):
        pass


def test_the_counter_of_an_earlier_version_is_read_and_a_damaged_one_is_not_restarted_silently(tmp_path: Path) -> None:
    assert earlier_counter(tmp_path) == 1
    (tmp_path / "next_event").write_text("10001\n")
    assert earlier_counter(tmp_path) == 10_001
    (tmp_path / "next_event").write_text("garbage")
    with pytest.raises(SinkError, match="next_event"):
        earlier_counter(tmp_path)


def test_the_number_of_an_id_is_its_counter() -> None:
    assert number_of("a-camera-with-7-dashes-000000000042") == 42


def test_an_observation_carries_the_frame() -> None:
    factory = EventFactory("cam", "b@1", "m/c", EventCounter())
    event = factory.observation(frame(synced=False, simulated=True), "frame", (Score("cat", 3, 0.5),))
    data = msgspec.json.decode(msgspec.json.encode(event))
    assert list(data) == [
        "schema", "kind", "id", "camera", "slot", "seq", "captured_utc", "type", "before", "after", "top", "slots", "flags", "bundle",
        "model", "simulated",
    ]  # fmt: skip
    assert data["id"] == "cam-000000000001"
    assert (data["seq"], data["captured_utc"], data["simulated"]) == (7, "2026-01-02T03:04:05Z", True)
    assert data["top"] == [{"label": "cat", "index": 3, "score": 0.5}]
    assert data["flags"] == ["clock_unsynced"]
    assert factory.observation(frame(), "frame", ()).id > event.id
