"""JSON lines: whole lines only, rotation, and what happens when somebody else touches the file or the disk is full."""

from __future__ import annotations

import json
import os
import resource
import signal
from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import SinkError
from edge.sink_config import JsonLinesConfig
from edge.sinks.base import DeliveryError, GoneError, SinkSite
from edge.sinks.jsonl import JsonLines
from tests.fakes.events import make_event

EVENTS = [make_event(number) for number in range(1, 4)]


def sink_for(path: object, *, durable: bool = True, **more) -> JsonLines:
    return JsonLines(JsonLinesConfig(path=str(path), **more), SinkSite("cam", durable))


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()]


def test_files_rotate_by_size_and_the_oldest_go(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    with closing(sink_for(path, max_mb=1, keep=2)) as sink:
        sink._max_bytes = 2 * len(json.dumps({})) + 1_000  # three events or so
        for number in range(1, 31):
            sink.write([make_event(number)])
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["e.jsonl", "e.jsonl.1", "e.jsonl.2"]
    order = [number for name in ("e.jsonl.2", "e.jsonl.1", "e.jsonl") for number in numbers(tmp_path / name)]
    assert order == list(range(order[0], 31)), "in order from file to file, the oldest gone"
    assert order[0] > 1
    assert all((tmp_path / name).stat().st_size <= 1_004 for name in names)


def test_without_a_size_nothing_rotates(tmp_path: Path) -> None:
    with closing(sink_for(tmp_path / "e.jsonl")) as sink:
        for _ in range(50):
            sink.write(EVENTS)
    assert [file.name for file in tmp_path.iterdir()] == ["e.jsonl"]


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    with closing(sink_for(path)) as sink:
        sink.write(EVENTS[:1])
        path.rename(tmp_path / "moved")
        sink.write(EVENTS[1:2])
        path.unlink()
        sink.write(EVENTS[2:])
    assert numbers(tmp_path / "moved") == [1]
    assert numbers(path) == [3]


@pytest.mark.parametrize("cut", [5, 30, 200, -2, -1])
def test_a_torn_line_is_taken_away_and_a_whole_one_stays(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "e.jsonl"
    with closing(sink_for(path)) as sink:
        sink.write(EVENTS[:2])
    first, torn = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + torn[:cut])
    with closing(sink_for(path)) as sink:
        sink.write(EVENTS[1:])
    assert numbers(path) == ([1, 2, 2, 3] if cut == -1 else [1, 2, 3])


def test_the_end_of_what_somebody_else_wrote_stays(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("a note without an end")
    with closing(sink_for(path)) as sink:
        sink.write(EVENTS[:1])
    first, second = path.read_text().splitlines()
    assert first == "a note without an end"
    assert json.loads(second)["seq"] == 1


def test_what_was_written_before_the_disk_was_full_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    with closing(sink_for(path)) as sink:
        sink.write(EVENTS[:1])
        size = path.stat().st_size
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))  # the kernel writes 100 bytes, then refuses
        try:
            with pytest.raises(DeliveryError, match=r"e\.jsonl: events cannot be written: File too large"):
                sink.write(EVENTS)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert path.stat().st_size == size
        sink.write(EVENTS)
    assert numbers(path) == [1, 1, 2, 3]


def test_a_pipe_whose_reader_has_left_is_gone_for_good_for_a_file_run(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with closing(sink_for(path, durable=False)) as sink:
        sink.write(EVENTS)
        assert os.read(reader, 1 << 16).count(b"\n") == 3
        os.close(reader)
        with pytest.raises(GoneError, match="Broken pipe"):
            sink.write(EVENTS)


def test_a_directory_that_cannot_be_made_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"file/e\.jsonl"):
        sink_for(tmp_path / "file" / "e.jsonl")


def test_a_camera_syncs_what_it_calls_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), real(handle))[1])
    with closing(sink_for(tmp_path / "a", durable=True)) as sink:
        sink.write(EVENTS)
        assert len(synced) == 1
    synced.clear()
    with closing(sink_for(tmp_path / "b", durable=False)) as sink:
        sink.write(EVENTS)
        assert synced == []
    assert len(synced) == 1, "at its end it is synced all the same"
